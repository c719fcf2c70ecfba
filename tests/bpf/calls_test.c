/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that an instance makes to others, on real sockets. The caller is this process, or one of
 * its children; its instance is a listener that nobody calls.
 */
#include "tests/unit/suite.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "agent/observe/process.h"
#include "agent/series/routes.h"
#include "tests/bpf/packets.h"
#include "tests/bpf/world.h"
#include <pmo/hints.h>

#define GET "GET /items/42 HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct world w;
static struct wire caller, wire; /* who calls: only its listener is used; and the call */

static void known_by(enum pmo_caller_kind kind, uint64_t id)
{
    CU_ASSERT_FATAL(world_caller(&w, caller.instance, kind, id));
}

/* The caller's listener is there, and has a connection from before it was known to be one. */
static void begin_with(bool calls, int family)
{
    w.extras.calls = calls;
    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(wire_open(&w, &caller, AF_INET));
    CU_ASSERT_FATAL(caller.instance > 0);
    known_by(PMO_CALLER_PROCESS, (uint64_t)getpid());
    CU_ASSERT_FATAL(wire_open(&w, &wire, family));
}

static void begin(void)
{
    begin_with(true, AF_INET);
}

static void settle(void)
{
    wire_close(&wire);
    world_settle(&w);
}

/* What was served is what was called, of the one who served it, and the caller itself served
 * nothing. */
static void end(uint64_t requests)
{
    CU_ASSERT_EQUAL(world_calls_to(&w, caller.instance, wire.port, wire.instance), requests);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), requests);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, -1, NULL), requests);
    CU_ASSERT_EQUAL(w.calls_left[caller.instance], requests);
    CU_ASSERT_EQUAL(world_calls(&w, (int)wire.instance, -1, -1, NULL), 0);
    CU_ASSERT_EQUAL(world_requests(&w, (int)caller.instance, -1, -1, NULL), 0);
    CU_ASSERT_EQUAL(w.instances[caller.instance].arrivals, 0);
    CU_ASSERT_EQUAL(world_in_flight(&w, caller.instance), 0);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    wire_close(&caller);
    world_close(&w, false);
    w.extras.calls = false;
}

static void calls_are_counted_by_method_route_and_status(void)
{
    begin();
    for (int i = 0; i < 5; i++) {
        wire_request(&wire, GET);
        wire_response(&wire, OK);
    }
    wire_request(&wire, "POST /cart HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    CU_ASSERT_EQUAL(world_in_flight(&w, caller.instance), 0);
    wire_response(&wire, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    wire_request(&wire, "HEAD /items/7 HTTP/1.1\r\nHost: a\r\n\r\n");
    wire_response(&wire, "HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\n");
    wire_request(&wire, GET);
    wire_response(&wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "5\r\nGET /\r\n0\r\n\r\n");
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, "/items/{id}"), 6);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_POST, 5, "/cart"), 1);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_HEAD, 4, "/items/{id}"), 1);
    CU_ASSERT_EQUAL(w.instances[caller.instance].connections, 1); /* its listener's own */
    end(8);
}

static void calls_over_ipv6_are_counted_like_those_over_ipv4(void)
{
    begin_with(true, AF_INET6);
    wire_request(&wire, GET);
    wire_response(&wire, OK);
    settle();
    end(1);
}

/* Byte by byte, and with commands that came together. */
static void calls_of_databases_are_counted_by_their_commands(void)
{
    static const char get[] = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", value[] = "$3\r\nabc\r\n";

    begin();
    wire_request(&wire, "*1\r\n$4\r\nPING\r\n"); /* whole: by which it is known */
    wire_response(&wire, "+PONG\r\n");
    for (size_t i = 0; i < sizeof(get) - 1; i++)
        wire_send(wire.client, wire.server, get + i, 1);
    for (size_t i = 0; i < sizeof(value) - 1; i++)
        wire_send(wire.server, wire.client, value + i, 1);
    wire_request(&wire, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n");
    wire_response(&wire, "$-1\r\n-ERR value is not an integer\r\n");
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, 2, "PING"), 1);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, 2, "GET"), 2);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, 5, "INCR"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "GET"), 2);
    for (const struct counted_type *t = w.types; t < w.types + w.types_count; t++)
        if (t->key.instance == caller.instance || t->key.instance == wire.instance)
            CU_ASSERT_EQUAL(t->key.protocol, PMO_PROTOCOL_REDIS);
    end(4);
}

