/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How connections begin and end: each request is counted once (segments_world.h). */
#include "tests/unit/suite.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include "tests/bpf/segments_world.h"

/* ---- handshakes ------------------------------------------------------------------------------ */

/* The last packet of the handshake gets lost: the first request brings it. */
static void early(int listener, int family, void (*options)(int socket))
{
    struct flow f;

    segments_begin_with(listener, options);
    for (int bare = 0; bare < 2; bare++) {
        flow_init(&f, &service, family, FIRST);
        CU_ASSERT_FATAL(flow_syn(&f, NULL, 0));
        if (bare && options) /* TCP_DEFER_ACCEPT: it is not enough for a connection */
            flow_put(&f, 0, NULL, 0, TCP_ACK_FLAG);
        flow_part(&f, POST, 0, strlen(POST));
        CU_ASSERT_FATAL(flow_accept(&f));
        CU_ASSERT(flow_taken(&f, POST, strlen(POST)));
        flow_answer(&f, OK);
        flow_part(&f, POST, 0, strlen(POST)); /* again: nobody knows it was not a new one yet */
        CU_ASSERT(flow_taken(&f, POST, strlen(POST)));
        flow_answer(&f, NOT_FOUND);
        flow_close(&f);
    }
    END(0, {PMO_METHOD_POST, 2, "/cart", 2}, {PMO_METHOD_POST, 4, "/cart", 2});
}

static void a_request_may_come_with_the_end_of_a_handshake(void)
{
    early(AF_INET, AF_INET, NULL);
    early(AF_INET6, AF_INET6, NULL);
    early(AF_INET6, AF_INET, NULL);
}

static void defer(int socket)
{
    int seconds = 5;

    CU_ASSERT(!setsockopt(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)));
}

static void a_listener_may_wait_for_the_first_request(void)
{
    early(AF_INET, AF_INET, defer);
    early(AF_INET6, AF_INET, defer);
}

static void fast(int socket)
{
    int queue = 16;

    CU_ASSERT(!system("echo 0x603 >/proc/sys/net/ipv4/tcp_fastopen")); /* takes no cookie */
    CU_ASSERT(!setsockopt(socket, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)));
}

static void a_request_may_come_with_the_first_packet(void)
{
    struct flow f;

    segments_begin_with(AF_INET6, fast);
    for (int v6 = 0; v6 < 2; v6++) {
        flow_init(&f, &service, v6 ? AF_INET6 : AF_INET, FIRST);
        CU_ASSERT_FATAL(flow_syn(&f, GET, strlen(GET)));
        CU_ASSERT_EQUAL_FATAL(flow_accept(&f), true); /* before the handshake's end */
        CU_ASSERT(flow_taken(&f, GET, strlen(GET)));
        flow_answer(&f, OK);
        flow_put(&f, 0, NULL, 0, TCP_ACK_FLAG);
        segments_exchange(&f, POST, NOT_FOUND);
        flow_close(&f);
    }
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", 2}, {PMO_METHOD_POST, 4, "/cart", 2});
}

static void cookies(int socket)
{
    CU_ASSERT(!system("echo 2 >/proc/sys/net/ipv4/tcp_syncookies"));
}

static void a_listener_may_use_syn_cookies(void)
{
    early(AF_INET, AF_INET, cookies);
    early(AF_INET6, AF_INET6, cookies);
}

