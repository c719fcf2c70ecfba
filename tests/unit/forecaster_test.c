/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a forecaster promises as a whole: its limit, events, bursts by the clock, and coverage. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/forecast/effects.h"
#include "agent/forecast/forecast.h"
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#define _cleanup_forecaster_ __attribute__((cleanup(pmo_forecaster_free)))
#define HOUR                 3600
#define DAY                  86400

/* Indices of pmo_quantiles. */
enum { Q50 = 3, Q90 = 5, Q99 };

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

/* ---- the limit ------------------------------------------------------------------------------- */

/* 70 seconds of each hour, so that days take no time: 1000 requests a second in the first one,
 * later all requests of 25 s at once, which is no more than 200 in the mean of five seconds. */
static double greatest_after(int hours)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    for (int hour = 0; hour < hours; hour++)
        for (int64_t t = 0; t < 70; t++)
            pmo_forecaster_observe(forecaster, hour * (int64_t)HOUR + t,
                                   hour && t % 25 != 12 ? 0 : 1000);
    forecast = predict(forecaster);
    return pmo_forecast_peak(&forecast, PMO_HORIZONS, 0.99);
}

static void nothing_goes_far_beyond_the_greatest_level_of_two_days(void)
{
    const double limit = 200 * (1.25 + 3.0 / 50) + 10;

    CU_ASSERT(greatest_after(47) > 1.2 * limit);
    CU_ASSERT_DOUBLE_EQUAL(greatest_after(50), limit, 0.02 * limit);
}