static void heads_and_bodies_of_calls_may_be_split_anywhere(void)
{
    static const char request[] = "PUT /items/42 HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /";
    static const char response[] = "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nHTTP/";
    uint64_t n = 0;

    begin();
    for (size_t i = 1; i < sizeof(request) - 1; i += 3) {
        for (size_t k = 1; k < sizeof(response) - 1; k += 7) {
            wire_send(wire.client, wire.server, request, i);
            wire_send(wire.client, wire.server, request + i, sizeof(request) - 1 - i);
            wire_send(wire.server, wire.client, response, k);
            wire_send(wire.server, wire.client, response + k, sizeof(response) - 1 - k);
            n++;
        }
    }
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_PUT, 4, "/items/{id}"), n);
    end(n);
}

static void pipelined_calls_are_matched_with_their_responses(void)
{
    begin();
    wire_pipeline(&wire, false);
    wire_pipeline(&wire, true);
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, "/a"), 200);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 4, "/c"), 200);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_HEAD, 3, "/b"), 200);
    end(600);
}

static void calls_without_an_answer_are_counted_as_aborted(void)
{
    begin();
    wire_request(&wire, GET GET "GET /half HTT");
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 0, "/items/{id}"), 2);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 0, "/half"), 1);
    end(3);
}

static void bytes_and_ends_of_calls_are_counted(void)
{
    static char answer[1 << 20];
    const struct counted_type *call = NULL;
    size_t head = (size_t)snprintf(answer, sizeof(answer),
                                   "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1 << 19);

    begin();
    memset(answer + head, 'x', 1 << 19);
    wire_request(&wire, GET);
    (void)usleep(50000);
    wire_send(wire.server, wire.client, answer, head + (1 << 19));
    settle();
    for (const struct counted_type *t = w.types; t < w.types + w.types_count; t++)
        if (t->key.instance == caller.instance)
            call = t;
    CU_ASSERT_PTR_NOT_NULL_FATAL(call);
    CU_ASSERT_EQUAL(call->finished, 1);
    CU_ASSERT_EQUAL(call->request_bytes, strlen(GET));
    CU_ASSERT_EQUAL(call->response_bytes, head + (1 << 19));
    CU_ASSERT(call->latency_ns >= 50000000 && call->latency_ns < 250000000);
    CU_ASSERT_EQUAL(call->in_buckets, 1);
    end(1);
}

/* RFC 9113: the preface and SETTINGS; GET /cart on streams 1, 3, ...; :status 200 from the static
 * table, then DATA that ends the stream. */
static void http2_calls_are_counted(void)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char settings[] = "\0\0\0\4\0\0\0\0\0";
    char request[] = "\0\0\x08\1\5\0\0\0\1\x82\x04\x05/cart", answer[] = "\0\0\1\1\4\0\0\0\1\x88"
                                                                         "\0\0\2\0\1\0\0\0\1ok";

    begin();
    wire_send(wire.server, wire.client, settings, sizeof(settings) - 1); /* it speaks first */
    wire_send(wire.client, wire.server, preface, sizeof(preface) - 1);
    for (char stream = 1; stream < 20; stream += 2) {
        request[8] = answer[8] = answer[18] = stream;
        wire_send(wire.client, wire.server, request, sizeof(request) - 1);
        if (stream < 19)
            wire_send(wire.server, wire.client, answer, sizeof(answer) - 1);
    }
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, "/cart"), 9);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 0, "/cart"), 1);
    end(10);
}

static void calls_are_counted_once_over_an_agent_restart(void)
{
    begin();
    wire_request(&wire, GET);
    wire_response(&wire, OK);
    wire_request(&wire, "GET /items/42 HTTP/1.1\r\nHo");
    world_close(&w, true);
    wire_request(&wire, "st: b\r\n\r\n");
    wire_response(&wire, OK);
    wire_request(&wire, GET);
    CU_ASSERT_FATAL(world_reopen(&w));
    wire_response(&wire, OK);
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, "/items/{id}"), 3);
    end(3);
}

