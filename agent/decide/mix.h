/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What requests of different types cost, compared with each other: so that what is learned of a
 * service's requests in the mean stays true when the mix of types changes. Pure; plain numbers.
 *
 * A cost is relative: 1 is what a request of the reference mix takes, the one of the first half
 * minute.
 */
#pragma once

#include <stdint.h>

#define PMO_MIX_TYPES 8 /* the busiest; all others together cost what the mean does */

struct pmo_mix {
    struct {
        uint64_t type; /* 0: free */
        double second; /* requests in the second that goes on */
        double share;  /* of all, last ten seconds or so */
        double reference;
    } types[PMO_MIX_TYPES];
    double second, requests;      /* of all types: in that second, and smoothed as the shares are */
    double weight[PMO_MIX_TYPES]; /* how much more than the mean a request costs */
    double covariance[PMO_MIX_TYPES][PMO_MIX_TYPES];
    double noise;    /* variance of the cost of a second */
    int64_t seconds; /* that were closed */
};

/* Notes requests of a type, which is any number but 0, in the second that goes on. */
void pmo_mix_add(struct pmo_mix *mix, uint64_t type, double requests);
/* Ends the second. @seen: what a request of it cost; NAN where that is not known. Returns what one
 * costs by all that is known now, 0.1 to 10; 1 where nothing was noted. */
double pmo_mix_close(struct pmo_mix *mix, double seen);
/* What a request costs in the mix of the last ten seconds. */
double pmo_mix_recent(const struct pmo_mix *mix);
