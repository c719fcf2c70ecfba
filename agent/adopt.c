/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the planner goes on with when an agent starts or its configuration is read anew: the count
 * that was last ordered for a service, the changes that rate limits count, what its budget had to
 * pay for. A restart and a new file are no way around a limit.
 */
#include "agent/core.h"

#include <errno.h>
#include <stdlib.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/decide/limits.h"

static int adopt_spending(struct pmo_core *core, const struct pmo_service *service)
{
    const struct pmo_policy *policy = service->policy;
    double instance_s;
    int r;

    if (!policy || !policy->budget.period_s || !core->flushed)
        return 0;
    r = pmo_history_instance_seconds(core->state_dir, service->name,
                                     core->flushed - policy->budget.period_s, &instance_s);
    if (r)
        return pmo_err_r(r, "cannot read what service %s has spent", service->name);
    return pmo_planner_adopt_spending(core->agent.planner, service->name, instance_s,
                                      core->flushed);
}

/* Keeps the changes that were ordered, newest first as they come; others are of no account. */
struct changes {
    size_t count;
    struct {
        int64_t t;
        uint32_t from, to;
    } list[PMO_LIMIT_PERIOD_MAX_S]; /* no more than one decision a second */
};

static int keep_change(void *context, int64_t id, const char *text)
{
    struct changes *changes = context;
    json_int_t t = 0, from = 0, to = 0;
    json_t *json = json_loads(text, 0, NULL);
    int ordered = 0;

    (void)json_unpack(json, "{s:I, s:I, s:I, s:b}", "t", &t, "from", &from, "to", &to, "carriedOut",
                      &ordered);
    json_decref(json);
    if (!ordered)
        return 0;
    changes->list[changes->count].t = t;
    changes->list[changes->count].from = (uint32_t)from;
    changes->list[changes->count].to = (uint32_t)to;
    return ++changes->count == PMO_LIMIT_PERIOD_MAX_S;
}

/* What rate limits count. */
static int adopt_changes(struct pmo_core *core, const struct pmo_service *service)
{
    _cleanup_free_ struct changes *changes = calloc(1, sizeof(*changes));
    int r;

    if (!changes)
        return -ENOMEM;
    r = pmo_history_decisions(core->agent.history, service->name,
                              core->agent.now - PMO_LIMIT_PERIOD_MAX_S, PMO_LIMIT_PERIOD_MAX_S,
                              keep_change, changes);
    if (r < 0)
        return 0; /* without a history, which has been said, limits begin anew */
    for (r = 0; !r && changes->count; changes->count--)
        r = pmo_planner_adopt_change(
            core->agent.planner, service->name, changes->list[changes->count - 1].from,
            changes->list[changes->count - 1].to, changes->list[changes->count - 1].t);
    return r;
}

int pmo_core_adopt(struct pmo_core *core, const struct pmo_service *service)
{
    int r = pmo_planner_adopt(core->agent.planner, service->name, service->wanted, core->agent.now);

    if (!r)
        r = adopt_changes(core, service);
    return r ? r : adopt_spending(core, service);
}
