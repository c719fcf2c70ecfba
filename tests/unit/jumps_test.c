/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/jumps.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#define HOUR 3600
#define DAY  86400

/* A series, and what a model that takes the last seconds for the next ones expects of it. */
struct world {
    struct pmo_recent recent;
    struct pmo_jumps jumps;
    struct pmo_jump_outlook outlook[PMO_JUMP_DIRECTIONS][PMO_HORIZONS];
    int64_t t; /* next second */
    double (*rate)(int64_t t);
    bool expected; /* whatever comes is expected */
    unsigned int up;
};

static struct world *world_new(double (*rate)(int64_t), int64_t t)
{
    struct world *w = calloc(1, sizeof(*w));

    CU_ASSERT_FATAL(w != NULL);
    pmo_jumps_init(&w->jumps);
    w->rate = rate;
    w->t = t;
    return w;
}

static void run(struct world *w, int64_t until)
{
    for (; w->t < until; w->t++) {
        double rate = w->rate(w->t);
        float expected = 0;
        int64_t last_up = w->jumps.last_up;

        if (isnan(rate))
            continue;
        for (int64_t i = 11; i < 21; i++)
            expected += pmo_recent_at(&w->recent, w->t - i) / 10;
        pmo_recent_append(&w->recent, w->t, (float)poisson(rate));
        pmo_jumps_observe(&w->jumps, &w->recent, w->t, w->expected ? (float)rate : expected);
        w->up += w->jumps.last_up != last_up;
    }
}

/* The probability of a jump up by second last + @h. */
static float ahead(struct world *w, int h)
{
    pmo_jumps_predict(&w->jumps, &w->recent, w->outlook);
    return w->outlook[PMO_JUMP_UP][h - 1].probability;
}

/* Twice as much from minute 2 of each hour on, for ten minutes. */
static double each_hour(int64_t t)
{
    int64_t second = (t % HOUR + HOUR) % HOUR;

    return second >= 120 && second < 720 ? 200 : 100;
}

static void what_jumps_each_hour_is_known_after_a_day(void)
{
    static const int64_t starts[] = {0, -40 * DAY, 20000 * (int64_t)DAY};

    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        _cleanup_free_ struct world *w = world_new(each_hour, starts[i]);
        int64_t hour = starts[i] + DAY;

        random_state = 1;
        run(w, hour + 105);
        CU_ASSERT_EQUAL(w->up, 24);
        CU_ASSERT(ahead(w, 30) > 0.8F);
        CU_ASSERT_DOUBLE_EQUAL(w->outlook[PMO_JUMP_UP][29].mean, 200, 30);
        CU_ASSERT(w->outlook[PMO_JUMP_UP][29].deviation < 60);
        CU_ASSERT(w->outlook[PMO_JUMP_UP][4].mean < 130); /* it is not there yet */
        run(w, hour + 705);                               /* and back */
        CU_ASSERT(ahead(w, 30) < 0.02F);
        CU_ASSERT(w->outlook[PMO_JUMP_DOWN][29].probability > 0.7F);
        CU_ASSERT_DOUBLE_EQUAL(w->outlook[PMO_JUMP_DOWN][29].mean, 100, 15);
        run(w, hour + 1800);
        CU_ASSERT(ahead(w, 30) < 0.02F);
        CU_ASSERT(ahead(w, 60) < 0.04F);
    }
}

static void days_before_1970_are_as_others(void)
{
    _cleanup_free_ struct world *before = world_new(each_hour, -10 * DAY);
    _cleanup_free_ struct world *after = world_new(each_hour, 0);

    random_state = 2;
    run(before, -9 * DAY + 100);
    random_state = 2;
    run(after, DAY + 100);
    (void)ahead(before, 1);
    (void)ahead(after, 1);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT_EQUAL(before->outlook[PMO_JUMP_UP][h].probability,
                        after->outlook[PMO_JUMP_UP][h].probability);
}

