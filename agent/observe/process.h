/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes as /proc knows them. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Fields of /proc/PID/stat (proc_pid_stat(5)). */
struct pmo_process_stat {
    pid_t parent;
    uint64_t cpu_ticks;     /* its own and of children it has waited for, user and system */
    uint64_t started_ticks; /* since boot */
    uint64_t resident_pages;
};

/* Returns 0, or -EINVAL for a text that is not such a line. */
int pmo_process_stat_parse(const char *text, struct pmo_process_stat *stat);

/* Returns 0, or -ESRCH (no such process), or another negative errno; none is logged. */
int pmo_process_stat_read(pid_t pid, struct pmo_process_stat *stat);

/**
 * pmo_process_describe - name and cgroup of a process
 * @command: as in /proc/PID/comm
 * @cgroup: absolute path of its cgroup v2 directory; "" where there is no cgroup v2, the path is
 * too long or the process is outside of what this mount shows Returns 0, or -ESRCH (no such
 * process), or another negative errno; none is logged.
 */
int pmo_process_describe(pid_t pid, char command[64], char cgroup[256]);

/* Where cgroup v2 is mounted ("/sys/fs/cgroup"), "" where it is not. Asked once. */
const char *pmo_cgroup_mount(void);

/* Path of the cgroup v2 in the text of /proc/PID/cgroup; NULL where there is none. Cuts the text.
 */
const char *pmo_cgroup_parse(char *text);

/* usage_usec of a cpu.stat file. Returns 0 or -EINVAL. */
int pmo_cgroup_cpu_parse(const char *text, uint64_t *cpu_usec);
