/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /v1/routes: what it says of folded segments. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/serve_world.h"
#include "tests/unit/suite.h"

static void count(struct world *w, const char *route, uint64_t requests)
{
    struct pmo_type type = {
        .protocol = PMO_PROTOCOL_HTTP1, .method = PMO_METHOD_GET, .status_class = 2};
    struct pmo_counts counts = {.requests = requests};

    (void)snprintf(type.route, sizeof(type.route), "%s", route);
    CU_ASSERT_EQUAL(pmo_service_store_add(w->front.store, &type, WORLD_NOW, WORLD_NOW, &counts), 0);
}

/* The server sleeps until it is asked. */
static void fold(struct world *w)
{
    struct pmo_fold_rule rule = {.scope = w->front.scope,
                                 .kind = PMO_FOLD_LEARNED,
                                 .settled = 1,
                                 .name = "{id}",
                                 .text = "/u/"};
    char segment[32];

    for (int i = 0; i < 10000; i++) {
        (void)snprintf(segment, sizeof(segment), "slug-%d", i);
        pmo_routes_see(&rule, segment, strlen(segment));
    }
    CU_ASSERT_EQUAL(pmo_routes_put(w->core.agent.routes, &rule), 0);
    rule = (struct pmo_fold_rule){
        .scope = w->front.scope, .kind = PMO_FOLD_LEARNED_KEPT, .settled = 1, .text = "/u/me"};
    CU_ASSERT_EQUAL(pmo_routes_put(w->core.agent.routes, &rule), 0);
    for (size_t i = 0; pmo_routes_pin(w->front.scope, "/u/{x}/orders/{order}", i, &rule); i++)
        if (i == 3)
            CU_ASSERT_EQUAL(pmo_routes_put(w->core.agent.routes, &rule), 0);
    count(w, "/u/{id}", 1000000);
    count(w, "/u/alice", 20);
    count(w, "/u/bob", 30);
    count(w, "/u/carol", 1);
    count(w, "/u/dave", 1);
    count(w, "/u/me", 7);
    count(w, "/u/bob/orders/first", 400000);
}

static const json_t *route_of(const json_t *answer, const char *name)
{
    json_t *route;
    size_t i;

    json_array_foreach (json_object_get(answer, "routes"), i, route)
        if (!strcmp(json_string_value(json_object_get(route, "route")), name))
            return route;
    return NULL;
}

static long long requests_of(const json_t *route)
{
    return json_integer_value(json_object_get(route, "requests"));
}

static const char *text_of(const json_t *route, size_t fold, const char *member)
{
    return json_string_value(
        json_object_get(json_array_get(json_object_get(route, "folds"), fold), member));
}

static void routes_say_what_was_folded_and_why(void)
{
    struct world w;
    const json_t *route, *folds;
    json_t *answer, *each;
    long long sum = 0, seen;
    size_t i;

    world_start(&w);
    fold(&w);
    answer = world_get(&w, "/v1/routes?service=front");
    json_array_foreach (json_object_get(answer, "routes"), i, each)
        sum += requests_of(each);
    CU_ASSERT_EQUAL(sum, (long long)pmo_service_store_total(w.front.store));

    route = json_array_get(json_object_get(answer, "routes"), 0); /* the busiest */
    CU_ASSERT_PTR_EQUAL(route, route_of(answer, "/u/{id}"));
    CU_ASSERT_EQUAL(requests_of(route), 1000052);
    folds = json_object_get(route, "folds");
    CU_ASSERT_EQUAL(json_array_size(folds), 1);
    CU_ASSERT_STRING_EQUAL(text_of(route, 0, "above"), "/u/");
    CU_ASSERT_STRING_EQUAL(text_of(route, 0, "name"), "{id}");
    CU_ASSERT_STRING_EQUAL(text_of(route, 0, "by"), "learned");
    seen = json_integer_value(json_object_get(json_array_get(folds, 0), "seen"));
    CU_ASSERT(seen > 8000 && seen < 12000);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(json_array_get(folds, 0), "examples")), 3);

    route = route_of(answer, "/u/{id}/orders/{order}");
    CU_ASSERT_EQUAL(requests_of(route), 400000);
    CU_ASSERT_STRING_EQUAL(text_of(route, 0, "by"), "learned");
    CU_ASSERT_STRING_EQUAL(text_of(route, 1, "by"), "pinned");
    CU_ASSERT_STRING_EQUAL(text_of(route, 1, "above"), "/u/{id}/orders/");
    route = route_of(answer, "/products/{id}");
    CU_ASSERT_STRING_EQUAL(text_of(route, 0, "by"), "syntax");
    route = route_of(answer, "/u/me");
    CU_ASSERT_EQUAL(requests_of(route), 7);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(route, "folds")), 0);
    CU_ASSERT_PTR_NULL(route_of(answer, "/u/alice"));
    json_decref(answer);

    answer = world_get(&w, "/v1/routes?service=catalog"); /* learned nothing */
    CU_ASSERT_EQUAL(json_array_size(json_object_get(answer, "routes")), 2);
    json_decref(answer);
    world_stop(&w);
}

SUITE(serve_routes) = {
    TEST(routes_say_what_was_folded_and_why),
    {0},
};
