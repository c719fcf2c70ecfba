/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers that a policy names (a tenant, a feature flag): which of them a request carries, and with
 * what value. Names and values are digested byte by byte, so that they may be split anywhere and
 * nothing is kept of them as text. The digest takes a key that is drawn at random for this host:
 * without it, no list of guesses tells what a value was.
 *
 * Of a header that comes more than once, the first one counts. A value begins and ends without
 * blanks; any blanks within, the end of a line that goes on included, are one.
 */
#pragma once

#include <pmo/abi.h>
#include "bpf/portable.h"

/* What the includer may provide: whether headers are looked for at all, the key of their digests,
 * which of them are looked for in a request of @fold (PMO_HEADERS_WANTED()), and the number of the
 * one whose name has the digest @name, or is that of entry @index of HPACK's static table (0:
 * none): from 1 on, 0 for none. */
#ifndef HEADERS_NAMED
#define HEADERS_NAMED                     false
#define HEADERS_KEY                       ((const __u64[2]){})
#define headers_sought(fold)              0
#define headers_number(fold, name, index) 0
#endif

#define HEADERS_NAME 0xffU /* a name is being read that may be one of those */

enum headers_blank { HEADERS_EMPTY = 0, HEADERS_WORD, HEADERS_BLANK };

/* Of the request whose head is being read. */
struct headers {
    __u64 digest;  /* of the name or value so far */
    __u32 letters; /* that those which are looked for begin with, see header_letter(); 0: none */
    __u8 reading;  /* number of the header whose value this is, from 1 on; HEADERS_NAME; 0: none */
    __u8 blank;    /* enum headers_blank: of the value so far */
    __u8 found;    /* those that the head has, a bit each */
    __u8 pad;
    __u64 values[PMO_HEADERS_MAX]; /* their digests */
};

static __always_inline __u32 header_letter(__u8 c)
{
    return 1U << (c & 31);
}

static __always_inline __u8 header_lower(__u8 c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static __always_inline __u64 header_digest_byte(__u64 digest, __u8 c, __u64 key)
{
    return hash_mix(digest, c ^ key);
}

/* Never 0, which stands for no name. */
static __always_inline __u64 header_digest_end(__u64 digest, __u64 key)
{
    return hash_mix(hash_mix(digest, ~key), key) | 1;
}

/* A header line begins with @c, and the one before is over. Returns whether its name may be one of
 * those. */
static __always_inline bool headers_line(struct headers *h, __u8 c, const volatile __u64 key[2])
{
    __u32 at = h->reading - 1U;

    if (h->reading && h->reading <= PMO_HEADERS_MAX && !(h->found >> at & 1)) {
        pmo_opaque(at);
        h->values[at & (PMO_HEADERS_MAX - 1)] = header_digest_end(h->digest, key[1]);
        h->found |= 1U << (at & (PMO_HEADERS_MAX - 1));
    }
    h->reading = 0;
    if (!(h->letters & header_letter(c)) || c <= ' ' || c == ':')
        return false;
    h->reading = HEADERS_NAME;
    h->digest = header_digest_byte(key[0], header_lower(c), key[1]);
    return true;
}

static __always_inline void headers_value(struct headers *h, __u8 c, const volatile __u64 key[2])
{
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        if (h->blank)
            h->blank = HEADERS_BLANK;
        return;
    }
    if (h->blank == HEADERS_BLANK)
        h->digest = header_digest_byte(h->digest, ' ', key[1]);
    h->blank = HEADERS_WORD;
    h->digest = header_digest_byte(h->digest, c, key[1]);
}

#ifndef __bpf__
/* The digest of a name in lower case, or of a value without blanks around it. */
static inline __u64 header_digest(const char *text, const volatile __u64 key[2])
{
    __u64 digest = key[0];

    for (; *text; text++)
        digest = header_digest_byte(digest, *text, key[1]);
    return header_digest_end(digest, key[1]);
}
#endif
