/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HTTP/1.x (RFC 9112) as a resumable parser: one struct http1 for each direction of a connection,
 * fed with whatever bytes come, split anywhere. It finds the heads and skips the bodies (by
 * Content-Length, chunked, or until close), so that body bytes are never taken for a head.
 *
 * The parser runs over a chunk of bytes until something happened that its caller has to know of (an
 * event) or the chunk is used up. It holds no pointers, so that the verifier can check it once, by
 * itself, as a global function.
 *
 * Speed: http1_fast() handles as much as a few 8-byte words can tell (a whole method, a target in
 * sight, a header line); where packets split a head, or a head is unusual, http1_step() walks the
 * same states byte by byte.
 */
#pragma once

#include <pmo/abi.h>
#include "bpf/fold.h"
#include "bpf/portable.h"

#define HTTP1_CHUNK 512U /* bytes that are looked at in one go; a power of two */

#define HTTP1_FAST_STEPS 16

enum http1_phase {
    HTTP1_START = 0, /* before a head; empty lines are skipped (RFC 9112 2.2) */
    HTTP1_METHOD,
    HTTP1_TARGET,
    HTTP1_QUERY,
    HTTP1_VERSION,
    HTTP1_STATUS,
    HTTP1_LINE,       /* at the beginning of a header or trailer line */
    HTTP1_NAME,       /* in a name that may be one of ours */
    HTTP1_VALUE,      /* in the value of one of ours */
    HTTP1_SKIP,       /* to the end of the line */
    HTTP1_CHUNK_SIZE, /* hex digits */
    HTTP1_CHUNK_EXTENSION,
    HTTP1_CHUNK_END, /* the line end after a chunk */
    /* from here on, bytes are passed over without looking at them */
    HTTP1_BODY, /* `left` bytes, then the message ends */
    HTTP1_CHUNK_BODY,
    HTTP1_UNTIL_CLOSE,
    HTTP1_OPAQUE, /* not HTTP/1.x (any more): nothing is counted here */
};

enum {
    HTTP1_CHUNKED = 1,
    HTTP1_LENGTH = 2,
    HTTP1_TRAILER = 4,
};

enum { HTTP1_CONTENT_LENGTH = 1, HTTP1_TRANSFER_ENCODING = 2 };

struct http1 {
    __u64 left;        /* of the body or chunk */
    __u64 word;        /* bytes of a short token so far, newest lowest */
    __u64 target_hash; /* of the raw target; 0 where it was not all in one chunk */
    __u32 route;       /* of the request, from http1_route() */
    __u16 status;
    __u8 phase;
    __u8 flags;
    __u8 name;    /* header being read, HTTP1_CONTENT_LENGTH or HTTP1_TRANSFER_ENCODING */
    __u8 matched; /* bytes of a token, name or value so far */
    __u8 method;
    __u8 pad[5];
};

struct http1_chunk {
    __u32 pos, len;
    __u8 buf[HTTP1_CHUNK + 8]; /* of which `len` bytes are filled */
};

enum http1_event {
    HTTP1_MORE = 0, /* the chunk is used up, or body bytes follow: http1_skip_body() */
    HTTP1_REQUEST,  /* a request head is complete: method, route */
    HTTP1_RESPONSE, /* a response head is complete: status; the caller calls http1_answer() */
    HTTP1_END,      /* the message's body is, too (told for responses only) */
};

/* What the includer provides: the route of a raw target that was seen before, by its hash... */
static __always_inline bool http1_route_known(__u64 target_hash, __u32 *route);
/* ... and the route of a folded path, which belongs to that hash unless it is 0. */
static __always_inline __u32 http1_route(struct fold *fold, __u64 target_hash);

struct http1_run {
    struct http1 *h;
    struct fold *fold;
    struct http1_chunk *chunk;
    __u32 event;
};

/* Eight bytes of a chunk; those past its end mean nothing. */
static __always_inline __u64 http1_load(const struct http1_chunk *chunk, __u32 pos)
{
    pos &= HTTP1_CHUNK - 1;
    pmo_opaque(pos);
    pos &= HTTP1_CHUNK - 1;
    return load_word(chunk->buf + pos);
}

