/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/combination.h"

#include <math.h>
#include <stdbool.h>

#ifndef MEM0
#define MEM0 1200
#define MEM1 2
#define STEPS 8
#define RATE 1.0F
#define SPREAD 0.01F
#define RIDGE 0.02F
#define CUT 3.0F
#endif

void pmo_combination_init(struct pmo_combination *combination)
{
    for (size_t i = 0; i < PMO_MODELS; i++)
        combination->weight[i] = 1.0F / PMO_MODELS;
}

/*
 * Moves weight between the two models where that helps most, as far as it helps, a few times: the
 * exact minimum along each such pair (as in Platt 1998, "Sequential minimal optimization").
 */
static void settle(struct pmo_combination *combination, int moves)
{
    const float(*c)[PMO_MODELS] = combination->covariance;
    float gradient[PMO_MODELS], *weight = combination->weight;

    for (size_t i = 0; i < PMO_MODELS; i++) {
        gradient[i] = RIDGE * weight[i];
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
        curve = c[to][to] + c[from][from] - 2 * c[to][from] + 2 * RIDGE;
        moved = fminf(gain / curve, weight[from]);
        if (!(moved > 0))
            return;
        weight[from] = weight[from] > moved ? weight[from] - moved : 0;
        weight[to] += moved;
        for (size_t i = 0; i < PMO_MODELS; i++)
            gradient[i] += moved * (c[i][to] - c[i][from]);
        gradient[to] += moved * RIDGE;
        gradient[from] -= moved * RIDGE;
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
    float window = MEM0 + MEM1 * (float)horizon;
    float share = fmaxf(1 / window, 1 / ((float)combination->scored + 1));
    float unit = unit_of(combined, y);
    float error[PMO_MODELS], smallest = INFINITY;

    for (size_t i = 0; i < PMO_MODELS; i++) {
        float e = y - forecast[i];

        combination->absolute_error[i] += share * (fabsf(e) - combination->absolute_error[i]);
        error[i] = e * unit;
        smallest = fminf(smallest, fabsf(error[i]));
    }
    for (size_t i = 0; smallest > CUT && i < PMO_MODELS; i++)
        error[i] *= CUT / smallest;
    for (size_t i = 0; i < PMO_MODELS; i++)
        for (size_t j = 0; j < PMO_MODELS; j++)
            combination->covariance[i][j] +=
                share * (error[i] * error[j] - combination->covariance[i][j]);
    combination->scored++;
    settle(combination, STEPS);
}

void pmo_combination_mean(const struct pmo_combination combinations[PMO_GRID],
                          const float forecast[PMO_MODELS][PMO_HORIZONS],
                          float mean[PMO_HORIZONS], float spread[PMO_HORIZONS])
{
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        struct pmo_grid_point at = pmo_grid_at(h);
        const float *lower = combinations[at.i].weight, *upper = combinations[at.i + 1].weight;
        float sum = 0, squares = 0;

        for (size_t i = 0; i < PMO_MODELS; i++) {
            float weight = pmo_grid_between(at, lower[i], upper[i]), f = forecast[i][h - 1];

            sum += weight * f;
            squares += weight * f * f;
        }
        spread[h - 1] = fmaxf(squares - sum * sum, 0);
        mean[h - 1] = fmaxf(sum, 0);
    }
}

bool pmo_combination_judge_anew(struct pmo_combination *combination, size_t model,
                                double squared_error)
{
    float own = (float)squared_error, before = combination->weight[model];
    float (*covariance)[PMO_MODELS] = combination->covariance;

    for (size_t i = 0; i < PMO_MODELS; i++)
        covariance[i][model] = covariance[model][i] = fminf(own, covariance[i][i]);
    covariance[model][model] = own;
    settle(combination, 50);
    return before < 0.5F && combination->weight[model] >= 0.5F;
}
