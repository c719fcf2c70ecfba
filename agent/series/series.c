/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that is remembered of a second is a whole number in a column (column.h): one column a
 * type, one an operation (its arrivals), and some for each service (arrivals, bytes, CPU
 * microseconds, instances, ...). Whether a second was observed is a column too. Only the latency
 * histograms of the last minute are kept beside them.
 */
#include "agent/series/series.h"

#include <errno.h>
#include <math.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/series/column.h"
#include "agent/series/latency.h"
#include "agent/series/operations.h"
#include "agent/series/span.h"

/* Seconds with a latency histogram; older ones keep two quantiles. */
#define HISTOGRAMS 60
/* Windows follow a monotonic clock, but the agent may have been stopped for long. A second that is
 * further than this after the last one is a broken clock: it must not push out the whole hour. */
#define AHEAD_MAX (24 * 3600)

struct peer {
    char name[PMO_PEER_BYTES];
    struct pmo_service_totals totals;
    struct pmo_series series;
};

struct type_series {
    struct pmo_type type; /* first: it is the key of the tree */
    uint64_t total;
    struct pmo_series series;
    struct peer *peer; /* outbound */
};

enum column {
    COLUMN_ARRIVALS,
    COLUMN_LATENCY_P50, /* 0: nothing was answered */
    COLUMN_LATENCY_P99,
    COLUMN_IN_FLIGHT,
    COLUMN_CPU,
    COLUMN_MEMORY,
    COLUMN_RX,
    COLUMN_TX,
    COLUMN_SYNS,
    COLUMN_CONNECTIONS,
    COLUMNS_OF_SECOND, /* those above are members of struct pmo_service_second */
    COLUMN_READY = COLUMNS_OF_SECOND,
    COLUMN_STARTING,
    COLUMN_OBSERVED, /* 1 where the second was closed */
    COLUMN_CLASS,
    COLUMNS = COLUMN_CLASS + PMO_STATUS_CLASSES
};

static const struct {
    size_t offset;
    double scale; /* of the column's numbers to the member's unit */
} members[COLUMNS_OF_SECOND] = {
    [COLUMN_ARRIVALS] = {offsetof(struct pmo_service_second, arrivals), 1},
    [COLUMN_LATENCY_P50] = {offsetof(struct pmo_service_second, latency_p50_us), 1},
    [COLUMN_LATENCY_P99] = {offsetof(struct pmo_service_second, latency_p99_us), 1},
    [COLUMN_IN_FLIGHT] = {offsetof(struct pmo_service_second, in_flight), 1},
    [COLUMN_CPU] = {offsetof(struct pmo_service_second, cpu_seconds), 1e6},
    [COLUMN_MEMORY] = {offsetof(struct pmo_service_second, memory_bytes), 1},
    [COLUMN_RX] = {offsetof(struct pmo_service_second, rx_bytes), 1},
    [COLUMN_TX] = {offsetof(struct pmo_service_second, tx_bytes), 1},
    [COLUMN_SYNS] = {offsetof(struct pmo_service_second, syns), 1},
    [COLUMN_CONNECTIONS] = {offsetof(struct pmo_service_second, connections), 1},
};

struct histogram {
    int64_t t;
    struct pmo_latency_octave latency[PMO_LATENCY_OCTAVES];
};

struct pmo_service_store {
    struct pmo_store *store;
    char *name;
    int64_t last; /* closed second, 0 before the first */
    struct pmo_service_totals totals;
    struct pmo_series columns[COLUMNS];
    struct histogram histograms[HISTOGRAMS]; /* slot t % HISTOGRAMS */
    struct type_series **types;              /* in the order they appeared */
    size_t types_count;
    void *types_tree; /* the same, by type: tsearch(3) */
    struct pmo_operations *operations, *calls;
    struct pmo_series *arrivals; /* of each operation */
    size_t arrivals_count;
    struct peer **peers;
    size_t peers_count;
};

struct pmo_store {
    struct pmo_service_store **services;
    size_t services_count;
    size_t edges; /* peers of all services */
    int64_t last; /* newest closed second of any service */
};

/* ---- services and types ---------------------------------------------------------------------- */

int pmo_store_new(struct pmo_store **store)
{
    struct pmo_store *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    *store = made;
    return 0;
}

static void leave_type(void *type)
{
    /* the tree's nodes go, the types are freed by the array */
}

