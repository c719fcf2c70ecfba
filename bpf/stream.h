/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bytes of one direction of a connection, in order, wherever they lie: parsed, and what the parser
 * finds is counted. Any bytes: the middle of a head or body, several requests, something that is
 * not HTTP.
 */
#pragma once

#include "bpf/multiplex.h"
#include "bpf/tls_socket.h"
#include "bpf/wire.h"

/* Where the bytes lie is known when a program is compiled: not every kind of program may call every
 * helper. */
enum stream_source {
    STREAM_PACKET, /* struct __sk_buff */
    STREAM_STASH,  /* struct stash_piece */
    STREAM_USER,   /* memory of the current process */
};

#define STASH_PIECE_BYTES 2032U

struct stash_piece { /* stash.h */
    __u32 ticket;    /* of the range that it belongs to; 0: none */
    __u32 next;      /* piece of that range */
    __u32 length;
    __u32 pad;
    __u8 bytes[STASH_PIECE_BYTES];
};

struct stream {
    void *from;
    struct connection *connection;
    struct http1_chunk *chunk;
    struct http2_connection *http2;
    __u64 now_ns;
    __u32 offset, end; /* of the bytes that are to be parsed */
    __u32 ticket;      /* of the piece of the stash */
};

_Static_assert(sizeof(struct http1_chunk) == sizeof(struct http2_chunk), "one memory for both");

/* Loads @n bytes, 1 to HTTP1_CHUNK, from where the stream stands. */
static __always_inline long stream_load(const struct stream *s, enum stream_source source, void *to,
                                        __s64 n)
{
    const struct stash_piece *piece = s->from;

    if (!length_within(&n, HTTP1_CHUNK))
        return -1;
    if (source == STREAM_PACKET)
        return bpf_skb_load_bytes(s->from, s->offset, to, n);
    if (source == STREAM_USER)
        return bpf_probe_read_user(to, n, s->from + s->offset);
    if (bpf_probe_read_kernel(to, n, piece->bytes + s->offset))
        return -1;
    return *(volatile __u32 *)&piece->ticket == s->ticket ? 0 : -1; /* not overwritten meanwhile */
}

/* A response head is complete. */
static __always_inline void response_arrived(struct connection *c, __u64 now_ns)
{
    struct queued_request *q = queue_find(c, c->out.messages + 1);
    __u16 status = c->out.parser.status;
    bool ended = http1_answer(&c->out.parser, q ? q->method : PMO_METHOD_OTHER);

    if (unlikely(status < 200 && status != 101))
        return; /* interim, RFC 9110 15.2 */
    if (unlikely(c->out.parser.phase == HTTP1_HTTP2)) {
        if (http2_upgrade(c))
            return;
        c->out.parser.phase = HTTP1_OPAQUE;
    }
    answer_begin(c, status_class(status), now_ns);
    if (ended)
        answer_end(c, now_ns);
    if (unlikely(c->out.parser.phase == HTTP1_OPAQUE))
        c->in.parser.phase = HTTP1_OPAQUE; /* upgraded, or a tunnel */
}

