/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/baseline.h"

#include <math.h>
#include "tests/unit/suite.h"

#define SECONDS(a) (sizeof(a) / sizeof(*(a)))

static const struct pmo_queue_model model = {
    .capacity_rps = 10, .startup_s = 2, .objective_s = 0.25};

static void enough_instances_serve_everything_in_time(void)
{
    const double demand[] = {5, 10, 10};
    const uint32_t wanted[] = {1, 1, 1};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result);
    CU_ASSERT_EQUAL(result.requests, 25);
    CU_ASSERT_EQUAL(result.late, 0);
    CU_ASSERT_EQUAL(result.instance_seconds, 3);
}

static void what_waits_longer_than_the_objective_is_late(void)
{
    /* second 0: 15 come, 10 are served: waits go from 0 to 0.5 s, half of them above 0.25 s.
     * second 1: 5 come, the 5 of before are served first: from 0.5 s down to 0, again half. */
    const double demand[] = {15, 5, 5};
    const uint32_t wanted[] = {1, 1, 1};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result);
    CU_ASSERT_DOUBLE_EQUAL(result.late, 7.5 + 2.5, 1e-9);
}

static void an_order_serves_after_the_start_and_costs_at_once(void)
{
    /* the second instance, ordered at 0+1, serves from second 3 on: until then 10 more wait each
     * second */
    const double demand[] = {10, 20, 20, 20};
    const uint32_t wanted[] = {1, 2, 2, 2};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result);
    CU_ASSERT_EQUAL(result.instance_seconds, 7);
    /* second 1: waits from 0 to 1 s, 3/4 late; 2: from 1 to 2 s, all; 3: 20 wait for 20 rps, all */
    CU_ASSERT_DOUBLE_EQUAL(result.late, 15 + 20 + 20, 1e-9);
}

static void the_newest_instance_is_given_up_first(void)
{
    /* what was ordered at 1 is given up at 2 and ordered again at 3: it has to start anew */
    const double demand[] = {0, 0, 0, 0, 20, 20};
    const uint32_t wanted[] = {1, 2, 1, 2, 2, 2};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result);
    CU_ASSERT_DOUBLE_EQUAL(result.late, 15 + 20, 1e-9);
}

static void a_request_is_dropped_after_five_seconds(void)
{
    /* 200 wait at the end of second 0 for 10 rps; only 50 of them stay. Those are served in seconds
     * 1 to 5, and second 6 finds no queue. */
    const double demand[] = {210, 0, 0, 0, 0, 0, 2};
    const uint32_t wanted[] = {1, 1, 1, 1, 1, 1, 1};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result);
    CU_ASSERT_DOUBLE_EQUAL(result.late, 210 * (20 - 0.25) / 20, 1e-9);
}

static void without_an_instance_everything_is_late(void)
{
    const double demand[] = {4, 4};
    const uint32_t wanted[] = {0, 0};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result);
    CU_ASSERT_EQUAL(result.late, 8);
}

static void seconds_that_were_not_recorded_are_filled_in_a_straight_line(void)
{
    const double demand[] = {NAN, 2, NAN, NAN, 8, NAN};
    const uint32_t wanted[] = {1, 1, 1, 1, 1, 1};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result);
    CU_ASSERT_DOUBLE_EQUAL(result.requests, 2 + 2 + 4 + 6 + 8 + 8, 1e-9);
    pmo_queue_run(&model, (const double[]){NAN}, wanted, 1, &result);
    CU_ASSERT_EQUAL(result.requests, 0);
    pmo_queue_run(&model, demand, wanted, 0, &result);
    CU_ASSERT_EQUAL(result.requests, 0);
}

static double demand[1000];
static uint32_t wanted[1000];

static void constant(size_t from, size_t to, double rps)
{
    for (size_t t = from; t < to; t++)
        demand[t] = rps;
}

static void hpa_holds_what_the_load_needs_at_its_target(void)
{
    constant(0, 100, 70);
    pmo_hpa_run(demand, 100, 10, 0.7, 0, 1, 100, wanted);
    for (size_t t = 0; t < 100; t++)
        CU_ASSERT_EQUAL(wanted[t], 10);
}

static void hpa_goes_up_when_the_mean_has_followed_and_by_doubling_at_most(void)
{
    constant(0, 30, 7);
    constant(30, 200, 140);
    pmo_hpa_run(demand, 200, 10, 0.7, 0, 1, 100, wanted);
    CU_ASSERT_EQUAL(wanted[30], 1);
    CU_ASSERT_EQUAL(wanted[44], 1);
    CU_ASSERT_EQUAL(wanted[45], 5);  /* the mean is 73.5: 11 would be right, 4 more is allowed */
    CU_ASSERT_EQUAL(wanted[60], 10); /* 20 would be right, twice as many is allowed */
    CU_ASSERT_EQUAL(wanted[75], 20);
}

static void hpa_begins_with_the_instances_there_are(void)
{
    constant(0, 100, 10);
    pmo_hpa_run(demand, 100, 10, 0.7, 5, 1, 100, wanted);
    CU_ASSERT_EQUAL(wanted[0], 5);
    CU_ASSERT_EQUAL(wanted[14], 5);
}

static void hpa_ignores_a_tenth(void)
{
    constant(0, 30, 70);
    constant(30, 200, 76);
    pmo_hpa_run(demand, 200, 10, 0.7, 0, 1, 100, wanted);
    CU_ASSERT_EQUAL(wanted[199], 10);
}

static void hpa_goes_down_to_the_highest_advice_of_five_minutes(void)
{
    constant(0, 100, 70);
    constant(100, 1000, 7);
    pmo_hpa_run(demand, 1000, 10, 0.7, 0, 2, 100, wanted);
    /* the last advice for 10 instances comes at second 90 (at 105 the mean is 59.5: 9) */
    CU_ASSERT_EQUAL(wanted[390], 10);
    CU_ASSERT_EQUAL(wanted[404], 10);
    CU_ASSERT_EQUAL(wanted[405], 9);
    CU_ASSERT_EQUAL(wanted[435], 2);
    CU_ASSERT_EQUAL(wanted[999], 2);
}

static void hpa_stays_within_its_bounds(void)
{
    constant(0, 300, 700);
    pmo_hpa_run(demand, 300, 10, 0.7, 0, 1, 20, wanted);
    for (size_t t = 0; t < 300; t++)
        CU_ASSERT_EQUAL(wanted[t], 20);
}

SUITE(baseline) = {
    TEST(enough_instances_serve_everything_in_time),
    TEST(what_waits_longer_than_the_objective_is_late),
    TEST(an_order_serves_after_the_start_and_costs_at_once),
    TEST(the_newest_instance_is_given_up_first),
    TEST(a_request_is_dropped_after_five_seconds),
    TEST(without_an_instance_everything_is_late),
    TEST(seconds_that_were_not_recorded_are_filled_in_a_straight_line),
    TEST(hpa_holds_what_the_load_needs_at_its_target),
    TEST(hpa_goes_up_when_the_mean_has_followed_and_by_doubling_at_most),
    TEST(hpa_begins_with_the_instances_there_are),
    TEST(hpa_ignores_a_tenth),
    TEST(hpa_goes_down_to_the_highest_advice_of_five_minutes),
    TEST(hpa_stays_within_its_bounds),
    {0},
};
