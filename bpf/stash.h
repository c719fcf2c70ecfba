/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The stash: bytes that came before their turn. A segment that overtook another (reordering, loss)
 * is kept until the bytes before it have come; so is what came with the last packet of a handshake,
 * when there is no connection yet that it could belong to.
 *
 * It is made of pieces of memory for the whole host, each stamped with the ticket of the range it
 * belongs to. A piece is given back when it has been parsed, or its connection ends. Where all are
 * taken, they are taken away in turn: who finds another stamp in a piece has lost it. That is also
 * how those come back that nobody will ever ask for (of handshakes that did not end).
 */
#pragma once

#include "bpf/stream.h"

#define STASH_RANGE_MAX 33U /* pieces of one segment: 64 KiB */

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_STASH_PIECES);
    __type(key, __u32);
    __type(value, struct stash_piece);
} stash SEC(".maps");

struct { /* pieces that nobody has */
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, PMO_STASH_PIECES);
    __uint(key_size, 0);
    __type(value, __u32);
} free_stash SEC(".maps");

/* The beginning of a stream: both its ends, and its first sequence number, which tells it from that
 * of another network namespace with the same addresses. */
struct stash_key {
    __u8 remote[16], local[16];    /* IPv4-mapped, network byte order */
    __u16 remote_port, local_port; /* host byte order */
    __u32 seq;
};

struct { /* data that came with the end of a handshake, by connection */
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct stash_key);
    __type(value, struct stashed);
} stashed_early SEC(".maps");

/* A piece, if it still belongs to the range with this ticket. */
static __always_inline struct stash_piece *stash_piece_of(__u32 row, __u32 ticket)
{
    struct stash_piece *piece = bpf_map_lookup_elem(&stash, &row);

    return piece && *(volatile __u32 *)&piece->ticket == ticket ? piece : NULL;
}

/* Gives the first piece of a range back; the range begins behind it then. By itself, as the stack
 * is short. */
static __noinline int stash_drop_piece(struct stashed *range)
{
    struct stash_piece *piece = stash_piece_of(range->piece, range->ticket);
    __u32 row = range->piece, ticket = range->ticket, next, length;

    if (!piece) {
        range->length = 0;
        return 0;
    }
    next = *(volatile __u32 *)&piece->next;
    length = *(volatile __u32 *)&piece->length;
    if (range->length <= length)
        range->length = 0;
    if (__sync_val_compare_and_swap(&piece->ticket, ticket, 0) == ticket)
        bpf_map_push_elem(&free_stash, &row, 0);
    if (!range->length)
        return 0;
    range->seq += length;
    range->length -= length;
    range->piece = next;
    return 0;
}

static long stash_drop_one(__u32 i, void *range)
{
    stash_drop_piece(range);
    return loop_ends(!((struct stashed *)range)->length);
}

static __always_inline void stash_drop(struct stashed *range)
{
    struct stashed r = *range; /* on the stack, as bpf_loop() has it */

    range->length = 0;
    if (r.length && r.ticket)
        bpf_loop(PMO_STASH_PIECES, stash_drop_one, &r, 0);
}

/* Whatever was kept of a connection. Global, as it is verified once then. */
__noinline int stash_drop_all(struct connection *c)
{
    if (!c)
        return 0;
    for (int k = 0; k < (int)STASHED_MAX; k++)
        stash_drop(&c->stashed[k]);
    c->in.stashed_ranges = c->out.stashed_ranges = 0;
    return 0;
}

struct stash_put {
    struct __sk_buff *skb;
    struct pmo_control *control;
    struct stashed *range;
    __u32 offset, end;
};

