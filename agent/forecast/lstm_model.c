/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network of lstm.h as a model of one series. */
#include "agent/forecast/lstm.h"

#include <math.h>
#include "agent/forecast/leading.h"
#include "agent/forecast/model.h"

static void observe(const struct pmo_model_ops *model, void *state,
                    const struct pmo_context *context, int64_t t, double y)
{
    struct pmo_lstm_state *lstm = state;
    struct pmo_lstm_second second;

    if (!context->lstm)
        return;
    if (lstm->generation != context->lstm->generation) {
        pmo_lstm_warm(context->lstm, lstm, context->recent, context->leading);
        return;
    }
    pmo_lstm_second_from(context->recent, &second);
    second.event = context->event;
    if (context->leading)
        pmo_leading_logs(context->leading, t, second.leading);
    pmo_lstm_observe(context->lstm, lstm, &second);
}

static void predict(const struct pmo_model_ops *model, const void *state,
                    const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    if (context->lstm) {
        pmo_lstm_predict(context->lstm, state, mean);
        return;
    }
    for (size_t i = 0; i < PMO_HORIZONS; i++)
        mean[i] = NAN;
}

const struct pmo_model_ops pmo_model_lstm = {
    .name = "LSTM",
    .state_bytes = sizeof(struct pmo_lstm_state),
    .observe = observe,
    .predict = predict,
};
