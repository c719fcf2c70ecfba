/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/forecast.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/forecast/calibration.h"
#include "agent/forecast/combination.h"
#include "agent/forecast/model.h"
#include "agent/forecast/period.h"
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#define _cleanup_forecaster_ __attribute__((cleanup(pmo_forecaster_free)))

static struct pmo_forecaster *forecaster_new(void)
{
    struct pmo_forecaster *forecaster = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&forecaster), 0);
    return forecaster;
}

static struct pmo_forecast predict(struct pmo_forecaster *forecaster)
{
    struct pmo_forecast forecast;

    pmo_forecaster_predict(forecaster, &forecast);
    return forecast;
}

static bool same(const struct pmo_forecast *a, const struct pmo_forecast *b)
{
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        for (size_t i = 0; i < PMO_QUANTILES; i++)
            if (a->value[h][i] != b->value[h][i])
                return false;
    return a->origin == b->origin && a->observed == b->observed && a->trust == b->trust;
}

static bool in_order(const struct pmo_forecast *forecast)
{
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        for (size_t i = 0; i < PMO_QUANTILES; i++) {
            float v = forecast->value[h][i];

            if (!isfinite(v) || v < (i > 0 ? forecast->value[h][i - 1] : 0))
                return false;
        }
    return true;
}

/* All 60 values of a model that has seen y[0..seconds-1] at seconds 0, 1, .. (NAN: missing). */
static void run_model(const struct pmo_model_ops *model, const float *y, size_t seconds,
                      float mean[PMO_HORIZONS])
{
    _cleanup_free_ struct pmo_recent *recent = calloc(1, sizeof(*recent));
    _cleanup_free_ void *state = calloc(1, model->state_bytes + 1);
    const struct pmo_context context = {.recent = recent};

    CU_ASSERT_FATAL(recent && state);
    if (model->init)
        model->init(model, state);
    for (size_t t = 0; t < seconds; t++) {
        if (isnan(y[t]))
            continue;
        pmo_recent_append(recent, (int64_t)t, y[t]);
        if (model->observe)
            model->observe(model, state, &context, (int64_t)t, y[t]);
    }
    model->predict(model, state, &context, mean);
}

/* 60 requests a second, and 200 for the first ten of every 45 seconds */
static double burst_rate(int64_t t)
{
    return t % 45 < 10 ? 200 : 60;
}

/* Around the ring's end, over what is missing, before the first second and after the last one. */
static void seconds_next_to_each_other_are_those_of_the_ring(void)
{
    _cleanup_free_ struct pmo_recent *recent = calloc(1, sizeof(*recent));
    float copied[100];

    CU_ASSERT_FATAL(recent != NULL);
    for (int64_t t = 50; t < 3 * PMO_RECENT_SECONDS; t++) {
        int64_t from = t - (t * 37) % (PMO_RECENT_SECONDS + 60);
        double sum = 0, known = 0;

        if (t % 11 == 0 && t > 50)
            continue;
        pmo_recent_append(recent, t, (float)(t % 1000) + 0.5F);
        pmo_recent_copy(recent, from, 100, copied);
        for (int i = 0; i < 100; i++) {
            float y = pmo_recent_at(recent, from + i);

            CU_ASSERT_FATAL(isnan(y) ? isnan(copied[i]) : copied[i] == y);
            y = pmo_recent_at(recent, t - i);
            sum += isnan(y) ? 0 : y;
            known += !isnan(y);
        }
        CU_ASSERT_DOUBLE_EQUAL(pmo_recent_mean(recent, 100), sum / known, 1e-4);
    }
}

static void means_are_means_of_what_is_known(void)
{
    float y[40], mean[PMO_HORIZONS];

    for (size_t t = 0; t < 40; t++)
        y[t] = (float)t;
    run_model(&pmo_model_last_value, y, 40, mean);
    CU_ASSERT_EQUAL(mean[0], 39);
    CU_ASSERT_EQUAL(mean[59], 39);
    run_model(&pmo_model_mean_10s, y, 40, mean);
    CU_ASSERT_EQUAL(mean[0], 34.5F);
    run_model(&pmo_model_mean_30s, y, 40, mean);
    CU_ASSERT_EQUAL(mean[59], 24.5F);
    y[38] = y[37] = NAN;
    run_model(&pmo_model_mean_10s, y, 40, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[0], (39 + 30 + 31 + 32 + 33 + 34 + 35 + 36) / 8.0, 1e-5);
    run_model(&pmo_model_last_value, y, 39, mean); /* the last two are missing */
    CU_ASSERT_EQUAL(mean[0], 36);
}