static void nothing_of_calls_is_counted_where_nobody_asked_for_it(void)
{
    begin_with(false, AF_INET);
    wire_request(&wire, GET);
    wire_response(&wire, OK);
    settle();
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 1);
    CU_ASSERT_EQUAL(world_calls(&w, -1, -1, -1, NULL), 0);
    CU_ASSERT_EQUAL(w.calls_left[caller.instance], 0);
    wire_close(&caller);
    world_close(&w, false);
}

/* An agent that does not ask for calls finds connections of one that did. */
static void calls_end_with_the_agent_that_asked_for_them(void)
{
    begin();
    wire_request(&wire, GET);
    world_close(&w, true);
    w.extras.calls = false;
    CU_ASSERT_FATAL(world_reopen(&w));
    wire_response(&wire, OK);
    wire_request(&wire, GET);
    wire_response(&wire, OK);
    settle();
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, NULL), 2);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, -1, NULL), 0);
    CU_ASSERT_EQUAL(world_in_flight(&w, wire.instance), 0);
    wire_close(&caller);
    world_close(&w, false);
}

/* One GET, from a process of its own. */
static void child_calls(const char *cgroup, bool grandchild)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(wire.port)};
    pid_t pid = fork();
    int fd;

    if (!pid) {
        FILE *procs = cgroup ? fopen(cgroup, "w") : NULL;
        char answer[256];

        if (procs && (fprintf(procs, "%d", (int)getpid()) < 0 || fclose(procs)))
            _exit(1);
        if (grandchild && (pid = fork())) {
            int status;

            _exit(waitpid(pid, &status, 0) < 0 || status);
        }
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
            send(fd, GET, strlen(GET), 0) != (ssize_t)strlen(GET) ||
            recv(fd, answer, sizeof(answer), 0) <= 0)
            _exit(2);
        _exit(0);
    }
    fd = accept(wire.listener, NULL, NULL);
    {
        char request[256];
        int status = -1;

        CU_ASSERT(recv(fd, request, sizeof(request), 0) > 0);
        CU_ASSERT(send(fd, OK, strlen(OK), 0) > 0);
        CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
        CU_ASSERT_EQUAL(status, 0);
    }
    (void)close(fd);
}

static void forget(enum pmo_caller_kind kind, uint64_t id)
{
    struct pmo_caller key = {.kind = kind, .id = id};

    pmo_kernel_caller_forget(w.kernel, &key);
}

static void a_caller_is_known_by_its_process_and_those_it_started(void)
{
    begin();
    child_calls(NULL, false);
    child_calls(NULL, true);
    forget(PMO_CALLER_PROCESS, (uint64_t)getpid());
    child_calls(NULL, false); /* of nobody who is asked for */
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, NULL), 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, NULL), 3);
    wire_close(&caller);
    world_close(&w, false);
    w.extras.calls = false;
}

static void a_caller_is_known_by_its_cgroup(void)
{
    char cgroup[256], procs[300];
    struct stat stat;

    begin();
    forget(PMO_CALLER_PROCESS, (uint64_t)getpid());
    (void)snprintf(cgroup, sizeof(cgroup), "%s/pmo-calls-%d", pmo_cgroup_mount(), (int)getpid());
    (void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup);
    CU_ASSERT_EQUAL_FATAL(mkdir(cgroup, 0755), 0);
    CU_ASSERT_EQUAL(lstat(cgroup, &stat), 0);
    known_by(PMO_CALLER_CGROUP, stat.st_ino);
    child_calls(procs, false);
    child_calls(NULL, false);
    settle();
    for (int i = 0; rmdir(cgroup) && i < 100; i++)
        (void)usleep(10000);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, NULL), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, NULL), 2);
    wire_close(&caller);
    world_close(&w, false);
    w.extras.calls = false;
}

static void listen_together(uint32_t instance, uint32_t next)
{
    struct pmo_hint_ended *rows =
        (void *)((char *)pmo_kernel_hints(w.kernel) + PMO_HINTS_FIRST_ENDED * PMO_HINTS_ROW);

    rows[instance].together = next;
}

