/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>
#include <stdbool.h>
#include "agent/forecast/grid.h"
#include "tests/unit/model_run.h"
#include "tests/unit/random.h"

#define PHI   0.9
#define LEVEL 1000.0
#define SIGMA 20.0 /* of what is new in a second */

/* x(t + 1) = PHI * x(t) + noise, around LEVEL. */
static double x;

static double wander(void)
{
    x = PHI * x + SIGMA * normal();
    return LEVEL + x;
}

/* Root mean squared error at horizon @h over @seconds more, and that of the ideal forecast. */
static void errors_of(struct model_run *run, int64_t from, int64_t seconds, unsigned int h,
                      double *error, double *ideal)
{
    double forecast[PMO_HORIZONS] = {0}, best[PMO_HORIZONS] = {0}, squares = 0, ideals = 0;
    float mean[PMO_HORIZONS];

    for (int64_t t = from; t < from + seconds; t++) {
        size_t slot = (size_t)(t % h);
        double y = wander();

        if (t >= from + h) {
            squares += (forecast[slot] - y) * (forecast[slot] - y);
            ideals += (best[slot] - y) * (best[slot] - y);
        }
        model_second(run, t, y);
        model_predict(run, mean);
        forecast[slot] = mean[h - 1];
        best[slot] = LEVEL + pow(PHI, h) * x;
    }
    *error = sqrt(squares / (double)(seconds - h));
    *ideal = sqrt(ideals / (double)(seconds - h));
}

static bool is_near_ideal(struct model_run *run, int64_t from)
{
    static const unsigned int horizons[] = {1, 5, 11, 31, 59};
    bool near = true;

    for (size_t i = 0; i < sizeof(horizons) / sizeof(*horizons); i++) {
        double error, ideal;

        errors_of(run, from + 7200 * (int64_t)i, 7200, horizons[i], &error, &ideal);
        near = near && error < 1.1 * ideal;
    }
    return near;
}

static void it_comes_within_a_tenth_of_the_ideal_forecast(void)
{
    struct model_run run = model_begin(&pmo_model_autoregression);

    random_state = 1;
    x = 0;
    for (int64_t t = 0; t < 7200; t++)
        model_second(&run, t, wander());
    CU_ASSERT(is_near_ideal(&run, 7200));
    model_end(&run);
}

static void millions_of_seconds_do_not_wear_it_out(void)
{
    struct model_run run = model_begin(&pmo_model_autoregression);
    int64_t t = 0;

    random_state = 2;
    x = 0;
    for (; t < 500000; t++)
        model_second(&run, t, wander());
    for (; t < 2000000; t++) /* nothing to learn from: forgetting must not go on */
        model_second(&run, t, LEVEL);
    for (; t < 3000000; t++)
        model_second(&run, t, wander());
    CU_ASSERT(is_near_ideal(&run, t));
    model_end(&run);
}

static void a_shift_of_the_level_is_followed(void)
{
    struct model_run run = model_begin(&pmo_model_autoregression);
    float mean[PMO_HORIZONS];

    random_state = 3;
    for (int64_t t = 0; t < 3600; t++)
        model_second(&run, t, poisson(200));
    for (int64_t t = 3600; t < 3660; t++)
        model_second(&run, t, poisson(400));
    model_predict(&run, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[0], 400, 60);
    for (int64_t t = 3660; t < 7200; t++)
        model_second(&run, t, poisson(400));
    model_predict(&run, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[0], 400, 20);
    CU_ASSERT_DOUBLE_EQUAL(mean[58], 400, 20);
    model_end(&run);
}

static void gaps_are_survived_and_after_long_ones_it_begins_anew(void)
{
    struct model_run run = model_begin(&pmo_model_autoregression);
    float mean[PMO_HORIZONS];
    int64_t t = -40000; /* and times may be negative */

    random_state = 4;
    for (; t < -30000; t++)
        if ((t + 40000) % 97 > 3 && (t + 40000) % 1000 > 45)
            model_second(&run, t, poisson(300));
    model_predict(&run, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[0], 300, 30);
    CU_ASSERT_DOUBLE_EQUAL(mean[58], 300, 30);
    model_second(&run, 100, 50);
    model_predict(&run, mean);
    CU_ASSERT(isnan(mean[0])); /* what was 8 hours ago says nothing */
    for (t = 101; t < 200; t++)
        model_second(&run, t, poisson(50));
    model_predict(&run, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[0], 50, 15);
    CU_ASSERT_DOUBLE_EQUAL(mean[58], 50, 15);
    model_end(&run);
}

static void silence_gives_finite_numbers(void)
{
    struct model_run run = model_begin(&pmo_model_autoregression);
    float mean[PMO_HORIZONS];

    for (int64_t t = 0; t < 100000; t++)
        model_second(&run, t, 0);
    model_predict(&run, mean);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT(mean[h] >= 0 && mean[h] <= 0.1F); /* the least level that it reckons with */
    random_state = 5;
    for (int64_t t = 100000; t < 101800; t++)
        model_second(&run, t, poisson(100));
    model_predict(&run, mean);
    for (size_t h = 0; h < PMO_HORIZONS - 1; h++)
        CU_ASSERT_DOUBLE_EQUAL(mean[h], 100, 20);
    model_end(&run);
}

static void a_second_of_a_million_is_forgotten(void)
{
    struct model_run run = model_begin(&pmo_model_autoregression);

    random_state = 6;
    x = 0;
    for (int64_t t = 0; t < 7200; t++)
        model_second(&run, t, wander());
    model_second(&run, 7200, 1e6);
    for (int64_t t = 7201; t < 14400; t++)
        model_second(&run, t, wander());
    CU_ASSERT(is_near_ideal(&run, 14400));
    model_end(&run);
}

static void a_thousand_times_the_load_is_a_thousand_times_the_forecast(void)
{
    struct model_run one = model_begin(&pmo_model_autoregression);
    struct model_run thousand = model_begin(&pmo_model_autoregression);
    float mean[PMO_HORIZONS], times[PMO_HORIZONS];

    random_state = 7;
    x = 0;
    for (int64_t t = 0; t < 20000; t++) {
        double y = wander();

        model_second(&one, t, y);
        model_second(&thousand, t, 1000 * y);
    }
    model_predict(&one, mean);
    model_predict(&thousand, times);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT_DOUBLE_EQUAL(times[h], 1000 * mean[h], 1e-3 * times[h]);
    model_end(&one);
    model_end(&thousand);
}

SUITE(autoregression) = {
    TEST(it_comes_within_a_tenth_of_the_ideal_forecast),
    TEST(millions_of_seconds_do_not_wear_it_out),
    TEST(a_shift_of_the_level_is_followed),
    TEST(gaps_are_survived_and_after_long_ones_it_begins_anew),
    TEST(silence_gives_finite_numbers),
    TEST(a_second_of_a_million_is_forgotten),
    TEST(a_thousand_times_the_load_is_a_thousand_times_the_forecast),
    {0},
};
