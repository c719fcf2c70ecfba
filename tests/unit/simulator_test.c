/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/simulator.h"

#include <math.h>
#include <string.h>
#include "agent/decide/baseline.h"
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#define SECONDS 1500
#define NEWS    900 /* what comes from here on is not the same in every load */
#define HOLE    60  /* seconds before it that were not recorded */

static const struct pmo_queue_model model = {
    .capacity_rps = 10, .startup_s = 10, .objective_s = 0.25};
static const struct pmo_policy defaults = {.name = "simulated",
                                           .service = "front",
                                           .mode = PMO_MODE_RECOMMEND,
                                           .latency_objective_s = 0.25,
                                           .quantile = 0.95,
                                           .min = 1,
                                           .max = 10000,
                                           .target = 0.9,
                                           .down_delay_s = 60};
static double load[SECONDS];
static uint32_t wanted[SECONDS], others[SECONDS];

/* A wave of 60 rps with bursts to thrice as much, noise that is always the same, and a hole. */
static void make_load(double after)
{
    uint32_t noise = 1;

    for (size_t t = 0; t < SECONDS; t++) {
        noise = noise * 1664525 + 1013904223;
        load[t] = floor(60 + 30 * sin((double)t / 100) + (t % 500 / 20 == 12 ? 120 : 0) +
                        (double)(noise >> 28));
        if (t >= NEWS - HOLE && t < NEWS)
            load[t] = NAN;
        else if (t >= NEWS)
            load[t] *= after;
    }
}

static void simulate(const struct pmo_policy *policy, size_t seconds, uint32_t *counts)
{
    struct pmo_simulator *simulator = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_simulator_new(&simulator, &model, policy, counts), 0);
    for (size_t t = 0; t < seconds; t++)
        CU_ASSERT_EQUAL_FATAL(pmo_simulator_step(simulator, load[t]), 0);
    pmo_simulator_free(&simulator);
    CU_ASSERT_PTR_NULL(simulator);
}

static void the_same_load_gives_the_same_decisions(void)
{
    make_load(1);
    simulate(&defaults, SECONDS, wanted);
    simulate(&defaults, SECONDS, others);
    CU_ASSERT_EQUAL(memcmp(wanted, others, sizeof(wanted)), 0);
}

static void decisions_do_not_know_what_comes(void)
{
    make_load(1);
    simulate(&defaults, SECONDS, wanted);
    simulate(&defaults, NEWS - HOLE / 2, others);
    CU_ASSERT_EQUAL(memcmp(wanted, others, (NEWS - HOLE / 2) * sizeof(*wanted)), 0);
    make_load(10);
    simulate(&defaults, SECONDS, others);
    CU_ASSERT_EQUAL(memcmp(wanted, others, NEWS * sizeof(*wanted)), 0);
    CU_ASSERT_NOT_EQUAL(wanted[NEWS], others[NEWS]);
}

/* Bursts that come unannounced cost everybody a start. */
static void fewer_are_late_than_with_the_hpa_at_its_usual_target(void)
{
    struct pmo_queue_result own, hpa;

    make_load(1);
    simulate(&defaults, SECONDS, wanted);
    pmo_demand_fill(load, SECONDS);
    pmo_queue_run(&model, load, wanted, SECONDS, &own, NULL);
    pmo_hpa_run(load, SECONDS, model.capacity_rps, 0.7, 0, 1, 10000, others);
    pmo_queue_run(&model, load, others, SECONDS, &hpa, NULL);
    CU_ASSERT_TRUE(own.late < hpa.late / 2);
    CU_ASSERT_TRUE(own.instance_seconds < hpa.instance_seconds * 2);
}

static void what_is_not_recorded_is_no_reason_to_give_up_capacity(void)
{
    make_load(1);
    simulate(&defaults, SECONDS, wanted);
    CU_ASSERT_TRUE(wanted[NEWS - 1] * model.capacity_rps >= load[NEWS - HOLE - 1]);
}