static void one_call(void)
{
    wire_request(&wire, GET);
    wire_response(&wire, OK);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A request, and a call some time after it. Returns what the delay is at most. */
static uint64_t asked_and_called(struct wire *asked, unsigned int after_us)
{
    uint64_t begun_ns = now_ns();

    wire_request(asked, GET);
    (void)usleep(after_us);
    one_call();
    return now_ns() - begun_ns;
}

/* The caller listens in two places. Three of eight calls are known to be of a request. */
static void the_delay_of_a_call_is_known_where_one_request_is_in_flight(void)
{
    struct wire again, second;
    uint64_t most_ns;

    begin();
    again = caller;
    forget(PMO_CALLER_PROCESS, (uint64_t)getpid()); /* its clients' requests are not its calls */
    CU_ASSERT_FATAL(wire_again(&again));
    CU_ASSERT_FATAL(wire_open(&w, &second, AF_INET));
    known_by(PMO_CALLER_PROCESS, (uint64_t)getpid());
    listen_together(caller.instance, second.instance);
    listen_together(second.instance, caller.instance);
    one_call(); /* of nobody's */
    most_ns = asked_and_called(&caller, 30000);
    wire_request(&again, GET);
    one_call(); /* of either */
    wire_response(&caller, OK);
    one_call(); /* of the one that is left, but that may as well be the first */
    wire_response(&again, OK);
    one_call(); /* of nobody's */
    most_ns += asked_and_called(&second, 20000);
    most_ns -= now_ns();
    wire_request(&caller, GET);
    one_call(); /* of either */
    wire_response(&second, OK);
    one_call(); /* of the one that is left: it found its own listener idle */
    most_ns += now_ns();
    wire_response(&caller, OK);
    settle();
    CU_ASSERT_EQUAL(w.calls_left[caller.instance], 8);
    CU_ASSERT_EQUAL(w.calls_known[caller.instance], 3);
    CU_ASSERT_EQUAL(w.delays[caller.instance], 3);
    CU_ASSERT(w.delay_ns[caller.instance] >= 50000000 && w.delay_ns[caller.instance] <= most_ns);
    (void)close(again.client);
    (void)close(again.server);
    wire_close(&second);
    wire_close(&caller);
    world_close(&w, false);
    w.extras.calls = false;
}

/* Whoever else uses the network of this host would be the caller, too. */
static void begin_in_a_namespace(void)
{
    CU_ASSERT_FATAL(packets_open());
    CU_ASSERT_FATAL(!system("ip link set lo up"));
    begin();
}

static void a_caller_is_known_by_its_network_namespace(void)
{
    begin_in_a_namespace();
    forget(PMO_CALLER_PROCESS, (uint64_t)getpid());
    known_by(PMO_CALLER_NETNS, 0);
    CU_ASSERT_FATAL(wire_again(&wire));
    wire_request(&wire, GET);
    wire_response(&wire, OK);
    settle();
    end(1);
    packets_close();
}

/* Callers' connections from before the programs are joined at their next request. */
static void calls_from_before_are_joined_at_their_next_request(void)
{
    struct pmo_listener address = {.addr = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
    socklen_t size = sizeof(address.netns);

    begin_in_a_namespace();
    wire_request(&wire, GET);
    wire_response(&wire, OK);
    world_close(&w, false);
    wire_request(&wire, "POST /lost HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    w.extras.calls = true;
    CU_ASSERT_FATAL(world_load(&w));
    (void)getsockopt(wire.client, SOL_SOCKET, SO_NETNS_COOKIE, &address.netns, &size);
    address.port = wire.port;
    CU_ASSERT_EQUAL(pmo_kernel_instance(w.kernel, &address, 1, 0, 1, &wire.instance), 0);
    address.port = caller.port;
    CU_ASSERT_EQUAL(pmo_kernel_instance(w.kernel, &address, 1, 0, 1, &caller.instance), 0);
    known_by(PMO_CALLER_NETNS, 0);
    CU_ASSERT_EQUAL_FATAL(pmo_kernel_start(w.kernel), 0);
    wire_request(&wire, "cd");
    wire_response(&wire, OK);
    wire_request(&wire, GET);
    wire_response(&wire, OK);
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, -1, "{other}"), 1);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, "/items/{id}"), 1);
    CU_ASSERT_EQUAL(world_calls_to(&w, caller.instance, wire.port, 0),
                    2); /* nobody saw it accept */
    wire_close(&caller);
    world_close(&w, false);
    w.extras.calls = false;
    packets_close();
}

