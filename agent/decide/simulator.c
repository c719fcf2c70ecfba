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
#include "agent/decide/lead_time.h"
#include "agent/decide/outcome.h"
#include "agent/decide/plan.h"
#include "agent/forecast/study.h"

#define LATENCY_SECONDS  10 /* that the planner's latency is of */
#define LATENCY_QUANTILE 0.99
#define BISECTIONS       30 /* to less than a microsecond */
#define LATE             0.01
#define BUSY             0.5
#define LEAD_QUANTILE    0.9
#define IDLE_CORES       0.02 /* of an instance that learning is shown */
#define REQUEST_CPU_S    0.01 /* CPU time of a request at first */
#define BASE_S           0.02 /* its latency without a queue */

struct pmo_simulator {
    const struct pmo_queue_model *model;
    struct pmo_policy policy;
    struct pmo_forecaster *forecaster;
    struct pmo_study *study;
    struct pmo_forecast forecast;
    struct pmo_planner *planner;
    double stated_rps; /* capacity, by the policy */
    double first_rps;  /* the model's, when it began */
    uint32_t *wanted;
    int64_t begin; /* second 0 in real time */
    size_t t;
    double load_rps;                               /* last that was known */
    double waiting;                                /* at the last second's end */
    struct pmo_queue_second past[LATENCY_SECONDS]; /* a ring */
    struct pmo_outcome outcome;
    bool learns;
    struct pmo_capacity capacity;
    struct pmo_capacity_estimate learned; /* from it */
    struct pmo_lead_times lead_times;
    uint32_t ready;  /* in the last second */
    uint64_t random; /* state */
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
    made->stated_rps = policy->capacity_rps;
    made->first_rps = model->capacity_rps;
    if (!(policy->capacity_rps > 0))
        made->policy.capacity_rps = model->capacity_rps;
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

void pmo_simulator_learn(struct pmo_simulator *simulator)
{
    simulator->learns = true;
    simulator->policy.capacity_rps = simulator->stated_rps;
}

void pmo_simulator_set_signals(struct pmo_simulator *simulator,
                               const double signal[PMO_LEADING_SIGNALS])
{
    pmo_forecaster_set_signals(simulator->forecaster, signal);
}

static double goal(const struct pmo_simulator *simulator)
{
    return simulator->policy.late > 0 ? simulator->policy.late : LATE;
}

struct pmo_capacity_estimate pmo_simulator_learned(const struct pmo_simulator *simulator)
{
    return simulator->learned;
}

/* 0.9 to 1.1 (Knuth's MMIX generator) */
static double noise(struct pmo_simulator *simulator)
{
    simulator->random = simulator->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return 0.9 + 0.2 * (double)(simulator->random >> 11) / 9007199254740992.0;
}

static double late_of(const struct pmo_queue_second *second)
{
    return second->requests > 0 ? second->late / second->requests : NAN;
}

/* What the second showed of @ready instances. @before: requests that waited at its begin */
static void learn(struct pmo_simulator *simulator, uint32_t ready, double before)
{
    const struct pmo_queue_model *model = simulator->model;
    const struct pmo_queue_second *second = &simulator->past[simulator->t % LATENCY_SECONDS];
    double answered = fmin(before + second->requests, ready * model->capacity_rps);
    double limit = IDLE_CORES + REQUEST_CPU_S * simulator->first_rps;
    struct pmo_capacity_second shown = {
        .answered = answered,
        .cpu_s = ready * IDLE_CORES +
                 answered * (limit - IDLE_CORES) / model->capacity_rps * noise(simulator),
        .limit_cores = limit,
        .latency_s = answered > 0
                         ? (BASE_S + (second->first_s + second->last_s) / 2) * noise(simulator)
                         : NAN,
        .late = late_of(second),
        .ready = ready,
    };

    pmo_capacity_observe(&simulator->capacity, (int64_t)simulator->t + 1, &shown,
                         simulator->policy.latency_objective_s, goal(simulator));
    simulator->learned = pmo_capacity_estimate(
        &simulator->capacity, simulator->policy.latency_objective_s, goal(simulator));
    for (; simulator->ready && simulator->ready < ready; simulator->ready++)
        pmo_lead_times_add(&simulator->lead_times, fmax(0, model->startup_s - 1.0));
    simulator->ready = ready;
}

/* What the planner is told of instances: see agent/learn.c. */
static void tell_learned(struct pmo_simulator *simulator, struct pmo_service_state *state)
{
    const struct pmo_policy *policy = &simulator->policy;

    state->capacity_rps = pmo_outcome_capacity(
        &simulator->outcome, pmo_capacity_planned(&simulator->learned, policy->capacity_rps));
    state->lead_time_s =
        pmo_lead_times_quantile(&simulator->lead_times, LEAD_QUANTILE, policy->lead_time_s);
}

/* The planner sees what came of its last orders. */
static void see_outcome(struct pmo_simulator *simulator, struct pmo_service_state *state)
{
    const struct pmo_queue_second *second = &simulator->past[simulator->t % LATENCY_SECONDS];
    double full = simulator->learned.saturation_rps;
    struct pmo_outcome_second came = {.load_rps = state->load_rps,
                                      .capacity_rps = state->ready * state->capacity_rps,
                                      .late = late_of(second),
                                      .busy =
                                          full > 0 && state->load_rps > BUSY * full * state->ready};

    pmo_outcome_observe(&simulator->outcome, (int64_t)simulator->t + 1, &came, goal(simulator));
    if (simulator->policy.late > 0)
        state->quantile = pmo_outcome_quantile(&simulator->outcome, simulator->policy.late);
}

int pmo_simulator_step(struct pmo_simulator *simulator, double requests)
{
    const struct pmo_queue_model *model = simulator->model;
    size_t t = simulator->t;
    double before = simulator->waiting;
    int64_t now = simulator->begin + (int64_t)t;
    uint32_t *wanted = simulator->wanted;
    struct pmo_queue_second *second = &simulator->past[t % LATENCY_SECONDS];
    struct pmo_service_state state = {.name = simulator->policy.service,
                                      /* an order takes effect in the second it is made in */
                                      .lead_time_s = fmax(0, model->startup_s - 1.0),
                                      .forecast = &simulator->forecast,
                                      .answered = requests,
                                      .wait_p99_s = NAN,
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
    if (simulator->learns) {
        learn(simulator, state.ready, before);
        tell_learned(simulator, &state);
    }
    see_outcome(simulator, &state);
    simulator->t++;
    made = pmo_planner_decide(simulator->planner, &simulator->policy, PMO_MODE_ACT, &state, now,
                              &wanted[t], &decision);
    pmo_queue_step(model, simulator->waiting, pmo_queue_ready(model, wanted, t),
                   simulator->load_rps, second);
    simulator->waiting = second->waiting;
    return made < 0 ? made : 0;
}
