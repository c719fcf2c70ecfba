/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "agent/decide/plan.h"
#include "tests/unit/suite.h"

#define SERVICES 3

/* Services under one planner, whose orders are carried out at once. */
struct world {
    struct pmo_planner *planner;
    struct pmo_policy policies[SERVICES];
    struct pmo_service_state states[SERVICES];
    struct pmo_decision decisions[SERVICES]; /* the last ones */
    uint32_t wanted[SERVICES];
    int64_t t;
};

static void begin(struct world *w)
{
    static const char *const names[SERVICES] = {"a", "b", "c"};

    *w = (struct world){.t = 100000};
    CU_ASSERT_EQUAL_FATAL(pmo_planner_new(&w->planner, 1), 0);
    for (size_t i = 0; i < SERVICES; i++) {
        w->policies[i] = (struct pmo_policy){.name = "p",
                                             .mode = PMO_MODE_ACT,
                                             .latency_objective_s = 0.25,
                                             .quantile = 0.95,
                                             .min = 1,
                                             .max = 100,
                                             .capacity_rps = 50,
                                             .target = 0.9,
                                             .lead_time_s = 3,
                                             .down_delay_s = 5,
                                             .priority = 50};
        w->states[i] = (struct pmo_service_state){.name = names[i],
                                                  .latency_p99_s = NAN,
                                                  .error_rate = NAN,
                                                  .lead_time_s = NAN,
                                                  .ready = 1};
    }
}

static void run(struct world *w, size_t services, int seconds)
{
    for (int s = 0; s < seconds; s++) {
        w->t++;
        for (size_t i = 0; i < services; i++) {
            CU_ASSERT_TRUE(pmo_planner_decide(w->planner, &w->policies[i], PMO_MODE_ACT,
                                              &w->states[i], w->t, &w->wanted[i],
                                              &w->decisions[i]) >= 0);
            w->states[i].ready = w->wanted[i];
        }
    }
}

static void shares_are_minima_then_priorities_then_evenly(void)
{
    static const struct {
        struct pmo_wish wishes[SERVICES];
        uint32_t limit, granted[SERVICES];
    } cases[] = {
        {{{1, 5, 50}, {1, 5, 50}, {1, 5, 50}}, 20, {5, 5, 5}},
        {{{1, 5, 50}, {1, 5, 90}, {1, 5, 10}}, 15, {5, 5, 5}},
        {{{1, 5, 50}, {1, 5, 90}, {1, 5, 10}}, 12, {5, 5, 2}},
        {{{1, 5, 50}, {1, 5, 90}, {1, 5, 10}}, 8, {2, 5, 1}},
        {{{1, 5, 50}, {1, 5, 90}, {1, 5, 10}}, 4, {1, 2, 1}},
        {{{1, 5, 50}, {1, 5, 90}, {1, 5, 10}}, 2, {1, 1, 1}}, /* minima always */
        {{{1, 9, 50}, {1, 9, 50}, {1, 9, 50}}, 11, {4, 4, 3}},
        {{{1, 2, 50}, {1, 9, 50}, {1, 9, 50}}, 12, {2, 5, 5}},
        {{{1, 2, 50}, {1, 9, 50}, {1, 9, 50}}, 13, {2, 6, 5}},
        {{{6, 6, 0}, {1, 9, 100}, {1, 1, 0}}, 10, {6, 3, 1}},
    };

    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++)
        for (size_t i = 0; i < SERVICES; i++)
            CU_ASSERT_EQUAL(pmo_limits_grant(cases[c].wishes, SERVICES, i, cases[c].limit),
                            cases[c].granted[i]);
}

static void shares_add_up_to_the_limit(void)
{
    struct pmo_wish wishes[7];
    uint32_t seed = 1;

    for (int run = 0; run < 2000; run++) {
        uint32_t limit = run % 60, granted, all = 0, least = 0, most = 0;

        for (size_t i = 0; i < 7; i++) {
            seed = seed * 1664525 + 1013904223;
            wishes[i] = (struct pmo_wish){.min = 1 + (seed >> 8) % 3, .priority = (seed >> 16) % 3};
            wishes[i].wanted = wishes[i].min + (seed >> 24) % 9;
            least += wishes[i].min;
            most += wishes[i].wanted;
        }
        for (size_t i = 0; i < 7; i++) {
            granted = pmo_limits_grant(wishes, 7, i, limit);
            CU_ASSERT_TRUE(granted >= wishes[i].min && granted <= wishes[i].wanted);
            all += granted;
        }
        CU_ASSERT_EQUAL(all, limit <= least ? least : limit >= most ? most : limit);
    }
}