static void service_free(struct pmo_service_store *service)
{
    tdestroy(service->types_tree, leave_type);
    for (size_t i = 0; i < COLUMNS; i++)
        pmo_series_forget(&service->columns[i], INT64_MAX);
    for (size_t i = 0; i < service->types_count; i++) {
        pmo_series_forget(&service->types[i]->series, INT64_MAX);
        free(service->types[i]);
    }
    for (size_t i = 0; i < service->arrivals_count; i++)
        pmo_series_forget(&service->arrivals[i], INT64_MAX);
    for (size_t i = 0; i < service->peers_count; i++) {
        pmo_series_forget(&service->peers[i]->series, INT64_MAX);
        free(service->peers[i]);
    }
    free(service->peers);
    pmo_operations_free(&service->operations);
    pmo_operations_free(&service->calls);
    free(service->arrivals);
    free(service->types);
    free(service->name);
    free(service);
}

void pmo_store_free(struct pmo_store **store)
{
    if (!*store)
        return;
    for (size_t i = 0; i < (*store)->services_count; i++)
        service_free((*store)->services[i]);
    free((*store)->services);
    free(*store);
    *store = NULL;
}

/* Room for one more pointer in an array that doubles whenever it is full. */
static int grow(void **array, size_t count)
{
    void *more;

    if (count & (count - 1))
        return 0; /* full only at powers of two, and empty */
    more = reallocarray(*array, count ? count * 2 : 1, sizeof(void *));
    if (!more)
        return -ENOMEM;
    *array = more;
    return 0;
}

struct pmo_service_store *pmo_store_service(struct pmo_store *store, const char *name, bool create)
{
    struct pmo_service_store *service;

    for (size_t i = 0; i < store->services_count; i++)
        if (!strcmp(store->services[i]->name, name))
            return store->services[i];
    if (!create || grow((void **)&store->services, store->services_count))
        return NULL;
    service = calloc(1, sizeof(*service));
    if (!service)
        return NULL;
    service->name = strdup(name);
    if (!service->name || pmo_operations_new(&service->operations)) {
        service_free(service);
        return NULL;
    }
    service->store = store;
    store->services[store->services_count++] = service;
    return service;
}

size_t pmo_store_services(const struct pmo_store *store)
{
    return store->services_count;
}

struct pmo_service_store *pmo_store_service_at(const struct pmo_store *store, size_t i)
{
    return store->services[i];
}

const char *pmo_service_store_name(const struct pmo_service_store *service)
{
    return service->name;
}

static int compare_types(const void *left, const void *right)
{
    const struct pmo_type *a = left, *b = right;
    int order = memcmp(a, b, offsetof(struct pmo_type, route));

    if (!order)
        order = strncmp(a->route, b->route, sizeof(a->route) - 1);
    return order ? order : strncmp(a->peer, b->peer, sizeof(a->peer) - 1);
}

/* The peer of this name, or the one that stands for all that there is no room for. */
static struct peer *peer_of(struct pmo_service_store *service, const char *name)
{
    struct peer *made;

    for (size_t i = 0; i < service->peers_count; i++)
        if (!strcmp(service->peers[i]->name, name))
            return service->peers[i];
    if (strcmp(name, PMO_PEER_OTHER) != 0 &&
        (!*name || service->store->edges >= PMO_EDGES_MAX)) /* history of before has no name */
        return peer_of(service, PMO_PEER_OTHER);
    made = grow((void **)&service->peers, service->peers_count) ? NULL : calloc(1, sizeof(*made));
    if (!made)
        return NULL;
    (void)snprintf(made->name, sizeof(made->name), "%s", name);
    service->peers[service->peers_count++] = made;
    service->store->edges++;
    return made;
}

static struct type_series *type_of(struct pmo_service_store *service, const struct pmo_type *type)
{
    void *found = tfind(type, &service->types_tree, compare_types);
    struct type_series *made;

    if (found)
        return *(struct type_series **)found;
    if (grow((void **)&service->types, service->types_count))
        return NULL;
    made = calloc(1, sizeof(*made));
    if (!made)
        return NULL;
    made->type = *type;
    made->type.route[sizeof(type->route) - 1] = '\0';
    if (type->direction == PMO_OUTBOUND)
        made->peer = peer_of(service, type->peer);
    if (!tsearch(made, &service->types_tree, compare_types)) {
        free(made);
        return NULL;
    }
    service->types[service->types_count++] = made;
    return made;
}

/* ---- counting -------------------------------------------------------------------------------- */

