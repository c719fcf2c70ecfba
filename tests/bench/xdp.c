/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the XDP program costs a packet, by BPF_PROG_TEST_RUN: a SYN to an instance, which is
 * counted, and a segment of an open connection, which is most of what comes; each beside an empty
 * program on the same packet, in turn, medians.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include "agent/base/log.h"
#include "pmo.skel.h"
#include "tests/bench/measure.h"
#include <pmo/abi.h>

#define ROUNDS       9
#define RUNS         2000000
#define PORT         8080
#define PACKET_BYTES 64
#define SYN          0x02
#define ACK          0x10

static const uint8_t address[4] = {198, 18, 0, 2};

/* An Ethernet frame with a TCP segment to the instance. */
static void segment(uint8_t packet[PACKET_BYTES], uint8_t flags)
{
    uint8_t *ip = packet + 14, *tcp = ip + 20;

    memset(packet, 0, PACKET_BYTES);
    packet[12] = 0x08; /* IPv4 */
    ip[0] = 0x45;
    ip[9] = IPPROTO_TCP;
    memcpy(ip + 16, address, sizeof(address));
    tcp[2] = PORT >> 8;
    tcp[3] = PORT & 255;
    tcp[12] = 5 << 4;
    tcp[13] = flags;
}

/* Loads the one program, with one instance that SYNs are counted for. */
static int counter_load(struct pmo_bpf **skeleton)
{
    struct pmo_listener key = {.addr = {[10] = 0xff, [11] = 0xff}, .port = PORT};
    struct pmo_bpf *s = *skeleton = pmo_bpf__open();
    struct bpf_program *program;
    uint32_t instance = 1;

    if (!s)
        return -errno;
    bpf_object__for_each_program(program, s->obj)
    {
        (void)bpf_program__set_autoload(program, program == s->progs.syn_count);
    }
    if (pmo_bpf__load(s))
        return -errno;
    memcpy(key.addr + 12, address, sizeof(address));
    return bpf_map__update_elem(s->maps.syn_targets, &key, sizeof(key), &instance, sizeof(instance),
                                BPF_ANY);
}

static int empty_load(void)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };

    return bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", pass, 2, NULL);
}

/* Mean nanoseconds of a run, or a negative errno. */
static double time_runs(int program, const uint8_t packet[PACKET_BYTES])
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = PACKET_BYTES,
                .repeat = RUNS);
    int r = bpf_prog_test_run_opts(program, &options);

    return r ? r : (double)options.duration;
}

static int measure(const char *name, int counter, int empty, uint8_t flags)
{
    double with[ROUNDS], without[ROUNDS];
    uint8_t packet[PACKET_BYTES];

    segment(packet, flags);
    for (int i = 0; i < ROUNDS; i++) {
        without[i] = time_runs(empty, packet);
        with[i] = time_runs(counter, packet);
        if (without[i] < 0 || with[i] < 0)
            return pmo_err_r((int)(without[i] < 0 ? without[i] : with[i]),
                             "cannot run an XDP program");
    }
    (void)printf("%s %.0f\n%s_empty %.0f\n", name, quantile(with, ROUNDS, 0.5), name,
                 quantile(without, ROUNDS, 0.5));
    return 0;
}

/* SYNs that the program has counted. */
static uint64_t counted(const struct pmo_bpf *s)
{
    struct pmo_instance_counter counter;
    uint32_t instance = 1; /* in the shard for all */

    if (bpf_map__lookup_elem(s->maps.instance_counters, &instance, sizeof(instance), &counter,
                             sizeof(counter), 0))
        return 0;
    return counter.window[0].syns + counter.window[1].syns;
}

int main(void)
{
    struct pmo_bpf *s;
    int empty, r = counter_load(&s);

    if (r)
        return -pmo_err_r(r, "cannot load the XDP program");
    empty = empty_load();
    if (empty < 0)
        return -pmo_err_r(empty, "cannot load an empty XDP program");
    r = measure("syn", bpf_program__fd(s->progs.syn_count), empty, SYN);
    if (!r && counted(s) != (uint64_t)ROUNDS * RUNS)
        r = pmo_fail(EIO, "%lu SYNs of %d were counted", counted(s), ROUNDS * RUNS);
    if (!r)
        r = measure("segment", bpf_program__fd(s->progs.syn_count), empty, ACK);
    pmo_bpf__destroy(s);
    return r ? 1 : 0;
}