static void spending_rolls_with_its_period(void)
{
    const struct pmo_budget budget = {.instance_s = 1, .period_s = 3600};
    struct pmo_spending spending = {};
    double spent = 0;

    for (int64_t t = 7200; t < 7200 + 1800; t++)
        spent = pmo_spending_note(&spending, &budget, t, 4);
    CU_ASSERT_EQUAL(spent, 4 * 1800);
    for (int64_t t = 9000; t < 9000 + 7200; t++)
        spent = pmo_spending_note(&spending, &budget, t, 1);
    CU_ASSERT_TRUE(spent <= 3600 && spent >= 3600 - 36); /* to a hundredth */
    spent = pmo_spending_note(&spending, &budget, 9000 + 7200 + 99, 1);
    CU_ASSERT_TRUE(spent <= 3600 && spent >= 3600 - 36);
    CU_ASSERT_EQUAL(pmo_spending_note(&spending, &budget, 100000, 2), 2 * 3600);
}

static void a_budget_that_is_nearly_spent_leaves_what_the_load_needs(void)
{
    struct pmo_forecast forecast = {.trust = 1};
    struct world w;

    begin(&w);
    for (unsigned int h = 0; h < PMO_HORIZONS; h++)
        for (int i = 0; i < PMO_QUANTILES; i++)
            forecast.value[h][i] = 400;
    w.states[0].forecast = &forecast;
    w.states[0].load_rps = 120;
    w.policies[0].budget = (struct pmo_budget){.instance_s = 9 * 3600, .period_s = 7200};
    for (int s = 0; s < 3000; s++) {
        forecast.origin = w.t + 1;
        run(&w, 1, 1);
    }
    CU_ASSERT_EQUAL(w.wanted[0], 9);
    for (int s = 0; s < 600; s++) {
        forecast.origin = w.t + 1;
        run(&w, 1, 1);
    }
    CU_ASSERT_EQUAL(w.wanted[0], 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.decisions[0].reason,
                                  "; 8.1 of 9 instance-hours in 2 h are spent: only what the load "
                                  "needs now"));
    w.states[0].load_rps = 220; /* which is given */
    forecast.origin = w.t + 1;
    run(&w, 1, 1);
    CU_ASSERT_EQUAL(w.wanted[0], 5);
    w.states[0].load_rps = 1;
    w.policies[0].min = 2; /* and never fewer than this */
    run(&w, 1, 20);
    CU_ASSERT_EQUAL(w.wanted[0], 2);
    pmo_planner_free(&w.planner);
}

static void what_an_earlier_agent_spent_is_spent(void)
{
    struct world w;

    begin(&w);
    w.states[0].load_rps = 1;
    w.policies[0].min = 2;
    w.policies[0].rules_count = 1;
    CU_ASSERT_EQUAL_FATAL(pmo_rule_parse(&w.policies[0].rules[0],
                                         "scale to 4 instances if load > 0 rps", (char[64]){0}, 64),
                          0);
    w.policies[0].budget = (struct pmo_budget){.instance_s = 9 * 3600, .period_s = 7200};
    CU_ASSERT_EQUAL(pmo_planner_adopt_spending(w.planner, "a", 8.5 * 3600, w.t), 0);
    run(&w, 1, 30);
    CU_ASSERT_EQUAL(w.wanted[0], 2);
    run(&w, 1, 3600); /* half of it is a period old */
    CU_ASSERT_EQUAL(w.wanted[0], 4);
    pmo_planner_free(&w.planner);
}

static void the_hosts_bound_goes_by_priority(void)
{
    struct world w;

    begin(&w);
    pmo_planner_limit(w.planner, 12);
    w.policies[1].priority = 90;
    for (size_t i = 0; i < SERVICES; i++)
        w.states[i].load_rps = 100; /* 3 instances at 70 % */
    run(&w, SERVICES, 3);
    CU_ASSERT_TRUE(w.wanted[0] == 3 && w.wanted[1] == 3 && w.wanted[2] == 3);
    w.states[1].load_rps = 250; /* 8 */
    run(&w, SERVICES, 2);
    CU_ASSERT_TRUE(w.wanted[0] == 2 && w.wanted[1] == 8 && w.wanted[2] == 2);
    CU_ASSERT_STRING_EQUAL(w.decisions[0].rule, "limits");
    CU_ASSERT_STRING_EQUAL(w.decisions[0].reason,
                           "held to 2: all services together have 12 instances (priority 50); 3 "
                           "ready, 0 starting");
    w.states[1].load_rps = 100;
    run(&w, SERVICES, 20);
    CU_ASSERT_TRUE(w.wanted[0] == 3 && w.wanted[1] == 3 && w.wanted[2] == 3);
    pmo_planner_free(&w.planner);
}

SUITE(limits) = {
    TEST(shares_are_minima_then_priorities_then_evenly),
    TEST(shares_add_up_to_the_limit),
    TEST(spending_rolls_with_its_period),
    TEST(a_budget_that_is_nearly_spent_leaves_what_the_load_needs),
    TEST(what_an_earlier_agent_spent_is_spent),
    TEST(the_hosts_bound_goes_by_priority),
    {0},
};
