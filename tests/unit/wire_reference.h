/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests and fuzzers of bpf/wire.h share: a caller that feeds segments and writes down what the
 * parser tells. */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <pmo/abi.h>

#include "bpf/wire.h"

/* Commands after which a connection of Redis's is over. */
static const char *const wire_over[] = {"SUBSCRIB", "PSUBSCRI", "SSUBSCRI",
                                        "MONITOR",  "PSYNC",    "SYNC"};

#define WIRE_SEEN_MAX (1 << 16)

struct wire_seen {
    struct wire parser;
    struct fold fold;
    struct http1_chunk chunk;
    bool response, over;
    __u16 asked; /* by each request that is answered */
    size_t length;
    char text[WIRE_SEEN_MAX]; /* "SET;" for a request, "SET:16;" for one that asks for what its
                                 answer has to know; "+;", "-;", "!;" for answers, "tls;" */
};

static void wire_see(struct wire_seen *s, __u8 protocol, bool response)
{
    memset(s, 0, offsetof(struct wire_seen, text) + 1);
    s->parser.protocol = protocol;
    s->response = response;
}

static void wire_told(struct wire_seen *s, __u32 event)
{
    const char *what = event == WIRE_REQUEST  ? s->fold.text
                       : event == WIRE_ANSWER ? "+"
                       : event == WIRE_ERROR  ? "-"
                       : event == WIRE_FAULT  ? "!"
                       : event == WIRE_TLS    ? "tls"
                                              : NULL;
    char asks[16] = "";

    if (event == WIRE_REQUEST && s->parser.asked)
        (void)snprintf(asks, sizeof(asks), ":%u", s->parser.asked);
    s->over |= event == WIRE_OVER || event == WIRE_TLS;
    if (what && sizeof(s->text) - s->length > 64)
        s->length +=
            (size_t)snprintf(s->text + s->length, sizeof(s->text) - s->length, "%s%s;", what, asks);
}

/* A segment, as bpf/stream.h has it. */
static void wire_feed(struct wire_seen *s, const __u8 *bytes, size_t length)
{
    struct http1_chunk *chunk = &s->chunk;
    size_t at = 0;

    chunk->pos = chunk->len = 0;
    while (at < length && !s->over) {
        __u32 n = (__u32)(length - at), event = WIRE_MORE, before;

        if (s->response && wire_must_ask(&s->parser))
            s->parser.asked = s->asked;
        if (s->parser.left) {
            n = wire_pass(&s->parser, n, &event);
            chunk->pos += n;
        } else {
            if (chunk->pos >= chunk->len) {
                chunk->len = n < HTTP1_CHUNK ? n : HTTP1_CHUNK;
                memcpy(chunk->buf, bytes + at, chunk->len);
                chunk->pos = 0;
            }
            before = chunk->pos;
            event = (__u32)(s->response ? wire_parse_response(&s->parser, &s->fold, chunk)
                                        : wire_parse_request(&s->parser, &s->fold, chunk));
            n = chunk->pos - before;
        }
        at += n;
        wire_told(s, event);
    }
}

/* Which protocol a client speaks that sent these bytes first. */
static __u8 wire_first(const void *bytes, size_t length)
{
    static struct http1_chunk chunk;

    memset(&chunk, 0, sizeof(chunk));
    chunk.len = length < HTTP1_CHUNK ? (__u32)length : HTTP1_CHUNK;
    memcpy(chunk.buf, bytes, chunk.len);
    return wire_begins(chunk.buf, chunk.len);
}

/* The same of a server. */
static __u8 wire_greeting(const void *bytes, size_t length)
{
    static struct http1_chunk chunk;

    memset(&chunk, 0, sizeof(chunk));
    chunk.len = length < HTTP1_CHUNK ? (__u32)length : HTTP1_CHUNK;
    memcpy(chunk.buf, bytes, chunk.len);
    return wire_greets(chunk.buf, chunk.len);
}
