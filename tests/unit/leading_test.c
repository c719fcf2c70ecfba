/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals that come before requests: what follows them is forecast, what does not is left alone. */
#include "agent/forecast/leading.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "agent/forecast/model.h"
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#define SECONDS 2700
#define JUDGED  1500 /* from here on */

/* Loads that nobody can foresee: about every 40 s, another one between 50 and 350. */
static double asked_for[SECONDS];

static void ask(uint64_t seed)
{
    double level = 200;

    random_state = seed;
    for (int64_t t = 0; t < SECONDS; t++) {
        level = uniform() < 1.0 / 40 ? 50 + 300 * uniform() : level;
        asked_for[t] = poisson(level);
    }
}

static double asked_at(int64_t t)
{
    return asked_for[t < 0 ? 0 : t];
}

static void tell(struct pmo_forecaster *forecaster, enum pmo_leading_signal which, double value)
{
    double signal[PMO_LEADING_SIGNALS] = {NAN, NAN, NAN, NAN};

    signal[which] = value;
    pmo_forecaster_set_signals(forecaster, signal);
}

static struct pmo_forecaster *forecaster_new(void)
{
    struct pmo_forecaster *forecaster = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&forecaster), 0);
    return forecaster;
}

static double pinball(const struct pmo_forecast *forecast, unsigned int h, double y)
{
    double sum = 0;

    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        double off = y - forecast->value[h - 1][q];

        sum += off * (pmo_quantiles[q] - (off < 0));
    }
    return sum;
}

enum told { ALONE, USEFUL, USELESS };

/* Loss of forecasts @h ahead of a series that @signal leads by 5 s, or would, were it not another
 * one's; ALONE: nothing is told. */
static double loss(enum pmo_leading_signal signal, enum told told, unsigned int h)
{
    struct pmo_forecaster *forecaster = forecaster_new();
    static double y[SECONDS];
    double sum = 0;

    ask(1);
    for (int64_t t = 0; t < SECONDS; t++)
        y[t] = poisson(0.7 * asked_at(t - 5));
    if (told == USELESS)
        ask(2);
    for (int64_t t = 0; t + h < SECONDS; t++) {
        struct pmo_forecast forecast;

        if (told != ALONE)
            tell(forecaster, signal, asked_at(t));
        pmo_forecaster_observe(forecaster, t, y[t]);
        if (t < JUDGED)
            continue;
        pmo_forecaster_predict(forecaster, &forecast);
        sum += pinball(&forecast, h, y[t + h]);
    }
    pmo_forecaster_free(&forecaster);
    return sum;
}

static void what_follows_five_seconds_later_is_forecast(void)
{
    double alone = loss(0, ALONE, 5);

    CU_ASSERT(loss(PMO_LEADING_UPSTREAM, USEFUL, 5) < 0.7 * alone);
    CU_ASSERT(loss(PMO_LEADING_SYNS, USEFUL, 5) < 0.8 * alone);
    CU_ASSERT(loss(PMO_LEADING_ACCEPT_QUEUE, USEFUL, 5) < 0.8 * alone);
    CU_ASSERT(loss(PMO_LEADING_IN_FLIGHT, USEFUL, 5) < 0.8 * alone);
}

static void signals_of_no_use_do_no_harm(void)
{
    double alone = loss(0, ALONE, 11);

    CU_ASSERT(loss(PMO_LEADING_UPSTREAM, USELESS, 11) < 1.005 * alone);
    CU_ASSERT(loss(PMO_LEADING_IN_FLIGHT, USELESS, 11) < 1.005 * alone);
}

