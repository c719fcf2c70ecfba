/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each instance uses: CPU time, resident memory and network bytes, read once a second from
 * descriptors that stay open.
 *
 * CPU and memory come from the instance's cgroup v2 where it has one of its own: one that holds
 * nothing but its main process and that one's descendants. Else they are summed over its process
 * tree: /proc/PID/stat has both numbers, and the time of children that were waited for, so that
 * none is lost between two looks for new processes. That time has a resolution of 10 ms, and shared
 * pages count once a process.
 *
 * Not thread-safe. Takes up to three descriptors an instance, and one a process of each tree.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* All but memory only ever grow. What cannot be read is 0. */
struct pmo_usage_reading {
    uint64_t cpu_usec;
    uint64_t memory_bytes;       /* resident; of a cgroup: what it is charged for */
    uint64_t rx_bytes, tx_bytes; /* of its interface, as seen from inside */
};

struct pmo_usage;          /* all instances */
struct pmo_usage_instance; /* one */

/* Returns 0 or -ENOMEM. */
int pmo_usage_new(struct pmo_usage **usage);
/* Removes what was added, too. */
void pmo_usage_free(struct pmo_usage **usage);

/**
 * pmo_usage_add - begin to read an instance
 * @pid: its main process
 * @cgroup: absolute path of that process's cgroup v2 directory; "" where not known
 * @netns_fd: of its network namespace, needed during this call only; -1: the current one
 * @interface: in that namespace; "": its network bytes are not read
 * Returns 0, or -ESRCH (no such process), -ENODEV (no such interface), or another negative errno,
 * each logged.
 */
int pmo_usage_add(struct pmo_usage *usage, pid_t pid, const char *cgroup, int netns_fd,
                  const char *interface, struct pmo_usage_instance **instance);
void pmo_usage_remove(struct pmo_usage *usage, struct pmo_usage_instance **instance);

/* To be called once a second, before the readings: every few times, and after an instance was
 * added, looks for new processes of the trees. Returns 0 or a negative errno, logged. */
int pmo_usage_tick(struct pmo_usage *usage);

/* Returns 0, or -ESRCH when all its processes (or its cgroup) are gone, or -ENODEV when its
 * interface is (the rest is filled in); none is logged. */
int pmo_usage_read(struct pmo_usage_instance *instance, struct pmo_usage_reading *reading);
