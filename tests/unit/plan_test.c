/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/suite.h"

/* A service whose orders are carried out: instances start for the lead time, then are ready. */
struct world {
    struct pmo_planner *planner;
    struct pmo_policy policy;
    struct pmo_service_state state;
    struct pmo_forecast forecast;
    struct pmo_decision decision; /* the last one */
    enum pmo_mode cap;
    int64_t t;
    uint32_t wanted;
    unsigned int decisions;
};

static void begin(struct world *w)
{
    *w = (struct world){.cap = PMO_MODE_ACT, .t = 1000};
    w->policy = (struct pmo_policy){
        .name = "front",
        .service = "front",
        .mode = PMO_MODE_ACT,
        .latency_objective_s = 0.25,
        .quantile = 0.95,
        .min = 1,
        .max = 12,
        .capacity_rps = 50,
        .target = 0.9,
        .lead_time_s = 3,
        .down_delay_s = 20,
    };
    w->state = (struct pmo_service_state){
        .name = "front", .latency_p99_s = NAN, .error_rate = NAN, .lead_time_s = NAN, .ready = 1};
    CU_ASSERT_EQUAL_FATAL(pmo_planner_new(&w->planner, 1), 0);
}

static void end(struct world *w)
{
    pmo_planner_free(&w->planner);
    CU_ASSERT_PTR_NULL(w->planner);
}

static void add_rule(struct world *w, const char *text)
{
    char error[256];

    CU_ASSERT_EQUAL_FATAL(
        pmo_rule_parse(&w->policy.rules[w->policy.rules_count++], text, error, sizeof(error)), 0);
}

/* A trusted forecast: everything at @rps with a spread of @spread on either side. */
static void predict(struct world *w, unsigned int from, unsigned int to, double rps, double spread)
{
    w->forecast.trust = 1;
    w->state.forecast = &w->forecast;
    for (unsigned int h = from; h <= to; h++)
        for (int i = 0; i < PMO_QUANTILES; i++)
            w->forecast.value[h - 1][i] = (float)(rps + spread * (2 * pmo_quantiles[i] - 1));
}

/* One second passes; returns whether there was a decision. */
static int second(struct world *w)
{
    int r;

    w->t++;
    w->forecast.origin = w->t;
    r = pmo_planner_decide(w->planner, &w->policy, w->cap, &w->state, w->t, &w->wanted,
                           &w->decision);
    w->decisions += r;
    return r;
}

/* What was ordered is there at once. */
static int second_carried_out(struct world *w)
{
    int r = second(w);

    w->state.ready = w->wanted;
    return r;
}

static void more_is_ordered_at_once_for_what_is_predicted(void)
{
    struct world w;

    begin(&w);
    w.state.ready = 2;
    w.state.starting = 1;
    w.state.load_rps = 120;
    predict(&w, 1, 60, 100, 0);
    predict(&w, 5, 5, 182, 0); /* lead time 3 s and two for deciding */
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 5);
    CU_ASSERT_TRUE(w.decision.from == 3 && w.decision.to == 5);
    CU_ASSERT_STRING_EQUAL(w.decision.rule, "forecast");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "predicted load 182 rps (0.95 quantile, next 5 s) needs 5 instances of "
                           "50 rps at 90 %; 2 ready, 1 starting");
    CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 5);
    end(&w);
}

static void what_comes_after_the_lead_time_is_not_ordered_yet(void)
{
    struct world w;

    begin(&w);
    predict(&w, 1, 60, 20, 0);
    predict(&w, 6, 60, 500, 0);
    CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 1);
    end(&w);
}

static void a_decision_carries_the_numbers_that_led_to_it(void)
{
    struct world w;

    begin(&w);
    w.state.ready = 2;
    w.state.load_rps = 120;
    predict(&w, 1, 60, 180, 0);
    CU_ASSERT_EQUAL_FATAL(second(&w), 1);
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
    end(&w);
}

static void ids_count_up_only_when_a_decision_is_made(void)
{
    struct world w;

    begin(&w);
    predict(&w, 1, 60, 10, 0);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(second(&w), 0);
    predict(&w, 1, 60, 100, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.id, 1);
    predict(&w, 1, 60, 200, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.id, 2);
    end(&w);
}

