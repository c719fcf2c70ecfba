/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/condition.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "agent/decide/need.h"
#include "agent/decide/policy.h"
#include "tests/unit/suite.h"

/* A service of two instances of 50 rps that serves 90 rps. */
struct scene {
    struct pmo_need need;
    struct pmo_forecast forecast;
    struct pmo_service_state state;
    struct pmo_windows windows;
    struct pmo_situation situation;
};

static void set(struct scene *s)
{
    *s = (struct scene){};
    s->need = (struct pmo_need){.capacity_rps = 50, .quantile = 0.95, .horizon_s = 5};
    s->state = (struct pmo_service_state){.name = "front",
                                          .load_rps = 90,
                                          .in_flight = 8,
                                          .latency_p99_s = 0.1,
                                          .error_rate = 0.01,
                                          .wait_p99_s = NAN,
                                          .cpu_cores = 1.2,
                                          .ready = 2,
                                          .forecast = &s->forecast};
    s->forecast.trust = 0.75F;
    s->situation = (struct pmo_situation){&s->need, &s->state, &s->windows, 2, 1000};
}

static struct pmo_condition compile(const char *text)
{
    char sentence[160], error[256] = "";
    struct pmo_rule rule = {};

    (void)snprintf(sentence, sizeof(sentence), "scale to 3 instances if %s", text);
    CU_ASSERT_EQUAL(pmo_rule_parse(&rule, sentence, error, sizeof(error)), 0);
    if (*error)
        (void)printf("\n    %s: %s\n", text, error);
    return rule.condition;
}

static bool holds(const struct scene *s, const char *text)
{
    struct pmo_condition condition = compile(text);

    return pmo_condition_holds(&condition, &s->situation);
}

static void and_or_not_and_parentheses_mean_what_they_say(void)
{
    static const struct {
        const char *text;
        bool holds;
    } cases[] = {
        {"load > 80 rps", true},
        {"load > 80 rps and latency > 1 s", false},
        {"load > 80 rps or latency > 1 s", true},
        {"latency > 1 s or load > 80 rps", true},
        {"latency > 1 s or load > 100 rps", false},
        {"not latency > 1 s", true},
        {"not load > 80 rps", false},
        {"not (load > 80 rps and latency > 1 s)", true},
        {"not not load > 80 rps", true},
        /* "and" binds closer than "or" */
        {"load > 80 rps or load > 80 rps and latency > 1 s", true},
        {"(load > 80 rps or load > 80 rps) and latency > 1 s", false},
        {"latency > 1 s and load > 80 rps or load > 80 rps", true},
        {"load >= 90 rps and load <= 90 rps", true},
        {"load > 90 rps or load < 90 rps", false},
        {"utilization >= 90 % and load is below 91 % of capacity", true},
        {"requests in flight exceed 3.9 and in_flight <= 4 per instance and cpu > 59 %", true},
        {"instances.ready >= 2 and trust > 74 % and error_rate < 2 %", true},
    };
    struct scene s;

    set(&s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool said = holds(&s, cases[i].text);

        CU_ASSERT_EQUAL(said, cases[i].holds);
        if (said != cases[i].holds)
            (void)printf("\n    wrong: %s\n", cases[i].text);
    }
}

static void what_is_not_known_is_neither_true_nor_false(void)
{
    struct scene s;

    set(&s);
    CU_ASSERT_FALSE(holds(&s, "waiting > 1 ms"));
    CU_ASSERT_FALSE(holds(&s, "waiting < 1 ms"));
    CU_ASSERT_FALSE(holds(&s, "not waiting > 1 ms"));
    CU_ASSERT_FALSE(holds(&s, "waiting > 1 ms or not waiting > 1 ms"));
    CU_ASSERT_TRUE(holds(&s, "waiting > 1 ms or load > 80 rps"));
    CU_ASSERT_FALSE(holds(&s, "waiting > 1 ms and load > 80 rps"));
    CU_ASSERT_TRUE(holds(&s, "not (waiting > 1 ms and load > 100 rps)"));
    CU_ASSERT_FALSE(holds(&s, "not (waiting > 1 ms and load > 80 rps)"));
    s.need.capacity_rps = 0;
    CU_ASSERT_FALSE(holds(&s, "utilization > 1 %"));
    CU_ASSERT_FALSE(holds(&s, "event(\"x\").active or not event(\"x\").active")); /* no calendar */
}

