/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How good forecasts of single seconds were, given as quantiles: pinball loss (Koenker, Bassett,
 * Regression Quantiles, 1978), the median's error, and how often what came stayed below a quantile.
 *
 * Not scored are seconds that were not recorded, and the minute after them: what was sent in a gap
 * may come all at once behind it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tools/pmoctl/trace.h"

#define PMO_SCORE_QUANTILES 32

/* The quantiles that forecasts are given at, rising, within 0..1. */
struct pmo_score_quantiles {
    double q[PMO_SCORE_QUANTILES];
    double z[PMO_SCORE_QUANTILES]; /* the same of the standard normal distribution */
    size_t count;
};

/* Fills in z. */
void pmo_score_quantiles_init(struct pmo_score_quantiles *quantiles);

struct pmo_score {
    size_t count;                      /* of forecasts */
    double loss;                       /* sums over them: of the quantiles' losses, */
    double error, requests;            /* of the median's absolute errors, of what came, */
    double below[PMO_SCORE_QUANTILES]; /* of those where it was not above the quantile */
};

/* Adds a forecast of a second in which there were @y requests. */
void pmo_score_add(struct pmo_score *score, const struct pmo_score_quantiles *quantiles,
                   const double value[], double y);
/* Mean over forecasts and quantiles. This and the others: NAN where nothing was scored. */
double pmo_score_pinball(const struct pmo_score *score,
                         const struct pmo_score_quantiles *quantiles);
/* Errors of the median as a share of what came; NAN where 0.5 is none of the quantiles, too. */
double pmo_score_wape(const struct pmo_score *score, const struct pmo_score_quantiles *quantiles);
double pmo_score_below(const struct pmo_score *score, size_t quantile);

/* Which seconds of a trace are scored: the caller's to free; NULL: no memory. */
bool *pmo_score_seconds(const struct pmo_trace *trace);