static void a_jump_that_goes_on_is_reckoned_with_at_its_level(void)
{
    _cleanup_free_ struct world *w = world_new(each_hour, 0);

    random_state = 3;
    run(w, DAY + 120 + 8); /* just detected: what the models say is too little */
    CU_ASSERT(w->jumps.detected >= DAY + 120);
    CU_ASSERT(ahead(w, 30) > 0.8F);
    CU_ASSERT_DOUBLE_EQUAL(w->outlook[PMO_JUMP_UP][29].mean, 200, 30);
    CU_ASSERT_DOUBLE_EQUAL(w->outlook[PMO_JUMP_UP][4].mean, 200, 40);
    run(w, DAY + 120 + 58); /* they have taken it in */
    CU_ASSERT_EQUAL(ahead(w, 30), 0);
}

static int64_t job_at = 3 * HOUR; /* of the day */

static double each_night(int64_t t)
{
    int64_t second = (t % DAY + DAY) % DAY;

    return second >= job_at && second < job_at + 1200 ? 300 : 100;
}

static void a_job_of_each_night_is_known_after_a_week(void)
{
    _cleanup_free_ struct world *w = world_new(each_night, 0);
    float probability[24];

    random_state = 4;
    job_at = 3 * HOUR;
    for (int hour = 0; hour < 24; hour++) {
        run(w, 7 * DAY + hour * (int64_t)HOUR - 15);
        probability[hour] = ahead(w, 30);
    }
    CU_ASSERT(probability[3] > 0.3F);
    for (int hour = 0; hour < 24; hour++)
        CU_ASSERT(hour == 3 || probability[hour] < probability[3] / 2);
}

/* Three times as much at minute 2 of each hour; and at another minute in each, half as much again.
 */
static double each_hour_and_between(int64_t t)
{
    int64_t hour = t / HOUR, second = t % HOUR, between = 600 + hour * 37 % 40 * 60;

    if (second >= 120 && second < 420)
        return 300;
    return second >= between && second < between + 300 ? 165 : 100;
}

static void where_jumps_go_far_small_ones_do_not_count(void)
{
    _cleanup_free_ struct world *w = world_new(each_hour_and_between, 0);
    unsigned int up;

    random_state = 9;
    run(w, DAY);
    up = w->up;
    run(w, 2 * DAY + 105);
    CU_ASSERT_EQUAL(w->up - up, 24);
    CU_ASSERT(ahead(w, 30) > 0.85F);
    CU_ASSERT_DOUBLE_EQUAL(w->outlook[PMO_JUMP_UP][29].mean, 300, 40);
    run(w, 2 * DAY + 595);
    CU_ASSERT(ahead(w, 30) < 0.02F);
}

static void a_clock_that_is_changed_is_learned_anew_within_a_week(void)
{
    _cleanup_free_ struct world *w = world_new(each_night, 0);
    float old, new;

    random_state = 5;
    job_at = 3 * HOUR;
    run(w, 14 * DAY);
    job_at = 2 * HOUR;
    run(w, 21 * DAY + 2 * HOUR - 15);
    new = ahead(w, 30);
    CU_ASSERT(new > 0.15F);
    run(w, 21 * DAY + 3 * HOUR - 15);
    old = ahead(w, 30);
    CU_ASSERT(old < new / 2);
}

static double level_of_noise;

static double noise(int64_t t)
{
    return level_of_noise;
}

/* The threshold is five standard errors, by what the noise was: a few counts a second may pass it
 * once in a day. */
static void noise_does_not_jump(void)
{
    static const double levels[] = {0, 0.5, 5, 50, 500};

    random_state = 6;
    for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
        _cleanup_free_ struct world *w = world_new(noise, 0);

        level_of_noise = levels[i];
        run(w, DAY);
        CU_ASSERT(w->up <= (levels[i] == 5 ? 1 : 0));
        CU_ASSERT_EQUAL(w->jumps.kind[PMO_JUMP_DOWN].happened_all, 0);
        CU_ASSERT_EQUAL(ahead(w, 60), 0);
    }
}

static void what_was_expected_is_no_jump(void)
{
    _cleanup_free_ struct world *w = world_new(each_hour, 0);

    random_state = 7;
    w->expected = true;
    run(w, DAY);
    CU_ASSERT_EQUAL(w->up, 0);
    CU_ASSERT_EQUAL(w->jumps.kind[PMO_JUMP_DOWN].happened_all, 0);
}

