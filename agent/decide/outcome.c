/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The quantile follows what came as in adaptive conformal inference (Gibbs and Candes 2021): up for
 * what was late, and down by the goal for all that came, which keeps the long-run share of late
 * ones at the goal, whatever the load does. The step is in log odds, as the quantile is near 1;
 * late ones come in bursts, so it is small, and what goes beyond the bounds is remembered for a
 * while. It begins where four times the goal exceeds the forecast: most seconds with more load than
 * was planned for are late in part, or not at all, as target and whole instances leave room.
 *
 * Capacity is corrected where requests were late although the load was within it for some time,
 * and the instances were at work: down by a hundredth each such second, and back by a thousandth
 * in each second that was near capacity and in time.
 */
#include "agent/decide/outcome.h"

#include <math.h>

#define STEP         0.03
#define BEYOND       2.0 /* log odds */
#define BEGIN        4
#define QUANTILE_MIN 0.5
#define QUANTILE_MAX 0.999
#define WITHIN_S     10
#define NEAR         0.7
#define DOWN         0.01
#define UP           0.001
#define TOO_MUCH_MAX 0.5
#define SMOOTH       0.01
#define WEIGHT_MAX   5.0
#define KEEP         0.99981 /* half in an hour */

static double log_odds(double p)
{
    return log(p / (1 - p));
}

static double bounded(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

static double begin_at(double goal)
{
    return log_odds(bounded(1 - BEGIN * goal, QUANTILE_MIN, QUANTILE_MAX));
}

static void correct_quantile(struct pmo_outcome *outcome, double late, double weight, double goal)
{
    double begin = begin_at(goal);

    outcome->odds += STEP * weight * (late - goal);
    outcome->odds = bounded(outcome->odds, log_odds(QUANTILE_MIN) - begin - BEYOND,
                            log_odds(QUANTILE_MAX) - begin + BEYOND);
}

static void correct_capacity(struct pmo_outcome *outcome, const struct pmo_outcome_second *second,
                             double goal)
{
    double there = second->capacity_rps * (1 - outcome->too_much);

    if (!(second->capacity_rps > 0))
        return;
    outcome->within_s = second->load_rps <= there ? outcome->within_s + 1 : 0;
    if (outcome->within_s < WITHIN_S)
        return;
    if (second->late > goal && second->busy)
        outcome->too_much = fmin(TOO_MUCH_MAX, outcome->too_much + DOWN);
    else if (second->late <= goal && second->load_rps >= NEAR * there)
        outcome->too_much = fmax(0, outcome->too_much - UP);
}

static void follow(struct pmo_outcome_pending *pending, int64_t t,
                   const struct pmo_outcome_second *second)
{
    if (!pending->id || t > pending->due)
        return;
    pending->seconds++;
    pending->over_s += second->load_rps > pending->capacity_rps;
    pending->peak_rps = fmax(pending->peak_rps, second->load_rps);
    if (isnan(second->late))
        return;
    pending->requests += second->load_rps;
    pending->late += second->load_rps * second->late;
}

void pmo_outcome_observe(struct pmo_outcome *outcome, int64_t t,
                         const struct pmo_outcome_second *second, double goal)
{
    if (t <= outcome->t)
        return;
    outcome->t = t;
    if (isnan(second->load_rps))
        return;
    for (int i = 0; i < PMO_OUTCOME_PENDING; i++)
        follow(&outcome->pending[i], t, second);
    outcome->requests +=
        (outcome->requests > 0 ? SMOOTH : 1) * (second->load_rps - outcome->requests);
    correct_capacity(outcome, second, goal);
    if (isnan(second->late) || !(outcome->requests > 0))
        return;
    correct_quantile(outcome, second->late, fmin(WEIGHT_MAX, second->load_rps / outcome->requests),
                     goal);
    outcome->all = outcome->all * KEEP + second->load_rps;
    outcome->late = outcome->late * KEEP + second->load_rps * second->late;
}

double pmo_outcome_quantile(const struct pmo_outcome *outcome, double goal)
{
    return bounded(1 / (1 + exp(-begin_at(goal) - outcome->odds)), QUANTILE_MIN, QUANTILE_MAX);
}

double pmo_outcome_capacity(const struct pmo_outcome *outcome, double capacity_rps)
{
    return capacity_rps * (1 - outcome->too_much);
}

double pmo_outcome_late(const struct pmo_outcome *outcome)
{
    return outcome->all > 0 ? outcome->late / outcome->all : NAN;
}

void pmo_outcome_expect(struct pmo_outcome *outcome, int64_t id, int64_t t, double horizon_s,
                        double capacity_rps)
{
    outcome->pending[outcome->expected++ % PMO_OUTCOME_PENDING] = (struct pmo_outcome_pending){
        .id = id, .due = t + (int64_t)horizon_s, .capacity_rps = capacity_rps};
}

bool pmo_outcome_came(struct pmo_outcome *outcome, struct pmo_came *came)
{
    for (int i = 0; i < PMO_OUTCOME_PENDING; i++) {
        struct pmo_outcome_pending *p = &outcome->pending[i];

        if (!p->id || outcome->t < p->due)
            continue;
        *came = (struct pmo_came){.id = p->id,
                                  .peak_rps = p->seconds ? p->peak_rps : NAN,
                                  .over = p->seconds ? (double)p->over_s / p->seconds : NAN,
                                  .late = p->requests > 0 ? p->late / p->requests : NAN};
        *p = (struct pmo_outcome_pending){0};
        return true;
    }
    return false;
}
