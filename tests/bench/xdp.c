/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the XDP program costs a packet, by BPF_PROG_TEST_RUN: what is counted (SYNs with and without
 * zones, datagrams, QUIC's Initials), a segment of an open connection, which is most of what comes,
 * and frames that no one should send; each beside an empty program on the same packet, in turn,
 * medians. Prints for each: name, nanoseconds, those of the empty program, and what it is.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include "agent/base/log.h"
#include "bpf/packet.h"
#include "pmo.skel.h"
#include "tests/bench/measure.h"
#include <pmo/abi.h>

#define ROUNDS      9
#define RUNS        1000000
#define PORT        8080
#define FRAME_BYTES 9014
#define INSTANCE    1
#define PREFIXES    1000

static const uint8_t address[4] = {198, 18, 0, 2};

struct frame {
    uint8_t bytes[FRAME_BYTES];
    size_t length; /* of the headers so far, then of the frame */
};

static void put(struct frame *f, const void *bytes, size_t length)
{
    if (bytes)
        memcpy(f->bytes + f->length, bytes, length);
    f->length += length;
}

static void ethernet(struct frame *f, int vlans, uint16_t type)
{
    static const uint8_t tag[4] = {0x81, 0x00, 0, 1};

    memset(f, 0, sizeof(*f));
    put(f, NULL, 12);
    for (int i = 0; i < vlans; i++)
        put(f, tag, sizeof(tag));
    type = htons(type);
    put(f, &type, sizeof(type));
}

static void ipv4(struct frame *f, uint8_t protocol, uint16_t payload)
{
    uint8_t ip[20] = {0x45, 0, (payload + 20) >> 8, (payload + 20) & 255, [9] = protocol};

    memcpy(ip + 12, "\xc6\x12\x80\x07", 4);
    memcpy(ip + 16, address, sizeof(address));
    put(f, ip, sizeof(ip));
}

/* With @extensions headers of eight bytes. */
static void ipv6(struct frame *f, uint8_t protocol, uint16_t payload, int extensions)
{
    uint8_t ip[40] = {
        0x60, [4] = (payload + 8 * extensions) >> 8,
        (payload + 8 * extensions) & 255, [6] = extensions ? PACKET_OPTIONS : protocol};
    uint8_t extension[8] = {0};

    memcpy(ip + 8, "\x20\x01\x0d\xb8", 4);
    ip[34] = ip[35] = 0xff;
    memcpy(ip + 36, address, sizeof(address));
    put(f, ip, sizeof(ip));
    for (int i = extensions; i-- > 0;) {
        extension[0] = i ? PACKET_OPTIONS : protocol;
        put(f, extension, sizeof(extension));
    }
}

static void tcp(struct frame *f, uint8_t flags)
{
    uint8_t tcp[20] = {[2] = PORT >> 8, PORT & 255, [12] = 5 << 4, [13] = flags};

    put(f, tcp, sizeof(tcp));
}

static void udp(struct frame *f, uint16_t payload, bool initial)
{
    uint8_t udp[14] = {[2] = PORT >> 8,     PORT & 255, (payload + 8) >> 8,
                       (payload + 8) & 255, [12] = 1,   [13] = 8};

    udp[8] = initial ? 0xc0 : 0;
    put(f, udp, sizeof(udp));
    put(f, NULL, payload - 6);
}

static void syn(struct frame *f)
{
    ethernet(f, 0, 0x0800);
    ipv4(f, PACKET_TCP, 20);
    tcp(f, 0x02);
}

static void segment(struct frame *f)
{
    ethernet(f, 0, 0x0800);
    ipv4(f, PACKET_TCP, 20);
    tcp(f, 0x10);
}

static void datagram(struct frame *f)
{
    ethernet(f, 0, 0x0800);
    ipv4(f, PACKET_UDP, 108);
    udp(f, 100, false);
}

static void initial(struct frame *f)
{
    ethernet(f, 0, 0x0800);
    ipv4(f, PACKET_UDP, 1208);
    udp(f, 1200, true);
}

static void syn_ipv6(struct frame *f)
{
    ethernet(f, 0, 0x86dd);
    ipv6(f, PACKET_TCP, 20, 0);
    tcp(f, 0x02);
}

static void vlans(struct frame *f)
{
    ethernet(f, 2, 0x0800);
    ipv4(f, PACKET_TCP, 20);
    tcp(f, 0x02);
}

static void many_vlans(struct frame *f)
{
    ethernet(f, 8, 0x0800);
    ipv4(f, PACKET_TCP, 20);
    tcp(f, 0x02);
}

static void extensions(struct frame *f)
{
    ethernet(f, 2, 0x86dd);
    ipv6(f, PACKET_TCP, 20, PACKET_EXTENSIONS);
    tcp(f, 0x02);
}

static void many_extensions(struct frame *f)
{
    ethernet(f, 2, 0x86dd);
    ipv6(f, PACKET_TCP, 20, 100);
    tcp(f, 0x02);
}

static void truncated(struct frame *f)
{
    syn_ipv6(f);
    f->length -= 7;
}

static void jumbo(struct frame *f)
{
    ethernet(f, 0, 0x0800);
    ipv4(f, PACKET_UDP, 8968);
    udp(f, 8960, true);
}

static const struct {
    const char *name;
    void (*make)(struct frame *f);
    bool zones;      /* with them */
    uint64_t counts; /* of what a run counts */
    const char *text;
} frames[] = {
    {"syn", syn, false, 1, "SYN that is counted"},
    {"syn_zone", syn, true, 1, "SYN that is counted, 1,000 prefixes of zones"},
    {"syn_ipv6", syn_ipv6, false, 1, "SYN over IPv6"},
    {"segment", segment, false, 0, "segment that is not counted"},
    {"datagram", datagram, false, 1, "UDP datagram that is counted"},
    {"initial", initial, false, 1, "QUIC Initial"},
    {"vlans", vlans, false, 1, "SYN in a nested VLAN"},
    {"many_vlans", many_vlans, false, 0, "SYN in 8 VLANs"},
    {"extensions", extensions, false, 1, "nested VLAN, 5 extension headers, SYN"},
    {"many_extensions", many_extensions, false, 0, "nested VLAN, 100 extension headers"},
    {"truncated", truncated, false, 0, "SYN that is cut short"},
    {"jumbo", jumbo, false, 1, "QUIC Initial of 9,000 bytes"},
};

/* Loads the one program, with one instance that is counted for, and zones. */
static int counter_load(struct pmo_bpf **skeleton, bool zones)
{
    struct pmo_target_bucket bucket = {};
    struct pmo_bpf *s = *skeleton = pmo_bpf__open();
    struct bpf_program *program;
    uint32_t row;
    int r = 0;

    if (!s)
        return -errno;
    bpf_object__for_each_program(program, s->obj)
    {
        (void)bpf_program__set_autoload(program, program == s->progs.syn_count);
    }
    s->rodata->zones_seed = zones;
    s->rodata->exclusive = libbpf_num_possible_cpus() < (int)PMO_SHARDS_MAX;
    s->rodata->shards = PMO_SHARDS_MAX;
    if (pmo_bpf__load(s))
        return -errno;
    bucket.targets[0].addr[1] = packet_mapped(packet_u32(address));
    bucket.targets[0].what = PMO_TARGET(1, INSTANCE, false, PORT);
    row = packet_bucket(bucket.targets[0].addr, PORT);
    for (uint32_t i = PMO_OVERFLOW_SLOTS; !r && i < PMO_COUNTERS_MAX; i++)
        r = bpf_map__update_elem(s->maps.free_counters, NULL, 0, &i, sizeof(i), 0);
    for (uint32_t i = 0; !r && i < PREFIXES; i++) { /* /24s, of which the source has one */
        struct pmo_prefix prefix = {.bits = 96 + 24, .addr = {[10] = 0xff, 0xff, 198, 18}};
        uint8_t zone = 1 + i % 250;

        prefix.addr[13] += i >> 8;
        prefix.addr[14] = i & 255;
        r = bpf_map__update_elem(s->maps.zones, &prefix, sizeof(prefix), &zone, sizeof(zone), 0);
    }
    return r ? r
             : bpf_map__update_elem(s->maps.targets, &row, sizeof(row), &bucket, sizeof(bucket), 0);
}

static int empty_load(void)
{
    LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_XDP_HAS_FRAGS);
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };

    return bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", pass, 2, &options);
}

