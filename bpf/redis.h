/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Redis: RESP2 and RESP3 (redis.io, "Redis serialization protocol specification"), and what forks
 * of it and other servers have in common with it. A request is an array of strings, of which the
 * first is the command; inline commands are taken, too. A response is one value. What is pushed
 * (type '>') answers nothing. A connection that becomes a subscriber's or a replica's is over.
 */
#pragma once

enum redis_step {
    REDIS_START = 0,
    REDIS_COUNT,  /* request: how many strings; response: of an aggregate */
    REDIS_STRING, /* request: '$' before a string */
    REDIS_LENGTH, /* of a string */
    REDIS_NAME,   /* the first string */
    REDIS_INLINE, /* a command that is a line */
    REDIS_LINE,   /* to the end of the line */
};

enum { REDIS_NAMED = 1, REDIS_NEGATIVE = 2, REDIS_TWICE = 4, REDIS_ATTRIBUTE = 8 };

#define REDIS_LENGTH_MAX (1ULL << 32)

static __always_inline bool redis_begins(const __u8 *b, __u32 n)
{
    /* what health checks send */
    if (n >= 6 && (load_word(b) & 0xffffffffffffULL) == W('P', 'I', 'N', 'G', '\r', '\n', 0, 0))
        return true;
    /* "*1\r\n$4\r\n": one or two digits, as the longest command that begins a connection is short
     */
    if (n < 8 || b[0] != '*' || wire_digit(b[1]) < 0)
        return false;
    return (b[2] == '\r' && b[3] == '\n' && b[4] == '$') ||
           (wire_digit(b[2]) >= 0 && b[3] == '\r' && b[4] == '\n' && b[5] == '$');
}

/* Commands after which messages of the server are no answers any more. */
static __always_inline bool redis_is_over(const struct fold *fold)
{
    __u64 name = load_word(fold->text);

    return name == W('S', 'U', 'B', 'S', 'C', 'R', 'I', 'B') ||
           name == W('P', 'S', 'U', 'B', 'S', 'C', 'R', 'I') ||
           name == W('S', 'S', 'U', 'B', 'S', 'C', 'R', 'I') ||
           name == W('M', 'O', 'N', 'I', 'T', 'O', 'R', 0) ||
           name == W('P', 'S', 'Y', 'N', 'C', 0, 0, 0) || name == W('S', 'Y', 'N', 'C', 0, 0, 0, 0);
}

static __always_inline enum wire_event redis_named(struct wire *w, const struct fold *fold)
{
    return redis_is_over(fold) ? WIRE_OVER : WIRE_REQUEST;
}

static __always_inline enum wire_event redis_request(struct wire *w, struct fold *fold, __u8 c)
{
    int digit = wire_digit(c);

    switch (w->step) {
    case REDIS_START:
        if (c == '\r' || c == '\n')
            return WIRE_MORE;
        w->number = 0;
        w->flags = 0;
        wire_name_begin(w, fold);
        w->step = REDIS_COUNT;
        if (c == '*')
            return WIRE_MORE;
        w->step = REDIS_INLINE;
        if (!wire_letter(c))
            return WIRE_OVER;
        wire_name(w, fold, c);
        return WIRE_MORE;
    case REDIS_COUNT:
        if (digit >= 0 && w->number < 1 << 20) {
            w->number = w->number * 10 + digit;
            return WIRE_MORE;
        }
        if (c == '\r')
            return WIRE_MORE;
        if (c != '\n')
            return WIRE_OVER;
        w->count = w->number;
        w->step = w->count ? REDIS_STRING : REDIS_START;
        return WIRE_MORE;
    case REDIS_STRING:
        w->number = 0;
        w->step = REDIS_LENGTH;
        return c == '$' ? WIRE_MORE : WIRE_OVER;
    case REDIS_LENGTH:
        if (digit >= 0 && w->number < REDIS_LENGTH_MAX) {
            w->number = w->number * 10 + digit;
            return WIRE_MORE;
        }
        if (c == '\r')
            return WIRE_MORE;
        if (c != '\n')
            return WIRE_OVER;
        if (!(w->flags & REDIS_NAMED) && w->number) {
            w->step = REDIS_NAME;
            return WIRE_MORE;
        }
        break; /* a string to pass over */
    case REDIS_NAME:
        wire_name(w, fold, c);
        w->number--;
        if (w->number)
            return WIRE_MORE;
        break;
    case REDIS_INLINE:
        if (c == ' ')
            w->flags = REDIS_NAMED;
        else if (c == '\n') {
            w->step = REDIS_START;
            return redis_named(w, fold);
        } else if (c != '\r' && !(w->flags & REDIS_NAMED))
            wire_name(w, fold, c);
        return WIRE_MORE;
    default:
        return WIRE_OVER;
    }
    /* a string, or what is left of it, and the end of its line */
    w->flags = REDIS_NAMED;
    w->count--;
    w->step = w->count ? REDIS_STRING : REDIS_START;
    return wire_after(w, w->number + 2, w->count ? WIRE_MORE : redis_named(w, fold));
}

