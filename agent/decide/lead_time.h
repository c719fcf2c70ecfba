/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long it takes from the order of an instance until it serves well, as a distribution: of the
 * last 64 starts. Pure; plain numbers, so it can be written to disk as it is.
 */
#pragma once

#include <stdint.h>

#define PMO_LEAD_TIMES 64

struct pmo_lead_times {
    float kept_s[PMO_LEAD_TIMES]; /* a ring */
    uint32_t count;               /* ever */
};

void pmo_lead_times_add(struct pmo_lead_times *times, double lead_s);

/**
 * pmo_lead_times_quantile - what a share @q of starts takes at most
 * @stated_s: by the policy, which counts like six starts; 0: nothing
 * Where there are too few starts for the quantile, the longest and half of it over their number.
 * NAN: nothing is known.
 */
double pmo_lead_times_quantile(const struct pmo_lead_times *times, double q, double stated_s);

/* One instance on its way to serving well; all zero: none. */
struct pmo_start {
    double ready_after_s; /* from the order; 0: not ready, or done */
    uint32_t slow_s;      /* seconds since then in which it answered, but not well */
    uint32_t seconds;     /* since then */
};

/**
 * pmo_start_second - one second more of an instance that is ready
 * @latency_s: mean of what it answered; NAN: nothing
 * @others_s:  that of the older instances; NAN: not known
 * It serves well in the first second in which its answers are within the objective, or at least not
 * twice as slow as those of the others: a slow first half minute is part of the lead time, what
 * slows down all of them is not. After a minute, or ten seconds without a request, it is taken to
 * do so.
 * Returns the lead time, once; before and after that NAN.
 */
double pmo_start_second(struct pmo_start *start, double latency_s, double others_s,
                        double objective_s);
