/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How forecasts did, all models, calibration and jumps together: what was said in the end against
 * what came. */
#pragma once

#include "agent/forecast/forecast.h"

struct pmo_scores { /* for one horizon of the grid: forgetting means */
    float pinball;
    float error;
    float held[PMO_HELD];
};

/* Forecast @value turned out to be @y; @scored were before. */
void pmo_scores_learn(struct pmo_scores *scores, double scored, const float value[PMO_QUANTILES],
                      float y);
