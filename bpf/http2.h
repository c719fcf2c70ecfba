/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HTTP/2 (RFC 9113) as a resumable parser: one struct http2 for each direction of a connection, fed
 * with whatever bytes come, split anywhere. Every header block is decoded (bpf/hpack.h), as each
 * depends on those before it; of all other frames only the header is looked at.
 *
 * Nothing is parsed byte by byte. Frame headers and the short parts of a header block are taken
 * whole; where one is cut by the end of a packet, of a chunk or of a frame, what is there of it
 * (less than 24 bytes) is carried over and put before what comes next.
 *
 * The parser runs until something happened that its caller has to know of (an event), to the end of
 * a frame, or for a while. Where it stands is kept in memory, not in registers: so each step is
 * like the one before for the verifier. Streams are kept by the caller. A direction starts with the
 * client's preface, or with the server's first SETTINGS: where a connection begins, or after an
 * HTTP/1.1 101 (h2c). Zeroes are a fresh connection.
 */
#pragma once

#include "bpf/hpack.h"

#define HTTP2_STEPS 12 /* through a header block, that are taken in one go */
#define HTTP2_CARRY 24U

enum http2_phase {
    HTTP2_START = 0,
    HTTP2_FIRST,  /* before the first frame, which is SETTINGS (section 3.4) */
    HTTP2_HEADER, /* before a frame */
    HTTP2_BLOCK,  /* in a fragment of a header block */
    /* from here on, bytes are passed over without looking at them */
    HTTP2_PASS,
    HTTP2_BODY,   /* of DATA */
    HTTP2_OPAQUE, /* not HTTP/2 (any more): nothing is counted here */
};

enum http2_frame_type { /* section 6 */
                        HTTP2_FRAME_DATA = 0,
                        HTTP2_FRAME_HEADERS,
                        HTTP2_FRAME_PRIORITY,
                        HTTP2_FRAME_RST_STREAM,
                        HTTP2_FRAME_SETTINGS,
                        HTTP2_FRAME_PUSH_PROMISE,
                        HTTP2_FRAME_PING,
                        HTTP2_FRAME_GOAWAY,
                        HTTP2_FRAME_WINDOW_UPDATE,
                        HTTP2_FRAME_CONTINUATION,
};

enum {
    HTTP2_END_STREAM = 0x01,
    HTTP2_END_HEADERS = 0x04,
    HTTP2_PADDED = 0x08,
    HTTP2_WEIGHTED = 0x20
};

/* The beginning of what was cut, at the end of three words. */
struct http2_carry {
    __u64 words[HTTP2_CARRY / 8];
};

struct http2 {
    __u64 data_bytes;  /* payload of DATA so far, padding included (as flow control has it, 6.9) */
    __u32 left;        /* of the payload that is being read, or passed over */
    __u32 stream;      /* of the frame, and of an event */
    __u32 last_stream; /* highest that a request came on */
    __u32 data_length; /* payload of the DATA frame that HTTP2_DATA or HTTP2_END is about */
    __u8 phase;
    __u8 block;       /* type of the frame that opened a header block, 0 where none is open */
    __u8 end_headers; /* the fragment is the block's last */
    __u8 end_stream;  /* the header block's or DATA frame's sender sends no more */
    __u8 padding;     /* behind the fragment */
    __u8 head_carried;
    __u8 text_carried;
    __u8 pad;
    struct hpack hpack;
    struct http2_carry head; /* of a preface or frame header */
    struct http2_carry text; /* of a header block; there may be both */
};

enum http2_event {
    HTTP2_MORE = 0, /* nothing yet; call again while there are bytes */
    /* Of `stream`, with `end_stream`, and what http2_has() and http2_value() tell: */
    HTTP2_REQUEST,  /* method, path, content type */
    HTTP2_RESPONSE, /* status, content type, perhaps gRPC status (trailers only) */
    HTTP2_INTERIM,  /* status 1xx */
    HTTP2_TRAILERS, /* perhaps gRPC status */
    /* Of `stream`, with `data_length`: */
    HTTP2_DATA, /* a DATA frame has passed */
    HTTP2_END,  /* likewise, the stream's last */
    /* Of `stream`: */
    HTTP2_RESET,
    /* Of the connection: */
    HTTP2_GOAWAY,
    HTTP2_BROKEN, /* this is not HTTP/2 (any more), everything that follows is passed over */
};

