/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl backtest, from its options to its files; and the rules and scores that it compares with.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/forecast/forecast.h"
#include "tests/unit/directory.h"
#include "tests/unit/suite.h"
#include "tools/pmoctl/doublings.h"
#include "tools/pmoctl/pmoctl.h"
#include "tools/pmoctl/rules.h"
#include "tools/pmoctl/score.h"

#define SECONDS   4000
#define GAP_FROM  3000 /* not recorded */
#define GAP_UNTIL 3009

static int run_backtest(struct pmoctl ctl, bool errors)
{
    return run_command(pmoctl_backtest, &ctl, errors);
}

static const struct pmoctl usual = {.trace = "trace", .out = "out", .from_s = NAN};

static bool refused(struct pmoctl ctl, const char *why)
{
    _cleanup_free_ char *said = NULL;
    int status = run_backtest(ctl, true);

    said = read_text("said");
    if (status == EXIT_FAILURE && strstr(said, why) && access("out", F_OK) != 0 &&
        strchr(said, '\n') == said + strlen(said) - 1)
        return true;
    (void)fprintf(stderr, "instead of \"%s\": %s", why, said);
    return false;
}

/* Requests in second @t of the trace that most tests are about: a wave, bursts and noise; NAN: not
 * recorded. */
static double requests(size_t t)
{
    uint32_t noise = (uint32_t)t * 2654435761U;

    if (t >= GAP_FROM && t <= GAP_UNTIL)
        return NAN;
    return floor(60 + 30 * sin((double)t / 200) + (t % 300 < 15 ? 100 : 0) +
                 (noise ^ noise >> 15) % 17);
}

static void write_trace(size_t seconds)
{
    _cleanup_fclose_ FILE *file = fopen("trace", "we");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs("t,requests\n", file);
    for (size_t t = 0; t < seconds; t++)
        if (!isnan(requests(t)))
            (void)fprintf(file, "%zu,%.0f\n", t, requests(t));
}

static void the_same_trace_gives_the_same_output(void)
{
    _cleanup_free_ char *out = NULL, *again = NULL, *said = NULL, *said_again = NULL,
                        *picture = NULL, *picture_again = NULL;
    struct pmoctl ctl = usual;

    enter();
    write_trace(SECONDS);
    ctl.plot = "plot";
    ctl.models = true;
    CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
    out = read_text("out");
    said = read_text("said");
    picture = read_text("plot");
    CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
    again = read_text("out");
    said_again = read_text("said");
    picture_again = read_text("plot");
    CU_ASSERT_STRING_EQUAL(out, again);
    CU_ASSERT_STRING_EQUAL(said, said_again);
    CU_ASSERT_STRING_EQUAL(picture, picture_again);
    CU_ASSERT_EQUAL(strncmp(out, "t,horizon,q,value\n2000,5,0.1,", 29), 0); /* from the middle on */
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n3980,60,0.99,"));                 /* up to the end */
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "seasonal naive"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "damped trend"));
    CU_ASSERT_PTR_NOT_NULL(strstr(picture, "what was expected 60 s before"));
    CU_ASSERT_PTR_NULL(strstr(picture, "nan"));
    leave();
}

/* The part of @out that was forecast at second @t; cuts @out off behind it. */
static char *rows_at(char *out, const char *t)
{
    char *rows, *end;

    rows = strstr(out, t);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rows);
    for (end = rows + 1; !strncmp(end, t + 1, strlen(t) - 1); end = strchr(end, '\n') + 1)
        ;
    *end = 0;
    return rows;
}

