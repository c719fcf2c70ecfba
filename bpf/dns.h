/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DNS (RFC 1035 section 4): over TCP as one of bpf/wire.h's protocols, where a length comes before
 * each message, and over UDP in bpf/datagram.h, a message a datagram. A request's name is the type
 * that it asks for, or its opcode where that is no query. An answer is a success, the client's
 * fault (a name that does not exist, as 404 is; what it must not ask for) or the server's.
 *
 * Over TCP, answers are taken in the order of the requests. A server may answer out of order (RFC
 * 7766 section 6.2.1.1): then they are counted as often, with each other's outcome and latency. Of
 * the messages of a zone transfer, the first is the answer.
 */
#pragma once

enum dns_step {
    DNS_LENGTH = 0,
    DNS_HEADER,
    DNS_LABEL,
    DNS_TYPE,
};

enum { DNS_QUERY = 0, DNS_NOTIFY = 4, DNS_UPDATE = 5 }; /* opcodes */

#define DNS_HEADER_BYTES 12U
#define DNS_LEAST_BYTES  17U  /* of a request: its header, and a question about the root */
#define DNS_LABELS       128U /* of a name, at most (255 bytes), and its end */

/* Is this the beginning of a request, with a header that makes sense and one question? */
static __always_inline bool dns_asks(const __u8 *b)
{
    __u8 opcode = b[2] >> 3; /* and that it is no response */

    if (b[3] & 0xcf || b[4] || b[5] != 1 || b[6] || b[8] || b[10] || b[12] > 63)
        return false;
    if (opcode == DNS_QUERY)
        return !(b[2] & 6) && !b[7] && b[9] <= 1 && b[11] <= 2;
    return opcode == DNS_NOTIFY || opcode == DNS_UPDATE;
}

static __always_inline bool dns_begins(const __u8 *b, __u32 n)
{
    return n >= 2 + DNS_LEAST_BYTES && (__u32)(b[0] << 8 | b[1]) >= DNS_LEAST_BYTES &&
           b[4] >> 3 == DNS_QUERY && dns_asks(b + 2);
}

/* What types are called; of what is rare, nothing but that. */
static __always_inline __u64 dns_type_name(__u32 type)
{
    switch (type) {
    case 1:
        return W('A', 0, 0, 0, 0, 0, 0, 0);
    case 2:
        return W('N', 'S', 0, 0, 0, 0, 0, 0);
    case 5:
        return W('C', 'N', 'A', 'M', 'E', 0, 0, 0);
    case 6:
        return W('S', 'O', 'A', 0, 0, 0, 0, 0);
    case 12:
        return W('P', 'T', 'R', 0, 0, 0, 0, 0);
    case 15:
        return W('M', 'X', 0, 0, 0, 0, 0, 0);
    case 16:
        return W('T', 'X', 'T', 0, 0, 0, 0, 0);
    case 28:
        return W('A', 'A', 'A', 'A', 0, 0, 0, 0);
    case 33:
        return W('S', 'R', 'V', 0, 0, 0, 0, 0);
    case 35:
        return W('N', 'A', 'P', 'T', 'R', 0, 0, 0);
    case 43:
        return W('D', 'S', 0, 0, 0, 0, 0, 0);
    case 48:
        return W('D', 'N', 'S', 'K', 'E', 'Y', 0, 0);
    case 52:
        return W('T', 'L', 'S', 'A', 0, 0, 0, 0);
    case 64:
        return W('S', 'V', 'C', 'B', 0, 0, 0, 0);
    case 65:
        return W('H', 'T', 'T', 'P', 'S', 0, 0, 0);
    case 251:
        return W('I', 'X', 'F', 'R', 0, 0, 0, 0);
    case 252:
        return W('A', 'X', 'F', 'R', 0, 0, 0, 0);
    case 255:
        return W('A', 'N', 'Y', 0, 0, 0, 0, 0);
    case 257:
        return W('C', 'A', 'A', 0, 0, 0, 0, 0);
    }
    return W('O', 'T', 'H', 'E', 'R', 0, 0, 0);
}

