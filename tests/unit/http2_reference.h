/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests and fuzzers of bpf/http2.h share: the routes that the parser asks for, what a header
 * means when it is read as text, and a caller that feeds segments and writes down the events.
 */
#pragma once

#include <linux/types.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether headers are looked for, which of them (a bit each), and the epoch. */
static bool headers_on;
static __u64 headers_rows;
static __u32 headers_epoch;
static const __u64 header_key[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};

struct fold;
static __u64 headers_sought(const struct fold *fold);
static int headers_number(const struct fold *fold, __u64 name, __u32 index);

/* The parser's functions, which are a program's own in the kernel, are a file's own here. */
struct hpack;
struct http2;
struct http2_chunk;
static __u64 hpack_long_integer(__u64 w, __u32 mask);
static int hpack_long_code(__u32 code);
static int hpack_headers_begin(struct hpack *h, struct fold *fold, __u32 request);
static int hpack_folded(struct fold *fold, __u64 hash);
static int hpack_static_route(struct fold *fold, __u64 hash, __u32 length);
static int hpack_digest(struct hpack *h, struct fold *fold, const struct http2_chunk *chunk,
                        __u32 end);
static int hpack_take_named(struct hpack *h, __u32 value);
static int hpack_static_header(struct hpack *h, struct fold *fold, __u32 index, __u32 whole);
static int hpack_header_begin(struct hpack *h, struct fold *fold);
static int hpack_header_end(struct hpack *h, struct fold *fold);
static int hpack_decode(struct hpack *h, struct fold *fold, struct http2_chunk *chunk, __u32 end);
static int http2_parse(struct http2 *h, struct fold *fold, struct http2_chunk *chunk,
                       __u32 request);

#define HEADERS_NAMED headers_on
#define HEADERS_KEY   header_key
#include "bpf/http2.h"

/* A route's row is a hash of its text. */
static char route_texts[1 << 16][PMO_ROUTE_BYTES + 8];

/* A small cache, so that both ways to a route are walked. */
static struct {
    __u64 hash;
    __u32 route;
} route_cache[8];

static __u32 routes_folded; /* paths that had to be decoded */

static bool hpack_route_known(__u64 path_hash, __u32 *route)
{
    *route = route_cache[path_hash >> 32 & 7].route;
    return route_cache[path_hash >> 32 & 7].hash == path_hash;
}

static __u32 hpack_route(struct fold *fold, __u64 path_hash)
{
    __u32 route = fold_end(fold) >> 48;

    routes_folded++;
    (void)snprintf(route_texts[route], sizeof(route_texts[route]), "%.*s", PMO_ROUTE_BYTES - 1,
                   fold->text);
    if (path_hash) {
        route_cache[path_hash >> 32 & 7].hash = path_hash;
        route_cache[path_hash >> 32 & 7].route = route;
    }
    return route;
}

/* What policies name, and the entry of the static table that has the name. */
static const struct {
    const char *name, *http2_name;
    __u32 index, http2_index;
} headers_named[PMO_HEADERS_MAX] = {{"x-tenant", "x-tenant", 0, 0},
                                    {"accept-encoding", "accept-encoding", 16, 0},
                                    {"host", ":authority", 38, 1},
                                    {"user-agent-of-thirtyone-letters", "user-agent", 58, 0}};

static __u64 headers_sought(const struct fold *fold)
{
    return headers_rows
               ? PMO_HEADERS_WANTED(headers_rows, header_letter('x') | header_letter('a') |
                                                      header_letter('h') | header_letter(':') |
                                                      header_letter('u'))
               : 0;
}

static int headers_number(const struct fold *fold, __u64 name, __u32 index)
{
    for (int i = 0; i < (int)PMO_HEADERS_MAX; i++)
        if (headers_rows >> i & 1 &&
            (header_digest(headers_named[i].name, header_key) == name ||
             header_digest(headers_named[i].http2_name, header_key) == name ||
             (index && (headers_named[i].index == index || headers_named[i].http2_index == index))))
            return i + 1;
    return 0;
}