static __always_inline bool http2_has(const struct http2 *h, enum hpack_kind kind)
{
    return h->hpack.seen >> kind & 1;
}

/* 0 for what the header block does not have. */
static __always_inline __u32 http2_value(const struct http2 *h, enum hpack_kind kind)
{
    return h->hpack.value[kind];
}

/* Joins a connection in mid-stream, where a frame begins. */
static __always_inline void http2_join(struct http2 *h)
{
    h->phase = HTTP2_HEADER;
    h->hpack.max_size = HPACK_MAX_SIZE;
    h->hpack.lost = 1;
}

/* Are these nine bytes the header of a HEADERS frame? Asked when nothing is known of the stream. */
static __always_inline bool http2_begins_headers(const __u8 *b)
{
    __u64 w = load_word(b);
    __u32 length = __builtin_bswap32((__u32)w) >> 8;
    __u8 flags = w >> 32,
         known = HTTP2_END_STREAM | HTTP2_END_HEADERS | HTTP2_PADDED | HTTP2_WEIGHTED;

    return (__u8)(w >> 24) == HTTP2_FRAME_HEADERS && length && length <= 16384 &&
           !(flags & ~known) && (flags & HTTP2_END_HEADERS) && !(b[5] & 0x80) && (b[8] & 1);
}

/* Keeps what lies before @pos. */
static __always_inline void http2_carry(struct http2_carry *carry, const struct http2_chunk *chunk,
                                        __u32 pos)
{
    for (__u32 i = 0; i < HTTP2_CARRY / 8; i++)
        carry->words[i] = hpack_load(chunk->buf, pos - HTTP2_CARRY + i * 8);
}

static __always_inline void http2_store(void *to, __u64 w)
{
#ifdef __bpf__
    *(__u64 *)to = w;
#else
    __builtin_memcpy(to, &w, sizeof(w));
#endif
}

/* Puts it before @pos, in the place of what has been parsed. */
static __always_inline void http2_carried(const struct http2_carry *carry,
                                          struct http2_chunk *chunk, __u32 pos)
{
    for (__u32 i = 0; i < HTTP2_CARRY / 8; i++) {
        __u32 at = pos - HTTP2_CARRY + i * 8;

        pmo_opaque(at);
        http2_store(&chunk->buf[at & (HTTP2_BUFFER - 1)], carry->words[i]);
    }
}

static __always_inline bool http2_passes(const struct http2 *h)
{
    return h->phase >= HTTP2_PASS;
}

/* Passes over payload: how many of @available bytes. *event becomes HTTP2_DATA or HTTP2_END where
 * that of a DATA frame ends. */
static __always_inline __u32 http2_pass(struct http2 *h, __u32 available, __u32 *event)
{
    __u32 n = available < h->left ? available : h->left;

    if (h->phase == HTTP2_OPAQUE)
        return available;
    h->left -= n;
    if (h->phase == HTTP2_BODY) {
        h->data_bytes += n;
        if (!h->left && (h->stream & 1))
            *event = h->end_stream ? HTTP2_END : HTTP2_DATA;
    }
    if (!h->left)
        h->phase = HTTP2_HEADER;
    return n;
}

/* Types that belong to a stream, types that belong to the connection, and what their payload's
 * length is where that is fixed and the connection fails otherwise. */
#define HTTP2_OF_STREAM                                                                            \
    (1 << HTTP2_FRAME_DATA | 1 << HTTP2_FRAME_HEADERS | 1 << HTTP2_FRAME_PRIORITY |                \
     1 << HTTP2_FRAME_RST_STREAM | 1 << HTTP2_FRAME_PUSH_PROMISE | 1 << HTTP2_FRAME_CONTINUATION)
