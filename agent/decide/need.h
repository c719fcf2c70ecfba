/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many instances a load needs: the arithmetic under the planner, without memory. What is done
 * about it, and when, is plan.c's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "agent/decide/plan.h"

struct pmo_need {
    double capacity_rps; /* of one instance; 0: not known, and then every count below is 0 */
    double lead_time_s;
    double target;          /* share of an instance's capacity that is planned for */
    double quantile;        /* of the forecast */
    unsigned int horizon_s; /* seconds ahead that an order now, or a second later, must cover */
    bool trusted;           /* the forecast is there, fresh, and has held of late */
    double load_rps;        /* 0 where unknown */
    double predicted_rps;   /* the quantile's peak within horizon_s; the load where not trusted */
    double waiting;         /* requests in flight beyond what the latency objective explains */
    uint32_t now;           /* instances without which the current load piles up */
    uint32_t wanted;        /* instances to plan for, `now` or more */
};

/* Fills *need for a service at second @t. */
void pmo_need_assess(struct pmo_need *need, const struct pmo_policy *policy,
                     const struct pmo_service_state *state, int64_t t);

/**
 * pmo_need_predict - the load within the next @horizon_s seconds
 * The forecast's quantile where it is trusted, else the load itself; NAN when neither is known.
 */
double pmo_need_predict(const struct pmo_need *need, const struct pmo_service_state *state,
                        unsigned int horizon_s);

/* Share of the seconds within need->horizon_s in which the load is expected to be more than what
 * @count instances can take; NAN where no forecast is trusted, or capacity is not known. */
double pmo_need_over(const struct pmo_need *need, const struct pmo_forecast *forecast,
                     uint32_t count);

/* Of @count instances, how many are worth keeping by what is expected in the next minute: @count or
 * less, need->wanted or more. */
uint32_t pmo_need_keep(const struct pmo_need *need, const struct pmo_forecast *forecast,
                       uint32_t count);
