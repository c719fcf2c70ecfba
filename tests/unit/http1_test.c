/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel side's HTTP/1.x parser and route folding, the same lines compiled for the host. */
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/http1.h"

/* A route cache of one entry, so that both ways to a route are walked. */
static char route_texts[64][sizeof(((struct fold *)0)->text)];
static __u32 routes_count;
static __u64 cached_hash;
static __u32 cached_route;

static bool http1_route_known(__u64 target_hash, __u32 *route)
{
    if (target_hash != cached_hash)
        return false;
    *route = cached_route;
    return true;
}

static __u32 http1_route(struct fold *fold, __u64 target_hash)
{
    __u32 i;

    (void)fold_end(fold);
    for (i = 0; i < routes_count && strcmp(route_texts[i], fold->text); i++)
        ;
    if (i == routes_count && i < 64)
        (void)snprintf(route_texts[routes_count++], sizeof(route_texts[0]), "%s", fold->text);
    if (target_hash) {
        cached_hash = target_hash;
        cached_route = i;
    }
    return i;
}

/* What was seen, as text: "GET /x;" for a request, "200;" for a response head, "." for its end. */
struct seen {
    char text[65536];
    size_t length;
    struct http1 parser;
    struct fold fold;
    bool response;
    __u8 method; /* that responses answer */
};

static void see(struct seen *s, const char *what)
{
    s->length += (size_t)snprintf(s->text + s->length, sizeof(s->text) - s->length, "%s", what);
}

/* Feeds one segment, as bpf/request.h does. */
static void feed(struct seen *s, const char *bytes, size_t length)
{
    struct http1_chunk chunk = {};
    size_t offset = 0;

    while (offset < length) {
        __u8 phase = s->parser.phase;
        __u32 event = HTTP1_MORE, before, n = (__u32)(length - offset);

        if (s->parser.phase >= HTTP1_BODY) {
            n = http1_skip_body(&s->parser, n, &event);
            chunk.pos += n;
            offset += n;
            if (event == HTTP1_END && s->response)
                see(s, ".");
            continue;
        }
        if (chunk.pos >= chunk.len) {
            chunk.len = n < HTTP1_CHUNK ? n : HTTP1_CHUNK;
            chunk.pos = 0;
            memset(chunk.buf, 0xee, sizeof(chunk.buf));
            memcpy(chunk.buf, bytes + offset, chunk.len);
        }
        before = chunk.pos;
        event = s->response ? http1_parse_response(&s->parser, &s->fold, &chunk)
                            : http1_parse_request(&s->parser, &s->fold, &chunk);
        offset += chunk.pos - before;
        if (event == HTTP1_REQUEST) {
            char text[200];

            (void)snprintf(text, sizeof(text), "%u %s;", s->parser.method,
                           route_texts[s->parser.route]);
            see(s, text);
        } else if (event == HTTP1_RESPONSE) {
            char text[16];

            (void)snprintf(text, sizeof(text), "%u;", s->parser.status);
            see(s, text);
            if (http1_answer(&s->parser, s->method))
                see(s, ".");
        } else if (event == HTTP1_END) {
            see(s, ".");
        } else if (chunk.pos == before && s->parser.phase == phase) {
            CU_FAIL("the parser made no progress");
            return;
        }
    }
}

/* Feeds a stream whole, byte by byte, and split at every place; all must give the same. */
static void expect(bool response, __u8 method, const char *stream, size_t length,
                   const char *expected)
{
    static struct seen s;

    for (size_t split = 0; split <= length + 1; split++) {
        memset(&s, 0, sizeof(s));
        s.response = response;
        s.method = method;
        if (split > length) {
            for (size_t i = 0; i < length; i++)
                feed(&s, stream + i, 1);
        } else {
            feed(&s, stream, split);
            feed(&s, stream + split, length - split);
        }
        if (strcmp(s.text, expected)) {
            printf("\n  split at %zu: got \"%s\", expected \"%s\"\n", split, s.text, expected);
            CU_FAIL("a split changes what is seen");
            return;
        }
    }
    CU_PASS("");
}

static void expect_requests(const char *stream, const char *expected)
{
    expect(false, 0, stream, strlen(stream), expected);
}

static void expect_responses(__u8 method, const char *stream, const char *expected)
{
    expect(true, method, stream, strlen(stream), expected);
}