/* The row of a value is the beginning of its digest. */
static __u32 hpack_header(struct fold *fold, __u32 number, __u64 digest)
{
    return digest >> (64 - HPACK_ROW_BITS);
}

static __u32 hpack_headers_epoch(void)
{
    return headers_epoch;
}

/* ---- what a header means -------------------------------------------------------------------- */

static bool is_digits(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return length > 0;
}

static __u32 reference_method(const char *value, size_t length)
{
    static const char *const methods[PMO_METHODS] = {
        [PMO_METHOD_OTHER] = "",          [PMO_METHOD_GET] = "GET",
        [PMO_METHOD_HEAD] = "HEAD",       [PMO_METHOD_POST] = "POST",
        [PMO_METHOD_PUT] = "PUT",         [PMO_METHOD_DELETE] = "DELETE",
        [PMO_METHOD_CONNECT] = "CONNECT", [PMO_METHOD_OPTIONS] = "OPTIONS",
        [PMO_METHOD_TRACE] = "TRACE",     [PMO_METHOD_PATCH] = "PATCH",
    };

    for (__u32 method = 1; method < PMO_METHODS; method++)
        if (strlen(methods[method]) == length && !memcmp(methods[method], value, length))
            return method;
    return PMO_METHOD_OTHER;
}

static __u32 reference_route(const char *value, size_t length)
{
    struct fold fold;

    fold_begin(&fold);
    for (size_t i = 0; i < length && value[i] != '?'; i++)
        fold_byte(&fold, (__u8)value[i]);
    return hpack_route(&fold, 0);
}

static __u32 reference_number(const char *value, size_t length)
{
    __u32 number = 0;

    for (size_t i = 0; i < length; i++)
        number = number * 10 + (__u32)(value[i] - '0');
    return number;
}

/* Of the value of a header that a policy names. */
static __u32 reference_row(const char *value, size_t length)
{
    __u64 digest = header_key[0];
    bool blank = false, begun = false;

    for (size_t i = 0; i < length; i++) {
        if (value[i] == ' ' || value[i] == '\t' || value[i] == '\r' || value[i] == '\n') {
            blank = true;
            continue;
        }
        if (blank && begun)
            digest = header_digest_byte(digest, ' ', header_key[1]);
        digest = header_digest_byte(digest, (__u8)value[i], header_key[1]);
        blank = false;
        begun = true;
    }
    return hpack_header(NULL, 0, header_digest_end(digest, header_key[1]));
}

/* What the parser is to keep of a header; paths have no route among responses. */
static inline struct hpack_entry reference(const nghttp2_nv *nv, bool request)
{
    static const char grpc[] = "application/grpc";
    const char *value = (const char *)nv->value;
    size_t length = nv->valuelen;
    struct hpack_entry entry = {.name_length = nv->namelen > 8191 ? 8191 : (__u32)nv->namelen};

#define IS(text) (nv->namelen == strlen(text) && !memcmp(nv->name, text, nv->namelen))
    if (IS(":method")) {
        entry.kind = HPACK_METHOD;
        entry.value = reference_method(value, length);
    } else if (IS(":path")) {
        entry.kind = HPACK_PATH;
        entry.value = request ? reference_route(value, length) : 0;
    } else if (IS(":status")) {
        entry.kind = HPACK_STATUS;
        if (length == 3 && is_digits(value, length))
            entry.value = reference_number(value, length);
    } else if (IS("content-type")) {
        entry.kind = HPACK_CONTENT_TYPE;
        entry.value = length >= 16 && !memcmp(value, grpc, 16) &&
                      (length == 16 || value[16] == '+' || value[16] == ';');
    } else if (IS("grpc-status")) {
        entry.kind = HPACK_GRPC_STATUS;
        entry.value = length <= 2 && is_digits(value, length) ? reference_number(value, length) : 2;
    }
    for (__u32 i = 0; i < PMO_HEADERS_MAX; i++)
        if (request && headers_on && !entry.kind && headers_rows >> i & 1 &&
            (IS(headers_named[i].name) || IS(headers_named[i].http2_name))) {
            entry.kind = HPACK_NAMED;
            entry.value = (i + 1) << HPACK_ROW_BITS | reference_row(value, length);
        }
#undef IS
    return entry;
}