/* The models say 100 whatever happens; without noise, what the signals say is exact. */
static void changes_are_those_of_a_linear_law(void)
{
    struct pmo_leading *leading = calloc(1, sizeof(*leading));
    float mean[PMO_HORIZONS];
    double off = 0, truth = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(leading);
    pmo_leading_init(leading);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        mean[h] = 100;
    ask(3);
    for (int64_t t = 0; t < SECONDS; t++) {
        double y = 100 + 0.3 * (asked_at(t - 12) - 200);

        leading->signal[PMO_LEADING_UPSTREAM] = asked_at(t);
        pmo_leading_hear(leading, t);
        pmo_leading_observe(leading, t, (float)y, mean, 10);
        if (t < JUDGED)
            continue;
        for (int64_t lag = 1; lag < 3; lag++) { /* 11 s ahead comes what was asked then */
            double change = 0.3 * (asked_at(t - lag) + asked_at(t - 3 + lag) - 400) / 2;

            off += pow(leading->change[10] - change, 2);
            truth += pow(change, 2);
        }
    }
    CU_ASSERT(off < 0.1 * truth);
    free(leading);
}

/* Forecasts with signals in parts of @unit, of a series in parts of @requests. */
static void run(double unit, double requests, struct pmo_forecast *forecast)
{
    struct pmo_forecaster *forecaster = forecaster_new();

    ask(4);
    for (int64_t t = 0; t < SECONDS; t++) {
        tell(forecaster, PMO_LEADING_UPSTREAM, unit * asked_at(t));
        pmo_forecaster_observe(forecaster, t, requests * asked_at(t - 5));
    }
    pmo_forecaster_predict(forecaster, forecast);
    pmo_forecaster_free(&forecaster);
}

static void only_ratios_count(void)
{
    struct pmo_forecast one, units, requests;

    run(1, 1, &one);
    run(1000, 1, &units);
    run(1, 10, &requests);
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        double median = one.value[h - 1][PMO_MEDIAN];

        CU_ASSERT_DOUBLE_EQUAL(units.value[h - 1][PMO_MEDIAN], median, 0.02 * median);
        CU_ASSERT_DOUBLE_EQUAL(requests.value[h - 1][PMO_MEDIAN], 10 * median, 0.2 * median);
    }
}

static void what_comes_later_changes_nothing_that_was_said(void)
{
    struct pmo_forecaster *one = forecaster_new(), *other = forecaster_new();
    struct pmo_forecast before, after;

    ask(5);
    for (int64_t t = 0; t < SECONDS; t++) {
        bool late = t >= SECONDS - 60;

        tell(one, PMO_LEADING_UPSTREAM, asked_at(t));
        tell(other, PMO_LEADING_UPSTREAM, late ? 10000 : asked_at(t));
        pmo_forecaster_observe(one, t, asked_at(t - 10));
        pmo_forecaster_observe(other, t, late ? 7000 : asked_at(t - 10));
        if (t == SECONDS - 61) {
            pmo_forecaster_predict(one, &before);
            pmo_forecaster_predict(other, &after);
            CU_ASSERT_EQUAL(memcmp(before.value, after.value, sizeof(after.value)), 0);
        }
    }
    pmo_forecaster_predict(one, &before);
    pmo_forecaster_predict(other, &after);
    CU_ASSERT(memcmp(before.value, after.value, sizeof(after.value)) != 0);
    pmo_forecaster_free(&one);
    pmo_forecaster_free(&other);
}

static size_t models_of(const struct pmo_forecaster *forecaster)
{
    struct pmo_model_score scores[PMO_MODELS_MAX];

    return pmo_forecaster_scores(forecaster, 5, scores);
}

static void signals_that_nobody_knows_are_none(void)
{
    struct pmo_forecaster *unknown = forecaster_new(), *alone = forecaster_new();
    struct pmo_forecast one, other;

    ask(6);
    for (int64_t t = 0; t < 600; t++) {
        tell(unknown, PMO_LEADING_UPSTREAM, NAN);
        pmo_forecaster_observe(unknown, t, asked_at(t));
        pmo_forecaster_observe(alone, t, asked_at(t));
    }
    pmo_forecaster_predict(unknown, &one);
    pmo_forecaster_predict(alone, &other);
    CU_ASSERT_EQUAL(memcmp(&one, &other, sizeof(one)), 0);
    CU_ASSERT_EQUAL(models_of(unknown), PMO_MODELS);
    tell(unknown, PMO_LEADING_UPSTREAM, 5);
    pmo_forecaster_observe(unknown, 600, asked_at(600));
    CU_ASSERT_EQUAL(models_of(unknown), PMO_MODELS + 1);
    pmo_forecaster_free(&unknown);
    pmo_forecaster_free(&alone);
}

