/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mean of the last seconds, for each horizon; of one second, the last value. */
#include "agent/forecast/model.h"

static void predict(const struct pmo_model_ops *model, const void *state,
                    const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    float level = pmo_recent_mean(context->recent, model->seconds);

    for (size_t i = 0; i < PMO_HORIZONS; i++)
        mean[i] = level;
}

const struct pmo_model_ops pmo_model_last_value = {
    .name = "last value",
    .seconds = 1,
    .predict = predict,
};

const struct pmo_model_ops pmo_model_mean_10s = {
    .name = "mean of 10 s",
    .seconds = 10,
    .predict = predict,
};

const struct pmo_model_ops pmo_model_mean_30s = {
    .name = "mean of 30 s",
    .seconds = 30,
    .predict = predict,
};

const struct pmo_model_ops pmo_model_mean_300s = {
    .name = "mean of 300 s",
    .seconds = 300,
    .predict = predict,
};