/* Doubles every five seconds: straight lines go through the roof. */
static void a_young_forecaster_may_go_further(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;
    double y[5] = {0}, greatest = 0;
    bool reached = false;

    for (int64_t t = 0; t < 300; t++) {
        double sum = 0;

        y[t % 5] = t < 270 ? 100 : 100 * exp2((double)(t - 270) / 5);
        for (size_t i = 0; i < 5; i++)
            sum += y[i] / 5;
        greatest = t < 5 ? 100 : fmax(greatest, sum);
        pmo_forecaster_observe(forecaster, t, y[t % 5]);
        forecast = predict(forecaster);
        for (size_t h = 0; h < PMO_HORIZONS; h++) {
            CU_ASSERT_FATAL(forecast.value[h][Q99] <= 1.001 * greatest * 4.25 + 10);
            reached = reached || forecast.value[h][Q99] > 1.5 * greatest;
        }
    }
    CU_ASSERT(reached);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Six newsletters, not by the clock, each of which triples the load for two minutes; then the
 * forecast 10 s before the seventh, which is known (or was cancelled). */
static struct pmo_forecast before_an_event(struct pmo_forecaster *forecaster, bool known)
{
    struct pmo_effect_event event = {.kind = pmo_effect_kind("newsletter"),
                                     .duration_s = 120,
                                     .start = 1000,
                                     .strength = 1,
                                     .guess_log = NAN};
    int64_t end = event.start + event.duration_s, t = 0;

    for (int i = 0; i < 7; i++) {
        int64_t until = i < 6 ? end + 900 : event.start - 9;

        for (; t < until; t++) {
            bool on = t >= event.start && t < end;
            bool near =
                t >= event.start - PMO_EFFECT_LEAD_S - PMO_HORIZONS && t < end + PMO_EFFECT_FADE_S;

            pmo_forecaster_set_events(forecaster, &event, near && (known || i < 6));
            pmo_forecaster_observe(forecaster, t, poisson(on ? 300 : 100));
        }
        if (i == 6)
            break;
        event.start += 1700 + (int64_t)(900 * uniform());
        end = event.start + event.duration_s;
    }
    return predict(forecaster);
}

static void a_known_event_shows_before_it_starts(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    random_state = 1;
    forecast = before_an_event(forecaster, true);
    CU_ASSERT_DOUBLE_EQUAL(forecast.value[4][Q50], 100, 20);
    CU_ASSERT_DOUBLE_EQUAL(forecast.value[39][Q50], 300, 60);
    CU_ASSERT(forecast.value[39][Q90] > 270);
}

static void a_cancelled_event_does_not_show(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast forecast;

    random_state = 1;
    forecast = before_an_event(forecaster, false);
    CU_ASSERT_DOUBLE_EQUAL(forecast.value[39][Q50], 100, 20);
    CU_ASSERT(forecast.value[39][Q90] < 150);
}

/* ---- whatever comes -------------------------------------------------------------------------- */

static bool in_order(const struct pmo_forecast *forecast)
{
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            if (!isfinite(forecast->value[h][q]) ||
                forecast->value[h][q] < (q ? forecast->value[h][q - 1] : 0))
                return false;
    return true;
}

static void quantiles_never_cross(void)
{
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    double level = 10;

    random_state = 2;
    for (int64_t t = -4000; t < 4000; t++) {
        struct pmo_forecast forecast;

        if (uniform() < 0.01)
            level = uniform() < 0.3 ? 0 : exp(14 * uniform());
        if (uniform() < 0.002)
            t += (int64_t)exp(7 * uniform());
        if (uniform() < 0.05)
            continue;
        pmo_forecaster_observe(forecaster, t, uniform() < 0.003 ? 1e9 : poisson(level));
        forecast = predict(forecaster);
        CU_ASSERT_FATAL(in_order(&forecast));
    }
}

/* ---- bursts by the clock --------------------------------------------------------------------- */

#define CALM      60
#define BURST     180
#define LEARN     (2 * DAY)
#define UNTIL     (LEARN + DAY)
#define BURST_FOR 60
/* Seconds of every other hour that are seen, so that days take no time. */
#define BEFORE 900
#define AFTER  300

struct tally {
    double forecasts, held90, held99;
};

/* 60 requests a second, and three times as many at minute 2 of every second hour, if at all: half
 * of these come. */
static void bursts_by_the_clock_are_reckoned_with_and_quantiles_hold(void)
{
    static const size_t horizons[] = {1, 11, 30};
    _cleanup_forecaster_ struct pmo_forecaster *forecaster = forecaster_new();
    struct pmo_forecast *made = calloc(PMO_HORIZONS, sizeof(*made)); /* by second mod HORIZONS */
    struct tally tally[3] = {0};
    unsigned int bursts = 0, reckoned = 0;
    bool comes = false;

    CU_ASSERT_FATAL(made != NULL);
    random_state = 3;
    for (int64_t t = 0; t < UNTIL; t++) {
        int64_t second = (t + BEFORE - 120) % (2 * HOUR) - BEFORE;
        double y;

        if (second >= AFTER)
            continue;
        if (second == 0)
            comes = uniform() < 0.5;
        y = poisson(comes && second >= 0 && second < BURST_FOR ? BURST : CALM);
        if (t >= LEARN && second >= PMO_HORIZONS - BEFORE) {
            if (comes && second == 10) {
                bursts++;
                reckoned += made[(t - 30) % PMO_HORIZONS].value[29][Q90] > 0.9 * BURST;
            }
            for (size_t i = 0; i < 3; i++) {
                size_t h = horizons[i];
                const struct pmo_forecast *forecast = &made[(t - (int64_t)h) % PMO_HORIZONS];

                tally[i].forecasts++;
                tally[i].held90 += y <= forecast->value[h - 1][Q90];
                tally[i].held99 += y <= forecast->value[h - 1][Q99];
            }
        }
        pmo_forecaster_observe(forecaster, t, y);
        if (t >= LEARN - PMO_HORIZONS)
            pmo_forecaster_predict(forecaster, &made[t % PMO_HORIZONS]);
    }
    free(made);
    CU_ASSERT_FATAL(bursts >= 3);
    CU_ASSERT(2 * reckoned >= bursts);
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_DOUBLE_EQUAL(tally[i].held90 / tally[i].forecasts, 0.9, 0.02);
        CU_ASSERT_DOUBLE_EQUAL(tally[i].held99 / tally[i].forecasts, 0.99, 0.005);
    }
}

SUITE(forecaster) = {
    TEST(nothing_goes_far_beyond_the_greatest_level_of_two_days),
    TEST(a_young_forecaster_may_go_further),
    TEST(a_known_event_shows_before_it_starts),
    TEST(a_cancelled_event_does_not_show),
    TEST(quantiles_never_cross),
    TEST(bursts_by_the_clock_are_reckoned_with_and_quantiles_hold),
    {0},
};