/* Mean nanoseconds of a run, or a negative errno. */
static double time_runs(int program, const struct frame *frame)
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
                .data_size_in = (uint32_t)frame->length, .repeat = RUNS);
    int r = bpf_prog_test_run_opts(program, &options);

    return r ? r : (double)options.duration;
}

/* What the program has counted. */
static uint64_t counted(const struct pmo_bpf *s)
{
    uint64_t sum = 0;

    for (uint32_t shard = 0; shard < PMO_SHARDS_MAX; shard++) {
        uint32_t row = shard * PMO_INSTANCES_MAX + INSTANCE;
        struct pmo_instance_counter counter;

        if (bpf_map__lookup_elem(s->maps.instance_counters, &row, sizeof(row), &counter,
                                 sizeof(counter), 0))
            return 0;
        for (int i = 0; i < 2; i++)
            sum += counter.window[i].syns + counter.window[i].datagrams;
    }
    return sum;
}

static int measure(size_t i, const struct pmo_bpf *s, int empty)
{
    uint64_t before = counted(s), grown;
    double with[ROUNDS], without[ROUNDS];
    static struct frame frame;

    frames[i].make(&frame);
    for (int round = 0; round < ROUNDS; round++) {
        without[round] = time_runs(empty, &frame);
        with[round] = time_runs(bpf_program__fd(s->progs.syn_count), &frame);
        if (without[round] < 0 || with[round] < 0)
            return pmo_err_r((int)(without[round] < 0 ? without[round] : with[round]),
                             "cannot run an XDP program");
    }
    grown = counted(s) - before;
    if (grown != frames[i].counts * ROUNDS * RUNS)
        return pmo_fail(EIO, "%s: %lu were counted in %d runs", frames[i].name, grown,
                        ROUNDS * RUNS);
    (void)printf("%s %.0f %.0f %s\n", frames[i].name, quantile(with, ROUNDS, 0.5),
                 quantile(without, ROUNDS, 0.5), frames[i].text);
    return 0;
}

int main(void)
{
    struct pmo_bpf *s[2] = {NULL, NULL};
    int empty = empty_load(), r = 0;

    if (empty < 0)
        return -pmo_err_r(empty, "cannot load an empty XDP program");
    for (int zones = 0; !r && zones < 2; zones++) {
        r = counter_load(&s[zones], zones);
        if (r)
            r = pmo_err_r(r, "cannot load the XDP program");
    }
    for (size_t i = 0; !r && i < sizeof(frames) / sizeof(*frames); i++)
        r = measure(i, s[frames[i].zones], empty);
    pmo_bpf__destroy(s[0]);
    pmo_bpf__destroy(s[1]);
    return r ? 1 : 0;
}