/* One turn: passes over body bytes, or parses up to the next event. */
static __always_inline long stream_turn(struct stream *s, enum stream_source source, bool response)
{
    struct connection *c = s->connection;
    struct http1 *h = response ? &c->out.parser : &c->in.parser;
    struct http1_chunk *chunk = s->chunk;
    __u32 n = s->end - s->offset, event = HTTP1_MORE, before;

    if (s->offset >= s->end || h->phase >= HTTP1_HTTP2)
        return 1;
    if (h->phase >= HTTP1_BODY) {
        n = http1_skip_body(h, n, &event);
        chunk->pos += n;
        s->offset += n;
        if (response)
            c->answer.bytes += n;
        if (response && event == HTTP1_END)
            answer_end(c, s->now_ns);
        return 0;
    }
    if (chunk->pos >= chunk->len) {
        if (n > HTTP1_CHUNK)
            n = HTTP1_CHUNK;
        if (stream_load(s, source, chunk->buf, n))
            return 1;
        chunk->pos = 0;
        chunk->len = n;
    }
    before = chunk->pos;
    if (response) {
        if (h->phase == HTTP1_START)
            c->answer.first_byte_ns = s->now_ns;
        event = http1_parse_response(h, &c->fold, chunk);
    } else {
        event = http1_parse_request(h, &c->fold, chunk);
    }
    n = chunk->pos - before;
    s->offset += n;
    if (response) {
        c->answer.bytes += n;
        if (event == HTTP1_RESPONSE)
            response_arrived(c, s->now_ns);
        else if (event == HTTP1_END && h->status >= 200)
            answer_end(c, s->now_ns);
    } else if (event == HTTP1_REQUEST) {
        request_arrived(c, s->now_ns, h->route, h->method, n);
        if (headers_named && c->fold.headers.found)
            headers_count(c, s->now_ns);
    }
    return 0;
}

/* The same for HTTP/2. */
static __always_inline long stream_turn_http2(struct stream *s, enum stream_source source,
                                              bool response)
{
    struct connection *c = s->connection;
    struct http2_chunk *chunk = (struct http2_chunk *)s->chunk;
    struct http2_connection *h2 = s->http2;
    struct http2 *h;
    __u32 n = s->end - s->offset, event = HTTP2_MORE, before;

    if (s->offset >= s->end || !h2)
        return 1;
    h = response ? &h2->out : &h2->in;
    if (http2_passes(h)) {
        n = http2_pass(h, n, &event);
        chunk->pos += n;
        s->offset += n;
    } else {
        if (chunk->pos >= chunk->end) {
            if (n > HTTP2_CHUNK)
                n = HTTP2_CHUNK;
            if (stream_load(s, source, chunk->buf + HTTP2_HEADROOM, n))
                return 1;
            chunk->pos = HTTP2_HEADROOM;
            chunk->end = HTTP2_HEADROOM + n;
        }
        before = chunk->pos;
        event = http2_parse(h, response ? &h2->out_fold : &c->fold, chunk, !response);
        s->offset += chunk->pos - before;
    }
    if (event == HTTP2_BROKEN) {
        struct direction *d = response ? &c->out : &c->in;
        struct pmo_control *control = control_row();

        d->parser.phase = HTTP1_OPAQUE;
        if (control)
            __sync_fetch_and_add(&control->broken, 1);
        return 1;
    }
    if (event != HTTP2_MORE)
        http2_event(c, h2, event, response, s->now_ns);
    return 0;
}

_Static_assert(sizeof(struct wire) == sizeof(struct http1), "in its place");
_Static_assert(__builtin_offsetof(struct wire, phase) == __builtin_offsetof(struct http1, phase),
               "tells which it is");

/* Row of the command in a connection's fold. This and the next two are by themselves, as the stack
 * is short; global, as they are verified once then. */
__noinline __u32 wire_route(struct connection *c)
{
    const struct wire *w;

    if (!c)
        return 0;
    w = (const struct wire *)&c->in.parser;
    c->fold.length = w->length;
    return route_row(&c->fold);
}

__noinline int wire_requested(struct connection *c, __u32 route, __u64 now_ns)
{
    if (!c)
        return 0;
    request_arrived(c, now_ns, route, PMO_METHOD_OTHER, c->in.bytes);
    c->in.bytes = 0;
    return 0;
}

__noinline int wire_answered(struct connection *c, __u32 class, __u64 now_ns)
{
    if (!c)
        return 0;
    answer_begin(c, class, now_ns);
    answer_end(c, now_ns);
    c->answer.first_byte_ns = 0;
    return 0;
}

/* What the newest request asks for is kept with it, */
__noinline int wire_asks(struct connection *c)
{
    struct queued_request *q = c ? queue_find(c, c->in.messages) : NULL;

    if (q)
        q->asked = ((const struct wire *)&c->in.parser)->asked;
    return 0;
}

