/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/model_run.h"

#include <stdlib.h>
#include "tests/unit/suite.h"

struct model_run model_run_new(const struct pmo_model_ops *model)
{
    struct model_run run = {.model = model,
                            .recent = calloc(1, sizeof(*run.recent)),
                            .state = calloc(1, model->state_bytes + 1)};

    CU_ASSERT_FATAL(run.recent && run.state);
    if (model->init)
        model->init(model, run.state);
    return run;
}

void model_run_free(struct model_run *run)
{
    free(run->recent);
    free(run->state);
}

void model_run_observe(struct model_run *run, int64_t t, double y)
{
    if (isnan(y))
        return;
    pmo_recent_append(run->recent, t, (float)y);
    if (run->model->observe)
        run->model->observe(run->model, run->state, &(struct pmo_context){.recent = run->recent}, t,
                            y);
}

void model_run_predict(const struct model_run *run, float mean[PMO_HORIZONS])
{
    run->model->predict(run->model, run->state, &(struct pmo_context){.recent = run->recent}, mean);
}

double model_run_ahead(const struct model_run *run, unsigned int h)
{
    float mean[PMO_HORIZONS];

    model_run_predict(run, mean);
    return mean[h - 1];
}

/* Knuth's MMIX generator */
static uint64_t random_state;

void model_run_seed(uint64_t seed)
{
    random_state = seed;
}

static double uniform(void)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(random_state >> 11) + 0.5) / 9007199254740992.0;
}

double model_run_normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

double model_run_poisson(double mean)
{
    double k = -1;

    if (mean > 50)
        return fmax(0, round(mean + sqrt(mean) * model_run_normal()));
    for (double left = mean; left > 0; k++)
        left += log(uniform());
    return fmax(k, 0);
}
