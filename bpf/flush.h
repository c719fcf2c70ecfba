/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flusher: a kernel timer that, shortly after each second, turns what was counted in the window
 * that ended into records for user space. It needs no agent: while the agent is away records wait
 * in the ring, and when the ring is full, in the counters themselves (see abi.h).
 */
#pragma once

#include "bpf/count.h"
#include "bpf/maps.h"

#define CLOCK_MONOTONIC 1
#define SECOND_NS       1000000000ULL
/* After the second's end: programs that began in the old window have finished by then. */
#define GRACE_NS 10000000ULL

struct flushed {    /* sums that user space has, by parity */
    __u64 since[2]; /* first window that is still owed; 0: none */
    struct pmo_counts counts[2];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_COUNTERS_MAX);
    __type(key, __u32);
    __type(value, struct flushed);
} flushed_counters SEC(".maps");

struct flushed_instance {
    __u64 since[2];
    struct pmo_instance_counts counts[2];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __type(key, __u32);
    __type(value, struct flushed_instance);
} flushed_instances SEC(".maps");

struct flushed_signals {
    __u64 since[2];
    struct pmo_signals counts[2];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __type(key, __u32);
    __type(value, struct flushed_signals);
} flushed_signals SEC(".maps");

struct flusher {
    struct bpf_timer timer;
    /* what the flush that is running works with: there is only one at a time */
    struct pmo_type_record type;
    struct pmo_instance_record instance;
    struct pmo_signals_record signals;
    struct pmo_counts sums;
    struct pmo_instance_counts instance_sums;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct flusher);
} flushers SEC(".maps");

struct flush_run {
    struct flusher *f;
    struct pmo_control *control;
    __u64 since, window;
    __u32 parity;
    __u32 row;
};

static __always_inline struct pmo_counts *counts_in(struct flush_run *r, __u32 shard)
{
    return shard < PMO_SHARDS_MAX ? type_counts(r->row, shard, r->parity) : NULL;
}

static long sum_counter(__u32 shard, void *context)
{
    struct flush_run *r = context;
    struct pmo_counts *from = counts_in(r, shard), *to = &r->f->sums;

    if (!from)
        return 1;
    to->requests += from->requests;
    to->finished += from->finished;
    to->first_byte_ns += from->first_byte_ns;
    to->last_byte_ns += from->last_byte_ns;
    to->request_bytes += from->request_bytes;
    to->response_bytes += from->response_bytes;
    for (int i = 0; i < (int)PMO_LATENCY_BUCKETS / 2; i++) {
        to->latency[i].first_byte[0] += from->latency[i].first_byte[0];
        to->latency[i].first_byte[1] += from->latency[i].first_byte[1];
        to->latency[i].last_byte += from->latency[i].last_byte;
    }
    return 0;
}

/* Whether anything happened shows in two of the sums. */
static long count_counter(__u32 shard, void *context)
{
    struct flush_run *r = context;
    struct pmo_counts *from = counts_in(r, shard);

    if (!from)
        return 1;
    r->f->sums.requests += from->requests;
    r->f->sums.finished += from->finished;
    return 0;
}

