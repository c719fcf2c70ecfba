/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What asked an instance or service for connections, as XDP sees it, beside the connections that
 * were made (bpf/syn.h). It is never demand: forecasts are about requests.
 */
#pragma once

#include <stdint.h>
#include <pmo/abi.h>

struct pmo_zone_attempts { /* of a zone */
    uint64_t syns, connections;
};

struct pmo_attempts {
    struct pmo_instance_counts total; /* since the agent's start */
    int64_t second;                   /* the last one that was counted in; and in it: */
    double syns_per_s, connections_per_s, datagrams_per_s, initials_per_s;
    struct pmo_zone_attempts *zones; /* PMO_ZONES_MAX of them, or NULL: none came from any */
};

void pmo_attempts_add(struct pmo_attempts *attempts, const struct pmo_instance_record *record);
void pmo_attempts_add_zone(struct pmo_attempts *attempts, const struct pmo_type_record *record);
void pmo_attempts_free(struct pmo_attempts *attempts);

/* Those of a second; zeros where it is not the last one that was counted in. */
struct pmo_attempts pmo_attempts_in(const struct pmo_attempts *attempts, int64_t second);
/* SYNs per second that became no connection, where those are most of many (100); else 0. */
double pmo_attempts_flood(const struct pmo_attempts *attempts);
