/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel routing and readiness: connect() to a service address, ready bits, SYNs at XDP. */
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <pmo/pmo.h>
#include "agent/route/hints.h"
#include "tests/bpf/world.h"

#define SERVICE_PORT 80

static struct world w;
static struct pmo_hints *hints;
static int service;

static bool begin(void)
{
    static const uint8_t address[16] = {[10] = 0xff, 0xff, 198, 18, 0, 99};

    if (!world_open(&w) || pmo_hints_new(&hints, pmo_kernel_hints(w.kernel)))
        return false;
    service = pmo_hints_service(hints, "front", address, SERVICE_PORT);
    return service >= 0 &&
           !pmo_kernel_service_address(w.kernel, address, SERVICE_PORT, (uint32_t)service);
}

static void end(void)
{
    pmo_hints_free(&hints);
    world_close(&w, false);
}

/* Makes the wire's listener a ready member of the service. */
static void member(const struct wire *wire)
{
    struct pmo_hint_instance row = {.service = (uint32_t)service,
                                    .weight = 1024,
                                    .port = wire->port,
                                    .pid = (uint32_t)getpid(),
                                    .addr = {[10] = 0xff, 0xff, 127, 0, 0, 1}};

    pmo_hints_instance(hints, wire->instance, &row);
    pmo_hints_flags(hints, wire->instance, PMO_HINT_READY, 0);
}

static int connect_to_service(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(SERVICE_PORT)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(0xc6120063); /* 198.18.0.99 */
    if (!connect(fd, (struct sockaddr *)&to, sizeof(to)))
        return fd;
    (void)close(fd);
    return -errno;
}

static uint16_t peer_port(int fd)
{
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &size) ? 0 : ntohs(peer.sin_port);
}

static void connect_goes_to_ready_instances_only(void)
{
    struct wire a, b;
    uint32_t members[2];
    unsigned int to_a = 0, to_b = 0;
    int fd;

    CU_ASSERT_FATAL(begin());
    CU_ASSERT_EQUAL(connect_to_service(), -ECONNREFUSED); /* no members */
    CU_ASSERT_FATAL(wire_open(&w, &a, AF_INET));
    CU_ASSERT_FATAL(wire_open(&w, &b, AF_INET));
    member(&a);
    member(&b);
    members[0] = a.instance;
    members[1] = b.instance;
    CU_ASSERT_EQUAL(pmo_hints_members(hints, service, members, 2), 0);
    for (int i = 0; i < 60; i++) {
        fd = connect_to_service();
        CU_ASSERT_FATAL(fd >= 0);
        to_a += peer_port(fd) == a.port;
        to_b += peer_port(fd) == b.port;
        (void)close(fd);
    }
    CU_ASSERT_EQUAL(to_a + to_b, 60);
    CU_ASSERT(to_a > 5 && to_b > 5);
    pmo_hints_flags(hints, a.instance, 0, PMO_HINT_READY);
    for (int i = 0; i < 20; i++) {
        fd = connect_to_service();
        CU_ASSERT_EQUAL(peer_port(fd), b.port);
        (void)close(fd);
    }
    (void)close(b.listener); /* the kernel side clears its bit: nobody is ready */
    CU_ASSERT_EQUAL(connect_to_service(), -ECONNREFUSED);
    b.listener = -1;
    wire_close(&a);
    wire_close(&b);
    end();
}

static void a_listener_that_closes_loses_its_ready_bit_at_once(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(begin());
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    member(&wire);
    (void)close(wire.listener);
    CU_ASSERT_EQUAL(pmo_hints_row(hints, wire.instance)->flags & PMO_HINT_READY, 0);
    CU_ASSERT(pmo_hints_row(hints, wire.instance)->cleared_ns > 0);
    wire.listener = -1;
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(w.events[wire.instance][PMO_EVENT_CLOSED], 1);
    end();
}

