/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/chart.h"

#include <math.h>

#define LABEL_COLUMNS 9  /* "12345678 " */
#define COLUMNS_MIN   40 /* of the whole */

/* One row of a column, by how many eighths of it are filled. */
static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

/* The greatest of the values of column @at, each of @step seconds; the last column is full. */
static double column_of(const double *values, size_t count, size_t step, size_t first, size_t at)
{
    double greatest = NAN;

    for (size_t i = 0; i < step; i++) {
        size_t second = first + at * step + i;

        if (second < count)
            greatest = fmax(greatest, values[second]); /* fmax() leaves NAN out */
    }
    return greatest;
}

/* How much of row @row (0: the lowest) is filled by a column of this height in rows: 0..1. */
static double filled(double height, unsigned int row)
{
    return fmin(fmax(height - row, 0), 1);
}

static const char *cell(const struct pmoctl_chart *chart, double low, double high, unsigned int row)
{
    double share = filled(low, row);
    int eighths = (int)lround(share * 8);

    if (chart->unicode && eighths > 0)
        return blocks[eighths];
    if (!chart->unicode && share >= 0.5)
        return "#";
    if (filled(high, row) >= 0.5)
        return chart->unicode ? "░" : ".";
    if (isnan(low) || row > 0)
        return " ";
    return chart->unicode ? blocks[1] : "_"; /* known, and nearly nothing */
}

static double greatest_of(const double *values, size_t count, double least)
{
    for (size_t i = 0; i < count; i++)
        least = fmax(least, values[i]);
    return least;
}

static void print_label(const struct pmoctl_chart *chart, double top, unsigned int row, FILE *out)
{
    if (row + 1 == chart->rows && top < 1e8)
        (void)fprintf(out, "%*.*f ", LABEL_COLUMNS - 1, top < 10 ? 1 : 0, top);
    else if (row + 1 == chart->rows)
        (void)fprintf(out, "%*.1e ", LABEL_COLUMNS - 1, top);
    else if (row == 0)
        (void)fprintf(out, "%*d ", LABEL_COLUMNS - 1, 0);
    else
        (void)fprintf(out, "%*s", LABEL_COLUMNS, "");
}

/* "now" below the bar, and how far it is to either end. */
static void print_times(size_t past, size_t future, size_t step, FILE *out)
{
    char begin[32], end[32];

    (void)snprintf(begin, sizeof(begin), "-%zus", past * step);
    (void)snprintf(end, sizeof(end), "+%zus", future * step);
    (void)fprintf(out, "%*s%-*snow%*s\n", LABEL_COLUMNS, "", past > 0 ? (int)past - 1 : 0, begin,
                  future > 0 ? (int)future - 1 : 0, end);
}

void pmoctl_chart_print(const struct pmoctl_chart *chart, FILE *out)
{
    unsigned int columns = chart->columns > COLUMNS_MIN ? chart->columns : COLUMNS_MIN;
    size_t room = columns - LABEL_COLUMNS - 2, all = chart->past_count + chart->future_count;
    size_t step = all > room ? (all + room - 1) / room : 1;
    size_t past = chart->past_count / step, first = chart->past_count % step;
    size_t future = chart->future_count / step;
    double top = greatest_of(chart->high, chart->future_count,
                             greatest_of(chart->past, chart->past_count, 1));
    double scale = chart->rows / top;

    for (unsigned int row = chart->rows; row-- > 0;) {
        print_label(chart, top, row, out);
        for (size_t i = 0; i < past; i++) {
            double height = scale * column_of(chart->past, chart->past_count, step, first, i);

            (void)fputs(cell(chart, height, height, row), out);
        }
        (void)fputs(chart->unicode ? "│" : "|", out);
        for (size_t i = 0; i < future; i++)
            (void)fputs(cell(chart,
                             scale * column_of(chart->median, chart->future_count, step, 0, i),
                             scale * column_of(chart->high, chart->future_count, step, 0, i), row),
                        out);
        (void)fputc('\n', out);
    }
    print_times(past, future, step, out);
}
