/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bpf/world.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>
#include "agent/base/log.h"

static void on_type(void *context, const struct pmo_type_record *record)
{
    struct world *w = context;
    struct counted_type *t = w->types;

    while (t < w->types + w->types_count && memcmp(&t->key, &record->key, sizeof(t->key)))
        t++;
    if (t == w->types + 256)
        return;
    if (t == w->types + w->types_count) {
        w->types_count++;
        memset(t, 0, sizeof(*t));
        t->key = record->key;
        (void)pmo_kernel_route(w->kernel, record->key.route, t->route);
    }
    t->requests += record->counts.requests;
    t->latency_ns += record->counts.latency_ns;
    for (unsigned int i = 0; i < PMO_LATENCY_BUCKETS; i++)
        t->in_buckets += record->counts.latency[i];
}

static void on_instance(void *context, const struct pmo_instance_record *record)
{
    struct world *w = context;
    struct pmo_instance_counts *sum = &w->instances[record->instance % PMO_INSTANCES_MAX];

    sum->arrivals += record->counts.arrivals;
    sum->connections += record->counts.connections;
    sum->closes += record->counts.closes;
    sum->syns += record->counts.syns;
}

static void on_window(void *context, const struct pmo_window_record *record)
{
    struct world *w = context;

    w->windows++;
    w->spans += record->since != record->window;
}

static void on_event(void *context, const struct pmo_event *event)
{
    struct world *w = context;

    if (event->kind < 4)
        w->events[event->kind]++;
    if (event->kind == PMO_EVENT_CLOSED)
        w->last_closed = event->instance;
}

bool world_reopen(struct world *w)
{
    const struct pmo_kernel_events events = {.context = w,
                                             .type = on_type,
                                             .instance = on_instance,
                                             .window = on_window,
                                             .event = on_event};

    if (pmo_kernel_open(&w->kernel, w->bpffs, &events))
        return false;
    return !pmo_kernel_start(w->kernel);
}

bool world_open(struct world *w)
{
    if (w->kernel)
        world_close(w, false); /* a test that failed left it */
    memset(w, 0, sizeof(*w));
    (void)snprintf(w->bpffs, sizeof(w->bpffs), "/tmp/pmo-test-XXXXXX");
    if (!mkdtemp(w->bpffs) || mount("bpf", w->bpffs, "bpf", 0, NULL)) {
        (void)pmo_err_r(errno, "cannot mount a bpf file system on %s", w->bpffs);
        return false;
    }
    if (world_reopen(w))
        return true;
    world_close(w, false);
    return false;
}

void world_close(struct world *w, bool leave)
{
    pmo_kernel_close(&w->kernel, leave);
    if (leave)
        return;
    (void)umount2(w->bpffs, MNT_DETACH);
    (void)rmdir(w->bpffs);
}

void world_settle(struct world *w)
{
    const volatile struct pmo_control *control = pmo_kernel_control(w->kernel);
    int64_t second = pmo_kernel_second(w->kernel, NULL);

    for (int i = 0; i < 400 && (int64_t)control->last_window < second; i++) {
        (void)pmo_kernel_drain(w->kernel);
        pmo_kernel_commit(w->kernel);
        (void)usleep(10000);
    }
    (void)pmo_kernel_drain(w->kernel);
    pmo_kernel_commit(w->kernel);
    pmo_kernel_read_events(w->kernel);
}

uint64_t world_requests(const struct world *w, int instance, int method, int status_class,
                        const char *route)
{
    uint64_t sum = 0;

    for (const struct counted_type *t = w->types; t < w->types + w->types_count; t++)
        if ((instance < 0 || t->key.instance == (uint32_t)instance) &&
            (method < 0 || t->key.method == method) &&
            (status_class < 0 || t->key.status_class == status_class) &&
            (!route || !strcmp(route, t->route)))
            sum += t->requests;
    return sum;
}

const struct counted_type *world_type(const struct world *w, uint32_t instance)
{
    for (const struct counted_type *t = w->types; t < w->types + w->types_count; t++)
        if (t->key.instance == instance)
            return t;
    return NULL;
}

struct find_port {
    uint16_t port;
    uint32_t id;
};

static void match_port(void *context, const struct pmo_listener *listener,
                       const struct pmo_instance *instance)
{
    struct find_port *f = context;

    if (listener->port == f->port)
        f->id = instance->id;
}

bool wire_open(struct world *w, struct wire *wire, int family)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *addr = family == AF_INET6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t size = family == AF_INET6 ? sizeof(v6) : sizeof(v4);
    struct find_port find = {};

    wire->client = wire->server = -1;
    wire->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (wire->listener < 0 || bind(wire->listener, addr, size) || listen(wire->listener, 128) ||
        getsockname(wire->listener, addr, &size))
        return false;
    wire->port = ntohs(family == AF_INET6 ? v6.sin6_port : v4.sin_port);
    find.port = wire->port;
    pmo_kernel_instances(w->kernel, match_port, &find);
    wire->instance = find.id;
    return wire_again(wire);
}

bool wire_again(struct wire *wire)
{
    struct sockaddr_storage addr;
    socklen_t size = sizeof(addr);
    int one = 1;

    if (getsockname(wire->listener, (struct sockaddr *)&addr, &size))
        return false;
    wire->client = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(wire->client, (struct sockaddr *)&addr, size))
        return false;
    wire->server = accept4(wire->listener, NULL, NULL, SOCK_CLOEXEC);
    return !setsockopt(wire->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) &&
           !setsockopt(wire->server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void wire_close(struct wire *wire)
{
    (void)close(wire->client);
    (void)close(wire->server);
    (void)close(wire->listener);
}

void wire_send(int from, int to, const char *bytes, size_t length)
{
    char buffer[65536];
    size_t sent = 0, received = 0;

    while (received < length) {
        ssize_t n = sent < length ? send(from, bytes + sent, length - sent, MSG_DONTWAIT) : 0;

        if (n > 0)
            sent += (size_t)n;
        n = recv(to, buffer, sizeof(buffer), sent < length ? MSG_DONTWAIT : 0);
        if (n > 0)
            received += (size_t)n;
        if (n == 0)
            return;
    }
}

void wire_request(struct wire *wire, const char *bytes)
{
    wire_send(wire->client, wire->server, bytes, strlen(bytes));
}

void wire_response(struct wire *wire, const char *bytes)
{
    wire_send(wire->server, wire->client, bytes, strlen(bytes));
}
