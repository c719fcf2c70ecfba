/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/rules.h"

#include <math.h>

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* How many instances keep an up-rule on the share of capacity from firing (again). */
static uint32_t hold_of(const struct pmo_rule *rule, const struct pmo_situation *situation)
{
    const struct pmo_condition *condition = &rule->condition;
    struct pmo_situation fewer = *situation;
    uint32_t hold = 0;

    for (size_t i = 0; i < condition->count && rule->action == PMO_SCALE_UP_BY; i++) {
        const struct pmo_node *node = &condition->nodes[i];
        double value, count;

        if (!pmo_node_compares(node) || !pmo_node_is_above(node) || !(node->threshold > 0) ||
            (node->quantity != PMO_PREDICTED_UTILIZATION && node->quantity != PMO_UTILIZATION))
            continue;
        value = pmo_quantity_value(condition, node, situation);
        if (isnan(value))
            continue;
        count = ceil(value * max_u32(situation->count, 1) / node->threshold - 1e-9);
        count = fmin(fmax(count, 0), situation->count);
        fewer.count = count > 1 ? (uint32_t)count - 1 : 1;
        /* what else stands in the condition may keep it from firing, however few there are */
        if (condition->count == 1 || pmo_condition_holds(condition, &fewer))
            hold = max_u32(hold, (uint32_t)count);
    }
    return hold;
}

/* What a rule wants whose condition has held for long enough; 0: nothing. */
static uint32_t wish_of(const struct pmo_rule *rule, const struct pmo_rule_memory *memory,
                        const struct pmo_need *need, uint32_t base, int64_t t)
{
    bool cooling = (double)(t - memory->acted) < fmax(1, need->lead_time_s);

    switch (rule->action) {
    case PMO_SCALE_TO:
        return rule->instances;
    case PMO_SCALE_UP_BY:
        return cooling ? base : base + rule->instances; /* and does not let others lower it */
    case PMO_SCALE_DOWN_BY:
        if (cooling)
            return 0;
        return base > rule->instances ? base - rule->instances : 1;
    }
    return 0;
}

struct pmo_verdict pmo_rules_ask(const struct pmo_policy *policy, struct pmo_rule_memory *memories,
                                 const struct pmo_situation *situation)
{
    struct pmo_verdict verdict = {.strongest = -1};
    int64_t t = situation->t;

    for (size_t i = 0; i < policy->rules_count; i++) {
        const struct pmo_rule *rule = &policy->rules[i];
        struct pmo_rule_memory *memory = &memories[i];
        uint32_t wish;

        verdict.hold = max_u32(verdict.hold, hold_of(rule, situation));
        if (!pmo_condition_holds(&rule->condition, situation)) {
            memory->held_since = PMO_NEVER;
            continue;
        }
        verdict.any = true;
        if (memory->held_since == PMO_NEVER)
            memory->held_since = t;
        if (t - memory->held_since < (int64_t)rule->for_s)
            continue;
        wish = wish_of(rule, memory, situation->need, situation->count, t);
        if (rule->action == PMO_SCALE_TO)
            verdict.hold = max_u32(verdict.hold, wish);
        if (wish <= verdict.wants)
            continue;
        verdict.wants = wish;
        verdict.strongest = (int)i;
    }
    return verdict;
}
