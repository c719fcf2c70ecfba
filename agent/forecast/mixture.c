/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/mixture.h"

#include <math.h>
#include <string.h>
#include "agent/forecast/bounds.h"

/* How far a distribution goes beyond its outermost quantiles, in distances between the outermost
 * two. */
#define BELOW 1.0F
#define ABOVE 0.3F

static const double share[PMO_MIXTURE_POINTS] = {0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1};

/* From point to point, values go up by this at least, so that a distribution function has no step
 * (as counts have), and each piece of it a slope. It is less than a float can tell. */
#define APART      1e-9 /* of the value */
#define APART_ZERO 1e-60

void pmo_mixture_add(struct pmo_mixture *mixture, float probability,
                     const float value[PMO_QUANTILES])
{
    struct pmo_mixture_part *part = &mixture->part[mixture->count++];
    const size_t last = PMO_QUANTILES - 1;
    float at[PMO_MIXTURE_POINTS];

    part->probability = probability;
    at[0] = pmo_at_least(0, value[0] - BELOW * (value[1] - value[0]));
    memcpy(&at[1], value, PMO_QUANTILES * sizeof(*value));
    at[last + 2] = value[last] + ABOVE * (value[last] - value[last - 1]);
    for (size_t i = 0; i < PMO_MIXTURE_POINTS; i++)
        part->at[i] = at[i] * (1 + (int)i * APART) + (int)i * APART_ZERO;
    for (size_t i = 1; i < PMO_MIXTURE_POINTS; i++)
        part->rise[i] = probability * (share[i] - share[i - 1]) / (part->at[i] - part->at[i - 1]);
    part->rise[0] = part->rise[PMO_MIXTURE_POINTS] = 0;
    part->at[PMO_MIXTURE_POINTS] = INFINITY;
}

void pmo_mixture_add_bell(struct pmo_mixture *mixture, float probability, float mean,
                          float deviation)
{
    float value[PMO_QUANTILES];

    for (size_t i = 0; i < PMO_QUANTILES; i++)
        value[i] = pmo_at_least(0, mean + pmo_normal[i] * deviation);
    pmo_mixture_add(mixture, probability, value);
}

/* Numbers of 0 and more are in the same order as their bits are, which a processor compares in a
 * third of the time. */
static uint64_t bits_of(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static double from_bits(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

/*
 * Walks up all parts' points at once. Which part has the next one differs from mixture to mixture,
 * so that is never branched on: parts whose point it is go on to their next one, by adding 1 or 0.
 */
static inline __attribute__((always_inline)) void
quantiles(const struct pmo_mixture *mixture, const size_t count, float value[PMO_QUANTILES])
{
    size_t next[PMO_MIXTURE_PARTS] = {0};
    double all = 0, below = 0, at = 0;
    size_t q = 0;

    for (size_t i = 0; i < count; i++)
        all += mixture->part[i].probability;
    for (double wanted = pmo_quantiles[0] * all;;) {
        uint64_t nearest = bits_of(INFINITY);
        double rise = 0, then, here;

        for (size_t i = 0; i < count; i++) {
            uint64_t point = bits_of(mixture->part[i].at[next[i]]);

            nearest = point < nearest ? point : nearest;
            rise += mixture->part[i].rise[next[i]];
        }
        here = from_bits(nearest);
        if (here == INFINITY)
            break;
        then = below + rise * (here - at);
        while (wanted <= then) {
            /* by rounding, it may lie behind */
            value[q] = wanted > below ? (float)(at + (wanted - below) / rise) : (float)at;
            if (++q == PMO_QUANTILES)
                return;
            wanted = pmo_quantiles[q] * all;
        }
        below = then;
        at = here;
        for (size_t i = 0; i < count; i++)
            next[i] += bits_of(mixture->part[i].at[next[i]]) <= nearest;
    }
    for (; q < PMO_QUANTILES; q++)
        value[q] = (float)at;
}

/* The compiler unrolls loops over a number of parts that it knows. */
void pmo_mixture_quantiles(const struct pmo_mixture *mixture, float value[PMO_QUANTILES])
{
    if (mixture->count == 2)
        quantiles(mixture, 2, value);
    else if (mixture->count == 3)
        quantiles(mixture, 3, value);
    else
        quantiles(mixture, mixture->count, value);
}
