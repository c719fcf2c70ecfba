/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/drift.h"

#include <math.h>
#include <stddef.h>
#include "agent/forecast/bounds.h"

#define SETTLED   120   /* seconds: a cold start is wide on purpose */
#define DEVIATION 3.46F /* 1 over that of a uniform number in 0..1: sqrt(12) */

/* What part of the forecast the truth stands for: @lower..@upper, the same where it is one point.
 */
static void place(const float value[PMO_QUANTILES], float y, float *lower, float *upper)
{
    size_t first = 0, after;
    double before, behind;

    while (first < PMO_QUANTILES && value[first] < y)
        first++;
    after = first;
    while (after < PMO_QUANTILES && value[after] <= y)
        after++;
    before = first > 0 ? pmo_quantiles[first - 1] : 0;
    behind = after < PMO_QUANTILES ? pmo_quantiles[after] : 1;
    if (first < after) { /* its own probability begins and ends between quantiles */
        *lower = (float)(before + pmo_quantiles[first]) / 2;
        *upper = (float)(behind + pmo_quantiles[after - 1]) / 2;
        return;
    }
    *lower = (float)before;
    *upper = (float)behind;
    if (first > 0 && after < PMO_QUANTILES)
        *lower = *upper =
            *lower + (*upper - *lower) * (y - value[first - 1]) / (value[first] - value[first - 1]);
}

/* Mean distance from the middle of what lies between @lower and @upper. */
static float distance(float lower, float upper)
{
    float below = 0.5F - lower, above = upper - 0.5F;

    if (below <= 0 || above <= 0)
        return fabsf(lower + upper - 1) / 2;
    return (below * below + above * above) / (2 * (below + above));
}

static void add(struct pmo_drifting *drifting, enum pmo_drift kind, float towards)
{
    float *sum = &drifting->sum[kind - 1];

    *sum = pmo_at_most(PMO_DRIFT_LIMIT, pmo_at_least(0, *sum + towards - PMO_DRIFT_SLACK));
    if (*sum >= PMO_DRIFT_LIMIT)
        drifting->named |= 1U << kind;
    else if (*sum <= PMO_DRIFT_LIMIT / 2)
        drifting->named &= ~(1U << kind);
}

void pmo_drift_init(struct pmo_drifting *drifting)
{
    *drifting = (struct pmo_drifting){.unsettled = SETTLED};
}

void pmo_drift_learn(struct pmo_drifting *drifting, const float value[PMO_QUANTILES], float y)
{
    float lower, upper, level, noise, count[PMO_QUANTILES];

    if (drifting->unsettled) {
        drifting->unsettled--;
        return;
    }
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        count[q] = roundf(value[q]); /* 0.2 requests are none */
    place(count, roundf(y), &lower, &upper);
    level = DEVIATION * ((lower + upper) / 2 - 0.5F);
    noise = DEVIATION * (2 * distance(lower, upper) - 0.5F);
    add(drifting, PMO_DRIFT_TOO_LOW, level);
    add(drifting, PMO_DRIFT_TOO_HIGH, -level);
    add(drifting, PMO_DRIFT_TOO_NARROW, noise);
    add(drifting, PMO_DRIFT_TOO_WIDE, -noise);
}

enum pmo_drift pmo_drift_now(const struct pmo_drifting *drifting)
{
    for (int kind = PMO_DRIFT_TOO_LOW; kind < PMO_DRIFTS; kind++)
        if (drifting->named & 1U << kind)
            return (enum pmo_drift)kind;
    return PMO_DRIFT_STEADY;
}

const char *pmo_drift_name(enum pmo_drift drift)
{
    static const char *const names[PMO_DRIFTS] = {"steady", "too_low", "too_high", "too_narrow",
                                                  "too_wide"};

    return names[drift];
}

const char *pmo_drift_text(enum pmo_drift drift)
{
    static const char *const texts[PMO_DRIFTS] = {
        "steady", "level: forecasts too low", "level: forecasts too high",
        "noise: quantiles too narrow", "noise: quantiles too wide"};

    return texts[drift];
}
