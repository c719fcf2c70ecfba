/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HTTP/2 connections: many exchanges at once, each a stream. What bpf/http2.h finds in either
 * direction is put together here, and counted as bpf/exchange.h counts it.
 *
 * A gRPC call is one whose content type says so. Its status class follows from its grpc-status,
 * which comes last, in the trailers, so it is counted then (its first byte is that of its headers).
 *
 * A stream that finds no room in the map is counted when its response comes, under "{other}".
 */
#pragma once

#include "bpf/exchange.h"
#include "bpf/http2.h"

struct http2_connection {
    struct http2 in, out;
    struct fold out_fold; /* of promised requests; those of the client use the connection's own */
    __u32 opened;         /* streams; written by ingress, but for responses without a request */
    __u32 closed;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64); /* the connection's cookie */
    __type(value, struct http2_connection);
} http2_connections SEC(".maps");

/* Too large for the stack. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct http2_connection);
} http2_fresh SEC(".maps");

struct http2_stream_key {
    __u64 cookie;
    __u32 stream;
    __u32 pad;
};

enum http2_stream_state {
    HTTP2_WAITS = 0, /* for its response */
    HTTP2_GRPC,      /* for its trailers */
    HTTP2_COUNTED,
};

struct http2_stream {
    struct answer answer;
    __u16 route;
    __u8 method;
    __u8 protocol;
    __u8 state;
    __u8 pad[3];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 131072);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct http2_stream_key);
    __type(value, struct http2_stream);
} http2_streams SEC(".maps");

#define PATH_CACHE 1024U

/* Encoded path -> route: upper bits of its hash, and the row. One word, so that a reader sees an
 * old or a new entry. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PATH_CACHE);
    __type(key, __u32);
    __type(value, __u64);
} path_cache SEC(".maps");

_Static_assert(PMO_ROUTES_MAX == 4096, "a row takes 12 bits of a cache entry");

static __always_inline __u64 *path_cached(__u64 path_hash)
{
    __u32 row = (path_hash >> 12) & (PATH_CACHE - 1);

    return bpf_map_lookup_elem(&path_cache, &row);
}

static __always_inline bool hpack_route_known(__u64 path_hash, __u32 *route)
{
    __u64 *entry = path_cached(path_hash), e;

    if (!entry)
        return false;
    e = *(volatile __u64 *)entry;
    *route = e & (PMO_ROUTES_MAX - 1);
    return !((e ^ path_hash) >> 12);
}

static __always_inline __u32 hpack_route(struct fold *fold, __u64 path_hash)
{
    __u32 row = http1_route(fold);
    __u64 *entry = path_hash ? path_cached(path_hash) : NULL;

    if (entry)
        *(volatile __u64 *)entry = (path_hash & ~(PMO_ROUTES_MAX - 1ULL)) | row;
    return row;
}

static __always_inline __u32 hpack_header(struct fold *fold, __u32 number, __u64 digest)
{
    return header_row(fold, number - 1, digest);
}

static __always_inline __u32 hpack_headers_epoch(void)
{
    struct pmo_control *control = control_row();

    return control ? *(volatile __u32 *)&control->headers_epoch : 0;
}

/* On 6.1, a map takes no key from the memory that a global function is given: it is copied. */
static __always_inline struct http2_connection *http2_find(struct connection *c)
{
    __u64 cookie = c->cookie;

    return bpf_map_lookup_elem(&http2_connections, &cookie);
}

/* The state of a connection that turned out to be HTTP/2; both directions may be first to know. By
 * itself, as the stack is short. */
static __noinline struct http2_connection *http2_make(struct connection *c)
{
    struct http2_connection *h2 = http2_find(c), *fresh;
    __u64 cookie = c->cookie;
    __u32 zero = 0;

    if (h2)
        return h2;
    c->http2 = 1;
    fresh = bpf_map_lookup_elem(&http2_fresh, &zero);
    if (fresh)
        bpf_map_update_elem(&http2_connections, &cookie, fresh, BPF_NOEXIST);
    h2 = http2_find(c);
    if (h2) {
        h2->out_fold.instance = c->fold.instance;
        h2->out_fold.generation = c->fold.generation;
    }
    return h2;
}

static __always_inline struct http2_stream_key http2_key(const struct connection *c, __u32 stream)
{
    struct http2_stream_key key;

    __builtin_memset(&key, 0, sizeof(key));
    key.cookie = c->cookie;
    key.stream = stream;
    return key;
}

/* Class of a gRPC status: whose fault is it? As OpenTelemetry's conventions for servers have it. */
static __always_inline __u32 grpc_class(__u32 status)
{
    const __u32 servers = 1 << 2 | 1 << 4 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15;

    if (!status)
        return 2;
    return status > 16 || servers >> status & 1 ? 5 : 4;
}

