/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scores of what was forecast in the end, and drift: when it is named, and how. */
#include "agent/forecast/drift.h"
#include "agent/forecast/scores.h"
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#include <math.h>
#include <stdbool.h>

#define _cleanup_forecaster_ __attribute__((cleanup(pmo_forecaster_free)))
#define HOUR                 3600
#define DAY                  (24 * HOUR)

static void bell(float value[PMO_QUANTILES], double mean, double deviation)
{
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        value[q] = (float)(mean + pmo_normal[q] * deviation);
}

static struct pmo_drifting settled(void)
{
    struct pmo_drifting drifting;
    float value[PMO_QUANTILES];

    pmo_drift_init(&drifting);
    bell(value, 60, sqrt(60));
    for (int t = 0; t < 600; t++)
        pmo_drift_learn(&drifting, value, (float)poisson(60));
    CU_ASSERT_EQUAL(pmo_drift_now(&drifting), PMO_DRIFT_STEADY);
    return drifting;
}

/* 60 a second are forecast for ever, as a Poisson process, times @unit: what is named when, if this
 * comes instead? */
static enum pmo_drift named(double mean, double deviation, double unit, int *seconds)
{
    struct pmo_drifting drifting = settled();
    float value[PMO_QUANTILES];

    bell(value, 60 * unit, sqrt(60) * unit);
    for (*seconds = 1; *seconds < HOUR; ++*seconds) {
        pmo_drift_learn(&drifting, value, (float)fmax(unit * (mean + deviation * normal()), 0));
        if (pmo_drift_now(&drifting) != PMO_DRIFT_STEADY)
            break;
    }
    return pmo_drift_now(&drifting);
}

static void each_kind_of_drift_is_named_within_its_time_at_any_scale(void)
{
    static const struct {
        double mean, deviation;
        enum pmo_drift kind;
        int seconds;
    } cases[] = {
        {90, 7.75, PMO_DRIFT_TOO_LOW, 70},     {72, 7.75, PMO_DRIFT_TOO_LOW, 180},
        {30, 7.75, PMO_DRIFT_TOO_HIGH, 80},    {48, 7.75, PMO_DRIFT_TOO_HIGH, 180},
        {60, 40, PMO_DRIFT_TOO_NARROW, 140},   {60, 23.2, PMO_DRIFT_TOO_NARROW, 300},
        {60, 15.5, PMO_DRIFT_TOO_NARROW, 900}, {60, 0.5, PMO_DRIFT_TOO_WIDE, 140},
        {60, 3.9, PMO_DRIFT_TOO_WIDE, 700},
    };
    static const double units[] = {1, 100, 1e5};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t k = 0; k < 3; k++) {
            int seconds;

            random_state = 21 + i;
            CU_ASSERT_EQUAL(named(cases[i].mean, cases[i].deviation, units[k], &seconds),
                            cases[i].kind);
            CU_ASSERT(seconds > 60);
            CU_ASSERT(seconds <= cases[i].seconds);
        }
}

static void no_drift_is_named_in_thirty_days_of_calm(void)
{
    static const double rates[] = {60, 1000};

    random_state = 30;
    for (size_t i = 0; i < 2; i++) {
        struct pmo_drifting drifting;
        float value[PMO_QUANTILES];
        int wrong = 0;

        pmo_drift_init(&drifting);
        bell(value, rates[i], sqrt(rates[i]));
        for (int t = 0; t < 15 * DAY; t++) {
            pmo_drift_learn(&drifting, value, (float)poisson(rates[i]));
            wrong += pmo_drift_now(&drifting) != PMO_DRIFT_STEADY;
        }
        CU_ASSERT_EQUAL(wrong, 0);
    }
}

/* Its errors 11 seconds ahead go together over 11 seconds: the worst that can be had while
 * forecasts are right. Once in three days is stated, so that ten in ten days are far too many. */
