/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Route folding: the path of a request target with its variable segments replaced by {id}, cut at
 * the query. Fed byte by byte, so that a path may be split over packets and may be of any length;
 * only the first PMO_ROUTE_BYTES - 1 bytes of the result are kept.
 *
 * A segment is variable when it is all digits, or a UUID, or eight or more hex digits with at least
 * one decimal among them, or 24 bytes or more with a decimal digit (tokens, hashes in base 64).
 * Beyond that, an includer may have rules of its own: see FOLD_RULE.
 */
#pragma once

#include <pmo/abi.h>
#include "bpf/headers.h"
#include "bpf/portable.h"

#define FOLD_TEXT_MAX (PMO_ROUTE_BYTES - 1U)

enum { FOLD_DIGIT = 1, FOLD_HEX = 2, FOLD_DASH = 4, FOLD_OTHER = 8 };

/* What becomes of a segment that ends. */
enum fold_verdict {
    FOLD_KEEP = 0, /* it stays as it is */
    FOLD_ID,       /* {id} takes its place */
    FOLD_DONE,     /* something did already */
};

/* What the includer may provide: enum fold_verdict for the segment that ends here, which is not
 * empty, and is @variable by its bytes. */
#ifndef FOLD_RULE
#define FOLD_RULE(fold, variable) ((variable) ? FOLD_ID : FOLD_KEEP)
#endif

struct fold {
    __u8 length;  /* of text */
    __u8 segment; /* where the current segment starts in text */
    __u8 raw;     /* length of the current segment before folding, at most 255 */
    __u8 classes; /* kinds of bytes seen in it */
    __u8 skip;    /* slashes to pass before the path begins (absolute-form, RFC 9112 3.2.2) */
    __u8 begun;
    __u8 rest;  /* the text is complete, whatever comes */
    __u8 depth; /* segments before the current one, at most 255 */
    /* for the includer's rules */
    __u32 instance, generation; /* whose request it is; fold_begin() leaves them alone */
    __u64 hash;                 /* of the current segment */
    __u64 scope, root;          /* of the service */
    __u64 above, node;          /* of the path before the current segment, and with it */
    char text[PMO_ROUTE_BYTES + 8 + PMO_FOLD_NAME_BYTES]; /* with room for a last name */
    struct headers headers;                               /* of the same request: for http1.h */
};

/* ---- paths as nodes of a tree: a node's number is the hash of its path, folded ------------- */

#define FOLD_HASH_SEED 0xcbf29ce484222325ULL /* FNV-1a */
#define FOLD_VARIABLE  0x7b69647d00000001ULL /* child that stands for all that are folded */
#define FOLD_KEPT      0x6b65707400000001ULL /* as a child: where the rule is that a node is kept */
#define FOLD_OUTBOUND  0x80000000U           /* in `instance` and `generation`: what it calls */
#define FOLD_HEADERS   0x40000000U           /* in `instance`: values of its requests' headers */

static __always_inline __u64 fold_hash_byte(__u64 hash, __u8 c)
{
    return (hash ^ c) * 0x100000001b3ULL;
}

static __always_inline __u64 fold_root(__u64 scope)
{
    return hash_mix(FOLD_HASH_SEED, scope);
}

/* What a service calls has a scope of its own, and so have the values of headers. */
static __always_inline __u64 fold_scope_outbound(__u64 scope)
{
    return hash_mix(scope, FOLD_OUTBOUND);
}

static __always_inline __u64 fold_scope_headers(__u64 scope)
{
    return hash_mix(scope, FOLD_HEADERS);
}

static __always_inline __u64 fold_child(__u64 node, __u64 segment)
{
    return hash_mix(node, segment);
}

/* Notes a node in a sketch of how many there are (HyperLogLog; Flajolet et al., 2007). */
static __always_inline void fold_sketch(__u8 sketch[PMO_FOLD_SKETCH], __u64 hash)
{
    __u32 at = hash & (PMO_FOLD_SKETCH - 1), bits = hash >> 8 | 1U << 24;
    __u8 rank = 1;

    for (int i = 0; i < 24; i++) {
        if (bits & 1)
            break;
        bits >>= 1;
        rank++;
    }
    if (sketch[at] < rank)
        sketch[at] = rank;
}

