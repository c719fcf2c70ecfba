/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting: adding to the slot of an (instance, type) pair, and finding the slot and the route.
 *
 * The counters are sharded. Shard 0 may be added to from anywhere, atomically. Each other shard
 * belongs to one CPU, and there to one program at a time, which therefore adds without atomics; on
 * a machine with more CPUs than shards (`exclusive` is false) they are shared, atomically.
 */
#pragma once

#include "bpf/learn.h"
#include "bpf/maps.h"

#define SHARD_SHARED 0U

/* Adds to a counter in this CPU's shard. Locals, as the verifier drops what a constant rules out
 * but not the loading of the constant. */
#define shard_add(alone, at, n)                                                                    \
    do {                                                                                           \
        if (alone)                                                                                 \
            *(at) += (n);                                                                          \
        else                                                                                       \
            __sync_fetch_and_add(at, n);                                                           \
    } while (0)

/* Chooses this CPU's shard, once. */
static __always_inline __u32 shard_of(struct cpu *cpu)
{
    if (unlikely(!cpu->shard))
        cpu->shard = 1 + bpf_get_smp_processor_id() % (shards - 1);
    return cpu->shard;
}

static __always_inline struct pmo_counts *type_counts(__u32 slot, __u32 shard, __u32 parity)
{
    __u32 row = shard * PMO_COUNTERS_MAX + slot;
    struct pmo_counter *counter = bpf_map_lookup_elem(&counters, &row);

    return counter ? &counter->window[parity & 1] : NULL;
}

static __always_inline struct pmo_instance_counts *instance_counts_in(__u32 instance, __u32 shard,
                                                                      __u32 parity)
{
    __u32 row = shard * PMO_INSTANCES_MAX + instance;
    struct pmo_instance_counter *counter = bpf_map_lookup_elem(&instance_counters, &row);

    return counter ? &counter->window[parity & 1] : NULL;
}

/* For atomic adds, from anywhere. */
static __always_inline struct pmo_instance_counts *instance_counts(__u32 instance, __u64 now_ns)
{
    struct cpu *cpu = this_cpu();

    return cpu ? instance_counts_in(instance, SHARD_SHARED, window_parity(cpu, now_ns)) : NULL;
}

/* The same of what comes before load. */
static __always_inline struct pmo_signals *signals_now(__u32 instance, __u64 now_ns)
{
    struct pmo_signals_row *row = bpf_map_lookup_elem(&signals, &instance);
    struct cpu *cpu = this_cpu();

    return row && cpu ? &row->window[window_parity(cpu, now_ns) & 1] : NULL;
}

/* ---- rules of folding: what learn.h works with ---- */

static __always_inline __u64 learn_scope(const struct fold *f)
{
    __u32 instance = f->instance & ~(FOLD_OUTBOUND | FOLD_HEADERS);
    __u64 *scope = bpf_map_lookup_elem(&instance_scopes, &instance);

    if (calls && scope && *scope && f->instance & FOLD_OUTBOUND)
        return fold_scope_outbound(*scope);
    if (headers_named && scope && *scope && f->instance & FOLD_HEADERS)
        return fold_scope_headers(*scope);
    return scope ? *scope : 0;
}

static __always_inline struct pmo_fold_node *learn_node(__u64 key)
{
    return bpf_map_lookup_elem(&fold_nodes, &key);
}

static const struct pmo_fold_node fold_node_fresh;
static const struct pmo_fold_rule fold_rule_fresh = {.name = "{id}"};

static __always_inline bool learn_node_make(__u64 key, __u64 scope)
{
    struct pmo_fold_node *node;

    if (bpf_map_update_elem(&fold_nodes, &key, &fold_node_fresh, BPF_NOEXIST))
        return false;
    node = learn_node(key);
    if (node)
        node->scope = scope;
    return true;
}

static __always_inline struct pmo_fold_rule *learn_rule(__u64 key)
{
    return bpf_map_lookup_elem(&fold_rules, &key);
}

