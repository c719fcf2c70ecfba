/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One control group for each instance: <cgroup2 mount>/pmo/<name>. It says which processes belong
 * to the instance, kills them all at once (cgroup.kill, Linux 5.14) and limits their CPU time and
 * memory.
 *
 * A limit is cpu.max or memory.max where cgroup v2 has the controller, else the same in a cgroup v1
 * hierarchy of it if one is mounted, else there is none and a warning says so once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* CPU bandwidth (kernel: Documentation/scheduler/sched-bwc.rst). A short period keeps the waits
 * short that throttling makes: 10 ms, longer only as far as the kernel's least quota of 1 ms asks
 * for it. */
struct pmo_cpu_limit {
    long quota_us, period_us;
};
/* @share: of one core, 0.01 or more */
struct pmo_cpu_limit pmo_cpu_limit(double share);

enum pmo_cgroup_controller { PMO_CGROUP_CPU, PMO_CGROUP_MEMORY, PMO_CGROUP_CONTROLLERS };

struct pmo_cgroup_limits {
    double cpu_share;      /* of one core, 0 for no limit */
    uint64_t memory_bytes; /* without swap, 0 for no limit */
};

/* What a process needs to be in a group: close them with pmo_cgroup_entry_close(). */
struct pmo_cgroup_entry {
    int fd;                             /* its directory, for CLONE_INTO_CGROUP */
    int v1_fds[PMO_CGROUP_CONTROLLERS]; /* cgroup.procs of its cgroup v1 groups, -1: none */
};

struct pmo_cgroups;

/* Returns 0, or a negative errno, logged: -EBUSY where another agent has instances on this host. */
int pmo_cgroups_open(struct pmo_cgroups **cgroups);
/* @remove: the parent directories too, once they are empty. Takes NULL, sets NULL. */
void pmo_cgroups_close(struct pmo_cgroups **cgroups, bool remove);

/* Makes an instance's group and sets its limits. Returns 0, or a negative errno, logged, with
 * nothing left behind. */
int pmo_cgroup_make(struct pmo_cgroups *cgroups, const char *name,
                    const struct pmo_cgroup_limits *limits);
/* Returns 0, or a negative errno, not logged. */
int pmo_cgroup_enter(const struct pmo_cgroups *cgroups, const char *name,
                     struct pmo_cgroup_entry *entry);
void pmo_cgroup_entry_close(struct pmo_cgroup_entry *entry);
/* Whether the kernel killed any of its processes as its memory was used up. */
bool pmo_cgroup_ran_out_of_memory(const struct pmo_cgroups *cgroups, const char *name);
/* Absolute path of its directory. */
void pmo_cgroup_path(const struct pmo_cgroups *cgroups, const char *name, char *path, size_t size);
bool pmo_cgroup_holds(const struct pmo_cgroups *cgroups, const char *name, pid_t pid);
/* SIGKILL to every process in it. */
void pmo_cgroup_kill(const struct pmo_cgroups *cgroups, const char *name);
/* Returns 0, also where there is none, or -EBUSY while a process is in it. */
int pmo_cgroup_remove(const struct pmo_cgroups *cgroups, const char *name);
/* Kills and removes it before it returns, or logs what is in the way. */
void pmo_cgroup_clear(const struct pmo_cgroups *cgroups, const char *name);

/* Clears all groups that @keep does not claim. */
void pmo_cgroups_sweep(struct pmo_cgroups *cgroups, bool (*keep)(void *context, const char *name),
                       void *context);
