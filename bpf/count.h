/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting: adding to the slot of an (instance, type) pair, and finding the slot and the route.
 *
 * Adds are atomic although the slots are per CPU: a softirq may interrupt a program in process
 * context between its load and its store.
 */
#pragma once

#include "bpf/fold.h"
#include "bpf/maps.h"

#define ROUTE_CACHE 1024U

/* Raw target -> route: upper 52 bits of the target's hash, and the row. One word, so that a reader
 * that is interrupted sees the old or the new entry. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, ROUTE_CACHE);
    __type(key, __u32);
    __type(value, __u64);
} route_cache SEC(".maps");

_Static_assert(PMO_ROUTES_MAX == 4096, "a row takes 12 bits of a cache entry");

static __always_inline bool route_cached(__u64 target_hash, __u32 *row)
{
    __u32 slot = (target_hash >> 12) & (ROUTE_CACHE - 1);
    __u64 *entry = bpf_map_lookup_elem(&route_cache, &slot);

    if (!entry)
        return false;

    __u64 e = *(volatile __u64 *)entry;

    if ((e ^ target_hash) >> 12)
        return false;
    *row = e & 4095;
    return true;
}

static __always_inline void route_cache_put(__u64 target_hash, __u32 row)
{
    __u32 slot = (target_hash >> 12) & (ROUTE_CACHE - 1);
    __u64 *entry = bpf_map_lookup_elem(&route_cache, &slot);

    if (entry)
        *(volatile __u64 *)entry = (target_hash & ~4095ULL) | row;
}

/* Row of a folded route, made on first sight; 0, "{other}", when the rows are used up. */
__noinline __u32 route_row(struct fold *f)
{
    __u64 hash;
    __u32 row, *known;
    struct pmo_control *c;
    struct pmo_route *route;

    if (!f)
        return 0;
    hash = fold_end(f);
    known = bpf_map_lookup_elem(&route_rows, &hash);
    if (known)
        return *known;
    c = control_row();
    if (!c)
        return 0;
    if (c->routes_used >= PMO_ROUTES_MAX) {
        __sync_fetch_and_add(&c->routes_full, 1);
        return 0;
    }
    row = __sync_fetch_and_add(&c->routes_used, 1);
    route = row ? bpf_map_lookup_elem(&routes, &row) : NULL;
    if (!route)
        return 0;
    route->hash = hash;
    __builtin_memcpy(route->text, f->text, PMO_ROUTE_BYTES);
    if (bpf_map_update_elem(&route_rows, &hash, &row, BPF_NOEXIST)) {
        known = bpf_map_lookup_elem(&route_rows, &hash); /* another CPU was first */
        return known ? *known : 0;
    }
    return row;
}

/* Where a pair's slot may be found without hashing: a guess, checked against the slot's key. */
#define SLOT_CACHE 1024U

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SLOT_CACHE);
    __type(key, __u32);
    __type(value, __u32);
} slot_cache SEC(".maps");

static __always_inline bool key_equal(const struct pmo_counter_key *a,
                                      const struct pmo_counter_key *b)
{
    const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/* Slot of a pair, made on first sight; its status class's overflow slot when all are used. */
__noinline __u32 counter_slot(struct pmo_counter_key *key)
{
    struct pmo_counter_key *row;
    struct pmo_control *c;
    __u32 slot, *known;

    if (!key)
        return 0;
    known = bpf_map_lookup_elem(&counter_slots, key);
    if (known)
        return *known;
    c = control_row();
    if (!c)
        return 0;
    if (bpf_map_pop_elem(&free_counters, &slot)) {
        __sync_fetch_and_add(&c->counters_full, 1);
        return key->status_class < PMO_STATUS_CLASSES ? key->status_class : 0;
    }
    row = bpf_map_lookup_elem(&counter_keys, &slot);
    if (!row)
        return 0;
    *row = *key;
    if (bpf_map_update_elem(&counter_slots, key, &slot, BPF_NOEXIST)) {
        bpf_map_push_elem(&free_counters, &slot, 0);
        known = bpf_map_lookup_elem(&counter_slots, key);
        return known ? *known : 0;
    }
    raise(&c->slots_used, slot + 1);
    return slot;
}

static __always_inline __u32 counter_slot_cached(struct pmo_counter_key *key)
{
    const __u32 *w = (const __u32 *)key;
    __u32 at = (w[0] * 0x9e3779b1U ^ w[1] * 0x85ebca77U ^ w[2] * 0xc2b2ae3dU) >> 22, slot;
    struct pmo_counter_key *known;
    __u32 *guess = bpf_map_lookup_elem(&slot_cache, &at);

    if (!guess)
        return 0;
    slot = *guess;
    known = bpf_map_lookup_elem(&counter_keys, &slot);
    if (likely(known && key_equal(key, known)))
        return slot;
    slot = counter_slot(key);
    *guess = slot;
    return slot;
}

/* Index of the latency bucket, see pmo_latency_bucket_us(). */
static __always_inline __u32 latency_bucket(__u64 ns)
{
    __u64 v = ns >> 14;
    __u32 e = 0;

    if (!v)
        return 0;
    if (v >> 20)
        return PMO_LATENCY_BUCKETS - 1;
    if (v >> 16) {
        e += 16;
        v >>= 16;
    }
    if (v >> 8) {
        e += 8;
        v >>= 8;
    }
    if (v >> 4) {
        e += 4;
        v >>= 4;
    }
    if (v >> 2) {
        e += 2;
        v >>= 2;
    }
    if (v >> 1)
        e += 1;
    ns >>= e; /* 2^14 to 2^15: which half of the octave, on a log scale? */
    return 2 * e + (ns * ns >= 1ULL << 29);
}

static __always_inline void count_request(__u32 slot, __u64 now_ns, __u64 latency_ns, bool answered)
{
    struct pmo_counter *counter = bpf_map_lookup_elem(&counters, &slot);
    struct pmo_counts *counts;
    __u32 bucket;

    if (!counter)
        return;
    counts = &counter->window[window_parity(now_ns)];
    __sync_fetch_and_add(&counts->requests, 1);
    if (unlikely(!answered))
        return;
    __sync_fetch_and_add(&counts->latency_ns, latency_ns);
    bucket = latency_bucket(latency_ns);
    if (bucket < PMO_LATENCY_BUCKETS)
        __sync_fetch_and_add(&counts->latency[bucket], 1);
}
