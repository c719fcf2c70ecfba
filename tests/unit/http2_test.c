/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel side's HTTP/2 parser and HPACK decoder, the same lines compiled for the host, against
 * the RFCs' examples and nghttp2. */
#include "tests/unit/suite.h"

#include <stdlib.h>
#include "tests/unit/http2_reference.h"
#include "agent/core.h"

#define PREFACE        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define EMPTY_SETTINGS "\0\0\0\4\0\0\0\0\0"

/* ---- making streams ------------------------------------------------------------------------- */

struct bytes {
    size_t length;
    __u8 at[1 << 18];
};

static void put(struct bytes *b, const void *from, size_t length)
{
    if (length > sizeof(b->at) - b->length)
        abort();
    memcpy(b->at + b->length, from, length);
    b->length += length;
}

static void put_byte(struct bytes *b, unsigned int byte)
{
    __u8 c = (__u8)byte;

    put(b, &c, 1);
}

static void put_frame(struct bytes *b, unsigned int type, unsigned int flags, __u32 stream,
                      const void *payload, size_t length)
{
    const __u8 header[9] = {(__u8)(length >> 16), (__u8)(length >> 8), (__u8)length,
                            (__u8)type,           (__u8)flags,         (__u8)(stream >> 24),
                            (__u8)(stream >> 16), (__u8)(stream >> 8), (__u8)stream};

    put(b, header, sizeof(header));
    put(b, payload, length);
}

