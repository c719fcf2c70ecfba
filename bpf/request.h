/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests and responses of every server-side TCP connection of this host, in cgroup_skb at the
 * root cgroup: requests come by in ingress, responses in egress.
 *
 * Each direction is followed by its sequence numbers, so that a byte is parsed once however often
 * it is sent. A request is counted as arrived when its head is complete, and by type (with its
 * status and the latency to the first byte of its response) when the head of its response is. The
 * n-th final response answers the n-th request (RFC 9112 9.3.2), so the queue between the
 * directions needs no more than two counters and the requests' facts.
 *
 * What cannot be parsed is marked, never guessed: a connection that is joined in mid-stream, or
 * that lost bytes, counts again from the next request head that begins a segment; a response
 * without its request is still one request, of route "{other}".
 */
#pragma once

#include "bpf/count.h"
#include "bpf/http1.h"
#include "bpf/maps.h"

#define QUEUE_INLINE   4U
#define SCRATCH_LEVELS 4U /* process, softirq, hardirq, NMI */

struct queued_request {
    __u64 arrived_ns;
    __u32 index; /* of the request on its connection, from 1 on; 0: this entry is free */
    __u16 route;
    __u8 method;
    __u8 pad;
};

_Static_assert(PMO_ROUTES_MAX <= 65536, "a route fits into 16 bits");

struct direction {
    struct http1 parser;
    __u32 next_seq; /* first byte that was not parsed yet */
    __u32 joined;   /* 0: nothing known about the stream yet; next segment with a head begins it */
    __u32 messages; /* heads of requests, or of final responses */
    __u32 ended;    /* final responses whose body is complete */
};

/* Ingress and egress often run on different CPUs: what each of them writes has its own cache line,
 * and the queue between them is one that changes hands twice a request. (The kernel puts a storage
 * eight bytes behind the beginning of a line.) */
struct connection {
    struct direction in;
    struct direction out;
    __u64 first_byte_ns; /* of the response that is being read */
    struct queued_request queue[QUEUE_INLINE];
    __u64 cookie;
    __u32 instance;
    __u32 closed;
    struct fold fold;
};

_Static_assert(sizeof(struct direction) == 56, "a line less eight bytes");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct connection);
} connections SEC(".maps");

struct queue_key {
    __u64 cookie;
    __u32 index;
    __u32 pad;
};

struct { /* pipelined deeper than QUEUE_INLINE */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct queue_key);
    __type(value, struct queued_request);
} deep_queue SEC(".maps");

/* A softirq can interrupt a program in process context on the same CPU: each level has its own
 * chunk. */
struct scratch {
    __u32 level;
    __u32 pad;
    struct http1_chunk chunk[SCRATCH_LEVELS];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct scratch);
} scratch SEC(".maps");

static __always_inline bool http1_route_known(__u64 target_hash, __u32 *route)
{
    return route_cached(target_hash, route);
}

static __always_inline __u32 http1_route(struct fold *fold, __u64 target_hash)
{
    __u32 row = route_row(fold);

    if (target_hash)
        route_cache_put(target_hash, row);
    return row;
}

static __always_inline struct pmo_instance_counts *instance_counts(__u32 instance, __u64 now_ns)
{
    struct pmo_instance_counter *counter = bpf_map_lookup_elem(&instance_counters, &instance);

    return counter ? &counter->window[window_parity(now_ns)] : NULL;
}

static __always_inline void in_flight_add(__u32 instance, __u32 n)
{
    struct pmo_hint_instance *hint = hint_row(instance);

    if (hint)
        __sync_fetch_and_add(&hint->in_flight, n);
}

