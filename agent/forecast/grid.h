/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The horizons at which forecasts are scored. What is learned at these (weights, quantiles) is used
 * in between along straight lines.
 */
#pragma once

#include <stddef.h>
#include "agent/forecast/forecast.h"

#define PMO_GRID 9
static const unsigned int pmo_grid[PMO_GRID] = {1, 2, 5, 10, 15, 20, 30, 45, 60};
#define PMO_GRID_SUM 188 /* of the horizons: forecasts under way at any time */

/* Horizon h lies between grid points i and i + 1, @share of the way. */
struct pmo_grid_point {
    size_t i;
    float share;
};

static inline struct pmo_grid_point pmo_grid_at(unsigned int h)
{
    size_t i = 0;

    while (i + 2 < PMO_GRID && pmo_grid[i + 1] <= h)
        i++;
    return (struct pmo_grid_point){
        .i = i,
        .share = (float)(h - pmo_grid[i]) / (float)(pmo_grid[i + 1] - pmo_grid[i]),
    };
}

static inline float pmo_grid_between(struct pmo_grid_point at, float lower, float upper)
{
    return lower + at.share * (upper - lower);
}
