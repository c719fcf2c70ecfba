/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Latency histograms as the kernel side has them (struct pmo_latency_octave). */
#pragma once

#include <pmo/abi.h>

#define PMO_LATENCY_OCTAVES (PMO_LATENCY_BUCKETS / 2)

enum pmo_latency_end { PMO_FIRST_BYTE, PMO_LAST_BYTE };

/* Adds a histogram of PMO_LATENCY_OCTAVES to another. */
void pmo_latency_add(struct pmo_latency_octave *to, const struct pmo_latency_octave *from);
/* Quantile (0..1) in microseconds of the time to the first or last byte, NAN where nothing was
 * answered. Interpolated inside the bucket on a log scale. */
double pmo_latency_quantile_us(const struct pmo_latency_octave *latency, enum pmo_latency_end end,
                               double quantile);
/* Upper bound of an octave in seconds; the last one is open. */
double pmo_latency_octave_s(unsigned int octave);
