/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever TCP does to a stream, each request is counted once. The client is the test itself
 * (packets.h): it chooses every segment. What is compared with what was sent is what the kernel
 * side counted of the service, by method, route and status, and nothing else.
 *
 * Where segments are shuffled, the seed is printed; PMO_TESTS_SEED repeats it.
 */
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/bpf/packets.h"
#include "tests/bpf/world.h"

#define OK        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
#define GET       "GET /items/42?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST      "POST /cart HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\n" FAKE
#define FAKE      "GET /fake HTTP/1.1\r\n\r\nGET " /* a body that looks like a request */
#define FLAGS     (TCP_ACK_FLAG | TCP_PSH_FLAG)
#define FIRST     0x11223344U
/* segments out of turn that a connection keeps (STASHED_MAX), and all connections together */
#define KEPT        8
#define STASH_BYTES (12 << 20) /* more than it holds */

static struct world w;
static struct service service;
static uint32_t instance;
static uint64_t holes_before;

struct expected {
    int method, status_class;
    const char *route;
    uint64_t requests;
};

static uint64_t holes(void)
{
    return pmo_kernel_control(w.kernel)->holes - holes_before;
}

static void begin_with(int family, void (*options)(int socket))
{
    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(packets_open());
    CU_ASSERT_FATAL(service_open(&service, family, options));
    instance = world_instance(&w, service.listener);
    CU_ASSERT_FATAL(instance > 0);
    holes_before = pmo_kernel_control(w.kernel)->holes;
}

static void begin(void)
{
    begin_with(AF_INET6, NULL);
}

/* Everything was counted that is expected, up to an entry without requests, and nothing else. */
static void end(const struct expected *expected, uint64_t holes_expected)
{
    uint64_t sum = 0, found, wrong = 0;

    service_close(&service);
    packets_close();
    world_settle(&w);
    for (; expected->requests; expected++) {
        found = world_requests(&w, (int)instance, expected->method, expected->status_class,
                               expected->route);
        CU_ASSERT_EQUAL(found, expected->requests);
        wrong += found != expected->requests;
        sum += expected->requests;
    }
    found = world_requests(&w, (int)instance, -1, -1, NULL);
    CU_ASSERT_EQUAL(found, sum);
    CU_ASSERT_EQUAL(w.instances[instance].arrivals, sum);
    CU_ASSERT_EQUAL(holes(), holes_expected);
    CU_ASSERT_EQUAL(world_in_flight(&w, instance), 0);
    if (wrong || found != sum) {
        printf("\n    counted, with %llu holes:\n", (unsigned long long)holes());
        for (const struct counted_type *t = w.types; t < w.types + w.types_count; t++)
            if (t->key.instance == instance)
                printf("    method %u status %uxx %s: %llu\n", t->key.method, t->key.status_class,
                       t->route, (unsigned long long)t->requests);
    }
    world_close(&w, false);
}

#define END(holes, ...) end((const struct expected[]){__VA_ARGS__, {0}}, holes)

static uint64_t seed_of(void)
{
    const char *given = getenv("PMO_TESTS_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

    printf("seed %llu ... ", (unsigned long long)seed);
    return seed | 1;
}

/* Below @n. SplitMix64 (Steele, Lea, Flood 2014). */
static uint32_t random_below(uint64_t *state, uint32_t n)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (uint32_t)((z ^ z >> 31) % n);
}

static struct flow *opened(struct flow *f, uint32_t first)
{
    flow_init(f, &service, AF_INET, first);
    CU_ASSERT_FATAL(flow_open(f));
    return f;
}

static void whole(struct flow *f, const char *request, const char *response)
{
    flow_part(f, request, 0, strlen(request));
    CU_ASSERT(flow_taken(f, request, strlen(request)));
    flow_answer(f, response);
}

/* ---- handshakes ------------------------------------------------------------------------------ */

