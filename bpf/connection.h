/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections, in sockops on the root cgroup: each accepted one gets its storage, bound to the
 * instance that listens on its local address. Sockets without storage (client sides, UDP) leave the
 * packet programs after one look.
 */
#pragma once

#include "bpf/listener.h"
#include "bpf/maps.h"
#include "bpf/request.h"

/* The instance that listens on a local address, or on any address of its port. */
static __always_inline struct pmo_instance *instance_of(struct pmo_listener *key)
{
    struct pmo_instance *instance = bpf_map_lookup_elem(&instances, key);
    struct pmo_listener any;

    if (instance)
        return instance;
    any = *key;
    __builtin_memset(any.addr, 0, sizeof(any.addr));
    return bpf_map_lookup_elem(&instances, &any);
}

SEC("sockops")
int connection_established(struct bpf_sock_ops *ops)
{
    struct pmo_instance_counts *counts;
    struct pmo_instance *instance;
    struct pmo_listener key;
    struct connection *c;
    struct bpf_sock *sk = ops->sk;

    if (ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || !sk)
        return 1;
    __builtin_memset(&key, 0, sizeof(key));
    key.netns = bpf_get_netns_cookie(ops);
    key.port = ops->local_port;
    if (ops->family == AF_INET) {
        __u32 addr = ops->local_ip4;

        key.addr[10] = key.addr[11] = 0xff;
        __builtin_memcpy(&key.addr[12], &addr, 4);
    } else {
        /* volatile: the context may only be read in words of four bytes */
        volatile __u32 *from = ops->local_ip6;
        __u32 words[4] = {from[0], from[1], from[2], from[3]};

        __builtin_memcpy(key.addr, words, 16);
    }
    instance = instance_of(&key);
    if (!instance)
        instance = instance_make(&key, 0, 0);
    c = bpf_sk_storage_get(&connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (!c)
        return 1;
    c->instance = instance ? instance->id : 0;
    c->cookie = bpf_get_socket_cookie(ops);
    c->in.next_seq = ops->rcv_nxt;
    c->out.next_seq = ops->snd_nxt;
    c->in.joined = c->out.joined = 1;
    counts = instance_counts(c->instance, bpf_ktime_get_ns());
    if (counts)
        __sync_fetch_and_add(&counts->connections, 1);
    return 1;
}

/* Connections that were there before the programs: joined in mid-stream, counted from their next
 * request head on. Run once by the agent that attaches the programs. */
SEC("iter/tcp")
int connections_join(struct bpf_iter__tcp *ctx)
{
    struct sock_common *common = ctx->sk_common;
    struct pmo_instance *instance;
    struct pmo_control *control;
    struct pmo_listener key;
    struct connection *c;
    struct tcp_sock *tcp;

    if (!common || common->skc_state != TCP_ESTABLISHED)
        return 0;
    listener_of(&key, (struct sock *)common);
    instance = instance_of(&key);
    if (!instance)
        return 0;
    tcp = bpf_skc_to_tcp_sock(common);
    if (!tcp)
        return 0;
    c = bpf_sk_storage_get(&connections, tcp, NULL, 0);
    if (c)
        return 0; /* known from an earlier agent */
    c = bpf_sk_storage_get(&connections, tcp, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    control = control_row();
    if (!c || !control)
        return 0;
    c->instance = instance->id;
    c->cookie = bpf_get_socket_cookie(tcp);
    __sync_fetch_and_add(&control->midstream, 1);
    return 0;
}
