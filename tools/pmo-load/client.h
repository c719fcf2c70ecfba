/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends what a schedule says, when it says so, and accounts for every request: libcurl's multi
 * interface on a libuv loop, arrivals woken by a timerfd (libuv's own timers are whole
 * milliseconds).
 *
 * Latency counts from the time a request was to leave, not from when it did, so that a server (or a
 * generator) that falls behind shows in full (Gil Tene, "How NOT to Measure Latency": coordinated
 * omission).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tools/pmo-load/histogram.h"
#include "tools/pmo-load/schedule.h"

struct pmo_load_options {
    char *const *urls; /* taken in turn */
    size_t urls_count;
    bool reuse;        /* keep connections; else each request makes its own */
    double duration_s; /* of the schedule */
    double timeout_s;  /* from the intended time */
    double late_s;
    bool progress; /* a line a second to standard error */
};

enum pmo_load_failure {
    PMO_LOAD_REFUSED,
    PMO_LOAD_TIMEOUT,
    PMO_LOAD_RESET, /* the connection ended before the answer did */
    PMO_LOAD_OTHER, /* struct pmo_load_result says what the first one was */
    PMO_LOAD_FAILURES
};
extern const char *const pmo_load_failure_names[PMO_LOAD_FAILURES];

struct pmo_load_counts {
    uint64_t scheduled;
    uint64_t sent;     /* the request left, whatever came back */
    uint64_t answered; /* in full */
    uint64_t late;     /* answered later than late_s, or not at all */
};

struct pmo_load_result {
    struct pmo_load_counts total;
    struct pmo_load_counts *seconds; /* by the second the request was to leave in */
    size_t seconds_count;
    uint64_t answered[6]; /* by status class; 0 is not used */
    uint64_t failed[PMO_LOAD_FAILURES];
    char other[160];                   /* first failure of kind PMO_LOAD_OTHER */
    struct pmo_load_histogram latency; /* of what was answered */
    double started;                    /* seconds since 1970 */
    double elapsed_s;                  /* until the last answer */
    double cpu_s;                      /* used by the generator */
    double behind_s;                   /* the most a request left after its time */
};

/**
 * pmo_load_run - send a schedule; returns when every request was answered or given up
 *
 * SIGINT and SIGTERM end the schedule early. Returns 0, or a negative errno, logged.
 */
int pmo_load_run(const struct pmo_load_options *options, struct pmo_load_schedule *schedule,
                 struct pmo_load_result *result);
void pmo_load_result_free(struct pmo_load_result *result);