/* Its kind is written last: the agent passes over one that has none. */
static __always_inline bool learn_rule_make(const struct fold *f)
{
    struct pmo_control *c = control_row();
    struct pmo_fold_rule *rule;
    __u32 length = f->segment;
    __u64 key = f->above;

    if (!c)
        return false;
    if (bpf_map_update_elem(&fold_rules, &key, &fold_rule_fresh, BPF_NOEXIST))
        return learn_rule(key) != NULL; /* another CPU was first, or there is no room */
    rule = learn_rule(key);
    if (!rule)
        return false;
    rule->scope = f->scope;
    rule->made_ns = bpf_ktime_get_ns();
    __builtin_memcpy(rule->text, f->text, PMO_ROUTE_BYTES);
    pmo_opaque(length);
    if (length < PMO_ROUTE_BYTES)
        rule->text[length] = 0;
    *(volatile __u32 *)&rule->kind = PMO_FOLD_LEARNED;
    __sync_fetch_and_add(&c->fold_rules, 1);
    return true;
}

/* Global, as it is verified once then, and not in each loop that folds. */
__noinline int route_rule(struct fold *fold, __u32 variable)
{
    return fold ? learn_segment(fold, variable) : FOLD_KEEP;
}

/* Whether there is room for one more route of an instance. What has no service yet, for which
 * nothing is learned, leaves half of the rows to those that have one. */
static __always_inline bool route_room(struct pmo_control *c, struct fold *f)
{
    f->scope = learn_scope(f);
    if (!f->scope)
        return c->routes_used < PMO_ROUTES_MAX / 2;
    return c->routes_used < PMO_ROUTES_MAX && learn_route(f);
}

/* Row of a route, whose last segment has ended, made on first sight; 0, "{other}", when the rows
 * are used up. */
