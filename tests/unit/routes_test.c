/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Route folding that learns: the kernel side's lines (bpf/learn.h) over a table of the test's own,
 * and the names that the agent gives to what was told apart before.
 */
#include "agent/series/routes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/series/series.h"
#include "tests/unit/suite.h"

struct fold;
static int rule_of(struct fold *fold, bool variable);
#define FOLD_RULE(fold, variable) rule_of(fold, variable)
#include "bpf/learn.h"

/* ---- the kernel side's maps ---- */

#define SLOTS  65536U /* a power of two */
#define FRONT  pmo_route_scope("front")
#define ROUTES 4096U

static struct {
    uint64_t scopes[4]; /* by instance */
    struct {
        uint64_t key;
        struct pmo_fold_node value;
    } nodes[SLOTS];
    struct {
        uint64_t key;
        struct pmo_fold_rule value;
    } rules[SLOTS];
    size_t nodes_count, rules_count;
    char routes[ROUTES][PMO_ROUTE_BYTES];
    uint64_t route_hashes[ROUTES];
    size_t routes_count, other;
} kernel;

static __u64 learn_scope(const struct fold *f)
{
    return kernel.scopes[f->instance];
}

static size_t node_slot(__u64 key)
{
    size_t i = key % SLOTS;

    while (kernel.nodes[i].key && kernel.nodes[i].key != key)
        i = (i + 1) % SLOTS;
    return i;
}

static struct pmo_fold_node *learn_node(__u64 key)
{
    size_t i = node_slot(key);

    return kernel.nodes[i].key ? &kernel.nodes[i].value : NULL;
}

/* As if another CPU saw each segment first, too, between a look-up here and what comes of it. */
static bool another_cpu_is_first;

static bool learn_node_make(__u64 key, __u64 scope)
{
    size_t i = node_slot(key);

    if (kernel.nodes[i].key || kernel.nodes_count > SLOTS / 2)
        return false;
    kernel.nodes[i].key = key;
    kernel.nodes[i].value = (struct pmo_fold_node){.scope = scope};
    kernel.nodes_count++;
    return !another_cpu_is_first;
}

static size_t rule_slot(__u64 key)
{
    size_t i = key % SLOTS;

    while (kernel.rules[i].key && kernel.rules[i].key != key)
        i = (i + 1) % SLOTS;
    return i;
}

static struct pmo_fold_rule *learn_rule(__u64 key)
{
    size_t i = rule_slot(key);

    return kernel.rules[i].key ? &kernel.rules[i].value : NULL;
}

static bool learn_rule_make(const struct fold *f)
{
    size_t i = rule_slot(f->above);
    struct pmo_fold_rule *rule = &kernel.rules[i].value;

    if (kernel.rules[i].key)
        return true;
    kernel.rules[i].key = f->above;
    *rule = (struct pmo_fold_rule){.scope = f->scope, .kind = PMO_FOLD_LEARNED, .name = "{id}"};
    memcpy(rule->text, f->text, f->segment);
    kernel.rules_count++;
    return true;
}

static int rule_of(struct fold *fold, bool variable)
{
    return learn_segment(fold, variable);
}

/* ---- what the tests do with them ---- */

static void begin(void)
{
    memset(&kernel, 0, sizeof(kernel));
    kernel.scopes[1] = FRONT;
    kernel.scopes[2] = pmo_route_scope("catalog");
}

/* The route of a path that an instance is asked for, as route_row() in bpf/count.h has it. */
static const char *route_of(uint32_t instance, const char *path)
{
    static struct fold fold;
    uint64_t hash;

    fold.instance = instance;
    fold_begin(&fold);
    for (; *path; path++)
        fold_byte(&fold, (__u8)*path);
    hash = fold_end(&fold);
    for (size_t i = 0; i < kernel.routes_count; i++)
        if (kernel.route_hashes[i] == hash)
            return kernel.routes[i];
    fold.scope = learn_scope(&fold);
    if (kernel.routes_count == ROUTES || (fold.scope && !learn_route(&fold))) {
        kernel.other++;
        return "{other}";
    }
    kernel.route_hashes[kernel.routes_count] = hash;
    memcpy(kernel.routes[kernel.routes_count], fold.text, PMO_ROUTE_BYTES);
    return kernel.routes[kernel.routes_count++];
}