static long flush_counter(__u32 slot, void *context)
{
    struct flush_run *r = context;
    struct flusher *f = r->f;
    struct pmo_counter_key *key = bpf_map_lookup_elem(&counter_keys, &slot);
    struct flushed *done = bpf_map_lookup_elem(&flushed_counters, &slot);
    struct pmo_counts *old;
    __u32 p = r->parity & 1;

    if (!key || !done || slot >= r->control->slots_used)
        return 1;
    old = &done->counts[p];
    r->row = slot;
    f->sums.requests = f->sums.finished = 0;
    bpf_loop(r->control->shards, count_counter, r, 0);
    if (f->sums.requests == old->requests && f->sums.finished == old->finished)
        return 0;
    __builtin_memset(&f->sums, 0, sizeof(f->sums));
    bpf_loop(r->control->shards, sum_counter, r, 0);
    f->type.kind = PMO_RECORD_TYPE;
    f->type.slot = slot;
    f->type.since = done->since[p] ? done->since[p] : r->since;
    f->type.window = r->window;
    f->type.key = *key;
    f->type.counts.requests = f->sums.requests - old->requests;
    f->type.counts.finished = f->sums.finished - old->finished;
    f->type.counts.first_byte_ns = f->sums.first_byte_ns - old->first_byte_ns;
    f->type.counts.last_byte_ns = f->sums.last_byte_ns - old->last_byte_ns;
    f->type.counts.request_bytes = f->sums.request_bytes - old->request_bytes;
    f->type.counts.response_bytes = f->sums.response_bytes - old->response_bytes;
    for (int i = 0; i < (int)PMO_LATENCY_BUCKETS / 2; i++) {
        struct pmo_latency_octave *to = &f->type.counts.latency[i];
        struct pmo_latency_octave *sum = &f->sums.latency[i], *before = &old->latency[i];

        to->first_byte[0] = sum->first_byte[0] - before->first_byte[0];
        to->first_byte[1] = sum->first_byte[1] - before->first_byte[1];
        to->last_byte = sum->last_byte - before->last_byte;
    }
    if (bpf_ringbuf_output(&windows, &f->type,
                           key->status_class == PMO_STATUS_ARRIVED && !key->direction
                               ? PMO_ARRIVED_RECORD_BYTES
                               : sizeof(f->type),
                           BPF_RB_NO_WAKEUP)) {
        done->since[p] = f->type.since;
        r->control->ring_full++;
        return 0;
    }
    done->since[p] = 0;
    *old = f->sums;
    return 0;
}

static long sum_instance(__u32 shard, void *context)
{
    struct flush_run *r = context;
    struct pmo_instance_counts *from, *to = &r->f->instance_sums;

    if (shard >= PMO_SHARDS_MAX)
        return 1;
    from = instance_counts_in(r->row, shard, r->parity);
    if (!from)
        return 1;
    to->arrivals += from->arrivals;
    to->connections += from->connections;
    to->closes += from->closes;
    to->syns += from->syns;
    to->datagrams += from->datagrams;
    to->initials += from->initials;
    return 0;
}

static long flush_instance(__u32 row, void *context)
{
    struct flush_run *r = context;
    struct flusher *f = r->f;
    struct flushed_instance *done = bpf_map_lookup_elem(&flushed_instances, &row);
    struct pmo_instance_counts *old, *sums = &f->instance_sums;
    __u32 p = r->parity & 1;

    if (!done || row >= r->control->instances_used)
        return 1;
    old = &done->counts[p];
    r->row = row;
    __builtin_memset(sums, 0, sizeof(*sums));
    bpf_loop(r->control->shards, sum_instance, r, 0);
    if (sums->arrivals == old->arrivals && sums->connections == old->connections &&
        sums->closes == old->closes && sums->syns == old->syns && sums->datagrams == old->datagrams)
        return 0;
    f->instance.kind = PMO_RECORD_INSTANCE;
    f->instance.instance = row;
    f->instance.since = done->since[p] ? done->since[p] : r->since;
    f->instance.window = r->window;
    f->instance.counts.arrivals = sums->arrivals - old->arrivals;
    f->instance.counts.connections = sums->connections - old->connections;
    f->instance.counts.closes = sums->closes - old->closes;
    f->instance.counts.syns = sums->syns - old->syns;
    f->instance.counts.datagrams = sums->datagrams - old->datagrams;
    f->instance.counts.initials = sums->initials - old->initials;
    if (bpf_ringbuf_output(&windows, &f->instance, sizeof(f->instance), BPF_RB_NO_WAKEUP)) {
        done->since[p] = f->instance.since;
        r->control->ring_full++;
        return 0;
    }
    done->since[p] = 0;
    *old = *sums;
    return 0;
}

