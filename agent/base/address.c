/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/address.h"

#include <arpa/inet.h>
#include <string.h>

const char *pmo_address_text(const uint8_t addr[16], char text[INET6_ADDRSTRLEN])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (!memcmp(addr, mapped, sizeof(mapped)))
        return inet_ntop(AF_INET, addr + sizeof(mapped), text, INET6_ADDRSTRLEN);
    return inet_ntop(AF_INET6, addr, text, INET6_ADDRSTRLEN);
}
