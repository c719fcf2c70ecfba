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
#include "agent/signals.h"
#include <pmo/hints.h>

static void on_call_left(struct world *w, const struct pmo_type_record *record)
{
    uint32_t instance = record->key.instance % PMO_INSTANCES_MAX;

    w->calls_left[instance] += record->counts.requests;
    w->calls_known[instance] += record->counts.finished;
    w->delay_ns[instance] += record->counts.first_byte_ns;
    for (unsigned int i = 0; i < PMO_LATENCY_BUCKETS; i++)
        w->delays[instance] += record->counts.latency[i / 2].first_byte[i & 1];
}

static void on_type(void *context, const struct pmo_type_record *record)
{
    struct world *w = context;
    struct counted_type *t = w->types;
    bool header = record->key.protocol >= PMO_PROTOCOL_CONNECTIONS; /* or zone: no request */

    if (!header && record->key.status_class == PMO_STATUS_ARRIVED &&
        record->key.direction == PMO_OUTBOUND) {
        on_call_left(w, record);
        return;
    }
    if (!header && record->key.status_class == PMO_STATUS_ARRIVED) {
        w->instances[record->key.instance % PMO_INSTANCES_MAX].arrivals += record->counts.requests;
        return;
    }
    while (t < w->types + w->types_count && memcmp(&t->key, &record->key, sizeof(t->key)))
        t++;
    if (t == w->types + WORLD_TYPES)
        return;
    if (t == w->types + w->types_count) {
        w->types_count++;
        memset(t, 0, sizeof(*t));
        t->key = record->key;
        (void)pmo_kernel_route(w->kernel, record->key.route, t->route);
    }
    t->requests += record->counts.requests;
    if (header)
        return; /* nothing else is there */
    t->finished += record->counts.finished;
    t->request_bytes += record->counts.request_bytes;
    t->response_bytes += record->counts.response_bytes;
    t->latency_ns += record->counts.first_byte_ns;
    for (unsigned int i = 0; i < PMO_LATENCY_BUCKETS; i++)
        t->in_buckets += record->counts.latency[i / 2].first_byte[i & 1];
}

static void on_instance(void *context, const struct pmo_instance_record *record)
{
    struct world *w = context;
    struct pmo_instance_counts *sum = &w->instances[record->instance % PMO_INSTANCES_MAX];

    sum->arrivals += record->counts.arrivals;
    sum->connections += record->counts.connections;
    sum->closes += record->counts.closes;
    sum->syns += record->counts.syns;
    sum->datagrams += record->counts.datagrams;
    sum->initials += record->counts.initials;
}

static void on_signals(void *context, const struct pmo_signals_record *record)
{
    struct world *w = context;
    struct pmo_queues *queues = &w->queues[record->instance % PMO_INSTANCES_MAX];

    pmo_signals_add(&w->signals[record->instance % PMO_INSTANCES_MAX], &record->counts);
    if (record->queues.accept_queue > queues->accept_queue)
        queues->accept_queue = record->queues.accept_queue;
    if (record->queues.half_open > queues->half_open)
        queues->half_open = record->queues.half_open;
    if (record->queues.window)
        queues->accept_limit = record->queues.accept_limit;
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

    if (event->kind <= PMO_EVENT_TLS && event->instance < PMO_INSTANCES_MAX)
        w->events[event->instance][event->kind]++;
}

static bool load(struct world *w)
{
    const struct pmo_kernel_events events = {.context = w,
                                             .type = on_type,
                                             .instance = on_instance,
                                             .signals = on_signals,
                                             .window = on_window,
                                             .event = on_event};

    return !pmo_kernel_open(&w->kernel, w->bpffs, &w->extras, &events);
}

bool world_reopen(struct world *w)
{
    return load(w) && !pmo_kernel_start(w->kernel);
}

bool world_load(struct world *w)
{
    struct pmo_kernel_extras extras = w->extras;

    if (w->kernel)
        world_close(w, false); /* a test that failed left it */
    memset(w, 0, sizeof(*w));
    w->extras = extras;
    (void)snprintf(w->bpffs, sizeof(w->bpffs), "/tmp/pmo-test-XXXXXX");
    if (!mkdtemp(w->bpffs) || mount("bpf", w->bpffs, "bpf", 0, NULL)) {
        (void)pmo_err_r(errno, "cannot mount a bpf file system on %s", w->bpffs);
        return false;
    }
    if (load(w))
        return true;
    world_close(w, false);
    return false;
}

