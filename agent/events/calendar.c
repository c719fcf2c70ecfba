/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sorted array: it is searched each second and changed now and then. */
#include "agent/events/event.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"

struct pmo_calendar {
    struct pmo_happening *list; /* by start, source and id */
    size_t count, room;
    uint32_t longest_s; /* no duration is longer */
    uint64_t dropped;
};

/* 64 bits of FNV-1a; http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3ULL;
    return h;
}

void pmo_happening_name(struct pmo_happening *happening, const char *id, const char *part)
{
    size_t kept = PMO_HAPPENING_BYTES - 18; /* '~', 16 digits and the end */
    int length =
        snprintf(happening->id, sizeof(happening->id), "%s%s%s", id, *id && *part ? " " : "", part);

    if (length < (int)sizeof(happening->id))
        return;
    while (kept && (happening->id[kept] & 0xc0) == 0x80) /* between two characters of UTF-8 */
        kept--;
    (void)snprintf(happening->id + kept, sizeof(happening->id) - kept, "~%016" PRIx64,
                   hash(hash(hash(0xcbf29ce484222325ULL, id), " "), part));
}

bool pmo_happening_concerns(const struct pmo_happening *happening, const char *service)
{
    return !strcmp(happening->scope, "*") || !strcmp(happening->scope, service);
}

int pmo_calendar_new(struct pmo_calendar **calendar)
{
    struct pmo_calendar *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    *calendar = made;
    return 0;
}

void pmo_calendar_free(struct pmo_calendar **calendar)
{
    if (!*calendar)
        return;
    free((*calendar)->list);
    free(*calendar);
    *calendar = NULL;
}

static int in_order(const void *a, const void *b)
{
    const struct pmo_happening *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    return strcmp(x->id, y->id);
}

static bool is_over(const struct pmo_happening *happening, int64_t now)
{
    return happening->start + happening->duration_s < now - PMO_CALENDAR_PAST_S;
}

static size_t find(const struct pmo_calendar *calendar, uint16_t source, const char *id)
{
    size_t i = 0;

    while (i < calendar->count &&
           (calendar->list[i].source != source || strcmp(calendar->list[i].id, id) != 0))
        i++;
    return i;
}

static void remove_at(struct pmo_calendar *calendar, size_t i)
{
    calendar->count--;
    memmove(&calendar->list[i], &calendar->list[i + 1],
            (calendar->count - i) * sizeof(*calendar->list));
}

static int make_room(struct pmo_calendar *calendar, size_t wanted)
{
    size_t room = calendar->room ? calendar->room : 16;
    struct pmo_happening *list;

    while (room < wanted)
        room *= 2;
    if (room == calendar->room)
        return 0;
    list = reallocarray(calendar->list, room, sizeof(*list));
    if (!list)
        return -ENOMEM;
    calendar->list = list;
    calendar->room = room;
    return 0;
}

