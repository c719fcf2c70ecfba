/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/ical.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/events/event.h"
#include "tests/unit/suite.h"

#define HOUR_S 3600
#define DAY_S  86400

static struct pmo_ical_event events[200];
static size_t count;
static char said[256];

static int keep(void *context, const struct pmo_ical_event *event)
{
    if (count == 200)
        return -E2BIG;
    events[count++] = *event;
    return 0;
}

static int64_t at(const char *text)
{
    int64_t instant = 0;

    CU_ASSERT_EQUAL_FATAL(pmo_instant_parse(text, &instant), 0);
    return instant;
}

static int read_between(const char *text, const char *zone, int64_t from, int64_t to)
{
    count = 0;
    return pmo_ical_read(text, pmo_zone_find(zone), from, to, keep, NULL, said, sizeof(said));
}

/* A calendar of one event, with the zone that RFC 5545 has in its examples. */
static char *calendar(const char *event)
{
    char *text = NULL;

    CU_ASSERT_FATAL(asprintf(&text,
                             "BEGIN:VCALENDAR\r\n"
                             "VERSION:2.0\r\n"
                             "PRODID:-//example.com//test//EN\r\n"
                             "BEGIN:VTIMEZONE\r\n"
                             "TZID:US-Eastern\r\n"
                             "BEGIN:STANDARD\r\n"
                             "DTSTART:19961027T020000\r\n"
                             "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\n"
                             "TZOFFSETFROM:-0400\r\n"
                             "TZOFFSETTO:-0500\r\n"
                             "END:STANDARD\r\n"
                             "BEGIN:DAYLIGHT\r\n"
                             "DTSTART:19970406T020000\r\n"
                             "RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4\r\n"
                             "TZOFFSETFROM:-0500\r\n"
                             "TZOFFSETTO:-0400\r\n"
                             "END:DAYLIGHT\r\n"
                             "END:VTIMEZONE\r\n"
                             "BEGIN:VEVENT\r\n"
                             "UID:19970901T130000Z-123401@example.com\r\n"
                             "DTSTAMP:19970901T130000Z\r\n"
                             "SUMMARY:Sale\r\n"
                             "%s"
                             "END:VEVENT\r\n"
                             "END:VCALENDAR\r\n",
                             event) > 0);
    return text;
}

/* 9:00 in New York on a day of these years' ends, as the RFC has its results. */
static int64_t nine_oclock(const char *day)
{
    char text[32];
    bool summer = strcmp(day, "19971026") < 0 ||
                  (strcmp(day, "19980405") >= 0 && strcmp(day, "19981025") < 0);

    (void)snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%s:00:00Z", day, day + 4, day + 6,
                   summer ? "13" : "14");
    return at(text);
}

