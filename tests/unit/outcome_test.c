/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/outcome.h"

#include <math.h>
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#define GOAL 0.01

static void observe(struct pmo_outcome *outcome, int seconds, double load_rps, double late,
                    bool busy)
{
    struct pmo_outcome_second second = {
        .load_rps = load_rps, .capacity_rps = 100, .late = late, .busy = busy};

    for (int i = 0; i < seconds; i++)
        pmo_outcome_observe(outcome, outcome->t + 1, &second, GOAL);
}

static void the_quantile_begins_where_four_times_the_goal_is_above(void)
{
    struct pmo_outcome outcome = {0};

    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_quantile(&outcome, 0.0025), 0.99, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_quantile(&outcome, 0.01), 0.96, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_quantile(&outcome, 0.00001), 0.999, 1e-9);
}

static void late_ones_raise_it_and_others_lower_it_in_proportion(void)
{
    struct pmo_outcome outcome = {0};
    double begin = pmo_outcome_quantile(&outcome, GOAL);

    observe(&outcome, 1, 50, 1, false);
    CU_ASSERT_TRUE(pmo_outcome_quantile(&outcome, GOAL) > begin);
    observe(&outcome, 99, 50, 0, false); /* one in a hundred */
    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_quantile(&outcome, GOAL), begin, 1e-6);
}

/* Loads are uniform in 0..1, and a forecast says so, but for a factor: its quantile q is wrong. */
static double late_in_the_long_run(double factor)
{
    struct pmo_outcome outcome = {0};
    double late = 0;
    int seconds = 200000;

    random_state = 7;
    for (int i = 0; i < seconds; i++) {
        bool is_late = uniform() > factor * pmo_outcome_quantile(&outcome, GOAL);

        late += is_late;
        observe(&outcome, 1, 50, is_late, false);
    }
    return late / seconds;
}

static void in_the_long_run_as_many_are_late_as_may_be(void)
{
    CU_ASSERT_DOUBLE_EQUAL(late_in_the_long_run(1), GOAL, GOAL / 10);
    CU_ASSERT_DOUBLE_EQUAL(late_in_the_long_run(1.05), GOAL, GOAL / 10);
    CU_ASSERT_DOUBLE_EQUAL(late_in_the_long_run(0.9901), GOAL, GOAL / 5);
}

static void the_quantile_stays_in_its_bounds(void)
{
    struct pmo_outcome outcome = {0};

    observe(&outcome, 1000, 50, 1, false);
    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_quantile(&outcome, GOAL), 0.999, 1e-9);
    observe(&outcome, 100000, 50, 0, false);
    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_quantile(&outcome, GOAL), 0.5, 1e-9);
}

static void capacity_that_is_not_there_is_taken_off(void)
{
    struct pmo_outcome outcome = {0};

    observe(&outcome, 9, 80, 0.5, true);
    CU_ASSERT_EQUAL(pmo_outcome_capacity(&outcome, 40), 40); /* a start may have been to blame */
    observe(&outcome, 30, 80, 0.5, true);
    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_capacity(&outcome, 1), 0.79, 0.03); /* until load is above */
    observe(&outcome, 40, 75, 0, true);
    CU_ASSERT_TRUE(pmo_outcome_capacity(&outcome, 1) > 0.8);
    observe(&outcome, 1000, 75, 0, true);
    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_capacity(&outcome, 1), 1, 1e-9);
}

static void neither_waiting_for_others_nor_too_much_load_is_the_capacitys_fault(void)
{
    struct pmo_outcome outcome = {0};

    observe(&outcome, 100, 80, 0.5, false);
    observe(&outcome, 100, 120, 0.5, true);
    CU_ASSERT_EQUAL(pmo_outcome_capacity(&outcome, 1), 1);
}

static void what_came_is_told_when_its_time_is_over(void)
{
    struct pmo_outcome outcome = {.t = 1000};
    struct pmo_came came;

    pmo_outcome_expect(&outcome, 7, 1000, 10, 60);
    CU_ASSERT_FALSE(pmo_outcome_came(&outcome, &came));
    observe(&outcome, 6, 50, 0, false);
    observe(&outcome, 3, 70, 0.1, false);
    CU_ASSERT_FALSE(pmo_outcome_came(&outcome, &came));
    observe(&outcome, 1, 90, 0.5, false);
    CU_ASSERT_TRUE_FATAL(pmo_outcome_came(&outcome, &came));
    CU_ASSERT_EQUAL(came.id, 7);
    CU_ASSERT_EQUAL(came.peak_rps, 90);
    CU_ASSERT_DOUBLE_EQUAL(came.over, 0.4, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(came.late, (3 * 7 + 45) / 600.0, 1e-9);
    CU_ASSERT_FALSE(pmo_outcome_came(&outcome, &came)); /* once */
}

static void the_last_decisions_are_followed_and_time_may_jump(void)
{
    struct pmo_outcome outcome = {.t = 1000};
    struct pmo_came came;
    int told = 0;

    for (int id = 1; id <= 12; id++)
        pmo_outcome_expect(&outcome, id, 1000, 5, 60);
    outcome.t = 2000;
    observe(&outcome, 1, 50, NAN, false);
    while (pmo_outcome_came(&outcome, &came)) {
        told++;
        CU_ASSERT_TRUE(came.id > 4);
        CU_ASSERT_TRUE(isnan(came.peak_rps) && isnan(came.over) && isnan(came.late));
    }
    CU_ASSERT_EQUAL(told, PMO_OUTCOME_PENDING);
}

static void what_was_late_of_late_is_known(void)
{
    struct pmo_outcome outcome = {0};

    CU_ASSERT_TRUE(isnan(pmo_outcome_late(&outcome)));
    observe(&outcome, 100, 50, 0.02, false);
    CU_ASSERT_DOUBLE_EQUAL(pmo_outcome_late(&outcome), 0.02, 1e-9);
    CU_ASSERT_TRUE(sizeof(outcome) < 4096);
}

SUITE(outcome) = {
    TEST(the_quantile_begins_where_four_times_the_goal_is_above),
    TEST(late_ones_raise_it_and_others_lower_it_in_proportion),
    TEST(in_the_long_run_as_many_are_late_as_may_be),
    TEST(the_quantile_stays_in_its_bounds),
    TEST(capacity_that_is_not_there_is_taken_off),
    TEST(neither_waiting_for_others_nor_too_much_load_is_the_capacitys_fault),
    TEST(what_came_is_told_when_its_time_is_over),
    TEST(the_last_decisions_are_followed_and_time_may_jump),
    TEST(what_was_late_of_late_is_known),
    {0},
};
