/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conditions: what stands behind the "if" of a rule, as rule.c compiles it. A condition is a list
 * of nodes in postfix order: comparisons of a quantity with a number, and what joins them. Where a
 * quantity is not known, its comparison is neither true nor false (Kleene's logic of three values),
 * so that "not" of it is not true either, and no rule acts on what nobody knows.
 *
 * Pure: quantities come from the state of the second, the forecast and the windows. Not
 * thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/base/quantity.h"
#include "agent/events/event.h"

#define PMO_WINDOW_MAX_S 300
#define PMO_NODES_MAX    24
#define PMO_NAMED_MAX    2 /* events that one condition names */

enum pmo_quantity {
    PMO_PREDICTED_LOAD,        /* requests/s: the forecast's quantile of the peak within `seconds`;
                                  0: within lead time and a decision or two */
    PMO_PREDICTED_UTILIZATION, /* the same as a share of the capacity of all instances, those that
                                  were ordered and are starting included */
    PMO_LOAD,                  /* requests/s, mean of the last `seconds`; 0: last second */
    PMO_UTILIZATION,           /* the same as a share of capacity */
    PMO_LATENCY,               /* seconds, 99th percentile of 10 s; its mean over `seconds` */
    PMO_ERROR_RATE,            /* share of 5xx in the last `seconds`; 0: 10 s */
    PMO_IN_FLIGHT,             /* requests for each ready instance, mean */
    PMO_WAITING,               /* seconds that received bytes waited to be read, 99th percentile of
                                  a second; its mean over `seconds` */
    PMO_CPU,                   /* of one core, by each ready instance, mean */
    PMO_READY,                 /* instances */
    PMO_TRUST,                 /* 0..1, how well forecasts have held */
    PMO_EVENT_ACTIVE,          /* 1 or 0 */
    PMO_EVENT_STARTS_IN,       /* seconds to the next one's start */
    PMO_QUANTITIES
};

/* The quantities' names in sentences, what they are compared with, and an example of that. */
struct pmo_quantity_text {
    const char *name, *example;
    enum pmo_dimension dimension;
};
extern const struct pmo_quantity_text pmo_quantity_texts[PMO_QUANTITIES];

enum pmo_operator { PMO_ABOVE, PMO_AT_LEAST, PMO_BELOW, PMO_AT_MOST, PMO_AND, PMO_OR, PMO_NOT };

struct pmo_node {
    enum pmo_operator operator;
    enum pmo_quantity quantity; /* this and what follows: of comparisons only */
    uint16_t seconds;           /* see enum pmo_quantity; 0: none was given */
    uint16_t event;             /* index in `events` */
    double threshold;           /* in seconds, requests/s, instances, or as a fraction */
};

struct pmo_condition {
    struct pmo_node nodes[PMO_NODES_MAX];
    size_t count;
    char events[PMO_NAMED_MAX][PMO_HAPPENING_BYTES]; /* kinds or ids */
    size_t events_count;
};

static inline bool pmo_node_compares(const struct pmo_node *node)
{
    return node->operator<= PMO_AT_MOST;
}

static inline bool pmo_node_is_above(const struct pmo_node *node)
{
    return node->operator<= PMO_AT_LEAST;
}

/* What was measured in each of the last seconds, for means over windows. */
enum {
    PMO_SEEN_LOAD,
    PMO_SEEN_LATENCY,
    PMO_SEEN_ANSWERED,
    PMO_SEEN_FAILED,
    PMO_SEEN_IN_FLIGHT,
    PMO_SEEN_WAITING,
    PMO_SEEN_CPU,
    PMO_SEEN
};
struct pmo_windows {
    int64_t t;                              /* last second that was noted; 0: none was */
    float seen[PMO_SEEN][PMO_WINDOW_MAX_S]; /* rings by second; NAN: not known */
};

struct pmo_need;          /* agent/decide/need.h */
struct pmo_service_state; /* agent/decide/plan.h */

/* Notes second @t, again where it is there already. Seconds that were left out are not known. */
void pmo_windows_note(struct pmo_windows *windows, const struct pmo_service_state *state,
                      int64_t t);

/* What a condition is looked at with. */
struct pmo_situation {
    const struct pmo_need *need;
    const struct pmo_service_state *state;
    const struct pmo_windows *windows;
    uint32_t count; /* instances that utilization is of; 0 counts as 1 */
    int64_t t;
};

/* The value of a comparison's quantity; NAN: not known. A mean is known when half of its window is.
 */
double pmo_quantity_value(const struct pmo_condition *condition, const struct pmo_node *node,
                          const struct pmo_situation *situation);
/* Is it true (and not just unknown) with these values of its comparisons' quantities? */
typedef double (*pmo_value_fn)(void *context, const struct pmo_condition *condition,
                               const struct pmo_node *node);
bool pmo_condition_holds_with(const struct pmo_condition *condition, pmo_value_fn value,
                              void *context);
/* The same with those of a situation. */
bool pmo_condition_holds(const struct pmo_condition *condition,
                         const struct pmo_situation *situation);

/* Appends the value of each quantity to @text, in words: "load 86 rps is 86 % of the capacity of 2
 * instances, error rate is 0.1 %". */
void pmo_condition_describe(const struct pmo_condition *condition,
                            const struct pmo_situation *situation, char *text, size_t text_size);
