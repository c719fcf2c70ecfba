/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/series/operations.h"
#include "agent/series/series.h"

#define T0 1700000030LL /* in the middle of a minute */

static struct pmo_type type_named(const char *route, uint8_t status_class)
{
    struct pmo_type type = {
        .protocol = PMO_PROTOCOL_HTTP1, .method = PMO_METHOD_GET, .status_class = status_class};

    (void)snprintf(type.route, sizeof(type.route), "%s", route);
    return type;
}

static void add(struct pmo_service_store *service, const char *route, int64_t since, int64_t until,
                uint64_t requests)
{
    struct pmo_type type = type_named(route, 2);
    struct pmo_counts counts = {.requests = requests};

    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, since, until, &counts), 0);
}

/* Sum of type @i over the observed seconds of [since, until]. */
static uint64_t sum(const struct pmo_service_store *service, size_t i, int64_t since, int64_t until)
{
    uint64_t n = 0;
    uint32_t count;

    for (int64_t t = since; t <= until; t++)
        if (!pmo_service_store_type_count(service, i, t, &count))
            n += count;
    return n;
}

static uint32_t count_at(const struct pmo_service_store *service, size_t i, int64_t t)
{
    uint32_t count = UINT32_MAX;

    CU_ASSERT_EQUAL(pmo_service_store_type_count(service, i, t, &count), 0);
    return count;
}

static struct pmo_service_store *fresh(struct pmo_store **store)
{
    *store = NULL;
    CU_ASSERT_EQUAL_FATAL(pmo_store_new(store), 0);
    return pmo_store_service(*store, "front", true);
}

static void a_second_is_known_once_it_is_closed_and_then_holds_zeros(void)
{
    struct pmo_service_second second;
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    uint32_t count;

    add(service, "/a", T0, T0, 3);
    CU_ASSERT_EQUAL(pmo_service_store_last(service), 0);
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0, &second), -ENODATA);
    CU_ASSERT_EQUAL(pmo_service_store_type_count(service, 0, T0, &count), -ENODATA);
    pmo_service_store_close(service, T0, NULL);
    pmo_service_store_close(service, T0 + 2, NULL);
    CU_ASSERT_EQUAL(pmo_service_store_last(service), T0 + 2);
    CU_ASSERT_EQUAL(count_at(service, 0, T0), 3);
    CU_ASSERT_EQUAL(count_at(service, 0, T0 + 2), 0);
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0 + 1, &second), -ENODATA);
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0 + 3, &second), -ENODATA);
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0 + 2, &second), 0);
    CU_ASSERT_EQUAL(second.arrivals, 0);
    CU_ASSERT_TRUE(isnan(second.latency_p50_us));
    pmo_store_free(&store);
    CU_ASSERT_PTR_NULL(store);
    pmo_store_free(&store);
}

static void a_second_keeps_what_was_counted_and_measured(void)
{
    struct pmo_instance_counts counts = {.arrivals = 7, .connections = 3, .syns = 4};
    struct pmo_counts bytes = {.request_bytes = 5000000000ULL, .response_bytes = 12};
    struct pmo_type type = {.protocol = PMO_PROTOCOL_HTTP1};
    struct pmo_service_second gauges = {.in_flight = 9,
                                        .cpu_seconds = 0.25,
                                        .memory_bytes = 3e9,
                                        .ready = 3,
                                        .starting = 1,
                                        .arrivals = 99},
                              second;
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);

    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(pmo_service_store_add_instance(service, T0, T0, &counts), 0);
        CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &bytes), 0);
    }
    pmo_service_store_close(service, T0, &gauges);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_second(service, T0, &second), 0);
    CU_ASSERT_EQUAL(second.arrivals, 14);
    CU_ASSERT_EQUAL(second.connections, 6);
    CU_ASSERT_EQUAL(second.syns, 8);
    CU_ASSERT_EQUAL(second.rx_bytes, 1e10);
    CU_ASSERT_EQUAL(second.tx_bytes, 24);
    CU_ASSERT_EQUAL(second.in_flight, 9);
    CU_ASSERT_EQUAL(second.cpu_seconds, 0.25);
    CU_ASSERT_EQUAL(second.memory_bytes, 3e9);
    CU_ASSERT_EQUAL(second.ready, 3);
    CU_ASSERT_EQUAL(second.starting, 1);
    CU_ASSERT_EQUAL(pmo_service_store_arrived(service), 14);
    pmo_store_free(&store);
}

