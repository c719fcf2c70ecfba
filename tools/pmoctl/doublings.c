/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/doublings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define TIMES    2
#define LEVEL_S  10
#define MINUTE_S 60
#define APART_S  600

#define NEAR_S     15
#define DAY_S      86400
#define DAYS       3 /* before, of which so many had one: */
#define DAYS_WITH  2
#define HOUR_S     3600
#define HOURS      24
#define HOURS_WITH 4

static double mean_between(const struct pmo_trace *trace, size_t from, size_t seconds)
{
    double sum = 0;

    for (size_t t = from; t < from + seconds; t++)
        sum += trace->requests[t];
    return sum / (double)seconds;
}

/* The level that is reached after @t; NAN: no doubling. */
static double doubled(const struct pmo_trace *trace, const bool *scored, size_t t)
{
    size_t around = t + PMO_DOUBLING_AHEAD_S - LEVEL_S / 2, last = around + LEVEL_S - 1;
    double level;

    if (last >= trace->seconds || !scored[t] || !scored[last])
        return NAN;
    level = mean_between(trace, around, LEVEL_S);
    return level > TIMES * mean_between(trace, t + 1 - MINUTE_S, MINUTE_S) ? level : NAN;
}

static bool had_one(const struct pmo_doublings *doublings, size_t around)
{
    for (size_t i = doublings->count; i-- > 0 && doublings->at[i].t + NEAR_S >= around;)
        if (doublings->at[i].t <= around + NEAR_S)
            return true;
    return false;
}

/* In how many of the @most periods before second @t there was one as far into the period. */
static unsigned int periods_with(const struct pmo_doublings *doublings, size_t t, size_t period,
                                 unsigned int most)
{
    unsigned int with = 0;

    for (size_t i = 1; i <= most && i * period <= t; i++)
        with += had_one(doublings, t - i * period);
    return with;
}

int pmo_doublings_find(struct pmo_doublings *doublings, const struct pmo_trace *trace,
                       const bool *scored)
{
    size_t next = MINUTE_S - 1;

    *doublings = (struct pmo_doublings){
        .at = calloc(trace->seconds / APART_S + 1, sizeof(*doublings->at)),
    };
    if (!doublings->at)
        return -ENOMEM;
    for (size_t t = next; t < trace->seconds; t++) {
        double level = t < next ? NAN : doubled(trace, scored, t);
        struct pmo_doubling doubling = {.t = t, .level = level};

        if (isnan(level))
            continue;
        doubling.recurs = periods_with(doublings, t, DAY_S, DAYS) >= DAYS_WITH ||
                          periods_with(doublings, t, HOUR_S, HOURS) >= HOURS_WITH;
        doublings->at[doublings->count++] = doubling;
        next = t + APART_S;
    }
    return 0;
}
