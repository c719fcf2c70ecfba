/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What others would have done on a recorded load: the HorizontalPodAutoscaler's algorithm (v2,
 * default behavior: 15 s sync, 10 % tolerance, up by 100 % or 4 pods in 15 s, down by the highest
 * recommendation of 300 s), and the queue model in which decisions are compared: fluid, one second
 * a step, first in first out, a request dropped (and late) after 5 s.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pmo_queue_model {
    double capacity_rps; /* of one instance */
    uint32_t startup_s;  /* from the order to the first request */
    double objective_s;  /* waiting longer than this is late */
};

struct pmo_queue_result {
    double requests, late, instance_seconds;
};

/**
 * pmo_queue_run - what a sequence of wanted counts would have given
 * @demand:  requests in each second, NAN where not recorded (filled in a straight line)
 * @wanted:  instances asked for at each second; ready at once at second 0
 */
void pmo_queue_run(const struct pmo_queue_model *model, const double *demand,
                   const uint32_t *wanted, size_t seconds, struct pmo_queue_result *result);

/**
 * pmo_hpa_run - what the HorizontalPodAutoscaler would have asked for at each second
 * @target: utilisation it aims at, e.g. 0.7; the metric is the mean of the last 30 s
 * @initial: instances at second 0; 0: as many as that second needs
 * @min, @max: bounds; @wanted: receives @seconds counts
 */
void pmo_hpa_run(const double *demand, size_t seconds, double capacity_rps, double target,
                 uint32_t initial, uint32_t min, uint32_t max, uint32_t *wanted);