static void it_never_plans_for_less_than_the_load(void)
{
    struct world w;

    srand(1);
    begin(&w);
    predict(&w, 1, 60, 0, 0); /* trusted, and always wrong */
    for (int i = 0; i < 1000; i++) {
        w.state.load_rps = rand() % 600;
        (void)second_carried_out(&w);
        CU_ASSERT_TRUE(w.wanted * w.policy.capacity_rps >= w.state.load_rps);
    }
    end(&w);
}

static void it_stays_within_minimum_and_maximum_whatever_happens(void)
{
    struct world w;

    srand(2);
    begin(&w);
    w.policy.min = 3;
    w.policy.max = 5;
    w.policy.up_limit = 1;
    w.policy.up_period_s = 60;
    w.state.ready = 0;
    add_rule(&w, "scale up by 4 instances if latency exceeds 10 ms");
    add_rule(&w, "scale down by 4 instances if latency is below 5 ms");
    for (int i = 0; i < 1000; i++) {
        w.state.load_rps = rand() % 1000;
        w.state.latency_p99_s = rand() % 20 / 1000.0;
        predict(&w, 1, 60, rand() % 1000, 0);
        (void)second_carried_out(&w);
        CU_ASSERT_TRUE(w.wanted >= 3 && w.wanted <= 5);
    }
    end(&w);
}

static void a_new_service_is_brought_to_its_minimum(void)
{
    struct world w;

    begin(&w);
    w.state.ready = 0;
    w.policy.min = 2;
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 2);
    CU_ASSERT_STRING_EQUAL(w.decision.rule, "bounds");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "the policy's minimum is 2 instances; 0 ready, 0 starting");
    end(&w);
}

static void fewer_only_after_they_have_been_enough_for_the_delay(void)
{
    struct world w;

    begin(&w);
    predict(&w, 1, 60, 200, 0);
    (void)second_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 5);
    predict(&w, 1, 60, 80, 0);
    for (int i = 1; i < 20; i++) {
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
        CU_ASSERT_EQUAL(w.wanted, 5);
    }
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 2);
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "2 instances have been enough for 20 s; predicted load 80 rps (0.95 "
                           "quantile, next 5 s); 5 ready, 0 starting");
    end(&w);
}

static void the_delay_holds_also_after_a_new_start(void)
{
    struct world w;

    begin(&w);
    w.state.ready = 6;
    predict(&w, 1, 60, 10, 0);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 1);
    end(&w);
}

static void limits_hold_over_any_period(void)
{
    struct world w;
    uint32_t wanted[2000] = {1};

    srand(3);
    begin(&w);
    w.policy.up_limit = 3;
    w.policy.up_period_s = 10;
    w.policy.down_limit = 1;
    w.policy.down_period_s = 5;
    w.policy.down_delay_s = 3;
    for (size_t i = 1; i < 2000; i++) {
        if (rand() % 15 == 0)
            predict(&w, 1, 60, rand() % 540, 0);
        (void)second_carried_out(&w);
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
    end(&w);
}

static void what_a_limit_held_back_is_told_and_follows(void)
{
    struct world w;

    begin(&w);
    w.policy.up_limit = 2;
    w.policy.up_period_s = 10;
    predict(&w, 1, 60, 200, 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.decision.reason,
                                  "needs 5 instances of 50 rps at 90 %; held to 3 by the limit of "
                                  "2 per 10 s;"));
    for (int i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 5);
    end(&w);
}

static void noise_does_not_make_it_flap(void)
{
    struct world w;

    srand(4);
    begin(&w);
    for (int i = 0; i < 3600; i++) {
        double rps = 225 + rand() % 41 - 20; /* to and fro over what 5 instances take at 90 % */

        w.state.load_rps = rps;
        predict(&w, 1, 60, rps, 10);
        (void)second_carried_out(&w);
    }
    CU_ASSERT_TRUE(w.decisions <= 4);
    CU_ASSERT_EQUAL(w.wanted, 6);
    end(&w);
}

static void an_instance_that_is_wanted_back_soon_is_kept(void)
{
    struct world w;

    begin(&w);
    w.policy.down_delay_s = 1;
    w.policy.lead_time_s = 12;
    predict(&w, 1, 60, 80, 0);
    (void)second_carried_out(&w);
    predict(&w, 1, 60, 20, 0);
    predict(&w, 15, 25, 80, 0); /* idle for 14 s, a start takes 12 of them */
    w.policy.quantile = 0.9;
    for (int h = 1; h <= 4; h++) /* and something might come meanwhile */
        w.forecast.value[h - 1][PMO_QUANTILES - 1] = 200;
    for (int i = 0; i < 5; i++)
        (void)second_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 2);
    predict(&w, 1, 60, 20, 0);
    predict(&w, 50, 60, 80, 0); /* idle for much longer than a start takes */
    for (int i = 0; i < 5; i++)
        (void)second_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 1);
    end(&w);
}

