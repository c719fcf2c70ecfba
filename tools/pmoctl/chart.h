/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A chart for a terminal: columns of what was, a bar, and columns of what is forecast. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct pmoctl_chart {
    const double *past; /* a second each, the last one is now; NAN: not observed */
    size_t past_count;
    const double *median, *high; /* the seconds after that: filled up to the median, and lighter */
    size_t future_count;         /* from there up to the high quantile */
    unsigned int columns, rows;  /* room: of the terminal; for the columns' height, 2 or more */
    bool unicode;                /* blocks, in eighths of a row; else ASCII */
};

/* Writes rows + 1 lines, the last one with the times. Where there are more seconds than columns, a
 * column is the greatest of a few; a chart narrower than 40 columns is 40 wide. */
void pmoctl_chart_print(const struct pmoctl_chart *chart, FILE *out);
