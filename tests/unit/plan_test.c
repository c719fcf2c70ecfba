/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wanted of a service: by forecast, load, what waits, costs and mode. */
#include "tests/unit/plan_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/suite.h"

static void more_is_ordered_at_once_for_what_is_predicted(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.ready = 2;
    w.state.starting = 1;
    w.state.load_rps = 120;
    plan_predict(&w, 1, 60, 100, 0);
    plan_predict(&w, 5, 5, 182, 0); /* lead time 3 s and two for deciding */
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 5);
    CU_ASSERT_TRUE(w.decision.from == 3 && w.decision.to == 5);
    CU_ASSERT_STRING_EQUAL(w.decision.rule, "forecast");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "predicted load 182 rps (0.95 quantile, next 5 s) needs 5 instances of "
                           "50 rps at 90 %; 2 ready, 1 starting");
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 5);
    plan_end(&w);
}

static void what_comes_after_the_lead_time_is_not_ordered_yet(void)
{
    struct plan_world w;

    plan_begin(&w);
    plan_predict(&w, 1, 60, 20, 0);
    plan_predict(&w, 6, 60, 500, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 1);
    plan_end(&w);
}

static void a_decision_carries_the_numbers_that_led_to_it(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.ready = 2;
    w.state.load_rps = 120;
    plan_predict(&w, 1, 60, 180, 0);
    CU_ASSERT_EQUAL_FATAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.id, 1);
    CU_ASSERT_EQUAL(w.decision.t, w.t);
    CU_ASSERT_STRING_EQUAL(w.decision.service, "front");
    CU_ASSERT_STRING_EQUAL(w.decision.policy, "front");
    CU_ASSERT_EQUAL(w.decision.mode, PMO_MODE_ACT);
    CU_ASSERT_EQUAL(w.decision.ready, 2);
    CU_ASSERT_EQUAL(w.decision.load_rps, 120);
    CU_ASSERT_DOUBLE_EQUAL(w.decision.predicted_rps, 180, 1e-3);
    CU_ASSERT_EQUAL(w.decision.quantile, 0.95);
    CU_ASSERT_EQUAL(w.decision.horizon_s, 5);
    CU_ASSERT_EQUAL(w.decision.capacity_rps, 50);
    CU_ASSERT_DOUBLE_EQUAL(w.decision.utilization, 1.8, 1e-6);
    CU_ASSERT_FALSE(w.decision.carried_out);
    plan_end(&w);
}

static void ids_count_up_only_when_a_decision_is_made(void)
{
    struct plan_world w;

    plan_begin(&w);
    plan_predict(&w, 1, 60, 10, 0);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(plan_second(&w), 0);
    plan_predict(&w, 1, 60, 100, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.id, 1);
    plan_predict(&w, 1, 60, 200, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.id, 2);
    plan_end(&w);
}

static void it_never_plans_for_less_than_the_load(void)
{
    struct plan_world w;

    srand(1);
    plan_begin(&w);
    plan_predict(&w, 1, 60, 0, 0); /* trusted, and always wrong */
    for (int i = 0; i < 1000; i++) {
        w.state.load_rps = rand() % 600;
        (void)plan_carried_out(&w);
        CU_ASSERT_TRUE(w.wanted * w.policy.capacity_rps >= w.state.load_rps);
    }
    plan_end(&w);
}

static void without_a_trusted_forecast_the_load_decides(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.load_rps = 100;
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3); /* 100 / (50 * 0.7) */
    CU_ASSERT_STRING_EQUAL(w.decision.rule, "reactive");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "load 100 rps needs 3 instances of 50 rps at 70 % (no trusted "
                           "forecast); 1 ready, 0 starting");
    plan_predict(&w, 1, 60, 400, 0);
    w.forecast.trust = 0.2F;
    CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    w.forecast.trust = 1;
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 9);
    plan_end(&w);
}

