/* SPDX-License-Identifier: GPL-2.0 */
/*
 * HPACK (RFC 7541) as far as counting needs it, resumable, for one direction of a connection.
 *
 * Five headers matter, so nothing is kept as text: a field is digested at once into its kind and a
 * number (the method, the row of the route, the status), and that is all that the dynamic table
 * holds of it, four bytes an entry.
 *
 * Eviction (section 4) takes entries from the old end of the table, and an index counts from the
 * new end: it never changes what an index means that an encoder may still use. So entries are not
 * evicted at all, the oldest are overwritten. What sizes do decide is whether an entry enters the
 * table or, being too large for it, empties it (4.4): only where the encoded length cannot tell is
 * a string decoded to be measured.
 *
 * Names and short values are compared as they stand: Huffman's code has one encoding for a string.
 * What is decoded is the :path, and that only when the hash of its encoded bytes is not known yet;
 * and what is digested, as it has to be the same as in HTTP/1.
 *
 * Headers that a policy names (bpf/headers.h) are of one more kind. What the table holds of one is
 * its number, and the row of the text that its value is counted under: so a value is digested when
 * it is sent as a string, and that it is sent again as an index costs next to nothing.
 *
 * What is beyond the ring's entries, or was inserted before the connection was joined, has the kind
 * HPACK_UNKNOWN: it is marked, never guessed.
 */
#pragma once

#include "bpf/fold.h"
#include "bpf/hpack_tables.h"
#include "bpf/portable.h"

/* Bytes are looked at in a buffer with some room in front, where the beginning of what a packet or
 * a frame split is put before its end. */
#define HTTP2_BUFFER   512U /* a power of two */
#define HTTP2_HEADROOM 32U
#define HTTP2_CHUNK    (HTTP2_BUFFER - HTTP2_HEADROOM) /* bytes that are loaded in one go */

struct http2_chunk {
    __u32 pos, end; /* in buf: of the bytes that are to be parsed; from HTTP2_HEADROOM on */
    __u8 buf[HTTP2_BUFFER + 8];
};

#define HPACK_RING         256U  /* entries; `head` is a byte and wraps with it */
#define HPACK_MAX_SIZE     4096U /* of the table, before the encoder says otherwise */
#define HPACK_OVERHEAD     32U   /* of an entry, section 4.1 */
#define HPACK_STATIC       62U   /* first index of the dynamic table */
#define HPACK_GZIP         16U   /* "accept-encoding: gzip, deflate" in the static one */
#define HPACK_NAME_MAX     8191U /* a longer name is taken for one of this length */
#define HPACK_NAME_LOST    255U  /* what the name of a lost entry has at most, for all we assume */
#define HPACK_GRPC_UNKNOWN 2U    /* status of gRPC, and what a malformed one is taken for */
#define HPACK_PEEK         17U   /* bytes of a string that decide what it is */
#define HPACK_PATH_WORDS   24
#define HPACK_HASH_SEED    0x2c1b3c6d0f4a8e57ULL

enum hpack_phase {
    HPACK_FIELD = 0, /* at the beginning of a field */
    HPACK_NAME,      /* of a string */
    HPACK_VALUE,
    HPACK_PASS, /* in a string: `left` bytes that do not matter */
    HPACK_DECODE,
};

/* What is to be done with the bytes of a string. */
enum {
    HPACK_HUFFMAN = 1,
    HPACK_COUNT = 2,   /* measure it */
    HPACK_FOLD = 4,    /* fold it, it is a path */
    HPACK_ROUTE = 8,   /* it was, and needs a row */
    HPACK_HEADER = 16, /* digest it: a name that a policy may have, or the value of such a header */
};

