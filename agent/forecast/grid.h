/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The horizons at which forecasts are scored. What is learned at these (weights, quantiles) is used
 * in between along straight lines. They are mostly primes, so that hardly a period divides them: as
 * far ahead as a series' period, the last value is a good forecast, and a second further it is not.
 */
#pragma once

#include <stddef.h>
#include "agent/forecast/forecast.h"

#define PMO_GRID 9
static const unsigned int pmo_grid[PMO_GRID] = {1, 2, 5, 11, 17, 23, 31, 43, 59};
#define PMO_GRID_SUM 192 /* of the horizons: forecasts under way at any time */

/* Horizon h lies between grid points i and i + 1, @share of the way; after the last: at it. */
struct pmo_grid_point {
    size_t i;
    float share;
};

/* Each horizon's i; between two of the grid, it is that of the lower one. */
static const unsigned char pmo_grid_below[PMO_HORIZONS + 1] = {
    [2 ... 4] = 1,   [5 ... 10] = 2,  [11 ... 16] = 3,           [17 ... 22] = 4,
    [23 ... 30] = 5, [31 ... 42] = 6, [43 ... PMO_HORIZONS] = 7,
};

static inline struct pmo_grid_point pmo_grid_at(unsigned int h)
{
    size_t i = pmo_grid_below[h];

    if (h > pmo_grid[i + 1])
        h = pmo_grid[i + 1];
    return (struct pmo_grid_point){
        .i = i,
        .share = (float)(h - pmo_grid[i]) / (float)(pmo_grid[i + 1] - pmo_grid[i]),
    };
}

static inline float pmo_grid_between(struct pmo_grid_point at, float lower, float upper)
{
    return lower + at.share * (upper - lower);
}