static void a_stale_forecast_is_not_used(void)
{
    struct plan_world w;
    uint32_t wanted;

    plan_begin(&w);
    plan_predict(&w, 1, 60, 400, 0);
    w.forecast.origin = w.t - 11;
    CU_ASSERT_EQUAL(
        pmo_planner_decide(w.planner, &w.policy, PMO_MODE_ACT, &w.state, w.t, &wanted, &w.decision),
        0);
    CU_ASSERT_EQUAL(wanted, 1);
    plan_end(&w);
}

static void nothing_known_changes_nothing(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.ready = 4;
    w.state.load_rps = NAN;
    w.state.in_flight = NAN;
    w.policy.capacity_rps = 0;
    plan_rule(&w, "scale up by 2 instances if predicted load exceeds 80 % of capacity");
    plan_rule(&w, "scale down by 1 instance if error rate is below 1 %");
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 4);
    plan_end(&w);
}

/* An instance is known to take 20 rps, whatever is stated; 90 rps are predicted. */
static void plan_for_known_capacity(struct plan_world *w, double stated_rps, double lead_time_s)
{
    plan_begin(w);
    w->policy.capacity_rps = stated_rps;
    w->state.capacity_rps = 20;
    w->state.lead_time_s = lead_time_s;
    plan_predict(w, 1, 60, 90, 0);
    CU_ASSERT_EQUAL(plan_second(w), 1);
    CU_ASSERT_EQUAL(w->wanted, 5);
    CU_ASSERT_EQUAL(w->decision.capacity_rps, 20);
}

static void a_learned_capacity_serves_where_none_is_stated(void)
{
    struct plan_world w;

    plan_for_known_capacity(&w, 0, NAN);
    plan_end(&w);
}

static void what_is_known_of_capacity_and_lead_time_goes_before_what_is_stated(void)
{
    struct plan_world w;

    plan_for_known_capacity(&w, 50, 10); /* the policy states 3 s */
    CU_ASSERT_EQUAL(w.decision.horizon_s, 12);
    plan_end(&w);
}

/* One instance too few costs 50 late requests a second, one too many a 3600th of its hour. */
static void costs_give_the_critical_ratio(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.instance_hour = 3.6;
    w.policy.late_request = 0.0001;
    plan_predict(&w, 1, 60, 190, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_DOUBLE_EQUAL(w.decision.quantile, 0.005 / (0.005 + 0.001), 1e-9);
    w.policy.late_request = 1;
    plan_predict(&w, 1, 60, 390, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_DOUBLE_EQUAL(w.decision.quantile, 0.999, 1e-9);
    plan_end(&w);
}

static void what_outcomes_ask_for_goes_before_the_stated_quantile(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.quantile = 0.7;
    plan_predict(&w, 1, 60, 190, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.quantile, 0.7);
    plan_end(&w);
}

static void a_decision_says_what_is_expected_of_it_and_of_its_neighbours(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.target = 1;
    plan_predict(&w, 1, 60, 200,
                 100); /* median 200: four instances of 50 hold it half of the time */
    w.policy.quantile = 0.5;
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.to, 4);
    CU_ASSERT_DOUBLE_EQUAL(w.decision.over, 0.5, 1e-6);
    CU_ASSERT_TRUE(w.decision.over_fewer > 0.6);
    CU_ASSERT_TRUE(w.decision.over_more < 0.4);
    CU_ASSERT_TRUE(isnan(w.decision.came_over));
    plan_end(&w);
}

static void trust_that_was_lost_has_to_return_clearly(void)
{
    static const struct {
        float trust;
        double predicted_rps;
    } steps[] = {{0.4F, 100}, {0.55F, 400}, {0.49F, 100}, {0.55F, 100}, {0.6F, 400}, {0.55F, 400}};
    struct plan_world w;

    plan_begin(&w);
    w.state.load_rps = 100;
    plan_predict(&w, 1, 60, 400, 0);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        w.forecast.trust = steps[i].trust;
        w.policy.min = w.policy.min % 2 + 1; /* so that there is a decision */
        w.policy.max = w.policy.min;
        CU_ASSERT_EQUAL(plan_second(&w), 1);
        CU_ASSERT_EQUAL(w.decision.predicted_rps, steps[i].predicted_rps);
    }
    plan_end(&w);
}

