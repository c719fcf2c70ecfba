/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Upper quantiles that hold in the long run, whatever comes: how far beyond the median a second
 * was, in distances of the forecast's own quantile, has a quantile itself, which is tracked online
 * (Gibbs, Candès 2021; the proportional part of Angelopoulos, Candès, Tibshirani 2023, "Conformal
 * PID control for time series prediction"): a step up for each miss, small steps down otherwise, so
 * that misses are as frequent as they should be. It only ever makes a forecast wider than the
 * models have it: where these are wide enough, it does nothing.
 */
#pragma once

#include "agent/forecast/forecast.h"
#include "agent/forecast/grid.h"

/* How much wider the 0.99 quantile is than the models have it, 1 or more: the only one that misses
 * jumps more often than it should. */
typedef float pmo_tracker;
#define PMO_TRACKED (PMO_QUANTILES - 1)

/* Learns from a forecast, as the models had it, of what came, @y. */
void pmo_tracker_learn(pmo_tracker *tracker, const float value[PMO_QUANTILES], float y);
/* Widens a forecast by the trackers between which its horizon lies. */
void pmo_tracker_widen(const pmo_tracker trackers[2], struct pmo_grid_point at,
                       float value[PMO_QUANTILES]);