/* Of any opcode but that of queries. */
static __always_inline __u64 dns_opcode_name(__u8 opcode)
{
    return opcode == DNS_NOTIFY   ? W('N', 'O', 'T', 'I', 'F', 'Y', 0, 0)
           : opcode == DNS_UPDATE ? W('U', 'P', 'D', 'A', 'T', 'E', 0, 0)
                                  : W('O', 'T', 'H', 'E', 'R', 0, 0, 0);
}

/* FORMERR, NXDOMAIN, REFUSED and what a wrong update gets are the client's fault. */
static __always_inline enum wire_event dns_outcome(__u8 code)
{
    if (!code)
        return WIRE_ANSWER;
    return code == 1 || code == 3 || (code >= 5 && code <= 10) ? WIRE_FAULT : WIRE_ERROR;
}

/* ---- a whole message ------------------------------------------------------------------------- */

/* Name of the request that begins with these @n bytes, up to HTTP1_CHUNK. */
static __always_inline __u64 dns_name(const __u8 buf[HTTP1_CHUNK + 8], __u32 n)
{
    __u32 at = DNS_HEADER_BYTES, type = 0;
    __u8 label;

    if (buf[2] >> 3)
        return dns_opcode_name(buf[2] >> 3);
    for (__u32 i = 0; i < DNS_LABELS; i++) {
        pmo_opaque(at);
        if (at + 3 > n)
            break;
        label = buf[at & (HTTP1_CHUNK - 1)];
        at += 1 + label;
        if (!label)
            type = buf[at & (HTTP1_CHUNK - 1)] << 8 | buf[(at + 1) & (HTTP1_CHUNK - 1)];
        if (!label || label > 63)
            break;
    }
    return dns_type_name(type);
}

/* ---- a stream of them ------------------------------------------------------------------------ */

static __always_inline enum wire_event dns_asked(struct wire *w, struct fold *fold, __u64 name)
{
    wire_name_word(w, fold, name);
    w->step = DNS_LENGTH;
    w->token = 0;
    w->number = 0;
    w->kind = 0;
    w->asked = 1;
    return wire_after(w, w->count, WIRE_REQUEST);
}

static __always_inline enum wire_event dns_request(struct wire *w, struct fold *fold, __u8 c)
{
    if (w->step != DNS_LENGTH)
        w->count--;
    w->number = w->number << 8 | c;
    w->token++;
    switch (w->step) {
    case DNS_LENGTH:
        if (w->token < 2)
            return WIRE_MORE;
        w->count = w->number;
        w->token = 0;
        w->step = DNS_HEADER;
        return w->count >= DNS_HEADER_BYTES ? WIRE_MORE : WIRE_OVER;
    case DNS_HEADER:
        if (w->token == 3)
            w->kind = c >> 3;
        if (w->token < DNS_HEADER_BYTES)
            return WIRE_MORE;
        if (w->kind & 16) /* a response */
            return WIRE_OVER;
        if (w->kind)
            return dns_asked(w, fold, dns_opcode_name(w->kind));
        w->step = DNS_LABEL;
        return w->count ? WIRE_MORE : dns_asked(w, fold, dns_type_name(0));
    case DNS_LABEL:
        if (c > 63 || c + 2U > w->count) /* a type comes behind */
            return dns_asked(w, fold, dns_type_name(0));
        w->count -= c;
        w->token = 0;
        if (!c)
            w->step = DNS_TYPE;
        return wire_after(w, c, WIRE_MORE);
    case DNS_TYPE:
        return w->token < 2 ? WIRE_MORE : dns_asked(w, fold, dns_type_name(w->number & 0xffff));
    }
    return WIRE_OVER;
}

static __always_inline enum wire_event dns_response(struct wire *w, __u8 c)
{
    w->number = w->number << 8 | c;
    w->token++;
    if (w->step == DNS_LENGTH) {
        if (w->token < 2)
            return WIRE_MORE;
        w->count = w->number & 0xffff;
        w->token = 0;
        w->step = DNS_HEADER;
        return w->count >= DNS_HEADER_BYTES ? WIRE_MORE : WIRE_OVER;
    }
    if (w->token < 4)
        return WIRE_MORE;
    w->step = DNS_LENGTH;
    w->token = 0;
    return wire_after(w, w->count - 4, w->asked ? dns_outcome(c & 15) : WIRE_MORE);
}
