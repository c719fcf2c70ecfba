/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Latencies in microseconds, to within 1 %: buckets are linear inside each octave, 128 of them, as
 * in HdrHistogram (Tene). Values up to 2^36 us.
 */
#pragma once

#include <stdint.h>

#define PMO_LOAD_LINEAR  128U /* buckets an octave */
#define PMO_LOAD_BUCKETS (30U * PMO_LOAD_LINEAR)

struct pmo_load_histogram {
    uint64_t count, sum_us, max_us;
    uint64_t buckets[PMO_LOAD_BUCKETS];
};

void pmo_load_histogram_add(struct pmo_load_histogram *histogram, uint64_t us);

/* The smallest bound that @share (0..1) of the values do not exceed; 0 where there are none. */
uint64_t pmo_load_histogram_quantile(const struct pmo_load_histogram *histogram, double share);
