/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers that policies name, in the real programs on real sockets. */
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/core.h"
#include "bpf/headers.h"
#include "tests/bpf/world.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct world w;

static const struct pmo_policy_header tenant = {
    .name = "x-tenant", .values = {"acme", "umbrella"}, .values_count = 2};
static const struct pmo_policy_header feature = {.name = "x-feature", .hash = true};

static void name_headers(void)
{
    const volatile struct pmo_control *control = pmo_kernel_control(w.kernel);
    const __u64 key[2] = {control->header_key[0], control->header_key[1]};
    struct pmo_header headers[PMO_HEADERS_MAX] = {};

    pmo_header_make(&headers[0], &tenant, key);
    pmo_header_make(&headers[1], &feature, key);
    CU_ASSERT_EQUAL(pmo_kernel_headers(w.kernel, headers), 0);
}

static bool open_world(struct wire *wire, bool named, uint32_t rows)
{
    bool opened;

    w.extras.headers = w.extras.calls = named; /* all that the verifier may see at once */
    opened = world_open(&w);
    w.extras.headers = w.extras.calls = false;
    if (!opened || !wire_open(&w, wire, AF_INET))
        return false;
    name_headers();
    pmo_kernel_scope(w.kernel, wire->instance, pmo_route_scope("shop"));
    pmo_kernel_headers_wanted(w.kernel, wire->instance,
                              PMO_HEADERS_WANTED(rows, header_letter('x')));
    return true;
}

/* One request, in one segment or in two, and its answer. */
static void ask(struct wire *wire, const char *lines, size_t split)
{
    char text[1000];
    size_t n = (size_t)snprintf(text, sizeof(text), "GET /a HTTP/1.1\r\n%s\r\n", lines);

    if (split % n) {
        wire_send(wire->client, wire->server, text, split % n);
        wire_send(wire->client, wire->server, text + split % n, n - split % n);
    } else {
        wire_request(wire, text);
    }
    wire_response(wire, OK);
}

static void requests_are_counted_once_more_by_the_headers_they_carry(void)
{
    struct wire wire;
    char text[PMO_ROUTE_BYTES];
    const volatile struct pmo_control *control;
    uint64_t digest;

    CU_ASSERT_FATAL(open_world(&wire, true, 3));
    control = pmo_kernel_control(w.kernel);
    for (size_t split = 0; split < 60; split++)
        ask(&wire, "Host: a\r\nX-Tenant: acme\r\nAccept: */*\r\n", split);
    for (size_t i = 0; i < 5; i++)
        ask(&wire, "X-Tenant: umbrella\r\nX-Feature: blue\r\n", i);
    ask(&wire, "X-Tenant: stranger\r\n", 0);
    ask(&wire, "X-Tenant-Id: acme\r\n", 0);
    ask(&wire, "Host: a\r\n", 0);
    wire_close(&wire);
    world_settle(&w);
    digest = header_digest("blue", (__u64[2]){control->header_key[0], control->header_key[1]});
    (void)snprintf(text, sizeof(text), "x-feature: %08x", (unsigned int)(digest >> 32));
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: acme"), 60);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: umbrella"), 5);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: {other}"), 1);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, text), 5);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 71);
    /* and nothing else changes */
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/a"), 68);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 68);
    CU_ASSERT_EQUAL(w.instances[wire.instance].arrivals, 68);
    world_close(&w, false);
}

static void nothing_is_found(bool named, uint32_t rows)
{
    struct wire wire;

    CU_ASSERT_FATAL(open_world(&wire, named, rows));
    for (size_t i = 0; i < 9; i++)
        ask(&wire, "X-Tenant: acme\r\n", i % 2 * 5);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 0);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 9);
    world_close(&w, false);
}

static void nothing_is_looked_for_where_no_policy_names_it(void)
{
    nothing_is_found(false, 3);
    nothing_is_found(true, 2); /* another service's */
}

static void hashes_of_a_header_are_bounded(void)
{
    struct wire wire;
    char lines[64];
    size_t hashes = 0;

    CU_ASSERT_FATAL(open_world(&wire, true, 3));
    for (unsigned int i = 0; i < 200; i++) {
        (void)snprintf(lines, sizeof(lines), "X-Feature: f%u\r\n", i);
        ask(&wire, lines, i % 3);
    }
    wire_close(&wire);
    world_settle(&w);
    for (size_t i = 0; i < w.types_count; i++)
        hashes += w.types[i].key.instance == wire.instance &&
                  w.types[i].key.protocol == PMO_PROTOCOL_HEADER;
    CU_ASSERT_EQUAL(hashes, PMO_HEADER_HASHES + 1);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-feature: {other}"),
                    200 - PMO_HEADER_HASHES);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 200);
    world_close(&w, false);
}