static void what_covers_a_gap_is_spread_evenly_in_whole_requests(void)
{
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    struct pmo_instance_counts arrivals = {.arrivals = 1000003};
    struct pmo_service_second second;
    double arrived = 0;

    add(service, "/a", T0, T0 + 99, 1037);
    add(service, "/few", T0, T0 + 99, 3);
    CU_ASSERT_EQUAL(pmo_service_store_add_instance(service, T0, T0 + 99, &arrivals), 0);
    for (int64_t t = T0; t < T0 + 100; t++)
        pmo_service_store_close(service, t, NULL);
    for (int64_t t = T0; t < T0 + 100; t++) {
        uint32_t count = count_at(service, 0, t);

        CU_ASSERT_TRUE(count == 10 || count == 11);
        CU_ASSERT_TRUE(count_at(service, 1, t) <= 1);
        CU_ASSERT_EQUAL(pmo_service_store_second(service, t, &second), 0);
        CU_ASSERT_TRUE(fabs(second.arrivals - 10000.5) < 1);
        arrived += second.arrivals;
    }
    CU_ASSERT_EQUAL(sum(service, 0, T0, T0 + 99), 1037);
    CU_ASSERT_EQUAL(sum(service, 1, T0, T0 + 99), 3);
    CU_ASSERT_EQUAL(arrived, 1000003);
    CU_ASSERT_EQUAL(pmo_service_store_class(service, T0 + 99, 2), 12);
    /* no half of the gap gets more than its half */
    CU_ASSERT_TRUE(labs((long)sum(service, 0, T0, T0 + 49) - 518) <= 1);
    pmo_store_free(&store);
}

static void a_late_count_lands_in_its_second(void)
{
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);

    for (int64_t t = T0; t < T0 + 3600; t++)
        pmo_service_store_close(service, t, NULL);
    add(service, "/a", T0 + 1, T0 + 1, 5);
    add(service, "/a", T0, T0, 70000); /* wider than the chunk was */
    add(service, "/a", T0 + 3599, T0 + 3599, 1);
    CU_ASSERT_EQUAL(count_at(service, 0, T0), 70000);
    CU_ASSERT_EQUAL(count_at(service, 0, T0 + 1), 5);
    CU_ASSERT_EQUAL(count_at(service, 0, T0 + 3599), 1);
    CU_ASSERT_EQUAL(sum(service, 0, T0, T0 + 3599), 70006);
    pmo_store_free(&store);
}

static void a_count_outside_of_the_hour_is_in_the_total_alone(void)
{
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);

    for (int64_t t = T0; t < T0 + 3700; t++)
        pmo_service_store_close(service, t, NULL);
    add(service, "/a", T0, T0, 5);
    add(service, "/a", INT64_MIN, INT64_MIN, 5);
    add(service, "/a", INT64_MAX, INT64_MAX, 5);
    add(service, "/a", T0 + 3599, T0 + 3599, 1);
    CU_ASSERT_EQUAL(sum(service, 0, T0, T0 + 3700), 1);
    CU_ASSERT_EQUAL(pmo_service_store_total(service), 16);
    CU_ASSERT_EQUAL(pmo_service_store_type_total(service, 0), 16);
    pmo_store_free(&store);
}

static void counts_after_a_long_silence_land_and_push_out_the_old_hour(void)
{
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    struct pmo_service_second second;

    add(service, "/a", T0, T0, 5);
    pmo_service_store_close(service, T0, NULL);
    add(service, "/a", T0 + 1, T0 + 7200, 72000); /* the agent was stopped for two hours */
    for (int64_t t = T0 + 1; t <= T0 + 7200; t++)
        pmo_service_store_close(service, t, NULL);
    CU_ASSERT_EQUAL(sum(service, 0, T0, T0 + 7200), 36000);
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0, &second), -ENODATA);
    CU_ASSERT_EQUAL(pmo_service_store_total(service), 72005);
    pmo_store_free(&store);
}

