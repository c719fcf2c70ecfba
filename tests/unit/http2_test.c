/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel side's HTTP/2 parser, the same lines compiled for the host: frames, and nghttp2. */
#include "tests/unit/http2_world.h"

#include <stdlib.h>

/* ---- frames --------------------------------------------------------------------------------- */

static void frames_of_every_type_are_passed(void)
{
    static __u8 payload[300];

    /* payloads that would be frames, were they looked at */
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = "\0\0\1\1\5\0\0\0\1\x82"[i % 10];
    put_preface(&stream, true);
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

    put_preface(&stream, true);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | HTTP2_PADDED, 1, padded, 6);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | HTTP2_WEIGHTED, 3, weighted, 7);
    put_frame(&stream, HTTP2_FRAME_HEADERS,
              HTTP2_END_HEADERS | HTTP2_WEIGHTED | HTTP2_PADDED | HTTP2_END_STREAM, 5, both, 10);
    put_frame(&stream, HTTP2_FRAME_DATA, HTTP2_PADDED | HTTP2_END_STREAM, 1, padded, 6);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_PADDED, 7, none, 5); /* and all in CONTINUATION */
    put_frame(&stream, HTTP2_FRAME_CONTINUATION, HTTP2_END_HEADERS | HTTP2_PADDED, 7, "\x82\x84",
              2);
    expect(true, &stream, "1:GET /;3:POST /;5:POST /.;1:6.;7:GET /;");
    put_preface(&stream, true);
    put_frame(&stream, HTTP2_FRAME_HEADERS, HTTP2_END_HEADERS | HTTP2_PADDED, 1, "\6\x82\x84", 3);
    expect(true, &stream, "broken;");
    put_preface(&stream, true);
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
        put_preface(&stream, true);
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
    put_preface(&stream, false);
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
    put_preface(&stream, false);
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
        put_preface(&stream, true);
        put_frame(&stream, frames[i].type, frames[i].flags, frames[i].stream, frames[i].payload,
                  frames[i].length);
        put_block(&stream, 0, 3, "82 84");
        expect(true, &stream, "broken;");
    }
    for (__u32 other = 0; other < 2; other++) { /* a header block is in one piece */
        put_preface(&stream, true);
        put_frame(&stream, HTTP2_FRAME_HEADERS, 0, 1, "\x82", 1);
        if (other)
            put_frame(&stream, HTTP2_FRAME_PING, 0, 0, "abcdefgh", 8);
        else
            put_frame(&stream, HTTP2_FRAME_CONTINUATION, HTTP2_END_HEADERS, 3, "\x84", 1);
        expect(true, &stream, "broken;");
    }
    stream.length = 0;
    put_bytes(&stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
    put_block(&stream, 0, 1, "82 84");
    expect(true, &stream, "broken;");
    stream.length = 0; /* a preface, but no SETTINGS */
    put_bytes(&stream, PREFACE, strlen(PREFACE));
    put_block(&stream, 0, 1, "82 84");
    expect(true, &stream, "broken;");
    stream.length = 0;
    put_bytes(&stream, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
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
    put_preface(&stream, request);
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
            put_bytes(&talk.from_client, data, (size_t)n);
            if (nghttp2_session_mem_recv(talk.server, data, (size_t)n) != n)
                CU_FAIL("the server does not understand the client");
            more = true;
        }
        while ((n = nghttp2_session_mem_send(talk.server, &data)) > 0) {
            put_bytes(&talk.from_server, data, (size_t)n);
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
        put_preface(&stream, round & 1);
        feed(&seen, stream.at, stream.length);
        feed(&seen, bytes, n / 2);
        feed(&seen, bytes + n / 2, n - n / 2);
        CU_ASSERT_FALSE(seen.stuck);
    }
}

SUITE(http2) = {TEST(frames_of_every_type_are_passed),
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
