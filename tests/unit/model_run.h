/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One model alone, with what it sees: fed second by second, asked at any of them. */
#pragma once

#include <stdlib.h>
#include "agent/forecast/model.h"
#include "tests/unit/suite.h"

struct model_run {
    const struct pmo_model_ops *model;
    struct pmo_recent *recent;
    void *state;
};

static inline struct model_run model_begin(const struct pmo_model_ops *model)
{
    struct model_run run = {model, calloc(1, sizeof(*run.recent)),
                            calloc(1, model->state_bytes + 1)};

    CU_ASSERT_FATAL(run.recent && run.state);
    if (model->init)
        model->init(model, run.state);
    return run;
}

static inline void model_second(struct model_run *run, int64_t t, double y)
{
    const struct pmo_context context = {.recent = run->recent};

    pmo_recent_append(run->recent, t, (float)y);
    run->model->observe(run->model, run->state, &context, t, y);
}

static inline void model_predict(const struct model_run *run, float mean[PMO_HORIZONS])
{
    const struct pmo_context context = {.recent = run->recent};

    run->model->predict(run->model, run->state, &context, mean);
}

static inline void model_end(struct model_run *run)
{
    free(run->recent);
    free(run->state);
}