static void a_trace_cut_off_after_t_gives_the_same_forecast_at_t(void)
{
    static const char *const cuts[] = {"2480", "2999", "3031"}; /* 3031: just behind the gap */
    struct pmoctl ctl = usual;

    enter();
    ctl.origins = "origins";
    for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
        _cleanup_free_ char *whole = NULL, *cut = NULL;
        char at[16];

        (void)snprintf(at, sizeof(at), "\n%s,", cuts[i]);
        write_text("origins", "2480\n2999\n3031\n3900\n");
        write_trace(SECONDS);
        CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
        whole = read_text("out");
        write_text("origins", cuts[i]);
        write_trace(strtoul(cuts[i], NULL, 10) + 1);
        CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
        cut = read_text("out");
        CU_ASSERT_STRING_EQUAL(rows_at(whole, at), rows_at(cut, at));
    }
    leave();
}

/* An origin that was not recorded: what was known before it, so much further ahead. */
static void a_missing_origin_forecasts_from_the_last_known_second(void)
{
    struct pmo_forecaster *forecaster = NULL;
    struct pmo_forecast forecast;
    struct pmoctl ctl = usual;
    _cleanup_free_ char *out = NULL;
    char expected[256];

    enter();
    write_trace(SECONDS);
    write_text("origins", "3005\n");
    ctl.origins = "origins";
    ctl.horizons = "5,60";
    ctl.quantiles = "0.5";
    CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
    out = read_text("out");
    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&forecaster), 0);
    for (size_t t = 0; t < GAP_FROM; t++)
        pmo_forecaster_observe(forecaster, (int64_t)t, requests(t));
    pmo_forecaster_predict(forecaster, &forecast);
    pmo_forecaster_free(&forecaster);
    CU_ASSERT_EQUAL(forecast.origin, 2999);
    (void)snprintf(
        expected, sizeof(expected), "t,horizon,q,value\n3005,5,0.5,%.4f\n3005,60,0.5,%.4f\n",
        pmo_forecast_quantile(&forecast, 11, 0.5), pmo_forecast_quantile(&forecast, 60, 0.5));
    CU_ASSERT_STRING_EQUAL(out, expected);
    leave();
}

/* Once more what was written, as scores are defined: by rows, without any of pmoctl's code. */
static double pinball_of(const char *rows, unsigned int horizon, size_t *scored)
{
    double loss = 0, count = 0;
    unsigned int h;
    double q, value;
    size_t t;

    *scored = 0;
    for (; (rows = strchr(rows, '\n')) &&
           sscanf(++rows, "%zu,%u,%lf,%lf", &t, &h, &q, &value) == 4;) {
        double y = requests(t + h);
        bool gap =
            (t >= GAP_FROM && t < GAP_UNTIL + 60) || (t + h >= GAP_FROM && t + h < GAP_UNTIL + 60);

        if (h != horizon || t + h >= SECONDS || gap)
            continue;
        loss += y >= value ? q * (y - value) : (1 - q) * (value - y);
        count++;
        *scored += q == 0.5;
    }
    return loss / count;
}

static const json_t *method(const json_t *horizon, const char *name)
{
    const json_t *found;
    size_t i;

    json_array_foreach (json_object_get(horizon, "methods"), i, found)
        if (!strcmp(pmoctl_text(found, "name"), name))
            return found;
    return NULL;
}

static void scores_are_those_of_the_rows(void)
{
    _cleanup_free_ char *out = NULL, *said = NULL;
    struct pmoctl ctl = usual;
    const json_t *horizon;
    json_t *report;
    size_t i, scored;

    enter();
    write_trace(SECONDS);
    ctl.json = ctl.models = true;
    ctl.stride_s = 7;
    ctl.from_s = 500;
    CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
    out = read_text("out");
    said = read_text("said");
    report = json_loads(said, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(report);
    CU_ASSERT_EQUAL(pmoctl_integer(report, "origins"), 500);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(report, "horizons")), 4);
    json_array_foreach (json_object_get(report, "horizons"), i, horizon) {
        double pinball = pinball_of(out, (unsigned int)pmoctl_integer(horizon, "horizon"), &scored);
        double own = pmoctl_number(method(horizon, "pmo"), "pinball");

        CU_ASSERT_DOUBLE_EQUAL(own, pinball, 1e-9);
        CU_ASSERT_EQUAL(pmoctl_integer(horizon, "scored"), (json_int_t)scored);
        CU_ASSERT_TRUE(scored > 400 && scored < 500);
        CU_ASSERT_TRUE(own < pmoctl_number(method(horizon, "last value"), "pinball"));
        CU_ASSERT_TRUE(json_array_size(json_object_get(horizon, "models")) > 5);
    }
    json_decref(report);
    leave();
}

