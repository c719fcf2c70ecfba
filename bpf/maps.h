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

struct fold;
int route_rule(struct fold *fold, __u32 variable); /* count.h */
#define FOLD_RULE(fold, variable) route_rule(fold, variable)

#define HEADERS_NAMED headers_named
#define HEADERS_KEY   header_key
static __always_inline __u64 headers_sought(const struct fold *fold); /* count.h */
int headers_number(const struct fold *fold, __u64 name, __u32 index);

#include "bpf/http1.h"
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

struct { /* addresses that packets are counted for, see struct pmo_target */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_TARGET_BUCKETS);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct pmo_target_bucket);
} targets SEC(".maps");

struct { /* prefix of a source -> its zone */
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, PMO_PREFIXES_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct pmo_prefix);
    __type(value, __u8);
} zones SEC(".maps");

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

struct { /* shard * PMO_COUNTERS_MAX + slot; sized for this machine when loaded */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_SHARDS_MAX *PMO_COUNTERS_MAX);
    __type(key, __u32);
    __type(value, struct pmo_counter);
} counters SEC(".maps");

struct { /* shard * PMO_INSTANCES_MAX + instance; likewise */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_SHARDS_MAX *PMO_INSTANCES_MAX);
    __type(key, __u32);
    __type(value, struct pmo_instance_counter);
} instance_counters SEC(".maps");

struct { /* of each instance */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __type(key, __u32);
    __type(value, struct pmo_signals_row);
} signals SEC(".maps");

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

struct { /* row of an instance -> hash of its service's name; 0: not known yet */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, __u64);
} instance_scopes SEC(".maps");

struct { /* that policies name, see headers.h */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_HEADERS_MAX);
    __type(key, __u32);
    __type(value, struct pmo_header);
} named_headers SEC(".maps");

struct { /* row of an instance -> PMO_HEADERS_WANTED() of them; 0: none are looked for */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, __u64);
} headers_wanted SEC(".maps");

struct { /* hash of scope and path -> its children; see learn.h */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 32768);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, struct pmo_fold_node);
} fold_nodes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PMO_FOLD_RULES_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, struct pmo_fold_rule);
} fold_rules SEC(".maps");

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

static __always_inline __u32 *ended_row(__u32 instance)
{
    __u32 row = PMO_HINTS_FIRST_ENDED + instance;

    if (instance >= PMO_HINTS_INSTANCES_MAX)
        return NULL;
    return bpf_map_lookup_elem(&hints, &row); /* struct pmo_hint_ended, its first member */
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

/* One bit for each local port that ever accepted a connection (or listened): sockets of any other
 * port, which are client sides, leave the packet programs after one look. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 65536 / 64);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, __u64);
} accepting_ports SEC(".maps");

static __always_inline bool port_accepted(__u32 port)
{
    __u32 row = port / 64;
    __u64 *bits = bpf_map_lookup_elem(&accepting_ports, &row);

    return bits && (*bits >> (port & 63) & 1);
}

static __always_inline void port_accepts(__u16 port)
{
    __u32 row = port / 64;
    __u64 *bits = bpf_map_lookup_elem(&accepting_ports, &row), bit = 1ULL << (port % 64);

    if (bits && !(*bits & bit))
        __sync_fetch_and_or(bits, bit);
}

/* The same for ports that calls go out from, while they do; looked at only where calls are counted.
 */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 65536 / 64);
    __type(key, __u32);
    __type(value, __u64);
} calling_ports SEC(".maps");

struct port_callers {
    __u32 connections[64];
};

struct { /* how many connections each of those ports has */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 65536 / 64);
    __type(key, __u32);
    __type(value, struct port_callers);
} calling_connections SEC(".maps");

static __always_inline bool port_calls(__u32 port)
{
    __u32 row = port / 64;
    __u64 *bits = bpf_map_lookup_elem(&calling_ports, &row);

    return bits && (*bits >> (port & 63) & 1);
}

