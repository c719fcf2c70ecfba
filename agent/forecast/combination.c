/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/combination.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "agent/forecast/bounds.h"

/* Errors forget with this time constant, longer where horizons make them go together longer. */
#define MEMORY_SECONDS     900
#define MEMORY_PER_HORIZON 5 /* seconds for each second ahead */
#define RIDGE              0.3F /* pull towards even weights, in the best model's mean squared errors */
#define FREAK              8.0F /* in its errors: a mean error of all models that is scaled down to this */

#define MOVES        8     /* of weight between two models, each second */
#define MOVES_ANEW   50    /* the same after a model has changed */
#define SETTLE_EVERY 4     /* seconds; horizons take turns */
#define LEAST_MOVE   1e-4F /* less weight than this is not worth a move */

void pmo_combination_init(struct pmo_combination *combination)
{
    for (size_t i = 0; i < PMO_MODELS; i++)
        combination->weight[i] = 1.0F / PMO_MODELS;
}

float pmo_combination_noise(const struct pmo_combination *combination)
{
    float least = combination->covariance[0][0];

    for (size_t i = 1; i < PMO_MODELS; i++)
        if (combination->covariance[i][i] < least)
            least = combination->covariance[i][i];
    return least > 1 ? least : 1;
}

/*
 * Moves weight between the two models where that helps most, as far as it helps, a few times: the
 * exact minimum along each such pair (as in Platt 1998, "Sequential minimal optimization").
 */
static void settle(struct pmo_combination *combination, int moves)
{
    const float(*c)[PMO_MODELS] = combination->covariance;
    const float ridge = RIDGE * pmo_combination_noise(combination);
    float gradient[PMO_MODELS], *weight = combination->weight, sum = 0;

    for (size_t i = 0; i < PMO_MODELS; i++)
        sum += weight[i];
    for (size_t i = 0; i < PMO_MODELS; i++)
        weight[i] /= sum; /* rounding must not add up over days */
    for (size_t i = 0; i < PMO_MODELS; i++)
        gradient[i] = ridge * weight[i];
    for (size_t j = 0; j < PMO_MODELS; j++)
        for (size_t i = 0; i < PMO_MODELS; i++)
            gradient[i] += c[j][i] * weight[j];
    while (moves-- > 0) {
        size_t to = 0, from = 0;
        float least = INFINITY, most = -INFINITY, gain, curve, moved;

        for (size_t i = 0; i < PMO_MODELS; i++) { /* without branches, which nobody can foresee */
            float takeable = weight[i] > 0 ? gradient[i] : -INFINITY;

            to = gradient[i] < least ? i : to;
            least = pmo_at_most(least, gradient[i]);
            from = takeable > most ? i : from;
            most = pmo_at_least(most, takeable);
        }
        gain = most - least;
        curve = c[to][to] + c[from][from] - 2 * c[to][from] + 2 * ridge;
        moved = gain < curve * weight[from] ? gain / curve : weight[from];
        if (moved < LEAST_MOVE && moved < weight[from])
            return;
        weight[from] -= moved;
        weight[to] += moved;
        for (size_t i = 0; i < PMO_MODELS; i++)
            gradient[i] += moved * (c[to][i] - c[from][i]);
        gradient[to] += moved * ridge;
        gradient[from] -= moved * ridge;
    }
}

/* What an error counts, relative to the noise of counts at this level. */
static float unit_of(float forecast, float y)
{
    return 1 / sqrtf(pmo_at_least(y, forecast) + 1);
}

float pmo_combination_square(float forecast, float y)
{
    float error = (y - forecast) * unit_of(forecast, y);

    return error * error;
}

