/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests on real sockets, counted by the real programs: what is counted is what was sent. */
#include "tests/unit/suite.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include "agent/base/log.h"
#include "agent/observe/symbols.h"
#include "tests/bpf/world.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct world w;

static void requests_are_counted_by_method_route_and_status(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    CU_ASSERT(wire.instance > 0);
    for (int i = 0; i < 5; i++) {
        wire_request(&wire, "GET /users/42?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        wire_response(&wire, OK);
    }
    wire_request(&wire, "POST /cart HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 1);
    wire_response(&wire, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    wire_request(&wire, "GET /users/977 HTTP/1.1\r\nHost: a\r\n\r\n");
    wire_response(&wire, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/users/{id}"), 5);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 4, "/users/{id}"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_POST, 5, "/cart"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 7);
    CU_ASSERT_EQUAL(w.instances[wire.instance].arrivals, 7);
    CU_ASSERT_EQUAL(w.instances[wire.instance].connections, 1);
    CU_ASSERT_EQUAL(w.instances[wire.instance].closes, 1);
    world_close(&w, false);
}

/* What bpf/direct.h takes. */
static bool kernel_reads_anywhere(void)
{
    struct btf *btf = btf__load_vmlinux_btf();
    bool able = btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0 &&
                btf__find_by_name_kind(btf, "skb_frag", BTF_KIND_STRUCT) > 0;

    btf__free(btf);
    return able;
}

/* Heads of all lengths, up to twice as long as what is read at once, with bodies. */
static void exchange_heads(struct wire *wire, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        char request[1200], response[1200];

        (void)snprintf(request, sizeof(request), "GET /long HTTP/1.1\r\nX: %0*d\r\n\r\n",
                       1 + i * 7 % 1000, 0);
        (void)snprintf(response, sizeof(response),
                       "HTTP/1.1 200 OK\r\nX: %0*d\r\nContent-Length: 2\r\n\r\nok",
                       1 + i * 11 % 1000, 0);
        wire_request(wire, request);
        wire_response(wire, response);
    }
}

static void segments_are_read_where_they_lie(void)
{
    const volatile struct pmo_control *control;
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    exchange_heads(&wire, 1000);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/long"), 1000);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 1000);
    control = pmo_kernel_control(w.kernel);
    CU_ASSERT_EQUAL(control->direct_wrong, 0);
    CU_ASSERT_EQUAL(control->direct > 0, kernel_reads_anywhere());
    world_close(&w, false);
}

static void memory_that_is_elsewhere_is_found_out(void)
{
    struct pmo_symbol code = {.name = "sk_filter_trim_cap"};
    struct wire wire;

    pmo_symbols_find(&code, 1);
    CU_ASSERT_FATAL(code.address);
    pmo_kernel_page_offset_at = code.address;
    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    exchange_heads(&wire, 200);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/long"), 200);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 200);
    CU_ASSERT_EQUAL(pmo_kernel_control(w.kernel)->direct, 0);
    CU_ASSERT_EQUAL(pmo_kernel_control(w.kernel)->direct_wrong > 0, kernel_reads_anywhere());
    world_close(&w, false);
    pmo_kernel_page_offset_at = 0;
}

static void ipv6_is_counted_like_ipv4(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET6));
    wire_request(&wire, "GET /six HTTP/1.1\r\nHost: a\r\n\r\n");
    wire_response(&wire, OK);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/six"), 1);
    world_close(&w, false);
}

static void heads_and_bodies_may_be_split_anywhere(void)
{
    static const char request[] = "POST /split/77 HTTP/1.1\r\nContent-Length: 19\r\n\r\n"
                                  "GET /no HTTP/1.1\r\n\r\n";
    static const char response[] = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "5\r\nhello\r\n0\r\n\r\n";
    struct wire wire;
    int n = (int)sizeof(request) - 1, m = (int)sizeof(response) - 1;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    for (int split = 1; split < n; split++) {
        int at = split % (m - 1) + 1;

        wire_send(wire.client, wire.server, request, (size_t)split);
        wire_send(wire.client, wire.server, request + split, (size_t)(n - split));
        wire_send(wire.server, wire.client, response, (size_t)at);
        CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 1);
        wire_send(wire.server, wire.client, response + at, (size_t)(m - at));
        CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    }
    for (int i = 0; i < n; i++)
        wire_send(wire.client, wire.server, request + i, 1);
    for (int i = 0; i < m; i++)
        wire_send(wire.server, wire.client, response + i, 1);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_POST, 2, "/split/{id}"), n);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), n);
    world_close(&w, false);
}

