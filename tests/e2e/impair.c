/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * impair NETNS NETNS LOSS REORDER DUPLICATE SEED: a bad network between two network namespaces, for
 * kernels without netem. Makes a TUN device "lossy" in each, says "ready", and passes packets from
 * one to the other; of a hundred, LOSS are lost, REORDER are held back behind up to eight of those
 * that follow, and DUPLICATE come twice. Says at SIGTERM what it has done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PACKET_MAX 65535
#define HELD_MAX   16 /* packets that are held back at a time */
#define OVERTAKERS 8
#define HOLD_MS    5 /* when nothing follows */

struct packet {
    ssize_t length;  /* 0: none */
    uint32_t behind; /* so many more */
    uint8_t bytes[PACKET_MAX];
};

struct direction {
    int from, to;
    struct packet held[HELD_MAX];
};

static double loss, reorder, duplicate;
static uint64_t random_state, passed, lost, reordered, duplicated;
static volatile sig_atomic_t ended;

static void on_end(int signal)
{
    ended = signal;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t random_word(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

static bool of_a_hundred(double n)
{
    return (double)(random_word() >> 11) * 0x1p-53 * 100 < n;
}

/* A TUN device in the namespace at @path; the descriptor keeps it. */
static int tun_open(const char *path)
{
    struct ifreq request = {.ifr_name = "lossy", .ifr_flags = IFF_TUN | IFF_NO_PI};
    int netns = open(path, O_RDONLY | O_CLOEXEC), fd = -1;

    if (netns < 0 || setns(netns, CLONE_NEWNET) ||
        (fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0 ||
        ioctl(fd, TUNSETIFF, &request)) {
        (void)fprintf(stderr, "impair: no TUN device in %s: %s\n", path, strerror(errno));
        exit(1);
    }
    (void)close(netns);
    return fd;
}

static void packet_pass(const struct direction *d, const uint8_t *bytes, ssize_t length)
{
    if (write(d->to, bytes, (size_t)length) == length)
        passed++;
    else
        lost++; /* the device is down: not yet, or not any more, up */
}

/* Passes on what was held back long enough: behind so many packets, or for so long. */
static void held_pass(struct direction *d, uint32_t overtakers)
{
    for (struct packet *p = d->held; p < d->held + HELD_MAX; p++) {
        if (!p->length)
            continue;
        p->behind -= overtakers < p->behind ? overtakers : p->behind;
        if (p->behind)
            continue;
        packet_pass(d, p->bytes, p->length);
        p->length = 0;
    }
}

static bool packet_hold(struct direction *d, const uint8_t *bytes, ssize_t length)
{
    for (struct packet *p = d->held; p < d->held + HELD_MAX; p++) {
        if (p->length)
            continue;
        memcpy(p->bytes, bytes, (size_t)length);
        p->length = length;
        p->behind = 1 + random_word() % OVERTAKERS;
        return true;
    }
    return false;
}

static void packets_move(struct direction *d)
{
    static uint8_t packet[PACKET_MAX];
    ssize_t n;

    while ((n = read(d->from, packet, sizeof(packet))) > 0) {
        if (of_a_hundred(loss)) {
            lost++;
            continue;
        }
        if (of_a_hundred(reorder) && packet_hold(d, packet, n)) {
            reordered++;
            continue;
        }
        packet_pass(d, packet, n);
        if (of_a_hundred(duplicate)) {
            packet_pass(d, packet, n);
            duplicated++;
        }
        held_pass(d, 1);
    }
}

int main(int argc, char **argv)
{
    static struct direction directions[2];
    struct sigaction action = {.sa_handler = on_end};
    struct pollfd readable[2];

    if (argc != 7) {
        (void)fprintf(stderr, "usage: impair NETNS NETNS LOSS REORDER DUPLICATE SEED\n");
        return 2;
    }
    loss = strtod(argv[3], NULL);
    reorder = strtod(argv[4], NULL);
    duplicate = strtod(argv[5], NULL);
    random_state = strtoull(argv[6], NULL, 0);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    for (int i = 0; i < 2; i++) {
        int fd = tun_open(argv[1 + i]);

        directions[i].from = directions[1 - i].to = fd;
        readable[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    (void)puts("ready");
    (void)fflush(stdout);
    while (!ended) {
        int n = poll(readable, 2, HOLD_MS);

        for (int i = 0; i < 2; i++) {
            packets_move(&directions[i]);
            if (!n)
                held_pass(&directions[i], OVERTAKERS);
        }
    }
    (void)printf("%llu packets passed, %llu lost, %llu reordered, %llu duplicated\n",
                 (unsigned long long)passed, (unsigned long long)lost,
                 (unsigned long long)reordered, (unsigned long long)duplicated);
    return 0;
}
