/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PostgreSQL's protocol, version 3 (its manual, "Frontend/Backend Protocol"). What is counted as a
 * request is what ends with the server's ReadyForQuery: the start of a session, a simple query, a
 * batch of the extended protocol up to its Sync, a function call. Its name is the first word of the
 * statement; of a batch, that of the last one that it parses, or EXECUTE where it was parsed
 * before. It failed if there was an ErrorResponse.
 */
#pragma once

enum postgresql_step {
    POSTGRESQL_START = 0, /* length of the first message, which has no type */
    POSTGRESQL_CODE,      /* what it is */
    POSTGRESQL_TYPE,      /* of any other */
    POSTGRESQL_LENGTH,
    POSTGRESQL_STATEMENT, /* its name, before the query of Parse */
    POSTGRESQL_WORD,      /* up to the end of the first one of a query */
};

enum { POSTGRESQL_FAILED = 1, POSTGRESQL_NAMED = 2 };

#define POSTGRESQL_VERSION    0x00030000U /* and minor ones */
#define POSTGRESQL_SSL        80877103U
#define POSTGRESQL_GSS        80877104U
#define POSTGRESQL_LENGTH_MAX (1U << 30)

static __always_inline __u32 postgresql_word(const __u8 *b)
{
    return (__u32)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
}

static __always_inline bool postgresql_begins(const __u8 *b, __u32 n)
{
    __u32 length = postgresql_word(b), code = postgresql_word(b + 4);

    if (n < 8)
        return false;
    return (length == 8 && (code == POSTGRESQL_SSL || code == POSTGRESQL_GSS)) ||
           (length > 8 && length < 10000 && (code & ~15U) == POSTGRESQL_VERSION);
}

/* A message of a client of which all is known. */
static __always_inline enum wire_event postgresql_sent(struct wire *w, struct fold *fold)
{
    w->step = POSTGRESQL_TYPE;
    switch (w->kind) {
    case 'Q':
        if (!w->length)
            wire_name_word(w, fold, W('Q', 'U', 'E', 'R', 'Y', 0, 0, 0));
        break;
    case 'F':
        wire_name_word(w, fold, W('F', 'U', 'N', 'C', 'T', 'I', 'O', 'N'));
        break;
    case 'S':
        if (!(w->flags & POSTGRESQL_NAMED) || !w->length)
            wire_name_word(w, fold, W('E', 'X', 'E', 'C', 'U', 'T', 'E', 0));
        break;
    case 'P':
        w->flags |= POSTGRESQL_NAMED;
        return wire_after(w, w->count, WIRE_MORE);
    default:
        return wire_after(w, w->count, WIRE_MORE);
    }
    w->flags = 0;
    return wire_after(w, w->count, WIRE_REQUEST);
}

static __always_inline enum wire_event postgresql_request(struct wire *w, struct fold *fold, __u8 c)
{
    switch (w->step) {
    case POSTGRESQL_START:
    case POSTGRESQL_CODE:
        w->number = w->number << 8 | c;
        w->token++;
        if (w->token == 4) { /* the length, itself included */
            w->count = w->number - 8;
            w->number = 0;
            w->step = POSTGRESQL_CODE;
            return WIRE_MORE;
        }
        if (w->token < 8)
            return WIRE_MORE;
        w->token = 0;
        w->step = POSTGRESQL_START;
        if (w->number == POSTGRESQL_SSL || w->number == POSTGRESQL_GSS) {
            w->number = 0;
            return WIRE_MORE; /* another first message follows, or TLS */
        }
        if ((w->number & ~15ULL) != POSTGRESQL_VERSION || w->count > 10000)
            return WIRE_OVER;
        wire_name_word(w, fold, W('S', 'T', 'A', 'R', 'T', 'U', 'P', 0));
        w->step = POSTGRESQL_TYPE;
        w->flags = 0;
        return wire_after(w, w->count, WIRE_REQUEST);
    case POSTGRESQL_TYPE:
        w->kind = c;
        w->number = 0;
        w->token = 0;
        w->step = POSTGRESQL_LENGTH;
        return WIRE_MORE;
    case POSTGRESQL_LENGTH:
        w->number = w->number << 8 | c;
        w->token++;
        if (w->token < 4)
            return WIRE_MORE;
        if (w->number < 4 || w->number > POSTGRESQL_LENGTH_MAX)
            return WIRE_OVER;
        w->count = w->number - 4;
        if (w->kind != 'Q' && w->kind != 'P')
            return postgresql_sent(w, fold);
        wire_name_begin(w, fold);
        if (!w->count)
            return postgresql_sent(w, fold);
        w->step = w->kind == 'P' ? POSTGRESQL_STATEMENT : POSTGRESQL_WORD;
        return WIRE_MORE;
    case POSTGRESQL_STATEMENT:
        w->count--;
        if (!w->count)
            return postgresql_sent(w, fold);
        if (!c)
            w->step = POSTGRESQL_WORD;
        return WIRE_MORE;
    case POSTGRESQL_WORD:
        w->count--;
        if (!wire_word(w, fold, c) && w->count)
            return WIRE_MORE;
        return postgresql_sent(w, fold);
    }
    return WIRE_OVER;
}

static __always_inline enum wire_event postgresql_response(struct wire *w, __u8 c)
{
    enum wire_event event = WIRE_MORE;

    if (w->step == POSTGRESQL_START) {
        /* the answer to a wish for encryption has no length */
        if (c == 'N')
            return WIRE_MORE;
        if (c == 'S')
            return WIRE_TLS;
        if (c == 'G')
            return WIRE_OVER;
        w->step = POSTGRESQL_TYPE;
    }
    if (w->step == POSTGRESQL_TYPE) {
        w->kind = c;
        w->number = 0;
        w->token = 0;
        w->step = POSTGRESQL_LENGTH;
        return WIRE_MORE;
    }
    w->number = w->number << 8 | c;
    w->token++;
    if (w->token < 4)
        return WIRE_MORE;
    if (w->number < 4 || w->number > POSTGRESQL_LENGTH_MAX)
        return WIRE_OVER;
    w->step = POSTGRESQL_TYPE;
    if (w->kind == 'E')
        w->flags |= POSTGRESQL_FAILED;
    if (w->kind == 'Z') {
        event = w->flags & POSTGRESQL_FAILED ? WIRE_ERROR : WIRE_ANSWER;
        w->flags = 0;
    }
    return wire_after(w, w->number - 4, event);
}
