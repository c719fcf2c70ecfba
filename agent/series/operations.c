/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/series/operations.h"

#include <errno.h>
#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "agent/series/latency.h"
#include "agent/series/span.h"

#define SLOT_SECONDS 10
#define SLOTS        6

struct slot {
    int64_t t; /* / SLOT_SECONDS */
    uint32_t answered, errors, finished;
    uint64_t first_byte_ns, last_byte_ns; /* sums over those answered, and finished */
    struct pmo_latency_octave latency[PMO_LATENCY_OCTAVES];
};

struct counted {
    struct pmo_operation operation; /* first: it is the key of the tree */
    int number;
    uint64_t requests[PMO_STATUS_CLASSES];
    uint64_t arrived, finished, request_bytes, response_bytes;
    int64_t open; /* arrived less ended; settled once a second */
    struct {
        int64_t t;
        uint64_t arrived, request_bytes, response_bytes;
    } last;
    struct slot slots[SLOTS]; /* slot t / SLOT_SECONDS % SLOTS */
    struct slot *delays;      /* of calls, as many, as if they were answered when they leave; NULL:
                                 of none it is known what request it is for */
    uint64_t delays_total;
};

struct pmo_operations {
    struct counted **entries; /* in the order they appeared */
    size_t count;
    void *tree;       /* the same, by operation: tsearch(3) */
    uint64_t open;    /* of all entries, where it is positive */
    uint64_t arrived; /* since the last settlement */
    uint32_t gauge;   /* at the last settlement */
};

int pmo_operations_new(struct pmo_operations **set)
{
    struct pmo_operations *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    made->gauge = PMO_NO_GAUGE;
    *set = made;
    return 0;
}

static void leave_entry(void *entry)
{
    /* the tree's nodes go, the entries are freed by the array */
}

static void entry_free(struct counted *entry)
{
    free(entry->delays);
    free(entry);
}

void pmo_operations_free(struct pmo_operations **set)
{
    if (!*set)
        return;
    tdestroy((*set)->tree, leave_entry);
    for (size_t i = 0; i < (*set)->count; i++)
        entry_free((*set)->entries[i]);
    free((*set)->entries);
    free(*set);
    *set = NULL;
}

/* ---- counting -------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    const struct pmo_operation *a = left, *b = right;
    int order = memcmp(a, b, offsetof(struct pmo_operation, route));

    if (!order)
        order = strncmp(a->route, b->route, sizeof(a->route) - 1);
    return order ? order : strncmp(a->peer, b->peer, sizeof(a->peer) - 1);
}

static struct counted *find(const struct pmo_operations *set, const struct pmo_operation *operation)
{
    void *found = tfind(operation, &set->tree, compare);

    return found ? *(struct counted **)found : NULL;
}

/* Room for one more in an array that doubles whenever it is full: at powers of two, and empty. */
static int grow(struct pmo_operations *set)
{
    size_t room = set->count ? set->count * 2 : 1;
    struct counted **more;

    if (set->count & (set->count - 1))
        return 0;
    more = reallocarray(set->entries, room, sizeof(void *));
    if (!more)
        return -ENOMEM;
    set->entries = more;
    return 0;
}

static struct counted *make(struct pmo_operations *set, const struct pmo_operation *operation)
{
    struct counted *made = grow(set) ? NULL : calloc(1, sizeof(*made));

    if (!made)
        return NULL;
    made->operation = *operation;
    made->number = (int)set->count;
    if (!tsearch(made, &set->tree, compare)) {
        free(made);
        return NULL;
    }
    set->entries[set->count++] = made;
    return made;
}

static struct counted *entry_of(struct pmo_operations *set, const struct pmo_type *type)
{
    struct pmo_operation operation = {.protocol = type->protocol, .method = type->method};
    struct counted *entry;

    memcpy(operation.route, type->route, sizeof(operation.route) - 1);
    memcpy(operation.peer, type->peer, sizeof(operation.peer) - 1);
    entry = find(set, &operation);
    if (!entry && set->count >= PMO_OPERATIONS_MAX - 1) {
        operation = (struct pmo_operation){.route = "{other}"};
        if (type->peer[0])
            (void)strcpy(operation.peer, PMO_PEER_OTHER);
        entry = find(set, &operation);
    }
    return entry ? entry : make(set, &operation);
}