/* A connection that was accepted from it is no listener: its end changes nothing. */
static void an_accepted_connection_that_closes_changes_no_ready_bit(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(begin());
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    member(&wire);
    (void)close(wire.server);
    (void)close(wire.client);
    CU_ASSERT(pmo_hints_row(hints, wire.instance)->flags & PMO_HINT_READY);
    CU_ASSERT(wire_again(&wire));
    wire_close(&wire);
    end();
}

static void a_killed_process_loses_its_ready_bit_within_a_millisecond(void)
{
    double worst_ms = 0;

    CU_ASSERT_FATAL(begin());
    for (int round = 0; round < 20; round++) {
        struct wire wire;
        struct timespec before, now;
        pid_t child;
        double ms;

        CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
        child = fork();
        if (!child) {
            (void)pause();
            _exit(0);
        }
        member(&wire);
        CU_ASSERT_EQUAL(pmo_kernel_process(w.kernel, (uint32_t)child, wire.instance), 0);
        (void)clock_gettime(CLOCK_MONOTONIC, &before);
        (void)kill(child, SIGKILL);
        do {
            (void)clock_gettime(CLOCK_MONOTONIC, &now);
            ms = (double)(now.tv_sec - before.tv_sec) * 1e3 +
                 (double)(now.tv_nsec - before.tv_nsec) / 1e6;
        } while (__atomic_load_n(&pmo_hints_row(hints, wire.instance)->flags, __ATOMIC_RELAXED) &
                     PMO_HINT_READY &&
                 ms < 1000);
        (void)waitpid(child, NULL, 0);
        if (ms > worst_ms)
            worst_ms = ms;
        wire_close(&wire);
    }
    /* of 20, on a loaded machine; the percentile is measured end to end */
    CU_ASSERT(worst_ms < 50 * suite_slower());
    end();
}

static int run(const char *command)
{
    return system(command); // NOLINT(cert-env33-c): fixed commands of this test
}

static void syns_are_counted_at_xdp_in_the_instances_namespace(void)
{
    struct pmo_listener address = {.addr = {[10] = 0xff, 0xff, 198, 19, 254, 2}, .port = 8080};
    uint32_t instance = 77;
    int netns;

    CU_ASSERT_FATAL(begin());
    CU_ASSERT_EQUAL_FATAL(
        run("ip netns add pmo_xdp && ip link add pmo_xdp0 type veth peer name eth0 netns pmo_xdp "
            "&& "
            "ip addr add 198.19.254.1/30 dev pmo_xdp0 && ip link set pmo_xdp0 up && "
            "ip -n pmo_xdp addr add 198.19.254.2/30 dev eth0 && ip -n pmo_xdp link set eth0 up"),
        0);
    netns = open("/run/netns/pmo_xdp", O_RDONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(pmo_kernel_count_syns(w.kernel, netns, "eth0", "xdp-test", &address, instance),
                    0);
    __atomic_store_n((uint32_t *)&pmo_kernel_control(w.kernel)->instances_used, instance + 1,
                     __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8080)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        to.sin_addr.s_addr = htonl(0xc613fe02);
        CU_ASSERT(connect(fd, (struct sockaddr *)&to, sizeof(to))); /* nobody listens there */
        (void)close(fd);
    }
    world_settle(&w);
    CU_ASSERT_EQUAL(w.instances[instance].syns, 3);
    pmo_kernel_count_syns_end(w.kernel, "xdp-test", &address);
    (void)close(netns);
    (void)run("ip netns del pmo_xdp");
    end();
}

SUITE(routing) = {TEST(connect_goes_to_ready_instances_only),
                  TEST(a_listener_that_closes_loses_its_ready_bit_at_once),
                  TEST(an_accepted_connection_that_closes_changes_no_ready_bit),
                  TEST(a_killed_process_loses_its_ready_bit_within_a_millisecond),
                  TEST(syns_are_counted_at_xdp_in_the_instances_namespace),
                  {0}};