#define W(a, b, c, d, e, f, g, h)                                                                  \
    ((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |       \
     (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

/* Method and its length from the first eight bytes of a request; 0 where it needs more. */
static __always_inline __u32 http1_method_fast(__u64 w, __u8 *method)
{
    if ((w & 0xffffffff) == W('G', 'E', 'T', ' ', 0, 0, 0, 0)) {
        *method = PMO_METHOD_GET;
        return 4;
    }
    if ((w & 0xffffffffffULL) == W('P', 'O', 'S', 'T', ' ', 0, 0, 0)) {
        *method = PMO_METHOD_POST;
        return 5;
    }
    if ((w & 0xffffffff) == W('P', 'U', 'T', ' ', 0, 0, 0, 0)) {
        *method = PMO_METHOD_PUT;
        return 4;
    }
    return 0;
}

/* Method from its up to eight bytes, newest lowest. */
static __always_inline __u8 http1_method(__u64 word, __u32 length)
{
    if (length > 7)
        return PMO_METHOD_OTHER;
    switch (word) {
    case 0x474554:
        return PMO_METHOD_GET;
    case 0x48454144:
        return PMO_METHOD_HEAD;
    case 0x504f5354:
        return PMO_METHOD_POST;
    case 0x505554:
        return PMO_METHOD_PUT;
    case 0x44454c455445:
        return PMO_METHOD_DELETE;
    case 0x434f4e4e454354:
        return PMO_METHOD_CONNECT;
    case 0x4f5054494f4e53:
        return PMO_METHOD_OPTIONS;
    case 0x5452414345:
        return PMO_METHOD_TRACE;
    case 0x5041544348:
        return PMO_METHOD_PATCH;
    }
    return PMO_METHOD_OTHER;
}

/* tchar of RFC 9110 5.6.2, less the punctuation that no method uses */
static __always_inline bool http1_is_token(__u8 c)
{
    __u8 lower = c | 0x20;

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '!' || c == '+' || c == '*' || c == '~' || c == '\'' || c == '`' ||
           (c >= '#' && c <= '&') || c == '^' || c == '|';
}

static __always_inline void http1_begin_lines(struct http1 *h)
{
    h->phase = HTTP1_LINE;
    h->left = 0;
    h->flags = 0;
}

static __always_inline void http1_message_end(struct http1_run *r, bool response)
{
    r->h->phase = HTTP1_START;
    r->h->flags = 0;
    if (response)
        r->event = HTTP1_END;
}

/* A head is complete. For a request: how long is the body (RFC 9112 section 6.3)? */
static __always_inline void http1_head_end(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;

    h->word = 0;
    h->matched = 0;
    if (response) {
        r->event = HTTP1_RESPONSE;
        return;
    }
    r->event = HTTP1_REQUEST;
    if (h->flags & HTTP1_CHUNKED) {
        h->phase = HTTP1_CHUNK_SIZE;
        h->left = 0;
    } else if (h->left) {
        h->phase = HTTP1_BODY;
    } else {
        http1_message_end(r, false);
    }
}

/* After HTTP1_RESPONSE: how long is the body of the answer to a request of @method? Returns whether
 * the message ends here. */
static __always_inline bool http1_answer(struct http1 *h, __u8 method)
{
    __u16 status = h->status;

    if (status == 101 || (method == PMO_METHOD_CONNECT && status >= 200 && status < 300)) {
        h->phase = HTTP1_OPAQUE;
        return true;
    }
    if (method == PMO_METHOD_HEAD || status < 200 || status == 204 || status == 304) {
        h->phase = HTTP1_START;
        return true;
    }
    if (h->flags & HTTP1_CHUNKED) {
        h->phase = HTTP1_CHUNK_SIZE;
        h->left = 0;
        return false;
    }
    if (h->flags & HTTP1_LENGTH) {
        h->phase = h->left ? HTTP1_BODY : HTTP1_START;
        return !h->left;
    }
    h->phase = HTTP1_UNTIL_CLOSE;
    return false;
}

static __always_inline void http1_empty_line(struct http1_run *r, bool response)
{
    if (r->h->flags & HTTP1_TRAILER)
        http1_message_end(r, response);
    else
        http1_head_end(r, response);
}

/* First byte of a header or trailer line. Content-Length and Transfer-Encoding are the two that
 * frame a body. */
static __always_inline void http1_line(struct http1_run *r, __u8 c, bool response)
{
    struct http1 *h = r->h;

    r->chunk->pos++;
    if (c == '\r')
        return;
    if (c == '\n') {
        http1_empty_line(r, response);
        return;
    }
    h->phase = HTTP1_SKIP;
    if (((c | 0x20) == 'c' || (c | 0x20) == 't') && !(h->flags & HTTP1_TRAILER)) {
        h->name = (c | 0x20) == 'c' ? HTTP1_CONTENT_LENGTH : HTTP1_TRANSFER_ENCODING;
        h->matched = 1;
        h->phase = HTTP1_NAME;
    }
}

static __always_inline __u8 http1_name_byte(__u8 name, __u8 i)
{
    /* in two words each, so that no table has to be looked up */
    __u64 w;

    if (name == HTTP1_CONTENT_LENGTH) {
        w = i < 8 ? W('c', 'o', 'n', 't', 'e', 'n', 't', '-')
                  : W('l', 'e', 'n', 'g', 't', 'h', ':', 0);
        if (i > 14)
            return 0;
    } else {
        w = i < 8    ? W('t', 'r', 'a', 'n', 's', 'f', 'e', 'r')
            : i < 16 ? W('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n')
                     : W('g', ':', 0, 0, 0, 0, 0, 0);
        if (i > 17)
            return 0;
    }
    return w >> ((i & 7) * 8);
}

static __always_inline void http1_name(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;
    __u8 expected;

    expected = http1_name_byte(h->name, h->matched);
    if (c != ':' && c != '-')
        c |= 0x20;
    if (c != expected) {
        h->phase = HTTP1_SKIP;
        return;
    }
    h->matched++;
    r->chunk->pos++;
    if (c != ':')
        return;
    h->phase = HTTP1_VALUE;
    h->word = 0;
    h->matched = 0;
    if (h->name == HTTP1_CONTENT_LENGTH) {
        h->left = 0;
        h->flags |= HTTP1_LENGTH;
    }
}

static __always_inline void http1_value(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;

    r->chunk->pos++;
    if (h->name == HTTP1_CONTENT_LENGTH) {
        if (c >= '0' && c <= '9')
            h->left = h->left * 10 + (c - '0');
        else if (c == ',') /* "5, 5": identical values may be merged, RFC 9110 8.6 */
            h->phase = HTTP1_SKIP;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
        h->word = h->word << 8 | (c | 0x20);
        /* chunked, when it is there, is the last coding */
        if ((h->word & 0xffffffffffffffULL) == 0x6368756e6b6564ULL)
            h->flags |= HTTP1_CHUNKED;
        else
            h->flags &= ~HTTP1_CHUNKED;
    }
    if (c == '\n')
        h->phase = HTTP1_LINE;
}

static __always_inline void http1_start(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;

    h->word = 0;
    h->matched = 0;
    h->status = 0;
    h->target_hash = 0;
    h->phase = response ? HTTP1_STATUS : HTTP1_METHOD;
    if (!response)
        fold_begin(r->fold);
}

static __always_inline void http1_version(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;

    r->chunk->pos++;
    if (h->matched < 7) {
        h->word = h->word << 8 | c;
        h->matched++;
        if (c == '\n' || (h->matched == 7 && h->word != 0x485454502f312eULL)) /* HTTP/1. */
            h->phase = HTTP1_OPAQUE;
    } else if (c == '\n') {
        http1_begin_lines(h);
    }
}

static __always_inline void http1_status(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;

    r->chunk->pos++;
    h->matched++;
    if (h->matched <= 7) {
        h->word = h->word << 8 | c;
        if (h->matched == 7 && h->word != 0x485454502f312eULL)
            h->phase = HTTP1_OPAQUE;
        return;
    }
    if (h->matched < 10) /* minor version and space */
        return;
    if (c < '0' || c > '9') {
        h->phase = HTTP1_OPAQUE;
        return;
    }
    h->status = h->status * 10 + (c - '0');
    if (h->matched == 12) {
        http1_begin_lines(h);
        h->phase = HTTP1_SKIP;
    }
}

static __always_inline void http1_chunk_size(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;
    __u8 lower = c | 0x20;

    r->chunk->pos++;
    if (c >= '0' && c <= '9') {
        h->left = h->left << 4 | (c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
        h->left = h->left << 4 | (lower - 'a' + 10);
    } else if (c == '\n') {
        goto end;
    } else if (c != '\r') {
        h->phase = HTTP1_CHUNK_EXTENSION;
    }
    return;
end:
    if (h->left) {
        h->phase = HTTP1_CHUNK_BODY;
    } else {
        h->phase = HTTP1_LINE;
        h->flags |= HTTP1_TRAILER;
    }
}

/* One byte, slowly: any state, any split. Returns 1 to stop: an event, body bytes, nothing left, or
 * a state that http1_fast() can take up again. */
static __always_inline long http1_step(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;
    __u8 c;

    if (r->chunk->pos >= r->chunk->len || h->phase >= HTTP1_BODY)
        return 1;
    c = http1_load(r->chunk, r->chunk->pos);
    switch (h->phase) {
    case HTTP1_START:
        if (c == '\r' || c == '\n')
            r->chunk->pos++;
        else
            http1_start(r, response);
        break;
    case HTTP1_METHOD:
        r->chunk->pos++;
        if (c == ' ' && h->matched) {
            h->method = http1_method(h->word, h->matched);
            h->phase = HTTP1_TARGET;
        } else if (http1_is_token(c) && h->matched < 32) {
            h->word = h->word << 8 | c;
            h->matched++;
        } else {
            h->phase = HTTP1_OPAQUE;
        }
        break;
    case HTTP1_TARGET:
        if (c == ' ' || c == '?') {
            if (!r->fold->begun) {
                h->phase = HTTP1_OPAQUE;
                break;
            }
            h->route = http1_route(r->fold, h->target_hash);
            h->phase = HTTP1_QUERY;
        } else if (c == '\n') {
            h->phase = HTTP1_OPAQUE; /* HTTP/0.9, or not HTTP at all */
        } else {
            fold_byte(r->fold, c);
            r->chunk->pos++;
        }
        break;
    case HTTP1_QUERY:
        r->chunk->pos++;
        if (c == ' ') {
            h->phase = HTTP1_VERSION;
            h->word = 0;
            h->matched = 0;
        }
        break;
    case HTTP1_VERSION:
        http1_version(r, c);
        break;
    case HTTP1_STATUS:
        http1_status(r, c);
        break;
    case HTTP1_LINE:
        http1_line(r, c, response);
        break;
    case HTTP1_NAME:
        http1_name(r, c);
        break;
    case HTTP1_VALUE:
        http1_value(r, c);
        break;
    case HTTP1_SKIP:
        r->chunk->pos++;
        if (c == '\n')
            h->phase = HTTP1_LINE;
        break;
    case HTTP1_CHUNK_SIZE:
        http1_chunk_size(r, c);
        break;
    case HTTP1_CHUNK_EXTENSION:
        r->chunk->pos++;
        if (c == '\n') {
            h->phase = h->left ? HTTP1_CHUNK_BODY : HTTP1_LINE;
            if (!h->left)
                h->flags |= HTTP1_TRAILER;
        }
        break;
    case HTTP1_CHUNK_END:
        r->chunk->pos++;
        if (c == '\n') {
            h->phase = HTTP1_CHUNK_SIZE;
            h->left = 0;
        }
        break;
    }
    return r->event != HTTP1_MORE || (r->chunk->pos + 16 <= r->chunk->len &&
                                      (h->phase == HTTP1_LINE || h->phase == HTTP1_SKIP));
}

/* Passes over bytes up to and including c. Returns whether c was found. */
static __always_inline bool http1_skip_past(struct http1_chunk *chunk, __u8 c)
{
    for (int i = 0; i < 8; i++) {
        __u32 pos = chunk->pos, valid = chunk->len - pos;
        __u64 marks = bytes_equal(http1_load(chunk, pos), c);

        if (valid < 8)
            marks &= (1ULL << (valid * 8)) - 1;
        if (marks) {
            chunk->pos = pos + first_byte(marks) + 1;
            return true;
        }
        if (valid <= 8) {
            chunk->pos = chunk->len;
            return false;
        }
        chunk->pos = pos + 8;
    }
    return false;
}

/* The value of a Content-Length where that is " 123\r\n" with up to five digits. */
static __always_inline bool http1_length_fast(struct http1_run *r)
{
    __u64 w = http1_load(r->chunk, r->chunk->pos), left = 0;

    if ((w & 0xff) != ' ' || r->chunk->pos + 8 > r->chunk->len)
        return false;
    PMO_UNROLL
    for (int i = 1; i < 7; i++) {
        __u8 c = w >> (8 * i);

        if (c == '\r' && i > 1 && (__u8)(w >> (8 * i + 8)) == '\n') {
            r->h->left = left;
            r->chunk->pos += i + 2;
            return true;
        }
        if (c < '0' || c > '9')
            return false;
        left = left * 10 + (c - '0');
    }
    return false;
}

/* The raw target where its end is in sight and its route is known. */
static __always_inline bool http1_target_fast(struct http1_run *r)
{
    __u64 hash = 0x51ed270b76a1ce43ULL;
    __u32 pos = r->chunk->pos;

    for (int i = 0; i < 12; i++) {
        __u64 w, marks;

        if (pos + 8 > r->chunk->len)
            return false;
        w = http1_load(r->chunk, pos);
        marks = bytes_equal(w, ' ') | bytes_equal(w, '?');
        if (marks) {
            __u32 k = first_byte(marks);

            w &= (1ULL << (k * 8)) - 1;
            hash = hash_mix(hash_mix(hash, w), pos + k - r->chunk->pos);
            r->h->target_hash = hash | 1;
            if (!http1_route_known(r->h->target_hash, &r->h->route))
                return false;
            r->chunk->pos = pos + k;
            return true;
        }
        hash = hash_mix(hash, w);
        pos += 8;
    }
    return false;
}

/* The beginning of a message where enough of it is in sight. */
static __always_inline bool http1_start_fast(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;
    __u32 pos = r->chunk->pos;
    __u64 w = http1_load(r->chunk, pos);

    if (response) {
        __u64 status = http1_load(r->chunk, pos + 8);

        /* "HTTP/1.x SSS" */
        if ((w & 0x00ffffffffffffffULL) != W('H', 'T', 'T', 'P', '/', '1', '.', 0) ||
            (status & 0xf0f0f0ff) != 0x30303020 || pos + 16 > r->chunk->len)
            return false;
        h->status = ((status >> 8) & 15) * 100 + ((status >> 16) & 15) * 10 + ((status >> 24) & 15);
        r->chunk->pos = pos + 12;
        http1_begin_lines(h);
        h->phase = HTTP1_SKIP;
        return true;
    }

    __u32 n = http1_method_fast(w, &h->method);

    if (!n)
        return false;
    r->chunk->pos = pos + n;
    h->target_hash = 0;
    if (http1_target_fast(r)) {
        h->phase = HTTP1_QUERY;
        return true;
    }
    fold_begin(r->fold);
    h->phase = HTTP1_TARGET;
    return false;
}

/* A header or trailer line whose beginning is in sight. */
static __always_inline bool http1_line_fast(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;
    __u32 pos = r->chunk->pos;
    __u64 w = http1_load(r->chunk, pos), lower = w | 0x2020202020202020ULL;

    if ((w & 0xff) == '\n')
        return false;
    if (!(h->flags & HTTP1_TRAILER)) {
        if (lower == W('t', 'r', 'a', 'n', 's', 'f', 'e', 'r'))
            return false;
        if (lower == W('c', 'o', 'n', 't', 'e', 'n', 't', '-')) {
            if (pos + 16 > r->chunk->len)
                return false;
            lower = http1_load(r->chunk, pos + 8) | 0x2020202020202020ULL;
            if ((lower & 0xffffffffffffffULL) == W('l', 'e', 'n', 'g', 't', 'h', ':', 0)) {
                r->chunk->pos = pos + 15;
                if (http1_length_fast(r)) {
                    h->flags |= HTTP1_LENGTH;
                    return true;
                }
                r->chunk->pos = pos;
                return false;
            }
        }
    }
    h->phase = HTTP1_SKIP;
    return true;
}

/* As much as a few words can tell. Returns false where it takes a look at every byte. Small on
 * purpose: between two requests this code leaves the caches, and fetching it again is most of what
 * it costs. */
static __always_inline bool http1_fast(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;
    struct http1_chunk *chunk = r->chunk;

    if (h->phase == HTTP1_LINE) {
        /* the empty line is often among the last bytes */
        if (chunk->pos + 2 <= chunk->len && (http1_load(chunk, chunk->pos) & 0xffff) == 0x0a0d) {
            chunk->pos += 2;
            http1_empty_line(r, response);
            return true;
        }
        if (chunk->pos + 8 > chunk->len || !http1_line_fast(r, response))
            return false;
    } else if (h->phase == HTTP1_START) {
        if (chunk->pos + 8 > chunk->len || !http1_start_fast(r, response))
            return false;
    }
    if (!response && h->phase == HTTP1_QUERY) {
        if (!http1_skip_past(chunk, ' '))
            return false;
        h->phase = HTTP1_VERSION;
        h->word = 0;
        h->matched = 0;
    }
    if (!response && h->phase == HTTP1_VERSION) {
        if (h->matched || chunk->pos + 8 > chunk->len ||
            (http1_load(chunk, chunk->pos) & 0x00ffffffffffffffULL) !=
                W('H', 'T', 'T', 'P', '/', '1', '.', 0))
            return false;
        chunk->pos += 8;
        http1_begin_lines(h);
        h->phase = HTTP1_SKIP;
    }
    if (h->phase != HTTP1_SKIP)
        return h->phase == HTTP1_LINE;
    if (!http1_skip_past(chunk, '\n'))
        return false;
    h->phase = HTTP1_LINE;
    return true;
}

static long http1_step_request(__u32 i, void *run)
{
    return http1_step(run, false);
}

static long http1_step_response(__u32 i, void *run)
{
    return http1_step(run, true);
}

/* Parse a chunk from its `pos` on until an event, body bytes, or for a while; to be called again
 * while there are bytes. Return enum http1_event. */
__attribute__((noinline)) int http1_parse_request(struct http1 *h, struct fold *fold,
                                                  struct http1_chunk *chunk)
{
    struct http1_run r = {.h = h, .fold = fold, .chunk = chunk};

    if (!h || !fold || !chunk)
        return 0;
    for (int i = 0; i < HTTP1_FAST_STEPS; i++) {
        if (!http1_fast(&r, false))
            break;
        if (r.event != HTTP1_MORE)
            return r.event;
    }
    bpf_loop(2 * HTTP1_CHUNK, http1_step_request, &r, 0);
    return r.event;
}

__attribute__((noinline)) int http1_parse_response(struct http1 *h, struct fold *fold,
                                                   struct http1_chunk *chunk)
{
    struct http1_run r = {.h = h, .fold = fold, .chunk = chunk};

    if (!h || !fold || !chunk)
        return 0;
    for (int i = 0; i < HTTP1_FAST_STEPS; i++) {
        if (!http1_fast(&r, true))
            break;
        if (r.event != HTTP1_MORE)
            return r.event;
    }
    bpf_loop(2 * HTTP1_CHUNK, http1_step_response, &r, 0);
    return r.event;
}

/* Passes over body bytes: how many of @available. *event becomes HTTP1_END where the body ends. */
static __always_inline __u32 http1_skip_body(struct http1 *h, __u32 available, __u32 *event)
{
    __u64 n = available;

    if (h->phase == HTTP1_UNTIL_CLOSE || h->phase == HTTP1_OPAQUE)
        return available;
    if (n > h->left)
        n = h->left;
    h->left -= n;
    if (h->left)
        return n;
    if (h->phase == HTTP1_CHUNK_BODY) {
        h->phase = HTTP1_CHUNK_END;
    } else {
        h->phase = HTTP1_START;
        h->flags = 0;
        *event = HTTP1_END;
    }
    return n;
}
