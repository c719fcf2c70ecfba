/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Route folding that learns, in the real programs on real sockets. */
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/series/routes.h"
#include "tests/bpf/world.h"

#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define SLUGS 1000U

static struct world w;

/* A word without digits for each number. */
static const char *slug(unsigned int number)
{
    static char text[16];
    size_t n = 0;

    for (number++; number; number /= 19)
        text[n++] = (char)('g' + number % 19);
    text[n] = '\0';
    return text;
}

/* One request, in one segment or in two, and its answer. */
static void ask(struct wire *wire, const char *path, bool split)
{
    char text[300];
    int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);

    if (split) {
        wire_send(wire->client, wire->server, text, 9);
        wire_send(wire->client, wire->server, text + 9, (size_t)n - 9);
    } else {
        wire_request(wire, text);
    }
    wire_response(wire, OK);
}

static void ask_slugs(struct wire *wire, const char *above, unsigned int from, unsigned int to)
{
    char path[200];

    for (unsigned int i = from; i < to; i++) {
        (void)snprintf(path, sizeof(path), "%s%s?q=%u", above, slug(i), i);
        ask(wire, path, i % 3 == 0);
    }
}

static bool open_world(struct wire *wire, const char *service)
{
    if (!world_open(&w) || !wire_open(&w, wire, AF_INET))
        return false;
    pmo_kernel_scope(w.kernel, wire->instance, pmo_route_scope(service));
    return true;
}

/* Routes that were counted of an instance. */
static size_t routes_of(uint32_t instance)
{
    size_t count = 0;

    for (size_t i = 0; i < w.types_count; i++) {
        bool known = w.types[i].key.instance != instance;

        for (size_t k = 0; k < i; k++)
            known |=
                w.types[k].key.instance == instance && w.types[k].key.route == w.types[i].key.route;
        count += !known;
    }
    return count;
}

static void too_many_slugs_fold_at_once(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(open_world(&wire, "front"));
    ask_slugs(&wire, "/u/", 0, SLUGS);
    ask(&wire, "/u/somebody/orders/77", false);
    ask(&wire, "/status", true);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), SLUGS + 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/u/{id}"),
                    SLUGS - PMO_FOLD_CHILDREN);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/{id}/orders/{id}"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/status"), 1);
    CU_ASSERT_EQUAL(routes_of(wire.instance), PMO_FOLD_CHILDREN + 3);
    world_close(&w, false);
}

static void an_instance_without_a_service_teaches_nothing(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(open_world(&wire, "front"));
    pmo_kernel_scope(w.kernel, wire.instance, 0);
    ask_slugs(&wire, "/u/", 0, 50);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(routes_of(wire.instance), 50);
    CU_ASSERT_EQUAL(pmo_kernel_control(w.kernel)->fold_rules, 0);
    world_close(&w, false);
}

static void routes_beyond_the_bound_of_a_service_are_counted_as_other(void)
{
    char path[200];
    struct wire wire;
    uint64_t other;

    CU_ASSERT_FATAL(open_world(&wire, "front"));
    for (unsigned int i = 0; i < 3000; i++) { /* a tree of 14 x 15 x 17 leaves */
        (void)snprintf(path, sizeof(path), "/%s", slug(i % 14));
        (void)snprintf(path + strlen(path), 20, "/%s", slug(i % 15));
        (void)snprintf(path + strlen(path), 20, "/%s", slug(i % 17));
        ask(&wire, path, false);
    }
    wire_close(&wire);
    world_settle(&w);
    other = world_requests(&w, (int)wire.instance, -1, 2, "{other}");
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 3000);
    CU_ASSERT(other > 0);
    CU_ASSERT_EQUAL(routes_of(wire.instance), PMO_FOLD_ROUTES + 1);
    CU_ASSERT(pmo_kernel_control(w.kernel)->routes_full > 0);
    world_close(&w, false);
}