struct hpack {
    __u64 hash;     /* of the path that is being read */
    __u64 bits;     /* of a Huffman string, read and not decoded yet; the first is highest */
    __u32 left;     /* bytes of the string that are to come */
    __u32 length;   /* of the string, where that matters */
    __u32 max_size; /* of the table */
    struct hpack_entry field; /* that is being read */
    __u16 value[16];          /* of the header block so far, by kind; from HPACK_NAMED on, one for
                                 each header that is named */
    __u16 known;              /* entries in the ring */
    __u16 seen;               /* those of `value` that the header block has, a bit each */
    __u8 head;                /* where the next entry goes */
    __u8 lost;                /* there may be entries behind those of the ring */
    __u8 phase;
    __u8 string;         /* HPACK_HUFFMAN and so on */
    __u8 bit_count;      /* in `bits` */
    __u8 in_value;       /* the string is a value */
    __u8 insert;         /* the field goes into the table */
    __u8 named;          /* headers that policies name are looked for in the block */
    __u32 headers_epoch; /* of those that are named in the ring */
    struct hpack_entry ring[HPACK_RING];
};

_Static_assert(sizeof(struct hpack) == 80 + HPACK_RING * 4, "no holes");
_Static_assert(HPACK_RING == 1 + (__u8)-1, "the head wraps with the ring");
_Static_assert(PMO_ROUTES_MAX == 1 << HPACK_ROW_BITS, "a row, and");
_Static_assert(PMO_HEADERS_MAX << HPACK_ROW_BITS < 65536, "a header's number fit into an entry,");
_Static_assert(HPACK_NAMED + PMO_HEADERS_MAX <= 16, "and each has a place in a block");

enum { HPACK_INCOMPLETE = -1, HPACK_BROKEN = -2 };

/* What the includer provides: the row of a path whose encoded bytes have been seen before, and the
 * row of a folded path, to be remembered for @path_hash unless that is 0. */
static __always_inline bool hpack_route_known(__u64 path_hash, __u32 *route);
static __always_inline __u32 hpack_route(struct fold *fold, __u64 path_hash);

/* Where headers are looked for, also: the row of the text of header number @number, of whose value
 * the digest is @digest, and the epoch, see struct pmo_control. */
static __always_inline __u32 hpack_header(struct fold *fold, __u32 number, __u64 digest);
static __always_inline __u32 hpack_headers_epoch(void);

static __always_inline __u64 hpack_load(const __u8 buf[HTTP2_BUFFER + 8], __u32 pos)
{
    pmo_opaque(pos);
    pos &= HTTP2_BUFFER - 1;
    return load_word(buf + pos);
}

/* The first @n (up to 8) bytes of a word, the others zero. */
static __always_inline __u64 hpack_first(__u64 w, __u32 n)
{
    return n < 8 ? w & ((1ULL << (n * 8)) - 1) : w;
}

/* An integer (section 5.1) that goes on behind its first byte, the lowest of w: how many bytes it
 * takes, six at most, and (from bit 8 on) the integer, or more than 32 bits can hold where it does
 * not end. By itself, as few are that large. */
__attribute__((noinline)) __u64 hpack_long_integer(__u64 w, __u32 mask)
{
    __u64 value = mask;

    for (__u32 i = 0; i < 5; i++) {
        w >>= 8;
        value += (w & 0x7f) << (i * 7);
        if (!(w & 0x80))
            return value << 8 | (i + 2);
    }
    return ~0xffULL | 6;
}

static __always_inline __u32 hpack_integer(__u64 w, __u8 mask, __u64 *value)
{
    *value = w & mask;
    if (likely(*value != mask))
        return 1;
    w = hpack_long_integer(w, mask);
    *value = w >> 8;
    return w & 0xff;
}

/* ---- the table ------------------------------------------------------------------------------ */

static __always_inline void hpack_resize(struct hpack *h, __u32 max_size)
{
    h->max_size = max_size;
    if (max_size < HPACK_OVERHEAD) /* holds nothing (any more) */
        h->known = h->lost = 0;
}

