/* SPDX-License-Identifier: GPL-2.0-or-later */
/* No package of Debian's has cron's schedules as a library in C. */
#include "agent/events/cron.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DAY_S  86400
#define HOUR_S 3600

static const struct field {
    const char *name, *example;
    unsigned int min, max;
    const char *names; /* three letters each, from min on */
} fields[] = {
    {"minute", "0-59", 0, 59, ""},
    {"hour", "0-23", 0, 23, ""},
    {"day of the month", "1-31", 1, 31, ""},
    {"month", "1-12 or jan-dec", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of the week", "0-7 or sun-sat", 0, 7, "sunmontuewedthufrisat"},
};
#define FIELDS (sizeof(fields) / sizeof(*fields))

/* One number or name; moves *at behind it. */
static bool scan_value(const struct field *field, const char **at, unsigned int *value)
{
    char *end;

    if (**at >= '0' && **at <= '9') {
        unsigned long number = strtoul(*at, &end, 10);

        *at = end;
        *value = (unsigned int)number;
        return number >= field->min && number <= field->max;
    }
    for (size_t i = 0; field->names[3 * i]; i++)
        if (!strncasecmp(*at, field->names + 3 * i, 3)) {
            *at += 3;
            *value = field->min + (unsigned int)i;
            return true;
        }
    return false;
}

/* "*", "5", "1-5", with or without "/2"; moves *at behind it. */
static bool scan_range(const struct field *field, const char **at, uint64_t *bits)
{
    unsigned int first = field->min, last = field->max;
    unsigned long step = 1;
    bool one = false;
    char *end;

    if (**at == '*') {
        (*at)++;
    } else {
        if (!scan_value(field, at, &first))
            return false;
        one = **at != '-';
        last = first;
        if (!one && ((*at)++, !scan_value(field, at, &last)))
            return false;
    }
    if (**at == '/') {
        step = strtoul(*at + 1, &end, 10);
        if ((*at)[1] < '0' || (*at)[1] > '9' || !step || one)
            return false;
        *at = end;
    }
    if (first > last)
        return false;
    for (unsigned long i = first; i <= last; i += step)
        *bits |= 1ULL << i;
    return true;
}

static bool scan_field(const struct field *field, const char *text, uint64_t *bits)
{
    *bits = 0;
    do {
        if (!scan_range(field, &text, bits))
            return false;
    } while (*text == ',' && text++);
    return !*text;
}

int pmo_cron_parse(struct pmo_cron *cron, const char *text, char *error, size_t error_size)
{
    uint64_t *const bits[FIELDS] = {&cron->minutes, &cron->hours, &cron->days, &cron->months,
                                    &cron->weekdays};
    bool any[FIELDS];
    char word[160];

    memset(cron, 0, sizeof(*cron));
    for (size_t i = 0; i < FIELDS; i++) {
        size_t length = strcspn(text += strspn(text, " \t"), " \t");

        (void)snprintf(word, sizeof(word), "%.*s", (int)length, text);
        text += length;
        if (!length || (i == FIELDS - 1 && text[strspn(text, " \t")])) {
            (void)snprintf(error, error_size,
                           "five fields are expected: minute, hour, day of the month, month and "
                           "day of the week; write e.g. \"2,32 * * * *\"");
            return -EINVAL;
        }
        if (length >= sizeof(word) || !scan_field(&fields[i], word, bits[i])) {
            (void)snprintf(error, error_size,
                           "\"%.40s\" is no %s; write %s, *, a list or a step, e.g. */%u", word,
                           fields[i].name, fields[i].example, fields[i].max > 12 ? 10 : 2);
            return -EINVAL;
        }
        any[i] = word[0] == '*';
    }
    cron->any_hour = any[1];
    cron->any_day = any[2];
    cron->any_weekday = any[4];
    if (cron->weekdays & 1ULL << 7) /* Sunday, too */
        cron->weekdays |= 1;
    return 0;
}

static bool is_day(const struct pmo_cron *cron, int64_t local)
{
    time_t t = local;
    struct tm tm;
    bool day, weekday;

    (void)gmtime_r(&t, &tm);
    day = cron->days >> tm.tm_mday & 1;
    weekday = cron->weekdays >> tm.tm_wday & 1;
    if (!(cron->months >> (tm.tm_mon + 1) & 1))
        return false;
    return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

/* Once each, in order: what a change of clocks moved may be behind what comes later. */
static size_t keep(int64_t instant, int64_t from, int64_t to, int64_t *out, size_t count)
{
    size_t at = count;

    while (at && out[at - 1] > instant)
        at--;
    if (instant < from || instant >= to || (at && out[at - 1] == instant))
        return count;
    memmove(&out[at + 1], &out[at], (count - at) * sizeof(*out));
    out[at] = instant;
    return count + 1;
}

/* Hours are restricted: by the wall clock, day by day. */
static size_t by_wall_clock(const struct pmo_cron *cron, icaltimezone *zone, int64_t from,
                            int64_t to, int64_t *out, size_t room)
{
    int64_t first = pmo_zone_local(zone, from) - DAY_S, last = pmo_zone_local(zone, to) + DAY_S;
    size_t count = 0;

    for (int64_t day = first - first % DAY_S; day <= last; day += DAY_S) {
        if (!is_day(cron, day))
            continue;
        for (unsigned int minute = 0; minute < 24 * 60 && count < room; minute++)
            if (cron->hours >> minute / 60 & 1 && cron->minutes >> minute % 60 & 1)
                count =
                    keep(pmo_zone_instant(zone, day + (int64_t)minute * 60), from, to, out, count);
    }
    return count;
}

/* Every hour that goes by, as the clock shows it then. */
static size_t by_elapsed_time(const struct pmo_cron *cron, icaltimezone *zone, int64_t from,
                              int64_t to, int64_t *out, size_t room)
{
    size_t count = 0;

    for (int64_t hour = from - from % HOUR_S; hour < to; hour += HOUR_S) {
        int64_t offset = pmo_zone_local(zone, hour) - hour;
        bool change = pmo_zone_local(zone, hour + HOUR_S) - hour - HOUR_S != offset;

        for (int64_t t = hour; t < hour + HOUR_S && count < room; t += 60) {
            int64_t local = change ? pmo_zone_local(zone, t) : t + offset;

            if (cron->minutes >> local / 60 % 60 & 1 && cron->hours >> local / HOUR_S % 24 & 1 &&
                is_day(cron, local))
                count = keep(t, from, to, out, count);
        }
    }
    return count;
}

size_t pmo_cron_between(const struct pmo_cron *cron, icaltimezone *zone, int64_t from, int64_t to,
                        int64_t *out, size_t room)
{
    if (cron->any_hour)
        return by_elapsed_time(cron, zone, from, to, out, room);
    return by_wall_clock(cron, zone, from, to, out, room);
}
