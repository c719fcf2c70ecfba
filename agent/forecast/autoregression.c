/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Online autoregression by recursive least squares with forgetting (Ljung and Soderstrom 1983,
 * "Theory and practice of recursive identification"), directly for each horizon of the grid.
 *
 * Regressors are the series' exponential means with several time constants, less the slowest one
 * and over it: so they say how far, and since when, the level is off, whatever it is. The means
 * have all of the past in them, which a number of single lags has not.
 *
 * All horizons have the same regressors, so there is one covariance P and one gain for a second,
 * kept until the second it forecasts has come. Where the regressors say little, forgetting alone
 * would let P grow without bound; it is not forgotten beyond the trace that it began with
 * (constant-trace: Goodwin and Sin 1984). An error counts no more than some times what is usual.
 */
#include "agent/forecast/grid.h"
#include "agent/forecast/model.h"

#define INPUTS 7
static const float seconds[INPUTS + 1] = {1.5F, 4, 8, 16, 32, 64, 128, 384}; /* time constants */
#define FIRST   3 /* the input that alone is the forecast at first */
#define LEVEL   INPUTS
#define KEPT    64      /* seconds, more than the longest horizon of the grid */
#define MEMORY  7200.0F /* seconds */
#define COLD    20.0F   /* diagonal of P at first */
#define FREAK   4.0F    /* times the usual error */
#define WARM_UP 60      /* seconds seen before it learns */
#define GAP     60      /* missing seconds after which the means begin anew */

struct kept {
    int64_t t;
    float level;
    float input[INPUTS], gain[INPUTS];
};

struct autoregression {
    int64_t last;
    uint64_t seen;
    float mean[INPUTS + 1];
    float p[INPUTS][INPUTS];
    float weight[PMO_GRID][INPUTS];
    float usual[PMO_GRID]; /* forgetting mean of absolute errors */
    struct kept kept[KEPT];
};

static void init(const struct pmo_model_ops *model, void *state)
{
    struct autoregression *ar = state;

    for (size_t i = 0; i < INPUTS; i++)
        ar->p[i][i] = COLD;
    for (size_t g = 0; g < PMO_GRID; g++)
        ar->weight[g][FIRST] = 1;
    for (size_t i = 0; i < KEPT; i++)
        ar->kept[i].t = INT64_MIN;
}

static float product(const float a[INPUTS], const float b[INPUTS])
{
    float sum = 0;

    for (size_t i = 0; i < INPUTS; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The weights of each horizon from what had been known when it lay ahead. */
static void learn(struct autoregression *ar, int64_t t, float y)
{
    for (size_t g = 0; g < PMO_GRID; g++) {
        const struct kept *kept = &ar->kept[(uint64_t)(t - pmo_grid[g]) % KEPT];
        float error, most;

        if (kept->t != t - pmo_grid[g])
            continue;
        error = (y - kept->level) / kept->level - product(ar->weight[g], kept->input);
        most = FREAK * ar->usual[g];
        if (ar->usual[g] > 0)
            error = fminf(fmaxf(error, -most), most);
        ar->usual[g] += (fabsf(error) - ar->usual[g]) / 600;
        for (size_t i = 0; i < INPUTS; i++)
            ar->weight[g][i] += kept->gain[i] * error;
    }
}

/* Takes this second's inputs into P, and keeps them with their gain. */
static void keep(struct autoregression *ar, int64_t t)
{
    struct kept *kept = &ar->kept[(uint64_t)t % KEPT];
    float column[INPUTS], trace = 0, scale, forget = 1;

    kept->t = t;
    kept->level = fmaxf(ar->mean[LEVEL], 0.1F);
    for (size_t i = 0; i < INPUTS; i++)
        kept->input[i] = (ar->mean[i] - ar->mean[LEVEL]) / kept->level;
    for (size_t i = 0; i < INPUTS; i++) {
        column[i] = product(ar->p[i], kept->input);
        trace += ar->p[i][i];
    }
    scale = 1 / (1 + product(column, kept->input));
    if (trace < INPUTS * COLD)
        forget = 1 / (1 - 1 / MEMORY);
    for (size_t i = 0; i < INPUTS; i++) {
        kept->gain[i] = scale * column[i];
        for (size_t j = 0; j <= i; j++)
            ar->p[i][j] = ar->p[j][i] = forget * (ar->p[i][j] - kept->gain[i] * column[j]);
    }
}

static void observe(const struct pmo_model_ops *model, void *state,
                    const struct pmo_context *context, int64_t t, double y)
{
    struct autoregression *ar = state;

    if (ar->seen && t - ar->last > GAP)
        ar->seen = 0;
    for (size_t i = 0; i <= INPUTS; i++) {
        float share = fmaxf(1 / seconds[i], 1 / (float)(ar->seen + 1));

        ar->mean[i] += share * ((float)y - ar->mean[i]);
    }
    ar->seen++;
    ar->last = t;
    if (ar->seen < WARM_UP)
        return;
    learn(ar, t, (float)y);
    keep(ar, t);
}

static void predict(const struct pmo_model_ops *model, const void *state,
                    const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    const struct autoregression *ar = state;
    const struct kept *kept = &ar->kept[(uint64_t)ar->last % KEPT];
    float at[PMO_GRID];

    for (size_t g = 0; g < PMO_GRID; g++)
        at[g] = kept->t == ar->last ? kept->level * (1 + product(ar->weight[g], kept->input)) : NAN;
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        struct pmo_grid_point point = pmo_grid_at(h);

        mean[h - 1] = pmo_grid_between(point, at[point.i], at[point.i + 1]);
    }
}

const struct pmo_model_ops pmo_model_autoregression = {
    .name = "autoregression",
    .state_bytes = sizeof(struct autoregression),
    .init = init,
    .observe = observe,
    .predict = predict,
};