static __always_inline void hpack_insert(struct hpack *h)
{
    if ((__u64)h->field.name_length + h->length + HPACK_OVERHEAD > h->max_size) {
        h->known = 0; /* section 4.4 */
        h->lost = h->field.kind == HPACK_UNKNOWN;
        return;
    }
    h->ring[h->head++] = h->field;
    if (h->known < HPACK_RING)
        h->known++;
    else
        h->lost = 1;
}

/* What @index (1 or more) stands for; false where the table has no such entry. */
static __always_inline bool hpack_entry(struct hpack *h, __u64 index, struct hpack_entry *entry)
{
    __u32 at = index;

    if (index < HPACK_STATIC) {
        pmo_opaque(at);
        *entry = hpack_static[at & 63];
        return true;
    }
    at -= HPACK_STATIC;
    if (unlikely(at >= h->known)) {
        entry->value = 0;
        entry->name_length = HPACK_NAME_LOST;
        entry->kind = HPACK_UNKNOWN;
        return h->lost;
    }
    at = h->head - 1 - at;
    pmo_opaque(at);
    *entry = h->ring[at & (HPACK_RING - 1)];
    return true;
}

struct hpack_forgetting {
    struct hpack *h;
};

static long hpack_forget_one(__u32 i, void *context)
{
    struct hpack_forgetting *f = context;
    struct hpack_entry *entry = &f->h->ring[i & (HPACK_RING - 1)];

    if (entry->kind == HPACK_NAMED)
        entry->kind = HPACK_OTHER;
    return 0;
}

/* A header block begins, or goes on. Where the headers that policies name are others than they
 * were, of none it is known any more what it is. */
__attribute__((noinline)) int hpack_headers_begin(struct hpack *h, struct fold *fold, __u32 request)
{
    struct hpack_forgetting f = {.h = h};
    __u32 epoch;

    if (!h || !fold || !request)
        return 0;
    h->named = headers_sought(fold) != 0;
    epoch = hpack_headers_epoch();
    if (!h->named || likely(h->headers_epoch == epoch))
        return 0;
    bpf_loop(HPACK_RING, hpack_forget_one, &f, 0);
    if (h->field.kind == HPACK_NAMED) {
        h->field.kind = HPACK_OTHER;
        h->field.value = 0;
    }
    h->seen &= (1 << HPACK_NAMED) - 1;
    h->headers_epoch = epoch;
    return 0;
}

/* ---- digests -------------------------------------------------------------------------------- */

/* The beginning of a string as it stands, zero behind its end. */
struct hpack_text {
    __u64 a, b;
    __u32 length; /* of the whole */
    __u32 huffman;
};

static __always_inline __u32 hpack_name_kind(const struct hpack_text *t)
{
    __u64 b = t->b | (__u64)t->length << 56;

    if (t->length > 12)
        return HPACK_OTHER;
    for (__u32 kind = HPACK_METHOD; kind < HPACK_UNKNOWN; kind++) {
        const struct hpack_name *name = &hpack_names[t->huffman & 1][kind];

        if (t->a == load_word(name->text) && b == load_word(&name->text[8]))
            return kind;
    }
    return HPACK_OTHER;
}

static __always_inline __u32 hpack_method(const struct hpack_text *t)
{
    __u64 a = t->a | (__u64)t->length << 56;

    if (t->length > 7)
        return PMO_METHOD_OTHER;
    for (__u32 method = PMO_METHOD_GET; method < PMO_METHODS; method++)
        if (a == load_word(hpack_methods[t->huffman & 1][method].text))
            return method;
    return PMO_METHOD_OTHER;
}

/* application/grpc, alone or with a "+suffix" or a ";parameter" (@next is the 17th byte) */
static __always_inline bool hpack_is_grpc(const struct hpack_text *t, __u8 next)
{
    const char *grpc = hpack_grpc[t->huffman & 1];

    if (t->a != load_word(grpc))
        return false;
    if (!t->huffman)
        return t->b == load_word(grpc + 8) && (t->length == 16 || next == '+' || next == ';');
    return hpack_first(t->b, 3) == load_word(grpc + 8) &&
           (t->length == 11 || (__u8)(t->b >> 24) == 0xfb || (t->b >> 24 & 0xe0ff) == 0x60ff);
}