/* The clock is the whole store's: a service may have been silent for hours. */
static bool remembered(const struct pmo_service_store *service, int64_t t)
{
    int64_t last = service->store->last;

    return t > 0 && t <= PMO_SERIES_T_MAX &&
           (!last || (t > last - PMO_SERIES_SECONDS && t <= last + AHEAD_MAX));
}

static struct histogram *histogram_of(struct pmo_service_store *service, int64_t t)
{
    struct histogram *histogram = &service->histograms[t % HISTOGRAMS];

    if (histogram->t > t)
        return NULL; /* older than those kept */
    if (histogram->t < t)
        *histogram = (struct histogram){.t = t};
    return histogram;
}

static int keep_latencies(struct pmo_service_store *service, int64_t t)
{
    double p50 = pmo_service_store_latency(service, t, 1, 0.5);
    double p99 = pmo_service_store_latency(service, t, 1, 0.99);
    int r;

    if (isnan(p50))
        return 0;
    r = pmo_series_set(&service->columns[COLUMN_LATENCY_P50], t, llround(p50));
    return r ? r : pmo_series_set(&service->columns[COLUMN_LATENCY_P99], t, llround(p99));
}

static int add_requests(struct pmo_service_store *service, struct type_series *type, int64_t t,
                        uint64_t requests)
{
    uint8_t class = type->type.status_class;
    int r = pmo_series_add(&type->series, t, requests);

    if (type->peer)
        return r ? r : pmo_series_add(&type->peer->series, t, requests);
    if (class >= PMO_STATUS_CLASSES)
        class = PMO_STATUS_ABORTED;
    return r ? r : pmo_series_add(&service->columns[COLUMN_CLASS + class], t, requests);
}

static int add_bytes(struct pmo_service_store *service, int64_t t, uint64_t rx, uint64_t tx)
{
    int r = pmo_series_add(&service->columns[COLUMN_RX], t, rx);

    return r ? r : pmo_series_add(&service->columns[COLUMN_TX], t, tx);
}

static int add_to_column(struct pmo_service_store *service, enum column column,
                         const struct pmo_span *span, uint64_t n)
{
    int r = 0;

    for (int64_t t = span->from; !r && n && t <= span->to; t++)
        if (remembered(service, t))
            r = pmo_series_add(&service->columns[column], t, pmo_span_share(span, n, t));
    return r;
}

static int arrivals_of(struct pmo_service_store *service, size_t operation,
                       struct pmo_series **arrivals)
{
    size_t count = service->arrivals_count;
    struct pmo_series *more;

    if (operation >= count) {
        count = count ? count * 2 : 1;
        more = reallocarray(service->arrivals, count, sizeof(*more));
        if (!more)
            return -ENOMEM;
        memset(more + service->arrivals_count, 0,
               (count - service->arrivals_count) * sizeof(*more));
        service->arrivals = more;
        service->arrivals_count = count;
    }
    *arrivals = &service->arrivals[operation];
    return 0;
}

static int add_arrivals(struct pmo_service_store *service, size_t operation,
                        const struct pmo_span *span, uint64_t requests)
{
    struct pmo_series *arrivals = NULL;
    int r = arrivals_of(service, operation, &arrivals);

    service->totals.arrived += requests;
    for (int64_t t = span->from; !r && t <= span->to; t++)
        if (remembered(service, t))
            r = pmo_series_add(arrivals, t, pmo_span_share(span, requests, t));
    return r ? r : add_to_column(service, COLUMN_ARRIVALS, span, requests);
}

static void add_totals(struct pmo_service_totals *totals, const struct pmo_counts *counts)
{
    totals->requests += counts->requests;
    totals->finished += counts->finished;
    totals->request_bytes += counts->request_bytes;
    totals->response_bytes += counts->response_bytes;
    totals->first_byte_ns += counts->first_byte_ns;
    totals->last_byte_ns += counts->last_byte_ns;
    for (size_t i = 0; i < PMO_LATENCY_OCTAVES; i++) {
        const struct pmo_latency_octave *octave = &counts->latency[i];

        totals->first_byte[i] += (uint64_t)octave->first_byte[0] + octave->first_byte[1];
        totals->last_byte[i] += octave->last_byte;
    }
}

