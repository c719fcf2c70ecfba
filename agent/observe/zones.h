/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zones: names for where clients are, by prefixes of their addresses. A YAML file:
 *
 *   zones:
 *     office: [192.0.2.0/24, "2001:db8:1::/48"]
 *     eu-west: [198.51.100.0/25, 203.0.113.7]
 *
 * The longest prefix that an address begins with says its zone; it is "unknown" where none does.
 */
#pragma once

#include <stddef.h>
#include "agent/base/document.h"
#include "agent/observe/kernel.h"

struct pmo_zones;

/* Reads them from a file. Returns 0, -ENOMEM, or -EINVAL for mistakes, each complained about. */
int pmo_zones_read(struct pmo_zones **zones, const struct pmo_file *file);
void pmo_zones_free(struct pmo_zones **zones);
/* Name of a zone; NULL @zones: there are none. */
const char *pmo_zones_name(const struct pmo_zones *zones, uint8_t zone);
/* All prefixes, for pmo_kernel_zones(). */
struct pmo_kernel_zone *pmo_zones_prefixes(struct pmo_zones *zones, size_t *count);