static void calls_are_counted_by_whom_they_go_to(void)
{
    struct wire other = {.client = -1}, beyond = {.client = -1};
    struct pmo_peer first, second;
    struct pmo_control *control;

    begin();
    CU_ASSERT_FATAL(wire_open(&w, &other, AF_INET6));
    control = (struct pmo_control *)pmo_kernel_control(w.kernel);
    CU_ASSERT_EQUAL(control->peers_used, 3);
    control->peers_used = PMO_PEERS_MAX; /* there is no room for one more; those known stay so */
    CU_ASSERT_FATAL(wire_open(&w, &beyond, AF_INET));
    CU_ASSERT_FATAL(wire_again(&wire));
    for (int i = 0; i < 12; i++) {
        struct wire *to = i % 4 == 0 ? &other : i % 4 == 1 ? &beyond : &wire;

        wire_request(to, GET);
        wire_response(to, OK);
    }
    wire_close(&other);
    wire_close(&beyond);
    settle();
    CU_ASSERT_EQUAL(world_calls_to(&w, caller.instance, wire.port, wire.instance), 6);
    CU_ASSERT_EQUAL(world_calls_to(&w, caller.instance, other.port, other.instance), 3);
    CU_ASSERT_EQUAL(world_calls_to(&w, caller.instance, 0, 0), 3);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, PMO_METHOD_GET, 2, "/items/{id}"), 12);
    CU_ASSERT_EQUAL(w.calls_left[caller.instance], 12);
    CU_ASSERT_EQUAL(control->peers_full, 1);
    CU_ASSERT_EQUAL(control->peers_used, PMO_PEERS_MAX);
    /* loopback is the caller's own */
    CU_ASSERT_EQUAL_FATAL(pmo_kernel_peer(w.kernel, 1, &first), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_kernel_peer(w.kernel, 2, &second), 0);
    CU_ASSERT(first.address.netns && first.address.netns == second.address.netns);
    CU_ASSERT_EQUAL(first.address.addr[12], 127);
    CU_ASSERT_EQUAL(second.address.addr[15], 1);
    CU_ASSERT_EQUAL(pmo_kernel_peer(w.kernel, 0, &first), -ENOENT);
    /* the row of an instance that is forgotten is another one's soon */
    pmo_kernel_instance_free(w.kernel, wire.instance);
    CU_ASSERT_EQUAL(pmo_kernel_peer(w.kernel, 1, &first), 0);
    CU_ASSERT_EQUAL(first.instance, 0);
    CU_ASSERT_EQUAL(first.address.port, wire.port);
    wire_close(&caller);
    world_close(&w, false);
    w.extras.calls = false;
}

/* The caller dials 198.18.9.2:80; the kernel's NAT leads it to the listener. */
static void who_answers_behind_nat_is_known(void)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6120902), .sin_port = htons(80)};
    char command[512];

    begin_in_a_namespace();
    (void)snprintf(
        command, sizeof(command),
        "ip addr add 198.18.9.1/32 dev lo && ip route add 198.18.9.2 dev lo src 198.18.9.1"
        " && nft 'table ip nat { chain out { type nat hook output priority -100;"
        " ip daddr 198.18.9.2 tcp dport 80 dnat to 127.0.0.1:%u; }; }'",
        wire.port);
    if (system(command)) {
        printf("(this kernel has no NAT) ");
    } else {
        (void)close(wire.client);
        (void)close(wire.server);
        wire.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CU_ASSERT_EQUAL_FATAL(connect(wire.client, (struct sockaddr *)&to, sizeof(to)), 0);
        wire.server = accept4(wire.listener, NULL, NULL, SOCK_CLOEXEC);
        for (int i = 0; i < 3; i++) {
            wire_request(&wire, GET);
            wire_response(&wire, OK);
        }
        settle();
        CU_ASSERT_EQUAL(world_calls_to(&w, caller.instance, 80, wire.instance), 3);
        CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 3);
    }
    wire_close(&caller);
    world_close(&w, false);
    w.extras.calls = false;
    packets_close();
}

