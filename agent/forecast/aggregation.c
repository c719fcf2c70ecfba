/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/aggregation.h"

#include <math.h>
#include <string.h>

#define MEMORY_SECONDS 43200.0F
#define SPREAD         0.0005F /* of the weight, each second */
#define FIRST          0.98F   /* weight of the first expert before anything is known */
#define RATE_MAX       0.5F
#define REGRET_MAX     16.0F /* in scales: one freak does not decide */

static float prior(size_t k)
{
    return k ? (1 - FIRST) / (PMO_EXPERTS - 1) : FIRST;
}

void pmo_aggregation_init(struct pmo_aggregation *aggregation)
{
    memset(aggregation, 0, sizeof(*aggregation));
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        for (size_t k = 0; k < PMO_EXPERTS; k++)
            aggregation->weight[q][k] = prior(k);
}

static void learn_quantile(float regret[PMO_EXPERTS], float square[PMO_EXPERTS],
                           float weight[PMO_EXPERTS], const float instantaneous[PMO_EXPERTS])
{
    const float keep = 1 - 1 / MEMORY_SECONDS;
    float exponent[PMO_EXPERTS], rate[PMO_EXPERTS], most = -INFINITY, sum = 0;

    for (size_t k = 0; k < PMO_EXPERTS; k++) {
        float r = fminf(fmaxf(instantaneous[k], -REGRET_MAX), REGRET_MAX);

        square[k] = keep * square[k] + r * r;
        rate[k] = fminf(RATE_MAX, sqrtf(logf(PMO_EXPERTS) / fmaxf(square[k], 1e-6F)));
        regret[k] = keep * regret[k] + r - rate[k] * r * r;
        exponent[k] = rate[k] * regret[k];
        most = fmaxf(most, exponent[k]);
    }
    for (size_t k = 0; k < PMO_EXPERTS; k++) {
        weight[k] = prior(k) * rate[k] * expf(exponent[k] - most);
        sum += weight[k];
    }
    for (size_t k = 0; k < PMO_EXPERTS; k++)
        weight[k] = (1 - SPREAD) * weight[k] / sum + SPREAD * prior(k);
}

void pmo_aggregation_learn(struct pmo_aggregation *aggregation,
                           const float expert[PMO_EXPERTS][PMO_QUANTILES],
                           const float value[PMO_QUANTILES], float scale, float y, float weight)
{
    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        float slope = weight * ((y < value[q] ? 1.0F : 0.0F) - (float)pmo_quantiles[q]) / scale;
        float instantaneous[PMO_EXPERTS];

        for (size_t k = 0; k < PMO_EXPERTS; k++)
            instantaneous[k] = slope * (value[q] - expert[k][q]);
        learn_quantile(aggregation->regret[q], aggregation->square[q], aggregation->weight[q],
                       instantaneous);
    }
}
