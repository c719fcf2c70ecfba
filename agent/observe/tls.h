/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests inside TLS: finds what the processes of this host speak TLS with, whatever their mount
 * namespace, and has the uprobes of bpf/tls.h attached there. A file is probed once, for all
 * processes that use it. Probes are pinned like all that counts: they stay while no agent runs. The
 * next agent leaves those of the same program where they are, and replaces the others.
 *
 * Owned by the event loop; not thread-safe.
 */
#pragma once

#include <sys/types.h>
#include "agent/observe/kernel.h"

struct pmo_tls;

/* Returns 0 or -ENOMEM. */
int pmo_tls_new(struct pmo_tls **tls, struct pmo_kernel *kernel);
/* The probes stay: they go with the kernel's pins. Takes NULL, sets NULL. */
void pmo_tls_free(struct pmo_tls **tls);

/* Looks at what one process has mapped. Takes some tenths of a millisecond, and some milliseconds
 * where that is new. */
void pmo_tls_process(struct pmo_tls *tls, pid_t pid);

/* Looks at all processes, and takes probes off files that nobody uses any more. */
void pmo_tls_scan(struct pmo_tls *tls);
