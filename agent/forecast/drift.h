/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drift: what comes is no longer what forecasts say, steadily in one way. Named are four: the level
 * is forecast too low or too high, and the quantiles are too narrow or too wide.
 *
 * A truth, a count, is seen as where it fell in its forecast, 0..1 (the probability integral
 * transform; where several quantiles are one count, all that it spans: Czado, Gneiting and Held
 * 2009, "Predictive model assessment for count data"). If forecasts are right it is uniform,
 * whatever the series and its scale: its distance from the middle tells of the level, how far off
 * it is to either side of the noise, both here with mean 0 and deviation 1. Four cumulative sums
 * (Page 1954, "Continuous inspection schemes") add up each one and its opposite, less
 * PMO_DRIFT_SLACK, never below 0.
 *
 * Right forecasts so many seconds ahead have errors that go together over as many seconds, so a
 * sum can have up to PMO_DRIFT_HORIZON times the variance that it had if they did not. The limit is
 * for that case (a sum gets over it once in some exp(2 * slack * limit / horizon) times
 * horizon / (2 * slack^2) seconds, Siegmund 1985, "Sequential analysis"): a random walk that is
 * forecast as well as can be is called drift once in about three days, less than half a minute in a
 * day; a series of independent counts never is. The price is that drift is named after 66 seconds
 * at the earliest. A jump that models follow within seconds is none.
 */
#pragma once

#include <stdint.h>
#include "agent/forecast/forecast.h"

#define PMO_DRIFT_HORIZON 11 /* seconds ahead: of the forecasts that are looked at */
#define PMO_DRIFT_SLACK   0.5F
#define PMO_DRIFT_LIMIT   80.0F

struct pmo_drifting {
    float sum[PMO_DRIFTS - 1]; /* of each kind but steady */
    uint16_t named;            /* kinds, as bits by enum pmo_drift */
    uint16_t unsettled;        /* truths that are left out yet */
};

void pmo_drift_init(struct pmo_drifting *drifting);

/* Forecast @value, PMO_DRIFT_HORIZON seconds ahead, turned out to be @y. */
void pmo_drift_learn(struct pmo_drifting *drifting, const float value[PMO_QUANTILES], float y);

/* A kind is named from when its sum is over the limit until it is back at half of that. A wrong
 * level looks like noise, too: it goes first. */
enum pmo_drift pmo_drift_now(const struct pmo_drifting *drifting);