static void pipelined_requests_have_their_own_headers(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(open_world(&wire, true, 3));
    wire_request(&wire, "GET /a HTTP/1.1\r\nX-Tenant: acme\r\n\r\n"
                        "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"
                        "POST /c HTTP/1.1\r\nX-Tenant: umbrella\r\nContent-Length: 18\r\n\r\n"
                        "X-Tenant: acme\r\n\r\n");
    for (int i = 0; i < 3; i++)
        wire_response(&wire, OK);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: acme"), 1);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: umbrella"), 1);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 2);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, NULL), 3);
    world_close(&w, false);
}

static void hashes_stay_the_same_over_an_agent_restart(void)
{
    struct wire wire;

    CU_ASSERT_FATAL(open_world(&wire, true, 3));
    ask(&wire, "X-Feature: blue\r\n", 0);
    world_settle(&w);
    world_close(&w, true);
    w.extras.headers = true;
    CU_ASSERT_FATAL(world_reopen(&w));
    w.extras.headers = false;
    name_headers();
    ask(&wire, "X-Feature: blue\r\n", 0);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 2);
    CU_ASSERT_EQUAL(w.types_count ? world_headers(&w, wire.instance, NULL) : 0, 2);
    world_close(&w, false);
}

/* ---- HTTP/2 ---- */

/* A request's header block: GET /, and what follows. */
struct block {
    size_t length;
    char bytes[256];
};

static void block_begin(struct block *b)
{
    memcpy(b->bytes, "\x82\x86\x84", 3);
    b->length = 3;
}

static void block_string(struct block *b, const char *text)
{
    b->bytes[b->length++] = (char)strlen(text);
    memcpy(b->bytes + b->length, text, strlen(text));
    b->length += strlen(text);
}

/* A field that enters the table. */
static void block_field(struct block *b, const char *name, const char *value)
{
    b->bytes[b->length++] = 0x40;
    block_string(b, name);
    block_string(b, value);
}

/* One request, in one segment or in two, and its answer. */
static void ask_http2(struct wire *wire, int number, const struct block *b, size_t split)
{
    char bytes[300];
    size_t n;

    n = wire_http2_frame(bytes, 1, 5, (char)(2 * number + 1), b->bytes, b->length);
    if (split % n)
        wire_send(wire->client, wire->server, bytes, split % n);
    wire_send(wire->client, wire->server, bytes + split % n, n - split % n);
    n = wire_http2_frame(bytes, 1, 5, (char)(2 * number + 1), "\x88", 1);
    wire_send(wire->server, wire->client, bytes, n);
}

/* The same once more, by what the table has: @index, from 62 on. */
static void ask_http2_again(struct wire *wire, int number, unsigned int index)
{
    struct block b;

    block_begin(&b);
    b.bytes[b.length++] = (char)(0x80 | index);
    ask_http2(wire, number, &b, 0);
}

