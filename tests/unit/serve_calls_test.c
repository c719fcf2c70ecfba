/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that are told apart from others: calls to other services, GET /v1/graph, and those that
 * carry a header. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/serve_world.h"
#include "tests/unit/suite.h"

/* The server sleeps until it is asked. */
static void add_calls(struct world *w)
{
    struct pmo_type type = {.direction = PMO_OUTBOUND,
                            .protocol = PMO_PROTOCOL_HTTP1,
                            .method = PMO_METHOD_GET,
                            .status_class = 2,
                            .route = "/catalog/{id}",
                            .peer = "catalog"};
    struct pmo_counts counts = {.requests = 70,
                                .finished = 70,
                                .last_byte_ns = 7000000000,
                                .request_bytes = 700,
                                .response_bytes = 7000};
    struct pmo_agent_instance *instance = &w->instances[0];

    counts.latency[10].last_byte = 70;
    CU_ASSERT_EQUAL_FATAL(pmo_operations_new(&instance->calls), 0);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(pmo_service_store_add(w->front.store, &type, WORLD_NOW, WORLD_NOW, &counts),
                        0);
        CU_ASSERT(pmo_operations_add(instance->calls, &type, WORLD_NOW, WORLD_NOW, &counts) >= 0);
        type.status_class = PMO_STATUS_ARRIVED;
        counts = (struct pmo_counts){.requests = 72, .finished = 20, .first_byte_ns = 600000000};
        counts.latency[10].first_byte[1] = 20; /* 30 ms after their requests */
    }
}

static void calls_are_told_apart_and_part_of_no_other_number(void)
{
    json_t *before, *after, *types, *type, *call = NULL;
    struct answer answer;
    struct world w;
    size_t i;

    world_start(&w);
    before = world_get(&w, "/v1/services");
    add_calls(&w);
    after = world_get(&w, "/v1/services");
    CU_ASSERT(json_equal(before, after));
    json_decref(before);
    json_decref(after);

    types = world_get(&w, "/v1/types?service=front&instance=front-1");
    json_array_foreach (json_object_get(types, "types"), i, type)
        if (!strcmp(json_string_value(json_object_get(type, "direction")), "outbound"))
            call = type;
    CU_ASSERT_PTR_NOT_NULL_FATAL(call);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(call, "route")), "/catalog/{id}");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(call, "peer")), "catalog");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(call, "inFlight")), 2);
    json_decref(types);
    types = world_get(&w, "/v1/routes?service=front");
    answer.text = json_dumps(types, 0);
    CU_ASSERT_PTR_NULL(strstr(answer.text, "/catalog/{id}"));
    free(answer.text);
    json_decref(types);

    answer = world_ask(&w, "GET", "/metrics", NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer.text);
    world_expect_line(answer.text,
                      "\npmo_calls_total{service=\"front\",peer=\"catalog\",method=\"GET\","
                      "route=\"/catalog/{id}\""
                      ",status_class=\"2xx\",protocol=\"http1\",zone=\"unknown\"} 70\n");
    CU_ASSERT_PTR_NULL(strstr(answer.text, "pmo_requests_total{service=\"front\",method=\"GET\","
                                           "route=\"/catalog/{id}\""));
    world_expect_line(answer.text, "http_client_request_duration_seconds_count"
                                   "{service=\"front\",peer=\"catalog\"} 70\n");
    world_expect_line(answer.text, "http_client_request_duration_seconds_sum"
                                   "{service=\"front\",peer=\"catalog\"} 7\n");
    world_expect_line(answer.text, "http_client_request_duration_seconds_bucket"
                                   "{service=\"front\",peer=\"catalog\",le=\"+Inf\"} 70\n");
    world_expect_line(answer.text,
                      "http_server_request_duration_seconds_count{service=\"front\"} 5049\n");
    world_expect_line(answer.text, "\nhttp_client_active_requests{service=\"front\"} 2\n");
    world_expect_line(answer.text,
                      "\npmo_call_request_bytes_total{service=\"front\",peer=\"catalog\"} 700\n");
    world_expect_line(answer.text,
                      "\npmo_call_response_bytes_total{service=\"front\",peer=\"catalog\"} 7000\n");
    world_expect_line(answer.text,
                "\npmo_call_delay_seconds_sum{service=\"front\",peer=\"catalog\"} 0.6\n");
    world_expect_line(answer.text,
                "\npmo_call_delay_seconds_count{service=\"front\",peer=\"catalog\"} 20\n");
    CU_ASSERT_PTR_NULL(strstr(answer.text, "http_client_active_requests{service=\"catalog\"}"));
    free(answer.text);
    pmo_operations_free(&w.instances[0].calls);
    world_stop(&w);
}