/* First index that starts at @t or later. */
static size_t first_from(const struct pmo_calendar *calendar, int64_t t)
{
    size_t low = 0, high = calendar->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (calendar->list[middle].start < t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct pmo_calendar *calendar, const struct pmo_happening *happening)
{
    size_t i = first_from(calendar, happening->start);

    while (i < calendar->count && in_order(&calendar->list[i], happening) < 0)
        i++;
    memmove(&calendar->list[i + 1], &calendar->list[i],
            (calendar->count - i) * sizeof(*calendar->list));
    calendar->list[i] = *happening;
    calendar->count++;
    if (happening->duration_s > calendar->longest_s)
        calendar->longest_s = happening->duration_s;
}

int pmo_calendar_add(struct pmo_calendar *calendar, const struct pmo_happening *happening,
                     int64_t now)
{
    struct pmo_happening added = *happening;
    size_t i = find(calendar, happening->source, happening->id);
    bool there = i < calendar->count;

    if (is_over(happening, now))
        return -ERANGE;
    added.known = there ? calendar->list[i].known : now;
    if (there)
        remove_at(calendar, i);
    if (calendar->count == PMO_CALENDAR_MAX) {
        calendar->dropped++;
        if (in_order(&added, &calendar->list[calendar->count - 1]) > 0)
            return -ENOSPC;
        calendar->count--;
    }
    if (make_room(calendar, calendar->count + 1))
        return -ENOMEM;
    insert(calendar, &added);
    return !there;
}

/* A source may have told the same twice. */
static void drop_doubles(struct pmo_calendar *calendar)
{
    size_t kept = 0;

    for (size_t i = 0; i < calendar->count; i++)
        if (!kept || in_order(&calendar->list[kept - 1], &calendar->list[i]) != 0)
            calendar->list[kept++] = calendar->list[i];
    calendar->count = kept;
}

int pmo_calendar_replace(struct pmo_calendar *calendar, uint16_t source,
                         const struct pmo_happening *list, size_t count, int64_t now)
{
    size_t kept = 0, old = calendar->count;
    _cleanup_free_ struct pmo_happening *before = NULL;

    if (make_room(calendar, old + count + 1))
        return -ENOMEM;
    before = calloc(old + 1, sizeof(*before));
    if (!before)
        return -ENOMEM;
    /* those of the source, still in order, for when each became known */
    for (size_t i = 0, n = 0; i < old; i++)
        if (calendar->list[i].source == source)
            before[n++] = calendar->list[i];
        else
            calendar->list[kept++] = calendar->list[i];
    calendar->count = kept;
    for (size_t i = 0; i < count; i++) {
        struct pmo_happening *added = &calendar->list[calendar->count];
        const struct pmo_happening *earlier;

        if (is_over(&list[i], now))
            continue;
        *added = list[i];
        added->source = source;
        earlier = bsearch(added, before, old - kept, sizeof(*before), in_order);
        added->known = earlier ? earlier->known : now;
        if (added->duration_s > calendar->longest_s)
            calendar->longest_s = added->duration_s;
        calendar->count++;
    }
    qsort(calendar->list, calendar->count, sizeof(*calendar->list), in_order);
    drop_doubles(calendar);
    if (calendar->count > PMO_CALENDAR_MAX) {
        calendar->dropped += calendar->count - PMO_CALENDAR_MAX;
        calendar->count = PMO_CALENDAR_MAX;
    }
    return 0;
}

bool pmo_calendar_remove(struct pmo_calendar *calendar, uint16_t source, const char *id)
{
    size_t i = find(calendar, source, id);

    if (i == calendar->count)
        return false;
    remove_at(calendar, i);
    return true;
}

void pmo_calendar_forget(struct pmo_calendar *calendar, int64_t now)
{
    size_t kept = 0;

    calendar->longest_s = 0;
    for (size_t i = 0; i < calendar->count; i++) {
        if (is_over(&calendar->list[i], now))
            continue;
        if (calendar->list[i].duration_s > calendar->longest_s)
            calendar->longest_s = calendar->list[i].duration_s;
        if (kept != i)
            calendar->list[kept] = calendar->list[i];
        kept++;
    }
    calendar->count = kept;
}

size_t pmo_calendar_count(const struct pmo_calendar *calendar)
{
    return calendar->count;
}

const struct pmo_happening *pmo_calendar_at(const struct pmo_calendar *calendar, size_t i)
{
    assert(i < calendar->count);
    return &calendar->list[i];
}

uint64_t pmo_calendar_dropped(const struct pmo_calendar *calendar)
{
    return calendar->dropped;
}

size_t pmo_calendar_between(const struct pmo_calendar *calendar, int64_t from, int64_t to,
                            const struct pmo_happening **out, size_t room)
{
    size_t count = 0;

    for (size_t i = first_from(calendar, from - calendar->longest_s);
         i < calendar->count && count < room && calendar->list[i].start <= to; i++)
        if (calendar->list[i].start + calendar->list[i].duration_s >= from)
            out[count++] = &calendar->list[i];
    return count;
}
