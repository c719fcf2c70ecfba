/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks of a MaxMind database (GeoLite2, DB-IP, ...), each with the text that stands in one
 * field of its record: a country, say. The file format: https://maxmind.github.io/MaxMind-DB.
 *
 * Neighbours with the same text are one network, so that of what a database tells apart only that
 * is left which the field does. Memory while reading: that of what comes out.
 */
#pragma once

#include <stddef.h>
#include "agent/observe/kernel.h"

struct pmo_maxmind {
    char (*values)[64];               /* those of the most addresses first */
    struct pmo_kernel_zone *networks; /* disjoint; a zone is a row of values */
    size_t values_count, networks_count;
    size_t others; /* values that have no row: they are the last one, "{other}" */
};

/**
 * pmo_maxmind_read - what a database says
 * @by: path of the field in a record, ended by NULL: {"country", "iso_code", NULL}; a number is a
 * place in a list. What has no such field is in no network.
 * @values_max: rows of values, 2 to PMO_ZONES_MAX
 * @error: on failure, what is wrong and what to do, in one line without the path
 * Returns 0, -ENOMEM, or -EINVAL for what is no such database, or where the field is in no record
 * or is no text.
 */
int pmo_maxmind_read(struct pmo_maxmind *maxmind, const char *path, const char *const *by,
                     size_t values_max, char *error, size_t error_size);
void pmo_maxmind_clear(struct pmo_maxmind *maxmind);
