/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operations: what requests ask for, by protocol, method and route, and calls also by whom they go
 * to. That is a type (series.h) without what is known only once a request is answered, so that
 * arrivals can be held against ends: what is in flight, how fast it is answered, and what it moves.
 * A service has a set of them, and so has each of its instances.
 *
 * An operation takes 2 KiB whatever it counts: totals since counting began, the last second, and
 * the latencies of the last minute in six histograms of ten seconds each. A histogram for each of
 * its 60 seconds, as a service has them, would take 14 KiB: 50 MiB for the 4,096 that the kernel
 * side can tell apart.
 *
 * Not thread-safe: owned by the event loop.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "agent/series/series.h"

/* In a set. What comes beyond is counted under "{other}". */
#define PMO_OPERATIONS_MAX 4096U
#define PMO_NO_GAUGE       UINT32_MAX

struct pmo_operation {
    uint8_t protocol; /* enum pmo_protocol */
    uint8_t method;   /* enum pmo_method */
    char route[PMO_ROUTE_BYTES];
    char peer[PMO_PEER_BYTES]; /* of calls: who is asked */
};

struct pmo_operations;

int pmo_operations_new(struct pmo_operations **set);
/* Takes NULL, sets NULL. */
void pmo_operations_free(struct pmo_operations **set);

/**
 * pmo_operations_add - counts of one type in [since, until]
 * @type: of status class PMO_STATUS_ARRIVED: @counts->requests have arrived; of calls, also how
 *   long after their request they left is read, where that is known (struct pmo_counts); of others,
 *   nothing else
 * Returns the operation's number, or -ENOMEM.
 */
int pmo_operations_add(struct pmo_operations *set, const struct pmo_type *type, int64_t since,
                       int64_t until, const struct pmo_counts *counts);

/**
 * pmo_operations_settle - all counts of an instance up to the last complete second were added
 * @in_flight: of all its requests, as the kernel's gauge (hints.h) said after that second;
 *   PMO_NO_GAUGE: of calls, which have none
 * The gauge knows what an agent that came later cannot, and what ended without a count.
 */
void pmo_operations_settle(struct pmo_operations *set, uint32_t in_flight);

size_t pmo_operations_count(const struct pmo_operations *set);
const struct pmo_operation *pmo_operations_at(const struct pmo_operations *set, size_t i);
/* Number of an operation, or -ENOENT. */
int pmo_operations_find(const struct pmo_operations *set, const struct pmo_operation *operation);
/* Requests of operation @i that have arrived and are not at their end; all of them are no more than
 * the last gauge. Only in a set that is settled. */
double pmo_operations_in_flight(const struct pmo_operations *set, size_t i);

struct pmo_operation_load {
    /* in second @now */
    double rps; /* arrivals */
    double request_bytes_per_s, response_bytes_per_s;
    /* in the 50 to 60 seconds up to @now; NAN where nothing was answered */
    double first_byte_p50_us, first_byte_p99_us, last_byte_p50_us, last_byte_p99_us;
    double first_byte_mean_us, last_byte_mean_us;
    double error_rate; /* share of 5xx in what was answered */
    /* of calls: how long after their request they left; NAN where it is known of none */
    double delay_mean_us, delay_p50_us, delay_p99_us;
    /* since counting began */
    uint64_t arrived, finished, request_bytes, response_bytes;
    uint64_t requests[PMO_STATUS_CLASSES]; /* [PMO_STATUS_ABORTED] never finish */
    uint64_t delays;                       /* calls of which that is known */
};

void pmo_operations_load(const struct pmo_operations *set, size_t i, int64_t now,
                         struct pmo_operation_load *load);
/* The same of all calls to a peer. @set: NULL is an empty one. */
void pmo_operations_load_of_peer(const struct pmo_operations *set, const char *peer, int64_t now,
                                 struct pmo_operation_load *load);