static void requests_are_found_however_they_are_split(void)
{
    expect_requests("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "1 /;");
    expect_requests("GET /a/b?c=d&e HTTP/1.1\r\nHost: a\r\n\r\n", "1 /a/b;");
    expect_requests("HEAD /x HTTP/1.0\r\n\r\nDELETE /y/12 HTTP/1.1\r\nA: b\r\n\r\n",
                    "2 /x;5 /y/{id};");
    expect_requests("PROPFIND /dav HTTP/1.1\r\nDepth: 1\r\n\r\n", "0 /dav;");
    expect_requests("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "7 *;");
    expect_requests("\r\n\r\nGET /after/empty/lines HTTP/1.1\r\n\r\n", "1 /after/empty/lines;");
    expect_requests("GET /lf/only HTTP/1.1\nHost: a\n\nGET /b HTTP/1.1\n\n", "1 /lf/only;1 /b;");
    expect_requests("GET http://host.example:80/abs/1?q HTTP/1.1\r\n\r\n", "1 /abs/{id};");
}

static void bodies_are_never_taken_for_requests(void)
{
    expect_requests("POST /p HTTP/1.1\r\nContent-Length: 33\r\n\r\n"
                    "GET /fake HTTP/1.1\r\nHost: b\r\n\r\nxxGET /q HTTP/1.1\r\n\r\n",
                    "3 /p;1 /q;");
    expect_requests(
        "PUT /p HTTP/1.1\r\ncontent-LENGTH:  5 \r\nX: y\r\n\r\nGET /GET /q HTTP/1.1\r\n\r\n",
        "4 /p;1 /q;");
    expect_requests("POST /c HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
                    "1a;ext=\"x\"\r\nGET /fake HTTP/1.1\r\n\r\nabcd\r\n0\r\nTrailer: v\r\n\r\n"
                    "GET /q HTTP/1.1\r\n\r\n",
                    "3 /c;1 /q;");
    expect_requests("POST /c HTTP/1.1\r\nTRANSFER-ENCODING:chunked\r\nContent-Length: 3\r\n\r\n"
                    "5\r\nGET /\r\n0\r\n\r\nGET /q HTTP/1.1\r\n\r\n",
                    "3 /c;1 /q;");
    expect_requests(
        "POST /n HTTP/1.1\r\nContent-Lengthy: 9\r\nContent-Type: a\r\n"
        "Transfer: chunked\r\nTransfer-Encodings: chunked\r\n\r\nGET /q HTTP/1.1\r\n\r\n",
        "3 /n;1 /q;");
}

static void responses_are_framed_by_rfc_9112(void)
{
    expect_responses(PMO_METHOD_GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200;.");
    expect_responses(PMO_METHOD_GET,
                     "HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\nHTTP/1.1 500 no\r\n"
                     "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                     "404;.503;.");
    expect_responses(PMO_METHOD_HEAD,
                     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                     "200;.200;.");
    expect_responses(
        PMO_METHOD_GET,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.0 200\r\n\r\nrest",
        "100;.204;.304;.200;");
    expect_responses(PMO_METHOD_GET,
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "F\r\nHTTP/1.1 500 no\r\n0\r\n\r\nHTTP/1.1 201 Created\r\n"
                     "Content-Length: 0\r\n\r\n",
                     "200;.201;.");
    expect_responses(PMO_METHOD_GET, "HTTP/1.1 101 Switching\r\nUpgrade: h\r\n\r\nHTTP/1.1 200 x",
                     "101;.");
    expect_responses(PMO_METHOD_CONNECT, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 x\r\n\r\n", "200;.");
}

static void what_is_not_http_1_is_left_alone(void)
{
    expect_requests("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "");
    expect_requests("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 GET / HTTP/1.1\r\n\r\n", "");
    expect_requests("GET /old\r\nGET / HTTP/1.1\r\n\r\n", "");
    expect_requests("SSH-2.0-OpenSSH_9.2\r\nGET / HTTP/1.1\r\n\r\n", "");
    expect_responses(PMO_METHOD_GET, "ICY 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "");
}

static void a_path_of_64_kib_is_one_request(void)
{
    static char stream[70000], expected[PMO_ROUTE_BYTES + 40];
    static struct seen s;
    size_t n = (size_t)snprintf(stream, sizeof(stream), "GET /");

    memset(stream + n, 'a', 65536);
    n += 65536;
    n += (size_t)snprintf(stream + n, sizeof(stream) - n,
                          " HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
    (void)snprintf(expected, sizeof(expected), "1 /%.*s;1 /next;", (int)PMO_ROUTE_BYTES - 2,
                   stream + 5);
    for (size_t step = 1; step < 20000; step = step * 3 + 1) {
        memset(&s, 0, sizeof(s));
        for (size_t at = 0; at < n; at += step)
            feed(&s, stream + at, n - at < step ? n - at : step);
        CU_ASSERT_STRING_EQUAL(s.text, expected);
    }
}

static void pipelined_requests_are_each_found(void)
{
    static char stream[40000];
    static struct seen s;
    size_t n = 0, count = 0;

    while (n < sizeof(stream) - 64)
        n += (size_t)snprintf(stream + n, sizeof(stream) - n,
                              "GET /item/%zu HTTP/1.1\r\nHost: a\r\n\r\n", count++);
    for (size_t step = 1; step < n; step = step * 2 + 1) {
        size_t found = 0;

        memset(&s, 0, sizeof(s));
        for (size_t at = 0; at < n; at += step)
            feed(&s, stream + at, n - at < step ? n - at : step);
        for (const char *at = s.text; (at = strstr(at, "1 /item/{id};")); at++)
            found++;
        CU_ASSERT_EQUAL(found, count);
    }
}

static const char *folded(const char *path)
{
    static struct fold f;

    fold_begin(&f);
    for (const char *c = path; *c; c++)
        fold_byte(&f, (__u8)*c);
    (void)fold_end(&f);
    return f.text;
}

static void variable_segments_are_folded(void)
{
    CU_ASSERT_STRING_EQUAL(folded("/users/42"), "/users/{id}");
    CU_ASSERT_STRING_EQUAL(folded("/users/42/orders/977/"), "/users/{id}/orders/{id}/");
    CU_ASSERT_STRING_EQUAL(folded("/v1/3"), "/v1/{id}");
    CU_ASSERT_STRING_EQUAL(folded("/o/123e4567-e89b-12d3-a456-426614174000/x"), "/o/{id}/x");
    CU_ASSERT_STRING_EQUAL(folded("/c/9f86d081884c7d65"), "/c/{id}");
    CU_ASSERT_STRING_EQUAL(folded("/feedface/cafe/beef01"), "/feedface/cafe/beef01");
    CU_ASSERT_STRING_EQUAL(folded("/t/eyJhbGciOiJIUzI1NiIsInR5cCI6"), "/t/{id}");
    CU_ASSERT_STRING_EQUAL(folded("/a-long-but-readable-segment-here"),
                           "/a-long-but-readable-segment-here");
    CU_ASSERT_STRING_EQUAL(folded("/\x01\xff\"/x"), "/??\"/x");
}

static void folding_never_writes_past_its_text(void)
{
    for (size_t length = 1; length < 400; length++) {
        char path[402];

        for (size_t i = 0; i < length; i++)
            path[i] = i % 3 == 0 ? '/' : (char)('0' + i % 10);
        path[length] = 0;
        CU_ASSERT(strlen(folded(path)) < PMO_ROUTE_BYTES);
    }
}

/* Not a fuzzer (that is tests/fuzz), but enough to see that nothing stops the parser or makes it
 * read or write out of bounds under the sanitizers. */
static void random_bytes_do_no_harm(void)
{
    static const char alphabet[] = "GET /HTTP/1.1\r\n:0123456789abcfchunkedContent-Length ;";
    static struct seen s;
    unsigned int seed = 7;

    for (int round = 0; round < 3000; round++) {
        char bytes[300];
        size_t n = (size_t)rand_r(&seed) % sizeof(bytes);

        for (size_t i = 0; i < n; i++)
            bytes[i] = rand_r(&seed) % 8 ? alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)]
                                         : (char)rand_r(&seed);
        memset(&s, 0, sizeof(s));
        s.response = round & 1;
        feed(&s, bytes, n / 2);
        feed(&s, bytes + n / 2, n - n / 2);
    }
    CU_PASS("");
}

SUITE(http1) = {TEST(requests_are_found_however_they_are_split),
                TEST(bodies_are_never_taken_for_requests),
                TEST(responses_are_framed_by_rfc_9112),
                TEST(what_is_not_http_1_is_left_alone),
                TEST(a_path_of_64_kib_is_one_request),
                TEST(pipelined_requests_are_each_found),
                TEST(variable_segments_are_folded),
                TEST(folding_never_writes_past_its_text),
                TEST(random_bytes_do_no_harm),
                {0}};