/* What a direction begins with. */
static void begin(struct bytes *b, bool request)
{
    b->length = 0;
    if (request)
        put(b, PREFACE, strlen(PREFACE));
    put(b, EMPTY_SETTINGS, 9);
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

/* A header block given in hex, as one HEADERS frame. */
static void put_block(struct bytes *b, unsigned int flags, __u32 stream, const char *hex)
{
    __u8 block[4096];
    size_t n = from_hex(hex, block);

    put_frame(b, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | flags, stream, block, n);
}

/* ---- checking ------------------------------------------------------------------------------- */

static struct seen seen;

static void see_begin(bool request)
{
    memset(&seen, 0, sizeof(seen));
    memset(route_cache, 0, sizeof(route_cache));
    seen.request = request;
}

static bool see_is(const char *expected, const char *how, size_t at)
{
    if (!seen.stuck && !strcmp(seen.text, expected))
        return true;
    printf("\n  %s %zu: got \"%s\"%s, expected \"%s\"\n", how, at, seen.text,
           seen.stuck ? " (stuck)" : "", expected);
    CU_FAIL("not what was sent");
    return false;
}

/* Feeds a stream whole, byte by byte, and split at every place; all must give the same. */
static void expect(bool request, const struct bytes *b, const char *expected)
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

static struct bytes stream;

/* ---- HPACK ---------------------------------------------------------------------------------- */

/* Whole header blocks of one connection, in hex, and what they say. */
static void expect_blocks(bool request, const char *const *blocks, const char *expected)
{
    begin(&stream, request);
    for (__u32 i = 0; blocks[i]; i++)
        put_block(&stream, 0, i * 2 + 1, blocks[i]);
    expect(request, &stream, expected);
}

static void the_requests_of_rfc_7541_appendix_c_are_understood(void)
{
    static const char *const literal[] = {
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572 82", /* C.2.1, and GET */
        "040c 2f73 616d 706c 652f 7061 7468 82",                               /* C.2.2 */
        "1008 7061 7373 776f 7264 0673 6563 7265 74 82",                       /* C.2.3 */
        "82", NULL};                                                           /* C.2.4 */
    static const char *const plain[] = {                                       /* C.3 */
                                        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                                        "8286 84be 5808 6e6f 2d63 6163 6865",
                                        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f "
                                        "6d2d 7661 6c75 65",
                                        NULL};
    static const char *const huffman[] = {/* C.4 */
                                          "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
                                          "8286 84be 5886 a8eb 1064 9cbf",
                                          "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 "
                                          "b4bf",
                                          NULL};

    expect_blocks(true, literal, "1:GET -;3:GET /sample/path;5:GET -;7:GET -;");
    expect_blocks(true, plain, "1:GET /;3:GET /;5:GET /index.html;");
    expect_blocks(true, huffman, "1:GET /;3:GET /;5:GET /index.html;");
}

static void the_responses_of_rfc_7541_appendix_c_are_understood(void)
{
    /* with a table of 256 bytes, hence the size update in front */
    static const char *const plain[] = {
        "3fe1 01 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 "
        "2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 "
        "6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 "
        "677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 "
        "553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        NULL};
    static const char *const huffman[] = {
        "3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 "
        "2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 "
        "821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed "
        "4ee5 b106 3d50 07",
        NULL};

    expect_blocks(false, plain, "1:302;3:307;5:200;");
    expect_blocks(false, huffman, "1:302;3:307;5:200;");
}

/* The static table, Huffman's code and its names, as nghttp2 has them. */
static void the_static_table_is_that_of_the_rfc(void)
{
    nghttp2_hd_inflater *inflater;
    struct hpack h = {};

    CU_ASSERT_FATAL(!nghttp2_hd_inflate_new(&inflater));
    for (size_t i = 1; i < HPACK_STATIC; i++) {
        const nghttp2_nv *nv = nghttp2_hd_inflate_get_table_entry(inflater, i);
        struct hpack_entry entry, expected = reference(nv, false);

        CU_ASSERT(hpack_entry(&h, i, &entry));
        CU_ASSERT_EQUAL(entry.kind, expected.kind);
        CU_ASSERT_EQUAL(entry.name_length, expected.name_length);
        CU_ASSERT_EQUAL(entry.value, expected.value);
    }
    nghttp2_hd_inflate_del(inflater);
}

/* Huffman's code, as nghttp2 decodes it: it is canonical, so how many codes there are of each
 * length says all. */
struct huffman_code {
    __u32 code;
    __u32 bits;
};

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

static size_t huffman_encode(const void *text, size_t length, __u8 *to)
{
    size_t at = 0;

    if (!huffman['a'].bits)
        huffman_learn();
    memset(to, 0xff, length * 4);
    for (size_t i = 0; i < length; i++) {
        const struct huffman_code *c = &huffman[((const __u8 *)text)[i]];

        bits_put(to, &at, c->code, c->bits);
    }
    return (at + 7) / 8;
}

static void put_integer(struct bytes *b, __u8 first, __u8 mask, __u64 value)
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

static void put_string(struct bytes *b, const void *text, size_t length, bool coded)
{
    static __u8 code[1 << 16];
    size_t n = length;

    if (coded) {
        n = huffman_encode(text, length, code);
        text = code;
    }
    put_integer(b, coded ? 0x80 : 0, 0x7f, n);
    put(b, text, n);
}

/* A literal field: 0x40 inserts it, 0x00 and 0x10 do not. */
static void put_literal(struct bytes *b, __u8 how, const char *name, bool name_coded,
                        const char *value, bool value_coded)
{
    put_byte(b, how);
    put_string(b, name, strlen(name), name_coded);
    put_string(b, value, strlen(value), value_coded);
}

static struct bytes block;

static void put_headers(struct bytes *b, __u32 stream_id)
{
    put_frame(b, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS, stream_id, block.at, block.length);
    block.length = 0;
}

static void what_matters_is_known_in_every_form(void)
{
    static const struct {
        const char *name, *value, *request, *response;
    } fields[] = {
        {":method", "GET", "1:GET -;", "1:trailers;"},
        {":method", "HEAD", "1:HEAD -;", "1:trailers;"},
        {":method", "POST", "1:POST -;", "1:trailers;"},
        {":method", "PUT", "1:PUT -;", "1:trailers;"},
        {":method", "DELETE", "1:DELETE -;", "1:trailers;"},
        {":method", "CONNECT", "1:CONNECT -;", "1:trailers;"},
        {":method", "OPTIONS", "1:OPTIONS -;", "1:trailers;"},
        {":method", "TRACE", "1:TRACE -;", "1:trailers;"},
        {":method", "PATCH", "1:PATCH -;", "1:trailers;"},
        {":method", "get", "1:OTHER -;", "1:trailers;"},
        {":method", "GETS", "1:OTHER -;", "1:trailers;"},
        {":method", "PROPFIND", "1:OTHER -;", "1:trailers;"},
        {":status", "200", "1:trailers;", "1:200;"},
        {":status", "103", "1:trailers;", "1:103!;"},
        {":status", "999", "1:trailers;", "1:999;"},
        {":status", "345", "1:trailers;", "1:345;"},
        {":status", "678", "1:trailers;", "1:678;"},
        {":status", "20", "1:trailers;", "1:0;"},
        {":status", "2000", "1:trailers;", "1:0;"},
        {":status", "2-0", "1:trailers;", "1:0;"},
        {":status", "307l", "1:trailers;", "1:0;"}, /* Huffman-coded, in as many bytes as 307 */
        {":status", "", "1:trailers;", "1:0;"},
        {"grpc-status", "0", "1:trailers 0;", "1:trailers 0;"},
        {"grpc-status", "7", "1:trailers 7;", "1:trailers 7;"},
        {"grpc-status", "16", "1:trailers 16;", "1:trailers 16;"},
        {"grpc-status", "x", "1:trailers 2;", "1:trailers 2;"},
        {"grpc-status", "", "1:trailers 2;", "1:trailers 2;"},
        {"grpc-statuz", "1", "1:trailers;", "1:trailers;"},
        {"grpc-status-", "1", "1:trailers;", "1:trailers;"},
        {"content-type", "application/grpc", "1:trailers+grpc;", "1:trailers+grpc;"},
        {"content-type", "application/grpc+proto", "1:trailers+grpc;", "1:trailers+grpc;"},
        {"content-type", "application/grpc;a=b", "1:trailers+grpc;", "1:trailers+grpc;"},
        {"content-type", "application/grpc;", "1:trailers+grpc;", "1:trailers+grpc;"},
        {"content-type", "application/grpc-web", "1:trailers;", "1:trailers;"},
        {"content-type", "application/grp", "1:trailers;", "1:trailers;"},
        {"content-type", "application/json", "1:trailers;", "1:trailers;"},
        {":path", "/a/b", "1:trailers;", "1:trailers;"},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        for (__u8 form = 0; form < 12; form++) {
            static const __u8 how[] = {0x40, 0x00, 0x10};

            for (int request = 0; request < 2; request++) {
                begin(&stream, request);
                block.length = 0;
                put_literal(&block, how[form / 4], fields[i].name, form & 1, fields[i].value,
                            form & 2);
                put_headers(&stream, 1);
                expect(request, &stream, request ? fields[i].request : fields[i].response);
            }
        }
    }
}

static void paths_are_decoded_and_folded(void)
{
    static const struct {
        const char *path, *route;
    } paths[] = {
        {"/", "/"},
        {"/index.html", "/index.html"},
        {"/users/42/orders/977", "/users/{id}/orders/{id}"},
        {"/search?q=42&r=/users/42", "/search"},
        {"/o/123e4567-e89b-12d3-a456-426614174000/x?y", "/o/{id}/x"},
        {"/?", "/"},
        {"/helloworld.Greeter/SayHello", "/helloworld.Greeter/SayHello"},
        {"/a!\"#$%&'()*+,-./09:;<=>@AZ[\\]^_`az{|}~", "/a!\"#$%&'()*+,-./09:;<=>@AZ[\\]^_`az{|}~"},
        {"/\x01\x7f\x80\xc3\xff\n", "/??????"},
        {"*", "*"},
        {"/12345678", "/{id}"},
        {"/123456789abcdef0123456789", "/{id}"},
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        for (__u8 form = 0; form < 4; form++) {
            char expected[512], route[150];

            (void)snprintf(route, sizeof(route), "%s", paths[i].route);
            (void)snprintf(expected, sizeof(expected), "1:GET %s;3:GET %s;5:GET %s;", route, route,
                           form & 1 ? route : "-");
            begin(&stream, true);
            block.length = 0;
            for (__u32 id = 1; id < 7; id += 2) {
                put_byte(&block, 0x82);
                if (id < 5) {
                    put_byte(&block, form & 1 ? 0x44 : 0x04);
                    put_string(&block, paths[i].path, strlen(paths[i].path), form & 2);
                } else if (form & 1) {
                    put_byte(&block, 0xbf);
                }
                put_headers(&stream, id);
            }
            expect(true, &stream, expected);
        }
    }
}

static void every_byte_is_decoded_as_nghttp2_does(void)
{
    huffman_learn();
    for (int c = 0; c < 256; c++) {
        struct huffman_code *code = &huffman[c];
        __u32 used, symbol;

        symbol = hpack_symbol((__u64)code->code << (64 - code->bits), &used);
        CU_ASSERT_EQUAL(used, code->bits);
        CU_ASSERT_EQUAL(symbol, (__u32)c);
    }
}

static void a_path_is_decoded_once_for_each_instance(void)
{
    static const char *const blocks[] = {"82 84", "82 85", "82 04 03 2f 61 62", "82 04 82 60 63"};

    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        see_begin(true);
        begin(&stream, true);
        for (__u32 id = 1; id < 20; id += 2)
            put_block(&stream, 0, id, blocks[i]);
        routes_folded = 0;
        for (__u32 generation = 1; generation < 4; generation++) {
            memset(&seen.parser, 0, sizeof(seen.parser));
            seen.fold.generation = generation;
            feed(&seen, stream.at, stream.length);
            CU_ASSERT_EQUAL(routes_folded, generation);
        }
    }
    /* the same bytes, coded and not */
    see_begin(true);
    begin(&stream, true);
    put_block(&stream, 0, 1, "82 04 82 60 63");
    put_block(&stream, 0, 3, "82 04 02 60 63");
    feed(&seen, stream.at, stream.length);
    (void)see_is("1:GET /aa;3:GET /;", "coded and not", 0);
    /* what comes behind a '?' is another path only where it is Huffman-coded */
    see_begin(true);
    begin(&stream, true);
    put_block(&stream, 0, 1, "82 04 04 2f 61 3f 62");
    put_block(&stream, 0, 3, "82 04 06 2f 61 3f 63 64 65");
    put_block(&stream, 0, 5, "82 04 02 2f 61");
    routes_folded = 0;
    feed(&seen, stream.at, stream.length);
    CU_ASSERT_EQUAL(routes_folded, 1);
    (void)see_is("1:GET /a;3:GET /a;5:GET /a;", "with queries", 0);
}

static void a_path_of_16_kib_is_one_request(void)
{
    static char path[16385], expected[PMO_ROUTE_BYTES + 64];

    for (int coded = 0; coded < 2; coded++) {
        path[0] = '/';
        memset(path + 1, 'a', sizeof(path) - 2);
        begin(&stream, true);
        block.length = 0;
        put_byte(&block, 0x82);
        put_byte(&block, 0x04);
        put_string(&block, path, strlen(path), coded);
        put_headers(&stream, 1);
        put_block(&stream, HTTP2_END_STREAM, 3, "82 84");
        (void)snprintf(expected, sizeof(expected), "1:GET %.*s;3:GET /.;", (int)PMO_ROUTE_BYTES - 1,
                       path);
        for (size_t size = 1; size < 20000; size = size * 3 + 1) {
            see_begin(true);
            for (size_t at = 0; at < stream.length; at += size)
                feed(&seen, stream.at + at, stream.length - at < size ? stream.length - at : size);
            if (!see_is(expected, "in pieces of", size))
                return;
        }
    }
}

static void broken_header_blocks_are_told(void)
{
    static const char *const blocks[] = {
        "80",                         /* index 0 */
        "82 be",                      /* index 62 of an empty table */
        "ff 80 ff ff ff 1f",          /* index beyond 32 bits */
        "ff ff ff ff ff ff ff 7f",    /* and that does not end */
        "3f e1 ff ff ff 0f",          /* size update likewise, by one */
        "7f ff ff ff ff 7f 01 61",    /* name index likewise */
        "00 7f ff ff ff ff 7f",       /* length of a name likewise */
        "0f 80 80 80 80 80 00 01 61", /* an integer of more bytes than 32 bits can need */
        "82 04",                      /* ends before a value, */
        "82 04 03 2f 61",             /* in a value, */
        "82 00 03 61",                /* in a name, */
        "82 7f",                      /* in an index */
        "82 04 82 ff ff",             /* padding of 16 bits */
        "82 04 84 ff ff ff ff",       /* EOS */
        "82 04 81 60",                /* padding that is not ones ('/' is 011000) */
        "82 04 81 fe",                /* the beginning of a code */
        NULL};

    for (size_t i = 0; blocks[i]; i++) {
        char expected[64] = "1:GET /;broken;";

        begin(&stream, true);
        put_block(&stream, 0, 1, "82 84");
        put_block(&stream, 0, 3, blocks[i]);
        put_block(&stream, 0, 5, "82 84"); /* nothing is guessed of what follows */
        expect(true, &stream, expected);
    }
}

static void integers_may_be_longer_than_they_must(void)
{
    begin(&stream, true);
    put_block(&stream, 0, 1, "82 0f 80 80 00 01 61 84"); /* name index 15 */
    put_block(&stream, 0, 3, "82 3f 80 80 80 00 84");    /* table size 31 */
    put_block(&stream, 0, 5, "3f e0 ff ff ff 0f 82 84"); /* table size 2^32 - 1 */
    expect(true, &stream, "1:GET /;3:GET /;5:GET /;");
}

/* What does not fit empties the table (RFC 7541 4.4), and a new size does, where it is small. */
static void entries_enter_the_table_only_if_they_fit(void)
{
    for (int coded = 0; coded < 2; coded++) {
        /* ":path" and "/aaaaaaaa" make 32 + 5 + 9 = 46 bytes */
        for (__u32 size = 40; size < 100; size++) {
            begin(&stream, true);
            block.length = 0;
            put_integer(&block, 0x20, 0x1f, size);
            put_byte(&block, 0x82);
            put_byte(&block, 0x44);
            put_string(&block, "/aaaaaaaa", 9, coded);
            put_headers(&stream, 1);
            put_byte(&block, 0x82);
            put_byte(&block, 0xbe);
            put_headers(&stream, 3);
            expect(true, &stream,
                   size < 46 ? "1:GET /aaaaaaaa;broken;" : "1:GET /aaaaaaaa;3:GET /aaaaaaaa;");
        }
    }
    begin(&stream, true); /* what is too large takes all others along */
    block.length = 0;
    put_integer(&block, 0x20, 0x1f, 60);
    put_byte(&block, 0x82);
    put_byte(&block, 0x44);
    put_string(&block, "/a", 2, false);
    put_literal(&block, 0x40, "x", false, "abcdefghijklmnopqrstuvwxyzabcdefg", false);
    put_headers(&stream, 1);
    put_block(&stream, 0, 3, "82 be");
    expect(true, &stream, "1:GET /a;broken;");
    begin(&stream, true); /* a name of 11 bytes, in 8: it is measured, too */
    block.length = 0;
    put_integer(&block, 0x20, 0x1f, 44);
    put_literal(&block, 0x40, "grpc-status", true, "12", false);
    put_headers(&stream, 1);
    put_byte(&block, 0x82);
    put_byte(&block, 0xbe);
    put_headers(&stream, 3);
    expect(true, &stream, "1:trailers 12;broken;");
    begin(&stream, true);
    put_block(&stream, 0, 1, "82 44 02 2f 61"); /* /a enters, */
    put_block(&stream, 0, 3, "82 be");
    put_block(&stream, 0, 5, "20 82 84"); /* no bytes are left for it, */
    put_block(&stream, 0, 7, "3f e1 1f 82 84");
    put_block(&stream, 0, 9, "82 be"); /* and it does not come back */
    expect(true, &stream, "1:GET /a;3:GET /a;5:GET /;7:GET /;broken;");
}

/* More entries than the parser holds: the newest are exact, the others are marked. */
static void what_a_large_table_holds_beyond_the_ring_is_unknown(void)
{
    begin(&stream, true);
    put_block(&stream, 0, 1, "3f e1 ff 03 82 44 02 2f 61"); /* 65,536 bytes; /a enters */
    for (__u32 i = 1; i < 400; i++) {
        block.length = 0;
        put_byte(&block, 0x83);
        if (i < 399) {
            put_byte(&block, 0x40);
            put_string(&block, "x", 1, false);
            put_string(&block, "y", 1, false);
        }
        put_integer(&block, 0x80, 0x7f, HPACK_STATIC + i - (i == 399));
        put_headers(&stream, i * 2 + 1);
    }
    see_begin(true);
    feed(&seen, stream.at, stream.length);
    CU_ASSERT_FALSE(seen.stuck);
    CU_ASSERT_PTR_NULL(strstr(seen.text, "broken"));
    for (__u32 i = 1; i < 400; i++) {
        char expected[64];

        (void)snprintf(expected, sizeof(expected), ";%u:POST %s;", i * 2 + 1,
                       i < HPACK_RING ? "/a" : "-?");
        CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, expected));
    }
}

