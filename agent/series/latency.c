/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/series/latency.h"

#include <math.h>

void pmo_latency_add(struct pmo_latency_octave *to, const struct pmo_latency_octave *from)
{
    for (unsigned int i = 0; i < PMO_LATENCY_OCTAVES; i++) {
        to[i].first_byte[0] += from[i].first_byte[0];
        to[i].first_byte[1] += from[i].first_byte[1];
        to[i].last_byte += from[i].last_byte;
    }
}

double pmo_latency_octave_s(unsigned int octave)
{
    return pmo_latency_bucket_us(2 * octave + 1) / 1e6;
}

/* Half octaves for the first byte, octaves for the last. */
static uint64_t bucket_of(const struct pmo_latency_octave *latency, enum pmo_latency_end end,
                          unsigned int i)
{
    return end == PMO_FIRST_BYTE ? latency[i / 2].first_byte[i % 2] : latency[i].last_byte;
}

double pmo_latency_quantile_us(const struct pmo_latency_octave *latency, enum pmo_latency_end end,
                               double quantile)
{
    unsigned int halves = end == PMO_FIRST_BYTE ? 1 : 2, buckets = PMO_LATENCY_BUCKETS / halves;
    double width = end == PMO_FIRST_BYTE ? M_SQRT2 : 2, rank;
    uint64_t answered = 0, below = 0;

    for (unsigned int i = 0; i < buckets; i++)
        answered += bucket_of(latency, end, i);
    if (!answered)
        return NAN;
    rank = quantile * (double)answered;
    for (unsigned int i = 0; i < buckets - 1; i++) {
        uint64_t in = bucket_of(latency, end, i);

        if (in && (double)(below + in) >= rank)
            return pmo_latency_bucket_us(halves * (i + 1) - 1) *
                   pow(width, (rank - (double)below) / (double)in - 1);
        below += in;
    }
    /* the last bucket is open: at least this */
    return pmo_latency_bucket_us(halves * (buckets - 1) - 1);
}
