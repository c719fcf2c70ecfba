/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Discovery of listeners with real sockets. Needs root, for network namespaces. */
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/observe/listeners.h"

#define LISTENERS_MANY 1000

/* A listening socket on a port that the kernel picks (or *port, unless it is 0). */
static int listen_on(int family, const char *text, bool v6_only, uint16_t *port)
{
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    socklen_t length = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, only = v6_only;

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(
        inet_pton(family, text, family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr),
        1);
    v4->sin_port = htons(*port); /* at the same place in both */
    CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    if (family == AF_INET6)
        CU_ASSERT_EQUAL(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)), 0);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, length), 0);
    CU_ASSERT_EQUAL_FATAL(listen(fd, 7), 0);
    CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(v4->sin_port);
    return fd;
}

static uint32_t inode_of(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 ? (uint32_t)status.st_ino : 0;
}

struct search {
    uint16_t port;
    uint32_t inode; /* 0: any */
    unsigned int count;
    struct pmo_listening found; /* the last one */
};

static int note(void *context, const struct pmo_listening *listening)
{
    struct search *search = context;

    if (listening->address.port != search->port ||
        (search->inode && listening->inode != search->inode))
        return 0;
    search->count++;
    search->found = *listening;
    return 0;
}

static struct search look_for(struct pmo_listeners *listeners, int netns_fd, uint16_t port,
                              uint32_t inode)
{
    struct search search = {.port = port, .inode = inode};

    CU_ASSERT_EQUAL(pmo_listeners_scan(listeners, netns_fd, note, &search), 0);
    return search;
}

/* Scans once, with nothing remembered. */
static struct search look_once(int netns_fd, uint16_t port, uint32_t inode)
{
    struct pmo_listeners *listeners = NULL;
    struct search search;

    CU_ASSERT_EQUAL_FATAL(pmo_listeners_new(&listeners), 0);
    search = look_for(listeners, netns_fd, port, inode);
    pmo_listeners_free(&listeners);
    CU_ASSERT_PTR_NULL(listeners);
    return search;
}

static bool has_address(const struct pmo_listening *listening, const char *v6_text)
{
    uint8_t wanted[16];

    return inet_pton(AF_INET6, v6_text, wanted) == 1 &&
           !memcmp(listening->address.addr, wanted, sizeof(wanted));
}

static void an_ipv4_listener_is_found_with_its_owner(void)
{
    uint16_t port = 0;
    _cleanup_close_ int fd = listen_on(AF_INET, "127.0.0.1", false, &port);
    struct search search = look_once(-1, port, 0);
    char command[64], cgroup[256];

    CU_ASSERT_EQUAL_FATAL(search.count, 1);
    CU_ASSERT_TRUE(has_address(&search.found, "::ffff:127.0.0.1"));
    CU_ASSERT_NOT_EQUAL(search.found.address.netns, 0);
    CU_ASSERT_EQUAL(search.found.inode, inode_of(fd));
    CU_ASSERT_EQUAL(search.found.pid, getpid());
    CU_ASSERT_EQUAL(search.found.queue, 0);
    CU_ASSERT_EQUAL(search.found.queue_limit, 7);
    CU_ASSERT_EQUAL(pmo_process_describe(getpid(), command, cgroup), 0);
    CU_ASSERT_STRING_EQUAL(search.found.command, command);
    CU_ASSERT_STRING_EQUAL(search.found.cgroup, cgroup);
}

static void an_ipv6_listener_is_found(void)
{
    uint16_t port = 0;
    _cleanup_close_ int fd = listen_on(AF_INET6, "::1", false, &port);
    struct search search = look_once(-1, port, inode_of(fd));

    CU_ASSERT_EQUAL_FATAL(search.count, 1);
    CU_ASSERT_TRUE(has_address(&search.found, "::1"));
    CU_ASSERT_FALSE(search.found.dual_stack);
}