/* A request head is complete. */
static __always_inline int request_arrived(struct connection *c, __u64 now_ns)
{
    struct pmo_instance_counts *counts;
    struct queued_request *q;
    __u32 index;

    if (!c)
        return 0;
    index = ++c->in.messages;
    counts = instance_counts(c->instance, now_ns);
    if (counts)
        __sync_fetch_and_add(&counts->arrivals, 1);
    in_flight_add(c->instance, 1);
    q = &c->queue[index & (QUEUE_INLINE - 1)];
    if (likely(!q->index)) {
        q->arrived_ns = now_ns;
        q->route = c->in.parser.route;
        q->method = c->in.parser.method;
        q->index = index;
    } else {
        struct queue_key key = {.cookie = c->cookie, .index = index};
        struct queued_request deep = {.arrived_ns = now_ns,
                                      .route = c->in.parser.route,
                                      .method = c->in.parser.method,
                                      .index = index};

        bpf_map_update_elem(&deep_queue, &key, &deep, BPF_ANY);
    }
    return 0;
}

/* The request that response number @index answers, NULL where none came by. */
static __always_inline struct queued_request *queue_find(struct connection *c, __u32 index)
{
    struct queued_request *q = &c->queue[index & (QUEUE_INLINE - 1)];
    struct queue_key key;

    if (likely(q->index == index))
        return q;
    if ((__s32)(c->in.messages - index) < 0)
        return NULL;
    __builtin_memset(&key, 0, sizeof(key));
    key.cookie = c->cookie;
    key.index = index;
    return bpf_map_lookup_elem(&deep_queue, &key);
}

/* Counts request number @index under @status_class and takes it out of the queue. */
static __always_inline int count_answer(struct connection *c, __u32 index, __u32 status_class,
                                        __u64 now_ns, __u64 first_byte_ns)
{
    struct queued_request *q;
    struct pmo_counter_key key;
    __u64 latency_ns = 0;

    if (!c)
        return 0;
    q = queue_find(c, index);
    __builtin_memset(&key, 0, sizeof(key));
    key.instance = c->instance;
    key.protocol = PMO_PROTOCOL_HTTP1;
    key.status_class = status_class;
    if (likely(q)) {
        key.route = q->route;
        key.method = q->method;
        if (first_byte_ns > q->arrived_ns)
            latency_ns = first_byte_ns - q->arrived_ns;
        if (likely(q == &c->queue[index & (QUEUE_INLINE - 1)])) {
            q->index = 0;
        } else {
            struct queue_key deep = {.cookie = c->cookie, .index = index};

            bpf_map_delete_elem(&deep_queue, &deep);
        }
    } else { /* its request was not seen: it is counted as arrived now */
        struct pmo_instance_counts *counts = instance_counts(c->instance, now_ns);

        if (counts)
            __sync_fetch_and_add(&counts->arrivals, 1);
    }
    count_request(counter_slot_cached(&key), now_ns, latency_ns,
                  status_class != PMO_STATUS_ABORTED);
    return 0;
}

/* The body of a final response is complete. */
static __always_inline void response_ended(struct connection *c)
{
    c->out.ended++;
    in_flight_add(c->instance, -1);
}

/* First digit of a status, without a division; what has none counts as a server's fault. */
static __always_inline __u32 status_class(__u16 status)
{
    return status < 200 ? 1 : status < 300 ? 2 : status < 400 ? 3 : status < 500 ? 4 : 5;
}

/* A response head is complete. */
static __always_inline int response_arrived(struct connection *c, __u64 now_ns)
{
    struct queued_request *q;
    __u32 index;
    __u16 status;
    bool ended;

    if (!c)
        return 0;
    index = c->out.messages + 1;
    q = queue_find(c, index);
    status = c->out.parser.status;
    ended = http1_answer(&c->out.parser, q ? q->method : PMO_METHOD_OTHER);
    if (unlikely(status < 200 && status != 101))
        return 0;       /* interim, RFC 9110 15.2 */
    if (unlikely(!q)) { /* its request was not seen: it arrives with its answer */
        in_flight_add(c->instance, 1);
        c->in.messages = index;
    }
    count_answer(c, index, status_class(status), now_ns, c->first_byte_ns);
    c->out.messages = index;
    if (ended)
        response_ended(c);
    if (unlikely(c->out.parser.phase == HTTP1_OPAQUE))
        c->in.parser.phase = HTTP1_OPAQUE; /* upgraded, or a tunnel */
    return 0;
}

