/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/decomposition.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include "tests/unit/model_run.h"
#include "tests/unit/suite.h"

#define MINUTE 60
#define HOUR   3600
#define DAY    86400LL
#define T0     (1700000000LL - 1700000000LL % DAY)

/* Five minutes at once, so that it takes no minutes: each span tells its length. */
#define SPAN    (5 * MINUTE)
#define PER_DAY ((size_t)(DAY / SPAN))

enum { minutes_max = 30 * 1440 };
static struct pmo_minute minutes[minutes_max];

/* Fills spans of @days with what @rate says of their middles, and noise of this share. */
static struct pmo_minutes history_of(int days, double (*rate)(int64_t t), double noise)
{
    struct pmo_minutes history = {.at = minutes, .count = (size_t)days * PER_DAY};

    for (size_t i = 0; i < history.count; i++) {
        int64_t t = T0 + (int64_t)i * SPAN;

        minutes[i] = (struct pmo_minute){
            t, SPAN, SPAN, (float)(rate(t + SPAN / 2) * exp(noise * model_run_normal()))};
    }
    return history;
}

static struct pmo_decomposition fitted(const struct pmo_minutes *history)
{
    struct pmo_decomposition fit = {0};

    CU_ASSERT_EQUAL_FATAL(pmo_decomposition_fit(&fit, history), 0);
    return fit;
}

/* Mean relative error against @rate over [from, until). */
static double error_of(const struct pmo_decomposition *fit, double (*rate)(int64_t t), int64_t from,
                       int64_t until)
{
    double sum = 0;
    int n = 0;

    for (int64_t t = from; t < until; t += 5 * MINUTE, n++)
        sum += fabs(pmo_decomposition_at(fit, t) / rate(t) - 1);
    return sum / n;
}

static double wave(int64_t t, double period)
{
    return sin(2 * M_PI * (double)t / period);
}

/* Busier by day, quieter on two days of the week, busy at the begin of each hour. */
static double of_people(int64_t t)
{
    double weekend = t / DAY % 7 >= 5 ? 0.6 : 1, hour = exp(0.3 * cos(2 * M_PI * (double)t / HOUR));

    return 200 * weekend * exp(0.8 * wave(t, DAY) + 0.3 * wave(t, DAY / 2.0)) * hour;
}

static double growing(int64_t t)
{
    double days = (double)(t - T0) / DAY;

    return 100 * exp(0.02 * days + 0.5 * wave(t, DAY));
}

/* Level until day 14, then 5 % more each day. */
static double changing(int64_t t)
{
    double days = (double)(t - T0) / DAY;

    return 100 * exp(0.05 * fmax(days - 14, 0) + 0.5 * wave(t, DAY));
}

static void seasons_are_found_and_go_on(void)
{
    struct pmo_minutes history = history_of(21, of_people, 0.1);
    struct pmo_decomposition fit = fitted(&history);

    CU_ASSERT(error_of(&fit, of_people, T0 + 7 * DAY, T0 + 21 * DAY) < 0.06);
    CU_ASSERT(error_of(&fit, of_people, T0 + 21 * DAY, T0 + 22 * DAY) < 0.08);
    CU_ASSERT(sizeof(fit) <= 2048);
}

static void waves_within_the_model_are_found_exactly(void)
{
    struct pmo_minutes history = history_of(20, growing, 0);
    struct pmo_decomposition fit = fitted(&history);

    /* what is added to the rate before its logarithm is taken bends the wave a little */
    CU_ASSERT(error_of(&fit, growing, T0, T0 + 20 * DAY) < 0.005);
    CU_ASSERT(error_of(&fit, growing, T0 + 20 * DAY, T0 + 21 * DAY) < 0.02);
}

static void a_slope_that_changes_is_followed(void)
{
    struct pmo_minutes history = history_of(28, changing, 0.1);
    struct pmo_decomposition fit = fitted(&history);

    CU_ASSERT(error_of(&fit, changing, T0, T0 + 28 * DAY) < 0.03);
    CU_ASSERT(error_of(&fit, changing, T0 + 28 * DAY, T0 + 28 * DAY + DAY / 2) < 0.05);
    /* and where nobody looks after it, it does not run away */
    CU_ASSERT(pmo_decomposition_at(&fit, T0 + 400 * DAY) < 2 * changing(T0 + 30 * DAY));
}

static void outliers_and_missing_minutes_do_no_harm(void)
{
    struct pmo_minutes history;
    struct pmo_decomposition clean, dirty;
    size_t kept = 0;

    model_run_seed(1);
    history = history_of(15, of_people, 0.1);
    clean = fitted(&history);
    for (size_t i = 0; i < history.count; i++) {
        if (i % 50 == 7)
            minutes[i].rps *= i % 100 == 7 ? 1000 : 0.001F;
        if (i / 40 % 5 == 2)
            continue; /* three hours of every sixteen are missing */
        if (i % 11 == 3)
            minutes[i].rps = NAN;
        minutes[kept++] = minutes[i];
    }
    history.count = kept;
    dirty = fitted(&history);
    for (int64_t t = T0 + DAY; t < T0 + 15 * DAY; t += HOUR + MINUTE)
        CU_ASSERT_DOUBLE_EQUAL(pmo_decomposition_at(&dirty, t) / pmo_decomposition_at(&clean, t), 1,
                               0.15);
}

