/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: bpf/http1.h and bpf/fold.h against http-parser.
 *
 * The first byte of the input chooses what the rest is: requests, or responses (bit 0), with routes
 * as they are, or folded (bit 1), and some headers looked for but where bit 2 is set. Of the
 * second, each two bits are the method that a final response answers: GET, GET, HEAD, CONNECT.
 *
 * What http-parser accepts must mean the same to us, message by message: its method, its path, its
 * status, and where its head and its body end; after what it rejects, anything goes that does no
 * harm. However the bytes are cut into segments, they must mean the same, and where a head is taken
 * in one go (http1_whole_request(), http1_whole_response()), too.
 *
 * http-parser takes what RFC 9112 does not allow, all the more as Debian builds it to be fast
 * (HTTP_PARSER_STRICT=0); and there is a little that it does not know. So it gets one byte after
 * the other, and what it should not take is rejected here: each reject() says why.
 */
#include <http_parser.h>
#include <linux/types.h>
#include <stdbool.h>

static bool folding, looking;
static const __u64 key[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};
struct fold;
static __u64 headers_sought(const struct fold *fold);
static int headers_number(const struct fold *fold, __u64 name, __u32 index);
#define HEADERS_NAMED             looking
#define HEADERS_KEY               key
#define FOLD_RULE(fold, variable) (folding && (variable) ? FOLD_ID : FOLD_KEEP)
#include "tests/fuzz/input.h"
#include "tests/unit/http1_reference.h"

static const char *const looked_for[PMO_HEADERS_MAX] = {"host", "content-type", "te", "x-a"};

static __u64 headers_sought(const struct fold *fold)
{
    return header_letter('h') | header_letter('c') | header_letter('t') | header_letter('x');
}

static int headers_number(const struct fold *fold, __u64 name, __u32 index)
{
    for (int i = 0; i < (int)PMO_HEADERS_MAX; i++)
        if (header_digest(looked_for[i], key) == name)
            return i + 1;
    return 0;
}

/* ---- a route, read as text ------------------------------------------------------------------ */

static bool is_variable(const char *segment, size_t length)
{
    size_t digits = 0, letters = 0, dashes = 0;

    for (size_t i = 0; i < length; i++) {
        digits += segment[i] >= '0' && segment[i] <= '9';
        letters += segment[i] && strchr("abcdefABCDEF", segment[i]);
        dashes += segment[i] == '-';
    }
    if (digits == length || (digits && length >= 24))
        return true;
    if (digits && letters && digits + letters == length)
        return length >= 8;
    return length == 36 && dashes && digits + letters + dashes == length;
}

/* The route of a path. */
static void fold_text(const char *path, size_t length, char *route)
{
    size_t n = 0;

    for (size_t at = 0, end; at < length; at = end + 1) {
        size_t begin = n;

        for (end = at; end < length && path[end] != '/'; end++)
            if (n < FOLD_TEXT_MAX)
                route[n++] = path[end] > ' ' && path[end] < 0x7f ? path[end] : '?';
        if (folding && end > at && is_variable(path + at, end - at) && begin + 4 <= FOLD_TEXT_MAX) {
            memcpy(route + begin, "{id}", 4);
            n = begin + 4;
        }
        if (end < length && n < FOLD_TEXT_MAX)
            route[n++] = '/';
    }
    if (!n)
        route[n++] = '/'; /* RFC 9110 4.2.3 */
    route[n] = 0;
}

/* ---- http-parser ---------------------------------------------------------------------------- */

#define INPUT_MAX  8000
#define METHOD_MAX 32

static struct reference {
    http_parser parser;
    const __u8 *methods;
    const char *rejected; /* why */
    bool response;
    bool over; /* what follows is no HTTP/1 */
    bool idle; /* between messages */
    bool in_method, in_body, in_trailer, chunked;
    bool unknown; /* to http-parser: the method */
    bool in_extension, after_chunk;
    __u64 chunk_left;
    __u8 before;  /* the byte before, where it was not of a body */
    char last;    /* of a value, but for spaces */
    __u64 coding; /* of a list of them: its last bytes, newest lowest */
    __u32 finals;
    size_t place; /* behind the byte that is looked at */
    size_t begin; /* of the message */
    size_t method_length, url_length, name_length, value_length;
    char method[METHOD_MAX], url[INPUT_MAX], name[INPUT_MAX];
    size_t length;
    char text[1 << 16];
} reference;

static void reject(struct reference *r, const char *why)
{
    if (!r->rejected)
        r->rejected = why;
}

