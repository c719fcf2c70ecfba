/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/series/operations.h"

#define T0 1700000030LL /* the beginning of ten seconds */

static struct pmo_operations *fresh(void)
{
    struct pmo_operations *set = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_operations_new(&set), 0);
    return set;
}

static int add(struct pmo_operations *set, const char *route, uint8_t status_class, int64_t t,
               const struct pmo_counts *counts)
{
    struct pmo_type type = {
        .protocol = PMO_PROTOCOL_HTTP1, .method = PMO_METHOD_GET, .status_class = status_class};
    int number;

    (void)snprintf(type.route, sizeof(type.route), "%s", route);
    number = pmo_operations_add(set, &type, t, t, counts);
    CU_ASSERT_FATAL(number >= 0);
    return number;
}

static void arrive(struct pmo_operations *set, const char *route, int64_t t, uint64_t requests)
{
    (void)add(set, route, PMO_STATUS_ARRIVED, t, &(struct pmo_counts){.requests = requests});
}

static void answer(struct pmo_operations *set, const char *route, int64_t t, uint64_t requests)
{
    (void)add(set, route, 2, t, &(struct pmo_counts){.requests = requests, .finished = requests});
}

static void what_arrived_and_did_not_end_is_in_flight(void)
{
    struct pmo_operations *set = fresh();

    arrive(set, "/a", T0, 10);
    arrive(set, "/b", T0, 5);
    answer(set, "/a", T0, 4);
    /* an answer that has begun is still in flight, an aborted request never ends otherwise */
    (void)add(set, "/a", 5, T0, &(struct pmo_counts){.requests = 3});
    (void)add(set, "/b", PMO_STATUS_ABORTED, T0, &(struct pmo_counts){.requests = 2});
    pmo_operations_settle(set, 9);
    CU_ASSERT_EQUAL_FATAL(pmo_operations_count(set), 2);
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 0), 6);
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 1), 3);
    (void)add(set, "/a", 5, T0 + 1, &(struct pmo_counts){.finished = 3});
    pmo_operations_settle(set, 6);
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 0), 3);
    pmo_operations_free(&set);
    CU_ASSERT_PTR_NULL(set);
    pmo_operations_free(&set);
}

static void ends_of_requests_that_arrived_before_the_agent_leave_nothing(void)
{
    struct pmo_operations *set = fresh();

    answer(set, "/a", T0, 7); /* in the order of the kernel's slots: the end before the arrival */
    arrive(set, "/a", T0, 4);
    pmo_operations_settle(set, 0);
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 0), 0);
    arrive(set, "/a", T0 + 1, 2);
    pmo_operations_settle(set, 2);
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 0), 2);
    pmo_operations_free(&set);
}

static void requests_in_flight_are_no_more_than_the_gauge(void)
{
    struct pmo_operations *set = fresh();

    arrive(set, "/a", T0, 30);
    arrive(set, "/b", T0, 10);
    pmo_operations_settle(set, 4); /* 36 were cut short with their connections */
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 0), 3);
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 1), 1);
    pmo_operations_free(&set);
}

static void what_was_cut_short_is_forgotten_when_the_instance_is_idle(void)
{
    struct pmo_operations *set = fresh();

    arrive(set, "/a", T0, 5);
    pmo_operations_settle(set, 0); /* may have ended between the second's end and the gauge */
    answer(set, "/a", T0 + 1, 3);
    arrive(set, "/a", T0 + 1, 3);
    pmo_operations_settle(set, 9);
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 0), 5); /* not idle: nothing was forgotten */
    answer(set, "/a", T0 + 2, 3);
    pmo_operations_settle(set, 0);
    pmo_operations_settle(set, 0);
    arrive(set, "/a", T0 + 4, 1);
    pmo_operations_settle(set, 9);
    CU_ASSERT_EQUAL(pmo_operations_in_flight(set, 0), 1);
    pmo_operations_free(&set);
}

