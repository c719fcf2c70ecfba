/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections, in sockops on the root cgroup: each accepted one gets its storage, bound to the
 * instance that listens on its local address. Sockets without storage (client sides, UDP) leave the
 * packet programs after one look.
 */
#pragma once

#include "bpf/listener.h"
#include "bpf/maps.h"
#include "bpf/packet.h"
#include "bpf/request.h"
#include "bpf/zone.h"

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

/* Where the segment begins that made the connection; it need not be its first. */
static __always_inline __u32 early_seq(struct bpf_sock_ops *ops)
{
    __u8 *tcp = ops->skb_data, *end = ops->skb_data_end;

    if (tcp + 20 > end)
        return ops->rcv_nxt;
    return bpf_ntohl(*(__u32 *)(tcp + 4)) + (tcp[13] >> 1 & 1); /* a SYN takes a number */
}

/* Data that came before the connection was there. */
static __noinline int early_find(struct bpf_sock_ops *ops, struct connection *c)
{
    __u32 seq = early_seq(ops);
    struct stash_key key;
    struct stashed *range;

    __builtin_memset(&key, 0, sizeof(key));
    end_of(ops, true, key.remote);
    end_of(ops, false, key.local);
    key.remote_port = bpf_ntohl(ops->remote_port);
    key.local_port = ops->local_port;
    for (int i = 0; i < 2; i++) { /* that segment, and the first one, if another CPU has it */
        key.seq = i ? c->in.next_seq : seq;
        range = bpf_map_lookup_elem(&stashed_early, &key);
        if (!range)
            continue;
        c->stashed[i] = *range;
        if (bpf_map_delete_elem(&stashed_early, &key))
            c->stashed[i].length = 0;
        else
            c->in.stashed_ranges++;
    }
    return 0;
}

/* Counts it for the zone that its client is in. */
static __noinline int connection_zone(struct bpf_sock_ops *ops, const struct connection *c)
{
    struct cpu *cpu = this_cpu();
    __u64 source[2] = {0};

    if (!cpu)
        return 0;
    if (ops->family == AF_INET) {
        source[1] = packet_mapped(ops->remote_ip4);
    } else {
        volatile __u32 *from = ops->remote_ip6;
        __u32 remote[4] = {from[0], from[1], from[2], from[3]};

        __builtin_memcpy(source, remote, 16);
    }
    zone_count(cpu, source, c->instance, c->generation, PMO_PROTOCOL_CONNECTIONS,
               window_parity(cpu, c->established_ns), false);
    return 0;
}

SEC("sockops")
int connection_established(struct bpf_sock_ops *ops)
{
    struct pmo_instance_counts *counts;
    struct pmo_signals *signal;
    struct pmo_instance *instance;
    struct pmo_listener key;
    struct connection *c;
    struct bpf_sock *sk = ops->sk;

    if (ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || !sk)
        return 1;
    __builtin_memset(&key, 0, sizeof(key));
    key.netns = bpf_get_netns_cookie(ops);
    key.port = ops->local_port;
    end_of(ops, false, key.addr);
    instance = instance_of(&key);
    if (!instance)
        instance = instance_make(&key, 0, 0);
    if (calls && instance)
        peer_accepted(ops, instance->id);
    c = bpf_sk_storage_get(&connections, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (!c || !connection_lock(c))
        return 1;
    connection_bind(c, instance);
    c->established_ns = bpf_ktime_get_ns();
    c->cookie = bpf_get_socket_cookie(ops);
    c->in.next_seq = ops->rcv_nxt;
    c->out.next_seq = ops->snd_nxt;
    c->in.joined = c->out.joined = 1;
    early_find(ops, c);
    if (c->in.stashed_ranges)
        request_stashed(c, c->in.next_seq);
    connection_unlock(c);
    port_accepts(key.port);
    counts = instance_counts(c->instance, c->established_ns);
    if (counts)
        __sync_fetch_and_add(&counts->connections, 1);
    signal = signals_now(c->instance, c->established_ns);
    if (signal && ops->srtt_us) {
        __sync_fetch_and_add(&signal->handshakes, 1);
        __sync_fetch_and_add(&signal->handshake_us, ops->srtt_us >> 3);
    }
    if (zones_seed)
        connection_zone(ops, c);
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
        return calls ? call_join(common) : 0;
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
    connection_bind(c, instance);
    c->cookie = bpf_get_socket_cookie(tcp);
    c->in.next_seq = tcp->rcv_nxt;
    c->out.next_seq = tcp->snd_nxt;
    port_accepts(key.port);
    __sync_fetch_and_add(&control->midstream, 1);
    return 0;
}
