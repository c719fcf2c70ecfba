/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Route folding: the path of a request target with its variable segments replaced by {id}, cut at
 * the query. Fed byte by byte, so that a path may be split over packets and may be of any length;
 * only the first PMO_ROUTE_BYTES - 1 bytes of the result are kept.
 *
 * A segment is variable when it is all digits, or a UUID, or eight or more hex digits with at least
 * one decimal among them, or 24 bytes or more with a decimal digit (tokens, hashes in base 64).
 */
#pragma once

#include <pmo/abi.h>
#include "bpf/portable.h"

#define FOLD_TEXT_MAX (PMO_ROUTE_BYTES - 1U)

enum { FOLD_DIGIT = 1, FOLD_HEX = 2, FOLD_DASH = 4, FOLD_OTHER = 8 };

struct fold {
    __u8 length;  /* of text */
    __u8 segment; /* where the current segment starts in text */
    __u8 raw;     /* length of the current segment before folding, at most 255 */
    __u8 classes; /* kinds of bytes seen in it */
    __u8 skip;    /* slashes to pass before the path begins (absolute-form, RFC 9112 3.2.2) */
    __u8 begun;
    __u8 pad[2];
    char text[PMO_ROUTE_BYTES + 8]; /* with room for the last {id} and its NUL */
};

static __always_inline void fold_begin(struct fold *f)
{
    f->length = 0;
    f->segment = 0;
    f->raw = 0;
    f->classes = 0;
    f->skip = 0;
    f->begun = 0;
}

static __always_inline void fold_put(struct fold *f, char c)
{
    __u32 at = f->length;

    if (at >= FOLD_TEXT_MAX)
        return;
    pmo_opaque(at);
    f->text[at & 127] = c;
    f->length = at + 1;
}

static __always_inline void fold_segment_end(struct fold *f)
{
    __u8 c = f->classes, n = f->raw;
    bool variable = (c == FOLD_DIGIT) || (c == (FOLD_DIGIT | FOLD_HEX) && n >= 8) ||
                    (!(c & FOLD_OTHER) && (c & FOLD_DASH) && n == 36) ||
                    ((c & FOLD_DIGIT) && n >= 24);

    if (variable && f->segment + 4U <= FOLD_TEXT_MAX) {
        __u32 at = f->segment;

        pmo_opaque(at);
        at &= 127;
        f->text[at] = '{';
        f->text[at + 1] = 'i';
        f->text[at + 2] = 'd';
        f->text[at + 3] = '}';
        f->length = at + 4;
    }
    f->raw = 0;
    f->classes = 0;
}

static __always_inline void fold_byte(struct fold *f, __u8 c)
{
    __u8 lower = c | 0x20;

    if (!f->begun) {
        f->begun = 1;
        f->skip = c == '/' || c == '*' ? 0 : 3;
    }
    if (f->skip) {
        if (c != '/' || --f->skip)
            return;
    }
    if (c == '/') {
        fold_segment_end(f);
        fold_put(f, '/');
        f->segment = f->length;
        return;
    }
    f->classes |= c >= '0' && c <= '9'           ? FOLD_DIGIT
                  : lower >= 'a' && lower <= 'f' ? FOLD_HEX
                  : c == '-'                     ? FOLD_DASH
                                                 : FOLD_OTHER;
    if (f->raw < 255)
        f->raw++;
    fold_put(f, c > 0x20 && c < 0x7f ? c : '?');
}

/* Ends the text with NUL and returns its hash. */
static __always_inline __u64 fold_end(struct fold *f)
{
    __u64 hash = 0x8f1bbcdcbfa53e0bULL;
    __u32 length;

    fold_segment_end(f);
    if (!f->length)
        fold_put(f, '/');
    length = f->length;
    pmo_opaque(length);
    f->text[length & 127] = 0;
    for (__u32 i = 0; i < PMO_ROUTE_BYTES / 8; i++) {
        __u64 w = load_word(&f->text[i * 8]);

        if (i * 8 >= length)
            break;
        if (length - i * 8 < 8)
            w &= (1ULL << ((length - i * 8) * 8)) - 1;
        hash = hash_mix(hash, w);
    }
    return hash_mix(hash, length);
}
