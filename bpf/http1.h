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
 * Speed: a step handles as much as a few 8-byte words can tell (a whole method, eight bytes of a
 * target, a header line's beginning) when that many bytes are there, and one byte otherwise: where
 * packets split a head, the same states are walked slowly.
 */
#pragma once

#include <pmo/abi.h>
#include "bpf/fold.h"
#include "bpf/portable.h"

#define HTTP1_CHUNK 512U /* bytes that are looked at in one go; a power of two */

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
    HTTP1_IN_HEAD = 8,
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
    h->flags = HTTP1_IN_HEAD;
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

    h->flags &= ~HTTP1_IN_HEAD;
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

    if (status == 101 || (method == PMO_METHOD_CONNECT && status / 100 == 2)) {
        h->phase = HTTP1_OPAQUE;
        return true;
    }
    if (method == PMO_METHOD_HEAD || status / 100 == 1 || status == 204 || status == 304) {
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

/* Passes over bytes up to and including c, at most 64 of them. Returns whether c was found. */
static __always_inline bool http1_skip_past(struct http1_run *r, __u8 c)
{
    PMO_UNROLL
    for (int i = 0; i < 8; i++) {
        __u32 pos = r->chunk->pos, valid = r->chunk->len - pos;
        __u64 marks = bytes_equal(http1_load(r->chunk, pos), c);

        if (valid < 8)
            marks &= (1ULL << (valid * 8)) - 1;
        if (marks) {
            r->chunk->pos = pos + first_byte(marks) + 1;
            return true;
        }
        if (valid <= 8) {
            r->chunk->pos = r->chunk->len;
            return false;
        }
        r->chunk->pos = pos + 8;
    }
    return false;
}

static __always_inline void http1_skip_line(struct http1_run *r)
{
    r->h->phase = HTTP1_SKIP;
    if (http1_skip_past(r, '\n'))
        r->h->phase = HTTP1_LINE;
}

static __always_inline void http1_empty_line(struct http1_run *r, bool response)
{
    if (r->h->flags & HTTP1_TRAILER)
        http1_message_end(r, response);
    else
        http1_head_end(r, response);
}

/* The value of a Content-Length in one go where that is " 123\r\n" with up to five digits. */
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

/* Header and trailer lines whose beginnings are in sight. Content-Length and Transfer-Encoding are
 * the two that frame a body. */
static __always_inline void http1_lines(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;

    for (int i = 0; i < 4; i++) {
        __u32 pos = r->chunk->pos;
        __u64 w = http1_load(r->chunk, pos), lower = w | 0x2020202020202020ULL;

        if (pos + 8 > r->chunk->len) {
            if ((w & 0xffff) != 0x0a0d || pos + 2 > r->chunk->len)
                return;
            r->chunk->pos = pos + 2;
            http1_empty_line(r, response);
            return;
        }
        if ((w & 0xffff) == 0x0a0d || (w & 0xff) == '\n') {
            r->chunk->pos = pos + ((w & 0xff) == '\n' ? 1 : 2);
            http1_empty_line(r, response);
            return;
        }
        if (!(h->flags & HTTP1_TRAILER)) {
            if (lower == W('t', 'r', 'a', 'n', 's', 'f', 'e', 'r')) {
                h->name = HTTP1_TRANSFER_ENCODING;
                h->matched = 8;
                h->phase = HTTP1_NAME;
                r->chunk->pos = pos + 8;
                return;
            }
            if (lower == W('c', 'o', 'n', 't', 'e', 'n', 't', '-')) {
                h->name = HTTP1_CONTENT_LENGTH;
                h->matched = 8;
                h->phase = HTTP1_NAME;
                r->chunk->pos = pos + 8;
                lower = http1_load(r->chunk, pos + 8) | 0x2020202020202020ULL;
                if (pos + 16 > r->chunk->len)
                    return;
                if ((lower & 0xffffffffffffffULL) == W('l', 'e', 'n', 'g', 't', 'h', ':', 0)) {
                    h->phase = HTTP1_VALUE;
                    h->left = 0;
                    h->flags |= HTTP1_LENGTH;
                    r->chunk->pos = pos + 15;
                    if (!http1_length_fast(r))
                        return;
                    h->phase = HTTP1_LINE;
                    continue;
                }
            }
        }
        http1_skip_line(r);
        if (h->phase != HTTP1_LINE)
            return;
    }
}

/* The same, a byte at a time. */
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
        w = i < 8 ? W('c', 'o', 'n', 't', 'e', 'n', 't', '-') : W('l', 'e', 'n', 'g', 't', 'h', ':', 0);
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
        http1_skip_line(r);
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

/* The raw target in one go where its end is in sight and its route is known. */
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

/* A request line, or a status line, in one go or its first part. */
static __always_inline void http1_start(struct http1_run *r, __u8 c, bool response)
{
    struct http1 *h = r->h;

    if (c == '\r' || c == '\n') {
        r->chunk->pos++;
        return;
    }
    h->word = 0;
    h->matched = 0;
    h->status = 0;
    if (response) {
        if (r->chunk->pos + 16 <= r->chunk->len) {
            __u64 w = http1_load(r->chunk, r->chunk->pos + 8);

            /* "HTTP/1.x SSS" */
            if ((http1_load(r->chunk, r->chunk->pos) & 0x00ffffffffffffffULL) ==
                    W('H', 'T', 'T', 'P', '/', '1', '.', 0) &&
                (w & 0xff) == ' ') {
                h->status = ((w >> 8) & 15) * 100 + ((w >> 16) & 15) * 10 + ((w >> 24) & 15);
                r->chunk->pos += 12;
                http1_begin_lines(h);
                http1_skip_line(r);
                return;
            }
        }
        h->phase = HTTP1_STATUS;
        return;
    }
    fold_begin(r->fold);
    h->target_hash = 0;
    if (r->chunk->pos + 8 <= r->chunk->len) {
        __u32 n = http1_method_fast(http1_load(r->chunk, r->chunk->pos), &h->method);

        if (n) {
            r->chunk->pos += n;
            h->phase = HTTP1_TARGET;
            if (http1_target_fast(r))
                h->phase = HTTP1_QUERY;
            return;
        }
    }
    h->phase = HTTP1_METHOD;
}

static __always_inline void http1_version(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;

    if (h->matched == 0 && r->chunk->pos + 8 <= r->chunk->len) {
        __u64 w = http1_load(r->chunk, r->chunk->pos) & 0x00ffffffffffffffULL;

        if (w == W('H', 'T', 'T', 'P', '/', '1', '.', 0)) {
            r->chunk->pos += 8;
            http1_begin_lines(h);
            http1_skip_line(r);
            return;
        }
    }
    r->chunk->pos++;
    if (h->matched < 7) {
        h->word = h->word << 8 | c;
        h->matched++;
        if (h->matched == 7 && h->word != 0x485454502f312eULL) /* HTTP/1. */
            h->phase = HTTP1_OPAQUE;
        else if (c == '\n') /* HTTP/0.9 */
            h->phase = HTTP1_OPAQUE;
        return;
    }
    if (c == '\n')
        http1_begin_lines(h);
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

/* One step: consumes at least one byte, or changes the phase. Returns 1 to stop the run. */
static __always_inline long http1_step(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;
    __u8 c;

    if (r->chunk->pos >= r->chunk->len || h->phase >= HTTP1_BODY)
        return 1;
    if (h->phase == HTTP1_LINE && r->chunk->pos + 8 <= r->chunk->len) {
        http1_lines(r, response);
        return r->event != HTTP1_MORE;
    }
    c = http1_load(r->chunk, r->chunk->pos);
    switch (h->phase) {
    case HTTP1_START:
        http1_start(r, c, response);
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
        if (http1_skip_past(r, ' ')) {
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
        http1_skip_line(r);
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
    return r->event != HTTP1_MORE;
}

static long http1_step_request(__u32 i, void *run)
{
    return http1_step(run, false);
}

static long http1_step_response(__u32 i, void *run)
{
    return http1_step(run, true);
}

/* Parses a chunk from its `pos` on until an event. Returns enum http1_event. */
__attribute__((noinline)) int http1_parse_request(struct http1 *h, struct fold *fold,
                                                  struct http1_chunk *chunk)
{
    struct http1_run r = {.h = h, .fold = fold, .chunk = chunk};

    if (!h || !fold || !chunk)
        return 0;
    bpf_loop(2 * HTTP1_CHUNK, http1_step_request, &r, 0);
    return r.event;
}

__attribute__((noinline)) int http1_parse_response(struct http1 *h, struct fold *fold,
                                                   struct http1_chunk *chunk)
{
    struct http1_run r = {.h = h, .fold = fold, .chunk = chunk};

    if (!h || !fold || !chunk)
        return 0;
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