static void a_wildcard_takes_ipv4_unless_it_is_v6_only(void)
{
    uint16_t both_port = 0, only_port = 0, v4_port = 0;
    _cleanup_close_ int both = listen_on(AF_INET6, "::", false, &both_port);
    _cleanup_close_ int only = listen_on(AF_INET6, "::", true, &only_port);
    _cleanup_close_ int v4 = listen_on(AF_INET, "0.0.0.0", false, &v4_port);
    struct search search = look_once(-1, both_port, inode_of(both));

    CU_ASSERT_EQUAL(search.count, 1);
    CU_ASSERT_TRUE(has_address(&search.found, "::"));
    CU_ASSERT_TRUE(search.found.dual_stack);
    search = look_once(-1, only_port, inode_of(only));
    CU_ASSERT_EQUAL(search.count, 1);
    CU_ASSERT_FALSE(search.found.dual_stack);
    search = look_once(-1, v4_port, inode_of(v4));
    CU_ASSERT_EQUAL(search.count, 1);
    CU_ASSERT_TRUE(has_address(&search.found, "::"));
    CU_ASSERT_FALSE(search.found.dual_stack);
}

static void sockets_that_share_a_port_come_one_by_one(void)
{
    uint16_t port = 0;
    _cleanup_close_ int a = listen_on(AF_INET, "127.0.0.1", false, &port);
    _cleanup_close_ int b = listen_on(AF_INET, "127.0.0.1", false, &port);

    CU_ASSERT_EQUAL(look_once(-1, port, 0).count, 2);
    CU_ASSERT_EQUAL(look_once(-1, port, inode_of(a)).count, 1);
    CU_ASSERT_EQUAL(look_once(-1, port, inode_of(b)).count, 1);
}

static void connections_that_wait_are_counted(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port = 0;
    _cleanup_close_ int fd = listen_on(AF_INET, "127.0.0.1", false, &port);
    int clients[3];

    address.sin_port = htons(port);
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CU_ASSERT_EQUAL(connect(clients[i], (struct sockaddr *)&address, sizeof(address)), 0);
    }
    CU_ASSERT_EQUAL(look_once(-1, port, inode_of(fd)).found.queue, 3);
    for (int i = 0; i < 3; i++)
        (void)close(clients[i]);
}

static void a_listener_goes_when_it_is_closed(void)
{
    struct pmo_listeners *listeners = NULL;
    uint16_t port = 0;
    int fd = listen_on(AF_INET, "127.0.0.1", false, &port);

    CU_ASSERT_EQUAL_FATAL(pmo_listeners_new(&listeners), 0);
    CU_ASSERT_EQUAL(look_for(listeners, -1, port, 0).count, 1);
    (void)close(fd);
    CU_ASSERT_EQUAL(look_for(listeners, -1, port, 0).count, 0);
    pmo_listeners_free(&listeners);
}

static pid_t start_sleeper(void)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    for (;;)
        (void)pause();
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* As nginx: a master that listens, and workers that inherit. The master ends, the workers live on.
 */
static void the_oldest_of_several_owners_is_named_and_replaced_when_it_ends(void)
{
    struct pmo_listeners *listeners = NULL;
    int pipes[2];
    pid_t master, workers[2], found;
    uint16_t port = 0;
    uint32_t inode;

    CU_ASSERT_EQUAL_FATAL(pmo_listeners_new(&listeners) | pipe(pipes), 0);
    master = fork();
    if (!master) {
        (void)listen_on(AF_INET, "127.0.0.1", false, &port);
        workers[0] = start_sleeper();
        workers[1] = start_sleeper();
        (void)!write(pipes[1], workers, sizeof(workers));
        (void)!write(pipes[1], &port, sizeof(port));
        for (;;)
            (void)pause();
    }
    CU_ASSERT_EQUAL(read(pipes[0], workers, sizeof(workers)), sizeof(workers));
    CU_ASSERT_EQUAL(read(pipes[0], &port, sizeof(port)), sizeof(port));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    inode = look_for(listeners, -1, port, 0).found.inode;
    CU_ASSERT_EQUAL(look_for(listeners, -1, port, inode).found.pid, master);
    end(master);
    found = look_for(listeners, -1, port, inode).found.pid;
    CU_ASSERT_TRUE(found == workers[0] || found == workers[1]);
    for (int i = 0; i < 2; i++)
        (void)kill(workers[i], SIGKILL); /* they are init's now */
    pmo_listeners_free(&listeners);
}