void pmo_combination_learn(struct pmo_combination *combination, unsigned int horizon,
                           const float forecast[PMO_MODELS], float combined, float y)
{
    float window = MEMORY_SECONDS + MEMORY_PER_HORIZON * (float)horizon;
    float share = pmo_at_least(1 / window, 1 / ((float)combination->scored + 1));
    float unit = unit_of(combined, y), limit = FREAK * sqrtf(pmo_combination_noise(combination));
    float error[PMO_MODELS], typical = 0;

    for (size_t i = 0; i < PMO_MODELS; i++) {
        float e = y - forecast[i];

        combination->absolute_error[i] += share * (fabsf(e) - combination->absolute_error[i]);
        error[i] = e * unit;
        typical += fabsf(error[i]) / PMO_MODELS;
    }
    for (size_t i = 0; typical > limit && i < PMO_MODELS; i++)
        error[i] *= limit / typical;
    for (size_t i = 0; i < PMO_MODELS; i++) {
        float *covariance = combination->covariance[i];

        for (size_t j = 0; j < PMO_MODELS; j++)
            covariance[j] += share * (error[i] * error[j] - covariance[j]);
    }
    combination->scored++;
    if (combination->scored < SETTLE_EVERY * 30 ||
        (int64_t)combination->scored % SETTLE_EVERY == horizon % SETTLE_EVERY)
        settle(combination, MOVES);
}

#define LANES 4U /* horizons at once, one vector */

/* The weighted sum of the models' means, and of their squares, for horizons first + 1 and on, which
 * lie between horizons @g and g + 1 of the grid. */
static void mean_of_lanes(const struct pmo_combination combinations[PMO_GRID], size_t g,
                          const float forecast[PMO_MODELS][PMO_HORIZONS], unsigned int first,
                          float sum[LANES], float squares[LANES])
{
    const float *lower = combinations[g].weight, *upper = combinations[g + 1].weight;
    float share[LANES], s[LANES] = {0}, sq[LANES] = {0};

    for (size_t k = 0; k < LANES; k++) {
        unsigned int h = first + 1 + (unsigned int)k;

        h = h < pmo_grid[g + 1] ? h : pmo_grid[g + 1];
        share[k] = (float)((int)h - (int)pmo_grid[g]) / (float)(pmo_grid[g + 1] - pmo_grid[g]);
    }
    for (size_t i = 0; i < PMO_MODELS; i++) {
        const float *f = &forecast[i][first], from = lower[i], more = upper[i] - lower[i];

        for (size_t k = 0; k < LANES; k++) {
            float weight = from + share[k] * more;

            s[k] += weight * f[k];
            sq[k] += weight * f[k] * f[k];
        }
    }
    memcpy(sum, s, sizeof(s));
    memcpy(squares, sq, sizeof(sq));
}

void pmo_combination_mean(const struct pmo_combination combinations[PMO_GRID],
                          const float forecast[PMO_MODELS][PMO_HORIZONS], float mean[PMO_HORIZONS],
                          float scale[PMO_HORIZONS])
{
    const float noise = pmo_combination_noise(&combinations[0]);
    float sum[PMO_HORIZONS], squares[PMO_HORIZONS];

    for (size_t g = 0; g + 1 < PMO_GRID; g++) {
        unsigned int end = g + 2 < PMO_GRID ? pmo_grid[g + 1] - 1 : PMO_HORIZONS;

        /* what goes beyond the end is written over by what comes next */
        for (unsigned int h = pmo_grid[g] - 1; h < end; h += LANES) {
            unsigned int first = h < PMO_HORIZONS - LANES ? h : PMO_HORIZONS - LANES;

            mean_of_lanes(combinations, g, forecast, first, &sum[first], &squares[first]);
        }
    }
    for (unsigned int h = 0; h < PMO_HORIZONS; h++) {
        mean[h] = pmo_at_least(0, sum[h]);
        scale[h] = sqrtf(noise * (mean[h] + 1) + pmo_at_least(0, squares[h] - sum[h] * sum[h]));
    }
}

bool pmo_combination_judge_anew(struct pmo_combination *combination, size_t model,
                                double squared_error)
{
    float own = (float)squared_error, before = combination->weight[model];
    float(*covariance)[PMO_MODELS] = combination->covariance;

    if (own >= covariance[model][model])
        return false;
    for (size_t i = 0; i < PMO_MODELS; i++)
        covariance[i][model] = covariance[model][i] = fminf(own, covariance[i][i]);
    covariance[model][model] = own;
    settle(combination, MOVES_ANEW);
    return before < 0.5F && combination->weight[model] >= 0.5F;
}
