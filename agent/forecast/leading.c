/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/leading.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "agent/forecast/bounds.h"

#define MEMORY     (14400.0F / PMO_LEADING_STRIDE) /* origins: learned errors forget so */
#define ERROR_SPAN (900.0F / PMO_LEADING_STRIDE)
#define USUAL      300.0F /* seconds that make what is usual */
#define QUICK      3.0F
#define MIDDLE     10.0F
#define LEVEL      30.0F
#define SHARE_MAX  8.0F  /* above what is usual: no signal counts for more */
#define SPREADS    0.25F /* of the greatest input, an error that is to be expected */
#define FREAK      3.0F
#define RIDGE      4.0F /* as in autoregression.c */
#define CAUTION    2.0F /* standard errors */

/* Where the means of the lags begin, and the last one ends. */
static const unsigned char lags[PMO_LEADING_LAGS + 1] = {
    0, 1, 3, 6, 10, 15, 21, 29, 39, 51, PMO_LEADING_SECONDS};

/* Inputs, in their order: signals that are one number each, the series itself, who calls. */
enum { SYNS_QUICK, SYNS_SLOW, QUEUE, IN_FLIGHT, OWN, UPSTREAM = OWN + 2 };
_Static_assert(OWN == PMO_LEADING_BEYOND, "as many");
_Static_assert(UPSTREAM + PMO_LEADING_LAGS == PMO_LEADING_INPUTS, "all of them");
_Static_assert(PMO_LEADING_UPSTREAM == 0 && PMO_LEADING_SYNS == 1 && PMO_LSTM_LEADING == 2,
               "what the network sees are the first signals");

void pmo_leading_init(struct pmo_leading *leading)
{
    for (size_t i = 0; i < PMO_LEADING_SIGNALS; i++)
        leading->signal[i] = NAN;
    leading->last = leading->known = INT64_MIN / 2;
}

static float toward(float mean, float value, float share)
{
    return mean + share * (value - mean);
}

