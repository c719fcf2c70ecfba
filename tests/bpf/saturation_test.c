/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes before load, held against what the kernel itself says of the same sockets (tcp(7),
 * TCP_INFO), or against what the test did.
 */
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "agent/signals.h"
#include "tests/bpf/packets.h"
#include "tests/bpf/world.h"

#define GET   "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define FIRST 0x11223344U
/* a tick, at most: what is known of a wait that an acknowledgement interrupted */
#define TICK_US 10000U

static struct world w;
static struct service service;
static uint32_t instance;

/* Clients are the test itself: it chooses every packet. */
static void begin(void)
{
    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(packets_open());
    CU_ASSERT_FATAL(service_open(&service, AF_INET, NULL));
    instance = world_instance(&w, service.listener);
    CU_ASSERT_FATAL(instance > 0);
}

static const struct pmo_signals *end(void)
{
    service_close(&service);
    packets_close();
    world_settle(&w);
    world_close(&w, false);
    return &w.signals[instance];
}

static struct tcp_info info_of(int socket)
{
    struct tcp_info info = {};
    socklen_t size = sizeof(info);

    CU_ASSERT(!getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size));
    return info;
}

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void wait_us(unsigned int us)
{
    (void)usleep(us);
}

/* A server that takes its time to read, once less than the kernel waits with an acknowledgement,
 * and once longer. */
static void what_waits_to_be_read_is_measured(void)
{
    static const unsigned int waits_us[] = {20000, 150000};
    const struct pmo_signals *s;
    uint64_t least = 0, most = 0, buckets = 0;
    struct flow f;

    begin();
    flow_init(&f, &service, AF_INET, FIRST);
    CU_ASSERT_FATAL(flow_open(&f));
    for (int i = 0; i < 2; i++) {
        uint64_t sent = now_us(), arrived;

        flow_part(&f, GET, 0, strlen(GET));
        arrived = now_us();
        wait_us(waits_us[i]);
        least += now_us() - arrived;
        CU_ASSERT(flow_taken(&f, GET, strlen(GET)));
        most += now_us() - sent;
        flow_answer(&f, OK);
    }
    flow_close(&f);
    s = end();
    for (unsigned int i = 0; i < PMO_WAIT_BUCKETS; i++)
        buckets += s->wait[i];
    CU_ASSERT_EQUAL(s->waits, 2);
    CU_ASSERT_EQUAL(buckets, 2);
    CU_ASSERT(s->wait_us + TICK_US >= least && s->wait_us <= most);
    CU_ASSERT(pmo_signals_wait_us(s, 0.99) > 100000 && pmo_signals_wait_us(s, 0.01) < 40000);
    CU_ASSERT_EQUAL(s->unread_bytes, 0);
}

static void what_a_read_leaves_is_the_receive_queue(void)
{
    const struct pmo_signals *s;
    char part[10];
    struct flow f;

    begin();
    flow_init(&f, &service, AF_INET, FIRST);
    CU_ASSERT_FATAL(flow_open(&f));
    flow_part(&f, GET, 0, strlen(GET));
    CU_ASSERT_EQUAL(recv(f.server, part, sizeof(part), 0), sizeof(part));
    flow_close(&f);
    s = end();
    CU_ASSERT_EQUAL(s->waits, 1);
    CU_ASSERT_EQUAL(s->unread_bytes, strlen(GET) - sizeof(part));
}

/* The wait of a first request begins when it arrives, also where nobody has accepted its
 * connection. */
static void the_wait_for_accept_is_in_it(void)
{
    const struct pmo_signals *s;
    uint64_t sent, took;
    struct flow f;

    begin();
    flow_init(&f, &service, AF_INET, FIRST);
    CU_ASSERT_FATAL(flow_syn(&f, NULL, 0));
    flow_put(&f, 0, NULL, 0, TCP_ACK_FLAG);
    sent = now_us();
    flow_part(&f, GET, 0, strlen(GET));
    wait_us(25000);
    CU_ASSERT_FATAL(flow_accept(&f));
    CU_ASSERT(flow_taken(&f, GET, strlen(GET)));
    took = now_us() - sent;
    flow_close(&f);
    s = end();
    CU_ASSERT_EQUAL(s->waits, 1);
    CU_ASSERT(s->wait_us >= 25000 && s->wait_us <= took);
}

/* Of a busy host, about as many reads are measured as the mask says, and no connection is left
 * out. */
static void of_many_reads_a_part_is_measured(void)
{
    enum { CONNECTIONS = 16, ROUNDS = 512 };
    static struct wire wires[CONNECTIONS];
    uint64_t measured;

    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &wires[0], AF_INET));
    for (int i = 1; i < CONNECTIONS; i++) {
        wires[i] = wires[0];
        CU_ASSERT_FATAL(wire_again(&wires[i]));
    }
    pmo_kernel_wait_mask(w.kernel, 3);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CONNECTIONS; i++) {
            wire_request(&wires[i], GET);
            wire_response(&wires[i], OK);
        }
        if (round % 8 == 0)
            wait_us(2000); /* over some ticks */
    }
    for (int i = 1; i < CONNECTIONS; i++) {
        (void)close(wires[i].client);
        (void)close(wires[i].server);
    }
    wire_close(&wires[0]);
    world_settle(&w);
    measured = w.signals[wires[0].instance].waits;
    CU_ASSERT_EQUAL(w.instances[wires[0].instance].arrivals, CONNECTIONS * ROUNDS);
    CU_ASSERT(measured > CONNECTIONS * ROUNDS / 8 && measured < CONNECTIONS * ROUNDS / 2);
    if (measured <= CONNECTIONS * ROUNDS / 8 || measured >= CONNECTIONS * ROUNDS / 2)
        printf("\n    measured %llu of %d\n", (unsigned long long)measured, CONNECTIONS * ROUNDS);
    world_close(&w, false);
}

