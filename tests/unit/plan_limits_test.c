/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What holds a plan back: bounds, delays, limits of change. */
#include "tests/unit/plan_world.h"

#include <stdlib.h>
#include <string.h>
#include "tests/unit/suite.h"

static void it_stays_within_minimum_and_maximum_whatever_happens(void)
{
    struct plan_world w;

    srand(2);
    plan_begin(&w);
    w.policy.min = 3;
    w.policy.max = 5;
    w.policy.up_limit = 1;
    w.policy.up_period_s = 60;
    w.state.ready = 0;
    plan_rule(&w, "scale up by 4 instances if latency exceeds 10 ms");
    plan_rule(&w, "scale down by 4 instances if latency is below 5 ms");
    for (int i = 0; i < 1000; i++) {
        w.state.load_rps = rand() % 1000;
        w.state.latency_p99_s = rand() % 20 / 1000.0;
        plan_predict(&w, 1, 60, rand() % 1000, 0);
        (void)plan_carried_out(&w);
        CU_ASSERT_TRUE(w.wanted >= 3 && w.wanted <= 5);
    }
    plan_end(&w);
}

static void a_new_service_is_brought_to_its_minimum(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.ready = 0;
    w.policy.min = 2;
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 2);
    CU_ASSERT_STRING_EQUAL(w.decision.rule, "bounds");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "the policy's minimum is 2 instances; 0 ready, 0 starting");
    plan_end(&w);
}

static void fewer_only_after_they_have_been_enough_for_the_delay(void)
{
    struct plan_world w;

    plan_begin(&w);
    plan_predict(&w, 1, 60, 200, 0);
    (void)plan_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 5);
    plan_predict(&w, 1, 60, 80, 0);
    for (int i = 1; i < 20; i++) {
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
        CU_ASSERT_EQUAL(w.wanted, 5);
    }
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 2);
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "2 instances have been enough for 20 s; predicted load 80 rps (0.95 "
                           "quantile, next 5 s); 5 ready, 0 starting");
    plan_end(&w);
}

static void the_delay_holds_also_after_a_new_start(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.ready = 6;
    plan_predict(&w, 1, 60, 10, 0);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 1);
    plan_end(&w);
}

static void seconds_without_a_call_do_not_shorten_the_delay(void)
{
    struct plan_world w;

    plan_begin(&w);
    plan_predict(&w, 1, 60, 200, 0);
    (void)plan_carried_out(&w);
    w.t += 15; /* needed 5 for all that time, as far as is known */
    plan_predict(&w, 1, 60, 10, 0);
    for (int i = 0; i < 19; i++)
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    w.t += 100000;
    CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    plan_end(&w);
}

static void an_adopted_count_is_continued(void)
{
    struct plan_world w;

    plan_begin(&w);
    CU_ASSERT_EQUAL(pmo_planner_adopt(w.planner, "front", 5, w.t), 0);
    w.state.ready = 0; /* not found again yet */
    plan_predict(&w, 1, 60, 80, 0);
    for (int i = 0; i < 19; i++) {
        CU_ASSERT_EQUAL(plan_second(&w), 0);
        CU_ASSERT_EQUAL(w.wanted, 5);
    }
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 2);
    plan_end(&w);
}

static void changes_of_an_earlier_planner_count(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.up_limit = 3;
    w.policy.up_period_s = 60;
    CU_ASSERT_EQUAL(pmo_planner_adopt(w.planner, "front", 1, w.t), 0);
    CU_ASSERT_EQUAL(pmo_planner_adopt_change(w.planner, "front", 2, 4, w.t - 50), 0);
    CU_ASSERT_EQUAL(pmo_planner_adopt_change(w.planner, "front", 4, 1, w.t - 20), 0);
    plan_predict(&w, 1, 60, 400, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 2); /* one more than two that came 50 s ago */
    w.t += 10;
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 4);
    plan_end(&w);
}

