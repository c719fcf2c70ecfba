/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Happenings: what is known to come, or to have come, from outside of the counted load, and may
 * change it: a newsletter, a batch job, a release, news. (`struct pmo_event` is what the kernel
 * side tells.) The calendar holds those of all sources, in the order of their starts.
 *
 * Pure: no clock, no file; not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PMO_KIND_BYTES      64
#define PMO_HAPPENING_BYTES 80 /* of an id */

#define PMO_DURATION_MAX_S   (31 * 86400) /* of one happening */
#define PMO_DURATION_S       60           /* where nobody says how long it takes */
#define PMO_STRENGTH_MAX     100.0F
#define PMO_CALENDAR_MAX     8192        /* happenings */
#define PMO_CALENDAR_PAST_S  86400       /* how long after its end one is kept */
#define PMO_CALENDAR_AHEAD_S (7 * 86400) /* how far recurring ones are worked out */

struct pmo_happening {
    int64_t start; /* seconds since 1970 (or of a trace) */
    int64_t known; /* second from which on it was known; the calendar sets it */
    uint32_t duration_s;
    float strength;  /* 1: as usual for its kind; multiplies the logarithm of the effect */
    uint16_t source; /* 0: told by the API, else number of the source, from 1 */
    char kind[PMO_KIND_BYTES];
    char scope[64];               /* name of a service; "*": all */
    char id[PMO_HAPPENING_BYTES]; /* one of the same source and id takes its place */
};

/* The id of what its sender calls @id and @part (both may be long; "" is none): text where that
 * fits, else its beginning, cut between two characters of UTF-8, and a hash of all of it. */
void pmo_happening_name(struct pmo_happening *happening, const char *id, const char *part);
/* Does it concern this service? */
bool pmo_happening_concerns(const struct pmo_happening *happening, const char *service);

struct pmo_calendar;

int pmo_calendar_new(struct pmo_calendar **calendar);
void pmo_calendar_free(struct pmo_calendar **calendar);

/**
 * pmo_calendar_add - put a happening in, or in the place of an earlier one of its source and id
 * @now: becomes its `known`, unless it was there already
 * Returns 1 (new), 0 (in the place of an earlier one), -ERANGE (over for longer than is kept),
 * -ENOSPC (full, and it starts later than all others: else the last one has to go), -ENOMEM.
 */
int pmo_calendar_add(struct pmo_calendar *calendar, const struct pmo_happening *happening,
                     int64_t now);
/* Puts these in the place of all of a source. Returns 0 or -ENOMEM (then nothing has changed). */
int pmo_calendar_replace(struct pmo_calendar *calendar, uint16_t source,
                         const struct pmo_happening *list, size_t count, int64_t now);
/* Returns whether it was there. */
bool pmo_calendar_remove(struct pmo_calendar *calendar, uint16_t source, const char *id);
/* Drops what is over for long. */
void pmo_calendar_forget(struct pmo_calendar *calendar, int64_t now);

size_t pmo_calendar_count(const struct pmo_calendar *calendar);
const struct pmo_happening *pmo_calendar_at(const struct pmo_calendar *calendar, size_t i);
/* How many there was no room for, so far. */
uint64_t pmo_calendar_dropped(const struct pmo_calendar *calendar);
/* Those that go on at some time in [from, to], by start, up to @room of them; returns how many. */
size_t pmo_calendar_between(const struct pmo_calendar *calendar, int64_t from, int64_t to,
                            const struct pmo_happening **out, size_t room);
