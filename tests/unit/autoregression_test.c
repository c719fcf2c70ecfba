/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/model_run.h"
#include "tests/unit/suite.h"

/* A first-order autoregression around @mean: x' = phi x + noise */
static double next(double x, double phi, double noise)
{
    return phi * x + noise * model_run_normal();
}

static void a_first_order_autoregression_is_learned(void)
{
    struct model_run run = model_run_new(&pmo_model_autoregression);
    static const unsigned int horizons[] = {1, 5, 11, 31};
    const double phi = 0.95;
    double x = 0, squares[4] = {0}, signal[4] = {0};

    model_run_seed(1);
    for (int64_t t = 0; t < 30000; t++) {
        x = next(x, phi, 10);
        model_run_observe(&run, t, 1000 + x);
        for (size_t i = 0; i < 4 && t >= 20000; i++) {
            /* the best that there is: mean + phi^h x */
            double best = pow(phi, horizons[i]) * x;

            squares[i] += pow(model_run_ahead(&run, horizons[i]) - 1000 - best, 2);
            signal[i] += best * best;
        }
    }
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT(squares[i] < 0.05 * signal[i]);
    CU_ASSERT(squares[3] < 0.05 * signal[0]); /* phi^31 is a fifth: hardly a signal any more */
    model_run_free(&run);
}

static void what_turns_around_is_forecast_to_turn_around(void)
{
    struct model_run run = model_run_new(&pmo_model_autoregression);
    double x = 0, error = 0, last = 0;

    model_run_seed(2);
    for (int64_t t = 0; t < 20000; t++) {
        double was = x, forecast = t ? model_run_ahead(&run, 1) : 0;

        x = next(x, -0.8, 10);
        if (t >= 10000) {
            error += pow(1000 + x - forecast, 2);
            last += pow(x - was, 2);
        }
        model_run_observe(&run, t, 1000 + x);
    }
    CU_ASSERT(error < 0.5 * last); /* it has 360 or so, the best has 100 */
    CU_ASSERT(error / 10000 < 150);
    model_run_free(&run);
}

static void ten_times_the_traffic_has_ten_times_the_forecast(void)
{
    struct model_run one = model_run_new(&pmo_model_autoregression);
    struct model_run ten = model_run_new(&pmo_model_autoregression);

    model_run_seed(3);
    for (int64_t t = 0; t < 3000; t++) {
        double y = model_run_poisson(50 + 20 * sin((double)t / 100));

        model_run_observe(&one, t, y);
        model_run_observe(&ten, t, 10 * y);
    }
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&ten, 30), 10 * model_run_ahead(&one, 30), 0.01);
    model_run_free(&one);
    model_run_free(&ten);
}

static void what_comes_later_changes_nothing_that_was_said(void)
{
    struct model_run run = model_run_new(&pmo_model_autoregression);
    struct model_run other = model_run_new(&pmo_model_autoregression);

    model_run_seed(4);
    for (int64_t t = 0; t < 2000; t++) {
        double y = model_run_poisson(80);

        model_run_observe(&run, t, y);
        model_run_observe(&other, t, y);
    }
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++)
        CU_ASSERT_EQUAL(model_run_ahead(&run, h), model_run_ahead(&other, h));
    for (int64_t t = 2000; t < 2010; t++) /* what is forecast here was not known there */
        model_run_observe(&other, t, 5000);
    CU_ASSERT(model_run_ahead(&other, 1) > 10 * model_run_ahead(&run, 1));
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 1), 80, 20);
    model_run_free(&run);
    model_run_free(&other);
}

static void ten_seconds_say_their_mean(void)
{
    struct model_run run = model_run_new(&pmo_model_autoregression);

    model_run_observe(&run, 0, 70);
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 1), 70, 1e-3);
    for (int64_t t = 1; t < 10; t++)
        model_run_observe(&run, t, t % 2 ? 50 : 70);
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 1), 60, 5);
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 60), 60, 5);
    model_run_free(&run);
}

static void nothing_is_forecast_of_nothing(void)
{
    struct model_run run = model_run_new(&pmo_model_autoregression);

    for (int64_t t = 0; t < 5000; t++)
        model_run_observe(&run, t, 0);
    CU_ASSERT_EQUAL(model_run_ahead(&run, 1), 0);
    CU_ASSERT_EQUAL(model_run_ahead(&run, 60), 0);
    for (int64_t t = 5000; t < 5120; t++)
        model_run_observe(&run, t, 50);
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 5), 50, 5);
    model_run_free(&run);
}