/* The number that a string of one to three digits says, and how many they are; else 0 of them. */
static __always_inline __u32 hpack_number(const struct hpack_text *t, __u32 *digits)
{
    __u64 bits = __builtin_bswap64(t->a);
    __u32 left = t->length * 8, number = 0, digit, used, n;

    *digits = 0;
    if (t->length > 3)
        return 0;
    for (n = 0; n < 3; n++) {
        if (!t->huffman) {
            digit = (__u32)(bits >> 56) - '0';
            used = 8;
        } else if (bits >> 59 < 3) { /* 0, 1, 2 have the first codes of 5 bits */
            digit = bits >> 59;
            used = 5;
        } else { /* 3 to 9 have codes of 6 bits, from 011001 on */
            digit = (__u32)(bits >> 58) - 25 + 3;
            used = digit < 3 ? 64 : 6;
        }
        if (digit > 9 || used > left)
            break;
        number = number * 10 + digit;
        bits <<= used;
        left -= used;
    }
    if (left < 8 && bits == ~(~0ULL >> left)) /* nothing follows but padding */
        *digits = n;
    return number;
}

/* ---- paths ---------------------------------------------------------------------------------- */

/* Hash of a path as it stands, or of what is before its query where that can be told, for one
 * instance, as services have rules of their own; 0 where it is too long. */
static __always_inline __u64 hpack_path_hash(const __u8 buf[HTTP2_BUFFER + 8], __u32 pos,
                                             __u32 length, bool huffman, __u32 generation)
{
    __u64 hash = HPACK_HASH_SEED + huffman + 2ULL * generation, w, marks,
          look = huffman ? 0 : ~0ULL;

    for (__u32 i = 0; i < HPACK_PATH_WORDS && length > 8; i++) {
        w = hpack_load(buf, pos);
        if (bytes_equal(w, '?') & look)
            break;
        hash = hash_mix(hash, w);
        pos += 8;
        length -= 8;
    }
    w = hpack_first(hpack_load(buf, pos), length);
    marks = bytes_equal(w, '?') & look;
    if (marks) {
        length = first_byte(marks);
        w = hpack_first(w, length);
    }
    return length > 8 ? 0 : hash_mix(hash_mix(hash, w), length) | 1;
}

/* By itself, as it is rarely needed. */
__attribute__((noinline)) int hpack_folded(struct fold *fold, __u64 hash)
{
    return fold ? hpack_route(fold, hash) : 0;
}

/* "/index.html", or the "/" that it begins with; neither has anything to fold. */
__attribute__((noinline)) int hpack_static_route(struct fold *fold, __u64 hash, __u32 length)
{
    if (!fold)
        return 0;
    fold_begin(fold);
    __builtin_memcpy(fold->text, "/index.html", 11);
    fold->length = length;
    return hpack_route(fold, hash); /* not by a call: the stack is short */
}

/* The paths that the static table has. */
static __always_inline __u32 hpack_static_path(struct fold *fold, __u32 length)
{
    __u64 hash = hash_mix(HPACK_HASH_SEED + 2ULL * fold->generation, ~(__u64)length) | 1;
    __u32 route;

    return likely(hpack_route_known(hash, &route)) ? route
                                                   : (__u32)hpack_static_route(fold, hash, length);
}

/* ---- strings -------------------------------------------------------------------------------- */

/* The path at the chunk's `pos`: its route, where that is known. */
static __always_inline void hpack_path(struct hpack *h, struct fold *fold,
                                       const struct http2_chunk *chunk, __u32 end)
{
    __u32 route = 0;

    h->hash = h->left <= end - chunk->pos
                  ? hpack_path_hash(chunk->buf, chunk->pos, h->left, h->string & HPACK_HUFFMAN,
                                    fold->generation)
                  : 0;
    if (likely(h->hash && hpack_route_known(h->hash, &route))) {
        h->field.value = route;
        return;
    }
    fold_begin(fold);
    h->string |= HPACK_FOLD | HPACK_ROUTE;
}

