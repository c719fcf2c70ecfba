/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two lines, each a least squares fit that forgets (half of it in five minutes).
 *
 * The first is the utilisation law: busy time = rate * demand (Denning and Buzen, "The Operational
 * Analysis of Queueing Network Models", 1978). CPU cores used by an instance over the requests that
 * it answered: the slope is the CPU time D that a request takes, what is left at no load is idle
 * cost. With a limit of c cores an instance saturates at (c - idle) / D. That is found at any load,
 * also a low one. Without a limit, c is one core, or as much as one was seen to use.
 *
 * The second is how latency grows towards saturation: mean = base + K * u / (1 - u) with u = rate /
 * saturation, which is exact for M/M/1 in any fair order and for M/G/1 by Pollaczek and Khinchine,
 * K being the mean demand * (1 + C^2) / 2; K is what is learned, as nobody knows C. A wait is about
 * exponential (Kingman 1962): P(wait > x) = u * exp(-x (1 - u) / K). The knee is the u at which
 * that is the share that may be late, x being what the objective leaves above the base. M/M/1 is
 * what is taken for K before there is much evidence.
 *
 * Requests are counted in what one of the reference mix takes (mix.h). When a new version takes
 * more, the first line does not fit any more: where the last seconds are off by an eighth or more,
 * and by more than noise explains, nearly all of it is forgotten at once.
 *
 * What was seen to be served in time, for ten seconds or so, is less than the capacity in any case.
 *
 * The standard error has the first line's, the second's, and one for the way from what was seen to
 * what is said: nobody has been there.
 */
#include "agent/decide/capacity.h"

#include <math.h>
#include <stdbool.h>

#define KEEP          0.99769 /* of a second's weight, in the next: half in 300 s */
#define KEEP_RECENT   0.933   /* half in 10 s */
#define KEEP_SEEN     0.99981 /* half in an hour */
#define WELL          0.1
#define GAP_MAX       300 /* seconds nobody saw: what was known is half forgotten at most */
#define IDLE_SECONDS  5   /* of an instance that is given nothing and takes nothing */
#define CURVE_MIN     10
#define DOUBT_MIN     1e-4
#define SCALE_MIN_S   1e-6
#define SECONDS_MIN   20
#define SETTLE_S      10  /* seconds in which what piled up is worked off */
#define SLOW_MAX      0.5 /* of the objective: how much slower does not matter */
#define BASE_MAX      0.5 /* of the objective: what waits for others is no faster with more of us */
#define DRIFT_MIN     60
#define DRIFT         0.125
#define DRIFT_ERRORS  4
#define DRIFT_SECONDS 10
#define DRIFT_LEFT    2 /* seconds' weight that is kept then */
#define USE_MIN       0.5
#define USE_MAX       0.9 /* beyond, latency tells how long an overload lasts */
#define AWAY          0.1 /* standard error of what is twice as far away as what was seen */
#define ERROR_MAX     (1.0 / 3)
#define BISECTIONS    20
#define LOWER         1.645
#define CLEARLY       3

struct fit {
    double base, slope;
    double variance; /* of what the line does not explain */
    double error;    /* of the slope */
};

static void forget(struct pmo_capacity_line *line, double keep)
{
    line->seconds *= keep;
    line->weight *= keep;
    line->x *= keep;
    line->y *= keep;
    line->xx *= keep;
    line->xy *= keep;
    line->yy *= keep;
}

static void add(struct pmo_capacity_line *line, double weight, double x, double y)
{
    line->seconds += 1;
    line->weight += weight;
    line->x += weight * x;
    line->y += weight * y;
    line->xx += weight * x * x;
    line->xy += weight * x * y;
    line->yy += weight * y * y;
}

/* @line with @at_zero weight of (0, 0), and the slope held to @slope with the weight @held. */
static struct fit fit(const struct pmo_capacity_line *line, double at_zero, double slope,
                      double held)
{
    double w = line->weight + at_zero, x = line->x / w, y = line->y / w;
    double xx = line->xx - w * x * x + held, xy = line->xy - w * x * y + held * slope;
    double yy = line->yy - w * y * y;
    struct fit f = {.base = y, .error = INFINITY};

    if (!(xx > 1e-12))
        return f;
    f.slope = fmax(0, xy / xx);
    f.base = y - f.slope * x;
    if (f.base < 0) { /* through the origin */
        f.base = 0;
        f.slope = fmax(0, line->xy / line->xx);
        xx = line->xx;
        xy = line->xy;
        yy = line->yy;
    }
    /* over the spread of x, for as many seconds as are still remembered */
    f.variance = fmax(0, yy - 2 * f.slope * xy + f.slope * f.slope * xx) / w;
    f.error = sqrt(f.variance / (xx / w * fmax(1, line->seconds - 2)));
    return f;
}

static struct fit demand_of(const struct pmo_capacity *capacity)
{
    return fit(&capacity->demand, IDLE_SECONDS, 0, 0);
}

static double limit_of(const struct pmo_capacity *capacity)
{
    return capacity->limit_cores > 0 ? capacity->limit_cores : fmax(1, capacity->most_cores);
}

/* Requests/s at which an instance uses all it may; 0: not known. */
static double saturation(const struct pmo_capacity *capacity, const struct fit *demand)
{
    double cores = limit_of(capacity) - demand->base;

    return demand->slope > 0 && cores > 0 ? cores / demand->slope : 0;
}

/* What a request took, over what one of the reference mix takes. */
static double cost_seen(const struct pmo_capacity *capacity, double rps, double cores)
{
    struct fit demand = demand_of(capacity);

    if (capacity->demand.seconds < SECONDS_MIN || !(demand.slope * rps > 0))
        return NAN;
    return (cores - demand.base) / (demand.slope * rps);
}

/* Do the last seconds fit what was learned? */
static void check_drift(struct pmo_capacity *capacity, double rps, double cores)
{
    struct fit demand = demand_of(capacity);
    const struct pmo_capacity_line *line = &capacity->demand;
    double off, noise;

    capacity->recent_s = capacity->recent_s * KEEP_RECENT + 1;
    capacity->recent_cores = capacity->recent_cores * KEEP_RECENT + cores;
    capacity->recent_fit = capacity->recent_fit * KEEP_RECENT + demand.base + demand.slope * rps;
    if (line->seconds < DRIFT_MIN || capacity->recent_s < DRIFT_SECONDS)
        return;
    off = fabs(capacity->recent_cores - capacity->recent_fit) / capacity->recent_s;
    noise = sqrt(fmax(0, (line->yy - demand.base * line->y - demand.slope * line->xy)) /
                 line->weight / capacity->recent_s);
    if (off * capacity->recent_s < DRIFT * capacity->recent_fit || off < DRIFT_ERRORS * noise)
        return;
    forget(&capacity->demand, DRIFT_LEFT / line->seconds);
    forget(&capacity->curve, DRIFT_LEFT / fmax(DRIFT_LEFT, capacity->curve.seconds));
    capacity->recent_s = capacity->recent_cores = capacity->recent_fit = 0;
    capacity->seen_rps = capacity->well_rps = 0;
}

/* One second tells little: what was answered for some ten. */
static void note_seen(struct pmo_capacity *capacity, double rps, bool well)
{
    if (!well)
        capacity->well_rps = 0;
    else
        capacity->well_rps += WELL * (rps - capacity->well_rps);
    if (capacity->well_rps > capacity->seen_rps)
        capacity->seen_rps = capacity->well_rps;
}

void pmo_capacity_observe(struct pmo_capacity *capacity, int64_t t,
                          const struct pmo_capacity_second *second, double objective_s, double late)
{
    double gap = fmin(GAP_MAX, (double)(t - capacity->t)), rps, cores, full, use;
    struct fit demand;

    if (!second->ready || isnan(second->cpu_s) || isnan(second->answered) || t <= capacity->t) {
        (void)pmo_mix_close(&capacity->mix, NAN);
        return;
    }
    rps = second->answered / second->ready;
    cores = second->cpu_s / second->ready;
    rps *= pmo_mix_close(&capacity->mix, cost_seen(capacity, rps, cores));
    if (second->limit_cores > 0)
        capacity->limit_cores = second->limit_cores;
    if (cores > capacity->most_cores)
        capacity->most_cores = cores;
    capacity->seen_rps *= pow(KEEP_SEEN, gap);
    note_seen(capacity, rps, !(second->late > late));
    capacity->t = t;
    forget(&capacity->demand, pow(KEEP, gap));
    forget(&capacity->curve, pow(KEEP, gap));
    check_drift(capacity, rps, cores);
    add(&capacity->demand, 1, rps, cores);
    demand = demand_of(capacity);
    full = saturation(capacity, &demand);
    use = full > 0 ? rps / full : 0;
    if (fmax(use, cores / limit_of(capacity)) > USE_MAX)
        capacity->full_t = t;
    if (capacity->demand.seconds < SECONDS_MIN || !(use > 0) || isnan(second->latency_s) ||
        t - capacity->full_t < SETTLE_S)
        return;
    add(&capacity->curve, second->answered, use / (1 - use),
        fmin(second->latency_s, SLOW_MAX * objective_s));
}

/* Utilisation at which a share @late of requests waits longer than what the objective leaves. */
static double knee(double left_s, double scale_s, double late)
{
    double low = USE_MIN, high = 1;

    for (int i = 0; i < BISECTIONS; i++) {
        double use = (low + high) / 2;

        if (use * exp(-left_s * (1 - use) / scale_s) > late)
            high = use;
        else
            low = use;
    }
    return low;
}

/* M/M/1 has K = @scale_s. It may as well be half or twice that: that counts for as much as the
 * noise of the seconds leaves it. */
static struct fit curve_of(const struct pmo_capacity *capacity, double scale_s)
{
    const struct pmo_capacity_line *line = &capacity->curve;
    struct fit curve = {.slope = scale_s, .error = scale_s};

    if (line->seconds >= CURVE_MIN) {
        double doubt, each = line->weight / line->seconds;

        curve = fit(line, 0, 0, 0);
        doubt = fmax(DOUBT_MIN, curve.variance / (scale_s * scale_s));
        curve = fit(line, 0, scale_s, each * doubt);
    }
    curve.slope = fmax(curve.slope, SCALE_MIN_S);
    return curve;
}

struct pmo_capacity_estimate pmo_capacity_estimate(const struct pmo_capacity *capacity,
                                                   double objective_s, double late)
{
    double cost = pmo_mix_recent(&capacity->mix);
    struct pmo_capacity_estimate estimate = {.seen_rps = capacity->seen_rps / cost};
    struct fit demand = demand_of(capacity), curve;
    double full = saturation(capacity, &demand), left_s, use, use_error, away, error;

    if (capacity->demand.seconds < SECONDS_MIN * 0.9 || !(full > 0))
        return estimate;
    curve = curve_of(capacity, 1 / full);
    left_s = objective_s - fmin(curve.base, BASE_MAX * objective_s);
    use = knee(left_s, curve.slope, late);
    use_error = (use - knee(left_s, curve.slope + curve.error, late)) / use;
    estimate.saturation_rps = full / cost;
    estimate.saturation_error_rps = full / cost * demand.error / demand.slope;
    estimate.demand_s = demand.slope * cost;
    away = fmax(0, 1 - capacity->seen_rps / (use * full));
    error = sqrt(pow(demand.error / demand.slope, 2) + pow(use_error, 2) + pow(AWAY * away, 2));
    if (!(error <= ERROR_MAX))
        return estimate;
    estimate.rps = fmax(use * full, capacity->seen_rps) / cost;
    estimate.error_rps = error * estimate.rps;
    return estimate;
}

double pmo_capacity_lower(const struct pmo_capacity_estimate *learned)
{
    return fmax(0, learned->rps - LOWER * learned->error_rps);
}

double pmo_capacity_planned(const struct pmo_capacity_estimate *learned, double stated_rps)
{
    if (!(stated_rps > 0))
        return pmo_capacity_lower(learned);
    if (!(learned->rps > 0))
        return stated_rps;
    stated_rps =
        fmin(stated_rps, learned->saturation_rps + CLEARLY * learned->saturation_error_rps);
    return fmax(stated_rps, fmin(learned->rps - CLEARLY * learned->error_rps, learned->seen_rps));
}
