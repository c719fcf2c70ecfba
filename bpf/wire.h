/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Protocols of databases and caches as resumable parsers, byte by byte: one struct wire for each
 * direction of a connection, in the place of its struct http1. What a request asks for is the name
 * of its command, which is its route.
 *
 * A protocol is a file with three functions, named after it:
 *
 *   NAME_begins()    whether bytes are the first that a client sends
 *   NAME_request()   takes a byte of a client, returns enum wire_event
 *   NAME_response()  the same of the server
 *
 * and that is listed in the three places below. Bytes that need not be looked at are passed over:
 * a parser sets `left`. What it returned with that byte is told when they have passed, so that a
 * message is told when it is complete. Responses answer requests in their order; a protocol in
 * which a message of the server is no answer says nothing of it. docs/adding-a-protocol.md goes
 * through it step by step.
 */
#pragma once

#include "bpf/chunk.h"
#include "bpf/fold.h"

#define WIRE_NAME 24U /* of a command, longer ones are cut */

enum wire_event {
    WIRE_MORE = 0,
    WIRE_REQUEST, /* is complete; its name is in the fold */
    WIRE_ANSWER,  /* is complete: a success, */
    WIRE_ERROR,   /* or not, */
    WIRE_FAULT,   /* and the client is to blame */
    WIRE_TLS,     /* what follows is TLS */
    WIRE_OVER,    /* what follows cannot be told apart any more, or makes no sense */
};

struct wire {
    __u64 left;   /* bytes to pass over */
    __u64 number; /* being read, or the beginning of a word */
    __u32 count;  /* of what is still to come of a message */
    __u16 step;   /* of the protocol; 0: between messages, and where a connection begins */
    __u8 phase;   /* that of struct http1: HTTP1_WIRE */
    __u8 protocol;
    __u8 after; /* enum wire_event: when `left` have passed */
    __u8 kind;  /* of the message */
    __u8 token; /* of the line, from 0 on */
    __u8 flags;
    __u8 length; /* of the name so far */
    __u8 pad;
    __u16 asked; /* request: what it asks for, as its answer has to know; response: that of the
                    request which it answers; 0: none */
};

/* ---- for protocols --------------------------------------------------------------------------- */

/* Adds a letter to the name of a command, which it makes a capital. */
static __always_inline void wire_name(struct wire *w, struct fold *fold, __u8 c)
{
    __u32 at = w->length;

    pmo_opaque(at);
    if (at >= WIRE_NAME)
        return;
    fold->text[at & 31] = c >= 'a' && c <= 'z' ? c - 32 : c;
    w->length = at + 1;
}

/* Begins one: nothing is left of another. */
static __always_inline void wire_name_begin(struct wire *w, struct fold *fold)
{
    __builtin_memset(fold->text, 0, sizeof(fold->text));
    w->length = 0;
}

/* How many letters a W() has; no branches, as the verifier walks each. */
static __always_inline __u8 wire_letters(__u64 name)
{
    return ((name + 0x7f7f7f7f7f7f7f7fULL) >> 7 & 0x0101010101010101ULL) * 0x0101010101010101ULL >>
           56;
}

/* A name that is known. */
static __always_inline void wire_name_word(struct wire *w, struct fold *fold, __u64 name)
{
    wire_name_begin(w, fold);
    __builtin_memcpy(fold->text, &name, sizeof(name));
    w->length = wire_letters(name);
}

/* A digit of a decimal number; -1 for any other byte. */
static __always_inline int wire_digit(__u8 c)
{
    return c >= '0' && c <= '9' ? c - '0' : -1;
}

