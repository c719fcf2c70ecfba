/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bpf/packets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX 65535

/* Addresses for tests of this kind: RFC 2544 and RFC 5180. */
static const uint8_t addresses[2][2][16] = {
    {{198, 18, 0, 1}, {198, 18, 0, 2}},
    {{0x20, 0x01, 0, 2, [15] = 1}, {0x20, 0x01, 0, 2, [15] = 2}},
};

static int tun = -1, outside = -1;
static uint16_t next_port;

bool packets_open(void)
{
    struct ifreq request = {.ifr_name = "client", .ifr_flags = IFF_TUN | IFF_NO_PI};

    packets_close(); /* a test that failed left it */
    next_port = 20000;
    outside = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (outside < 0 || unshare(CLONE_NEWNET))
        return false;
    if (access("/dev/net/tun", F_OK) && system("modprobe tun"))
        return false;
    tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return tun >= 0 && !ioctl(tun, TUNSETIFF, &request) &&
           !system("ip link set client mtu 65535 txqueuelen 20000 up &&"
                   "ip addr add 198.18.0.1/24 dev client &&"
                   "ip addr add 2001:2::1/64 dev client nodad");
}

void packets_close(void)
{
    if (tun >= 0)
        (void)close(tun);
    if (outside >= 0) {
        (void)setns(outside, CLONE_NEWNET);
        (void)close(outside);
    }
    tun = outside = -1;
}

bool service_open(struct service *service, int family, void (*options)(int socket))
{
    struct sockaddr_in6 any = {.sin6_family = (sa_family_t)family};
    socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(any);

    service->family = family;
    service->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (service->listener < 0)
        return false;
    if (options)
        options(service->listener);
    if (bind(service->listener, (struct sockaddr *)&any, size) || listen(service->listener, 4096) ||
        getsockname(service->listener, (struct sockaddr *)&any, &size))
        return false;
    service->port = ntohs(any.sin6_port); /* it lies where IPv4 has it */
    return true;
}

void service_close(struct service *service)
{
    (void)close(service->listener);
}

/* ---- packets --------------------------------------------------------------------------------- */

static uint32_t sum_of(const uint8_t *bytes, size_t n, uint32_t sum)
{
    for (size_t i = 0; i < n; i++)
        sum += (uint32_t)bytes[i] << (i & 1 ? 0 : 8);
    return sum;
}

static uint16_t checksum(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16);
    put16(at + 2, v & 0xffff);
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

/* A part of a packet's payload; @offset and @more say where it lies in it, as fragments do. */
static void packet_send(const struct flow *f, const uint8_t *payload, size_t length, size_t offset,
                        bool more)
{
    static __thread uint8_t packet[PACKET_MAX];
    bool fragment = offset || more, v6 = f->family == AF_INET6;
    size_t header = (v6 ? 40 : 20) + f->extension_bytes;

    memset(packet, 0, header + 8);
    if (f->extension_bytes)
        memcpy(packet + (v6 ? 40 : 20), f->extension, f->extension_bytes);
    if (v6) {
        packet[0] = 0x60;
        packet[6] = f->extension_bytes ? f->extension_first : IPPROTO_TCP;
        if (fragment) { /* RFC 8200 4.5; a test has either extensions or fragments */
            packet[6] = IPPROTO_FRAGMENT;
            packet[header] = IPPROTO_TCP;
            put16(packet + header + 2, (uint32_t)offset | more);
            put32(packet + header + 4, f->packets);
            header += 8;
        }
        packet[7] = 64;
        put16(packet + 4, (uint32_t)(header - 40 + length));
        memcpy(packet + 8, addresses[1][1], 16);
        memcpy(packet + 24, addresses[1][0], 16);
    } else {
        packet[0] = (uint8_t)(0x40 | header / 4);
        put16(packet + 2, (uint32_t)(header + length));
        put16(packet + 4, f->packets & 0xffff);
        put16(packet + 6, (uint32_t)(offset / 8) | (more ? 0x2000 : 0));
        packet[8] = 64;
        packet[9] = IPPROTO_TCP;
        memcpy(packet + 12, addresses[0][1], 4);
        memcpy(packet + 16, addresses[0][0], 4);
        put16(packet + 10, checksum(sum_of(packet, header, 0)));
    }
    memcpy(packet + header, payload, length);
    if (write(tun, packet, header + length) < 0)
        perror("packets: cannot write to the TUN device");
}