static void ten_times_the_traffic_has_the_same_seasons(void)
{
    struct pmo_minutes history;
    struct pmo_decomposition one, ten, again;

    model_run_seed(2);
    history = history_of(8, of_people, 0.2);
    one = fitted(&history);
    again = fitted(&history);
    CU_ASSERT_EQUAL(memcmp(&one, &again, sizeof(one)), 0); /* the same history, the same bits */
    for (size_t i = 0; i < history.count; i++)
        minutes[i].rps *= 10;
    ten = fitted(&history);
    for (int64_t t = T0; t < T0 + 9 * DAY; t += HOUR + MINUTE)
        CU_ASSERT_DOUBLE_EQUAL(pmo_decomposition_at(&ten, t) / pmo_decomposition_at(&one, t), 10,
                               1e-3);
}

static void hours_of_long_ago_count_as_their_minutes_would(void)
{
    struct pmo_minutes history;
    struct pmo_decomposition fine, mixed;
    size_t kept = 0;

    model_run_seed(3);
    history = history_of(20, of_people, 0.05);
    fine = fitted(&history);
    for (size_t i = 0; i < history.count; i += HOUR / SPAN) {
        if (i >= 17 * PER_DAY) {
            memmove(&minutes[kept], &minutes[i], HOUR / SPAN * sizeof(*minutes));
            kept += HOUR / SPAN;
            continue;
        }
        for (size_t j = 1; j < HOUR / SPAN; j++)
            minutes[i].rps += minutes[i + j].rps;
        minutes[kept++] =
            (struct pmo_minute){minutes[i].t, HOUR, HOUR, minutes[i].rps / (HOUR / SPAN)};
    }
    history.count = kept;
    mixed = fitted(&history);
    for (int64_t t = T0 + DAY; t < T0 + 21 * DAY; t += HOUR / 4 + MINUTE)
        CU_ASSERT_DOUBLE_EQUAL(pmo_decomposition_at(&mixed, t) / pmo_decomposition_at(&fine, t), 1,
                               0.12);
}

static void occasions_of_a_kind_have_the_same_effect(void)
{
    const struct pmo_occasion occasions[] = {
        {T0 + 3 * DAY + 10 * HOUR, T0 + 3 * DAY + 14 * HOUR, 0},
        {T0 + 6 * DAY + 10 * HOUR, T0 + 6 * DAY + 14 * HOUR, 0},
        {T0 + 10 * DAY + 2 * HOUR, T0 + 10 * DAY + 6 * HOUR, 0}, /* still to come */
    };
    struct pmo_minutes history;
    struct pmo_decomposition fit;
    struct pmo_occasion wrong = {.kind = PMO_DECOMPOSITION_KINDS};
    double before, within;

    model_run_seed(4);
    history = history_of(9, growing, 0.1);
    for (size_t i = 0; i < history.count; i++)
        for (size_t j = 0; j < 2; j++)
            if (minutes[i].t >= occasions[j].from && minutes[i].t < occasions[j].until)
                minutes[i].rps *= 3;
    history.occasions = occasions;
    history.occasions_count = 3;
    fit = fitted(&history);
    before = pmo_decomposition_at(&fit, occasions[2].from - 1);
    within = pmo_decomposition_at(&fit, occasions[2].from);
    CU_ASSERT_DOUBLE_EQUAL(within / before, 3, 0.3);
    CU_ASSERT_DOUBLE_EQUAL(
        pmo_decomposition_at(&fit, occasions[2].until) / growing(occasions[2].until), 1, 0.1);
    history.occasions = &wrong;
    history.occasions_count = 1;
    CU_ASSERT_EQUAL(pmo_decomposition_fit(&fit, &history), -EINVAL);
}

static double nothing(int64_t t)
{
    return 0;
}

static void too_little_history_has_no_fit_and_bad_history_is_refused(void)
{
    struct pmo_decomposition fit = {.changes = 77};
    struct pmo_minutes history = history_of(2, nothing, 0), none = {0};

    CU_ASSERT_EQUAL(pmo_decomposition_fit(&fit, &none), -ENODATA);
    CU_ASSERT_EQUAL(pmo_decomposition_fit(&fit, &history), -ENODATA);
    history = history_of(2, growing, 0.1);
    history.count = PER_DAY - 1;
    CU_ASSERT_EQUAL(pmo_decomposition_fit(&fit, &history), -ENODATA);
    history.count = 2 * PER_DAY;
    minutes[50].t = minutes[49].t;
    CU_ASSERT_EQUAL(pmo_decomposition_fit(&fit, &history), -EINVAL);
    CU_ASSERT_EQUAL(fit.changes, 77);
}