static void what_was_inserted_before_a_join_is_unknown(void)
{
    static const char large[3900];
    static const char *const joined[] = {"82 86 be 44 02 2f 61", /* entry of before; /a enters */
                                         "82 be",                /* /a */
                                         "83 86 c0",             /* of before */
                                         "c0 84",                /* so may be the method */
                                         "40 01 78 01 79 82 bf", /* x: y enters; /a */
                                         NULL};
    __u8 headers[9] = {0, 0, 7, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS, 0, 0, 0, 11};

    stream.length = 0;
    for (__u32 i = 0; joined[i]; i++)
        put_block(&stream, 0, 11 + 2 * i, joined[i]);
    for (size_t split = 0; split <= stream.length; split++) {
        see_begin(true);
        http2_join(&seen.parser);
        feed(&seen, stream.at, split);
        feed(&seen, stream.at + split, stream.length - split);
        if (!see_is("11:GET /a?;13:GET /a;15:POST -?;17:OTHER /?;19:GET /a;", "split at", split))
            return;
    }
    CU_ASSERT(http2_begins_headers(headers));
    CU_ASSERT(http2_begins_headers(stream.at));
    CU_ASSERT_FALSE(http2_begins_headers((const __u8 *)PREFACE));
    CU_ASSERT_FALSE(http2_begins_headers((const __u8 *)EMPTY_SETTINGS));
    headers[8] = 12; /* a stream that a server opens */
    CU_ASSERT_FALSE(http2_begins_headers(headers));
    /* trailers are known by their stream, whatever is in them; nor is it known whether a long value
     * with a name of before has found room */
    stream.length = 0;
    put_block(&stream, 0, 1, "82 84 be");
    put_block(&stream, HTTP2_END_STREAM, 1, "be");
    block.length = 0;
    put_byte(&block, 0x82);
    put_byte(&block, 0x7f);
    put_byte(&block, 0x00);
    put_string(&block, large, sizeof(large), false);
    put_headers(&stream, 3);
    put_block(&stream, 0, 5, "82 be 44 02 2f 61");
    put_block(&stream, 0, 7, "82 be");
    see_begin(true);
    http2_join(&seen.parser);
    feed(&seen, stream.at, stream.length);
    (void)see_is("1:GET /?;1:trailers?.;3:GET -?;5:GET /a?;7:GET /a;", "joined", 0);
    /* an empty table has no past */
    stream.length = 0;
    put_block(&stream, 0, 1, "20 3f e1 1f 82 84 44 02 2f 61");
    put_block(&stream, 0, 3, "82 bf");
    see_begin(true);
    http2_join(&seen.parser);
    feed(&seen, stream.at, stream.length);
    (void)see_is("1:GET /a;broken;", "joined", 0);
}

/* ---- headers that policies name -------------------------------------------------------------- */

static void headers_begin(void)
{
    headers_on = true;
    headers_rows = 15;
    begin(&stream, true);
    block.length = 0;
}

static void headers_end(const char *expected)
{
    expect(true, &stream, expected);
    headers_on = false;
    headers_rows = 0;
}

