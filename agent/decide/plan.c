/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From needs (need.c) to decisions. Each second:
 *
 *   1. more is needed than stands: go up at once;
 *   2. fewer have been enough for down_delay_s (the most that was needed in that time, kept second
 *      by second), and fewer are worth keeping: go down to that;
 *   3. rules: of those whose condition holds, the one that wants most. It raises at once; it lowers
 *      past the delay of 2, but never below what is needed now or expected;
 *   4. rate limits: not more changes in a period than allowed;
 *   5. the policy's minimum and maximum, or those of a schedule, which go before all that;
 *   6. the service's share, where all want more than the host may have;
 *   7. freezes, in which nothing of it is done.
 *
 * Where the budget is nearly spent, what is needed is what the load of now needs, and no rule
 * counts.
 *
 * Two counts matter. `standing` is what was last asked for (mode act) or last recommended, which 1
 * and 2 compare with, so that a need that goes to and fro does not make a decision each second.
 * `base` is what rules and limits count from: in mode act the same, in mode recommend the instances
 * there really are, because nobody has to follow a recommendation.
 */
#include "agent/decide/plan.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "agent/decide/need.h"
#include "agent/decide/rules.h"

#define LOAD_SECONDS   10
#define LOAD_DOUBLES_S 3600.0

/* What is remembered of one service. */
struct tracked {
    char name[64];
    struct tracked *next;
    bool adopted;
    bool trusted; /* the forecast, at the last call */
    bool lost_trust;
    bool decided;      /* pmo_planner_decide() was called before */
    uint32_t standing; /* see above */
    uint32_t real;     /* instances there were at the last call */
    int64_t last_t;
    double known_rps;                      /* load lately, where it was known */
    int64_t known_t;                       /* when that was */
    uint16_t needed[PMO_DOWN_DELAY_MAX_S]; /* by second, a ring */
    struct pmo_changes up, down;           /* of `base` */
    struct pmo_spending spending;
    double spent_s; /* instance-seconds in the budget's period */
    size_t number;  /* of its wish */
    struct pmo_rule_memory rules[PMO_RULES_MAX];
    struct pmo_windows windows; /* noted where the policy has rules */
    struct pmo_occurrence schedules[PMO_SCHEDULES_MAX], freezes[PMO_FREEZES_MAX];
    int64_t frozen_since; /* of the freeze that was told of last */
};

struct pmo_planner {
    int64_t next_id;
    uint32_t limit;                   /* instances of all; 0: any number */
    struct tracked *services, *asked; /* a list, and who of it was asked for last */
    struct pmo_wish *wishes;          /* the last of each, by their numbers */
    size_t count;
};

/* A decision in the making. */
struct draft {
    uint32_t to;
    const char *rule;               /* NULL: nothing changes */
    struct pmo_rule_memory *memory; /* of that rule, where it is one of the policy's */
    bool withheld;                  /* frozen, and that is not told yet */
    char reason[256];
};

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t bounded(uint32_t count, uint32_t min, uint32_t max)
{
    return count < min ? min : count > max ? max : count;
}

/* ---- memory ---------------------------------------------------------------------------------- */

int pmo_planner_new(struct pmo_planner **planner, int64_t first_id)
{
    struct pmo_planner *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->next_id = first_id;
    *planner = p;
    return 0;
}

void pmo_planner_free(struct pmo_planner **planner)
{
    struct tracked *next;

    if (!*planner)
        return;
    for (struct tracked *service = (*planner)->services; service; service = next) {
        next = service->next;
        free(service);
    }
    free((*planner)->wishes);
    free(*planner);
    *planner = NULL;
}

void pmo_planner_limit(struct pmo_planner *planner, uint32_t instances)
{
    planner->limit = instances;
}

/* Services are asked for in the same order each second: so the next one is mostly the next. */
static struct tracked *find(struct pmo_planner *planner, const char *name)
{
    struct tracked *service = planner->asked ? planner->asked->next : NULL;

    if (service && !strcmp(service->name, name))
        return planner->asked = service;
    for (service = planner->services; service; service = service->next)
        if (!strcmp(service->name, name))
            return planner->asked = service;
    return NULL;
}

static struct tracked *track(struct pmo_planner *planner, const char *name)
{
    struct tracked *service = find(planner, name), **end = &planner->services;
    struct pmo_wish *wishes;

