/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses as text. */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

/* @addr: in network byte order, IPv4 as an IPv4-mapped address. Returns @text. */
const char *pmo_address_text(const uint8_t addr[16], char text[INET6_ADDRSTRLEN]);
