/* SPDX-License-Identifier: GPL-2.0 */
/* The bytes that parsers look at in one go. */
#pragma once

#include "bpf/portable.h"

#define HTTP1_CHUNK 512U /* bytes that are looked at in one go; a power of two */

struct http1_chunk {
    __u32 pos, len;
    __u8 buf[HTTP1_CHUNK + 8]; /* of which `len` bytes are filled */
};

/* Eight bytes of a chunk; those past its end mean nothing. */
static __always_inline __u64 http1_load(const __u8 buf[HTTP1_CHUNK + 8], __u32 pos)
{
    pmo_opaque(pos);
    pos &= HTTP1_CHUNK - 1;
    return load_word(buf + pos);
}

/* A word as its bytes lie in memory. */
#define W(a, b, c, d, e, f, g, h)                                                                  \
    ((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |       \
     (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
