/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /v1/routes: the routes of a service, the busiest first, and what was folded in them. */
#include "agent/serve/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

#define EXAMPLES_MAX 3

struct row {
    char route[PMO_ROUTE_BYTES];
    uint64_t requests;
};

/* What is known of the segments that a rule folds: those that were told apart before count, too. */
struct folded {
    const struct pmo_fold_rule *rule;
    struct pmo_fold_rule seen;
    json_t *examples;
    struct folded *next;
};

struct listing {
    const struct pmo_service *service;
    const struct pmo_routes *routes;
    struct folded *folded;
    json_t *folds; /* of the row that is being made */
};

static struct folded *folded_of(struct listing *l, const struct pmo_fold_rule *rule)
{
    struct folded *f = l->folded;

    while (f && f->rule != rule)
        f = f->next;
    if (f)
        return f;
    f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    *f = (struct folded){.rule = rule, .seen = *rule, .examples = json_array(), .next = l->folded};
    l->folded = f;
    return f;
}

static bool is_name(const struct pmo_route_step *step)
{
    return step->segment[0] == '{' && step->segment[step->length - 1] == '}';
}

static json_t *segment_json(const struct pmo_route_step *step)
{
    char text[PMO_ROUTE_BYTES];

    (void)snprintf(text, sizeof(text), "%.*s", (int)step->length, step->segment);
    return pmo_json_text(text);
}

/* One segment as the kernel side counted it. */
static void look_at(void *context, const struct pmo_route_step *step)
{
    struct folded *f;
    json_t *text;
    bool known = false;

    if (!step->rule || step->kept || is_name(step) || !(f = folded_of(context, step->rule)))
        return;
    pmo_routes_see(&f->seen, step->segment, step->length);
    if (json_array_size(f->examples) == EXAMPLES_MAX)
        return;
    text = segment_json(step);
    for (size_t i = 0; i < json_array_size(f->examples); i++)
        known |= json_equal(json_array_get(f->examples, i), text);
    if (known)
        json_decref(text);
    else
        (void)json_array_append_new(f->examples, text);
}

/* One segment of a route as it is listed. */
static void list_fold(void *context, const struct pmo_route_step *step)
{
    struct listing *l = context;
    const struct pmo_fold_rule *rule = step->rule;
    bool learned = rule && rule->kind == PMO_FOLD_LEARNED;
    struct folded *f = rule ? folded_of(l, rule) : NULL;

    if (!is_name(step))
        return;
    (void)json_array_append_new(
        l->folds,
        json_pack("{s:o, s:o, s:s, s:o, s:o}", "above", pmo_json_text(step->above), "name",
                  segment_json(step), "by",
                  learned ? "learned"
                  : rule  ? "pinned"
                          : "syntax",
                  "seen",
                  learned && f ? json_integer((json_int_t)pmo_routes_seen(&f->seen)) : json_null(),
                  "examples", f ? json_incref(f->examples) : json_array()));
}

static int by_route(const void *left, const void *right)
{
    return strcmp(((const struct row *)left)->route, ((const struct row *)right)->route);
}

static int busiest_first(const void *left, const void *right)
{
    const struct row *a = left, *b = right;

    if (a->requests != b->requests)
        return a->requests < b->requests ? 1 : -1;
    return by_route(a, b);
}

/* NULL: no memory. */
static json_t *rows_json(struct listing *l)
{
    const struct pmo_service_store *store = l->service->store;
    size_t types = 0, count = 0;
    _cleanup_free_ struct row *rows = calloc(pmo_service_store_types(store) + 1, sizeof(*rows));
    json_t *list = rows ? json_array() : NULL;
    char name[PMO_ROUTE_BYTES];

    for (size_t i = 0; list && i < pmo_service_store_types(store); i++) {
        const struct pmo_type *type = pmo_service_store_type_at(store, i);

        if (type->direction != PMO_INBOUND)
            continue;
        pmo_routes_name(l->routes, l->service->scope, type->route, rows[types].route, look_at, l);
        rows[types++].requests = pmo_service_store_type_total(store, i);
    }
    if (list)
        qsort(rows, types, sizeof(*rows), by_route);
    for (size_t i = 0; list && i < types; i++) {
        if (count && !strcmp(rows[count - 1].route, rows[i].route))
            rows[count - 1].requests += rows[i].requests;
        else
            rows[count++] = rows[i];
    }
    if (list)
        qsort(rows, count, sizeof(*rows), busiest_first);
    for (size_t i = 0; list && i < count; i++) {
        l->folds = json_array();
        pmo_routes_name(l->routes, l->service->scope, rows[i].route, name, list_fold, l);
        (void)json_array_append_new(
            list, json_pack("{s:o, s:I, s:o}", "route", pmo_json_text(rows[i].route), "requests",
                            (json_int_t)rows[i].requests, "folds", l->folds));
    }
    return list;
}

int pmo_answer_routes(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    const char *name = pmo_query_text(exchange, "service");
    struct listing l = {.routes = agent->routes};
    json_t *rows;

    if (!name)
        return pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                                "the query names no service; write /v1/routes?service=NAME, "
                                "GET /v1/services lists them");
    l.service = pmo_agent_service(exchange->agent, name);
    if (!l.service)
        return pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                                "there is no service \"%.64s\"; GET /v1/services lists them", name);
    rows = rows_json(&l);
    for (struct folded *f = l.folded, *next; f; f = next) {
        next = f->next;
        json_decref(f->examples);
        free(f);
    }
    return pmo_answer_json(exchange, MHD_HTTP_OK,
                           json_pack("{s:I, s:o, s:I, s:o}", "now", (json_int_t)agent->now,
                                     "service", pmo_json_text(name), "routesMax",
                                     (json_int_t)PMO_FOLD_ROUTES, "routes", rows));
}
