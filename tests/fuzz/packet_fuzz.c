/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: bpf/packet.h against a reference that is written from the RFCs alone, in the
 * other way: it takes the frame apart layer by layer, each a slice of the one above. Both must find
 * the same in a frame, whole and cut short. The frame is copied to memory of just its size, so that
 * AddressSanitizer sees a byte read too many.
 */
#include <linux/types.h>
#include <string.h>
#include "bpf/packet.h"
#include "tests/fuzz/input.h"

struct slice {
    const unsigned char *at;
    size_t length; /* that the layer above tells; or those that are there */
    size_t there;  /* of them, in the frame */
};

static unsigned int number(struct slice s, size_t at, size_t bytes)
{
    unsigned int n = 0;

    while (bytes--)
        n = n << 8 | s.at[at++];
    return n;
}

static bool has(struct slice s, size_t bytes)
{
    return s.length >= bytes && s.there >= bytes;
}

static struct slice behind(struct slice s, size_t bytes)
{
    return (struct slice){s.at + (bytes < s.there ? bytes : s.there), s.length - bytes,
                          bytes < s.there ? s.there - bytes : 0};
}

static bool reference_initial(struct slice payload)
{
    unsigned int version, form_fixed_type;

    if (payload.length < 1200 || payload.there < 6)
        return false;
    form_fixed_type = payload.at[0] >> 4;
    version = number(payload, 1, 4);
    return payload.at[5] <= 20 && ((version == 1 && form_fixed_type == 0xc) ||
                                   (version == 0x6b3343cf && form_fixed_type == 0xd));
}

static enum packet_kind reference_transport(struct slice s, unsigned int protocol, bool fragment,
                                            struct packet *p)
{
    if (protocol == 6) {
        bool syn, others;

        if (!has(s, 20))
            return PACKET_NOTHING;
        syn = s.at[13] & 2;
        others = s.at[13] & (1 | 4 | 16); /* FIN, RST, ACK */
        if (!syn || others || (s.at[12] >> 4) * 4 < 20)
            return PACKET_NOTHING;
        p->port = (__u16)number(s, 2, 2);
        return PACKET_SYN;
    }
    if (protocol == 17) {
        unsigned int length;

        if (!has(s, 8))
            return PACKET_NOTHING;
        length = number(s, 4, 2);
        if (length < 8 || (!fragment && length > s.length))
            return PACKET_NOTHING;
        p->port = (__u16)number(s, 2, 2);
        s = behind(s, 8);
        s.length = length - 8;
        return !fragment && reference_initial(s) ? PACKET_INITIAL : PACKET_DATAGRAM;
    }
    return PACKET_NOTHING;
}

static enum packet_kind reference_ipv6(struct slice s, struct packet *p)
{
    unsigned int next = s.at[6], extensions = 0;
    bool fragment = false;

    memcpy(p->source, s.at + 8, 16);
    memcpy(p->target, s.at + 24, 16);
    for (s = (struct slice){s.at + 40, number(s, 4, 2), s.there - 40}; next != 6 && next != 17;
         extensions++) {
        size_t size;

        if (extensions == 5 || !has(s, 8))
            return PACKET_NOTHING;
        size = 8 * (1 + (size_t)s.at[1]);
        if (next == 44) {
            if (number(s, 2, 2) >> 3)
                return PACKET_NOTHING;
            fragment = fragment || number(s, 2, 2) & 1;
            size = 8;
        } else if (next == 43) {
            if (s.at[3]) /* segments left */
                return PACKET_NOTHING;
        } else if (next == 0) {
            if (extensions)
                return PACKET_NOTHING;
        } else if (next != 60) {
            return PACKET_NOTHING;
        }
        if (s.length < size)
            return PACKET_NOTHING;
        next = s.at[0];
        s = behind(s, size);
    }
    return reference_transport(s, next, fragment, p);
}

static enum packet_kind reference(struct slice s, struct packet *p)
{
    unsigned int type, header, tags = 0;

    if (!has(s, 14))
        return PACKET_NOTHING;
    type = number(s, 12, 2);
    for (s = behind(s, 14); type == 0x8100 || type == 0x88a8; s = behind(s, 4)) {
        if (tags++ == 2 || !has(s, 4))
            return PACKET_NOTHING;
        type = number(s, 2, 2);
    }
    if (type == 0x86dd && has(s, 40) && s.at[0] >> 4 == 6)
        return reference_ipv6(s, p);
    if (type != 0x0800 || !has(s, 20) || s.at[0] >> 4 != 4)
        return PACKET_NOTHING;
    header = (s.at[0] & 15) * 4;
    memset(p, 0, sizeof(*p));
    memset((char *)p->source + 10, 0xff, 2);
    memset((char *)p->target + 10, 0xff, 2);
    memcpy((char *)p->source + 12, s.at + 12, 4);
    memcpy((char *)p->target + 12, s.at + 16, 4);
    type = number(s, 6, 2);
    if (header < 20 || number(s, 2, 2) < header || type & 0x1fff)
        return PACKET_NOTHING;
    s.length = number(s, 2, 2);
    return reference_transport(behind(s, header), s.at[9], type & 0x2000, p);
}

static void compare(const __u8 *bytes, size_t length)
{
    __u8 *frame = malloc(length + !length);
    struct packet found = {0}, expected = {0};
    enum packet_kind kind;

    REQUIRE(frame);
    if (length)
        memcpy(frame, bytes, length);
    kind = packet_parse(frame, frame + length, &found);
    REQUIRE(kind == reference((struct slice){frame, length, length}, &expected));
    if (kind != PACKET_NOTHING) {
        REQUIRE(!memcmp(found.source, expected.source, 16));
        REQUIRE(!memcmp(found.target, expected.target, 16));
        REQUIRE(found.port == expected.port);
    }
    free(frame);
}

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t length);

int LLVMFuzzerTestOneInput(const __u8 *bytes, size_t length)
{
    if (length > 9100)
        return 0;
    input_begin(bytes, length);
    compare(bytes, length);
    compare(bytes, choose(length + 1));
    return 0;
}
