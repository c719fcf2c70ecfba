/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps a calendar up to date with its sources: works out schedules, fetches calendars and feeds
 * (in a thread of libuv's pool) each time they are due, and takes what Kafka has. A source that
 * fails keeps what it had; the log says so once, and once when it is well again.
 *
 * All functions are for the loop's thread.
 */
#pragma once

#include <uv.h>
#include "agent/events/event.h"
#include "agent/events/sources.h"

#define PMO_REFRESH_AHEAD_MAX 256 /* happenings to come, of one source */

struct pmo_refresh;

/* What a source says at @now, from a day before to a week ahead. Only for schedules, and for
 * calendars and feeds whose @text is given. *list is the caller's to free; @error as of
 * pmo_ical_read(). Returns 0, -EINVAL with @error, or -ENOMEM. Pure. */
int pmo_refresh_read(const struct pmo_source *source, const char *text, size_t length, int64_t now,
                     struct pmo_happening **list, size_t *count, char *error, size_t error_size);

/* @sources (NULL: there are none) and @calendar stay the caller's until it is stopped. Returns 0 or
 * a negative errno, logged. */
int pmo_refresh_start(struct pmo_refresh **refresh, uv_loop_t *loop,
                      const struct pmo_sources *sources, struct pmo_calendar *calendar);
/* Takes NULL, sets NULL. What is being fetched is given up; the loop frees what is left, and the
 * sources, which a thread may still look at, the next time it runs. *sources becomes NULL. */
void pmo_refresh_stop(struct pmo_refresh **refresh, struct pmo_sources **sources);
