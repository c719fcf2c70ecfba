/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each instance uses, read once a second from descriptors that stay open.
 *
 * CPU and memory come from the instance's cgroup v2 where it has one of its own: one that holds
 * nothing but its main process and that one's descendants. Where v1 is mounted beside it, memory
 * and throttled time may come from a cgroup v1 of its own. The rest is of its process tree, and so
 * is what the cgroups do not say: see agent/observe/tree.h for what that means for its resolution,
 * and for processes that ended.
 *
 * Not thread-safe. Takes up to six descriptors an instance, and four a process of each tree.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "agent/observe/tree.h"

/*
 * Sums only ever grow. What cannot be read is PMO_USAGE_UNKNOWN; but rx_bytes and tx_bytes are 0
 * where no interface is read. All of it may become known, or unknown again, from one reading to the
 * next.
 */
struct pmo_usage_reading {
    uint64_t cpu_usec;           /* cpu.stat usage_usec; tree: /proc/PID/stat */
    uint64_t memory_bytes;       /* resident; of a cgroup: what it is charged for */
    uint64_t rx_bytes, tx_bytes; /* of its interface, as seen from inside */

    /* Time in which a limit (cpu.max, cpu.cfs_quota_us) of its own cgroup kept it from running,
     * summed over the CPUs: throttled_usec of cpu.stat, in v1 throttled_time. Unknown without such
     * a cgroup; limits of those above it are not in it. (kernel: sched-bwc.rst) */
    uint64_t throttled_usec;
    /* Time its threads waited for a CPU, summed over them; up to the kernel, throttled time is in
     * it. Unknown without CAP_NET_ADMIN and outside of the host's network namespace. */
    uint64_t run_delay_ns;
    /* Memory that cannot be taken from it easily. Of a cgroup what the kubelet means by it:
     * memory.current less inactive_file of memory.stat, in v1 memory.usage_in_bytes less
     * total_inactive_file, never below 0. Of a tree, its anonymous pages. */
    uint64_t working_set_bytes;
    /* From and to storage. io.stat has what was transferred, on each device: one that lies on
     * another counts twice. Of a tree, writing counts when a page gets dirty. */
    uint64_t disk_read_bytes, disk_written_bytes;
    /* Descriptors: of all its processes, of the process that has most, and what the main one may
     * have (its soft limit RLIMIT_NOFILE, which its children have from it). The last is unknown
     * once that process is gone. */
    uint64_t open_files, open_files_most, open_files_limit;
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

/* CPU cores that the limit of an instance's own cgroup leaves it (cpu.max, cpu.cfs_quota_us):
 * limits of those above it are not in it. NAN: there is none, or no such cgroup. */
double pmo_usage_cpu_limit(pid_t pid, const char *cgroup);
/* The same from the text of cpu.max: "max 100000", "6000 100000". */
double pmo_cpu_max_parse(const char *text);

/* Returns 0, or -ESRCH when all its processes (or its cgroup) are gone, or -ENODEV when its
 * interface is (the rest is filled in); none is logged. */
int pmo_usage_read(struct pmo_usage_instance *instance, struct pmo_usage_reading *reading);
