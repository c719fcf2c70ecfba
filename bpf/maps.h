/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pinned maps. All of them live as long as their pins under <bpffs>/pmo, longer than any agent:
 * the next agent adopts them and carries on.
 */
#pragma once

#include <vmlinux.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include <pmo/abi.h>
#include <pmo/hints.h>
#include "bpf/portable.h"

_Static_assert(PMO_INSTANCES_MAX == PMO_HINTS_INSTANCES_MAX, "one row for both");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct pmo_control);
} control SEC(".maps");

struct { /* who listens */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __type(key, struct pmo_listener);
    __type(value, struct pmo_instance);
} instances SEC(".maps");

struct { /* rows that no instance has; the agent gives rows back when an instance is forgotten */
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __uint(key_size, 0);
    __type(value, __u32);
} free_instances SEC(".maps");

struct { /* main process -> instance, of those whose exit is the instance's end */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __type(key, __u32);
    __type(value, __u32);
} processes SEC(".maps");

struct { /* address that SYNs are counted for -> instance; netns is 0 in the key */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __type(key, struct pmo_listener);
    __type(value, __u32);
} syn_targets SEC(".maps");

struct { /* service address -> number of the service in the hints map; netns is 0 in the key */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PMO_HINTS_SERVICES_MAX);
    __type(key, struct pmo_listener);
    __type(value, __u32);
} service_addresses SEC(".maps");

struct { /* include/pmo/hints.h */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_HINTS_ROWS);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct pmo_hint_instance); /* or another kind of row */
} hints SEC(".maps");

struct { /* (instance, type) -> counter slot */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PMO_COUNTERS_MAX);
    __type(key, struct pmo_counter_key);
    __type(value, __u32);
} counter_slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, PMO_COUNTERS_MAX);
    __uint(key_size, 0);
    __type(value, __u32);
} free_counters SEC(".maps");

struct { /* counter slot -> what it counts */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_COUNTERS_MAX);
    __type(key, __u32);
    __type(value, struct pmo_counter_key);
} counter_keys SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, PMO_COUNTERS_MAX);
    __type(key, __u32);
    __type(value, struct pmo_counter);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __type(key, __u32);
    __type(value, struct pmo_instance_counter);
} instance_counters SEC(".maps");

struct { /* hash of a folded route -> its row in routes */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PMO_ROUTES_MAX);
    __type(key, __u64);
    __type(value, __u32);
} route_rows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_ROUTES_MAX);
    __type(key, __u32);
    __type(value, struct pmo_route);
} routes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4 << 20);
} windows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 256 << 10);
} events SEC(".maps");

static __always_inline struct pmo_control *control_row(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&control, &zero);
}

static __always_inline struct pmo_hint_instance *hint_row(__u32 instance)
{
    __u32 row = PMO_HINTS_FIRST_INSTANCE + instance;

    if (instance >= PMO_HINTS_INSTANCES_MAX)
        return NULL;
    return bpf_map_lookup_elem(&hints, &row);
}

/* Makes *at at least n. */
static __always_inline void raise(__u32 *at, __u32 n)
{
    for (int i = 0; i < 16; i++) {
        __u32 old = *(volatile __u32 *)at;

        if (old >= n || __sync_val_compare_and_swap(at, old, n) == old)
            return;
    }
}

/* The window (second of the wall clock) that this CPU counted in last: its beginning on
 * CLOCK_MONOTONIC, with its parity in the lowest bit. One word, so that an interrupted reader sees
 * the old or the new one; spares a division. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} window_now SEC(".maps");

/* Parity of the window that a moment falls into. */
static __always_inline __u32 window_parity(__u64 now_ns)
{
    __u32 zero = 0;
    __u64 *cached = bpf_map_lookup_elem(&window_now, &zero), w, wall_ns, window;

    if (!cached)
        return 0;
    w = *(volatile __u64 *)cached;
    if (likely(now_ns - (w & ~1ULL) < 999999998ULL)) /* less the bit */
        return w & 1;
    wall_ns = now_ns + wall_offset_ns;
    window = wall_ns / 1000000000ULL;
    *(volatile __u64 *)cached = ((now_ns - wall_ns % 1000000000ULL + 1) & ~1ULL) | (window & 1);
    return window & 1;
}
