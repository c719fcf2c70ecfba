/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a mean to quantiles, by what the forecasts' own errors were, for one horizon.
 *
 * Errors are counted relative to the scale that was expected of them: sqrt(mean) as for counts,
 * and more where the models disagree. So an unsure second (will the burst come?) does not widen the
 * sure ones. The counts are a histogram that forgets; its quantiles, times the scale expected of
 * the forecast at hand, are the answer, and the histogram starts out with some weight on wide
 * errors, which is what a cold start shows. (Moving the level at which it is read by how often the
 * quantile held, Gibbs and Candes 2021, was tried on real traffic: a minute ahead the feedback
 * comes a minute late and made quantiles worse.)
 *
 * Below a few requests a second a count is 0, 1 or 2 and a bell around the mean says little: there
 * the quantiles are those of a negative binomial distribution with the mean that was forecast, as
 * much wider than a Poisson distribution as the errors were.
 */
#pragma once

#include "agent/forecast/forecast.h"

#define PMO_ERROR_BINS 128

struct pmo_calibration {     /* for one horizon of the grid */
    float squares, level;    /* forgetting sums of squared errors and of the means forecast */
    float at[PMO_QUANTILES]; /* the quantiles of the relative error */
    float bins[PMO_ERROR_BINS], total; /* in parts of `unit`, */
    float unit;                        /* which grows instead of all of these decaying */
    unsigned int unread;               /* errors that `at` does not know of yet */
};

/* What was forecast for one second, and is to be scored when it is over. */
struct pmo_calibrated {
    float mean, scale;
    float value[PMO_QUANTILES];
};

void pmo_calibration_init(struct pmo_calibration *calibration);
void pmo_calibration_learn(struct pmo_calibration *calibration,
                           const struct pmo_calibrated *forecast, float y, float weight);

/* Quantiles around @mean: @at and @dispersion (variance over mean) are those of the calibrations,
 * interpolated for the horizon. Ascending, 0 or more. */
void pmo_calibration_quantiles(float mean, float scale, const float at[PMO_QUANTILES],
                               float dispersion, float value[PMO_QUANTILES]);
float pmo_calibration_dispersion(const struct pmo_calibration *calibration);
