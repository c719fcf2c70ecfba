/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exponential smoothing, simple and with a damped trend (Gardner and McKenzie 1985, "Forecasting
 * trends in time series").
 *
 *   forecast, h ahead:  level + (phi + phi^2 + .. + phi^h) * trend
 *   level and trend take the shares alpha and alpha * beta of each one-step error
 *
 * How fast a series changes is not known beforehand, and changes: each model runs a few settings
 * side by side and speaks with the one whose one-step errors were smallest of late. Over missing
 * seconds the forecast goes on, and the next value weighs as much as all those together would have.
 */
#include "agent/forecast/model.h"

#define ERROR_MEMORY (1.0 / 120) /* share of the newest error in the mean that chooses */
/* Below this, a level is nothing; keeps decaying floats from becoming denormal, which is slow. */
#define NOTHING 1e-9

struct setting {
    double alpha, beta, phi;
};

static const struct setting simple[] = {
    {0.02, 0, 0}, {0.05, 0, 0}, {0.1, 0, 0}, {0.2, 0, 0}, {0.4, 0, 0},
};
static const struct setting damped[] = {
    {0.05, 0.05, 0.99},
    {0.1, 0.1, 0.98},
    {0.2, 0.1, 0.98},
    {0.4, 0.2, 0.95},
};

#define SETTINGS_MAX 5

struct smoothing {
    int64_t last;
    double observed;
    struct {
        double level, trend;
        double error; /* mean squared one-step error */
    } at[SETTINGS_MAX];
};

/* phi + phi^2 + .. + phi^steps */
static double trend_sum(double phi, int64_t steps)
{
    return phi <= 0 ? 0 : phi * (1 - pow(phi, (double)steps)) / (1 - phi);
}

static void observe(struct smoothing *smoothing, const struct setting *settings, size_t count,
                    int64_t t, double y)
{
    int64_t steps = t - smoothing->last;
    double share = fmax(ERROR_MEMORY, 1 / (smoothing->observed + 1));

    for (size_t i = 0; i < count; i++) {
        const struct setting *set = &settings[i];
        double alpha = set->alpha, level, error;

        if (smoothing->observed == 0) {
            smoothing->at[i].level = y;
            continue;
        }
        level = smoothing->at[i].level;
        if (steps == 1) {
            level += set->phi * smoothing->at[i].trend;
            smoothing->at[i].trend *= set->phi;
        } else {
            level += trend_sum(set->phi, steps) * smoothing->at[i].trend;
            smoothing->at[i].trend *= pow(set->phi, (double)steps);
            alpha = 1 - pow(1 - alpha, (double)steps);
        }
        error = y - level;
        level += alpha * error;
        smoothing->at[i].level = fabs(level) < NOTHING ? 0 : level;
        smoothing->at[i].trend += set->alpha * set->beta * error / (double)steps;
        if (fabs(smoothing->at[i].trend) < NOTHING)
            smoothing->at[i].trend = 0;
        smoothing->at[i].error += share * (error * error - smoothing->at[i].error);
    }
    smoothing->last = t;
    smoothing->observed++;
}

static size_t best(const struct smoothing *smoothing, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++)
        if (smoothing->at[i].error < smoothing->at[best].error)
            best = i;
    return best;
}

static void observe_simple(const struct pmo_model_ops *model, void *state,
                           const struct pmo_context *context, int64_t t, double y)
{
    observe(state, simple, sizeof(simple) / sizeof(*simple), t, y);
}

static void predict_simple(const struct pmo_model_ops *model, const void *state,
                           const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    const struct smoothing *smoothing = state;
    size_t i = best(smoothing, sizeof(simple) / sizeof(*simple));

    for (size_t h = 0; h < PMO_HORIZONS; h++)
        mean[h] = (float)smoothing->at[i].level;
}

static void observe_damped(const struct pmo_model_ops *model, void *state,
                           const struct pmo_context *context, int64_t t, double y)
{
    observe(state, damped, sizeof(damped) / sizeof(*damped), t, y);
}

static void predict_damped(const struct pmo_model_ops *model, const void *state,
                           const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    const struct smoothing *smoothing = state;
    size_t i = best(smoothing, sizeof(damped) / sizeof(*damped));
    double trend = smoothing->at[i].trend, level = smoothing->at[i].level;

    for (size_t h = 0; h < PMO_HORIZONS; h++) {
        trend *= damped[i].phi;
        level += trend;
        mean[h] = (float)level;
    }
}

_Static_assert(sizeof(simple) / sizeof(*simple) <= SETTINGS_MAX, "room for each setting");
_Static_assert(sizeof(damped) / sizeof(*damped) <= SETTINGS_MAX, "room for each setting");

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
