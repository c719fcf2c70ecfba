/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Happenings of a trace, for backtests: CSV whose first line names the columns. "start" (second of
 * the trace) and "kind" are required; "duration" (seconds, 60), "strength" (1), "scope" (*) and
 * "known" (second from which on it was known; always) are not. A field that is empty is not stated.
 */
#pragma once

#include <stddef.h>
#include "agent/events/event.h"

/* By start; *list is the caller's to free. `known` is INT64_MIN where it was always known. Returns
 * 0; or a negative errno, logged as FILE:LINE: what is wrong. */
int pmo_events_file_read(const char *path, struct pmo_happening **list, size_t *count);