bool world_open(struct world *w)
{
    if (!world_load(w))
        return false;
    if (!pmo_kernel_start(w->kernel))
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

static uint64_t sum_of(const struct world *w, uint8_t direction, int instance, int method,
                       int status_class, const char *route)
{
    uint64_t sum = 0;

    for (const struct counted_type *t = w->types; t < w->types + w->types_count; t++)
        if (t->key.direction == direction && t->key.protocol < PMO_PROTOCOL_CONNECTIONS &&
            (instance < 0 || t->key.instance == (uint32_t)instance) &&
            (method < 0 || t->key.method == method) &&
            (status_class < 0 || t->key.status_class == status_class) &&
            (!route || !strcmp(route, t->route)))
            sum += t->requests;
    return sum;
}

struct find_instance {
    uint32_t id;
    struct pmo_calling calling;
    uint64_t netns;
};

static void match(void *context, const struct pmo_listener *listener,
                  const struct pmo_instance *instance)
{
    struct find_instance *find = context;

    if (instance->id != find->id)
        return;
    find->calling =
        (struct pmo_calling){.instance = instance->id, .generation = instance->generation};
    find->netns = listener->netns;
}

struct find_listener {
    uint64_t netns;
    uint16_t port;
    uint32_t id;
};

static void match_listener(void *context, const struct pmo_listener *listener,
                           const struct pmo_instance *instance)
{
    struct find_listener *find = context;

    if (listener->netns == find->netns && listener->port == find->port)
        find->id = instance->id;
}

uint32_t world_instance(const struct world *w, int listener)
{
    struct sockaddr_storage addr;
    struct find_listener find = {};
    socklen_t size = sizeof(addr);

    if (getsockname(listener, (struct sockaddr *)&addr, &size))
        return 0;
    find.port = ntohs(((const struct sockaddr_in *)&addr)->sin_port); /* as in sockaddr_in6 */
    size = sizeof(find.netns);
    if (getsockopt(listener, SOL_SOCKET, SO_NETNS_COOKIE, &find.netns, &size))
        return 0;
    pmo_kernel_instances(w->kernel, match_listener, &find);
    return find.id;
}

bool world_caller(struct world *w, uint32_t instance, enum pmo_caller_kind kind, uint64_t id)
{
    struct pmo_caller key = {.kind = kind, .id = id};
    struct find_instance find = {.id = instance};

    pmo_kernel_instances(w->kernel, match, &find);
    if (kind == PMO_CALLER_NETNS && !id)
        key.id = find.netns;
    return find.calling.instance && !pmo_kernel_caller(w->kernel, &key, &find.calling);
}

uint32_t world_in_flight(const struct world *w, uint32_t instance)
{
    const char *hints = pmo_kernel_hints(w->kernel);
    const struct pmo_hint_instance *row =
        (const void *)(hints + PMO_HINTS_FIRST_INSTANCE * PMO_HINTS_ROW);
    const struct pmo_hint_ended *end =
        (const void *)(hints + PMO_HINTS_FIRST_ENDED * PMO_HINTS_ROW);

    return row[instance].arrived - end[instance].ended;
}

uint64_t world_requests(const struct world *w, int instance, int method, int status_class,
                        const char *route)
{
    return sum_of(w, PMO_INBOUND, instance, method, status_class, route);
}

uint64_t world_calls(const struct world *w, int instance, int method, int status_class,
                     const char *route)
{
    return sum_of(w, PMO_OUTBOUND, instance, method, status_class, route);
}

uint64_t world_calls_to(const struct world *w, uint32_t instance, uint16_t port,
                        uint32_t accepted_by)
{
    uint64_t sum = 0;

    for (const struct counted_type *t = w->types; t < w->types + w->types_count; t++) {
        struct pmo_peer peer = {};

        (void)pmo_kernel_peer(w->kernel, t->key.peer, &peer);
        if (t->key.instance == instance && t->key.direction == PMO_OUTBOUND &&
            peer.address.port == port && peer.instance == accepted_by)
            sum += t->requests;
    }
    return sum;
}

uint64_t world_zone(const struct world *w, uint32_t instance, uint8_t protocol, uint8_t zone)
{
    for (const struct counted_type *t = w->types; t < w->types + w->types_count; t++)
        if (t->key.instance == instance && t->key.protocol == protocol && t->key.zone == zone)
            return t->requests;
    return 0;
}

uint64_t world_headers(const struct world *w, uint32_t instance, const char *text)
{
    uint64_t sum = 0;

    for (const struct counted_type *t = w->types; t < w->types + w->types_count; t++)
        if (t->key.instance == instance && t->key.protocol == PMO_PROTOCOL_HEADER &&
            (!text || !strcmp(text, t->route)))
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

size_t wire_http2_frame(char *to, char type, char flags, char stream, const char *payload,
                        size_t length)
{
    const char header[9] = {0, 0, (char)length, type, flags, 0, 0, 0, stream};

    memcpy(to, header, 9);
    memcpy(to + 9, payload, length);
    return 9 + length;
}

void wire_http2(struct wire *wire)
{
    char bytes[64] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    size_t n = 24 + wire_http2_frame(bytes + 24, 4, 0, 0, "", 0);

    wire_send(wire->client, wire->server, bytes, n);
    n = wire_http2_frame(bytes, 4, 0, 0, "", 0);
    wire_send(wire->server, wire->client, bytes, n);
}

void wire_pipeline(struct wire *wire, bool responses)
{
    static const char *const texts[2][3] = {{"GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
                                             "GET /c HTTP/1.1\r\nHost: a\r\n\r\n",
                                             "HEAD /b HTTP/1.1\r\nHost: a\r\n\r\n"},
                                            {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                                             "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno",
                                             "HTTP/1.1 302 Go\r\nContent-Length: 2\r\n\r\n"}};
    static char all[60000];
    char *end = all;

    for (int i = 0; i < 600; i++)
        end = stpcpy(end, texts[responses][i % 3]);
    wire_send(responses ? wire->server : wire->client, responses ? wire->client : wire->server, all,
              (size_t)(end - all));
}
