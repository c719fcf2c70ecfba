/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/mixture.h"

#include <math.h>

/* How far a distribution goes beyond its outermost quantiles, in distances between the outermost
 * two. */
#define BELOW 1.0F
#define ABOVE 0.3F

static const float share[PMO_MIXTURE_POINTS] = {0, 0.05F, 0.1F, 0.25F, 0.5F, 0.75F, 0.9F, 0.99F, 1};

void pmo_mixture_add(struct pmo_mixture *mixture, float probability,
                     const float value[PMO_QUANTILES])
{
    float *at = mixture->part[mixture->count].at;
    const size_t last = PMO_QUANTILES - 1;

    mixture->part[mixture->count++].probability = probability;
    at[0] = fmaxf(value[0] - BELOW * (value[1] - value[0]), 0);
    for (size_t i = 0; i <= last; i++)
        at[i + 1] = value[i];
    at[last + 2] = value[last] + ABOVE * (value[last] - value[last - 1]);
}

void pmo_mixture_add_bell(struct pmo_mixture *mixture, float probability, float mean,
                          float deviation)
{
    float value[PMO_QUANTILES];

    for (size_t i = 0; i < PMO_QUANTILES; i++)
        value[i] = fmaxf(mean + pmo_normal[i] * deviation, 0);
    pmo_mixture_add(mixture, probability, value);
}

/* The share of a part that lies below @x, between its points @next - 1 and @next. */
static float share_below(const float at[PMO_MIXTURE_POINTS], size_t next, float x)
{
    if (next == 0)
        return 0;
    if (next == PMO_MIXTURE_POINTS)
        return 1;
    return share[next - 1] +
           (share[next] - share[next - 1]) * (x - at[next - 1]) / (at[next] - at[next - 1]);
}

void pmo_mixture_quantiles(const struct pmo_mixture *mixture, float value[PMO_QUANTILES])
{
    size_t next[PMO_MIXTURE_PARTS] = {0}; /* first point of each part that is not behind yet */
    float all = 0, below = 0, at = 0;
    size_t q = 0;

    for (size_t i = 0; i < mixture->count; i++)
        all += mixture->part[i].probability;
    while (q < PMO_QUANTILES) {
        /* up to the nearest point, and with what lies at that very value, as counts do */
        float nearest = INFINITY, before = 0, then = 0;

        for (size_t i = 0; i < mixture->count; i++)
            if (next[i] < PMO_MIXTURE_POINTS)
                nearest = fminf(nearest, mixture->part[i].at[next[i]]);
        if (!isfinite(nearest))
            break;
        for (size_t i = 0; i < mixture->count; i++) {
            const float *points = mixture->part[i].at, probability = mixture->part[i].probability;

            before += probability * share_below(points, next[i], nearest);
            while (next[i] < PMO_MIXTURE_POINTS && points[next[i]] <= nearest)
                next[i]++;
            then += probability * share_below(points, next[i], nearest);
        }
        for (; q < PMO_QUANTILES && then >= (float)pmo_quantiles[q] * all; q++) {
            float wanted = (float)pmo_quantiles[q] * all;

            value[q] = nearest;
            if (wanted < before)
                value[q] = at + (nearest - at) * (wanted - below) / (before - below);
        }
        below = then;
        at = nearest;
    }
    for (; q < PMO_QUANTILES; q++)
        value[q] = at;
}