static __always_inline bool wire_letter(__u8 c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* A byte of an SQL statement, of which the first word is the name. Returns whether that has ended.
 */
static __always_inline bool wire_word(struct wire *w, struct fold *fold, __u8 c)
{
    if (wire_letter(c)) {
        wire_name(w, fold, c);
        return false;
    }
    return w->length || (c != ' ' && c != '\n' && c != '\t' && c != '(');
}

/* Status class of an answer. */
static __always_inline __u32 wire_class(enum wire_event event)
{
    return event == WIRE_ANSWER ? 2 : event == WIRE_FAULT ? 4 : 5;
}

/* Says that @event is to be told when @n bytes have passed. */
static __always_inline enum wire_event wire_after(struct wire *w, __u64 n, enum wire_event event)
{
    if (!n)
        return event;
    w->left = n;
    w->after = event;
    return WIRE_MORE;
}

#include "bpf/dns.h"
#include "bpf/kafka.h"
#include "bpf/memcached.h"
#include "bpf/mysql.h"
#include "bpf/postgresql.h"
#include "bpf/redis.h"

/* ---- what the includer calls ----------------------------------------------------------------- */

/* Which protocol a client speaks that sent these @n bytes first; of a chunk, eight more may be
 * read. */
static __always_inline __u8 wire_begins(const __u8 *b, __u32 n)
{
    if (redis_begins(b, n))
        return PMO_PROTOCOL_REDIS;
    if (memcached_begins(b, n))
        return PMO_PROTOCOL_MEMCACHED;
    if (postgresql_begins(b, n))
        return PMO_PROTOCOL_POSTGRESQL;
    if (mysql_begins(b, n))
        return PMO_PROTOCOL_MYSQL;
    if (dns_begins(b, n))
        return PMO_PROTOCOL_DNS;
    if (kafka_begins(b, n))
        return PMO_PROTOCOL_KAFKA;
    return PMO_PROTOCOL_UNKNOWN;
}

/* Which protocol a server speaks that sent these @n bytes first, before any of a client. */
static __always_inline __u8 wire_greets(const __u8 *b, __u32 n)
{
    return mysql_greets(b, n) ? PMO_PROTOCOL_MYSQL : PMO_PROTOCOL_UNKNOWN;
}

/* Between messages of a protocol, and an answer cannot be read without knowing what was asked? */
static __always_inline bool wire_must_ask(const struct wire *w)
{
    return w->protocol >= PMO_PROTOCOL_MYSQL && !w->step && !w->kind;
}

struct wire_run {
    struct wire *w;
    struct fold *fold;
    struct http1_chunk *chunk;
    __u32 event;
};

static __always_inline enum wire_event wire_byte(struct wire *w, struct fold *fold, __u8 c,
                                                 bool response)
{
    switch (w->protocol) {
    case PMO_PROTOCOL_REDIS:
        return response ? redis_response(w, c) : redis_request(w, fold, c);
    case PMO_PROTOCOL_MEMCACHED:
        return response ? memcached_response(w, c) : memcached_request(w, fold, c);
    case PMO_PROTOCOL_POSTGRESQL:
        return response ? postgresql_response(w, c) : postgresql_request(w, fold, c);
    case PMO_PROTOCOL_MYSQL:
        return response ? mysql_response(w, c) : mysql_request(w, fold, c);
    case PMO_PROTOCOL_DNS:
        return response ? dns_response(w, c) : dns_request(w, fold, c);
    case PMO_PROTOCOL_KAFKA:
        return response ? kafka_response(w, c) : kafka_request(w, fold, c);
    }
    return WIRE_OVER;
}

static __always_inline long wire_step(struct wire_run *r, bool response)
{
    struct http1_chunk *chunk = r->chunk;
    __u32 pos = chunk->pos;
    __u8 c;

    if (pos >= chunk->len || r->w->left)
        return 1;
    pmo_opaque(pos);
    c = chunk->buf[pos & (HTTP1_CHUNK - 1)];
    chunk->pos = pos + 1;
    r->event = wire_byte(r->w, r->fold, c, response);
    return r->event != WIRE_MORE;
}

static long wire_step_request(__u32 i, void *context)
{
    return loop_ends(wire_step(context, false));
}

static long wire_step_response(__u32 i, void *context)
{
    return loop_ends(wire_step(context, true));
}

/* Parse a chunk from its `pos` on until an event, bytes to pass over, or its end. Return enum
 * wire_event. */
__attribute__((noinline)) int wire_parse_request(struct wire *w, struct fold *fold,
                                                 struct http1_chunk *chunk)
{
    struct wire_run r = {.w = w, .fold = fold, .chunk = chunk};

    if (w && fold && chunk)
        bpf_loop(HTTP1_CHUNK, wire_step_request, &r, 0);
    return r.event;
}

__attribute__((noinline)) int wire_parse_response(struct wire *w, struct fold *fold,
                                                  struct http1_chunk *chunk)
{
    struct wire_run r = {.w = w, .fold = fold, .chunk = chunk};

    if (w && fold && chunk)
        bpf_loop(HTTP1_CHUNK, wire_step_response, &r, 0);
    return r.event;
}

/* Passes over bytes: how many of @available. *event becomes what was to be told behind them. */
static __always_inline __u32 wire_pass(struct wire *w, __u32 available, __u32 *event)
{
    __u64 n = w->left < available ? w->left : available;

    w->left -= n;
    if (!w->left) {
        *event = w->after;
        w->after = WIRE_MORE;
    }
    return n;
}