/* A value, or the head of an aggregate, was complete. */
static __always_inline enum wire_event redis_value(struct wire *w, __u64 pass)
{
    enum wire_event event = WIRE_MORE;

    w->step = REDIS_START;
    w->count--;
    if (!w->count && w->kind != '>')
        event = w->kind == '-' || w->kind == '!' ? WIRE_ERROR : WIRE_ANSWER;
    return wire_after(w, pass, event);
}

static __always_inline enum wire_event redis_response(struct wire *w, __u8 c)
{
    int digit = wire_digit(c);

    switch (w->step) {
    case REDIS_START:
        if (!w->count) {
            w->count = 1;
            w->kind = c == '|' ? 0 : c; /* of the value that attributes come before */
        } else if (!w->kind && w->count == 1) {
            w->kind = c;
        }
        w->number = 0;
        w->flags = 0;
        switch (c) {
        case '+':
        case '-':
        case ':':
        case '_':
        case '#':
        case ',':
        case '(':
            w->step = REDIS_LINE;
            return WIRE_MORE;
        case '$':
        case '!':
        case '=':
            w->step = REDIS_LENGTH;
            return WIRE_MORE;
        case '|':
            w->flags = REDIS_TWICE | REDIS_ATTRIBUTE;
            w->step = REDIS_COUNT;
            return WIRE_MORE;
        case '%':
            w->flags = REDIS_TWICE;
            w->step = REDIS_COUNT;
            return WIRE_MORE;
        case '*':
        case '~':
        case '>':
            w->step = REDIS_COUNT;
            return WIRE_MORE;
        }
        return WIRE_OVER;
    case REDIS_LINE:
        if (c == '\n' && w->flags)
            return redis_value(w, 0);
        w->flags = c == '\r';
        return WIRE_MORE;
    case REDIS_LENGTH:
    case REDIS_COUNT:
        if (digit >= 0 && w->number < REDIS_LENGTH_MAX) {
            w->number = w->number * 10 + digit;
            return WIRE_MORE;
        }
        if (c == '-')
            w->flags |= REDIS_NEGATIVE; /* there is none */
        if (c == '\r' || c == '-')
            return WIRE_MORE;
        if (c != '\n')
            return WIRE_OVER;
        if (w->flags & REDIS_NEGATIVE)
            return redis_value(w, 0);
        if (w->step == REDIS_LENGTH)
            return redis_value(w, w->number + 2);
        if (w->number > 1 << 24)
            return WIRE_OVER;
        w->count += w->flags & REDIS_TWICE ? 2 * w->number : w->number;
        w->step = REDIS_START;
        return w->flags & REDIS_ATTRIBUTE ? WIRE_MORE : redis_value(w, 0);
    }
    return WIRE_OVER;
}
