/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/mixture.h"

#include <math.h>

/* How far a distribution goes beyond its outermost quantiles, in distances between the outermost
 * two. */
#define BELOW 1.0F
#define ABOVE 0.3F

static const double share[PMO_MIXTURE_POINTS] = {0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1};

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

/* A part's way through its points. */
struct walk {
    const float *at;
    double probability, density; /* on the way to its next point */
    size_t next;
};

/* Past the point that the walk has come to, and those at the same value; returns the probability
 * that lies at that very value, as it does with counts. */
static double pass(struct walk *walk)
{
    size_t i = walk->next;
    double here = 0;

    for (; i + 1 < PMO_MIXTURE_POINTS && walk->at[i + 1] <= walk->at[i]; i++)
        here += walk->probability * (share[i + 1] - share[i]);
    walk->next = ++i;
    walk->density = 0;
    if (i < PMO_MIXTURE_POINTS)
        walk->density =
            walk->probability * (share[i] - share[i - 1]) / (walk->at[i] - walk->at[i - 1]);
    return here;
}

void pmo_mixture_quantiles(const struct pmo_mixture *mixture, float value[PMO_QUANTILES])
{
    struct walk walks[PMO_MIXTURE_PARTS];
    double all = 0, below = 0;
    float at = 0;
    size_t q = 0;

    for (size_t i = 0; i < mixture->count; i++) {
        walks[i] =
            (struct walk){.at = mixture->part[i].at, .probability = mixture->part[i].probability};
        all += mixture->part[i].probability;
    }
    while (q < PMO_QUANTILES) {
        double density = 0, before, then;
        float nearest = INFINITY;

        for (size_t i = 0; i < mixture->count; i++) {
            const struct walk *walk = &walks[i];

            density += walk->density;
            if (walk->next < PMO_MIXTURE_POINTS && walk->at[walk->next] < nearest)
                nearest = walk->at[walk->next];
        }
        if (nearest == INFINITY)
            break;
        before = then = below + density * (nearest - at);
        for (size_t i = 0; i < mixture->count; i++)
            if (walks[i].next < PMO_MIXTURE_POINTS && walks[i].at[walks[i].next] <= nearest)
                then += pass(&walks[i]);
        for (; q < PMO_QUANTILES && then >= pmo_quantiles[q] * all; q++) {
            double wanted = pmo_quantiles[q] * all;

            value[q] = wanted < before ? (float)(at + (wanted - below) / density) : nearest;
            if (value[q] > nearest) /* rounding must not make quantiles cross */
                value[q] = nearest;
        }
        below = then;
        at = nearest;
    }
    for (; q < PMO_QUANTILES; q++)
        value[q] = at;
}
