/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/lead_time.h"

#include <math.h>
#include "tests/unit/suite.h"

static void add(struct pmo_lead_times *times, double lead_s, int starts)
{
    for (int i = 0; i < starts; i++)
        pmo_lead_times_add(times, lead_s);
}

static void nothing_is_known_without_a_start_but_what_is_stated(void)
{
    struct pmo_lead_times times = {0};

    CU_ASSERT_TRUE(isnan(pmo_lead_times_quantile(&times, 0.9, 0)));
    CU_ASSERT_EQUAL(pmo_lead_times_quantile(&times, 0.9, 12), 12);
}

static void few_starts_leave_room_above_the_longest(void)
{
    struct pmo_lead_times times = {0};

    add(&times, 4, 1);
    CU_ASSERT_DOUBLE_EQUAL(pmo_lead_times_quantile(&times, 0.9, 0), 6, 1e-6);
    add(&times, 4, 4);
    CU_ASSERT_DOUBLE_EQUAL(pmo_lead_times_quantile(&times, 0.9, 0), 4.4, 1e-6);
    add(&times, 4, 20);
    CU_ASSERT_DOUBLE_EQUAL(pmo_lead_times_quantile(&times, 0.9, 0), 4, 1e-6);
}

static void a_quantile_is_one_of_the_last_starts(void)
{
    struct pmo_lead_times times = {0};

    add(&times, 100, 7); /* long ago */
    for (int i = 1; i <= PMO_LEAD_TIMES; i++)
        add(&times, i, 1);
    CU_ASSERT_DOUBLE_EQUAL(pmo_lead_times_quantile(&times, 0.5, 0), 33, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(pmo_lead_times_quantile(&times, 0.9, 0), 59, 1e-6);
    for (int i = 0; i < 1000; i++)
        add(&times, 2, 1);
    CU_ASSERT_DOUBLE_EQUAL(pmo_lead_times_quantile(&times, 0.99, 0), 2, 0.1);
}

static void what_is_stated_gives_way_to_what_is_seen(void)
{
    struct pmo_lead_times times = {0};

    add(&times, 20, 1);
    CU_ASSERT_EQUAL(pmo_lead_times_quantile(&times, 0.9, 5), 20);
    times.count = 0;
    add(&times, 2, 30);
    CU_ASSERT_EQUAL(pmo_lead_times_quantile(&times, 0.9, 5), 5);
    add(&times, 2, 34);
    CU_ASSERT_EQUAL(pmo_lead_times_quantile(&times, 0.9, 5), 2);
}

static void one_that_serves_well_at_once_has_its_time_to_readiness(void)
{
    struct pmo_start start = {.ready_after_s = 3.5};

    CU_ASSERT_EQUAL(pmo_start_second(&start, 0.02, 0.02, 0.25), 3.5);
    CU_ASSERT_TRUE(isnan(pmo_start_second(&start, 0.02, 0.02, 0.25))); /* once */
}

static void a_slow_beginning_is_part_of_it(void)
{
    struct pmo_start start = {.ready_after_s = 3};

    CU_ASSERT_TRUE(isnan(pmo_start_second(&start, 0.9, 0.02, 0.25)));
    CU_ASSERT_TRUE(isnan(pmo_start_second(&start, 0.5, 0.02, 0.25)));
    CU_ASSERT_TRUE(isnan(pmo_start_second(&start, NAN, 0.02, 0.25))); /* nothing came */
    CU_ASSERT_TRUE(isnan(pmo_start_second(&start, 0.3, NAN, 0.25)));
    CU_ASSERT_EQUAL(pmo_start_second(&start, 0.2, 0.02, 0.25), 7);
}

static void what_slows_down_all_of_them_is_not(void)
{
    struct pmo_start start = {.ready_after_s = 3};

    CU_ASSERT_TRUE(isnan(pmo_start_second(&start, 5, 2, 0.25)));
    CU_ASSERT_EQUAL(pmo_start_second(&start, 3, 2, 0.25), 4);
}

static void one_that_nobody_asks_is_taken_to_serve(void)
{
    struct pmo_start start = {.ready_after_s = 3};

    for (int i = 0; i < 9; i++)
        CU_ASSERT_TRUE(isnan(pmo_start_second(&start, NAN, NAN, 0.25)));
    CU_ASSERT_EQUAL(pmo_start_second(&start, NAN, NAN, 0.25), 3);
}

static void one_that_is_never_fast_is_not_waited_for_longer_than_a_minute(void)
{
    struct pmo_start start = {.ready_after_s = 3};
    double lead_s = NAN;
    int seconds = 0;

    while (isnan(lead_s) && seconds++ < 100)
        lead_s = pmo_start_second(&start, 1, NAN, 0.25);
    CU_ASSERT_EQUAL(seconds, 60);
    CU_ASSERT_EQUAL(lead_s, 62);
}

SUITE(lead_time) = {
    TEST(nothing_is_known_without_a_start_but_what_is_stated),
    TEST(few_starts_leave_room_above_the_longest),
    TEST(a_quantile_is_one_of_the_last_starts),
    TEST(what_is_stated_gives_way_to_what_is_seen),
    TEST(one_that_serves_well_at_once_has_its_time_to_readiness),
    TEST(a_slow_beginning_is_part_of_it),
    TEST(what_slows_down_all_of_them_is_not),
    TEST(one_that_nobody_asks_is_taken_to_serve),
    TEST(one_that_is_never_fast_is_not_waited_for_longer_than_a_minute),
    {0},
};
