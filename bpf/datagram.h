/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DNS over UDP: the programs of bpf/request.h come here with datagrams of ports that accept
 * connections, too, as each DNS server should (RFC 7766), and of those that the agent has seen UDP
 * sockets at. They are of the instance that listens at the address and port of the UDP socket;
 * where nobody does, the first request makes one, of which the agent then finds out who it is.
 *
 * A request is known by what it is, whatever its port. It is kept until an answer of the same
 * number goes back to where it came from, and as aborted if there is none within some seconds. One
 * that is sent again meanwhile is the same request. Where there is no room to keep it, it has
 * arrived, and that is all.
 */
#pragma once

#include "bpf/connection.h"
#include "bpf/dns.h"

#define DATAGRAMS_MAX      16384U        /* requests that wait for their answer */
#define DATAGRAM_EXPIRE_NS 5000000000ULL /* clients ask again, or others, after less */
#define EEXIST             17
#define PACKET_HOST        0 /* linux/if_packet.h: to this host alone */

struct datagram_socket {
    struct pmo_listener listener; /* its port is 0 until the rest is there */
    __u64 socket;
};

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct datagram_socket);
} datagram_sockets SEC(".maps");

struct datagram_key {
    __u64 remote[2];
    __u32 instance, generation;
    __u16 remote_port; /* network byte order, and so is the next: */
    __u16 number;
    __u32 pad;
};

struct datagram_asked {
    __u64 arrived_ns;
    __u32 route;
    __u32 bytes;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, DATAGRAMS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct datagram_key);
    __type(value, struct datagram_asked);
} datagrams SEC(".maps");

/* Whether there may be any: going through an empty map takes 0.3 ms. */
static volatile __u32 datagrams_asked = 1;

/* Where the payload begins, 0 where this is no UDP; an IP header with more than addresses is rare.
 */
static __always_inline __u32 datagram_find(struct __sk_buff *skb, bool sent,
                                           struct datagram_key *key)
{
    __u8 *ip = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

    if (ip + 48 > end)
        return 0;
    if (ip[0] == 0x45 && ip[9] == PACKET_UDP) {
        key->remote[1] = packet_mapped(packet_u32(ip + (sent ? 16 : 12)));
        key->remote_port = *(__u16 *)(ip + (sent ? 22 : 20));
        return 28;
    }
    if ((ip[0] & 0xf0) != 0x60 || ip[6] != PACKET_UDP)
        return 0;
    key->remote[0] = load_word(ip + (sent ? 24 : 8));
    key->remote[1] = load_word(ip + (sent ? 32 : 16));
    key->remote_port = *(__u16 *)(ip + (sent ? 42 : 40));
    return 48;
}

/* The instance that listens where a UDP socket does. No helper has the network namespace of that:
 * the socket's address is put into memory, from where it comes back as a number to read from. */