static void pipelined_requests_are_matched_with_their_responses(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_pipeline(&wire, false);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 600);
    wire_pipeline(&wire, true);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/a"), 200);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 4, "/c"), 200);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_HEAD, 3, "/b"), 200);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 600);
    world_close(&w, false);
}

static void requests_without_an_answer_are_counted_as_aborted(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, "GET /slow HTTP/1.1\r\n\r\nGET /slow HTTP/1.1\r\n\r\nGET /half HTT");
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 2);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 0, "/slow"), 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 0, "/half"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 3);
    world_close(&w, false);
}

static void interim_responses_answer_nothing(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    wire_response(&wire, "HTTP/1.1 100 Continue\r\n\r\n");
    wire_request(&wire, "ok");
    wire_response(&wire, "HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n");
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 1);
    wire_response(&wire, OK);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    wire_request(&wire, "GET /b HTTP/1.1\r\n\r\n");
    wire_response(&wire,
                  "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_PUT, 2, "/a"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 4, "/b"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 2);
    world_close(&w, false);
}

static void responses_without_a_body_end_with_their_head(void)
{
    static const char *const heads[] = {"HTTP/1.1 204 No Content\r\n\r\n",
                                        "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\n\r\n"};
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    for (int i = 0; i < 5; i++) {
        wire_request(&wire, i < 2 ? "GET /a HTTP/1.1\r\n\r\n" : "HEAD /a HTTP/1.1\r\n\r\n");
        wire_response(&wire, heads[i]);
        CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
        wire_request(&wire, "GET /b HTTP/1.1\r\n\r\n");
        wire_response(&wire, OK);
    }
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, -1, "/a"), 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_HEAD, 2, "/a"), 3);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/b"), 5);
    world_close(&w, false);
}

/* What follows looks like HTTP in both directions, and is not. */
static void talk_of_something_else(struct wire *wire)
{
    wire_request(wire, "GET /no HTTP/1.1\r\nHost: a\r\n\r\n");
    wire_response(wire, OK);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire->instance), 0);
}

static void an_upgrade_ends_the_counting_on_its_connection(void)
{
    static const char request[] = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                                  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, request); /* which the server passes over, RFC 9110 7.8 */
    wire_response(&wire, OK);
    wire_request(&wire, "GET /still HTTP/1.1\r\n\r\n");
    wire_response(&wire, OK);
    wire_request(&wire, request);
    wire_response(&wire, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                         "Upgrade: websocket\r\n\r\n");
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    talk_of_something_else(&wire);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/chat"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/still"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 1, "/chat"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 3);
    world_close(&w, false);
}

static void a_tunnel_is_one_request_whatever_it_carries(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    wire_response(&wire, "HTTP/1.1 407 Who Are You\r\nContent-Length: 2\r\n\r\nno");
    wire_request(&wire, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    wire_response(&wire, "HTTP/1.1 200 Connected\r\n\r\n");
    talk_of_something_else(&wire);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_CONNECT, 4, "/"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_CONNECT, 2, "/"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 2);
    world_close(&w, false);
}

static void requests_of_any_method_and_form_are_counted(void)
{
    static const char *const requests[] = {
        "get /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "BREW /a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a.example:80/a?q HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET /a HTTP/1.0\r\n\r\n",
        "GET  /a  HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding: gzip,\r\n chunked\r\n\r\n"
        "1a;b=\"c\"\r\nGET /no HTTP/1.1\r\n\r\nabcdef\r\n0;d\r\nTrailer: e\r\n f\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        wire_request(&wire, requests[i]);
        CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 1);
        wire_response(&wire, OK);
        CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    }
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_OTHER, 2, "/a"), 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/a"), 3);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_POST, 2, "/a"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_OPTIONS, 2, "*"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 7);
    world_close(&w, false);
}

