/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/tracker.h"

#include <math.h>
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

static const float bell[PMO_QUANTILES] = {84, 87, 93, 100, 107, 113, 123}; /* deviation 10 */

/* Share of values of this deviation that the widened quantile held, after some time. */
static double held(double deviation, float *widest)
{
    pmo_tracker trackers[2] = {1, 1};
    int seconds = 20000, below = 0;

    random_state = 5;
    *widest = 0;
    for (int i = 0; i < 2 * seconds; i++) {
        float value[PMO_QUANTILES], y = (float)(100 + deviation * normal());

        for (size_t q = 0; q < PMO_QUANTILES; q++)
            value[q] = bell[q];
        pmo_tracker_widen(trackers, pmo_grid_at(1), value);
        below += i >= seconds && y <= value[PMO_TRACKED];
        pmo_tracker_learn(&trackers[0], bell, y);
        *widest = fmaxf(*widest, trackers[0]);
    }
    return (double)below / seconds;
}

static void what_is_too_narrow_holds_in_the_long_run(void)
{
    float widest;

    CU_ASSERT_DOUBLE_EQUAL(held(20, &widest), 0.99, 0.002);
    CU_ASSERT_TRUE(widest > 1.9F && widest < 3);
}

static void what_is_wide_enough_stays_as_it_is(void)
{
    float widest;

    CU_ASSERT_TRUE(held(5, &widest) > 0.9999);
    CU_ASSERT_DOUBLE_EQUAL(widest, 1, 0.05);
}

static void one_burst_is_not_paid_for_all_day(void)
{
    pmo_tracker tracker = 1;

    for (int i = 0; i < 1000; i++) /* a level that nobody could have known */
        pmo_tracker_learn(&tracker, bell, 1e6F);
    CU_ASSERT_EQUAL(tracker, 3);
    for (int i = 0; i < 3 * 3600; i++)
        pmo_tracker_learn(&tracker, bell, 100);
    CU_ASSERT_EQUAL(tracker, 1);
}

static void horizons_between_those_that_are_scored_are_between_them(void)
{
    const pmo_tracker trackers[2] = {1, 2};
    float value[PMO_QUANTILES] = {0, 0, 0, 100, 100, 100, 120};
    struct pmo_grid_point half = {.share = 0.5F};

    pmo_tracker_widen(trackers, half, value);
    CU_ASSERT_DOUBLE_EQUAL(value[PMO_TRACKED], 130, 1e-3);
    CU_ASSERT_EQUAL(value[PMO_TRACKED - 1], 100);
}

SUITE(tracker) = {
    TEST(what_is_too_narrow_holds_in_the_long_run),
    TEST(what_is_wide_enough_stays_as_it_is),
    TEST(one_burst_is_not_paid_for_all_day),
    TEST(horizons_between_those_that_are_scored_are_between_them),
    {0},
};
