/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One readiness probe over the event loop: a TCP connect, and with a path also a GET that is to be
 * answered with a status of 2xx. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct pmo_probe;

typedef void (*pmo_probe_done_fn)(void *context, bool passed);

/**
 * pmo_probe_start - start a probe
 * @addr: IPv4-mapped; @port: host byte order
 * @path: NULL for a TCP connect alone
 * @done: called once, later, from the loop; then the probe is gone
 * Returns 0 or a negative errno; not logged: a failed start is a failed probe.
 */
int pmo_probe_start(struct pmo_probe **probe, uv_loop_t *loop, const uint8_t addr[16],
                    uint16_t port, const char *path, double timeout_s, pmo_probe_done_fn done,
                    void *context);
/* Ends it without a call of done. Takes NULL, sets NULL. */
void pmo_probe_cancel(struct pmo_probe **probe);
