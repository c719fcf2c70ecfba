/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of HPACK (RFC 7541, appendices A and B), as far as bpf/hpack.h needs them.
 *
 * None has a size of 16 or 32 bytes: clang puts such constants into sections of their own, for
 * which it makes BTF that the kernel refuses.
 */
#pragma once

#include <pmo/abi.h>
#include "bpf/portable.h"

enum hpack_kind {
    HPACK_OTHER = 0,
    HPACK_METHOD,       /* enum pmo_method */
    HPACK_PATH,         /* row from hpack_route() */
    HPACK_STATUS,       /* 0 where it is no number of three digits */
    HPACK_CONTENT_TYPE, /* whether it is application/grpc */
    HPACK_GRPC_STATUS,
    HPACK_UNKNOWN, /* may be any of these */
    HPACK_NAMED,   /* by a policy: its number (from 1 on), and the row of its value's text */
    HPACK_KINDS
};

/* The value of such an entry. Row 0: the value is not known, or there is no room for it. */
#define HPACK_ROW_BITS 12
#define HPACK_ROW      ((1U << HPACK_ROW_BITS) - 1)

struct hpack_entry {
    __u32 value : 16;
    __u32 name_length : 13;
    __u32 kind : 3;
};

/* Appendix A. An entry: kind, length of the name, value; N() has a name only. */
#define E(entry_kind, name_len, entry_value)                                                       \
    {                                                                                              \
        .value = (entry_value), .name_length = (name_len), .kind = (entry_kind)                    \
    }
#define N(name_len) E(HPACK_OTHER, name_len, 0)
#define S(status)   E(HPACK_STATUS, 7, status)

static const struct hpack_entry hpack_static[64] = {
    /* there is no index 0 */
    N(0), N(10), E(HPACK_METHOD, 7, PMO_METHOD_GET), E(HPACK_METHOD, 7, PMO_METHOD_POST),
    /* 4: "/" and "/index.html", see hpack_static_path() */
    E(HPACK_PATH, 5, 0), E(HPACK_PATH, 5, 0), N(7), N(7),
    /* 8 */
    S(200), S(204), S(206), S(304), S(400), S(404), S(500),
    /* 15 */
    N(14), N(15), N(15), N(13), N(6), N(27), N(3), N(5),
    /* 23 */
    N(13), N(13), N(19), N(16), N(16), N(14), N(16), N(13),
    /* 31 */
    E(HPACK_CONTENT_TYPE, 12, 0), N(6), N(4), N(4), N(6), N(7), N(4), N(4), N(8), N(17), N(13),
    /* 42 */
    N(8), N(19), N(13), N(4), N(8), N(12), N(18), N(19), N(5), N(7),
    /* 52 */
    N(7), N(11), N(6), N(10), N(25), N(17), N(10), N(4), N(3), N(16)};
#undef E
#undef N
#undef S

/* Names that matter, as they stand and Huffman-coded (one text has one code), by kind. */
struct hpack_name {
    char text[15];
    __u8 length;
};

static const struct hpack_name hpack_names[2][HPACK_UNKNOWN] = {
    {
        [HPACK_METHOD] = {":method", 7},
        [HPACK_PATH] = {":path", 5},
        [HPACK_STATUS] = {":status", 7},
        [HPACK_CONTENT_TYPE] = {"content-type", 12},
        [HPACK_GRPC_STATUS] = {"grpc-status", 11},
    },
    {
        [HPACK_METHOD] = {"\xb9\x49\x53\x39\xe4", 5},
        [HPACK_PATH] = {"\xb9\x58\xd3\x3f", 4},
        [HPACK_STATUS] = {"\xb8\x84\x8d\x36\xa3", 5},
        [HPACK_CONTENT_TYPE] = {"\x21\xea\x49\x6a\x4a\xc9\xf5\x59\x7f", 9},
        [HPACK_GRPC_STATUS] = {"\x9a\xca\xc8\xb2\x12\x34\xda\x8f", 8},
    },
};

struct hpack_method {
    char text[7];
    __u8 length;
};