static __always_inline void port_call_begins(__u16 port)
{
    __u32 row = port / 64, at = port % 64;
    __u64 *bits = bpf_map_lookup_elem(&calling_ports, &row);
    struct port_callers *callers = bpf_map_lookup_elem(&calling_connections, &row);

    if (!bits || !callers)
        return;
    __sync_fetch_and_add(&callers->connections[at], 1);
    __sync_fetch_and_or(bits, 1ULL << at);
}

/* The last connection takes the bit along, and puts it back where another began meanwhile. */
static __always_inline void port_call_ends(__u16 port)
{
    __u32 row = port / 64, at = port % 64;
    __u64 *bits = bpf_map_lookup_elem(&calling_ports, &row);
    struct port_callers *callers = bpf_map_lookup_elem(&calling_connections, &row);

    if (!bits || !callers || __sync_fetch_and_add(&callers->connections[at], -1) != 1)
        return;
    __sync_fetch_and_and(bits, ~(1ULL << at));
    if (*(volatile __u32 *)&callers->connections[at])
        __sync_fetch_and_or(bits, 1ULL << at);
}

/* Programs for packets of those ports: calls.h. A map for each, as all programs of one have to be
 * of the same kind; filled by the agent. */
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} call_request_program SEC(".maps"), call_response_program SEC(".maps");

struct { /* who is known to make calls that are counted */
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 2 * PMO_INSTANCES_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct pmo_caller);
    __type(value, struct pmo_calling);
} callers SEC(".maps");

#define ARRIVALS_CACHE 1024U
#define SLOT_CACHE     1024U
#define SENDERS        3U /* egress may interrupt egress: so many at once have a chunk each */

/* What a request of a raw target, method and instance is counted under when it arrives. */
struct arrival {
    __u64 hash; /* of all three */
    __u32 slot;
    __u16 route;
    __u16 pad;
};

/* What a CPU has for itself, all in one place, so that one look-up finds it. */
struct cpu {
    __u32 shard;         /* of the counters, from 1 on; 0: not chosen yet */
    __u32 busy[SENDERS]; /* taken (atomically) by the program that uses that chunk of egress; the
                            first one: and the shard */
    __u64 window;        /* that was counted in last, see window_parity() */
    __u64 tick; /* of the clock, that XDP has read it in last, and the window's parity: see syn.h */
    __u32 direct; /* segments that were read where they lie, and rightly: see direct.h */
    __u32 pad_direct;
    __u64 pad[3];
    struct http1_chunk ingress; /* ingress runs with softirqs off: there is one at a time */
    struct http1_chunk egress[SENDERS];
    __u64 pad2;
    struct fold fold;
    struct arrival arrivals[ARRIVALS_CACHE]; /* ingress */
    __u64 slots[SLOT_CACHE]; /* (instance, type) -> slot: upper bits of the hash, and the slot */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct cpu);
} cpus SEC(".maps");

static __always_inline struct cpu *this_cpu(void)
{
    __u32 zero = 0;

    return bpf_map_lookup_elem(&cpus, &zero);
}

/* Parity of the window (second of the wall clock) that a moment falls into. The window that this
 * CPU counted in last is kept as its beginning on CLOCK_MONOTONIC, with its parity in the lowest
 * bit: one word, so that an interrupted reader sees the old or the new one; spares a division. */
static __always_inline __u32 window_parity(struct cpu *cpu, __u64 now_ns)
{
    __u64 w = *(volatile __u64 *)&cpu->window, wall_ns, window;

    if (likely(now_ns - (w & ~1ULL) < 999999998ULL)) /* less the bit */
        return w & 1;
    wall_ns = now_ns + wall_offset_ns;
    window = wall_ns / 1000000000ULL;
    *(volatile __u64 *)&cpu->window =
        ((now_ns - wall_ns % 1000000000ULL + 1) & ~1ULL) | (window & 1);
    return window & 1;
}