/* and known when its answer begins. */
__noinline int wire_answers(struct connection *c)
{
    struct queued_request *q = c ? queue_find(c, c->out.messages + 1) : NULL;

    if (c)
        ((struct wire *)&c->out.parser)->asked = q ? q->asked : 0;
    return 0;
}

static __always_inline void wire_event(struct connection *c, __u32 event, __u64 now_ns)
{
    if (event == WIRE_REQUEST) {
        wire_requested(c, wire_route(c), now_ns);
        if (wire_must_ask((const struct wire *)&c->in.parser))
            wire_asks(c);
    } else if (event >= WIRE_ANSWER && event <= WIRE_FAULT) {
        wire_answered(c, wire_class(event), now_ns);
    } else {
        c->protocol =
            event == WIRE_TLS ? PMO_PROTOCOL_UNKNOWN : c->protocol; /* for stream_feed() */
        c->in.parser.phase = HTTP1_OPAQUE;
        c->out.parser.phase = HTTP1_OPAQUE;
    }
}

/* The same for what bpf/wire.h knows. */
static __always_inline long stream_turn_wire(struct stream *s, enum stream_source source,
                                             bool response)
{
    struct connection *c = s->connection;
    struct http1_chunk *chunk = s->chunk;
    struct wire *w = (struct wire *)(response ? &c->out.parser : &c->in.parser);
    __u32 n = s->end - s->offset, event = WIRE_MORE, before;

    if (s->offset >= s->end || w->phase != HTTP1_WIRE)
        return 1;
    if (response && !c->answer.first_byte_ns)
        c->answer.first_byte_ns = s->now_ns;
    if (response && wire_must_ask(w))
        wire_answers(c);
    if (w->left) {
        n = wire_pass(w, n, &event);
        chunk->pos += n;
    } else {
        if (chunk->pos >= chunk->len) {
            if (n > HTTP1_CHUNK)
                n = HTTP1_CHUNK;
            if (stream_load(s, source, chunk->buf, n))
                return 1;
            chunk->pos = 0;
            chunk->len = n;
        }
        before = chunk->pos;
        event = response ? wire_parse_response(w, &c->fold, chunk)
                         : wire_parse_request(w, &c->fold, chunk);
        n = chunk->pos - before;
    }
    s->offset += n;
    if (response)
        c->answer.bytes += n;
    else
        c->in.bytes += n;
    if (event != WIRE_MORE)
        wire_event(c, event, s->now_ns);
    return 0;
}

/* What bpf_loop() calls: one of each, as the verifier has to know what it does. */
#define STREAM_STEP(name, turn, source, response)                                                  \
    static long name(__u32 i, void *s)                                                             \
    {                                                                                              \
        return loop_ends(turn(s, source, response));                                               \
    }

STREAM_STEP(stream_packet_request, stream_turn, STREAM_PACKET, false)
STREAM_STEP(stream_packet_response, stream_turn, STREAM_PACKET, true)
STREAM_STEP(stream_stash_request, stream_turn, STREAM_STASH, false)
STREAM_STEP(stream_stash_response, stream_turn, STREAM_STASH, true)
STREAM_STEP(stream_user_request, stream_turn, STREAM_USER, false)
STREAM_STEP(stream_user_response, stream_turn, STREAM_USER, true)
STREAM_STEP(stream_packet_request_http2, stream_turn_http2, STREAM_PACKET, false)
STREAM_STEP(stream_packet_response_http2, stream_turn_http2, STREAM_PACKET, true)
STREAM_STEP(stream_stash_request_http2, stream_turn_http2, STREAM_STASH, false)
STREAM_STEP(stream_stash_response_http2, stream_turn_http2, STREAM_STASH, true)
STREAM_STEP(stream_user_request_http2, stream_turn_http2, STREAM_USER, false)
STREAM_STEP(stream_user_response_http2, stream_turn_http2, STREAM_USER, true)

