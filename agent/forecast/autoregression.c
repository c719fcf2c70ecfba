/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Autoregression: the next minute as a linear function of how the last seconds, minutes and half
 * hour differ, learned online by recursive least squares with forgetting (Ljung and Soderstrom
 * 1983, "Theory and practice of recursive identification"; Haykin, "Adaptive filter theory").
 *
 *   inputs      x: the last value less the mean of the last 3 s, that less the mean of 10 s, and so
 *               on to half an hour. The means are exponential, so their lags are geometric. And by
 *               how much the mean of 3 s is out of the common: a burst does not go on as noise of
 *               its first seconds' size would (a threshold autoregression, Tong 1990).
 *   forecast    h ahead: mean of 30 s + weight_h . x, for each horizon of the grid on its own
 *               ("direct": iterating one step 60 times would iterate its bias, too)
 *   weight_h    = (R_h + ridge I)^-1 r_h, R_h and r_h being forgetting means of x x' and of x z,
 *               where z is what came h seconds after x, less that mean of 30 s
 *
 * That is the information form: what is kept is R, never its inverse, so nothing winds up where a
 * series stands still and no rounding adds up, however long it runs; the ridge bounds the weights.
 * It pulls them to 0, the mean of 30 s, which is what is said before anything is learned. Weights
 * change slowly: one horizon is solved anew each second, in turn.
 *
 * All is counted in the spread of the last minutes: ten times the traffic has the same weights, and
 * restless hours do not drown quiet ones. An error of many such units counts less (Huber 1964).
 * Over missing seconds the means go on, as one value that weighs as much as those together would
 * have; nothing is learned across them.
 */
#include "agent/forecast/model.h"

#include "agent/forecast/bounds.h"
#include "agent/forecast/grid.h"

#define MEANS 6
#define BASE  2 /* the one that forecasts start from */
/* Seconds that each mean goes back. */
static const double spans[MEANS] = {3, 10, 30, 100, 300, 1800};
#define INPUTS (MEANS + 1)
#define CALM   0.7F /* units that the mean of 3 s strays from that of 30 s without a burst */

#define MEMORY       14400.0 /* seconds: learned errors forget with this time constant */
#define SPREAD_SPAN  300.0   /* seconds that the unit goes back, */
#define SPREAD_LIMIT 4.0     /* and how many of it one value may add */
#define SPREAD_LEAST 1e-6    /* of the level: less is rounding, not movement */
#define FREAK        3.0     /* units of error that count in full */
#define INPUT_MAX    10.0F   /* units */
#define RISE_MAX     10.0    /* means of 3 s that a value counts as, */
#define RISE_FLOOR   1000.0  /* and as many more */
/* Squared weights are expected to be about a quarter of the squared errors. As the errors of h
 * forecasts under way at once go together, h of them count as one. */
#define RIDGE 4.0
/* Means that decay below this are nothing: they do not become denormal, which is slow. */
#define NOTHING 1e-20F

#define PRODUCTS (INPUTS * (INPUTS + 1) / 2)

struct input {
    float x[INPUTS];
    float base, unit; /* unit 0: nothing is learned from it */
};

struct autoregression {
    int64_t last;
    double observed;
    double whole; /* seconds since the last one that was missing */
    double mean[MEANS];
    double square; /* of the unit */
    unsigned int turn;
    struct input input[PMO_HORIZONS]; /* of second t at t mod size */
    struct {
        float count; /* learned from, up to MEMORY */
        float inputs[PRODUCTS], target[INPUTS];
        float weight[INPUTS];
    } at[PMO_GRID];
};

static float dot(const float a[INPUTS], const float b[INPUTS])
{
    float sum = 0;

    for (size_t i = 0; i < INPUTS; i++)
        sum += a[i] * b[i];
    return sum;
}

static float toward(float mean, float value, float share)
{
    mean += share * (value - mean);
    return fabsf(mean) < NOTHING ? 0 : mean;
}

/* What was forecast from @input for the second that had @y is known now. */
static void learn(struct autoregression *regression, size_t g, const struct input *input, float y)
{
    float target = (y - input->base) / input->unit;
    float error = fabsf(target - dot(regression->at[g].weight, input->x));
    float counts = error > (float)FREAK ? (float)FREAK / error : 1;
    float product[PRODUCTS], *at = product, share;

    regression->at[g].count = pmo_at_most((float)MEMORY, regression->at[g].count + 1);
    share = 1 / regression->at[g].count;
    for (size_t i = 0; i < INPUTS; i++) {
        float x = counts * input->x[i];

        for (size_t j = 0; j <= i; j++)
            *at++ = x * input->x[j];
        regression->at[g].target[i] = toward(regression->at[g].target[i], x * target, share);
    }
    for (size_t i = 0; i < PRODUCTS; i++)
        regression->at[g].inputs[i] = toward(regression->at[g].inputs[i], product[i], share);
}

/* Weights of one horizon, by Cholesky's decomposition of its few inputs; the ridge keeps every
 * pivot positive. */