    if (service)
        return service;
    wishes = realloc(planner->wishes, (planner->count + 1) * sizeof(*wishes));
    if (!wishes)
        return NULL;
    planner->wishes = wishes;
    service = calloc(1, sizeof(*service));
    if (!service)
        return NULL;
    service->number = planner->count++;
    wishes[service->number] = (struct pmo_wish){};
    (void)snprintf(service->name, sizeof(service->name), "%s", name);
    service->known_t = PMO_NEVER;
    service->frozen_since = PMO_NEVER;
    for (int i = 0; i < PMO_RULES_MAX; i++)
        service->rules[i] = (struct pmo_rule_memory){PMO_NEVER, PMO_NEVER};
    while (*end)
        end = &(*end)->next;
    *end = service;
    return service;
}

/* Begins with a count as if it had been needed all along: whether fewer would do is not known yet.
 */
static void stand_at(struct tracked *service, uint32_t count, int64_t t)
{
    service->standing = count;
    service->last_t = t;
    for (int i = 0; i < PMO_DOWN_DELAY_MAX_S; i++)
        service->needed[i] = (uint16_t)count;
}

int pmo_planner_adopt(struct pmo_planner *planner, const char *service, uint32_t wanted, int64_t t)
{
    struct tracked *tracked = track(planner, service);

    if (!tracked)
        return -ENOMEM;
    stand_at(tracked, wanted, t);
    planner->wishes[tracked->number].wanted = wanted;
    tracked->adopted = true;
    return 0;
}

static void note_change(struct tracked *service, int64_t t, uint32_t from, uint32_t to)
{
    if (to > from)
        pmo_changes_note(&service->up, t, to - from);
    else
        pmo_changes_note(&service->down, t, from - to);
}

int pmo_planner_adopt_change(struct pmo_planner *planner, const char *service, uint32_t from,
                             uint32_t to, int64_t t)
{
    struct tracked *tracked = track(planner, service);

    if (!tracked)
        return -ENOMEM;
    note_change(tracked, t, from, to);
    return 0;
}

int pmo_planner_adopt_spending(struct pmo_planner *planner, const char *service, double instance_s,
                               int64_t t)
{
    struct tracked *tracked = track(planner, service);

    if (!tracked)
        return -ENOMEM;
    pmo_spending_begin(&tracked->spending, t, instance_s);
    return 0;
}

static uint16_t *needed_at(struct tracked *service, int64_t t)
{
    int64_t slot = t % PMO_DOWN_DELAY_MAX_S;

    return &service->needed[slot < 0 ? slot + PMO_DOWN_DELAY_MAX_S : slot];
}

/* Notes what is needed in second t; seconds without a call needed what the last one did. */
static void note_needed(struct tracked *service, int64_t t, uint32_t needed)
{
    uint16_t last = *needed_at(service, service->last_t);
    int64_t gap = t - service->last_t;

    for (int64_t s = gap < PMO_DOWN_DELAY_MAX_S ? t - gap + 1 : t - PMO_DOWN_DELAY_MAX_S + 1; s < t;
         s++)
        *needed_at(service, s) = last;
    if (gap > 0)
        *needed_at(service, t) = 0;
    service->last_t = t;
    if (*needed_at(service, t) < needed)
        *needed_at(service, t) = (uint16_t)(needed < UINT16_MAX ? needed : UINT16_MAX);
}

/* What would have been enough for all of the last @delay_s seconds. */
static uint32_t enough_for(struct tracked *service, int64_t t, double delay_s)
{
    int64_t delay = (int64_t)fmin(PMO_DOWN_DELAY_MAX_S, fmax(1, ceil(delay_s)));
    uint32_t most = 0;

    for (int64_t s = t - delay + 1; s <= t; s++)
        most = max_u32(most, *needed_at(service, s));
    return most;
}

/* Takes in what happened since the last call. */
static void observe_real(struct tracked *service, enum pmo_mode mode, uint32_t real, int64_t t)
{
    uint32_t was = service->real;

    service->real = real;
    if (!service->decided) {
        service->decided = true;
        if (!service->adopted || mode != PMO_MODE_ACT)
            stand_at(service, real, t);
        return;
    }
    if (mode == PMO_MODE_ACT || real == was)
        return;
    note_change(service, t, was, real);
    /* the recommendation was followed, or somebody went another way while there was none */
    if (service->standing == was || (service->standing > was && real >= service->standing) ||
        (service->standing < was && real <= service->standing))
        service->standing = real;
}

/* What to take for the load of a second that nobody saw: what it was lately, and more with time, as
 * a random walk gets away with the square root of it. So a blind agent gives nothing up that the
 * load might still need. */
