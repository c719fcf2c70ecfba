/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which period does a series repeat with? Found while it runs, from what the last ten minutes or
 * so looked like.
 *
 * This is the difference function of a pitch detector (de Cheveigne and Kawahara 2002, "YIN, a
 * fundamental frequency estimator"): D(lag) is the forgetting mean of (x(t) - x(t - lag))^2, one
 * multiplication and addition for each lag and second. Divided by the mean of D over all shorter
 * lags it is near 1 where the lag says nothing, and falls towards 0 at a period; a mere slow wave,
 * alike at all short lags, does not get below 1. The first dip deep enough is the period, those
 * after it are its multiples.
 *
 * x is the series' square root (which makes the noise of counts equally strong at each level),
 * lightly smoothed, less a slow mean.
 */
#pragma once

#include <stdint.h>

#define PMO_PERIOD_MIN  10U  /* seconds */
#define PMO_PERIOD_MAX  600U /* seconds */
#define PMO_PERIOD_RING 608U /* more than PMO_PERIOD_MAX */

struct pmo_period {
    uint32_t period; /* seconds; 0: none found */
    int64_t last;
    uint64_t seconds; /* since the first, missing ones included */
    float fast, slow;
    float difference[PMO_PERIOD_MAX + 1]; /* by lag, weighted sums */
    /* x, newest first, each written twice, PMO_PERIOD_RING apart: any window of it is contiguous */
    float x[2 * PMO_PERIOD_RING];
};

/* Second @t had @y requests. Missing seconds in between count as being at the slow mean. */
void pmo_period_observe(struct pmo_period *period, int64_t t, float y);
