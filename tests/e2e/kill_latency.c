/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kill_latency HINTS KILLS: how long a router goes on choosing an instance that was killed. A child
 * listens on loopback and becomes an instance; when it is ready it gets SIGKILL, and its ready bit
 * is read through libpmo until it is cleared. Fails unless that takes less than a millisecond at
 * the 99th percentile, and if an instance that is gone becomes ready again.
 */
#include <arpa/inet.h>
#include <pmo/pmo.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS_MAX 10000
#define WAIT_NS   5000000000ULL /* for an instance to come or go */
#define LIMIT_NS  1000000ULL
#define SCAN_S    6 /* the agent looks for listeners every 5 s */

struct kill {
    pid_t pid;
    uint64_t seen_ns, cleared_ns; /* after the kill: seen here, and stamped by the kernel side */
};

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* A process that listens, and does nothing else. Returns its pid, *port its port. */
static pid_t listener_start(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int told[2];
    pid_t pid;

    if (pipe(told))
        return -1;
    pid = fork();
    if (!pid) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 1) ||
            getsockname(fd, (struct sockaddr *)&address, &size) ||
            write(told[1], &address.sin_port, sizeof(address.sin_port)) < 0)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(told[1]);
    if (read(told[0], &address.sin_port, sizeof(address.sin_port)) != sizeof(address.sin_port))
        pid = -1;
    (void)close(told[0]);
    *port = ntohs(address.sin_port);
    return pid;
}

static bool is_ready(const struct pmo *pmo, __u32 instance, struct pmo_hint *hint)
{
    return !pmo_instance(pmo, instance, hint) && (hint->flags & PMO_HINT_READY);
}

/* Row of the ready instance of this process, 0 where there is none after a while. */
static __u32 instance_wait(const struct pmo *pmo, pid_t pid, uint16_t port)
{
    uint64_t until = now_ns() + WAIT_NS;
    struct pmo_hint hint;

    while (now_ns() < until) {
        for (__u32 i = 1; i < PMO_HINTS_INSTANCES_MAX; i++)
            if (is_ready(pmo, i, &hint) && hint.port == port && hint.pid == (__u32)pid)
                return i;
        (void)usleep(1000);
    }
    return 0;
}

/* Kills once. Returns 0, or says why not. */
static int kill_one(const struct pmo *pmo, struct kill *one)
{
    uint64_t killed, now;
    struct pmo_hint hint;
    uint16_t port = 0;
    pid_t pid = one->pid = listener_start(&port);
    __u32 instance = pid > 0 ? instance_wait(pmo, pid, port) : 0;

    if (!instance) {
        (void)fprintf(stderr, "a listener on port %u did not become a ready instance\n", port);
        if (pid > 0)
            (void)kill(pid, SIGKILL);
        return -1;
    }
    killed = now = now_ns();
    (void)kill(pid, SIGKILL);
    while (is_ready(pmo, instance, &hint) && now < killed + WAIT_NS) {
        (void)sched_yield(); /* it takes a CPU to die, and this may be the only idle one */
        now = now_ns();
    }
    now = now_ns();
    (void)waitpid(pid, NULL, 0);
    if (hint.flags & PMO_HINT_READY) {
        (void)fprintf(stderr, "instance %u is ready seconds after it was killed\n", instance);
        return -1;
    }
    if (hint.cleared_ns < killed || hint.cleared_ns > now) {
        (void)fprintf(stderr, "cleared_ns of instance %u is not between its kill and now\n",
                      instance);
        return -1;
    }
    one->seen_ns = now - killed;
    one->cleared_ns = hint.cleared_ns - killed;
    return 0;
}

/* A scan may have met a listener that was about to go. */
static int none_is_back(const struct pmo *pmo, const struct kill *kills, int count)
{
    struct pmo_hint hint;

    (void)sleep(SCAN_S);
    for (__u32 i = 1; i < PMO_HINTS_INSTANCES_MAX; i++) {
        if (!is_ready(pmo, i, &hint))
            continue;
        for (int k = 0; k < count; k++)
            if (hint.pid == (__u32)kills[k].pid) {
                (void)fprintf(stderr, "instance %u is ready again, its process is gone\n", i);
                return -1;
            }
    }
    return 0;
}

static int by_cleared(const void *a, const void *b)
{
    const struct kill *x = a, *y = b;

    return x->cleared_ns < y->cleared_ns ? -1 : x->cleared_ns > y->cleared_ns;
}

static int by_seen(const void *a, const void *b)
{
    const struct kill *x = a, *y = b;

    return x->seen_ns < y->seen_ns ? -1 : x->seen_ns > y->seen_ns;
}

int main(int argc, char **argv)
{
    static struct kill kills[KILLS_MAX];
    int count = argc == 3 ? atoi(argv[2]) : 0, p50 = count / 2, p99 = count * 99 / 100;
    struct pmo *pmo;
    int r;

    if (count < 1 || count > KILLS_MAX) {
        (void)fputs("usage: kill_latency HINTS KILLS\n", stderr);
        return 2;
    }
    r = pmo_open(&pmo, argv[1]);
    if (r) {
        (void)fprintf(stderr, "cannot open %s: %s\n", argv[1], strerror(-r));
        return 2;
    }
    for (int i = 0; i < count; i++)
        if (kill_one(pmo, &kills[i]))
            return 1;
    if (none_is_back(pmo, kills, count))
        return 1;
    pmo_close(&pmo);
    qsort(kills, count, sizeof(*kills), by_cleared);
    printf("%d kills: cleared after p50 %.0f us, p99 %.0f us, at most %.0f us\n", count,
           kills[p50].cleared_ns / 1e3, kills[p99].cleared_ns / 1e3,
           kills[count - 1].cleared_ns / 1e3);
    qsort(kills, count, sizeof(*kills), by_seen);
    printf("%d kills: seen after p50 %.0f us, p99 %.0f us, at most %.0f us\n", count,
           kills[p50].seen_ns / 1e3, kills[p99].seen_ns / 1e3, kills[count - 1].seen_ns / 1e3);
    if (kills[p99].seen_ns < LIMIT_NS)
        return 0;
    (void)fprintf(stderr, "p99 of %d kills is %.0f us\n", count, kills[p99].seen_ns / 1e3);
    return 1;
}
