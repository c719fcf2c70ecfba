/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests of bpf/http2.h and bpf/hpack.h share: connections written byte by byte, and what the
 * parser sees in them (http2_reference.h says how that is written down).
 */
#pragma once

#include "tests/unit/http2_reference.h"
#include "tests/unit/suite.h"

#define PREFACE        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define EMPTY_SETTINGS "\0\0\0\4\0\0\0\0\0"

/* ---- making streams ------------------------------------------------------------------------- */

struct bytes {
    size_t length;
    __u8 at[1 << 18];
};

/* What is sent, and the header block that is being written. */
extern struct bytes stream, block;

/* All of these append to @b. */
void put_bytes(struct bytes *b, const void *from, size_t length);
void put_byte(struct bytes *b, unsigned int byte);
void put_frame(struct bytes *b, unsigned int type, unsigned int flags, __u32 stream,
               const void *payload, size_t length);
/* A header block given in hex, as one HEADERS frame. */
void put_block(struct bytes *b, unsigned int flags, __u32 stream, const char *hex);
/* `block` as one HEADERS frame; it is empty then. */
void put_headers(struct bytes *b, __u32 stream_id);

/* What a direction begins with, and nothing before it. */
void put_preface(struct bytes *b, bool request);

/* Parts of a header block (RFC 7541 section 5). */
void put_integer(struct bytes *b, __u8 first, __u8 mask, __u64 value);
void put_string(struct bytes *b, const void *text, size_t length, bool coded);
/* A literal field: 0x40 inserts it, 0x00 and 0x10 do not. */
void put_literal(struct bytes *b, __u8 how, const char *name, bool name_coded, const char *value,
                 bool value_coded);

struct huffman_code {
    __u32 code;
    __u32 bits;
};

/* Huffman's code of a byte. */
const struct huffman_code *huffman_code(__u8 byte);

/* ---- checking ------------------------------------------------------------------------------- */

/* What was seen last, by this file's tests. */
static struct seen seen;

static inline void see_begin(bool request)
{
    memset(&seen, 0, sizeof(seen));
    memset(route_cache, 0, sizeof(route_cache));
    seen.request = request;
}

static inline bool see_is(const char *expected, const char *how, size_t at)
{
    if (!seen.stuck && !strcmp(seen.text, expected))
        return true;
    printf("\n  %s %zu: got \"%s\"%s, expected \"%s\"\n", how, at, seen.text,
           seen.stuck ? " (stuck)" : "", expected);
    CU_FAIL("not what was sent");
    return false;
}

/* Feeds a stream whole, byte by byte, and split at every place; all must give the same. */
static inline void expect(bool request, const struct bytes *b, const char *expected)
{
    for (size_t split = 0; split <= b->length; split++) {
        see_begin(request);
        feed(&seen, b->at, split);
        feed(&seen, b->at + split, b->length - split);
        if (!see_is(expected, "split at", split))
            return;
    }
    for (size_t size = 1; size < 20; size++) {
        see_begin(request);
        for (size_t i = 0; i < b->length; i += size)
            feed(&seen, b->at + i, b->length - i < size ? b->length - i : size);
        if (!see_is(expected, "in pieces of", size))
            return;
    }
    CU_PASS("");
}
