/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a process inside a network namespace and a control group. It is in both before its program
 * runs, in a session of its own, with no descriptor of the agent, so it lives on when the agent
 * dies. Its end is learned through a pidfd, which works alike for children and for adopted
 * processes, and cannot mean another process that got the same number.
 */
#pragma once

#include <sys/types.h>
#include "agent/act/cgroup.h"

struct pmo_process {
    char *const *command;     /* NULL-terminated */
    char *const *environment; /* the whole of it, NULL-terminated */
    const char *log_path;     /* standard output and error are appended to it */
    int netns_fd;
    int cgroup_fd;                      /* directory of a cgroup v2 group */
    int v1_fds[PMO_CGROUP_CONTROLLERS]; /* cgroup.procs of cgroup v1 groups, or -1 */
};

/* Returns 0 with the program running, or a negative errno, not logged, with no process left. */
int pmo_process_start(const struct pmo_process *process, pid_t *pid, int *pidfd);
/* Descriptor of a running process. Returns -ESRCH where there is none. */
int pmo_process_open(pid_t pid);
void pmo_process_signal(int pidfd, int signal);
/* Collects an ended child; does nothing for adopted processes. Writes how it ended. */
void pmo_process_reap(int pidfd, char *how, size_t size);
