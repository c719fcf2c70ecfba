/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/rules.h"

#include <math.h>

#define WINDOW_S    600
#define MEAN_S      30
#define VARY_S      60
#define AROUND_S    15  /* of the floor, on each side, */
#define FLOOR_WIDTH 0.3 /* and at least so wide */
#define HOUR_S      3600
#define DAY_S       86400

/* Running mean and sum of squares around it (Welford, 1962). */
struct moments {
    double count, mean, squares;
};

static void moments_add(struct moments *moments, double value)
{
    double off = value - moments->mean;

    if (isnan(value))
        return;
    moments->count++;
    moments->mean += off / moments->count;
    moments->squares += off * (value - moments->mean);
}

/* Standard deviation; 0 where there is too little to tell. */
static double moments_width(const struct moments *moments)
{
    return moments->count > 1 ? sqrt(moments->squares / (moments->count - 1)) : 0;
}

/* Of the @seconds up to @t: their values (@lag 0), or by how much they differ from those @lag
 * before. */
static struct moments look_back(const struct pmo_trace *trace, size_t t, size_t seconds, size_t lag)
{
    size_t from = t + 1 > seconds ? t + 1 - seconds : 0;
    struct moments moments = {0};

    for (size_t i = from < lag ? lag : from; i <= t; i++)
        moments_add(&moments, trace->requests[i] - (lag ? trace->requests[i - lag] : 0));
    return moments;
}

/* What was last recorded up to second @t; 0 before anything was. */
static double last_known(const struct pmo_trace *trace, size_t t)
{
    while (t > 0 && isnan(trace->requests[t]))
        t--;
    return isnan(trace->requests[t]) ? 0 : trace->requests[t];
}

const char *pmo_rule_name(enum pmo_rule rule)
{
    static const char *const names[] = {[PMO_RULE_LAST] = "last value",
                                        [PMO_RULE_SEASONAL] = "seasonal naive",
                                        [PMO_RULE_MEAN] = "mean of 30 s",
                                        [PMO_RULE_FLOOR] = "floor"};

    return names[rule];
}

void pmo_rules_init(struct pmo_rules *rules, const struct pmo_trace *trace, size_t t)
{
    struct moments steps = look_back(trace, t, WINDOW_S, 1), seasons;
    struct moments mean = look_back(trace, t, MEAN_S, 0), varied = look_back(trace, t, VARY_S, 0);

    *rules = (struct pmo_rules){.trace = trace,
                                .t = t,
                                .season = t >= DAY_S    ? DAY_S
                                          : t >= HOUR_S ? HOUR_S
                                                        : 0,
                                .last = last_known(trace, t)};
    rules->mean = mean.count > 0 ? mean.mean : rules->last;
    rules->width[PMO_RULE_LAST] = rules->width[PMO_RULE_SEASONAL] = moments_width(&steps);
    rules->width[PMO_RULE_MEAN] = moments_width(&varied);
    seasons = look_back(trace, t, WINDOW_S, rules->season);
    if (rules->season && seasons.count > 1)
        rules->width[PMO_RULE_SEASONAL] = moments_width(&seasons);
}

static void predict_floor(const struct pmo_trace *trace, size_t target, double *mean, double *width)
{
    struct moments moments = {0};

    for (size_t i = target > AROUND_S ? target - AROUND_S : 0;
         i <= target + AROUND_S && i < trace->seconds; i++)
        if (i != target)
            moments_add(&moments, trace->requests[i]);
    *mean = moments.mean;
    *width = fmax(moments_width(&moments), FLOOR_WIDTH);
}

void pmo_rules_predict(const struct pmo_rules *rules, enum pmo_rule rule, size_t h, double *mean,
                       double *width)
{
    *width = rules->width[rule];
    switch (rule) {
    case PMO_RULE_LAST:
        *mean = rules->last;
        break;
    case PMO_RULE_SEASONAL:
        *mean =
            rules->season ? last_known(rules->trace, rules->t + h - rules->season) : rules->last;
        break;
    case PMO_RULE_MEAN:
        *mean = rules->mean;
        break;
    default:
        predict_floor(rules->trace, rules->t + h, mean, width);
    }
}