struct segment_run {
    struct __sk_buff *skb;
    struct connection *connection;
    struct http1_chunk *chunk;
    __u64 now_ns;
    __u32 offset, end; /* of the bytes to parse, in the packet */
};

/* One turn: passes over body bytes, or parses up to the next event. */
static __always_inline long segment_turn(struct segment_run *r, bool response)
{
    struct connection *c = r->connection;
    struct http1 *h = response ? &c->out.parser : &c->in.parser;
    struct http1_chunk *chunk = r->chunk;
    __u32 n = r->end - r->offset, event = HTTP1_MORE, before;

    if (r->offset >= r->end)
        return 1;
    if (h->phase >= HTTP1_BODY) {
        n = http1_skip_body(h, n, &event);
        chunk->pos += n;
        r->offset += n;
        if (response && event == HTTP1_END)
            response_ended(c);
        return 0;
    }
    if (chunk->pos >= chunk->len) {
        if (n > HTTP1_CHUNK)
            n = HTTP1_CHUNK;
        pmo_opaque(n);
        if (n < 1 || n > HTTP1_CHUNK || bpf_skb_load_bytes(r->skb, r->offset, chunk->buf, n))
            return 1;
        chunk->pos = 0;
        chunk->len = n;
    }
    before = chunk->pos;
    if (response) {
        if (h->phase == HTTP1_START)
            c->first_byte_ns = r->now_ns;
        event = http1_parse_response(h, &c->fold, chunk);
    } else {
        event = http1_parse_request(h, &c->fold, chunk);
    }
    r->offset += chunk->pos - before;
    if (!response) {
        if (event == HTTP1_REQUEST)
            request_arrived(c, r->now_ns);
        return 0;
    }
    if (event == HTTP1_RESPONSE) {
        response_arrived(c, r->now_ns);
        if (h->phase == HTTP1_BODY) { /* a small body comes along with its head */
            event = HTTP1_MORE;
            n = http1_skip_body(h, r->end - r->offset, &event);
            chunk->pos += n;
            r->offset += n;
        }
    }
    if (event == HTTP1_END && h->status >= 200)
        response_ended(c);
    return 0;
}

static long turn_request(__u32 i, void *run)
{
    return segment_turn(run, false);
}

static long turn_response(__u32 i, void *run)
{
    return segment_turn(run, true);
}

/* Now, on CLOCK_MONOTONIC. TCP has read the clock for a segment that it sends (the earliest
 * departure time in its time stamp): reading it again is the dearest part of an egress program. */
static __always_inline __u64 segment_time(struct __sk_buff *skb, bool response)
{
    __u64 sent_ns = response ? skb->tstamp : 0;

    return sent_ns ? sent_ns : bpf_ktime_get_ns();
}

/* Does this segment begin with a request head? Asked when nothing is known of the stream. */
static __always_inline bool begins_request(const __u8 *b)
{
    __u64 w = load_word(b);
    __u8 method;

    return http1_method_fast(w, &method) ||
           (w & 0xffffffffffULL) == W('H', 'E', 'A', 'D', ' ', 0, 0, 0) ||
           (w & 0xffffffffffffffULL) == W('D', 'E', 'L', 'E', 'T', 'E', ' ', 0) ||
           (w & 0xffffffffffffULL) == W('P', 'A', 'T', 'C', 'H', ' ', 0, 0) ||
           w == W('O', 'P', 'T', 'I', 'O', 'N', 'S', ' ');
}

static __always_inline bool begins_response(const __u8 *b)
{
    return (load_word(b) & 0xffffffffffffffULL) == W('H', 'T', 'T', 'P', '/', '1', '.', 0);
}

