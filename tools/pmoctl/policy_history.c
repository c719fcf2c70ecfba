/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a policy would have come to on recorded load, through the simulator. The history has the
 * last day by seconds, and what is older by minutes (and hours): there, each second lies on a
 * straight line between the middles of two of them, since a staircase would have a step at every
 * minute that nobody can foresee. What happened within a minute is not in there; so bursts that are
 * shorter look milder than they were.
 */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/decide/simulator.h"
#include "agent/serve/json_text.h"
#include "agent/series/history.h"
#include "tools/pmoctl/progress.h"

#define SINCE_S     (7 * 86400)
#define SECONDS_MAX (400 * 86400)
#define STARTUP_S   5.0 /* where neither the policy nor --startup says */

/* Requests in each second from `begin` on. */
struct recorded {
    double *requests; /* at first only in the middles of spans, else NAN */
    bool *known;      /* the second was recorded */
    size_t seconds;
    int64_t begin;
};

static int add_span(void *context, int64_t t, uint32_t seconds, uint32_t observed, double arrivals)
{
    struct recorded *recorded = context;
    size_t first, end;
    double *requests;
    bool *known;

    if (!recorded->seconds)
        recorded->begin = t;
    first = (size_t)(t - recorded->begin);
    end = first + seconds;
    if (end > SECONDS_MAX)
        return -EFBIG;
    if (first < recorded->seconds || !observed)
        return 0;
    requests = realloc(recorded->requests, end * sizeof(*requests));
    if (!requests)
        return -ENOMEM;
    recorded->requests = requests;
    known = realloc(recorded->known, end * sizeof(*known));
    if (!known)
        return -ENOMEM;
    recorded->known = known;
    for (size_t i = recorded->seconds; i < end; i++) {
        requests[i] = NAN;
        known[i] = i >= first;
    }
    requests[recorded->seconds ? first + seconds / 2 : 0] = arrivals;
    requests[first + seconds / 2] = arrivals;
    recorded->seconds = end;
    return 0;
}

static int64_t since_of(const struct pmoctl *ctl)
{
    int64_t since = ctl->since ? strtoll(ctl->since, NULL, 10) : -SINCE_S;

    return since > 0 ? since : (int64_t)time(NULL) + since;
}

static int simulate(const struct recorded *recorded, const struct pmo_policy *policy,
                    const struct pmo_queue_model *model, uint32_t *wanted)
{
    struct pmo_simulator *simulator = NULL;
    struct pmo_progress progress;
    int r = pmo_simulator_new(&simulator, model, policy, wanted);

    if (r < 0)
        return r;
    pmo_simulator_begin(simulator, recorded->begin);
    pmo_progress_begin(&progress, recorded->seconds);
    for (size_t t = 0; t < recorded->seconds && !r; t++) {
        r = pmo_simulator_step(simulator, recorded->known[t] ? recorded->requests[t] : NAN);
        pmo_progress_at(&progress, t + 1);
    }
    pmo_progress_end(&progress);
    pmo_simulator_free(&simulator);
    return r;
}

/* Seconds that were not recorded count for nothing, as in what there was. */
static json_t *outcome(const struct recorded *recorded, const struct pmo_queue_model *model,
                       const uint32_t *wanted)
{
    double instance_seconds = 0;
    json_int_t decisions = 0, seconds = 0;
    struct pmo_queue_result result;

    for (size_t t = 0; t < recorded->seconds; t++) {
        decisions += t && wanted[t] != wanted[t - 1];
        if (!recorded->known[t])
            continue;
        instance_seconds += wanted[t];
        seconds++;
    }
    pmo_queue_run(model, recorded->requests, wanted, recorded->seconds, &result, NULL);
    return json_pack("{s:I, s:f, s:f, s:f, s:I, s:f, s:f}", "seconds", seconds, "requests",
                     result.requests, "capacityRps", model->capacity_rps, "startupS",
                     (double)model->startup_s, "decisions", decisions, "latePercent",
                     result.requests > 0 ? 100 * result.late / result.requests : 0,
                     "instanceSeconds", instance_seconds);
}

static int read_recorded(const struct pmoctl *ctl, const char *service, struct recorded *recorded,
                         double *instance_seconds)
{
    int64_t since = since_of(ctl);
    int r = pmo_history_spans(ctl->state_dir, service, since, add_span, recorded);

    if (!r)
        r = pmo_history_instance_seconds(ctl->state_dir, service, since, instance_seconds);
    if (r)
        return pmo_err_r(r, "cannot read %s/history.db; write --state-dir DIR", ctl->state_dir);
    if (!recorded->seconds)
        return pmo_fail(ENOENT,
                        "%s/history.db has nothing of service %s; write another --service "
                        "or --since",
                        ctl->state_dir, service);
    pmo_demand_fill(recorded->requests, recorded->seconds);
    for (size_t t = 0; t < recorded->seconds; t++)
        if (!recorded->known[t])
            recorded->requests[t] = 0;
    return 0;
}

json_t *pmoctl_policy_history(const struct pmoctl *ctl, const struct pmo_policy *policy)
{
    const char *service = strcmp(policy->service, "*") != 0 ? policy->service : ctl->service;
    double startup_s = policy->lead_time_s > 0 ? policy->lead_time_s : ctl->startup_s;
    struct pmo_queue_model model = {
        .capacity_rps = policy->capacity_rps > 0 ? policy->capacity_rps : ctl->capacity_rps,
        .startup_s = (uint32_t)ceil(isnan(startup_s) ? STARTUP_S : startup_s),
        .objective_s = policy->latency_objective_s};
    struct recorded recorded = {};
    _cleanup_free_ uint32_t *wanted = NULL;
    double instance_seconds = 0;
    json_t *json = NULL;
    int r;

    if (!service) {
        (void)pmo_fail(EINVAL, "policy %s is for all services; say of which with --service",
                       policy->name);
        return NULL;
    }
    if (!(model.capacity_rps > 0)) {
        (void)pmo_fail(EINVAL, "policy %s does not state instances.capacity; write --capacity RPS",
                       policy->name);
        return NULL;
    }
    r = read_recorded(ctl, service, &recorded, &instance_seconds);
    if (!r) {
        wanted = calloc(recorded.seconds, sizeof(*wanted));
        r = wanted ? simulate(&recorded, policy, &model, wanted) : -ENOMEM;
        if (r)
            (void)pmo_err_r(r, "cannot simulate %zu s", recorded.seconds);
    }
    if (!r) {
        json = outcome(&recorded, &model, wanted);
        (void)json_object_set_new(json, "policy", pmo_json_text(policy->name));
        (void)json_object_set_new(json, "service", pmo_json_text(service));
        (void)json_object_set_new(json, "recordedInstanceSeconds", json_real(instance_seconds));
    }
    free(recorded.requests);
    free(recorded.known);
    return json;
}
