/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One readiness probe by a command, run where its instance runs: in its network namespace and
 * control group. It passes when the command exits with status 0 in time; what takes longer is
 * killed. */
#pragma once

#include <uv.h>
#include "agent/act/probe.h"
#include "agent/act/process.h"

struct pmo_exec_probe;

/* @done: as of pmo_probe_start(). Returns 0, or a negative errno where the command cannot be run;
 * not logged. */
int pmo_exec_probe_start(struct pmo_exec_probe **probe, uv_loop_t *loop,
                         const struct pmo_process *process, double timeout_s,
                         pmo_probe_done_fn done, void *context);
/* Kills it, without a call of done; the loop collects it. Takes NULL, sets NULL. */
void pmo_exec_probe_cancel(struct pmo_exec_probe **probe);
