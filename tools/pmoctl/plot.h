/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Charts as an SVG file: panels one below the other, each with lines, steps and bands over one x
 * axis. The same values give the same file. It is readable on light and on dark pages: colours are
 * those of the reader's colour scheme.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum pmo_plot_kind {
    PMO_PLOT_LINE,   /* through the points */
    PMO_PLOT_DOTTED, /* the same, as a dotted line */
    PMO_PLOT_STEP,   /* each value holds until the next point */
    PMO_PLOT_BAND,   /* filled between low and y */
};

enum pmo_plot_colour {
    PMO_PLOT_GREY,
    PMO_PLOT_BLUE,
    PMO_PLOT_RED,
    PMO_PLOT_GREEN,
    PMO_PLOT_PURPLE,
    PMO_PLOT_ORANGE,
};

struct pmo_plot_series {
    const char *label;
    enum pmo_plot_kind kind;
    enum pmo_plot_colour colour;
    size_t count;
    const double *x;   /* finite, rising */
    const double *y;   /* 0 or more; NAN: a gap */
    const double *low; /* of a band */
};

struct pmo_plot_panel {
    const char *title;
    const char *x_label; /* NULL: none */
    double top;          /* the y axis goes from 0 to the greatest value, but at least to this, */
    double limit;        /* and at most to this: higher values are cut off; 0: no limit */
    bool x_is_time;      /* x is seconds, and is written as days, hours, minutes, seconds */
    const struct pmo_plot_series *series; /* the first is drawn first: bands before lines */
    size_t series_count;
};

/* Returns 0, or a negative errno, logged. */
int pmo_plot_write(const char *path, const struct pmo_plot_panel *panels, size_t panels_count);
