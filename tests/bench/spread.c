/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of many types, spread over many instances, which no load generator makes that speaks to
 * one address:
 *
 *   spread PROTOCOL ADDRESS PORT INSTANCES TYPES SECONDS
 *
 * http1, http2 or grpc, to the ports from PORT on. Connections are kept and take turns, so that
 * each request finds what the kernel side knows of its connection as cold as it is where there are
 * many; IN_FLIGHT requests are under way. Type k of all belongs to instance k modulo INSTANCES, and
 * is a path with a method, or for gRPC with a status. Prints how many requests were answered.
 *
 * The server answers each with a body that ends with a line end; gRPC's status is what the query
 * says.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "agent/base/log.h"
#include "tests/bench/measure.h"

#define IN_FLIGHT       32U
#define INSTANCES_MAX   1000U
#define CONNECTIONS_MAX 1000U
#define GROUPS          10U /* first segments of paths; few enough not to fold */

enum protocol { HTTP1, HTTP2, GRPC };

static const char *const names[] = {"http1", "http2", "grpc"};
static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH"};
static const char *const statuses[] = {"0", "5", "13"}; /* OK, NOT_FOUND, INTERNAL */

struct connection {
    int fd;
    uint32_t instance, sent;
    bool busy; /* HTTP/1.1: one request at a time */
    nghttp2_session *session;
};

static struct connection connections[CONNECTIONS_MAX];
static enum protocol protocol;
static uint32_t instances, types, connections_count, in_flight;
static uint64_t answered;
static bool failed;

/* Which type comes next on a connection, of those that its instance has. */
static void type_next(struct connection *c, const char **variant, char path[64])
{
    uint32_t own = types > instances ? types / instances : 1;
    uint32_t turn = c->sent++ + (uint32_t)(c - connections) / instances;
    uint32_t k = types > instances ? turn % own : c->instance % types, route;

    if (protocol == GRPC) {
        route = k / 3;
        *variant = statuses[k % 3];
        (void)snprintf(path, 64, "/shop.Service%u/Call%u?status=%s", route % GROUPS, route / GROUPS,
                       *variant);
    } else {
        route = k / 5;
        *variant = methods[k % 5];
        (void)snprintf(path, 64, "/group%u/item%u", route % GROUPS, route / GROUPS);
    }
}

