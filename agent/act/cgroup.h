/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One control group for each instance: <cgroup2 mount>/pmo/<name>. It says which processes belong
 * to the instance, kills them all at once (cgroup.kill, Linux 5.14) and limits their CPU time.
 *
 * The limit is cpu.max where cgroup v2 has the cpu controller, else the same in a cgroup v1 cpu
 * hierarchy if one is mounted, else there is none and a warning says so once.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* CPU bandwidth (kernel: Documentation/scheduler/sched-bwc.rst). A short period keeps the waits
 * short that throttling makes: 10 ms, longer only as far as the kernel's least quota of 1 ms asks
 * for it. */
struct pmo_cpu_limit {
    long quota_us, period_us;
};
/* @share: of one core, 0.01 or more */
struct pmo_cpu_limit pmo_cpu_limit(double share);

struct pmo_cgroups;

/* Returns 0, or a negative errno, logged: -EBUSY where another agent has instances on this host. */
int pmo_cgroups_open(struct pmo_cgroups **cgroups);
/* @remove: the parent directories too, once they are empty. Takes NULL, sets NULL. */
void pmo_cgroups_close(struct pmo_cgroups **cgroups, bool remove);

/**
 * pmo_cgroup_make - make an instance's group and set its limit
 * @cpu_share: of one core, 0 for no limit
 * @fd:        receives its directory, for CLONE_INTO_CGROUP
 * @cpu_fd:    receives cgroup.procs of its cgroup v1 cpu group, -1 where it has none
 * Returns 0, or a negative errno, logged, with nothing left behind.
 */
int pmo_cgroup_make(struct pmo_cgroups *cgroups, const char *name, double cpu_share, int *fd,
                    int *cpu_fd);
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