/* RFC 5545, 3.8.5.3: all of them begin with DTSTART;TZID=America/New_York:19970902T090000. */
static void rules_of_rfc_5545_give_its_dates(void)
{
    static const struct {
        const char *rule, *until, *days;
    } cases[] = {
        {"FREQ=DAILY;COUNT=10", "19980101",
         "19970902 19970903 19970904 19970905 19970906 19970907 19970908 19970909 19970910 "
         "19970911"},
        {"FREQ=DAILY;INTERVAL=10;COUNT=5", "19980101",
         "19970902 19970912 19970922 19971002 19971012"},
        {"FREQ=DAILY;INTERVAL=2", "19970915",
         "19970902 19970904 19970906 19970908 19970910 19970912 19970914"},
        {"FREQ=WEEKLY;COUNT=10", "19980101",
         "19970902 19970909 19970916 19970923 19970930 19971007 19971014 19971021 19971028 "
         "19971104"},
        {"FREQ=WEEKLY;UNTIL=19971224T000000Z", "19980201",
         "19970902 19970909 19970916 19970923 19970930 19971007 19971014 19971021 19971028 "
         "19971104 19971111 19971118 19971125 19971202 19971209 19971216 19971223"},
        {"FREQ=WEEKLY;INTERVAL=2;WKST=SU", "19971115",
         "19970902 19970916 19970930 19971014 19971028 19971111"},
        {"FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", "19980101",
         "19970902 19970904 19970909 19970911 19970916 19970918 19970923 19970925 19970930 "
         "19971002"},
        {"FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", "19980101",
         "19970902 19970904 19970916 19970918 19970930 19971002 19971014 19971016"},
        {"FREQ=MONTHLY;BYMONTHDAY=-3", "19980227",
         "19970902 19970928 19971029 19971128 19971229 19980129 19980226"},
        {"FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15", "19980301",
         "19970902 19970915 19971002 19971015 19971102 19971115 19971202 19971215 19980102 "
         "19980115"},
        {"FREQ=MONTHLY;INTERVAL=2;BYDAY=TU", "19971201",
         "19970902 19970909 19970916 19970923 19970930 19971104 19971111 19971118 19971125"},
        {"FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "19980201",
         "19970902 19970913 19971011 19971108 19971213 19980110"},
        {"FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "19980201",
         "19970904 19971007 19971106"},
        {"FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "19981201",
         "19970902 19971104"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_free_ char *event = NULL, *text = NULL;
        char day[9] = "";
        size_t wanted = 0;

        CU_ASSERT_FATAL(asprintf(&event,
                                 "DTSTART;TZID=US-Eastern:19970902T090000\r\nDURATION:PT1H\r\n"
                                 "RRULE:%s\r\n",
                                 cases[i].rule) > 0);
        text = calendar(event);
        CU_ASSERT_EQUAL(read_between(text, "UTC", at("1997-01-01T00:00:00Z"),
                                     nine_oclock(cases[i].until) - 9 * HOUR_S),
                        0);
        /* the RFC: DTSTART is the first instance, also where the rule does not give it */
        if (strncmp(cases[i].days, "19970902", 8) != 0) {
            CU_ASSERT_EQUAL(events[0].start, nine_oclock("19970902"));
            memmove(events, events + 1, --count * sizeof(*events));
        }
        for (const char *at = cases[i].days; *at; at += strspn(at, " "), wanted++) {
            at += snprintf(day, sizeof(day), "%.8s", at);
            if (wanted < count)
                CU_ASSERT_EQUAL(events[wanted].start, nine_oclock(day));
            if (wanted < count && events[wanted].start != nine_oclock(day))
                printf("\n    %s: not %s\n", cases[i].rule, day);
        }
        CU_ASSERT_EQUAL(count, wanted);
        CU_ASSERT_EQUAL(events[0].duration_s, HOUR_S);
        CU_ASSERT_STRING_EQUAL(said, "");
    }
}

/* The same rule gives the same dates, wherever the window begins. */
static void a_window_shows_a_part_of_the_same_dates(void)
{
    static const char *const rules[] = {
        "FREQ=DAILY;INTERVAL=10",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH",
        "FREQ=MONTHLY;INTERVAL=18;BYMONTHDAY=10,11,12,13,14,15",
        "FREQ=MONTHLY;BYDAY=-2MO",
        "FREQ=YEARLY;INTERVAL=3;BYYEARDAY=1,100,200",
        "FREQ=HOURLY;INTERVAL=7",
    };
    int64_t all[200];
    size_t all_count;

    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        _cleanup_free_ char *event = NULL, *text = NULL;
        int64_t from = at("1999-05-01T00:00:00Z"), to = from + 40 * DAY_S;

        CU_ASSERT_FATAL(asprintf(&event, "DTSTART;TZID=US-Eastern:19970902T090000\r\nRRULE:%s\r\n",
                                 rules[i]) > 0);
        text = calendar(event);
        CU_ASSERT_EQUAL(read_between(text, "UTC", from, to), 0);
        all_count = count;
        for (size_t k = 0; k < count; k++)
            all[k] = events[k].start;
        for (int64_t begin = from + DAY_S; begin < to; begin += 11 * DAY_S) {
            size_t first = 0;

            CU_ASSERT_EQUAL(read_between(text, "UTC", begin, to), 0);
            while (first < all_count && all[first] < begin)
                first++;
            CU_ASSERT_EQUAL(count, all_count - first);
            for (size_t k = 0; k < count && first + k < all_count; k++)
                if (events[k].start != all[first + k]) {
                    printf("\n    %s: %lld, not %lld", rules[i], (long long)events[k].start,
                           (long long)all[first + k]);
                    CU_FAIL("another date");
                    break;
                }
        }
    }
}

