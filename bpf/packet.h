/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames as they come from the wire, before the stack has a say: which of them ask for a
 * connection (a SYN, a QUIC client's Initial), which are other UDP datagrams, and to whom. Nothing
 * in them is believed: each header has to lie in the frame and in the length that the IP header
 * tells, and what the stack would drop for its header alone is nothing here, either.
 *
 *   Ethernet   up to two VLAN tags: IEEE 802.1Q, 802.1ad
 *   IPv4       RFC 791: options are skipped; fragments behind the first are nothing
 *   IPv6       RFC 8200: so are extension headers of its section 4.1, and fragments
 *   TCP        RFC 9293: SYN without ACK, RST, FIN
 *   UDP, QUIC  RFC 768; RFC 9000 section 14.1 and 17.2.2, RFC 9369 section 3.2
 */
#pragma once

#include "bpf/portable.h"

#define PACKET_ETHERNET_BYTES 14U
#define PACKET_VLANS          2
#define PACKET_EXTENSIONS     5
#define PACKET_INITIAL_BYTES  1200U /* of a client's datagram with an Initial, at least */
#define PACKET_QUIC_ID_BYTES  20U   /* at most */

enum { /* protocol numbers of IANA, by names that no header has defined */
       PACKET_HOP_BY_HOP = 0,
       PACKET_TCP = 6,
       PACKET_UDP = 17,
       PACKET_ROUTING = 43,
       PACKET_FRAGMENT = 44,
       PACKET_OPTIONS = 60,
};

enum packet_kind {
    PACKET_NOTHING = 0,
    PACKET_SYN,
    PACKET_DATAGRAM,
    PACKET_INITIAL, /* a datagram, too */
};

struct packet {
    __u64 source[2], target[2]; /* network byte order; IPv4 is mapped into IPv6 */
    __u16 port;                 /* of the target */
};

/* Numbers of the network at any address: one load in BPF, see load_word(). */
static __always_inline __u16 packet_u16(const __u8 *at)
{
#ifdef __bpf__
    __u16 n = *(const __u16 *)at;
#else
    __u16 n;

    __builtin_memcpy(&n, at, sizeof(n));
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap16(n);
#else
    return n;
#endif
}

/* As it is in memory. */
static __always_inline __u32 packet_u32(const __u8 *at)
{
#ifdef __bpf__
    return *(const __u32 *)at;
#else
    __u32 n;

    __builtin_memcpy(&n, at, sizeof(n));
    return n;
#endif
}

/* Second half of an IPv4-mapped address; the first is 0. */
static __always_inline __u64 packet_mapped(__u32 address)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (__u64)address << 32 | 0xffff0000U;
#else
    return 0xffff00000000ULL | address;
#endif
}

/* A UDP payload of @length bytes, of which the frame may have fewer here (its first buffer). */
static __always_inline bool packet_is_initial(const __u8 *at, const __u8 *end, __u32 length)
{
    __u32 version, type;

    if (length < PACKET_INITIAL_BYTES || at + 6 > end || (at[0] & 0xc0) != 0xc0)
        return false;
    version = (__u32)packet_u16(at + 1) << 16 | packet_u16(at + 3);
    type = at[0] >> 4 & 3;
    return at[5] <= PACKET_QUIC_ID_BYTES &&
           ((version == 1 && type == 0) || (version == 0x6b3343cf && type == 1));
}

/* @left: bytes of the IP packet from here on. */
static __always_inline enum packet_kind packet_transport(const __u8 *at, const __u8 *end,
                                                         __u32 protocol, __u32 left, bool fragment,
                                                         struct packet *p)
{
    __u32 length;

    if (protocol == PACKET_TCP) {
        if (left < 20 || at + 20 > end || (at[13] & 0x17) != 0x02 || at[12] < 5 << 4)
            return PACKET_NOTHING;
        p->port = packet_u16(at + 2);
        return PACKET_SYN;
    }
    if (protocol != PACKET_UDP || left < 8 || at + 8 > end)
        return PACKET_NOTHING;
    length = packet_u16(at + 4);
    if (length < 8 || (length > left && !fragment))
        return PACKET_NOTHING;
    p->port = packet_u16(at + 2);
    /* RFC 9000 section 14: a client does not let its Initial be fragmented */
    return !fragment && packet_is_initial(at + 8, end, length - 8) ? PACKET_INITIAL
                                                                   : PACKET_DATAGRAM;
}

