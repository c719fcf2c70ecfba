/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel side's HTTP/1.x parser and route folding, the same lines compiled for the host. */
#include "tests/unit/suite.h"

#include <stdlib.h>
#include "tests/unit/http1_reference.h"

/* Feeds a stream whole, byte by byte, and split at every place; all must give the same. */
static void expect(bool response, __u8 method, const char *stream, size_t length,
                   const char *expected)
{
    static struct seen s;

    for (size_t split = 0; split <= length + 1; split++) {
        memset(&s, 0, sizeof(s));
        s.response = response;
        memset(s.methods, method, sizeof(s.methods));
        if (split > length) {
            for (size_t i = 0; i < length; i++)
                feed(&s, stream + i, 1);
        } else {
            feed(&s, stream, split);
            feed(&s, stream + split, length - split);
        }
        if (s.wrong || strcmp(s.text, expected) != 0) {
            printf("\n  split at %zu: got \"%s\", expected \"%s\"%s%s\n", split, s.text, expected,
                   s.wrong ? "; " : "", s.wrong ? s.wrong : "");
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

static void methods_are_any_token_in_any_case(void)
{
    expect_requests("get /a HTTP/1.1\r\n\r\nGet /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n",
                    "0 /a;0 /b;1 /c;");
    expect_requests("M-SEARCH * HTTP/1.1\r\n\r\nBREW /pot HTTP/1.1\r\n\r\n"
                    "!#$%&'*+-.^_`|~09azAZ /all HTTP/1.1\r\n\r\n",
                    "0 *;0 /pot;0 /all;");
    expect_requests("POSTS /a HTTP/1.1\r\n\r\nPOS /b HTTP/1.1\r\n\r\nTRACE /c HTTP/1.1\r\n\r\n",
                    "0 /a;0 /b;8 /c;");
}

/* obs-fold, RFC 9112 5.2 */
static void a_line_that_goes_on_in_the_next_is_one_header(void)
{
    expect_requests("POST /a HTTP/1.1\r\nContent-Length:\r\n 5\r\n\r\nGET /GET /b HTTP/1.1\r\n\r\n",
                    "3 /a;1 /b;");
    expect_requests("POST /a HTTP/1.1\r\nTransfer-Encoding: gzip,\r\n\tchunked\r\n\r\n"
                    "5\r\nGET /\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                    "3 /a;1 /b;");
    expect_requests("POST /a HTTP/1.1\r\nX: y\r\n Content-Length: 5\r\n"
                    "\tTransfer-Encoding: chunked\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                    "3 /a;1 /b;");
    /* the first value of a list that was merged stands, whatever goes on */
    expect_requests("POST /a HTTP/1.1\r\nContent-Length: 5,\r\n 5\r\n\r\n"
                    "GET /GET /b HTTP/1.1\r\n\r\n",
                    "3 /a;1 /b;");
    expect_requests("POST /a HTTP/1.1\r\nTransfer-Encoding: chun\r\n ked\r\n\r\n"
                    "0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                    "3 /a;");
    /* "chunked chunked" is no coding, and nobody can tell where such a body ends */
    expect_requests("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n chunked\r\n\r\n"
                    "0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                    "3 /a;");
}

static void a_name_is_known_however_many_lines_are_before_it(void)
{
    static struct seen s;

    for (int lines = 0; lines < 140; lines++) { /* one of these counts ends a scan at the name */
        char head[700];
        size_t n = (size_t)snprintf(head, sizeof(head), "POST / HTTP/1.1\n");

        for (int i = 0; i < lines; i++)
            n += (size_t)snprintf(head + n, sizeof(head) - n, "a:\n");
        n += (size_t)snprintf(head + n, sizeof(head) - n,
                              "Transfer-Encoding: chunked\r\n , gzip\r\n\r\n"
                              "0\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
        memset(&s, 0, sizeof(s));
        feed(&s, head, n);
        CU_ASSERT_STRING_EQUAL(s.text, "3 /;");
    }
}

static void spaces_may_be_more_than_one_in_a_request_line(void)
{
    expect_requests("GET  /a   HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "1 /a;1 /b;");
}

static void a_target_is_in_one_line_and_not_empty(void)
{
    expect_requests("GET /a\r\nX: HTTP/1.1\r\n\r\n", "");
    expect_requests("GET /a?b\r\nX: HTTP/1.1\r\n\r\n", "");
    expect_requests("GET ?b HTTP/1.1\r\n\r\n", "");
    expect_requests("GET  HTTP/1.1\r\n\r\n", "");
    expect_requests("GET /a\tb HTTP/1.1\r\n\r\n", "1 /a?b;");
}

static void a_minor_version_may_be_anything(void)
{
    expect_requests("GET /a HTTP/1.9\r\n\r\nGET /b HTTP/1.\n\r\nGET /c HTTP/1.1\r\n\r\n",
                    "1 /a;1 /b;1 /c;");
}

static void a_body_of_a_coding_without_chunked_has_no_end(void)
{
    static const char nul[] = "POST /a HTTP/1.1\r\nTransfer-Encoding:\0chunked\r\n\r\n"
                              "0\r\n\r\nGET /b HTTP/1.1\r\n\r\n";

    expect_requests("POST /a HTTP/1.1\r\nTransfer-Encoding: notchunked\r\nContent-Length: 2\r\n\r\n"
                    "okGET /b HTTP/1.1\r\n\r\n",
                    "3 /a;");
    expect_requests("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"
                    "0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                    "3 /a;");
    expect_responses(PMO_METHOD_GET,
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\n"
                     "okHTTP/1.1 404 no\r\n\r\n",
                     "200;");
    expect(false, 0, nul, sizeof(nul) - 1, "3 /a;"); /* NUL is no space */
}

static void chunked_is_a_word_by_itself(void)
{
    static const char *const yes[] = {"chunked",  "chunked ", "gzip,chunked", "gzip ,\t chunked\t",
                                      " CHUNKED", ",chunked", "chunked ,"};
    static const char *const no[] = {"ch unked",  "gzip chunked", "chunked x",    "x-chunked",
                                     "chunked,x", "chunkedx",     "gzip\fchunked"};
    char stream[200];

    for (size_t i = 0; i < 14; i++) {
        (void)snprintf(stream, sizeof(stream),
                       "POST /a HTTP/1.1\r\nTransfer-Encoding: %s\r\n\r\n"
                       "0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                       i < 7 ? yes[i] : no[i - 7]);
        expect_requests(stream, i < 7 ? "3 /a;1 /b;" : "3 /a;");
    }
}

static void a_chunk_without_a_size_ends_nothing(void)
{
    static const char *const sizes[] = {
        "\r\n", "\n", ";a\r\n", "x\r\n", "0x0\r\n", "-0\r\n", "10000000000000000\r\n"};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char stream[200];

        (void)snprintf(stream, sizeof(stream),
                       "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "1\r\na\r\n%s\r\nGET /b HTTP/1.1\r\n\r\n",
                       sizes[i]);
        expect_requests(stream, "3 /a;");
    }
    expect_requests("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "0000001 ; a\r\na\r\n000\t\r\nTrailer: a\r\n b\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
                    "3 /a;1 /b;");
}

static void a_status_has_three_digits(void)
{
    expect_responses(PMO_METHOD_GET, "HTTP/1.1 2:0 OK\r\n\r\n", "");
    expect_responses(PMO_METHOD_GET, "HTTP/1.1 20 OK\r\n\r\n", "");
    expect_responses(PMO_METHOD_GET, "HTTP/1.1 */0 OK\r\n\r\n", "");
    expect_responses(PMO_METHOD_GET, "HTTP/1.1 999\r\nContent-Length: 0\r\n\r\n", "999;.");
}

/* What only a broken peer sends: it means the same both ways, too. */
static void a_carriage_return_by_itself_ends_no_line(void)
{
    expect_requests("POST /a HTTP/1.1\r\nContent-Length: 3\r1\r\n\r\n"
                    "0123456789012345678901234567890GET /b HTTP/1.1\r\n\r\n",
                    "3 /a;1 /b;");
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

static void a_head_in_one_segment_is_parsed_in_one_go(void)
{
    static const char request[] = "GET /a/b?c=d HTTP/1.1\r\nHost: x\r\nCookie: "
                                  "01234567890123456789012345678901234567890123456789"
                                  "\r\nTransfer-Encoding: chunked\r\n\r\n";
    static struct seen s;

    memset(&s, 0, sizeof(s));
    feed(&s, request, sizeof(request) - 1);
    CU_ASSERT_EQUAL(s.wholes, 1);
    memset(&s, 0, sizeof(s));
    s.response = true;
    feed(&s, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 49);
    CU_ASSERT_EQUAL(s.wholes, 1);
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
        CU_ASSERT_PTR_NULL(s.wrong);
    }
}

SUITE(http1) = {TEST(requests_are_found_however_they_are_split),
                TEST(bodies_are_never_taken_for_requests),
                TEST(responses_are_framed_by_rfc_9112),
                TEST(what_is_not_http_1_is_left_alone),
                TEST(methods_are_any_token_in_any_case),
                TEST(a_line_that_goes_on_in_the_next_is_one_header),
                TEST(a_name_is_known_however_many_lines_are_before_it),
                TEST(spaces_may_be_more_than_one_in_a_request_line),
                TEST(a_target_is_in_one_line_and_not_empty),
                TEST(a_minor_version_may_be_anything),
                TEST(a_body_of_a_coding_without_chunked_has_no_end),
                TEST(chunked_is_a_word_by_itself),
                TEST(a_chunk_without_a_size_ends_nothing),
                TEST(a_status_has_three_digits),
                TEST(a_carriage_return_by_itself_ends_no_line),
                TEST(a_path_of_64_kib_is_one_request),
                TEST(pipelined_requests_are_each_found),
                TEST(a_head_in_one_segment_is_parsed_in_one_go),
                TEST(variable_segments_are_folded),
                TEST(folding_never_writes_past_its_text),
                TEST(random_bytes_do_no_harm),
                {0}};
