/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exchanges: the requests of one connection, from their arrival to the last byte of the answer,
 * whatever parser finds them. What is said of ingress and egress here holds for the server's side;
 * on the client's (bpf/calls.h) requests are what egress sees, and responses what ingress does.
 *
 * A request is counted as arrived when its head is complete, by type (with its status and the time
 * to the first byte of its response) when the head of its response is, and its last byte when that
 * comes. The n-th final response answers the n-th request (RFC 9112 9.3.2), so what lies between
 * the directions is a ring of requests. Ingress puts them in, egress reads them; each side writes
 * only what is its own (a ring of one producer and one consumer, Lamport 1983), so that no cache
 * line changes hands more often than it must. A socket's egress is serialised by its socket lock,
 * its ingress by the connection's own lock (segment.h).
 */
#pragma once

#include "bpf/count.h"
#include "bpf/http1.h"
#include "bpf/maps.h"

#define QUEUE_INLINE 4U

struct queued_request {
    __u64 arrived_ns;
    __u64 bytes; /* of head and body */
    __u32 index; /* of the request on its connection, from 1 on */
    __u16 route;
    __u8 method;
    __u8 pad;
    __u16 asked; /* struct wire's */
    __u8 pad2[6];
};

/* What ingress writes, or what egress writes: a cache line each. */
struct direction {
    struct http1 parser;
    __u32 next_seq; /* first byte that was not parsed yet */
    __u32 messages; /* heads of requests, or of final responses */
    __u32 ended;    /* egress: final responses whose body is complete; ingress: a copy of that, for
                       whether the ring has room */
    __u32 lock;     /* ingress */
    __u32 stashed_ranges; /* ingress: segments that wait for one before them */
    __u8 joined; /* 0: nothing known about the stream yet; next segment with a head begins it */
    __u8 doubt;  /* ingress: not joined any more, as an answer came whose request was not seen */
    __u8 pad[2];
    __u32 bytes; /* ingress, wire.h: of the request so far; before that, where its stream begins */
    __u8 pad2[4];
};

/* A response, and what it needs of its request. */
struct answer {
    __u64 arrived_ns;
    __u64 first_byte_ns;
    __u64 request_bytes;
    __u64 bytes;
    __u32 slot;
    __u32 pad;
};

#define STASHED_MAX 8U

/* Bytes in the stash (stash.h). */
struct stashed {
    __u32 seq;
    __u32 length; /* 0: no range */
    __u32 ticket; /* 0: nothing is kept, as all of it is body */
    __u32 piece;  /* its first one, */
    __u32 last;   /* and its last one */
};

/* Where a segment is in its packet, and in its stream. */
struct segment_place {
    __u32 payload, length;
    __u32 seq;
};

/* The kernel puts a storage eight bytes behind the beginning of a cache line. What both directions
 * read, and nobody writes, shares that line with the kernel's own pointer. The directions are at
 * home on two CPUs, often, and so far from that and from each other that neither CPU, which fetches
 * the lines beside those that it uses, takes the other's away: what most segments have no use for
 * lies in between. */
struct connection {
    __u64 cookie;
    __u32 instance;
    __u32 generation; /* of the instance's row */
    __u64 established_ns;
    __u32 tls;      /* enum tls_state */
    __u8 direction; /* enum pmo_direction; outbound: calls.h */
    __u8 protocol;  /* enum pmo_protocol of its answers, where wire.h has them; else 0 */
    __u16 port;     /* outbound: local port that is looked for, once it is known */
    __u16 peer;     /* outbound: row of where it goes */
    __u16 pad[11];
    struct stashed stashed[STASHED_MAX];
    __u64 pad_stashed[4];
    struct direction in;
    struct fold fold;
    __u64 pad_fold[7];
    struct direction out;
    struct answer answer; /* whose body is being sent */
    __u32 closed;
    __u32 http2; /* multiplex.h has its exchanges */
    __u32 early; /* index of a request that was answered before its head was complete */
    __u32 pad_out[3];
    struct queued_request queue[QUEUE_INLINE];
};

