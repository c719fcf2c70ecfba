/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/body.h"

#include <stdlib.h>
#include <string.h>

size_t pmo_body_keep(char *bytes, size_t size, size_t count, void *context)
{
    struct pmo_body *body = context;

    if (body->length + count > body->max) {
        body->too_big = true;
        return 0;
    }
    if (body->length + count >= body->room) {
        size_t room = 2 * (body->length + count) + 1;
        char *text = realloc(body->text, room);

        if (!text)
            return 0;
        body->text = text;
        body->room = room;
    }
    memcpy(body->text + body->length, bytes, count);
    body->length += count;
    body->text[body->length] = '\0';
    return count;
}

int pmo_body_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                      curl_off_t up)
{
    const struct pmo_body *body = context;

    return __atomic_load_n(body->cancelled, __ATOMIC_RELAXED);
}