/* What a whole header block means: the last header of each kind, but the first of each that a
 * policy names. */
struct reference_block {
    __u16 value[16];
    __u16 seen;
};

static inline void reference_add(struct reference_block *block, const nghttp2_nv *nv, bool request)
{
    struct hpack_entry entry = reference(nv, request);
    __u32 at = entry.kind;

    if (at == HPACK_NAMED)
        at += (entry.value >> HPACK_ROW_BITS) - 1;
    if (at >= HPACK_NAMED && block->seen >> at & 1)
        return;
    block->value[at] = (__u16)entry.value;
    block->seen |= (__u16)(1 << at);
}

/* Does the parser have the same of a header block? Of kinds that matter: OTHER has no value. */
static inline bool reference_equal(const struct reference_block *block, const struct http2 *h)
{
    for (int kind = HPACK_METHOD; kind < 16; kind++)
        if (block->value[kind] != http2_value(h, (enum hpack_kind)kind) ||
            (block->seen >> kind & 1) != http2_has(h, (enum hpack_kind)kind))
            return false;
    return true;
}

/* Is every entry of nghttp2's dynamic table in the parser's, but for those that it marks as lost?
 */
static inline bool reference_same_table(struct hpack *h, nghttp2_hd_inflater *inflater,
                                        bool request)
{
    size_t entries = nghttp2_hd_inflate_get_num_table_entries(inflater);

    if (nghttp2_hd_inflate_get_max_dynamic_table_size(inflater) != h->max_size)
        return false;
    for (size_t i = HPACK_STATIC; i <= entries; i++) {
        struct hpack_entry entry = {}, expected;

        expected = reference(nghttp2_hd_inflate_get_table_entry(inflater, i), request);
        if (!hpack_entry(h, i, &entry))
            return false;
        if (entry.kind == HPACK_UNKNOWN && h->lost && i - HPACK_STATIC >= h->known)
            continue;
        if (entry.kind != expected.kind || entry.name_length != expected.name_length ||
            entry.value != expected.value)
            return false;
    }
    return true;
}

/* ---- a caller ------------------------------------------------------------------------------- */

/* What was seen, as text: "1:GET /x;" for a request head on stream 1, with "+grpc" where it is one,
 * " x-tenant=acme" for each header that a policy names, "." where its stream ends, and "?" where it
 * has something unknown; "1:200;" and "1:100!;" for a final and an interim response; "1:trailers
 * 0;" with a gRPC status; "1:5;" for five bytes of data; "1:reset;", "goaway;", "broken;". */
struct seen {
    struct http2 parser;
    struct fold fold;
    bool request;
    bool stuck; /* the parser made no progress */
    size_t length;
    char text[1 << 16];
    /* told of each event, where set */
    void (*told)(struct seen *s, enum http2_event event, void *context);
    void *context;
};

/* What is said of a value. */
static const char *header_text(__u32 row)
{
    static const char *const texts[] = {"",      "acme",          "umbrella",
                                        "a b c", "gzip, deflate", "m\xc3\xbcller"};

    for (size_t i = 0; row && i < sizeof(texts) / sizeof(texts[0]); i++)
        if (reference_row(texts[i], strlen(texts[i])) == row)
            return texts[i];
    return row ? "{other}" : "{unknown}";
}