#define LINE_OFFSET(member) ((8 + __builtin_offsetof(struct connection, member)) % 64)

_Static_assert(!LINE_OFFSET(in) && !LINE_OFFSET(out) && !LINE_OFFSET(queue), "whole lines");
_Static_assert(sizeof(struct direction) == 64, "a cache line");
_Static_assert(sizeof(struct queued_request) == 32, "half a cache line");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct connection);
} connections SEC(".maps");

/* Does an instance make these requests, and not serve them? */
static __always_inline bool is_call(const struct connection *c)
{
    return calls && c->direction == PMO_OUTBOUND;
}

/* Whose requests these are. */
static __always_inline void connection_bind(struct connection *c,
                                            const struct pmo_instance *instance)
{
    c->instance = c->fold.instance = instance ? instance->id : 0;
    c->generation = c->fold.generation = instance ? instance->generation : 0;
}

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

/* One more request to an instance is in flight. Where calls are counted, one that finds it idle is
 * kept: see call_delay(). Two that come at once are told apart by their numbers. */
static __always_inline void flight_count(__u32 instance, struct pmo_hint_instance *hint,
                                         __u64 now_ns)
{
    struct pmo_hint_ended *row;
    __u32 arrived;

    if (!calls) {
        __sync_fetch_and_add(&hint->arrived, 1);
        return;
    }
    arrived = 1 + __sync_fetch_and_add(&hint->arrived, 1);
    row = (struct pmo_hint_ended *)ended_row(instance);
    if (!row || arrived - *(volatile __u32 *)&row->ended != 1)
        return;
    row->lone_ns = now_ns;
    barrier();
    *(volatile __u32 *)&row->lone = arrived;
}

/* For the gauge of requests in flight, which is of those that are served. */
static __always_inline void flight_begins(const struct connection *c, __u64 now_ns)
{
    struct pmo_hint_instance *hint = is_call(c) ? NULL : hint_row(c->instance);

    if (hint)
        flight_count(c->instance, hint, now_ns);
}

static __always_inline void flight_ends(const struct connection *c, __u32 n)
{
    __u32 *ended = is_call(c) ? NULL : ended_row(c->instance);

    if (ended)
        __sync_fetch_and_add(ended, n);
}

/* Of what is not HTTP/2. */
static __always_inline __u8 protocol_of(const struct connection *c)
{
    return c->protocol ? c->protocol : PMO_PROTOCOL_HTTP1;
}

