/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which distribution to believe, for each horizon and each quantile: an online aggregation of
 * experts by the Bernstein online aggregation of Wintenberger (2017, "Optimal learning with
 * Bernstein online aggregation"), on the gradient of the quantile's loss, so that the aggregate
 * follows the best fixed mixture of the experts, with a regret of the order of sqrt(log log n / n).
 * A small share of the weight always stays with each, and regrets are forgotten within half a day,
 * so that it follows the best of late; rare seconds decide much, so it takes hours to change.
 *
 * An expert's instantaneous regret is (indicator(y < aggregate) - q) * (aggregate - expert), in
 * units of the scale that is expected of the error; its weight is
 * rate * exp(rate * (regrets - rate * squares)), each expert with a learning rate of its own.
 */
#pragma once

#include "agent/forecast/forecast.h"

#define PMO_EXPERTS 2 /* the first one is believed more until the others have shown better */

struct pmo_aggregation { /* for one horizon of the grid */
    float regret[PMO_QUANTILES][PMO_EXPERTS], square[PMO_QUANTILES][PMO_EXPERTS];
    float weight[PMO_QUANTILES][PMO_EXPERTS];
};

void pmo_aggregation_init(struct pmo_aggregation *aggregation);

/* The experts' quantiles @expert, which were taken together as @value, turned out to be @y; @scale:
 * an error that was to be expected, more than 0. */
void pmo_aggregation_learn(struct pmo_aggregation *aggregation,
                           const float expert[PMO_EXPERTS][PMO_QUANTILES],
                           const float value[PMO_QUANTILES], float scale, float y, float weight);
