/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue in which decisions are compared. Requests flow like water, one second a step: what
 * exceeds the ready instances' rate waits, first in first out, and a request is dropped (and late)
 * after 5 s. An instance that is asked for serves startup_s later; the newest is given up first, at
 * once. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pmo_queue_model {
    double capacity_rps; /* of one instance */
    uint32_t startup_s;  /* from the order to the first request; 0 is 1, the next second */
    double objective_s;  /* waiting longer than this is late */
};

/* What one second came to. */
struct pmo_queue_second {
    double requests, late;
    double first_s, last_s; /* what its first and its last request wait; INFINITY: not served */
    double waiting;         /* requests at its end */
};

struct pmo_queue_result {
    double requests, late, instance_seconds;
};

/**
 * pmo_demand_fill - seconds that were not recorded (NAN), in a straight line
 * Before the first that was recorded nothing came; after the last one the load stays as it was.
 * Whoever decides must not see the outcome: it tells of the future.
 */
void pmo_demand_fill(double *requests, size_t seconds);

/* How many instances are ready in second @t, of the counts wanted[0..t]; those of second 0 were
 * ready then. */
uint32_t pmo_queue_ready(const struct pmo_queue_model *model, const uint32_t *wanted, size_t t);

/* One second with @requests, in which @ready instances serve and before which @waiting waited. */
void pmo_queue_step(const struct pmo_queue_model *model, double waiting, uint32_t ready,
                    double requests, struct pmo_queue_second *second);

/**
 * pmo_queue_run - what a sequence of wanted counts would have given
 * @demand: requests in each second, without gaps
 * @wanted: instances asked for in each second
 * @late:   receives the share of each second's requests that was late, 0..1; NULL: not asked for
 */
void pmo_queue_run(const struct pmo_queue_model *model, const double *demand,
                   const uint32_t *wanted, size_t seconds, struct pmo_queue_result *result,
                   double *late);