static void a_random_walk_forecast_right_is_seldom_called_drift(void)
{
    double past[PMO_DRIFT_HORIZON] = {0}, y = 0;
    struct pmo_drifting drifting;
    int alarms = 0;
    bool before = false;

    random_state = 31;
    pmo_drift_init(&drifting);
    for (int t = 0; t < 10 * DAY; t++) {
        double *last = &past[t % PMO_DRIFT_HORIZON];
        float value[PMO_QUANTILES];
        bool now;

        y += 10 * normal();
        bell(value, *last, 10 * sqrt(PMO_DRIFT_HORIZON));
        *last = y;
        pmo_drift_learn(&drifting, value, (float)y);
        now = pmo_drift_now(&drifting) != PMO_DRIFT_STEADY;
        alarms += now && !before;
        before = now;
    }
    CU_ASSERT(alarms < 10);
}

static void drift_is_over_a_minute_or_two_after_forecasts_are_right_again(void)
{
    struct pmo_drifting drifting = settled();
    float value[PMO_QUANTILES];
    int t = 0;

    bell(value, 60, sqrt(60));
    for (int i = 0; i < 1000; i++)
        pmo_drift_learn(&drifting, value, 200);
    CU_ASSERT_EQUAL(pmo_drift_now(&drifting), PMO_DRIFT_TOO_LOW);
    while (pmo_drift_now(&drifting) != PMO_DRIFT_STEADY && t++ < 1000)
        pmo_drift_learn(&drifting, value, (float)poisson(60));
    CU_ASSERT(t > 30 && t < 150);
}

/* A day in all, and rates at which quantiles are few and coarse. */
static void a_forecaster_of_stationary_counts_does_not_drift(void)
{
    static const double rates[] = {0, 0.05, 0.5, 3, 7, 20, 100, 1000};

    random_state = 32;
    for (size_t i = 0; i < 8; i++) {
        _cleanup_forecaster_ struct pmo_forecaster *forecaster = NULL;
        int wrong = 0;

        CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&forecaster), 0);
        for (int t = 0; t < DAY / 8; t++) {
            pmo_forecaster_observe(forecaster, t, rates[i] > 0 ? poisson(rates[i]) : 0);
            wrong += pmo_forecaster_drift(forecaster) != PMO_DRIFT_STEADY;
        }
        CU_ASSERT_EQUAL(wrong, 0);
    }
}

/* From second 0 on: what is named first; 0 where nothing is in an hour. */
static enum pmo_drift first_named(double (*series)(int t), int *first, int *last)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = NULL;
    enum pmo_drift kind = PMO_DRIFT_STEADY;
    bool studied_in_time = true;

    random_state = 33;
    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&forecaster), 0);
    for (int t = -2000; t < HOUR; t++) {
        bool steady;

        pmo_forecaster_observe(forecaster, t, fmax(series(t), 0));
        steady = pmo_forecaster_drift(forecaster) == PMO_DRIFT_STEADY;
        studied_in_time &= pmo_forecaster_study_after(forecaster, HOUR) == (steady ? HOUR : 900);
        if (steady)
            continue;
        if (kind == PMO_DRIFT_STEADY) {
            kind = pmo_forecaster_drift(forecaster);
            *first = t;
        }
        *last = t;
    }
    CU_ASSERT(studied_in_time);
    return kind;
}

static double gets_calm(int t)
{
    return 500 + (t < 0 ? 100 : 10) * normal();
}

static double doubles_each_minute_for_five(int t)
{
    return poisson(100 * exp2(fmin(fmax(t, 0), 300) / 60));
}

static void a_forecaster_whose_series_changes_drifts_until_it_has_learned(void)
{
    static const struct {
        double (*series)(int t);
        enum pmo_drift kind;
    } cases[] = {{gets_calm, PMO_DRIFT_TOO_WIDE},
                 {doubles_each_minute_for_five, PMO_DRIFT_TOO_LOW}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int first = 0, last = 0;

        CU_ASSERT_EQUAL(first_named(cases[i].series, &first, &last), cases[i].kind);
        CU_ASSERT(first > 60 && first < 300);
        CU_ASSERT(last < 900);
    }
}

