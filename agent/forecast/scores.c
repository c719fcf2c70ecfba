/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/scores.h"

#include <math.h>
#include <stddef.h>
#include "agent/forecast/bounds.h"

#define MEMORY_SECONDS 900

const size_t pmo_held[PMO_HELD] = {5, 6};

static void approach(float *mean, float share, float value)
{
    *mean += share * (value - *mean);
}

void pmo_scores_learn(struct pmo_scores *scores, double scored, const float value[PMO_QUANTILES],
                      float y)
{
    float share = pmo_at_least(1.0F / MEMORY_SECONDS, 1 / ((float)scored + 1)), pinball = 0;

    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        float off = y - value[q];

        pinball += off * ((float)pmo_quantiles[q] - (off < 0 ? 1.0F : 0.0F)) / PMO_QUANTILES;
    }
    approach(&scores->pinball, share, pinball);
    approach(&scores->error, share, fabsf(y - value[PMO_MEDIAN]));
    for (size_t i = 0; i < PMO_HELD; i++)
        approach(&scores->held[i], share, y <= value[pmo_held[i]] ? 1 : 0);
}