/* GET / with what is in `block`. */
static void put_get(__u32 id)
{
    put_byte(&block, 0x82);
    put_byte(&block, 0x84);
    put_headers(&stream, id);
}

static void named_headers_are_found_in_every_form(void)
{
    static const __u8 how[] = {0x40, 0x00, 0x10};

    for (__u8 form = 0; form < 12; form++) {
        headers_begin();
        put_literal(&block, how[form / 4], "x-tenant", form & 1, "acme", form & 2);
        put_get(1);
        if (how[form / 4] == 0x40) { /* the field again, and its name with another value */
            put_byte(&block, 0xbe);
            put_get(3);
            put_byte(&block, 0x7e);
            put_string(&block, "umbrella", 8, form & 2);
            put_get(5);
            put_byte(&block, 0xbe);
            put_get(7);
            put_byte(&block, 0xbf);
        } else {
            for (__u32 id = 3; id < 9; id += 2)
                put_get(id);
        }
        put_get(9);
        headers_end(how[form / 4] == 0x40
                        ? "1:GET / x-tenant=acme;3:GET / x-tenant=acme;5:GET / x-tenant=umbrella;"
                          "7:GET / x-tenant=umbrella;9:GET / x-tenant=acme;"
                        : "1:GET / x-tenant=acme;3:GET /;5:GET /;7:GET /;9:GET /;");
    }
}

static void named_headers_are_found_by_names_of_the_static_table(void)
{
    headers_begin();
    put_byte(&block, 0x41); /* :authority */
    put_string(&block, "acme", 4, true);
    put_byte(&block, 0x90); /* accept-encoding: gzip, deflate */
    put_get(1);
    put_byte(&block, 0xbe);
    put_byte(&block, 0x0f); /* accept-encoding */
    put_byte(&block, 0x01);
    put_string(&block, "umbrella", 8, false);
    put_get(3);
    put_byte(&block, 0x66); /* host */
    put_string(&block, "umbrella", 8, true);
    put_byte(&block, 0x7a); /* user-agent */
    put_string(&block, "acme", 4, true);
    put_byte(&block, 0x91); /* accept-language, which nobody names */
    put_get(5);
    put_byte(&block, 0xbf);
    put_byte(&block, 0xba); /* user-agent, of no value */
    put_get(7);
    put_literal(&block, 0x00, ":authority", true, "acme", true);
    put_literal(&block, 0x40, "user-agent-of-thirtyone-letters", false, "umbrella", false);
    put_get(9);
    headers_end("1:GET / accept-encoding=gzip, deflate host=acme;"
                "3:GET / accept-encoding=umbrella host=acme;"
                "5:GET / host=umbrella user-agent-of-thirtyone-letters=acme;"
                "7:GET / host=umbrella user-agent-of-thirtyone-letters=;"
                "9:GET / host=acme user-agent-of-thirtyone-letters=umbrella;");
}

static void the_agent_knows_the_names_of_the_static_table(void)
{
    nghttp2_hd_inflater *inflater;

    CU_ASSERT_FATAL(!nghttp2_hd_inflate_new(&inflater));
    for (size_t i = 15; i < HPACK_STATIC; i++) {
        const nghttp2_nv *nv = nghttp2_hd_inflate_get_table_entry(inflater, i);
        struct pmo_policy_header named = {.hash = true};
        struct pmo_header header;

        (void)snprintf(named.name, sizeof(named.name), "%.*s", (int)nv->namelen, nv->name);
        pmo_header_make(&header, &named, header_key);
        CU_ASSERT_EQUAL(header.http2_indices, i == 31   ? 0 /* of a kind of its own */
                                              : i == 38 ? 1ULL << 38 | 1ULL << 1
                                                        : 1ULL << i);
        CU_ASSERT_EQUAL(header.http2_name,
                        header_digest(i == 38 ? ":authority" : named.name, header_key));
    }
    nghttp2_hd_inflate_del(inflater);
}

static void values_are_those_of_http_1(void)
{
    for (int coded = 0; coded < 2; coded++) {
        headers_begin();
        put_literal(&block, 0x40, "x-tenant", coded, " \t a  b\t\tc  ", coded);
        put_get(1);
        put_literal(&block, 0x40, "x-tenant", coded, "m\xc3\xbcller", coded);
        put_get(3);
        put_literal(&block, 0x40, "x-tenant", coded, "", coded);
        put_get(5);
        put_literal(&block, 0x40, "x-tenant", coded, "Acme", coded);
        put_get(7);
        put_literal(&block, 0x40, "x-tenant", coded, "acme", coded); /* the first one counts */
        put_byte(&block, 0xbf);
        put_literal(&block, 0x40, "x-tenant", coded, "umbrella", coded);
        put_get(9);
        headers_end("1:GET / x-tenant=a b c;3:GET / x-tenant=m\xc3\xbcller;5:GET / x-tenant=;"
                    "7:GET / x-tenant={other};9:GET / x-tenant=acme;");
    }
}

static void headers_that_look_alike_are_others(void)
{
    static const char *const names[] = {
        "x-tenant-id",
        "x-tenan",
        "x",
        "X-Tenant",
        "ax-tenant",
        "y-tenant",
        "",
        "user-agent-of-thirtyone-letters1",
        "x-tenant-with-a-name-that-is-much-longer-than-any-that-is"};

    for (int coded = 0; coded < 2; coded++) {
        headers_begin();
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            put_literal(&block, i & 1 ? 0x40 : 0x00, names[i], coded, "acme", false);
        put_get(1);
        headers_end("1:GET /;");
    }
    headers_begin();
    headers_rows = 2; /* another service's */
    put_literal(&block, 0x40, "x-tenant", true, "acme", true);
    put_byte(&block, 0x90);
    put_get(1);
    put_byte(&block, 0xbe);
    put_get(3);
    headers_end("1:GET / accept-encoding=gzip, deflate;3:GET /;");
    for (int on = 0; on < 2; on++) {
        headers_begin();
        headers_on = on;
        headers_rows = on ? 0 : 15;
        put_literal(&block, 0x40, "x-tenant", true, "acme", true);
        put_get(1);
        put_byte(&block, 0xbe);
        put_get(3);
        headers_end("1:GET /;3:GET /;");
    }
}

static void a_long_value_is_one_value(void)
{
    static char value[16001];

    memset(value, 'v', sizeof(value) - 1);
    for (int coded = 0; coded < 2; coded++) {
        headers_begin();
        put_byte(&block, 0x82);
        put_literal(&block, 0x00, "x-tenant", coded, value, coded);
        put_headers(&stream, 1);
        see_begin(true);
        for (size_t at = 0; at < stream.length; at += 1448)
            feed(&seen, stream.at + at, stream.length - at < 1448 ? stream.length - at : 1448);
        CU_ASSERT_EQUAL(http2_value(&seen.parser, HPACK_NAMED),
                        1U << HPACK_ROW_BITS | reference_row(value, strlen(value)));
    }
    headers_on = false;
}

static void headers_follow_the_table_they_are_in(void)
{
    headers_begin();
    put_literal(&block, 0x40, "x-tenant", true, "acme", true); /* 44 bytes */
    put_get(1);
    put_integer(&block, 0x20, 0x1f, 100);
    put_literal(&block, 0x40, "x-tenant", false, "umbrella", true); /* 48 */
    put_get(3);
    put_byte(&block, 0xbf); /* neither has gone */
    put_get(5);
    put_byte(&block, 0x20); /* now both have */
    put_get(7);
    put_byte(&block, 0xbe);
    put_get(9);
    headers_end(
        "1:GET / x-tenant=acme;3:GET / x-tenant=umbrella;5:GET / x-tenant=acme;7:GET /;broken;");

    headers_begin(); /* beyond the ring it is not known, */
    put_integer(&block, 0x20, 0x1f, 65536);
    put_literal(&block, 0x40, "x-tenant", true, "acme", true);
    put_get(1);
    for (__u32 i = 0; i < HPACK_RING; i++)
        put_literal(&block, 0x40, "x", false, "y", false);
    put_get(3);
    put_integer(&block, 0x80, 0x7f, HPACK_STATIC + HPACK_RING);
    put_get(5);
    put_integer(&block, 0x40, 0x3f, HPACK_STATIC + HPACK_RING);
    put_string(&block, "acme", 4, false);
    put_get(7);
    put_literal(&block, 0x40, "x-tenant", true, "umbrella", true); /* but in it, it is */
    put_get(9);
    see_begin(true);
    feed(&seen, stream.at, stream.length);
    (void)see_is("1:GET / x-tenant=acme;3:GET /;5:GET /?;7:GET /?;9:GET / x-tenant=umbrella;",
                 "ring", 0);
    headers_on = false;

    stream.length = 0; /* and what was there before a join is not, either */
    headers_on = true;
    put_byte(&block, 0xbe);
    put_byte(&block, 0x7e);
    put_string(&block, "acme", 4, false);
    put_literal(&block, 0x40, "x-tenant", true, "umbrella", true);
    put_get(11);
    put_byte(&block, 0xbe);
    put_get(13);
    see_begin(true);
    http2_join(&seen.parser);
    feed(&seen, stream.at, stream.length);
    (void)see_is("11:GET / x-tenant=umbrella?;13:GET / x-tenant=umbrella;", "joined", 0);
    headers_on = false;
    headers_rows = 0;
}

