/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever TCP does to a stream, each request is counted once (segments_world.h). Where segments
 * are shuffled, the seed is printed; PMO_TESTS_SEED repeats it. */
#include "tests/unit/suite.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/bpf/segments_world.h"

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

/* ---- order ----------------------------------------------------------------------------------- */

static void requests_are_split_at_every_byte_in_and_out_of_order(void)
{
    struct flow f;
    uint64_t n = strlen(POST);

    segments_begin();
    /* sequence numbers begin anew in the middle of it */
    segments_open(&f, 0U - (uint32_t)n * (uint32_t)n);
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

    segments_begin();
    for (uint32_t at = 0; at <= n; at++) {
        segments_open(&f, 0U - at);
        flow_part(&f, POST, n / 2, n);
        flow_part(&f, POST, 0, n / 2 + 3);
        CU_ASSERT(flow_taken(&f, POST, n));
        flow_answer(&f, OK);
        segments_exchange(&f, GET, NOT_FOUND);
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

    segments_begin();
    segments_open(&f, 0U - 100000);
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

    segments_begin();
    segments_open(&f, FIRST);
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

    segments_begin();
    segments_open(&f, FIRST);
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

    segments_begin();
    segments_open(&f, FIRST);
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

    segments_begin_with(AF_INET, small_buffer);
    segments_open(&f, FIRST);
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

    segments_begin();
    for (int v6 = 0; v6 < 2; v6++) {
        flow_init(&f, &service, v6 ? AF_INET6 : AF_INET, FIRST);
        CU_ASSERT_FATAL(flow_open(&f));
        f.bad_checksum = true;
        flow_part(&f, GET, 0, strlen(GET));
        CU_ASSERT_FALSE(flow_taken(&f, GET, strlen(GET)));
        f.bad_checksum = false;
        segments_exchange(&f, GET, OK);
        f.acknowledge_more = 1 << 20; /* of what was never sent */
        flow_part(&f, POST, 0, strlen(POST));
        CU_ASSERT_FALSE(flow_taken(&f, POST, strlen(POST)));
        f.acknowledge_more = 0;
        segments_exchange(&f, POST, NOT_FOUND);
        flow_close(&f);
    }
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", 2}, {PMO_METHOD_POST, 4, "/cart", 2});
}

/* ---- headers --------------------------------------------------------------------------------- */

static void exchanges(struct flow *f)
{
    size_t n = strlen(POST);

    CU_ASSERT_FATAL(flow_open(f));
    segments_exchange(f, GET, OK);
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

    segments_begin();
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

    segments_begin();
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
    segments_begin();
    for (int i = 0; i < CONNECTIONS; i++)
        segments_open(&flows[i], FIRST);
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
    segments_begin();
    on_two_cpus(flows, rounds, send_first, knock, answer_first);
    END(0, {PMO_METHOD_GET, 2, "/items/{id}", rounds * CONNECTIONS});
}

SUITE(segments) = {TEST(requests_are_split_at_every_byte_in_and_out_of_order),
                   TEST(sequence_numbers_begin_anew_at_every_byte),
                   TEST(segments_come_in_any_order_any_size_and_any_number_of_times),
                   TEST(retransmissions_with_other_boundaries_are_not_counted_again),
                   TEST(segments_that_are_out_of_the_window_are_passed_over),
                   TEST(probes_are_no_requests),
                   TEST(a_window_may_close_in_mid_request),
                   TEST(what_tcp_drops_and_gets_again_is_counted_once),
                   TEST(ip_headers_may_be_longer),
                   TEST(packets_come_in_fragments),
                   TEST(requests_move_between_cpus),
                   TEST(a_request_may_overtake_the_end_of_its_handshake),
                   {0}};
