/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a policy says about times: schedules, in which other bounds hold, and freezes, in which
 * nothing is done. Both come again as cron has them (agent/events/cron.h), by the clock of a time
 * zone, for some time each.
 *
 * Pure; the occurrence that was looked up last is the caller's to keep.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/events/cron.h"

#define PMO_SCHEDULES_MAX    8
#define PMO_FREEZES_MAX      8
#define PMO_RECURS_FOR_MAX_S (7 * 86400)

struct pmo_recurrence {
    struct pmo_cron cron; /* when it begins */
    icaltimezone *zone;
    uint32_t for_s; /* how long it lasts, 60 to PMO_RECURS_FOR_MAX_S */
};

struct pmo_schedule {
    char name[64];
    struct pmo_recurrence when;
    uint32_t min, max; /* instances; 0: as the policy has it */
    size_t line;       /* where it stands in the file */
};

struct pmo_freeze {
    struct pmo_recurrence when;
    bool up; /* more instances are allowed, only fewer are not */
    size_t line;
};

/* One time that a recurrence goes on, [start, end); INT64_MAX: none soon. All 0: not looked up. */
struct pmo_occurrence {
    int64_t start, end;
    int64_t known_until; /* second from which on it has to be looked up anew */
};

/* Makes *occurrence the first one that ends after second @t. Cheap where it is already. */
void pmo_recurrence_follow(const struct pmo_recurrence *recurrence, int64_t t,
                           struct pmo_occurrence *occurrence);

struct pmo_bounds {
    uint32_t min, max;
    const char *min_by, *max_by; /* the schedule that says so; NULL: the policy itself */
};

/**
 * pmo_schedules_bound - the bounds at second @t
 * @bounds:      the policy's own; takes what schedules say. Where several go on, the highest counts
 * @occurrences: one for each schedule, kept from call to call
 * @lead_s:      bounds that are raised are so by this much earlier, that instances are ready in
 * time
 */
void pmo_schedules_bound(struct pmo_bounds *bounds, const struct pmo_schedule *schedules,
                         size_t count, struct pmo_occurrence *occurrences, int64_t t,
                         double lead_s);

/* The strictest freeze that goes on at second @t, its occurrence in *since; NULL: none does. */
const struct pmo_freeze *pmo_freezes_at(const struct pmo_freeze *freezes, size_t count,
                                        struct pmo_occurrence *occurrences, int64_t t,
                                        struct pmo_occurrence *since);
