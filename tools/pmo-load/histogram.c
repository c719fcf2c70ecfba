/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmo-load/histogram.h"

#include <math.h>

/* Octaves above the linear range keep their seven bits below the leading one. */
static unsigned int bucket_of(uint64_t us)
{
    unsigned int octave;

    if (us < PMO_LOAD_LINEAR)
        return (unsigned int)us;
    octave = 63U - (unsigned int)__builtin_clzll(us / PMO_LOAD_LINEAR);
    return octave * PMO_LOAD_LINEAR + (unsigned int)(us >> octave);
}

static uint64_t last_in_bucket(unsigned int bucket)
{
    unsigned int octave = bucket / PMO_LOAD_LINEAR;

    if (!octave)
        return bucket;
    octave--;
    return ((uint64_t)(bucket - octave * PMO_LOAD_LINEAR + 1) << octave) - 1;
}

void pmo_load_histogram_add(struct pmo_load_histogram *histogram, uint64_t us)
{
    unsigned int bucket = bucket_of(us);

    histogram->count++;
    histogram->sum_us += us;
    if (us > histogram->max_us)
        histogram->max_us = us;
    histogram->buckets[bucket < PMO_LOAD_BUCKETS ? bucket : PMO_LOAD_BUCKETS - 1]++;
}

uint64_t pmo_load_histogram_quantile(const struct pmo_load_histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)histogram->count), below = 0;

    for (unsigned int i = 0; i < PMO_LOAD_BUCKETS; i++) {
        below += histogram->buckets[i];
        if (below >= rank && below) {
            uint64_t bound = last_in_bucket(i);

            return bound < histogram->max_us ? bound : histogram->max_us;
        }
    }
    return 0;
}
