/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/review.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CASES_MAX     50000
#define VARIABLES_MAX 16
#define VALUES_MAX    (2 * 2 * PMO_NODES_MAX + 3)
#define YEAR_S        (366 * 86400LL)
#define LOOKED_AT     64 /* occurrences of a schedule */

/* A quantity, and one value of each stretch between the thresholds that it is compared with, and
 * they themselves. */
struct variable {
    enum pmo_quantity quantity;
    unsigned int seconds;
    const char *event;
    double values[VALUES_MAX];
    size_t count, at;
    unsigned int conditions; /* bits: which of the two it is in */
};

/* All cases of one or two conditions. */
struct cases {
    bool coarse; /* a load that is predicted, or a mean, may be what the load is */
    double most; /* instances */
    struct variable variables[VARIABLES_MAX];
    size_t count;
};

struct review {
    const struct pmo_policy *policy;
    uint32_t least, most; /* instances, schedules included */
    int64_t now;
    pmo_review_fn warn;
    void *context;
};

__attribute__((format(printf, 3, 4))) static void warn(const struct review *review, size_t line,
                                                       const char *format, ...)
{
    char message[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    review->warn(review->context, line, message);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static double greatest(const struct cases *cases, enum pmo_quantity quantity)
{
    switch (quantity) {
    case PMO_ERROR_RATE:
    case PMO_TRUST:
    case PMO_EVENT_ACTIVE:
        return 1;
    case PMO_READY:
        return cases->most;
    default:
        return INFINITY;
    }
}

/* The variable that a node compares; NULL: there are too many. */
static struct variable *variable_of(struct cases *cases, const struct pmo_condition *condition,
                                    const struct pmo_node *node)
{
    bool named = node->quantity >= PMO_EVENT_ACTIVE;
    const char *event = named ? condition->events[node->event] : "";
    enum pmo_quantity quantity = node->quantity;
    unsigned int seconds = cases->coarse ? 0 : node->seconds;

    if (cases->coarse && quantity == PMO_PREDICTED_LOAD)
        quantity = PMO_LOAD;
    if (cases->coarse && quantity == PMO_PREDICTED_UTILIZATION)
        quantity = PMO_UTILIZATION;
    for (size_t i = 0; i < cases->count; i++) {
        struct variable *v = &cases->variables[i];

        if (v->quantity == quantity && v->seconds == seconds && !strcmp(v->event, event))
            return v;
    }
    if (cases->count == VARIABLES_MAX)
        return NULL;
    cases->variables[cases->count] =
        (struct variable){.quantity = quantity, .seconds = seconds, .event = event};
    return &cases->variables[cases->count++];
}

/* In order, and once. */
static void add_value(struct variable *variable, double value)
{
    size_t i = variable->count;

    while (i && variable->values[i - 1] > value)
        i--;
    if (i && variable->values[i - 1] == value)
        return;
    memmove(&variable->values[i + 1], &variable->values[i],
            (variable->count - i) * sizeof(variable->values[0]));
    variable->values[i] = value;
    variable->count++;
}

static bool collect(struct cases *cases, const struct pmo_condition *condition, unsigned int bit)
{
    for (size_t i = 0; i < condition->count; i++) {
        const struct pmo_node *node = &condition->nodes[i];
        struct variable *variable;

        if (!pmo_node_compares(node))
            continue;
        variable = variable_of(cases, condition, node);
        if (!variable)
            return false;
        variable->conditions |= bit;
        add_value(variable, node->threshold);
    }
    return true;
}

/* Puts one between each two thresholds and one on either side, and leaves out what cannot be. */
static bool spread(struct cases *cases)
{
    size_t product = 1;

    for (size_t v = 0; v < cases->count; v++) {
        struct variable *variable = &cases->variables[v];
        double thresholds[VALUES_MAX], most = greatest(cases, variable->quantity);
        size_t count = variable->count;

        memcpy(thresholds, variable->values, sizeof(thresholds));
        variable->count = 0;
        add_value(variable, 0);
        for (size_t i = 0; i < count; i++) {
            double next = i + 1 < count ? thresholds[i + 1] : fmin(most, 2 * thresholds[i] + 1);

            if (thresholds[i] <= most)
                add_value(variable, thresholds[i]);
            if (thresholds[i] <= most && (thresholds[i] + next) / 2 <= most)
                add_value(variable, (thresholds[i] + next) / 2);
            if (!i && thresholds[i] / 2 <= most)
                add_value(variable, thresholds[i] / 2);
        }
        if (isfinite(most))
            add_value(variable, most);
        product *= variable->count;
        if (product > CASES_MAX)
            return false;
    }
    return true;
}

static bool next_case(struct cases *cases)
{
    for (size_t v = 0; v < cases->count; v++) {
        if (++cases->variables[v].at < cases->variables[v].count)
            return true;
        cases->variables[v].at = 0;
    }
    return false;
}

static double value_in_case(void *context, const struct pmo_condition *condition,
                            const struct pmo_node *node)
{
    const struct variable *variable = variable_of(context, condition, node);

    return variable->values[variable->at];
}

static bool holds(struct cases *cases, const struct pmo_rule *rule)
{
    return pmo_condition_holds_with(&rule->condition, value_in_case, cases);
}

static bool begin(struct cases *cases, const struct review *review, const struct pmo_rule *a,
                  const struct pmo_rule *b, bool coarse)
{
    *cases = (struct cases){.coarse = coarse, .most = review->most};
    return collect(cases, &a->condition, 1) && (!b || collect(cases, &b->condition, 2)) &&
           spread(cases);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static bool can_hold(const struct review *review, const struct pmo_rule *rule)
{
    struct cases cases;

    if (!begin(&cases, review, rule, NULL, false))
        return true;
    do {
        if (holds(&cases, rule))
            return true;
    } while (next_case(&cases));
    return false;
}

/* Does @a hold wherever @b does? */
static bool follows(const struct review *review, const struct pmo_rule *a, const struct pmo_rule *b)
{
    struct cases cases;

    if (!begin(&cases, review, a, b, false))
        return false;
    do {
        if (holds(&cases, b) && !holds(&cases, a))
            return false;
    } while (next_case(&cases));
    return true;
}

/* In a case in which both hold: is it by what both are about? */
static bool both_depend(struct cases *cases, const struct pmo_rule *a, const struct pmo_rule *b)
{
    bool a_fails = false, b_fails = false;

    for (size_t v = 0; v < cases->count; v++) {
        struct variable *variable = &cases->variables[v];
        size_t was = variable->at;

        for (size_t i = 0; variable->conditions == 3 && i < variable->count; i++) {
            variable->at = i;
            a_fails |= !holds(cases, a);
            b_fails |= !holds(cases, b);
        }
        variable->at = was;
    }
    return a_fails && b_fails;
}

static bool conflict(const struct review *review, const struct pmo_rule *a,
                     const struct pmo_rule *b)
{
    struct cases cases;

    if (!begin(&cases, review, a, b, true))
        return false;
    do {
        if (holds(&cases, a) && holds(&cases, b) && both_depend(&cases, a, b))
            return true;
    } while (next_case(&cases));
    return false;
}

/* Of two rules that both hold: does @a ask for as many as @b, or more, whatever there is? */
static bool asks_for_more(const struct pmo_rule *a, const struct pmo_rule *b)
{
    if (a->action == PMO_SCALE_UP_BY && b->action == PMO_SCALE_DOWN_BY)
        return true;
    if (a->action != b->action)
        return false;
    return a->action == PMO_SCALE_DOWN_BY ? a->instances <= b->instances
                                          : a->instances >= b->instances;
}

static void review_effect(const struct review *review, const struct pmo_rule *rule)
{
    if (rule->action == PMO_SCALE_TO && rule->instances > review->most)
        warn(review, rule->line,
             "\"%s\" asks for %u instances, and there are never more than %u; raise "
             "instances.max, or write fewer",
             rule->text, rule->instances, review->most);
    else if (rule->action == PMO_SCALE_TO && rule->instances < review->least)
        warn(review, rule->line,
             "\"%s\" asks for %u, and there are never fewer than %u; lower instances.min, or write "
             "more",
             rule->text, rule->instances, review->least);
    else if (rule->action != PMO_SCALE_TO && review->least == review->most)
        warn(review, rule->line, "\"%s\" changes nothing: instances.min and max are both %u",
             rule->text, review->most);
    if (!can_hold(review, rule))
        warn(review, rule->line, "\"%s\" never acts: its condition cannot be true", rule->text);
}

static void review_pair(const struct review *review, const struct pmo_rule *first,
                        const struct pmo_rule *second)
{
    const struct pmo_rule *up = first, *down = second;

    if (!can_hold(review, first) || !can_hold(review, second))
        return; /* told before */
    if (asks_for_more(first, second) && first->for_s <= second->for_s &&
        follows(review, first, second)) {
        warn(review, second->line,
             "\"%s\" never decides: wherever it holds, \"%s\" asks for as many or more",
             second->text, first->text);
        return;
    }
    if (asks_for_more(second, first) && second->for_s <= first->for_s &&
        follows(review, second, first)) {
        warn(review, first->line,
             "\"%s\" never decides: wherever it holds, \"%s\" asks for as many or more",
             first->text, second->text);
        return;
    }
    if (first->action == PMO_SCALE_DOWN_BY) {
        up = second;
        down = first;
    }
    if (up->action == PMO_SCALE_UP_BY && down->action == PMO_SCALE_DOWN_BY &&
        conflict(review, up, down))
        warn(review, second->line,
             "\"%s\" and \"%s\" may hold at once and pull to and fro; leave room between their "
             "thresholds",
             first->text, second->text);
}

/* ---- times ----------------------------------------------------------------------------------- */

/* What a schedule's begin is frozen by; NULL: nothing. */
static const struct pmo_freeze *frozen_by(const struct review *review,
                                          const struct pmo_schedule *schedule, int64_t start)
{
    const struct pmo_policy *policy = review->policy;
    struct pmo_occurrence occurrences[PMO_FREEZES_MAX] = {}, since;
    const struct pmo_freeze *freeze =
        pmo_freezes_at(policy->freezes, policy->freezes_count, occurrences, start, &since);

    return freeze && freeze->up && schedule->min > policy->min ? NULL : freeze;
}

static size_t starts_of(const struct review *review, const struct pmo_recurrence *when,
                        int64_t starts[LOOKED_AT])
{
    return pmo_cron_between(&when->cron, when->zone, review->now, review->now + YEAR_S, starts,
                            LOOKED_AT);
}

/* Does @b go on when @a begins? */
static bool begins_in(const struct review *review, const struct pmo_schedule *a,
                      const struct pmo_schedule *b)
{
    int64_t starts[LOOKED_AT];
    size_t count = starts_of(review, &a->when, starts);
    struct pmo_occurrence o = {};

    for (size_t i = 0; i < count; i++) {
        pmo_recurrence_follow(&b->when, starts[i], &o);
        if (o.start <= starts[i])
            return true;
    }
    return false;
}

static void review_clash(const struct review *review, const struct pmo_schedule *a,
                         const struct pmo_schedule *b)
{
    if (b->max && a->min > b->max && !a->max &&
        (begins_in(review, a, b) || begins_in(review, b, a)))
        warn(review, b->line,
             "schedules %s and %s go on at once, and the min %u of one is more than the max %u of "
             "the other: the min counts",
             a->name, b->name, a->min, b->max);
}

static void review_schedule(const struct review *review, const struct pmo_schedule *schedule)
{
    const struct pmo_policy *policy = review->policy;
    const struct pmo_freeze *freeze = NULL;
    int64_t starts[LOOKED_AT];
    size_t count = starts_of(review, &schedule->when, starts);

    if (!count)
        warn(review, schedule->line, "schedule %s does not begin within a year", schedule->name);
    for (size_t i = 0; i < count && !freeze; i++)
        freeze = frozen_by(review, schedule, starts[i]);
    if (freeze)
        warn(
            review, schedule->line,
            "schedule %s begins while the freeze of line %zu goes on, and has no effect until that "
            "is over",
            schedule->name, freeze->line);
    for (size_t other = 0; other < policy->schedules_count; other++)
        if (&policy->schedules[other] != schedule)
            review_clash(review, schedule, &policy->schedules[other]);
}

static void review_freezes(const struct review *review)
{
    const struct pmo_policy *policy = review->policy;
    int64_t starts[LOOKED_AT];

    for (size_t i = 0; i < policy->freezes_count; i++)
        if (!starts_of(review, &policy->freezes[i].when, starts))
            warn(review, policy->freezes[i].line, "this freeze does not begin within a year");
}

void pmo_policy_review(const struct pmo_policy *policy, int64_t now, pmo_review_fn warn_fn,
                       void *context)
{
    struct review review = {policy, policy->min, policy->max, now, warn_fn, context};

    for (size_t i = 0; i < policy->schedules_count; i++) {
        const struct pmo_schedule *s = &policy->schedules[i];

        review.least = s->min && s->min < review.least ? s->min : review.least;
        review.most = s->max > review.most ? s->max : review.most;
    }
    for (size_t i = 0; i < policy->rules_count; i++) {
        review_effect(&review, &policy->rules[i]);
        for (size_t j = 0; j < i; j++)
            review_pair(&review, &policy->rules[j], &policy->rules[i]);
    }
    for (size_t i = 0; i < policy->schedules_count; i++)
        review_schedule(&review, &policy->schedules[i]);
    review_freezes(&review);
}