static void a_policy_is_obeyed(void)
{
    struct pmo_policy policy = defaults;
    uint32_t most = 0, least = UINT32_MAX;

    make_load(1);
    policy.min = 8;
    policy.max = 9;
    simulate(&policy, SECONDS, wanted);
    for (size_t t = 0; t < SECONDS; t++) {
        most = wanted[t] > most ? wanted[t] : most;
        least = wanted[t] < least ? wanted[t] : least;
    }
    CU_ASSERT_EQUAL(most, 9);
    CU_ASSERT_EQUAL(least, 8);
    policy.capacity_rps = 100; /* goes before the model's */
    simulate(&policy, SECONDS, wanted);
    CU_ASSERT_EQUAL(wanted[SECONDS - 1], 8);
}

static void rules_see_the_queue(void)
{
    struct pmo_policy policy = defaults;
    char error[256];

    policy.quantile = 0; /* rules only */
    policy.max = 3;
    CU_ASSERT_EQUAL_FATAL(pmo_rule_parse(&policy.rules[0],
                                         "scale to 3 instances if latency exceeds 2s", error,
                                         sizeof(error)),
                          0);
    policy.rules_count = 1;
    for (size_t t = 0; t < 20; t++)
        load[t] = t < 10 ? 10 : 15;
    simulate(&policy, 20, wanted);
    for (size_t t = 0; t < 20; t++) /* waits grow by half a second a second, from second 10 on */
        CU_ASSERT_EQUAL(wanted[t], t < 14 ? 1 : 3);
}

/* What is learned of an instance in @seconds of load; from second @slower on it takes 40 % more. */
static double learn(const struct pmo_policy *policy, size_t seconds, size_t slower)
{
    struct pmo_simulator *simulator = NULL;
    struct pmo_queue_model changing = model;
    double rps;

    CU_ASSERT_EQUAL_FATAL(pmo_simulator_new(&simulator, &changing, policy, wanted), 0);
    pmo_simulator_learn(simulator);
    for (size_t t = 0; t < seconds; t++) {
        if (t == slower)
            changing.capacity_rps /= 1.4;
        CU_ASSERT_EQUAL_FATAL(pmo_simulator_step(simulator, load[t]), 0);
    }
    rps = pmo_simulator_learned(simulator).rps;
    pmo_simulator_free(&simulator);
    return rps;
}

/* Without bursts, at a target of 60 %. */
static struct pmo_policy make_little_load(void)
{
    struct pmo_policy policy = defaults;

    for (size_t t = 0; t < SECONDS; t++)
        load[t] = floor(60 + 30 * sin((double)t / 100) + (double)(t * 7 % 11));
    policy.target = 0.6;
    return policy;
}

static void capacity_is_learned_from_loads_far_below_it(void)
{
    struct pmo_policy policy = make_little_load();

    CU_ASSERT_DOUBLE_EQUAL(learn(&policy, 600, SECONDS), model.capacity_rps,
                           model.capacity_rps * 0.1);
    for (size_t t = 60; t < 600; t++)
        CU_ASSERT_TRUE(load[t] <= 0.65 * model.capacity_rps * pmo_queue_ready(&model, wanted, t));
}

static void a_version_that_is_slower_is_followed_within_minutes(void)
{
    struct pmo_policy policy = make_little_load();

    CU_ASSERT_DOUBLE_EQUAL(learn(&policy, 900 + 120, 900), model.capacity_rps / 1.4,
                           model.capacity_rps / 1.4 * 0.1);
}

static void who_learns_is_not_much_worse_than_who_knows(void)
{
    struct pmo_queue_result known, learned;

    make_load(1);
    simulate(&defaults, SECONDS, others);
    (void)learn(&defaults, SECONDS, SECONDS);
    pmo_demand_fill(load, SECONDS);
    pmo_queue_run(&model, load + 60, others + 60, SECONDS - 60, &known, NULL);
    pmo_queue_run(&model, load + 60, wanted + 60, SECONDS - 60, &learned, NULL);
    CU_ASSERT_TRUE(learned.late <= known.late);
    CU_ASSERT_TRUE(learned.instance_seconds <= known.instance_seconds * 1.08);
}

