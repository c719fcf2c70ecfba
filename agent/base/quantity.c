/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct unit {
    const char *name;
    enum pmo_dimension dimension;
    double divisor; /* divides exactly where a factor like 0.001 would not */
} units[] = {
    {"us", PMO_DURATION, 1e6},
    {"ms", PMO_DURATION, 1e3},
    {"milliseconds", PMO_DURATION, 1e3},
    {"s", PMO_DURATION, 1},
    {"second", PMO_DURATION, 1},
    {"seconds", PMO_DURATION, 1},
    {"m", PMO_DURATION, 1.0 / 60},
    {"min", PMO_DURATION, 1.0 / 60},
    {"minute", PMO_DURATION, 1.0 / 60},
    {"minutes", PMO_DURATION, 1.0 / 60},
    {"h", PMO_DURATION, 1.0 / 3600},
    {"hour", PMO_DURATION, 1.0 / 3600},
    {"hours", PMO_DURATION, 1.0 / 3600},
    {"d", PMO_DURATION, 1.0 / 86400},
    {"day", PMO_DURATION, 1.0 / 86400},
    {"days", PMO_DURATION, 1.0 / 86400},
    {"%", PMO_SHARE, 100},
    {"percent", PMO_SHARE, 100},
    {"rps", PMO_RATE, 1},
    {"/s", PMO_RATE, 1},
    {"/m", PMO_RATE, 60},
    {"/min", PMO_RATE, 60},
    {"/h", PMO_RATE, 3600},
    {"requests/s", PMO_RATE, 1},
    {"requests per second", PMO_RATE, 1},
};

static const struct {
    const char *name, *example;
} dimensions[] = {
    [PMO_NUMBER] = {"a number", "3"},
    [PMO_DURATION] = {"a duration", "250ms, 3s or 10m"},
    [PMO_SHARE] = {"a share", "80% or 0.8"},
    [PMO_RATE] = {"a rate of requests", "50rps, 50/s or 3000/m"},
};

const char *pmo_dimension_name(enum pmo_dimension dimension)
{
    return dimensions[dimension].name;
}

const char *pmo_dimension_example(enum pmo_dimension dimension)
{
    return dimensions[dimension].example;
}

/* Not strtod(): that takes "nan", "0x10" and, in some locales, a comma. */
static bool scan_number(const char **at, double *value)
{
    double digits = 0, divisor = 1;
    const char *c = *at;
    bool any = false, fraction = false;

    for (;; c++) {
        if (*c == '.' && !fraction) {
            fraction = true;
        } else if (isdigit((unsigned char)*c)) {
            any = true;
            digits = digits * 10 + (*c - '0');
            divisor *= fraction ? 10 : 1;
        } else {
            break;
        }
    }
    if (!any || !isfinite(digits) || !isfinite(divisor))
        return false;
    *value = digits / divisor;
    *at = c;
    return true;
}

static const char *skip_blanks(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

static const struct unit *scan_unit(const char **at)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        size_t length = strlen(units[i].name);
        bool is_word = isalpha((unsigned char)units[i].name[length - 1]);

        if (strncasecmp(*at, units[i].name, length) != 0)
            continue;
        /* "m" does not begin "ms" or "m/s" */
        if (is_word && (isalnum((unsigned char)(*at)[length]) || (*at)[length] == '/'))
            continue;
        *at += length;
        return &units[i];
    }
    return NULL;
}

int pmo_quantity_scan(const char **at, double *value, enum pmo_dimension *dimension)
{
    const char *c = *at;
    const struct unit *unit;

    if (!scan_number(&c, value))
        return -EINVAL;
    c = skip_blanks(c);
    unit = scan_unit(&c);
    *dimension = unit ? unit->dimension : PMO_NUMBER;
    if (unit)
        *value /= unit->divisor;
    *at = skip_blanks(c);
    return 0;
}
