/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules of a policy, beside what is planned without them. */
#include "tests/unit/plan_world.h"

#include "tests/unit/suite.h"

static void the_seed_rule_scales_up_by_two(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.quantile = 0;
    w.state.ready = 3;
    plan_rule(&w, "scale up by 2 instances if predicted load exceeds 80 % of capacity");
    plan_predict(&w, 1, 60, 119, 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    plan_predict(&w, 1, 60, 129, 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 3 && w.decision.to == 5);
    CU_ASSERT_STRING_EQUAL(w.decision.rule,
                           "scale up by 2 instances if predicted load exceeds 80 % of capacity");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "predicted load 129 rps is 86 % of the capacity of 3 instances; 3 "
                           "ready, 0 starting");
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    plan_end(&w);
}

static void a_rule_acts_once_in_a_lead_time(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.quantile = 0;
    w.state.latency_p99_s = 0.3;
    plan_rule(&w, "scale up by 1 instance if latency exceeds 200 ms");
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3);
    CU_ASSERT_STRING_EQUAL(w.decision.reason, "latency is 300 ms; 2 ready, 0 starting");
    plan_end(&w);
}

static void a_condition_has_to_hold_for_its_time_and_each_time_anew(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.quantile = 0;
    w.state.ready = 5;
    w.state.load_rps = 10;
    plan_rule(&w, "scale down by 1 instance if load is below 20 % of capacity for 10s");
    for (int i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    w.state.load_rps = 100; /* interrupted */
    CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    w.state.load_rps = 10;
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 4);
    for (int i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3);
    plan_end(&w);
}

static void a_rule_of_several_conditions_acts_when_all_hold_and_says_what_they_were(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.quantile = 0;
    w.state.ready = 4;
    w.state.load_rps = 180;
    w.state.error_rate = 0.1;
    plan_rule(&w, "scale up by 2 instances if load > 80 % of capacity and error_rate < 5 %");
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    w.state.error_rate = 0.01;
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 6);
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "load 180 rps is 90 % of the capacity of 4 instances, error rate is "
                           "1.0 %; 4 ready, 0 starting");
    plan_end(&w);
}

static void no_rule_takes_away_what_is_needed(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.ready = 5;
    w.state.load_rps = 140;
    plan_predict(&w, 1, 60, 160, 0);
    plan_rule(&w, "scale to 1 instance if latency is below 1 s");
    w.state.latency_p99_s = 0.01;
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 4); /* the forecast's */
    w.policy.quantile = 0;
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3); /* the load's */
    CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    plan_end(&w);
}

static void the_rule_that_asks_for_most_wins(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.quantile = 0;
    w.state.ready = 4;
    w.state.load_rps = 150;
    plan_rule(&w, "scale to 6 instances if load exceeds 100 rps");
    plan_rule(&w, "scale to 9 instances if load exceeds 140 rps");
    plan_rule(&w, "scale down by 3 instances if load exceeds 120 rps");
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 9);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    plan_end(&w);
}

static void a_rule_and_the_forecast_do_not_pull_to_and_fro(void)
{
    struct plan_world w;

    plan_begin(&w); /* the forecast plans for 90 %, the rule starts at 60 % */
    plan_rule(&w, "scale up by 2 instances if predicted load exceeds 60 % of capacity");
    plan_predict(&w, 1, 60, 170, 0);
    w.state.load_rps = 160;
    for (int i = 0; i < 500; i++)
        (void)plan_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 6); /* the least at which the rule is quiet */
    CU_ASSERT_TRUE(w.decisions <= 3);
    plan_end(&w);
}

static void a_rule_holds_what_it_would_only_order_again(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.down_delay_s = 1;
    w.state.ready = 5;
    w.state.load_rps = 180; /* 4 instances at 90 %, and the forecast wants 4 */
    w.state.error_rate = 0.01;
    plan_predict(&w, 1, 60, 180, 0);
    plan_rule(&w, "scale up by 1 instance if utilization > 80 % and error_rate < 5 %");
    for (int i = 0; i < 30; i++)
        (void)plan_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 5);
    w.state.error_rate = 0.1; /* now it would not */
    for (int i = 0; i < 30; i++)
        (void)plan_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 4);
    plan_end(&w);
}

static void a_recommendation_by_rules_alone_ends_with_its_reason(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.mode = PMO_MODE_RECOMMEND;
    w.policy.quantile = 0;
    w.state.latency_p99_s = 0.3;
    plan_rule(&w, "scale up by 1 instance if latency exceeds 200 ms");
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 2);
    w.state.latency_p99_s = 0.1;
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 1);
    w.state.latency_p99_s = 0.3;
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    plan_end(&w);
}

static void asking_twice_in_a_second_changes_nothing(void)
{
    struct plan_world w;
    uint32_t wanted;

    plan_begin(&w);
    w.policy.quantile = 0;
    w.state.load_rps = 45;
    plan_rule(&w, "scale up by 2 instances if load exceeds 80 % of capacity");
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(
            pmo_planner_decide(w.planner, &w.policy, w.cap, &w.state, w.t, &wanted, &w.decision),
            0);
    CU_ASSERT_EQUAL(wanted, 3);
    plan_end(&w);
}

SUITE(plan_rules) = {
    TEST(the_seed_rule_scales_up_by_two),
    TEST(a_rule_acts_once_in_a_lead_time),
    TEST(a_condition_has_to_hold_for_its_time_and_each_time_anew),
    TEST(a_rule_of_several_conditions_acts_when_all_hold_and_says_what_they_were),
    TEST(no_rule_takes_away_what_is_needed),
    TEST(the_rule_that_asks_for_most_wins),
    TEST(a_rule_and_the_forecast_do_not_pull_to_and_fro),
    TEST(a_rule_holds_what_it_would_only_order_again),
    TEST(a_recommendation_by_rules_alone_ends_with_its_reason),
    TEST(asking_twice_in_a_second_changes_nothing),
    {0},
};