static void note(struct reference *r, const char *what)
{
    if (r->rejected)
        return;
    r->length += (size_t)snprintf(r->text + r->length, sizeof(r->text) - r->length, "%s@%zu;", what,
                                  r->place);
}

static int url_goes_on(http_parser *parser, const char *at, size_t length)
{
    struct reference *r = parser->data;

    memcpy(r->url + r->url_length, at, length);
    r->url_length += length;
    return 0;
}

static bool is_name(const struct reference *r, const char *name)
{
    return r->name_length == strlen(name) && !memcmp(r->name, name, r->name_length);
}

static const char empty_element[] =
    "http-parser does not pass over an empty element of a list, RFC 9110 5.6.1.2 does";

static void header_ends(struct reference *r)
{
    if (is_name(r, "content-length") && !r->value_length)
        reject(r, "a Content-Length has a digit at least (RFC 9110 8.6)");
    if (is_name(r, "transfer-encoding") && r->last == ',')
        reject(r, empty_element);
    r->last = 0;
    r->coding = 0;
    r->name_length = r->value_length = 0;
}

static int name_goes_on(http_parser *parser, const char *at, size_t length)
{
    struct reference *r = parser->data;

    if (r->before == '\n')
        header_ends(r);
    for (size_t i = 0; i < length; i++) {
        if (at[i] == ' ')
            reject(r, "no space in or around a field name (RFC 9112 2.2, 5.1)");
        r->name[r->name_length++] = (char)(at[i] | 0x20);
    }
    return 0;
}

static int value_goes_on(http_parser *parser, const char *at, size_t length)
{
    struct reference *r = parser->data;

    if (is_name(r, "transfer-encoding") && memchr(at, '\t', length))
        reject(r, "http-parser does not take a tab for a space here, RFC 9110 5.6.3 does");
    for (size_t i = 0; i < length; i++) {
        if (is_name(r, "transfer-encoding") && at[i] == ',' && (!r->last || r->last == ','))
            reject(r, empty_element);
        if (is_name(r, "transfer-encoding") && at[i] == ',' && r->coding == HTTP1_CHUNKED_WORD)
            reject(r, "nothing is applied after chunked (RFC 9112 6.1), and http-parser takes the"
                      " comma for a part of it");
        if (at[i] == ' ')
            continue;
        r->last = at[i];
        r->coding = at[i] == ',' ? 0 : r->coding << 8 | (__u8)(at[i] | 0x20);
    }
    r->value_length += length;
    return 0;
}

static __u8 method_of(const http_parser *parser)
{
    switch (parser->method) {
    case HTTP_GET:
        return PMO_METHOD_GET;
    case HTTP_HEAD:
        return PMO_METHOD_HEAD;
    case HTTP_POST:
        return PMO_METHOD_POST;
    case HTTP_PUT:
        return PMO_METHOD_PUT;
    case HTTP_DELETE:
        return PMO_METHOD_DELETE;
    case HTTP_CONNECT:
        return PMO_METHOD_CONNECT;
    case HTTP_OPTIONS:
        return PMO_METHOD_OPTIONS;
    case HTTP_TRACE:
        return PMO_METHOD_TRACE;
    case HTTP_PATCH:
        return PMO_METHOD_PATCH;
    }
    return PMO_METHOD_OTHER;
}

static void request_head(struct reference *r)
{
    const http_parser *p = &r->parser;
    struct http_parser_url url = {};
    char route[PMO_ROUTE_BYTES + 8], text[PMO_ROUTE_BYTES + 16];
    const char *path = r->url;
    size_t length = 0;

    if (http_parser_parse_url(r->url, r->url_length, p->method == HTTP_CONNECT, &url))
        reject(r, "no form of a target (RFC 9112 3.2)");
    if (memchr(r->url, '#', r->url_length))
        reject(r, "a target has no fragment (RFC 9112 3.2)");
    if (p->method == HTTP_CONNECT &&
        (p->uses_transfer_encoding || (p->flags & F_CONTENTLENGTH && p->content_length)))
        reject(r, "http-parser takes no body of CONNECT, RFC 9112 6.3 makes no exception for it");
    if (p->upgrade && p->uses_transfer_encoding && !(p->flags & F_CHUNKED))
        reject(r,
               "http-parser takes no body where an upgrade is asked for, RFC 9112 6.3 cannot tell");
    if (url.field_set & 1 << UF_PATH) {
        path = r->url + url.field_data[UF_PATH].off;
        length = url.field_data[UF_PATH].len;
    }
    fold_text(path, length, route);
    (void)snprintf(text, sizeof(text), "%u %s", r->unknown ? PMO_METHOD_OTHER : method_of(p),
                   route);
    note(r, text);
}