static int add_latencies(struct pmo_service_store *service, const struct pmo_span *span, int64_t t,
                         const struct pmo_counts *counts)
{
    struct histogram *histogram = histogram_of(service, t);

    if (!histogram)
        return 0;
    for (size_t i = 0; i < PMO_LATENCY_OCTAVES; i++) {
        const struct pmo_latency_octave *from = &counts->latency[i];
        struct pmo_latency_octave *to = &histogram->latency[i];

        to->first_byte[0] += pmo_span_share(span, from->first_byte[0], t);
        to->first_byte[1] += pmo_span_share(span, from->first_byte[1], t);
        to->last_byte += pmo_span_share(span, from->last_byte, t);
    }
    return t > service->last ? 0 : keep_latencies(service, t);
}

static void add_delays(struct pmo_service_totals *totals, const struct pmo_counts *counts)
{
    totals->delay_ns += counts->first_byte_ns;
    for (size_t i = 0; i < PMO_LATENCY_OCTAVES; i++)
        totals->delay[i] +=
            (uint64_t)counts->latency[i].first_byte[0] + counts->latency[i].first_byte[1];
}

static int add_calls(struct pmo_service_store *service, const struct pmo_type *type, int64_t since,
                     int64_t until, const struct pmo_counts *counts)
{
    int r = service->calls ? 0 : pmo_operations_new(&service->calls);
    struct pmo_span span = pmo_span_of(since, until);
    struct peer *peer = peer_of(service, type->peer);
    struct type_series *series;
    struct pmo_type known = *type;

    if (!peer)
        return -ENOMEM;
    memcpy(known.peer, peer->name, sizeof(known.peer));
    if (r || (r = pmo_operations_add(service->calls, &known, since, until, counts)) < 0)
        return r;
    if (type->status_class == PMO_STATUS_ARRIVED) {
        peer->totals.arrived += counts->requests;
        add_delays(&peer->totals, counts);
        return 0;
    }
    series = type_of(service, &known);
    if (!series)
        return -ENOMEM;
    add_totals(&peer->totals, counts);
    series->total += counts->requests;
    r = 0;
    for (int64_t t = span.from; !r && t <= span.to; t++)
        if (remembered(service, t))
            r = add_requests(service, series, t, pmo_span_share(&span, counts->requests, t));
    return r;
}

static int add_served(struct pmo_service_store *service, const struct pmo_type *type, int64_t since,
                      int64_t until, const struct pmo_counts *counts)
{
    int operation = pmo_operations_add(service->operations, type, since, until, counts), r = 0;
    struct pmo_span span = pmo_span_of(since, until);
    struct type_series *series;

    if (operation < 0)
        return operation;
    if (type->status_class == PMO_STATUS_ARRIVED)
        return add_arrivals(service, (size_t)operation, &span, counts->requests);
    series = type_of(service, type);
    if (!series)
        return -ENOMEM;
    add_totals(&service->totals, counts);
    series->total += counts->requests;
    for (int64_t t = span.from; !r && t <= span.to; t++) {
        if (!remembered(service, t))
            continue;
        r = add_requests(service, series, t, pmo_span_share(&span, counts->requests, t));
        if (!r)
            r = add_bytes(service, t, pmo_span_share(&span, counts->request_bytes, t),
                          pmo_span_share(&span, counts->response_bytes, t));
        if (!r)
            r = add_latencies(service, &span, t, counts);
    }
    return r;
}

int pmo_service_store_add(struct pmo_service_store *service, const struct pmo_type *type,
                          int64_t since, int64_t until, const struct pmo_counts *counts)
{
    return type->direction == PMO_OUTBOUND ? add_calls(service, type, since, until, counts)
                                           : add_served(service, type, since, until, counts);
}

int pmo_service_store_add_instance(struct pmo_service_store *service, int64_t since, int64_t until,
                                   const struct pmo_instance_counts *counts)
{
    struct pmo_span span = pmo_span_of(since, until);
    int r = add_to_column(service, COLUMN_ARRIVALS, &span, counts->arrivals);

    service->totals.arrived += counts->arrivals;
    if (!r)
        r = add_to_column(service, COLUMN_SYNS, &span, counts->syns);
    return r ? r : add_to_column(service, COLUMN_CONNECTIONS, &span, counts->connections);
}

static double *member_of(struct pmo_service_second *second, size_t i)
{
    return (double *)((char *)second + members[i].offset);
}

static int set_member(struct pmo_service_store *service, int64_t t, size_t i,
                      struct pmo_service_second second)
{
    double value = *member_of(&second, i) * members[i].scale;

    return pmo_series_set(&service->columns[i], t, value > 0 ? (uint64_t)llround(value) : 0);
}

