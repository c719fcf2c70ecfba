/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET and POST /v1/events, and what forecasters are told of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/serve_world.h"
#include "tests/unit/suite.h"

#define STRUCTURED "application/cloudevents+json"
#define BATCH      "application/cloudevents-batch+json"

static void expect(const struct world *w, const char *type, const char *body, long status,
                   const char *part)
{
    struct answer answer = world_ask(w, "POST", "/v1/events", type, body);

    if (answer.status != status || !strstr(answer.text, part))
        printf("\n    %s: %ld %s\n", body, answer.status, answer.text);
    CU_ASSERT_EQUAL(answer.status, status);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.text, part));
    free(answer.text);
}

/* An event that begins some seconds from now; the caller's to free. */
static char *event(const char *id, int in_s, const char *data)
{
    time_t t = time(NULL) + in_s;
    char when[32], *text = NULL;
    struct tm tm;

    (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    CU_ASSERT_FATAL(asprintf(&text,
                             "{\"specversion\": \"1.0\", \"id\": \"%s\", \"source\": \"/shop\", "
                             "\"type\": \"com.example.sale\", \"time\": \"%s\", \"data\": {%s}}",
                             id, when, data) > 0);
    return text;
}

static void post(const struct world *w, const char *id, int in_s, const char *data,
                 const char *counts)
{
    char *text = event(id, in_s, data);

    expect(w, STRUCTURED, text, 202, counts);
    free(text);
}

static size_t events_for(const struct world *w, const char *query)
{
    json_t *answer = world_get(w, query);
    size_t count = json_array_size(json_object_get(answer, "events"));

    json_decref(answer);
    return count;
}

static void events_that_are_told_are_listed_until_they_are_taken_back(void)
{
    json_t *answer, *first;
    struct world w;

    world_start(&w);
    post(&w, "1", 600, "\"duration\": \"5m\", \"scope\": \"front\", \"strength\": 2",
         "{\"accepted\":1,\"replaced\":0,\"removed\":0,\"dropped\":0}");
    post(&w, "2", 60, "", "\"accepted\":1");
    post(&w, "2", 90, "", "\"replaced\":1");
    post(&w, "3", -200000, "", "\"dropped\":1");
    answer = world_get(&w, "/v1/events");
    CU_ASSERT_EQUAL_FATAL(json_array_size(json_object_get(answer, "events")), 2);
    first = json_array_get(json_object_get(answer, "events"), 1);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "id")), "/shop 1");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "source")), "api");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "kind")), "com.example.sale");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(first, "durationS")), 300);
    CU_ASSERT_EQUAL(json_number_value(json_object_get(first, "strength")), 2);
    json_decref(answer);
    CU_ASSERT_EQUAL(events_for(&w, "/v1/events?service=front"), 2);
    CU_ASSERT_EQUAL(events_for(&w, "/v1/events?service=catalog"), 1);
    post(&w, "1", 600, "\"strength\": 0", "\"removed\":1");
    post(&w, "1", 600, "\"strength\": 0", "\"removed\":0");
    CU_ASSERT_EQUAL(events_for(&w, "/v1/events"), 1);
    world_stop(&w);
}

static void a_batch_is_taken_as_a_whole_or_not_at_all(void)
{
    char *one = event("1", 60, ""), *two = event("2", 60, ""),
         *bad = event("3", 60, "\"scope\": 1");
    char *good_batch = NULL, *bad_batch = NULL;
    struct world w;

    CU_ASSERT_FATAL(asprintf(&good_batch, "[%s, %s]", one, two) > 0);
    CU_ASSERT_FATAL(asprintf(&bad_batch, "[%s, %s]", one, bad) > 0);
    world_start(&w);
    expect(&w, BATCH, bad_batch, 400, "event 2 of the batch: data.scope is no name of a service; ");
    CU_ASSERT_EQUAL(events_for(&w, "/v1/events"), 0);
    expect(&w, BATCH "; charset=utf-8", good_batch, 202, "\"accepted\":2");
    CU_ASSERT_EQUAL(events_for(&w, "/v1/events"), 2);
    expect(&w, BATCH, "[]", 202, "\"accepted\":0");
    world_stop(&w);
    free(one);
    free(two);
    free(bad);
    free(good_batch);
    free(bad_batch);
}

