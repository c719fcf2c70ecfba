/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/baseline.h"

#include <math.h>
#include "tests/unit/suite.h"

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

static void fast_follows_the_mean_of_ten_seconds(void)
{
    constant(0, 20, 14);
    constant(20, 40, 84);
    constant(40, 200, 14);
    pmo_fast_run(demand, 200, 10, 0.7, wanted);
    CU_ASSERT_EQUAL(wanted[0], 2); /* at 7 rps each */
    CU_ASSERT_EQUAL(wanted[19], 2);
    CU_ASSERT_EQUAL(wanted[20], 3); /* the mean is 21 */
    CU_ASSERT_EQUAL(wanted[29], 12);
    CU_ASSERT_EQUAL(wanted[98], 12); /* needed until second 39 */
    CU_ASSERT_EQUAL(wanted[99], 11);
    CU_ASSERT_EQUAL(wanted[108], 2);
    constant(0, 60, 0);
    pmo_fast_run(demand, 60, 10, 0.7, wanted);
    CU_ASSERT_EQUAL(wanted[59], 1);
}

static void fast_keeps_its_count_where_nothing_was_recorded(void)
{
    constant(0, 200, NAN);
    constant(10, 11, 70);
    constant(100, 102, 35);
    pmo_fast_run(demand, 200, 10, 0.7, wanted);
    CU_ASSERT_EQUAL(wanted[9], 1);
    CU_ASSERT_EQUAL(wanted[10], 10);
    CU_ASSERT_EQUAL(wanted[158], 10);
    CU_ASSERT_EQUAL(wanted[159], 5);
    CU_ASSERT_EQUAL(wanted[199], 5);
}

static void the_oracle_asks_for_what_is_needed_until_an_order_is_served(void)
{
    const double load[] = {5, 5, 5, 31, 5, 0, 0};
    const uint32_t expected[] = {1, 4, 4, 4, 1, 1, 1};

    pmo_oracle_run(load, 7, 10, 2, wanted);
    for (size_t t = 0; t < 7; t++)
        CU_ASSERT_EQUAL(wanted[t], expected[t]);
}

static void the_oracle_finds_the_greatest_of_every_window(void)
{
    for (size_t t = 0; t < 1000; t++)
        demand[t] = (double)(t * 7919 % 1009);
    for (uint32_t startup_s = 0; startup_s < 40; startup_s += 13) {
        pmo_oracle_run(demand, 1000, 10, startup_s, wanted);
        for (size_t t = 0; t < 1000; t++) {
            double most = 1;

            for (size_t s = t; s <= t + startup_s && s < 1000; s++)
                most = fmax(most, demand[s]);
            CU_ASSERT_EQUAL(wanted[t], ceil(most / 10));
        }
    }
}

SUITE(baseline) = {
    TEST(hpa_holds_what_the_load_needs_at_its_target),
    TEST(hpa_goes_up_when_the_mean_has_followed_and_by_doubling_at_most),
    TEST(hpa_begins_with_the_instances_there_are),
    TEST(hpa_ignores_a_tenth),
    TEST(hpa_goes_down_to_the_highest_advice_of_five_minutes),
    TEST(hpa_stays_within_its_bounds),
    TEST(fast_follows_the_mean_of_ten_seconds),
    TEST(fast_keeps_its_count_where_nothing_was_recorded),
    TEST(the_oracle_asks_for_what_is_needed_until_an_order_is_served),
    TEST(the_oracle_finds_the_greatest_of_every_window),
    {0},
};