/* What the string at the chunk's `pos` says: a name its kind, a value its digest. By itself, as few
 * fields of a connection come here: most are in the table, or of no kind that matters. */
__attribute__((noinline)) int hpack_digest(struct hpack *h, struct fold *fold,
                                           const struct http2_chunk *chunk, __u32 end)
{
    struct hpack_text t;
    __u32 digits, number, kind;
    __u8 next;

    if (!h || !fold || !chunk)
        return 0;
    kind = h->in_value ? h->field.kind : HPACK_OTHER;
    if (kind == HPACK_PATH) {
        hpack_path(h, fold, chunk, end);
        return 0;
    }
    t.length = h->left;
    t.huffman = h->string & HPACK_HUFFMAN;
    t.a = hpack_first(hpack_load(chunk->buf, chunk->pos), t.length);
    t.b = t.length > 8 ? hpack_first(hpack_load(chunk->buf, chunk->pos + 8), t.length - 8) : 0;
    next = hpack_load(chunk->buf, chunk->pos + 16);
    if (kind == HPACK_OTHER) {
        h->field.kind = hpack_name_kind(&t);
    } else if (kind == HPACK_METHOD) {
        h->field.value = hpack_method(&t);
    } else if (kind == HPACK_CONTENT_TYPE) {
        h->field.value = hpack_is_grpc(&t, next);
    } else {
        number = hpack_number(&t, &digits);
        if (kind == HPACK_STATUS)
            h->field.value = digits == 3 ? number : 0;
        else
            h->field.value = digits == 1 || digits == 2 ? number : HPACK_GRPC_UNKNOWN;
    }
    return 0;
}

/* ---- headers that policies name ------------------------------------------------------------- */

/* Of a header that comes more than once, the first one counts. */
__attribute__((noinline)) int hpack_take_named(struct hpack *h, __u32 value)
{
    __u32 at = (HPACK_NAMED - 1 + (value >> HPACK_ROW_BITS)) & 15;

    if (!h || h->seen >> at & 1)
        return 0;
    h->value[at] = value;
    h->seen |= 1 << at;
    return 0;
}

/* The row of the text of a header with this value. One that was made while the headers became
 * others may be of another one. */
static __always_inline __u32 hpack_header_row(struct hpack *h, struct fold *fold, __u32 number,
                                              __u64 digest)
{
    __u32 row = hpack_header(fold, number, header_digest_end(digest, HEADERS_KEY[1]));

    return h->headers_epoch == hpack_headers_epoch() ? row & HPACK_ROW : 0;
}

/* A field that has its name from the static table, @whole if its value, too: is it a header that a
 * policy names? */
__attribute__((noinline)) int hpack_static_header(struct hpack *h, struct fold *fold, __u32 index,
                                                  __u32 whole)
{
    static const char text[] = "gzip, deflate"; /* of accept-encoding; all others are empty */
    __u64 digest = HEADERS_KEY[0];
    __u32 number;

    if (!h || !fold || !index || (index > 1 && index < 15)) /* none, or one of ours */
        return 0;
    number = headers_number(fold, 0, index);
    if (!number)
        return 0;
    if (!whole) {
        h->field.kind = HPACK_NAMED;
        h->field.value = number << HPACK_ROW_BITS;
        return 0;
    }
    for (__u32 i = 0; i < sizeof(text) - 1 && index == HPACK_GZIP; i++)
        digest = header_digest_byte(digest, text[i], HEADERS_KEY[1]);
    hpack_take_named(h, number << HPACK_ROW_BITS | hpack_header_row(h, fold, number, digest));
    return 0;
}

