/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Series: requests per second, exact, in memory for the last hour. Times are seconds since 1970 by
 * the wall clock that the kernel's windows follow. A second without data is not a zero: each
 * service knows which seconds were observed.
 *
 * The sum of what was added is kept apart and never forgets, so that "sent equals counted" can be
 * checked at any time.
 *
 * Not thread-safe: owned by the event loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pmo/abi.h>

#define PMO_SERIES_SECONDS 3600
#define PMO_PEER_BYTES     64U /* name of who is asked, with its NUL */
#define PMO_PEER_OTHER     "{other}"
#define PMO_EDGES_MAX      1024U /* (service, peer) pairs; what comes beyond goes to PMO_PEER_OTHER */

/* What kind of requests a series counts. */
struct pmo_type {
    uint8_t direction;    /* enum pmo_direction */
    uint8_t protocol;     /* enum pmo_protocol */
    uint8_t method;       /* enum pmo_method */
    uint8_t status_class; /* 0 aborted, 1..5; PMO_STATUS_ARRIVED where it is not known yet */
    uint8_t zone;
    char route[PMO_ROUTE_BYTES];
    char peer[PMO_PEER_BYTES]; /* outbound: who is asked, a service or an address; else empty */
};

const char *pmo_direction_name(uint8_t direction);
const char *pmo_protocol_name(uint8_t protocol);
const char *pmo_method_name(uint8_t method);
const char *pmo_status_class_name(uint8_t status_class); /* "2xx", "aborted" */

/* Counts of one kind in the last hour. Memory grows with the minutes that have any. */
struct pmo_series;

/* What is known of one second of a service, beyond its counts. */
struct pmo_service_second {
    double arrivals;       /* requests that arrived; NAN: not observed */
    double latency_p50_us; /* first byte; NAN where nothing was answered */
    double latency_p99_us;
    double in_flight;   /* at the end of the second */
    double cpu_seconds; /* of all its instances */
    double memory_bytes;
    double rx_bytes, tx_bytes;
    double syns, connections;
    uint32_t ready, starting; /* instances */
};

/* What a service has counted since counting began. */
struct pmo_service_totals {
    uint64_t requests; /* answered or aborted */
    uint64_t arrived, finished, request_bytes, response_bytes;
    uint64_t first_byte_ns, last_byte_ns;         /* sums over those in the histograms */
    uint64_t first_byte[PMO_LATENCY_BUCKETS / 2]; /* requests by octave of latency */
    uint64_t last_byte[PMO_LATENCY_BUCKETS / 2];
    /* of calls to a peer: how long after their request they left, where that is known */
    uint64_t delay_ns;
    uint64_t delay[PMO_LATENCY_BUCKETS / 2];
};

struct pmo_operations;    /* operations.h */
struct pmo_store;         /* all services */
struct pmo_service_store; /* one service: its seconds and its types */

int pmo_store_new(struct pmo_store **store);
void pmo_store_free(struct pmo_store **store);

/* Finds a service, or makes it where @create. NULL: not found, or no memory. Pointers stay valid
 * until the store is freed. */
struct pmo_service_store *pmo_store_service(struct pmo_store *store, const char *name, bool create);
size_t pmo_store_services(const struct pmo_store *store);
struct pmo_service_store *pmo_store_service_at(const struct pmo_store *store, size_t i);
const char *pmo_service_store_name(const struct pmo_service_store *service);

/**
 * pmo_service_store_add - requests of one type in [since, until]
 * @since, @until: first and last second the count covers; equal but after a gap, when the count is
 *   spread evenly over them in whole requests (the total stays exact)
 * @counts: latency buckets are merged into the second's histogram; of requests that have ARRIVED,
 *   only their number is read: they are the service's arrivals; of calls, the delays, too
 * Outbound types are series like others, and part of what is known of their peer, but of nothing
 * else: not of the service's arrivals, status classes, latencies, bytes or totals.
 * Returns 0 or -ENOMEM.
 */
int pmo_service_store_add(struct pmo_service_store *service, const struct pmo_type *type,
                          int64_t since, int64_t until, const struct pmo_counts *counts);
