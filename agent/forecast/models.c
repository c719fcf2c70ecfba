/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/model.h"

const struct pmo_model_ops *const pmo_models[PMO_MODELS] = {
    &pmo_model_last_value,    &pmo_model_mean_10s,         &pmo_model_mean_30s,
    &pmo_model_mean_300s,     &pmo_model_smoothing,        &pmo_model_damped_trend,
    &pmo_model_seasonal_60s,  &pmo_model_seasonal_learned, &pmo_model_seasonal_hour,
    &pmo_model_seasonal_day,  &pmo_model_autoregression,   &pmo_model_lstm,
    &pmo_model_decomposition,
};

_Static_assert(PMO_MODELS < PMO_MODELS_MAX,
               "the scores have room for every model, and for signals");
