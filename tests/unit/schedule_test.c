/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/schedule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "agent/decide/plan.h"
#include "agent/decide/simulator.h"
#include "tests/unit/suite.h"

#define DAY    86400
#define MONDAY (4 * DAY) /* 1970-01-05 */

/* A planner that is asked each second, whose orders are carried out at once. */
struct world {
    struct pmo_planner *planner;
    struct pmo_policy policy;
    struct pmo_service_state state;
    struct pmo_decision decision; /* the last one */
    unsigned int decisions;
    uint32_t wanted;
    int64_t t;
};

static struct pmo_recurrence when(const char *cron, const char *zone, uint32_t for_s)
{
    struct pmo_recurrence recurrence = {.for_s = for_s};
    char error[256];

    CU_ASSERT_EQUAL_FATAL(pmo_cron_parse(&recurrence.cron, cron, error, sizeof(error)), 0);
    recurrence.zone = pmo_zone_find(zone);
    CU_ASSERT_PTR_NOT_NULL_FATAL(recurrence.zone);
    return recurrence;
}

static const struct pmo_policy plain = {.name = "front",
                                        .service = "front",
                                        .mode = PMO_MODE_ACT,
                                        .latency_objective_s = 0.25,
                                        .quantile = 0.95,
                                        .min = 1,
                                        .max = 10,
                                        .capacity_rps = 50,
                                        .target = 0.9,
                                        .lead_time_s = 3,
                                        .down_delay_s = 15};

static void begin(struct world *w, int64_t t)
{
    *w = (struct world){.policy = plain, .t = t};
    w->state = (struct pmo_service_state){
        .name = "front", .latency_p99_s = NAN, .error_rate = NAN, .lead_time_s = NAN, .ready = 1};
    w->state.load_rps = 10;
    CU_ASSERT_EQUAL_FATAL(pmo_planner_new(&w->planner, 1), 0);
}

static void run(struct world *w, int64_t until)
{
    while (w->t < until) {
        w->decisions += pmo_planner_decide(w->planner, &w->policy, PMO_MODE_ACT, &w->state, ++w->t,
                                           &w->wanted, &w->decision) == 1;
        w->state.ready = w->wanted;
    }
}

static void an_occurrence_is_the_first_that_is_not_over(void)
{
    struct pmo_recurrence office = when("0 8 * * 1-5", "UTC", 3600);
    struct pmo_occurrence o = {};

    for (int64_t t = MONDAY; t < MONDAY + 7 * DAY; t += 600) {
        int64_t day = t - t % DAY, weekday = (day - MONDAY) / DAY, start = day + 8 * 3600;

        if (weekday > 4)
            start = MONDAY + 7 * DAY + 8 * 3600;
        else if (t >= start + 3600)
            start += weekday == 4 ? 3 * DAY : DAY;
        pmo_recurrence_follow(&office, t, &o);
        CU_ASSERT_TRUE(start > t + DAY ? o.start > t + DAY : o.start == start);
    }
}

static void an_occurrence_goes_by_the_clock_of_its_zone(void)
{
    struct pmo_recurrence berlin = when("30 7 * * *", "Europe/Berlin", 60);
    struct pmo_occurrence winter = {}, summer = {};

    pmo_recurrence_follow(&berlin, 1767225600, &winter); /* 2026-01-01 */
    CU_ASSERT_EQUAL(winter.start, 1767225600 + 6 * 3600 + 1800);
    pmo_recurrence_follow(&berlin, 1782864000, &summer); /* 2026-07-01 */
    CU_ASSERT_EQUAL(summer.start, 1782864000 + 5 * 3600 + 1800);
}

static void those_that_overlap_go_on_without_a_gap(void)
{
    struct pmo_recurrence often = when("*/5 * * * *", "UTC", 900);
    struct pmo_occurrence o = {};

    for (int64_t t = MONDAY; t < MONDAY + 7200; t += 17) {
        pmo_recurrence_follow(&often, t, &o);
        CU_ASSERT_TRUE(o.start <= t && o.end > t);
    }
}

