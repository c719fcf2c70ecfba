/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/tracker.h"

#define MEDIAN     3
#define STEP       0.02F
#define FACTOR_MAX 3.0F

void pmo_tracker_learn(pmo_tracker *tracker, const float value[PMO_QUANTILES], float y)
{
    float reach = value[MEDIAN] + *tracker * (value[PMO_TRACKED] - value[MEDIAN]);
    float missed = y > reach ? 1 : 0, wanted = 1 - (float)pmo_quantiles[PMO_TRACKED];
    float factor = *tracker * (1 + STEP * (missed - wanted));

    *tracker = factor < 1 ? 1 : factor > FACTOR_MAX ? FACTOR_MAX : factor;
}

void pmo_tracker_widen(const pmo_tracker trackers[2], struct pmo_grid_point at,
                       float value[PMO_QUANTILES])
{
    float factor = pmo_grid_between(at, trackers[0], trackers[1]);

    value[PMO_TRACKED] = value[MEDIAN] + factor * (value[PMO_TRACKED] - value[MEDIAN]);
}
