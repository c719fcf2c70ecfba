/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/combination.h"

#include <math.h>
#include <stdbool.h>

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
    for (size_t i = 0; i < PMO_MODELS; i++) {
        gradient[i] = ridge * weight[i];
        for (size_t j = 0; j < PMO_MODELS; j++)
            gradient[i] += c[i][j] * weight[j];
    }
    while (moves-- > 0) {
        size_t to = 0, from = PMO_MODELS;
        float gain, curve, moved;

        for (size_t i = 0; i < PMO_MODELS; i++) {
            if (gradient[i] < gradient[to])
                to = i;
            if (weight[i] > 0 && (from == PMO_MODELS || gradient[i] > gradient[from]))
                from = i;
        }
        gain = gradient[from] - gradient[to];
        curve = c[to][to] + c[from][from] - 2 * c[to][from] + 2 * ridge;
        moved = gain < curve * weight[from] ? gain / curve : weight[from];
        if (moved < LEAST_MOVE && moved < weight[from])
            return;
        weight[from] -= moved;
        weight[to] += moved;
        for (size_t i = 0; i < PMO_MODELS; i++)
            gradient[i] += moved * (c[i][to] - c[i][from]);
        gradient[to] += moved * ridge;
        gradient[from] -= moved * ridge;
    }
}

/* What an error counts, relative to the noise of counts at this level. */
static float unit_of(float forecast, float y)
{
    return 1 / sqrtf(fmaxf(forecast, y) + 1);
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
    float share = fmaxf(1 / window, 1 / ((float)combination->scored + 1));
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
    for (size_t i = 0; i < PMO_MODELS; i++)
        for (size_t j = 0; j < PMO_MODELS; j++)
            combination->covariance[i][j] +=
                share * (error[i] * error[j] - combination->covariance[i][j]);
    combination->scored++;
    if (combination->scored < SETTLE_EVERY * 30 ||
        (int64_t)combination->scored % SETTLE_EVERY == horizon % SETTLE_EVERY)
        settle(combination, MOVES);
}

void pmo_combination_mean(const struct pmo_combination combinations[PMO_GRID],
                          const float forecast[PMO_MODELS][PMO_HORIZONS], float mean[PMO_HORIZONS],
                          float scale[PMO_HORIZONS])
{
    const float noise = pmo_combination_noise(&combinations[0]);

    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        struct pmo_grid_point at = pmo_grid_at(h);
        const float *lower = combinations[at.i].weight, *upper = combinations[at.i + 1].weight;
        float sum = 0, squares = 0;

        for (size_t i = 0; i < PMO_MODELS; i++) {
            float weight = pmo_grid_between(at, lower[i], upper[i]), f = forecast[i][h - 1];

            sum += weight * f;
            squares += weight * f * f;
        }
        mean[h - 1] = fmaxf(sum, 0);
        scale[h - 1] = sqrtf(noise * (mean[h - 1] + 1) + fmaxf(squares - sum * sum, 0));
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