/* The load's quantile alone does not say how many are late; what comes of it corrects it. */
static void a_share_that_may_be_late_is_kept(void)
{
    struct pmo_policy policy = defaults;
    struct pmo_queue_result strict, lax;

    make_little_load();
    policy.quantile = 0.99;
    policy.late = 0.001;
    simulate(&policy, SECONDS, wanted);
    pmo_queue_run(&model, load, wanted, SECONDS, &strict, NULL);
    policy.late = 0.05;
    simulate(&policy, SECONDS, wanted);
    pmo_queue_run(&model, load, wanted, SECONDS, &lax, NULL);
    CU_ASSERT_TRUE(strict.late <= 0.002 * strict.requests);
    CU_ASSERT_TRUE(lax.late <= 0.05 * lax.requests);
    CU_ASSERT_TRUE(lax.instance_seconds < strict.instance_seconds);
}

#define KINDS 4

/* Loads of which the past says little: levels that jump at random, a random walk, a ramp that
 * breaks off, quiet with sudden spikes. */
static void make_bad_load(int kind, uint64_t seed)
{
    double level = 60;

    random_state = seed;
    for (size_t t = 0; t < SECONDS; t++) {
        if (kind == 0 && uniform() < 1 / 60.0)
            level = 20 + 180 * uniform();
        else if (kind == 1)
            level = fmin(250, fmax(10, level * exp(0.05 * normal())));
        else if (kind == 2)
            level = uniform() < 1 / 90.0 ? 30 : fmin(250, level * 1.015);
        else if (kind == 3)
            level = uniform() < 1 / 120.0 ? 200 : 30 + (level - 30) * 0.93;
        load[t] = poisson(level);
    }
}

/* The fast rule at 70 %, and at as much less as makes it cost as much as another. */
static void react(double instance_seconds, double late[2])
{
    struct pmo_queue_result result = {0};

    for (double target = 0.7; target == 0.7 || result.instance_seconds < instance_seconds;
         target *= 0.97) {
        pmo_fast_run(load, SECONDS, model.capacity_rps, target, others);
        pmo_queue_run(&model, load, others, SECONDS, &result, NULL);
        if (target == 0.7)
            late[0] = result.late;
    }
    late[1] = result.late;
}

/* Not later than who reacts, in no load; nor in all loads of a kind than who reacts at the same
 * cost, which that one would have to know before. */
static void where_forecasts_are_bad_it_is_no_worse_than_reactive(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        double own_late = 0, reactive_late = 0;

        for (uint64_t seed = 1; seed <= 2; seed++) {
            struct pmo_queue_result own;
            double late[2];

            make_bad_load(kind, seed);
            simulate(&defaults, SECONDS, wanted);
            pmo_queue_run(&model, load, wanted, SECONDS, &own, NULL);
            react(own.instance_seconds, late);
            CU_ASSERT_TRUE(own.late <= late[0]);
            own_late += own.late;
            reactive_late += late[1];
        }
        CU_ASSERT_TRUE(own_late <= reactive_late);
    }
}

SUITE(simulator) = {
    TEST(the_same_load_gives_the_same_decisions),
    TEST(decisions_do_not_know_what_comes),
    TEST(fewer_are_late_than_with_the_hpa_at_its_usual_target),
    TEST(what_is_not_recorded_is_no_reason_to_give_up_capacity),
    TEST(a_policy_is_obeyed),
    TEST(rules_see_the_queue),
    TEST(capacity_is_learned_from_loads_far_below_it),
    TEST(a_version_that_is_slower_is_followed_within_minutes),
    TEST(who_learns_is_not_much_worse_than_who_knows),
    TEST(a_share_that_may_be_late_is_kept),
    TEST(where_forecasts_are_bad_it_is_no_worse_than_reactive),
    {0},
};
