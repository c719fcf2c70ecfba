/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decisions: how many instances each service should have, and why. Pure: the state of the world,
 * forecasts, policies and the time come in, a plan comes out; so the simulator runs this very code.
 * A plan is data (who, how many, by when, why); a backend carries it out.
 *
 * Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/decide/policy.h"
#include "agent/forecast/forecast.h"

/* What the planner is told of one service, once a second. */
struct pmo_service_state {
    const char *name;
    double load_rps;     /* arrivals in the last complete second; NAN: unknown */
    double in_flight;    /* requests, all instances */
    double accept_queue; /* connections that wait to be accepted; 0 also where not known */
    double wait_mean_s; /* that what was received waited to be read, in the last second; likewise */
    double wait_p99_s;  /* its 99th percentile; NAN: not known */
    double latency_p99_s;    /* last 10 s; NAN: nothing answered */
    double error_rate;       /* share of 5xx in the last 10 s; NAN: nothing answered */
    double answered, failed; /* in the last second: all, and those with 5xx */
    double cpu_cores;        /* used by all instances in the last second; NAN: not known */
    uint32_t ready, starting, draining; /* instances */
    double lead_time_s;  /* to plan with (lead_time.h); NAN: not known, the policy's figure holds */
    double capacity_rps; /* of one instance, to plan with (capacity.h); 0: likewise */
    double quantile;     /* that the policy's share of late requests asks for (outcome.h); 0: the
                            policy says it in another way */
    const struct pmo_forecast *forecast; /* NULL: none */
    const struct pmo_calendar *calendar; /* of events; NULL: they are not known */
    bool lost_trust; /* the planner's own: the forecast was trusted, and then no more */
};

/* One decision, with the numbers that led to it. */
struct pmo_decision {
    int64_t id; /* counts up from 1, over restarts */
    int64_t t;  /* seconds since 1970 */
    char service[64];
    char policy[64];
    char rule[160];   /* the rule's text, or "forecast", "reactive", "bounds", "schedule",
                           "limits", "freeze" */
    char reason[256]; /* one sentence for people, numbers with units */
    enum pmo_mode mode;
    uint32_t from, to; /* instances wanted before and now; the same where a freeze withholds it */
    uint32_t ready, starting;
    double load_rps;      /* NAN: unknown */
    double predicted_rps; /* the quantile of the peak over the lead time that was planned for; the
                             load where no forecast is trusted */
    double quantile;
    double horizon_s;
    double capacity_rps; /* of one instance, as used; 0: not known */
    /* Share of the seconds within horizon_s in which the load is expected to be more than what `to`
     * instances can take, one fewer, one more; NAN where no forecast is trusted */
    double over, over_fewer, over_more;
    /* what came, once that time is over; NAN before */
    double came_over;     /* share of the seconds in which the load was more */
    double came_peak_rps; /* greatest load */
    double came_late;     /* share of its requests that were late */
    double utilization;   /* predicted over ready capacity; NAN: none is ready, or not known */
    bool carried_out;     /* the backend was told (mode act); set by who tells it */
    bool paused;          /* it would have been, but the service is paused; set likewise */
};

/* What the planner remembers: wanted counts, delays, rate limits, how long rules have held. It
 * lives as long as the policies it was asked with; new policies: a new planner, and
 * pmo_planner_adopt(). */
struct pmo_planner;

/* @first_id: id of the first decision it will make. */
int pmo_planner_new(struct pmo_planner **planner, int64_t first_id);
void pmo_planner_free(struct pmo_planner **planner);

/* All services together get @instances at most (the last wish of each counts), see
 * pmo_limits_grant(); 0: any number, as at first. */
void pmo_planner_limit(struct pmo_planner *planner, uint32_t instances);

/**
 * pmo_planner_decide - decide for one service
 * @mode_cap: the agent's --mode: no policy may do more than this
 * @t:        now, whole seconds, never going back
 * @wanted:   receives how many instances the service should have now (also when nothing changed)
 * @decision: filled when the wanted count changed (or would in recommend mode)
 * Returns 1 where a decision was made, 0 where nothing changed, or -ENOMEM. May be called more than
 * once a second.
 *
 * Up: at once. Down: stepwise after down_delay_s, never below what the current load needs.
 * When the forecast is absent or its trust is low, a reactive rule on load_rps, in_flight,
 * accept_queue and wait_mean_s replaces it, until trust has clearly returned: never worse than
 * reactive. In every mode the wanted count is bounded by min and max.
 *
 * Mode act starts from the count that was asked for last, and decides when it changes. Mode
 * recommend starts from the instances there are, and decides when the recommendation changes.
 * Mode observe decides nothing.
 */
int pmo_planner_decide(struct pmo_planner *planner, const struct pmo_policy *policy,
                       enum pmo_mode mode_cap, const struct pmo_service_state *state, int64_t t,
                       uint32_t *wanted, struct pmo_decision *decision);

/* Makes the planner continue with a count that an earlier agent had asked for. Returns 0 or
 * -ENOMEM. */
int pmo_planner_adopt(struct pmo_planner *planner, const char *service, uint32_t wanted, int64_t t);

/* Makes it continue with what an earlier one had a service changed from and to at second @t, for
 * its rate limits: oldest first. Returns 0 or -ENOMEM. */
int pmo_planner_adopt_change(struct pmo_planner *planner, const char *service, uint32_t from,
                             uint32_t to, int64_t t);

/* Makes it continue with what an earlier agent had spent of a service's budget in the budget's
 * period up to second @t: @instance_s instance-seconds. Returns 0 or -ENOMEM. */
int pmo_planner_adopt_spending(struct pmo_planner *planner, const char *service, double instance_s,
                               int64_t t);