static int set_instances(struct pmo_service_store *service, int64_t t,
                         const struct pmo_service_second *second)
{
    int r = pmo_series_set(&service->columns[COLUMN_READY], t, second->ready);

    return r ? r : pmo_series_set(&service->columns[COLUMN_STARTING], t, second->starting);
}

/* Second @t is known from now on; once a minute, what became too old is freed. */
static int observe(struct pmo_service_store *service, int64_t t)
{
    int64_t before = service->last;

    if (service->store->last < t)
        service->store->last = t;
    if (service->last < t)
        service->last = t;
    for (size_t i = 0; t / 60 > before / 60 && i < COLUMNS; i++)
        pmo_series_forget(&service->columns[i], t - PMO_SERIES_SECONDS);
    for (size_t i = 0; t / 60 > before / 60 && i < service->types_count; i++)
        pmo_series_forget(&service->types[i]->series, t - PMO_SERIES_SECONDS);
    for (size_t i = 0; t / 60 > before / 60 && i < service->arrivals_count; i++)
        pmo_series_forget(&service->arrivals[i], t - PMO_SERIES_SECONDS);
    for (size_t i = 0; t / 60 > before / 60 && i < service->peers_count; i++)
        pmo_series_forget(&service->peers[i]->series, t - PMO_SERIES_SECONDS);
    return pmo_series_set(&service->columns[COLUMN_OBSERVED], t, 1);
}

void pmo_service_store_close(struct pmo_service_store *service, int64_t t,
                             const struct pmo_service_second *gauges)
{
    static const enum column gauge_columns[] = {COLUMN_IN_FLIGHT, COLUMN_CPU, COLUMN_MEMORY};

    if (t <= 0 || t > PMO_SERIES_T_MAX || t <= service->last - PMO_SERIES_SECONDS)
        return;
    /* Out of memory leaves the second unobserved, or its gauges at zero: nothing to tell here. */
    if (observe(service, t) || keep_latencies(service, t) || !gauges)
        return;
    for (size_t i = 0; i < sizeof(gauge_columns) / sizeof(*gauge_columns); i++)
        (void)set_member(service, t, gauge_columns[i], *gauges);
    (void)set_instances(service, t, gauges);
}

int pmo_service_store_restore(struct pmo_service_store *service, int64_t t,
                              const struct pmo_service_second *second)
{
    int r;

    if (!remembered(service, t))
        return 0;
    r = observe(service, t);
    for (size_t i = 0; !r && i < COLUMNS_OF_SECOND; i++)
        r = set_member(service, t, i, *second);
    return r ? r : set_instances(service, t, second);
}

