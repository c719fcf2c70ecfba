/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exponential smoothing as an innovations state-space model, ETS(A,Ad,N) and ETS(A,N,N) (Hyndman,
 * Koehler, Ord and Snyder 2008, "Forecasting with exponential smoothing: the state space
 * approach"), with given parameters. smoothing.c chooses them.
 *
 *   y = level + phi trend + innovation
 *   level' = level + phi trend + alpha innovation
 *   trend' =         phi trend + beta innovation
 */
#pragma once

#include <stdint.h>

struct pmo_ets_setting {
    double alpha; /* 0..1 */
    double beta;  /* 0..alpha: the book's beta, which is its beta* times alpha */
    double phi;   /* 0..1; 0: there is no trend (A,N,N); 1: it is not damped (A,A,N) */
};

struct pmo_ets {
    double level, trend;
};

/* The mean @steps ahead, 1 or more. */
double pmo_ets_forecast(const struct pmo_ets *ets, const struct pmo_ets_setting *set,
                        int64_t steps);
/* Takes in @y, @steps after the value before; where some are missing in between, it weighs as much
 * as all of them together would have. Returns the innovation: what it had more than forecast. */
double pmo_ets_update(struct pmo_ets *ets, const struct pmo_ets_setting *set, int64_t steps,
                      double y);
