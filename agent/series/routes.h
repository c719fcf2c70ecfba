/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of route folding in user space: what the kernel side learned (bpf/learn.h), and what
 * policies pin. The kernel side folds new requests by them; this names what it told apart before:
 * requests of /u/alice and /u/bob are counted under /u/{id} from the moment its rule is settled on.
 * Pure: no map, no clock.
 *
 * Not thread-safe: owned by the event loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pmo/abi.h>

struct pmo_routes;

/* The scope of a service: never 0. */
uint64_t pmo_route_scope(const char *service);
/* The scope of what the service calls. */
uint64_t pmo_route_scope_outbound(uint64_t scope);
/* The scope of the values of headers that its requests carry. */
uint64_t pmo_route_scope_headers(uint64_t scope);

int pmo_routes_new(struct pmo_routes **routes);
void pmo_routes_free(struct pmo_routes **routes);

/* Adds a rule, or puts it in the place of the one of the same path. Returns 0 or -ENOMEM. */
int pmo_routes_put(struct pmo_routes *routes, const struct pmo_fold_rule *rule);
void pmo_routes_drop(struct pmo_routes *routes, const struct pmo_fold_rule *rule);
size_t pmo_routes_count(const struct pmo_routes *routes);
const struct pmo_fold_rule *pmo_routes_at(const struct pmo_routes *routes, size_t i);
/* The rule that folds what comes behind @path; NULL: none does. */
const struct pmo_fold_rule *pmo_routes_find(const struct pmo_routes *routes, uint64_t scope,
                                            const char *path);

/* One segment of a route that is looked at. */
struct pmo_route_step {
    const char *segment; /* as the kernel side counted it; not ended by NUL */
    size_t length;
    const char *above;                /* path before it, named */
    const struct pmo_fold_rule *rule; /* that folds what comes behind @above; NULL: none */
    bool kept;                        /* but not this one */
};

typedef void (*pmo_route_step_fn)(void *context, const struct pmo_route_step *step);

/**
 * pmo_routes_name - what a route of the kernel side is to be counted under
 * @each: called for each segment in turn, unless NULL
 */
void pmo_routes_name(const struct pmo_routes *routes, uint64_t scope, const char *route,
                     char name[PMO_ROUTE_BYTES], pmo_route_step_fn each, void *context);

/**
 * pmo_routes_pin - the rules that a pattern as in "/users/{name}/orders" comes to, in turn
 * @rule: filled in
 * @i: from 0 on
 * Returns whether there is a rule number @i.
 */
bool pmo_routes_pin(uint64_t scope, const char *pattern, size_t i, struct pmo_fold_rule *rule);

/* Counts a segment in as if @rule had folded it now. */
void pmo_routes_see(struct pmo_fold_rule *rule, const char *segment, size_t length);
/* Segments that were folded by @rule, about: the standard error is 6.5 %. */
uint64_t pmo_routes_seen(const struct pmo_fold_rule *rule);