static void means_are_of_the_seconds_of_their_window(void)
{
    struct scene s;

    set(&s);
    for (int64_t t = 1; t <= 1000; t++) {
        s.state.load_rps = t > 990 ? 200 : 100;
        s.state.answered = t > 970 ? 10 : 90;
        s.state.failed = t > 970 ? 1 : 0;
        pmo_windows_note(&s.windows, &s.state, t);
        pmo_windows_note(&s.windows, &s.state, t); /* an order in between asks again */
    }
    CU_ASSERT_TRUE(holds(&s, "load(10s) >= 200 rps and load(20s) <= 150 rps"));
    CU_ASSERT_TRUE(holds(&s, "load(20s) >= 150 rps and load(5m) < 104 rps and load(5m) > 103 rps"));
    CU_ASSERT_TRUE(holds(&s, "load(20s) >= 150 % of capacity and utilization(10s) >= 200 %"));
    /* of all that was answered, not of seconds: 30 of 3000 */
    CU_ASSERT_TRUE(holds(&s, "error_rate(60s) > 0.99 % and error_rate(60s) < 1.01 %"));
    CU_ASSERT_TRUE(holds(&s, "error_rate(30s) > 9.9 %"));
}

static void a_mean_is_known_when_half_of_its_window_is(void)
{
    struct scene s;

    set(&s);
    for (int64_t t = 900; t < 930; t++)
        pmo_windows_note(&s.windows, &s.state, t);
    CU_ASSERT_TRUE(holds(&s, "load(60s) > 89 rps"));
    CU_ASSERT_FALSE(holds(&s, "load(61s) > 89 rps"));
    pmo_windows_note(&s.windows, &s.state, 950); /* 20 seconds are left out */
    CU_ASSERT_FALSE(holds(&s, "load(20s) > 89 rps"));
    CU_ASSERT_TRUE(holds(&s, "load(30s) > 89 rps or load(50s) > 89 rps"));
    pmo_windows_note(&s.windows, &s.state, 10000);
    CU_ASSERT_TRUE(holds(&s, "load(2s) > 89 rps"));
    CU_ASSERT_FALSE(holds(&s, "load(3s) > 89 rps"));
}

static void events_are_found_by_kind_or_id_for_their_service(void)
{
    struct pmo_happening happening = {
        .start = 1060, .duration_s = 100, .kind = "Campaign", .scope = "front", .id = "spring"};
    struct pmo_calendar *calendar = NULL;
    struct scene s;

    set(&s);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_new(&calendar), 0);
    s.state.calendar = calendar;
    CU_ASSERT_FALSE(holds(&s, "event(\"Campaign\").starts_in < 10m"));
    CU_ASSERT_TRUE(holds(&s, "not event(\"Campaign\").active"));
    CU_ASSERT_EQUAL(pmo_calendar_add(calendar, &happening, 1000), 1);
    CU_ASSERT_TRUE(holds(&s, "event(\"Campaign\").starts_in <= 60s"));
    CU_ASSERT_FALSE(holds(&s, "event(\"Campaign\").starts_in < 60s"));
    CU_ASSERT_TRUE(holds(&s, "event(\"spring\").starts_in < 2m"));
    CU_ASSERT_FALSE(holds(&s, "event(\"campaign\").starts_in < 2m")); /* as it is written */
    CU_ASSERT_FALSE(holds(&s, "event(\"Campaign\").active"));
    s.situation.t = 1060;
    CU_ASSERT_TRUE(holds(&s, "event(\"spring\").active"));
    s.situation.t = 1159;
    CU_ASSERT_TRUE(holds(&s, "event(\"Campaign\").active and not event(\"x\").active"));
    s.state.name = "other";
    CU_ASSERT_FALSE(holds(&s, "event(\"Campaign\").active"));
    s.state.name = "front";
    s.situation.t = 1160;
    CU_ASSERT_FALSE(holds(&s, "event(\"Campaign\").active"));
    pmo_calendar_free(&calendar);
}

static void values_are_told_in_words(void)
{
    struct pmo_condition condition =
        compile("load > 80 % of capacity and not (error_rate > 5 % or waiting > 2 ms or "
                "event(\"x\").active)");
    char text[256] = "", shorter[16] = "";
    struct scene s;

    set(&s);
    pmo_condition_describe(&condition, &s.situation, text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "load 90 rps is 90 % of the capacity of 2 instances, error rate "
                                 "is 1.0 %, waiting is not known, event \"x\" is not known");
    pmo_condition_describe(&condition, &s.situation, shorter, sizeof(shorter));
    CU_ASSERT_STRING_EQUAL(shorter, "load 90 rps is ");
}

SUITE(condition) = {
    TEST(and_or_not_and_parentheses_mean_what_they_say),
    TEST(what_is_not_known_is_neither_true_nor_false),
    TEST(means_are_of_the_seconds_of_their_window),
    TEST(a_mean_is_known_when_half_of_its_window_is),
    TEST(events_are_found_by_kind_or_id_for_their_service),
    TEST(values_are_told_in_words),
    {0},
};