static void what_is_pinned_is_named_as_pinned(void)
{
    static const char *const patterns[] = {"/u/{name}/orders", "/u/me", "/assets/{rest...}"};
    uint64_t scope = pmo_route_scope("front");
    struct pmo_fold_rule rule;
    struct wire wire;

    CU_ASSERT_FATAL(open_world(&wire, "front"));
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; pmo_routes_pin(scope, patterns[p], i, &rule); i++)
            CU_ASSERT_EQUAL(pmo_kernel_fold_rule(w.kernel, &rule), 0);
    ask_slugs(&wire, "/u/", 0, 40);
    ask(&wire, "/u/42/orders", false);
    ask(&wire, "/u/me", false);
    ask(&wire, "/assets/css/a/b/c.css", true);
    ask(&wire, "/assets/js/1.js", false);
    (void)pmo_routes_pin(scope, patterns[0], 1, &rule);
    pmo_kernel_fold_rule_remove(w.kernel, &rule);
    ask(&wire, "/u/anybody/else", false);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/{name}"), 40);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/{name}/orders"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/me"), 1);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/assets/{rest...}"), 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/anybody/else"), 1);
    world_close(&w, false);
}

static void note_rule(void *context, const struct pmo_fold_rule *rule)
{
    struct pmo_fold_rule *noted = context;

    if (rule->scope == pmo_route_scope("front"))
        *noted = *rule;
}

static void what_was_learned_outlives_the_agent_and_can_be_merged(void)
{
    struct pmo_fold_rule rule = {};
    struct wire wire;
    uint64_t seen;

    CU_ASSERT_FATAL(open_world(&wire, "front"));
    ask_slugs(&wire, "/u/", 0, SLUGS);
    world_settle(&w);
    world_close(&w, true);
    CU_ASSERT_FATAL(world_reopen(&w));
    pmo_kernel_fold_rules(w.kernel, note_rule, &rule);
    CU_ASSERT_EQUAL(rule.kind, PMO_FOLD_LEARNED);
    CU_ASSERT_STRING_EQUAL(rule.text, "/u/");
    CU_ASSERT_STRING_EQUAL(rule.name, "{id}");
    seen = pmo_routes_seen(&rule);
    CU_ASSERT(seen > SLUGS * 8 / 10 && seen < SLUGS * 12 / 10);
    ask(&wire, "/u/newcomer", false);
    ask(&wire, "/u/first?x", false); /* not one of those that are told apart */
    (void)snprintf(rule.text, sizeof(rule.text), "/u/%s", slug(0));
    pmo_kernel_fold_merge(w.kernel, rule.scope, rule.text);
    (void)strcat(rule.text, "/x");
    ask(&wire, rule.text, false);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/{id}"),
                    SLUGS - PMO_FOLD_CHILDREN + 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/{id}/x"), 1);
    world_close(&w, false);
}

/* ---- HTTP/2 ---- */

/* GET of a path that is no entry of any table, and its answer. */
static void ask_http2(struct wire *wire, char stream, const char *path)
{
    char block[120] = {(char)0x82, (char)0x86, 0x04, (char)strlen(path)}, bytes[160];
    size_t n;

    memcpy(block + 4, path, strlen(path));
    n = wire_http2_frame(bytes, 1, 5, stream, block, 4 + strlen(path));
    wire_send(wire->client, wire->server, bytes, n);
    n = wire_http2_frame(bytes, 1, 5, stream, "\x88", 1);
    wire_send(wire->server, wire->client, bytes, n);
}

static void paths_of_http2_fold_by_the_rules_of_their_own_service(void)
{
    struct wire wire, other;
    char path[64];

    CU_ASSERT_FATAL(open_world(&wire, "front"));
    CU_ASSERT_FATAL(wire_open(&w, &other, AF_INET));
    pmo_kernel_scope(w.kernel, other.instance, pmo_route_scope("catalog"));
    wire_http2(&wire);
    wire_http2(&other);
    for (unsigned int i = 0; i < 50; i++) {
        (void)snprintf(path, sizeof(path), "/u/%s", slug(i));
        ask_http2(&wire, (char)(1 + 2 * i), path);
    }
    (void)snprintf(path, sizeof(path), "/u/%s", slug(49));
    ask_http2(&other, 1, path);
    wire_close(&wire);
    wire_close(&other);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 50);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/u/{id}"),
                    50 - PMO_FOLD_CHILDREN);
    CU_ASSERT_EQUAL(world_requests(&w, (int)other.instance, -1, 2, path), 1);
    world_close(&w, false);
}

SUITE(routes) = {
    TEST(too_many_slugs_fold_at_once),
    TEST(an_instance_without_a_service_teaches_nothing),
    TEST(routes_beyond_the_bound_of_a_service_are_counted_as_other),
    TEST(what_is_pinned_is_named_as_pinned),
    TEST(what_was_learned_outlives_the_agent_and_can_be_merged),
    TEST(paths_of_http2_fold_by_the_rules_of_their_own_service),
    {0},
};