static void the_sum_over_the_seconds_is_the_total_whatever_came(void)
{
    static const char *const routes[] = {"/", "/users/{id}", "/cart"};
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    uint64_t added = 0, seen = 0, by_class = 0;
    uint32_t random = 1;

    for (int64_t t = T0; t < T0 + 3000; t++) {
        for (size_t i = 0; i < 3; i++) {
            random = random * 1664525 + 1013904223;
            added += random >> (8 + random % 20);
            add(service, routes[i], t - random % 7, t, random >> (8 + random % 20));
        }
        if (t % 3)
            pmo_service_store_close(service, t - 1, NULL);
    }
    for (int64_t t = T0 - 7; t < T0 + 3000; t++)
        pmo_service_store_close(service, t, NULL);
    for (size_t i = 0; i < 3; i++)
        seen += sum(service, i, T0 - 7, T0 + 2999);
    for (int64_t t = T0 - 7; t < T0 + 3000; t++)
        by_class += pmo_service_store_class(service, t, 2);
    CU_ASSERT_EQUAL(pmo_service_store_types(service), 3);
    CU_ASSERT_EQUAL(seen, added);
    CU_ASSERT_EQUAL(by_class, added);
    CU_ASSERT_EQUAL(pmo_service_store_total(service), added);
    pmo_store_free(&store);
}

static void types_are_told_apart_by_each_of_their_members(void)
{
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    struct pmo_type type = type_named("/a", 2), unended = type;
    struct pmo_counts one = {.requests = 1};

    for (int twice = 0; twice < 2; twice++) {
        for (uint8_t i = 0; i < 3; i++) {
            type = type_named("/a", i);
            CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &one), 0);
            type = type_named("/a", 5);
            type.zone = i;
            CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &one), 0);
        }
        memset(unended.route, 'x', sizeof(unended.route));
        CU_ASSERT_EQUAL(pmo_service_store_add(service, &unended, T0, T0, &one), 0);
    }
    CU_ASSERT_EQUAL(pmo_service_store_types(service), 7);
    CU_ASSERT_EQUAL(strlen(pmo_service_store_type_at(service, 6)->route), PMO_ROUTE_BYTES - 1);
    for (size_t i = 0; i < 7; i++)
        CU_ASSERT_EQUAL(pmo_service_store_type_total(service, i), 2);
    CU_ASSERT_STRING_EQUAL(pmo_status_class_name(0), "aborted");
    CU_ASSERT_STRING_EQUAL(pmo_status_class_name(2), "2xx");
    CU_ASSERT_STRING_EQUAL(pmo_method_name(PMO_METHOD_PATCH), "PATCH");
    CU_ASSERT_STRING_EQUAL(pmo_method_name(200), "OTHER");
    CU_ASSERT_STRING_EQUAL(pmo_protocol_name(PMO_PROTOCOL_HTTP1), "http1");
    CU_ASSERT_STRING_EQUAL(pmo_protocol_name(PMO_PROTOCOL_HTTP2), "http2");
    CU_ASSERT_STRING_EQUAL(pmo_protocol_name(PMO_PROTOCOL_GRPC), "grpc");
    CU_ASSERT_STRING_EQUAL(pmo_protocol_name(200), "unknown");
    pmo_store_free(&store);
}