/* The last packet of the handshake gets lost: the first request brings it. */
static void early(int listener, int family, void (*options)(int socket))
{
    struct flow f;

    begin_with(listener, options);
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

    begin_with(AF_INET6, fast);
    for (int v6 = 0; v6 < 2; v6++) {
        flow_init(&f, &service, v6 ? AF_INET6 : AF_INET, FIRST);
        CU_ASSERT_FATAL(flow_syn(&f, GET, strlen(GET)));
        CU_ASSERT_EQUAL_FATAL(flow_accept(&f), true); /* before the handshake's end */
        CU_ASSERT(flow_taken(&f, GET, strlen(GET)));
        flow_answer(&f, OK);
        flow_put(&f, 0, NULL, 0, TCP_ACK_FLAG);
        whole(&f, POST, NOT_FOUND);
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

    begin();
    for (size_t at = 1; at < n; at++) {
        flow_init(&f, &service, at % 2 ? AF_INET : AF_INET6, FIRST);
        CU_ASSERT_FATAL(flow_syn(&f, NULL, 0));
        flow_part(&f, POST, at, n);
        CU_ASSERT_FATAL(flow_accept(&f));
        flow_part(&f, POST, 0, at);
        CU_ASSERT(flow_taken(&f, POST, n));
        flow_answer(&f, OK);
        whole(&f, GET, NOT_FOUND);
        flow_close(&f);
    }
    END(0, {PMO_METHOD_POST, 2, "/cart", n - 1}, {PMO_METHOD_GET, 4, "/items/{id}", n - 1});
}

/* ---- order ----------------------------------------------------------------------------------- */

static void requests_are_split_at_every_byte_in_and_out_of_order(void)
{
    struct flow f;
    uint64_t n = strlen(POST);

    begin();
    /* sequence numbers begin anew in the middle of it */
    opened(&f, 0U - (uint32_t)n * (uint32_t)n);
    for (int reversed = 0; reversed < 2; reversed++) {
        for (size_t at = 1; at < n; at++) {
            flow_part(&f, POST, reversed ? at : 0, reversed ? n : at);
            flow_part(&f, POST, reversed ? 0 : at, reversed ? at : n);
            CU_ASSERT(flow_taken(&f, POST, n));
            flow_answer(&f, at % 2 ? OK : NOT_FOUND);
        }
    }
    for (size_t at = 0; at < n; at++)
        flow_part(&f, POST, at, at + 1);
    CU_ASSERT(flow_taken(&f, POST, n));
    flow_answer(&f, OK);
    flow_close(&f);
    END(0, {PMO_METHOD_POST, 2, "/cart", n / 2 * 2 + 1},
        {PMO_METHOD_POST, 4, "/cart", (n - 1) / 2 * 2});
}

static void sequence_numbers_begin_anew_at_every_byte(void)
{
    struct flow f;
    uint32_t n = (uint32_t)strlen(POST);

    begin();
    for (uint32_t at = 0; at <= n; at++) {
        opened(&f, 0U - at);
        flow_part(&f, POST, n / 2, n);
        flow_part(&f, POST, 0, n / 2 + 3);
        CU_ASSERT(flow_taken(&f, POST, n));
        flow_answer(&f, OK);
        whole(&f, GET, NOT_FOUND);
        flow_close(&f);
    }
    END(0, {PMO_METHOD_POST, 2, "/cart", n + 1}, {PMO_METHOD_GET, 4, "/items/{id}", n + 1});
}

#define PIPELINED 24

/* Requests one behind the other, of different lengths. Returns their length. */
static size_t pipeline(char *to, size_t size, uint64_t *random)
{
    static const char filler[] = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    size_t n = 0;

    for (int i = 0; i < PIPELINED; i++)
        n += (size_t)snprintf(to + n, size - n,
                              i % 3 ? "GET /items/%d HTTP/1.1\r\nX: %.*s\r\n\r\n"
                                    : "PUT /items/%d HTTP/1.1\r\nX: %.*s\r\n"
                                      "Content-Length: 26\r\n\r\n" FAKE,
                              i, (int)random_below(random, 64), filler);
    return n;
}

/* One way of getting a stream across: any segments in any order and any number of times, with no
 * more of them out of turn than a connection keeps. */
static void across_in_any_way(struct flow *f, const char *stream, size_t n, uint64_t *random)
{
    size_t kept[KEPT][2], kept_count = 0, next = 0;

    while (next < n) {
        size_t from = random_below(random, 3) ? next + random_below(random, 400) : next;
        size_t behind = random_below(random, 4) ? 0 : random_below(random, 300);
        size_t to = from + 1 + random_below(random, random_below(random, 2) ? 20 : 500);

        from = from > behind ? from - behind : 0;
        if (kept_count == KEPT && from > next)
            from = next;
        to = to < n ? to : n;
        if (from >= to)
            continue;
        flow_part(f, stream, from, to);
        if (from > next) {
            kept[kept_count][0] = from;
            kept[kept_count++][1] = to;
            continue;
        }
        next = to > next ? to : next;
        for (size_t i = 0; i < kept_count;) {
            if (kept[i][0] > next) {
                i++;
                continue;
            }
            next = kept[i][1] > next ? kept[i][1] : next;
            kept_count--;
            memcpy(kept[i], kept[kept_count], sizeof(kept[i]));
            i = 0;
        }
    }
}

static void segments_come_in_any_order_any_size_and_any_number_of_times(void)
{
    static char stream[8192];
    uint64_t random = seed_of(), rounds = (uint64_t)(300 / suite_slower()) + 1;
    struct flow f;

    begin();
    opened(&f, 0U - 100000);
    for (uint64_t round = 0; round < rounds; round++) {
        size_t n = pipeline(stream, sizeof(stream), &random);

        across_in_any_way(&f, stream, n, &random);
        CU_ASSERT(flow_taken(&f, stream, n));
        for (int i = 0; i < PIPELINED; i++)
            flow_answer(&f, i % 3 ? OK : NOT_FOUND);
    }
    flow_close(&f);
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", rounds * PIPELINED * 2 / 3},
        {PMO_METHOD_PUT, 4, "/items/{id}", rounds * PIPELINED / 3});
}

