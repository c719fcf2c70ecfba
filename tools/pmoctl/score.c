/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/score.h"

#include <math.h>
#include <stdlib.h>

#define SETTLE_S 60 /* from a second that was not recorded on */

/* By halving: the distribution function is in libm (erfc), its inverse is not. */
static double normal_quantile(double q)
{
    double low = -40, high = 40;

    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;

        if (erfc(-middle / M_SQRT2) / 2 < q)
            low = middle;
        else
            high = middle;
    }
    return high;
}

void pmo_score_quantiles_init(struct pmo_score_quantiles *quantiles)
{
    for (size_t i = 0; i < quantiles->count; i++)
        quantiles->z[i] = normal_quantile(quantiles->q[i]);
}

void pmo_score_add(struct pmo_score *score, const struct pmo_score_quantiles *quantiles,
                   const double value[], double y)
{
    for (size_t i = 0; i < quantiles->count; i++) {
        double q = quantiles->q[i], off = y - value[i];

        score->loss += off >= 0 ? q * off : (q - 1) * off;
        score->below[i] += off <= 0;
        if (q == 0.5)
            score->error += fabs(off);
    }
    score->requests += y;
    score->count++;
}

double pmo_score_pinball(const struct pmo_score *score, const struct pmo_score_quantiles *quantiles)
{
    return score->loss / (double)(score->count * quantiles->count);
}

double pmo_score_wape(const struct pmo_score *score, const struct pmo_score_quantiles *quantiles)
{
    for (size_t i = 0; i < quantiles->count; i++)
        if (quantiles->q[i] == 0.5)
            return score->requests > 0 ? score->error / score->requests : NAN;
    return NAN;
}

double pmo_score_below(const struct pmo_score *score, size_t quantile)
{
    return score->below[quantile] / (double)score->count;
}

bool *pmo_score_seconds(const struct pmo_trace *trace)
{
    bool *scored = calloc(trace->seconds, sizeof(*scored));
    size_t recorded = SETTLE_S; /* seconds in a row; before the trace there is no gap */

    for (size_t t = 0; scored && t < trace->seconds; t++) {
        recorded = isnan(trace->requests[t]) ? 0 : recorded + 1;
        scored[t] = recorded >= SETTLE_S;
    }
    return scored;
}