static void gaps_teach_nothing_that_is_not_so(void)
{
    struct model_run whole = model_run_new(&pmo_model_autoregression);
    struct model_run holes = model_run_new(&pmo_model_autoregression);
    double x = 0, difference = 0, best = 0;

    /* a slow wave, of which every other time ten minutes are missing */
    model_run_seed(6);
    for (int64_t t = 0; t < 40000; t++) {
        double y = 1000 + 300 * sin(2 * M_PI * (double)t / 3000) + (x = next(x, 0.9, 10));

        model_run_observe(&whole, t, y);
        model_run_observe(&holes, t, t / 600 % 2 && t < 39000 ? NAN : y);
    }
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        difference =
            fmax(difference, fabs(model_run_ahead(&whole, h) - model_run_ahead(&holes, h)));
        best = fmax(best, fabs(model_run_ahead(&whole, h)));
    }
    CU_ASSERT(difference < 0.02 * best);
    model_run_free(&whole);
    model_run_free(&holes);
}

static void one_second_of_a_million_is_over_in_minutes(void)
{
    struct model_run clean = model_run_new(&pmo_model_autoregression);
    struct model_run struck = model_run_new(&pmo_model_autoregression);

    model_run_seed(7);
    for (int64_t t = 0; t < 14400; t++) {
        double y = model_run_poisson(100);

        model_run_observe(&clean, t, y);
        model_run_observe(&struck, t, t == 7200 ? 1e6 : y);
        if (t == 7201)
            CU_ASSERT(isfinite(model_run_ahead(&struck, 60)));
        if (t == 7200 + 900)
            CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&struck, 10), model_run_ahead(&clean, 10), 50);
    }
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++)
        CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&struck, h), model_run_ahead(&clean, h), 5);
    model_run_free(&clean);
    model_run_free(&struck);
}

static void a_shift_of_the_level_is_followed(void)
{
    struct model_run run = model_run_new(&pmo_model_autoregression);

    model_run_seed(8);
    for (int64_t t = 0; t < 4000; t++)
        model_run_observe(&run, t, model_run_poisson(60));
    for (int64_t t = 4000; t < 4090; t++)
        model_run_observe(&run, t, model_run_poisson(600));
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 1), 600, 60);
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 60), 600, 90);
    model_run_free(&run);
}

/* Hours of noise, of silence and of standstill: what was learned stays a number. */
static void ninety_changes_leave_it_as_sound_as_it_was(void)
{
    enum { part_seconds = 4320 };
    struct model_run run = model_run_new(&pmo_model_autoregression);
    double error = 0, of_mean = 0;
    int64_t t = 0;

    model_run_seed(10);
    for (int part = 0; part < 90; part++) {
        for (int64_t until = t + part_seconds; t < until; t++) {
            double level = part % 10 == 8 ? 0 : part % 10 == 9 ? 50 : 100 + part;
            double y = part % 10 > 7 ? level : level + model_run_poisson(level);

            model_run_observe(&run, t, y);
        }
        CU_ASSERT_FATAL(isfinite(model_run_ahead(&run, 1)) && isfinite(model_run_ahead(&run, 60)));
    }
    for (int64_t until = t + 20000; t < until; t++) {
        double y = 100 + model_run_poisson(100);

        if (until - t < 10000) {
            error += fabs(y - model_run_ahead(&run, 5));
            of_mean += fabs(y - 200);
        }
        model_run_observe(&run, t, y);
    }
    CU_ASSERT(error < 1.05 * of_mean);
    model_run_free(&run);
}

SUITE(autoregression) = {
    TEST(a_first_order_autoregression_is_learned),
    TEST(what_turns_around_is_forecast_to_turn_around),
    TEST(ten_times_the_traffic_has_ten_times_the_forecast),
    TEST(what_comes_later_changes_nothing_that_was_said),
    TEST(ten_seconds_say_their_mean),
    TEST(nothing_is_forecast_of_nothing),
    TEST(gaps_teach_nothing_that_is_not_so),
    TEST(one_second_of_a_million_is_over_in_minutes),
    TEST(a_shift_of_the_level_is_followed),
    TEST(ninety_changes_leave_it_as_sound_as_it_was),
    {},
};
