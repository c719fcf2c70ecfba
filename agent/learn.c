/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What decisions need to know of instances, learned from what instances do: how much one can take
 * (agent/decide/capacity.h), how long one takes to start (agent/decide/lead_time.h), and what came
 * of decisions (agent/decide/outcome.h). Only those instances count that are ready and serve well
 * already; what they use while they start is no request's.
 */
#include "agent/core.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include "agent/base/log.h"

#define LATENCY_S     0.25 /* objective where no policy states one */
#define LATE          0.01 /* share of requests that may take longer */
#define LEAD_QUANTILE 0.9
#define BISECTIONS    10
#define BUSY          0.5 /* of saturation: from here on instances have work of their own */
#define READY_NOW_S   2.0 /* one that was ready before was adopted: its start was seen already */

/* As the history keeps it. */
struct learned {
    struct pmo_capacity capacity;
    struct pmo_lead_times lead_times;
    struct pmo_outcome outcome;
};
#define LEARNED_VERSION 1 /* with any change of these */
#define KEEP_EVERY_S    60

void pmo_learn_start(struct pmo_agent_instance *instance, const struct pmo_backend_instance *b)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (instance->started || !(b->ready_s > b->ordered_s))
        return;
    instance->started = true;
    if ((double)now.tv_sec - b->ready_s < READY_NOW_S)
        instance->start = (struct pmo_start){.ready_after_s = b->ready_s - b->ordered_s};
}

/* FNV-1a, of what the work depends on. */
static uint64_t type_number(const struct pmo_type *type)
{
    uint64_t hash = 0xcbf29ce484222325ULL ^ type->method;

    for (const char *c = type->route; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3ULL;
    return hash ? hash : 1;
}

void pmo_learn_answered(struct pmo_agent_instance *instance, const struct pmo_type *type,
                        int64_t since, int64_t until, const struct pmo_counts *counts)
{
    struct pmo_answers *answers = &instance->answers;
    double seconds = (double)(until - since + 1);

    if (answers->t != until)
        *answers = (struct pmo_answers){.t = until};
    answers->requests += (double)counts->requests / seconds;
    answers->latency_s += (double)counts->first_byte_ns / 1e9 / seconds;
    pmo_mix_add(&instance->service->capacity.mix, type_number(type),
                (double)counts->requests / seconds);
}

static double objective_of(const struct pmo_service *s)
{
    return s->policy ? s->policy->latency_objective_s : LATENCY_S;
}

static double goal_of(const struct pmo_service *s)
{
    return s->policy && s->policy->late > 0 ? s->policy->late : LATE;
}

static double mean(double sum, double count)
{
    return count > 0 ? sum / count : NAN;
}

static bool serves(const struct pmo_agent_instance *i)
{
    return i->phase == PMO_INSTANCE_READY && !(i->start.ready_after_s > 0);
}

/* Fills in each service's second; latency is a sum until all are in. */
static void sum_up(struct pmo_core *core, int64_t t)
{
    for (struct pmo_service *s = core->agent.services; s; s = s->next)
        s->together = (struct pmo_capacity_second){.limit_cores = NAN};
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next) {
        struct pmo_capacity_second *second = &i->service->together;

        if (!serves(i))
            continue;
        second->ready++;
        second->cpu_s += i->usage ? i->cpu_share : NAN;
        second->limit_cores = fmin(second->limit_cores, i->cpu_limit); /* NAN is more */
        if (i->answers.t != t)
            continue;
        second->answered += i->answers.requests;
        second->latency_s += i->answers.latency_s;
    }
    for (struct pmo_service *s = core->agent.services; s; s = s->next)
        s->together.latency_s = mean(s->together.latency_s, s->together.answered);
}

static void follow_starts(struct pmo_core *core, int64_t t)
{
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next) {
        double latency_s = NAN, lead_s;

        if (!(i->start.ready_after_s > 0) || i->phase != PMO_INSTANCE_READY)
            continue;
        if (i->answers.t == t)
            latency_s = mean(i->answers.latency_s, i->answers.requests);
        lead_s = pmo_start_second(&i->start, latency_s, i->service->together.latency_s,
                                  objective_of(i->service));
        if (!isnan(lead_s))
            pmo_lead_times_add(&i->service->lead_times, lead_s);
    }
}