/* 100 rps explain 25 requests at an objective of 250 ms. */
static void each_signal_of_the_kernel_shows_what_waits(void)
{
    for (int i = 0; i < 3; i++) {
        struct plan_world w;

        plan_begin(&w);
        w.state.ready = 2;
        w.state.load_rps = 100;
        if (i == 0)
            w.state.in_flight = 325;
        else if (i == 1)
            w.state.accept_queue = 325;
        else
            w.state.wait_mean_s = 3.25;
        CU_ASSERT_EQUAL(plan_second(&w), 1);
        CU_ASSERT_EQUAL(w.wanted, 4); /* (100 + 300 / 3 s) / 50 rps */
        CU_ASSERT_PTR_NOT_NULL(strstr(w.decision.reason, "and 300 requests waiting"));
        plan_end(&w);
    }
}

static void what_has_piled_up_gets_capacity_to_drain(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.state.ready = 2;
    w.state.load_rps = 90;
    plan_predict(&w, 1, 60, 80, 0);
    w.state.in_flight = 22; /* within the objective: 90 rps * 0.25 s */
    CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    w.state.in_flight = 22.5 + 180; /* 180 to serve in 3 s */
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3);
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "load 90 rps and 180 requests waiting need 3 instances of 50 rps; 2 "
                           "ready, 0 starting");
    w.state.in_flight = 1e6; /* waits for something else: twice the load at most */
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 4);
    plan_end(&w);
}

static void recommendations_are_made_once_and_count_from_what_is_there(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.mode = PMO_MODE_RECOMMEND;
    w.state.ready = 2;
    plan_predict(&w, 1, 60, 200, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 2 && w.decision.to == 5);
    CU_ASSERT_EQUAL(w.decision.mode, PMO_MODE_RECOMMEND);
    for (int i = 0; i < 100; i++) { /* nobody follows, the need goes to and fro */
        plan_predict(&w, 1, 60, i % 2 ? 200 : 160, 0);
        CU_ASSERT_EQUAL(plan_second(&w), 0);
        CU_ASSERT_EQUAL(w.wanted, 5);
    }
    plan_predict(&w, 1, 60, 260, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 2 && w.decision.to == 6);
    w.state.ready = 4; /* followed half-way */
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    w.state.ready = 6; /* followed */
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    plan_predict(&w, 1, 60, 290, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 6 && w.decision.to == 7);
    plan_predict(&w, 1, 60, 260, 0); /* is no longer needed after the delay: withdrawn */
    for (int i = 0; i < 30; i++)
        CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 6);
    plan_end(&w);
}

static void observing_decides_nothing(void)
{
    struct plan_world w;

    plan_begin(&w);
    w.policy.mode = PMO_MODE_OBSERVE;
    plan_predict(&w, 1, 60, 200, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 1);
    w.policy.mode = PMO_MODE_ACT;
    w.cap = PMO_MODE_OBSERVE;
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    w.cap = PMO_MODE_RECOMMEND;
    CU_ASSERT_EQUAL(plan_second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.mode, PMO_MODE_RECOMMEND);
    plan_end(&w);
}

static void services_are_decided_for_each_by_itself(void)
{
    struct plan_world w;

    plan_begin(&w);
    plan_predict(&w, 1, 60, 200, 0);
    (void)plan_second(&w);
    w.state.name = "catalog";
    plan_predict(&w, 1, 60, 10, 0);
    CU_ASSERT_EQUAL(plan_second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 1);
    plan_end(&w);
}

