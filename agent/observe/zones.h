/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zones: names for where clients are, by prefixes of their addresses. A YAML file, with one or more
 * of three parts:
 *
 *   zones:
 *     office: [192.0.2.0/24, "2001:db8:1::/48"]
 *     eu-west: [198.51.100.0/25, 203.0.113.7]
 *   kubernetes: {label: topology.kubernetes.io/zone}
 *   maxmind: {database: /var/lib/GeoIP/GeoLite2-Country.mmdb, by: [country, iso_code]}
 *
 * Inside a prefix that is named, the other parts say nothing; inside one of a cluster's node (see
 * nodes.h), the database (see maxmind.h) says nothing. In one part, the longest prefix that an
 * address begins with says its zone; it is "unknown" where there is none. Zones of the same name
 * are one.
 */
#pragma once

#include <stddef.h>
#include "agent/base/document.h"
#include "agent/observe/kernel.h"
#include "agent/observe/nodes.h"

struct pmo_zones;

/* Reads them from a file, and from the database that it names. Returns 0, -ENOMEM, or -EINVAL for
 * mistakes, each complained about. What has no room is warned of. */
int pmo_zones_read(struct pmo_zones **zones, const struct pmo_file *file);
void pmo_zones_free(struct pmo_zones **zones);
/* Name of a zone; NULL @zones: there are none. */
const char *pmo_zones_name(const struct pmo_zones *zones, uint8_t zone);
/* All prefixes, for pmo_kernel_zones(). */
const struct pmo_kernel_zone *pmo_zones_prefixes(const struct pmo_zones *zones, size_t *count);
/* Whose nodes have zones, NULL: nobody's. */
const struct pmo_cluster *pmo_zones_cluster(const struct pmo_zones *zones);
/* The nodes there are now, in place of those before. What is no prefix is left out. A zone keeps
 * its number while the agent runs. Returns 0 or -ENOMEM. */
int pmo_zones_set_nodes(struct pmo_zones *zones, const struct pmo_nodes *nodes);
