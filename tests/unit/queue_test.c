/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/queue.h"

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

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result, NULL);
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

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result, NULL);
    CU_ASSERT_DOUBLE_EQUAL(result.late, 7.5 + 2.5, 1e-9);
}

static void an_order_serves_after_the_start_and_costs_at_once(void)
{
    /* the second instance, ordered at 0+1, serves from second 3 on: until then 10 more wait each
     * second */
    const double demand[] = {10, 20, 20, 20};
    const uint32_t wanted[] = {1, 2, 2, 2};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result, NULL);
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

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result, NULL);
    CU_ASSERT_DOUBLE_EQUAL(result.late, 15 + 20, 1e-9);
}

static void a_request_is_dropped_after_five_seconds(void)
{
    /* 200 wait at the end of second 0 for 10 rps; only 50 of them stay. Those are served in seconds
     * 1 to 5, and second 6 finds no queue. */
    const double demand[] = {210, 0, 0, 0, 0, 0, 2};
    const uint32_t wanted[] = {1, 1, 1, 1, 1, 1, 1};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result, NULL);
    CU_ASSERT_DOUBLE_EQUAL(result.late, 210 * (20 - 0.25) / 20, 1e-9);
}

static void without_an_instance_everything_is_late(void)
{
    const double demand[] = {4, 4};
    const uint32_t wanted[] = {0, 0};
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result, NULL);
    CU_ASSERT_EQUAL(result.late, 8);
}

static void seconds_that_were_not_recorded_are_filled_in_a_straight_line(void)
{
    double demand[] = {NAN, NAN, 2, NAN, NAN, 8, NAN, 7, NAN, NAN};
    const double filled[] = {0, 0, 2, 4, 6, 8, 7.5, 7, 7, 7};
    double none[] = {NAN, NAN};

    pmo_demand_fill(demand, SECONDS(demand));
    for (size_t t = 0; t < SECONDS(demand); t++)
        CU_ASSERT_DOUBLE_EQUAL(demand[t], filled[t], 1e-12);
    pmo_demand_fill(none, SECONDS(none));
    CU_ASSERT_EQUAL(none[0] + none[1], 0);
    pmo_demand_fill(none, 0);
}

/* Two servers of 10 rps, the second from second 4 on (ordered in 2, startup 2 s), given up at 7. By
 * hand:
 *
 *   second  comes  rate  waits at its end  wait of first..last   late above 0.25 s
 *        0      8    10                 0   0   .. 0             0
 *        1     14    10                 4   0   .. 0.4           14 * 0.15 / 0.4 = 5.25
 *        2     16    10                10   0.4 .. 1             16
 *        3     12    10                12   1   .. 1.2           12
 *        4     10    20                 2   0.6 .. 0.1           10 * 0.35 / 0.5 = 7
 *        5     20    20                 2   0.1 .. 0.1           0
 *        6     20    20                 2   0.1 .. 0.1           0
 *        7      9    10                 1   0.2 .. 0.1           0
 */
static void a_small_example_comes_out_as_by_hand(void)
{
    const double demand[] = {8, 14, 16, 12, 10, 20, 20, 9};
    const uint32_t wanted[] = {1, 1, 2, 2, 2, 2, 2, 1};
    const double late[] = {0, 5.25 / 14, 1, 1, 0.7, 0, 0, 0};
    double share[SECONDS(demand)];
    struct pmo_queue_result result;

    pmo_queue_run(&model, demand, wanted, SECONDS(demand), &result, share);
    CU_ASSERT_DOUBLE_EQUAL(result.requests, 109, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(result.late, 5.25 + 16 + 12 + 7, 1e-9);
    CU_ASSERT_EQUAL(result.instance_seconds, 13);
    for (size_t t = 0; t < SECONDS(demand); t++)
        CU_ASSERT_DOUBLE_EQUAL(share[t], late[t], 1e-9);
}

/* A constant overload of 1.5: after t seconds the wait is t/2, until 5 s are dropped. Late is all
 * but what waits under 0.25 s, half of the first second. */
static void overload_comes_out_in_closed_form(void)
{
    double demand[20];
    uint32_t wanted[20];
    struct pmo_queue_second second = {0};
    struct pmo_queue_result result;

    for (size_t t = 0; t < 20; t++) {
        demand[t] = 15;
        wanted[t] = 1;
        pmo_queue_step(&model, second.waiting, 1, 15, &second);
        CU_ASSERT_DOUBLE_EQUAL(second.first_s, fmin(0.5 * (double)t, 5), 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(second.waiting, fmin(5 * ((double)t + 1), 50), 1e-9);
    }
    pmo_queue_run(&model, demand, wanted, 20, &result, NULL);
    CU_ASSERT_DOUBLE_EQUAL(result.late, 15 * (20 - 0.5), 1e-9);
}

static void the_ready_are_the_fewest_asked_for_during_a_start(void)
{
    const uint32_t wanted[] = {3, 5, 5, 4, 6, 6, 6, 2, 6, 6};
    const uint32_t ready[] = {3, 3, 3, 4, 4, 4, 6, 2, 2, 2};
    const uint32_t next_second[] = {3, 3, 5, 4, 4, 6, 6, 2, 2, 6};
    struct pmo_queue_model at_once = {.capacity_rps = 10, .startup_s = 0, .objective_s = 0.25};

    for (size_t t = 0; t < SECONDS(wanted); t++) {
        CU_ASSERT_EQUAL(pmo_queue_ready(&model, wanted, t), ready[t]);
        CU_ASSERT_EQUAL(pmo_queue_ready(&at_once, wanted, t), next_second[t]);
    }
}

SUITE(queue) = {
    TEST(enough_instances_serve_everything_in_time),
    TEST(what_waits_longer_than_the_objective_is_late),
    TEST(an_order_serves_after_the_start_and_costs_at_once),
    TEST(the_newest_instance_is_given_up_first),
    TEST(a_request_is_dropped_after_five_seconds),
    TEST(without_an_instance_everything_is_late),
    TEST(seconds_that_were_not_recorded_are_filled_in_a_straight_line),
    TEST(a_small_example_comes_out_as_by_hand),
    TEST(overload_comes_out_in_closed_form),
    TEST(the_ready_are_the_fewest_asked_for_during_a_start),
    {0},
};
