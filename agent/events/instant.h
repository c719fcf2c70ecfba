/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between what a clock on a wall says somewhere and seconds since 1970. Zones are libical's: those
 * of the system by name, and those that a calendar brings along. Local times are seconds as if the
 * wall clock were UTC's.
 *
 * Thread-safe: libical guards what it loads.
 */
#pragma once

#include <libical/ical.h>
#include <stdint.h>

/* "Europe/Berlin", "UTC"; NULL: there is none. libical's, not to be freed. */
icaltimezone *pmo_zone_find(const char *name);
/* Local time at an instant. */
int64_t pmo_zone_local(icaltimezone *zone, int64_t instant);
/* The instant of a local time, as RFC 5545 (3.3.5) has it: of one that is there twice, the first;
 * one that the clock skips is as late as it would be without the change. */
int64_t pmo_zone_instant(icaltimezone *zone, int64_t local);

/* "2018-04-05T17:31:00Z" (RFC 3339), fractions of a second cut off. Returns 0 or -EINVAL. */
int pmo_instant_parse(const char *text, int64_t *instant);
