/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests over a link that netem (tc-netem(8)) makes bad, between real sockets, in a network
 * namespace of the test's own. Where the kernel has no netem, tests/e2e/impair.c does the same.
 */
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/bpf/world.h"

#define CONNECTIONS 24
#define REQUESTS    120 /* of a connection */
#define PIPELINED   12
#define BODY        4000 /* of a POST and its response: several segments */

static struct world w;

/* Both ends of a connection: what each has sent and received, in bytes of the whole stream. */
struct exchange {
    int client, server;
    size_t sent, arrived, answered, received;
};

static char requests[REQUESTS * (BODY + 100)], responses[REQUESTS * (BODY + 100)];
static size_t request_ends[REQUESTS + 1], response_ends[REQUESTS + 1]; /* of the first n */

static void streams_write(void)
{
    static char body[BODY + 1];
    char *request = requests, *response = responses;

    memset(body, 'x', BODY);
    for (int i = 0; i < REQUESTS; i++) {
        request += i % 3 ? sprintf(request, "GET /items/%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
                         : sprintf(request, "POST /cart HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s",
                                   BODY, body);
        response +=
            i % 4 ? sprintf(response, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", BODY, body)
                  : sprintf(response, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        request_ends[i + 1] = (size_t)(request - requests);
        response_ends[i + 1] = (size_t)(response - responses);
    }
}

/* How many messages are complete in the first @bytes. */
static int complete(const size_t *ends, size_t bytes)
{
    int n = 0;

    while (n < REQUESTS && ends[n + 1] <= bytes)
        n++;
    return n;
}

static size_t some(int socket, const char *stream, size_t from, size_t to)
{
    size_t n = to - from;
    ssize_t sent;

    if (n > 1)
        n = 1 + (size_t)random() % n; /* cut anywhere */
    sent = n ? send(socket, stream + from, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    return sent > 0 ? (size_t)sent : 0;
}

static size_t take(int socket)
{
    static char buffer[1 << 16];
    ssize_t n = recv(socket, buffer, sizeof(buffer), MSG_DONTWAIT);

    return n > 0 ? (size_t)n : 0;
}

/* Returns whether all of it is done. */
static bool exchange_go_on(struct exchange *e)
{
    int open = complete(response_ends, e->received) + PIPELINED;

    e->sent += some(e->client, requests, e->sent, request_ends[open < REQUESTS ? open : REQUESTS]);
    e->arrived += take(e->server);
    e->answered +=
        some(e->server, responses, e->answered, response_ends[complete(request_ends, e->arrived)]);
    e->received += take(e->client);
    return e->received == response_ends[REQUESTS];
}

static void requests_over_netem_are_counted_once(void)
{
    struct exchange exchanges[CONNECTIONS] = {};
    struct pollfd polled[2 * CONNECTIONS];
    int outside = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), done = 0;
    time_t limit = time(NULL) + (time_t)(120 * suite_slower());
    struct wire wire;
    uint64_t holes;

    CU_ASSERT_FATAL(outside >= 0 && !unshare(CLONE_NEWNET));
    if (system("ip link set lo mtu 1500 up && tc qdisc add dev lo root netem limit 100000"
               " delay 2ms 1ms loss 5% duplicate 1% reorder 5% 2>/dev/null")) {
        (void)setns(outside, CLONE_NEWNET);
        (void)close(outside);
        printf("(this kernel has no netem) ");
        CU_ASSERT(!getenv("PMO_TESTS_NETEM"));
        return;
    }
    CU_ASSERT_FATAL(world_open(&w));
    holes = pmo_kernel_control(w.kernel)->holes;
    CU_ASSERT_FATAL(wire_open(&w, &wire, AF_INET));
    streams_write();
    for (int i = 0; i < CONNECTIONS; i++) {
        CU_ASSERT_FATAL(!i || wire_again(&wire));
        exchanges[i].client = polled[2 * i].fd = wire.client;
        exchanges[i].server = polled[2 * i + 1].fd = wire.server;
        polled[2 * i].events = polled[2 * i + 1].events = POLLIN;
    }
    while (done < CONNECTIONS && time(NULL) < limit) {
        (void)poll(polled, 2 * CONNECTIONS, 1);
        done = 0;
        for (int i = 0; i < CONNECTIONS; i++)
            done += exchange_go_on(&exchanges[i]);
    }
    CU_ASSERT_EQUAL(done, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
        (void)close(exchanges[i].client);
        (void)close(exchanges[i].server);
    }
    (void)close(wire.listener);
    (void)setns(outside, CLONE_NEWNET);
    (void)close(outside);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_POST, -1, "/cart"),
                    CONNECTIONS * REQUESTS / 3);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, -1, "/items/{id}"),
                    CONNECTIONS * REQUESTS * 2 / 3);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 4, NULL),
                    CONNECTIONS * REQUESTS / 4);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), CONNECTIONS * REQUESTS);
    CU_ASSERT_EQUAL(pmo_kernel_control(w.kernel)->holes, holes);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    world_close(&w, false);
}

SUITE(netem) = {TEST(requests_over_netem_are_counted_once), {0}};
