/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Segments out of turn, which are kept until their turn: each request is counted once
 * (segments_world.h). */
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>
#include "tests/bpf/segments_world.h"

#define STASH_BYTES (12 << 20) /* more than all connections together keep */

/* A request of @length bytes, with a long path and a long header. */
static void long_request(char *to, size_t length)
{
    size_t n = (size_t)sprintf(to, "GET /long/");

    memset(to + n, 'p', length / 3);
    n += length / 3;
    n += (size_t)sprintf(to + n, " HTTP/1.1\r\nCookie: ");
    memset(to + n, 'c', length - n - 4);
    (void)sprintf(to + length - 4, "\r\n\r\n");
}

static void segments_of_any_size_come_out_of_turn(void)
{
    static const size_t sizes[] = {2038, 2039, 2040, 2041, 4080, 4081, 20000, 40000, 65000};
    static char stream[70000];
    struct flow f;
    uint64_t rounds = 0;

    segments_begin();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = strlen(GET) + sizes[i], size = n + strlen(POST);

        memcpy(stream, GET, sizeof(GET));
        long_request(stream + strlen(GET), sizes[i]);
        memcpy(stream + n, POST, sizeof(POST));
        for (size_t cut = 0; cut < 3; cut++) { /* in one segment, with the beginning of a next */
            segments_open(&f, 0U - 3000);
            flow_part(&f, stream, n + cut, size);
            flow_part(&f, stream, strlen(GET) - cut, n + cut);
            flow_part(&f, stream, 0, strlen(GET));
            CU_ASSERT(flow_taken(&f, stream, size));
            flow_answer(&f, OK NOT_FOUND OK);
            flow_close(&f);
            rounds++;
        }
    }
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", rounds}, {PMO_METHOD_GET, 4, NULL, rounds},
        {PMO_METHOD_POST, 2, "/cart", rounds});
}

/* One more segment out of turn than a connection keeps: its request is known by its answer only,
 * and from the next request on all is as it was. */
static void what_cannot_be_kept_is_marked_and_nothing_is_counted_twice(void)
{
    enum { ALL = 2 * KEPT + 3 };
    static char all[ALL * (sizeof(GET) - 1) + 1];
    struct flow f;
    size_t n = strlen(GET);

    for (size_t i = 0; i < ALL; i++)
        memcpy(all + i * n, GET, n + 1);
    segments_begin();
    segments_open(&f, FIRST);
    for (size_t i = 1; i < ALL; i++) /* those that continue one another are kept together */
        flow_part(&f, all, i * n, (i + 1) * n);
    flow_part(&f, all, 0, n);
    CU_ASSERT(flow_taken(&f, all, ALL * n));
    for (int i = 0; i < ALL; i++)
        flow_answer(&f, OK);
    for (size_t i = 2; i < ALL; i += 2) /* one more than can be kept: the last one is lost */
        flow_part(&f, all, i * n, (i + 1) * n);
    flow_part(&f, all, 0, n);
    for (size_t i = 1; i < ALL; i += 2)
        flow_part(&f, all, i * n, (i + 1) * n);
    CU_ASSERT(flow_taken(&f, all, ALL * n));
    for (int i = 0; i < ALL; i++)
        flow_answer(&f, OK);
    flow_put(&f, -(int64_t)n, GET, n, FLAGS); /* what was lost to us, late and again */
    segments_exchange(&f, POST, NOT_FOUND);
    flow_put(&f, -(int64_t)strlen(POST), POST, strlen(POST), FLAGS);
    flow_part(&f, GET, 7, n); /* segments out of turn are kept again */
    flow_part(&f, GET, 0, 7);
    CU_ASSERT(flow_taken(&f, GET, n));
    flow_answer(&f, NOT_FOUND);
    flow_close(&f);
    END(1, {PMO_METHOD_GET, 2, "/items/{id}", 2 * ALL - 1}, {PMO_METHOD_OTHER, 2, "{other}", 1},
        {PMO_METHOD_POST, 4, "/cart", 1}, {PMO_METHOD_GET, 4, "/items/{id}", 1});
}

/* A body is passed over by its length: what of it comes out of turn need not be kept. */
static void a_body_may_come_in_any_number_of_segments_out_of_turn(void)
{
    static char request[40000];
    struct flow f;
    size_t head, n = sizeof(request);

    segments_begin();
    segments_open(&f, FIRST);
    head = (size_t)sprintf(request, "PUT /upload HTTP/1.1\r\nContent-Length: %zu\r\n\r\n",
                           n - (size_t)sprintf(request, "PUT /upload HTTP/1.1\r\nContent-Length: "
                                                        "39950\r\n\r\n"));
    for (size_t i = head; i < n; i++)
        request[i] = GET[(i - head) % strlen(GET)];
    for (int round = 0; round < 3; round++) {
        flow_part(&f, request, 0, head + 10);
        for (size_t at = head + 500; at < n; at += 1000) /* every other one */
            flow_part(&f, request, at, at + 500 < n ? at + 500 : n);
        for (size_t at = head; at < n; at += 1000)
            flow_part(&f, request, at, at + 500 < n ? at + 500 : n);
        CU_ASSERT(flow_taken(&f, request, n));
        flow_answer(&f, OK);
        segments_exchange(&f, GET, NOT_FOUND);
    }
    flow_close(&f);
    END(0, {PMO_METHOD_PUT, 2, "/upload", 3}, {PMO_METHOD_GET, 4, "/items/{id}", 3});
}

static void an_overwritten_stash_is_marked_and_nothing_is_counted_twice(void)
{
    enum { FLOWS = STASH_BYTES / 60000 + 2 };
    static struct flow flows[FLOWS];
    static char big[60001];
    struct flow f;

    segments_begin();
    segments_open(&f, FIRST);
    flow_part(&f, GET GET, strlen(GET), 2 * strlen(GET));
    long_request(big, 60000);
    for (int i = 0; i < FLOWS; i++) {
        segments_open(&flows[i], FIRST);
        flow_part(&flows[i], big, 1, 60000);
        flow_close(&flows[i]); /* nothing of it was a request yet */
    }
    flow_part(&f, GET, 0, strlen(GET));
    CU_ASSERT(flow_taken(&f, GET GET, 2 * strlen(GET)));
    flow_answer(&f, OK OK);
    segments_exchange(&f, GET, NOT_FOUND);
    segments_exchange(&f, POST, OK);
    flow_close(&f);
    END(1, {PMO_METHOD_GET, 2, "/items/{id}", 1}, {PMO_METHOD_OTHER, 2, "{other}", 1},
        {PMO_METHOD_GET, 4, "/items/{id}", 1}, {PMO_METHOD_POST, 2, "/cart", 1});
}

SUITE(stash) = {TEST(segments_of_any_size_come_out_of_turn),
                TEST(what_cannot_be_kept_is_marked_and_nothing_is_counted_twice),
                TEST(a_body_may_come_in_any_number_of_segments_out_of_turn),
                TEST(an_overwritten_stash_is_marked_and_nothing_is_counted_twice),
                {0}};