/* An agent with other policies comes, while the connection goes on. */
static void no_header_is_counted_by_the_name_of_another(void)
{
    const size_t at = strlen(PREFACE) + 9 + 9; /* of the first block */
    size_t first, cut;

    headers_begin();
    put_literal(&block, 0x40, "x-tenant", true, "acme", true);
    put_get(1);
    first = stream.length;
    put_byte(&block, 0xbe); /* what it is, is not known any more */
    put_byte(&block, 0x7e);
    put_string(&block, "umbrella", 8, false);
    put_get(3);
    put_literal(&block, 0x40, "x-tenant", true, "umbrella", true);
    put_get(5);
    put_byte(&block, 0xbe);
    put_get(7);
    see_begin(true);
    feed(&seen, stream.at, first);
    headers_epoch++;
    feed(&seen, stream.at + first, stream.length - first);
    (void)see_is(
        "1:GET / x-tenant=acme;3:GET /;5:GET / x-tenant=umbrella;7:GET / x-tenant=umbrella;",
        "epoch", 0);
    for (cut = at; cut < first; cut++) { /* in the middle of a block: all of it, or nothing */
        see_begin(true);
        feed(&seen, stream.at, cut);
        headers_epoch++;
        feed(&seen, stream.at + cut, stream.length - cut);
        (void)see_is(strncmp(seen.text, "1:GET / x-tenant=acme;", 22) != 0
                         ? "1:GET /;3:GET /;5:GET / x-tenant=umbrella;7:GET / x-tenant=umbrella;"
                         : "1:GET / x-tenant=acme;3:GET / x-tenant=acme;"
                           "5:GET / x-tenant=umbrella;7:GET / x-tenant=umbrella;",
                     "epoch at", cut);
    }
    headers_on = false;
    headers_rows = 0;
}

/* ---- frames --------------------------------------------------------------------------------- */

static void frames_of_every_type_are_passed(void)
{
    static __u8 payload[300];

    /* payloads that would be frames, were they looked at */
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = "\0\0\1\1\5\0\0\0\1\x82"[i % 10];
    begin(&stream, true);
    put_frame(&stream, HTTP2_FRAME_SETTINGS, 1, 0, "", 0);
    put_frame(&stream, HTTP2_FRAME_SETTINGS, 0, 0, payload, 18);
    put_frame(&stream, HTTP2_FRAME_WINDOW_UPDATE, 0, 0, payload, 4);
    put_frame(&stream, HTTP2_FRAME_PRIORITY, 0, 3, payload, 5);
    put_frame(&stream, HTTP2_FRAME_PING, 0, 0, payload, 8);
    put_block(&stream, 0, 1, "83 84");
    put_frame(&stream, HTTP2_FRAME_WINDOW_UPDATE, 0, 1, payload, 4);
    put_frame(&stream, HTTP2_FRAME_DATA, 0, 1, payload, 257);
    put_frame(&stream, 0x20, 0xff, 1, payload, 33); /* extensions are ignored, section 5.5 */
    put_frame(&stream, 0xff, 0x0f, 0, payload, 0);
    put_frame(&stream, HTTP2_FRAME_DATA, HTTP2_END_STREAM, 1, payload, 20);
    put_block(&stream, HTTP2_END_STREAM, 0x80000003, "82 84"); /* the reserved bit is, too */
    put_frame(&stream, HTTP2_FRAME_RST_STREAM, 0, 3, payload, 4);
    put_block(&stream, 0, 5, "83 84");
    put_frame(&stream, HTTP2_FRAME_DATA, HTTP2_END_STREAM, 5, "", 0);
    put_frame(&stream, HTTP2_FRAME_GOAWAY, 0, 0, payload, 30);
    put_block(&stream, 0, 7, "83 84");
    put_frame(&stream, HTTP2_FRAME_DATA, 0, 7, "", 0);
    put_block(&stream, HTTP2_END_STREAM, 7, "00 01 61 01 62");
    expect(true, &stream,
           "1:POST /;1:257;1:20.;3:GET /.;3:reset;5:POST /;5:0.;goaway;7:POST /;7:0;7:trailers.;");
    CU_ASSERT_EQUAL(seen.parser.data_bytes, 277);
}

static void padding_and_priority_are_no_part_of_a_header_block(void)
{
    static const __u8 padded[] = {3, 0x82, 0x84, 0x82, 0x82, 0x82};
    static const __u8 weighted[] = {0x82, 0x82, 0x82, 0x82, 0x82, 0x83, 0x84};
    static const __u8 both[] = {2, 0x82, 0x82, 0x82, 0x82, 0x82, 0x83, 0x84, 0x83, 0x83};
    static const __u8 none[] = {4, 0, 0, 0, 0};

    begin(&stream, true);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | HTTP2_PADDED, 1, padded, 6);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | HTTP2_WEIGHTED, 3, weighted, 7);
    put_frame(&stream, HTTP2_FRAME_HEADERS,
              HTTP2_END_HEADERS | HTTP2_WEIGHTED | HTTP2_PADDED | HTTP2_END_STREAM, 5, both, 10);
    put_frame(&stream, HTTP2_FRAME_DATA, HTTP2_PADDED | HTTP2_END_STREAM, 1, padded, 6);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_PADDED, 7, none, 5); /* and all in CONTINUATION */
    put_frame(&stream, HTTP2_FRAME_CONTINUATION, HTTP2_END_HEADERS | HTTP2_PADDED, 7, "\x82\x84",
              2);
    expect(true, &stream, "1:GET /;3:POST /;5:POST /.;1:6.;7:GET /;");
    begin(&stream, true);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | HTTP2_PADDED, 1, "\6\x82\x84", 3);
    expect(true, &stream, "broken;");
    begin(&stream, true);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | HTTP2_WEIGHTED, 1, "\0\0\0\0", 4);
    put_block(&stream, 0, 3, "82 84");
    expect(true, &stream, "broken;");
}

/* A block with all kinds of fields, cut into frames of every size. */
static void header_blocks_may_be_cut_anywhere(void)
{
    static struct bytes whole;

    whole.length = 0;
    put_integer(&whole, 0x20, 0x1f, 4000);
    put_byte(&whole, 0x83);
    put_byte(&whole, 0x44);
    put_string(&whole, "/users/42/long/path/with?query", 30, true);
    put_literal(&whole, 0x40, "content-type", true, "application/grpc+proto", true);
    put_literal(&whole, 0x00, "user-agent-of-some-kind", false, "grpc-c/1.0 (linux)", false);
    put_literal(&whole, 0x10, "grpc-status", false, "13", true);
    for (size_t size = 1; size <= whole.length; size++) {
        begin(&stream, true);
        for (size_t at = 0; at < whole.length; at += size) {
            bool last = at + size >= whole.length;

            put_frame(&stream, at ? HTTP2_FRAME_CONTINUATION : HTTP2_FRAME_HEADERS,
                      (last ? HTTP2_END_HEADERS : 0) | (at ? 0 : HTTP2_END_STREAM), 1,
                      whole.at + at, last ? whole.length - at : size);
            if (!last && at % 3 == 0)
                put_frame(&stream, HTTP2_FRAME_CONTINUATION, 0, 1, "", 0);
        }
        put_block(&stream, 0, 3, "83 bf be"); /* the path and the content type again */
        expect(true, &stream,
               "1:POST /users/{id}/long/path/with 13+grpc.;"
               "3:POST /users/{id}/long/path/with+grpc;");
    }
}

