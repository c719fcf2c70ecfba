/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last hour of a series, second by second: kept once, read by all of its models. */
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define PMO_RECENT_SECONDS 4096 /* an hour, and some to compare it with; a power of two */

struct pmo_recent {
    int64_t first;                   /* oldest second that was ever observed */
    int64_t last;                    /* newest one; its value is never NAN */
    uint64_t observed;               /* seconds that had a value, ever; 0: nothing here is valid */
    float value[PMO_RECENT_SECONDS]; /* second t in slot t mod size; NAN: missing; unset: before
                                        `first` */
};

static inline size_t pmo_recent_slot(int64_t t)
{
    return (uint64_t)t % PMO_RECENT_SECONDS;
}

/* Value of second @t, NAN where it is missing, too old or not yet known. */
static inline float pmo_recent_at(const struct pmo_recent *recent, int64_t t)
{
    if (t > recent->last || t <= recent->last - PMO_RECENT_SECONDS || t < recent->first)
        return NAN;
    return recent->value[pmo_recent_slot(t)];
}

/* Appends second @t, later than `last`; what lies between is missing. */
void pmo_recent_append(struct pmo_recent *recent, int64_t t, float y);

/* Values of the @seconds seconds from @from on, as above, next to each other. */
void pmo_recent_copy(const struct pmo_recent *recent, int64_t from, unsigned int seconds,
                     float *value);

/* Mean of what is known in (last-seconds, last]; the last value is always among it. */
float pmo_recent_mean(const struct pmo_recent *recent, unsigned int seconds);
/* The greatest such value. */
float pmo_recent_max(const struct pmo_recent *recent, unsigned int seconds);
