/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/instant.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400

icaltimezone *pmo_zone_find(const char *name)
{
    return !strcmp(name, "UTC") ? icaltimezone_get_utc_timezone()
                                : icaltimezone_get_builtin_timezone(name);
}

static int64_t offset_at(icaltimezone *zone, int64_t instant)
{
    struct icaltimetype utc =
        icaltime_from_timet_with_zone(instant, 0, icaltimezone_get_utc_timezone());

    return icaltimezone_get_utc_offset_of_utc_time(zone, &utc, NULL);
}

int64_t pmo_zone_local(icaltimezone *zone, int64_t instant)
{
    return instant + offset_at(zone, instant);
}

int64_t pmo_zone_instant(icaltimezone *zone, int64_t local)
{
    int64_t before = local - offset_at(zone, local - DAY_S); /* by the offset before any change */
    int64_t after = local - offset_at(zone, before);

    if (pmo_zone_local(zone, before) == local || pmo_zone_local(zone, after) != local)
        return before;
    return after;
}

int pmo_instant_parse(const char *text, int64_t *instant)
{
    struct tm tm = {};
    int hours = 0, minutes = 0, length = 0;
    const char *at;
    char sign;

    /* strptime() would take blanks and numbers of fewer digits */
    if (strlen(text) < 20 || !isdigit((unsigned char)text[0]) || !strchr("Tt", text[10]) ||
        !isdigit((unsigned char)text[17]))
        return -EINVAL;
    at = strptime(text, "%Y-%m-%d", &tm);
    if (at != text + 10)
        return -EINVAL;
    at = strptime(at + 1, "%H:%M:%S", &tm);
    if (at != text + 19)
        return -EINVAL;
    if (*at == '.' && isdigit((unsigned char)at[1]))
        for (at++; isdigit((unsigned char)*at);)
            at++;
    sign = *at;
    if (sign == 'Z' || sign == 'z')
        length = 1;
    else if ((sign != '+' && sign != '-') ||
             sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2 || length++ != 5 ||
             hours > 23 || minutes > 59 || !isdigit((unsigned char)at[1]))
        return -EINVAL;
    if (at[length])
        return -EINVAL;
    *instant = timegm(&tm) - (sign == '-' ? -60 : 60) * (hours * 60 + minutes);
    return 0;
}