static void a_path_of_64_kib_and_a_body_of_a_mebibyte_are_one_request_each(void)
{
    static char request[1 << 21];
    struct wire wire;
    size_t n;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    n = (size_t)snprintf(request, sizeof(request), "GET /");
    memset(request + n, 'p', 65536);
    n += 65536;
    n += (size_t)snprintf(request + n, 64, " HTTP/1.1\r\n\r\n");
    wire_send(wire.client, wire.server, request, n);
    wire_response(&wire, OK);
    n = (size_t)snprintf(request, sizeof(request),
                         "PUT /big HTTP/1.1\r\nContent-Length: %d\r\n\r\n", 1 << 20);
    for (int i = 0; i < 1 << 20; i += 32)
        memcpy(request + n + i, "GET /fake HTTP/1.1\r\nHost: a\r\n\r\n\n", 32);
    wire_send(wire.client, wire.server, request, n + (1 << 20));
    wire_response(&wire, OK);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_PUT, 2, "/big"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, NULL), 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, "/fake"), 0);
    world_close(&w, false);
}

static void what_is_not_http_is_left_alone(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_response(&wire, "220 mail.example ESMTP\r\n");
    wire_request(&wire, "EHLO me\r\n");
    wire_response(&wire, "250 ok\r\n");
    wire_request(&wire, "GET / HTTP/1.1\r\n\r\n");
    wire_response(&wire, "500 what\r\n");
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 0);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    CU_ASSERT(pmo_kernel_control(w.kernel)->not_http >= 1);
    world_close(&w, false);
}

static void latency_is_the_time_to_the_first_byte(void)
{
    const struct counted_type *type;
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, "GET /wait HTTP/1.1\r\n\r\n");
    (void)usleep(50000);
    wire_response(&wire, "HTTP/1.1 200 OK\r\nContent-");
    (void)usleep(50000);
    wire_response(&wire, "Length: 2\r\n\r\nok");
    wire_close(&wire);
    world_settle(&w);
    type = world_type(&w, wire.instance);
    CU_ASSERT_PTR_NOT_NULL_FATAL(type);
    CU_ASSERT(type->latency_ns >= 50000000 && type->latency_ns < 100000000);
    CU_ASSERT_EQUAL(type->in_buckets, 1);
    world_close(&w, false);
}

static void requests_are_counted_once_over_an_agent_restart(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, "GET /a HTTP/1.1\r\n\r\n");
    wire_response(&wire, OK);
    wire_request(&wire, "GET /a HTTP/1.1\r\nHo"); /* the agent goes in mid-head */
    world_close(&w, true);
    wire_request(&wire, "st: b\r\n\r\n");
    wire_response(&wire, OK);
    for (int i = 0; i < 3; i++) { /* over several windows without an agent */
        wire_request(&wire, "GET /b HTTP/1.1\r\n\r\n");
        wire_response(&wire, OK);
        (void)usleep(1100000);
    }
    wire_request(&wire, "GET /c HTTP/1.1\r\n\r\n");
    CU_ASSERT_FATAL(world_reopen(&w));
    CU_ASSERT(pmo_kernel_adopted(w.kernel));
    wire_response(&wire, OK);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/a"), 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/b"), 3);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/c"), 1);
    CU_ASSERT_EQUAL(w.instances[wire.instance].arrivals, 6);
    world_close(&w, false);
}

/* What was drained but not committed is handed out again: it was not on disk. */
static void uncommitted_records_are_read_again_by_the_next_agent(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, "GET /a HTTP/1.1\r\n\r\n");
    wire_response(&wire, OK);
    (void)usleep(1200000);
    (void)pmo_kernel_drain(w.kernel); /* and no commit */
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/a"), 1);
    world_close(&w, true);
    w.types_count = 0;
    CU_ASSERT_FATAL(world_reopen(&w));
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/a"), 1);
    world_close(&w, false);
}