static void scores_of_three_truths_are_their_means(void)
{
    static const float value[PMO_QUANTILES] = {1, 2, 3, 4, 5, 6, 7};
    struct pmo_scores scores = {0};

    /* above all: errors 19, 18 .. 13 times 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99 */
    pmo_scores_learn(&scores, 0, value, 20);
    CU_ASSERT_DOUBLE_EQUAL(scores.pinball, (0.95 + 1.8 + 4.25 + 8 + 11.25 + 12.6 + 12.87) / 7,
                           1e-5);
    CU_ASSERT_DOUBLE_EQUAL(scores.error, 16, 1e-6);
    CU_ASSERT_EQUAL(scores.held[0], 0);
    /* below all: 1, 2 .. 7 times 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.01 */
    pmo_scores_learn(&scores, 1, value, 0);
    CU_ASSERT_DOUBLE_EQUAL(scores.pinball, (51.72 + 0.95 + 1.8 + 2.25 + 2 + 1.25 + 0.6 + 0.07) / 14,
                           1e-5);
    CU_ASSERT_DOUBLE_EQUAL(scores.error, 10, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(scores.held[0], 0.5, 1e-6);
    /* at the 0.99 quantile, which holds, above the 0.9 quantile, which does not */
    pmo_scores_learn(&scores, 2, value, 7);
    CU_ASSERT_DOUBLE_EQUAL(scores.error, 23 / 3.0, 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(scores.held[0], 1 / 3.0, 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(scores.held[1], 2 / 3.0, 1e-5);
}

/* One second ahead, from what pmo_forecaster_predict() said each second. */
static void a_forecaster_scores_what_it_said(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = NULL;
    struct pmo_forecast_score score;
    double error = 0, pinball = 0, held[PMO_HELD] = {0};
    struct pmo_forecast forecast;

    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&forecaster), 0);
    pmo_forecaster_score(forecaster, 1, &score);
    CU_ASSERT(isnan(score.error) && isnan(score.pinball) && isnan(score.held[1]));
    random_state = 34;
    pmo_forecaster_observe(forecaster, 0, 40);
    for (int t = 1; t <= 100; t++) {
        double y = poisson(t < 50 ? 40 : 80);
        const float *said = forecast.value[0];

        pmo_forecaster_predict(forecaster, &forecast);
        error += fabs(y - said[PMO_MEDIAN]) / 100;
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            pinball +=
                fmax(pmo_quantiles[q] * (y - said[q]), (pmo_quantiles[q] - 1) * (y - said[q])) /
                700;
        for (size_t i = 0; i < PMO_HELD; i++)
            held[i] += (y <= said[pmo_held[i]]) / 100.0;
        pmo_forecaster_observe(forecaster, t, y);
    }
    pmo_forecaster_score(forecaster, 1, &score);
    CU_ASSERT_DOUBLE_EQUAL(score.error, error, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL(score.pinball, pinball, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL(score.held[0], held[0], 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(score.held[1], held[1], 1e-4);
}

SUITE(drift) = {
    TEST(each_kind_of_drift_is_named_within_its_time_at_any_scale),
    TEST(no_drift_is_named_in_thirty_days_of_calm),
    TEST(a_random_walk_forecast_right_is_seldom_called_drift),
    TEST(drift_is_over_a_minute_or_two_after_forecasts_are_right_again),
    TEST(a_forecaster_of_stationary_counts_does_not_drift),
    TEST(a_forecaster_whose_series_changes_drifts_until_it_has_learned),
    TEST(scores_of_three_truths_are_their_means),
    TEST(a_forecaster_scores_what_it_said),
    {0},
};
