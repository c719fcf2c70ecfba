/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/series/routes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/fold.h"

struct entry {
    uint64_t key;
    struct pmo_fold_rule *rule;
};

struct pmo_routes {
    struct entry *entries; /* by key */
    size_t count, room;
};

uint64_t pmo_route_scope(const char *service)
{
    uint64_t hash = FOLD_HASH_SEED;

    for (; *service; service++)
        hash = fold_hash_byte(hash, *service);
    return hash ? hash : 1;
}

uint64_t pmo_route_scope_outbound(uint64_t scope)
{
    return fold_scope_outbound(scope);
}

uint64_t pmo_route_scope_headers(uint64_t scope)
{
    return fold_scope_headers(scope);
}

int pmo_routes_new(struct pmo_routes **routes)
{
    struct pmo_routes *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    *routes = made;
    return 0;
}

void pmo_routes_free(struct pmo_routes **routes)
{
    if (!*routes)
        return;
    for (size_t i = 0; i < (*routes)->count; i++)
        free((*routes)->entries[i].rule);
    free((*routes)->entries);
    free(*routes);
    *routes = NULL;
}

/* Where a key is, or would be. */
static size_t place_of(const struct pmo_routes *routes, uint64_t key)
{
    size_t low = 0, high = routes->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (routes->entries[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct pmo_fold_rule *rule_of(const struct pmo_routes *routes, uint64_t key)
{
    size_t at = place_of(routes, key);

    return at < routes->count && routes->entries[at].key == key ? routes->entries[at].rule : NULL;
}

int pmo_routes_put(struct pmo_routes *routes, const struct pmo_fold_rule *rule)
{
    uint64_t key = fold_rule_key(rule);
    size_t at = place_of(routes, key), room = routes->room ? 2 * routes->room : 16;
    struct pmo_fold_rule *copy;
    void *more;

    if (at < routes->count && routes->entries[at].key == key) {
        *routes->entries[at].rule = *rule;
        return 0;
    }
    if (routes->count == routes->room) {
        more = reallocarray(routes->entries, room, sizeof(*routes->entries));
        if (!more)
            return -ENOMEM;
        routes->entries = more;
        routes->room = room;
    }
    copy = malloc(sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    *copy = *rule;
    memmove(&routes->entries[at + 1], &routes->entries[at],
            (routes->count - at) * sizeof(*routes->entries));
    routes->entries[at] = (struct entry){.key = key, .rule = copy};
    routes->count++;
    return 0;
}

void pmo_routes_drop(struct pmo_routes *routes, const struct pmo_fold_rule *rule)
{
    uint64_t key = fold_rule_key(rule);
    size_t at = place_of(routes, key);

    if (at == routes->count || routes->entries[at].key != key)
        return;
    free(routes->entries[at].rule);
    routes->count--;
    memmove(&routes->entries[at], &routes->entries[at + 1],
            (routes->count - at) * sizeof(*routes->entries));
}

size_t pmo_routes_count(const struct pmo_routes *routes)
{
    return routes->count;
}

const struct pmo_fold_rule *pmo_routes_at(const struct pmo_routes *routes, size_t i)
{
    return routes->entries[i].rule;
}

const struct pmo_fold_rule *pmo_routes_find(const struct pmo_routes *routes, uint64_t scope,
                                            const char *path)
{
    return rule_of(routes, fold_path(scope, path));
}

/* Appends to a route, as far as there is room. */
static void append(char name[PMO_ROUTE_BYTES], size_t *length, const char *text, size_t n)
{
    if (n > PMO_ROUTE_BYTES - 1 - *length)
        n = PMO_ROUTE_BYTES - 1 - *length;
    memcpy(name + *length, text, n);
    *length += n;
    name[*length] = '\0';
}

static bool takes_all(const char *name)
{
    const char *dots = strstr(name, "...}");

    return dots && !dots[4];
}

/* A learned rule does not apply to what was told apart before, until the agent has decided. */
static bool folds(const struct pmo_fold_rule *rule)
{
    return rule && (rule->kind == PMO_FOLD_PINNED || rule->settled);
}

void pmo_routes_name(const struct pmo_routes *routes, uint64_t scope, const char *route,
                     char name[PMO_ROUTE_BYTES], pmo_route_step_fn each, void *context)
{
    uint64_t node = fold_root(scope);
    size_t length = 0;

    name[0] = '\0';
    if (*route != '/') { /* {other}, or what stands in the place of a path */
        append(name, &length, route, strlen(route));
        return;
    }
    while (*route) {
        size_t n = strcspn(route, "/");
        uint64_t child = fold_child_text(node, route, n);
        struct pmo_route_step step = {.segment = route, .length = n, .above = name};

        if (!n) {
            append(name, &length, "/", 1);
            route++;
            continue;
        }
        step.rule = rule_of(routes, node);
        step.kept = rule_of(routes, fold_child(child, FOLD_KEPT)) != NULL;
        if (each)
            each(context, &step);
        if (!step.kept && folds(step.rule)) {
            append(name, &length, step.rule->name, strlen(step.rule->name));
            if (takes_all(step.rule->name))
                return;
            child = fold_child(node, FOLD_VARIABLE);
        } else {
            append(name, &length, route, n);
        }
        node = child;
        route += n;
    }
}

bool pmo_routes_pin(uint64_t scope, const char *pattern, size_t i, struct pmo_fold_rule *rule)
{
    const char *at = pattern + 1;
    size_t n;

    for (; i && *at; i--) {
        at += strcspn(at, "/");
        at += *at == '/';
    }
    n = strcspn(at, "/");
    if (!n)
        return false;
    *rule = (struct pmo_fold_rule){.scope = scope, .settled = 1};
    if (fold_is_name(at, n)) {
        rule->kind = PMO_FOLD_PINNED;
        (void)snprintf(rule->name, sizeof(rule->name), "%.*s", (int)n, at);
        (void)snprintf(rule->text, sizeof(rule->text), "%.*s", (int)(at - pattern), pattern);
    } else {
        rule->kind = PMO_FOLD_PINNED_KEPT;
        (void)snprintf(rule->text, sizeof(rule->text), "%.*s", (int)(at + n - pattern), pattern);
    }
    return true;
}

void pmo_routes_see(struct pmo_fold_rule *rule, const char *segment, size_t length)
{
    fold_sketch(rule->sketch, fold_child_text(fold_path(rule->scope, rule->text), segment, length));
}

/* HyperLogLog's estimate, with its correction for small numbers. */
uint64_t pmo_routes_seen(const struct pmo_fold_rule *rule)
{
    const double m = PMO_FOLD_SKETCH;
    double sum = 0, estimate;
    unsigned int empty = 0;

    for (unsigned int i = 0; i < PMO_FOLD_SKETCH; i++) {
        sum += ldexp(1, -rule->sketch[i]);
        empty += !rule->sketch[i];
    }
    estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && empty)
        estimate = m * log(m / empty);
    return (uint64_t)llround(estimate);
}