static void queues_are_as_long_as_the_kernel_says(void)
{
    enum { LIMIT = 4, OPENED = 3, HALF = 2 };
    struct flow opened[OPENED], half[HALF], more[3];
    struct tcp_info info;

    begin();
    CU_ASSERT_FATAL(!listen(service.listener, LIMIT));
    for (int i = 0; i < HALF; i++) {
        flow_init(&half[i], &service, AF_INET, FIRST);
        CU_ASSERT_FATAL(flow_syn(&half[i], NULL, 0));
    }
    for (int i = 0; i < OPENED; i++) {
        flow_init(&opened[i], &service, AF_INET, FIRST);
        CU_ASSERT_FATAL(flow_syn(&opened[i], NULL, 0));
        flow_put(&opened[i], 0, NULL, 0, TCP_ACK_FLAG);
    }
    world_settle(&w);
    info = info_of(service.listener); /* of who listens: the accept queue, and its limit */
    CU_ASSERT_EQUAL(info.tcpi_unacked, OPENED);
    CU_ASSERT_EQUAL(info.tcpi_sacked, LIMIT);
    CU_ASSERT_EQUAL(w.queues[instance].accept_queue, OPENED - 1); /* as the last one found it */
    CU_ASSERT_EQUAL(w.queues[instance].accept_limit, LIMIT);
    CU_ASSERT_EQUAL(w.queues[instance].half_open, HALF + 1); /* with the last one's own */
    CU_ASSERT_EQUAL(w.signals[instance].overflows, 0);
    CU_ASSERT_EQUAL(w.signals[instance].handshakes, OPENED);

    for (int i = 0; i < 3; i++) { /* two fit, the last one is turned away */
        flow_init(&more[i], &service, AF_INET, FIRST);
        if (i == 2)
            flow_put(&more[i], -1, NULL, 0, TCP_SYN_FLAG);
        else
            CU_ASSERT_FATAL(flow_syn(&more[i], NULL, 0));
        if (i < 2)
            flow_put(&more[i], 0, NULL, 0, TCP_ACK_FLAG);
    }
    world_settle(&w);
    info = info_of(service.listener);
    CU_ASSERT_EQUAL(info.tcpi_unacked, LIMIT + 1);
    CU_ASSERT_EQUAL(w.queues[instance].accept_queue, LIMIT + 1);
    CU_ASSERT_EQUAL(w.signals[instance].overflows, 1);
    for (int i = 0; i < OPENED; i++)
        CU_ASSERT(flow_accept(&opened[i]));
    for (int i = 0; i < OPENED; i++)
        flow_close(&opened[i]);
    (void)end();
}

static void round_trips_are_those_of_the_kernel(void)
{
    const struct pmo_signals *s;
    struct tcp_info info;
    struct flow f;

    begin();
    flow_init(&f, &service, AF_INET, FIRST);
    CU_ASSERT_FATAL(flow_syn(&f, NULL, 0));
    wait_us(30000); /* a client that is far away */
    flow_put(&f, 0, NULL, 0, TCP_ACK_FLAG);
    CU_ASSERT_FATAL(flow_accept(&f));
    info = info_of(f.server);
    flow_part(&f, GET, 0, strlen(GET));
    CU_ASSERT(flow_taken(&f, GET, strlen(GET)));
    flow_close(&f);
    s = end();
    CU_ASSERT_EQUAL(s->handshakes, 1);
    CU_ASSERT(info.tcpi_rtt >= 30000);
    CU_ASSERT_EQUAL(s->handshake_us, info.tcpi_rtt);
    CU_ASSERT_EQUAL(s->waits, 1);
    CU_ASSERT_EQUAL(s->rtt_us, info.tcpi_rtt);
    CU_ASSERT_EQUAL(s->rtt_min_us, info.tcpi_min_rtt);
}

static void what_is_sent_again_and_resets_are_counted(void)
{
    const struct linger at_once = {.l_onoff = 1};
    const struct pmo_signals *s;
    uint32_t sent_again;
    struct flow f[3];

    begin();
    for (int i = 0; i < 3; i++) {
        flow_init(&f[i], &service, AF_INET, FIRST);
        CU_ASSERT_FATAL(flow_open(&f[i]));
        flow_part(&f[i], GET, 0, strlen(GET));
        CU_ASSERT(flow_taken(&f[i], GET, strlen(GET)));
    }
    (void)send(f[0].server, OK, strlen(OK), 0); /* which nobody acknowledges */
    wait_us(700000);
    sent_again = info_of(f[0].server).tcpi_total_retrans;
    CU_ASSERT(sent_again > 0);
    flow_put(&f[1], 0, NULL, 0, TCP_RST_FLAG | TCP_ACK_FLAG); /* a client that gives up */
    (void)setsockopt(f[2].server, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(f[2].server); /* a server that does */
    f[2].server = -1;
    for (int i = 0; i < 3; i++)
        flow_close(&f[i]);
    s = end();
    CU_ASSERT(s->retransmits >= sent_again && s->retransmits <= sent_again + 1U);
    CU_ASSERT_EQUAL(s->resets_received, 1);
    CU_ASSERT(s->resets_sent >= 1); /* and what else it answers to the flows that are closed */
}

SUITE(saturation) = {TEST(what_waits_to_be_read_is_measured),
                     TEST(what_a_read_leaves_is_the_receive_queue),
                     TEST(the_wait_for_accept_is_in_it),
                     TEST(of_many_reads_a_part_is_measured),
                     TEST(queues_are_as_long_as_the_kernel_says),
                     TEST(round_trips_are_those_of_the_kernel),
                     TEST(what_is_sent_again_and_resets_are_counted),
                     {0}};
