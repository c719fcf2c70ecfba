/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/smoothing.h"

#include "tests/unit/model_run.h"
#include "tests/unit/suite.h"

/* Hyndman and Athanasopoulos 2018, "Forecasting: principles and practice", 2nd edition, 7.1: oil
 * production of Saudi Arabia, 1996 to 2013, in million tonnes, and the fitted values of R's ses().
 */
static const double oil[18] = {445.3641, 453.1950, 454.4096, 422.3789, 456.0371, 440.3866,
                               425.1944, 486.2052, 500.4291, 521.2759, 508.9476, 488.8889,
                               509.8706, 456.7229, 473.8166, 525.9509, 549.8338, 542.3405};
static const double oil_fitted[18] = {446.5868, 445.5672, 451.9280, 453.9974, 427.6311, 451.3186,
                                      442.2025, 428.0196, 476.5400, 496.4609, 517.1539, 510.3108,
                                      492.4472, 506.9764, 465.0705, 472.3638, 517.0495, 544.3880};

/* The same, 7.2: passengers of Australian airlines, 1990 to 2016, in millions; Holt's method. */
static const double air[27] = {17.55, 21.86, 23.89, 26.93, 26.89, 28.83, 30.08, 30.95, 30.19,
                               31.58, 32.58, 33.48, 39.02, 41.39, 41.60, 44.66, 46.95, 48.73,
                               51.49, 50.03, 60.64, 63.36, 66.36, 68.20, 68.12, 69.78, 72.60};

static void simple_smoothing_gives_the_books_numbers(void)
{
    const struct pmo_ets_setting set = {.alpha = 0.8339};
    struct pmo_ets ets = {.level = 446.5868};
    double squares = 0, innovation;

    for (size_t i = 0; i < 18; i++) {
        CU_ASSERT_DOUBLE_EQUAL(pmo_ets_forecast(&ets, &set, 1), oil_fitted[i], 2e-3);
        innovation = pmo_ets_update(&ets, &set, 1, oil[i]);
        squares += innovation * innovation;
    }
    CU_ASSERT_DOUBLE_EQUAL(ets.level, 542.68, 5e-3);
    CU_ASSERT_DOUBLE_EQUAL(pmo_ets_forecast(&ets, &set, 5), 542.68, 5e-3);
    /* its AIC, with three parameters (alpha, the first level, the variance) */
    CU_ASSERT_DOUBLE_EQUAL(18 * log(squares) + 2 * 3, 178.1430, 1e-3);
}

static void holts_method_gives_the_books_numbers(void)
{
    const struct pmo_ets_setting set = {.alpha = 0.8317, .beta = 0.8317 * 0.0001, .phi = 1};
    static const double book[5] = {74.60, 76.70, 78.80, 80.91, 83.01};
    struct pmo_ets ets = {.level = 15.57, .trend = 2.102};

    for (size_t i = 0; i < 27; i++)
        (void)pmo_ets_update(&ets, &set, 1, air[i]);
    CU_ASSERT_DOUBLE_EQUAL(ets.level, 72.50, 5e-3);
    CU_ASSERT_DOUBLE_EQUAL(ets.trend, 2.102, 5e-4);
    for (unsigned int h = 1; h <= 5; h++) /* the book rounds what it starts from */
        CU_ASSERT_DOUBLE_EQUAL(pmo_ets_forecast(&ets, &set, h), book[h - 1], 0.011);
}

static void a_damped_trend_ends_at_phi_over_one_less_phi_of_it(void)
{
    const struct pmo_ets_setting set = {.alpha = 0.5, .beta = 0.2, .phi = 0.9};
    struct pmo_ets ets = {.level = 100, .trend = 10};

    CU_ASSERT_DOUBLE_EQUAL(pmo_ets_forecast(&ets, &set, 1), 109, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(pmo_ets_forecast(&ets, &set, 3), 100 + 9 + 8.1 + 7.29, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(pmo_ets_forecast(&ets, &set, 1000), 190, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(pmo_ets_update(&ets, &set, 1, 119), 10, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(ets.level, 114, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(ets.trend, 11, 1e-9);
}

static void a_value_after_a_gap_weighs_as_much_as_all_of_the_gap(void)
{
    const struct pmo_ets_setting set = {.alpha = 0.2};
    struct pmo_ets one = {.level = 100}, three = one;

    (void)pmo_ets_update(&one, &set, 3, 200);
    for (int i = 0; i < 3; i++)
        (void)pmo_ets_update(&three, &set, 1, 200);
    CU_ASSERT_DOUBLE_EQUAL(one.level, three.level, 1e-9);
}

static void a_constant_is_forecast_from_the_first_second_on(void)
{
    struct model_run run = model_run_new(&pmo_model_smoothing);
    struct model_run trend = model_run_new(&pmo_model_damped_trend);

    for (int64_t t = 0; t < 100; t++) {
        model_run_observe(&run, t, 42);
        model_run_observe(&trend, t, 42);
        CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 1), 42, 1e-4);
        CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&run, 60), 42, 1e-4);
        CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&trend, 60), 42, 1e-4);
    }
    model_run_free(&run);
    model_run_free(&trend);
}