static void the_model_says_how_the_level_goes_on(void)
{
    struct model_run run = model_run_new(&pmo_model_decomposition);
    struct pmo_minutes history;
    struct pmo_decomposition fit;
    float mean[PMO_HORIZONS];
    int64_t t = T0 + 8 * DAY + 20 * MINUTE; /* the hour's wave falls here */

    model_run_seed(5);
    history = history_of(8, of_people, 0.05);
    fit = fitted(&history);
    for (int64_t i = t - 100; i <= t; i++)
        model_run_observe(&run, i, 3 * of_people(i)); /* three times what it ever was */
    model_run_predict(&run, mean);
    CU_ASSERT(isnan(mean[0]) && isnan(mean[59]));
    CU_ASSERT_EQUAL(run.model->generation(run.state), 0);
    pmo_decomposition_use(run.state, &fit);
    CU_ASSERT_EQUAL(run.model->generation(run.state), 1);
    model_run_predict(&run, mean);
    CU_ASSERT_DOUBLE_EQUAL(mean[0] / (3 * of_people(t + 1)), 1, 0.03);
    CU_ASSERT_DOUBLE_EQUAL(mean[59] / (3 * of_people(t + 60)), 1, 0.03);
    CU_ASSERT(mean[59] < 0.985F * mean[0]);
    model_run_free(&run);
}

/* An hour's shift of the days, as when daylight saving time begins. */
#define CHANGED_DAY 15
static double shifted(int64_t t)
{
    return of_people(t < T0 + CHANGED_DAY * DAY ? t : t + HOUR);
}

static void daylight_saving_time_is_learned_anew_in_weeks_and_hardly_missed(void)
{
    struct model_run run = model_run_new(&pmo_model_decomposition);
    struct pmo_minutes history;
    struct pmo_decomposition before, after;
    double error = 0, level = 0;
    int64_t t;

    model_run_seed(6);
    history = history_of(40, shifted, 0.1);
    after = fitted(&history);
    history.count = CHANGED_DAY * PER_DAY;
    before = fitted(&history);
    CU_ASSERT(error_of(&before, shifted, T0 + 40 * DAY, T0 + 41 * DAY) > 0.12);
    CU_ASSERT(error_of(&after, shifted, T0 + 40 * DAY, T0 + 41 * DAY) < 0.08);
    /* the day after, from the old fit: next minutes are right all the same */
    pmo_decomposition_use(run.state, &before);
    for (t = T0 + (CHANGED_DAY + 1) * DAY; t < T0 + (CHANGED_DAY + 2) * DAY; t++) {
        model_run_observe(&run, t, shifted(t));
        if (t % 600 < 599)
            continue;
        error += fabs(model_run_ahead(&run, 30) - shifted(t + 30));
        level += shifted(t + 30);
    }
    CU_ASSERT(error < 0.03 * level);
    model_run_free(&run);
}

static double of_the_year(int64_t t)
{
    return of_people(t) * exp(0.4 * wave(t, 31556952));
}

/* As the agent keeps it: days of minutes, and hours of thirteen months. */
static void seasons_of_the_year_are_found_in_hours_and_minutes(void)
{
    struct pmo_minutes history = {.at = minutes};
    struct pmo_decomposition fit;

    for (int64_t t = T0; t < T0 + 400 * DAY;) {
        uint32_t seconds = t < T0 + 390 * DAY ? HOUR : MINUTE;
        double sum = 0;

        for (uint32_t i = MINUTE / 2; i < seconds; i += MINUTE)
            sum += of_the_year(t + i) * MINUTE / seconds;
        minutes[history.count++] = (struct pmo_minute){t, seconds, seconds, (float)sum};
        t += seconds;
    }
    fit = fitted(&history);
    CU_ASSERT(error_of(&fit, of_the_year, T0 + 10 * DAY, T0 + 400 * DAY) < 0.05);
    CU_ASSERT(error_of(&fit, of_the_year, T0 + 400 * DAY, T0 + 401 * DAY) < 0.06);
}

SUITE(decomposition) = {
    TEST(seasons_are_found_and_go_on),
    TEST(waves_within_the_model_are_found_exactly),
    TEST(a_slope_that_changes_is_followed),
    TEST(outliers_and_missing_minutes_do_no_harm),
    TEST(ten_times_the_traffic_has_the_same_seasons),
    TEST(hours_of_long_ago_count_as_their_minutes_would),
    TEST(occasions_of_a_kind_have_the_same_effect),
    TEST(too_little_history_has_no_fit_and_bad_history_is_refused),
    TEST(the_model_says_how_the_level_goes_on),
    TEST(daylight_saving_time_is_learned_anew_in_weeks_and_hardly_missed),
    TEST(seasons_of_the_year_are_found_in_hours_and_minutes),
    {},
};
