/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Schedules as cron has them: minute, hour, day of the month, month and day of the week, each "*",
 * a number, a range, a list, with a step ("2,32", "9-17", "0-30/10"); months and days of the week
 * also by their English names. Where both days are restricted, either will do (crontab(5)).
 *
 * When clocks change: a schedule whose hours are restricted keeps to the wall clock (a time that is
 * skipped comes as late as it would have without the change, one that is there twice comes the
 * first time only); one of every hour goes on through the change.
 *
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/events/instant.h"

struct pmo_cron {
    uint64_t minutes, hours, days, months, weekdays; /* bit for each value */
    bool any_hour, any_day, any_weekday;             /* "*", also with a step */
};

/* On failure, writes to @error what is wrong and what to write instead, and returns -EINVAL. */
int pmo_cron_parse(struct pmo_cron *cron, const char *text, char *error, size_t error_size);

/* Instants of the schedule in [from, to), in order, up to @room of them; returns how many. */
size_t pmo_cron_between(const struct pmo_cron *cron, icaltimezone *zone, int64_t from, int64_t to,
                        int64_t *out, size_t room);
