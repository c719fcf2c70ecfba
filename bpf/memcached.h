/* SPDX-License-Identifier: GPL-2.0 */
/*
 * memcached's text protocol, with its meta commands (memcached's doc/protocol.txt). A request is a
 * line, whose first word is the command, and a block of data where it stores; an answer is a line,
 * or more of them up to END. Requests that say "noreply" are not answered, and not counted. The
 * binary protocol, which is deprecated, is left alone.
 */
#pragma once

enum memcached_step {
    MEMCACHED_START = 0,
    MEMCACHED_LINE,
};

enum {
    MEMCACHED_STORES = 1, /* a block follows, whose length is a token of the line */
    MEMCACHED_QUIET = 2,  /* "noreply" */
};

static __always_inline bool memcached_begins(const __u8 *b, __u32 n)
{
    __u64 w = load_word(b);
    __u32 four = w;

    if (n < 4)
        return false;
#define FOUR(a, b, c, d) ((__u32)W(a, b, c, d, 0, 0, 0, 0))
    return four == FOUR('g', 'e', 't', ' ') || four == FOUR('s', 'e', 't', ' ') ||
           four == FOUR('a', 'd', 'd', ' ') || four == FOUR('c', 'a', 's', ' ') ||
           four == FOUR('g', 'e', 't', 's') || four == FOUR('g', 'a', 't', ' ') ||
           four == FOUR('m', 'n', '\r', '\n') || (four & 0xffffff) == FOUR('m', 'g', ' ', 0) ||
           (four & 0xffffff) == FOUR('m', 's', ' ', 0) ||
           (four & 0xffffff) == FOUR('m', 'd', ' ', 0) ||
           (four & 0xffffff) == FOUR('m', 'a', ' ', 0) ||
           w == W('v', 'e', 'r', 's', 'i', 'o', 'n', '\r') ||
           (w & 0xffffffffffULL) == W('s', 't', 'a', 't', 's', 0, 0, 0) ||
           (w & 0xffffffffffULL) == W('i', 'n', 'c', 'r', ' ', 0, 0, 0) ||
           (w & 0xffffffffffULL) == W('d', 'e', 'c', 'r', ' ', 0, 0, 0) ||
           (w & 0xffffffffffffffULL) == W('d', 'e', 'l', 'e', 't', 'e', ' ', 0) ||
           w == W('r', 'e', 'p', 'l', 'a', 'c', 'e', ' ') ||
           w == W('f', 'l', 'u', 's', 'h', '_', 'a', 'l');
#undef FOUR
}

/* The token of a request's line that has the length of its block; 0: it has none. */
static __always_inline __u32 memcached_block(const struct fold *fold)
{
    __u64 name = load_word(fold->text);

    if (name == W('S', 'E', 'T', 0, 0, 0, 0, 0) || name == W('A', 'D', 'D', 0, 0, 0, 0, 0) ||
        name == W('C', 'A', 'S', 0, 0, 0, 0, 0) || name == W('A', 'P', 'P', 'E', 'N', 'D', 0, 0) ||
        name == W('P', 'R', 'E', 'P', 'E', 'N', 'D', 0) ||
        name == W('R', 'E', 'P', 'L', 'A', 'C', 'E', 0))
        return 4;
    return name == W('M', 'S', 0, 0, 0, 0, 0, 0) ? 2 : 0;
}

/* May a request say that it wants no answer? A key may be called so, too. */
static __always_inline bool memcached_may_be_quiet(const struct fold *fold)
{
    __u64 name = load_word(fold->text);

    return memcached_block(fold) == 4 || name == W('D', 'E', 'L', 'E', 'T', 'E', 0, 0) ||
           name == W('I', 'N', 'C', 'R', 0, 0, 0, 0) || name == W('D', 'E', 'C', 'R', 0, 0, 0, 0) ||
           name == W('T', 'O', 'U', 'C', 'H', 0, 0, 0) ||
           name == W('F', 'L', 'U', 'S', 'H', '_', 'A', 'L') ||
           name == W('V', 'E', 'R', 'B', 'O', 'S', 'I', 'T');
}