static void retransmissions_with_other_boundaries_are_not_counted_again(void)
{
    /* each holds [from, to) of three requests; all of them together the whole */
    static const double parts[][5][2] = {
        {{0, 1}, {0, 1}, {0, 2}, {1, 3}, {0, 3}},          /* again; longer; overlap; all */
        {{1, 2}, {1, 2}, {0, .5}, {.25, 2.5}, {2, 3}},     /* out of turn, twice; superset */
        {{1, 2}, {.5, 2.5}, {2, 3}, {0, .75}, {0, 3}},     /* one that holds a kept one */
        {{2.5, 3}, {1.5, 3}, {.5, 3}, {0, .6}, {.2, .4}},  /* to the left, from the end on */
        {{.5, 1.5}, {1, 2}, {1.5, 2.5}, {2, 3}, {0, .7}},  /* to the right */
        {{.1, 1}, {.1, .5}, {.3, .8}, {0, 1.2}, {1.1, 3}}, /* within a kept one */
    };
    static const char three[] = GET GET GET;
    struct flow f;
    double length = (double)strlen(GET);
    uint64_t rounds = sizeof(parts) / sizeof(parts[0]);

    begin();
    opened(&f, FIRST);
    for (size_t i = 0; i < rounds; i++) {
        for (size_t j = 0; j < 5; j++)
            flow_part(&f, three, (size_t)(parts[i][j][0] * length),
                      (size_t)(parts[i][j][1] * length));
        CU_ASSERT(flow_taken(&f, three, sizeof(three) - 1));
        flow_put(&f, -(int64_t)sizeof(three) + 1, three, sizeof(three) - 1, FLAGS); /* late */
        flow_answer(&f, OK OK NOT_FOUND);
    }
    flow_close(&f);
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", rounds * 2},
        {PMO_METHOD_GET, 4, "/items/{id}", rounds});
}

/* ---- what TCP does not take ------------------------------------------------------------------ */