/* A child with a network namespace of its own, and a listener in it. Returns its namespace. */
static int start_in_namespace(pid_t *pid, uint16_t *port)
{
    char path[64];
    int pipes[2];

    CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
    *pid = fork();
    if (!*pid) {
        if (unshare(CLONE_NEWNET) < 0)
            _exit(1);
        (void)listen_on(AF_INET6, "::", false, port);
        (void)!write(pipes[1], port, sizeof(*port));
        for (;;)
            (void)pause();
    }
    CU_ASSERT_EQUAL_FATAL(read(pipes[0], port, sizeof(*port)), sizeof(*port));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", *pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void a_listener_in_another_namespace_is_found_there_only(void)
{
    struct pmo_listeners *listeners = NULL;
    uint16_t port = 4711, here_port = 0;
    _cleanup_close_ int here = listen_on(AF_INET, "127.0.0.1", false, &here_port);
    pid_t pid;
    _cleanup_close_ int netns_fd = start_in_namespace(&pid, &port);
    struct search search;

    CU_ASSERT_FATAL(netns_fd >= 0);
    CU_ASSERT_EQUAL_FATAL(pmo_listeners_new(&listeners), 0);
    for (int round = 0; round < 2; round++) { /* the second one from what was remembered */
        search = look_for(listeners, netns_fd, port, 0);
        CU_ASSERT_EQUAL(search.count, 1);
        CU_ASSERT_EQUAL(search.found.pid, pid);
        CU_ASSERT_TRUE(search.found.dual_stack);
        CU_ASSERT_EQUAL(look_for(listeners, netns_fd, here_port, inode_of(here)).count, 0);
        CU_ASSERT_EQUAL(look_for(listeners, -1, port, search.found.inode).count, 0);
        CU_ASSERT_NOT_EQUAL(look_for(listeners, -1, here_port, inode_of(here)).found.address.netns,
                            search.found.address.netns);
    }
    pmo_listeners_free(&listeners);
    end(pid);
}

static int count(void *context, const struct pmo_listening *listening)
{
    unsigned int *counted = context;

    *counted += 1;
    return 0;
}

static double timed_scan_ms(struct pmo_listeners *listeners)
{
    struct timespec from, to;
    unsigned int counted = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    CU_ASSERT_EQUAL(pmo_listeners_scan(listeners, -1, count, &counted), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    CU_ASSERT_TRUE(counted >= LISTENERS_MANY);
    return (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
}

static void a_thousand_listeners_are_scanned_in_milliseconds(void)
{
    struct rlimit limit, high = {LISTENERS_MANY + 100, LISTENERS_MANY + 100};
    struct pmo_listeners *listeners = NULL;
    static int fds[LISTENERS_MANY];
    double first_ms, again_ms = 1e9;

    CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (high.rlim_max < limit.rlim_max)
        high.rlim_max = limit.rlim_max;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &high), 0);
    for (int i = 0; i < LISTENERS_MANY; i++) {
        uint16_t port = 0;

        fds[i] = listen_on(AF_INET, "127.0.0.1", false, &port);
    }
    CU_ASSERT_EQUAL_FATAL(pmo_listeners_new(&listeners), 0);
    first_ms = timed_scan_ms(listeners);
    for (int i = 0; i < 20; i++) {
        double ms = timed_scan_ms(listeners);

        again_ms = ms < again_ms ? ms : again_ms;
    }
    printf("(%.1f ms, %.2f ms again) ", first_ms, again_ms);
    CU_ASSERT_TRUE(again_ms < 20 * suite_slower());
    for (int i = 0; i < LISTENERS_MANY; i++)
        (void)close(fds[i]);
    pmo_listeners_free(&listeners);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

SUITE(listeners) = {TEST(an_ipv4_listener_is_found_with_its_owner),
                    TEST(an_ipv6_listener_is_found),
                    TEST(a_wildcard_takes_ipv4_unless_it_is_v6_only),
                    TEST(sockets_that_share_a_port_come_one_by_one),
                    TEST(connections_that_wait_are_counted),
                    TEST(a_listener_goes_when_it_is_closed),
                    TEST(the_oldest_of_several_owners_is_named_and_replaced_when_it_ends),
                    TEST(a_listener_in_another_namespace_is_found_there_only),
                    TEST(a_thousand_listeners_are_scanned_in_milliseconds),
                    {0}};
