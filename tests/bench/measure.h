/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What benchmark programs share. Each prints lines "NAME VALUE" that tests/bench/run puts into its
 * table.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The value below which this share of @values lies; sorts them. */
static inline double quantile(double *values, size_t count, double share)
{
    qsort(values, count, sizeof(*values), by_value);
    return values[(size_t)((double)(count - 1) * share)];
}

/* Keeps the compiler from dropping what is computed only to be timed. */
static inline void use(const void *result)
{
    __asm__ volatile("" : : "g"(result) : "memory");
}
