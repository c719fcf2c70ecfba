/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What asks for a connection, per instance and zone of its source, before the stack has a say: SYNs
 * and QUIC's Initials, and UDP datagrams. At XDP, or at tc where another XDP program has the
 * interface. Nothing here is demand: who asks may never say what for.
 *
 * The clock is read by the first packet of a tick (of 1 to 10 ms, as the kernel is configured), as
 * that takes as long as all the rest. Others of the same tick go into the same window, even when it
 * has ended and has been flushed: then they are part of the next difference (see abi.h).
 */
#pragma once

#include "bpf/maps.h"
#include "bpf/packet.h"
#include "bpf/request.h"
#include "bpf/zone.h"

#define TC_ACT_UNSPEC (-1) /* the next program decides */
#define LINEAR_BYTES  128U /* of a frame: more than headers take, but for long extension headers */

static __always_inline __u64 target_of(const struct packet *p, bool node)
{
    __u32 row = packet_bucket(p->target, p->port), key = PMO_TARGET_KEY(node, p->port);
    struct pmo_target_bucket *bucket = bpf_map_lookup_elem(&targets, &row);

    if (!bucket)
        return 0;
    PMO_UNROLL
    for (int i = 0; i < (int)PMO_TARGETS; i++) {
        const volatile struct pmo_target *t = &bucket->targets[i];
        __u64 what = t->what;

        if (t->addr[1] == p->target[1] && t->addr[0] == p->target[0] && (what & 0x1ffff) == key &&
            t->what == what)
            return what;
    }
    return 0;
}

static __always_inline __u32 tick_parity(struct cpu *cpu)
{
    __u64 tick = bpf_jiffies64() << 1, known = *(volatile __u64 *)&cpu->tick;

    if (likely((known & ~1ULL) == tick))
        return known & 1;
    tick |= window_parity(cpu, bpf_ktime_get_ns());
    *(volatile __u64 *)&cpu->tick = tick;
    return tick & 1;
}

static __always_inline void packet_count(const __u8 *data, const __u8 *end, bool node)
{
    struct pmo_instance_counts *counts;
    enum packet_kind kind;
    struct packet p;
    struct cpu *cpu;
    __u32 parity, instance;
    __u64 what;
    bool alone = exclusive;

    kind = packet_parse(data, end, &p);
    if (kind == PACKET_NOTHING)
        return;
    what = target_of(&p, node);
    if (!what)
        return;
    cpu = this_cpu();
    if (!cpu)
        return;
    instance = PMO_TARGET_INSTANCE(what);
    parity = tick_parity(cpu);
    /* Nobody else writes these members of this CPU's shard, and softirqs are off. */
    counts = instance_counts_in(instance, shard_of(cpu), parity);
    if (!counts)
        return;
    if (kind == PACKET_SYN) {
        shard_add(alone, &counts->syns, 1);
        zone_count(cpu, p.source, instance, what >> 32, PMO_PROTOCOL_SYNS, parity, alone);
        return;
    }
    shard_add(alone, &counts->datagrams, 1);
    if (kind == PACKET_INITIAL)
        shard_add(alone, &counts->initials, 1);
}

static __always_inline int xdp_count(const struct xdp_md *ctx, bool node)
{
    packet_count((void *)(long)ctx->data, (void *)(long)ctx->data_end, node);
    return XDP_PASS;
}

static __always_inline int tc_count(struct __sk_buff *skb, bool node)
{
    /* what a driver has left in pages is not linear yet */
    if (skb->data_end - skb->data < LINEAR_BYTES)
        bpf_skb_pull_data(skb, skb->len < LINEAR_BYTES ? skb->len : LINEAR_BYTES);
    packet_count((void *)(long)skb->data, (void *)(long)skb->data_end, node);
    return TC_ACT_UNSPEC;
}

/* On the interface of an instance: frags, as jumbo frames come in several buffers. */
SEC("xdp.frags")
int syn_count(struct xdp_md *ctx)
{
    return xdp_count(ctx, false);
}

SEC("tc")
int syn_count_tc(struct __sk_buff *skb)
{
    return tc_count(skb, false);
}

/* On those of the node: addresses that have no interface of their own that is counted on. */
SEC("xdp.frags")
int node_count(struct xdp_md *ctx)
{
    return xdp_count(ctx, true);
}

SEC("tc")
int node_count_tc(struct __sk_buff *skb)
{
    return tc_count(skb, true);
}