static void wrong_options_are_refused_before_anything_is_written(void)
{
    static const char *const horizons[] = {"",    "0,5", "5,5", "5,61", "5,1",
                                           "5;6", "5,",  "1.5", "x"};
    static const char *const quantiles[] = {"", "0,0.5", "0.5,1", "0.9,0.1", "0.5,,0.9", "nan"};
    struct pmoctl ctl = usual;

    enter();
    ctl.trace = NULL;
    CU_ASSERT_TRUE(refused(ctl, "which trace? write: pmoctl backtest --trace FILE"));
    CU_ASSERT_TRUE(refused(usual, "trace: cannot be opened: No such file"));
    write_text("trace", "t,requests\n0,1\n1,x\n");
    CU_ASSERT_TRUE(refused(usual, "trace:3: requests are not a number"));
    write_trace(100);
    for (size_t i = 0; i < sizeof(horizons) / sizeof(*horizons); i++) {
        ctl = usual;
        ctl.horizons = horizons[i];
        CU_ASSERT_TRUE(refused(ctl, "write rising seconds from 1 to 60, as in 5,15,30,60"));
    }
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++) {
        ctl = usual;
        ctl.quantiles = quantiles[i];
        CU_ASSERT_TRUE(refused(ctl, "rising shares between 0 and 1"));
    }
    ctl = usual;
    ctl.from_s = 100;
    CU_ASSERT_TRUE(refused(ctl, "--from 100: trace ends after 100 s; write less"));
    ctl = usual;
    ctl.stride_s = 0.5;
    CU_ASSERT_TRUE(refused(ctl, "--stride 0.5: write whole seconds"));
    ctl = usual;
    ctl.out = "./trace";
    CU_ASSERT_TRUE(refused(ctl, "--out ./trace: that is the trace; write another name"));
    ctl = usual;
    ctl.plot = "trace";
    CU_ASSERT_TRUE(refused(ctl, "--plot trace: that is the trace"));
    ctl = usual;
    ctl.out = "nowhere/out";
    CU_ASSERT_TRUE(refused(ctl, "cannot write nowhere/out: No such file"));
    leave();
}

static void wrong_origins_are_refused_with_their_line(void)
{
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "origins: there is nothing in it; write seconds"},
        {"5\nx\n", "origins:2: not a second of the trace; write one whole number a line"},
        {"5\n\n6\n", "origins:2: not a second"},
        {"-5\n", "origins:1: not a second"},
        {"5,6\n", "origins:1: not a second"},
        {"5\n7\n6\n", "origins:3: second 6 comes after second 7; sort them"},
        {"5\n5\n", "origins:2: second 5 comes after second 5"},
        {"5\n100\n", "origins:2: second 100 is beyond trace; write up to 99"},
        {"99999999999999999999999\n", "origins:1: second 18446744073709551615 is beyond trace"},
    };
    struct pmoctl ctl = usual;

    enter();
    write_trace(100);
    ctl.origins = "origins";
    CU_ASSERT_TRUE(refused(ctl, "origins: cannot be opened: No such file"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        write_text("origins", wrong[i].text);
        CU_ASSERT_TRUE(refused(ctl, wrong[i].why));
    }
    ctl.stride_s = 60;
    CU_ASSERT_TRUE(refused(ctl, "--origins says it all; leave --stride and --from out"));
    leave();
}

/* A trace too short to score anything is no error: there is a forecast, and nothing to say of it.
 */