int pmo_service_store_restore_type(struct pmo_service_store *service, const struct pmo_type *type,
                                   int64_t t, uint64_t requests)
{
    struct type_series *series;
    struct pmo_type known = *type;
    struct peer *peer;

    if (!remembered(service, t))
        return 0;
    if (type->direction == PMO_OUTBOUND) {
        peer = peer_of(service, type->peer);
        if (!peer)
            return -ENOMEM;
        memcpy(known.peer, peer->name, sizeof(known.peer));
    }
    series = type_of(service, &known);
    return series ? add_requests(service, series, t, requests) : -ENOMEM;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool observed(const struct pmo_service_store *service, int64_t t)
{
    return t > 0 && t > service->last - PMO_SERIES_SECONDS && t <= service->last &&
           pmo_series_get(&service->columns[COLUMN_OBSERVED], t);
}

int pmo_service_store_second(const struct pmo_service_store *service, int64_t t,
                             struct pmo_service_second *second)
{
    if (!observed(service, t))
        return -ENODATA;
    *second = (struct pmo_service_second){
        .ready = (uint32_t)pmo_series_get(&service->columns[COLUMN_READY], t),
        .starting = (uint32_t)pmo_series_get(&service->columns[COLUMN_STARTING], t),
    };
    for (size_t i = 0; i < COLUMNS_OF_SECOND; i++)
        *member_of(second, i) = (double)pmo_series_get(&service->columns[i], t) / members[i].scale;
    if (second->latency_p50_us == 0)
        second->latency_p50_us = second->latency_p99_us = NAN;
    return 0;
}

int64_t pmo_service_store_last(const struct pmo_service_store *service)
{
    return service->last;
}

uint64_t pmo_service_store_class(const struct pmo_service_store *service, int64_t t,
                                 unsigned int status_class)
{
    if (status_class >= PMO_STATUS_CLASSES || !observed(service, t))
        return 0;
    return pmo_series_get(&service->columns[COLUMN_CLASS + status_class], t);
}

static double quantile_of(const struct pmo_service_store *service, enum pmo_latency_end end,
                          int64_t until, unsigned int seconds, double quantile)
{
    struct pmo_latency_octave latency[PMO_LATENCY_OCTAVES] = {0};

    for (size_t i = 0; i < HISTOGRAMS; i++) {
        const struct histogram *histogram = &service->histograms[i];

        if (histogram->t && histogram->t <= until && histogram->t > until - (int64_t)seconds)
            pmo_latency_add(latency, histogram->latency);
    }
    return pmo_latency_quantile_us(latency, end, quantile);
}

double pmo_service_store_latency(const struct pmo_service_store *service, int64_t until,
                                 unsigned int seconds, double quantile)
{
    return quantile_of(service, PMO_FIRST_BYTE, until, seconds, quantile);
}

double pmo_service_store_last_byte(const struct pmo_service_store *service, int64_t until,
                                   unsigned int seconds, double quantile)
{
    return quantile_of(service, PMO_LAST_BYTE, until, seconds, quantile);
}

uint64_t pmo_service_store_total(const struct pmo_service_store *service)
{
    return service->totals.requests;
}

uint64_t pmo_service_store_arrived(const struct pmo_service_store *service)
{
    return service->totals.arrived;
}

const struct pmo_service_totals *pmo_service_store_totals(const struct pmo_service_store *service)
{
    return &service->totals;
}

uint64_t pmo_service_store_answered(const struct pmo_service_store *service, int64_t until,
                                    unsigned int seconds)
{
    uint64_t sum = 0;

    for (int64_t t = until - seconds + 1; t <= until; t++)
        for (unsigned int class = 0; class < PMO_STATUS_CLASSES; class ++)
            sum += pmo_service_store_class(service, t, class);
    return sum;
}

unsigned int pmo_service_store_observed(const struct pmo_service_store *service, int64_t until,
                                        unsigned int seconds)
{
    unsigned int count = 0;

    for (int64_t t = until - seconds + 1; t <= until; t++)
        count += observed(service, t);
    return count;
}

size_t pmo_service_store_peers(const struct pmo_service_store *service)
{
    return service->peers_count;
}

const char *pmo_service_store_peer_at(const struct pmo_service_store *service, size_t i)
{
    return service->peers[i]->name;
}

const struct pmo_service_totals *
pmo_service_store_peer_totals(const struct pmo_service_store *service, size_t i)
{
    return &service->peers[i]->totals;
}

uint64_t pmo_service_store_peer_answered(const struct pmo_service_store *service, size_t i,
                                         int64_t until, unsigned int seconds)
{
    uint64_t sum = 0;

    for (int64_t t = until - seconds + 1; t <= until; t++)
        if (observed(service, t))
            sum += pmo_series_get(&service->peers[i]->series, t);
    return sum;
}

size_t pmo_service_store_types(const struct pmo_service_store *service)
{
    return service->types_count;
}

const struct pmo_type *pmo_service_store_type_at(const struct pmo_service_store *service, size_t i)
{
    return &service->types[i]->type;
}

uint64_t pmo_service_store_type_total(const struct pmo_service_store *service, size_t i)
{
    return service->types[i]->total;
}

int pmo_service_store_type_count(const struct pmo_service_store *service, size_t i, int64_t t,
                                 uint32_t *count)
{
    uint64_t requests;

    if (!observed(service, t))
        return -ENODATA;
    requests = pmo_series_get(&service->types[i]->series, t);
    *count = requests < UINT32_MAX ? (uint32_t)requests : UINT32_MAX;
    return 0;
}

const struct pmo_operations *pmo_service_store_operations(const struct pmo_service_store *service)
{
    return service->operations;
}

const struct pmo_operations *pmo_service_store_calls(const struct pmo_service_store *service)
{
    return service->calls;
}

int pmo_service_store_operation_arrivals(const struct pmo_service_store *service, size_t i,
                                         int64_t t, uint32_t *arrivals)
{
    uint64_t requests = 0;

    if (!observed(service, t))
        return -ENODATA;
    if (i < service->arrivals_count)
        requests = pmo_series_get(&service->arrivals[i], t);
    *arrivals = requests < UINT32_MAX ? (uint32_t)requests : UINT32_MAX;
    return 0;
}