static void send_all(struct connection *c, const void *bytes, size_t length)
{
    failed |= send(c->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length;
}

/* ---- HTTP/2 -----------------------------------------------------------------------------------
 */

/* All frames that are to be sent, in one segment. */
static void frames_send(struct connection *c)
{
    static uint8_t frames[16384];
    const uint8_t *frame;
    size_t length = 0;
    ssize_t size;

    while ((size = nghttp2_session_mem_send(c->session, &frame)) > 0 &&
           length + (size_t)size <= sizeof(frames)) {
        memcpy(frames + length, frame, (size_t)size);
        length += (size_t)size;
    }
    failed |= size != 0;
    if (length)
        send_all(c, frames, length);
}

static int on_closed(nghttp2_session *session, int32_t stream, uint32_t error, void *connection)
{
    failed |= error != 0;
    answered++;
    in_flight--;
    return 0;
}

/* A gRPC message of no bytes. */
static ssize_t on_body(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *connection)
{
    memset(buffer, 0, 5);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return 5;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .value = (uint8_t *)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static void request_http2(struct connection *c)
{
    static const nghttp2_data_provider body = {.read_callback = on_body};
    const char *variant;
    char path[64];
    nghttp2_nv fields[6];
    bool grpc = protocol == GRPC;

    type_next(c, &variant, path);
    fields[0] = field(":method", grpc ? "POST" : variant);
    fields[1] = field(":scheme", "http");
    fields[2] = field(":authority", "bench");
    fields[3] = field(":path", path);
    fields[4] = field("content-type", "application/grpc");
    fields[5] = field("te", "trailers");
    failed |=
        nghttp2_submit_request(c->session, NULL, fields, grpc ? 6 : 4, grpc ? &body : NULL, c) < 0;
    frames_send(c);
}

static void http2_begin(struct connection *c)
{
    nghttp2_session_callbacks *callbacks = NULL;

    if (nghttp2_session_callbacks_new(&callbacks)) {
        failed = true;
        return;
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
    failed |= nghttp2_session_client_new(&c->session, callbacks, c) != 0 ||
              nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0;
    nghttp2_session_callbacks_del(callbacks);
}

/* ---- both -------------------------------------------------------------------------------------
 */

static void request(struct connection *c)
{
    const char *method;
    char path[64], text[128];

    in_flight++;
    if (protocol != HTTP1) {
        request_http2(c);
        return;
    }
    type_next(c, &method, path);
    c->busy = true;
    send_all(c, text,
             (size_t)snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: bench\r\n\r\n", method,
                              path));
}

static void answer_read(struct connection *c)
{
    static char buffer[65536];
    ssize_t length = recv(c->fd, buffer, sizeof(buffer), 0);

    if (length <= 0) {
        failed |= length == 0 || errno != EAGAIN;
        return;
    }
    if (protocol != HTTP1) {
        failed |= nghttp2_session_mem_recv(c->session, (uint8_t *)buffer, (size_t)length) != length;
        frames_send(c);
        return;
    }
    if (c->busy && length > 1 && buffer[length - 1] == '\n' && buffer[length - 2] != '\r') {
        c->busy = false;
        answered++;
        in_flight--;
    }
}

static int connections_open(const char *address, uint16_t port, int epoll)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int one = 1;

    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        return pmo_fail(EINVAL, "%s is no address", address);
    for (uint32_t i = 0; i < connections_count; i++) {
        struct connection *c = &connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

        c->instance = i % instances;
        to.sin_port = htons((uint16_t)(port + c->instance));
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) ||
            setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
            fcntl(c->fd, F_SETFL, O_NONBLOCK) || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event))
            return pmo_err_r(errno, "cannot connect to port %u", ntohs(to.sin_port));
        if (protocol != HTTP1)
            http2_begin(c);
    }
    return 0;
}

static void run(int epoll, uint64_t until_ns)
{
    struct epoll_event events[IN_FLIGHT];
    uint32_t turn = 0;

    while (!failed) {
        bool last = now_ns() >= until_ns; /* what is under way is waited for */
        int count;

        if (last && !in_flight)
            return;
        for (uint32_t i = 0; !last && i < connections_count && in_flight < IN_FLIGHT; i++) {
            struct connection *c = &connections[turn++ % connections_count];

            if (!c->busy)
                request(c);
        }
        count = epoll_wait(epoll, events, IN_FLIGHT, 10000);
        failed |= count <= 0;
        for (int i = 0; i < count; i++)
            answer_read(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    while (argc == 7 && protocol <= GRPC && strcmp(argv[1], names[protocol]) != 0)
        protocol++;
    if (argc != 7 || protocol > GRPC) {
        (void)fputs("usage: spread http1|http2|grpc ADDRESS PORT INSTANCES TYPES SECONDS\n",
                    stderr);
        return 2;
    }
    instances = (uint32_t)strtoul(argv[4], NULL, 10);
    types = (uint32_t)strtoul(argv[5], NULL, 10);
    if (!instances || instances > INSTANCES_MAX || !types)
        return -pmo_fail(EINVAL, "1 to %u instances, and a type", INSTANCES_MAX);
    connections_count = instances;
    while (connections_count < IN_FLIGHT + instances && connections_count + instances <= 100)
        connections_count += instances;
    if (connections_open(argv[2], (uint16_t)strtoul(argv[3], NULL, 10), epoll))
        return 1;
    run(epoll, now_ns() + strtoul(argv[6], NULL, 10) * 1000000000ULL);
    if (failed)
        return -pmo_fail(EIO, "an answer is missing, or wrong");
    printf("requests %lu\n", answered);
    return 0;
}