/* Is there room in the ring for one more? */
static __always_inline bool queue_has_room(struct connection *c)
{
    __u32 next = c->in.messages + 1;

    if (likely(next - c->in.ended <= QUEUE_INLINE))
        return true;
    c->in.ended = *(volatile __u32 *)&c->out.ended;
    return next - c->in.ended <= QUEUE_INLINE;
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

static __always_inline void queue_drop(struct connection *c, __u32 index)
{
    struct queue_key key = {.cookie = c->cookie, .index = index};

    if (unlikely(c->queue[index & (QUEUE_INLINE - 1)].index != index))
        bpf_map_delete_elem(&deep_queue, &key);
}

/* Slot of what the connection's requests of a route, method and status class are counted under. */
static __always_inline __u32 slot_of(struct connection *c, struct cpu *cpu, __u8 protocol,
                                     __u32 route, __u8 method, __u8 status_class)
{
    struct pmo_counter_key key;

    __builtin_memset(&key, 0, sizeof(key));
    key.instance = c->instance;
    key.route = route;
    if (calls) {
        key.direction = c->direction;
        key.peer = c->peer;
    }
    key.protocol = protocol;
    key.method = method;
    key.status_class = status_class;
    return counter_slot_cached(cpu, &key, c->generation);
}

#define CALLERS_TOGETHER 8 /* at most; of more, nothing is known */

/*
 * A call has left. How long after the request that it is made for, is known where that was the only
 * one in flight, and has been since it came: it found its instance idle, and none came after it.
 * (Were others there in between, the one that is left may be any of them.) Where a process listens
 * in several places, that goes for all of its instances. Global, as it is verified once then.
 */
__noinline int call_delay(__u32 caller, struct pmo_counts *counts, __u64 now_ns)
{
    __u32 instance = caller, in_flight = 0, bucket;
    __u64 since_ns = 0, delay_ns;

    for (int i = 0; i < CALLERS_TOGETHER; i++) {
        struct pmo_hint_ended *row = (struct pmo_hint_ended *)ended_row(instance);
        struct pmo_hint_instance *hint = hint_row(instance);
        __u32 ended, arrived;

        if (!row || !hint)
            return 0;
        ended = *(volatile __u32 *)&row->ended;
        arrived = *(volatile __u32 *)&hint->arrived;
        in_flight += arrived - ended;
        if (arrived - ended == 1 && *(volatile __u32 *)&row->lone == arrived)
            since_ns = row->lone_ns;
        instance = *(volatile __u32 *)&row->together;
        if (!instance || instance == caller)
            break;
    }
    delay_ns = now_ns - since_ns;
    bucket = latency_bucket(delay_ns);
    if (!counts || in_flight != 1 || !since_ns || (instance && instance != caller) ||
        (__s64)delay_ns < 0 || bucket >= PMO_LATENCY_BUCKETS)
        return 0;
    __sync_fetch_and_add(&counts->finished, 1);
    __sync_fetch_and_add(&counts->first_byte_ns, delay_ns);
    __sync_fetch_and_add(&counts->latency[bucket / 2].first_byte[bucket & 1], 1);
    return 0;
}

static __always_inline void arrival_count(struct connection *c, __u64 now_ns, __u8 protocol,
                                          __u32 route, __u8 method)
{
    struct pmo_instance_counts *instance;
    struct pmo_counts *type;
    struct cpu *cpu = this_cpu();
    __u32 slot, parity;

    if (!cpu)
        return;
    parity = window_parity(cpu, now_ns);
    slot = slot_of(c, cpu, protocol, route, method, PMO_STATUS_ARRIVED);
    if (slot >= PMO_OVERFLOW_SLOTS || is_call(c)) {
        type = type_counts(slot, SHARD_SHARED, parity);
        if (type)
            __sync_fetch_and_add(&type->requests, 1);
        if (type && is_call(c))
            call_delay(c->instance, type, now_ns);
    } else {
        instance = instance_counts_in(c->instance, SHARD_SHARED, parity);
        if (instance)
            __sync_fetch_and_add(&instance->arrivals, 1);
    }
    flight_begins(c, now_ns);
}

/* Whether a value is one of the first PMO_HEADER_HASHES of a header and service. */
static __always_inline bool header_value_known(struct fold *f, __u64 name, __u32 value)
{
    struct pmo_fold_node *header;

    f->scope = learn_scope(f);
    f->above = fold_child(fold_root(f->scope), name);
    f->node = fold_child(f->above, value);
    if (learn_node(f->node))
        return true;
    header = learn_node_of(f->above, f->scope);
    if (!header || header->children >= PMO_HEADER_HASHES)
        return false;
    if (learn_node_make(f->node, f->scope))
        __sync_fetch_and_add(&header->children, 1);
    return true;
}

/* Writes "name: value" of a header that a request has, the @at-th of those that are named. Returns
 * whether it is there. Global, as it is verified once then. */
__noinline int header_text(struct fold *f, __u32 at, __u64 digest)
{
    struct pmo_header *header = bpf_map_lookup_elem(&named_headers, &at);
    __u32 length, number = 0;

    if (!f || !header || !header->name)
        return false;
    for (__u32 i = 1; i <= PMO_HEADER_VALUES; i++)
        if (i <= header->values && header->value[i].digest == digest)
            number = i;
    if (header->hash && header_value_known(f, header->name, digest >> 32))
        number = 1;
    pmo_opaque(number);
    if (number > PMO_HEADER_VALUES)
        return false;
    __builtin_memcpy(f->text, header->value[number].text, PMO_HEADER_TEXT);
    length = header->value[number].length;
    for (int i = 0; header->hash && number && i < 8; i++) {
        __u32 digit = digest >> (60 - 4 * i) & 15;

        pmo_opaque(length);
        f->text[length & 63] = digit < 10 ? '0' + digit : 'a' + digit - 10;
        length++;
    }
    f->length = length & 127;
    return true;
}

/* The row of that text; 0 where there is no room. The connection's fold is at hand, unless it
 * folds. No call, as the stack is short. */
static __always_inline __u32 header_row(struct fold *fold, __u32 at, __u64 digest)
{
    __u32 row;

    fold->instance |= FOLD_HEADERS;
    row = header_text(fold, at, digest) ? route_row(fold) : 0;
    fold->instance &= ~FOLD_HEADERS;
    return row;
}

/* Counts a request once more for a header that it has. */
__noinline int header_count(struct connection *c, __u32 route, __u64 now_ns)
{
    struct cpu *cpu = this_cpu();
    struct pmo_counts *counts;
    __u32 slot;

    if (!c || !cpu || !route)
        return 0;
    slot = slot_of(c, cpu, PMO_PROTOCOL_HEADER, route, PMO_METHOD_OTHER, PMO_STATUS_ARRIVED);
    counts = slot >= PMO_OVERFLOW_SLOTS
                 ? type_counts(slot, SHARD_SHARED, window_parity(cpu, now_ns))
                 : NULL;
    if (counts)
        __sync_fetch_and_add(&counts->requests, 1);
    return 0;
}

/* The headers of a request head of HTTP/1. By itself, as the stack is short. */
__noinline int headers_count(struct connection *c, __u64 now_ns)
{
    __u32 found;

    if (!c)
        return 0;
    found = c->fold.headers.found;
    for (__u32 i = 0; i < PMO_HEADERS_MAX; i++)
        if (found >> i & 1)
            header_count(c, header_row(&c->fold, i, c->fold.headers.values[i]), now_ns);
    c->fold.headers.found = 0;
    return 0;
}

/* Puts a request behind the ring, that has no room for it. By itself, as the stack is short. */
static __noinline int queue_put_deep(struct connection *c, __u64 now_ns, __u64 bytes, __u32 route,
                                     __u8 method)
{
    struct queue_key key = {.cookie = c->cookie, .index = c->in.messages + 1};
    struct queued_request r;

    __builtin_memset(&r, 0, sizeof(r));
    r.arrived_ns = now_ns;
    r.index = key.index;
    r.bytes = bytes;
    r.route = route;
    r.method = method;
    return bpf_map_update_elem(&deep_queue, &key, &r, BPF_ANY);
}

/* A request head is complete. */
static __always_inline void request_arrived(struct connection *c, __u64 now_ns, __u32 route,
                                            __u8 method, __u64 bytes)
{
    __u32 index = c->in.messages + 1;
    struct queued_request *q = &c->queue[index & (QUEUE_INLINE - 1)];

    if (unlikely(c->early && c->early == c->in.messages)) {
        c->early = 0; /* counted with its answer */
        return;
    }
    arrival_count(c, now_ns, protocol_of(c), route, method);
    if (likely(queue_has_room(c))) {
        q->arrived_ns = now_ns;
        q->index = index;
        q->bytes = bytes;
        q->route = route;
        q->method = method;
    } else {
        queue_put_deep(c, now_ns, bytes, route, method);
    }
    c->in.messages = index;
}

/* First digit of a status, without a division; what has none counts as a server's fault. */
static __always_inline __u32 status_class(__u16 status)
{
    return status < 200 ? 1 : status < 300 ? 2 : status < 400 ? 3 : status < 500 ? 4 : 5;
}

/* The head of a response has come, or there will be none: counts it in the slot that it names. */
static __always_inline void answer_count(struct cpu *cpu, const struct answer *a, bool answered,
                                         __u64 now_ns)
{
    struct pmo_counts *counts = type_counts(a->slot, SHARD_SHARED, window_parity(cpu, now_ns));
    __u64 latency_ns = a->first_byte_ns > a->arrived_ns ? a->first_byte_ns - a->arrived_ns : 0;
    __u32 bucket = latency_bucket(latency_ns);

    if (!counts)
        return;
    __sync_fetch_and_add(&counts->requests, 1);
    if (!answered)
        return;
    __sync_fetch_and_add(&counts->first_byte_ns, latency_ns);
    if (bucket < PMO_LATENCY_BUCKETS)
        __sync_fetch_and_add(&counts->latency[bucket / 2].first_byte[bucket & 1], 1);
}

/* The last byte of a response has come. */
static __always_inline void answer_finish(struct cpu *cpu, const struct answer *a, __u64 now_ns)
{
    struct pmo_counts *counts = type_counts(a->slot, SHARD_SHARED, window_parity(cpu, now_ns));
    __u64 latency_ns = now_ns > a->arrived_ns ? now_ns - a->arrived_ns : 0;
    __u32 bucket = latency_bucket(latency_ns);

    if (!counts)
        return;
    __sync_fetch_and_add(&counts->finished, 1);
    __sync_fetch_and_add(&counts->last_byte_ns, latency_ns);
    __sync_fetch_and_add(&counts->request_bytes, a->request_bytes);
    __sync_fetch_and_add(&counts->response_bytes, a->bytes);
    if (bucket < PMO_LATENCY_BUCKETS)
        __sync_fetch_and_add(&counts->latency[bucket / 2].last_byte, 1);
}

/* Is a request head under way? Its method and route, as far as they are known already. */
static __always_inline bool request_begun(struct connection *c, __u32 *route, __u8 *method)
{
    struct http1 *h = &c->in.parser;

    *method = h->phase > HTTP1_METHOD ? h->method : PMO_METHOD_OTHER;
    *route = h->phase > HTTP1_TARGET ? h->route : 0;
    return c->in.joined && h->phase > HTTP1_START && h->phase < HTTP1_CHUNK_SIZE &&
           !(h->flags & HTTP1_TRAILER);
}

/* Answer number @index came before the head of its request was complete, or that was not seen: it
 * arrives with its answer. */
static __always_inline void answer_unasked(struct connection *c, struct cpu *cpu, __u32 index,
                                           __u32 class, __u64 now_ns)
{
    struct answer *a = &c->answer;
    __u32 route;
    __u8 method;

    if (request_begun(c, &route, &method)) {
        c->early = index;
    } else {
        route = 0;
        method = PMO_METHOD_OTHER;
        c->in.doubt = c->in.joined;
        c->in.joined = 0;
    }
    arrival_count(c, now_ns, protocol_of(c), route, method);
    c->in.messages = index;
    a->arrived_ns = now_ns;
    a->request_bytes = 0;
    a->slot = slot_of(c, cpu, protocol_of(c), route, method, class);
}

/* Counts the head of response number out.messages + 1 (or that there will be none) and takes its
 * request out of the ring. */
static __always_inline void answer_begin(struct connection *c, __u32 class, __u64 now_ns)
{
    __u32 index = c->out.messages + 1;
    struct queued_request *q = queue_find(c, index);
    struct answer *a = &c->answer;
    struct cpu *cpu = this_cpu();

    if (!cpu)
        return;
    if (unlikely(!q)) {
        answer_unasked(c, cpu, index, class, now_ns);
    } else {
        a->arrived_ns = q->arrived_ns;
        a->request_bytes = q->bytes;
        a->slot = slot_of(c, cpu, protocol_of(c), q->route, q->method, class);
        queue_drop(c, index);
    }
    c->out.messages = index;
    answer_count(cpu, a, class != PMO_STATUS_ABORTED, now_ns);
}

/* The body of a final response is complete. */
static __always_inline void answer_end(struct connection *c, __u64 now_ns)
{
    struct cpu *cpu = this_cpu();

    c->out.ended++;
    flight_ends(c, 1);
    if (cpu)
        answer_finish(cpu, &c->answer, now_ns);
    c->answer.bytes = 0;
}
