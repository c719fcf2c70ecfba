/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Adding. An instance ordered now serves lead_time_s later, and the next chance to order comes a
 * second later. So this decision has to cover the load up to lead_time_s + 2 s after the last known
 * second: a quantile of its peak, over what an instance is planned to take.
 *
 * Without a forecast worth its name, the load now is planned for with the headroom that autoscalers
 * commonly keep. In any case the count covers the load now, and what has piled up: by Little's law,
 * requests in flight = arrival rate * time in the system, so requests beyond load * objective wait
 * longer than the objective, and capacity is added to serve them within a lead time.
 *
 * How sure to be, the policy says as a quantile; or by a share of requests that may be late, which
 * outcome.c turns into one; or by costs: one instance too few costs the late requests that it would
 * have served, one too many what it costs to run, so the quantile is the newsvendor's critical
 * ratio, few / (few + many).
 *
 * Giving up is a bet: an idle instance costs a second each second; one that is missed costs
 * requests, and a start until it is back. The quantile q says what missing is worth: planning for q
 * is the best answer to the newsvendor's problem (Arrow, Harris, Marschak 1951) exactly when a
 * missed instance-second costs q / (1 - q) idle ones.
 */
#include "agent/decide/need.h"

#include <math.h>

#define DEFAULT_QUANTILE    0.99
#define QUANTILE_MIN        0.5
#define QUANTILE_MAX        0.999
#define DEFAULT_LEAD_TIME_S 5.0
#define REACTIVE_TARGET     0.7
#define TRUST_MIN           0.5F
#define TRUST_AGAIN         0.6F /* once it was lost */
#define STALE_S             10   /* a forecast from before is not used */
#define EPSILON             1e-9

static uint32_t instances_for(double rps, double rps_each)
{
    double count = ceil(rps / rps_each - EPSILON);

    return count > 0 ? (uint32_t)fmin(count, UINT16_MAX) : 0;
}

static unsigned int horizon(double seconds)
{
    return (unsigned int)fmin(PMO_HORIZONS, fmax(1, ceil(seconds)));
}

static bool is_trusted(const struct pmo_service_state *state, int64_t t)
{
    const struct pmo_forecast *forecast = state->forecast;
    float least = state->lost_trust ? TRUST_AGAIN : TRUST_MIN;

    return forecast && forecast->trust >= least && t - forecast->origin <= STALE_S;
}

double pmo_need_predict(const struct pmo_need *need, const struct pmo_service_state *state,
                        unsigned int horizon_s)
{
    if (need->trusted)
        return pmo_forecast_peak(state->forecast, horizon_s, need->quantile);
    return state->load_rps;
}

/* Requests beyond what the objective explains, by whichever of the kernel's signals says most: in
 * flight, in the accept queue, or received and not yet read. */
static double waiting(const struct pmo_policy *policy, const struct pmo_service_state *state,
                      double load_rps)
{
    double most = fmax(fmax(state->in_flight, state->accept_queue), load_rps * state->wait_mean_s);
    double beyond = most - load_rps * policy->latency_objective_s;

    return beyond > 0 ? beyond : 0; /* also where nothing is known */
}

static double quantile_of(const struct pmo_policy *policy, const struct pmo_service_state *state,
                          double capacity_rps)
{
    double few = capacity_rps * policy->late_request, many = policy->instance_hour / 3600;

    if (state->quantile > 0)
        return state->quantile;
    if (few > 0 && many > 0)
        return fmin(fmax(few / (few + many), QUANTILE_MIN), QUANTILE_MAX);
    return policy->quantile > 0 ? policy->quantile : DEFAULT_QUANTILE;
}

void pmo_need_assess(struct pmo_need *need, const struct pmo_policy *policy,
                     const struct pmo_service_state *state, int64_t t)
{
    double predicted_rps, catch_up_rps;

    *need = (struct pmo_need){
        .capacity_rps = state->capacity_rps > 0 ? state->capacity_rps : policy->capacity_rps,
        .lead_time_s = state->lead_time_s,
        .target = policy->target,
        .trusted = is_trusted(state, t),
        .load_rps = isnan(state->load_rps) ? 0 : state->load_rps,
    };
    need->quantile = quantile_of(policy, state, need->capacity_rps);
    if (isnan(need->lead_time_s))
        need->lead_time_s = policy->lead_time_s > 0 ? policy->lead_time_s : DEFAULT_LEAD_TIME_S;
    if (!need->trusted)
        need->target = fmin(need->target, REACTIVE_TARGET);
    need->horizon_s = horizon(need->lead_time_s + 2);
    predicted_rps = pmo_need_predict(need, state, need->horizon_s);
    need->predicted_rps = isnan(predicted_rps) ? 0 : predicted_rps;
    need->waiting = waiting(policy, state, need->load_rps);
    if (!(need->capacity_rps > 0)) {
        need->capacity_rps = 0;
        return;
    }
    /* At most twice the load: what waits for another service is not served sooner by more of this
     * one, and must not take it to its maximum. */
    catch_up_rps =
        fmin(need->waiting / fmax(need->lead_time_s, 1), fmax(need->load_rps, need->capacity_rps));
    need->now = instances_for(need->load_rps + catch_up_rps, need->capacity_rps);
    need->wanted = instances_for(need->predicted_rps, need->capacity_rps * need->target);
    if (need->wanted < need->now)
        need->wanted = need->now;
}

/* P(load > rps), between the stored quantiles on straight lines: down to (0, 0) below them, and on
 * by the outermost slope above. */
static double probability_above(const float values[PMO_QUANTILES], double rps)
{
    double q0 = 0, v0 = 0, q, slope;

    for (int i = 0; i < PMO_QUANTILES; i++) {
        if (rps < values[i]) {
            q = pmo_quantiles[i];
            return 1 - (q0 + (q - q0) * (rps - v0) / (values[i] - v0));
        }
        q0 = pmo_quantiles[i];
        v0 = values[i];
    }
    slope = (values[PMO_QUANTILES - 1] - values[PMO_QUANTILES - 2]) /
            (pmo_quantiles[PMO_QUANTILES - 1] - pmo_quantiles[PMO_QUANTILES - 2]);
    return slope > 0 ? fmax(0, 1 - q0 - (rps - v0) / slope) : 0;
}

double pmo_need_over(const struct pmo_need *need, const struct pmo_forecast *forecast,
                     uint32_t count)
{
    double sum = 0;

    if (!need->trusted || !(need->capacity_rps > 0))
        return NAN;
    for (unsigned int h = 1; h <= need->horizon_s; h++)
        sum += probability_above(forecast->value[h - 1], count * need->capacity_rps);
    return sum / need->horizon_s;
}

/* Is the last of @count instances worth keeping? Followed to the second in which it would be wanted
 * back. */
static bool keeps(const struct pmo_need *need, const struct pmo_forecast *forecast, uint32_t count)
{
    double others_rps = (count - 1) * need->capacity_rps * need->target;
    double idle = 0, missed = 0, restart = 0;

    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        double above = probability_above(forecast->value[h - 1], others_rps);

        idle += 1 - above;
        if (h <= need->horizon_s) /* later it can be had back in time */
            missed += above * need->quantile / (1 - need->quantile);
        if (above > 1 - need->quantile) {
            restart = need->lead_time_s;
            break;
        }
    }
    return idle <= missed + restart;
}

uint32_t pmo_need_keep(const struct pmo_need *need, const struct pmo_forecast *forecast,
                       uint32_t count)
{
    while (count > need->wanted && !(need->trusted && keeps(need, forecast, count)))
        count--;
    return count;
}
