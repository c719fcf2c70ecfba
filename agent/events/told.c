/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/told.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "agent/base/json_file.h"
#include "agent/base/log.h"

int pmo_told_write(const char *path, const struct pmo_calendar *calendar)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < pmo_calendar_count(calendar); i++) {
        const struct pmo_happening *h = pmo_calendar_at(calendar, i);

        if (!h->source &&
            json_array_append_new(
                rows, json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:I}", "id", h->id, "kind", h->kind,
                                "scope", h->scope, "start", (json_int_t)h->start, "durationS",
                                (json_int_t)h->duration_s, "strength", (double)h->strength, "known",
                                (json_int_t)h->known))) {
            json_decref(rows);
            rows = NULL;
            break;
        }
    }
    return pmo_json_replace(path, rows);
}

/* Returns whether it fits. */
static bool read_text(char *to, size_t size, const char *text)
{
    return (size_t)snprintf(to, size, "%s", text) < size;
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
    return read_text(h->id, sizeof(h->id), id) && read_text(h->kind, sizeof(h->kind), kind) &&
           read_text(h->scope, sizeof(h->scope), scope);
}

static void set_aside(const char *path, const char *why)
{
    char aside[PATH_MAX];

    (void)snprintf(aside, sizeof(aside), "%s.unreadable", path);
    (void)rename(path, aside);
    pmo_warn("%s: %s: now %s; tell again of what `pmoctl events` does not list", path, why, aside);
}

int pmo_told_read(const char *path, struct pmo_calendar *calendar, int64_t now)
{
    struct pmo_happening h;
    json_error_t error;
    json_t *rows, *row;
    size_t i, bad = 0;
    char why[64];
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
    for (i = 0; i < json_array_size(rows) && r != -ENOMEM; i++) {
        row = json_array_get(rows, i);
        if (read_row(row, &h))
            r = pmo_calendar_add(calendar, &h, h.known);
        else if (!bad++)
            (void)snprintf(why, sizeof(why), "row %zu is no event", i + 1);
    }
    pmo_calendar_forget(calendar, now);
    json_decref(rows);
    if (r == -ENOMEM)
        return r;
    if (bad) {
        set_aside(path, why);
        (void)pmo_told_write(path, calendar); /* the others; it says what is wrong */
    }
    return 0;
}