static void the_status_classes_of_an_operation_are_one_row(void)
{
    struct pmo_operations *set = fresh();
    struct pmo_operation operation = {
        .protocol = PMO_PROTOCOL_HTTP1, .method = PMO_METHOD_GET, .route = "/a"};
    struct pmo_operation_load load;

    for (uint8_t class = 0; class < PMO_STATUS_CLASSES; class ++)
        CU_ASSERT_EQUAL(add(set, "/a", class, T0,
                            &(struct pmo_counts){.requests = class + 1U, .request_bytes = 100}),
                        0);
    CU_ASSERT_EQUAL(add(set, "/b", 2, T0, &(struct pmo_counts){.requests = 1}), 1);
    pmo_operations_load(set, 0, T0, &load);
    for (uint8_t class = 0; class < PMO_STATUS_CLASSES; class ++)
        CU_ASSERT_EQUAL(load.requests[class], class + 1U);
    CU_ASSERT_EQUAL(load.request_bytes, 600);
    CU_ASSERT_DOUBLE_EQUAL(load.error_rate, 6.0 / 20, 1e-9); /* aborted ones were not answered */
    CU_ASSERT_EQUAL(pmo_operations_find(set, &operation), 0);
    CU_ASSERT_STRING_EQUAL(pmo_operations_at(set, 1)->route, "/b");
    operation.method = PMO_METHOD_PUT;
    CU_ASSERT_EQUAL(pmo_operations_find(set, &operation), -ENOENT);
    pmo_operations_free(&set);
}

static void rates_are_those_of_the_last_second(void)
{
    struct pmo_operations *set = fresh();
    struct pmo_counts counts = {
        .requests = 5, .finished = 5, .request_bytes = 500, .response_bytes = 5000};
    struct pmo_operation_load load;

    arrive(set, "/a", T0, 9);
    arrive(set, "/a", T0 + 1, 5);
    (void)add(set, "/a", 2, T0 + 1, &counts);
    (void)add(set, "/a", 4, T0 + 1, &counts);
    arrive(set, "/a", T0, 9); /* late */
    pmo_operations_load(set, 0, T0 + 1, &load);
    CU_ASSERT_EQUAL(load.rps, 5);
    CU_ASSERT_EQUAL(load.request_bytes_per_s, 1000);
    CU_ASSERT_EQUAL(load.response_bytes_per_s, 10000);
    CU_ASSERT_EQUAL(load.arrived, 23);
    CU_ASSERT_EQUAL(load.finished, 10);
    pmo_operations_load(set, 0, T0 + 2, &load);
    CU_ASSERT_EQUAL(load.rps + load.request_bytes_per_s + load.response_bytes_per_s, 0);
    pmo_operations_free(&set);
}

static void latencies_are_those_of_the_last_minute(void)
{
    struct pmo_operations *set = fresh();
    struct pmo_counts fast = {.requests = 99, .finished = 99}, slow = {.requests = 1};
    struct pmo_operation_load load;

    fast.latency[5].first_byte[0] = fast.latency[6].last_byte = 99;
    slow.latency[10].first_byte[1] = slow.latency[12].last_byte = 1;
    (void)add(set, "/a", 2, T0, &fast);
    (void)add(set, "/a", 2, T0 + 59, &slow);
    pmo_operations_load(set, 0, T0 + 59, &load);
    CU_ASSERT_TRUE(load.first_byte_p50_us > pmo_latency_bucket_us(9) &&
                   load.first_byte_p50_us <= pmo_latency_bucket_us(10));
    CU_ASSERT_DOUBLE_EQUAL(load.first_byte_p99_us, pmo_latency_bucket_us(10), 1e-6);
    CU_ASSERT_TRUE(load.last_byte_p50_us > pmo_latency_bucket_us(11) &&
                   load.last_byte_p50_us <= pmo_latency_bucket_us(13));
    CU_ASSERT_DOUBLE_EQUAL(load.last_byte_p99_us, pmo_latency_bucket_us(13), 1e-6);
    pmo_operations_load(set, 0, T0 + 60, &load); /* the fast ones are too old */
    CU_ASSERT_TRUE(load.first_byte_p50_us > pmo_latency_bucket_us(20));
    CU_ASSERT_TRUE(load.last_byte_p50_us > pmo_latency_bucket_us(23));
    (void)add(set, "/a", 2, T0, &fast); /* and their place is taken, or not looked at */
    pmo_operations_load(set, 0, T0 + 60, &load);
    CU_ASSERT_TRUE(load.first_byte_p50_us > pmo_latency_bucket_us(20));
    pmo_operations_load(set, 0, T0 + 200, &load);
    CU_ASSERT_TRUE(isnan(load.first_byte_p50_us) && isnan(load.last_byte_p99_us) &&
                   isnan(load.error_rate));
    CU_ASSERT_EQUAL(load.requests[2], 199);
    pmo_operations_free(&set);
}

