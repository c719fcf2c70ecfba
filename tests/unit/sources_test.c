/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/sources.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/events/events_file.h"
#include "agent/events/refresh.h"
#include "tests/unit/suite.h"

#define HEAD                                                                                       \
    "apiVersion: pmo.dev/v1alpha1\n"                                                               \
    "kind: EventSource\n"                                                                          \
    "metadata: {name: a}\n"

static char said[2048];

static void note(void *context, const char *file, size_t line, size_t column, const char *message)
{
    size_t used = strlen(said);

    (void)snprintf(said + used, sizeof(said) - used, "%zu:%zu: %s\n", line, column, message);
}

static int read_text(struct pmo_sources **sources, const char *text)
{
    struct pmo_file *file = NULL;
    int r;

    said[0] = '\0';
    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "f", text, strlen(text), note, NULL), 0);
    r = pmo_sources_read(sources, file);
    pmo_file_free(&file);
    return r;
}

static void what_is_wrong_is_said_with_its_place(void)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {HEAD "spec: {schedule: \"2 * * *\", kind: k}\n",
         "4:18: schedule: five fields are expected: minute, hour, day of the month, month and day "
         "of the week; write e.g. \"2,32 * * * *\"\n"},
        {HEAD "spec: {schedule: \"61 * * * *\", kind: k}\n",
         "4:18: schedule: \"61\" is no minute; write 0-59, *, a list or a step, e.g. */10\n"},
        {HEAD "spec:\n  schedule: \"0 9 * * *\"\n  timezone: Europe/Berln\n  kind: k\n",
         "6:13: timezone: \"Europe/Berln\" is not known here; write UTC, or a name as in "
         "Europe/Berlin (package tzdata has them)\n"},
        {HEAD "spec: {schedule: \"0 9 * * *\"}\n",
         "4:7: kind is missing: events of one kind are learned together; write kind: NAME\n"},
        {HEAD "spec: {schedule: \"0 9 * * *\", kind: k, effect: 2}\n",
         "4:48: effect is how many times the load before the event; write e.g. effect: 2x\n"},
        {HEAD "spec: {schedule: \"0 9 * * *\", kind: k, strength: -1}\n",
         "4:50: strength is a number above 0, up to 100; 1 is as usual for the kind\n"},
        {HEAD "spec: {schedule: \"0 9 * * *\", kind: k, duration: 5}\n",
         "4:50: duration: \"5\" has no unit; write a duration, e.g. 250ms, 3s or 10m\n"},
        {HEAD "spec: {schedule: \"0 9 * * *\", kind: k, duration: 1000h}\n",
         "4:50: duration is more than 31 days; write e.g. duration: 5m\n"},
        {HEAD "spec: {schedule: \"0 9 * * *\", kind: a b}\n",
         "4:37: kind: \"a b\" is not a name; write up to 63 letters without blanks\n"},
        {HEAD "spec: {schedule: \"0 9 * * *\", kind: k, refresh: 5m}\n",
         "4:40: unknown field \"refresh\"; write schedule, timezone, kind, duration, scope, "
         "strength "
         "or effect\n"},
        {HEAD "spec: {shedule: \"0 9 * * *\", kind: k}\n",
         "4:7: where do the events come from? Write schedule, calendar, feed, kafka or "
         "cloudEvent\n"},
        {HEAD "spec: {calendar: /a.ics, feed: /b.xml, kind: k}\n",
         "4:32: a source is one of calendar and feed; write two documents\n"},
        {HEAD "spec: {calendar: http://a/b.ics, kind: k}\n",
         "4:18: http can be read and changed on its way; write https://, or plainHttp: true beside "
         "it\n"},
        {HEAD "spec: {calendar: b.ics, kind: k}\n",
         "4:18: calendar: \"b.ics\" is neither a file nor a URL; write /etc/pmo/FILE or "
         "https://...\n"},
        {HEAD "spec: {feed: https://a/b, kind: k, refresh: 9ms}\n",
         "4:45: refresh is from 1s to 24h; write e.g. refresh: 15m\n"},
        {HEAD "spec: {feed: https://a/b, rules: [{if: sale}]}\n",
         "4:35: what kind of event is it? Write {if: ..., kind: NAME}\n"},
        {HEAD "spec: {feed: https://a/b, rules: [{kind: sale}]}\n",
         "4:35: a rule says which word it looks for (at most 63 bytes); write {if: \"flash sale\", "
         "kind: sale}\n"},
        {HEAD "spec: {feed: https://a/b, rules: []}\n",
         "4:34: rules are a list of 1 to 32; write [{if: \"flash sale\", kind: sale}]\n"
         "4:7: kind is missing: events of one kind are learned together; write kind: NAME\n"},
        {HEAD "spec: {kafka: {brokers: a}}\n", "4:15: kafka needs brokers and a topic; write "
                                               "{brokers: \"kafka1:9092\", topic: events}\n"},
        {HEAD "spec:\n  kafka:\n    brokers: a\n    topic: t\n    settings: {no.such: 1}\n",
         "8:25: No such configuration property: \"no.such\"; write one of librdkafka's settings\n"},
        {"kind: EventSource\nmetadata: {name: a}\nspec: {schedule: \"0 9 * * *\", kind: k}\n",
         "1:1: apiVersion is missing; write apiVersion: pmo.dev/v1alpha1\n"},
        {"apiVersion: pmo.dev/v1alpha1\nkind: EventSource\nspec: {cloudEvent: a}\n",
         "1:1: metadata.name is missing; write metadata: {name: NAME}\n"},
        {HEAD "spec: {cloudEvent: t}\n---\n" HEAD "spec: {cloudEvent: t}\n",
         "8:18: another source is named \"a\" already; choose another name\n"
         "9:20: \"a\" stands for the type \"t\" already; keep one of the two\n"},
        {"apiVersion: pmo.dev/v1alpha1\nkind: EventSorce\n",
         "2:7: kind: \"EventSorce\" is not known; did you mean \"EventSource\"?\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pmo_sources *sources = NULL;

        CU_ASSERT_EQUAL(read_text(&sources, cases[i].text), -EINVAL);
        CU_ASSERT_PTR_NULL(sources);
        CU_ASSERT_STRING_EQUAL(said, cases[i].complaint);
        if (strcmp(said, cases[i].complaint) != 0)
            printf("\n    %zu: %s", i, said);
    }
}