/* Offset of the TCP header in a packet that starts at its IP header; 0 where there is none. */
static __always_inline __u32 tcp_offset(struct __sk_buff *skb, void *data, void *data_end)
{
    __u8 *b = data;

    if (data + 40 > data_end)
        return 0;
    if (likely((b[0] & 0xf0) == 0x40))
        return b[9] == 6 ? (b[0] & 15) * 4 : 0;
    if ((b[0] & 0xf0) != 0x60)
        return 0;
    if (likely(b[6] == 6))
        return 40;

    /* extension headers (RFC 8200 section 4) are rare: a few of those that hosts do send */
    __u8 next = b[6], header[2];
    __u32 at = 40;

    for (int i = 0; i < 4; i++) {
        if (next != 0 && next != 43 && next != 60)
            return 0;
        if (bpf_skb_load_bytes(skb, at, header, 2))
            return 0;
        next = header[0];
        at += 8 + header[1] * 8;
        if (next == 6)
            return at;
    }
    return 0;
}

static __always_inline void segment(struct __sk_buff *skb, struct connection *c, bool response)
{
    struct direction *d = response ? &c->out : &c->in;
    void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
    struct segment_run r = {};
    struct http1_chunk *chunk;
    struct scratch *s;
    __u32 zero = 0, at, payload, seq, length, level;
    __u8 doff;

    if (d->parser.phase == HTTP1_OPAQUE)
        return;
    at = tcp_offset(skb, data, data_end);
    if (!at || at > 512)
        return;
    if (likely(data + at + 20 <= data_end)) {
        seq = *(__u32 *)(data + at + 4);
        doff = *(__u8 *)(data + at + 12);
    } else {
        __u8 tcp[20];

        if (bpf_skb_load_bytes(skb, at, tcp, 20))
            return;
        seq = *(__u32 *)&tcp[4];
        doff = tcp[12];
    }
    seq = bpf_ntohl(seq);
    payload = at + (doff >> 4) * 4;
    if (skb->len <= payload)
        return;
    length = skb->len - payload;

    s = bpf_map_lookup_elem(&scratch, &zero);
    if (!s)
        return;
    level = s->level;
    if (level >= SCRATCH_LEVELS)
        return;
    pmo_opaque(level);
    level &= SCRATCH_LEVELS - 1;
    chunk = &s->chunk[level];
    chunk->pos = chunk->len = 0;
    s->level = level + 1;

    if (unlikely(!d->joined || (__s32)(seq - d->next_seq) > 0)) {
        /* the stream was joined in the middle, or a hole in it was missed */
        if (d->joined) {
            struct pmo_control *control = control_row();

            if (control)
                __sync_fetch_and_add(&control->holes, 1);
            d->joined = 0;
        }
        if (length < 8 || bpf_skb_load_bytes(skb, payload, chunk->buf, 8) ||
            !(response ? begins_response(chunk->buf) : begins_request(chunk->buf)))
            goto out;
        __builtin_memset(&d->parser, 0, sizeof(d->parser));
        d->joined = 1;
        d->next_seq = seq;
    }
    r.offset = payload + (d->next_seq - seq);
    r.end = payload + length;
    if (r.offset >= r.end)
        goto out; /* a retransmission */
    d->next_seq = seq + length;
    r.skb = skb;
    r.connection = c;
    r.chunk = chunk;
    r.now_ns = segment_time(skb, response);
    segment_turn(&r, response); /* nearly always all there is to do */
    if (unlikely(r.offset < r.end))
        bpf_loop(1 << 17, response ? turn_response : turn_request, &r, 0);
    if (unlikely(d->parser.phase == HTTP1_OPAQUE && !c->in.messages)) {
        struct pmo_control *control = control_row();

        c->in.parser.phase = HTTP1_OPAQUE;
        c->out.parser.phase = HTTP1_OPAQUE;
        if (control)
            __sync_fetch_and_add(&control->not_http, 1);
    }
out:
    s->level = level;
}

SEC("cgroup_skb/ingress")
int request_ingress(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct connection *c;

    if (!sk)
        return 1;
    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (c)
        segment(skb, c, false);
    return 1;
}

SEC("cgroup_skb/egress")
int response_egress(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct connection *c;

    if (!sk)
        return 1;
    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (c)
        segment(skb, c, true);
    return 1;
}