/* A name begins, or the value of a header that a policy names: is it looked for in this request? */
__attribute__((noinline)) int hpack_header_begin(struct hpack *h, struct fold *fold)
{
    __u64 sought;
    __u32 number;

    if (!h || !fold || (!h->in_value && h->field.kind != HPACK_OTHER))
        return 0;
    sought = headers_sought(fold);
    number = h->field.value >> HPACK_ROW_BITS;
    if (h->in_value)
        h->field.value = number << HPACK_ROW_BITS; /* its row was that of another value */
    if (h->in_value ? !(sought >> (31 + number) & 1)
                    : h->left >= PMO_HEADER_BYTES) /* coded, it is not longer */
        return 0;
    fold->headers.letters = sought;
    fold->headers.digest = HEADERS_KEY[0];
    fold->headers.blank = HEADERS_EMPTY;
    h->string |= HPACK_HEADER;
    return 0;
}

/* The next byte of it. */
static __always_inline void hpack_header_byte(struct hpack *h, struct headers *headers, __u8 c)
{
    if (h->in_value) {
        headers_value(headers, c, HEADERS_KEY);
        return;
    }
    if (headers->digest == HEADERS_KEY[0] && !(headers->letters & header_letter(c)))
        h->string &= ~HPACK_HEADER; /* the first one says already that it is none */
    headers->digest = header_digest_byte(headers->digest, c, HEADERS_KEY[1]);
}

/* And its end. */
__attribute__((noinline)) int hpack_header_end(struct hpack *h, struct fold *fold)
{
    __u32 number;

    if (!h || !fold)
        return 0;
    if (h->in_value) {
        number = h->field.value >> HPACK_ROW_BITS;
        h->field.value |= hpack_header_row(h, fold, number, fold->headers.digest);
        return 0;
    }
    number = headers_number(fold, header_digest_end(fold->headers.digest, HEADERS_KEY[1]), 0);
    if (number) {
        h->field.kind = HPACK_NAMED;
        h->field.value = number << HPACK_ROW_BITS;
    }
    return 0;
}

/* ---- strings that are decoded ---------------------------------------------------------------  */

/* The symbol that begins with the highest bit, and how many bits it takes; none for EOS. */
static __always_inline __u32 hpack_symbol(__u64 bits, __u32 *used)
{
    __u32 first = bits >> 56, at;

    if (first < 0x50) {
        *used = 5;
        at = first >> 3;
    } else if (first < 0xb8) {
        *used = 6;
        at = 10 + ((first - 0x50) >> 2);
    } else if (first < 0xf8) {
        *used = 7;
        at = 36 + ((first - 0xb8) >> 1);
    } else if (first < 0xfe) {
        *used = 8;
        at = 68 + (first - 0xf8);
    } else {
        at = hpack_long_code(bits >> 32);
        *used = at >> 8;
        return at & 0xff;
    }
    pmo_opaque(at);
    return hpack_symbols[at & 127];
}

struct hpack_run {
    struct hpack *h;
    struct fold *fold;
    struct http2_chunk *chunk;
    __u32 end; /* of what is there of the string */
    __u32 broken;
};

/* The next symbol; returns false where there is no whole one. What changes from one to the next is
 * kept in maps, not in registers: the verifier then takes each for like the one before. */
static __always_inline bool hpack_next(struct hpack_run *r, __u32 *symbol)
{
    struct hpack *h = r->h;
    __u32 pos = r->chunk->pos, n = r->end - pos, count = h->bit_count, used;
    __u64 bits = h->bits;

    if (!(h->string & HPACK_HUFFMAN)) {
        if (!n)
            return false;
        *symbol = (__u8)hpack_load(r->chunk->buf, pos);
        r->chunk->pos = pos + 1;
        h->left--;
        return true;
    }
    if (count <= 32 && n) {
        n = n < 4 ? n : 4;
        bits |= __builtin_bswap64(hpack_first(hpack_load(r->chunk->buf, pos), n)) >> count;
        count += n * 8;
        r->chunk->pos = pos + n;
        h->left -= n;
        h->bits = bits;
        h->bit_count = count;
    }
    *symbol = hpack_symbol(bits, &used);
    if (used > count)
        return false;
    if (unlikely(!used)) {
        r->broken = 1;
        return false;
    }
    h->bits = bits << used;
    h->bit_count = count - used;
    return true;
}