static void calls_are_types_of_their_own_and_part_of_nothing_else(void)
{
    struct pmo_counts counts = {
        .requests = 5, .finished = 4, .request_bytes = 10, .response_bytes = 20};
    struct pmo_service_second second;
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    struct pmo_type type = type_named("/a", 2);
    uint32_t requests;

    counts.latency[6].first_byte[0] = 5;
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &counts), 0);
    type.direction = PMO_OUTBOUND;
    (void)strcpy(type.peer, "stock");
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &counts), 0);
    type.status_class = PMO_STATUS_ARRIVED;
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &counts), 0);
    type.status_class = 2;
    CU_ASSERT_EQUAL(pmo_service_store_restore_type(service, &type, T0, 7), 0);
    pmo_service_store_close(service, T0, NULL);

    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0, &second), 0);
    CU_ASSERT_EQUAL(second.arrivals, 0);
    CU_ASSERT_EQUAL(second.rx_bytes, 10);
    CU_ASSERT_EQUAL(second.tx_bytes, 20);
    CU_ASSERT_EQUAL(pmo_service_store_class(service, T0, 2), 5);
    CU_ASSERT_EQUAL(pmo_service_store_total(service), 5);
    CU_ASSERT_EQUAL(pmo_service_store_arrived(service), 0);
    CU_ASSERT_EQUAL(pmo_service_store_totals(service)->finished, 4);
    CU_ASSERT_EQUAL(pmo_service_store_peers(service), 1);
    CU_ASSERT_EQUAL(pmo_service_store_peer_totals(service, 0)->requests, 5);
    CU_ASSERT_EQUAL(pmo_service_store_peer_totals(service, 0)->arrived, 5);
    CU_ASSERT_EQUAL(pmo_operations_count(pmo_service_store_operations(service)), 1);
    CU_ASSERT_EQUAL(pmo_operations_count(pmo_service_store_calls(service)), 1);
    CU_ASSERT_EQUAL(pmo_service_store_types(service), 2);
    CU_ASSERT_EQUAL(pmo_service_store_type_at(service, 1)->direction, PMO_OUTBOUND);
    CU_ASSERT_EQUAL(pmo_service_store_type_total(service, 1), 5);
    CU_ASSERT_EQUAL(pmo_service_store_type_count(service, 1, T0, &requests), 0);
    CU_ASSERT_EQUAL(requests, 5 + 7);
    CU_ASSERT_STRING_EQUAL(pmo_direction_name(PMO_INBOUND), "inbound");
    CU_ASSERT_STRING_EQUAL(pmo_direction_name(PMO_OUTBOUND), "outbound");
    pmo_store_free(&store);
}

static int call(struct pmo_service_store *service, const char *peer, int64_t t, uint64_t requests)
{
    struct pmo_type type = type_named("/a", 2);
    struct pmo_counts counts = {.requests = requests};

    type.direction = PMO_OUTBOUND;
    (void)snprintf(type.peer, sizeof(type.peer), "%s", peer);
    return pmo_service_store_add(service, &type, t, t, &counts);
}

static void calls_are_told_apart_by_whom_they_go_to(void)
{
    struct pmo_type old = type_named("/a", 2), served = old;
    struct pmo_counts counts = {.requests = 10};
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);

    old.direction = PMO_OUTBOUND; /* history of before calls had peers */
    for (int64_t t = T0; t < T0 + 20; t++) {
        CU_ASSERT_EQUAL(call(service, "stock", t, 3), 0);
        CU_ASSERT_EQUAL(call(service, "cart", t, 1), 0);
        CU_ASSERT_EQUAL(pmo_service_store_add(service, &served, t, t, &counts), 0);
        if (t != T0 + 15)
            pmo_service_store_close(service, t, NULL);
    }
    CU_ASSERT_EQUAL(pmo_service_store_restore_type(service, &old, T0, 7), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_peers(service), 3);
    CU_ASSERT_STRING_EQUAL(pmo_service_store_peer_at(service, 0), "stock");
    CU_ASSERT_STRING_EQUAL(pmo_service_store_peer_at(service, 1), "cart");
    CU_ASSERT_STRING_EQUAL(pmo_service_store_peer_at(service, 2), "{other}");
    CU_ASSERT_EQUAL(pmo_service_store_types(service), 4);
    CU_ASSERT_EQUAL(pmo_service_store_peer_totals(service, 0)->requests, 60);
    /* second T0 + 15 was not observed */
    CU_ASSERT_EQUAL(pmo_service_store_peer_answered(service, 0, T0 + 19, 10), 27);
    CU_ASSERT_EQUAL(pmo_service_store_peer_answered(service, 0, T0 + 19, 60), 57);
    CU_ASSERT_EQUAL(pmo_service_store_peer_answered(service, 2, T0 + 19, 60), 7);
    CU_ASSERT_EQUAL(pmo_service_store_answered(service, T0 + 19, 10), 90);
    CU_ASSERT_EQUAL(pmo_service_store_observed(service, T0 + 19, 10), 9);
    CU_ASSERT_EQUAL(pmo_service_store_observed(service, T0 + 19, 60), 19);
    pmo_store_free(&store);
}

