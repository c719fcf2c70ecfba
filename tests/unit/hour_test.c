/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>
#include "tests/unit/suite.h"
#include "tests/unit/model_run.h"
#include "tests/unit/random.h"

/* A fifth more for two minutes from minute 20 on, whatever the level. */
static double shape(int64_t t)
{
    int64_t second = (t % 3600 + 3600) % 3600;

    return second >= 1200 && second < 1320 ? 1.2 : 1;
}

static struct model_run hours_from(int64_t from, int hours, double level)
{
    struct model_run run = model_run_new(&pmo_model_seasonal_hour);

    for (int64_t t = from; t < from + 3600 * (int64_t)hours; t++)
        model_run_observe(&run, t, poisson(level * shape(t)));
    return run;
}

static void what_each_hour_does_is_known_before_it_comes(void)
{
    static const int64_t starts[] = {0, -20 * 3600 * 24}; /* and before 1970 */

    for (size_t i = 0; i < 2; i++) {
        struct model_run run;
        float mean[PMO_HORIZONS];
        int64_t t = starts[i] + 3600 * 24;

        random_state = 1;
        run = hours_from(starts[i], 24, 500);
        for (; t % 3600 != (i ? 1170 - 3600 : 1170); t++)
            model_run_observe(&run, t, poisson(500 * shape(t)));
        model_run_predict(&run, mean); /* thirty seconds before */
        /* ratios are to the mean around, to which the two minutes belong, and seen thrice less */
        CU_ASSERT_DOUBLE_EQUAL(mean[10], 500, 25);
        CU_ASSERT_DOUBLE_EQUAL(mean[45], 600, 36);
        CU_ASSERT(mean[45] > 1.1 * mean[10]);
        for (; t % 3600 != (i ? 1290 - 3600 : 1290); t++)
            model_run_observe(&run, t, poisson(500 * shape(t)));
        model_run_predict(&run, mean); /* before its end */
        CU_ASSERT(mean[10] > 1.1 * mean[45]);
        model_run_free(&run);
    }
}

static void it_is_the_shape_at_the_level_of_today(void)
{
    struct model_run run;
    float mean[PMO_HORIZONS];
    int64_t t = 24 * 3600;

    random_state = 2;
    run = hours_from(0, 24, 500);
    for (; t < 24 * 3600 + 1170; t++)
        model_run_observe(&run, t, poisson(50));
    model_run_predict(&run, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[10], 50, 5);
    CU_ASSERT_DOUBLE_EQUAL(mean[45], 60, 6);
    model_run_free(&run);
}

static void noise_has_hardly_a_shape(void)
{
    struct model_run run = model_run_new(&pmo_model_seasonal_hour);
    float mean[PMO_HORIZONS], level = 0;

    random_state = 3;
    for (int64_t t = 0; t < 12 * 3600; t++)
        model_run_observe(&run, t, poisson(60));
    level = pmo_recent_mean(run.recent, 60);
    model_run_predict(&run, mean);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT_DOUBLE_EQUAL(mean[h], level, 0.06 * level);
    model_run_free(&run);
}

/* A jump to tenfold the level is for others to tell: it counts as the greatest ratio there is. */
static void a_jump_of_one_hour_does_not_shape_the_next(void)
{
    struct model_run run = model_run_new(&pmo_model_seasonal_hour);
    float mean[PMO_HORIZONS];

    for (int64_t t = 0; t < 4 * 3600 + 1150; t++)
        model_run_observe(&run, t, t >= 3 * 3600 + 1200 && t < 3 * 3600 + 1210 ? 5000 : 100);
    model_run_predict(&run, mean);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT(mean[h] > 70 && mean[h] < 110);
    model_run_free(&run);
}

static void gaps_and_zeros_give_finite_numbers(void)
{
    struct model_run run = model_run_new(&pmo_model_seasonal_hour);
    float mean[PMO_HORIZONS];

    for (int64_t t = -5000; t < 30000; t++) {
        if (t % 700 < 400)
            continue;
        model_run_observe(&run, t, t % 5000 < 2500 ? 0 : 10);
        model_run_predict(&run, mean);
        for (size_t h = 0; h < PMO_HORIZONS; h++)
            CU_ASSERT_FATAL(isfinite(mean[h]) && mean[h] >= 0);
    }
    model_run_free(&run);
}

SUITE(hour) = {
    TEST(what_each_hour_does_is_known_before_it_comes),
    TEST(it_is_the_shape_at_the_level_of_today),
    TEST(noise_has_hardly_a_shape),
    TEST(a_jump_of_one_hour_does_not_shape_the_next),
    TEST(gaps_and_zeros_give_finite_numbers),
    {0},
};
