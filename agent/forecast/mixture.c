/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/mixture.h"

#include <math.h>
#include "agent/forecast/bounds.h"

/* How far a distribution goes beyond its outermost quantiles, in distances between the outermost
 * two. */
#define BELOW 1.0F
#define ABOVE 0.3F

#define STEPS (PMO_MIXTURE_POINTS - 1) /* from point to point of a part */

static const double share[PMO_MIXTURE_POINTS] = {0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1};

void pmo_mixture_add(struct pmo_mixture *mixture, float probability,
                     const float value[PMO_QUANTILES])
{
    float *at = mixture->part[mixture->count].at;
    const size_t last = PMO_QUANTILES - 1;

    mixture->part[mixture->count++].probability = probability;
    at[0] = pmo_at_least(0, value[0] - BELOW * (value[1] - value[0]));
    for (size_t i = 0; i <= last; i++)
        at[i + 1] = value[i];
    at[last + 2] = value[last] + ABOVE * (value[last] - value[last - 1]);
}

void pmo_mixture_add_bell(struct pmo_mixture *mixture, float probability, float mean,
                          float deviation)
{
    float value[PMO_QUANTILES];

    for (size_t i = 0; i < PMO_QUANTILES; i++)
        value[i] = pmo_at_least(0, mean + pmo_normal[i] * deviation);
    pmo_mixture_add(mixture, probability, value);
}

/* A part's way through its points. */
struct walk {
    const float *at;
    double mass[STEPS]; /* probability between two points, */
    double rise[STEPS]; /* and per unit; inf between two that are the same */
    size_t next;
};

static void begin(struct walk *walk, const float at[PMO_MIXTURE_POINTS], double probability)
{
    walk->at = at;
    walk->next = 0;
    for (size_t i = 0; i < STEPS; i++) {
        walk->mass[i] = probability * (share[i + 1] - share[i]);
        walk->rise[i] = walk->mass[i] / (double)(at[i + 1] - at[i]);
    }
}

/* Past the point that the walk has come to, and those at the same value; returns the probability
 * that lies at that very value, as it does with counts. */
static double pass(struct walk *walk)
{
    size_t i = walk->next;
    double here = 0;

    for (; i < STEPS && walk->at[i + 1] <= walk->at[i]; i++)
        here += walk->mass[i];
    walk->next = i + 1;
    return here;
}

static inline __attribute__((always_inline)) void
quantiles(const struct pmo_mixture *mixture, const size_t count, float value[PMO_QUANTILES])
{
    struct walk walks[PMO_MIXTURE_PARTS];
    double density[PMO_MIXTURE_PARTS] = {0}; /* of each part, on the way to its next point, */
    float next[PMO_MIXTURE_PARTS];           /* which is here */
    double all = 0, below = 0;
    float at = 0;
    size_t q = 0;

    for (size_t i = 0; i < count; i++) {
        begin(&walks[i], mixture->part[i].at, mixture->part[i].probability);
        next[i] = walks[i].at[0];
        all += mixture->part[i].probability;
    }
    while (q < PMO_QUANTILES) {
        double rise = 0, before, then;
        float nearest = INFINITY;
        size_t part = 0;

        for (size_t i = 0; i < count; i++) {
            rise += density[i];
            part = next[i] < nearest ? i : part;
            nearest = next[i] < nearest ? next[i] : nearest;
        }
        if (nearest == INFINITY)
            break;
        before = below + rise * (nearest - at);
        then = before + pass(&walks[part]);
        if (walks[part].next < PMO_MIXTURE_POINTS) {
            density[part] = walks[part].rise[walks[part].next - 1];
            next[part] = walks[part].at[walks[part].next];
        } else {
            density[part] = 0;
            next[part] = INFINITY;
        }
        for (; q < PMO_QUANTILES && then >= pmo_quantiles[q] * all; q++) {
            double wanted = pmo_quantiles[q] * all;

            value[q] = wanted < before ? (float)(at + (wanted - below) / rise) : nearest;
            if (value[q] > nearest) /* rounding must not make quantiles cross */
                value[q] = nearest;
        }
        below = then;
        at = nearest;
    }
    for (; q < PMO_QUANTILES; q++)
        value[q] = at;
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
