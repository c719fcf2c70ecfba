/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A forecast model on its own, second by second, and noise to feed it. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "agent/forecast/model.h"

struct model_run {
    const struct pmo_model_ops *model;
    struct pmo_recent *recent;
    void *state;
};

struct model_run model_run_new(const struct pmo_model_ops *model);
void model_run_free(struct model_run *run);
/* Second @t had @y; NAN: it is missing. */
void model_run_observe(struct model_run *run, int64_t t, double y);
void model_run_predict(const struct model_run *run, float mean[PMO_HORIZONS]);
/* As forecast for @h seconds ahead. */
double model_run_ahead(const struct model_run *run, unsigned int h);

/* A fixed sequence, begun anew: standard normal numbers, and counts with this mean. */
void model_run_seed(uint64_t seed);
double model_run_normal(void);
double model_run_poisson(double mean);