static void documents_of_other_kinds_are_left_to_others(void)
{
    struct pmo_sources *sources = NULL;

    CU_ASSERT_EQUAL(read_text(&sources, "kind: OrchestrationPolicy\n---\nkind: LocalService\n"), 0);
    CU_ASSERT_EQUAL(pmo_sources_count(sources), 0);
    CU_ASSERT(isnan(pmo_sources_effect(sources, "sale", "front")));
    pmo_sources_free(&sources);
    CU_ASSERT_EQUAL(pmo_sources_count(NULL), 0);
    CU_ASSERT_PTR_NULL(pmo_sources_cloudevent(NULL, "t"));
}

/* ---- the documentation ----------------------------------------------------------------------- */

/* The blocks of a language in docs/events.md, one behind the other, with @between. */
static char *blocks(const char *language, const char *between)
{
    _cleanup_fclose_ FILE *file = fopen("docs/events.md", "re");
    char fence[16], *text = NULL, line[512];
    bool inside = false;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    CU_ASSERT_FATAL(file && out);
    (void)snprintf(fence, sizeof(fence), "```%s\n", language);
    while (fgets(line, sizeof(line), file)) {
        bool was = inside;

        inside = was ? strcmp(line, "```\n") != 0 : !strcmp(line, fence);
        if (was && inside)
            (void)fputs(line, out);
        else if (was)
            (void)fputs(between, out);
    }
    (void)fclose(out);
    return text;
}

static const struct pmo_source *source_named(const struct pmo_sources *sources, const char *name)
{
    for (size_t i = 0; i < pmo_sources_count(sources); i++)
        if (!strcmp(pmo_sources_at(sources, i)->name, name))
            return pmo_sources_at(sources, i);
    CU_FAIL_FATAL("no such source");
    return NULL;
}