static uint64_t seed;

static uint64_t any(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return seed >> 33;
}

/* A word without digits, one of @words. */
static const char *slug(char text[16], uint64_t number, uint64_t words)
{
    size_t n = 0;

    number %= words;
    do {
        text[n++] = (char)('g' + number % 20);
        number /= 20;
    } while (number);
    text[n] = '\0';
    return text;
}

/* Puts a rule where the agent puts it (agent/observe/kernel.c). */
static void put_rule(const struct pmo_fold_rule *rule)
{
    uint64_t node = fold_path(rule->scope, rule->text), key = fold_rule_key(rule);
    size_t i = rule_slot(key);

    kernel.rules[i].key = key;
    kernel.rules[i].value = *rule;
    learn_node_of(node, rule->scope)->flags |=
        rule->kind == PMO_FOLD_PINNED ? PMO_FOLD_NODE_NAMED : PMO_FOLD_NODE_KEPT;
}

static void pin(uint64_t scope, const char *pattern, struct pmo_routes *routes)
{
    struct pmo_fold_rule rule;

    for (size_t i = 0; pmo_routes_pin(scope, pattern, i, &rule); i++) {
        put_rule(&rule);
        if (routes)
            CU_ASSERT_EQUAL(pmo_routes_put(routes, &rule), 0);
    }
}

/* Everything that was learned, as the agent reads it; @settled: and has decided to merge. */
static void learn_all(struct pmo_routes *routes, bool settled)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct pmo_fold_rule rule = kernel.rules[i].value;

        if (!kernel.rules[i].key)
            continue;
        rule.settled |= settled;
        CU_ASSERT_EQUAL(pmo_routes_put(routes, &rule), 0);
    }
}

static const char *name_of(const struct pmo_routes *routes, const char *route)
{
    static char name[PMO_ROUTE_BYTES];

    pmo_routes_name(routes, FRONT, route, name, NULL, NULL);
    return name;
}

/* ---- learning ---- */

static void a_million_slugs_behind_one_path_are_25_routes(void)
{
    char path[64], word[16];

    begin();
    for (uint64_t i = 0; i < 1000000; i++) {
        (void)snprintf(path, sizeof(path), "/u/%s", slug(word, i * 7919, 1000003));
        (void)route_of(1, path);
    }
    CU_ASSERT_EQUAL(kernel.routes_count, PMO_FOLD_CHILDREN + 1);
    CU_ASSERT_EQUAL(kernel.rules_count, 1);
    CU_ASSERT_EQUAL(kernel.other, 0);
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/somebody"), "/u/{id}");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/somebody/orders/17"), "/u/{id}/orders/{id}");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/status"), "/status");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u"), "/u");
}

