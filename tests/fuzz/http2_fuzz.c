/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: bpf/http2.h and bpf/hpack.h against nghttp2's HPACK decoder.
 *
 * The first byte of the input chooses what the rest is:
 *   header blocks of one connection. What nghttp2 accepts must mean the same to us, however it is
 *   cut into frames and segments, and leave the same table; what it rejects must do no harm;
 *   a connection as it is. It must mean the same whole and in pieces;
 * and whether headers are looked for that policies name.
 */
#include "tests/unit/http2_reference.h"
#include "tests/fuzz/input.h"

static struct seen seen, whole;

static void feed_in_pieces(const __u8 *bytes, size_t length)
{
    for (size_t at = 0, n; at < length; at += n) {
        n = choose_piece(length - at);
        feed(&seen, bytes + at, n);
    }
    REQUIRE(!seen.stuck);
}

static size_t frame(__u8 *to, __u8 type, __u8 flags, __u32 id, const __u8 *payload, size_t length)
{
    const __u8 header[9] = {0, (__u8)(length >> 8), (__u8)length,    type,    flags,
                            0, (__u8)(id >> 16),    (__u8)(id >> 8), (__u8)id};

    memcpy(to, header, 9);
    if (length)
        memcpy(to + 9, payload, length);
    return 9 + length;
}

/* A header block in HEADERS and CONTINUATION frames. */
static void feed_block(const __u8 *block, size_t length, __u32 id)
{
    static __u8 frames[1 << 16];
    size_t n = 0, at = 0, size;
    bool last;

    do {
        size = choose(2) || n > sizeof(frames) / 2 ? length - at : choose(length - at + 1);
        last = at + size == length;
        n += frame(frames + n, n ? HTTP2_FRAME_CONTINUATION : HTTP2_FRAME_HEADERS,
                   last ? HTTP2_END_HEADERS : 0, id, block + at, size);
        at += size;
    } while (!last);
    feed_in_pieces(frames, n);
}

static void compare(bool request)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    nghttp2_hd_inflater *inflater;
    const __u8 *at = input, *end = input + input_length;

    REQUIRE(!nghttp2_hd_inflate_new(&inflater));
    REQUIRE(!nghttp2_hd_inflate_change_table_size(inflater, 1 << 20));
    feed_in_pieces((const __u8 *)start + (request ? 0 : 24), request ? 33 : 9);
    for (__u32 id = 1; at < end; id += 2) {
        struct reference_block said = {};
        size_t length = *at++, done = 0;
        int flags = 0;
        ssize_t n = 0;

        length = length < 0xf0 ? length : (length - 0xef) * 200; /* some are long */
        if (length > (size_t)(end - at))
            length = (size_t)(end - at);
        while (n >= 0 && (done < length || !(flags & NGHTTP2_HD_INFLATE_FINAL))) {
            nghttp2_nv nv;

            n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, at + done, length - done, 1);
            done += n > 0 ? (size_t)n : 0;
            if (n >= 0 && flags & NGHTTP2_HD_INFLATE_EMIT)
                reference_add(&said, &nv, request);
        }
        feed_block(at, length, id);
        if (n < 0)
            break;
        (void)nghttp2_hd_inflate_end_headers(inflater);
        REQUIRE(seen.parser.phase == HTTP2_HEADER && seen.parser.stream == id);
        if (!http2_has(&seen.parser, HPACK_UNKNOWN))
            REQUIRE(reference_equal(&said, &seen.parser));
        else
            REQUIRE(seen.parser.hpack.lost);
        REQUIRE(reference_same_table(&seen.parser.hpack, inflater, request));
        at += length;
    }
    nghttp2_hd_inflate_del(inflater);
}

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t length);

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t length)
{
    bool request;

    if (!length || length > 8000)
        return 0;
    request = bytes[0] & 1;
    input_begin(bytes + 1, length - 1);
    headers_on = headers_rows = bytes[0] & 8 ? 15 : 0;
    memset(route_cache, 0, sizeof(route_cache));
    memset(&seen, 0, offsetof(struct seen, text) + 1);
    seen.request = request;
    if (!(bytes[0] & 2)) {
        compare(request);
        return 0;
    }
    memset(&whole, 0, offsetof(struct seen, text) + 1);
    whole.request = request;
    if (bytes[0] & 4) { /* spares the fuzzer the finding of a preface */
        http2_join(&seen.parser);
        whole.parser = seen.parser;
    }
    feed(&whole, input, input_length);
    REQUIRE(!whole.stuck);
    feed_in_pieces(input, input_length);
    REQUIRE(!strcmp(whole.text, seen.text));
    REQUIRE(whole.parser.data_bytes == seen.parser.data_bytes);
    return 0;
}