static void edges_beyond_the_last_go_to_any_other(void)
{
    struct pmo_store *store;
    struct pmo_service_store *first = fresh(&store);
    struct pmo_service_store *second = pmo_store_service(store, "second", true);
    char name[32];

    for (unsigned int i = 0; i < PMO_EDGES_MAX + 100; i++) {
        (void)snprintf(name, sizeof(name), "10.0.0.%u:80", i);
        CU_ASSERT_EQUAL(call(first, name, T0, 1), 0);
    }
    CU_ASSERT_EQUAL(call(second, "stock", T0, 5), 0);
    CU_ASSERT_EQUAL(call(first, "10.0.0.7:80", T0, 1), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_peers(first), PMO_EDGES_MAX + 1);
    CU_ASSERT_STRING_EQUAL(pmo_service_store_peer_at(first, PMO_EDGES_MAX), "{other}");
    CU_ASSERT_EQUAL(pmo_service_store_peer_totals(first, PMO_EDGES_MAX)->requests, 100);
    CU_ASSERT_EQUAL(pmo_service_store_peer_totals(first, 7)->requests, 2);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_peers(second), 1);
    CU_ASSERT_STRING_EQUAL(pmo_service_store_peer_at(second, 0), "{other}");
    CU_ASSERT_EQUAL(pmo_service_store_peer_totals(second, 0)->requests, 5);
    pmo_store_free(&store);
}

static void latency_quantiles_lie_in_their_bucket(void)
{
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    struct pmo_type type = type_named("/a", 2);
    struct pmo_counts counts = {.requests = 100};
    struct pmo_service_second second;
    double p50, p99;

    counts.latency[5].first_byte[0] = 90;
    counts.latency[10].first_byte[0] = 10;
    CU_ASSERT_TRUE(isnan(pmo_service_store_latency(service, T0, 60, 0.5)));
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &counts), 0);
    pmo_service_store_close(service, T0, NULL);
    p50 = pmo_service_store_latency(service, T0, 1, 0.5);
    p99 = pmo_service_store_latency(service, T0, 1, 0.99);
    CU_ASSERT_TRUE(p50 > pmo_latency_bucket_us(9) && p50 <= pmo_latency_bucket_us(10));
    CU_ASSERT_TRUE(p99 > pmo_latency_bucket_us(19) && p99 <= pmo_latency_bucket_us(20));
    CU_ASSERT_DOUBLE_EQUAL(pmo_service_store_latency(service, T0, 1, 0.9),
                           pmo_latency_bucket_us(10), 1e-6);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_second(service, T0, &second), 0);
    CU_ASSERT_DOUBLE_EQUAL(second.latency_p50_us, p50, 1);
    CU_ASSERT_DOUBLE_EQUAL(second.latency_p99_us, p99, 1);

    /* a late answer still changes its second */
    memset(counts.latency, 0, sizeof(counts.latency));
    counts.latency[PMO_LATENCY_BUCKETS / 2 - 1].first_byte[1] = 1000;
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &counts), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_second(service, T0, &second), 0);
    CU_ASSERT_DOUBLE_EQUAL(second.latency_p50_us, pmo_latency_bucket_us(PMO_LATENCY_BUCKETS - 2),
                           1);

    /* the window moves on, the second keeps its quantiles */
    CU_ASSERT_FALSE(isnan(pmo_service_store_latency(service, T0 + 59, 60, 0.5)));
    CU_ASSERT_TRUE(isnan(pmo_service_store_latency(service, T0 + 60, 60, 0.5)));
    counts.latency[0].first_byte[0] = 1;
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0 + 60, T0 + 60, &counts), 0);
    CU_ASSERT_TRUE(isnan(pmo_service_store_latency(service, T0 + 59, 60, 0.5)));
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0, &second), 0);
    CU_ASSERT_FALSE(isnan(second.latency_p50_us));
    pmo_store_free(&store);
}

static uint32_t arrivals_at(const struct pmo_service_store *service, size_t i, int64_t t)
{
    uint32_t arrivals = UINT32_MAX;

    CU_ASSERT_EQUAL(pmo_service_store_operation_arrivals(service, i, t, &arrivals), 0);
    return arrivals;
}