static void without_a_trusted_forecast_the_load_decides(void)
{
    struct world w;

    begin(&w);
    w.state.load_rps = 100;
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3); /* 100 / (50 * 0.7) */
    CU_ASSERT_STRING_EQUAL(w.decision.rule, "reactive");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "load 100 rps needs 3 instances of 50 rps at 70 % (no trusted "
                           "forecast); 1 ready, 0 starting");
    predict(&w, 1, 60, 400, 0);
    w.forecast.trust = 0.2F;
    CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    w.forecast.trust = 1;
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 9);
    end(&w);
}

static void a_stale_forecast_is_not_used(void)
{
    struct world w;
    uint32_t wanted;

    begin(&w);
    predict(&w, 1, 60, 400, 0);
    w.forecast.origin = w.t - 11;
    CU_ASSERT_EQUAL(
        pmo_planner_decide(w.planner, &w.policy, PMO_MODE_ACT, &w.state, w.t, &wanted, &w.decision),
        0);
    CU_ASSERT_EQUAL(wanted, 1);
    end(&w);
}

static void nothing_known_changes_nothing(void)
{
    struct world w;

    begin(&w);
    w.state.ready = 4;
    w.state.load_rps = NAN;
    w.state.in_flight = NAN;
    w.policy.capacity_rps = 0;
    add_rule(&w, "scale up by 2 instances if predicted load exceeds 80 % of capacity");
    add_rule(&w, "scale down by 1 instance if error rate is below 1 %");
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 4);
    end(&w);
}

static void a_learned_capacity_serves_where_none_is_stated(void)
{
    struct world w;

    begin(&w);
    w.policy.capacity_rps = 0;
    w.state.capacity_rps = 20;
    predict(&w, 1, 60, 90, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 5);
    CU_ASSERT_EQUAL(w.decision.capacity_rps, 20);
    end(&w);
}

static void what_is_known_of_capacity_and_lead_time_goes_before_what_is_stated(void)
{
    struct world w;

    begin(&w);
    w.state.capacity_rps = 20; /* the policy states 50 */
    w.state.lead_time_s = 10;  /* and 3 s */
    predict(&w, 1, 60, 90, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.capacity_rps, 20);
    CU_ASSERT_EQUAL(w.decision.horizon_s, 12);
    end(&w);
}

/* One instance too few costs 50 late requests a second, one too many a 3600th of its hour. */
static void costs_give_the_critical_ratio(void)
{
    struct world w;

    begin(&w);
    w.policy.instance_hour = 3.6;
    w.policy.late_request = 0.0001;
    predict(&w, 1, 60, 190, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_DOUBLE_EQUAL(w.decision.quantile, 0.005 / (0.005 + 0.001), 1e-9);
    w.policy.late_request = 1;
    predict(&w, 1, 60, 390, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_DOUBLE_EQUAL(w.decision.quantile, 0.999, 1e-9);
    end(&w);
}

static void what_outcomes_ask_for_goes_before_the_stated_quantile(void)
{
    struct world w;

    begin(&w);
    w.state.quantile = 0.7;
    predict(&w, 1, 60, 190, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.quantile, 0.7);
    end(&w);
}

static void a_decision_says_what_is_expected_of_it_and_of_its_neighbours(void)
{
    struct world w;

    begin(&w);
    w.policy.target = 1;
    predict(&w, 1, 60, 200, 100); /* median 200: four instances of 50 hold it half of the time */
    w.policy.quantile = 0.5;
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.to, 4);
    CU_ASSERT_DOUBLE_EQUAL(w.decision.over, 0.5, 1e-6);
    CU_ASSERT_TRUE(w.decision.over_fewer > 0.6);
    CU_ASSERT_TRUE(w.decision.over_more < 0.4);
    CU_ASSERT_TRUE(isnan(w.decision.came_over));
    end(&w);
}

static void trust_that_was_lost_has_to_return_clearly(void)
{
    static const struct {
        float trust;
        double predicted_rps;
    } steps[] = {{0.4F, 100}, {0.55F, 400}, {0.49F, 100}, {0.55F, 100}, {0.6F, 400}, {0.55F, 400}};
    struct world w;

    begin(&w);
    w.state.load_rps = 100;
    predict(&w, 1, 60, 400, 0);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        w.forecast.trust = steps[i].trust;
        w.policy.min = w.policy.min % 2 + 1; /* so that there is a decision */
        w.policy.max = w.policy.min;
        CU_ASSERT_EQUAL(second(&w), 1);
        CU_ASSERT_EQUAL(w.decision.predicted_rps, steps[i].predicted_rps);
    }
    end(&w);
}

