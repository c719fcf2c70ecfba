/* SPDX-License-Identifier: GPL-2.0 */
/* From which zone what asks for a connection comes: a type of its own of the instance. */
#pragma once

#include "bpf/count.h"
#include "bpf/maps.h"

#define ZONE_CACHE 2048U

struct { /* source -> zone: upper bits of the hash, and the zone */
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, ZONE_CACHE);
    __type(key, __u32);
    __type(value, __u64);
} source_zones SEC(".maps");

/* A look-up in the trie takes a step for each bit that its prefixes part at: what was found for a
 * source is remembered, under a hash that is without collisions for IPv4. Its seed is another one
 * where the zones are. */
static __always_inline __u8 zone_of(const __u64 source[2])
{
    struct { /* the stack takes words of eight bytes at multiples of eight */
        __u32 pad, bits;
        __u64 addr[2];
    } key = {.bits = 128, .addr = {source[0], source[1]}};
    __u64 hash = hash_mix(source[0] ? hash_mix(zones_seed, source[0]) : zones_seed, source[1]);
    __u32 row = hash & (ZONE_CACHE - 1);
    __u64 *entry = bpf_map_lookup_elem(&source_zones, &row), e;
    __u8 *zone;

    if (!entry)
        return 0;
    e = *(volatile __u64 *)entry;
    if (likely(!((e ^ hash) >> 8)))
        return e;
    zone = bpf_map_lookup_elem(&zones, &key.bits);
    *(volatile __u64 *)entry = (hash & ~255ULL) | (zone ? *zone : 0);
    return zone ? *zone : 0;
}

/* Counts one in the slot of (instance, zone, @protocol); @alone: nobody else writes this CPU's
 * shard of it. There may be no slot left, but then it still is in the instance's own counts. */
static __always_inline void zone_count(struct cpu *cpu, const __u64 source[2], __u32 instance,
                                       __u32 generation, __u8 protocol, __u32 parity, bool alone)
{
    struct pmo_counter_key key = {
        .instance = instance, .protocol = protocol, .status_class = PMO_STATUS_ARRIVED};
    struct pmo_counts *counts;
    __u32 slot;

    if (!zones_seed)
        return;
    key.zone = zone_of(source);
    if (!key.zone)
        return;
    slot = counter_slot_cached(cpu, &key, generation);
    if (slot < PMO_OVERFLOW_SLOTS)
        return;
    counts = type_counts(slot, shard_of(cpu), parity);
    if (counts)
        shard_add(alone, &counts->requests, 1);
}
