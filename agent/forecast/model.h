/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A forecast model: what it remembers of a series, and its mean for each of the next 60 seconds.
 * A new model is a new file that fills in one struct pmo_model_ops, and a row in models.c; the
 * combination finds out by itself when it is of use, so a model need not know when it is good.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "agent/forecast/forecast.h"
#include "agent/forecast/lstm.h"
#include "agent/forecast/recent.h"

struct pmo_leading; /* leading.h */

/* What models see besides their own state. */
struct pmo_context {
    const struct pmo_recent *recent;
    const struct pmo_lstm *lstm;       /* NULL: none is trained yet */
    const struct pmo_leading *leading; /* NULL: there are no signals */
    float event;                       /* 0..1: strength of events that go on or are near */
};

struct pmo_model_ops {
    const char *name;
    unsigned int seconds; /* window or period, where a family of models shares its functions */
    size_t state_bytes;   /* zeroed before init; 0 where `recent` is all it needs */

    /* Both may be NULL. */
    void (*init)(const struct pmo_model_ops *model, void *state);
    /* Second @t had @y requests, finite and 0 or more; context->recent already ends with it.
     * Seconds between the last call's @t and this one are missing. */
    void (*observe)(const struct pmo_model_ops *model, void *state,
                    const struct pmo_context *context, int64_t t, double y);

    /* NULL, or a number that changes whenever the model has become another one, about which its
     * past errors say nothing. It is then judged by what it would have forecast before: predict is
     * called with context->recent cut short by some minutes, and must need nothing else that has
     * changed since. */
    uint32_t (*generation)(const void *state);

    /* The mean of second context->recent->last + 1 + i into @mean[i]; may be negative. NAN: nothing
     * to say about it (yet). Never called before the first observe. */
    void (*predict)(const struct pmo_model_ops *model, const void *state,
                    const struct pmo_context *context, float mean[PMO_HORIZONS]);
};

#define PMO_MODELS 13
extern const struct pmo_model_ops *const pmo_models[PMO_MODELS];

extern const struct pmo_model_ops pmo_model_last_value, pmo_model_mean_10s, pmo_model_mean_30s,
    pmo_model_mean_300s;
extern const struct pmo_model_ops pmo_model_smoothing, pmo_model_damped_trend;
extern const struct pmo_model_ops pmo_model_autoregression, pmo_model_lstm, pmo_model_decomposition;
extern const struct pmo_model_ops pmo_model_seasonal_60s, pmo_model_seasonal_learned,
    pmo_model_seasonal_hour, pmo_model_seasonal_day;
