/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/told.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "agent/base/json_file.h"
#include "agent/base/log.h"

/* A text's bytes as characters (ISO 8859-1), since they may be no UTF-8: a long id is cut anywhere.
 */
static json_t *bytes_json(const char *text)
{
    char utf8[2 * PMO_HAPPENING_BYTES + 1], *to = utf8;

    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c & 0x80)
            *to++ = (char)(0xc0 | *c >> 6);
        *to++ = (char)(*c & 0x80 ? 0x80 | (*c & 0x3f) : *c);
    }
    return json_stringn(utf8, (size_t)(to - utf8));
}

/* The other way. Returns whether it is such a text, and fits. */
static bool read_bytes(char *to, size_t size, const char *utf8)
{
    const unsigned char *c = (const unsigned char *)utf8;
    size_t length = 0;

    for (; *c && length + 1 < size; c++) {
        if (*c > 0xc3)
            return false;
        to[length++] = (char)(*c & 0x80 ? *c << 6 | (c[1] & 0x3f) : *c);
        c += *c >> 7;
    }
    to[length] = 0;
    return !*c;
}

int pmo_told_write(const char *path, const struct pmo_calendar *calendar)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < pmo_calendar_count(calendar); i++) {
        const struct pmo_happening *h = pmo_calendar_at(calendar, i);

        if (!h->source &&
            json_array_append_new(
                rows, json_pack("{s:o, s:o, s:o, s:I, s:I, s:f, s:I}", "id", bytes_json(h->id),
                                "kind", bytes_json(h->kind), "scope", bytes_json(h->scope), "start",
                                (json_int_t)h->start, "durationS", (json_int_t)h->duration_s,
                                "strength", (double)h->strength, "known", (json_int_t)h->known))) {
            json_decref(rows);
            rows = NULL;
            break;
        }
    }
    return pmo_json_replace(path, rows);
}

/* Returns whether a row is what pmo_told_write() writes. */
static bool read_row(const json_t *row, struct pmo_happening *h)
{
    const char *id, *kind, *scope;
    json_int_t start, duration_s, known;
    double strength;

    *h = (struct pmo_happening){0};
    if (json_unpack((json_t *)row, "{s:s, s:s, s:s, s:I, s:I, s:F, s:I}", "id", &id, "kind", &kind,
                    "scope", &scope, "start", &start, "durationS", &duration_s, "strength",
                    &strength, "known", &known) ||
        duration_s < 0 || duration_s > PMO_DURATION_MAX_S || !(strength > 0) ||
        strength > (double)PMO_STRENGTH_MAX || start > INT64_MAX / 2 || start < INT64_MIN / 2)
        return false;
    h->start = start;
    h->known = known;
    h->duration_s = (uint32_t)duration_s;
    h->strength = (float)strength;
    return read_bytes(h->id, sizeof(h->id), id) && read_bytes(h->kind, sizeof(h->kind), kind) &&
           read_bytes(h->scope, sizeof(h->scope), scope);
}

static void set_aside(const char *path, const char *why)
{
    char aside[PATH_MAX];

    (void)snprintf(aside, sizeof(aside), "%s.unreadable", path);
    (void)rename(path, aside);
    pmo_warn("%s: %s: now %s; tell of these events again", path, why, aside);
}

int pmo_told_read(const char *path, struct pmo_calendar *calendar, int64_t now)
{
    struct pmo_happening h;
    json_error_t error;
    json_t *rows, *row;
    size_t i;
    int r = 0;

    errno = 0;
    rows = json_load_file(path, 0, &error);
    if (!rows && errno == ENOENT)
        return 0;
    if (!json_is_array(rows)) {
        set_aside(path, rows ? "no list of events" : error.text);
        json_decref(rows);
        return 0;
    }
    json_array_foreach (rows, i, row) {
        if (!read_row(row, &h)) {
            set_aside(path, "a row that is no event");
            break;
        }
        r = pmo_calendar_add(calendar, &h, h.known);
        if (r == -ENOMEM)
            break;
    }
    pmo_calendar_forget(calendar, now);
    json_decref(rows);
    return r == -ENOMEM ? r : 0;
}
