/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much each model counts, by horizon: the mixture whose error would have been smallest of late.
 *
 * A mean of forecasts beats the best single one where their errors are not the same, and how they
 * go together stands in the covariance C of the errors (Bates and Granger 1969, "The combination of
 * forecasts"). Weights w are 0 or more and sum to 1, which keeps the solution tame (Conflitti, De
 * Mol and Giannone 2015). C forgets exponentially, and each second w goes on from where it was
 * towards the minimum of w'Cw. Since the minimum itself is followed, and not a product of past
 * weights, a model that was useless for hours is back as soon as the errors say so.
 *
 * Errors are taken relative to the square root of the level, as counts scatter. A second in which
 * most models were far off, a shift of the level or a freak value, is scaled down as a whole: who
 * was nearest still counts, but it does not decide for the next hour.
 */
#pragma once

#include <stdbool.h>
#include "agent/forecast/grid.h"
#include "agent/forecast/model.h"

struct pmo_combination { /* for one horizon of the grid */
    double scored;       /* forecasts */
    float weight[PMO_MODELS];
    float absolute_error[PMO_MODELS]; /* forgetting mean */
    float covariance[PMO_MODELS][PMO_MODELS];
};

void pmo_combination_init(struct pmo_combination *combination);

/* The models' forecasts, @horizon seconds ahead, and @combined of them, turned out to be @y. */
void pmo_combination_learn(struct pmo_combination *combination, unsigned int horizon,
                           const float forecast[PMO_MODELS], float combined, float y);

/* The combined mean at each horizon, and the error to be expected of it, up to a factor: of the
 * noise (the best model's, one second ahead), and of how far the models are apart (the weighted
 * variance of their means).
 * @combinations for each horizon of the grid. */
void pmo_combination_mean(const struct pmo_combination combinations[PMO_GRID],
                          const float forecast[PMO_MODELS][PMO_HORIZONS], float mean[PMO_HORIZONS],
                          float scale[PMO_HORIZONS]);

/* The best model's mean squared error, not less than counts scatter; in the covariance's units. */
float pmo_combination_noise(const struct pmo_combination *combination);

/* Squared error, in the same units. */
float pmo_combination_square(float forecast, float y);

/* Model @model is not what it was and would have had this mean @squared_error. A change
 * for the better is believed at once, one for the worse only when it shows. How its errors go
 * together with others' is not known: of two models, the worse one's are taken to be the better
 * one's plus something unrelated. Returns whether the model now has most of the weight, and had not
 * before. */
bool pmo_combination_judge_anew(struct pmo_combination *combination, size_t model,
                                double squared_error);