static void binary_mode_has_attributes_in_headers(void)
{
    static const char headers[] = "ce-specversion: 1.0\nce-id: caf%C3%A9 1\nce-source: /shop\n"
                                  "ce-type: sale\nce-time: 2035-01-01T00:00:00Z";
    char type[512];
    json_t *answer, *first;
    struct world w;

    world_start(&w);
    (void)snprintf(type, sizeof(type), "application/json\n%s", headers);
    expect(&w, type, "{\"duration\": 90}", 202, "\"accepted\":1");
    expect(&w, type, "[1, 2]", 202, "\"replaced\":1"); /* somebody else's data */
    expect(&w, type, "{\"duration\": ", 400, "no JSON");
    (void)snprintf(type, sizeof(type), "text/plain\n%s", headers);
    expect(&w, type, "anything", 202, "\"replaced\":1");
    expect(&w, "text/plain\nce-specversion: 1.0\nce-id: 1\nce-type: t", "x", 400,
           "source\\\" is missing; ");
    expect(&w, "text/plain\nce-specversion: 1.0\nce-source: /shop\nce-type: sale\nce-id: %E9", "x",
           400, "id\\\" is no UTF-8; ");
    answer = world_get(&w, "/v1/events");
    first = json_array_get(json_object_get(answer, "events"), 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "id")), "/shop caf\xc3\xa9 1");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(first, "start")), 2051222400);
    json_decref(answer);
    (void)snprintf(type, sizeof(type),
                   "text/plain\nce-specversion: 1.0\nce-id: 1\nce-type: sale\nce-source: /%0300d",
                   1);
    expect(&w, type, "anything", 202, "\"accepted\":1"); /* as long as it likes, as in JSON */
    world_stop(&w);
}

static void what_is_no_event_is_answered_in_one_line(void)
{
    struct answer answer;
    struct world w;

    world_start(&w);
    expect(&w, "application/json", "{}", 415, "application/cloudevents+json");
    expect(&w, STRUCTURED, "", 400, "no JSON object: ");
    expect(&w, STRUCTURED, "[]", 400, "no JSON object; send {");
    expect(&w, BATCH, "{}", 400, "no JSON list; send [{");
    expect(&w, STRUCTURED, "{}", 400, "specversion\\\" is missing; ");
    expect(&w, STRUCTURED, "{\"id\": 1, \"id\": 2}", 400, "duplicate");
    answer = world_ask(&w, "DELETE", "/v1/events", NULL, NULL);
    CU_ASSERT_EQUAL(answer.status, 405);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.text, "use GET, HEAD, POST"));
    free(answer.text);
    world_stop(&w);
}

static void forecasters_are_told_what_concerns_their_service_and_is_known(void)
{
    static const char yaml[] = "apiVersion: pmo.dev/v1alpha1\nkind: EventSource\n"
                               "metadata: {name: a}\nspec: {cloudEvent: com.example.sale, kind: "
                               "sale, scope: front, duration: 2m, effect: 3x}\n";
    int64_t now = time(NULL), start;
    struct pmo_effect_event events[4];
    struct pmo_file *file = NULL;
    struct world w;

    world_start(&w); /* the server sleeps until it is asked */
    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "f", yaml, strlen(yaml), NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_sources_read(&w.core.agent.sources, file), 0);
    pmo_file_free(&file);
    post(&w, "1", 100, "", "\"accepted\":1");
    start = pmo_calendar_at(w.core.agent.calendar, 0)->start;
    CU_ASSERT_EQUAL(pmo_agent_events(&w.core.agent, "catalog", now + 5, now, now + 60, events, 4),
                    0);
    CU_ASSERT_EQUAL(pmo_agent_events(&w.core.agent, "front", now - 5, now, now + 60, events, 4), 0);
    CU_ASSERT_EQUAL(pmo_agent_events(&w.core.agent, "front", now + 5, now, now + 30, events, 4), 0);
    CU_ASSERT_EQUAL_FATAL(
        pmo_agent_events(&w.core.agent, "front", now + 5, now, now + 60, events, 4), 1);
    CU_ASSERT_EQUAL(events[0].kind, pmo_effect_kind("sale"));
    CU_ASSERT_EQUAL(events[0].start, start);
    CU_ASSERT_EQUAL(events[0].duration_s, 120);
    CU_ASSERT_EQUAL(events[0].strength, 1);
    CU_ASSERT_DOUBLE_EQUAL(events[0].guess_log, log(3), 1e-6);
    /* while it fades */
    CU_ASSERT_EQUAL(
        pmo_agent_events(&w.core.agent, "front", now + 5, start + 700, start + 760, events, 4), 1);
    CU_ASSERT_EQUAL(
        pmo_agent_events(&w.core.agent, "front", now + 5, start + 721, start + 760, events, 4), 0);
    world_stop(&w);
}

SUITE(serve_events) = {
    TEST(events_that_are_told_are_listed_until_they_are_taken_back),
    TEST(a_batch_is_taken_as_a_whole_or_not_at_all),
    TEST(binary_mode_has_attributes_in_headers),
    TEST(what_is_no_event_is_answered_in_one_line),
    TEST(forecasters_are_told_what_concerns_their_service_and_is_known),
    {0},
};
