/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests and responses of every server-side TCP connection of this host, in cgroup_skb at the
 * root cgroup: requests come by in ingress, responses in egress. Client sides leave here.
 *
 * What is here is the short way, for a segment that is next in its stream and holds one whole head
 * and nothing of a second message: nearly all of them. It writes nothing before it knows that the
 * segment is such a one; any other goes the long way (bpf/segment.h). What it costs is cache lines:
 * its code and data are cold each time it runs, so it is short, adds to what its CPU alone writes,
 * and finds all that with one look-up.
 */
#pragma once

#include "bpf/direct.h"
#include "bpf/segment.h"

/* Offset of the TCP header where it takes a longer look; 0 where there is none. */
static __noinline __u32 tcp_offset(struct __sk_buff *skb)
{
    __u8 ip[40], header[2], next;
    __u32 at = 40;

    if (bpf_skb_load_bytes(skb, 0, ip, 40))
        return 0;
    if ((ip[0] & 0xf0) == 0x40)
        return ip[9] == 6 ? (ip[0] & 15) * 4 : 0;
    if ((ip[0] & 0xf0) != 0x60)
        return 0;
    /* Extension headers (RFC 8200 section 4) are rare: a few of those that hosts do send. Fragments
     * were put together before, and lost their header; the only fragment of a packet has it. */
    next = ip[6];
    for (int i = 0; i < 4; i++) {
        if (next == 6)
            return at;
        if ((next != 0 && next != 43 && next != 44 && next != 60) ||
            bpf_skb_load_bytes(skb, at, header, 2))
            return 0;
        at += next == 44 ? 8 : 8 + header[1] * 8;
        next = header[0];
    }
    return next == 6 ? at : 0;
}

/* Finds the TCP payload of a packet that begins with its IP header. Returns whether there is any.
 */
static __always_inline bool segment_find(struct __sk_buff *skb, struct segment_place *at)
{
    __u8 *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
    __u32 tcp = 20, doff;

    if (likely(data + 40 <= data_end && data[0] == 0x45 && data[9] == 6)) {
        at->seq = bpf_ntohl(*(__u32 *)(data + 24));
        doff = data[32];
    } else {
        __u8 header[20];

        tcp = tcp_offset(skb);
        if (!tcp || tcp > 512 || bpf_skb_load_bytes(skb, tcp, header, 20))
            return false;
        at->seq = bpf_ntohl(*(__u32 *)&header[4]);
        doff = header[12];
    }
    at->payload = tcp + (doff >> 4) * 4;
    at->length = skb->len - at->payload;
    return (__s32)at->length > 0;
}

/* Is this a server-side socket? */
static __always_inline bool accepts(const struct bpf_sock *sk)
{
    return port_accepted(sk->src_port);
}