/* 100 rps explain 25 requests at an objective of 250 ms. */
static void each_signal_of_the_kernel_shows_what_waits(void)
{
    for (int i = 0; i < 3; i++) {
        struct world w;

        begin(&w);
        w.state.ready = 2;
        w.state.load_rps = 100;
        if (i == 0)
            w.state.in_flight = 325;
        else if (i == 1)
            w.state.accept_queue = 325;
        else
            w.state.wait_s = 3.25;
        CU_ASSERT_EQUAL(second(&w), 1);
        CU_ASSERT_EQUAL(w.wanted, 4); /* (100 + 300 / 3 s) / 50 rps */
        CU_ASSERT_PTR_NOT_NULL(strstr(w.decision.reason, "and 300 requests waiting"));
        end(&w);
    }
}

static void what_has_piled_up_gets_capacity_to_drain(void)
{
    struct world w;

    begin(&w);
    w.state.ready = 2;
    w.state.load_rps = 90;
    predict(&w, 1, 60, 80, 0);
    w.state.in_flight = 22; /* within the objective: 90 rps * 0.25 s */
    CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    w.state.in_flight = 22.5 + 180; /* 180 to serve in 3 s */
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3);
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "load 90 rps and 180 requests waiting need 3 instances of 50 rps; 2 "
                           "ready, 0 starting");
    w.state.in_flight = 1e6; /* waits for something else: twice the load at most */
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 4);
    end(&w);
}

static void recommendations_are_made_once_and_count_from_what_is_there(void)
{
    struct world w;

    begin(&w);
    w.policy.mode = PMO_MODE_RECOMMEND;
    w.state.ready = 2;
    predict(&w, 1, 60, 200, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 2 && w.decision.to == 5);
    CU_ASSERT_EQUAL(w.decision.mode, PMO_MODE_RECOMMEND);
    for (int i = 0; i < 100; i++) { /* nobody follows, the need goes to and fro */
        predict(&w, 1, 60, i % 2 ? 200 : 160, 0);
        CU_ASSERT_EQUAL(second(&w), 0);
        CU_ASSERT_EQUAL(w.wanted, 5);
    }
    predict(&w, 1, 60, 260, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 2 && w.decision.to == 6);
    w.state.ready = 4; /* followed half-way */
    CU_ASSERT_EQUAL(second(&w), 0);
    w.state.ready = 6; /* followed */
    CU_ASSERT_EQUAL(second(&w), 0);
    predict(&w, 1, 60, 290, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 6 && w.decision.to == 7);
    predict(&w, 1, 60, 260, 0); /* is no longer needed after the delay: withdrawn */
    for (int i = 0; i < 30; i++)
        CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 6);
    end(&w);
}

static void limits_in_recommend_mode_count_what_really_changed(void)
{
    struct world w;

    begin(&w);
    w.policy.mode = PMO_MODE_RECOMMEND;
    w.policy.up_limit = 2;
    w.policy.up_period_s = 10;
    predict(&w, 1, 60, 400, 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.to, 3);
    for (int i = 0; i < 30; i++)
        CU_ASSERT_EQUAL(second(&w), 0); /* nobody followed: the same still stands */
    w.state.ready = 3;
    CU_ASSERT_EQUAL(second(&w), 0);
    for (int i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 3 && w.decision.to == 5);
    end(&w);
}

