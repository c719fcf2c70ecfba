/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fixed sequence of random numbers (Knuth's MMIX generator), each test file its own. */
#pragma once

#include <math.h>
#include <stdint.h>

static uint64_t random_state;

/* In (0, 1). */
static inline double uniform(void)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(random_state >> 11) + 0.5) / 9007199254740992.0;
}

static inline double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* A count with this mean: sums of exponential gaps, normal where there would be many. */
static inline double poisson(double mean)
{
    double k = -1;

    if (mean > 50)
        return fmax(0, round(mean + sqrt(mean) * normal()));
    for (double left = mean; left > 0; k++)
        left += log(uniform());
    return fmax(k, 0);
}
