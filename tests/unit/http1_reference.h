/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests and fuzzers of bpf/http1.h share: the routes that the parser asks for, and a caller
 * that feeds segments, writes down the events, and has each head parsed both ways.
 */
#pragma once

#include <stdio.h>
#include <string.h>
#include "bpf/http1.h"

/* The last route that was asked for: heads come one after another, so it is the one of the next. */
static char route_text[PMO_ROUTE_BYTES];

static __u32 http1_route(struct fold *fold)
{
    (void)fold_end(fold);
    memcpy(route_text, fold->text, sizeof(route_text) - 1);
    return 7;
}

/* What was seen, as text: "1 /x;" for a request of method 1, "200;" for the head of a response, "."
 * for its end. Where `places` is set, with the offset behind it: "1 /x@18;". Where `ends` is set,
 * requests have an end, too, whose place is exact where they come byte by byte. */
struct seen {
    struct http1 parser;
    struct fold fold;
    struct http1_chunk chunk;
    bool response;
    bool places, ends;
    bool open;         /* a request has begun and not ended */
    __u8 methods[4];   /* that the final responses answer, in turn */
    __u32 finals;      /* final responses */
    __u32 wholes;      /* heads that were parsed in one go, too */
    const char *wrong; /* what the parser must never do, and did */
    size_t before;     /* bytes in the segments before */
    size_t length;
    char text[1 << 16];
};

static void see(struct seen *s, const char *what, size_t place)
{
    if (sizeof(s->text) - s->length < 256)
        s->length = 0;
    s->length += (size_t)snprintf(s->text + s->length, sizeof(s->text) - s->length,
                                  s->places      ? "%s@%zu;"
                                  : *what == '.' ? "%s"
                                                 : "%s;",
                                  what, place);
}

static void see_request_end(struct seen *s, size_t place)
{
    if (!s->open || !s->ends || s->response || s->parser.phase != HTTP1_START)
        return;
    see(s, ".", place);
    s->open = false;
}

static void see_event(struct seen *s, __u32 event, size_t place)
{
    char text[PMO_ROUTE_BYTES + 16];

    if (event == HTTP1_REQUEST) {
        if (s->parser.route != 7)
            s->wrong = "a request without a route";
        (void)snprintf(text, sizeof(text), "%u %s", s->parser.method, route_text);
        see(s, text, place);
        s->open = true;
    } else if (event == HTTP1_RESPONSE) {
        (void)snprintf(text, sizeof(text), "%u", s->parser.status);
        see(s, text, place);
        if (http1_answer(&s->parser, s->methods[s->finals & 3]))
            see(s, ".", place);
        s->finals += s->parser.status >= 200;
    } else if (event == HTTP1_END) {
        see(s, ".", place);
    }
}

/* What the parser that takes a whole head at once says of a segment. */
struct whole {
    bool is;
    __u8 method;
    __u16 status;
    __u64 target_hash;
    struct http1_head head;
};

static struct whole whole_of(struct seen *s)
{
    struct http1_chunk copy = s->chunk;
    struct whole w = {};

    if (s->parser.phase != HTTP1_START)
        return w;
    w.is = s->response ? http1_whole_response(&copy, copy.len, &w.status, &w.head)
                       : http1_whole_request(&copy, copy.len, &w.method, &w.target_hash, &w.head);
    s->wholes += w.is;
    return w;
}

static bool same_framing(const struct seen *s, const struct http1_head *head)
{
    const struct http1 *h = &s->parser;

    if (s->response)
        return head->left == h->left &&
               !((head->flags ^ h->flags) & (HTTP1_CHUNKED | HTTP1_LENGTH));
    if (head->flags & HTTP1_CHUNKED)
        return h->phase == HTTP1_CHUNK_SIZE;
    return head->left == (h->phase == HTTP1_BODY ? h->left : 0);
}

/* Both ways to parse a head must agree. */
static void agree(struct seen *s, struct whole *w, __u32 event, __u32 pos)
{
    const struct http1 *h = &s->parser;

    if (!w->is)
        return;
    w->is = false;
    if (event != (s->response ? HTTP1_RESPONSE : HTTP1_REQUEST) || w->head.pos != pos)
        s->wrong = "the short way finds another end of a head";
    else if (s->response ? w->status != h->status : w->method != h->method)
        s->wrong = "the short way finds another method or status";
    else if (!same_framing(s, &w->head))
        s->wrong = "the short way frames a body in another way";
}

/* Feeds one segment, as bpf/segment.h does. */
static void feed(struct seen *s, const void *bytes, size_t length)
{
    struct http1_chunk *chunk = &s->chunk;
    struct whole whole = {};
    size_t offset = 0;

    chunk->pos = chunk->len = 0; /* what was in the buffer before stays there, as in the kernel */
    while (offset < length && !s->wrong) {
        __u8 phase = s->parser.phase;
        __u32 event = HTTP1_MORE, before, n = (__u32)(length - offset);

        if (phase >= HTTP1_BODY) {
            n = http1_skip_body(&s->parser, n, &event);
            chunk->pos += n;
            offset += n;
            if (event == HTTP1_END && s->response)
                see(s, ".", s->before + offset);
            see_request_end(s, s->before + offset);
            continue;
        }
        if (chunk->pos >= chunk->len) {
            chunk->len = n < HTTP1_CHUNK ? n : HTTP1_CHUNK;
            chunk->pos = 0;
            memcpy(chunk->buf, (const __u8 *)bytes + offset, chunk->len);
            if (!offset)
                whole = whole_of(s);
        }
        before = chunk->pos;
        event = s->response ? (__u32)http1_parse_response(&s->parser, &s->fold, chunk)
                            : (__u32)http1_parse_request(&s->parser, &s->fold, chunk);
        offset += chunk->pos - before;
        if (event != HTTP1_MORE)
            agree(s, &whole, event, (__u32)offset);
        else if (chunk->pos == before && s->parser.phase == phase)
            s->wrong = "no progress";
        see_event(s, event, s->before + offset);
        see_request_end(s, s->before + offset);
    }
    if (whole.is && !s->wrong)
        s->wrong = "the short way finds a head where there is none";
    s->before += length;
}