/* All of pmo_signals are sums: those of the window are what they grew by. */
static __always_inline void signals_grown(struct pmo_signals *grown, const struct pmo_signals *now,
                                          const struct pmo_signals *before)
{
    grown->waits = now->waits - before->waits;
    grown->wait_us = now->wait_us - before->wait_us;
    grown->unread_bytes = now->unread_bytes - before->unread_bytes;
    grown->rtt_us = now->rtt_us - before->rtt_us;
    grown->rtt_min_us = now->rtt_min_us - before->rtt_min_us;
    grown->handshakes = now->handshakes - before->handshakes;
    grown->handshake_us = now->handshake_us - before->handshake_us;
    grown->retransmits = now->retransmits - before->retransmits;
    grown->resets_sent = now->resets_sent - before->resets_sent;
    grown->resets_received = now->resets_received - before->resets_received;
    grown->overflows = now->overflows - before->overflows;
    for (int i = 0; i < (int)PMO_WAIT_BUCKETS; i++)
        grown->wait[i] = now->wait[i] - before->wait[i];
}

static long flush_signals(__u32 instance, void *context)
{
    struct flush_run *r = context;
    struct pmo_signals_record *record = &r->f->signals;
    struct pmo_signals_row *row = bpf_map_lookup_elem(&signals, &instance);
    struct flushed_signals *done = bpf_map_lookup_elem(&flushed_signals, &instance);
    const struct pmo_queues *queues;
    struct pmo_signals *now, *old;
    __u32 p = r->parity & 1;

    if (!row || !done || instance >= r->control->instances_used)
        return 1;
    now = &row->window[p];
    old = &done->counts[p];
    queues = &row->queues[p];
    if (now->waits == old->waits && now->handshakes == old->handshakes &&
        now->retransmits == old->retransmits && now->resets_sent == old->resets_sent &&
        now->resets_received == old->resets_received && queues->window != r->window)
        return 0;
    record->kind = PMO_RECORD_SIGNALS;
    record->instance = instance;
    record->since = done->since[p] ? done->since[p] : r->since;
    record->window = r->window;
    signals_grown(&record->counts, now, old);
    __builtin_memset(&record->queues, 0, sizeof(record->queues));
    if (queues->window == r->window)
        record->queues = *queues;
    if (bpf_ringbuf_output(&windows, record, sizeof(*record), BPF_RB_NO_WAKEUP)) {
        done->since[p] = record->since;
        r->control->ring_full++;
        return 0;
    }
    done->since[p] = 0;
    *old = *now; /* nobody writes them while the other parity's window is current */
    return 0;
}

static __always_inline void flush_parity(struct flush_run *r, __u64 since, __u64 window)
{
    r->since = since;
    r->window = window;
    r->parity = window & 1;
    bpf_loop(PMO_COUNTERS_MAX, flush_counter, r, 0);
    bpf_loop(PMO_INSTANCES_MAX, flush_instance, r, 0);
    bpf_loop(PMO_INSTANCES_MAX, flush_signals, r, 0);
}

static int flush_window(void *map, __u32 *key, struct flusher *f)
{
    struct pmo_control *control = control_row();
    struct flush_run r = {.f = f, .control = control};
    struct pmo_window_record record = {.kind = PMO_RECORD_WINDOW};
    __u64 now = bpf_ktime_get_ns() + wall_offset_ns, current = now / SECOND_NS;

    if (!control)
        return 0;
    bpf_timer_start(&f->timer, SECOND_NS - now % SECOND_NS + GRACE_NS, 0);
    if (current <= control->last_window + 1)
        return 0;
    record.since = control->last_window ? control->last_window + 1 : current - 1;
    record.window = current - 1;
    /* the timer was late by more than a second: the other parity owes windows, too */
    if (record.since < record.window)
        flush_parity(&r, record.since, record.window - 1);
    flush_parity(&r, record.since, record.window);
    if (bpf_ringbuf_output(&windows, &record, sizeof(record), BPF_RB_NO_WAKEUP))
        control->ring_full++; /* the next window record covers this one, too */
    else
        control->last_window = record.window;
    return 0;
}

/* Run once by each agent that attaches programs: starts the timer, or hands it this program. */
SEC("syscall")
int flusher_start(void *ctx)
{
    __u32 zero = 0;
    struct flusher *f = bpf_map_lookup_elem(&flushers, &zero);

    if (!f)
        return 1;
    bpf_timer_init(&f->timer, &flushers, CLOCK_MONOTONIC); /* -EBUSY: it runs already */
    if (bpf_timer_set_callback(&f->timer, flush_window))
        return 2;
    return bpf_timer_start(&f->timer, 0, 0) ? 3 : 0;
}
