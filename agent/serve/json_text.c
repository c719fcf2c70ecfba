/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/serve/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

char *pmo_clean_text(const char *text)
{
    size_t length = strlen(text);
    char *clean = malloc(3 * length + 1), *to = clean;

    if (!clean)
        return NULL;
    while (*text) {
        /* jansson knows UTF-8; ask it for each character of more than one byte. */
        size_t bytes = (unsigned char)*text < 0x80 ? 1 : 0;

        for (size_t n = 2; !bytes && n <= 4 && strnlen(text, n) == n; n++) {
            json_t *character = json_stringn(text, n);

            if (character)
                bytes = n;
            json_decref(character);
        }
        if (bytes) {
            memcpy(to, text, bytes);
            to += bytes;
            text += bytes;
        } else {
            to += sprintf(to, "%%%02X", (unsigned char)*text++);
        }
    }
    *to = '\0';
    return clean;
}

json_t *pmo_json_text(const char *text)
{
    json_t *json = json_string(text);
    _cleanup_free_ char *clean = NULL;

    if (json)
        return json;
    clean = pmo_clean_text(text);
    return clean ? json_string(clean) : NULL;
}