__noinline __u32 route_row(struct fold *f)
{
    __u64 hash;
    __u32 row, *known;
    struct pmo_control *c;
    struct pmo_route *route;

    if (!f)
        return 0;
    hash = fold_hash(f);
    known = bpf_map_lookup_elem(&route_rows, &hash);
    if (known)
        return *known;
    c = control_row();
    if (!c)
        return 0;
    if (!route_room(c, f)) {
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

static __always_inline __u32 http1_route(struct fold *fold)
{
    fold_segment_end(fold);
    return route_row(fold);
}

/* ---- headers that policies name ---- */

/* Which of them are looked for in an instance's requests. */
static __always_inline __u64 headers_of(__u32 instance)
{
    __u64 *wanted = bpf_map_lookup_elem(&headers_wanted, &instance);

    return wanted ? *wanted : 0;
}

static __always_inline __u64 headers_sought(const struct fold *fold)
{
    return headers_of(fold->instance); /* of what it calls: none, as there is no such row */
}

/* Global, as it is verified once then. */
__noinline int headers_number(const struct fold *fold, __u64 name, __u32 index)
{
    __u64 wanted = fold ? headers_of(fold->instance) >> 32 : 0;

    for (__u32 i = 0; i < PMO_HEADERS_MAX; i++) {
        __u32 row = i;
        struct pmo_header *header = bpf_map_lookup_elem(&named_headers, &row);

        if (header && wanted >> i & 1 &&
            (header->name == name || header->http2_name == name ||
             header->http2_indices >> (index & 63) & 1))
            return i + 1;
    }
    return 0;
}

/* Folds a target in the ingress chunk. What newer compilers make of a loop here, the verifier walks
 * for each length by itself, a million steps and more; what clang 14 does, which builds for 6.1, it
 * does not, and a callback's frame would be too much for the stack there. */
#if __clang_major__ < 15
/* Global, as it is verified once then, and not for each byte. */
__noinline int target_byte(struct fold *fold, __u32 c)
{
    if (fold)
        fold_byte(fold, c);
    return 0;
}

static __always_inline void target_fold(struct cpu *cpu, __u32 at)
{
    for (int i = 0; i < HTTP1_TARGET_WORDS * 8; i++) {
        __u8 c = http1_load(cpu->ingress.buf, at);

        if (c == ' ' || c == '?')
            break;
        target_byte(&cpu->fold, c);
        at++;
    }
}
#else
struct target_run {
    struct cpu *cpu;
    __u32 at;
};

static long target_step(__u32 i, void *context)
{
    struct target_run *r = context;
    __u8 c = http1_load(r->cpu->ingress.buf, r->at);

    if (c == ' ' || c == '?')
        return 1;
    fold_byte(&r->cpu->fold, c);
    r->at++;
    return 0;
}

static __always_inline void target_fold(struct cpu *cpu, __u32 at)
{
    struct target_run r = {.cpu = cpu, .at = at};

    bpf_loop(HTTP1_TARGET_WORDS * 8, target_step, &r, 0);
}
#endif

/* Row of the route of the raw target at the beginning of an instance's request in the ingress
 * chunk. */
__noinline __u32 route_of_target(struct cpu *cpu, __u32 instance)
{
    __u32 at = 0;

    if (!cpu)
        return 0;
    cpu->fold.instance = instance;
    fold_begin(&cpu->fold);
    while (at < 16 && (__u8)http1_load(cpu->ingress.buf, at) != ' ')
        at++;
    at = http1_unknown(&cpu->ingress, at);
    target_fold(cpu, at + 1);
    return http1_route(&cpu->fold);
}

/* Slot of a pair, made on first sight; its status class's overflow slot when all are used. The key
 * is copied: on 6.1, a map takes none from the memory that a global function is given. */
__noinline __u32 counter_slot(struct pmo_counter_key *pair)
{
    struct pmo_counter_key key, *row;
    struct pmo_control *c;
    __u32 slot, *known;

    if (!pair)
        return 0;
    key = *pair;
    known = bpf_map_lookup_elem(&counter_slots, &key);
    if (known)
        return *known;
    c = control_row();
    if (!c)
        return 0;
    if (bpf_map_pop_elem(&free_counters, &slot)) {
        if (key.protocol != PMO_PROTOCOL_SYNS && key.protocol != PMO_PROTOCOL_CONNECTIONS)
            __sync_fetch_and_add(&c->counters_full, 1);
        slot = key.status_class + (key.direction ? PMO_STATUS_ARRIVED + 1 : 0);
        return slot < PMO_OVERFLOW_SLOTS ? slot : 0;
    }
    row = bpf_map_lookup_elem(&counter_keys, &slot);
    if (!row)
        return 0;
    *row = key;
    if (bpf_map_update_elem(&counter_slots, &key, &slot, BPF_NOEXIST)) {
        bpf_map_push_elem(&free_counters, &slot, 0);
        known = bpf_map_lookup_elem(&counter_slots, &key);
        return known ? *known : 0;
    }
    raise(&c->slots_used, slot + 1);
    return slot;
}

_Static_assert(PMO_COUNTERS_MAX == 8192, "a slot takes 13 bits of a cache entry");

/* The same, remembered: upper 51 bits of the key's hash, and the slot. The generation tells an
 * instance from an earlier one in the same row, whose slots were given back. */
static __always_inline __u32 counter_slot_cached(struct cpu *cpu, struct pmo_counter_key *key,
                                                 __u32 generation)
{
    /* from the members, which are in registers: words that were just written in parts would have to
     * wait for them */
    __u64 who = key->instance | (__u32)key->peer << 16 | (__u64)key->route << 32 |
                (__u64)key->direction << 48;
    __u64 what = key->protocol | (__u32)key->method << 8 | (__u32)key->status_class << 16 |
                 (__u32)key->zone << 24 | (__u64)generation << 32;
    __u64 hash = hash_mix(hash_mix(HTTP1_HASH_SEED, who), what);
    __u64 *entry = &cpu->slots[(hash >> 13) & (SLOT_CACHE - 1)], e = *(volatile __u64 *)entry;
    __u32 slot;

    if (likely(!((e ^ hash) >> 13)))
        return e & (PMO_COUNTERS_MAX - 1);
    slot = counter_slot(key);
    if (slot >= PMO_OVERFLOW_SLOTS) /* pairs that have no slot now may get one later */
        *(volatile __u64 *)entry = (hash & ~(PMO_COUNTERS_MAX - 1ULL)) | slot;
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
