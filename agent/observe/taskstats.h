/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long processes waited for a CPU, from the kernel's taskstats interface (kernel:
 * Documentation/accounting/taskstats.rst and delay-accounting.rst).
 *
 * One request gives the sum over all threads of a process, those that have ended included.
 * /proc/PID/schedstat has the same of the main thread alone, and /proc/PID/task/TID/schedstat takes
 * a descriptor and a read a thread, and forgets threads that ended.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct pmo_taskstats;

/* Returns 0, or -EOPNOTSUPP (a kernel without CONFIG_TASKSTATS, or not the host's network
 * namespace) or another negative errno; only those of opening a socket are logged. */
int pmo_taskstats_open(struct pmo_taskstats **taskstats);
/* Takes NULL, sets NULL. */
void pmo_taskstats_close(struct pmo_taskstats **taskstats);

/* Time in which threads of a process could have run, but others did. Returns 0, or -ESRCH (no such
 * process), -EPERM (CAP_NET_ADMIN is missing) or another negative errno; none is logged. */
int pmo_taskstats_run_delay(struct pmo_taskstats *taskstats, pid_t pid, uint64_t *ns);
