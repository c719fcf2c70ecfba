/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel side's HPACK decoder, the same lines compiled for the host, against RFC 7541's
 * examples and nghttp2. */
#include "tests/unit/http2_world.h"

/* Whole header blocks of one connection, in hex, and what they say. */
static void expect_blocks(bool request, const char *const *blocks, const char *expected)
{
    put_preface(&stream, request);
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
                put_preface(&stream, request);
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
            put_preface(&stream, true);
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
    for (int c = 0; c < 256; c++) {
        const struct huffman_code *code = huffman_code((__u8)c);
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
        put_preface(&stream, true);
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
    put_preface(&stream, true);
    put_block(&stream, 0, 1, "82 04 82 60 63");
    put_block(&stream, 0, 3, "82 04 02 60 63");
    feed(&seen, stream.at, stream.length);
    (void)see_is("1:GET /aa;3:GET /;", "coded and not", 0);
    /* what comes behind a '?' is another path only where it is Huffman-coded */
    see_begin(true);
    put_preface(&stream, true);
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
        put_preface(&stream, true);
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

        put_preface(&stream, true);
        put_block(&stream, 0, 1, "82 84");
        put_block(&stream, 0, 3, blocks[i]);
        put_block(&stream, 0, 5, "82 84"); /* nothing is guessed of what follows */
        expect(true, &stream, expected);
    }
}

static void integers_may_be_longer_than_they_must(void)
{
    put_preface(&stream, true);
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
            put_preface(&stream, true);
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
    put_preface(&stream, true); /* what is too large takes all others along */
    block.length = 0;
    put_integer(&block, 0x20, 0x1f, 60);
    put_byte(&block, 0x82);
    put_byte(&block, 0x44);
    put_string(&block, "/a", 2, false);
    put_literal(&block, 0x40, "x", false, "abcdefghijklmnopqrstuvwxyzabcdefg", false);
    put_headers(&stream, 1);
    put_block(&stream, 0, 3, "82 be");
    expect(true, &stream, "1:GET /a;broken;");
    put_preface(&stream, true); /* a name of 11 bytes, in 8: it is measured, too */
    block.length = 0;
    put_integer(&block, 0x20, 0x1f, 44);
    put_literal(&block, 0x40, "grpc-status", true, "12", false);
    put_headers(&stream, 1);
    put_byte(&block, 0x82);
    put_byte(&block, 0xbe);
    put_headers(&stream, 3);
    expect(true, &stream, "1:trailers 12;broken;");
    put_preface(&stream, true);
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
    put_preface(&stream, true);
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

SUITE(hpack) = {TEST(the_requests_of_rfc_7541_appendix_c_are_understood),
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
                {0}};