static void observing_decides_nothing(void)
{
    struct world w;

    begin(&w);
    w.policy.mode = PMO_MODE_OBSERVE;
    predict(&w, 1, 60, 200, 0);
    CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 1);
    w.policy.mode = PMO_MODE_ACT;
    w.cap = PMO_MODE_OBSERVE;
    CU_ASSERT_EQUAL(second(&w), 0);
    w.cap = PMO_MODE_RECOMMEND;
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.decision.mode, PMO_MODE_RECOMMEND);
    end(&w);
}

static void asking_twice_in_a_second_changes_nothing(void)
{
    struct world w;
    uint32_t wanted;

    begin(&w);
    w.policy.quantile = 0;
    w.state.load_rps = 45;
    add_rule(&w, "scale up by 2 instances if load exceeds 80 % of capacity");
    CU_ASSERT_EQUAL(second(&w), 1);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(
            pmo_planner_decide(w.planner, &w.policy, w.cap, &w.state, w.t, &wanted, &w.decision),
            0);
    CU_ASSERT_EQUAL(wanted, 3);
    end(&w);
}

static void the_seed_rule_scales_up_by_two(void)
{
    struct world w;

    begin(&w);
    w.policy.quantile = 0;
    w.state.ready = 3;
    add_rule(&w, "scale up by 2 instances if predicted load exceeds 80 % of capacity");
    predict(&w, 1, 60, 119, 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    predict(&w, 1, 60, 129, 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_TRUE(w.decision.from == 3 && w.decision.to == 5);
    CU_ASSERT_STRING_EQUAL(w.decision.rule,
                           "scale up by 2 instances if predicted load exceeds 80 % of capacity");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "predicted load 129 rps is 86 % of the capacity of 3 instances; 3 "
                           "ready, 0 starting");
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    end(&w);
}

static void a_rule_acts_once_in_a_lead_time(void)
{
    struct world w;

    begin(&w);
    w.policy.quantile = 0;
    w.state.latency_p99_s = 0.3;
    add_rule(&w, "scale up by 1 instance if latency exceeds 200 ms");
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3);
    CU_ASSERT_STRING_EQUAL(w.decision.reason, "latency is 300 ms; 2 ready, 0 starting");
    end(&w);
}

static void a_condition_has_to_hold_for_its_time_and_each_time_anew(void)
{
    struct world w;

    begin(&w);
    w.policy.quantile = 0;
    w.state.ready = 5;
    w.state.load_rps = 10;
    add_rule(&w, "scale down by 1 instance if load is below 20 % of capacity for 10s");
    for (int i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    w.state.load_rps = 100; /* interrupted */
    CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    w.state.load_rps = 10;
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 4);
    for (int i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3);
    end(&w);
}

static void no_rule_takes_away_what_is_needed(void)
{
    struct world w;

    begin(&w);
    w.state.ready = 5;
    w.state.load_rps = 140;
    predict(&w, 1, 60, 160, 0);
    add_rule(&w, "scale to 1 instance if latency is below 1 s");
    w.state.latency_p99_s = 0.01;
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 4); /* the forecast's */
    w.policy.quantile = 0;
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 3); /* the load's */
    CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    end(&w);
}

static void the_rule_that_asks_for_most_wins(void)
{
    struct world w;

    begin(&w);
    w.policy.quantile = 0;
    w.state.ready = 4;
    w.state.load_rps = 150;
    add_rule(&w, "scale to 6 instances if load exceeds 100 rps");
    add_rule(&w, "scale to 9 instances if load exceeds 140 rps");
    add_rule(&w, "scale down by 3 instances if load exceeds 120 rps");
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 9);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    end(&w);
}

static void a_rule_and_the_forecast_do_not_pull_to_and_fro(void)
{
    struct world w;

    begin(&w); /* the forecast plans for 90 %, the rule starts at 60 % */
    add_rule(&w, "scale up by 2 instances if predicted load exceeds 60 % of capacity");
    predict(&w, 1, 60, 170, 0);
    w.state.load_rps = 160;
    for (int i = 0; i < 500; i++)
        (void)second_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 6); /* the least at which the rule is quiet */
    CU_ASSERT_TRUE(w.decisions <= 3);
    end(&w);
}

static void a_recommendation_by_rules_alone_ends_with_its_reason(void)
{
    struct world w;

    begin(&w);
    w.policy.mode = PMO_MODE_RECOMMEND;
    w.policy.quantile = 0;
    w.state.latency_p99_s = 0.3;
    add_rule(&w, "scale up by 1 instance if latency exceeds 200 ms");
    CU_ASSERT_EQUAL(second(&w), 1);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 2);
    w.state.latency_p99_s = 0.1;
    CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 1);
    w.state.latency_p99_s = 0.3;
    CU_ASSERT_EQUAL(second(&w), 1);
    end(&w);
}