/* 70 calls in the last second; of the last ten, nine were observed, with 51 requests each. */
static void the_graph_says_who_calls_whom(void)
{
    static const char *const kinds[] = {"service", "other", "service", "address"};
    struct pmo_type type = {.direction = PMO_OUTBOUND,
                            .protocol = PMO_PROTOCOL_HTTP1,
                            .method = PMO_METHOD_GET,
                            .status_class = 5,
                            .peer = "198.51.100.7:443"};
    struct pmo_counts counts = {.requests = 9, .first_byte_ns = 45000000};
    json_t *graph, *edges, *edge, *node;
    struct world w;
    size_t i;

    world_start(&w);
    graph = world_get(&w, "/v1/graph");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(graph, "nodes")), 0);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(graph, "edges")), 0);
    json_decref(graph);
    add_calls(&w);
    for (i = 0; i < 20; i++) {
        (void)snprintf(type.route, sizeof(type.route), "/%zu", i);
        CU_ASSERT_EQUAL(
            pmo_service_store_add(w.front.store, &type, WORLD_NOW - 20, WORLD_NOW - 20, &counts),
            0);
    }
    type.peer[0] = 0; /* an earlier agent's, which knew no peers */
    CU_ASSERT_EQUAL(pmo_service_store_restore_type(w.catalog.store, &type, WORLD_NOW, 18), 0);
    graph = world_get(&w, "/v1/graph");
    json_array_foreach (json_object_get(graph, "nodes"), i, node)
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(node, "kind")), kinds[i]);
    CU_ASSERT_EQUAL_FATAL(i, 4);
    node = json_array_get(json_object_get(graph, "nodes"), 2);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(node, "name")), "front");
    CU_ASSERT_EQUAL(world_number(node, "rps10s"), 51);
    edges = json_object_get(graph, "edges");
    CU_ASSERT_EQUAL_FATAL(json_array_size(edges), 3);
    edge = json_array_get(edges, 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(edge, "to")), "{other}");
    CU_ASSERT_DOUBLE_EQUAL(world_number(edge, "rps10s"), 18.0 / 9, 0.001);
    CU_ASSERT(json_is_null(json_object_get(edge, "firstByteMeanMs")));
    edge = json_array_get(edges, 1);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(edge, "from")), "front");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(edge, "to")), "catalog");
    CU_ASSERT_DOUBLE_EQUAL(world_number(edge, "rps10s"), 70.0 / 9, 0.001);
    CU_ASSERT_DOUBLE_EQUAL(world_number(edge, "rps60s"), 70.0 / 59, 0.001);
    CU_ASSERT_DOUBLE_EQUAL(world_number(edge, "callsPerRequest10s"), 70.0 / (9 * 51), 0.001);
    CU_ASSERT_DOUBLE_EQUAL(world_number(edge, "callsPerRequest60s"), 70.0 / (59 * 51), 0.001);
    CU_ASSERT_EQUAL(world_number(edge, "errorRate"), 0);
    CU_ASSERT_EQUAL(world_number(edge, "lastByteMeanMs"), 100);
    CU_ASSERT_EQUAL(world_number(edge, "delaysMeasured"), 20);
    CU_ASSERT_EQUAL(world_number(edge, "delayMeanMs"), 30);
    node = json_array_get(json_object_get(edge, "types"), 0);
    CU_ASSERT_EQUAL(world_number(node, "delayMeanMs"), 30);
    CU_ASSERT_EQUAL(world_number(json_object_get(edge, "totals"), "arrived"), 72);
    CU_ASSERT_EQUAL(world_number(edge, "typesTotal"), 1);
    edge = json_array_get(edges, 2);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(edge, "to")), "198.51.100.7:443");
    CU_ASSERT_EQUAL(world_number(edge, "rps10s"), 0);
    CU_ASSERT_DOUBLE_EQUAL(world_number(edge, "rps60s"), 180.0 / 59, 0.001);
    CU_ASSERT_EQUAL(world_number(edge, "errorRate"), 1);
    CU_ASSERT_EQUAL(world_number(edge, "firstByteMeanMs"), 5);
    CU_ASSERT_EQUAL(world_number(edge, "delaysMeasured"), 0);
    CU_ASSERT(json_is_null(json_object_get(edge, "delayMeanMs")));
    CU_ASSERT_EQUAL(world_number(edge, "typesTotal"), 20);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(edge, "types")), 16);
    json_decref(graph);
    pmo_operations_free(&w.instances[0].calls);
    world_stop(&w);
}

static void requests_are_shown_by_the_headers_they_carry(void)
{
    struct pmo_type type = {.protocol = PMO_PROTOCOL_HEADER,
                            .status_class = PMO_STATUS_ARRIVED,
                            .route = "x-tenant: acme"};
    struct pmo_counts counts = {.requests = 70};
    json_t *before, *after, *types, *header;
    struct answer answer;
    struct world w;

    world_start(&w);
    before = world_get(&w, "/v1/services");
    CU_ASSERT_EQUAL_FATAL(pmo_operations_new(&w.front.headers), 0);
    CU_ASSERT(pmo_operations_add(w.front.headers, &type, WORLD_NOW, WORLD_NOW, &counts) >= 0);
    after = world_get(&w, "/v1/services");
    CU_ASSERT(json_equal(before, after));
    json_decref(before);
    json_decref(after);

    types = world_get(&w, "/v1/types?service=front");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(types, "headers")), 1);
    header = json_array_get(json_object_get(types, "headers"), 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(header, "name")), "x-tenant");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(header, "value")), "acme");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(header, "requests")), 70);
    CU_ASSERT_EQUAL(json_number_value(json_object_get(header, "rps")), 70);
    json_decref(types);
    answer = world_ask(&w, "GET", "/metrics", NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer.text);
    world_expect_line(answer.text,
                      "\npmo_header_requests_total{service=\"front\",header=\"x-tenant\","
                      "value=\"acme\"} 70\n");
    free(answer.text);
    pmo_operations_free(&w.front.headers);
    world_stop(&w);
}

SUITE(serve_calls) = {
    TEST(calls_are_told_apart_and_part_of_no_other_number),
    TEST(the_graph_says_who_calls_whom),
    TEST(requests_are_shown_by_the_headers_they_carry),
    {0},
};
