/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers with units as people write them: "250ms", "80 %", "50 rps", "3000/m". */
#pragma once

enum pmo_dimension {
    PMO_NUMBER,   /* no unit, or none that is known */
    PMO_DURATION, /* in seconds */
    PMO_SHARE,    /* as a fraction: 80 % is 0.8 */
    PMO_RATE,     /* in requests per second */
};

/* "a duration", and examples of it: "250ms, 3s or 10m" */
const char *pmo_dimension_name(enum pmo_dimension dimension);
const char *pmo_dimension_example(enum pmo_dimension dimension);

/**
 * pmo_quantity_scan - read a number and, where a known one follows, its unit
 * @at: moved behind what was read and the blanks after it; unchanged on failure
 * Returns 0, or -EINVAL when there is no number (signs and exponents are not read).
 */
int pmo_quantity_scan(const char **at, double *value, enum pmo_dimension *dimension);
