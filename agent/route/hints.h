/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writer of the hints map (include/pmo/hints.h): one writer, the event loop; any number of readers.
 * Works on the mapped memory alone, so that tests can give it plain memory.
 */
#pragma once

#include <stdint.h>
#include <stddef.h>
#include <pmo/hints.h>

struct pmo_hints; /* the mapped rows and the allocator of the member region */

/**
 * pmo_hints_new - write into @rows (PMO_HINTS_ROWS rows of PMO_HINTS_ROW bytes)
 * A fresh (all zero) map gets its header. Rows of an earlier agent of the same version are kept and
 * continued (services keep their numbers); -EPROTO for another magic or version, nothing touched.
 */
int pmo_hints_new(struct pmo_hints **hints, void *rows);
void pmo_hints_free(struct pmo_hints **hints);

/* Number of a service, made if needed. @addr: service address or NULL. -ENOSPC: all rows used. */
int pmo_hints_service(struct pmo_hints *hints, const char *name, const uint8_t addr[16],
                      uint16_t port);
void pmo_hints_service_delete(struct pmo_hints *hints, int service);
void pmo_hints_service_predict(struct pmo_hints *hints, int service, const uint32_t mrps[3]);

/* Replaces the service's member list; readers see the old or the new one, whole. -ENOSPC. */
int pmo_hints_members(struct pmo_hints *hints, int service, const uint32_t *instances,
                      size_t count);

/* Writes everything of an instance's row but flags, arrived and cleared_ns. */
void pmo_hints_instance(struct pmo_hints *hints, uint32_t instance,
                        const struct pmo_hint_instance *row);
/* Sets and clears bits of its flags atomically. */
void pmo_hints_flags(struct pmo_hints *hints, uint32_t instance, uint32_t set, uint32_t clear);
/* Clears the row, for reuse, but what counts requests in flight. */
void pmo_hints_instance_delete(struct pmo_hints *hints, uint32_t instance);
const struct pmo_hint_instance *pmo_hints_row(const struct pmo_hints *hints, uint32_t instance);
/* Requests in flight. */
uint32_t pmo_hints_in_flight(const struct pmo_hints *hints, uint32_t instance);
/* Of instances whose calls cannot be told apart: the next one in a circle of them, 0: none. */
void pmo_hints_together(struct pmo_hints *hints, uint32_t instance, uint32_t next);
void pmo_hints_heartbeat(struct pmo_hints *hints, uint64_t now_ns);
