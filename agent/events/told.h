/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the API has told of events, over restarts: a JSON file, a row for each, that is replaced as
 * a whole whenever something was told.
 *
 * Not thread-safe.
 */
#pragma once

#include <stdint.h>
#include "agent/events/event.h"

/* Writes what the API told (source 0) and the calendar has. Returns 0 or a negative errno, logged.
 */
int pmo_told_write(const char *path, const struct pmo_calendar *calendar);

/* Puts them into the calendar, but for what is over for long at @now. A file in which a row, or
 * all, makes no sense is moved aside, to PATH.unreadable, and logged; rows that do are in a new
 * one. Returns 0, also where there is no file; -ENOMEM. */
int pmo_told_read(const char *path, struct pmo_calendar *calendar, int64_t now);
