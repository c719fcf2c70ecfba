/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Route folding, wired: policies pin names in the kernel side; what the kernel side learned by
 * itself is read, and it is decided once what becomes of the segments that it told apart before.
 * They are as variable as those that came later, and are counted with them from then on, with one
 * exception: where fewer than half of them were ever answered with anything but 4xx, somebody is
 * looking for what is not there (scanners of the Internet do), and those that are there are kept.
 */
#include "agent/core.h"

#include <string.h>
#include <time.h>

#define REFRESH_EVERY_S 10
#define SETTLE_AFTER_NS 3000000000ULL /* answers to what was told apart last have come by then */
#define SECOND_NS       1000000000ULL

static void read_rule(void *context, const struct pmo_fold_rule *rule)
{
    struct pmo_core *core = context;

    (void)pmo_routes_put(core->agent.routes, rule); /* without memory: the next time */
}

void pmo_routes_refresh(struct pmo_core *core)
{
    uint32_t made = pmo_kernel_control(core->kernel)->fold_rules;
    int64_t now = core->agent.now;

    if (now && made == core->rules_read && now < core->rules_refreshed + REFRESH_EVERY_S)
        return;
    core->rules_read = made;
    core->rules_refreshed = now;
    pmo_kernel_fold_rules(core->kernel, read_rule, core);
}

/* ---- pinned by policy ------------------------------------------------------------------------ */

static bool is_pinned(const struct pmo_fold_rule *rule)
{
    return rule->kind == PMO_FOLD_PINNED || rule->kind == PMO_FOLD_PINNED_KEPT;
}

static bool policy_has(const struct pmo_policy *policy, const struct pmo_fold_rule *rule)
{
    struct pmo_fold_rule pin;

    for (size_t p = 0; policy && p < policy->routes_count; p++)
        for (size_t i = 0; pmo_routes_pin(rule->scope, policy->routes[p], i, &pin); i++)
            if (pin.kind == rule->kind && !strcmp(pin.text, rule->text))
                return true;
    return false;
}

void pmo_routes_follow(struct pmo_core *core, const struct pmo_service *service)
{
    struct pmo_routes *routes = core->agent.routes;
    const struct pmo_policy *policy = service->policy;
    struct pmo_fold_rule pin;

    for (size_t p = 0; policy && p < policy->routes_count; p++)
        for (size_t i = 0; pmo_routes_pin(service->scope, policy->routes[p], i, &pin); i++)
            if (!pmo_kernel_fold_rule(core->kernel, &pin))
                (void)pmo_routes_put(routes, &pin);
    for (size_t i = pmo_routes_count(routes); i-- > 0;) {
        pin = *pmo_routes_at(routes, i);
        if (pin.scope != service->scope || !is_pinned(&pin) || policy_has(policy, &pin))
            continue;
        pmo_kernel_fold_rule_remove(core->kernel, &pin);
        pmo_routes_drop(routes, &pin);
    }
}

/* ---- learned --------------------------------------------------------------------------------- */

#define SEGMENTS_MAX (2 * PMO_FOLD_CHILDREN)

/* The segments that were told apart behind a rule's path. */
struct told_apart {
    const struct pmo_fold_rule *rule;
    bool answered; /* the type that is looked at was, with something but 4xx */
    struct {
        char path[PMO_ROUTE_BYTES]; /* up to it, as it was counted */
        bool answered;
    } segments[SEGMENTS_MAX];
    size_t count, answered_count;
};

static void look_at(void *context, const struct pmo_route_step *step)
{
    struct told_apart *told = context;
    char path[2 * PMO_ROUTE_BYTES];
    size_t i = 0;

    if (step->kept || step->segment[0] == '{' || step->rule != told->rule)
        return;
    (void)snprintf(path, sizeof(path), "%s%.*s", told->rule->text, (int)step->length,
                   step->segment);
    path[PMO_ROUTE_BYTES - 1] = '\0';
    while (i < told->count && strcmp(told->segments[i].path, path) != 0)
        i++;
    if (i == SEGMENTS_MAX)
        return;
    if (i == told->count) {
        memcpy(told->segments[i].path, path, PMO_ROUTE_BYTES);
        told->segments[told->count++].answered = false;
    }
    told->answered_count += told->answered && !told->segments[i].answered;
    told->segments[i].answered |= told->answered;
}

static void settle(struct pmo_core *core, const struct pmo_service *service,
                   const struct pmo_fold_rule *learned)
{
    uint8_t direction = learned->scope == service->scope ? PMO_INBOUND : PMO_OUTBOUND;
    struct told_apart told = {.rule = learned};
    struct pmo_fold_rule rule;
    char name[PMO_ROUTE_BYTES];
    bool keep;

    for (size_t i = 0; i < pmo_service_store_types(service->store); i++) {
        const struct pmo_type *type = pmo_service_store_type_at(service->store, i);

        if (type->direction != direction)
            continue;
        told.answered = type->status_class >= 1 && type->status_class < PMO_STATUS_CLASSES &&
                        type->status_class != 4;
        pmo_routes_name(core->agent.routes, learned->scope, type->route, name, look_at, &told);
    }
    keep = 2 * told.answered_count < told.count;
    for (size_t i = 0; i < told.count; i++) {
        if (!keep || !told.segments[i].answered) {
            pmo_kernel_fold_merge(core->kernel, learned->scope, told.segments[i].path);
            continue;
        }
        rule = (struct pmo_fold_rule){
            .scope = learned->scope, .kind = PMO_FOLD_LEARNED_KEPT, .settled = 1};
        memcpy(rule.text, told.segments[i].path, sizeof(rule.text));
        if (!pmo_kernel_fold_rule(core->kernel, &rule))
            (void)pmo_routes_put(core->agent.routes, &rule);
    }
    rule = *learned;
    rule.settled = 1;
    if (!pmo_kernel_fold_rule(core->kernel, &rule))
        (void)pmo_routes_put(core->agent.routes, &rule);
}

void pmo_routes_settle(struct pmo_core *core)
{
    const struct pmo_routes *routes = core->agent.routes;
    struct timespec t;
    uint64_t now_ns;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    now_ns = (uint64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
    for (size_t i = 0; i < pmo_routes_count(routes); i++) {
        const struct pmo_fold_rule *rule = pmo_routes_at(routes, i);

        if (rule->settled || now_ns - rule->made_ns < SETTLE_AFTER_NS)
            continue;
        for (const struct pmo_service *s = core->agent.services; s; s = s->next)
            if (s->scope == rule->scope || pmo_route_scope_outbound(s->scope) == rule->scope) {
                settle(core, s, rule);
                break;
            }
    }
}
