/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live agent decides when second t is over, by what it saw in it. So here the second first runs
 * with the instances as they were, which is what the planner is shown; then the count that it asks
 * for takes effect, in the same second, as queue.h has it.
 */
#include "agent/decide/simulator.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "agent/decide/plan.h"
#include "agent/forecast/study.h"

#define LATENCY_SECONDS  10 /* that the planner's latency is of */
#define LATENCY_QUANTILE 0.99
#define BISECTIONS       30 /* to less than a microsecond */

struct pmo_simulator {
    const struct pmo_queue_model *model;
    struct pmo_policy policy;
    struct pmo_forecaster *forecaster;
    struct pmo_study *study;
    struct pmo_forecast forecast;
    struct pmo_planner *planner;
    uint32_t *wanted;
    int64_t begin; /* second 0 in real time */
    size_t t;
    double load_rps;                               /* last that was known */
    double waiting;                                /* at the last second's end */
    struct pmo_queue_second past[LATENCY_SECONDS]; /* a ring */
};

int pmo_simulator_new(struct pmo_simulator **simulator, const struct pmo_queue_model *model,
                      const struct pmo_policy *policy, uint32_t *wanted)
{
    struct pmo_simulator *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    made->model = model;
    made->policy = *policy;
    made->policy.mode = PMO_MODE_ACT;
    made->wanted = wanted;
    if (pmo_forecaster_new(&made->forecaster) < 0 || pmo_study_new(&made->study) < 0 ||
        pmo_planner_new(&made->planner, 1) < 0) {
        pmo_simulator_free(&made);
        return -ENOMEM;
    }
    *simulator = made;
    return 0;
}

void pmo_simulator_free(struct pmo_simulator **simulator)
{
    if (!*simulator)
        return;
    pmo_forecaster_free(&(*simulator)->forecaster);
    pmo_study_free(&(*simulator)->study);
    pmo_planner_free(&(*simulator)->planner);
    free(*simulator);
    *simulator = NULL;
}

void pmo_simulator_begin(struct pmo_simulator *simulator, int64_t t)
{
    simulator->begin = t;
}

/* How many of a second's requests waited longer than @wait_s. */
static double longer(const struct pmo_queue_second *second, double wait_s)
{
    double low = fmin(second->first_s, second->last_s);
    double high = fmax(second->first_s, second->last_s);

    if (low > wait_s)
        return second->requests;
    return high > wait_s ? second->requests * (high - wait_s) / (high - low) : 0;
}

/* What all but a hundredth of the last seconds' requests waited at most; NAN: nothing came. */
static double latency(const struct pmo_queue_second *past)
{
    double requests = 0, low = 0, high = 0;

    for (size_t i = 0; i < LATENCY_SECONDS; i++) {
        requests += past[i].requests;
        high = fmax(high, fmax(past[i].first_s, past[i].last_s));
    }
    if (!(requests > 0))
        return NAN;
    for (size_t n = 0; n < BISECTIONS && high > 0; n++) {
        double middle = (low + high) / 2, count = 0;

        for (size_t i = 0; i < LATENCY_SECONDS; i++)
            count += longer(&past[i], middle);
        if (count > (1 - LATENCY_QUANTILE) * requests)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* As many as the load needs, where nobody has decided yet. */
static uint32_t first_count(const struct pmo_simulator *simulator)
{
    return (uint32_t)fmax(1, ceil(simulator->load_rps / simulator->model->capacity_rps));
}

int pmo_simulator_step(struct pmo_simulator *simulator, double requests)
{
    const struct pmo_queue_model *model = simulator->model;
    size_t t = simulator->t++;
    int64_t now = simulator->begin + (int64_t)t;
    uint32_t *wanted = simulator->wanted;
    struct pmo_queue_second *second = &simulator->past[t % LATENCY_SECONDS];
    struct pmo_service_state state = {.name = simulator->policy.service,
                                      /* an order takes effect in the second it is made in */
                                      .lead_time_s = fmax(0, model->startup_s - 1.0),
                                      .capacity_rps = model->capacity_rps,
                                      .forecast = &simulator->forecast,
                                      .answered = requests,
                                      .waiting_s = NAN,
                                      .cpu_cores = NAN};
    struct pmo_decision decision;
    int made;

    if (!isnan(requests)) {
        simulator->load_rps = requests;
        pmo_forecaster_observe(simulator->forecaster, now, requests);
        pmo_study_second(simulator->study, simulator->forecaster, now);
    }
    pmo_forecaster_predict(simulator->forecaster, &simulator->forecast);
    wanted[t] = t ? wanted[t - 1] : first_count(simulator);
    state.ready = pmo_queue_ready(model, wanted, t);
    state.starting = wanted[t] - state.ready;
    pmo_queue_step(model, simulator->waiting, state.ready, simulator->load_rps, second);
    state.load_rps = requests;
    state.in_flight = isnan(requests) ? NAN : second->waiting;
    state.latency_p99_s = latency(simulator->past);
    made = pmo_planner_decide(simulator->planner, &simulator->policy, PMO_MODE_ACT, &state, now,
                              &wanted[t], &decision);
    pmo_queue_step(model, simulator->waiting, pmo_queue_ready(model, wanted, t),
                   simulator->load_rps, second);
    simulator->waiting = second->waiting;
    return made < 0 ? made : 0;
}