static void exceptions_and_further_dates_are_kept(void)
{
    _cleanup_free_ char *text =
        calendar("DTSTART;TZID=US-Eastern:19970902T090000\r\nDTEND;TZID=US-Eastern:"
                 "19970902T093000\r\nRRULE:FREQ=DAILY;COUNT=5\r\n"
                 "EXDATE;TZID=US-Eastern:19970903T090000,19970904T090000\r\n"
                 "RDATE;TZID=US-Eastern:19970910T200000\r\n"
                 "RDATE;VALUE=PERIOD:19970911T100000Z/PT1H\r\n");

    CU_ASSERT_EQUAL(
        read_between(text, "UTC", at("1997-09-01T00:00:00Z"), at("1997-10-01T00:00:00Z")), 0);
    CU_ASSERT_EQUAL_FATAL(count, 5);
    CU_ASSERT_EQUAL(events[0].start, nine_oclock("19970902"));
    CU_ASSERT_EQUAL(events[1].start, nine_oclock("19970905"));
    CU_ASSERT_EQUAL(events[2].start, nine_oclock("19970906"));
    CU_ASSERT_EQUAL(events[3].start, nine_oclock("19970910") + 11 * HOUR_S);
    CU_ASSERT_EQUAL(events[4].start, at("1997-09-11T10:00:00Z"));
    CU_ASSERT_EQUAL(events[0].duration_s, 1800);
}

static void an_instance_that_was_moved_or_cancelled_is_so(void)
{
    _cleanup_free_ char *text =
        calendar("DTSTART;TZID=US-Eastern:19970902T090000\r\nRRULE:FREQ=DAILY;COUNT=4\r\n"
                 "END:VEVENT\r\nBEGIN:VEVENT\r\nUID:19970901T130000Z-123401@example.com\r\n"
                 "RECURRENCE-ID;TZID=US-Eastern:19970903T090000\r\n"
                 "DTSTART;TZID=US-Eastern:19970903T150000\r\nDURATION:PT2H\r\n"
                 "END:VEVENT\r\nBEGIN:VEVENT\r\nUID:19970901T130000Z-123401@example.com\r\n"
                 "RECURRENCE-ID;TZID=US-Eastern:19970904T090000\r\nSTATUS:CANCELLED\r\n"
                 "DTSTART;TZID=US-Eastern:19970904T090000\r\n");

    CU_ASSERT_EQUAL(
        read_between(text, "UTC", at("1997-09-01T00:00:00Z"), at("1997-10-01T00:00:00Z")), 0);
    CU_ASSERT_EQUAL_FATAL(count, 3);
    CU_ASSERT_EQUAL(events[0].start, nine_oclock("19970902"));
    CU_ASSERT_EQUAL(events[1].start, nine_oclock("19970905"));
    CU_ASSERT_EQUAL(events[2].start, nine_oclock("19970903") + 6 * HOUR_S);
    CU_ASSERT_EQUAL(events[2].recurrence, nine_oclock("19970903"));
    CU_ASSERT_EQUAL(events[2].duration_s, 2 * HOUR_S);
}

/* RFC 5545, 3.3.5: a local time that is not there, and one that is there twice; with a zone that
 * the system knows, and with the one of the calendar. */
static void local_times_are_those_of_their_zone_when_clocks_change(void)
{
    static const char *const zones[] = {"America/New_York", "US-Eastern"};

    for (int i = 0; i < 2; i++) {
        _cleanup_free_ char *event = NULL, *text = NULL;
        /* before 2007, and for the zone above still, clocks change in April and October */
        CU_ASSERT_FATAL(asprintf(&event,
                                 "DTSTART;TZID=%s:19980404T023000\r\nDURATION:PT10M\r\n"
                                 "RRULE:FREQ=DAILY;COUNT=3\r\nRDATE;TZID=%s:19981025T013000\r\n",
                                 zones[i], zones[i]) > 0);
        text = calendar(event);
        CU_ASSERT_EQUAL(
            read_between(text, "UTC", at("1998-01-01T00:00:00Z"), at("1999-01-01T00:00:00Z")), 0);
        CU_ASSERT_EQUAL_FATAL(count, 4);
        CU_ASSERT_EQUAL(events[0].start, at("1998-04-04T07:30:00Z"));
        CU_ASSERT_EQUAL(events[1].start, at("1998-04-05T07:30:00Z")); /* 2:30 by EST, 3:30 EDT */
        CU_ASSERT_EQUAL(events[2].start, at("1998-04-06T06:30:00Z"));
        CU_ASSERT_EQUAL(events[3].start, at("1998-10-25T05:30:00Z")); /* the first 1:30 */
    }
}