static long stash_put_piece(__u32 i, void *context)
{
    struct stash_put *p = context;
    __u32 row, ticket = p->range->ticket;
    struct stash_piece *piece, *last;
    __s64 n = p->end - p->offset;

    if (p->offset >= p->end)
        return 1;
    if (bpf_map_pop_elem(&free_stash, &row))
        row = __sync_fetch_and_add(&p->control->stash_taken, 1) % PMO_STASH_PIECES;
    piece = bpf_map_lookup_elem(&stash, &row);
    if (!piece)
        return 1;
    if (n > STASH_PIECE_BYTES)
        n = STASH_PIECE_BYTES;
    __sync_lock_test_and_set(&piece->ticket, 0); /* before and after its bytes are written */
    if (!length_within(&n, STASH_PIECE_BYTES) ||
        bpf_skb_load_bytes(p->skb, p->offset, piece->bytes, n))
        return 1;
    piece->length = n;
    __sync_lock_test_and_set(&piece->ticket, ticket);
    last = p->range->length ? stash_piece_of(p->range->last, ticket) : NULL;
    if (last) {
        last->next = row;
    } else if (!p->range->length) {
        p->range->piece = row;
    } else { /* what is before it was taken away */
        p->range->length = 0;
        return 1;
    }
    p->range->last = row;
    p->range->length += n;
    p->offset += n;
    return 0;
}

/* Puts a segment's payload away: behind what is in @range already, or in an empty one. By itself,
 * as the stack is short. */
static __noinline int stash_put(struct __sk_buff *skb, const struct segment_place *at,
                                struct stashed *range)
{
    struct stash_put put = {.skb = skb,
                            .control = control_row(),
                            .range = range,
                            .offset = at->payload,
                            .end = at->payload + at->length};

    if (!put.control || at->length > STASH_RANGE_MAX * STASH_PIECE_BYTES)
        return 0;
    if (!range->length) {
        range->seq = at->seq;
        range->ticket = 1 + __sync_fetch_and_add(&put.control->stash_tickets, 1);
    }
    bpf_loop(STASH_RANGE_MAX, stash_put_piece, &put, 0);
    return 0;
}

struct stash_take {
    struct connection *connection;
    __u32 has; /* TCP has all bytes before this one */
};

/* Bytes of a body that come next, which nobody looks at. What comes in are requests; or, where an
 * instance calls others, responses. */
static __always_inline __u64 stash_body(struct connection *c, bool response)
{
    const struct http1 *h = response ? &c->out.parser : &c->in.parser;

    return h->phase == HTTP1_BODY || h->phase == HTTP1_CHUNK_BODY ? h->left : 0;
}

static __always_inline void stash_pass(struct stash_take *t, __u32 n, bool response)
{
    struct connection *c = t->connection;
    struct direction *d = response ? &c->out : &c->in;
    __u32 event = HTTP1_MORE;

    http1_skip_body(&d->parser, n, &event);
    d->next_seq += n;
    if (!response)
        return;
    c->answer.bytes += n;
    if (event == HTTP1_END)
        answer_end(c, bpf_ktime_get_ns());
}

/* Passes over bytes that TCP has and that were not kept, up to the next kept ones, where they are
 * of a body. Returns whether there were any. */
static __always_inline bool stash_pass_gap(struct stash_take *t, bool response)
{
    struct connection *c = t->connection;
    __u32 next = response ? c->out.next_seq : c->in.next_seq, gap = t->has - next;

    for (int k = 0; k < (int)STASHED_MAX; k++) {
        __u32 ahead = c->stashed[k].seq - next;

        if (c->stashed[k].length && ahead < gap)
            gap = ahead;
    }
    if ((__s32)gap <= 0 || stash_body(c, response) < gap)
        return false;
    stash_pass(t, gap, response);
    return true;
}

/* The range that has this byte. By itself, likewise. */
static __noinline struct stashed *stash_find(struct connection *c, __u32 seq)
{
    for (int k = 0; k < (int)STASHED_MAX; k++)
        if (c->stashed[k].length && seq - c->stashed[k].seq < c->stashed[k].length)
            return &c->stashed[k];
    return NULL;
}