static void headers_of_http2_are_those_of_http1(void)
{
    struct wire wire, http2;
    struct block b;

    CU_ASSERT_FATAL(open_world(&wire, true, 3));
    ask(&wire, "X-Tenant: acme\r\nX-Feature: dark  blue\r\n", 0);
    ask(&wire, "X-Tenant: stranger\r\n", 0);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 3);

    http2 = wire;
    CU_ASSERT_FATAL(wire_again(&http2));
    wire_http2(&http2);
    for (int i = 0; i < 60; i++) { /* all of it as text */
        block_begin(&b);
        b.bytes[b.length++] = 0x00;
        block_string(&b, "x-tenant");
        block_string(&b, i % 2 ? "acme" : " acme ");
        ask_http2(&http2, i, &b, (size_t)i);
    }
    (void)close(http2.client);
    (void)close(http2.server);

    http2 = wire;
    CU_ASSERT_FATAL(wire_again(&http2));
    wire_http2(&http2);
    block_begin(&b);
    block_field(&b, "x-tenant", "umbrella");
    block_field(&b, "x-feature", "dark blue");
    block_field(&b, "x-tenant", "acme"); /* the first one counts */
    block_field(&b, "x-tenant-id", "acme");
    ask_http2(&http2, 0, &b, 0);
    for (int i = 1; i < 8; i++)
        ask_http2_again(&http2, i, 65); /* umbrella */
    for (int i = 8; i < 11; i++)
        ask_http2_again(&http2, i, 64); /* blue */
    ask_http2_again(&http2, 11, 62);
    block_begin(&b);
    b.bytes[b.length++] = 0x7f; /* the name with another value */
    b.bytes[b.length++] = 0x00;
    block_string(&b, "stranger");
    ask_http2(&http2, 12, &b, 0);
    (void)close(http2.client);
    (void)close(http2.server);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: acme"), 1 + 60);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: umbrella"), 8);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: {other}"), 2);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 61 + 8 + 2 + 1 + 4);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/"), 73);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, -1, NULL), 75);
    for (size_t i = 0, hashes = 0; i < w.types_count; i++)
        if (w.types[i].key.protocol == PMO_PROTOCOL_HEADER &&
            !strncmp(w.types[i].route, "x-feature", 9))
            CU_ASSERT_EQUAL(++hashes, 1); /* one text, whichever way it came */
    world_close(&w, false);
}

static void headers_of_http2_are_looked_for_where_a_policy_names_them(void)
{
    struct wire wire;
    struct block b;

    for (int named = 0; named < 2; named++) {
        CU_ASSERT_FATAL(open_world(&wire, named, 2)); /* x-feature, or none */
        wire_http2(&wire);
        block_begin(&b);
        block_field(&b, "x-tenant", "acme");
        ask_http2(&wire, 0, &b, 0);
        ask_http2_again(&wire, 1, 62);
        wire_close(&wire);
        world_settle(&w);
        CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 0);
        CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/"), 2);
        world_close(&w, false);
    }
}

/* The next agent's policies name others, while a connection goes on. */
static void headers_of_http2_are_never_counted_by_the_name_of_another(void)
{
    const volatile struct pmo_control *control;
    struct pmo_header headers[PMO_HEADERS_MAX] = {};
    struct wire wire;
    struct block b;
    __u64 key[2];

    CU_ASSERT_FATAL(open_world(&wire, true, 3));
    wire_http2(&wire);
    block_begin(&b);
    block_field(&b, "x-tenant", "acme");
    ask_http2(&wire, 0, &b, 0);
    name_headers(); /* the same again: nothing is forgotten */
    ask_http2_again(&wire, 1, 62);
    control = pmo_kernel_control(w.kernel);
    key[0] = control->header_key[0];
    key[1] = control->header_key[1];
    pmo_header_make(&headers[0], &feature, key); /* what was x-tenant's */
    CU_ASSERT_EQUAL(pmo_kernel_headers(w.kernel, headers), 0);
    pmo_kernel_headers_wanted(w.kernel, wire.instance, PMO_HEADERS_WANTED(1, header_letter('x')));
    ask_http2_again(&wire, 2, 62);
    name_headers();
    pmo_kernel_headers_wanted(w.kernel, wire.instance, PMO_HEADERS_WANTED(3, header_letter('x')));
    ask_http2_again(&wire, 3, 62); /* not known any more, */
    ask_http2(&wire, 4, &b, 0);    /* until it comes anew */
    ask_http2_again(&wire, 5, 62);
    wire_close(&wire);
    world_settle(&w);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, "x-tenant: acme"), 4);
    CU_ASSERT_EQUAL(world_headers(&w, wire.instance, NULL), 4);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, -1, 2, "/"), 6);
    world_close(&w, false);
}

SUITE(headers) = {TEST(requests_are_counted_once_more_by_the_headers_they_carry),
                  TEST(nothing_is_looked_for_where_no_policy_names_it),
                  TEST(hashes_of_a_header_are_bounded),
                  TEST(pipelined_requests_have_their_own_headers),
                  TEST(hashes_stay_the_same_over_an_agent_restart),
                  TEST(headers_of_http2_are_those_of_http1),
                  TEST(headers_of_http2_are_looked_for_where_a_policy_names_them),
                  TEST(headers_of_http2_are_never_counted_by_the_name_of_another),
                  {0}};