static void how_many_slugs_there_were_is_known_within_a_fifth(void)
{
    char path[64], word[16];
    uint64_t total = 0;

    begin();
    for (uint64_t upto = 100; upto <= 1000000; upto *= 10) {
        const struct pmo_fold_rule *rule;
        uint64_t seen;

        for (; total < upto; total++) {
            (void)snprintf(path, sizeof(path), "/u/%s", slug(word, total, 1000003));
            (void)route_of(1, path);
            (void)route_of(1, path);
        }
        rule = learn_rule(fold_path(FRONT, "/u/"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(rule);
        seen = pmo_routes_seen(rule);
        CU_ASSERT(seen > (upto - PMO_FOLD_CHILDREN) * 0.8 && seen < upto * 1.2);
    }
}

static void what_is_told_apart_stays_so(void)
{
    char path[64], word[16];

    begin();
    CU_ASSERT_STRING_EQUAL(route_of(1, "/api/orders"), "/api/orders");
    for (uint64_t i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof(path), "/api/%s", slug(word, i, 1000));
        (void)route_of(1, path);
    }
    CU_ASSERT_STRING_EQUAL(route_of(1, "/api/orders"), "/api/orders");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/api/later"), "/api/{id}");
}

static void what_two_cpus_see_at_once_for_the_first_time_is_told_apart(void)
{
    begin();
    another_cpu_is_first = true;
    CU_ASSERT_STRING_EQUAL(route_of(1, "/api/orders"), "/api/orders");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/api/carts"), "/api/carts");
    another_cpu_is_first = false;
    CU_ASSERT_STRING_EQUAL(route_of(1, "/api/later"), "/api/later");
    CU_ASSERT_EQUAL(kernel.rules_count, 0);
}

static void what_is_variable_by_its_bytes_takes_no_room(void)
{
    char path[64];

    begin();
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof(path), "/users/%d", i);
        CU_ASSERT_STRING_EQUAL(route_of(1, path), "/users/{id}");
    }
    CU_ASSERT_EQUAL(kernel.rules_count, 0);
    CU_ASSERT_STRING_EQUAL(route_of(1, "/users/me"), "/users/me");
}

static void services_do_not_learn_from_each_other(void)
{
    char path[64], word[16];

    begin();
    for (uint64_t i = 0; i < 100; i++) {
        (void)snprintf(path, sizeof(path), "/u/%s", slug(word, i, 1000));
        (void)route_of(1, path);
    }
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/new"), "/u/{id}");
    CU_ASSERT_STRING_EQUAL(route_of(2, "/u/new"), "/u/new");
    CU_ASSERT_STRING_EQUAL(route_of(3, "/u/newer"), "/u/newer"); /* has no service */
}

/* A tree that grows everywhere: up to @depth segments of @words words each. */
static void ask_deep(size_t depth, uint64_t words, size_t times)
{
    char path[256], word[16];

    for (size_t i = 0; i < times; i++) {
        size_t n = 0;

        for (size_t k = 1 + any() % depth; k; k--)
            n += (size_t)snprintf(path + n, sizeof(path) - n, "/%s", slug(word, any(), words));
        (void)route_of(1, path);
    }
}

static void random_deep_paths_stay_within_the_bound_of_a_service(void)
{
    static const struct {
        size_t depth;
        uint64_t words;
    } trees[] = {{3, 1000000}, {6, 1000000}, {12, 1000000}, {20, 1000000}, {6, 20}, {3, 30}};

    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        begin();
        seed = i;
        ask_deep(trees[i].depth, trees[i].words, 100000);
        printf("\n    depth %zu, %llu words: %zu routes, %zu nodes, %zu rules, %zu other; ",
               trees[i].depth, (unsigned long long)trees[i].words, kernel.routes_count,
               kernel.nodes_count, kernel.rules_count, kernel.other);
        CU_ASSERT(kernel.routes_count <= PMO_FOLD_ROUTES);
        CU_ASSERT(kernel.nodes_count <= PMO_FOLD_ROUTES * (LEARN_DEPTH + 1));
        CU_ASSERT(kernel.routes_count == PMO_FOLD_ROUTES || !kernel.other);
        CU_ASSERT_STRING_EQUAL(route_of(2, "/another/service"), "/another/service");
    }
}

static void ten_collections_of_slugs_fit_into_one_service(void)
{
    char path[64], word[16];

    begin();
    for (uint64_t i = 0; i < 100000; i++) {
        (void)snprintf(path, sizeof(path), "/c%c/%s/x", (char)('a' + i % 10),
                       slug(word, i / 10, 1000000));
        (void)route_of(1, path);
    }
    CU_ASSERT_EQUAL(kernel.other, 0);
    CU_ASSERT_EQUAL(kernel.rules_count, 10);
    CU_ASSERT(kernel.routes_count < PMO_FOLD_ROUTES);
}

/* ---- pinning ---- */