static void pushed_streams_are_nobodys_requests(void)
{
    begin(&stream, false);
    put_block(&stream, 0, 1,
              "88 48 03 33 30 37"); /* of two, the last one counts; it enters the table */
    /* :path /a enters the table in a PUSH_PROMISE, padded */
    put_frame(&stream, HTTP2_FRAME_PUSH_PROMISE, HTTP2_PADDED, 1, "\1\0\0\0\2\x82\x44\2/\0", 10);
    put_frame(&stream, HTTP2_FRAME_CONTINUATION, HTTP2_END_HEADERS, 1, "a", 1);
    put_block(&stream, 0, 2, "88");
    put_frame(&stream, HTTP2_FRAME_DATA, HTTP2_END_STREAM, 2, "abc", 3);
    put_frame(&stream, HTTP2_FRAME_RST_STREAM, 0, 2, "\0\0\0\0", 4);
    put_block(&stream, HTTP2_END_STREAM, 3, "bf"); /* the status is behind the path */
    expect(false, &stream, "1:307;3:307.;");
}

static void responses_interims_and_trailers_are_told_apart(void)
{
    begin(&stream, false);
    put_block(&stream, 0, 1, "08 03 31 30 30");
    put_block(&stream, 0, 1, "88 5f 10 61 70 70 6c 69 63 61 74 69 6f 6e 2f 67 72 70 63");
    put_frame(&stream, HTTP2_FRAME_DATA, 0, 1, "hello", 5);
    block.length = 0;
    put_literal(&block, 0x40, "grpc-status", false, "0", false);
    put_literal(&block, 0x40, "grpc-message", true, "OK", false);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | HTTP2_END_STREAM, 1, block.at,
              block.length);
    put_block(&stream, HTTP2_END_STREAM, 3, "88 c0 bf"); /* trailers only */
    put_block(&stream, 0, 5, "8d");
    put_block(&stream, HTTP2_END_STREAM, 5, "bf be");
    expect(false, &stream,
           "1:100!;1:200+grpc;1:5;1:trailers 0.;3:200 0+grpc.;5:404;5:trailers 0.;");
}