static void whole_days_and_times_without_zone_are_in_the_given_zone(void)
{
    _cleanup_free_ char *days = calendar("DTSTART;VALUE=DATE:20260701\r\nRRULE:FREQ=DAILY;COUNT=2"
                                         "\r\n");
    _cleanup_free_ char *three = calendar("DTSTART;VALUE=DATE:20260327\r\nDTEND;VALUE=DATE:20260330"
                                          "\r\n");
    _cleanup_free_ char *floating = calendar("DTSTART:20260701T120000\r\n");

    CU_ASSERT_EQUAL(
        read_between(days, "Europe/Berlin", at("2026-06-01T00:00:00Z"), at("2026-08-01T00:00:00Z")),
        0);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_EQUAL(events[0].start, at("2026-06-30T22:00:00Z"));
    CU_ASSERT_EQUAL(events[1].start, at("2026-07-01T22:00:00Z"));
    CU_ASSERT_EQUAL(events[0].duration_s, DAY_S);
    CU_ASSERT_EQUAL(read_between(three, "Europe/Berlin", at("2026-03-01T00:00:00Z"),
                                 at("2026-04-01T00:00:00Z")),
                    0);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_EQUAL(events[0].duration_s, 3 * DAY_S - HOUR_S); /* clocks change in it */
    CU_ASSERT_EQUAL(read_between(floating, "Europe/Berlin", at("2026-06-01T00:00:00Z"),
                                 at("2026-08-01T00:00:00Z")),
                    0);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_EQUAL(events[0].start, at("2026-07-01T10:00:00Z"));
    CU_ASSERT_EQUAL(events[0].duration_s, 0);
}

static void what_is_no_calendar_is_said_in_one_line(void)
{
    static const char *const bad[] = {"", "<html><body>404</body></html>", "BEGIN:VCALENDAR\r\n",
                                      "BEGIN:VEVENT\r\nEND:VEVENT\r\n", "\xff\xfe\x01"};
    _cleanup_free_ char *undated = calendar("");
    _cleanup_free_ char *odd = calendar("DTSTART:tomorrow\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\n"
                                        "DTSTART:20260701T120000Z\r\n");

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CU_ASSERT_EQUAL(read_between(bad[i], "UTC", 0, 2000000000), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(said, "no iCalendar"));
    }
    CU_ASSERT_EQUAL(read_between(undated, "UTC", 0, 2000000000), 0);
    CU_ASSERT_EQUAL(count, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "\"Sale\" has no DTSTART"));
    CU_ASSERT_EQUAL(read_between(odd, "UTC", 0, 2000000000), 0); /* the other one is kept */
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "no DTSTART"));
}

static void a_rule_without_end_does_not_take_for_ever(void)
{
    _cleanup_free_ char *seconds =
        calendar("DTSTART:19700101T000000Z\r\nRRULE:FREQ=SECONDLY;COUNT=2000000000\r\n");
    _cleanup_free_ char *jump =
        calendar("DTSTART:19700101T000000Z\r\nRRULE:FREQ=SECONDLY;INTERVAL=30\r\n");
    _cleanup_free_ char *never = calendar("DTSTART:19700101T000000Z\r\nRRULE:FREQ=YEARLY;BYMONTH=2;"
                                          "BYMONTHDAY=30\r\n");
    int64_t from = at("2026-01-01T00:00:00Z");

    CU_ASSERT_EQUAL(read_between(seconds, "UTC", from, from + 60), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "steps to work out"));
    CU_ASSERT_EQUAL(read_between(jump, "UTC", from, from + 60), 0);
    CU_ASSERT_EQUAL(count, 2);
    CU_ASSERT_EQUAL(read_between(never, "UTC", from, from + 60), 0);
    CU_ASSERT_EQUAL(count, 0);
}

SUITE(ical) = {
    TEST(rules_of_rfc_5545_give_its_dates),
    TEST(a_window_shows_a_part_of_the_same_dates),
    TEST(exceptions_and_further_dates_are_kept),
    TEST(an_instance_that_was_moved_or_cancelled_is_so),
    TEST(local_times_are_those_of_their_zone_when_clocks_change),
    TEST(whole_days_and_times_without_zone_are_in_the_given_zone),
    TEST(what_is_no_calendar_is_said_in_one_line),
    TEST(a_rule_without_end_does_not_take_for_ever),
    {0},
};