static void limits_hold_over_any_period(void)
{
    struct plan_world w;
    uint32_t wanted[2000] = {1};

    srand(3);
    plan_begin(&w);
    w.policy.up_limit = 3;
    w.policy.up_period_s = 10;
    w.policy.down_limit = 1;
    w.policy.down_period_s = 5;
    w.policy.down_delay_s = 3;
    for (size_t i = 1; i < 2000; i++) {
        if (rand() % 15 == 0)
            plan_predict(&w, 1, 60, rand() % 540, 0);
        (void)plan_carried_out(&w);
        wanted[i] = w.wanted;
    }
    for (size_t i = 10; i < 2000; i++) {
        uint32_t up = 0, down = 0;

        for (size_t s = i - 9; s <= i; s++)
            up += wanted[s] > wanted[s - 1] ? wanted[s] - wanted[s - 1] : 0;
        for (size_t s = i - 4; s <= i; s++)
            down += wanted[s] < wanted[s - 1] ? wanted[s - 1] - wanted[s] : 0;
        CU_ASSERT_TRUE(up <= 3);
        CU_ASSERT_TRUE(down <= 1);
    }
    CU_ASSERT_TRUE(w.decisions > 100);
    plan_end(&w);
}

static void what_a_limit_held_back_is_told_and_follows(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.up_limit = 2;
    w.policy.up_period_s = 10;
    plan_predict(&w, 1, 60, 200, 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.decision.reason,
                                  "needs 5 instances of 50 rps at 90 %; held to 3 by the limit of "
                                  "2 per 10 s;"));
    for (int i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 5);
    plan_end(&w);
}

static void limits_in_recommend_mode_count_what_really_changed(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.mode = PMO_MODE_RECOMMEND;
    w.policy.up_limit = 2;
    w.policy.up_period_s = 10;
    plan_predict(&w, 1, 60, 400, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.to, 3);
    for (int i = 0; i < 30; i++)
        CU_ASSERT_EQUAL(plan_second(&w), 0); /* nobody followed: the same still stands */
    w.state.ready = 3;
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    for (int i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 3 && w.decision.to == 5);
    plan_end(&w);
}

static void noise_does_not_make_it_flap(void)
{
    struct plan_world w;

    srand(4);
    plan_begin(&w);
    for (int i = 0; i < 3600; i++) {
        double rps = 225 + rand() % 41 - 20; /* to and fro over what 5 instances take at 90 % */

        w.state.load_rps = rps;
        plan_predict(&w, 1, 60, rps, 10);
        (void)plan_carried_out(&w);
    }
    CU_ASSERT_TRUE(w.decisions <= 4);
    CU_ASSERT_EQUAL(w.wanted, 6);
    plan_end(&w);
}

static void an_instance_that_is_wanted_back_soon_is_kept(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.down_delay_s = 1;
    w.policy.lead_time_s = 12;
    plan_predict(&w, 1, 60, 80, 0);
    (void)plan_carried_out(&w);
    plan_predict(&w, 1, 60, 20, 0);
    plan_predict(&w, 15, 25, 80, 0); /* idle for 14 s, a start takes 12 of them */
    w.policy.quantile = 0.9;
    for (int h = 1; h <= 4; h++) /* and something might come meanwhile */
        w.forecast.value[h - 1][PMO_QUANTILES - 1] = 200;
    for (int i = 0; i < 5; i++)
        (void)plan_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 2);
    plan_predict(&w, 1, 60, 20, 0);
    plan_predict(&w, 50, 60, 80, 0); /* idle for much longer than a start takes */
    for (int i = 0; i < 5; i++)
        (void)plan_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 1);
    plan_end(&w);
}

SUITE(plan_limits) = {
    TEST(it_stays_within_minimum_and_maximum_whatever_happens),
    TEST(a_new_service_is_brought_to_its_minimum),
    TEST(fewer_only_after_they_have_been_enough_for_the_delay),
    TEST(the_delay_holds_also_after_a_new_start),
    TEST(seconds_without_a_call_do_not_shorten_the_delay),
    TEST(an_adopted_count_is_continued),
    TEST(changes_of_an_earlier_planner_count),
    TEST(limits_hold_over_any_period),
    TEST(what_a_limit_held_back_is_told_and_follows),
    TEST(limits_in_recommend_mode_count_what_really_changed),
    TEST(noise_does_not_make_it_flap),
    TEST(an_instance_that_is_wanted_back_soon_is_kept),
    {0},
};