static void an_adopted_count_is_continued(void)
{
    struct world w;

    begin(&w);
    CU_ASSERT_EQUAL(pmo_planner_adopt(w.planner, "front", 5, w.t), 0);
    w.state.ready = 0; /* not found again yet */
    predict(&w, 1, 60, 80, 0);
    for (int i = 0; i < 19; i++) {
        CU_ASSERT_EQUAL(second(&w), 0);
        CU_ASSERT_EQUAL(w.wanted, 5);
    }
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 2);
    end(&w);
}

static void services_are_decided_for_each_by_itself(void)
{
    struct world w;

    begin(&w);
    predict(&w, 1, 60, 200, 0);
    (void)second(&w);
    w.state.name = "catalog";
    predict(&w, 1, 60, 10, 0);
    CU_ASSERT_EQUAL(second(&w), 0);
    CU_ASSERT_EQUAL(w.wanted, 1);
    end(&w);
}

static void seconds_without_a_call_do_not_shorten_the_delay(void)
{
    struct world w;

    begin(&w);
    predict(&w, 1, 60, 200, 0);
    (void)second_carried_out(&w);
    w.t += 15; /* needed 5 for all that time, as far as is known */
    predict(&w, 1, 60, 10, 0);
    for (int i = 0; i < 19; i++)
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    w.t += 100000;
    CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    end(&w);
}

/* One instance a request: what is wanted is what the load is taken for. */
static void go_blind(struct world *w, double rps)
{
    begin(w);
    w->policy.quantile = 0.5;
    w->policy.max = 100;
    w->policy.target = 1;
    w->policy.capacity_rps = 1;
    w->policy.lead_time_s = 1;
    predict(w, 1, 60, rps, 0);
    for (int i = 0; i < 200; i++) {
        w->state.load_rps = rps;
        (void)second_carried_out(w);
    }
    w->state.load_rps = NAN;
    w->state.in_flight = NAN;
}

static void a_blind_second_gives_nothing_up(void)
{
    struct world w;

    for (int forecast = 0; forecast <= 1; forecast++) {
        go_blind(&w, 20);
        CU_ASSERT_EQUAL(w.wanted, 20);
        predict(&w, 1, 60, 0, 0); /* whatever is forecast, or nothing */
        if (!forecast)
            w.state.forecast = NULL;
        for (int i = 0; i < 3600; i++) {
            uint32_t before = w.wanted;

            (void)second_carried_out(&w);
            CU_ASSERT_FATAL(w.wanted >= before);
        }
        end(&w);
    }
}

/* known * (1 + sqrt(seconds / 3600)) */
static void blindness_costs_with_the_square_root_of_time(void)
{
    static const int64_t seconds[] = {1, 36, 144, 900, 3600, 14400};
    static const double share[] = {1.0 / 60, 0.1, 0.2, 0.5, 1, 2};
    struct world w;
    int64_t since;

    go_blind(&w, 20);
    since = w.t;
    for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
        while (w.t < since + seconds[i])
            (void)second_carried_out(&w);
        CU_ASSERT_DOUBLE_EQUAL(w.wanted, ceil(20 * (1 + share[i])), 1);
    }
    CU_ASSERT(isnan(w.decision.load_rps)); /* which is told as it was */
    end(&w);
}

static void the_first_second_that_is_seen_ends_blindness(void)
{
    struct world w;

    go_blind(&w, 20);
    for (int i = 0; i < 3600; i++)
        (void)second_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 40);
    w.state.load_rps = 20;
    w.state.in_flight = 0;
    for (int i = 0; i < 19; i++) /* as after any other time of need */
        CU_ASSERT_EQUAL(second_carried_out(&w), 0);
    CU_ASSERT_EQUAL(second_carried_out(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 20);
    w.state.load_rps = NAN; /* and the next blind time begins anew */
    for (int i = 0; i < 36; i++)
        (void)second_carried_out(&w);
    CU_ASSERT_DOUBLE_EQUAL(w.wanted, 22, 1);
    end(&w);
}

