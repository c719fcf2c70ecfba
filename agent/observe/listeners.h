/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who listens: TCP listeners (and UDP sockets) of a network namespace by sock_diag(7), and the
 * processes that own them. The kernel names a socket by its inode only; its owner is found by
 * reading the links in /proc/PID/fd, as ss(8) does. That is dear, so it is done only when there is
 * an inode not seen before (or whose owner is gone).
 *
 * Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <pmo/abi.h>
#include "agent/observe/process.h"

struct pmo_listening {
    struct pmo_listener address;
    bool dual_stack; /* listens on ::, and takes IPv4 connections too (IPV6_V6ONLY is off) */
    uint32_t inode;
    uint32_t queue;       /* connections that wait for accept() */
    uint32_t queue_limit; /* min(backlog, net.core.somaxconn) */
    uint64_t cgroup_id; /* cgroup v2 that the socket was made in, 0 where the kernel does not say */
    /* Its owner: of several processes the oldest whose parent does not own it too. 0 where there is
     * none to be seen: the kernel's own sockets, or CAP_SYS_PTRACE is missing. */
    pid_t pid;
    char command[64]; /* "" where there is no owner */
    char cgroup[256]; /* see pmo_process_describe() */
};

struct pmo_listeners; /* owners of the sockets seen last */

/* Returns 0 or -ENOMEM. */
int pmo_listeners_new(struct pmo_listeners **listeners);
void pmo_listeners_free(struct pmo_listeners **listeners);

/* Return non-zero to stop. */
typedef int (*pmo_listening_fn)(void *context, const struct pmo_listening *listening);

/**
 * pmo_listeners_scan - every TCP listener, IPv4 and IPv6, one call a socket
 *
 * Sockets that share an address by SO_REUSEPORT come one by one, with the same address and another
 * inode.
 * @netns_fd: a network namespace; -1: the current one. One struct pmo_listeners serves any number
 * of namespaces. Returns 0, or what @found returned to stop, or a negative errno, logged.
 */
int pmo_listeners_scan(struct pmo_listeners *listeners, int netns_fd, pmo_listening_fn found,
                       void *context);

/**
 * pmo_datagrams_scan - every UDP socket that is bound and not connected, likewise
 * @owners: look for who owns them, which is dear; else pid is 0
 * Where the kernel does not list UDP sockets (CONFIG_INET_UDP_DIAG), there are none.
 */
int pmo_datagrams_scan(int netns_fd, bool owners, pmo_listening_fn found, void *context);
