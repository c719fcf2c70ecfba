/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what bounds all decisions: rates, budgets, priorities, and the host's bound. */
#include "agent/decide/policy_private.h"

#include <math.h>
#include <string.h>
#include "agent/base/quantity.h"

#define BUDGET_MAX_HOURS 1e7

/* "4 per 10s" */
void pmo_policy_read_limit(const struct pmo_value *map, uint32_t *limit, uint32_t *period_s)
{
    const struct pmo_value *value = pmo_value_get(map, "limit");
    const char *text = pmo_value_text(value), *at = text;
    enum pmo_dimension count_dimension, period_dimension;
    double count, period;

    if (!value)
        return;
    if (!text || pmo_quantity_scan(&at, &count, &count_dimension) < 0 ||
        count_dimension != PMO_NUMBER || strncmp(at, "per ", 4) != 0 || !(at += 4) ||
        pmo_quantity_scan(&at, &period, &period_dimension) < 0 ||
        period_dimension != PMO_DURATION || *at) {
        (void)pmo_value_complain(value, "limit: \"%.60s\" is not understood; write e.g. 4 per 10s",
                                 text ? text : "");
        return;
    }
    if (count < 1 || count > PMO_POLICY_COUNT_MAX || count != floor(count) || period < 1 ||
        period > PMO_LIMIT_PERIOD_MAX_S || period != floor(period)) {
        (void)pmo_value_complain(
            value,
            "limit: \"%.60s\" is out of range; write whole instances per whole "
            "seconds (up to 1h), e.g. 4 per 10s",
            text);
        return;
    }
    *limit = (uint32_t)count;
    *period_s = (uint32_t)period;
}

/* "40 instance-hours per 1d" */
void pmo_policy_read_budget(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char unit[] = "instance-hours per ";
    const struct pmo_value *value = pmo_value_get(spec, "budget");
    const char *text = pmo_value_text(value), *at = text;
    enum pmo_dimension hours_dimension, period_dimension;
    double hours, period;

    if (!value)
        return;
    if (!text || pmo_quantity_scan(&at, &hours, &hours_dimension) < 0 ||
        hours_dimension != PMO_NUMBER || strncmp(at, unit, sizeof(unit) - 1) != 0 ||
        !(at += sizeof(unit) - 1) || pmo_quantity_scan(&at, &period, &period_dimension) < 0 ||
        period_dimension != PMO_DURATION || *at) {
        (void)pmo_value_complain(
            value, "budget: \"%.60s\" is not understood; write e.g. 40 instance-hours per 1d",
            text ? text : "");
        return;
    }
    if (!(hours > 0) || hours > BUDGET_MAX_HOURS || period < PMO_BUDGET_MIN_S ||
        period > PMO_BUDGET_MAX_S) {
        (void)pmo_value_complain(value,
                                 "budget: \"%.60s\" is out of range; write more than 0 per 1h to "
                                 "31d, e.g. 40 instance-hours per 1d",
                                 text);
        return;
    }
    policy->budget = (struct pmo_budget){.instance_s = 3600 * hours, .period_s = (uint32_t)period};
    if (policy->min * period > policy->budget.instance_s)
        (void)pmo_value_complain(value,
                                 "budget: the minimum of %u instances takes %g instance-hours in "
                                 "this time; write as many or more",
                                 policy->min, policy->min * period / 3600);
}

void pmo_policy_read_priority(struct pmo_policy *policy, const struct pmo_value *spec)
{
    long priority = policy->priority;

    (void)pmo_value_get_integer(spec, "priority", 0, 100, &priority);
    policy->priority = (uint32_t)priority;
}

uint32_t pmo_policy_read_host(const struct pmo_value *root)
{
    static const char *const spec_keys[] = {"instances", NULL};
    const struct pmo_value *spec = pmo_value_get(root, "spec");
    long instances = 0;
    char name[64];

    pmo_policy_read_head(root, name, sizeof(name));
    (void)pmo_value_only_keys(spec, spec_keys);
    if (!pmo_value_get(spec, "instances"))
        (void)pmo_value_complain(spec ? spec : root,
                                 "how many instances may there be in all? write spec: {instances: "
                                 "40}");
    (void)pmo_value_get_integer(spec, "instances", 1, 1000000, &instances);
    return (uint32_t)instances;
}