static void a_rule_of_several_conditions_acts_when_all_hold_and_says_what_they_were(void)
{
    struct world w;

    begin(&w);
    w.policy.quantile = 0;
    w.state.ready = 4;
    w.state.load_rps = 180;
    w.state.error_rate = 0.1;
    add_rule(&w, "scale up by 2 instances if load > 80 % of capacity and error_rate < 5 %");
    CU_ASSERT_EQUAL(second(&w), 0);
    w.state.error_rate = 0.01;
    CU_ASSERT_EQUAL(second(&w), 1);
    CU_ASSERT_EQUAL(w.wanted, 6);
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "load 180 rps is 90 % of the capacity of 4 instances, error rate is "
                           "1.0 %; 4 ready, 0 starting");
    end(&w);
}

static void a_rule_holds_what_it_would_only_order_again(void)
{
    struct world w;

    begin(&w);
    w.policy.down_delay_s = 1;
    w.state.ready = 5;
    w.state.load_rps = 180; /* 4 instances at 90 %, and the forecast wants 4 */
    w.state.error_rate = 0.01;
    predict(&w, 1, 60, 180, 0);
    add_rule(&w, "scale up by 1 instance if utilization > 80 % and error_rate < 5 %");
    for (int i = 0; i < 30; i++)
        (void)second_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 5);
    w.state.error_rate = 0.1; /* now it would not */
    for (int i = 0; i < 30; i++)
        (void)second_carried_out(&w);
    CU_ASSERT_EQUAL(w.wanted, 4);
    end(&w);
}

SUITE(plan) = {
    TEST(more_is_ordered_at_once_for_what_is_predicted),
    TEST(what_comes_after_the_lead_time_is_not_ordered_yet),
    TEST(a_decision_carries_the_numbers_that_led_to_it),
    TEST(ids_count_up_only_when_a_decision_is_made),
    TEST(it_never_plans_for_less_than_the_load),
    TEST(it_stays_within_minimum_and_maximum_whatever_happens),
    TEST(a_new_service_is_brought_to_its_minimum),
    TEST(fewer_only_after_they_have_been_enough_for_the_delay),
    TEST(the_delay_holds_also_after_a_new_start),
    TEST(limits_hold_over_any_period),
    TEST(what_a_limit_held_back_is_told_and_follows),
    TEST(noise_does_not_make_it_flap),
    TEST(an_instance_that_is_wanted_back_soon_is_kept),
    TEST(without_a_trusted_forecast_the_load_decides),
    TEST(a_stale_forecast_is_not_used),
    TEST(nothing_known_changes_nothing),
    TEST(a_learned_capacity_serves_where_none_is_stated),
    TEST(what_is_known_of_capacity_and_lead_time_goes_before_what_is_stated),
    TEST(costs_give_the_critical_ratio),
    TEST(trust_that_was_lost_has_to_return_clearly),
    TEST(each_signal_of_the_kernel_shows_what_waits),
    TEST(what_outcomes_ask_for_goes_before_the_stated_quantile),
    TEST(a_decision_says_what_is_expected_of_it_and_of_its_neighbours),
    TEST(what_has_piled_up_gets_capacity_to_drain),
    TEST(recommendations_are_made_once_and_count_from_what_is_there),
    TEST(limits_in_recommend_mode_count_what_really_changed),
    TEST(observing_decides_nothing),
    TEST(asking_twice_in_a_second_changes_nothing),
    TEST(the_seed_rule_scales_up_by_two),
    TEST(a_rule_acts_once_in_a_lead_time),
    TEST(a_condition_has_to_hold_for_its_time_and_each_time_anew),
    TEST(no_rule_takes_away_what_is_needed),
    TEST(the_rule_that_asks_for_most_wins),
    TEST(a_rule_and_the_forecast_do_not_pull_to_and_fro),
    TEST(a_recommendation_by_rules_alone_ends_with_its_reason),
    TEST(an_adopted_count_is_continued),
    TEST(services_are_decided_for_each_by_itself),
    TEST(seconds_without_a_call_do_not_shorten_the_delay),
    TEST(a_blind_second_gives_nothing_up),
    TEST(blindness_costs_with_the_square_root_of_time),
    TEST(the_first_second_that_is_seen_ends_blindness),
    TEST(a_rule_of_several_conditions_acts_when_all_hold_and_says_what_they_were),
    TEST(a_rule_holds_what_it_would_only_order_again),
    {0},
};