#define HTTP2_OF_CONNECTION                                                                        \
    (1 << HTTP2_FRAME_SETTINGS | 1 << HTTP2_FRAME_PING | 1 << HTTP2_FRAME_GOAWAY)

/* A preface, or a frame's header and the fields before its payload proper. */
static __always_inline int http2_head(struct http2 *h, struct http2_chunk *chunk, bool request,
                                      __u32 *event)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    __u32 pos = chunk->pos, available = chunk->end - pos, length, stream, prefix = 0;
    __u64 w = hpack_load(chunk->buf, pos);
    __u8 type = w >> 24, flags = w >> 32, padding = 0;

    if (unlikely(h->phase == HTTP2_START)) {
        if (request && available < HTTP2_CARRY)
            return HPACK_INCOMPLETE;
        h->phase = HTTP2_FIRST;
        h->hpack.max_size = HPACK_MAX_SIZE;
        if (request) {
            chunk->pos = pos + HTTP2_CARRY;
            return w == load_word(preface) &&
                           hpack_load(chunk->buf, pos + 8) == load_word(preface + 8) &&
                           hpack_load(chunk->buf, pos + 16) == load_word(preface + 16)
                       ? 0
                       : HPACK_BROKEN;
        }
    }
    if (available < 9)
        return HPACK_INCOMPLETE;
    length = __builtin_bswap32((__u32)w) >> 8;
    stream = __builtin_bswap32((__u32)hpack_load(chunk->buf, pos + 5)) & 0x7fffffff;
    if (unlikely(h->phase == HTTP2_FIRST && type != HTTP2_FRAME_SETTINGS))
        return HPACK_BROKEN;
    if (unlikely(h->block ? type != HTTP2_FRAME_CONTINUATION || stream != h->stream
                          : type == HTTP2_FRAME_CONTINUATION))
        return HPACK_BROKEN;
    if (type <= HTTP2_FRAME_CONTINUATION &&
        ((stream ? HTTP2_OF_CONNECTION : HTTP2_OF_STREAM) >> type & 1))
        return HPACK_BROKEN;
    if ((type == HTTP2_FRAME_RST_STREAM && length != 4) ||
        (type == HTTP2_FRAME_WINDOW_UPDATE && length != 4) ||
        (type == HTTP2_FRAME_PING && length != 8))
        return HPACK_BROKEN;

    if (type == HTTP2_FRAME_HEADERS)
        prefix = flags & HTTP2_WEIGHTED ? 5 : 0;
    if (type == HTTP2_FRAME_PUSH_PROMISE)
        prefix = 4; /* the promised stream */
    if (flags & HTTP2_PADDED && (type == HTTP2_FRAME_HEADERS || type == HTTP2_FRAME_PUSH_PROMISE)) {
        prefix++;
        padding = hpack_load(chunk->buf, pos + 9);
    }
    if (prefix > length)
        return HPACK_BROKEN;
    if (available < 9 + prefix)
        return HPACK_INCOMPLETE;
    length -= prefix;
    if (padding > length)
        return HPACK_BROKEN;

    chunk->pos = pos + 9 + prefix;
    h->stream = stream;
    h->left = length - padding;
    h->phase = HTTP2_PASS;
    if (type == HTTP2_FRAME_HEADERS || type == HTTP2_FRAME_PUSH_PROMISE) {
        h->block = type;
        h->end_stream = flags & HTTP2_END_STREAM;
        hpack_begin(&h->hpack);
    }
    if (type == HTTP2_FRAME_DATA) {
        h->phase = HTTP2_BODY;
        h->data_length = length;
        h->end_stream = flags & HTTP2_END_STREAM;
    } else if (h->block) {
        h->phase = HTTP2_BLOCK;
        h->end_headers = flags & HTTP2_END_HEADERS;
        h->padding = padding;
    } else if (type == HTTP2_FRAME_RST_STREAM && (stream & 1)) {
        *event = HTTP2_RESET;
    } else if (type == HTTP2_FRAME_GOAWAY) {
        *event = HTTP2_GOAWAY;
    }
    return 0;
}

