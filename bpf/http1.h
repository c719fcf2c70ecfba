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
 * Speed: http1_whole_request() and http1_whole_response() take a head that lies in one segment,
 * eight bytes at a time, with everything in registers; where packets split a head, or a head is
 * unusual, http1_step() walks its states byte by byte, and http1_lines() passes over the header
 * lines that do not matter.
 */
#pragma once

#include <pmo/abi.h>
#include "bpf/chunk.h"
#include "bpf/fold.h"
#include "bpf/portable.h"

#define HTTP1_SCAN_STEPS   96 /* words and line ends in a chunk that is scanned in one go */
#define HTTP1_TARGET_WORDS 24
#define HTTP1_CHUNKED_WORD 0x6368756e6b6564ULL /* "chunked", newest byte lowest */
#define HTTP1_HASH_SEED    0x51ed270b76a1ce43ULL

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
    HTTP1_HTTP2,  /* what follows is for bpf/http2.h, */
    HTTP1_WIRE,   /* or for bpf/wire.h */
};

enum {
    HTTP1_CHUNKED = 1,
    HTTP1_LENGTH = 2,
    HTTP1_TRAILER = 4,
    HTTP1_H2C = 8,      /* the 101 upgrades to HTTP/2 */
    HTTP1_PREFACE = 16, /* with HTTP1_HTTP2: the first four bytes of the preface were taken here */
    HTTP1_CODED = 32,   /* there is a Transfer-Encoding, with or without chunked at its end */
};

enum { HTTP1_CONTENT_LENGTH = 1, HTTP1_TRANSFER_ENCODING = 2, HTTP1_UPGRADE = 3 };

struct http1 {
    __u64 left;  /* of the body or chunk */
    __u64 word;  /* bytes of a short token so far, newest lowest */
    __u32 route; /* of the request, from http1_route() */
    __u16 status;
    __u8 phase;
    __u8 flags;
    __u8 name;    /* header being read, HTTP1_CONTENT_LENGTH or HTTP1_TRANSFER_ENCODING */
    __u8 matched; /* bytes of a token, name or value so far */
    __u8 method;
    __u8 pad[5];
};

enum http1_event {
    HTTP1_MORE = 0, /* the chunk is used up, or body bytes follow: http1_skip_body() */
    HTTP1_REQUEST,  /* a request head is complete: method, route */
    HTTP1_RESPONSE, /* a response head is complete: status; the caller calls http1_answer() */
    HTTP1_END,      /* the message's body is, too (told for responses only) */
};

/* What the includer provides: the row of a folded path. */
static __always_inline __u32 http1_route(struct fold *fold);