/* Share of what was answered in second @t that took longer than the objective. */
static double late_share(const struct pmo_service *s, int64_t t, double objective_s)
{
    double low = 0, high = 1, longest_us = pmo_service_store_latency(s->store, t, 1, 1);

    if (!(longest_us > objective_s * 1e6)) /* most seconds: nothing late, or nothing at all */
        return isnan(longest_us) ? NAN : 0;
    for (int i = 0; i < BISECTIONS; i++) {
        double q = (low + high) / 2;

        if (pmo_service_store_latency(s->store, t, 1, q) > objective_s * 1e6)
            high = q;
        else
            low = q;
    }
    return 1 - low;
}

/* Writes what came to the decision, where it is still at hand, and to the history. */
static void tell(struct pmo_core *core, const struct pmo_came *came)
{
    for (size_t i = 0; i < PMO_DECISIONS_KEPT; i++) {
        struct pmo_decision *decision = &core->agent.decisions[i];
        char *text;

        if (decision->id != came->id)
            continue;
        decision->came_over = came->over;
        decision->came_peak_rps = came->peak_rps;
        decision->came_late = came->late;
        text = pmo_decision_text(decision);
        if (text)
            (void)pmo_history_add_decision(core->agent.history, decision->id, decision->t,
                                           decision->service, text);
        free(text);
        return;
    }
}

static void follow_outcome(struct pmo_core *core, struct pmo_service *s, int64_t t)
{
    double busy_rps = s->learned.saturation_rps * BUSY * s->together.ready;
    struct pmo_outcome_second second = {.capacity_rps = s->ready * s->capacity_rps,
                                        .late = s->together.late};
    struct pmo_service_second last;
    struct pmo_came came;

    second.load_rps = pmo_service_store_second(s->store, t, &last) ? NAN : last.arrivals;
    second.busy = busy_rps > 0 && second.load_rps > busy_rps;
    pmo_outcome_observe(&s->outcome, t, &second, goal_of(s));
    while (pmo_outcome_came(&s->outcome, &came))
        tell(core, &came);
}

void pmo_learn_restore(struct pmo_core *core, struct pmo_service *s)
{
    struct learned learned;
    int r = pmo_history_learned(core->agent.history, s->name, LEARNED_VERSION, &learned,
                                sizeof(learned));

    if (r == -EPROTO && !core->learned_else) {
        core->learned_else = true;
        pmo_info("what another version of the agent had learned of instances is not used: it "
                 "begins anew");
    }
    if (r)
        return;
    s->capacity = learned.capacity;
    s->lead_times = learned.lead_times;
    s->outcome = learned.outcome;
}

void pmo_learn_keep(struct pmo_core *core, const struct pmo_service *s)
{
    const struct learned learned = {
        .capacity = s->capacity, .lead_times = s->lead_times, .outcome = s->outcome};

    if (s->capacity.t || s->lead_times.count || s->outcome.t)
        (void)pmo_history_keep_learned(core->agent.history, s->name, LEARNED_VERSION, &learned,
                                       sizeof(learned));
}

void pmo_learn_second(struct pmo_core *core, int64_t t)
{
    sum_up(core, t);
    follow_starts(core, t);
    for (struct pmo_service *s = core->agent.services; s; s = s->next) {
        const struct pmo_policy *policy = s->policy;

        s->together.late = late_share(s, t, objective_of(s));
        pmo_capacity_observe(&s->capacity, t, &s->together, objective_of(s), goal_of(s));
        s->learned = pmo_capacity_estimate(&s->capacity, objective_of(s), goal_of(s));
        s->capacity_rps = pmo_capacity_planned(&s->learned, policy ? policy->capacity_rps : 0);
        if (policy)
            follow_outcome(core, s, t);
        s->capacity_rps = pmo_outcome_capacity(&s->outcome, s->capacity_rps);
        s->lead_time_s = pmo_lead_times_quantile(&s->lead_times, LEAD_QUANTILE,
                                                 policy ? policy->lead_time_s : 0);
        if ((s->scope + (uint64_t)t) % KEEP_EVERY_S == 0) /* a few services a second */
            pmo_learn_keep(core, s);
    }
}