static void pinned_names_are_kept_and_pinned_words_never_folded(void)
{
    char path[64], word[16];

    begin();
    pin(FRONT, "/u/{name}/orders/{order}", NULL);
    pin(FRONT, "/u/me", NULL);
    pin(FRONT, "/assets/{rest...}", NULL);
    pin(FRONT, "/v/2024", NULL);
    for (uint64_t i = 0; i < 200; i++) {
        (void)snprintf(path, sizeof(path), "/%s", slug(word, i, 1000));
        (void)route_of(1, path);
        (void)snprintf(path, sizeof(path), "/v/%s", slug(word, i, 1000));
        (void)route_of(1, path);
        (void)snprintf(path, sizeof(path), "/u/%s", slug(word, i, 1000));
        CU_ASSERT_STRING_EQUAL(route_of(1, path), "/u/{name}");
    }
    CU_ASSERT_STRING_EQUAL(route_of(1, "/whatever"), "/{id}");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/42"), "/u/{name}");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/me"), "/u/me");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/me/x"), "/u/me/x");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/al/orders/7f"), "/u/{name}/orders/{order}");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/al/orders/7f/x"), "/u/{name}/orders/{order}/x");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/assets/css/a/b/c.css"), "/assets/{rest...}");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/assets"), "/assets");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/v/2024"), "/v/2024");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/v/2023"), "/v/{id}");
    CU_ASSERT_STRING_EQUAL(route_of(2, "/u/al"), "/u/al");
}

static void a_name_is_put_only_where_there_is_room(void)
{
    char path[256] = "/deep";

    begin();
    for (size_t n = 5; n < 140; n++) {
        char pattern[300], asked[300], expected[300];

        path[n] = 'p';
        path[n + 1] = '\0';
        (void)snprintf(pattern, sizeof(pattern), "%s/{name}", path);
        (void)snprintf(asked, sizeof(asked), "%s/slug/end", path);
        if (strlen(pattern) < PMO_ROUTE_BYTES)
            pin(FRONT, pattern, NULL);
        (void)snprintf(expected, sizeof(expected), "%s", route_of(1, asked));
        CU_ASSERT(strlen(expected) < PMO_ROUTE_BYTES);
        if (strlen(path) + 1 + PMO_FOLD_NAME_BYTES <= FOLD_TEXT_MAX) {
            (void)snprintf(asked, sizeof(asked), "%s/{name}/end", path);
            CU_ASSERT_STRING_EQUAL(expected, asked);
        }
        kernel.routes_count = 0; /* not what this is about */
        learn_node_of(fold_root(FRONT), FRONT)->routes = 0;
    }
}

/* ---- names of what was told apart ---- */

static void what_was_told_apart_is_named_as_the_others_once_that_is_decided(void)
{
    struct pmo_routes *routes = NULL;
    struct pmo_fold_rule kept = {
        .scope = FRONT, .kind = PMO_FOLD_LEARNED_KEPT, .settled = 1, .text = "/u/me"};
    char path[64], word[16];

    begin();
    CU_ASSERT_EQUAL_FATAL(pmo_routes_new(&routes), 0);
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/alice/orders"), "/u/alice/orders");
    CU_ASSERT_STRING_EQUAL(route_of(1, "/u/me"), "/u/me");
    for (uint64_t i = 0; i < 100; i++) {
        (void)snprintf(path, sizeof(path), "/u/%s", slug(word, i, 1000));
        (void)route_of(1, path);
    }
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/alice/orders"), "/u/alice/orders");
    learn_all(routes, false);
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/alice/orders"), "/u/alice/orders");
    learn_all(routes, true);
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/alice/orders"), "/u/{id}/orders");
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/me"), "/u/{id}");
    CU_ASSERT_EQUAL(pmo_routes_put(routes, &kept), 0);
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/me"), "/u/me");
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u//alice"), "/u//{id}");
    CU_ASSERT_STRING_EQUAL(name_of(routes, "{other}"), "{other}");
    CU_ASSERT_STRING_EQUAL(name_of(routes, "*"), "*");
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/"), "/");
    CU_ASSERT_PTR_NOT_NULL(pmo_routes_find(routes, FRONT, "/u/"));
    CU_ASSERT_PTR_NULL(pmo_routes_find(routes, pmo_route_scope("catalog"), "/u/"));
    pmo_routes_drop(routes, &kept);
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/me"), "/u/{id}");
    pmo_routes_free(&routes);
}