/* One instance a request: what is wanted is what the load is taken for. */
static void go_blind(struct plan_world *w, double rps)
{
    plan_begin(w);
    w->policy.quantile = 0.5;
    w->policy.max = 100;
    w->policy.target = 1;
    w->policy.capacity_rps = 1;
    w->policy.lead_time_s = 1;
    plan_predict(w, 1, 60, rps, 0);
    for (int i = 0; i < 200; i++) {
        w->state.load_rps = rps;
        (void)plan_carried_out(w);
    }
    w->state.load_rps = NAN;
    w->state.in_flight = NAN;
}

static void a_blind_second_gives_nothing_up(void)
{
    struct plan_world w;

    for (int forecast = 0; forecast <= 1; forecast++) {
        go_blind(&w, 20);
        CU_ASSERT_EQUAL(w.wanted, 20);
        plan_predict(&w, 1, 60, 0, 0); /* whatever is forecast, or nothing */
        if (!forecast)
            w.state.forecast = NULL;
        for (int i = 0; i < 3600; i++) {
            uint32_t before = w.wanted;

            (void)plan_carried_out(&w);
            CU_ASSERT_FATAL(w.wanted >= before);
        }
        plan_end(&w);
    }
}

/* known * (1 + sqrt(seconds / 3600)) */
static void blindness_costs_with_the_square_root_of_time(void)
{
    static const int64_t seconds[] = {1, 36, 144, 900, 3600, 14400};
    static const double share[] = {1.0 / 60, 0.1, 0.2, 0.5, 1, 2};
    struct plan_world w;
    int64_t since;

    go_blind(&w, 20);
    since = w.t;
    for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
        while (w.t < since + seconds[i])
            (void)plan_carried_out(&w);
        CU_ASSERT_DOUBLE_EQUAL(w.wanted, ceil(20 * (1 + share[i])), 1);
    }
    CU_ASSERT(isnan(w.decision.load_rps)); /* which is told as it was */
    plan_end(&w);
}

static void the_first_second_that_is_seen_ends_blindness(void)
{
    struct plan_world w;

    go_blind(&w, 20);
    for (int i = 0; i < 3600; i++)
        (void)plan_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 40);
    w.state.load_rps = 20;
    w.state.in_flight = 0;
    for (int i = 0; i < 19; i++) /* as after any other time of need */
        CU_ASSERT_EQUAL(plan_carried_out(&w), 0);
    CU_ASSERT_EQUAL(plan_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 20);
    w.state.load_rps = NAN; /* and the next blind time begins anew */
    for (int i = 0; i < 36; i++)
        (void)plan_carried_out(&w);
    CU_ASSERT_DOUBLE_EQUAL(w.wanted, 22, 1);
    plan_end(&w);
}

SUITE(plan) = {
    TEST(more_is_ordered_at_once_for_what_is_predicted),
    TEST(what_comes_after_the_lead_time_is_not_ordered_yet),
    TEST(a_decision_carries_the_numbers_that_led_to_it),
    TEST(ids_count_up_only_when_a_decision_is_made),
    TEST(it_never_plans_for_less_than_the_load),
    TEST(without_a_trusted_forecast_the_load_decides),
    TEST(a_stale_forecast_is_not_used),
    TEST(nothing_known_changes_nothing),
    TEST(a_learned_capacity_serves_where_none_is_stated),
    TEST(what_is_known_of_capacity_and_lead_time_goes_before_what_is_stated),
    TEST(costs_give_the_critical_ratio),
    TEST(what_outcomes_ask_for_goes_before_the_stated_quantile),
    TEST(a_decision_says_what_is_expected_of_it_and_of_its_neighbours),
    TEST(trust_that_was_lost_has_to_return_clearly),
    TEST(each_signal_of_the_kernel_shows_what_waits),
    TEST(what_has_piled_up_gets_capacity_to_drain),
    TEST(recommendations_are_made_once_and_count_from_what_is_there),
    TEST(observing_decides_nothing),
    TEST(services_are_decided_for_each_by_itself),
    TEST(a_blind_second_gives_nothing_up),
    TEST(blindness_costs_with_the_square_root_of_time),
    TEST(the_first_second_that_is_seen_ends_blindness),
    {0},
};