static double load_of(struct tracked *service, double load_rps, int64_t t)
{
    if (!isnan(load_rps)) {
        double share = service->known_t == PMO_NEVER ? 1 : 1.0 / LOAD_SECONDS;

        service->known_rps += share * (load_rps - service->known_rps);
        service->known_t = t;
        return load_rps;
    }
    if (service->known_t == PMO_NEVER)
        return NAN;
    return service->known_rps * (1 + sqrt((double)(t - service->known_t) / LOAD_DOUBLES_S));
}

static bool is_spent(const struct tracked *service, const struct pmo_policy *policy)
{
    return policy->budget.period_s &&
           service->spent_s >= PMO_BUDGET_NEAR * policy->budget.instance_s;
}

/* ---- sentences ------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void say(struct draft *draft, const char *format, ...)
{
    size_t used = strlen(draft->reason);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(draft->reason + used, sizeof(draft->reason) - used, format, args);
    va_end(args);
}

static int decimals(double rps)
{
    return rps < 10 && rps != floor(rps) ? 1 : 0;
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

/* "predicted load 182 rps (0.95 quantile, next 5 s)" */
static void say_load(struct draft *draft, const struct pmo_need *need)
{
    double rps = need->trusted ? need->predicted_rps : need->load_rps;

    if (need->trusted)
        say(draft, "predicted load %.*f rps (%g quantile, next %u s)", decimals(rps), rps,
            need->quantile, need->horizon_s);
    else
        say(draft, "load %.*f rps", decimals(rps), rps);
}

static void say_up(struct draft *draft, const struct pmo_need *need)
{
    if (need->wanted > need->now) {
        say_load(draft, need);
        say(draft, " needs %u instance%s of %.*f rps at %.0f %%", need->wanted,
            plural(need->wanted), decimals(need->capacity_rps), need->capacity_rps,
            100 * need->target);
        if (!need->trusted)
            say(draft, " (no trusted forecast)");
        return;
    }
    say(draft, "load %.*f rps", decimals(need->load_rps), need->load_rps);
    if (need->waiting >= 1)
        say(draft, " and %.0f requests waiting", need->waiting);
    say(draft, " need%s %u instance%s of %.*f rps", need->waiting >= 1 ? "" : "s", need->now,
        plural(need->now), decimals(need->capacity_rps), need->capacity_rps);
}

static void say_down(struct draft *draft, const struct pmo_need *need,
                     const struct pmo_policy *policy, uint32_t enough)
{
    say(draft, "%u instance%s %s been enough for %.0f s; ", enough, plural(enough),
        enough == 1 ? "has" : "have", policy->down_delay_s);
    say_load(draft, need);
}

static void say_spent(struct draft *draft, const struct tracked *service,
                      const struct pmo_policy *policy)
{
    say(draft, "; %.1f of %g instance-hours in %g h are spent: only what the load needs now",
        service->spent_s / 3600, policy->budget.instance_s / 3600,
        policy->budget.period_s / 3600.0);
}

/* ---- deciding -------------------------------------------------------------------------------- */

/* Steps 1 and 2. @enough: what sufficed during the delay; @keep: what is worth keeping. */
static void follow_need(struct draft *draft, const struct pmo_need *need,
                        const struct pmo_policy *policy, uint32_t standing, uint32_t enough,
                        uint32_t keep)
{
    uint32_t down = max_u32(enough, keep);

    if (need->wanted > standing) {
        draft->to = need->wanted;
        draft->rule = need->trusted && need->wanted > need->now ? "forecast" : "reactive";
        say_up(draft, need);
    } else if (down < standing) {
        draft->to = down;
        draft->rule = need->trusted ? "forecast" : "reactive";
        say_down(draft, need, policy, enough);
    }
}

/* Step 3. @floor: no rule lowers the count below this. */
static void follow_rules(struct draft *draft, struct tracked *service,
                         const struct pmo_policy *policy, const struct pmo_situation *situation,
                         const struct pmo_verdict *verdict, uint32_t floor)
{
    uint32_t base = situation->count;
    const struct pmo_rule *rule;
    uint32_t to = verdict->wants;

    if (verdict->strongest < 0)
        return;
    if (to < base)
        to = bounded(floor, to, base);
    if (to == base || (to > base && to <= draft->to) || (to < base && to >= draft->to))
        return;
    rule = &policy->rules[verdict->strongest];
    *draft =
        (struct draft){.to = to, .rule = rule->text, .memory = &service->rules[verdict->strongest]};
    pmo_condition_describe(&rule->condition, situation, draft->reason, sizeof(draft->reason));
}