STREAM_STEP(stream_packet_request_wire, stream_turn_wire, STREAM_PACKET, false)
STREAM_STEP(stream_packet_response_wire, stream_turn_wire, STREAM_PACKET, true)
STREAM_STEP(stream_stash_request_wire, stream_turn_wire, STREAM_STASH, false)
STREAM_STEP(stream_stash_response_wire, stream_turn_wire, STREAM_STASH, true)
STREAM_STEP(stream_user_request_wire, stream_turn_wire, STREAM_USER, false)
STREAM_STEP(stream_user_response_wire, stream_turn_wire, STREAM_USER, true)

/* @kind: nothing, or _http2, or _wire. */
#define STREAM_LOOP(s, source, response, kind)                                                     \
    do {                                                                                           \
        if ((source) == STREAM_STASH && (response))                                                \
            bpf_loop(1 << 17, stream_stash_response##kind, s, 0);                                  \
        else if ((source) == STREAM_STASH)                                                         \
            bpf_loop(1 << 17, stream_stash_request##kind, s, 0);                                   \
        else if ((source) == STREAM_USER && (response))                                            \
            bpf_loop(1 << 17, stream_user_response##kind, s, 0);                                   \
        else if ((source) == STREAM_USER)                                                          \
            bpf_loop(1 << 17, stream_user_request##kind, s, 0);                                    \
        else if (response)                                                                         \
            bpf_loop(1 << 17, stream_packet_response##kind, s, 0);                                 \
        else                                                                                       \
            bpf_loop(1 << 17, stream_packet_request##kind, s, 0);                                  \
    } while (0)

static __always_inline void stream_feed_http2(struct stream *s, enum stream_source source,
                                              bool response)
{
    struct connection *c = s->connection;
    struct direction *d = response ? &c->out : &c->in;

    s->chunk->pos = s->chunk->len = 0;
    s->http2 = http2_make(c);
    if (!s->http2) {
        d->parser.phase = HTTP1_OPAQUE;
        return;
    }
    if (d->parser.flags & HTTP1_PREFACE) {
        s->http2->in.head.words[2] = W(0, 0, 0, 0, 'P', 'R', 'I', ' ');
        s->http2->in.head_carried = 4;
        d->parser.flags = 0;
    }
    STREAM_LOOP(s, source, response, _http2);
}

#define STREAM_NO_BEGINNING ~0U

static __always_inline void wire_begin(struct connection *c, __u8 protocol)
{
    __builtin_memset(&c->in.parser, 0, sizeof(c->in.parser));
    __builtin_memset(&c->out.parser, 0, sizeof(c->out.parser));
    ((struct wire *)&c->in.parser)->protocol = protocol;
    ((struct wire *)&c->out.parser)->protocol = protocol;
    c->in.parser.phase = HTTP1_WIRE;
    c->out.parser.phase = HTTP1_WIRE;
    c->protocol = protocol;
    c->answer.first_byte_ns = 0;
    c->in.bytes = 0;
}

/* A client's first bytes, which are no HTTP: what are they? Returns where they begin, or
 * STREAM_NO_BEGINNING where nobody knows. Global, and by itself, likewise. */
__noinline __u32 stream_is_wire(struct connection *c, struct http1_chunk *chunk)
{
    __u32 begins;
    __u8 protocol;

    if (!c || !chunk)
        return STREAM_NO_BEGINNING;
    protocol = wire_begins(chunk->buf, chunk->len);
    if (!protocol)
        return STREAM_NO_BEGINNING;
    begins = c->in.bytes;
    wire_begin(c, protocol);
    chunk->pos = chunk->len = 0;
    return begins;
}

/* A server's first bytes, which are no HTTP and come before any of a client: do they begin a
 * protocol in which it speaks first? They are all of a segment then. Likewise. */
__noinline int stream_greets(struct connection *c, struct http1_chunk *chunk)
{
    __u8 protocol;

    if (!c || !chunk || c->in.messages || c->out.messages || c->in.parser.phase != HTTP1_START)
        return false;
    protocol = wire_greets(chunk->buf, chunk->len);
    if (!protocol)
        return false;
    wire_begin(c, protocol);
    return true;
}

/* Parses the bytes from s->offset to s->end. What is nothing that we know from its first byte on is
 * left alone from then on, in both directions. */
static __always_inline void stream_feed(struct stream *s, enum stream_source source, bool response)
{
    struct connection *c = s->connection;
    struct direction *d = response ? &c->out : &c->in;

    if (!response && d->parser.phase != HTTP1_WIRE) /* where they are, should they be no HTTP */
        c->in.bytes = d->parser.phase == HTTP1_START ? s->offset : STREAM_NO_BEGINNING;
    s->chunk->pos = s->chunk->len = 0;
    if (d->parser.phase != HTTP1_WIRE)
        STREAM_LOOP(s, source, response, );
    if (d->parser.phase == HTTP1_HTTP2 && s->offset < s->end)
        stream_feed_http2(s, source, response);
    if (!response && d->parser.phase == HTTP1_OPAQUE && !c->in.messages &&
        c->in.bytes != STREAM_NO_BEGINNING) {
        __u32 begins = stream_is_wire(c, s->chunk);

        if (begins != STREAM_NO_BEGINNING)
            s->offset = begins;
    }
    if (d->parser.phase == HTTP1_WIRE) {
        STREAM_LOOP(s, source, response, _wire);
        if (d->parser.phase == HTTP1_OPAQUE && !c->protocol && source != STREAM_USER)
            tls_found(c);
    } else if (d->parser.phase == HTTP1_OPAQUE && !c->in.messages) {
        struct pmo_control *control = control_row();

        if (source != STREAM_USER && tls_begins(s->chunk->buf)) {
            tls_found(c);
            return;
        }
        if (response && stream_greets(c, s->chunk))
            return;
        c->in.parser.phase = HTTP1_OPAQUE;
        c->out.parser.phase = HTTP1_OPAQUE;
        if (control)
            __sync_fetch_and_add(&control->not_http, 1);
    }
}

/* Do these eight bytes begin a request? Asked when nothing is known of the stream. */
static __always_inline bool begins_request(const __u8 *b)
{
    __u64 w = load_word(b);
    __u8 method;

    return http1_method_fast(w, &method) || w == W('P', 'R', 'I', ' ', '*', ' ', 'H', 'T') ||
           (w & 0xffffffffffULL) == W('H', 'E', 'A', 'D', ' ', 0, 0, 0) ||
           (w & 0xffffffffffffffULL) == W('D', 'E', 'L', 'E', 'T', 'E', ' ', 0) ||
           (w & 0xffffffffffffULL) == W('P', 'A', 'T', 'C', 'H', ' ', 0, 0) ||
           w == W('O', 'P', 'T', 'I', 'O', 'N', 'S', ' ');
}

static __always_inline bool begins_response(const __u8 *b)
{
    return (load_word(b) & 0xffffffffffffffULL) == W('H', 'T', 'T', 'P', '/', '1', '.', 0);
}

/* Begins a stream anew, if the nine bytes in @chunk are of a head. Returns whether they are. */
static __always_inline bool stream_join(struct connection *c, struct http1_chunk *chunk,
                                        bool response)
{
    struct direction *d = response ? &c->out : &c->in;
    struct http2_connection *h2;

    __builtin_memset(&d->parser, 0, sizeof(d->parser));
    if (http2_begins_headers(chunk->buf)) {
        h2 = http2_make(c);
        if (!h2)
            return false;
        http2_join(response ? &h2->out : &h2->in);
        d->parser.phase = HTTP1_HTTP2;
    } else if (!(response ? begins_response(chunk->buf) : begins_request(chunk->buf))) {
        return false;
    }
    d->joined = 1;
    return true;
}
