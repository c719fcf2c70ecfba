/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/calibration.h"

#include <math.h>
#include "agent/forecast/bounds.h"

#define MEMORY_SECONDS 900
/* A cold start is worth this many errors, normally distributed with this deviation. */
#define COLD_WEIGHT 8.0F
#define COLD_WIDTH  3.0F
/* Bins are even in asinh(2 * error), fine around 0 and wide at the ends, and cover -100..100. */
#define BIN_REACH  6.0F
#define MIDDLE_BIN (0.5F * PMO_ERROR_BINS)

/* Quantiles are read off once in so many errors, once there are more than a few. */
#define READ_EVERY  4
#define READ_ALWAYS 60
#define UNIT_MAX    1e4F

#define COUNTS_BELOW 5.0F  /* mean */
#define BELL_ABOVE   10.0F /* in between, a mixture */
#define COUNT_MAX    1000

static float bin_edge[PMO_ERROR_BINS + 1]; /* the lower ones: sinh(x) / 2 */

__attribute__((constructor)) static void fill_edges(void)
{
    for (size_t bin = 0; bin <= PMO_ERROR_BINS; bin++) {
        float e = expf(((float)bin / MIDDLE_BIN - 1) * BIN_REACH);

        bin_edge[bin] = (e - 1 / e) / 4;
    }
}

static size_t bin_of(float error)
{
    float at = (asinhf(2 * error) / BIN_REACH + 1) * MIDDLE_BIN;

    return (size_t)pmo_at_most(PMO_ERROR_BINS - 1, pmo_at_least(0, at));
}

static float normal_below(float z)
{
    return 0.5F * erfcf(-z * (float)M_SQRT1_2);
}

/* The relative errors below which these shares of all were, in a straight line inside a bin. */
static void read_quantiles(struct pmo_calibration *calibration)
{
    float below = 0;
    size_t bin = 0;

    calibration->unread = 0;

    for (size_t i = 0; i < PMO_QUANTILES; i++) {
        float wanted = (float)pmo_quantiles[i] * calibration->total, lower;

        while (bin < PMO_ERROR_BINS - 1 && below + calibration->bins[bin] < wanted)
            below += calibration->bins[bin++];
        lower = bin_edge[bin];
        calibration->at[i] = lower;
        if (calibration->bins[bin] > 0 && wanted > below)
            calibration->at[i] += (bin_edge[bin + 1] - lower) *
                                  pmo_at_most(1, (wanted - below) / calibration->bins[bin]);
    }
}

/* Back to a unit of 1, before it gets too large for a float's precision. */
static void shrink(struct pmo_calibration *calibration)
{
    calibration->total = 0;
    for (size_t i = 0; i < PMO_ERROR_BINS; i++) {
        calibration->bins[i] /= calibration->unit;
        calibration->total += calibration->bins[i];
    }
    calibration->unit = 1;
}

void pmo_calibration_init(struct pmo_calibration *calibration)
{
    for (size_t i = 0; i < PMO_ERROR_BINS; i++)
        calibration->bins[i] = COLD_WEIGHT * (normal_below(bin_edge[i + 1] / COLD_WIDTH) -
                                              normal_below(bin_edge[i] / COLD_WIDTH));
    calibration->total = COLD_WEIGHT;
    calibration->unit = 1;
    read_quantiles(calibration);
}

void pmo_calibration_learn(struct pmo_calibration *calibration,
                           const struct pmo_calibrated *forecast, float y, float weight)
{
    const float keep = 1 - weight / MEMORY_SECONDS;
    float error = y - forecast->mean;

    calibration->unit /= keep;
    calibration->bins[bin_of(error / forecast->scale)] += weight * calibration->unit;
    calibration->total += weight * calibration->unit;
    if (calibration->unit > UNIT_MAX)
        shrink(calibration);
    calibration->squares = keep * calibration->squares + weight * error * error;
    calibration->level = keep * calibration->level + weight * forecast->mean;
    if (calibration->total < READ_ALWAYS * calibration->unit || ++calibration->unread >= READ_EVERY)
        read_quantiles(calibration);
}

float pmo_calibration_dispersion(const struct pmo_calibration *calibration)
{
    /* a few pseudo-observations keep the first ones from deciding alone */
    return (calibration->squares + COLD_WEIGHT * COLD_WIDTH) / (calibration->level + COLD_WEIGHT);
}

/* Quantiles of the negative binomial distribution of this mean and this variance over mean, by its
 * recursion p(k + 1) = p(k) * (mean + k * (dispersion - 1)) / (dispersion * (k + 1)). */
static void count_quantiles(float mean, float dispersion, float value[PMO_QUANTILES])
{
    double excess = fmax(dispersion - 1, 1e-3);
    double p = exp(-mean / excess * log1p(excess)), below = p;
    int k = 0;

    for (size_t i = 0; i < PMO_QUANTILES; i++) {
        for (; below < pmo_quantiles[i] && k < COUNT_MAX; k++) {
            p *= (mean + k * excess) / ((1 + excess) * (k + 1));
            below += p;
        }
        value[i] = (float)k;
    }
}

void pmo_calibration_quantiles(float mean, float scale, const float at[PMO_QUANTILES],
                               float dispersion, float value[PMO_QUANTILES])
{
    float bell = (mean - COUNTS_BELOW) / (BELL_ABOVE - COUNTS_BELOW);
    float counts[PMO_QUANTILES];

    for (size_t i = 0; i < PMO_QUANTILES; i++)
        value[i] = pmo_at_least(0, mean + scale * at[i]);
    if (bell < 1) {
        bell = pmo_at_least(0, bell);
        count_quantiles(mean, dispersion, counts);
        for (size_t i = 0; i < PMO_QUANTILES; i++)
            value[i] = bell * value[i] + (1 - bell) * counts[i];
    }
    for (size_t i = 1; i < PMO_QUANTILES; i++)
        value[i] = pmo_at_least(value[i - 1], value[i]);
}
