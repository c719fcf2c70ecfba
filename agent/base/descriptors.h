/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many descriptors a process may have (getrlimit(2), RLIMIT_NOFILE). */
#pragma once

/* Lets this process have as many as its hard limit allows: the agent keeps some for each process
 * whose use it reads, and the usual soft limit of 1,024 is there for programs that use select(). */
void pmo_descriptors_raise(void);

/* Back to what it was before, for a program that is to be run. Returns 0 or a negative errno; does
 * not log. Async-signal-safe. */
int pmo_descriptors_restore(void);