/* Parses the next piece, if it is what comes next. Looks up by itself what it needs, as the stack
 * of who calls it is short: 512 bytes for all, of which each call takes a multiple of 32 on 6.1. */
static __always_inline long stash_take_piece(struct stash_take *t, bool response)
{
    struct connection *c = t->connection;
    struct direction *d = response ? &c->out : &c->in;
    struct stream s = {.connection = c};
    struct stash_piece *piece;
    struct stashed *range;
    struct cpu *cpu;
    __u64 body;

    range = stash_find(c, d->next_seq);
    if (!range)
        return loop_ends(!stash_pass_gap(t, response));
    s.offset = d->next_seq - range->seq;
    body = stash_body(c, response);
    if (body) {
        stash_pass(t, body < range->length - s.offset ? body : range->length - s.offset, response);
        return 0;
    }
    piece = stash_piece_of(range->piece, range->ticket);
    if (!piece) {
        range->length = 0; /* lost */
        return 0;
    }
    s.from = piece;
    s.end = piece->length;
    if (s.offset >= s.end) {
        stash_drop_piece(range);
        return 0;
    }
    cpu = this_cpu();
    if (!cpu)
        return 1;
    s.chunk = &cpu->ingress;
    s.now_ns = bpf_ktime_get_ns();
    s.ticket = range->ticket;
    d->next_seq -= s.offset; /* and on by what was parsed; the next turn drops the piece */
    stream_feed(&s, STREAM_STASH, response);
    d->next_seq += s.offset;
    return 0;
}

static long stash_take_request(__u32 i, void *take)
{
    return stash_take_piece(take, false);
}

static long stash_take_response(__u32 i, void *take)
{
    return stash_take_piece(take, true);
}

/* What the bytes that were parsed last had been missing for. Ranges that lie behind are dropped.
 * TCP has all bytes before @has: bodies are passed over up to there. */
static __always_inline void stash_take(struct connection *c, __u32 has, bool response)
{
    struct direction *d = response ? &c->out : &c->in;
    struct stash_take take = {.connection = c, .has = has};
    __u32 left = 0;

    bpf_loop(4 * PMO_STASH_PIECES, response ? stash_take_response : stash_take_request, &take, 0);
    for (int k = 0; k < (int)STASHED_MAX; k++) {
        struct stashed *range = &c->stashed[k];

        if ((__s32)(range->seq + range->length - d->next_seq) <= 0)
            stash_drop(range);
        left += range->length != 0;
    }
    d->stashed_ranges = left;
}

/* Adds a segment that is all body to one before it, as all there is to know of it is that it has
 * come. */
static __always_inline bool stash_append(struct connection *c, const struct segment_place *at)
{
    for (int k = 0; k < (int)STASHED_MAX; k++) {
        struct stashed *range = &c->stashed[k];
        __u32 from = at->seq - range->seq;

        if (range->ticket || !range->length || from > range->length)
            continue;
        if (range->length < from + at->length)
            range->length = from + at->length;
        return true;
    }
    return false;
}

/* A place for a segment: behind a range that it continues, whose bytes it then loses; a free one,
 * or that of a range that it covers, which is emptied. NULL when all are taken, or when there is
 * nothing new in it. */
static __always_inline struct stashed *stash_place(struct connection *c, struct segment_place *at)
{
    struct stashed *place = NULL;

    for (int k = 0; k < (int)STASHED_MAX; k++) {
        struct stashed *range = &c->stashed[k];
        __s32 left = at->seq - range->seq, right = left + at->length - range->length;

        if (!range->length || (left <= 0 && right >= 0)) {
            place = range;
        } else if (left >= 0 && right <= 0) {
            return NULL;
        } else if (range->ticket && left > 0 && left <= (__s32)range->length) {
            at->payload += range->length - left;
            at->seq += range->length - left;
            at->length = right;
            return range;
        }
    }
    if (place)
        stash_drop(place);
    return place;
}