static void segment_send(struct flow *f, uint32_t seq, const void *data, size_t length,
                         uint8_t flags)
{
    static __thread uint8_t tcp[PACKET_MAX];
    size_t header = 20, size = f->family == AF_INET6 ? 16 : 4;
    const uint8_t(*address)[16] = addresses[f->family == AF_INET6];

    f->packets++;
    memset(tcp, 0, 24);
    put16(tcp, f->port);
    put16(tcp + 2, f->service->port);
    put32(tcp + 4, seq);
    if (flags & TCP_ACK_FLAG)
        put32(tcp + 8, f->expect + f->acknowledge_more);
    if (flags & TCP_SYN_FLAG) { /* maximum segment size */
        header = 24;
        put32(tcp + 20, 0x02040000 | 1400);
    }
    tcp[12] = (uint8_t)(header / 4 << 4);
    tcp[13] = flags;
    put16(tcp + 14, 65535);
    if (length)
        memcpy(tcp + header, data, length);
    length += header;
    put16(tcp + 16, checksum(sum_of(tcp, length,
                                    sum_of(address[0], size, sum_of(address[1], size, 0)) +
                                        IPPROTO_TCP + (uint32_t)length)));
    if (f->bad_checksum)
        tcp[16] ^= 0x55;
    if (!f->fragment) {
        packet_send(f, tcp, length, 0, false);
        return;
    }
    for (size_t i = 0, parts = (length + f->fragment - 1) / f->fragment; i < parts; i++) {
        size_t at = (f->fragments_reversed ? parts - 1 - i : i) * f->fragment;
        bool more = at + f->fragment < length;

        packet_send(f, tcp + at, more ? f->fragment : length - at, at, more);
    }
}

/* Notes a packet from the server. */
static void packet_note(struct flow *flows, size_t count, const uint8_t *packet, size_t length)
{
    bool v6 = packet[0] >> 4 == 6;
    const uint8_t *tcp = packet + (v6 ? 40 : (packet[0] & 15) * 4);
    uint32_t port, end;

    if (packet[v6 ? 6 : 9] != IPPROTO_TCP)
        return;
    port = get16(tcp + 2);
    end = get32(tcp + 4) + (uint32_t)(length - (size_t)(tcp - packet)) - (tcp[12] >> 4) * 4U +
          (tcp[13] & TCP_FIN_FLAG) + !!(tcp[13] & TCP_SYN_FLAG);
    for (struct flow *f = flows; f < flows + count; f++) {
        if (f->port != port)
            continue;
        if (tcp[13] & TCP_SYN_FLAG || (int32_t)(end - f->expect) > 0)
            f->expect = end;
        f->window = (uint16_t)get16(tcp + 14);
        return;
    }
}

void flows_read(struct flow *flows, size_t count)
{
    uint8_t packet[PACKET_MAX];
    ssize_t n;

    while ((n = read(tun, packet, sizeof(packet))) > 0)
        packet_note(flows, count, packet, (size_t)n);
}

/* ---- connections ----------------------------------------------------------------------------- */

void flow_init(struct flow *flow, struct service *service, int family, uint32_t first)
{
    *flow = (struct flow){
        .service = service, .family = family, .port = next_port++, .next = first, .server = -1};
}

bool flow_syn(struct flow *flow, const void *data, size_t length)
{
    struct pollfd readable = {.fd = tun, .events = POLLIN};

    /* again, as any client does it: the device of a new namespace may take a moment to come up */
    for (int tries = 0; tries < 3 && !flow->expect; tries++) {
        segment_send(flow, flow->next - 1, data, length, TCP_SYN_FLAG);
        do {
            flows_read(flow, 1);
        } while (!flow->expect && poll(&readable, 1, 1000) > 0);
    }
    return flow->expect;
}

bool flow_accept(struct flow *flow)
{
    int one = 1;

    flow->server = accept4(flow->service->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return flow->server >= 0 &&
           !setsockopt(flow->server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

bool flow_open(struct flow *flow)
{
    if (!flow_syn(flow, NULL, 0))
        return false;
    flow_put(flow, 0, NULL, 0, TCP_ACK_FLAG);
    return flow_accept(flow);
}

void flow_put(struct flow *flow, int64_t at, const void *data, size_t length, uint8_t flags)
{
    segment_send(flow, flow->next + (uint32_t)at, data, length, flags);
}

void flow_part(struct flow *flow, const char *message, size_t from, size_t to)
{
    flow_put(flow, (int64_t)from, message + from, to - from, TCP_ACK_FLAG | TCP_PSH_FLAG);
}

bool flow_taken(struct flow *flow, const char *message, size_t length)
{
    char buffer[PACKET_MAX];
    size_t taken = 0;
    ssize_t n;

    while (taken < length) {
        n = recv(flow->server, buffer,
                 length - taken < sizeof(buffer) ? length - taken : sizeof(buffer), 0);
        if (n <= 0 || memcmp(buffer, message + taken, (size_t)n) != 0)
            return false;
        taken += (size_t)n;
    }
    flow->next += (uint32_t)length;
    return recv(flow->server, buffer, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

void flow_answer(struct flow *flow, const char *text)
{
    size_t length = strlen(text), sent = 0;

    for (int tries = 0; sent < length && tries < 10000; tries++) {
        ssize_t n = send(flow->server, text + sent, length - sent, MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        flows_read(flow, 1);
        flow_put(flow, 0, NULL, 0, TCP_ACK_FLAG);
    }
}

void flow_close(struct flow *flow)
{
    if (flow->server >= 0)
        (void)close(flow->server);
    flow->server = -1;
    flows_read(flow, 1);
}