static const struct hpack_method hpack_methods[2][PMO_METHODS] = {
    {
        [PMO_METHOD_GET] = {"GET", 3},
        [PMO_METHOD_HEAD] = {"HEAD", 4},
        [PMO_METHOD_POST] = {"POST", 4},
        [PMO_METHOD_PUT] = {"PUT", 3},
        [PMO_METHOD_DELETE] = {"DELETE", 6},
        [PMO_METHOD_CONNECT] = {"CONNECT", 7},
        [PMO_METHOD_OPTIONS] = {"OPTIONS", 7},
        [PMO_METHOD_TRACE] = {"TRACE", 5},
        [PMO_METHOD_PATCH] = {"PATCH", 5},
    },
    {
        [PMO_METHOD_GET] = {"\xc5\x83\x7f", 3},
        [PMO_METHOD_HEAD] = {"\xc7\x82\x1b\xff", 4},
        [PMO_METHOD_POST] = {"\xd7\xab\x76\xff", 4},
        [PMO_METHOD_PUT] = {"\xd7\xc3\x7f", 3},
        [PMO_METHOD_DELETE] = {"\xbf\x83\x3e\x0d\xf8\x3f", 6},
        [PMO_METHOD_CONNECT] = {"\xbd\xab\x4e\x9c\x17\xb7\xff", 7},
        [PMO_METHOD_OPTIONS] = {"\xd5\xaf\x7e\x4d\x5a\x77\x7f", 7},
        [PMO_METHOD_TRACE] = {"\xdf\xb6\x1b\xd8\x3f", 5},
        [PMO_METHOD_PATCH] = {"\xd7\x0e\xfb\xd8\xff", 5},
    },
};

/* "application/grpc" likewise; Huffman's code of it ends with a byte. */
static const char hpack_grpc[2][24] = {
    "application/grpc",
    "\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64",
};

/* Appendix B. The code is canonical: within a length, codes count up in the order of this table. */
static const __u8 hpack_symbols[256] =
    "012aceiost"
    " %-./3456789=A_bdfghlmnpru"
    ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"
    "&*,;XZ"
    "!\"()?" /* from here on, 10 bits and more */
    "'+|"
    "#>"
    "\0$@[]~"
    "^}"
    "<`{"
    "\\" /* and from here on, what is no text */
    "\xc3\xd0\x80\x82\x83\xa2\xb8\xc2\xe0\xe2\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9"
    "\xe3\xe5\xe6\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa\xad\xb2\xb5\xb9"
    "\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96"
    "\x97\x98\x9b\x9d\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef\x09\x8e"
    "\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed\xc7\xcf\xea\xeb\xc0\xc1\xc8\xc9\xca\xcd"
    "\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5"
    "\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10"
    "\x11\x12\x13\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9\x0a\x0d\x16";

#define HPACK_LONG_FIRST 74U /* symbol of 10 bits */

/* Codes of a length lie below `below`, both at the high end of a word. */
static const struct hpack_long {
    __u32 below;
    __u32 bits;
} hpack_long[] = {
    {0xff400000, 10}, {0xffa00000, 11}, {0xffc00000, 12}, {0xfff00000, 13}, {0xfff80000, 14},
    {0xfffe0000, 15}, {0xfffe6000, 19}, {0xfffee000, 20}, {0xffff4800, 21}, {0xffffb000, 22},
    {0xffffea00, 23}, {0xfffff600, 24}, {0xfffff800, 25}, {0xfffffbc0, 26}, {0xfffffe20, 27},
    {0xfffffff0, 28}, {0xfffffffc, 30},
};

/* The symbol and (from bit 8 on) the length of a code of 10 bits or more; 0 for EOS. By itself, as
 * few strings have such. */
__attribute__((noinline)) int hpack_long_code(__u32 code)
{
    __u32 first = 0xfe000000, symbol = HPACK_LONG_FIRST;

    for (__u32 i = 0; i < sizeof(hpack_long) / sizeof(hpack_long[0]); i++) {
        __u32 below = hpack_long[i].below, bits = hpack_long[i].bits;

        if (code < below) {
            symbol += (code - first) >> (32 - bits);
            return bits << 8 | hpack_symbols[symbol & 255];
        }
        symbol += (below - first) >> (32 - bits);
        first = below;
    }
    return 0;
}