static __always_inline enum packet_kind packet_ipv4(const __u8 *ip, const __u8 *end,
                                                    struct packet *p)
{
    enum packet_kind kind;
    __u32 header, total, place;

    if (ip + 20 > end || ip[0] >> 4 != 4)
        return PACKET_NOTHING;
    header = (ip[0] & 15) * 4;
    total = packet_u16(ip + 2);
    place = packet_u16(ip + 6);
    if (header < 20 || total < header || place & 0x1fff)
        return PACKET_NOTHING;
    kind = packet_transport(ip + header, end, ip[9], total - header, place & 0x2000, p);
    if (kind == PACKET_NOTHING)
        return kind;
    p->source[0] = p->target[0] = 0;
    p->source[1] = packet_mapped(packet_u32(ip + 12));
    p->target[1] = packet_mapped(packet_u32(ip + 16));
    return kind;
}

static __always_inline enum packet_kind packet_ipv6(const __u8 *ip, const __u8 *end,
                                                    struct packet *p)
{
    const __u8 *at = ip + 40;
    enum packet_kind kind;
    bool fragment = false;
    __u32 next, left, size;

    if (ip + 40 > end || ip[0] >> 4 != 6)
        return PACKET_NOTHING;
    left = packet_u16(ip + 4); /* 0 in a jumbogram, which nobody sends */
    next = ip[6];
    PMO_UNROLL
    for (int i = 0; i < PACKET_EXTENSIONS; i++) {
        if (next == PACKET_TCP || next == PACKET_UDP)
            break;
        if (left < 8 || at + 8 > end)
            return PACKET_NOTHING;
        size = 8 + at[1] * 8;
        if (next == PACKET_FRAGMENT) {
            if (packet_u16(at + 2) & 0xfff8)
                return PACKET_NOTHING;
            fragment |= at[3] & 1;
            size = 8;
        } else if (next != PACKET_OPTIONS && !(next == PACKET_HOP_BY_HOP && i == 0) &&
                   !(next == PACKET_ROUTING && at[3] == 0)) { /* the target is only a stop */
            return PACKET_NOTHING;
        }
        if (left < size)
            return PACKET_NOTHING;
        next = at[0];
        left -= size;
        at += size;
    }
    kind = packet_transport(at, end, next, left, fragment, p);
    if (kind == PACKET_NOTHING)
        return kind;
    p->source[0] = load_word(ip + 8);
    p->source[1] = load_word(ip + 16);
    p->target[0] = load_word(ip + 24);
    p->target[1] = load_word(ip + 32);
    return kind;
}

/* A frame from @data to @end, of which only the first part may be there. @p is set unless it is
 * nothing. */
static __always_inline enum packet_kind packet_parse(const __u8 *data, const __u8 *end,
                                                     struct packet *p)
{
    const __u8 *ip = data + PACKET_ETHERNET_BYTES;
    __u32 type;

    if (ip > end)
        return PACKET_NOTHING;
    type = packet_u16(ip - 2);
    PMO_UNROLL
    for (int i = 0; i < PACKET_VLANS; i++) {
        if (likely(type != 0x8100 && type != 0x88a8))
            break;
        ip += 4;
        if (ip > end)
            return PACKET_NOTHING;
        type = packet_u16(ip - 2);
    }
    if (type == 0x0800)
        return packet_ipv4(ip, end, p);
    if (type == 0x86dd)
        return packet_ipv6(ip, end, p);
    return PACKET_NOTHING;
}

/* Twelve bits: where a target is in the table of them, see struct pmo_target. */
static __always_inline __u32 packet_bucket(const __u64 target[2], __u16 port)
{
    return hash_mix(target[0] + port, target[1]) >> 52;
}