static void see_head(struct seen *s)
{
    struct http2 *h = &s->parser;
    char grpc_status[16] = "", headers[PMO_HEADERS_MAX * 80] = "";
    size_t length = 0;

    if (http2_has(h, HPACK_GRPC_STATUS))
        (void)snprintf(grpc_status, sizeof(grpc_status), " %u", http2_value(h, HPACK_GRPC_STATUS));
    for (int i = 0; i < (int)PMO_HEADERS_MAX; i++)
        if (http2_has(h, HPACK_NAMED + i))
            length += (size_t)snprintf(headers + length, sizeof(headers) - length, " %s=%s",
                                       headers_named[i].name,
                                       header_text(http2_value(h, HPACK_NAMED + i) & HPACK_ROW));
    s->length +=
        (size_t)snprintf(s->text + s->length, sizeof(s->text) - s->length, "%s%s%s%s%s;", headers,
                         grpc_status, http2_value(h, HPACK_CONTENT_TYPE) ? "+grpc" : "",
                         http2_has(h, HPACK_UNKNOWN) ? "?" : "", h->end_stream ? "." : "");
}

static void see(struct seen *s, enum http2_event event)
{
    static const char *const methods[PMO_METHODS] = {
        "OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    struct http2 *h = &s->parser;
    char *at;
    size_t room;

    if (s->told)
        s->told(s, event, s->context);
    if (sizeof(s->text) - s->length < 512)
        s->length = 0;
    at = s->text + s->length;
    room = sizeof(s->text) - s->length;
    switch (event) {
    case HTTP2_MORE:
        break;
    case HTTP2_REQUEST:
        s->length += (size_t)snprintf(
            at, room, "%u:%s %s", h->stream, methods[http2_value(h, HPACK_METHOD) % PMO_METHODS],
            http2_has(h, HPACK_PATH) ? route_texts[http2_value(h, HPACK_PATH)] : "-");
        see_head(s);
        break;
    case HTTP2_RESPONSE:
    case HTTP2_INTERIM:
        s->length += (size_t)snprintf(at, room, "%u:%u%s", h->stream, http2_value(h, HPACK_STATUS),
                                      event == HTTP2_INTERIM ? "!" : "");
        see_head(s);
        break;
    case HTTP2_TRAILERS:
        s->length += (size_t)snprintf(at, room, "%u:trailers", h->stream);
        see_head(s);
        break;
    case HTTP2_DATA:
    case HTTP2_END:
        s->length += (size_t)snprintf(at, room, "%u:%u%s;", h->stream, h->data_length,
                                      event == HTTP2_END ? "." : "");
        break;
    case HTTP2_RESET:
        s->length += (size_t)snprintf(at, room, "%u:reset;", h->stream);
        break;
    case HTTP2_GOAWAY:
        s->length += (size_t)snprintf(at, room, "goaway;");
        break;
    case HTTP2_BROKEN:
        s->length += (size_t)snprintf(at, room, "broken;");
        break;
    }
}

/* Feeds one segment, as the packet programs do. */
static void feed(struct seen *s, const __u8 *bytes, size_t length)
{
    struct http2_chunk chunk = {};
    size_t offset = 0;

    while (offset < length) {
        __u32 event = HTTP2_MORE, before, n = (__u32)(length - offset);

        if (http2_passes(&s->parser)) {
            n = http2_pass(&s->parser, n, &event);
            chunk.pos += n;
            offset += n;
            see(s, event);
            continue;
        }
        if (chunk.pos >= chunk.end) {
            n = n < HTTP2_CHUNK ? n : HTTP2_CHUNK;
            memset(&chunk, 0xee, sizeof(chunk)); /* what was there before must not matter */
            chunk.pos = HTTP2_HEADROOM;
            chunk.end = HTTP2_HEADROOM + n;
            memcpy(chunk.buf + HTTP2_HEADROOM, bytes + offset, n);
        }
        before = chunk.pos;
        event = (__u32)http2_parse(&s->parser, &s->fold, &chunk, s->request);
        offset += chunk.pos - before;
        see(s, event);
        if (event == HTTP2_MORE && chunk.pos == before) {
            s->stuck = true;
            return;
        }
    }
}