/* The next symbol, folded, digested or counted. Returns 1 to stop: there is no whole one, or no
 * more is wanted. */
static long hpack_decode_one(__u32 i, void *context)
{
    struct hpack_run *r = context;
    struct hpack *h = r->h;
    __u32 symbol;

    if (!hpack_next(r, &symbol))
        return 1;
    if (h->string & HPACK_COUNT)
        h->length++;
    if (HEADERS_NAMED && h->string & HPACK_HEADER) {
        hpack_header_byte(h, &r->fold->headers, symbol);
        return !(h->string & (HPACK_COUNT | HPACK_HEADER));
    }
    if (!(h->string & HPACK_FOLD))
        return 0;
    if (symbol != '?') {
        fold_byte(r->fold, symbol);
        return 0;
    }
    h->string &= ~HPACK_FOLD;
    return !(h->string & HPACK_COUNT);
}

/* Decodes what is there of a string, from the chunk's `pos` on. */
__attribute__((noinline)) int hpack_decode(struct hpack *h, struct fold *fold,
                                           struct http2_chunk *chunk, __u32 end)
{
    struct hpack_run r = {.h = h, .fold = fold, .chunk = chunk};
    __u32 available;

    if (!h || !fold || !chunk)
        return HPACK_BROKEN;
    available = end - chunk->pos;
    r.end = available < h->left ? end : chunk->pos + h->left;
    bpf_loop(HTTP2_BUFFER * 8 / 5 + 2, hpack_decode_one, &r, 0);
    if (!(h->string & (HPACK_FOLD | HPACK_COUNT | HPACK_HEADER))) {
        h->phase = HPACK_PASS;
    } else if (!h->left) { /* what remains is padding: less than a byte of ones, section 5.2 */
        h->phase = HPACK_PASS;
        if (h->bit_count > 7 || h->bits != ~(~0ULL >> h->bit_count))
            return HPACK_BROKEN;
    }
    return r.broken ? HPACK_BROKEN : 0;
}

/* ---- fields --------------------------------------------------------------------------------- */

static __always_inline void hpack_begin(struct hpack *h)
{
    __builtin_memset(h->value, 0, sizeof(h->value));
    h->seen = 0;
}

static __always_inline void hpack_take(struct hpack *h, struct hpack_entry field)
{
    if (HEADERS_NAMED && unlikely(field.kind == HPACK_NAMED)) {
        hpack_take_named(h, field.value);
        return;
    }
    h->value[field.kind] = field.value;
    h->seen |= 1 << field.kind;
}

/* The beginning of a field: what it is. */
static __always_inline int hpack_field(struct hpack *h, struct fold *fold,
                                       struct http2_chunk *chunk, __u32 end, bool request)
{
    __u32 pos = chunk->pos, n;
    __u64 w = hpack_load(chunk->buf, pos), index;
    __u8 b = w, mask = b & 0x80 ? 0x7f : b & 0x40 ? 0x3f : b & 0x20 ? 0x1f : 0x0f;
    struct hpack_entry entry = {};

    n = hpack_integer(w, mask, &index);
    if (n > end - pos)
        return HPACK_INCOMPLETE;
    if (index > ~0U)
        return HPACK_BROKEN;
    chunk->pos = pos + n;
    if ((b & 0xe0) == 0x20) { /* dynamic table size update */
        hpack_resize(h, index);
        return 0;
    }
    if (index ? !hpack_entry(h, index, &entry) : b & 0x80)
        return HPACK_BROKEN;
    if (b & 0x80) {
        if (index - 4 < 2 && request)
            entry.value = hpack_static_path(fold, index == 4 ? 1 : 11);
        hpack_take(h, entry);
    } else {
        h->field = entry; /* whose value is another: that of its kind comes with the string */
        h->insert = b & 0x40;
        h->phase = index ? HPACK_VALUE : HPACK_NAME;
    }
    if (HEADERS_NAMED && h->named && index < HPACK_STATIC)
        hpack_static_header(h, fold, index, b & 0x80);
    return 0;
}

