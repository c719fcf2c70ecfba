/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Headers that policies name, found by the kernel side's parser: the same lines, for the host. */
#include "tests/unit/suite.h"

#include <stdlib.h>
#include <linux/types.h>

/* Beside the parser that looks for none (http1_test.c). */
#define http1_parse_request  headers_parse_request
#define http1_parse_response headers_parse_response

struct fold;
static const __u64 key[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};
static __u64 headers_sought(const struct fold *fold);
static int headers_number(const struct fold *fold, __u64 name, __u32 index);

#define HEADERS_NAMED true
#define HEADERS_KEY   key
#include "tests/unit/http1_reference.h"

static const char *const names[PMO_HEADERS_MAX] = {"x-tenant", "x-feature", "traceparent",
                                                   "cart-0123456789012345678901234"};
static __u8 wanted;

static __u64 headers_sought(const struct fold *fold)
{
    __u32 letters = 0;

    for (int i = 0; i < (int)PMO_HEADERS_MAX; i++)
        letters |= wanted >> i & 1 ? header_letter(names[i][0]) : 0;
    return letters;
}

static int headers_number(const struct fold *fold, __u64 name, __u32 index)
{
    for (int i = 0; i < (int)PMO_HEADERS_MAX; i++)
        if (wanted >> i & 1 && header_digest(names[i], key) == name)
            return i + 1;
    return 0;
}

/* Whether what is found in a head is this, value by value; NULL: none. */
static bool is_found(const struct seen *s, const char *const values[PMO_HEADERS_MAX])
{
    const struct headers *headers = &s->fold.headers;

    for (int i = 0; i < (int)PMO_HEADERS_MAX; i++) {
        if ((headers->found >> i & 1) != !!values[i])
            return false;
        if (values[i] && headers->values[i] != header_digest(values[i], key))
            return false;
    }
    return true;
}

/* Feeds a request whole, byte by byte, and split at every place: all must find the same, and the
 * request itself, with the body that it has. */
static void expect(const char *lines, const char *tenant, const char *feature, const char *trace,
                   const char *cart)
{
    const char *const values[PMO_HEADERS_MAX] = {tenant, feature, trace, cart};
    static char request[4096];
    static struct seen s;
    size_t length =
        (size_t)snprintf(request, sizeof(request),
                         "POST /a?x-tenant:no HTTP/1.1\r\n%s\r\nX-Tenant: body\r\n\r\n", lines);

    for (size_t split = 0; split <= length + 1; split++) {
        memset(&s, 0, sizeof(s));
        if (split > length) {
            for (size_t i = 0; i < length; i++)
                feed(&s, request + i, 1);
        } else {
            feed(&s, request, split);
            feed(&s, request + split, length - split);
        }
        if (s.wrong || !is_found(&s, values) || strcmp(s.text, "3 /a;") != 0) {
            printf("\n  %s  split at %zu: %s, found %x\n", lines, split, s.wrong ? s.wrong : s.text,
                   s.fold.headers.found);
            CU_FAIL("a split changes what is found");
            return;
        }
    }
    CU_PASS("");
}

#define BODY "Content-Length: 18\r\n"

static void named_headers_are_found_however_they_are_split(void)
{
    wanted = 15;
    expect("Host: a\r\n" BODY, NULL, NULL, NULL, NULL);
    expect("Host: a\r\nX-Tenant: acme\r\n" BODY, "acme", NULL, NULL, NULL);
    expect("x-tenant:acme\r\nHost: a\r\n" BODY "X-FEATURE: \t Blue \t\r\n", "acme", "Blue", NULL,
           NULL);
    expect(BODY "Traceparent: 00-1-2-01\r\nCart-0123456789012345678901234: 7\r\n", NULL, NULL,
           "00-1-2-01", "7");
    expect(BODY "X-Tenant:\r\n", "", NULL, NULL, NULL);
    expect(BODY "X-Tenant: a b  c: d\r\n", "a b c: d", NULL, NULL, NULL);
    expect(BODY "X-Tenant: acme\nX-Feature: lf\n", "acme", "lf", NULL, NULL);
}

static void names_that_look_alike_are_others(void)
{
    wanted = 15;
    expect(BODY "X-Tenant-Id: acme\r\nX-Tenan: a\r\nX: a\r\nX-Tenant : a\r\nX-Tenant\r\n"
                "Ax-tenant: a\r\nTransfer-Tenant: a\r\nTe: a\r\nCart-01234567890123456789012345: a"
                "\r\nx-a-name-that-is-much-longer-than-any-that-is-looked-for-x-tenant: a\r\n",
           NULL, NULL, NULL, NULL);
    wanted = 2;
    expect(BODY "X-Tenant: acme\r\nX-Feature: a\r\n", NULL, "a", NULL, NULL);
    wanted = 0;
    expect(BODY "X-Tenant: acme\r\nX-Feature: a\r\n", NULL, NULL, NULL, NULL);
}

static void a_value_may_go_on_in_the_next_line(void)
{
    wanted = 15;
    expect(BODY "X-Tenant: acme\r\n  and sons\r\n\tltd\r\nHost: a\r\n", "acme and sons ltd", NULL,
           NULL, NULL);
    expect(BODY "X-Tenant:\r\n acme\r\n", "acme", NULL, NULL, NULL);
    expect(BODY "Host: a\r\n X-Tenant: no\r\n", NULL, NULL, NULL, NULL);
}

static void of_a_repeated_header_the_first_counts(void)
{
    wanted = 15;
    expect(BODY "X-Tenant: acme\r\nX-Tenant: umbrella\r\n", "acme", NULL, NULL, NULL);
}

static void a_long_value_is_one_value(void)
{
    static char lines[2048], value[1501];

    wanted = 15;
    memset(value, 'v', sizeof(value) - 1);
    (void)snprintf(lines, sizeof(lines), BODY "X-Tenant: %s\r\n", value);
    expect(lines, value, NULL, NULL, NULL);
}

static void trailers_are_no_headers(void)
{
    static const char request[] = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                                  "X-Feature: a\r\n\r\n1\r\nx\r\n0\r\nX-Tenant: acme\r\n\r\n";
    static struct seen s;

    wanted = 15;
    memset(&s, 0, sizeof(s));
    feed(&s, request, sizeof(request) - 1);
    CU_ASSERT_EQUAL(s.parser.phase, HTTP1_START);
    CU_ASSERT_EQUAL(s.fold.headers.found, 2);
}

static void without_the_key_a_digest_is_another(void)
{
    const __u64 other[2] = {key[0], key[1] + 1}, another[2] = {key[0] + 1, key[1]};

    CU_ASSERT_NOT_EQUAL(header_digest("acme", key), header_digest("acme", other));
    CU_ASSERT_NOT_EQUAL(header_digest("acme", key), header_digest("acme", another));
    CU_ASSERT_NOT_EQUAL(header_digest("acme", key), header_digest("Acme", key));
    CU_ASSERT_NOT_EQUAL(header_digest("", key) >> 32, header_digest(" ", key) >> 32);
}

SUITE(headers) = {TEST(named_headers_are_found_however_they_are_split),
                  TEST(names_that_look_alike_are_others),
                  TEST(a_value_may_go_on_in_the_next_line),
                  TEST(of_a_repeated_header_the_first_counts),
                  TEST(a_long_value_is_one_value),
                  TEST(trailers_are_no_headers),
                  TEST(without_the_key_a_digest_is_another),
                  {0}};