/* Step 4. */
static void keep_limits(struct draft *draft, const struct tracked *service,
                        const struct pmo_policy *policy, uint32_t base, int64_t t)
{
    uint32_t up = pmo_changes_left(&service->up, t, policy->up_limit, policy->up_period_s);
    uint32_t down = pmo_changes_left(&service->down, t, policy->down_limit, policy->down_period_s);

    if (draft->to > base && draft->to - base > up) {
        draft->to = base + up;
        say(draft, "; held to %u by the limit of %u per %u s", draft->to, policy->up_limit,
            policy->up_period_s);
    } else if (draft->to < base && base - draft->to > down) {
        draft->to = base - down;
        say(draft, "; held to %u by the limit of %u per %u s", draft->to, policy->down_limit,
            policy->down_period_s);
    }
}

/* Step 5. */
static void keep_bounds(struct draft *draft, const struct pmo_bounds *bounds)
{
    uint32_t to = draft->to;
    const char *by = to < bounds->min ? bounds->min_by : bounds->max_by;

    draft->to = bounded(to, bounds->min, bounds->max);
    if (draft->to == to)
        return;
    if (!draft->rule)
        draft->rule = by ? "schedule" : "bounds";
    say(draft, *draft->reason ? "; " : "");
    if (by)
        say(draft, "schedule %s: the ", by);
    else
        say(draft, "the policy's ");
    say(draft, "%s is %u instance%s", to < bounds->min ? "minimum" : "maximum", draft->to,
        plural(draft->to));
}

/* Step 6. */
static void share(struct draft *draft, struct pmo_planner *planner, const struct tracked *service,
                  uint32_t min, uint32_t priority)
{
    uint32_t granted;

    planner->wishes[service->number] = (struct pmo_wish){min, draft->to, priority};
    if (!planner->limit)
        return;
    granted = pmo_limits_grant(planner->wishes, planner->count, service->number, planner->limit);
    if (granted >= draft->to)
        return;
    if (!draft->rule)
        draft->rule = "limits";
    draft->to = granted;
    say(draft, "%sheld to %u: all services together have %u instances (priority %u)",
        *draft->reason ? "; " : "", granted, planner->limit, priority);
}

/* Step 7. */
static void keep_freeze(struct draft *draft, struct tracked *service,
                        const struct pmo_policy *policy, int64_t t, uint32_t *wish)
{
    struct pmo_occurrence since;
    const struct pmo_freeze *freeze =
        pmo_freezes_at(policy->freezes, policy->freezes_count, service->freezes, t, &since);
    char end[32] = "";
    struct tm tm;

    if (!freeze || draft->to == service->standing || (freeze->up && draft->to > service->standing))
        return;
    (void)strftime(end, sizeof(end), "%Y-%m-%d %H:%M UTC", gmtime_r(&(time_t){since.end}, &tm));
    say(draft, "; not done: %s until %s", freeze->up ? "nothing is given up" : "frozen", end);
    draft->to = service->standing;
    *wish = draft->to;
    draft->rule = "freeze";
    draft->memory = NULL;
    draft->withheld = service->frozen_since != since.start;
    service->frozen_since = since.start;
}

static struct draft make_draft(struct pmo_planner *planner, struct tracked *service,
                               const struct pmo_policy *policy, const struct pmo_need *need,
                               const struct pmo_service_state *state, enum pmo_mode mode, int64_t t)
{
    uint32_t base = mode == PMO_MODE_ACT ? service->standing : service->real;
    const struct pmo_situation situation = {need, state, &service->windows, base, t};
    struct pmo_verdict verdict;
    bool spent = is_spent(service, policy);
    bool driven = (policy->quantile > 0 || spent) && need->capacity_rps > 0;
    uint32_t floor, keep;
    struct pmo_bounds bounds = {.min = policy->min, .max = policy->max};
    struct draft draft = {.to = service->standing};

    if (policy->rules_count)
        pmo_windows_note(&service->windows, state, t);
    verdict = pmo_rules_ask(policy, service->rules, &situation);
    if (spent)
        verdict = (struct pmo_verdict){.strongest = -1};
    floor = max_u32(need->now, verdict.hold);
    note_needed(service, t, max_u32(need->wanted, verdict.hold));
    if (driven) {
        keep = pmo_need_keep(need, state->forecast, service->standing);
        floor = max_u32(floor, keep);
        follow_need(&draft, need, policy, service->standing,
                    enough_for(service, t, policy->down_delay_s), keep);
    } else if (mode == PMO_MODE_RECOMMEND && !verdict.any) {
        draft.to = base; /* nothing speaks for the recommendation any more */
    }
    follow_rules(&draft, service, policy, &situation, &verdict, floor);
    if (draft.rule && spent)
        say_spent(&draft, service, policy);
    if (draft.rule)
        keep_limits(&draft, service, policy, base, t);
    pmo_schedules_bound(&bounds, policy->schedules, policy->schedules_count, service->schedules, t,
                        need->lead_time_s);
    keep_bounds(&draft, &bounds);
    share(&draft, planner, service, bounds.min, policy->priority);
    keep_freeze(&draft, service, policy, t, &planner->wishes[service->number].wanted);
    if (draft.to > service->standing)
        note_needed(service, t, draft.to); /* what a rule raised stays for the delay, too */
    if (draft.memory && draft.to != base)
        *draft.memory =
            (struct pmo_rule_memory){.acted = t, .held_since = t}; /* "for" begins anew */
    return draft;
}

