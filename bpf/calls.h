/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls: the requests that an instance makes to others, where its service's policy asks for them.
 * They are counted under the instance that makes them, as types of their own (PMO_OUTBOUND), from
 * the moment that they leave to that at which their answer arrives.
 *
 * Whose a connection is, is looked up once, when a socket connects: by its network namespace, by
 * the process that connects or one that it descends from, or by the socket's cgroup. A socket of
 * nobody in the map "callers" gets no storage. One that has a caller gets the storage that a
 * server's side has, in a map of its own, so that the two never meet; its local port is marked in
 * a bitmap of its own, too, for as long as it is connected.
 *
 * Requests leave in egress, responses come in ingress: bpf/segment.h and bpf/exchange.h do the
 * same with the roles of the two swapped. These are programs of their own, which those of
 * bpf/request.h go on with (a tail call), and are loaded only where calls are counted. There is no
 * short way: who asks for calls pays for them.
 */
#pragma once

#include "bpf/peers.h"
#include "bpf/request.h"

#define IPPROTO_TCP     6
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT    2

#define CALLER_ANCESTORS 4 /* processes that are asked for, the one that connects included */

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct connection);
} call_connections SEC(".maps");

static __always_inline struct pmo_calling *caller_find(__u32 kind, __u64 id)
{
    struct pmo_caller key = {.id = id, .kind = kind};

    return bpf_map_lookup_elem(&callers, &key);
}

static __always_inline struct pmo_calling *caller_by_netns(const struct sock *sk)
{
    return caller_find(PMO_CALLER_NETNS, BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie));
}

static __always_inline struct pmo_calling *caller_by_cgroup(const struct sock *sk)
{
    return caller_find(PMO_CALLER_CGROUP, BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id));
}

static __always_inline struct pmo_calling *caller_by_process(void)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    struct pmo_calling *caller;

    for (int i = 0; i < CALLER_ANCESTORS; i++) {
        caller = caller_find(PMO_CALLER_PROCESS, BPF_CORE_READ(task, tgid));
        if (caller)
            return caller;
        task = BPF_CORE_READ(task, real_parent);
    }
    return NULL;
}

static __always_inline void call_bind(struct connection *c, const struct pmo_calling *caller)
{
    c->direction = PMO_OUTBOUND;
    c->instance = caller->instance;
    c->generation = caller->generation;
    c->fold.instance = caller->instance | FOLD_OUTBOUND;
    c->fold.generation = caller->generation | FOLD_OUTBOUND;
}

/* A socket begins to connect: in the process that wants it to. */
static __noinline int call_begin(struct sock *sk)
{
    struct pmo_calling *caller;
    struct connection *c;

    if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
        return 0;
    caller = caller_by_netns(sk);
    if (!caller)
        caller = caller_by_process();
    if (!caller)
        caller = caller_by_cgroup(sk);
    if (!caller)
        return 0;
    c = bpf_sk_storage_get(&call_connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (!c)
        return 0;
    call_bind(c, caller);
    c->peer = peer_row(sk);
    c->cookie = bpf_get_socket_cookie(sk);
    return 0;
}

/* Its handshake is over, and nothing was sent or received yet. Two agents' programs may both be
 * attached for a moment: the first to come takes it. */
static __noinline int call_established(struct sock *sk)
{
    struct connection *c = bpf_sk_storage_get(&call_connections, sk, NULL, 0);
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

    if (!c || !tcp || c->port)
        return 0;
    c->established_ns = bpf_ktime_get_ns();
    c->in.next_seq = tcp->snd_nxt;
    c->out.next_seq = tcp->rcv_nxt;
    c->in.joined = !BPF_CORE_READ_BITFIELD(tcp, syn_data);
    c->out.joined = 1;
    c->port = BPF_CORE_READ(sk, __sk_common.skc_num);
    port_call_begins(c->port);
    peer_dialled(sk, c->peer, tcp->snd_nxt);
    return 0;
}

/* A connection from before the programs, of which only the socket is there to ask for its caller:
 * joined in mid-stream, and counted from its next request on. */
static __noinline int call_join(struct sock_common *common)
{
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(common);
    struct pmo_control *control = control_row();
    struct sock *sk = (struct sock *)common;
    struct pmo_calling *caller = caller_by_netns(sk);
    struct connection *c;

    if (!caller)
        caller = caller_by_cgroup(sk);
    if (!caller || !tcp || !control || bpf_sk_storage_get(&call_connections, tcp, NULL, 0))
        return 0;
    c = bpf_sk_storage_get(&call_connections, tcp, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (!c)
        return 0;
    call_bind(c, caller);
    c->peer = peer_row(sk);
    c->cookie = bpf_get_socket_cookie(tcp);
    c->in.next_seq = tcp->snd_nxt;
    c->out.next_seq = tcp->rcv_nxt;
    c->port = BPF_CORE_READ(sk, __sk_common.skc_num);
    port_call_begins(c->port);
    __sync_fetch_and_add(&control->midstream, 1);
    return 0;
}

/* The socket may connect again: it begins anew then. */
static __always_inline void call_end(struct sock *sk, struct connection *c)
{
    if (c->port)
        port_call_ends(c->port);
    bpf_sk_storage_delete(&call_connections, sk);
}

/* ---- packets -------------------------------------------------------------------------------- */

__noinline int call_slow(struct __sk_buff *skb, struct connection *c, struct segment_place *at)
{
    if (c && at)
        segment_sent(skb, c, at, false);
    return 0;
}

SEC("cgroup_skb/egress")
int call_request(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct segment_place at;
    struct connection *c;

    if (!sk || !segment_find(skb, &at))
        return 1;
    c = bpf_sk_storage_get(&call_connections, sk, NULL, 0);
    if (c && c->in.parser.phase != HTTP1_OPAQUE)
        call_slow(skb, c, &at);
    return 1;
}

/* Likewise by themselves: see request_stashed(). */
static __noinline int call_response_parse(struct __sk_buff *skb, struct connection *c,
                                          struct segment_place *at)
{
    struct cpu *cpu = this_cpu();

    if (cpu)
        segment_parse(skb, c, &cpu->ingress, at, true, false);
    return 0;
}

__noinline int call_response_stashed(struct connection *c, __u32 has)
{
    if (c)
        stash_take(c, has, true);
    return 0;
}

SEC("cgroup_skb/ingress")
int call_response(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct segment_place at;
    struct connection *c;
    __u32 has;

    if (!sk || !segment_find(skb, &at))
        return 1;
    c = bpf_sk_storage_get(&call_connections, sk, NULL, 0);
    if (!c || c->out.parser.phase == HTTP1_OPAQUE || !connection_lock(c))
        return 1;
    has = segment_missing(skb, c->out.next_seq);
    if (has != c->out.next_seq)
        call_response_stashed(c, has);
    call_response_parse(skb, c, &at);
    if (c->out.stashed_ranges)
        call_response_stashed(c, c->out.next_seq);
    connection_unlock(c);
    return 1;
}