static void a_pinned_name_takes_the_place_of_what_was_there_before(void)
{
    struct pmo_routes *routes = NULL;

    begin();
    CU_ASSERT_EQUAL_FATAL(pmo_routes_new(&routes), 0);
    pin(FRONT, "/u/{name}", routes);
    pin(FRONT, "/u/me", routes);
    pin(FRONT, "/assets/{rest...}", routes);
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/{id}"), "/u/{name}");
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/alice/x"), "/u/{name}/x");
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/u/me"), "/u/me");
    CU_ASSERT_STRING_EQUAL(name_of(routes, "/assets/a/b/c"), "/assets/{rest...}");
    pmo_routes_free(&routes);
}

/* Random trees of paths, pinned here and there: every request is counted once, under a name that
 * naming again leaves alone, and once all is decided under the name that the kernel side gives to a
 * path that comes again. */
static void requests_are_counted_once_while_routes_are_learned(void)
{
    struct pmo_routes *routes = NULL;
    struct pmo_store *store = NULL;
    struct pmo_service_store *service;
    uint64_t sum = 0;

    begin();
    seed = 42;
    CU_ASSERT_EQUAL_FATAL(pmo_routes_new(&routes), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_store_new(&store), 0);
    service = pmo_store_service(store, "front", true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(service);
    pin(FRONT, "/g/{name}/h", routes);
    for (size_t i = 0; i < 20000; i++) {
        struct pmo_type type = {.protocol = PMO_PROTOCOL_HTTP1, .status_class = 2};
        struct pmo_counts counts = {.requests = 1};
        char path[256], word[16], again[PMO_ROUTE_BYTES];
        size_t n = 0;

        for (size_t k = 1 + any() % 4; k; k--)
            n += (size_t)snprintf(path + n, sizeof(path) - n, "/%s",
                                  slug(word, any(), k == 1 ? 100000 : 5));
        if (i % 1000 == 500)
            learn_all(routes, i % 2000 == 1500);
        pmo_routes_name(routes, FRONT, route_of(1, path), type.route, NULL, NULL);
        pmo_routes_name(routes, FRONT, type.route, again, NULL, NULL);
        CU_ASSERT_STRING_EQUAL(type.route, again);
        CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, 1000, 1000, &counts), 0);
    }
    for (size_t i = 0; i < pmo_service_store_types(service); i++)
        sum += pmo_service_store_type_total(service, i);
    CU_ASSERT_EQUAL(sum, 20000);
    CU_ASSERT_EQUAL(pmo_service_store_total(service), 20000);
    CU_ASSERT(kernel.rules_count > 5);
    pmo_routes_free(&routes);
    pmo_store_free(&store);
}

SUITE(routes) = {
    TEST(a_million_slugs_behind_one_path_are_25_routes),
    TEST(how_many_slugs_there_were_is_known_within_a_fifth),
    TEST(what_is_told_apart_stays_so),
    TEST(what_two_cpus_see_at_once_for_the_first_time_is_told_apart),
    TEST(what_is_variable_by_its_bytes_takes_no_room),
    TEST(services_do_not_learn_from_each_other),
    TEST(random_deep_paths_stay_within_the_bound_of_a_service),
    TEST(ten_collections_of_slugs_fit_into_one_service),
    TEST(pinned_names_are_kept_and_pinned_words_never_folded),
    TEST(a_name_is_put_only_where_there_is_room),
    TEST(what_was_told_apart_is_named_as_the_others_once_that_is_decided),
    TEST(a_pinned_name_takes_the_place_of_what_was_there_before),
    TEST(requests_are_counted_once_while_routes_are_learned),
    {0},
};