/* Loads the beginning of a segment. Returns how many bytes, 0 where that failed. */
static __always_inline __u32 segment_load(struct __sk_buff *skb, struct cpu *cpu,
                                          const struct segment_place *at, struct http1_chunk *chunk)
{
    __s64 n = at->length;

    if (n > HTTP1_CHUNK)
        n = HTTP1_CHUNK;
    if (!length_within(&n, HTTP1_CHUNK) || (!direct_load(skb, cpu, chunk, at->payload, n) &&
                                            bpf_skb_load_bytes(skb, at->payload, chunk->buf, n)))
        return 0;
    return n;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Keeps data for a connection that is not there yet, under @key. */
static __noinline int early_put(struct __sk_buff *skb, struct segment_place *at,
                                struct stash_key *key)
{
    struct stashed range = {0};
    __u8 tcp[14], ip[40];
    __u32 header;

    __builtin_memset(key, 0, sizeof(*key));
    if (bpf_skb_load_bytes(skb, 0, ip, 40))
        return 0;
    if (ip[0] >> 4 == 4) {
        key->remote[10] = key->remote[11] = key->local[10] = key->local[11] = 0xff;
        __builtin_memcpy(&key->remote[12], &ip[12], 4);
        __builtin_memcpy(&key->local[12], &ip[16], 4);
        header = (ip[0] & 15) * 4;
    } else {
        __builtin_memcpy(key->remote, &ip[8], 16);
        __builtin_memcpy(key->local, &ip[24], 16);
        header = tcp_offset(skb);
    }
    if (bpf_skb_load_bytes(skb, header, tcp, 14))
        return 0;
    key->remote_port = tcp[0] << 8 | tcp[1];
    key->local_port = tcp[2] << 8 | tcp[3];
    at->seq += tcp[13] >> 1 & 1; /* a SYN takes a number */
    key->seq = at->seq;
    stash_put(skb, at, &range);
    if (range.length)
        bpf_map_update_elem(&stashed_early, key, &range, BPF_ANY);
    return 0;
}

/* The long way. Global, as it is verified once then, and not for each way that leads there. */
__noinline int request_slow(struct __sk_buff *skb, struct connection *c, struct segment_place *at)
{
    struct cpu *cpu = this_cpu();

    if (c && at && cpu)
        segment_parse(skb, c, &cpu->ingress, at, false, false);
    return 0;
}

/* What had come before its turn, if it is its turn now; TCP has all bytes before @has. By itself,
 * as the stack is short; global, as it is verified once then. */
__noinline int request_stashed(struct connection *c, __u32 has)
{
    if (c)
        stash_take(c, has, false);
    return 0;
}

/* First byte that TCP does not have, or the @next one here, if that is behind it. */
static __noinline __u32 segment_missing(struct __sk_buff *skb, __u32 next)
{
    struct bpf_sock *sk = skb->sk;
    struct tcp_sock *tcp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;

    return tcp && (__s32)(tcp->rcv_nxt - next) > 0 ? tcp->rcv_nxt : next;
}

/* A segment of any kind, and what it was that had to come before. */
static __always_inline void request_long(struct __sk_buff *skb, struct connection *c,
                                         struct segment_place *at)
{
    __u32 has = segment_missing(skb, c->in.next_seq);

    if (unlikely(has != c->in.next_seq)) /* the rest is kept, or is of a body */
        request_stashed(c, has);
    request_slow(skb, c, at);
    if (c->in.stashed_ranges)
        request_stashed(c, c->in.next_seq);
}

/* A segment that is one request head, perhaps with the beginning of its body. Returns whether it
 * was. */
static __always_inline bool request_whole(struct __sk_buff *skb, struct connection *c,
                                          struct segment_place *at)
{
    struct cpu *cpu = this_cpu();
    struct pmo_instance_counts *overflow;
    struct pmo_counts *counts;
    struct http1_head head;
    struct queued_request *q;
    struct arrival *arrival;
    __u64 hash, now_ns;
    __u32 index, length, rest, parity;
    __u8 method;
    bool alone = exclusive;

    if (headers_named && headers_of(c->instance))
        return false;
    if (!cpu || c->in.parser.phase != HTTP1_START || at->seq != c->in.next_seq || !c->in.joined ||
        c->in.stashed_ranges || !queue_has_room(c))
        return false;
    length = segment_load(skb, cpu, at, &cpu->ingress);
    if (!length || !http1_whole_request(&cpu->ingress, length, &method, &hash, &head))
        return false;
    rest = at->length - head.pos;
    if (head.flags & HTTP1_CHUNKED || rest > head.left)
        return false;
    hash = hash_mix(hash, (__u64)c->generation << 8 | method);
    arrival = &cpu->arrivals[hash & (ARRIVALS_CACHE - 1)];
    if (unlikely(arrival->hash != hash)) {
        arrival->route = route_of_target(cpu, c->instance);
        arrival->slot =
            slot_of(c, cpu, PMO_PROTOCOL_HTTP1, arrival->route, method, PMO_STATUS_ARRIVED);
        arrival->hash = arrival->slot >= PMO_OVERFLOW_SLOTS ? hash : 0; /* may get one later */
    }

    now_ns = bpf_ktime_get_ns();
    parity = window_parity(cpu, now_ns);
    if (likely(arrival->slot >= PMO_OVERFLOW_SLOTS)) {
        counts = type_counts(arrival->slot, shard_of(cpu), parity);
        if (counts)
            shard_add(alone, &counts->requests, 1);
    } else {
        overflow = instance_counts_in(c->instance, SHARD_SHARED, parity);
        if (overflow)
            __sync_fetch_and_add(&overflow->arrivals, 1);
    }
    flight_begins(c, now_ns);
    index = c->in.messages + 1;
    q = &c->queue[index & (QUEUE_INLINE - 1)];
    q->arrived_ns = now_ns;
    q->index = index;
    q->bytes = head.pos + head.left;
    q->route = arrival->route;
    q->method = method;
    c->in.messages = index;
    c->in.next_seq = at->seq + at->length;
    head.left -= rest;
    if (unlikely(head.left)) {
        c->in.parser.left = head.left;
        c->in.parser.phase = HTTP1_BODY;
    }
    return true;
}

/* Data before its connection is there: for a listening socket, as it came with the end of a
 * handshake (TCP_DEFER_ACCEPT, a lost ACK, TCP Fast Open); or for one whose handshake's end is
 * being handled on another CPU. Whoever takes the data out of the map parses it: the program that
 * sets the connection up, or, when that has looked already, this one. Returns whether it is this
 * one. */
static __noinline bool request_early(struct __sk_buff *skb, struct segment_place *at)
{
    struct bpf_sock *sk = skb->sk;
    struct connection *c;
    struct stash_key key;
    bool mine;

    if (!sk || (sk->state != BPF_TCP_LISTEN && sk->state != BPF_TCP_SYN_RECV))
        return false;
    early_put(skb, at, &key);
    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (!c || !connection_lock(c))
        return false;
    mine = c->cookie && !bpf_map_delete_elem(&stashed_early, &key);
    connection_unlock(c);
    return mine;
}

static __noinline int queues_seen(struct __sk_buff *skb);       /* saturation.h */
static __noinline int datagram_received(struct __sk_buff *skb); /* datagram.h; so are UDP sockets */
static __noinline int datagram_sent(struct __sk_buff *skb);

SEC("cgroup_skb/ingress")
int request_ingress(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct segment_place at;
    struct connection *c;

    if (!sk)
        return 1;
    if (!accepts(sk)) {
        if (calls && port_calls(sk->src_port))
            bpf_tail_call(skb, &call_response_program, 0);
        return 1;
    }
    if (!segment_find(skb, &at)) {
        if (unlikely(sk->state == BPF_TCP_LISTEN))
            queues_seen(skb);
        else if (unlikely(sk->state == BPF_TCP_CLOSE))
            datagram_received(skb);
        return 1;
    }
    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (likely(c)) {
        if (unlikely(c->tls))
            return 1; /* what is in it is read elsewhere: no lock for that */
        /* Nothing of its cache line is read before the lock is taken: the line would be fetched
         * twice, to read and to write. Who has to wait goes the long way: the verifier then walks
         * the short one once. */
        if (likely(connection_lock_now(c))) {
            if (request_whole(skb, c, &at))
                goto unlock;
        } else if (!connection_lock_later(c)) {
            return 1;
        }
        if (c->in.parser.phase == HTTP1_OPAQUE)
            goto unlock;
        if (likely(c->in.joined || c->cookie)) {
            request_long(skb, c, &at);
            goto unlock;
        }
        connection_unlock(c);
    } else if (calls && port_calls(sk->src_port)) {
        bpf_tail_call(skb, &call_response_program, 0);
    }
    if (!request_early(skb, &at))
        return 1;
    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (!c || !connection_lock(c))
        return 1;
    request_long(skb, c, &at);
unlock:
    connection_unlock(c);
    return 1;
}

/* ---- responses ------------------------------------------------------------------------------ */

/* A chunk for egress that nobody has, by its number; SENDERS: none. */
static __always_inline __u32 sender_take(struct cpu *cpu)
{
    __u32 i;

    for (i = 0; i < SENDERS; i++)
        if (!__sync_lock_test_and_set(&cpu->busy[i], 1))
            break;
    pmo_opaque(i); /* or the verifier walks what follows for each of them */
    return i;
}

/* The long way. Without a chunk it is a hole in what was seen, marked when the next segment comes.
 */
static __always_inline void segment_sent(struct __sk_buff *skb, struct connection *c,
                                         struct segment_place *at, bool response)
{
    struct cpu *cpu = this_cpu();
    __u32 i = cpu ? sender_take(cpu) : SENDERS;

    if (i >= SENDERS)
        return;
    segment_parse(skb, c, &cpu->egress[i], at, response, true);
    cpu = this_cpu(); /* again, as the stack is short, and so for the verifier is the number */
    pmo_opaque(i);
    if (cpu && i < SENDERS)
        *(volatile __u32 *)&cpu->busy[i] = 0;
}

/* Global, as it is verified once then; so is the one of calls.h. */
__noinline int response_slow(struct __sk_buff *skb, struct connection *c, struct segment_place *at)
{
    if (c && at)
        segment_sent(skb, c, at, true);
    return 0;
}

/* A segment that is one final response head, perhaps with its body or the beginning of it. Returns
 * whether it was. The caller holds this CPU. */
static __always_inline bool response_whole(struct __sk_buff *skb, struct connection *c,
                                           struct segment_place *at, struct cpu *cpu)
{
    struct queued_request *q;
    struct pmo_counts *counts;
    struct http1_head head;
    __u64 now_ns, latency_ns, request_bytes;
    __u32 index, length, rest, slot, bucket;
    __u16 status;
    __u8 method;
    bool alone = exclusive;

    if (c->out.parser.phase != HTTP1_START || at->seq != c->out.next_seq || !c->out.joined)
        return false;
    index = c->out.messages + 1;
    q = &c->queue[index & (QUEUE_INLINE - 1)];
    if (q->index != index)
        return false;
    length = segment_load(skb, cpu, at, &cpu->egress[0]);
    if (!length || !http1_whole_response(&cpu->egress[0], length, &status, &head))
        return false;
    method = q->method;
    if (status < 200 || method == PMO_METHOD_CONNECT)
        return false;
    if (method == PMO_METHOD_HEAD || status == 204 || status == 304)
        head.left = 0;
    else if ((head.flags & (HTTP1_CHUNKED | HTTP1_LENGTH)) != HTTP1_LENGTH)
        return false;
    rest = at->length - head.pos;
    if (rest > head.left)
        return false;

    now_ns = segment_time(skb, true);
    slot = slot_of(c, cpu, PMO_PROTOCOL_HTTP1, q->route, method, status_class(status));
    counts = type_counts(slot, shard_of(cpu), window_parity(cpu, now_ns));
    latency_ns = now_ns - q->arrived_ns;
    if ((__s64)latency_ns < 0)
        latency_ns = 0;
    bucket = latency_bucket(latency_ns);
    request_bytes = q->bytes;
    if (!counts || bucket >= PMO_LATENCY_BUCKETS)
        return false;
    shard_add(alone, &counts->requests, 1);
    shard_add(alone, &counts->first_byte_ns, latency_ns);
    shard_add(alone, &counts->latency[bucket / 2].first_byte[bucket & 1], 1);
    head.left -= rest;
    if (likely(!head.left)) {
        shard_add(alone, &counts->finished, 1);
        shard_add(alone, &counts->last_byte_ns, latency_ns);
        shard_add(alone, &counts->request_bytes, request_bytes);
        shard_add(alone, &counts->response_bytes, at->length);
        shard_add(alone, &counts->latency[bucket / 2].last_byte, 1);
        flight_ends(c, 1);
        c->out.ended++;
    } else {
        c->answer.arrived_ns = q->arrived_ns;
        c->answer.slot = slot;
        c->answer.request_bytes = request_bytes;
        c->answer.bytes = at->length;
        c->out.parser.left = head.left;
        c->out.parser.phase = HTTP1_BODY;
    }
    c->out.messages = index;
    c->out.next_seq = at->seq + at->length;
    return true;
}

SEC("cgroup_skb/egress")
int response_egress(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct segment_place at;
    struct connection *c;
    struct cpu *cpu;
    bool whole;

    if (!sk)
        return 1;
    if (!accepts(sk)) {
        if (calls && port_calls(sk->src_port))
            bpf_tail_call(skb, &call_request_program, 0);
        return 1;
    }
    if (!segment_find(skb, &at)) {
        if (unlikely(sk->state == BPF_TCP_CLOSE))
            datagram_sent(skb);
        return 1;
    }
    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (calls && !c && port_calls(sk->src_port))
        bpf_tail_call(skb, &call_request_program, 0);
    if (!c || c->out.parser.phase == HTTP1_OPAQUE)
        return 1;
    cpu = this_cpu();
    if (!cpu)
        return 1;
    if (likely(!__sync_lock_test_and_set(&cpu->busy[0], 1))) {
        whole = response_whole(skb, c, &at, cpu);
        *(volatile __u32 *)&cpu->busy[0] = 0;
        if (whole)
            return 1;
    }
    response_slow(skb, c, &at);
    return 1;
}