/* Its last packet and the first segment are lost: the second segment ends it. */
static void a_handshake_may_end_with_data_out_of_turn(void)
{
    struct flow f;
    size_t n = strlen(POST);

    segments_begin();
    for (size_t at = 1; at < n; at++) {
        flow_init(&f, &service, at % 2 ? AF_INET : AF_INET6, FIRST);
        CU_ASSERT_FATAL(flow_syn(&f, NULL, 0));
        flow_part(&f, POST, at, n);
        CU_ASSERT_FATAL(flow_accept(&f));
        flow_part(&f, POST, 0, at);
        CU_ASSERT(flow_taken(&f, POST, n));
        flow_answer(&f, OK);
        segments_exchange(&f, GET, NOT_FOUND);
        flow_close(&f);
    }
    END(0, {PMO_METHOD_POST, 2, "/cart", n - 1}, {PMO_METHOD_GET, 4, "/items/{id}", n - 1});
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void the_end_of_a_connection_may_come_with_a_request(void)
{
    struct flow f;

    segments_begin();
    for (int half = 0; half < 2; half++) { /* in one segment; its first half late */
        size_t at = half ? 9 : 0;

        segments_open(&f, FIRST);
        flow_put(&f, (int64_t)at, GET + at, strlen(GET) - at, FLAGS | TCP_FIN_FLAG);
        if (half)
            flow_part(&f, GET, 0, at);
        flow_put(&f, (int64_t)at, GET + at, strlen(GET) - at, FLAGS | TCP_FIN_FLAG);
        flow_answer(&f, OK);
        flow_close(&f);
    }
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", 2});
}

static void a_request_without_an_end_is_counted_as_aborted(void)
{
    struct flow f;
    uint64_t known = 0, unknown = 0;

    segments_begin();
    for (size_t at = 1; at < strlen(GET); at++) { /* in mid-head */
        segments_open(&f, FIRST);
        flow_part(&f, GET, 0, at);
        if (at % 2)
            flow_put(&f, (int64_t)at, NULL, 0, TCP_RST_FLAG);
        else
            flow_put(&f, (int64_t)at, NULL, 0, TCP_ACK_FLAG | TCP_FIN_FLAG);
        flow_close(&f);
        if (at > strlen("GET /items/42"))
            known++;
        else
            unknown++;
    }
    segments_open(&f, FIRST); /* in mid-body */
    flow_part(&f, POST, 0, strlen(POST) - 5);
    flow_put(&f, (int64_t)strlen(POST) - 5, NULL, 0, TCP_RST_FLAG);
    flow_close(&f);
    segments_open(&f, FIRST); /* before the answer, and before its end */
    flow_part(&f, GET GET "HEAD", 0, 2 * strlen(GET) + 4);
    flow_answer(&f, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    flow_put(&f, 2 * (int64_t)strlen(GET) + 4, NULL, 0, TCP_RST_FLAG);
    flow_close(&f);
    segments_open(&f, FIRST); /* nothing, and an empty line, are no requests */
    flow_put(&f, 0, NULL, 0, TCP_RST_FLAG);
    flow_close(&f);
    segments_open(&f, FIRST);
    flow_part(&f, GET "\r\n", 0, strlen(GET) + 2);
    flow_answer(&f, NOT_FOUND);
    flow_put(&f, (int64_t)strlen(GET) + 2, NULL, 0, TCP_RST_FLAG);
    flow_close(&f);
    END(0, {PMO_METHOD_GET, 0, "/items/{id}", known + 1}, {-1, 0, "{other}", unknown + 1},
        {PMO_METHOD_POST, 0, "/cart", 1}, {PMO_METHOD_GET, 2, "/items/{id}", 1},
        {PMO_METHOD_GET, 4, "/items/{id}", 1});
}

/* 408, 414, 431: the server does not wait for the end of the head. */
static void a_head_that_is_answered_before_its_end_is_one_request(void)
{
    static const char refused[] = "HTTP/1.1 431 No\r\nContent-Length: 0\r\n\r\n";
    struct flow f;
    uint64_t n = strlen(GET), known = strlen("GET /items/42");

    segments_begin();
    for (size_t at = 1; at < n; at++) {
        segments_open(&f, FIRST);
        segments_exchange(&f, GET, OK);
        flow_part(&f, GET, 0, at);
        flow_answer(&f, refused);
        if (at % 2) /* the rest comes nevertheless */
            flow_part(&f, GET, at, n);
        flow_close(&f);
        flow_put(&f, 0, NULL, 0, TCP_RST_FLAG);
    }
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", n - 1},
        {PMO_METHOD_GET, 4, "/items/{id}", n - 1 - known}, {-1, 4, "{other}", known});
}

SUITE(handshakes) = {TEST(a_request_may_come_with_the_end_of_a_handshake),
                     TEST(a_listener_may_wait_for_the_first_request),
                     TEST(a_request_may_come_with_the_first_packet),
                     TEST(a_listener_may_use_syn_cookies),
                     TEST(a_handshake_may_end_with_data_out_of_turn),
                     TEST(the_end_of_a_connection_may_come_with_a_request),
                     TEST(a_request_without_an_end_is_counted_as_aborted),
                     TEST(a_head_that_is_answered_before_its_end_is_one_request),
                     {0}};