static void add_latencies_at(struct slot slots[SLOTS], uint8_t status_class,
                             const struct pmo_span *span, int64_t t,
                             const struct pmo_counts *counts)
{
    struct slot *slot = &slots[t / SLOT_SECONDS % SLOTS];

    if (slot->t > t / SLOT_SECONDS)
        return; /* older than those kept */
    if (slot->t < t / SLOT_SECONDS)
        *slot = (struct slot){.t = t / SLOT_SECONDS};
    if (status_class != PMO_STATUS_ABORTED)
        slot->answered += pmo_span_share(span, counts->requests, t);
    if (status_class == 5)
        slot->errors += pmo_span_share(span, counts->requests, t);
    slot->finished += pmo_span_share(span, counts->finished, t);
    slot->first_byte_ns += pmo_span_share(span, counts->first_byte_ns, t);
    slot->last_byte_ns += pmo_span_share(span, counts->last_byte_ns, t);
    if (span->seconds == 1) {
        pmo_latency_add(slot->latency, counts->latency);
        return;
    }
    for (size_t i = 0; i < PMO_LATENCY_OCTAVES; i++) {
        const struct pmo_latency_octave *from = &counts->latency[i];

        slot->latency[i].first_byte[0] += pmo_span_share(span, from->first_byte[0], t);
        slot->latency[i].first_byte[1] += pmo_span_share(span, from->first_byte[1], t);
        slot->latency[i].last_byte += pmo_span_share(span, from->last_byte, t);
    }
}

static void add_latencies(struct slot slots[SLOTS], uint8_t status_class,
                          const struct pmo_span *span, const struct pmo_counts *counts)
{
    for (int64_t t = span->to; t >= span->from && t > span->to - SLOTS * SLOT_SECONDS; t--)
        add_latencies_at(slots, status_class, span, t, counts);
}

static int add_delays(struct counted *entry, const struct pmo_span *span,
                      const struct pmo_counts *counts)
{
    struct pmo_counts known = *counts;

    if (!counts->finished)
        return 0;
    if (!entry->delays)
        entry->delays = calloc(SLOTS, sizeof(*entry->delays));
    if (!entry->delays)
        return -ENOMEM;
    known.requests = counts->finished;
    entry->delays_total += known.requests;
    add_latencies(entry->delays, PMO_STATUS_ARRIVED, span, &known);
    return 0;
}

/* What falls to the last second of @span; those before are past. */
static void add_last(struct counted *entry, const struct pmo_span *span, uint64_t arrived,
                     uint64_t request_bytes, uint64_t response_bytes)
{
    int64_t t = span->to;

    if (entry->last.t > t)
        return;
    if (entry->last.t < t) {
        memset(&entry->last, 0, sizeof(entry->last));
        entry->last.t = t;
    }
    entry->last.arrived += pmo_span_share(span, arrived, t);
    entry->last.request_bytes += pmo_span_share(span, request_bytes, t);
    entry->last.response_bytes += pmo_span_share(span, response_bytes, t);
}

static void add_arrivals(struct pmo_operations *set, struct counted *entry,
                         const struct pmo_span *span, uint64_t arrived)
{
    set->arrived += arrived;
    entry->arrived += arrived;
    entry->open += (int64_t)arrived;
    add_last(entry, span, arrived, 0, 0);
}

int pmo_operations_add(struct pmo_operations *set, const struct pmo_type *type, int64_t since,
                       int64_t until, const struct pmo_counts *counts)
{
    struct counted *entry = entry_of(set, type);
    struct pmo_span span = pmo_span_of(since, until);
    uint8_t class = type->status_class;

    if (!entry)
        return -ENOMEM;
    if (class == PMO_STATUS_ARRIVED) {
        add_arrivals(set, entry, &span, counts->requests);
        if (type->direction == PMO_OUTBOUND && add_delays(entry, &span, counts))
            return -ENOMEM;
        return entry->number;
    }
    if (class >= PMO_STATUS_CLASSES)
        class = PMO_STATUS_ABORTED;
    entry->requests[class] += counts->requests;
    entry->finished += counts->finished;
    entry->request_bytes += counts->request_bytes;
    entry->response_bytes += counts->response_bytes;
    entry->open -= (int64_t)counts->finished;
    if (class == PMO_STATUS_ABORTED)
        entry->open -= (int64_t)counts->requests;
    add_last(entry, &span, 0, counts->request_bytes, counts->response_bytes);
    add_latencies(entry->slots, class, &span, counts);
    return entry->number;
}

/*
 * Open requests drift from the truth in two ways. Below: requests that arrived before this agent
 * did end without their arrival; what ends below zero was of that kind. Above: an answer that is
 * cut short with its connection has begun, and never finishes; such a request is forgotten when the
 * instance is idle: when the gauge was zero after the second before this, and nothing arrived in
 * this one, nothing is in flight at its end.
 */