static void segments_that_are_out_of_the_window_are_passed_over(void)
{
    struct flow f;

    begin();
    opened(&f, FIRST);
    for (int i = 0; i < 2 * KEPT; i++) {
        flow_put(&f, 70000 + 100 * i, GET, strlen(GET), FLAGS);
        flow_put(&f, (1 << 30) + 100 * i, GET, strlen(GET), FLAGS);
        flow_put(&f, -70000 - 100 * i, GET, strlen(GET), FLAGS);
        flow_put(&f, -(1 << 30) - 100 * i, GET, strlen(GET), FLAGS);
    }
    for (size_t at = 1; at < strlen(GET); at++) { /* and those that are in it still are kept */
        flow_part(&f, GET, at, strlen(GET));
        flow_part(&f, GET, 0, at);
        CU_ASSERT(flow_taken(&f, GET, strlen(GET)));
        flow_answer(&f, OK);
    }
    flow_close(&f);
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", strlen(GET) - 1});
}

static void probes_are_no_requests(void)
{
    struct flow f;

    begin();
    opened(&f, FIRST);
    for (int i = 0; i < 3; i++) {
        flow_put(&f, -1, NULL, 0, TCP_ACK_FLAG); /* keep-alive, without and with its byte */
        flow_put(&f, -1, "G", 1, TCP_ACK_FLAG);
        flow_part(&f, GET, 0, 10);
        flow_put(&f, 9, "G", 1, TCP_ACK_FLAG);
        flow_part(&f, GET, 10, strlen(GET));
        CU_ASSERT(flow_taken(&f, GET, strlen(GET)));
        flow_answer(&f, OK);
    }
    flow_close(&f);
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", 3});
}

static void small_buffer(int socket)
{
    int bytes = 4096;

    CU_ASSERT(!setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)));
}

/* The server does not read: its window closes, the client sends a byte now and then, which is
 * dropped, and begins again where the window ended. */
static void a_window_may_close_in_mid_request(void)
{
    static char stream[1 << 16];
    struct flow f;
    size_t n = 0, sent = 0, taken = 0;
    uint64_t requests = 0, probes = 0;
    char buffer[512];

    begin_with(AF_INET, small_buffer);
    opened(&f, FIRST);
    while (n + sizeof(GET) < sizeof(stream)) {
        memcpy(stream + n, GET, sizeof(GET));
        n += strlen(GET);
        requests++;
    }
    for (int turns = 0; taken < n && turns < 100000; turns++) {
        size_t length = n - sent < 90 ? n - sent : 90;
        ssize_t got;

        if (length > f.window) { /* newer kernels leave it a little open */
            flow_part(&f, stream, sent, sent + 1);
            probes++;
        } else if (length) {
            flow_part(&f, stream, sent, sent + length);
            sent += length;
        }
        flows_read(&f, 1);
        if (turns % 90 == 89 && sent > taken + 2000)
            sent = taken; /* what the kernel could not keep is sent again */
        if (turns % 9 || (probes < 10 && turns < 5000))
            continue; /* the window closes first */
        got = recv(f.server, buffer, sizeof(buffer), 0);
        if (got > 0) {
            CU_ASSERT(!memcmp(buffer, stream + taken, (size_t)got));
            taken += (size_t)got;
        }
    }
    CU_ASSERT(probes > 0);
    CU_ASSERT_EQUAL(taken, n);
    f.next += (uint32_t)n;
    for (uint64_t i = 0; i < requests; i++)
        flow_answer(&f, OK);
    flow_close(&f);
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", requests});
}

/* TCP drops them, and they are sent again: they are counted when they come first. That what was
 * corrupted under way is taken for what it says is a known limit. */
static void what_tcp_drops_and_gets_again_is_counted_once(void)
{
    struct flow f;

    begin();
    for (int v6 = 0; v6 < 2; v6++) {
        flow_init(&f, &service, v6 ? AF_INET6 : AF_INET, FIRST);
        CU_ASSERT_FATAL(flow_open(&f));
        f.bad_checksum = true;
        flow_part(&f, GET, 0, strlen(GET));
        CU_ASSERT_FALSE(flow_taken(&f, GET, strlen(GET)));
        f.bad_checksum = false;
        whole(&f, GET, OK);
        f.acknowledge_more = 1 << 20; /* of what was never sent */
        flow_part(&f, POST, 0, strlen(POST));
        CU_ASSERT_FALSE(flow_taken(&f, POST, strlen(POST)));
        f.acknowledge_more = 0;
        whole(&f, POST, NOT_FOUND);
        flow_close(&f);
    }
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", 2}, {PMO_METHOD_POST, 4, "/cart", 2});
}