static void a_schedules_minimum_is_there_when_it_begins_and_gone_after_it(void)
{
    struct world w;

    begin(&w, MONDAY + 7 * 3600);
    w.policy.schedules[0] = (struct pmo_schedule){"day", when("0 8 * * *", "UTC", 600), 5, 0, 1};
    w.policy.schedules_count = 1;
    run(&w, MONDAY + 8 * 3600 - 6);
    CU_ASSERT_EQUAL(w.wanted, 1);
    run(&w, MONDAY + 8 * 3600 - 5); /* a start of 3 s, and 2 for deciding */
    CU_ASSERT_EQUAL(w.wanted, 5);
    CU_ASSERT_STRING_EQUAL(w.decision.rule, "schedule");
    CU_ASSERT_STRING_EQUAL(w.decision.reason,
                           "schedule day: the minimum is 5 instances; 1 ready, 0 starting");
    run(&w, MONDAY + 8 * 3600 + 599);
    CU_ASSERT_EQUAL(w.wanted, 5);
    run(&w, MONDAY + 8 * 3600 + 600);
    CU_ASSERT_EQUAL(w.wanted, 1);
    CU_ASSERT_EQUAL(w.decisions, 2);
    pmo_planner_free(&w.planner);
}

static void what_is_lowered_is_lowered_when_it_begins_only(void)
{
    struct world w;

    begin(&w, MONDAY + 7 * 3600);
    w.state.load_rps = 350; /* 8 instances */
    w.state.ready = 8;
    w.policy.min = 2;
    w.policy.schedules[0] = (struct pmo_schedule){"night", when("0 8 * * *", "UTC", 600), 1, 4, 1};
    w.policy.schedules_count = 1;
    run(&w, MONDAY + 8 * 3600 - 1);
    CU_ASSERT_TRUE(w.wanted >= 8);
    run(&w, MONDAY + 8 * 3600);
    CU_ASSERT_EQUAL(w.wanted, 4);
    w.state.load_rps = 10;
    run(&w, MONDAY + 8 * 3600 + 300);
    CU_ASSERT_EQUAL(w.wanted, 1);
    run(&w, MONDAY + 8 * 3600 + 600);
    CU_ASSERT_EQUAL(w.wanted, 2);
    pmo_planner_free(&w.planner);
}

static void of_several_schedules_the_highest_bounds_count(void)
{
    const struct pmo_schedule schedules[] = {{"a", when("0 8 * * *", "UTC", 3600), 3, 20, 1},
                                             {"b", when("0 8 * * *", "UTC", 3600), 5, 15, 2},
                                             {"c", when("0 9 * * *", "UTC", 3600), 30, 40, 3}};
    struct pmo_occurrence occurrences[3] = {};
    struct pmo_bounds bounds = {.min = 1, .max = 10};

    pmo_schedules_bound(&bounds, schedules, 3, occurrences, MONDAY + 8 * 3600 + 100, 3);
    CU_ASSERT_TRUE(bounds.min == 5 && bounds.max == 20);
    CU_ASSERT_STRING_EQUAL(bounds.min_by, "b");
    CU_ASSERT_STRING_EQUAL(bounds.max_by, "a");
    bounds = (struct pmo_bounds){.min = 1, .max = 10};
    pmo_schedules_bound(&bounds, schedules, 3, occurrences, MONDAY + 12 * 3600, 3);
    CU_ASSERT_TRUE(bounds.min == 1 && bounds.max == 10 && !bounds.min_by && !bounds.max_by);
}