static void nothing_to_score_is_no_error(void)
{
    struct pmoctl ctl = usual;
    _cleanup_free_ char *out = NULL, *said = NULL;
    json_t *report;

    enter();
    write_text("trace", "t,requests\n0,3\n");
    ctl.plot = "plot";
    ctl.json = true;
    CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
    out = read_text("out");
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n0,60,0.99,"));
    said = read_text("said");
    report = json_loads(said, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(report);
    CU_ASSERT_TRUE(json_is_null(json_object_get(
        method(json_array_get(json_object_get(report, "horizons"), 0), "pmo"), "pinball")));
    json_decref(report);
    leave();
}

/* 10, 20, 10, 20... today; 40 higher an hour ago, 70 higher yesterday. */
static void rules_say_what_they_are_called_for(void)
{
    static double values[86400 + 5000];
    struct pmo_trace trace = {.requests = values, .seconds = 86400 + 4001};
    struct pmo_rules rules;
    double mean, width;

    for (size_t t = 0; t < 86400 + 5000; t++)
        values[t] = (t % 2 ? 20 : 10) + (t < 5000 ? 70 : t < 86400 + 1000 ? 40 : 0);
    pmo_rules_init(&rules, &trace, 86400 + 4000);
    pmo_rules_predict(&rules, PMO_RULE_LAST, 5, &mean, &width);
    CU_ASSERT_EQUAL(mean, 10);
    CU_ASSERT_DOUBLE_EQUAL(width, 10, 0.02);
    pmo_rules_predict(&rules, PMO_RULE_MEAN, 5, &mean, &width);
    CU_ASSERT_DOUBLE_EQUAL(mean, 15, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(width, 5, 0.05);
    pmo_rules_predict(&rules, PMO_RULE_SEASONAL, 5, &mean, &width);
    CU_ASSERT_EQUAL(mean, 90);
    CU_ASSERT_EQUAL(width, 0); /* all seconds were exactly 70 lower than yesterday */
    trace.requests += 5000;    /* as if the trace had begun there: there is no yesterday */
    trace.seconds -= 5000;
    pmo_rules_init(&rules, &trace, 86400 - 1000);
    pmo_rules_predict(&rules, PMO_RULE_SEASONAL, 5, &mean, &width);
    CU_ASSERT_EQUAL(mean, 60);
    pmo_rules_init(&rules, &trace, 300);
    pmo_rules_predict(&rules, PMO_RULE_SEASONAL, 5, &mean, &width);
    CU_ASSERT_EQUAL(mean, 50);
}

static void no_rule_but_the_floor_knows_what_comes(void)
{
    static double values[5000];
    struct pmo_trace trace = {.requests = values, .seconds = 5000};
    struct pmo_rules rules;
    double before[PMO_RULES], after[PMO_RULES], width;

    for (size_t t = 0; t < 5000; t++)
        values[t] = requests(t);
    for (size_t changed = 0; changed < 2; changed++) {
        for (size_t t = 4001; changed && t < 5000; t++)
            values[t] = NAN;
        pmo_rules_init(&rules, &trace, 4000);
        for (enum pmo_rule rule = 0; rule < PMO_RULES; rule++)
            pmo_rules_predict(&rules, rule, 60, changed ? &after[rule] : &before[rule], &width);
    }
    for (enum pmo_rule rule = 0; rule < PMO_RULE_FLOOR; rule++)
        CU_ASSERT_EQUAL(before[rule], after[rule]);
    CU_ASSERT_NOT_EQUAL(before[PMO_RULE_FLOOR], after[PMO_RULE_FLOOR]);
}

static void scores_are_as_by_hand(void)
{
    struct pmo_score_quantiles quantiles = {.q = {0.1, 0.5, 0.99}, .count = 3};
    struct pmo_score score = {0};

    pmo_score_quantiles_init(&quantiles);
    CU_ASSERT_DOUBLE_EQUAL(quantiles.z[0], -1.2815515655446004, 1e-12); /* of printed tables */
    CU_ASSERT_DOUBLE_EQUAL(quantiles.z[1], 0, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(quantiles.z[2], 2.3263478740408408, 1e-12);
    CU_ASSERT_TRUE(isnan(pmo_score_pinball(&score, &quantiles)));
    pmo_score_add(&score, &quantiles, (const double[]){10, 20, 30}, 25);
    pmo_score_add(&score, &quantiles, (const double[]){10, 20, 30}, 5);
    /* 0.1 * 15, 0.5 * 5, 0.01 * 5; 0.9 * 5, 0.5 * 15, 0.01 * 25 */
    CU_ASSERT_DOUBLE_EQUAL(pmo_score_pinball(&score, &quantiles),
                           (1.5 + 2.5 + 0.05 + 4.5 + 7.5 + 0.25) / 6, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(pmo_score_wape(&score, &quantiles), 20.0 / 30, 1e-12);
    CU_ASSERT_EQUAL(pmo_score_below(&score, 0), 0.5);
    CU_ASSERT_EQUAL(pmo_score_below(&score, 2), 1);
}

static void a_gap_and_the_minute_behind_it_are_not_scored(void)
{
    double values[200];
    struct pmo_trace trace = {.requests = values, .seconds = 200};
    _cleanup_free_ bool *scored = NULL;

    for (size_t t = 0; t < 200; t++)
        values[t] = t == 50 || t == 53 ? NAN : 1;
    scored = pmo_score_seconds(&trace);
    for (size_t t = 0; t < 200; t++)
        CU_ASSERT_EQUAL(scored[t], t < 50 || t >= 53 + 60);
}

/* The median, 30 s ahead and so 10 s into the last of these events, which come at no hour. */
static double median_before_the_event(const char *events, const char *known)
{
    static const unsigned int starts[] = {700, 1430, 2350, 3010, 3800};
    struct pmoctl ctl = usual;
    double median;

    enter();
    {
        _cleanup_fclose_ FILE *trace = fopen("trace", "we");
        _cleanup_fclose_ FILE *list = fopen("events", "we");

        CU_ASSERT_FATAL(trace && list);
        (void)fputs("t,requests\n", trace);
        (void)fputs("start,duration,kind,known\n", list);
        for (size_t t = 0, next = 0; t < 3900; t++) {
            uint32_t noise = (uint32_t)t * 2654435761U;

            if (next < 4 && t >= starts[next] + 60)
                next++;
            (void)fprintf(trace, "%zu,%u\n", t,
                          (t >= starts[next] && t < starts[next] + 60 ? 300 : 100) +
                              (noise ^ noise >> 15) % 17);
        }
        for (size_t i = 0; i < 5; i++)
            (void)fprintf(list, "%u,60,newsletter,%s\n", starts[i], i < 4 ? "0" : known);
    }
    write_text("origins", "3780\n");
    ctl.origins = "origins";
    ctl.events = events;
    ctl.horizons = "30";
    ctl.quantiles = "0.5";
    CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
    {
        _cleanup_free_ char *out = read_text("out");
        const char *row = strstr(out, "3780,30,0.5,");

        CU_ASSERT_PTR_NOT_NULL_FATAL(row);
        median = strtod(row + strlen("3780,30,0.5,"), NULL);
    }
    (void)unlink("events");
    leave();
    return median;
}

static void events_are_known_when_their_file_says_so(void)
{
    CU_ASSERT(median_before_the_event(NULL, "0") < 150);
    CU_ASSERT(median_before_the_event("events", "3700") > 250);
    CU_ASSERT(median_before_the_event("events", "3790") < 150); /* not before it is known */
}

/* A level that nothing had announced, then one that comes back each ten minutes. */
static void jumps_are_counted_with_who_foresaw_them(void)
{
    _cleanup_free_ char *said = NULL;
    struct pmoctl ctl = usual;

    enter();
    {
        _cleanup_fclose_ FILE *trace = fopen("trace", "we");

        CU_ASSERT_PTR_NOT_NULL_FATAL(trace);
        (void)fputs("t,requests\n", trace);
        for (size_t t = 0; t < 2600; t++)
            (void)fprintf(trace, "%zu,%d\n", t,
                          (t >= 1000 && t < 1100) || (t >= 2000 && t < 2100) ? 300 : 100);
    }
    ctl.from_s = 500;
    ctl.models = true;
    CU_ASSERT_EQUAL_FATAL(run_backtest(ctl, false), EXIT_SUCCESS);
    said = read_text("said");
    CU_ASSERT_PTR_NOT_NULL(
        strstr(said, "Jumps to more than twice the level: 2, 0 of them recur by the clock."));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(said, "\nmean of 30 s                         0 %            -\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(said, "\nmodel: autoregression                0 %            -\n"));
    leave();
}

/* 100 a second, and 300 for 100 s from each second of @starts on. */
static void find_doublings(struct pmo_doublings *doublings, size_t seconds, const size_t starts[],
                           size_t count)
{
    struct pmo_trace trace = {.requests = calloc(seconds, sizeof(double)), .seconds = seconds};
    _cleanup_free_ bool *scored = NULL;

    CU_ASSERT_PTR_NOT_NULL_FATAL(trace.requests);
    for (size_t t = 0; t < seconds; t++)
        trace.requests[t] = 100;
    for (size_t i = 0; i < count; i++)
        for (size_t t = starts[i]; t < starts[i] + 100; t++)
            trace.requests[t] = 300;
    scored = pmo_score_seconds(&trace);
    CU_ASSERT_EQUAL_FATAL(pmo_doublings_find(doublings, &trace, scored), 0);
    pmo_trace_free(&trace);
}

static void jumps_recur_by_the_clock_where_hours_or_days_had_them(void)
{
    static const size_t hours[] = {7300, 10890, 14510, 18100, 21700, 23500, 25330, 28914};
    static const size_t days[] = {40000, 86400 + 50000, 2 * 86400 + 40010, 3 * 86400 + 39995,
                                  3 * 86400 + 50000};
    struct pmo_doublings found;

    find_doublings(&found, 40000, hours, 8);
    CU_ASSERT_EQUAL_FATAL(found.count, 8);
    for (size_t i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(found.at[i].t, hours[i] - PMO_DOUBLING_AHEAD_S + 1);
        /* 30 s late is another time; and that one counts for no other */
        CU_ASSERT_EQUAL(found.at[i].recurs, i == 4 || i == 7);
    }
    free(found.at);
    find_doublings(&found, 4 * 86400, days, 5);
    CU_ASSERT_EQUAL_FATAL(found.count, 5);
    for (size_t i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(found.at[i].recurs, i == 3);
    free(found.at);
}

SUITE(backtest) = {TEST(the_same_trace_gives_the_same_output),
                   TEST(a_trace_cut_off_after_t_gives_the_same_forecast_at_t),
                   TEST(a_missing_origin_forecasts_from_the_last_known_second),
                   TEST(scores_are_those_of_the_rows),
                   TEST(wrong_options_are_refused_before_anything_is_written),
                   TEST(wrong_origins_are_refused_with_their_line),
                   TEST(nothing_to_score_is_no_error),
                   TEST(rules_say_what_they_are_called_for),
                   TEST(no_rule_but_the_floor_knows_what_comes),
                   TEST(scores_are_as_by_hand),
                   TEST(a_gap_and_the_minute_behind_it_are_not_scored),
                   TEST(events_are_known_when_their_file_says_so),
                   TEST(jumps_are_counted_with_who_foresaw_them),
                   TEST(jumps_recur_by_the_clock_where_hours_or_days_had_them),
                   {0}};