static float dot(const float a[PMO_LEADING_INPUTS], const float b[PMO_LEADING_INPUTS])
{
    float sum[4] = {0}; /* side by side: a vector */

    for (size_t i = 0; i < PMO_LEADING_INPUTS; i += 4)
        for (size_t k = 0; k < 4; k++)
            sum[k] += a[i + k] * b[i + k];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

/* ---- what is known --------------------------------------------------------------------------- */

/* Makes of a signal the share by which it is above what is usual, and has the network see it. */
static float compare(struct pmo_leading *leading, size_t i, int64_t t)
{
    float value = (float)leading->signal[i], usual, parts;

    leading->signal[i] = NAN;
    if (!(value >= 0) || isinf(value))
        return 0;
    leading->known = t;
    leading->heard[i] = pmo_at_most(USUAL, leading->heard[i] + 1);
    leading->usual[i] = usual = toward(leading->usual[i], value, 1 / leading->heard[i]);
    if (i < PMO_LSTM_LEADING) {
        parts = roundf(PMO_LEADING_LOG_ONE * logf((1 + value) / (1 + usual)));
        leading->log[i][(uint64_t)t % PMO_LEADING_LOGS] =
            (int8_t)pmo_at_most(INT8_MAX, pmo_at_least(INT8_MIN, parts));
    }
    return pmo_at_most(SHARE_MAX, (value - usual) / (usual + 1));
}

/* In seconds that are missing, all was as usual. */
static void forget(struct pmo_leading *leading, int64_t t)
{
    int64_t from = leading->last + 1;

    if (t - from >= PMO_LEADING_LOGS)
        from = t - PMO_LEADING_LOGS + 1;
    for (; from <= t; from++) {
        leading->upstream[(uint64_t)from % PMO_LEADING_SECONDS] = 0;
        for (size_t i = 0; i < PMO_LSTM_LEADING; i++)
            leading->log[i][(uint64_t)from % PMO_LEADING_LOGS] = 0;
    }
}

void pmo_leading_hear(struct pmo_leading *leading, int64_t t)
{
    float *beyond = leading->beyond, share[PMO_LEADING_SIGNALS];

    forget(leading, t);
    for (size_t i = 0; i < PMO_LEADING_SIGNALS; i++)
        share[i] = compare(leading, i, t);
    leading->upstream[(uint64_t)t % PMO_LEADING_SECONDS] = share[PMO_LEADING_UPSTREAM];
    beyond[SYNS_QUICK] = toward(beyond[SYNS_QUICK], share[PMO_LEADING_SYNS], 1 / QUICK);
    beyond[SYNS_SLOW] = toward(beyond[SYNS_SLOW], share[PMO_LEADING_SYNS], 1 / MIDDLE);
    beyond[QUEUE] = share[PMO_LEADING_ACCEPT_QUEUE];
    beyond[IN_FLIGHT] = toward(beyond[IN_FLIGHT], share[PMO_LEADING_IN_FLIGHT], 1 / QUICK);
    leading->last = t;
}

void pmo_leading_logs(const struct pmo_leading *leading, int64_t t, float logs[PMO_LSTM_LEADING])
{
    bool there = t <= leading->last && t > leading->last - PMO_LEADING_LOGS;

    for (size_t i = 0; i < PMO_LSTM_LEADING; i++)
        logs[i] = there
                      ? (float)leading->log[i][(uint64_t)t % PMO_LEADING_LOGS] / PMO_LEADING_LOG_ONE
                      : 0;
}

static void move(struct pmo_leading *leading, float y)
{
    float least;

    leading->seconds = pmo_at_most(USUAL, leading->seconds + 1);
    least = 1 / leading->seconds;
    leading->own[0] = toward(leading->own[0], y, pmo_at_least(1 / QUICK, least));
    leading->own[1] = toward(leading->own[1], y, pmo_at_least(1 / LEVEL, least));
    leading->slow = toward(leading->slow, y, pmo_at_least(1 / USUAL, least));
}

/* Inputs of second @t, in units. Returns the unit: @unit, and more where they are large. */
static float look(const struct pmo_leading *leading, int64_t t, float unit,
                  float x[PMO_LEADING_INPUTS])
{
    float each = leading->slow / unit, most = 0, size;

    for (size_t i = 0; i < PMO_LEADING_BEYOND; i++)
        x[i] = each * leading->beyond[i];
    for (size_t i = 0; i < 2; i++)
        x[OWN + i] = (leading->own[i] - leading->slow) / unit;
    for (size_t i = 0; i < PMO_LEADING_LAGS; i++) {
        float sum = 0;

        for (int64_t lag = lags[i]; lag < lags[i + 1]; lag++)
            sum += leading->upstream[(uint64_t)(t - lag) % PMO_LEADING_SECONDS];
        x[UPSTREAM + i] = each * sum / (float)(lags[i + 1] - lags[i]);
    }
    for (size_t i = 0; i < PMO_LEADING_INPUTS; i++)
        most = pmo_at_least(most, fabsf(x[i]));
    size = 1 + SPREADS * most;
    for (size_t i = 0; i < PMO_LEADING_INPUTS; i++)
        x[i] /= size;
    return unit * size;
}

/* ---- learning -------------------------------------------------------------------------------- */

static float belief(const struct pmo_leading_point *point, size_t g)
{
    /* seconds whose errors go together */
    float together = pmo_at_least(PMO_LEADING_STRIDE, (float)pmo_grid[g]);
    float seconds = point->count * PMO_LEADING_STRIDE / together;

    if (point->said <= 0)
        return 0;
    return pmo_at_most(
        1, pmo_at_least(0, point->agreed / point->said -
                               CAUTION * sqrtf(point->missed / (point->said * seconds))));
}

/* What was forecast at @origin for the second that had @y is known now. */
static void learn(struct pmo_leading_point *point, size_t g,
                  const struct pmo_leading_origin *origin, float y)
{
    float error = (y - origin->mean[g]) / origin->unit, said = origin->change[g], share;
    float left = pmo_at_most(FREAK, pmo_at_least(-FREAK, error - said)), right = said + left;

    point->count = pmo_at_most(MEMORY, point->count + 1);
    share = 1 / point->count;
    for (size_t i = 0; i < PMO_LEADING_INPUTS; i++)
        point->target[i] = toward(point->target[i], right * origin->x[i], share);
    point->agreed = toward(point->agreed, said * right, share);
    point->said = toward(point->said, said * said, share);
    point->missed = toward(point->missed, left * left, share);
    point->error = toward(point->error, fabsf(error - said) * origin->unit,
                          pmo_at_least(1 / ERROR_SPAN, share));
    point->belief = belief(point, g);
}

static void learn_inputs(struct pmo_leading *leading, const float x[PMO_LEADING_INPUTS])
{
    float share;

    leading->count = pmo_at_most(MEMORY, leading->count + 1);
    share = 1 / leading->count;
    for (size_t i = 0; i < PMO_LEADING_INPUTS; i++)
        for (size_t j = 0; j < PMO_LEADING_INPUTS; j++)
            leading->product[i][j] = toward(leading->product[i][j], x[i] * x[j], share);
}

/* Weights of one horizon, by Gauss's elimination: the ridge keeps every pivot positive. Rows are
 * vectors. */
static void solve(struct pmo_leading *leading, size_t g)
{
    enum { n = PMO_LEADING_INPUTS };
    struct pmo_leading_point *point = &leading->at[g];
    const float ridge =
        RIDGE * (float)pmo_grid[g] / (pmo_at_least(1, point->count) * PMO_LEADING_STRIDE);
    float row[n][n], right[n];

    memcpy(row, leading->product, sizeof(row));
    memcpy(right, point->target, sizeof(right));
    for (size_t i = 0; i < n; i++)
        row[i][i] += ridge;
    for (size_t k = 0; k < n; k++) {
        float pivot = 1 / pmo_at_least(ridge, row[k][k]);

        for (size_t i = k + 1; i < n; i++) {
            float times = row[i][k] * pivot;

            for (size_t j = 0; j < n; j++)
                row[i][j] -= times * row[k][j];
            right[i] -= times * right[k];
        }
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t j = i + 1; j < n; j++)
            right[i] -= row[i][j] * point->weight[j];
        point->weight[i] = right[i] / pmo_at_least(ridge, row[i][i]);
    }
}

