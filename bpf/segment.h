/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A segment of a connection, whatever is in it: the middle of a head or body, several requests, a
 * retransmission, one that overtook another. Slower than the way that bpf/request.h takes for a
 * segment that holds one whole head, and complete.
 *
 * Each direction is followed by its sequence numbers, so that a byte is parsed once however often
 * it is sent, and in its turn. Only ingress sees segments out of turn: what egress sees is what TCP
 * sends, in order, and again. Which of them has the requests says which end of the connection this
 * is: functions take both as constants.
 *
 * TCP says what it has of the stream: what TCP will drop is not kept, and a gap that TCP does not
 * have any more will not be filled. What cannot be parsed is marked, never guessed: a connection
 * that is joined in mid-stream, or that lost bytes, counts again from the next head that begins a
 * segment; a response without its request is still one request, of route "{other}".
 */
#pragma once

#include "bpf/stash.h"

#define LOCK_TRIES (1 << 20)

/* Now, on CLOCK_MONOTONIC. TCP has read the clock for a segment that it sends (the earliest
 * departure time in its time stamp): reading it again is the dearest part of an egress program. */
static __always_inline __u64 segment_time(struct __sk_buff *skb, bool sent)
{
    __u64 sent_ns = sent ? skb->tstamp : 0;

    return sent_ns ? sent_ns : bpf_ktime_get_ns();
}

/* A segment that is not the next one: kept, if there is room. */
static __always_inline void segment_keep(struct __sk_buff *skb, struct connection *c,
                                         struct segment_place *at, bool response)
{
    struct direction *d = response ? &c->out : &c->in;
    bool body = stash_body(c, response) >= at->seq + at->length - d->next_seq;
    struct stashed *range;

    if (body && stash_append(c, at))
        return;
    range = stash_place(c, at);
    if (!range)
        return;
    if (body && !range->length)
        *range = (struct stashed){.seq = at->seq, .length = at->length};
    else
        stash_put(skb, at, range);
    d->stashed_ranges = 1; /* or more */
}

/* Bytes are missing for good. */
static __always_inline void segment_hole(struct direction *d)
{
    struct pmo_control *control = control_row();

    if (control)
        __sync_fetch_and_add(&control->holes, 1);
    d->joined = d->doubt = 0;
}

/* Begins a stream anew, at a segment that begins with a head. Returns whether this is one. */
static __always_inline bool segment_join(struct __sk_buff *skb, struct connection *c,
                                         struct http1_chunk *chunk, struct segment_place *at,
                                         bool response, bool sent)
{
    struct direction *d = response ? &c->out : &c->in;

    if ((__s32)(at->seq - d->next_seq) < 0)
        return false; /* a retransmission */
    if (sent)
        d->next_seq = at->seq + at->length;
    if (at->length < 9 || bpf_skb_load_bytes(skb, at->payload, chunk->buf, 9))
        return false;
    if (tls_begins(chunk->buf)) {
        tls_found(c);
        return false;
    }
    if (!stream_join(c, chunk, response))
        return false;
    d->next_seq = at->seq;
    return true;
}

/* Is a segment the next one of its stream, or does it begin it anew? */
static __always_inline bool sent_in_turn(struct __sk_buff *skb, struct connection *c,
                                         struct http1_chunk *chunk, struct segment_place *at,
                                         bool response)
{
    struct direction *d = response ? &c->out : &c->in;

    if (d->joined && (__s32)(at->seq - d->next_seq) <= 0)
        return true;
    if (d->joined)
        segment_hole(d);
    return segment_join(skb, c, chunk, at, response, true);
}

static __always_inline bool received_in_turn(struct __sk_buff *skb, struct connection *c,
                                             struct http1_chunk *chunk, struct segment_place *at,
                                             bool response)
{
    struct direction *d = response ? &c->out : &c->in;
    struct bpf_sock *sk = skb->sk;
    struct tcp_sock *tcp;

    if (d->joined && (__s32)(at->seq - d->next_seq) <= 0)
        return true;
    tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
    if (!tcp || (__s32)(at->seq - (tcp->rcv_wup + tcp->rcv_wnd)) >= 0)
        return false; /* behind the window: TCP drops it */
    if ((__s32)(tcp->rcv_nxt - d->next_seq) > 0) {
        if (d->joined | d->doubt)
            segment_hole(d);
        stash_drop_all(c);
        c->early = 0;
        d->next_seq = tcp->rcv_nxt;
    } else if (d->joined | d->doubt) {
        d->joined = 1;
        d->doubt = 0;
        if ((__s32)(at->seq - d->next_seq) <= 0)
            return true;
        segment_keep(skb, c, at, response);
        return false;
    }
    return segment_join(skb, c, chunk, at, response, false);
}

/* The bytes of a segment that were not parsed yet. */
static __always_inline void segment_parse(struct __sk_buff *skb, struct connection *c,
                                          struct http1_chunk *chunk, struct segment_place *at,
                                          bool response, bool sent)
{
    struct direction *d = response ? &c->out : &c->in;
    struct stream s = {.from = skb, .connection = c, .chunk = chunk};

    if (d->parser.phase == HTTP1_OPAQUE || !(sent ? sent_in_turn(skb, c, chunk, at, response)
                                                  : received_in_turn(skb, c, chunk, at, response)))
        return;
    s.offset = at->payload + (d->next_seq - at->seq);
    s.end = at->payload + at->length;
    if (s.offset >= s.end)
        return; /* a retransmission */
    d->next_seq = at->seq + at->length;
    s.now_ns = segment_time(skb, sent);
    stream_feed(&s, STREAM_PACKET, response);
}

/* Segments of one connection may be handled on two CPUs at once, when the flow is moved from one to
 * the other. Softirqs are off, so whoever holds the lock gives it back soon. Returns whether it was
 * to be had. */
struct lock_run {
    struct connection *connection;
    bool locked;
};

static long lock_try(__u32 i, void *context)
{
    struct lock_run *r = context;
    struct connection *c = r->connection;

    r->locked = !__sync_lock_test_and_set(&c->in.lock, 1);
    /* who closes it may have been interrupted by this program, and cannot give the lock back */
    return loop_ends(r->locked || *(volatile __u32 *)&c->closed);
}

static __always_inline bool connection_lock_now(struct connection *c)
{
    return !__sync_lock_test_and_set(&c->in.lock, 1);
}

static __always_inline bool connection_lock_later(struct connection *c)
{
    struct lock_run r = {.connection = c};

    bpf_loop(LOCK_TRIES, lock_try, &r, 0);
    return r.locked;
}

static __always_inline bool connection_lock(struct connection *c)
{
    return likely(connection_lock_now(c)) || connection_lock_later(c);
}

static __always_inline void connection_unlock(struct connection *c)
{
    *(volatile __u32 *)&c->in.lock = 0;
}
