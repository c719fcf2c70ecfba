/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/cron.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/suite.h"

static int64_t at(const char *text)
{
    int64_t instant = 0;

    CU_ASSERT_EQUAL_FATAL(pmo_instant_parse(text, &instant), 0);
    return instant;
}

/* Holds the schedule's times in [from, to) against a list of instants that ends with NULL. */
static void expect(const char *schedule, const char *zone, const char *from, const char *to,
                   const char *const *times)
{
    char error[256] = "";
    struct pmo_cron cron;
    int64_t out[100];
    size_t count, i = 0;

    CU_ASSERT_EQUAL_FATAL(pmo_cron_parse(&cron, schedule, error, sizeof(error)), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pmo_zone_find(zone));
    count = pmo_cron_between(&cron, pmo_zone_find(zone), at(from), at(to), out, 100);
    for (; times[i]; i++)
        if (i >= count || out[i] != at(times[i])) {
            printf("\n    %s: %zu is %lld, not %s\n", schedule, i,
                   i < count ? (long long)out[i] : -1LL, times[i]);
            CU_FAIL("another time");
            return;
        }
    CU_ASSERT_EQUAL(count, i);
}

#define TIMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Examples of crontab(5) and POSIX's crontab. */
static void schedules_mean_what_crontab_says(void)
{
    expect("5 0 * * *", "UTC", "2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z",
           TIMES("2026-03-01T00:05:00Z", "2026-03-02T00:05:00Z"));
    expect("15 14 1 * *", "UTC", "2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z",
           TIMES("2026-03-01T14:15:00Z", "2026-04-01T14:15:00Z"));
    expect("0 22 * * 1-5", "UTC", "2026-03-06T00:00:00Z", "2026-03-10T00:00:00Z",
           TIMES("2026-03-06T22:00:00Z", "2026-03-09T22:00:00Z"));
    expect("23 0-23/8 * * *", "UTC", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z",
           TIMES("2026-03-01T00:23:00Z", "2026-03-01T08:23:00Z", "2026-03-01T16:23:00Z"));
    expect("5 4 * * sun", "UTC", "2026-03-01T00:00:00Z", "2026-03-09T00:00:00Z",
           TIMES("2026-03-01T04:05:00Z", "2026-03-08T04:05:00Z"));
    expect("0 0 1,15 * 1", "UTC", "2026-03-01T00:00:00Z", "2026-03-17T00:00:00Z",
           TIMES("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z",
                 "2026-03-15T00:00:00Z", "2026-03-16T00:00:00Z"));
    expect("2,32 * * * *", "UTC", "2026-03-01T00:02:00Z", "2026-03-01T01:02:00Z",
           TIMES("2026-03-01T00:02:00Z", "2026-03-01T00:32:00Z"));
    expect("*/20 9-10 * jan,FEB MON-fri", "UTC", "2026-02-26T00:00:00Z", "2026-03-09T00:00:00Z",
           TIMES("2026-02-26T09:00:00Z", "2026-02-26T09:20:00Z", "2026-02-26T09:40:00Z",
                 "2026-02-26T10:00:00Z", "2026-02-26T10:20:00Z", "2026-02-26T10:40:00Z",
                 "2026-02-27T09:00:00Z", "2026-02-27T09:20:00Z", "2026-02-27T09:40:00Z",
                 "2026-02-27T10:00:00Z", "2026-02-27T10:20:00Z", "2026-02-27T10:40:00Z"));
    expect("0 12 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2029-01-01T00:00:00Z",
           TIMES("2028-02-29T12:00:00Z"));
    expect("0 12 * * 7", "UTC", "2026-03-07T00:00:00Z", "2026-03-09T00:00:00Z",
           TIMES("2026-03-08T12:00:00Z"));
}

static void a_time_zone_moves_a_schedule(void)
{
    expect("0 9 * * *", "Europe/Berlin", "2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z",
           TIMES("2026-01-10T08:00:00Z"));
    expect("0 9 * * *", "Europe/Berlin", "2026-07-10T00:00:00Z", "2026-07-11T00:00:00Z",
           TIMES("2026-07-10T07:00:00Z"));
    expect("30 0 * * *", "Asia/Kolkata", "2026-07-10T00:00:00Z", "2026-07-11T00:00:00Z",
           TIMES("2026-07-10T19:00:00Z"));
    /* what the zone's file says by its rule only, not by a list */
    expect("0 9 * * *", "America/New_York", "2045-07-10T00:00:00Z", "2045-07-11T00:00:00Z",
           TIMES("2045-07-10T13:00:00Z"));
    expect("0 9 * * *", "America/New_York", "2045-12-10T00:00:00Z", "2045-12-11T00:00:00Z",
           TIMES("2045-12-10T14:00:00Z"));
}