/* The same for what is counted for each instance and not for each type. */
int pmo_service_store_add_instance(struct pmo_service_store *service, int64_t since, int64_t until,
                                   const struct pmo_instance_counts *counts);

/**
 * pmo_service_store_close - second @t is complete: from now on, no count in it is a zero
 * @gauges: in_flight, cpu_seconds, memory_bytes, ready and starting are taken from here (the rest
 *   follows from what was added); NULL leaves them 0
 */
void pmo_service_store_close(struct pmo_service_store *service, int64_t t,
                             const struct pmo_service_second *gauges);

/* Second @t of a service. Returns 0, or -ENODATA where it was not observed or is too old. */
int pmo_service_store_second(const struct pmo_service_store *service, int64_t t,
                             struct pmo_service_second *second);
/* Last completed second, 0 when there is none. */
int64_t pmo_service_store_last(const struct pmo_service_store *service);
/* Requests answered (or aborted) of one status class in second @t; all types. */
uint64_t pmo_service_store_class(const struct pmo_service_store *service, int64_t t,
                                 unsigned int status_class);
/* Quantile (0..1) in microseconds of the time to the first byte over the seconds (until-seconds,
 * until], NAN where none was answered. Interpolated inside the bucket on a log scale; @seconds up
 * to 60. */
double pmo_service_store_latency(const struct pmo_service_store *service, int64_t until,
                                 unsigned int seconds, double quantile);
/* The same to the last byte. */
double pmo_service_store_last_byte(const struct pmo_service_store *service, int64_t until,
                                   unsigned int seconds, double quantile);
/* Requests since the beginning: answered or aborted, and arrived. Never forgets. */
uint64_t pmo_service_store_total(const struct pmo_service_store *service);
uint64_t pmo_service_store_arrived(const struct pmo_service_store *service);
const struct pmo_service_totals *pmo_service_store_totals(const struct pmo_service_store *service);
/* Requests that were answered, or aborted, in those of the seconds (until-seconds, until] that were
 * observed; and how many these are. */
uint64_t pmo_service_store_answered(const struct pmo_service_store *service, int64_t until,
                                    unsigned int seconds);
unsigned int pmo_service_store_observed(const struct pmo_service_store *service, int64_t until,
                                        unsigned int seconds);

/* Who the service asks: in the order they appeared. */
size_t pmo_service_store_peers(const struct pmo_service_store *service);
const char *pmo_service_store_peer_at(const struct pmo_service_store *service, size_t i);
/* The same of requests to peer @i as of those that are served. */
const struct pmo_service_totals *
pmo_service_store_peer_totals(const struct pmo_service_store *service, size_t i);
uint64_t pmo_service_store_peer_answered(const struct pmo_service_store *service, size_t i,
                                         int64_t until, unsigned int seconds);

size_t pmo_service_store_types(const struct pmo_service_store *service);
const struct pmo_type *pmo_service_store_type_at(const struct pmo_service_store *service, size_t i);
uint64_t pmo_service_store_type_total(const struct pmo_service_store *service, size_t i);
/* Count of type @i in second @t. Returns 0, or -ENODATA. */
int pmo_service_store_type_count(const struct pmo_service_store *service, size_t i, int64_t t,
                                 uint32_t *count);

/* What requests ask for, whatever came of them (never settled: a service has no gauge of its own),
 * and how many of operation @i arrived in second @t. Returns 0, or -ENODATA. */
const struct pmo_operations *pmo_service_store_operations(const struct pmo_service_store *service);
/* The same of its calls; NULL: there were none. */
const struct pmo_operations *pmo_service_store_calls(const struct pmo_service_store *service);
int pmo_service_store_operation_arrivals(const struct pmo_service_store *service, size_t i,
                                         int64_t t, uint32_t *arrivals);

/*
 * For history: puts back second @t as it was, closed, or a type's count in it. Totals are left
 * alone: they count what this store saw itself. Times as above; returns 0 or -ENOMEM.
 */
int pmo_service_store_restore(struct pmo_service_store *service, int64_t t,
                              const struct pmo_service_second *second);
int pmo_service_store_restore_type(struct pmo_service_store *service, const struct pmo_type *type,
                                   int64_t t, uint64_t requests);