void pmo_operations_settle(struct pmo_operations *set, uint32_t in_flight)
{
    bool idle = !set->gauge && !set->arrived;

    set->open = 0;
    for (size_t i = 0; i < set->count; i++) {
        struct counted *entry = set->entries[i];

        if (idle || entry->open < 0)
            entry->open = 0;
        set->open += (uint64_t)entry->open;
    }
    set->gauge = in_flight;
    set->arrived = 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

size_t pmo_operations_count(const struct pmo_operations *set)
{
    return set->count;
}

const struct pmo_operation *pmo_operations_at(const struct pmo_operations *set, size_t i)
{
    return &set->entries[i]->operation;
}

int pmo_operations_find(const struct pmo_operations *set, const struct pmo_operation *operation)
{
    const struct counted *entry = find(set, operation);

    return entry ? entry->number : -ENOENT;
}

double pmo_operations_in_flight(const struct pmo_operations *set, size_t i)
{
    double open = set->entries[i]->open > 0 ? (double)set->entries[i]->open : 0;

    return set->open > set->gauge ? open * set->gauge / (double)set->open : open;
}

/* What a load is put together from. */
struct sum {
    struct pmo_operation_load load; /* of which only what is added up is there */
    struct slot recent, delays;
};

static void add_slots(struct slot *sum, const struct slot slots[SLOTS], int64_t now)
{
    for (size_t s = 0; s < SLOTS; s++) {
        const struct slot *slot = &slots[s];

        if (slot->t > now / SLOT_SECONDS || slot->t <= now / SLOT_SECONDS - SLOTS)
            continue;
        pmo_latency_add(sum->latency, slot->latency);
        sum->answered += slot->answered;
        sum->errors += slot->errors;
        sum->finished += slot->finished;
        sum->first_byte_ns += slot->first_byte_ns;
        sum->last_byte_ns += slot->last_byte_ns;
    }
}

static void add_entry(struct sum *sum, const struct counted *entry, int64_t now)
{
    struct pmo_operation_load *load = &sum->load;

    add_slots(&sum->recent, entry->slots, now);
    if (entry->delays)
        add_slots(&sum->delays, entry->delays, now);
    load->delays += entry->delays_total;
    load->arrived += entry->arrived;
    load->finished += entry->finished;
    load->request_bytes += entry->request_bytes;
    load->response_bytes += entry->response_bytes;
    for (size_t i = 0; i < PMO_STATUS_CLASSES; i++)
        load->requests[i] += entry->requests[i];
    if (entry->last.t != now)
        return;
    load->rps += (double)entry->last.arrived;
    load->request_bytes_per_s += (double)entry->last.request_bytes;
    load->response_bytes_per_s += (double)entry->last.response_bytes;
}

static struct pmo_operation_load load_of(const struct sum *sum)
{
    const struct slot *recent = &sum->recent;
    const struct pmo_latency_octave *latency = recent->latency;
    struct pmo_operation_load load = sum->load;

    load.first_byte_p50_us = pmo_latency_quantile_us(latency, PMO_FIRST_BYTE, 0.5);
    load.first_byte_p99_us = pmo_latency_quantile_us(latency, PMO_FIRST_BYTE, 0.99);
    load.last_byte_p50_us = pmo_latency_quantile_us(latency, PMO_LAST_BYTE, 0.5);
    load.last_byte_p99_us = pmo_latency_quantile_us(latency, PMO_LAST_BYTE, 0.99);
    load.delay_p50_us = pmo_latency_quantile_us(sum->delays.latency, PMO_FIRST_BYTE, 0.5);
    load.delay_p99_us = pmo_latency_quantile_us(sum->delays.latency, PMO_FIRST_BYTE, 0.99);
    load.first_byte_mean_us = load.last_byte_mean_us = load.error_rate = load.delay_mean_us = NAN;
    if (recent->answered) {
        load.first_byte_mean_us = (double)recent->first_byte_ns / recent->answered / 1e3;
        load.error_rate = (double)recent->errors / recent->answered;
    }
    if (recent->finished)
        load.last_byte_mean_us = (double)recent->last_byte_ns / recent->finished / 1e3;
    if (sum->delays.answered)
        load.delay_mean_us = (double)sum->delays.first_byte_ns / sum->delays.answered / 1e3;
    return load;
}

void pmo_operations_load(const struct pmo_operations *set, size_t i, int64_t now,
                         struct pmo_operation_load *load)
{
    struct sum sum = {};

    add_entry(&sum, set->entries[i], now);
    *load = load_of(&sum);
}

void pmo_operations_load_of_peer(const struct pmo_operations *set, const char *peer, int64_t now,
                                 struct pmo_operation_load *load)
{
    struct sum sum = {};

    for (size_t i = 0; set && i < set->count; i++)
        if (!strcmp(set->entries[i]->operation.peer, peer))
            add_entry(&sum, set->entries[i], now);
    *load = load_of(&sum);
}