/* A request, which @arrived now. */
static __always_inline void http2_open(struct connection *c, struct http2_connection *h2,
                                       const struct http2_stream_key *key, __u8 protocol,
                                       __u32 route, __u8 method, __u64 now_ns)
{
    struct http2_stream s;

    __builtin_memset(&s, 0, sizeof(s));
    s.answer.arrived_ns = now_ns;
    s.route = route;
    s.method = method;
    s.protocol = protocol;
    if (bpf_map_update_elem(&http2_streams, key, &s, BPF_NOEXIST))
        return;
    arrival_count(c, now_ns, protocol, route, method);
    __sync_fetch_and_add(&h2->opened, 1);
}

/* A request's headers that a policy names. What the table knows of may be looked for no more. */
static __always_inline void http2_headers_count(struct connection *c, struct http2 *h, __u64 now_ns)
{
    __u64 wanted = headers_sought(&c->fold) >> 32;

    for (__u32 i = 0; i < PMO_HEADERS_MAX; i++)
        if (wanted >> i & 1 && http2_has(h, HPACK_NAMED + i))
            header_count(c, http2_value(h, HPACK_NAMED + i) & HPACK_ROW, now_ns);
}

/* The response's status is known, or that there will be none. */
static __always_inline void http2_count(struct connection *c, struct http2_stream *s, __u32 class,
                                        __u64 now_ns)
{
    struct cpu *cpu = this_cpu();

    s->state = HTTP2_COUNTED;
    if (!cpu)
        return;
    s->answer.slot = slot_of(c, cpu, s->protocol, s->route, s->method, class);
    answer_count(cpu, &s->answer, class != PMO_STATUS_ABORTED, now_ns);
}

/* Nothing more comes on a stream. */
static __always_inline void http2_close(struct connection *c, struct http2_connection *h2,
                                        const struct http2_stream_key *key, struct http2_stream *s,
                                        __u64 now_ns)
{
    struct http2_stream last = *s;
    struct cpu *cpu = this_cpu();

    if (bpf_map_delete_elem(&http2_streams, key))
        return; /* the other direction was first */
    if (last.state != HTTP2_COUNTED)
        http2_count(c, &last, PMO_STATUS_ABORTED, now_ns);
    else if (cpu) /* whole, or cut short */
        answer_finish(cpu, &last.answer, now_ns);
    flight_ends(c, 1);
    __sync_fetch_and_add(&h2->closed, 1);
}

/* Handles what one direction's parser has found. Global, as it is verified once then. */
__noinline int http2_event(struct connection *c, struct http2_connection *h2, __u32 event,
                           __u32 response, __u64 now_ns)
{
    struct http2_stream_key key;
    struct http2_stream *s;
    struct http2 *h;
    __u32 status;

    if (!c || !h2)
        return 0;
    h = response ? &h2->out : &h2->in;
    key = http2_key(c, h->stream);
    if (event == HTTP2_REQUEST) {
        c->in.messages++;
        http2_open(c, h2, &key,
                   http2_value(h, HPACK_CONTENT_TYPE) ? PMO_PROTOCOL_GRPC : PMO_PROTOCOL_HTTP2,
                   http2_value(h, HPACK_PATH), http2_value(h, HPACK_METHOD), now_ns);
        if (headers_named && h->hpack.seen >> HPACK_NAMED)
            http2_headers_count(c, h, now_ns);
        return 0;
    }
    s = bpf_map_lookup_elem(&http2_streams, &key);
    if (!s && event == HTTP2_RESPONSE) {
        http2_open(c, h2, &key, PMO_PROTOCOL_HTTP2, 0, PMO_METHOD_OTHER, now_ns);
        s = bpf_map_lookup_elem(&http2_streams, &key);
    }
    if (!s)
        return 0;
    if (event == HTTP2_RESET) {
        http2_close(c, h2, &key, s, now_ns);
        return 0;
    }
    if (!response) {
        if (event == HTTP2_DATA || event == HTTP2_END)
            s->answer.request_bytes += h->data_length;
        return 0;
    }
    switch (event) {
    case HTTP2_RESPONSE:
        s->answer.first_byte_ns = now_ns;
        status = http2_value(h, HPACK_STATUS);
        if (s->protocol == PMO_PROTOCOL_GRPC && status == 200 && !http2_has(h, HPACK_GRPC_STATUS))
            s->state = HTTP2_GRPC;
        else if (s->protocol == PMO_PROTOCOL_GRPC && http2_has(h, HPACK_GRPC_STATUS))
            http2_count(c, s, grpc_class(http2_value(h, HPACK_GRPC_STATUS)), now_ns);
        else
            http2_count(c, s, status_class(status), now_ns);
        break;
    case HTTP2_TRAILERS:
        if (s->state == HTTP2_GRPC)
            http2_count(c, s,
                        grpc_class(http2_has(h, HPACK_GRPC_STATUS)
                                       ? http2_value(h, HPACK_GRPC_STATUS)
                                       : HPACK_GRPC_UNKNOWN),
                        now_ns);
        break;
    case HTTP2_DATA:
    case HTTP2_END:
        s->answer.bytes += h->data_length;
        if (event == HTTP2_END &&
            s->state == HTTP2_GRPC) /* without trailers: not as it should be */
            http2_count(c, s, grpc_class(HPACK_GRPC_UNKNOWN), now_ns);
        break;
    default:
        return 0;
    }
    if (event == HTTP2_END || (event != HTTP2_DATA && h->end_stream))
        http2_close(c, h2, &key, s, now_ns);
    return 0;
}

