/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exponential smoothing, simple and with a damped trend, with automatic parameters.
 *
 * How fast a series changes is not known beforehand, and changes. So each model runs some settings
 * side by side and says their average by Akaike weights (Burnham and Anderson 2002; Kolassa 2011,
 * "Combining exponential smoothing forecasts using Akaike weights"): a setting weighs as much as it
 * is likely by its innovations of late,
 *
 *   weight ~ exp(-AIC / 2),   AIC = n log(mean squared innovation)
 *
 * where that mean forgets and n is how far it goes back. All settings of a model have as many
 * parameters, so the rest of the AIC is the same for all. Innovations are additive: with relative
 * ones, (M,N,N), for which the level of a count is the same and the likelihood is not, choices on
 * real traffic were no better, and worse where counts are low.
 */
#include "agent/forecast/smoothing.h"

#include <stddef.h>
#include "agent/forecast/model.h"

#define MEMORY 180.0 /* seconds that the likelihood goes back */
/* Below this, a level or trend is nothing; keeps what decays from becoming denormal, which is
 * slow. */
#define NOTHING    1e-9
#define NO_WEIGHT  0.003
#define COUNT(all) (sizeof(all) / sizeof(*(all)))

static const struct pmo_ets_setting simple[] = {
    {.alpha = 0.01}, {.alpha = 0.02}, {.alpha = 0.04}, {.alpha = 0.08},
    {.alpha = 0.15}, {.alpha = 0.3},  {.alpha = 0.5},  {.alpha = 0.8},
};
static const struct pmo_ets_setting damped[] = {
    {0.02, 0.0002, 0.98}, {0.05, 0.0005, 0.98}, {0.1, 0.001, 0.98},
    {0.2, 0.004, 0.98},   {0.4, 0.008, 0.95},   {0.05, 0.0025, 0.98},
    {0.1, 0.01, 0.98},    {0.2, 0.02, 0.95},    {0.4, 0.08, 0.9},
};

#define SETTINGS_MAX 9

struct smoothing {
    int64_t last;
    double observed;
    struct {
        struct pmo_ets ets;
        double square; /* forgetting mean of squared innovations */
        double weight;
    } at[SETTINGS_MAX];
};

static double power(double base, int64_t exponent)
{
    return exponent == 1 ? base : pow(base, (double)exponent);
}

/* phi + phi^2 + .. + phi^steps */
static double trend_sum(double phi, int64_t steps)
{
    if (steps == 1 || phi <= 0)
        return phi;
    return phi >= 1 ? (double)steps : phi * (1 - power(phi, steps)) / (1 - phi);
}

double pmo_ets_forecast(const struct pmo_ets *ets, const struct pmo_ets_setting *set, int64_t steps)
{
    return ets->level + trend_sum(set->phi, steps) * ets->trend;
}

double pmo_ets_update(struct pmo_ets *ets, const struct pmo_ets_setting *set, int64_t steps,
                      double y)
{
    double forecast = pmo_ets_forecast(ets, set, steps), innovation = y - forecast;
    double alpha = 1 - power(1 - set->alpha, steps);

    ets->level = forecast + alpha * innovation;
    ets->trend = power(set->phi, steps) * ets->trend + set->beta * innovation / (double)steps;
    if (fabs(ets->level) < NOTHING)
        ets->level = 0;
    if (fabs(ets->trend) < NOTHING)
        ets->trend = 0;
    return innovation;
}

/* Weighs each setting by its likelihood over about @n innovations. */
static void weigh(struct smoothing *smoothing, size_t count, double n)
{
    double least = smoothing->at[0].square, sum = 0;

    for (size_t i = 1; i < count; i++)
        least = fmin(least, smoothing->at[i].square);
    for (size_t i = 0; i < count; i++) {
        double ratio = (least + NOTHING) / (smoothing->at[i].square + NOTHING);

        smoothing->at[i].weight = exp(n / 2 * log(ratio));
        sum += smoothing->at[i].weight;
    }
    for (size_t i = 0; i < count; i++)
        smoothing->at[i].weight /= sum;
}

static void observe(struct smoothing *smoothing, const struct pmo_ets_setting *settings,
                    size_t count, int64_t t, double y)
{
    double n = fmin(smoothing->observed, MEMORY);

    for (size_t i = 0; i < count; i++) {
        struct pmo_ets_setting set = settings[i];
        double innovation;

        if (smoothing->observed == 0) {
            smoothing->at[i].ets.level = y;
            smoothing->at[i].weight = 1.0 / (double)count;
            continue;
        }
        /* the first values make the level, whatever the setting */
        set.alpha = fmax(set.alpha, 1 / (smoothing->observed + 1));
        innovation = pmo_ets_update(&smoothing->at[i].ets, &set, t - smoothing->last, y);
        smoothing->at[i].square += (innovation * innovation - smoothing->at[i].square) / n;
        if (smoothing->at[i].square < NOTHING * NOTHING)
            smoothing->at[i].square = 0;
    }
    if (smoothing->observed > 0)
        weigh(smoothing, count, n);
    smoothing->last = t;
    smoothing->observed++;
}

static void predict(const struct smoothing *smoothing, const struct pmo_ets_setting *settings,
                    size_t count, float mean[PMO_HORIZONS])
{
    double sum[PMO_HORIZONS] = {0}, weights = 0;

    for (size_t i = 0; i < count; i++) {
        double weight = smoothing->at[i].weight, level = smoothing->at[i].ets.level;
        double trend = smoothing->at[i].ets.trend;

        if (weight < NO_WEIGHT)
            continue;
        weights += weight;
        for (size_t h = 0; h < PMO_HORIZONS; h++) {
            trend *= settings[i].phi;
            level += trend;
            sum[h] += weight * level;
        }
    }
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        mean[h] = (float)(sum[h] / weights);
}

static void observe_simple(const struct pmo_model_ops *model, void *state,
                           const struct pmo_context *context, int64_t t, double y)
{
    observe(state, simple, COUNT(simple), t, y);
}

static void predict_simple(const struct pmo_model_ops *model, const void *state,
                           const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    predict(state, simple, COUNT(simple), mean);
}

static void observe_damped(const struct pmo_model_ops *model, void *state,
                           const struct pmo_context *context, int64_t t, double y)
{
    observe(state, damped, COUNT(damped), t, y);
}

static void predict_damped(const struct pmo_model_ops *model, const void *state,
                           const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    predict(state, damped, COUNT(damped), mean);
}

_Static_assert(COUNT(simple) <= SETTINGS_MAX, "room for each setting");
_Static_assert(COUNT(damped) <= SETTINGS_MAX, "room for each setting");

const struct pmo_model_ops pmo_model_smoothing = {
    .name = "exponential smoothing",
    .state_bytes = sizeof(struct smoothing),
    .observe = observe_simple,
    .predict = predict_simple,
};

const struct pmo_model_ops pmo_model_damped_trend = {
    .name = "damped trend",
    .state_bytes = sizeof(struct smoothing),
    .observe = observe_damped,
    .predict = predict_damped,
};