static void a_full_ring_delays_counts_and_loses_none(void)
{
    struct wire wire;
    uint32_t usual = pmo_kernel_ring_bytes;
    uint64_t sent = 0;

    pmo_kernel_ring_bytes = 4096;
    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    for (int second = 0; second < 3; second++) { /* nobody drains */
        for (int i = 0; i < 40; i++) {
            char request[64];

            (void)snprintf(request, sizeof(request), "GET /route-%c%c HTTP/1.1\r\n\r\n",
                           'a' + i / 26, 'a' + i % 26);
            wire_request(&wire, request);
            wire_response(&wire, OK);
            sent++;
        }
        (void)usleep(1000000);
    }
    CU_ASSERT(pmo_kernel_control(w.kernel)->ring_full > 0);
    wire_close(&wire);
    for (int i = 0; i < 12; i++) /* a few records fit at a time */
        world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, NULL), sent);
    CU_ASSERT_EQUAL(w.instances[wire.instance].arrivals, sent);
    world_close(&w, false);
    pmo_kernel_ring_bytes = usual;
}

static void connections_from_before_are_joined_at_their_next_request(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, "GET /a HTTP/1.1\r\n\r\n");
    wire_response(&wire, OK);
    world_close(&w, false); /* all is removed: the next one starts from nothing */
    wire_request(&wire, "POST /lost HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    CU_ASSERT_FATAL(world_load(&w));
    CU_ASSERT_FATAL(wire.instance > 0);
    {
        struct pmo_listener address = {.port = wire.port,
                                       .addr = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
        socklen_t size = sizeof(address.netns);
        uint32_t id;

        (void)getsockopt(wire.client, SOL_SOCKET, SO_NETNS_COOKIE, &address.netns, &size);
        CU_ASSERT_EQUAL_FATAL(pmo_kernel_instance(w.kernel, &address, 1, 0, 1, &id), 0);
        CU_ASSERT_EQUAL_FATAL(pmo_kernel_start(w.kernel), 0);
        wire_request(&wire, "cd"); /* the rest of the body is not a request */
        wire_response(&wire, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        wire_request(&wire, "GET /b HTTP/1.1\r\n\r\n");
        wire_response(&wire, OK);
        wire_close(&wire);
        world_settle(&w);
        CU_ASSERT(pmo_kernel_control(w.kernel)->midstream >= 1);
        CU_ASSERT_EQUAL(world_requests(&w, (int)id, PMO_METHOD_GET, 2, "/b"), 1);
        CU_ASSERT_EQUAL(world_requests(&w, (int)id, -1, -1, "{other}"), 1); /* only its answer */
        CU_ASSERT_EQUAL(world_requests(&w, (int)id, -1, -1, NULL), 2);
    }
    world_close(&w, false);
}

static void pins_of_another_version_are_refused_and_kept(void)
{
    struct pmo_control control;
    char path[128];
    uint32_t zero = 0, kept;
    int fd;

    CU_ASSERT_FATAL(world_open(&w));
    world_close(&w, true);
    (void)snprintf(path, sizeof(path), "%s/pmo/control", w.bpffs);
    fd = bpf_obj_get(path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(bpf_map_lookup_elem(fd, &zero, &control), 0);
    kept = control.abi_version;
    control.abi_version = kept + 1;
    CU_ASSERT_EQUAL(bpf_map_update_elem(fd, &zero, &control, 0), 0);
    CU_ASSERT_FALSE(world_reopen(&w));
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    control.abi_version = kept;
    CU_ASSERT_EQUAL(bpf_map_update_elem(fd, &zero, &control, 0), 0);
    (void)close(fd);
    CU_ASSERT(world_reopen(&w));
    world_close(&w, false);
}

static void two_agents_do_not_share_their_pins(void)
{
    static struct world second;

    CU_ASSERT_FATAL(world_open(&w));
    memcpy(second.bpffs, w.bpffs, sizeof(second.bpffs));
    CU_ASSERT_FALSE(world_reopen(&second));
    world_close(&w, true);
    CU_ASSERT(world_reopen(&w)); /* the lock goes with its holder */
    world_close(&w, false);
}

/* A query, and what comes back. */
static void ask_over_udp(int client, int server, const struct sockaddr_in *to, bool answered)
{
    static const unsigned char query[] = "\0\1\1\0\0\1\0\0\0\0\0\0\4here\4test\0\0\1\0\1";
    unsigned char bytes[64];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);

    CU_ASSERT(sendto(client, query, sizeof(query) - 1, 0, (const void *)to, sizeof(*to)) > 0);
    CU_ASSERT_FATAL(recvfrom(server, bytes, sizeof(bytes), 0, (void *)&from, &size) > 0);
    bytes[2] |= 0x80;
    if (answered)
        CU_ASSERT(sendto(server, bytes, sizeof(query) - 1, 0, (void *)&from, size) > 0);
}

/* Not before its port is looked at, and not by what is sent to many: neighbours ask like that. */
static void who_is_asked_over_udp_alone_is_an_instance(void)
{
    static const struct timeval second = {.tv_sec = 1};
    struct sockaddr_in at = {.sin_family = AF_INET}, group = {.sin_family = AF_INET};
    struct ip_mreq member = {.imr_interface.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(at);
    uint32_t instance;

    CU_ASSERT_FATAL(world_open(&w));
    member.imr_multiaddr.s_addr = group.sin_addr.s_addr = htonl(0xe00000fb); /* that of mDNS */
    CU_ASSERT_FATAL(!bind(server, (void *)&at, size) && !getsockname(server, (void *)&at, &size));
    CU_ASSERT_FATAL(!setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)));
    CU_ASSERT_FATAL(!setsockopt(server, IPPROTO_IP, IP_ADD_MEMBERSHIP, &member, sizeof(member)));
    CU_ASSERT_FATAL(!setsockopt(client, IPPROTO_IP, IP_MULTICAST_IF, &member.imr_interface,
                                sizeof(member.imr_interface)));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    group.sin_port = at.sin_port;
    ask_over_udp(client, server, &at, true);
    pmo_kernel_datagrams(w.kernel, ntohs(at.sin_port));
    ask_over_udp(client, server, &group, false);
    CU_ASSERT_EQUAL(world_instance(&w, server), 0);
    for (int i = 0; i < 3; i++)
        ask_over_udp(client, server, &at, true);
    instance = world_instance(&w, server);
    CU_ASSERT_FATAL(instance > 0);
    ask_over_udp(client, server, &group, true);
    (void)close(client);
    (void)close(server);
    world_settle(&w);
    CU_ASSERT_EQUAL(w.instances[instance].arrivals, 4);
    CU_ASSERT_EQUAL(world_requests(&w, (int)instance, -1, 2, "A"), 4);
    CU_ASSERT_EQUAL(w.events[instance][PMO_EVENT_LISTENING], 1);
    CU_ASSERT_EQUAL(world_in_flight(&w, instance), 0);
    world_close(&w, false);
}

SUITE(requests) = {TEST(requests_are_counted_by_method_route_and_status),
                   TEST(segments_are_read_where_they_lie),
                   TEST(memory_that_is_elsewhere_is_found_out),
                   TEST(ipv6_is_counted_like_ipv4),
                   TEST(heads_and_bodies_may_be_split_anywhere),
                   TEST(pipelined_requests_are_matched_with_their_responses),
                   TEST(requests_without_an_answer_are_counted_as_aborted),
                   TEST(interim_responses_answer_nothing),
                   TEST(responses_without_a_body_end_with_their_head),
                   TEST(an_upgrade_ends_the_counting_on_its_connection),
                   TEST(a_tunnel_is_one_request_whatever_it_carries),
                   TEST(requests_of_any_method_and_form_are_counted),
                   TEST(a_path_of_64_kib_and_a_body_of_a_mebibyte_are_one_request_each),
                   TEST(what_is_not_http_is_left_alone),
                   TEST(latency_is_the_time_to_the_first_byte),
                   TEST(requests_are_counted_once_over_an_agent_restart),
                   TEST(uncommitted_records_are_read_again_by_the_next_agent),
                   TEST(a_full_ring_delays_counts_and_loses_none),
                   TEST(connections_from_before_are_joined_at_their_next_request),
                   TEST(pins_of_another_version_are_refused_and_kept),
                   TEST(two_agents_do_not_share_their_pins),
                   TEST(who_is_asked_over_udp_alone_is_an_instance),
                   {0}};