static void noise_is_averaged_and_a_walk_is_followed(void)
{
    struct model_run noise = model_run_new(&pmo_model_smoothing);
    struct model_run walk = model_run_new(&pmo_model_smoothing);
    double squares = 0, y, at = 10000;

    model_run_seed(5);
    for (int64_t t = 0; t < 4000; t++) {
        y = 100 + 10 * model_run_normal();
        model_run_observe(&noise, t, y);
        if (t < 1000)
            continue;
        squares += pow(model_run_ahead(&noise, 1) - 100, 2) / 3000;
    }
    CU_ASSERT(squares < 1.5); /* a share of 0.01 has 100 * 0.01 / 1.99 = 0.5 */
    squares = 0;
    for (int64_t t = 0; t < 4000; t++, at += 10 * model_run_normal()) {
        if (t > 1000)
            squares += pow(model_run_ahead(&walk, 1) - at, 2) / 3000;
        model_run_observe(&walk, t, at);
    }
    CU_ASSERT(squares < 110); /* the last value, the best forecast of a walk, has 100 */
    model_run_free(&noise);
    model_run_free(&walk);
}

static void a_ramp_is_continued_and_damped(void)
{
    struct model_run run = model_run_new(&pmo_model_damped_trend);
    float mean[PMO_HORIZONS];

    for (int64_t t = 0; t < 300; t++)
        model_run_observe(&run, t, 100 + 2 * (double)t);
    model_run_predict(&run, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[0], 700, 6);
    CU_ASSERT(mean[9] > 704 && mean[9] < 720);
    CU_ASSERT(mean[59] > mean[29] && mean[29] > mean[9]);
    CU_ASSERT(mean[59] - mean[58] < mean[1] - mean[0]);
    model_run_free(&run);
}

static void a_shift_of_the_level_is_followed_in_seconds(void)
{
    struct model_run run = model_run_new(&pmo_model_smoothing);

    model_run_seed(9);
    for (int64_t t = 0; t < 1000; t++)
        model_run_observe(&run, t, model_run_poisson(60));
    for (int64_t t = 1000; t < 1010; t++)
        model_run_observe(&run, t, model_run_poisson(600));
    CU_ASSERT(model_run_ahead(&run, 1) > 540);
    model_run_free(&run);
}

static void ten_times_the_traffic_has_ten_times_the_forecast(void)
{
    struct model_run one = model_run_new(&pmo_model_smoothing);
    struct model_run ten = model_run_new(&pmo_model_smoothing);

    model_run_seed(3);
    for (int64_t t = 0; t < 2000; t++) {
        double y = model_run_poisson(50 + 20 * sin((double)t / 100));

        model_run_observe(&one, t, y);
        model_run_observe(&ten, t, 10 * y);
    }
    CU_ASSERT_DOUBLE_EQUAL(model_run_ahead(&ten, 30), 10 * model_run_ahead(&one, 30), 1e-3);
    model_run_free(&one);
    model_run_free(&ten);
}

SUITE(smoothing) = {
    TEST(simple_smoothing_gives_the_books_numbers),
    TEST(holts_method_gives_the_books_numbers),
    TEST(a_damped_trend_ends_at_phi_over_one_less_phi_of_it),
    TEST(a_value_after_a_gap_weighs_as_much_as_all_of_the_gap),
    TEST(a_constant_is_forecast_from_the_first_second_on),
    TEST(noise_is_averaged_and_a_walk_is_followed),
    TEST(a_ramp_is_continued_and_damped),
    TEST(a_shift_of_the_level_is_followed_in_seconds),
    TEST(ten_times_the_traffic_has_ten_times_the_forecast),
    {},
};