/* ---- each second ----------------------------------------------------------------------------- */

static struct pmo_leading_origin *origin_at(struct pmo_leading *leading, int64_t t)
{
    return &leading->origin[(uint64_t)t / PMO_LEADING_STRIDE % PMO_LEADING_ORIGINS];
}

static void say(struct pmo_leading *leading, const float change[PMO_GRID], float unit)
{
    float believed[PMO_GRID], rest[PMO_GRID];

    for (size_t g = 0; g < PMO_GRID; g++) {
        believed[g] = leading->at[g].belief * unit * change[g];
        rest[g] = unit * change[g] - believed[g];
    }
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        struct pmo_grid_point at = pmo_grid_at(h);

        leading->change[h - 1] = pmo_grid_between(at, believed[at.i], believed[at.i + 1]);
        leading->rest[h - 1] = pmo_grid_between(at, rest[at.i], rest[at.i + 1]);
    }
}

void pmo_leading_observe(struct pmo_leading *leading, int64_t t, float y,
                         const float mean[PMO_HORIZONS], float unit)
{
    float x[PMO_LEADING_INPUTS], change[PMO_GRID] = {0};
    bool known = t - leading->known < PMO_LEADING_SECONDS;

    for (size_t g = 0; g < PMO_GRID; g++) {
        int64_t from = t - pmo_grid[g];
        const struct pmo_leading_origin *origin = origin_at(leading, from);

        if ((uint64_t)from % PMO_LEADING_STRIDE == 0 && origin->t == from && origin->unit > 0)
            learn(&leading->at[g], g, origin, y);
    }
    move(leading, y);
    if (known) {
        unit = look(leading, t, unit, x);
        for (size_t g = 0; g < PMO_GRID; g++)
            change[g] = dot(leading->at[g].weight, x);
    }
    say(leading, change, unit);
    if ((uint64_t)t % PMO_LEADING_STRIDE == 0) {
        struct pmo_leading_origin *origin = origin_at(leading, t);

        origin->t = t;
        origin->unit = known ? unit : 0;
        if (!known)
            return;
        learn_inputs(leading, x);
        memcpy(origin->x, x, sizeof(x));
        memcpy(origin->change, change, sizeof(change));
        for (size_t g = 0; g < PMO_GRID; g++)
            origin->mean[g] = mean[pmo_grid[g] - 1];
    } else if ((uint64_t)t % PMO_LEADING_STRIDE ==
               PMO_LEADING_STRIDE / 2) { /* weights change slowly */
        solve(leading, leading->turn);
        leading->turn = (leading->turn + 1) % PMO_GRID;
    }
}
