/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which network interfaces there are, as it changes: rtnetlink(7) link events of the current
 * network namespace on a libuv loop. Events that the kernel could not deliver (a full socket
 * buffer) are made up for by listing all interfaces again and telling what differs.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>

/* @present: it appeared, or has a new name; else it is gone (deleted, or moved to another network
 * namespace) and @name is its last one. */
typedef void (*pmo_interface_fn)(void *context, int ifindex, const char *name, bool present);

struct pmo_interfaces;

/**
 * pmo_interfaces_start - tell of every interface there is, then of every change
 *
 * All calls come from the loop, the first ones in its next turn.
 * Returns 0 or a negative errno, logged.
 */
int pmo_interfaces_start(struct pmo_interfaces **interfaces, uv_loop_t *loop,
                         pmo_interface_fn changed, void *context);
/* No more calls after this; the memory is freed by the loop's next turn. Takes NULL, sets NULL. */
void pmo_interfaces_stop(struct pmo_interfaces **interfaces);