/* Returns whether a response is over with its head. */
static bool response_head(struct reference *r)
{
    __u8 method = r->methods[r->finals & 3];
    __u16 status = r->parser.status_code;
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", status);
    note(r, text);
    r->finals += status >= 200;
    if (status == 101 || (method == PMO_METHOD_CONNECT && status >= 200 && status < 300))
        r->over = true; /* RFC 9110 15.2.2, 9.3.6 */
    /* http-parser would know of 1xx, 204 and 304 only where they have no Content-Length */
    return r->over || method == PMO_METHOD_HEAD || status < 200 || status == 204 || status == 304;
}

/* The first line of a head. */
static void check_line(struct reference *r)
{
    const char *line = (const char *)input + r->begin;
    const char *end = memchr(line, '\n', r->place - r->begin);

    REQUIRE(end);
    end -= end[-1] == '\r';
    if (end - line < 12 || memcmp(r->response ? line : end - 8, "HTTP/1.", 7) != 0 ||
        r->parser.http_major != 1)
        reject(r, "not HTTP/1.x: 0.9 has no head, 2 is another parser's");
    else if (r->response && (line[8] != ' ' || strspn(line + 9, "0123456789") != 3))
        reject(r, "a status has three digits, behind one space (RFC 9112 4)");
}

static int head_ends(http_parser *parser)
{
    struct reference *r = parser->data;
    bool no_body = false;

    header_ends(r);
    check_line(r);
    if (!r->response)
        request_head(r);
    else
        no_body = response_head(r);
    r->in_body = true;
    r->chunked = parser->flags & F_CHUNKED; /* which a trailer would change */
    return no_body;
}

static int chunk_begins(http_parser *parser)
{
    struct reference *r = parser->data;

    r->chunk_left = parser->content_length;
    r->in_trailer = !r->chunk_left;
    return 0;
}

static int message_ends(http_parser *parser)
{
    struct reference *r = parser->data;

    note(r, ".");
    r->idle = true;
    r->in_body = r->in_trailer = r->in_extension = r->after_chunk = false;
    r->before = 0;
    return 0;
}

static const http_parser_settings told = {
    .on_url = url_goes_on,
    .on_header_field = name_goes_on,
    .on_header_value = value_goes_on,
    .on_headers_complete = head_ends,
    .on_chunk_header = chunk_begins,
    .on_message_complete = message_ends,
};

static void take(struct reference *r, const void *bytes, size_t length)
{
    (void)http_parser_execute(&r->parser, &told, bytes, length);
    /* A request that asks for an upgrade, or CONNECT, changes nothing until it is answered: what
     * follows, http-parser takes as HTTP/1 when it is called again (RFC 9110 7.8). */
    if (HTTP_PARSER_ERRNO(&r->parser) != HPE_OK)
        reject(r, http_errno_name(HTTP_PARSER_ERRNO(&r->parser)));
}

/* A byte of a request's method. What http-parser does not know of those is one all the same: it
 * gets a method that it knows (RFC 9110 9.1). */
static void take_method(struct reference *r, __u8 c)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    if (c && strchr(token, c) && r->method_length < METHOD_MAX) {
        r->method[r->method_length++] = (char)c;
        return;
    }
    if (c != ' ' || !r->method_length || (r->method_length == 3 && !memcmp(r->method, "PRI", 3))) {
        reject(r, "no method, or a long one, or the preface of HTTP/2");
        return;
    }
    r->in_method = false;
    r->unknown = true;
    for (unsigned int known = 0; known < HTTP_SOURCE; known++) { /* whose version may be ICE/1.0 */
        const char *name = http_method_str(known);

        if (strlen(name) == r->method_length && !memcmp(name, r->method, r->method_length))
            r->unknown = false;
    }
    if (r->unknown)
        take(r, "GET", 3);
    else
        take(r, r->method, r->method_length);
    take(r, " ", 1);
}

