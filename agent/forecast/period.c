/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/period.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "agent/forecast/bounds.h"

#define MEMORY_SECONDS 600
#define KEEP           (1.0F - 1.0F / MEMORY_SECONDS)
#define FAST           0.5F        /* share of the newest value */
#define SLOW           (1.0F / 90) /* the same */
#define DEEP           0.45F       /* a dip below this share of shorter lags' mean is a period */
#define SETTLED        0.1F        /* and the first one not this much shallower than the deepest */
#define KEPT           0.25F       /* a period in use stays unless this much shallower */
#define AROUND         3           /* lags to each side that are the same dip */
#define SEARCH_EVERY   5           /* seconds */
#define PAIRS_MIN      30          /* compared seconds before a lag is believed */
#define ALL_PAIRS      (20 * MEMORY_SECONDS) /* what is forgotten of more is beyond a float */

/* Appends x and compares it with what lies 1..600 seconds back. */
static void append(struct pmo_period *period, float x)
{
    size_t slot = PMO_PERIOD_RING - 1 - period->seconds % PMO_PERIOD_RING;
    const float *newest = &period->x[slot];
    size_t lags = period->seconds < PMO_PERIOD_MAX ? period->seconds : PMO_PERIOD_MAX;

    period->x[slot] = period->x[slot + PMO_PERIOD_RING] = x;
    for (size_t lag = 1; lag <= lags; lag++) {
        float d = x - newest[lag];

        period->difference[lag] = KEEP * period->difference[lag] + d * d;
    }
    period->seconds++;
}

/* YIN's normalised difference of each lag that has been compared over a whole period; returns the
 * longest such lag. */
static size_t normalise(const struct pmo_period *period, float normalised[PMO_PERIOD_MAX + 1])
{
    float sum = 0;
    size_t longest = period->seconds / 2;
    /* of the first second's weight, what is left at lag 0; a little more at each one more */
    double kept = period->seconds < ALL_PAIRS ? pow(KEEP, period->seconds) : 0;

    if (longest > PMO_PERIOD_MAX)
        longest = PMO_PERIOD_MAX;
    for (size_t lag = 1; lag <= longest; lag++) {
        float pairs = (float)(period->seconds - lag);
        float mean;

        kept *= 1 / (double)KEEP;
        mean = period->difference[lag] / ((1 - (float)kept) / (1 - KEEP));
        sum += mean;
        normalised[lag] = sum > 0 && pairs >= PAIRS_MIN ? mean * (float)lag / sum : 1;
    }
    return longest;
}

/* The deepest of the lags around this one: noise makes more than one dip of a period. */
static uint32_t bottom(const float d[PMO_PERIOD_MAX + 1], size_t lag, size_t longest)
{
    size_t best = lag, last = lag + AROUND < longest ? lag + AROUND : longest;

    for (size_t i = lag - AROUND; i <= last; i++)
        if (d[i] < d[best])
            best = i;
    return (uint32_t)best;
}

static uint32_t search(const struct pmo_period *period)
{
    float d[PMO_PERIOD_MAX + 1] = {0}, deepest = DEEP;
    size_t longest = normalise(period, d);

    for (size_t lag = PMO_PERIOD_MIN; lag <= longest; lag++)
        deepest = pmo_at_most(deepest, d[lag]);
    if (deepest >= DEEP)
        return 0;
    if (period->period && d[period->period] <= fminf(DEEP, deepest + KEPT))
        return bottom(d, period->period, longest);
    for (size_t lag = PMO_PERIOD_MIN; lag < longest; lag++) {
        bool dip = d[lag] <= d[lag - 1] && d[lag] < d[lag + 1];

        if (dip && d[lag] <= fminf(DEEP, deepest + SETTLED))
            return bottom(d, lag, longest);
    }
    return 0;
}

void pmo_period_observe(struct pmo_period *period, int64_t t, float y)
{
    float x = 2 * sqrtf(y);
    bool first = period->seconds == 0;
    int64_t missing = first ? 0 : t - period->last - 1;

    period->last = t;
    if (missing > PMO_PERIOD_MAX) {
        memset(period, 0, sizeof(*period));
        period->last = t;
        first = true;
        missing = 0;
    }
    for (; missing > 0; missing--)
        append(period, 0);
    if (first)
        period->fast = period->slow = x;
    period->fast += FAST * (x - period->fast);
    period->slow += fmaxf(SLOW, 1.0F / (float)(period->seconds + 1)) * (x - period->slow);
    append(period, period->fast - period->slow);
    if (period->seconds % SEARCH_EVERY == 0)
        period->period = search(period);
}