static __always_inline enum wire_event memcached_request(struct wire *w, struct fold *fold, __u8 c)
{
    __u64 block;
    bool quiet;

    if (w->step == MEMCACHED_START) {
        if (!wire_letter(c))
            return c == '\r' || c == '\n' ? WIRE_MORE : WIRE_OVER;
        wire_name_begin(w, fold);
        wire_name(w, fold, c);
        w->token = w->flags = 0;
        w->number = 0;
        w->count = 0; /* of bytes in the block */
        w->step = MEMCACHED_LINE;
        return WIRE_MORE;
    }
    if (c == ' ' || c == '\n' || c == '\r') {
        if (w->token && w->token == memcached_block(fold)) {
            w->flags |= MEMCACHED_STORES;
            if (w->number) /* which CR has ended, and LF does once more */
                w->count = w->number;
        }
        if (c == ' ' && w->token < 16)
            w->token++;
        w->number = 0;
    } else if (!w->token) {
        wire_name(w, fold, c);
    } else {
        if (!w->number && c == 'n' && w->token > 1 && memcached_may_be_quiet(fold))
            w->flags |= MEMCACHED_QUIET;
        if (w->number < 1 << 30)
            w->number = w->number * 10 + (c & 15);
    }
    if (c != '\n')
        return WIRE_MORE;
    w->step = MEMCACHED_START;
    block = w->flags & MEMCACHED_STORES ? (__u64)w->count + 2 : 0;
    quiet = w->flags & MEMCACHED_QUIET;
    if (load_word(fold->text) == W('Q', 'U', 'I', 'T', 0, 0, 0, 0))
        quiet = true;
    return wire_after(w, block, quiet ? WIRE_MORE : WIRE_REQUEST);
}

static __always_inline enum wire_event memcached_response(struct wire *w, __u8 c)
{
    __u64 word, block = 0;

    if (w->step == MEMCACHED_START) {
        w->step = MEMCACHED_LINE;
        w->token = w->length = 0;
        w->kind = 0; /* tells what the line is, from its first word */
        w->count = 0;
        w->number = 0;
        w->flags = 0;
    }
    if (c == ' ' || c == '\r' || c == '\n') {
        if (!w->token && !w->kind) {
            word = w->number;
            w->kind = word == W('V', 'A', 'L', 'U', 'E', 0, 0, 0)         ? 'V'
                      : word == W('V', 'A', 0, 0, 0, 0, 0, 0)             ? 'v'
                      : word == W('S', 'T', 'A', 'T', 0, 0, 0, 0)         ? 'S'
                      : word == W('I', 'T', 'E', 'M', 0, 0, 0, 0)         ? 'S'
                      : word == W('E', 'R', 'R', 'O', 'R', 0, 0, 0)       ? 'E'
                      : word == W('C', 'L', 'I', 'E', 'N', 'T', '_', 'E') ? 'E'
                      : word == W('S', 'E', 'R', 'V', 'E', 'R', '_', 'E') ? 'E'
                                                                          : 'o';
        } else if ((w->kind == 'V' && w->token == 3) || (w->kind == 'v' && w->token == 1)) {
            if (w->number)
                w->count = w->number;
        }
        if (c == ' ' && w->token < 16)
            w->token++;
        w->number = 0;
    } else if (!w->token) {
        if (w->length < 8)
            w->number |= (__u64)c << (8 * (w->length & 7));
        w->length++;
    } else if (w->number < 1 << 30) {
        w->number = w->number * 10 + (c & 15);
    }
    if (c != '\n')
        return WIRE_MORE;
    w->step = MEMCACHED_START;
    if (w->kind == 'V' || w->kind == 'v')
        block = (__u64)w->count + 2;
    if (w->kind == 'V' || w->kind == 'S')
        return wire_after(w, block, WIRE_MORE);
    return wire_after(w, block, w->kind == 'E' ? WIRE_ERROR : WIRE_ANSWER);
}
