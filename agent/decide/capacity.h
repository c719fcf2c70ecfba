/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one instance can take, learned second by second from what instances use and how fast they
 * answer, without ever overloading one on purpose. Pure: no clock, no randomness. One struct a
 * service, less than two kilobytes; plain numbers, so it can be written to disk as it is.
 */
#pragma once

#include <stdint.h>
#include "agent/decide/mix.h"

/* What a service's ready instances did in one second, all together. */
struct pmo_capacity_second {
    double answered;    /* requests */
    double cpu_s;       /* CPU time used; NAN: not known, and then nothing is learned */
    double limit_cores; /* that one instance may use; NAN: no limit is known */
    double latency_s;   /* mean of what was answered; NAN: nothing was */
    double late;        /* share of it that took longer than the objective; NAN: likewise */
    uint32_t ready;
};

/* Sums of a weighted least squares line, forgetting. */
struct pmo_capacity_line {
    double seconds, weight, x, y, xx, xy, yy;
};

struct pmo_capacity {
    int64_t t;          /* last second; 0: none */
    int64_t full_t;     /* last one in which an instance used about all it may */
    struct pmo_mix mix; /* of types: pmo_mix_add() for what is answered, before the second is
                           observed. What follows is in requests of its reference mix */
    struct pmo_capacity_line demand; /* cores used on requests/s, of one instance */
    struct pmo_capacity_line curve;  /* latency on utilisation / (1 - utilisation) */
    double recent_cores, recent_fit; /* cores of late, and what `demand` says they should be */
    double recent_s;                 /* seconds in these */
    double limit_cores;              /* the last known; 0: never known */
    double most_cores;               /* used by one instance */
    double well_rps;                 /* answered within the objective by one instance, smoothed */
    double seen_rps;                 /* the most that this was of late */
};

/* One second more. @objective_s: a request that takes longer is late; @late: share of requests that
 * may be. Seconds that are left out teach nothing. */
void pmo_capacity_observe(struct pmo_capacity *capacity, int64_t t,
                          const struct pmo_capacity_second *second, double objective_s,
                          double late);

/* Of requests in the mix of the last ten seconds. */
struct pmo_capacity_estimate {
    double rps;       /* of one instance, at which the objective still holds; 0: not known */
    double error_rps; /* standard error */
    double seen_rps;  /* most that one instance was seen to take, of late */
    double demand_s;  /* CPU time a request takes */
    double saturation_rps, saturation_error_rps; /* at which it would use all it may */
};

/* @late: share of requests that may be late, 0..1. Not known before 20 seconds were seen, or while
 * the error is more than a third of the value. */
struct pmo_capacity_estimate pmo_capacity_estimate(const struct pmo_capacity *capacity,
                                                   double objective_s, double late);

/**
 * pmo_capacity_planned - what to plan with
 * @stated_rps: by the policy; 0: nothing
 * A stated value holds until evidence speaks clearly against it, by three standard errors: it is
 * never more than an instance has CPU time for; and it is less than what was learned only as far as
 * that was not seen to be served. (Where requests are late in spite of it, see outcome.h.) Without
 * one, the lower bound of what was learned. 0: not known.
 */
double pmo_capacity_planned(const struct pmo_capacity_estimate *learned, double stated_rps);
/* 95 % one-sided lower bound of what was learned; 0: not known. */
double pmo_capacity_lower(const struct pmo_capacity_estimate *learned);
