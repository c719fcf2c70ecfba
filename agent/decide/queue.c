/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request's wait is what waits in front of it over the rate; within a second it goes in a
 * straight line from its first request's to its last one's.
 *
 * How many instances are ready needs no list of orders. The newest is given up first, so the n-th
 * is ready exactly when at least n were asked for all through the last startup_s seconds: the ready
 * count is the least count asked for in that time.
 */
#include "agent/decide/queue.h"

#include <math.h>

#define DROP_AFTER_S 5.0 /* a request that waited this long is given up */

void pmo_demand_fill(double *requests, size_t seconds)
{
    double left = 0, right;
    size_t to;

    for (size_t t = 0; t < seconds; t = to) {
        for (to = t; to < seconds && isnan(requests[to]);)
            to++;
        if (to == t) {
            left = requests[to++];
            continue;
        }
        right = t > 0 && to < seconds ? requests[to] : left;
        for (size_t s = t; s < to; s++)
            requests[s] = left + (right - left) * (double)(s - t + 1) / (double)(to - t + 1);
    }
}

uint32_t pmo_queue_ready(const struct pmo_queue_model *model, const uint32_t *wanted, size_t t)
{
    size_t startup_s = model->startup_s ? model->startup_s : 1;
    uint32_t ready = wanted[t];

    for (size_t s = t > startup_s ? t - startup_s : 0; s < t; s++)
        ready = wanted[s] < ready ? wanted[s] : ready;
    return ready;
}

/* Share of a second's requests that waited longer than the objective. */
static double late_share(double first_s, double last_s, double objective_s)
{
    double low = fmin(first_s, last_s), high = fmax(first_s, last_s);

    if (low >= objective_s)
        return 1;
    if (high <= objective_s)
        return 0;
    return isfinite(high) ? (high - objective_s) / (high - low) : 1;
}

void pmo_queue_step(const struct pmo_queue_model *model, double waiting, uint32_t ready,
                    double requests, struct pmo_queue_second *second)
{
    double rate_rps = ready * model->capacity_rps;
    double end = fmax(0, waiting + requests - rate_rps);

    second->requests = requests;
    second->first_s = rate_rps > 0 ? waiting / rate_rps : INFINITY;
    second->last_s = rate_rps > 0 ? end / rate_rps : INFINITY;
    second->late = requests * late_share(second->first_s, second->last_s, model->objective_s);
    second->waiting = fmin(end, (rate_rps > 0 ? rate_rps : requests) * DROP_AFTER_S);
}

void pmo_queue_run(const struct pmo_queue_model *model, const double *demand,
                   const uint32_t *wanted, size_t seconds, struct pmo_queue_result *result,
                   double *late)
{
    struct pmo_queue_second second = {0};

    *result = (struct pmo_queue_result){0};
    for (size_t t = 0; t < seconds; t++) {
        pmo_queue_step(model, second.waiting, pmo_queue_ready(model, wanted, t), demand[t],
                       &second);
        result->requests += second.requests;
        result->late += second.late;
        result->instance_seconds += wanted[t];
        if (late)
            late[t] = second.requests > 0 ? second.late / second.requests : 0;
    }
}