/* A header block is complete: what is it? What belongs to a stream that the server opened (its
 * number is even) answers nobody's request, and no one is told. */
static __always_inline __u32 http2_block_event(struct http2 *h, bool request)
{
    __u16 status = http2_value(h, HPACK_STATUS);

    if (h->block == HTTP2_FRAME_PUSH_PROMISE || !(h->stream & 1))
        return HTTP2_MORE;
    if (request) { /* each has a higher number than those before it (section 5.1.1) */
        if (h->stream <= h->last_stream ||
            !(http2_has(h, HPACK_METHOD) || http2_has(h, HPACK_UNKNOWN)))
            return HTTP2_TRAILERS;
        h->last_stream = h->stream;
        return HTTP2_REQUEST;
    }
    if (!http2_has(h, HPACK_STATUS))
        return HTTP2_TRAILERS;
    return status >= 100 && status < 200 ? HTTP2_INTERIM : HTTP2_RESPONSE;
}

/* A fragment of a header block is complete. */
static __always_inline int http2_fragment_end(struct http2 *h, bool request, __u32 *event)
{
    if (h->end_headers) {
        if (h->text_carried || h->hpack.phase != HPACK_FIELD)
            return HPACK_BROKEN;
        *event = http2_block_event(h, request);
        h->block = 0;
    }
    h->left = h->padding;
    h->phase = HTTP2_PASS;
    return 0;
}

/* Fields of a fragment of a header block. */
static __always_inline int http2_fragment(struct http2 *h, struct fold *fold,
                                          struct http2_chunk *chunk, bool request, __u32 *event)
{
    __u32 end, before;
    int e = 0;

    if (unlikely(h->text_carried)) {
        http2_carried(&h->text, chunk, chunk->pos);
        chunk->pos -= h->text_carried;
        h->left += h->text_carried;
        h->text_carried = 0;
    }
    before = chunk->pos;
    end = chunk->end - before < h->left ? chunk->end : before + h->left;
    for (int i = 0; i < HTTP2_STEPS && !e && chunk->pos < end; i++)
        e = hpack_step(&h->hpack, fold, chunk, end, request);
    if (unlikely(e == HPACK_BROKEN))
        return e;
    if (unlikely(e == HPACK_INCOMPLETE)) {
        h->text_carried = end - chunk->pos;
        http2_carry(&h->text, chunk, end);
        chunk->pos = end;
    }
    h->left -= chunk->pos - before;
    return h->left ? 0 : http2_fragment_end(h, request, event);
}

/* Parses a chunk from its `pos` on, requests (what a client sends) or responses: up to the end of a
 * frame or an event, or for a while; to be called again while there are bytes. Returns enum
 * http2_event. */
__attribute__((noinline)) int http2_parse(struct http2 *h, struct fold *fold,
                                          struct http2_chunk *chunk, __u32 request)
{
    __u32 event = HTTP2_MORE;
    int e = 0;

    if (!h || !fold || !chunk)
        return HTTP2_MORE;
    if (unlikely(h->head_carried)) {
        http2_carried(&h->head, chunk, chunk->pos);
        chunk->pos -= h->head_carried;
        h->head_carried = 0;
    }
    if (h->phase < HTTP2_BLOCK)
        e = http2_head(h, chunk, request, &event);
    if (unlikely(e == HPACK_INCOMPLETE)) {
        h->head_carried = chunk->end - chunk->pos;
        http2_carry(&h->head, chunk, chunk->end);
        chunk->pos = chunk->end;
        return HTTP2_MORE;
    }
    if (!e && h->phase == HTTP2_BLOCK) {
        if (HEADERS_NAMED)
            hpack_headers_begin(&h->hpack, fold, request);
        e = http2_fragment(h, fold, chunk, request, &event);
    }
    if (unlikely(e)) {
        h->phase = HTTP2_OPAQUE;
        event = HTTP2_BROKEN;
    }
    if (h->phase >= HTTP2_PASS)
        chunk->pos += http2_pass(h, chunk->end - chunk->pos, &event);
    return event;
}
