/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forecasts by simple rules, which a forecaster has to be better than: normal distributions around
 * what a rule expects. But for the floor, they know nothing that comes after the origin.
 */
#pragma once

#include <stddef.h>

#include "tools/pmoctl/trace.h"

enum pmo_rule {
    PMO_RULE_LAST,     /* the last second; as wide as seconds differ from the one before */
    PMO_RULE_SEASONAL, /* the same second yesterday, or an hour ago while there is no yesterday;
                        * as wide as seconds differ from theirs */
    PMO_RULE_MEAN,     /* the mean of the last 30 s; as wide as the last minute varies */
    PMO_RULE_FLOOR,    /* what no forecast can know: the 15 s on both sides of the target */
    PMO_RULES,
};

/* What the rules take from the seconds up to an origin. Widths are standard deviations, of the last
 * 600 s where nothing else is said. */
struct pmo_rules {
    const struct pmo_trace *trace;
    size_t t;          /* the origin */
    size_t season;     /* seconds; 0: nothing recurs yet, and the last second stands in */
    double last, mean; /* requests */
    double width[PMO_RULES];
};

const char *pmo_rule_name(enum pmo_rule rule);
/* Looks at the seconds up to @t, which may be one that was not recorded. */
void pmo_rules_init(struct pmo_rules *rules, const struct pmo_trace *trace, size_t t);
/* Forecast of second t + @h, of the floor only where that is within the trace. */
void pmo_rules_predict(const struct pmo_rules *rules, enum pmo_rule rule, size_t h, double *mean,
                       double *width);