/* A request of HTTP/1.1 that asked for HTTP/2 (h2c) is answered on stream 1. By itself, likewise.
 */
static __noinline bool http2_upgrade(struct connection *c)
{
    struct queued_request *q = queue_find(c, c->out.messages + 1);
    struct http2_connection *h2 = http2_make(c);
    struct http2_stream_key key = http2_key(c, 1);
    struct http2_stream s;

    if (!q || !h2)
        return false;
    __builtin_memset(&s, 0, sizeof(s));
    s.answer.arrived_ns = q->arrived_ns;
    s.answer.request_bytes = q->bytes;
    s.route = q->route;
    s.method = q->method;
    s.protocol = PMO_PROTOCOL_HTTP1;
    if (bpf_map_update_elem(&http2_streams, &key, &s, BPF_NOEXIST))
        return false;
    h2->in.last_stream = 1;
    __sync_fetch_and_add(&h2->opened, 1);
    queue_drop(c, c->out.messages + 1);
    c->out.messages++;
    c->out.ended++;
    return true;
}

/* What the end of a connection leaves behind. The newest streams are those that are open, nearly
 * always: they are looked for from there. */
struct http2_abort {
    struct connection *connection;
    struct http2_connection *h2;
    __u64 now_ns;
    __u32 stream;
};

static long http2_abort_one(__u32 i, void *context)
{
    struct http2_abort *a = context;
    struct http2_stream_key key = http2_key(a->connection, a->stream);
    struct http2_stream *s;

    if (a->h2->opened == a->h2->closed || !(a->stream & 1) || a->stream > 0x7fffffff)
        return 1;
    s = bpf_map_lookup_elem(&http2_streams, &key);
    if (s)
        http2_close(a->connection, a->h2, &key, s, a->now_ns);
    a->stream -= 2;
    return 0;
}

static __always_inline void http2_closed(struct connection *c, __u64 now_ns)
{
    struct http2_abort a = {.connection = c, .h2 = http2_find(c), .now_ns = now_ns};
    __u64 cookie = c->cookie;

    if (!a.h2)
        return;
    a.stream = a.h2->in.last_stream;
    if ((__s32)(a.h2->out.stream - a.stream) > 0)
        a.stream = a.h2->out.stream | 1;
    bpf_loop(1 << 16, http2_abort_one, &a, 0);
    flight_ends(c, a.h2->opened - a.h2->closed);
    bpf_map_delete_elem(&http2_connections, &cookie);
}

/* ---- what the end of a connection leaves behind ---- */

/* The request whose head is not complete; there will be no other. */
static __always_inline void request_cut(struct connection *c, __u64 now_ns)
{
    __u32 route;
    __u8 method;

    if (request_begun(c, &route, &method))
        request_arrived(c, now_ns, route, method, 0);
    c->in.parser.phase = HTTP1_OPAQUE;
}

struct abort_run {
    struct connection *connection;
    __u64 now_ns;
};

static long abort_one(__u32 i, void *context)
{
    struct abort_run *r = context;
    struct connection *c = r->connection;

    if (c->out.messages == c->in.messages)
        return 1;
    answer_begin(c, PMO_STATUS_ABORTED, r->now_ns);
    return 0;
}

/* Requests that will never be answered, and the answer that ends with its connection. */
static __always_inline void exchanges_abort(struct connection *c, __u64 now_ns)
{
    struct abort_run r = {.connection = c, .now_ns = now_ns};
    __u32 open;

    if (c->http2) {
        http2_closed(c, now_ns);
        return;
    }
    if (c->out.messages != c->out.ended)
        answer_end(c, now_ns); /* whole, or cut short */
    open = c->in.messages - c->out.ended;
    if (open)
        flight_ends(c, open);
    c->out.ended = c->in.messages;
    bpf_loop(1 << 20, abort_one, &r, 0);
}
