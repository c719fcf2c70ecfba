/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/schedule.h"

#include <math.h>

#define LOOK_S  (2 * 86400) /* ahead */
#define RETRY_S 86400       /* where there was none: less than LOOK_S by more than a lead time */
#define DECIDE_S                                                                                   \
    2 /* an order of second t is given in the next, and the next chance                            \
         is a second later */

void pmo_recurrence_follow(const struct pmo_recurrence *recurrence, int64_t t,
                           struct pmo_occurrence *occurrence)
{
    int64_t start;

    if (t < occurrence->known_until)
        return;
    if (pmo_cron_between(&recurrence->cron, recurrence->zone, t - recurrence->for_s + 1, t + LOOK_S,
                         &start, 1))
        *occurrence =
            (struct pmo_occurrence){start, start + recurrence->for_s, start + recurrence->for_s};
    else
        *occurrence = (struct pmo_occurrence){INT64_MAX, INT64_MAX, t + RETRY_S};
}

/* Takes a schedule's bound in the place of the policy's, or of a lower one of another schedule. */
static void take(uint32_t bound, uint32_t own, const struct pmo_occurrence *occurrence, int64_t t,
                 int64_t soon, const char *name, uint32_t *out, const char **by)
{
    if (!bound || occurrence->start > (bound > own ? soon : t) || (*by && bound <= *out))
        return;
    *out = bound;
    *by = name;
}

void pmo_schedules_bound(struct pmo_bounds *bounds, const struct pmo_schedule *schedules,
                         size_t count, struct pmo_occurrence *occurrences, int64_t t, double lead_s)
{
    int64_t soon = t + (int64_t)ceil(lead_s) + DECIDE_S;
    const struct pmo_bounds own = *bounds;

    for (size_t i = 0; i < count; i++) {
        const struct pmo_schedule *s = &schedules[i];

        pmo_recurrence_follow(&s->when, t, &occurrences[i]);
        take(s->min, own.min, &occurrences[i], t, soon, s->name, &bounds->min, &bounds->min_by);
        take(s->max, own.max, &occurrences[i], t, soon, s->name, &bounds->max, &bounds->max_by);
    }
    if (bounds->max < bounds->min) /* another schedule's */
        bounds->max = bounds->min;
}

const struct pmo_freeze *pmo_freezes_at(const struct pmo_freeze *freezes, size_t count,
                                        struct pmo_occurrence *occurrences, int64_t t,
                                        struct pmo_occurrence *since)
{
    const struct pmo_freeze *strictest = NULL;

    for (size_t i = 0; i < count; i++) {
        pmo_recurrence_follow(&freezes[i].when, t, &occurrences[i]);
        if (occurrences[i].start > t || (strictest && (freezes[i].up || !strictest->up)))
            continue;
        strictest = &freezes[i];
        *since = occurrences[i];
    }
    return strictest;
}