static double utilization(const struct pmo_need *need, const struct pmo_service_state *state)
{
    if (!state->ready || !(need->capacity_rps > 0))
        return NAN;
    return need->predicted_rps / (state->ready * need->capacity_rps);
}

int pmo_planner_decide(struct pmo_planner *planner, const struct pmo_policy *policy,
                       enum pmo_mode mode_cap, const struct pmo_service_state *state, int64_t t,
                       uint32_t *wanted, struct pmo_decision *decision)
{
    enum pmo_mode mode = policy->mode < mode_cap ? policy->mode : mode_cap;
    uint32_t real = state->ready + state->starting, base;
    struct pmo_service_state known = *state;
    struct tracked *service;
    struct pmo_need need;
    struct draft draft;

    if (mode == PMO_MODE_OBSERVE) {
        *wanted = bounded(real, policy->min, policy->max);
        return 0;
    }
    service = track(planner, state->name);
    if (!service)
        return -ENOMEM;
    observe_real(service, mode, real, t);
    base = mode == PMO_MODE_ACT ? service->standing : real;
    known.load_rps = load_of(service, state->load_rps, t);
    known.lost_trust = service->lost_trust;
    pmo_need_assess(&need, policy, &known, t);
    service->lost_trust = !need.trusted && (service->lost_trust || service->trusted);
    service->trusted = need.trusted;
    if (policy->budget.period_s)
        service->spent_s =
            pmo_spending_note(&service->spending, &policy->budget, t, real + state->draining);
    if (is_spent(service, policy)) {
        need.trusted = false;
        need.wanted = need.now;
    }
    draft = make_draft(planner, service, policy, &need, state, mode, t);
    *wanted = draft.to;
    if (draft.withheld)
        draft.to = base; /* which is told, and no more */
    else if (draft.to == service->standing)
        return 0;
    else if (mode == PMO_MODE_ACT)
        note_change(service, t, base, draft.to);
    service->standing = *wanted;
    if (draft.to == base && !draft.withheld)
        return 0; /* a recommendation is withdrawn */
    say(&draft, "; %u ready, %u starting", state->ready, state->starting);

    *decision = (struct pmo_decision){
        .id = planner->next_id++,
        .t = t,
        .mode = mode,
        .from = base,
        .to = draft.to,
        .ready = state->ready,
        .starting = state->starting,
        .load_rps = state->load_rps,
        .predicted_rps = need.predicted_rps,
        .quantile = need.quantile,
        .horizon_s = need.horizon_s,
        .capacity_rps = need.capacity_rps,
        .over = pmo_need_over(&need, state->forecast, draft.to),
        .over_fewer = draft.to ? pmo_need_over(&need, state->forecast, draft.to - 1) : NAN,
        .over_more = pmo_need_over(&need, state->forecast, draft.to + 1),
        .came_over = NAN,
        .came_peak_rps = NAN,
        .came_late = NAN,
        .utilization = utilization(&need, state),
    };
    (void)snprintf(decision->service, sizeof(decision->service), "%s", state->name);
    (void)snprintf(decision->policy, sizeof(decision->policy), "%s", policy->name);
    (void)snprintf(decision->rule, sizeof(decision->rule), "%s", draft.rule);
    (void)snprintf(decision->reason, sizeof(decision->reason), "%s", draft.reason);
    return 1;
}