static void the_examples_of_the_documentation_mean_what_it_says(void)
{
    _cleanup_free_ char *text = blocks("yaml", "---\n");
    struct pmo_sources *sources = NULL;
    const struct pmo_event_form *form;
    const struct pmo_source *source;

    CU_ASSERT_EQUAL_FATAL(read_text(&sources, text), 0);
    CU_ASSERT_EQUAL(pmo_sources_count(sources), 5);
    source = source_named(sources, "newsletters");
    CU_ASSERT_STRING_EQUAL(source->form.kind, "newsletter");
    CU_ASSERT_EQUAL(source->form.duration_s, 300);
    CU_ASSERT_EQUAL(pmo_sources_effect(sources, "newsletter", "front"), 2);
    CU_ASSERT(isnan(pmo_sources_effect(sources, "newsletter", "catalog")));
    source = source_named(sources, "campaigns");
    CU_ASSERT_EQUAL(source->refresh_s, 900);
    form = pmo_source_form(source, "The big FLASH SALE\nshop");
    CU_ASSERT_PTR_NOT_NULL_FATAL(form);
    CU_ASSERT_STRING_EQUAL(form->kind, "sale");
    CU_ASSERT_STRING_EQUAL(form->scope, "front");
    CU_ASSERT_PTR_NULL(pmo_source_form(source, "Lunch"));
    source = source_named(sources, "headlines");
    form = pmo_source_form(source, "The championship begins");
    CU_ASSERT_PTR_NOT_NULL_FATAL(form);
    CU_ASSERT_EQUAL(form->strength, 2);
    CU_ASSERT_EQUAL(form->duration_s, 1800);
    form = pmo_sources_cloudevent(sources, "com.example.sale");
    CU_ASSERT_PTR_NOT_NULL_FATAL(form);
    CU_ASSERT_STRING_EQUAL(form->kind, "sale");
    CU_ASSERT_EQUAL(pmo_sources_effect(sources, "sale", "front"), 3);
    CU_ASSERT_EQUAL(pmo_sources_effect(sources, "sale", "catalog"), 3);
    source = source_named(sources, "stream");
    CU_ASSERT_STRING_EQUAL(source->topic, "events");
    CU_ASSERT_EQUAL(source->settings_count, 1);
    pmo_sources_free(&sources);
}

static void the_example_of_an_event_in_the_documentation_is_one(void)
{
    _cleanup_free_ char *text = blocks("sh", "");
    const char *start = strchr(text, '{'), *end = strrchr(text, '}');
    struct pmo_cloudevents events = {};
    char error[320];
    json_t *json;

    CU_ASSERT_FATAL(start && end);
    json = json_loadb(start, (size_t)(end - start) + 1, 0, NULL);
    CU_ASSERT_EQUAL_FATAL(pmo_cloudevents_json(&events, json, 0, NULL, NULL, error, sizeof(error)),
                          0);
    CU_ASSERT_EQUAL(events.list[0].start, 1782892800);
    CU_ASSERT_EQUAL(events.list[0].duration_s, 3600);
    CU_ASSERT_EQUAL(events.list[0].strength, 2);
    free(events.list);
    json_decref(json);
}

static void the_example_of_a_backtest_in_the_documentation_is_one(void)
{
    _cleanup_free_ char *text = blocks("csv", "");
    char path[] = "/tmp/pmo-events-XXXXXX";
    struct pmo_happening *list = NULL;
    int fd = mkstemp(path);
    size_t count = 0;

    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    CU_ASSERT_EQUAL(pmo_events_file_read(path, &list, &count), 0);
    (void)unlink(path);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT_EQUAL(list[0].known, INT64_MIN);
    CU_ASSERT_EQUAL(list[1].known, 8940);
    CU_ASSERT_STRING_EQUAL(list[1].kind, "sale");
    free(list);
}

/* ---- what sources say ------------------------------------------------------------------------ */