static void arrivals_are_kept_by_operation_and_make_up_those_of_the_service(void)
{
    struct pmo_instance_counts rest = {.arrivals = 5};
    struct pmo_counts many = {.requests = 1000, .finished = 99}, few = {.requests = 7};
    struct pmo_type a = type_named("/a", PMO_STATUS_ARRIVED), b = type_named("/b", 6);
    struct pmo_service_second second;
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    uint64_t spread = 0;
    uint32_t arrivals;

    CU_ASSERT_EQUAL(pmo_service_store_add(service, &a, T0, T0 + 99, &many), 0);
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &b, T0 + 99, T0 + 99, &few), 0);
    CU_ASSERT_EQUAL(pmo_service_store_add_instance(service, T0 + 99, T0 + 99, &rest), 0);
    CU_ASSERT_EQUAL(pmo_service_store_operation_arrivals(service, 0, T0, &arrivals), -ENODATA);
    for (int64_t t = T0; t < T0 + 100; t++) {
        pmo_service_store_close(service, t, NULL);
        spread += arrivals_at(service, 0, t);
    }
    CU_ASSERT_EQUAL(pmo_operations_count(pmo_service_store_operations(service)), 2);
    CU_ASSERT_EQUAL(spread, 1000);
    CU_ASSERT_EQUAL(arrivals_at(service, 0, T0 + 99), 10);
    CU_ASSERT_EQUAL(arrivals_at(service, 1, T0 + 98), 0);
    CU_ASSERT_EQUAL(arrivals_at(service, 1, T0 + 99), 7);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_second(service, T0 + 99, &second), 0);
    CU_ASSERT_EQUAL(second.arrivals, 10 + 7 + 5);
    CU_ASSERT_EQUAL(pmo_service_store_arrived(service), 1012);
    /* nobody knows yet what becomes of them */
    CU_ASSERT_EQUAL(pmo_service_store_types(service), 0);
    CU_ASSERT_EQUAL(pmo_service_store_total(service), 0);
    CU_ASSERT_EQUAL(pmo_service_store_totals(service)->finished, 0);
    pmo_store_free(&store);
}

static void totals_hold_bytes_and_latencies_of_all_types(void)
{
    struct pmo_counts counts = {.requests = 3,
                                .finished = 2,
                                .first_byte_ns = 300,
                                .last_byte_ns = 400,
                                .request_bytes = 50,
                                .response_bytes = 60};
    struct pmo_type a = type_named("/a", 2), b = type_named("/b", 5);
    const struct pmo_service_totals *totals;
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);
    double last_byte;

    counts.latency[4].first_byte[0] = 1;
    counts.latency[4].first_byte[1] = 2;
    counts.latency[7].last_byte = 2;
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &a, T0, T0, &counts), 0);
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &b, T0, T0 + 9, &counts), 0);
    totals = pmo_service_store_totals(service);
    CU_ASSERT_EQUAL(totals->requests, 6);
    CU_ASSERT_EQUAL(totals->finished, 4);
    CU_ASSERT_EQUAL(totals->first_byte_ns, 600);
    CU_ASSERT_EQUAL(totals->last_byte_ns, 800);
    CU_ASSERT_EQUAL(totals->request_bytes, 100);
    CU_ASSERT_EQUAL(totals->response_bytes, 120);
    CU_ASSERT_EQUAL(totals->first_byte[4], 6);
    CU_ASSERT_EQUAL(totals->last_byte[7], 4);
    last_byte = pmo_service_store_last_byte(service, T0 + 9, 60, 0.5);
    CU_ASSERT_TRUE(last_byte > pmo_latency_bucket_us(13) && last_byte < pmo_latency_bucket_us(15));
    CU_ASSERT_TRUE(isnan(pmo_service_store_last_byte(service, T0 + 200, 60, 0.5)));
    pmo_store_free(&store);
}

