/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seasonal naive forecasts: it will be as it was a period ago, or on average over some periods ago,
 * plus what the last seconds had more than they had had a period ago. That difference is what
 * follows a slow wave or a shift of the level under bursts that come again and again.
 *
 * It is the mean of the middle half of the last seconds' differences: one burst that is higher than
 * the last ones, or a second early, is no shift of the level.
 */
#include "agent/forecast/bounds.h"
#include "agent/forecast/model.h"
#include "agent/forecast/period.h"

#define LEVEL_SECONDS 24
#define CYCLES_SPAN   1200 /* seconds from which cycles are averaged, */
#define CYCLES_MAX    8    /* but not more than these */
#define TRIM_FROM     4    /* values, of which the highest and the lowest are left out */

/* The last seconds, and those to come, or as many as a period has. */
#define SEASON_MAX (LEVEL_SECONDS + PMO_HORIZONS)

/* For each of @seconds seconds from @from on, none later than the last one: the mean over it and
 * the seconds one period, two, and so on before it, the highest and the lowest left out where there
 * are several: one freak is no season. NAN where none is known. */
static void season_of(const struct pmo_recent *recent, int64_t period, int64_t cycles, int64_t from,
                      unsigned int seconds, float season[SEASON_MAX])
{
    float y[SEASON_MAX], sum[SEASON_MAX], lowest[SEASON_MAX], highest[SEASON_MAX];
    int known[SEASON_MAX];

    for (size_t i = 0; i < SEASON_MAX; i++) {
        y[i] = sum[i] = 0;
        lowest[i] = INFINITY;
        highest[i] = -INFINITY;
        known[i] = 0;
    }
    for (int64_t cycle = 0; cycle < cycles; cycle++, from -= period) {
        pmo_recent_copy(recent, from, seconds, y);
        for (size_t i = 0; i < SEASON_MAX; i++) { /* becomes vectors */
            sum[i] += isnan(y[i]) ? 0 : y[i];
            lowest[i] = pmo_at_most(lowest[i], y[i]);
            highest[i] = pmo_at_least(highest[i], y[i]);
            known[i] += !isnan(y[i]);
        }
    }
    for (size_t i = 0; i < SEASON_MAX; i++) {
        float trimmed = (sum[i] - lowest[i] - highest[i]) / (float)(known[i] - 2);
        float plain = known[i] ? sum[i] / (float)known[i] : NAN;

        season[i] = known[i] >= TRIM_FROM ? trimmed : plain;
    }
}

/* Cycles to average: as many as there are and the last seconds have had before, too. */
static int64_t cycles_of(const struct pmo_recent *recent, int64_t period)
{
    int64_t had = (recent->last - recent->first - LEVEL_SECONDS + 1) / period;
    int64_t wanted = CYCLES_SPAN / period < CYCLES_MAX ? CYCLES_SPAN / period : CYCLES_MAX;
    int64_t cycles = had < wanted ? had : wanted;

    return cycles > 1 ? cycles : 1;
}

/* Mean of the middle half; sorts in place. */
static float middle_mean(float *values, size_t count)
{
    size_t cut = count / 4;
    float sum = 0;

    for (size_t i = 1; i < count; i++) {
        float v = values[i];
        size_t j = i;

        for (; j > 0 && values[j - 1] > v; j--)
            values[j] = values[j - 1];
        values[j] = v;
    }
    for (size_t i = cut; i < count - cut; i++)
        sum += values[i];
    return sum / (float)(count - 2 * cut);
}

static void say_nothing(float mean[PMO_HORIZONS])
{
    for (size_t i = 0; i < PMO_HORIZONS; i++)
        mean[i] = NAN;
}

static void predict_period(const struct pmo_recent *recent, unsigned int period,
                           float mean[PMO_HORIZONS])
{
    const unsigned int ahead = period < PMO_HORIZONS ? period : PMO_HORIZONS;
    const int64_t first = recent->last - LEVEL_SECONDS + 1;
    float season[SEASON_MAX], last[LEVEL_SECONDS], differences[LEVEL_SECONDS], shift;
    size_t known = 0;

    season_of(recent, period, cycles_of(recent, period), first - period, LEVEL_SECONDS + ahead,
              season);
    pmo_recent_copy(recent, first, LEVEL_SECONDS, last);
    for (size_t i = LEVEL_SECONDS; i-- > 0;) {
        float difference = last[i] - season[i];

        if (!isnan(difference))
            differences[known++] = difference;
    }
    if (known < LEVEL_SECONDS / 2) {
        say_nothing(mean);
        return;
    }
    shift = middle_mean(differences, known);
    for (size_t i = 0; i < ahead; i++)
        mean[i] = season[LEVEL_SECONDS + i] + shift;
    for (size_t i = ahead; i < PMO_HORIZONS; i++)
        mean[i] = mean[i - ahead];
}

static void predict_fixed(const struct pmo_model_ops *model, const void *state,
                          const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    predict_period(context->recent, model->seconds, mean);
}

static void observe_learned(const struct pmo_model_ops *model, void *state,
                            const struct pmo_context *context, int64_t t, double y)
{
    pmo_period_observe(state, t, (float)y);
}

static uint32_t generation_learned(const void *state)
{
    const struct pmo_period *period = state;

    return period->period;
}

static void predict_learned(const struct pmo_model_ops *model, const void *state,
                            const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    const struct pmo_period *period = state;

    if (!period->period)
        say_nothing(mean);
    else
        predict_period(context->recent, period->period, mean);
}

const struct pmo_model_ops pmo_model_seasonal_60s = {
    .name = "seasonal, 60 s",
    .seconds = 60,
    .predict = predict_fixed,
};

const struct pmo_model_ops pmo_model_seasonal_learned = {
    .name = "seasonal, learned period",
    .state_bytes = sizeof(struct pmo_period),
    .observe = observe_learned,
    .generation = generation_learned,
    .predict = predict_learned,
};