static void what_is_not_http_2_is_left_alone(void)
{
    static const struct {
        unsigned int type, flags;
        __u32 stream;
        const char *payload;
        size_t length;
    } frames[] = {
        {HTTP2_FRAME_DATA, 0, 0, "abcd", 4},           {HTTP2_FRAME_HEADERS, 4, 0, "\x82\x84", 2},
        {HTTP2_FRAME_RST_STREAM, 0, 0, "abcd", 4},     {HTTP2_FRAME_RST_STREAM, 0, 1, "abcde", 5},
        {HTTP2_FRAME_SETTINGS, 0, 1, "abcdef", 6},     {HTTP2_FRAME_PING, 0, 1, "abcdefgh", 8},
        {HTTP2_FRAME_PING, 0, 0, "abcdef", 6},         {HTTP2_FRAME_GOAWAY, 0, 1, "abcdefgh", 8},
        {HTTP2_FRAME_WINDOW_UPDATE, 0, 1, "abc", 3},   {HTTP2_FRAME_CONTINUATION, 4, 1, "\x82", 1},
        {HTTP2_FRAME_PUSH_PROMISE, 4, 1, "\0\0\0", 3},
    };

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        begin(&stream, true);
        put_frame(&stream, frames[i].type, frames[i].flags, frames[i].stream, frames[i].payload,
                  frames[i].length);
        put_block(&stream, 0, 3, "82 84");
        expect(true, &stream, "broken;");
    }
    for (__u32 other = 0; other < 2; other++) { /* a header block is in one piece */
        begin(&stream, true);
        put_frame(&stream, HTTP2_FRAME_HEADERS, 0, 1, "\x82", 1);
        if (other)
            put_frame(&stream, HTTP2_FRAME_PING, 0, 0, "abcdefgh", 8);
        else
            put_frame(&stream, HTTP2_FRAME_CONTINUATION, HTTP2_END_HEADERS, 3, "\x84", 1);
        expect(true, &stream, "broken;");
    }
    stream.length = 0;
    put(&stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
    put_block(&stream, 0, 1, "82 84");
    expect(true, &stream, "broken;");
    stream.length = 0; /* a preface, but no SETTINGS */
    put(&stream, PREFACE, strlen(PREFACE));
    put_block(&stream, 0, 1, "82 84");
    expect(true, &stream, "broken;");
    stream.length = 0;
    put(&stream, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    expect(false, &stream, "broken;");
}

/* ---- against nghttp2 ------------------------------------------------------------------------ */

static unsigned int seed;

static size_t any(size_t n)
{
    return (size_t)rand_r(&seed) % n;
}

/* What the encoders below were given, in the order of the streams. */
struct sent {
    struct reference_block blocks[1024];
    size_t count;
    size_t told;
    bool wrong;
};

static void compare_block(struct seen *s, enum http2_event event, void *context)
{
    struct sent *sent = context;

    if (event == HTTP2_REQUEST || event == HTTP2_RESPONSE || event == HTTP2_INTERIM ||
        event == HTTP2_TRAILERS) {
        if (sent->told >= sent->count || !reference_equal(&sent->blocks[sent->told++], &s->parser))
            sent->wrong = true;
    } else if (event != HTTP2_MORE) {
        sent->wrong = true;
    }
}

static struct sent sent;

static void compare_begin(bool request, unsigned int from)
{
    see_begin(request);
    begin(&stream, request);
    feed(&seen, stream.at, stream.length);
    seen.told = compare_block;
    seen.context = &sent;
    memset(&sent, 0, sizeof(sent));
    block.length = 0;
    seed = from;
    headers_on = from & 2;
    headers_rows = from & 4 ? 15 : 5;
}

/* Random headers, of which some come again and again. */
static char texts[16][300];

static nghttp2_nv any_header(bool request, size_t i)
{
    static const char *const names[] = {
        "grpc-status", "content-type", "cookie",      "date",       "x-tenant", "user-agent",
        "x-feature",   ":path",        "x-tenant-id", ":authority", "host",     "accept-encoding"};
    static const char *const methods[] = {"GET", "POST", "PUT", "HEAD", "PATCH", "LIST"};
    static const char *const types[] = {"application/grpc", "application/grpc+proto", "text/html",
                                        "application/grpcs", "application/json"};
    static const char *const values[] = {"",       "acme",          " acme\t",
                                         "a  b c", "gzip, deflate", "m\xc3\xbcller"};
    const char *name = names[any(12)];
    char *value = texts[i];
    nghttp2_nv nv = {.value = (__u8 *)value, .flags = NGHTTP2_NV_FLAG_NONE};

    if (i == 0)
        name = request ? ":method" : ":status";
    if (i == 1 && request)
        name = ":path";
    if (!strcmp(name, ":method"))
        (void)snprintf(value, sizeof(texts[0]), "%s", methods[any(6)]);
    else if (!strcmp(name, ":status"))
        (void)snprintf(value, sizeof(texts[0]), "%zu", any(2) ? 200 : 100 + any(50) * 10 + any(3));
    else if (!strcmp(name, "grpc-status"))
        (void)snprintf(value, sizeof(texts[0]), "%zu", any(18));
    else if (!strcmp(name, "content-type"))
        (void)snprintf(value, sizeof(texts[0]), "%s", types[any(5)]);
    else if (!strcmp(name, ":path"))
        (void)snprintf(value, sizeof(texts[0]), "/%s/%zu%s", any(2) ? "users" : "v1/Orders<>",
                       any(5), any(3) ? "" : "/list?page=1&of=10");
    else if (any(4) == 0)
        (void)snprintf(value, sizeof(texts[0]), "%s", values[any(6)]);
    else
        (void)snprintf(value, sizeof(texts[0]), "%zu-%.*s", any(8), (int)any(120),
                       "abcdefghijklmnopqrstuvwxyz0123456789~{}|ABCDEFGHIJKLMNOPQRSTUVWXYZ~~~~~~~~"
                       "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~");
    if (any(9) == 0)
        nv.flags = NGHTTP2_NV_FLAG_NO_INDEX;
    nv.name = (__u8 *)name;
    nv.namelen = strlen(name);
    nv.valuelen = strlen(value);
    return nv;
}

/* Sends `block` as a HEADERS frame with padding and CONTINUATIONs, in random pieces. */
static void send_block(__u32 id)
{
    size_t at = 0, size, i;
    bool first = true, last = false;

    stream.length = 0;
    while (!last) {
        static __u8 payload[70000];
        __u8 padding = (__u8)(any(4) ? 0 : any(20));
        size_t n = 0;

        size = any(3) ? block.length - at : any(block.length - at + 1);
        last = at + size == block.length;
        if (first && padding)
            payload[n++] = padding;
        memcpy(payload + n, block.at + at, size);
        n += size;
        if (first && padding) {
            memset(payload + n, 0x82, padding);
            n += padding;
        }
        put_frame(&stream, first ? HTTP2_FRAME_HEADERS : HTTP2_FRAME_CONTINUATION,
                  (last ? HTTP2_END_HEADERS : 0) | (first && padding ? HTTP2_PADDED : 0), id,
                  payload, n);
        first = false;
        at += size;
    }
    block.length = 0;
    for (i = 0; i < stream.length; i += size) {
        size = any(2) ? stream.length - i : 1 + any(stream.length - i);
        feed(&seen, stream.at + i, size);
    }
}

static void blocks_of_nghttp2_are_understood(void)
{
    for (unsigned int round = 0; round < 40; round++) {
        nghttp2_hd_deflater *deflater;
        nghttp2_hd_inflater *inflater;
        bool request = round & 1;

        CU_ASSERT_FATAL(!nghttp2_hd_deflate_new(&deflater, 1 << 16));
        CU_ASSERT_FATAL(!nghttp2_hd_inflate_new(&inflater));
        CU_ASSERT_FATAL(!nghttp2_hd_inflate_change_table_size(inflater, 1 << 16));
        compare_begin(request, round);
        for (__u32 i = 0; i < 500 && !sent.wrong; i++) {
            nghttp2_nv nv[16], out;
            size_t headers = 1 + request + any(13), at = 0;
            int flags = 0;

            for (size_t k = 0; k < headers; k++) {
                nv[k] = any_header(request, k);
                reference_add(&sent.blocks[sent.count], &nv[k], request);
            }
            sent.count++;
            if (any(10) == 0)
                CU_ASSERT(!nghttp2_hd_deflate_change_table_size(deflater,
                                                                any(3) ? any(400) : any(1 << 14)));
            block.length =
                (size_t)nghttp2_hd_deflate_hd(deflater, block.at, sizeof(block.at), nv, headers);
            while (at < block.length || !(flags & NGHTTP2_HD_INFLATE_FINAL)) {
                ssize_t n = nghttp2_hd_inflate_hd2(inflater, &out, &flags, block.at + at,
                                                   block.length - at, 1);

                CU_ASSERT_FATAL(n >= 0);
                at += (size_t)n;
            }
            (void)nghttp2_hd_inflate_end_headers(inflater);
            send_block(i * 2 + 1);
            if (!reference_same_table(&seen.parser.hpack, inflater, request))
                sent.wrong = true;
        }
        CU_ASSERT_FALSE(sent.wrong);
        CU_ASSERT_FALSE(seen.stuck);
        CU_ASSERT_EQUAL(sent.told, 500);
        nghttp2_hd_deflate_del(deflater);
        nghttp2_hd_inflate_del(inflater);
    }
    headers_on = false;
}

/* nghttp2 chooses how it writes a header. Here, every choice that the RFC leaves is taken: any
 * index that stands for the header or its name, any of the literals, Huffman-coded or not, values
 * that do not fit into the table. nghttp2 decodes it and says what it is. */
static void put_any_field(nghttp2_hd_inflater *inflater, bool request, size_t i)
{
    static const __u8 how[] = {0x40, 0x40, 0x40, 0x00, 0x10};
    static const __u8 masks[] = {0x3f, 0x3f, 0x3f, 0x0f, 0x0f};
    size_t entries = nghttp2_hd_inflate_get_num_table_entries(inflater), index, k = any(5);
    nghttp2_nv nv = any_header(request, i);

    /* a field of the table as it was before this block; what the block changed makes it another */
    index = any(3) && entries > 61 ? 62 + any(entries - 61) : 1 + any(61);
    if (i > 1 && any(3) == 0) {
        put_integer(&block, 0x80, 0x7f, index);
        return;
    }
    if (any(3) == 0 && i > 1) {
        put_integer(&block, how[k], masks[k], index);
    } else {
        put_integer(&block, how[k], masks[k], 0);
        put_string(&block, nv.name, nv.namelen, any(2));
    }
    if (any(60) == 0) {
        static char large[5000];
        size_t length = any(sizeof(large));

        memset(large, 'a' + (int)any(26), length);
        put_string(&block, large, length, any(2));
    } else {
        put_string(&block, nv.value, nv.valuelen, any(2));
    }
}

static void every_way_to_write_a_header_is_understood(void)
{
    size_t blocks = 0;

    for (unsigned int round = 0; round < 60; round++) {
        nghttp2_hd_inflater *inflater;
        bool request = round & 1;

        CU_ASSERT_FATAL(!nghttp2_hd_inflate_new(&inflater));
        CU_ASSERT_FATAL(!nghttp2_hd_inflate_change_table_size(inflater, 1 << 16));
        compare_begin(request, round);
        for (__u32 i = 0; i < 400 && !sent.wrong; i++) {
            struct reference_block *said = &sent.blocks[sent.count];
            size_t headers = 1 + request + any(13), at = 0;
            int flags = 0;
            ssize_t n = 0;

            if (any(20) == 0)
                put_integer(&block, 0x20, 0x1f, any(3) ? any(300) : any(20000));
            for (size_t k = 0; k < headers; k++)
                put_any_field(inflater, request, k);
            while (n >= 0 && (at < block.length || !(flags & NGHTTP2_HD_INFLATE_FINAL))) {
                nghttp2_nv nv;

                n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, block.at + at, block.length - at,
                                           1);
                at += n > 0 ? (size_t)n : 0;
                if (n >= 0 && flags & NGHTTP2_HD_INFLATE_EMIT)
                    reference_add(said, &nv, request);
            }
            if (n < 0) /* an index that the block itself has made too large */
                break;
            sent.count++;
            (void)nghttp2_hd_inflate_end_headers(inflater);
            send_block(i * 2 + 1);
            if (!reference_same_table(&seen.parser.hpack, inflater, request))
                sent.wrong = true;
        }
        CU_ASSERT_FALSE(sent.wrong);
        CU_ASSERT_FALSE(seen.stuck);
        CU_ASSERT_EQUAL(sent.told, sent.count);
        blocks += sent.count;
        nghttp2_hd_inflate_del(inflater);
    }
    CU_ASSERT(blocks > 1000);
    headers_on = false;
}

/* Two nghttp2 sessions that talk to each other, and what went each way. */
struct talk {
    nghttp2_session *client, *server;
    struct bytes from_client, from_server;
};

static struct talk talk;

static void talk_on(void)
{
    for (bool more = true; more;) {
        const __u8 *data;
        ssize_t n;

        more = false;
        while ((n = nghttp2_session_mem_send(talk.client, &data)) > 0) {
            put(&talk.from_client, data, (size_t)n);
            if (nghttp2_session_mem_recv(talk.server, data, (size_t)n) != n)
                CU_FAIL("the server does not understand the client");
            more = true;
        }
        while ((n = nghttp2_session_mem_send(talk.server, &data)) > 0) {
            put(&talk.from_server, data, (size_t)n);
            if (nghttp2_session_mem_recv(talk.client, data, (size_t)n) != n)
                CU_FAIL("the client does not understand the server");
            more = true;
        }
    }
}

