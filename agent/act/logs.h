/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What instances print: <state>/logs/NAME.log, and before it NAME.log.1 (newer) to NAME.log.3, each
 * of an earlier instance of that name or, where one prints much, an earlier part of the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define PMO_LOG_BYTES_MAX (8L << 20) /* of one file, seen when it is looked at */
#define PMO_LOGS_KEPT     64         /* of instances that are gone: the last ones to print */

/* Begins a new file for an instance that starts. */
void pmo_logs_shift(const char *directory, const char *name);
/* Moves what an instance has printed out of a file that is too large: it goes on printing into the
 * same one, so what is there is copied. What it prints in that moment may be lost. */
void pmo_logs_bound(const char *directory, const char *name);
/* Removes the oldest files, so that @kept are left of names that @is_live does not claim. */
void pmo_logs_prune(const char *directory, size_t kept,
                    bool (*is_live)(void *context, const char *name), void *context);
