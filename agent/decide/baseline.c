/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HorizontalPodAutoscaler's algorithm: Kubernetes documentation, "Horizontal Pod Autoscaling",
 * and pkg/controller/podautoscaler there.
 */
#include "agent/decide/baseline.h"

#include <math.h>

#define SYNC_S          15
#define METRIC_WINDOW_S 30
#define DOWN_WINDOW_S   300
#define TOLERANCE       0.1
#define FAST_WINDOW_S   10
#define FAST_DOWN_S     60

static uint32_t bounded(double count, uint32_t min, uint32_t max)
{
    if (!(count > min))
        return min;
    return count < max ? (uint32_t)count : max;
}

/* Mean of the seconds from..to-1 that were recorded; NAN: none was. */
static double mean(const double *requests, size_t from, size_t to)
{
    double sum = 0;
    size_t count = 0;

    for (size_t t = from; t < to; t++) {
        if (isnan(requests[t]))
            continue;
        sum += requests[t];
        count++;
    }
    return count ? sum / (double)count : NAN;
}

void pmo_hpa_run(const double *demand, size_t seconds, double capacity_rps, double target,
                 uint32_t initial, uint32_t min, uint32_t max, uint32_t *wanted)
{
    uint32_t advice[DOWN_WINDOW_S / SYNC_S + 1] = {0}; /* of the last syncs, a ring */
    size_t advices = sizeof(advice) / sizeof(*advice);
    uint32_t count;

    if (!seconds)
        return;
    count = bounded(initial ? initial : ceil(demand[0] / (capacity_rps * target)), min, max);
    wanted[0] = count;
    for (size_t t = 1; t < seconds; t++) {
        wanted[t] = count;
        if (t % SYNC_S != 0)
            continue;

        double load = mean(demand, t > METRIC_WINDOW_S ? t - METRIC_WINDOW_S : 0, t);
        double ratio = load / (count * capacity_rps * target);
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

void pmo_fast_run(const double *requests, size_t seconds, double capacity_rps, double target,
                  uint32_t *wanted)
{
    uint32_t needed[FAST_DOWN_S] = {0}; /* by the last seconds, a ring */
    uint32_t count = 1;

    for (size_t t = 0; t < seconds; t++) {
        double load = mean(requests, t >= FAST_WINDOW_S ? t + 1 - FAST_WINDOW_S : 0, t + 1);

        if (!isnan(load))
            count = bounded(ceil(load / (capacity_rps * target)), 1, UINT32_MAX);
        needed[t % FAST_DOWN_S] = count;
        wanted[t] = count;
        for (size_t i = 0; i < FAST_DOWN_S; i++)
            wanted[t] = needed[i] > wanted[t] ? needed[i] : wanted[t];
    }
}

void pmo_oracle_run(const double *demand, size_t seconds, double capacity_rps, uint32_t startup_s,
                    uint32_t *wanted)
{
    size_t most = seconds; /* second with the greatest demand of t..t+startup_s */

    for (size_t t = seconds; t-- > 0;) {
        if (most == seconds || demand[t] >= demand[most]) {
            most = t;
        } else if (most - t > startup_s) {
            most = t + startup_s;
            for (size_t s = most; s-- > t;)
                most = demand[s] > demand[most] ? s : most;
        }
        wanted[t] = bounded(ceil(demand[most] / capacity_rps), 1, UINT32_MAX);
    }
}