static __always_inline struct pmo_instance *datagram_instance(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct datagram_socket *socket;
    struct pmo_listener listener;

    if (!sk)
        return NULL;
    socket = bpf_sk_storage_get(&datagram_sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (!socket)
        return NULL;
    if (!*(volatile __u16 *)&socket->listener.port) {
        *(volatile __u64 *)&socket->socket = (__u64)sk;
        listener_of(&listener, (const struct sock *)*(volatile __u64 *)&socket->socket);
        socket->listener.netns = listener.netns;
        __builtin_memcpy(socket->listener.addr, listener.addr, sizeof(listener.addr));
        barrier();
        *(volatile __u16 *)&socket->listener.port = listener.port;
    }
    return instance_of(&socket->listener);
}

/* A request to a socket that is no instance's. What is sent to many is none: to ask the neighbours
 * (mDNS, NetBIOS) looks the same. The owner of a socket is not known here, but its cgroup is. */
static __noinline int datagram_begin(struct __sk_buff *skb, bool ipv4)
{
    struct bpf_sock *sk = skb->sk;
    struct datagram_socket *socket;
    const struct sock *from;
    __u8 to;

    if (!sk || skb->pkt_type != PACKET_HOST || bpf_skb_load_bytes(skb, ipv4 ? 16 : 24, &to, 1) ||
        to >= (ipv4 ? 224 : 255)) /* loopback has no packets for others, but such addresses */
        return 0;
    socket = bpf_sk_storage_get(&datagram_sockets, sk, NULL, 0);
    if (!socket)
        return 0;
    from = (const struct sock *)*(volatile __u64 *)&socket->socket;
    return !!instance_make(&socket->listener, 0, BPF_CORE_READ(from, sk_cgrp_data.cgroup, kn, id));
}

static __always_inline __u32 datagram_slot(struct cpu *cpu, const struct datagram_key *of,
                                           __u32 route, __u8 class)
{
    struct pmo_counter_key key;

    __builtin_memset(&key, 0, sizeof(key));
    key.instance = of->instance;
    key.route = route;
    key.protocol = PMO_PROTOCOL_DNS;
    key.method = PMO_METHOD_OTHER;
    key.status_class = class;
    return counter_slot_cached(cpu, &key, of->generation);
}

static __always_inline void datagram_arrived(struct cpu *cpu, const struct datagram_key *key,
                                             const struct datagram_asked *asked)
{
    __u32 parity = window_parity(cpu, asked->arrived_ns);
    __u32 slot = datagram_slot(cpu, key, asked->route, PMO_STATUS_ARRIVED);
    struct pmo_instance_counts *overflow;
    struct pmo_counts *counts;

    if (slot >= PMO_OVERFLOW_SLOTS) {
        counts = type_counts(slot, SHARD_SHARED, parity);
        if (counts)
            __sync_fetch_and_add(&counts->requests, 1);
        return;
    }
    overflow = instance_counts_in(key->instance, SHARD_SHARED, parity);
    if (overflow)
        __sync_fetch_and_add(&overflow->arrivals, 1);
}

/* Its name becomes the text of a CPU's fold: ingress has that for itself. */
static __always_inline __u32 datagram_route(struct cpu *cpu, const struct pmo_instance *instance,
                                            __u64 name)
{
    struct fold *fold = &cpu->fold;

    fold->instance = instance->id;
    fold->generation = instance->generation;
    __builtin_memset(fold->text, 0, sizeof(fold->text));
    __builtin_memcpy(fold->text, &name, sizeof(name));
    fold->length = wire_letters(name);
    return route_row(fold);
}

static __noinline int datagram_received(struct __sk_buff *skb)
{
    struct cpu *cpu = this_cpu();
    struct datagram_asked asked = {0};
    struct pmo_hint_instance *hint;
    struct pmo_instance *instance;
    struct datagram_key key;
    __u32 at;
    __s64 n;
    long r;

    __builtin_memset(&key, 0, sizeof(key));
    at = datagram_find(skb, false, &key);
    if (!at || !cpu)
        return 0;
    asked.bytes = skb->len - at;
    n = asked.bytes;
    if (n > HTTP1_CHUNK)
        n = HTTP1_CHUNK;
    if (n < DNS_LEAST_BYTES || !length_within(&n, HTTP1_CHUNK) ||
        bpf_skb_load_bytes(skb, at, cpu->ingress.buf, n) || !dns_asks(cpu->ingress.buf))
        return 0;
    instance = datagram_instance(skb);
    if (unlikely(!instance) && datagram_begin(skb, at == 28))
        instance = datagram_instance(skb);
    if (!instance)
        return 0;
    key.instance = instance->id;
    key.generation = instance->generation;
    key.number = *(__u16 *)cpu->ingress.buf;
    asked.arrived_ns = bpf_ktime_get_ns();
    asked.route = datagram_route(cpu, instance, dns_name(cpu->ingress.buf, n));
    r = bpf_map_update_elem(&datagrams, &key, &asked, BPF_NOEXIST);
    if (r == -EEXIST)
        return 0;
    if (!datagrams_asked)
        datagrams_asked = 1;
    datagram_arrived(cpu, &key, &asked);
    hint = r ? NULL : hint_row(key.instance);
    if (hint)
        flight_count(key.instance, hint, asked.arrived_ns);
    return 0;
}

/* A request is over: whoever takes it out of the map counts that. */
static __always_inline bool datagram_ends(const struct datagram_key *key)
{
    __u32 *ended;

    if (bpf_map_delete_elem(&datagrams, key))
        return false;
    ended = ended_row(key->instance);
    if (ended)
        __sync_fetch_and_add(ended, 1);
    return true;
}

static __noinline int datagram_sent(struct __sk_buff *skb)
{
    struct datagram_asked *asked;
    struct cpu *cpu = this_cpu();
    struct pmo_instance *instance;
    struct datagram_key key;
    struct answer answer;
    enum wire_event event;
    __u8 header[4];
    __u32 at;

    __builtin_memset(&key, 0, sizeof(key));
    at = datagram_find(skb, true, &key);
    if (!at || !cpu || bpf_skb_load_bytes(skb, at, header, sizeof(header)) || !(header[2] & 0x80))
        return 0;
    instance = datagram_instance(skb);
    if (!instance)
        return 0;
    key.instance = instance->id;
    key.generation = instance->generation;
    key.number = *(__u16 *)header;
    asked = bpf_map_lookup_elem(&datagrams, &key);
    if (!asked)
        return 0;
    event = dns_outcome(header[3] & 15);
    __builtin_memset(&answer, 0, sizeof(answer));
    answer.arrived_ns = asked->arrived_ns;
    answer.first_byte_ns = bpf_ktime_get_ns();
    answer.request_bytes = asked->bytes;
    answer.bytes = skb->len - at;
    answer.slot = datagram_slot(cpu, &key, asked->route, wire_class(event));
    if (!datagram_ends(&key))
        return 0;
    answer_count(cpu, &answer, true, answer.first_byte_ns);
    answer_finish(cpu, &answer, answer.first_byte_ns);
    return 0;
}

static long datagram_expire(void *map, struct datagram_key *of, struct datagram_asked *asked,
                            __u64 *now_ns)
{
    struct datagram_key key = *of;
    struct answer answer = {.arrived_ns = asked->arrived_ns};
    struct cpu *cpu = this_cpu();

    if (!cpu || (__s64)(*now_ns - answer.arrived_ns) < (__s64)DATAGRAM_EXPIRE_NS)
        return 0;
    answer.slot = datagram_slot(cpu, &key, asked->route, PMO_STATUS_ABORTED);
    if (datagram_ends(&key))
        answer_count(cpu, &answer, false, *now_ns);
    return 0;
}

/* Run by the agent each second. Not by the flusher: programs that may sleep, as the one that starts
 * its timer, have no maps on 6.1 that slots are taken from. */
SEC("raw_tp")
int datagrams_expire(void *ctx)
{
    __u64 now_ns = bpf_ktime_get_ns();

    if (!datagrams_asked)
        return 0;
    datagrams_asked = 0; /* before looking: what comes meanwhile is seen the next time */
    barrier();
    if (bpf_for_each_map_elem(&datagrams, datagram_expire, &now_ns, 0))
        datagrams_asked = 1;
    return 0;
}