static void seasonal_repeats_the_season_at_the_level_of_today(void)
{
    float y[241], mean[PMO_HORIZONS];

    for (size_t t = 0; t < 241; t++)
        y[t] = (t % 60 < 5 ? 300 : 100) + (t >= 150 ? 50 : 0);
    run_model(&pmo_model_seasonal_60s, y, 240, mean);
    /* the shift by 50 is part of one of the three averaged cycles and missing in the others */
    CU_ASSERT_DOUBLE_EQUAL(mean[3], 350, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL(mean[5], 150, 1e-3);
    run_model(&pmo_model_seasonal_60s, y, 40, mean);
    CU_ASSERT(isnan(mean[0])); /* a period that was not yet seen: nothing to say */
}

static void day_shape_needs_a_day_and_then_knows_it(void)
{
    enum { day = 86400 };
    static float y[day + 7200];
    float mean[PMO_HORIZONS];

    for (size_t t = 0; t < day + 7200; t++) /* twice as much from the second hour on */
        y[t] = t % day < 3600 ? 100 : 200;
    run_model(&pmo_model_seasonal_day, y, 7200, mean);
    CU_ASSERT(isnan(mean[0]));
    run_model(&pmo_model_seasonal_day, y, day + 3600, mean);
    CU_ASSERT(mean[0] > 100 && mean[59] > 175); /* minutes joined by straight lines */
    run_model(&pmo_model_seasonal_day, y, day + 1800, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[59], 100, 1e-3);
}

static void period_is_found_after_three_cycles_and_not_in_noise(void)
{
    static const uint32_t periods[] = {13, 30, 45, 97, 300};
    static struct pmo_period period;

    random_state = 1;
    for (size_t i = 0; i < sizeof(periods) / sizeof(*periods); i++) {
        uint32_t wanted = periods[i], burst = wanted / 4;

        memset(&period, 0, sizeof(period));
        for (int64_t t = 0; t < 3 * (int64_t)wanted + 30; t++)
            pmo_period_observe(&period, t, (float)poisson(t % wanted < burst ? 200 : 60));
        CU_ASSERT_EQUAL(period.period, wanted);
    }
    memset(&period, 0, sizeof(period));
    for (int64_t t = 0; t < 5000; t++) {
        pmo_period_observe(&period, t, (float)poisson(60));
        CU_ASSERT_EQUAL_FATAL(period.period, 0);
    }
}

static void weights_go_to_the_best_mixture(void)
{
    struct pmo_combination combination = {0};
    float forecast[PMO_MODELS], sum = 0;

    pmo_combination_init(&combination);
    random_state = 2;
    /* two models whose errors cancel, and others that are always far off */
    for (int t = 0; t < 300; t++) {
        float e = (float)(uniform() - 0.5) * 40;

        for (size_t i = 0; i < PMO_MODELS; i++)
            forecast[i] = 200 + (float)(uniform() - 0.5) * 10;
        forecast[3] = 100 + e;
        forecast[7] = 100 - e;
        pmo_combination_learn(&combination, 5, forecast, 100, 100);
    }
    CU_ASSERT_DOUBLE_EQUAL(combination.weight[3], 0.5, 0.05);
    CU_ASSERT_DOUBLE_EQUAL(combination.weight[7], 0.5, 0.05);
    for (size_t i = 0; i < PMO_MODELS; i++)
        sum += combination.weight[i];
    CU_ASSERT_DOUBLE_EQUAL(sum, 1, 1e-4);
}

static void low_rates_have_the_quantiles_of_a_poisson_distribution(void)
{
    static const float at[PMO_QUANTILES] = {0};
    float value[PMO_QUANTILES];
    /* mean 1.5, by the cumulative sums 0.223, 0.558, 0.809, 0.934, 0.981, 0.9955 */
    static const float expected[PMO_QUANTILES] = {0, 0, 1, 1, 2, 3, 5};

    pmo_calibration_quantiles(1.5F, 1, at, 1, value);
    for (size_t i = 0; i < PMO_QUANTILES; i++)
        CU_ASSERT_EQUAL(value[i], expected[i]);
    pmo_calibration_quantiles(1.5F, 1, at, 4, value); /* wider than Poisson */
    CU_ASSERT(value[PMO_QUANTILES - 1] >= 9);
    pmo_calibration_quantiles(0, 1, at, 1, value);
    CU_ASSERT_EQUAL(value[PMO_QUANTILES - 1], 0);
}

static void reading_interpolates_and_extends(void)
{
    struct pmo_forecast forecast = {0};

    for (size_t h = 0; h < PMO_HORIZONS; h++)
        for (size_t i = 0; i < PMO_QUANTILES; i++)
            forecast.value[h][i] = (float)((h == 4 ? 200 : 100) * pmo_quantiles[i]);
    CU_ASSERT_DOUBLE_EQUAL(pmo_forecast_quantile(&forecast, 1, 0.5), 50, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(pmo_forecast_quantile(&forecast, 1, 0.6), 60, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(pmo_forecast_quantile(&forecast, 1, 0.999), 99.9, 1e-3);
    CU_ASSERT_DOUBLE_EQUAL(pmo_forecast_quantile(&forecast, 1, 0.02), 2, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(pmo_forecast_peak(&forecast, 4, 0.9), 90, 1e-4);
    CU_ASSERT_DOUBLE_EQUAL(pmo_forecast_peak(&forecast, 60, 0.9), 180, 1e-4);
    forecast.value[0][0] = 0;
    CU_ASSERT_EQUAL(pmo_forecast_quantile(&forecast, 1, 0), 0); /* not -10 */
}

static void nothing_observed_is_origin_zero_and_all_zero(void)
{
    static const struct pmo_forecast zero;
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast = predict(forecaster);
    struct pmo_model_score scores[PMO_MODELS_MAX];

    CU_ASSERT(same(&forecast, &zero));
    CU_ASSERT_EQUAL(pmo_forecaster_scores(forecaster, 7, scores), PMO_MODELS);
    CU_ASSERT(isnan(scores[0].error));
}

static void cold_start_is_wide_and_gets_narrow(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast first, later;

    random_state = 3;
    pmo_forecaster_observe(forecaster, 1000, 100);
    first = predict(forecaster);
    CU_ASSERT_EQUAL(first.origin, 1000);
    CU_ASSERT_EQUAL(first.observed, 1);
    CU_ASSERT_EQUAL(first.trust, 0);
    CU_ASSERT(in_order(&first));
    for (int64_t t = 1001; t < 1600; t++)
        pmo_forecaster_observe(forecaster, t, poisson(100));
    later = predict(forecaster);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT(later.value[h][5] - later.value[h][1] <
                  0.6F * (first.value[h][5] - first.value[h][1]));
}

static void trust_comes_within_thirty_seconds_and_goes_with_broken_quantiles(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();

    random_state = 4;
    for (int64_t t = 0; t < 30; t++)
        pmo_forecaster_observe(forecaster, t, poisson(60));
    CU_ASSERT(predict(forecaster).trust > 0.8F);
    for (int64_t t = 30; t < 600; t++)
        pmo_forecaster_observe(forecaster, t, poisson(60));
    CU_ASSERT(predict(forecaster).trust > 0.8F);
    /* doubling every four seconds: no quantile holds */
    for (int64_t t = 600; t < 640; t++)
        pmo_forecaster_observe(forecaster, t, 60 * exp2((double)(t - 600) / 4));
    CU_ASSERT(predict(forecaster).trust < 0.5F);
}

static void quantiles_hold_on_a_noisy_level(double mean, double tolerance)
{
    static const size_t horizons[] = {1, 5, 12, 30, 60};
    enum { SECONDS = 6000, SKIP = 600 };
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    _cleanup_free_ struct pmo_forecast *made = calloc(SECONDS, sizeof(*made));
    double held[5][2] = {0};

    CU_ASSERT_FATAL(made != NULL);
    random_state = 5;
    for (int64_t t = 0; t < SECONDS; t++) {
        double y = 2 * poisson(mean); /* twice the variance of a Poisson distribution */

        for (size_t i = 0; t >= SKIP && i < 5; i++) {
            const float *value = made[t - (int64_t)horizons[i]].value[horizons[i] - 1];

            held[i][0] += y <= value[5] ? 1 : 0;
            held[i][1] += y <= value[6] ? 1 : 0;
        }
        pmo_forecaster_observe(forecaster, t, y);
        pmo_forecaster_predict(forecaster, &made[t]);
        CU_ASSERT_FATAL(in_order(&made[t]));
    }
    for (size_t i = 0; i < 5; i++) {
        CU_ASSERT_DOUBLE_EQUAL(held[i][0] / (SECONDS - SKIP), 0.9, tolerance);
        CU_ASSERT(held[i][1] / (SECONDS - SKIP) > 0.98);
    }
}

static void quantiles_hold_at_high_and_medium_rates(void)
{
    quantiles_hold_on_a_noisy_level(500, 0.04);
    quantiles_hold_on_a_noisy_level(30, 0.04);
    quantiles_hold_on_a_noisy_level(4, 0.06); /* between a bell and counts */
}

static void recurring_bursts_are_seen_after_three_cycles(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    random_state = 6;
    for (int64_t t = 0; t < 3 * 45; t++) {
        pmo_forecaster_observe(forecaster, t, poisson(burst_rate(t)));
        if (t < 3 * 45 - 11 || t > 3 * 45 - 6)
            continue;
        /* the burst starts 5..10 seconds from now */
        forecast = predict(forecaster);
        for (int64_t h = 3 * 45 - t; h < 3 * 45 - t + 5; h++) {
            CU_ASSERT(forecast.value[h][PMO_MEDIAN] > 150);
            CU_ASSERT(forecast.value[h][5] > 200);
        }
        CU_ASSERT(forecast.value[0][PMO_MEDIAN] < 90);
    }
}

static void bursts_do_not_smear_into_the_quiet_seconds(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    random_state = 7;
    /* the first bursts came as a surprise: it takes some time until none is reckoned with any more
     */
    for (int64_t t = 0; t < 120 * 45 + 20; t++)
        pmo_forecaster_observe(forecaster, t, poisson(burst_rate(t)));
    forecast = predict(forecaster); /* quiet for 25 s, a burst of 10 s, quiet for 25 s */
    for (int64_t h = 0; h < PMO_HORIZONS; h++) {
        double rate = burst_rate(120 * 45 + 20 + h);

        CU_ASSERT_DOUBLE_EQUAL(forecast.value[h][PMO_MEDIAN], rate, rate * 0.2);
        CU_ASSERT(forecast.value[h][6] < rate + 6 * sqrt(rate));
        CU_ASSERT(forecast.value[h][6] > rate + sqrt(rate));
    }
}

static double wave_rate(int64_t t)
{
    return burst_rate(t) + 40 * sin((double)t / 150);
}

static void slow_wave_under_bursts_is_followed(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    double off = 0;

    random_state = 8;
    for (int64_t t = 0; t < 1200; t++) {
        pmo_forecaster_observe(forecaster, t, poisson(wave_rate(t)));
        if (t < 600)
            continue;
        off += fabs(predict(forecaster).value[9][PMO_MEDIAN] / wave_rate(t + 10) - 1) / 600;
    }
    CU_ASSERT(off < 0.12);
}

static void forecasts_scale_with_the_series(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *one = forecaster_new();
    _cleanup_forecaster_ struct pmo_forecaster *ten = forecaster_new();
    struct pmo_forecast a, b;

    random_state = 9;
    for (int64_t t = 0; t < 1000; t++) {
        double y = poisson(burst_rate(t));

        pmo_forecaster_observe(one, t, y);
        pmo_forecaster_observe(ten, t, 10 * y);
    }
    a = predict(one);
    b = predict(ten);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        for (size_t i = 1; i < PMO_QUANTILES - 1; i++)
            CU_ASSERT_DOUBLE_EQUAL(b.value[h][i] / 10, a.value[h][i], 0.15 * a.value[h][i] + 5);
}

static void same_observations_give_the_same_bits(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *one = forecaster_new();
    _cleanup_forecaster_ struct pmo_forecaster *two = forecaster_new();
    struct pmo_forecast early, a, b;

    random_state = 10;
    for (int64_t t = 0; t < 700; t++) {
        double y = poisson(burst_rate(t));

        pmo_forecaster_observe(one, t, y);
        if (t % 3 == 0) /* asking changes nothing */
            a = predict(one);
        pmo_forecaster_observe(two, t, y);
        if (t == 400)
            early = predict(two);
        a = predict(one);
        b = predict(two);
        CU_ASSERT_FATAL(same(&a, &b));
    }
    CU_ASSERT_EQUAL(early.origin, 400);
}

static void the_future_is_not_peeked_at(void)
{
    struct pmo_forecast before[3];

    /* three futures after the same past: forecasts made in that past are the same */
    for (size_t future = 0; future < 3; future++) {
        _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();

        random_state = 11;
        for (int64_t t = 0; t < 500; t++) {
            double y = poisson(burst_rate(t));

            pmo_forecaster_observe(forecaster, t, t < 300 ? y : (double)future * 1000);
            if (t == 299)
                before[future] = predict(forecaster);
        }
    }
    CU_ASSERT(same(&before[0], &before[1]));
    CU_ASSERT(same(&before[0], &before[2]));
}

static void nan_is_the_same_as_left_out_and_time_never_goes_back(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *clean = forecaster_new();
    _cleanup_forecaster_ struct pmo_forecaster *dirty = forecaster_new();
    struct pmo_forecast a, b;

    random_state = 12;
    for (int64_t t = 0; t < 500; t++) {
        double y = poisson(burst_rate(t));

        if (t % 7 == 3 || (t > 200 && t < 230)) {
            pmo_forecaster_observe(dirty, t, NAN);
            continue;
        }
        pmo_forecaster_observe(clean, t, y);
        pmo_forecaster_observe(dirty, t, y);
        pmo_forecaster_observe(dirty, t, y + 100);      /* the same second again */
        pmo_forecaster_observe(dirty, t - 40, y + 100); /* the clock stepped back */
        pmo_forecaster_observe(dirty, t + 1, -1);       /* not counts */
        pmo_forecaster_observe(dirty, INT64_MAX, 5);
        pmo_forecaster_observe(dirty, INT64_MIN, 5);
    }
    a = predict(clean);
    b = predict(dirty);
    CU_ASSERT(same(&a, &b));
    CU_ASSERT_EQUAL(a.origin, 499);
}

static void missing_seconds_are_not_zeros(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    random_state = 13;
    for (int64_t t = 0; t < 600; t++)
        if (t % 2 == 0 || t > 580)
            pmo_forecaster_observe(forecaster, t, poisson(100));
    forecast = predict(forecaster);
    CU_ASSERT_DOUBLE_EQUAL(forecast.value[9][PMO_MEDIAN], 100, 10);
    CU_ASSERT(forecast.value[9][1] > 70);
    /* away for a minute, an hour, a month: the last known level, then the new one */
    for (int64_t gap = 60; gap < 3000000; gap *= 60) {
        int64_t t = forecast.origin + gap;

        pmo_forecaster_observe(forecaster, t, 300);
        for (int64_t i = 1; i < 40; i++)
            pmo_forecaster_observe(forecaster, t + i, poisson(300));
        forecast = predict(forecaster);
        CU_ASSERT(in_order(&forecast));
        CU_ASSERT_DOUBLE_EQUAL(forecast.value[9][PMO_MEDIAN], 300, 45);
    }
}

static void silence_is_forecast_as_silence(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    for (int64_t t = 0; t < 2000; t++)
        pmo_forecaster_observe(forecaster, t, 0);
    forecast = predict(forecaster);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        for (size_t i = 0; i < PMO_QUANTILES; i++)
            CU_ASSERT_EQUAL(forecast.value[h][i], 0);
    pmo_forecaster_observe(forecaster, 2000, 50);
    for (int64_t t = 2001; t < 2010; t++)
        pmo_forecaster_observe(forecaster, t, 50);
    forecast = predict(forecaster);
    CU_ASSERT(in_order(&forecast));
    CU_ASSERT(forecast.value[4][PMO_MEDIAN] > 25);
}

static void a_level_shift_is_followed_within_seconds(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    random_state = 14;
    for (int64_t t = 0; t < 900; t++)
        pmo_forecaster_observe(forecaster, t, poisson(60));
    for (int64_t t = 900; t < 920; t++)
        pmo_forecaster_observe(forecaster, t, poisson(600));
    forecast = predict(forecaster);
    CU_ASSERT(forecast.value[4][PMO_MEDIAN] > 400);
    for (int64_t t = 920; t < 1020; t++)
        pmo_forecaster_observe(forecaster, t, poisson(600));
    forecast = predict(forecaster);
    CU_ASSERT_DOUBLE_EQUAL(forecast.value[4][PMO_MEDIAN], 600, 40);
    CU_ASSERT_DOUBLE_EQUAL(forecast.value[59][PMO_MEDIAN], 600, 100);
}

static void one_second_of_a_million_is_soon_forgotten(void)
{
    static const double freaks[] = {1e6, 1e300, INFINITY};

    for (size_t i = 0; i < 3; i++) {
        _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
        struct pmo_forecast forecast;

        random_state = 15;
        for (int64_t t = 0; t < 600; t++)
            pmo_forecaster_observe(forecaster, t, t == 500 ? freaks[i] : poisson(60));
        forecast = predict(forecaster);
        CU_ASSERT(in_order(&forecast));
        for (size_t h = 0; h < PMO_HORIZONS; h++) {
            CU_ASSERT_DOUBLE_EQUAL(forecast.value[h][PMO_MEDIAN], 60, 10);
            CU_ASSERT(forecast.value[h][5] < 100);
        }
    }
}

static void a_first_second_that_is_absurd_is_survived(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    random_state = 16;
    pmo_forecaster_observe(forecaster, -5, 1e300);
    forecast = predict(forecaster);
    CU_ASSERT(in_order(&forecast));
    for (int64_t t = -4; t < 900; t++)
        pmo_forecaster_observe(forecaster, t, poisson(60));
    forecast = predict(forecaster);
    CU_ASSERT(in_order(&forecast));
    CU_ASSERT_DOUBLE_EQUAL(forecast.value[9][PMO_MEDIAN], 60, 30);
}

static void scores_name_the_model_that_is_right(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_model_score scores[PMO_MODELS_MAX];
    double sum = 0, learned = 0, mean = 0;
    size_t count;

    random_state = 17;
    for (int64_t t = 0; t < 900; t++)
        pmo_forecaster_observe(forecaster, t, poisson(burst_rate(t)));
    count = pmo_forecaster_scores(forecaster, 10, scores);
    CU_ASSERT(count >= 6 && count <= PMO_MODELS_MAX);
    for (size_t i = 0; i < count; i++) {
        sum += scores[i].weight;
        if (!strcmp(scores[i].model, "seasonal, learned period"))
            learned = scores[i].weight;
        if (!strcmp(scores[i].model, "mean of 30 s"))
            mean = scores[i].error;
    }
    CU_ASSERT_DOUBLE_EQUAL(sum, 1, 1e-3);
    CU_ASSERT(learned > 0.6);
    CU_ASSERT(mean > 30);
}

static void ten_thousand_series_fit_in_a_gibibyte(void)
{
    CU_ASSERT(10000 * pmo_forecaster_bytes() < (size_t)1 << 30);
}

SUITE(forecast) = {
    TEST(seconds_next_to_each_other_are_those_of_the_ring),
    TEST(means_are_means_of_what_is_known),
    TEST(seasonal_repeats_the_season_at_the_level_of_today),
    TEST(day_shape_needs_a_day_and_then_knows_it),
    TEST(period_is_found_after_three_cycles_and_not_in_noise),
    TEST(weights_go_to_the_best_mixture),
    TEST(low_rates_have_the_quantiles_of_a_poisson_distribution),
    TEST(reading_interpolates_and_extends),
    TEST(nothing_observed_is_origin_zero_and_all_zero),
    TEST(cold_start_is_wide_and_gets_narrow),
    TEST(trust_comes_within_thirty_seconds_and_goes_with_broken_quantiles),
    TEST(quantiles_hold_at_high_and_medium_rates),
    TEST(recurring_bursts_are_seen_after_three_cycles),
    TEST(bursts_do_not_smear_into_the_quiet_seconds),
    TEST(slow_wave_under_bursts_is_followed),
    TEST(forecasts_scale_with_the_series),
    TEST(same_observations_give_the_same_bits),
    TEST(the_future_is_not_peeked_at),
    TEST(nan_is_the_same_as_left_out_and_time_never_goes_back),
    TEST(missing_seconds_are_not_zeros),
    TEST(silence_is_forecast_as_silence),
    TEST(a_level_shift_is_followed_within_seconds),
    TEST(one_second_of_a_million_is_soon_forgotten),
    TEST(a_first_second_that_is_absurd_is_survived),
    TEST(scores_name_the_model_that_is_right),
    TEST(ten_thousand_series_fit_in_a_gibibyte),
    {0},
};