/* What cannot be a signal is one that is not known; and so is all, once a minute has gone without
 * any. */
static void signals_may_fail_at_any_time(void)
{
    static const double wrong[] = {NAN, INFINITY, -INFINITY, -1, 1e300};
    struct pmo_leading *leading = calloc(1, sizeof(*leading));
    struct pmo_forecaster *forecaster = forecaster_new();
    float mean[PMO_HORIZONS] = {0};
    struct pmo_forecast forecast;

    ask(7);
    for (int64_t t = 0; t < SECONDS; t++) {
        double missing = uniform();

        tell(forecaster, PMO_LEADING_UPSTREAM,
             missing < 0.1 ? wrong[(size_t)(missing * 50)] : asked_at(t));
        if (missing < 0.95)
            pmo_forecaster_observe(forecaster, t, asked_at(t - 5));
    }
    pmo_forecaster_predict(forecaster, &forecast);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            CU_ASSERT(isfinite(forecast.value[h][q]) && forecast.value[h][q] < 2000);
    pmo_forecaster_free(&forecaster);

    CU_ASSERT_PTR_NOT_NULL_FATAL(leading);
    pmo_leading_init(leading);
    for (int64_t t = 0; t < SECONDS; t++) {
        if (t < SECONDS - PMO_LEADING_SECONDS)
            leading->signal[PMO_LEADING_UPSTREAM] = asked_at(t);
        pmo_leading_hear(leading, t);
        pmo_leading_observe(leading, t, (float)asked_at(t - 5), mean, 10);
        if (t == SECONDS - PMO_LEADING_SECONDS)
            CU_ASSERT(leading->change[4] != 0);
    }
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT_EQUAL(leading->change[h], 0);
    free(leading);
}

static void the_network_sees_logarithms_of_ratios(void)
{
    struct pmo_leading *leading = calloc(1, sizeof(*leading));
    float logs[PMO_LSTM_LEADING];

    CU_ASSERT_PTR_NOT_NULL_FATAL(leading);
    pmo_leading_init(leading);
    for (int64_t t = 0; t <= 2000; t++) {
        leading->signal[PMO_LEADING_UPSTREAM] = t == 2000 ? 9999 : 999;
        leading->signal[PMO_LEADING_SYNS] = t == 1990 ? 0 : 1e6;
        if (t < 1950 || t > 1960)
            pmo_leading_hear(leading, t);
    }
    pmo_leading_logs(leading, 2000, logs);
    CU_ASSERT_DOUBLE_EQUAL(logs[0], log(10), 0.05);
    CU_ASSERT_EQUAL(logs[1], 0);
    pmo_leading_logs(leading, 1990, logs);
    CU_ASSERT_EQUAL(logs[0], 0);
    CU_ASSERT(logs[1] < -4);
    for (int64_t t = 1; t < 3; t++) { /* gone, and still to come */
        pmo_leading_logs(leading, t == 1 ? 2000 - PMO_LEADING_LOGS : 2001, logs);
        CU_ASSERT(logs[0] == 0 && logs[1] == 0);
    }
    free(leading);
}

SUITE(leading) = {
    TEST(the_network_sees_logarithms_of_ratios),
    TEST(what_follows_five_seconds_later_is_forecast),
    TEST(signals_of_no_use_do_no_harm),
    TEST(changes_are_those_of_a_linear_law),
    TEST(only_ratios_count),
    TEST(what_comes_later_changes_nothing_that_was_said),
    TEST(signals_that_nobody_knows_are_none),
    TEST(signals_may_fail_at_any_time),
    {0},
};