/* ---- the stash ------------------------------------------------------------------------------- */

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

    begin();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = strlen(GET) + sizes[i], size = n + strlen(POST);

        memcpy(stream, GET, sizeof(GET));
        long_request(stream + strlen(GET), sizes[i]);
        memcpy(stream + n, POST, sizeof(POST));
        for (size_t cut = 0; cut < 3; cut++) { /* in one segment, with the beginning of a next */
            opened(&f, 0U - 3000);
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
    begin();
    opened(&f, FIRST);
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
    whole(&f, POST, NOT_FOUND);
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

    begin();
    opened(&f, FIRST);
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
        whole(&f, GET, NOT_FOUND);
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

    begin();
    opened(&f, FIRST);
    flow_part(&f, GET GET, strlen(GET), 2 * strlen(GET));
    long_request(big, 60000);
    for (int i = 0; i < FLOWS; i++) {
        opened(&flows[i], FIRST);
        flow_part(&flows[i], big, 1, 60000);
        flow_close(&flows[i]); /* nothing of it was a request yet */
    }
    flow_part(&f, GET, 0, strlen(GET));
    CU_ASSERT(flow_taken(&f, GET GET, 2 * strlen(GET)));
    flow_answer(&f, OK OK);
    whole(&f, GET, NOT_FOUND);
    whole(&f, POST, OK);
    flow_close(&f);
    END(1, {PMO_METHOD_GET, 2, "/items/{id}", 1}, {PMO_METHOD_OTHER, 2, "{other}", 1},
        {PMO_METHOD_GET, 4, "/items/{id}", 1}, {PMO_METHOD_POST, 2, "/cart", 1});
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void the_end_of_a_connection_may_come_with_a_request(void)
{
    struct flow f;

    begin();
    for (int half = 0; half < 2; half++) { /* in one segment; its first half late */
        size_t at = half ? 9 : 0;

        opened(&f, FIRST);
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

    begin();
    for (size_t at = 1; at < strlen(GET); at++) { /* in mid-head */
        opened(&f, FIRST);
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
    opened(&f, FIRST); /* in mid-body */
    flow_part(&f, POST, 0, strlen(POST) - 5);
    flow_put(&f, (int64_t)strlen(POST) - 5, NULL, 0, TCP_RST_FLAG);
    flow_close(&f);
    opened(&f, FIRST); /* before the answer, and before its end */
    flow_part(&f, GET GET "HEAD", 0, 2 * strlen(GET) + 4);
    flow_answer(&f, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    flow_put(&f, 2 * (int64_t)strlen(GET) + 4, NULL, 0, TCP_RST_FLAG);
    flow_close(&f);
    opened(&f, FIRST); /* nothing, and an empty line, are no requests */
    flow_put(&f, 0, NULL, 0, TCP_RST_FLAG);
    flow_close(&f);
    opened(&f, FIRST);
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

    begin();
    for (size_t at = 1; at < n; at++) {
        opened(&f, FIRST);
        whole(&f, GET, OK);
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

/* ---- headers --------------------------------------------------------------------------------- */

static void exchanges(struct flow *f)
{
    size_t n = strlen(POST);

    CU_ASSERT_FATAL(flow_open(f));
    whole(f, GET, OK);
    flow_part(f, POST, 11, n);
    flow_part(f, POST, 0, 11);
    CU_ASSERT(flow_taken(f, POST, n));
    flow_answer(f, NOT_FOUND);
    flow_close(f);
}

static void ip_headers_may_be_longer(void)
{
    static const uint8_t options[40] = {1, 1, 1, 1, 7, 35, 36}; /* none, and a recorded route */
    static const uint8_t skipped[16] = {6, 1, 0x1e, 12}; /* to TCP; an option to be ignored */
    static const uint8_t two[24] = {60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 0x1e, 12};
    static const uint8_t fragment[8] = {6, 0, 0, 0, 1, 2, 3, 4}; /* the only one */
    static const uint8_t reserved[8] = {6, 9, 0, 0, 1, 2, 3, 4};
    static const struct {
        const uint8_t *bytes;
        size_t length;
        int family;
        uint8_t first;
    } headers[] = {
        {options, 4, AF_INET, 0},    {options, 40, AF_INET, 0}, {skipped, 16, AF_INET6, 0},
        {skipped, 16, AF_INET6, 60}, {two, 24, AF_INET6, 0},    {fragment, 8, AF_INET6, 44},
        {reserved, 8, AF_INET6, 44},
    };
    size_t n = sizeof(headers) / sizeof(headers[0]);
    struct flow f;

    begin();
    for (size_t i = 0; i < n; i++) {
        flow_init(&f, &service, headers[i].family, FIRST);
        f.extension = headers[i].bytes;
        f.extension_bytes = headers[i].length;
        f.extension_first = headers[i].first;
        exchanges(&f);
    }
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", n}, {PMO_METHOD_POST, 4, "/cart", n});
}

static void packets_come_in_fragments(void)
{
    struct flow f;
    uint64_t n = 0;

    begin();
    for (int kind = 0; kind < 4; kind++) {
        for (size_t bytes = 24; bytes <= 64; bytes += 8) { /* IPv6: with the TCP header */
            flow_init(&f, &service, kind & 1 ? AF_INET6 : AF_INET, FIRST);
            f.fragment = bytes;
            f.fragments_reversed = kind & 2;
            exchanges(&f);
            n++;
        }
    }
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", n}, {PMO_METHOD_POST, 4, "/cart", n});
}

/* ---- two CPUs -------------------------------------------------------------------------------- */

static bool pinned(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return !sched_setaffinity(0, sizeof(set), &set);
}

#define CONNECTIONS 64

/* A thread that sends its half of each message, on a CPU of its own. */
struct half {
    pthread_t thread;
    pthread_barrier_t *barrier;
    struct flow *flows;
    int cpu;
    uint64_t rounds;
    bool second, pinned;
    void (*send)(const struct half *half, struct flow *flow, uint64_t round);
};

static void *half_run(void *context)
{
    struct half *half = context;

    half->pinned = pinned(half->cpu);
    for (uint64_t round = 0; round < half->rounds; round++) {
        (void)pthread_barrier_wait(half->barrier);
        for (int i = 0; i < CONNECTIONS; i++)
            half->send(half, &half->flows[i], round);
        (void)pthread_barrier_wait(half->barrier);
    }
    return NULL;
}

/* Each round, both halves send at once; between rounds @between is called. */
static void on_two_cpus(struct flow *flows, uint64_t rounds,
                        void (*send)(const struct half *half, struct flow *flow, uint64_t round),
                        void (*before)(struct flow *flow), void (*after)(struct flow *flow))
{
    struct half halves[2];
    pthread_barrier_t barrier;

    CU_ASSERT_FATAL(!pthread_barrier_init(&barrier, NULL, 3));
    for (int i = 0; i < 2; i++) {
        halves[i] = (struct half){.barrier = &barrier,
                                  .flows = flows,
                                  .cpu = i,
                                  .second = i,
                                  .rounds = rounds,
                                  .send = send};
        CU_ASSERT_FATAL(!pthread_create(&halves[i].thread, NULL, half_run, &halves[i]));
    }
    for (uint64_t round = 0; round < rounds; round++) {
        for (int i = 0; i < CONNECTIONS && before; i++)
            before(&flows[i]);
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier);
        flows_read(flows, CONNECTIONS);
        for (int i = 0; i < CONNECTIONS; i++)
            after(&flows[i]);
        flows_read(flows, CONNECTIONS);
    }
    for (int i = 0; i < 2; i++) {
        CU_ASSERT(!pthread_join(halves[i].thread, NULL));
        CU_ASSERT(halves[i].pinned);
    }
    (void)pthread_barrier_destroy(&barrier);
}

static void send_half(const struct half *half, struct flow *flow, uint64_t round)
{
    size_t n = strlen(POST), at = 1 + (round + flow->port) % (n - 1);

    flow_part(flow, POST, half->second ? at : 0, half->second ? n : at);
}

static void answer_post(struct flow *flow)
{
    CU_ASSERT(flow_taken(flow, POST, strlen(POST)));
    CU_ASSERT_EQUAL(send(flow->server, OK, strlen(OK), 0), (ssize_t)strlen(OK));
}

/* Every request comes in two segments, on two CPUs, at the same time. */
static void requests_move_between_cpus(void)
{
    static struct flow flows[CONNECTIONS];
    uint64_t rounds = (uint64_t)(200000 / suite_slower() / CONNECTIONS);

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        printf("skipped: it takes two CPUs ... ");
        return;
    }
    begin();
    for (int i = 0; i < CONNECTIONS; i++)
        opened(&flows[i], FIRST);
    on_two_cpus(flows, rounds, send_half, NULL, answer_post);
    for (int i = 0; i < CONNECTIONS; i++)
        flow_close(&flows[i]);
    END(0, {PMO_METHOD_POST, 2, "/cart", rounds * CONNECTIONS});
}

static void send_first(const struct half *half, struct flow *flow, uint64_t round)
{
    if (half->second)
        flow_part(flow, GET, 0, strlen(GET));
    else
        flow_put(flow, 0, NULL, 0, TCP_ACK_FLAG);
}

static void knock(struct flow *flow)
{
    flow_init(flow, &service, AF_INET, FIRST);
    CU_ASSERT(flow_syn(flow, NULL, 0));
}

static void answer_first(struct flow *flow)
{
    /* connections are accepted in any order, and are all alike */
    CU_ASSERT_FATAL(flow_accept(flow));
    CU_ASSERT(flow_taken(flow, GET, strlen(GET)));
    CU_ASSERT_EQUAL(send(flow->server, OK, strlen(OK), 0), (ssize_t)strlen(OK));
    flow_close(flow);
}

/* The first request comes while the handshake's last packet is being handled on another CPU. */
static void a_request_may_overtake_the_end_of_its_handshake(void)
{
    static struct flow flows[CONNECTIONS];
    uint64_t rounds = (uint64_t)(100 / suite_slower()) + 1;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        printf("skipped: it takes two CPUs ... ");
        return;
    }
    begin();
    on_two_cpus(flows, rounds, send_first, knock, answer_first);
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", rounds * CONNECTIONS});
}

SUITE(segments) = {TEST(a_request_may_come_with_the_end_of_a_handshake),
                   TEST(a_listener_may_wait_for_the_first_request),
                   TEST(a_request_may_come_with_the_first_packet),
                   TEST(a_listener_may_use_syn_cookies),
                   TEST(a_handshake_may_end_with_data_out_of_turn),
                   TEST(requests_are_split_at_every_byte_in_and_out_of_order),
                   TEST(sequence_numbers_begin_anew_at_every_byte),
                   TEST(segments_come_in_any_order_any_size_and_any_number_of_times),
                   TEST(retransmissions_with_other_boundaries_are_not_counted_again),
                   TEST(segments_that_are_out_of_the_window_are_passed_over),
                   TEST(probes_are_no_requests),
                   TEST(a_window_may_close_in_mid_request),
                   TEST(what_tcp_drops_and_gets_again_is_counted_once),
                   TEST(segments_of_any_size_come_out_of_turn),
                   TEST(what_cannot_be_kept_is_marked_and_nothing_is_counted_twice),
                   TEST(a_body_may_come_in_any_number_of_segments_out_of_turn),
                   TEST(an_overwritten_stash_is_marked_and_nothing_is_counted_twice),
                   TEST(the_end_of_a_connection_may_come_with_a_request),
                   TEST(a_request_without_an_end_is_counted_as_aborted),
                   TEST(a_head_that_is_answered_before_its_end_is_one_request),
                   TEST(ip_headers_may_be_longer),
                   TEST(packets_come_in_fragments),
                   TEST(requests_move_between_cpus),
                   TEST(a_request_may_overtake_the_end_of_its_handshake),
                   {0}};
