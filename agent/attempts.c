/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/attempts.h"

#include <stdlib.h>

#define FLOOD_SYNS_PER_S 100 /* fewer are clients that try again */

void pmo_attempts_add(struct pmo_attempts *a, const struct pmo_instance_record *record)
{
    const struct pmo_instance_counts *counts = &record->counts;
    double seconds = (double)(record->window - record->since + 1);

    a->total.syns += counts->syns;
    a->total.connections += counts->connections;
    a->total.datagrams += counts->datagrams;
    a->total.initials += counts->initials;
    if (a->second != (int64_t)record->window)
        a->syns_per_s = a->connections_per_s = a->datagrams_per_s = a->initials_per_s = 0;
    a->second = (int64_t)record->window;
    a->syns_per_s += (double)counts->syns / seconds;
    a->connections_per_s += (double)counts->connections / seconds;
    a->datagrams_per_s += (double)counts->datagrams / seconds;
    a->initials_per_s += (double)counts->initials / seconds;
}

void pmo_attempts_add_zone(struct pmo_attempts *a, const struct pmo_type_record *record)
{
    struct pmo_zone_attempts *zone;

    if (!a->zones)
        a->zones = calloc(PMO_ZONES_MAX, sizeof(*a->zones));
    if (!a->zones)
        return;
    zone = &a->zones[record->key.zone];
    if (record->key.protocol == PMO_PROTOCOL_SYNS)
        zone->syns += record->counts.requests;
    else
        zone->connections += record->counts.requests;
}

void pmo_attempts_free(struct pmo_attempts *attempts)
{
    free(attempts->zones);
    attempts->zones = NULL;
}

struct pmo_attempts pmo_attempts_in(const struct pmo_attempts *attempts, int64_t second)
{
    struct pmo_attempts a = *attempts;

    if (a.second != second)
        a.syns_per_s = a.connections_per_s = a.datagrams_per_s = a.initials_per_s = 0;
    return a;
}

double pmo_attempts_flood(const struct pmo_attempts *a)
{
    return a->syns_per_s >= FLOOD_SYNS_PER_S && a->connections_per_s < a->syns_per_s / 2
               ? a->syns_per_s - a->connections_per_s
               : 0;
}