#ifndef __bpf__
/* What is folded stands as {name} in a route. */
static inline bool fold_is_name(const char *segment, size_t length)
{
    return length > 2 && segment[0] == '{' && segment[length - 1] == '}';
}

/* A segment of a route as the child of a node. */
static inline __u64 fold_child_text(__u64 node, const char *segment, size_t length)
{
    __u64 hash = FOLD_HASH_SEED;

    if (fold_is_name(segment, length))
        return fold_child(node, FOLD_VARIABLE);
    for (size_t i = 0; i < length; i++)
        hash = fold_hash_byte(hash, segment[i]);
    return fold_child(node, hash);
}

/* The node of a path. */
static inline __u64 fold_path(__u64 scope, const char *path)
{
    __u64 node = fold_root(scope);

    while (*path) {
        const char *end = path;

        while (*end && *end != '/')
            end++;
        if (end != path)
            node = fold_child_text(node, path, (size_t)(end - path));
        path = *end ? end + 1 : end;
    }
    return node;
}

/* The key of a rule in the map of rules. */
static inline __u64 fold_rule_key(const struct pmo_fold_rule *rule)
{
    __u64 node = fold_path(rule->scope, rule->text);
    bool kept = rule->kind == PMO_FOLD_LEARNED_KEPT || rule->kind == PMO_FOLD_PINNED_KEPT;

    return kept ? fold_child(node, FOLD_KEPT) : node;
}
#endif

/* ---- folding ------------------------------------------------------------------------------- */

static __always_inline void fold_begin(struct fold *f)
{
    f->length = 0;
    f->segment = 0;
    f->raw = 0;
    f->classes = 0;
    f->skip = 0;
    f->begun = 0;
    f->rest = 0;
    f->depth = 0;
    f->hash = FOLD_HASH_SEED;
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

/* Puts {id} in the place of the current segment. */
static __always_inline void fold_id(struct fold *f)
{
    __u32 at = f->segment;

    if (at + 4U > FOLD_TEXT_MAX)
        return;
    pmo_opaque(at);
    at &= 127;
    f->text[at] = '{';
    f->text[at + 1] = 'i';
    f->text[at + 2] = 'd';
    f->text[at + 3] = '}';
    f->length = at + 4;
}

static __always_inline void fold_segment_end(struct fold *f)
{
    __u8 c = f->classes, n = f->raw;
    bool variable = (c == FOLD_DIGIT) || (c == (FOLD_DIGIT | FOLD_HEX) && n >= 8) ||
                    (!(c & FOLD_OTHER) && (c & FOLD_DASH) && n == 36) ||
                    ((c & FOLD_DIGIT) && n >= 24);

    if (!n)
        return;
    if (FOLD_RULE(f, variable) == FOLD_ID)
        fold_id(f);
    if (f->depth < 255)
        f->depth++;
    f->raw = 0;
    f->classes = 0;
    f->hash = FOLD_HASH_SEED;
}

static __always_inline void fold_byte(struct fold *f, __u8 c)
{
    __u8 lower = c | 0x20;

    if (!f->begun) {
        f->begun = 1;
        f->skip = c == '/' || c == '*' ? 0 : 3;
    }
    if (f->rest)
        return;
    if (f->skip) {
        if (c != '/' || --f->skip)
            return;
    }
    if (c == '/') {
        fold_segment_end(f);
        if (!f->rest)
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
    if (c <= 0x20 || c >= 0x7f)
        c = '?';
    if (f->length < FOLD_TEXT_MAX)
        f->hash = fold_hash_byte(f->hash, c);
    fold_put(f, c);
}

/* Ends the text, whose last segment has ended, with NUL and returns its hash. */
static __always_inline __u64 fold_hash(struct fold *f)
{
    __u64 hash = 0x8f1bbcdcbfa53e0bULL;
    __u32 length;

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

static __always_inline __u64 fold_end(struct fold *f)
{
    fold_segment_end(f);
    return fold_hash(f);
}
