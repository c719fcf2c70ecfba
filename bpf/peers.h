/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whom calls go to. A call's peer is the address that its socket connects to: a row of the map
 * "peers", made on first sight. Where connect() to a service address is rewritten (connect.h), that
 * is the chosen instance's own by then.
 *
 * Where packets are rewritten (NAT), the address says nothing of who answers. But that one, if it
 * is on this host, sees the same client address and port, and the same first number of the client's
 * stream. Under these a connecting socket leaves a note of its row, before the last packet of its
 * handshake; the socket that is accepted finds it, and puts its instance into the row. So no rule
 * of a firewall has to be read, nor has user space to know which addresses lead to which listener.
 * Who rewrites the client's side, too (source NAT, SYN proxies), leaves nothing to find: then the
 * address is all that is known.
 */
#pragma once

#include "bpf/maps.h"

#define AF_INET  2
#define AF_INET6 10

struct { /* address -> its row in peers */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PMO_PEERS_MAX);
    __type(key, struct pmo_listener);
    __type(value, __u32);
} peer_rows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_PEERS_MAX);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct pmo_peer);
} peers SEC(".maps");

struct dialled {
    __u8 addr[16]; /* of the client, */
    __u32 seq;     /* the first number of its stream, */
    __u16 port;    /* and its port */
    __u16 pad;
};

struct { /* connections that were not accepted yet, or will not be on this host -> their peers */
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct dialled);
    __type(value, __u32);
} dialled SEC(".maps");

static __always_inline void listener_of(struct pmo_listener *key, const struct sock *sk)
{
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

    __builtin_memset(key, 0, sizeof(*key));
    key->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
    key->port = BPF_CORE_READ(sk, __sk_common.skc_num);
    if (!key->port) /* an ephemeral port is given back before the state changes to CLOSE */
        key->port = bpf_ntohs(BPF_CORE_READ((const struct inet_sock *)sk, inet_sport));
    if (family == AF_INET) {
        __u32 addr = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);

        if (addr) {
            key->addr[10] = key->addr[11] = 0xff;
            __builtin_memcpy(&key->addr[12], &addr, 4);
        }
    } else {
        BPF_CORE_READ_INTO(&key->addr, sk, __sk_common.skc_v6_rcv_saddr);
    }
}

/* Loopback and link-local addresses: they are others in each network namespace. */
static __always_inline bool addr_is_of_namespace(const __u32 addr[4])
{
    if (addr[0] | addr[1])
        return (addr[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
    return addr[2] ? (addr[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000)
                   : addr[3] == bpf_htonl(1);
}

/* Where a socket connects to. */
static __always_inline void peer_of(struct pmo_listener *key, const struct sock *sk)
{
    __u32 addr[4] = {0, 0, bpf_htonl(0xffff), 0};

    if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET)
        addr[3] = BPF_CORE_READ(sk, __sk_common.skc_daddr);
    else
        BPF_CORE_READ_INTO(&addr, sk, __sk_common.skc_v6_daddr);
    __builtin_memset(key, 0, sizeof(*key));
    __builtin_memcpy(key->addr, addr, 16);
    key->port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
    if (addr_is_of_namespace(addr))
        key->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
}

/* Row of where it connects to, made on first sight; 0, "{other}", when the rows are used up. */
static __noinline __u32 peer_row(const struct sock *sk)
{
    struct pmo_control *c = control_row();
    struct pmo_listener key;
    struct pmo_peer *peer;
    __u32 row, *known;

    peer_of(&key, sk);
    known = bpf_map_lookup_elem(&peer_rows, &key);
    if (known)
        return *known;
    if (!c)
        return 0;
    row = c->peers_used < PMO_PEERS_MAX ? __sync_fetch_and_add(&c->peers_used, 1) : 0;
    peer = row ? bpf_map_lookup_elem(&peers, &row) : NULL;
    if (!peer) {
        __sync_fetch_and_add(&c->peers_full, 1);
        return 0;
    }
    peer->address = key;
    if (bpf_map_update_elem(&peer_rows, &key, &row, BPF_NOEXIST)) {
        known = bpf_map_lookup_elem(&peer_rows, &key); /* another CPU was first */
        return known ? *known : 0;
    }
    return row;
}

/* Its handshake is over on the client's side, where @seq is the next number. */
static __always_inline void peer_dialled(const struct sock *sk, __u32 row, __u32 seq)
{
    struct pmo_listener local;
    struct dialled key;

    listener_of(&local, sk);
    __builtin_memset(&key, 0, sizeof(key));
    __builtin_memcpy(key.addr, local.addr, 16);
    key.seq = seq;
    key.port = local.port;
    bpf_map_update_elem(&dialled, &key, &row, BPF_ANY);
}

/* An address that a connection has at one of its ends. */
static __always_inline void end_of(struct bpf_sock_ops *ops, bool remote, __u8 addr[16])
{
    if (ops->family == AF_INET) {
        __u32 word = remote ? ops->remote_ip4 : ops->local_ip4;

        __builtin_memset(addr, 0, 10);
        addr[10] = addr[11] = 0xff;
        __builtin_memcpy(addr + 12, &word, 4);
    } else {
        /* volatile: the context may only be read in words of four bytes */
        volatile __u32 *from = remote ? ops->remote_ip6 : ops->local_ip6;
        __u32 words[4] = {from[0], from[1], from[2], from[3]};

        __builtin_memcpy(addr, words, 16);
    }
}

/* An instance has accepted a connection. */
static __noinline int peer_accepted(struct bpf_sock_ops *ops, __u32 instance)
{
    struct dialled key;
    struct pmo_peer *peer;
    __u32 *row;

    __builtin_memset(&key, 0, sizeof(key));
    end_of(ops, true, key.addr);
    key.seq = ops->rcv_nxt;
    key.port = bpf_ntohl(ops->remote_port);
    row = bpf_map_lookup_elem(&dialled, &key);
    peer = row && *row ? bpf_map_lookup_elem(&peers, row) : NULL;
    if (!peer)
        return 0;
    if (peer->instance != instance)
        peer->instance = instance;
    bpf_map_delete_elem(&dialled, &key);
    return 0;
}
