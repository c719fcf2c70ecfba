/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What comes before load: how long what was received waited to be read, how full the queues of
 * those who listen are, round trips, what was sent again, resets.
 *
 * The wait is from the arrival of the newest segment of a connection to the read that takes it. For
 * a first request, the time that the connection waited for accept() is in it. It needs no parser,
 * so it is there for any protocol, TLS too. Of a busy host a part of the reads is measured, chosen
 * by connection and moment (control.wait_mask), so that it costs little; of others, all.
 *
 * The queues of a listening socket are looked at when a packet of a handshake comes to it: that is
 * when they grow.
 */
#pragma once

#include "bpf/connection.h"
#include "bpf/tls.h"

/* Of the instance that serves a connection, for atomic adds. */
static __always_inline struct pmo_signals *signals_of(void *sk)
{
    struct connection *c = bpf_sk_storage_get(&connections, sk, NULL, 0);

    return c ? signals_now(c->instance, bpf_ktime_get_ns()) : NULL;
}

/* ---- reads ---------------------------------------------------------------------------------- */

/* Is what this socket does now one of those that are measured? */
static __always_inline bool wait_chosen(const struct sock *sk, const struct pmo_control *c)
{
    __u32 moment = (__u32)bpf_jiffies64() * 0x9e3779b1U;

    return !(((moment ^ sk->__sk_common.skc_hash * 0x85ebca6bU) >> 16) & c->wait_mask);
}

/* How long the newest segment of a socket has been there. The stack stamps a segment that comes in,
 * but what is sent later writes over that stamp: an acknowledgement that was put off, for 40 ms at
 * least. Then the tick remains at which data came last. */
static __always_inline __u64 wait_of(const struct tcp_sock *tcp, __u64 now_ns)
{
    __u64 stamp_us = tcp->tcp_mstamp, now_us = now_ns / 1000;
    __u64 wait_us = now_us > stamp_us ? now_us - stamp_us : 0;
    __u32 ticks = (__u32)bpf_jiffies64() - tcp->inet_conn.icsk_ack.lrcvtime;
    __u64 least_us;

    if (ticks < 2 || ticks > 1U << 30)
        return wait_us;
    least_us = (ticks - 1) * tick_us;
    return wait_us > least_us ? wait_us : least_us;
}

static __noinline int wait_measure(struct sock *sk)
{
    struct connection *c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    __u64 now_ns = bpf_ktime_get_ns(), wait_us;
    struct pmo_signals *signal;
    struct tcp_sock *tcp;
    __u32 bucket;

    if (!c)
        return 0;
    tcp = bpf_skc_to_tcp_sock(sk);
    signal = signals_now(c->instance, now_ns);
    if (!tcp || !signal)
        return 0;
    wait_us = wait_of(tcp, now_ns);
    bucket = latency_bucket(wait_us * 1000) / 2;
    if (bucket >= PMO_WAIT_BUCKETS)
        return 0;
    __sync_fetch_and_add(&signal->waits, 1);
    __sync_fetch_and_add(&signal->wait_us, wait_us);
    __sync_fetch_and_add(&signal->wait[bucket], 1);
    __sync_fetch_and_add(&signal->unread_bytes, tcp->rcv_nxt - tcp->copied_seq);
    __sync_fetch_and_add(&signal->rtt_us, tcp->srtt_us >> 3);
    __sync_fetch_and_add(&signal->rtt_min_us, tcp->rtt_min.s[0].v);
    return 0;
}

/* A thread has received from a socket. */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(data_read, struct sock *sk)
{
    struct pmo_control *control = control_row();

    if (!control)
        return 0;
    if (wait_chosen(sk, control) && port_accepted(sk->__sk_common.skc_num))
        wait_measure(sk);
    /* on most hosts, all that is TLS is read soon */
    if (control->tls != control->tls_read)
        tls_receive(sk);
    return 0;
}

/* ---- the network ---------------------------------------------------------------------------- */

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(segment_sent_again, struct sock *sk)
{
    struct pmo_signals *signal = signals_of(sk);

    if (signal)
        __sync_fetch_and_add(&signal->retransmits, 1);
    return 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(reset_sent, struct sock *sk)
{
    struct pmo_signals *signal = sk ? signals_of(sk) : NULL;

    if (signal)
        __sync_fetch_and_add(&signal->resets_sent, 1);
    return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(reset_received, struct sock *sk)
{
    struct pmo_signals *signal = signals_of(sk);

    if (signal)
        __sync_fetch_and_add(&signal->resets_received, 1);
    return 0;
}

/* ---- queues of those who listen ------------------------------------------------------------- */

static __noinline int queues_seen(struct __sk_buff *skb)
{
    __u64 window = (bpf_ktime_get_ns() + wall_offset_ns) / 1000000000;
    struct pmo_signals_row *row;
    struct pmo_instance *instance;
    struct pmo_queues *queues;
    struct pmo_listener key;
    struct tcp_sock *tcp;
    struct sock *listener;
    __u32 waiting, half_open;

    if (!skb->sk)
        return 0;
    tcp = bpf_skc_to_tcp_sock(skb->sk);
    if (!tcp)
        return 0;
    listener = (struct sock *)tcp;
    listener_of(&key, listener);
    instance = bpf_map_lookup_elem(&instances, &key);
    if (!instance)
        return 0;
    row = bpf_map_lookup_elem(&signals, &instance->id);
    if (!row)
        return 0;
    queues = &row->queues[window & 1];
    if (queues->window != window) { /* two CPUs at once: what one of them saw may be forgotten */
        queues->accept_queue = queues->half_open = 0;
        queues->window = window;
    }
    waiting = BPF_CORE_READ(listener, sk_ack_backlog);
    half_open = BPF_CORE_READ(tcp, inet_conn.icsk_accept_queue.qlen.counter);
    queues->accept_limit = BPF_CORE_READ(listener, sk_max_ack_backlog);
    if (waiting > queues->accept_queue)
        queues->accept_queue = waiting;
    if (half_open > queues->half_open)
        queues->half_open = half_open;
    if (waiting > queues->accept_limit) /* as sk_acceptq_is_full() has it: this packet is dropped */
        __sync_fetch_and_add(&row->window[window & 1].overflows, 1);
    return 0;
}
