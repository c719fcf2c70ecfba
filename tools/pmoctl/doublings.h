/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doublings: where a trace's level jumps to more than twice what it was, and which of these recur
 * by the clock, so that somebody who knows the past may foresee them. Looked for in what came, so
 * it does not depend on any forecast.
 *
 * At second t there is one if the mean of the 10 s around t + 30 s is more than twice that of the
 * minute up to t; after one there is no other for ten minutes. It recurs by the clock if within
 * 15 s of the same time of day there was one on two of the three days before, or within 15 s of the
 * same second of the hour in four of the 24 hours before. (Of twelve a day without any order, six
 * in 100,000 would.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tools/pmoctl/trace.h"

#define PMO_DOUBLING_AHEAD_S 30

struct pmo_doubling {
    size_t t;     /* second before it, from which it is to be foreseen */
    double level; /* that it reaches */
    bool recurs;  /* by the clock */
};

struct pmo_doublings {
    struct pmo_doubling *at; /* rising; the caller's to free */
    size_t count;
};

/* Those of @trace, in seconds that are @scored (score.h). Returns 0 or -ENOMEM. */
int pmo_doublings_find(struct pmo_doublings *doublings, const struct pmo_trace *trace,
                       const bool *scored);