static void a_schedule_is_known_for_a_day_back_and_far_enough_ahead(void)
{
    static const int64_t now = 1782892830; /* 2026-07-01 08:00:30 UTC */
    struct pmo_sources *sources = NULL;
    struct pmo_happening *list = NULL;
    size_t count = 0, past = 0;
    char error[320];

    CU_ASSERT_EQUAL_FATAL(
        read_text(&sources, HEAD "spec: {schedule: \"* * * * *\", kind: k, duration: 90s}\n"), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_refresh_read(pmo_sources_at(sources, 0), NULL, 0, now, &list, &count,
                                           error, sizeof(error)),
                          0);
    while (past < count && list[past].start <= now)
        past++;
    CU_ASSERT_EQUAL(past, 1440);
    CU_ASSERT_EQUAL_FATAL(count, 1440 + PMO_REFRESH_AHEAD_MAX);
    CU_ASSERT_EQUAL(list[past - 1].start, now - 30);
    CU_ASSERT_EQUAL(list[past].start, now + 30);
    CU_ASSERT_EQUAL(list[past].duration_s, 90);
    free(list);
    pmo_sources_free(&sources);
    /* what began long ago and goes on is known, too */
    CU_ASSERT_EQUAL_FATAL(
        read_text(&sources, HEAD "spec: {schedule: \"0 0 * * mon\", kind: k, duration: 100h}\n"),
        0);
    CU_ASSERT_EQUAL_FATAL(pmo_refresh_read(pmo_sources_at(sources, 0), NULL, 0, now, &list, &count,
                                           error, sizeof(error)),
                          0);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT(list[0].start < now && list[0].start + 100 * 3600 > now);
    free(list);
    pmo_sources_free(&sources);
}

static void a_calendar_gives_each_event_its_kind_by_rules(void)
{
    static const char ics[] =
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"
        "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Flash sale\\, all shoes\r\nDTSTART:20260702T080000Z\r\n"
        "DURATION:PT2H\r\nEND:VEVENT\r\n"
        "BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Lunch\r\nDTSTART:20260702T100000Z\r\nEND:VEVENT\r\n"
        "BEGIN:VEVENT\r\nUID:3\r\nSUMMARY:July\r\nCATEGORIES:Newsletter\r\n"
        "DTSTART:20260701T100000Z\r\nRRULE:FREQ=DAILY;COUNT=3\r\nEND:VEVENT\r\n"
        "BEGIN:VEVENT\r\nUID:4\r\nSUMMARY:Newsletter of long ago\r\nDTSTART:20260601T100000Z\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n";
    _cleanup_free_ char *text = blocks("yaml", "---\n");
    struct pmo_sources *sources = NULL;
    struct pmo_happening *list = NULL;
    size_t count = 0;
    char error[320];

    CU_ASSERT_EQUAL_FATAL(read_text(&sources, text), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_refresh_read(source_named(sources, "campaigns"), ics, strlen(ics),
                                           1782892830, &list, &count, error, sizeof(error)),
                          0);
    CU_ASSERT_EQUAL_FATAL(count, 4);
    CU_ASSERT_STRING_EQUAL(list[0].kind, "newsletter");
    CU_ASSERT_EQUAL(list[0].duration_s, 600);
    CU_ASSERT_STRING_EQUAL(list[1].kind, "sale");
    CU_ASSERT_EQUAL(list[1].duration_s, 7200);
    CU_ASSERT_STRING_EQUAL(list[1].scope, "front");
    CU_ASSERT_STRING_NOT_EQUAL(list[0].id, list[2].id);
    free(list);
    pmo_sources_free(&sources);
}

SUITE(sources) = {
    TEST(what_is_wrong_is_said_with_its_place),
    TEST(documents_of_other_kinds_are_left_to_others),
    TEST(the_examples_of_the_documentation_mean_what_it_says),
    TEST(the_example_of_an_event_in_the_documentation_is_one),
    TEST(the_example_of_a_backtest_in_the_documentation_is_one),
    TEST(a_schedule_is_known_for_a_day_back_and_far_enough_ahead),
    TEST(a_calendar_gives_each_event_its_kind_by_rules),
    {0},
};