struct http1_run {
    struct http1 *h;
    struct fold *fold;
    struct http1_chunk *chunk;
    __u32 event;
};

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
    h->name = 0;
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
    } else if (h->flags & HTTP1_CODED) {
        h->phase = HTTP1_UNTIL_CLOSE; /* nobody can tell where it ends */
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

    if (status == 101 && h->flags & HTTP1_H2C) {
        h->phase = HTTP1_HTTP2;
        return true;
    }
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
    if ((h->flags & (HTTP1_LENGTH | HTTP1_CODED)) == HTTP1_LENGTH) {
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

/* Is the value of a header being read that is looked for? */
static __always_inline bool http1_reads_header(const struct http1_run *r, bool response)
{
    return HEADERS_NAMED && !response && r->fold->headers.reading;
}

/* First byte of a header or trailer line. Content-Length and Transfer-Encoding are the two that
 * frame a body. */
static __always_inline void http1_line(struct http1_run *r, __u8 c, bool response)
{
    struct http1 *h = r->h;

    bool named = false;

    if ((c == ' ' || c == '\t') && /* the value goes on (obs-fold, RFC 9112 5.2) */
        (h->name || http1_reads_header(r, response))) {
        h->phase = HTTP1_VALUE;
        return;
    }
    r->chunk->pos++;
    if (HEADERS_NAMED && !response && !(h->flags & HTTP1_TRAILER))
        named = headers_line(&r->fold->headers, c, HEADERS_KEY);
    if (c == '\r')
        return;
    if (c == '\n') {
        http1_empty_line(r, response);
        return;
    }
    h->name = 0;
    h->phase = HTTP1_SKIP;
    if (h->flags & HTTP1_TRAILER)
        return;
    c |= 0x20;
    if (c == 'c')
        h->name = HTTP1_CONTENT_LENGTH;
    else if (c == 't')
        h->name = HTTP1_TRANSFER_ENCODING;
    else if (c == 'u' && response && h->status == 101)
        h->name = HTTP1_UPGRADE;
    else if (!named)
        return;
    h->matched = 1;
    h->phase = HTTP1_NAME;
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
    } else if (name == HTTP1_UPGRADE) {
        w = W('u', 'p', 'g', 'r', 'a', 'd', 'e', ':');
    } else {
        w = i < 8    ? W('t', 'r', 'a', 'n', 's', 'f', 'e', 'r')
            : i < 16 ? W('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n')
                     : W('g', ':', 0, 0, 0, 0, 0, 0);
        if (i > 17)
            return 0;
    }
    return w >> ((i & 7) * 8);
}

/* The next byte of a name that may be one that is looked for. Returns whether it still may. */
static __always_inline bool http1_header_name(struct http1_run *r, __u8 c)
{
    struct headers *headers = &r->fold->headers;

    if (headers->reading != HEADERS_NAME)
        return false;
    if (c == ':') {
        headers->reading =
            headers_number(r->fold, header_digest_end(headers->digest, HEADERS_KEY[1]), 0);
        headers->digest = HEADERS_KEY[0];
        headers->blank = HEADERS_EMPTY;
    } else if (c <= ' ' || r->h->matched >= PMO_HEADER_BYTES - 1) {
        headers->reading = 0;
    } else {
        headers->digest = header_digest_byte(headers->digest, header_lower(c), HEADERS_KEY[1]);
    }
    return headers->reading;
}

static __always_inline void http1_name(struct http1_run *r, __u8 c, bool response)
{
    struct http1 *h = r->h;
    bool named = HEADERS_NAMED && !response && http1_header_name(r, c);
    __u8 expected;

    expected = h->name ? http1_name_byte(h->name, h->matched) : 0;
    if (c != ':' && c != '-')
        c |= 0x20;
    if (c != expected) {
        h->name = 0;
        if (!named) {
            h->phase = HTTP1_SKIP;
            return;
        }
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

static __always_inline void http1_value(struct http1_run *r, __u8 c, bool response)
{
    struct http1 *h = r->h;

    r->chunk->pos++;
    if (!h->name && http1_reads_header(r, response)) {
        headers_value(&r->fold->headers, c, HEADERS_KEY);
    } else if (h->name == HTTP1_CONTENT_LENGTH) {
        if (c >= '0' && c <= '9') {
            h->left = h->left * 10 + (c - '0');
        } else if (c == ',') { /* "5, 5": identical values may be merged, RFC 9110 8.6 */
            h->name = 0;
            h->phase = HTTP1_SKIP;
        }
    } else if (h->name == HTTP1_UPGRADE) {
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            h->word = h->word << 8 | (c | 0x20);
        if (h->word == 0x683263) /* h2c */
            h->flags |= HTTP1_H2C;
        else
            h->flags &= ~HTTP1_H2C;
    } else if (c == ',' || c == ' ' || c == '\t') { /* a word ends, or there was none */
        if (c == ',' || (h->word && (__u8)h->word != ','))
            h->word = h->word << 8 | (c == ',' ? ',' : ' ');
    } else if (c != '\r' && c != '\n') {
        h->word = h->word << 8 | (c >= 'A' ? c | 0x20 : c < ' ' ? '?' : c);
        h->flags |= HTTP1_CODED;
        /* chunked, when it is there, is the last coding, and perhaps the only one */
        if (h->word == HTTP1_CHUNKED_WORD || h->word == (HTTP1_CHUNKED_WORD | (__u64)',' << 56))
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
    h->phase = response ? HTTP1_STATUS : HTTP1_METHOD;
    if (response)
        return;
    fold_begin(r->fold);
    if (HEADERS_NAMED) {
        r->fold->headers.letters = headers_sought(r->fold);
        r->fold->headers.reading = r->fold->headers.found = 0;
    }
}

static __always_inline void http1_version(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;

    r->chunk->pos++;
    if (h->matched < 7) {
        if (c == ' ' && !h->matched)
            return; /* more than one space, RFC 9112 3 */
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

/* The line of a chunk's size is complete. */
static __always_inline void http1_chunk_begin(struct http1 *h)
{
    if (!h->matched) { /* no size */
        h->phase = HTTP1_UNTIL_CLOSE;
    } else if (h->left) {
        h->phase = HTTP1_CHUNK_BODY;
    } else {
        h->phase = HTTP1_LINE;
        h->flags |= HTTP1_TRAILER;
        h->name = 0;
    }
}

static __always_inline void http1_chunk_size(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;
    __u8 lower = c | 0x20, digit = c >= '0' && c <= '9' ? c - '0' : lower - 'a' + 10;

    r->chunk->pos++;
    if ((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f')) {
        if (h->left >> 60) /* nobody sends that much */
            h->phase = HTTP1_UNTIL_CLOSE;
        h->left = h->left << 4 | digit;
        h->matched = 1;
    } else if (c == '\n') {
        http1_chunk_begin(h);
    } else if (c == ';' || c == ' ' || c == '\t' || c == '\r') {
        h->phase = HTTP1_CHUNK_EXTENSION;
    } else {
        h->phase = HTTP1_UNTIL_CLOSE;
    }
}

/* A byte of the line that a request begins with. */
static __always_inline void http1_request_line(struct http1_run *r, __u8 c)
{
    struct http1 *h = r->h;

    switch (h->phase) {
    case HTTP1_METHOD:
        r->chunk->pos++;
        if (c == ' ' && h->word == 0x505249) { /* PRI: the preface of HTTP/2, RFC 9113 3.4 */
            h->phase = HTTP1_HTTP2;
            h->flags = HTTP1_PREFACE;
        } else if (c == ' ' && h->matched) {
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
        if (c == ' ' && !r->fold->begun) {
            r->chunk->pos++; /* more than one space, RFC 9112 3 */
        } else if (c == ' ' || c == '?') {
            if (!r->fold->begun) {
                h->phase = HTTP1_OPAQUE;
                break;
            }
            h->route = http1_route(r->fold);
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
        } else if (c == '\n') {
            h->phase = HTTP1_OPAQUE;
        }
        break;
    case HTTP1_VERSION:
        http1_version(r, c);
        break;
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
    c = http1_load(r->chunk->buf, r->chunk->pos);
    switch (h->phase) {
    case HTTP1_START:
        if (c == '\r' || c == '\n')
            r->chunk->pos++;
        else if (response && !c) /* a server may begin with its SETTINGS at once */
            h->phase = HTTP1_HTTP2;
        else
            http1_start(r, response);
        break;
    case HTTP1_STATUS:
        if (response)
            http1_status(r, c);
        break;
    case HTTP1_LINE:
        http1_line(r, c, response);
        break;
    case HTTP1_NAME:
        http1_name(r, c, response);
        break;
    case HTTP1_VALUE:
        http1_value(r, c, response);
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
        if (c == '\n')
            http1_chunk_begin(h);
        break;
    case HTTP1_CHUNK_END:
        r->chunk->pos++;
        if (c == '\n') {
            h->phase = HTTP1_CHUNK_SIZE;
            h->left = 0;
            h->matched = 0;
        }
        break;
    default:
        if (!response)
            http1_request_line(r, c);
    }
    return loop_ends(r->event != HTTP1_MORE ||
                     (r->chunk->pos + 16 <= r->chunk->len &&
                      (h->phase == HTTP1_LINE || h->phase == HTTP1_SKIP)));
}

/* ---- in words: what most heads look like ---------------------------------------------------- */

/* Forgets what is known of a value by way of memory. The verifier walks a loop once for each value
 * that it knows of a variable in it; not knowing makes them one. */
static __always_inline __u32 http1_unknown(struct http1_chunk *chunk, __u32 pos)
{
    *(volatile __u32 *)&chunk->pos = pos;
    return *(volatile __u32 *)&chunk->pos;
}

/* Bytes from @pos to the end of a chunk, told in a way that teaches the verifier nothing of @pos.
 */
static __always_inline __s32 http1_left(__u32 len, __u32 pos)
{
    __s32 left = len - pos;

    pmo_opaque(left);
    return left;
}

/* What a scan of header lines found. */
struct http1_head {
    __u64 left; /* Content-Length */
    __u32 pos;  /* where the scan ended */
    __u8 flags; /* HTTP1_CHUNKED, HTTP1_LENGTH */
    __u8 name;  /* of the last line, where it is one of ours */
};

enum http1_scan {
    HTTP1_SCAN_SKIP, /* in the middle of a line */
    HTTP1_SCAN_LINE, /* at the beginning of a line that takes a look at every byte */
    HTTP1_SCAN_END,  /* behind the empty line */
};

#define HTTP1_LOWER 0x2020202020202020ULL

/* A line that begins with c or t: notes a Content-Length or a Transfer-Encoding. Returns whether it
 * could tell. */
static __always_inline bool http1_scan_line(const __u8 *buf, __u32 len, __u64 w,
                                            struct http1_head *head, __u32 *pos)
{
    __u64 next = http1_load(buf, *pos + 8) | HTTP1_LOWER, left = 0;
    __u32 at, digits;

    if (http1_left(len, *pos) < 16)
        return false;
    w |= HTTP1_LOWER;
    if (w == W('c', 'o', 'n', 't', 'e', 'n', 't', '-')) {
        if ((next & 0xffffffffffffffULL) != W('l', 'e', 'n', 'g', 't', 'h', ':', 0))
            return true;
        at = *pos + 15;
        if ((__u8)http1_load(buf, at) == ' ')
            at++;
        for (digits = 0; digits < 12; digits++) {
            __u8 digit = (__u8)http1_load(buf, at) - '0';

            if (digit > 9)
                break;
            left = left * 10 + digit;
            at++;
        }
        if (!digits || digits == 12 || http1_left(len, at) < 2 ||
            (__u16)http1_load(buf, at) != 0x0a0d)
            return false;
        head->left = left;
        head->flags |= HTTP1_LENGTH;
        head->name = HTTP1_CONTENT_LENGTH;
        *pos = at;
        return true;
    }
    if (w == W('t', 'r', 'a', 'n', 's', 'f', 'e', 'r')) {
        if (next != (W('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n') | HTTP1_LOWER))
            return true;
        if (http1_left(len, *pos) < 28 ||
            (http1_load(buf, *pos + 16) | HTTP1_LOWER << 24 | 0x20) != /* no NUL for the space */
                W('g', ':', ' ', 'c', 'h', 'u', 'n', 'k') ||
            (__u32)(http1_load(buf, *pos + 24) | 0x2020) != W('e', 'd', '\r', '\n', 0, 0, 0, 0))
            return false;
        head->flags |= HTTP1_CHUNKED;
        head->name = HTTP1_TRANSFER_ENCODING;
        *pos += 24;
    }
    return true;
}

/* From anywhere in a line (but not in a name that may be ours) over the lines that follow, eight
 * bytes at a time, but for lines that begin with one of @letters. Small on purpose: between two
 * requests this code leaves the caches, and fetching it again is most of what it costs. */
static __always_inline enum http1_scan http1_scan(struct http1_chunk *chunk, __u32 len,
                                                  struct http1_head *head, __u32 letters)
{
    const __u8 *buf = chunk->buf;
    __u32 pos = http1_unknown(chunk, head->pos);

    head->flags = http1_unknown(chunk, head->flags);

    for (int i = 0; i < HTTP1_SCAN_STEPS; i++) {
        __u64 w = http1_load(buf, pos), marks = bytes_equal_ascii(w, '\n');
        __u32 at;
        __u8 lower;

        if (!marks) {
            pos += 8;
            continue;
        }
        at = first_byte(marks);
        pos += at + 1;
        if (unlikely((__u8)(w >> (at * 8)) != '\n'))
            continue;                   /* no ASCII */
        if (http1_left(len, pos) < 2) { /* what lies behind `len` has no meaning */
            head->pos = pos;
            return http1_left(len, pos) < 0 ? HTTP1_SCAN_SKIP : HTTP1_SCAN_LINE;
        }
        w = http1_load(buf, pos);
        if ((__u8)w <= ' ') { /* the end, or a line that goes on (obs-fold) */
            bool end = (w & 0xffff) == 0x0a0d;

            head->pos = end ? pos + 2 : pos;
            return end ? HTTP1_SCAN_END : HTTP1_SCAN_LINE;
        }
        head->name = 0;
        lower = w | 0x20;
        if (letters & header_letter(lower) ||
            ((lower == 'c' || lower == 't') && !http1_scan_line(buf, len, w, head, &pos))) {
            head->pos = pos;
            return HTTP1_SCAN_LINE;
        }
    }
    head->pos = pos;
    return HTTP1_SCAN_SKIP;
}

/* A whole request head at the beginning of a chunk: its method, the hash of its target as it
 * stands, and what frames its body. Returns whether it is one; where it is not,
 * http1_parse_request() says what it is. */
static __always_inline bool http1_whole_request(struct http1_chunk *chunk, __u32 len, __u8 *method,
                                                __u64 *target_hash, struct http1_head *head)
{
    const __u8 *buf = chunk->buf;
    __u64 hash = HTTP1_HASH_SEED, w = http1_load(buf, 0), marks;
    __u32 start = http1_method_fast(w, method), pos = http1_unknown(chunk, start), length;

    if (!start)
        return false;
    *method = http1_unknown(chunk, *method);
    for (int i = 0; i < HTTP1_TARGET_WORDS; i++) {
        w = http1_load(buf, pos);
        marks = bytes_below(w, ' ' + 1) | bytes_equal(w, '?'); /* no target has control bytes */
        if (marks)
            break;
        hash = hash_mix(hash, w);
        pos += 8;
    }
    if (!marks)
        return false;
    w &= ((marks & -marks) >> 7) - 1;
    pos += first_byte(marks);
    length = pos - start;
    pmo_opaque(length); /* or the compiler makes a second loop of the first turn */
    if (!length)
        return false; /* no target, or it is behind another space */
    *target_hash = hash_mix(hash_mix(hash, w), length) | 1;
    for (int i = 0; i < HTTP1_TARGET_WORDS; i++) { /* past the query */
        w = http1_load(buf, pos);
        marks = bytes_below(w, ' ' + 1);
        if (marks)
            break;
        pos += 8;
    }
    if (!marks)
        return false;
    pos += first_byte(marks);
    if (http1_load(buf, pos) != W(' ', 'H', 'T', 'T', 'P', '/', '1', '.'))
        return false;
    head->pos = pos + 8;
    head->left = head->flags = 0;
    return http1_scan(chunk, len, head, 0) == HTTP1_SCAN_END;
}

static __always_inline bool http1_whole_response(struct http1_chunk *chunk, __u32 len,
                                                 __u16 *status, struct http1_head *head)
{
    __u64 w = http1_load(chunk->buf, 0);
    __u32 s = http1_load(chunk->buf, 8) - W(' ', '0', '0', '0', 0, 0, 0, 0);

    if ((w & 0x00ffffffffffffffULL) != W('H', 'T', 'T', 'P', '/', '1', '.', 0) ||
        ((s | (s + 0x06060600)) & 0xf0f0f0ff)) /* a space, and three from 0 to 9 */
        return false;
    *status = ((s >> 8) & 15) * 100 + ((s >> 16) & 15) * 10 + (s >> 24);
    head->pos = 12;
    head->left = head->flags = 0;
    return http1_scan(chunk, len, head, 0) == HTTP1_SCAN_END;
}

/* ---- resumable: anything, split anywhere ---------------------------------------------------- */

/* Header lines in words, from where the parser stands in a chunk. Returns whether it came further
 * than a look at every byte would have. */
static __always_inline bool http1_lines(struct http1_run *r, bool response)
{
    struct http1 *h = r->h;
    struct http1_chunk *chunk = r->chunk;
    struct http1_head head = {
        .pos = chunk->pos, .left = h->left, .flags = h->flags, .name = h->name};
    enum http1_scan scan;

    if (h->phase != HTTP1_SKIP || (h->flags & HTTP1_TRAILER) || chunk->pos >= chunk->len ||
        (response && h->status == 101))
        return false;
    scan = http1_scan(chunk, chunk->len, &head,
                      HEADERS_NAMED && !response ? r->fold->headers.letters : 0);
    chunk->pos = head.pos < chunk->len ? head.pos : chunk->len;
    h->left = head.left;
    h->flags = head.flags;
    h->name = head.name;
    h->word = head.name == HTTP1_TRANSFER_ENCODING ? HTTP1_CHUNKED_WORD : 0; /* it may go on */
    if (scan == HTTP1_SCAN_LINE)
        h->phase = HTTP1_LINE;
    else if (scan == HTTP1_SCAN_END)
        http1_head_end(r, response);
    return scan == HTTP1_SCAN_SKIP;
}

static long http1_step_request(__u32 i, void *run)
{
    return http1_step(run, false);
}

static long http1_step_response(__u32 i, void *run)
{
    return http1_step(run, true);
}

static __always_inline int http1_parse(struct http1 *h, struct fold *fold,
                                       struct http1_chunk *chunk, bool response)
{
    struct http1_run r = {.h = h, .fold = fold, .chunk = chunk};

    if (!h || !fold || !chunk)
        return 0;
    if (!http1_lines(&r, response) && r.event == HTTP1_MORE)
        bpf_loop(2 * HTTP1_CHUNK, response ? http1_step_response : http1_step_request, &r, 0);
    return r.event;
}

/* Parse a chunk from its `pos` on until an event, body bytes, or for a while; to be called again
 * while there are bytes. Return enum http1_event. */
__attribute__((noinline)) int http1_parse_request(struct http1 *h, struct fold *fold,
                                                  struct http1_chunk *chunk)
{
    return http1_parse(h, fold, chunk, false);
}

__attribute__((noinline)) int http1_parse_response(struct http1 *h, struct fold *fold,
                                                   struct http1_chunk *chunk)
{
    return http1_parse(h, fold, chunk, true);
}

/* Passes over body bytes: how many of @available. *event becomes HTTP1_END where the body ends. */
static __always_inline __u32 http1_skip_body(struct http1 *h, __u32 available, __u32 *event)
{
    __u64 n = available;

    if (h->phase >= HTTP1_UNTIL_CLOSE)
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
