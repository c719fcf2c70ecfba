/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/http2_world.h"

#include <stdlib.h>

struct bytes stream, block;

void put_bytes(struct bytes *b, const void *from, size_t length)
{
    if (length > sizeof(b->at) - b->length)
        abort();
    memcpy(b->at + b->length, from, length);
    b->length += length;
}

void put_byte(struct bytes *b, unsigned int byte)
{
    __u8 c = (__u8)byte;

    put_bytes(b, &c, 1);
}

void put_frame(struct bytes *b, unsigned int type, unsigned int flags, __u32 stream,
               const void *payload, size_t length)
{
    const __u8 header[9] = {(__u8)(length >> 16), (__u8)(length >> 8), (__u8)length,
                            (__u8)type,           (__u8)flags,         (__u8)(stream >> 24),
                            (__u8)(stream >> 16), (__u8)(stream >> 8), (__u8)stream};

    put_bytes(b, header, sizeof(header));
    put_bytes(b, payload, length);
}

void put_preface(struct bytes *b, bool request)
{
    b->length = 0;
    if (request)
        put_bytes(b, PREFACE, strlen(PREFACE));
    put_bytes(b, EMPTY_SETTINGS, 9);
}

static size_t from_hex(const char *hex, __u8 *to)
{
    size_t n = 0;
    unsigned int byte;
    int used;

    while (sscanf(hex, " %2x%n", &byte, &used) == 1) {
        to[n++] = (__u8)byte;
        hex += used;
    }
    return n;
}

void put_block(struct bytes *b, unsigned int flags, __u32 stream, const char *hex)
{
    __u8 block[4096];
    size_t n = from_hex(hex, block);

    put_frame(b, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | flags, stream, block, n);
}

/* Huffman's code, as nghttp2 decodes it: it is canonical, so how many codes there are of each
 * length says all. */
static struct huffman_code huffman[256];

static void bits_put(__u8 *to, size_t *at, __u32 code, __u32 bits)
{
    while (bits--) {
        to[*at / 8] &= (__u8) ~(0x80 >> *at % 8);
        to[*at / 8] |= (__u8)((code >> bits & 1) << (7 - *at % 8));
        (*at)++;
    }
}

/* First value of a header block that nghttp2 finds in order. */
static ssize_t inflate_one(const __u8 *block, size_t length, __u8 *value)
{
    nghttp2_hd_inflater *inflater;
    nghttp2_nv nv;
    int flags = 0;
    ssize_t n = -1;

    if (nghttp2_hd_inflate_new(&inflater))
        abort();
    if (nghttp2_hd_inflate_hd2(inflater, &nv, &flags, block, length, 1) >= 0 &&
        flags & NGHTTP2_HD_INFLATE_EMIT) {
        n = (ssize_t)nv.valuelen;
        memcpy(value, nv.value, nv.valuelen);
    }
    nghttp2_hd_inflate_del(inflater);
    return n;
}

static void huffman_learn(void)
{
    static const struct {
        __u32 bits, count;
    } lengths[] = {{5, 10},  {6, 26},  {7, 32}, {8, 6},   {10, 5},  {11, 3},  {12, 2},
                   {13, 6},  {14, 2},  {15, 3}, {19, 3},  {20, 8},  {21, 13}, {22, 26},
                   {23, 29}, {24, 12}, {25, 4}, {26, 15}, {27, 19}, {28, 29}, {30, 3}};
    __u32 code = 0, bits = 0;

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        code <<= lengths[i].bits - bits;
        bits = lengths[i].bits;
        for (__u32 k = 0; k < lengths[i].count; k++, code++) {
            __u8 block[16] = {0x00, 1, 'a'}, value[16];
            size_t at = 4 * 8, n = (bits + 7) / 8;

            block[3] = (__u8)(0x80 | n);
            memset(block + 4, 0xff, n);
            bits_put(block, &at, code, bits);
            if (inflate_one(block, 4 + n, value) != 1)
                abort();
            huffman[value[0]].code = code;
            huffman[value[0]].bits = bits;
        }
    }
}

const struct huffman_code *huffman_code(__u8 byte)
{
    if (!huffman['a'].bits)
        huffman_learn();
    return &huffman[byte];
}

static size_t huffman_encode(const void *text, size_t length, __u8 *to)
{
    size_t at = 0;

    memset(to, 0xff, length * 4);
    for (size_t i = 0; i < length; i++) {
        const struct huffman_code *c = huffman_code(((const __u8 *)text)[i]);

        bits_put(to, &at, c->code, c->bits);
    }
    return (at + 7) / 8;
}

void put_integer(struct bytes *b, __u8 first, __u8 mask, __u64 value)
{
    if (value < mask) {
        put_byte(b, first | (__u8)value);
        return;
    }
    put_byte(b, first | mask);
    for (value -= mask; value >= 0x80; value >>= 7)
        put_byte(b, 0x80 | (value & 0x7f));
    put_byte(b, (__u8)value);
}

void put_string(struct bytes *b, const void *text, size_t length, bool coded)
{
    static __u8 code[1 << 16];
    size_t n = length;

    if (coded) {
        n = huffman_encode(text, length, code);
        text = code;
    }
    put_integer(b, coded ? 0x80 : 0, 0x7f, n);
    put_bytes(b, text, n);
}

void put_literal(struct bytes *b, __u8 how, const char *name, bool name_coded, const char *value,
                 bool value_coded)
{
    put_byte(b, how);
    put_string(b, name, strlen(name), name_coded);
    put_string(b, value, strlen(value), value_coded);
}

void put_headers(struct bytes *b, __u32 stream_id)
{
    put_frame(b, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS, stream_id, block.at, block.length);
    block.length = 0;
}