static void in_a_freeze_nothing_is_done_and_that_is_told_once(void)
{
    struct world w;

    begin(&w, MONDAY + 8 * 3600);
    w.policy.freezes[0] = (struct pmo_freeze){when("0 8 * * *", "UTC", 600), false, 1};
    w.policy.freezes_count = 1;
    w.state.load_rps = 200;
    run(&w, MONDAY + 8 * 3600 + 599);
    CU_ASSERT_EQUAL(w.wanted, 1);
    CU_ASSERT_EQUAL(w.decisions, 1);
    CU_ASSERT_STRING_EQUAL(w.decision.rule, "freeze");
    CU_ASSERT_TRUE(w.decision.from == 1 && w.decision.to == 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.decision.reason, "needs 6 instances of 50 rps"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(w.decision.reason, "; not done: frozen until 1970-01-05 08:10 UTC"));
    run(&w, MONDAY + 8 * 3600 + 600);
    CU_ASSERT_EQUAL(w.wanted, 6);
    run(&w, MONDAY + DAY + 8 * 3600 - 1);
    w.state.load_rps = 10;
    w.decisions = 0;
    run(&w, MONDAY + DAY + 8 * 3600 + 500); /* the next day's is told again */
    CU_ASSERT_EQUAL(w.wanted, 6);
    CU_ASSERT_EQUAL(w.decisions, 1);
    pmo_planner_free(&w.planner);
}

static void a_freeze_may_allow_more(void)
{
    struct world w;

    begin(&w, MONDAY + 8 * 3600);
    w.policy.freezes[0] = (struct pmo_freeze){when("0 8 * * *", "UTC", 600), true, 1};
    w.policy.freezes_count = 1;
    w.state.load_rps = 200;
    run(&w, MONDAY + 8 * 3600 + 100);
    CU_ASSERT_EQUAL(w.wanted, 6);
    w.state.load_rps = 10;
    run(&w, MONDAY + 8 * 3600 + 599);
    CU_ASSERT_EQUAL(w.wanted, 6);
    CU_ASSERT_EQUAL(w.decisions, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.decision.reason, "; not done: nothing is given up until"));
    run(&w, MONDAY + 8 * 3600 + 600);
    CU_ASSERT_EQUAL(w.wanted, 1);
    pmo_planner_free(&w.planner);
}

static void capacity_is_ready_at_a_schedules_first_second(void)
{
    enum { SECONDS = 1500, STARTUP = 90, START = 1200 };
    static uint32_t wanted[SECONDS];
    struct pmo_queue_model model = {.capacity_rps = 50, .startup_s = STARTUP, .objective_s = 0.25};
    struct pmo_simulator *simulator = NULL;
    struct pmo_policy policy = plain;

    policy.lead_time_s = 0; /* as it is */
    policy.schedules[0] = (struct pmo_schedule){"sale", when("20 0 * * *", "UTC", 600), 7, 0, 1};
    policy.schedules_count = 1;
    CU_ASSERT_EQUAL_FATAL(pmo_simulator_new(&simulator, &model, &policy, wanted), 0);
    for (size_t t = 0; t < SECONDS; t++)
        CU_ASSERT_EQUAL(pmo_simulator_step(simulator, 10), 0);
    pmo_simulator_free(&simulator);
    CU_ASSERT_TRUE(wanted[START - STARTUP - 10] < 7);
    CU_ASSERT_EQUAL(pmo_queue_ready(&model, wanted, START), 7);
}

SUITE(schedule) = {
    TEST(an_occurrence_is_the_first_that_is_not_over),
    TEST(an_occurrence_goes_by_the_clock_of_its_zone),
    TEST(those_that_overlap_go_on_without_a_gap),
    TEST(a_schedules_minimum_is_there_when_it_begins_and_gone_after_it),
    TEST(what_is_lowered_is_lowered_when_it_begins_only),
    TEST(of_several_schedules_the_highest_bounds_count),
    TEST(in_a_freeze_nothing_is_done_and_that_is_told_once),
    TEST(a_freeze_may_allow_more),
    TEST(capacity_is_ready_at_a_schedules_first_second),
    {0},
};