static void restored_seconds_are_no_part_of_the_totals(void)
{
    struct pmo_service_second past = {.arrivals = 12,
                                      .latency_p50_us = 800,
                                      .latency_p99_us = 9000,
                                      .cpu_seconds = 1.5,
                                      .ready = 2},
                              second;
    struct pmo_type type = type_named("/a", 5);
    struct pmo_store *store;
    struct pmo_service_store *service = fresh(&store);

    CU_ASSERT_EQUAL(pmo_service_store_restore(service, T0, &past), 0);
    CU_ASSERT_EQUAL(pmo_service_store_restore_type(service, &type, T0, 11), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_second(service, T0, &second), 0);
    CU_ASSERT_EQUAL(second.arrivals, 12);
    CU_ASSERT_EQUAL(second.latency_p50_us, 800);
    CU_ASSERT_EQUAL(second.latency_p99_us, 9000);
    CU_ASSERT_EQUAL(second.cpu_seconds, 1.5);
    CU_ASSERT_EQUAL(second.ready, 2);
    CU_ASSERT_EQUAL(pmo_service_store_class(service, T0, 5), 11);
    CU_ASSERT_EQUAL(count_at(service, 0, T0), 11);
    CU_ASSERT_EQUAL(pmo_service_store_total(service) + pmo_service_store_arrived(service), 0);
    CU_ASSERT_EQUAL(pmo_service_store_type_total(service, 0), 0);
    pmo_store_free(&store);
}

/* One second of a type as it comes from the kernel side, for the service and its one instance. */
static void exchange(struct pmo_service_store *service, struct pmo_operations *instance,
                     const char *route, int64_t t)
{
    struct pmo_type arrived = type_named(route, PMO_STATUS_ARRIVED),
                    answered = type_named(route, 2);
    struct pmo_counts counts = {
        .requests = 150, .finished = 150, .request_bytes = 30000, .response_bytes = 1500000};

    counts.latency[8].first_byte[0] = counts.latency[9].last_byte = 150;
    (void)pmo_service_store_add(service, &arrived, t, t, &counts);
    (void)pmo_service_store_add(service, &answered, t, t, &counts);
    (void)pmo_operations_add(instance, &arrived, t, t, &counts);
    (void)pmo_operations_add(instance, &answered, t, t, &counts);
}

static void two_thousand_types_and_two_hundred_services_fit(void)
{
    struct pmo_operations *instances[200] = {NULL};
    struct pmo_service_second gauges = {
        .in_flight = 3, .cpu_seconds = 0.3, .memory_bytes = 2e9, .ready = 2};
    struct pmo_instance_counts counts = {.connections = 9, .syns = 9};
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, used;
    struct pmo_service_store *service;
    struct pmo_store *store;
    char name[32];

    (void)fresh(&store);
    for (int s = 0; s < 200; s++)
        CU_ASSERT_EQUAL_FATAL(pmo_operations_new(&instances[s]), 0);
    for (int64_t t = T0; t < T0 + 4000; t++) {
        for (int s = 0; s < 200; s++) {
            (void)snprintf(name, sizeof(name), "service-%d", s);
            service = pmo_store_service(store, name, true);
            for (int i = 0; i < 10; i++) { /* the first two in each second, the others rarely */
                (void)snprintf(name, sizeof(name), "/%d", i);
                if (i < 2 || t % 600 == i)
                    exchange(service, instances[s], name, t);
            }
            (void)pmo_service_store_add_instance(service, t, t, &counts);
            pmo_service_store_close(service, t, &gauges);
        }
    }
    used = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    CU_ASSERT_TRUE(used < 48U << 20);
    for (int s = 0; s < 200; s++)
        pmo_operations_free(&instances[s]);
    pmo_store_free(&store);
}

SUITE(series) = {
    TEST(a_second_is_known_once_it_is_closed_and_then_holds_zeros),
    TEST(a_second_keeps_what_was_counted_and_measured),
    TEST(what_covers_a_gap_is_spread_evenly_in_whole_requests),
    TEST(a_late_count_lands_in_its_second),
    TEST(a_count_outside_of_the_hour_is_in_the_total_alone),
    TEST(counts_after_a_long_silence_land_and_push_out_the_old_hour),
    TEST(the_sum_over_the_seconds_is_the_total_whatever_came),
    TEST(types_are_told_apart_by_each_of_their_members),
    TEST(calls_are_types_of_their_own_and_part_of_nothing_else),
    TEST(calls_are_told_apart_by_whom_they_go_to),
    TEST(edges_beyond_the_last_go_to_any_other),
    TEST(latency_quantiles_lie_in_their_bucket),
    TEST(arrivals_are_kept_by_operation_and_make_up_those_of_the_service),
    TEST(totals_hold_bytes_and_latencies_of_all_types),
    TEST(restored_seconds_are_no_part_of_the_totals),
    TEST(two_thousand_types_and_two_hundred_services_fit),
    {0},
};