static ssize_t pad(nghttp2_session *session, const nghttp2_frame *frame, size_t max, void *context)
{
    size_t padded = frame->hd.length + frame->hd.stream_id % 7;

    return (ssize_t)(padded < max ? padded : max);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, __u8 *to, size_t room, __u32 *flags,
                         nghttp2_data_source *source, void *context)
{
    size_t *left = source->ptr, n = *left < room ? *left : room;

    memset(to, 0, n);
    *left -= n;
    if (!*left) {
        *flags = NGHTTP2_DATA_FLAG_EOF;
        if (context == (void *)1 && session == talk.server)
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM; /* trailers follow */
    }
    return (ssize_t)n;
}

#define NV(n, v)                                                                                   \
    {                                                                                              \
        (__u8 *)(n), (__u8 *)(v), sizeof(n) - 1, sizeof(v) - 1, NGHTTP2_NV_FLAG_NONE               \
    }

static void a_conversation_between_nghttp2_s_is_understood(void)
{
    static const nghttp2_nv get[] = {NV(":method", "GET"), NV(":scheme", "http"),
                                     NV(":authority", "front:8080"), NV(":path", "/items/17?x"),
                                     NV("user-agent", "nghttp2")};
    static const nghttp2_nv call[] = {NV(":method", "POST"),
                                      NV(":scheme", "http"),
                                      NV(":authority", "front:8080"),
                                      NV(":path", "/shop.Cart/Add"),
                                      NV("content-type", "application/grpc"),
                                      NV("te", "trailers")};
    static const nghttp2_nv hints[] = {NV(":status", "103"), NV("link", "</a.css>")};
    static const nghttp2_nv ok[] = {NV(":status", "200"), NV("server", "test")};
    static const nghttp2_nv grpc_ok[] = {NV(":status", "200"),
                                         NV("content-type", "application/grpc")};
    static const nghttp2_nv missing[] = {NV(":status", "404")};
    static const nghttp2_nv trailers[] = {NV("grpc-status", "5"), NV("grpc-message", "no")};
    static const nghttp2_settings_entry small[] = {{NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 100}};
    size_t body = 30000, reply = 100, message = 7;
    nghttp2_data_provider body_source = {{.ptr = &body}, read_body};
    nghttp2_data_provider reply_source = {{.ptr = &reply}, read_body};
    nghttp2_data_provider message_source = {{.ptr = &message}, read_body};
    nghttp2_priority_spec weight;
    nghttp2_session_callbacks *callbacks;

    CU_ASSERT_FATAL(!nghttp2_session_callbacks_new(&callbacks));
    nghttp2_session_callbacks_set_select_padding_callback(callbacks, pad);
    CU_ASSERT_FATAL(!nghttp2_session_client_new(&talk.client, callbacks, NULL));
    CU_ASSERT_FATAL(!nghttp2_session_server_new(&talk.server, callbacks, (void *)1));
    nghttp2_session_callbacks_del(callbacks);
    talk.from_client.length = talk.from_server.length = 0;
    nghttp2_priority_spec_init(&weight, 0, 200, 0);

    nghttp2_submit_settings(talk.client, 0, NULL, 0);
    nghttp2_submit_settings(talk.server, 0, small, 1);
    nghttp2_submit_request(talk.client, &weight, get, 5, NULL, NULL);       /* 1 */
    nghttp2_submit_request(talk.client, NULL, call, 6, &body_source, NULL); /* 3 */
    talk_on();
    nghttp2_submit_headers(talk.server, 0, 1, NULL, hints, 2, NULL);
    nghttp2_submit_headers(talk.server, 0, 1, NULL, ok, 2, NULL);
    talk_on();
    nghttp2_submit_rst_stream(talk.server, 0, 1, NGHTTP2_INTERNAL_ERROR);
    nghttp2_submit_push_promise(talk.server, 0, 3, get, 4, NULL); /* 2 */
    nghttp2_submit_response(talk.server, 3, grpc_ok, 2, &message_source);
    talk_on();
    nghttp2_submit_trailer(talk.server, 3, trailers, 2);
    nghttp2_submit_response(talk.server, 2, ok, 2, &reply_source);
    nghttp2_submit_ping(talk.client, 0, NULL);
    nghttp2_submit_request(talk.client, NULL, get, 5, NULL, NULL); /* 5 */
    talk_on();
    nghttp2_submit_response(talk.server, 5, missing, 1, NULL);
    nghttp2_submit_request(talk.client, NULL, get, 4, NULL, NULL); /* 7 */
    talk_on();
    nghttp2_submit_rst_stream(talk.client, 0, 7, NGHTTP2_CANCEL);
    nghttp2_submit_goaway(talk.server, 0, 7, NGHTTP2_NO_ERROR, (const __u8 *)"bye", 3);
    talk_on();
    nghttp2_session_del(talk.client);
    nghttp2_session_del(talk.server);

    expect(true, &talk.from_client,
           "1:GET /items/{id}.;3:POST /shop.Cart/Add+grpc;"
           "3:16384;3:13619.;5:GET /items/{id}.;7:GET /items/{id}.;7:reset;");
    expect(false, &talk.from_server,
           "1:103!;1:200;1:reset;3:200+grpc;3:10;3:trailers 5.;5:404.;goaway;");
}

/* Not a fuzzer (that is tests/fuzz), but enough to see that nothing stops the parser or makes it
 * read or write out of bounds under the sanitizers. */
static void random_bytes_do_no_harm(void)
{
    seed = 11;
    for (int round = 0; round < 20000; round++) {
        __u8 bytes[400];
        size_t n = any(sizeof(bytes));

        for (size_t i = 0; i < n; i++) /* small numbers: lengths, types, flags */
            bytes[i] = (__u8)(any(4) ? any(10) : any(256));
        see_begin(round & 1);
        begin(&stream, round & 1);
        feed(&seen, stream.at, stream.length);
        feed(&seen, bytes, n / 2);
        feed(&seen, bytes + n / 2, n - n / 2);
        CU_ASSERT_FALSE(seen.stuck);
    }
}

SUITE(http2) = {TEST(the_requests_of_rfc_7541_appendix_c_are_understood),
                TEST(the_responses_of_rfc_7541_appendix_c_are_understood),
                TEST(the_static_table_is_that_of_the_rfc),
                TEST(what_matters_is_known_in_every_form),
                TEST(paths_are_decoded_and_folded),
                TEST(every_byte_is_decoded_as_nghttp2_does),
                TEST(a_path_is_decoded_once_for_each_instance),
                TEST(a_path_of_16_kib_is_one_request),
                TEST(broken_header_blocks_are_told),
                TEST(integers_may_be_longer_than_they_must),
                TEST(entries_enter_the_table_only_if_they_fit),
                TEST(what_a_large_table_holds_beyond_the_ring_is_unknown),
                TEST(what_was_inserted_before_a_join_is_unknown),
                TEST(named_headers_are_found_in_every_form),
                TEST(named_headers_are_found_by_names_of_the_static_table),
                TEST(the_agent_knows_the_names_of_the_static_table),
                TEST(values_are_those_of_http_1),
                TEST(headers_that_look_alike_are_others),
                TEST(a_long_value_is_one_value),
                TEST(headers_follow_the_table_they_are_in),
                TEST(no_header_is_counted_by_the_name_of_another),
                TEST(frames_of_every_type_are_passed),
                TEST(padding_and_priority_are_no_part_of_a_header_block),
                TEST(header_blocks_may_be_cut_anywhere),
                TEST(pushed_streams_are_nobodys_requests),
                TEST(responses_interims_and_trailers_are_told_apart),
                TEST(what_is_not_http_2_is_left_alone),
                TEST(blocks_of_nghttp2_are_understood),
                TEST(every_way_to_write_a_header_is_understood),
                TEST(a_conversation_between_nghttp2_s_is_understood),
                TEST(random_bytes_do_no_harm),
                {0}};