static void see_rule(void *context, const struct pmo_fold_rule *rule)
{
    bool *seen = context;

    CU_ASSERT_EQUAL(rule->scope, pmo_route_scope_outbound(pmo_route_scope("caller")));
    *seen |= !strcmp(rule->text, "/u/");
}

/* What is called must not use up the routes of what is served. */
static void routes_of_calls_are_learned_apart_from_those_that_are_served(void)
{
    bool seen = false;

    begin();
    pmo_kernel_scope(w.kernel, caller.instance, pmo_route_scope("caller"));
    for (int i = 0; i < 40; i++) {
        char request[64];

        (void)snprintf(request, sizeof(request), "GET /u/w%c%c HTTP/1.1\r\n\r\n", 'g' + i / 10,
                       'g' + i % 10);
        wire_request(&wire, request);
        wire_response(&wire, OK);
    }
    wire_request(&caller, "GET /u/xyz HTTP/1.1\r\n\r\n");
    wire_response(&caller, OK);
    settle();
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, 2, "/u/{id}"),
                    40 - PMO_FOLD_CHILDREN);
    CU_ASSERT_EQUAL(world_calls(&w, (int)caller.instance, -1, 2, "/u/wgg"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)caller.instance, -1, 2, "/u/xyz"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/{id}"), 0);
    pmo_kernel_fold_rules(w.kernel, see_rule, &seen);
    CU_ASSERT(seen);
    wire_close(&caller);
    world_close(&w, false);
    w.extras.calls = false;
}

static unsigned int ports_marked(void)
{
    unsigned int marked = 0;
    char path[128];
    uint64_t bits;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/pmo/calling_ports", w.bpffs);
    fd = bpf_obj_get(path);
    for (uint32_t row = 0; !bpf_map_lookup_elem(fd, &row, &bits); row++)
        marked += (unsigned int)__builtin_popcountll(bits);
    (void)close(fd);
    return marked;
}

/* Ports are given back: marks do not pile up. */
static void a_port_is_looked_at_as_long_as_a_call_uses_it(void)
{
    begin();
    for (int i = 0; i < 300; i++) {
        (void)close(wire.client);
        (void)close(wire.server);
        CU_ASSERT_FATAL(wire_again(&wire));
        wire_request(&wire, GET);
        wire_response(&wire, OK);
    }
    settle();
    CU_ASSERT_EQUAL(ports_marked(), 0);
    end(300);
}

SUITE(calls) = {TEST(calls_are_counted_by_method_route_and_status),
                TEST(calls_over_ipv6_are_counted_like_those_over_ipv4),
                TEST(calls_of_databases_are_counted_by_their_commands),
                TEST(heads_and_bodies_of_calls_may_be_split_anywhere),
                TEST(pipelined_calls_are_matched_with_their_responses),
                TEST(calls_without_an_answer_are_counted_as_aborted),
                TEST(bytes_and_ends_of_calls_are_counted),
                TEST(http2_calls_are_counted),
                TEST(calls_are_counted_once_over_an_agent_restart),
                TEST(nothing_of_calls_is_counted_where_nobody_asked_for_it),
                TEST(calls_end_with_the_agent_that_asked_for_them),
                TEST(a_caller_is_known_by_its_process_and_those_it_started),
                TEST(a_caller_is_known_by_its_cgroup),
                TEST(the_delay_of_a_call_is_known_where_one_request_is_in_flight),
                TEST(a_caller_is_known_by_its_network_namespace),
                TEST(calls_from_before_are_joined_at_their_next_request),
                TEST(calls_are_counted_by_whom_they_go_to),
                TEST(who_answers_behind_nat_is_known),
                TEST(routes_of_calls_are_learned_apart_from_those_that_are_served),
                TEST(a_port_is_looked_at_as_long_as_a_call_uses_it),
                {0}};