static void solve(struct autoregression *regression, size_t g)
{
    const float *product = regression->at[g].inputs;
    double ridge = RIDGE * pmo_grid[g] / regression->at[g].count;
    double lower[INPUTS][INPUTS], solution[INPUTS];

    for (size_t i = 0; i < INPUTS; i++) {
        for (size_t j = 0; j <= i; j++, product++) {
            double sum = *product + (i == j ? ridge : 0);

            for (size_t k = 0; k < j; k++)
                sum -= lower[i][k] * lower[j][k];
            lower[i][j] = i == j ? sqrt(fmax(sum, ridge)) : sum / lower[j][j];
        }
        solution[i] = regression->at[g].target[i];
        for (size_t k = 0; k < i; k++)
            solution[i] -= lower[i][k] * solution[k];
        solution[i] /= lower[i][i];
    }
    for (size_t i = INPUTS; i-- > 0;) {
        for (size_t k = i + 1; k < INPUTS; k++)
            solution[i] -= lower[k][i] * solution[k];
        solution[i] /= lower[i][i];
        regression->at[g].weight[i] = (float)solution[i];
    }
}

/* Takes @y into the means and the spread; @steps: seconds since the value before. One value does
 * not make the spread, but where it leaves all bounds, a new one has to be found: one that is too
 * wide for a while only makes errors count less. */
static void move(struct autoregression *regression, double y, int64_t steps)
{
    double deviation, square;

    if (regression->observed > 0)
        y = fmin(y, RISE_FLOOR + RISE_MAX * regression->mean[0]);
    deviation = y - regression->mean[BASE];
    for (size_t i = 0; i < MEANS; i++) {
        double share = 1 / spans[i];

        if (steps > 1)
            share = 1 - pow(1 - share, (double)steps);
        share = fmax(share, 1 / (regression->observed + 1));
        regression->mean[i] += share * (y - regression->mean[i]);
        if (regression->mean[i] < NOTHING)
            regression->mean[i] = 0;
    }
    if (regression->observed == 0)
        return;
    square = deviation * deviation;
    if (regression->observed > spans[BASE])
        square = fmin(square, SPREAD_LIMIT * SPREAD_LIMIT * regression->square);
    regression->square +=
        fmax(1 / SPREAD_SPAN, 1 / regression->observed) * (square - regression->square);
    regression->square = fmax(regression->square, pow(deviation / INPUT_MAX, 2));
    if (regression->square < NOTHING)
        regression->square = 0;
}

/* What is beyond the usual; nothing where it is within. */
static float beyond(float x, float usual)
{
    return x - pmo_at_most(usual, pmo_at_least(-usual, x));
}

static float bounded(double x)
{
    return pmo_at_most(INPUT_MAX, pmo_at_least(-INPUT_MAX, (float)x));
}

static struct input input_of(const struct autoregression *regression, double y)
{
    const double *mean = regression->mean;
    struct input input = {.base = (float)mean[BASE]};
    double unit = sqrt(regression->square), before = y;

    if (unit <= SPREAD_LEAST * mean[MEANS - 1])
        return input;
    input.unit = (float)unit;
    for (size_t i = 0; i < MEANS; i++) {
        input.x[i] = bounded((before - mean[i]) / unit);
        before = mean[i];
    }
    input.x[MEANS] = beyond(bounded((mean[0] - mean[BASE]) / unit), CALM);
    return input;
}

static void observe(const struct pmo_model_ops *model, void *state,
                    const struct pmo_context *context, int64_t t, double y)
{
    struct autoregression *regression = state;
    int64_t steps = regression->observed > 0 ? t - regression->last : 1;

    regression->whole = steps > 1 ? 0 : regression->whole + 1;
    for (size_t g = 0; g < PMO_GRID; g++) {
        const struct input *input = &regression->input[(uint64_t)(t - pmo_grid[g]) % PMO_HORIZONS];

        if (regression->whole > pmo_grid[g] && input->unit > 0)
            learn(regression, g, input, (float)y);
    }
    if (regression->at[regression->turn].count > 0)
        solve(regression, regression->turn);
    regression->turn = (regression->turn + 1) % PMO_GRID;
    move(regression, y, steps);
    regression->input[(uint64_t)t % PMO_HORIZONS] = input_of(regression, y);
    regression->last = t;
    regression->observed++;
}

static void predict(const struct pmo_model_ops *model, const void *state,
                    const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    const struct autoregression *regression = state;
    const struct input *input = &regression->input[(uint64_t)regression->last % PMO_HORIZONS];
    float at[PMO_GRID];

    for (size_t g = 0; g < PMO_GRID; g++)
        at[g] = input->base + input->unit * dot(regression->at[g].weight, input->x);
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        struct pmo_grid_point point = pmo_grid_at(h);

        mean[h - 1] = pmo_grid_between(point, at[point.i], at[point.i + 1]);
    }
}

const struct pmo_model_ops pmo_model_autoregression = {
    .name = "autoregression",
    .state_bytes = sizeof(struct autoregression),
    .observe = observe,
    .predict = predict,
};

_Static_assert(sizeof(struct autoregression) <= 4096, "a page a series");
