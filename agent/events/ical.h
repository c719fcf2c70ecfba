/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iCalendar (RFC 5545) through libical: each VEVENT's times in a window, recurring ones worked out
 * (RRULE, RDATE, EXDATE, and instances that were moved or cancelled: RECURRENCE-ID), in time zones
 * that the calendar brings along or that the system knows. Whole days begin at midnight of
 * the zone that is given.
 *
 * Pure; may run in any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "agent/events/instant.h"

struct pmo_ical_event {
    int64_t start;
    uint32_t duration_s;
    const char *uid;        /* "" where there is none */
    int64_t recurrence;     /* start by the rule: with the UID, what identifies it */
    const char *summary;    /* "" likewise */
    const char *categories; /* the first CATEGORIES, likewise */
};

/* Texts are gone when it returns. Returns 0, or anything else to end it. */
typedef int (*pmo_ical_fn)(void *context, const struct pmo_ical_event *event);

/**
 * pmo_ical_read - all events that begin in [from, to), of one VEVENT after the other
 * @text: ended by a NUL
 * @zone: of whole days, and of times without one
 * @error: "", or in one line what is wrong: with a failure, and where an event was left out
 * Returns 0, what @each ended it with, or -EINVAL for what is no calendar or has rules that take
 * too long to work out.
 */
int pmo_ical_read(const char *text, icaltimezone *zone, int64_t from, int64_t to, pmo_ical_fn each,
                  void *context, char *error, size_t error_size);
