/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The quantiles of a mixture: with these probabilities, the value has one of these distributions,
 * each given by its quantiles, with straight lines between them. Cheap enough for each second and
 * horizon: the distribution function of the mixture is a straight line between any two neighbouring
 * quantiles of its parts.
 */
#pragma once

#include <stddef.h>
#include "agent/forecast/forecast.h"

#define PMO_MIXTURE_PARTS  4
#define PMO_MIXTURE_POINTS (PMO_QUANTILES + 2) /* of a part, its ends included */

struct pmo_mixture_part {
    double probability;
    double at[PMO_MIXTURE_POINTS + 1];   /* ascending; the last one is infinity */
    double rise[PMO_MIXTURE_POINTS + 1]; /* probability per unit on the way to this point */
};

struct pmo_mixture {
    size_t count;
    struct pmo_mixture_part part[PMO_MIXTURE_PARTS];
};

/* Adds a part; probabilities need not sum to 1. */
void pmo_mixture_add(struct pmo_mixture *mixture, float probability,
                     const float value[PMO_QUANTILES]);
/* The same of a normal distribution, nothing of which is below 0. */
void pmo_mixture_add_bell(struct pmo_mixture *mixture, float probability, float mean,
                          float deviation);
void pmo_mixture_quantiles(const struct pmo_mixture *mixture, float value[PMO_QUANTILES]);