/* Jumps each hour, but much of the time is not known. */
static double each_hour_with_gaps(int64_t t)
{
    if (t % (9 * HOUR) < 3 * HOUR || t % 90 < 3)
        return NAN;
    return each_hour(t);
}

static void hours_that_are_missing_are_not_hours_without_jumps(void)
{
    _cleanup_free_ struct world *w = world_new(each_hour_with_gaps, 0);

    random_state = 8;
    run(w, 45 * HOUR + 5 * HOUR + 105);
    CU_ASSERT(w->up >= 30 && w->up <= 34);
    CU_ASSERT(ahead(w, 30) > 0.8F);
    run(w, 45 * HOUR + 5 * HOUR + 1800);
    CU_ASSERT(ahead(w, 30) < 0.02F);
}

static double after_a_month(int64_t t)
{
    return t >= DAY && t < 31 * DAY ? NAN : each_hour(t) * (t < DAY ? 1 : 30);
}

static void a_month_off_is_no_jump_and_forgets_nothing(void)
{
    _cleanup_free_ struct world *w = world_new(after_a_month, 0);

    random_state = 9;
    run(w, DAY + 1);
    w->t = 31 * DAY;
    run(w, 31 * DAY + 105);
    CU_ASSERT_EQUAL(w->up, 24); /* thirty times the load is another level, seen by nobody to jump */
    CU_ASSERT(ahead(w, 30) > 0.5F);
    CU_ASSERT_DOUBLE_EQUAL(w->outlook[PMO_JUMP_UP][29].mean, 6000, 900);
}

static void nothing_is_said_before_anything_has_jumped(void)
{
    _cleanup_free_ struct world *w = world_new(each_hour, 0);

    random_state = 10;
    run(w, 119);
    for (size_t h = 0; h < PMO_HORIZONS; h++) {
        (void)ahead(w, 1);
        CU_ASSERT_EQUAL(w->outlook[PMO_JUMP_UP][h].probability, 0);
        CU_ASSERT_EQUAL(w->outlook[PMO_JUMP_DOWN][h].probability, 0);
    }
}

static double any_level(int64_t t)
{
    static double level;

    if (t % 50 == 0 && uniform() < 0.1)
        level = uniform() < 0.3 ? 0 : exp(8 * uniform());
    return uniform() < 0.01 ? NAN : level;
}

static void probabilities_stay_probabilities_whatever_comes(void)
{
    _cleanup_free_ struct world *w = world_new(any_level, -DAY / 2);

    random_state = 11;
    while (w->t < DAY / 2) {
        run(w, w->t + 7);
        (void)ahead(w, 1);
        for (size_t h = 0; h < PMO_HORIZONS; h++) {
            float sum = 0;

            for (size_t kind = 0; kind < PMO_JUMP_DIRECTIONS; kind++) {
                const struct pmo_jump_outlook *outlook = &w->outlook[kind][h];

                CU_ASSERT_FATAL(outlook->probability >= 0);
                sum += outlook->probability;
                if (outlook->probability > 0)
                    CU_ASSERT_FATAL(isfinite(outlook->mean) && outlook->mean >= -1 &&
                                    outlook->deviation > 0 && isfinite(outlook->deviation));
            }
            CU_ASSERT_FATAL(sum <= 1);
        }
    }
    CU_ASSERT(w->up > 20);
}

SUITE(jumps) = {
    TEST(what_jumps_each_hour_is_known_after_a_day),
    TEST(days_before_1970_are_as_others),
    TEST(a_jump_that_goes_on_is_reckoned_with_at_its_level),
    TEST(a_job_of_each_night_is_known_after_a_week),
    TEST(where_jumps_go_far_small_ones_do_not_count),
    TEST(a_clock_that_is_changed_is_learned_anew_within_a_week),
    TEST(noise_does_not_jump),
    TEST(what_was_expected_is_no_jump),
    TEST(hours_that_are_missing_are_not_hours_without_jumps),
    TEST(a_month_off_is_no_jump_and_forgets_nothing),
    TEST(nothing_is_said_before_anything_has_jumped),
    TEST(probabilities_stay_probabilities_whatever_comes),
    {0},
};
