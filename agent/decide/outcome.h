/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What came of decisions, second by second, and what is to be learned from it. Pure; one struct a
 * service, bounded; plain numbers, so it can be written to disk as it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PMO_OUTCOME_PENDING 8

/* A decision whose time is not over. */
struct pmo_outcome_pending {
    int64_t id; /* 0: none */
    int64_t due;
    uint32_t seconds, over_s;
    double capacity_rps, peak_rps, requests, late;
};

struct pmo_outcome {
    int64_t t;         /* last second */
    double odds;       /* added to the log odds of the quantile */
    double too_much;   /* share of the capacity that turned out not to be there, 0..0.5 */
    uint32_t within_s; /* seconds in a row in which load was within capacity */
    double requests;   /* a second, smoothed */
    double all, late;  /* requests, forgetting: half in an hour */
    struct pmo_outcome_pending pending[PMO_OUTCOME_PENDING]; /* a ring */
    uint32_t expected;
};

struct pmo_outcome_second {
    double load_rps, capacity_rps; /* of all ready instances, as planned */
    double late;                   /* 0..1, share of what was answered; NAN: nothing was */
    bool busy; /* its instances themselves are at work: it is not others they wait for */
};

/* @goal: share of requests that may be late. */
void pmo_outcome_observe(struct pmo_outcome *outcome, int64_t t,
                         const struct pmo_outcome_second *second, double goal);

/* The quantile of the load to plan for, so that a share @goal is late in the long run. */
double pmo_outcome_quantile(const struct pmo_outcome *outcome, double goal);
/* A capacity as it turned out. */
double pmo_outcome_capacity(const struct pmo_outcome *outcome, double capacity_rps);
/* Share of requests that were late of late; NAN: there were none. */
double pmo_outcome_late(const struct pmo_outcome *outcome);

/* Decision @id was made at @t, for @capacity_rps altogether in the next @horizon_s seconds. The
 * eight last ones are followed. */
void pmo_outcome_expect(struct pmo_outcome *outcome, int64_t id, int64_t t, double horizon_s,
                        double capacity_rps);

struct pmo_came {
    int64_t id;
    double peak_rps; /* greatest load; NAN: none of its seconds was seen */
    double over;     /* share of its seconds in which the load was more than the capacity */
    double late;     /* share of the requests that were late; NAN: there were none */
};
/* The next decision whose time is over. Returns false where there is none. */
bool pmo_outcome_came(struct pmo_outcome *outcome, struct pmo_came *came);
