/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/aggregation.h"

#include <math.h>
#include <string.h>
#include "agent/forecast/bounds.h"

#define MEMORY_SECONDS 43200.0F
#define SPREAD         0.0005F /* of the weight, each second */
#define FIRST          0.98F   /* weight of the first expert before anything is known */
#define RATE_MAX       0.5F
#define REGRET_MAX     16.0F /* in scales: one freak does not decide */

#define ALL (PMO_QUANTILES * PMO_EXPERTS)

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

/* The regrets of all experts for all quantiles, in one loop that becomes vectors. */
static void learn_regrets(float *regret, float *square, const float *instantaneous, float *rate,
                          float *exponent)
{
    const float keep = 1 - 1 / MEMORY_SECONDS;

    for (size_t i = 0; i < ALL; i++) {
        float r = pmo_at_most(REGRET_MAX, pmo_at_least(-REGRET_MAX, instantaneous[i]));

        square[i] = keep * square[i] + r * r;
        rate[i] = pmo_at_most(RATE_MAX, sqrtf(logf(PMO_EXPERTS) / pmo_at_least(1e-6F, square[i])));
        regret[i] = keep * regret[i] + r - rate[i] * r * r;
        exponent[i] = rate[i] * regret[i];
    }
}

static void weigh(float weight[PMO_EXPERTS], const float rate[PMO_EXPERTS],
                  const float exponent[PMO_EXPERTS])
{
    float most = -INFINITY, sum = 0;

    for (size_t k = 0; k < PMO_EXPERTS; k++)
        most = pmo_at_least(most, exponent[k]);
    for (size_t k = 0; k < PMO_EXPERTS; k++) {
        weight[k] = prior(k) * rate[k] * (exponent[k] < most ? expf(exponent[k] - most) : 1);
        sum += weight[k];
    }
    for (size_t k = 0; k < PMO_EXPERTS; k++)
        weight[k] = (1 - SPREAD) * weight[k] / sum + SPREAD * prior(k);
}

void pmo_aggregation_learn(struct pmo_aggregation *aggregation,
                           const float expert[PMO_EXPERTS][PMO_QUANTILES],
                           const float value[PMO_QUANTILES], float scale, float y, float weight)
{
    float instantaneous[PMO_QUANTILES][PMO_EXPERTS], rate[PMO_QUANTILES][PMO_EXPERTS];
    float exponent[PMO_QUANTILES][PMO_EXPERTS];

    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        float slope = weight * ((y < value[q] ? 1.0F : 0.0F) - (float)pmo_quantiles[q]) / scale;

        for (size_t k = 0; k < PMO_EXPERTS; k++)
            instantaneous[q][k] = slope * (value[q] - expert[k][q]);
    }
    learn_regrets(aggregation->regret[0], aggregation->square[0], instantaneous[0], rate[0],
                  exponent[0]);
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        weigh(aggregation->weight[q], rate[q], exponent[q]);
}