/* Berlin: 2026-03-29 02:00 becomes 03:00 (01:00 UTC); 2026-10-25 03:00 becomes 02:00 (01:00 UTC) */
static void a_time_that_clocks_skip_comes_late_and_one_that_is_twice_comes_once(void)
{
    expect("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z",
           TIMES("2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"));
    expect("0 1-3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z",
           TIMES("2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"));
    expect("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z",
           TIMES("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"));
}

static void every_hour_goes_on_through_a_change_of_clocks(void)
{
    expect("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z",
           TIMES("2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"));
    expect("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z",
           TIMES("2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z",
                 "2026-10-25T01:30:00Z"));
}

static void room_bounds_what_comes(void)
{
    char error[256];
    struct pmo_cron cron;
    int64_t out[3];

    CU_ASSERT_EQUAL(pmo_cron_parse(&cron, "* * * * *", error, sizeof(error)), 0);
    CU_ASSERT_EQUAL(pmo_cron_between(&cron, pmo_zone_find("UTC"), 60, 86400, out, 3), 3);
    CU_ASSERT(out[0] == 60 && out[2] == 180);
    CU_ASSERT_EQUAL(pmo_cron_parse(&cron, "0 0 31 2 *", error, sizeof(error)), 0);
    CU_ASSERT_EQUAL(pmo_cron_between(&cron, pmo_zone_find("UTC"), 0, 366 * 86400, out, 3), 0);
}

static void what_is_no_schedule_is_said_in_one_line(void)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "five fields"},
        {"* * * *", "five fields"},
        {"* * * * * *", "five fields"},
        {"60 * * * *", "\"60\" is no minute; write 0-59"},
        {"* 24 * * *", "\"24\" is no hour"},
        {"* * 0 * *", "\"0\" is no day of the month"},
        {"* * * 13 *", "\"13\" is no month"},
        {"* * * foo *", "\"foo\" is no month; write 1-12 or jan-dec"},
        {"* * * * 8", "\"8\" is no day of the week"},
        {"5-1 * * * *", "\"5-1\" is no minute"},
        {"*/0 * * * *", "\"*/0\" is no minute"},
        {"1,,2 * * * *", "\"1,,2\" is no minute"},
        {"1, * * * *", "\"1,\" is no minute"},
        {"99999999999999999999 * * * *", "is no minute"},
        {"* * * * mond", "\"mond\" is no day of the week"},
        {"@daily", "\"@daily\" is no minute"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char error[256] = "";
        struct pmo_cron cron;

        CU_ASSERT_EQUAL(pmo_cron_parse(&cron, cases[i].text, error, sizeof(error)), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, cases[i].part));
        CU_ASSERT_PTR_NOT_NULL(strstr(error, "; write "));
        CU_ASSERT_PTR_NULL(strchr(error, '\n'));
        if (!strstr(error, cases[i].part))
            printf("\n    %s: %s\n", cases[i].text, error);
    }
}

static void instants_are_read_as_rfc_3339_has_them(void)
{
    static const struct {
        const char *text;
        int64_t instant;
    } good[] = {
        /* section 5.8 */
        {"1985-04-12T23:20:50.52Z", 482196050}, {"1996-12-19T16:39:57-08:00", 851042397},
        {"1990-12-31T23:59:60Z", 662688000},    {"1937-01-01T12:00:27.87+00:20", -1041337173},
        {"2018-04-05T17:31:00Z", 1522949460},   {"2018-04-05t17:31:00z", 1522949460},
    };
    static const char *const bad[] = {"",
                                      "2018-04-05",
                                      "2018-04-05T17:31:00",
                                      "2018-04-05 17:31:00Z",
                                      "2018-04-05T17:31Z",
                                      "2018-13-05T17:31:00Z",
                                      "2018-04-05T25:31:00Z",
                                      "2018-04-05T17:31:00Zx",
                                      "2018-04-05T17:31:00+1:00",
                                      "2018-04-05T17:31:00+25:00",
                                      "2018-04-05T17:31:00.Z",
                                      "tomorrow at noon or so"};
    int64_t instant;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_EQUAL(pmo_instant_parse(good[i].text, &instant), 0);
        CU_ASSERT_EQUAL(instant, good[i].instant);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(pmo_instant_parse(bad[i], &instant), -EINVAL);
}

SUITE(cron) = {
    TEST(schedules_mean_what_crontab_says),
    TEST(a_time_zone_moves_a_schedule),
    TEST(a_time_that_clocks_skip_comes_late_and_one_that_is_twice_comes_once),
    TEST(every_hour_goes_on_through_a_change_of_clocks),
    TEST(room_bounds_what_comes),
    TEST(what_is_no_schedule_is_said_in_one_line),
    TEST(instants_are_read_as_rfc_3339_has_them),
    {0},
};
