/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures of series as SVG: panels one below the other over the same seconds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define PMO_PLOT_LINES 4

struct pmo_plot_line {
    const char *name, *colour;
    const double *values; /* one a second; NAN: a gap */
    bool steps;           /* holds through its second, instead of going straight to the next */
    bool dashed;
};

struct pmo_plot_panel {
    const char *title; /* with the unit */
    double top;        /* the axis goes from 0 to this, or to the greatest value if that is more */
    struct pmo_plot_line lines[PMO_PLOT_LINES];
    size_t lines_count;
};

/**
 * pmo_plot_write - write a file
 * @first, @seconds: the axis: second @first of a trace is values[0] of each line
 * Returns 0, or a negative errno after logging.
 */
int pmo_plot_write(const char *path, const char *title, const struct pmo_plot_panel *panels,
                   size_t panels_count, size_t first, size_t seconds);
