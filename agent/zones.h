/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zones of a Kubernetes cluster's nodes, followed on a libuv loop. */
#pragma once

#include <uv.h>
#include "agent/observe/kernel.h"
#include "agent/observe/zones.h"

struct pmo_zones_refresh;

/* Asks the zones' cluster at once and then as often as they say, and tells the kernel side what
 * changed; *refresh is unchanged where the zones name none. Returns 0 or -ENOMEM, logged. */
int pmo_zones_refresh_start(struct pmo_zones_refresh **refresh, uv_loop_t *loop,
                            struct pmo_zones *zones, struct pmo_kernel *kernel);
/* No more of it after this. Frees the zones, when the thread is done with them; the loop has to run
 * until then. Takes NULL. */
void pmo_zones_refresh_stop(struct pmo_zones_refresh **refresh, struct pmo_zones **zones);