static void the_load_of_a_peer_is_that_of_all_calls_to_it(void)
{
    struct pmo_operations *set = fresh();
    struct pmo_type type = {.direction = PMO_OUTBOUND, .protocol = PMO_PROTOCOL_GRPC};
    struct pmo_counts counts = {.requests = 10,
                                .finished = 5,
                                .first_byte_ns = 30000000,
                                .last_byte_ns = 50000000,
                                .request_bytes = 100};
    static const char *const peers[] = {"stock", "cart"}, *const routes[] = {"/a", "/b", "/c"};
    struct pmo_operation_load load;

    counts.latency[8].first_byte[0] = 10;
    for (int i = 0; i < 5; i++) { /* cart is asked for two of them */
        type.status_class = i < 3 ? 2 : 5;
        (void)snprintf(type.peer, sizeof(type.peer), "%s", peers[i / 3]);
        (void)snprintf(type.route, sizeof(type.route), "%s", routes[i % 3]);
        CU_ASSERT_EQUAL(pmo_operations_add(set, &type, T0, T0, &counts), i);
        type.status_class = PMO_STATUS_ARRIVED;
        CU_ASSERT_EQUAL(pmo_operations_add(set, &type, T0, T0, &counts), i);
    }
    pmo_operations_load_of_peer(set, "stock", T0, &load);
    CU_ASSERT(load.arrived == 30 && load.rps == 30 && load.requests[2] == 30);
    CU_ASSERT(load.finished == 15 && load.request_bytes == 300 && load.request_bytes_per_s == 300);
    CU_ASSERT_DOUBLE_EQUAL(load.first_byte_mean_us, 3000, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(load.last_byte_mean_us, 10000, 1e-9);
    CU_ASSERT_TRUE(load.first_byte_p99_us > pmo_latency_bucket_us(15) &&
                   load.first_byte_p99_us <= pmo_latency_bucket_us(16));
    CU_ASSERT_EQUAL(load.error_rate, 0);
    pmo_operations_load_of_peer(set, "cart", T0, &load);
    CU_ASSERT(load.arrived == 20 && load.requests[5] == 20 && load.error_rate == 1);
    pmo_operations_load_of_peer(set, "nobody", T0, &load);
    CU_ASSERT(load.arrived == 0 && isnan(load.first_byte_mean_us) && isnan(load.error_rate));
    pmo_operations_free(&set);
}

/* Calls that left: of six of ten it is known that they did so 30 ms after their request. */
static void delays_are_of_calls_whose_request_is_known(void)
{
    struct pmo_operations *set = fresh();
    struct pmo_type type = {.direction = PMO_OUTBOUND,
                            .status_class = PMO_STATUS_ARRIVED,
                            .route = "/a",
                            .peer = "stock"};
    struct pmo_counts counts = {.requests = 10, .finished = 6, .first_byte_ns = 180000000};
    struct pmo_operation_load load;

    counts.latency[10].first_byte[1] = 6;
    CU_ASSERT_EQUAL(pmo_operations_add(set, &type, T0 - 2, T0 - 1, &counts), 0);
    (void)strcpy(type.route, "/b");
    CU_ASSERT_EQUAL(pmo_operations_add(set, &type, T0, T0, &(struct pmo_counts){.requests = 5}), 1);
    pmo_operations_load(set, 1, T0, &load);
    CU_ASSERT(load.arrived == 5 && load.delays == 0 && isnan(load.delay_mean_us));
    pmo_operations_load_of_peer(set, "stock", T0, &load);
    CU_ASSERT(load.arrived == 15 && load.delays == 6 && load.finished == 0);
    CU_ASSERT_DOUBLE_EQUAL(load.delay_mean_us, 30000, 1e-9);
    CU_ASSERT(load.delay_p50_us > pmo_latency_bucket_us(20) &&
              load.delay_p99_us <= pmo_latency_bucket_us(21));
    CU_ASSERT(isnan(load.first_byte_mean_us) && isnan(load.first_byte_p50_us));
    pmo_operations_load_of_peer(set, "stock", T0 + 60, &load); /* the last minute knows nothing */
    CU_ASSERT(load.delays == 6 && isnan(load.delay_mean_us) && isnan(load.delay_p50_us));
    /* of what is served, nothing but its number is there */
    type.direction = PMO_INBOUND;
    (void)strcpy(type.route, "/c");
    CU_ASSERT_EQUAL(pmo_operations_add(set, &type, T0, T0, &counts), 2);
    pmo_operations_load(set, 2, T0, &load);
    CU_ASSERT(load.arrived == 10 && load.delays == 0);
    pmo_operations_free(&set);
}

static void what_covers_a_gap_is_in_the_totals_once_and_spread_over_the_minute(void)
{
    struct pmo_operations *set = fresh();
    struct pmo_type type = {.protocol = PMO_PROTOCOL_GRPC, .status_class = 2, .route = "/a"};
    struct pmo_counts old = {.requests = 600, .finished = 600, .response_bytes = 6000};
    struct pmo_counts recent = {.requests = 100};
    struct pmo_operation_load load;

    old.latency[5].first_byte[0] = 600;
    recent.latency[15].first_byte[0] = 100;
    CU_ASSERT_EQUAL(pmo_operations_add(set, &type, T0 - 540, T0 + 59, &old), 0);
    CU_ASSERT_EQUAL(pmo_operations_add(set, &type, T0 + 59, T0 + 59, &recent), 0);
    pmo_operations_load(set, 0, T0 + 59, &load);
    CU_ASSERT_EQUAL(load.finished, 600);
    CU_ASSERT_EQUAL(load.response_bytes_per_s, 10);
    /* of the old ones one in ten is in this minute: the others are the median */
    CU_ASSERT_TRUE(load.first_byte_p50_us > pmo_latency_bucket_us(29));
    pmo_operations_free(&set);
}

static void a_full_set_counts_the_rest_as_other(void)
{
    struct pmo_operations *set = fresh();
    struct pmo_operation_load load;
    char route[32];

    for (unsigned int i = 0; i < PMO_OPERATIONS_MAX + 10; i++) {
        (void)snprintf(route, sizeof(route), "/%u", i);
        arrive(set, route, T0, 1);
    }
    arrive(set, "/1", T0, 1); /* keeps its row */
    CU_ASSERT_EQUAL_FATAL(pmo_operations_count(set), PMO_OPERATIONS_MAX);
    CU_ASSERT_STRING_EQUAL(pmo_operations_at(set, PMO_OPERATIONS_MAX - 1)->route, "{other}");
    pmo_operations_load(set, PMO_OPERATIONS_MAX - 1, T0, &load);
    CU_ASSERT_EQUAL(load.arrived, 11);
    pmo_operations_load(set, 1, T0, &load);
    CU_ASSERT_EQUAL(load.arrived, 2);
    pmo_operations_free(&set);
}

SUITE(operations) = {
    TEST(what_arrived_and_did_not_end_is_in_flight),
    TEST(ends_of_requests_that_arrived_before_the_agent_leave_nothing),
    TEST(requests_in_flight_are_no_more_than_the_gauge),
    TEST(what_was_cut_short_is_forgotten_when_the_instance_is_idle),
    TEST(the_status_classes_of_an_operation_are_one_row),
    TEST(rates_are_those_of_the_last_second),
    TEST(latencies_are_those_of_the_last_minute),
    TEST(the_load_of_a_peer_is_that_of_all_calls_to_it),
    TEST(delays_are_of_calls_whose_request_is_known),
    TEST(what_covers_a_gap_is_in_the_totals_once_and_spread_over_the_minute),
    TEST(a_full_set_counts_the_rest_as_other),
    {0},
};