/* The beginning of a string: how long it is, and what is to be done with it. */
static __always_inline int hpack_string(struct hpack *h, struct fold *fold,
                                        struct http2_chunk *chunk, __u32 end, bool request)
{
    __u32 pos = chunk->pos, kind = h->field.kind, n;
    __u64 w = hpack_load(chunk->buf, pos), length;
    bool name = h->phase == HPACK_NAME, huffman = w & 0x80, peek;

    n = hpack_integer(w, 0x7f, &length);
    peek = name || (kind != HPACK_OTHER && kind != HPACK_PATH && kind < HPACK_UNKNOWN);
    if (n + (!peek ? 0 : length < HPACK_PEEK ? length : HPACK_PEEK) > end - pos)
        return HPACK_INCOMPLETE;
    if (length > ~0U)
        return HPACK_BROKEN;
    chunk->pos = pos + n;
    h->left = h->length = length;
    h->string = huffman ? HPACK_HUFFMAN : 0;
    h->in_value = !name;
    h->phase = HPACK_PASS;
    if (peek || (kind == HPACK_PATH && request))
        hpack_digest(h, fold, chunk, end);
    if (HEADERS_NAMED && (name ? h->named : kind == HPACK_NAMED))
        hpack_header_begin(h, fold);
    /* no code is shorter than 5 bits: a string has less than twice its bytes */
    if (huffman && h->insert &&
        (name || HPACK_OVERHEAD + h->field.name_length + 2 * length > h->max_size)) {
        h->string |= HPACK_COUNT;
        h->length = 0;
    }
    if (unlikely(h->string & (HPACK_FOLD | HPACK_COUNT | HPACK_HEADER))) {
        h->phase = HPACK_DECODE;
        h->bits = h->bit_count = 0;
    }
    return 0;
}

static __always_inline void hpack_string_end(struct hpack *h, struct fold *fold)
{
    if (HEADERS_NAMED && unlikely(h->string & HPACK_HEADER))
        hpack_header_end(h, fold);
    if (!h->in_value) {
        h->field.name_length = h->length < HPACK_NAME_MAX ? h->length : HPACK_NAME_MAX;
        h->phase = HPACK_VALUE;
        return;
    }
    if (unlikely(h->string & HPACK_ROUTE))
        h->field.value = hpack_folded(fold, h->hash);
    hpack_take(h, h->field);
    if (h->insert)
        hpack_insert(h);
    h->phase = HPACK_FIELD;
}

/* Takes a step through a header block, of which there is what lies before @end, at least a byte.
 * Returns 0, or HPACK_INCOMPLETE where it takes more to go on, or HPACK_BROKEN. */
static __always_inline int hpack_step(struct hpack *h, struct fold *fold, struct http2_chunk *chunk,
                                      __u32 end, bool request)
{
    __u32 n;
    int e = 0;

    if (h->phase == HPACK_FIELD)
        e = hpack_field(h, fold, chunk, end, request);
    else if (h->phase < HPACK_PASS)
        e = hpack_string(h, fold, chunk, end, request);
    if (e)
        return e;
    if (unlikely(h->phase == HPACK_DECODE) && hpack_decode(h, fold, chunk, end) == HPACK_BROKEN)
        return HPACK_BROKEN;
    if (h->phase == HPACK_PASS) {
        n = end - chunk->pos < h->left ? end - chunk->pos : h->left;
        chunk->pos += n;
        h->left -= n;
        if (!h->left)
            hpack_string_end(h, fold);
    }
    return 0;
}