/* Is a byte of what frames a body as it should be? */
static void check_framing(struct reference *r, __u8 c)
{
    if (r->before == '\r' && c != '\n')
        reject(r, "no CR without LF (RFC 9112 2.2)");
    if (!r->in_body || r->in_trailer)
        return;
    if (c == '\n' && r->before != '\r')
        reject(r, "lines of a chunked body end with CR LF (RFC 9112 7.1)");
    if (c & 0x80 && !r->in_extension)
        reject(r, "a chunk's size is hexadecimal (RFC 9112 7.1), no byte of no ASCII is 0");
    r->in_extension = c != '\n' && (r->in_extension || c == ';' || c == ' ');
    if (r->after_chunk && c != '\r')
        reject(r, "a chunk ends with CR LF (RFC 9112 7.1)");
    r->after_chunk = false;
}

static void take_byte(struct reference *r, __u8 c)
{
    r->place++;
    if (r->idle && c != '\r' && c != '\n') {
        r->idle = false;
        r->begin = r->place - 1;
        r->in_method = !r->response;
        r->method_length = r->url_length = r->name_length = r->value_length = 0;
    }
    if (r->in_method) {
        take_method(r, c);
        return;
    }
    if (r->in_body && (r->chunk_left || !r->chunked)) {
        r->before = 0;
        r->after_chunk = r->chunk_left == 1;
        r->chunk_left -= !!r->chunk_left;
    } else {
        check_framing(r, c);
    }
    if (!r->rejected)
        take(r, &c, 1);
    r->before = r->in_body && r->chunk_left ? 0 : c;
}

static void refer(struct reference *r, bool response, const __u8 *methods)
{
    memset(r, 0, offsetof(struct reference, method));
    r->length = 0;
    r->text[0] = 0;
    r->response = response;
    r->methods = methods;
    r->idle = true;
    http_parser_init(&r->parser, response ? HTTP_RESPONSE : HTTP_REQUEST);
    r->parser.data = r;
    r->parser.allow_chunked_length = 1; /* Transfer-Encoding overrides, RFC 9112 6.3 */
    while (r->place < input_length && !r->rejected && !r->over)
        take_byte(r, input[r->place]);
}

/* ---- ours ----------------------------------------------------------------------------------- */

static struct seen whole, seen;

static void begin(struct seen *s, bool response, const __u8 *methods)
{
    memset(s, 0, offsetof(struct seen, text) + 1);
    s->response = response;
    s->places = true;
    memcpy(s->methods, methods, sizeof(s->methods));
}

static void require_right(const struct seen *s)
{
    if (!s->wrong)
        return;
    (void)fprintf(stderr, "the parser does what it must not: %s\n", s->wrong);
    abort();
}

static void feed_in_pieces(struct seen *s)
{
    for (size_t at = 0, n; at < input_length; at += n) {
        n = choose_piece(input_length - at);
        feed(s, input + at, n);
    }
}

/* Byte by byte, as http-parser has it. */
static void compare(struct seen *s, const struct reference *r)
{
    for (size_t at = 0; at < input_length; at++)
        feed(s, input + at, 1);
    require_right(s);
    if (r->rejected || r->over ? !strncmp(s->text, r->text, r->length) : !strcmp(s->text, r->text))
        return;
    (void)fprintf(stderr, "http-parser: %s%s%s\nours: %s\n", r->text,
                  r->rejected ? " and then: " : "", r->rejected ? r->rejected : "", s->text);
    abort();
}

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t length);

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t length)
{
    static const __u8 kinds[4] = {PMO_METHOD_GET, PMO_METHOD_GET, PMO_METHOD_HEAD,
                                  PMO_METHOD_CONNECT};
    __u8 methods[4];
    bool response;

    if (length < 3 || length > INPUT_MAX)
        return 0;
    response = bytes[0] & 1;
    folding = bytes[0] & 2;
    looking = !(bytes[0] & 4);
    for (int i = 0; i < 4; i++)
        methods[i] = kinds[bytes[1] >> (2 * i) & 3];
    input_begin(bytes + 2, length - 2);

    begin(&seen, response, methods);
    seen.ends = true;
    refer(&reference, response, methods);
    compare(&seen, &reference);

    begin(&whole, response, methods);
    feed(&whole, input, input_length);
    require_right(&whole);
    begin(&seen, response, methods);
    feed_in_pieces(&seen);
    require_right(&seen);
    REQUIRE(!strcmp(whole.text, seen.text));
    REQUIRE(whole.parser.phase == seen.parser.phase);
    REQUIRE(whole.parser.left == seen.parser.left);
    REQUIRE(whole.fold.headers.found == seen.fold.headers.found);
    for (int i = 0; i < (int)PMO_HEADERS_MAX; i++)
        REQUIRE(!(seen.fold.headers.found >> i & 1) ||
                whole.fold.headers.values[i] == seen.fold.headers.values[i]);
    return 0;
}
