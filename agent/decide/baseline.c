/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HorizontalPodAutoscaler's algorithm: Kubernetes documentation, "Horizontal Pod Autoscaling",
 * and pkg/controller/podautoscaler there.
 *
 * The queue: requests flow like water, one second a step; what exceeds the ready instances' rate
 * piles up first in first out. A request's wait is the pile in front of it over the rate.
 *
 * How many instances are ready needs no list of orders. The newest is given up first, so the n-th
 * is ready exactly when at least n were asked for all through the last startup_s seconds: the ready
 * count is the least count asked for in that time.
 */
#include "agent/decide/baseline.h"

#include <math.h>
#include <stdbool.h>

#define DROP_AFTER_S    5.0 /* a request that waited this long is given up */
#define SYNC_S          15
#define METRIC_WINDOW_S 30
#define DOWN_WINDOW_S   300
#define TOLERANCE       0.1

/* Demand with its gaps filled, remembering the last gap so that a long one is searched once. */
struct demand {
    const double *values;
    size_t seconds;
    size_t from, to; /* the gap: seconds from..to-1 were not recorded */
};

static double demand_at(struct demand *demand, size_t t)
{
    const double *values = demand->values;
    double left, right;

    if (!isnan(values[t]))
        return values[t];
    if (t < demand->from || t >= demand->to) {
        for (demand->from = t; demand->from > 0 && isnan(values[demand->from - 1]);)
            demand->from--;
        for (demand->to = t + 1; demand->to < demand->seconds && isnan(values[demand->to]);)
            demand->to++;
    }
    left = demand->from > 0 ? values[demand->from - 1] : NAN;
    right = demand->to < demand->seconds ? values[demand->to] : left;
    if (isnan(left))
        left = isnan(right) ? 0 : right;
    if (isnan(right))
        right = left;
    return left + (right - left) * ((double)t - (double)demand->from + 1) /
                      (double)(demand->to - demand->from + 1);
}

static uint32_t ready_at(const uint32_t *wanted, size_t t, size_t startup_s)
{
    uint32_t ready = wanted[t];

    for (size_t s = t > startup_s ? t - startup_s : 0; s < t; s++)
        ready = wanted[s] < ready ? wanted[s] : ready;
    return ready;
}

/* Share of a second's requests that waited longer than the objective, where the wait goes in a
 * straight line from @start_s to @end_s. */
static double late_share(double start_s, double end_s, double objective_s)
{
    double low = fmin(start_s, end_s), high = fmax(start_s, end_s);

    if (low >= objective_s)
        return 1;
    if (high <= objective_s)
        return 0;
    return isfinite(high) ? (high - objective_s) / (high - low) : 1;
}

void pmo_queue_run(const struct pmo_queue_model *model, const double *demand,
                   const uint32_t *wanted, size_t seconds, struct pmo_queue_result *result)
{
    struct demand filled = {.values = demand, .seconds = seconds};
    size_t startup_s =
        model->startup_s ? model->startup_s : 1; /* an order takes effect next second */
    double waiting = 0;

    *result = (struct pmo_queue_result){0};
    for (size_t t = 0; t < seconds; t++) {
        double arrivals = demand_at(&filled, t);
        double rate_rps = ready_at(wanted, t, startup_s) * model->capacity_rps;
        double end = fmax(0, waiting + arrivals - rate_rps);
        double start_s = rate_rps > 0 ? waiting / rate_rps : INFINITY;
        double end_s = rate_rps > 0 ? end / rate_rps : INFINITY;

        result->requests += arrivals;
        if (arrivals > 0)
            result->late += arrivals * late_share(start_s, end_s, model->objective_s);
        result->instance_seconds += wanted[t];
        waiting = fmin(end, (rate_rps > 0 ? rate_rps : arrivals) * DROP_AFTER_S);
    }
}

static uint32_t bounded(double count, uint32_t min, uint32_t max)
{
    if (!(count > min))
        return min;
    return count < max ? (uint32_t)count : max;
}

static double mean(struct demand *demand, size_t from, size_t to)
{
    double sum = 0;

    for (size_t t = from; t < to; t++)
        sum += demand_at(demand, t);
    return sum / (double)(to - from);
}

void pmo_hpa_run(const double *demand, size_t seconds, double capacity_rps, double target,
                 uint32_t initial, uint32_t min, uint32_t max, uint32_t *wanted)
{
    struct demand filled = {.values = demand, .seconds = seconds};
    uint32_t advice[DOWN_WINDOW_S / SYNC_S + 1] = {0}; /* of the last syncs, a ring */
    size_t advices = sizeof(advice) / sizeof(*advice);
    double per_instance = capacity_rps * target;
    uint32_t count;

    if (!seconds)
        return;
    count =
        bounded(initial ? initial : fmax(1, ceil(demand_at(&filled, 0) / per_instance)), min, max);
    wanted[0] = count;
    for (size_t t = 1; t < seconds; t++) {
        wanted[t] = count;
        if (t % SYNC_S != 0)
            continue;

        double load = mean(&filled, t > METRIC_WINDOW_S ? t - METRIC_WINDOW_S : 0, t);
        double ratio = load / (count * per_instance);
        double raw = fabs(ratio - 1) <= TOLERANCE ? count : ceil(count * ratio);
        uint32_t advised = bounded(raw, min, UINT32_MAX), highest = 0;

        advice[t / SYNC_S % advices] = advised;
        for (size_t i = 0; i < advices; i++)
            highest = advice[i] > highest ? advice[i] : highest;
        if (advised > count) /* at most twice as many, or 4 more, in a sync period */
            count = bounded(fmin(advised, fmax(2.0 * count, count + 4.0)), min, max);
        else if (highest < count)
            count = highest;
        wanted[t] = count;
    }
}
