/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Charts: what stands in the file for which values. */
#include "tests/unit/suite.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "tools/pmoctl/plot.h"

/* The file's text; the caller's to free. */
static char *plot(const struct pmo_plot_panel *panels, size_t count)
{
    char path[] = "/tmp/pmo-plot-test.XXXXXX", *text = NULL;
    int fd = mkstemp(path);
    size_t room = 0;
    FILE *file;

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(pmo_plot_write(path, panels, count), 0);
    file = fdopen(fd, "r");
    CU_ASSERT_FATAL(file && getdelim(&text, &room, '\0', file) > 0);
    (void)fclose(file);
    (void)unlink(path);
    return text;
}

static char *plot_series(struct pmo_plot_series series)
{
    struct pmo_plot_panel panel = {.title = "t", .series = &series, .series_count = 1};

    series.label = "l";
    return plot(&panel, 1);
}

/* What the last path of the file draws. */
static const char *drawn(char *text)
{
    char *at = NULL, *next = text;

    while ((next = strstr(next, " d=\"")))
        at = next += 4;
    CU_ASSERT_FATAL(at != NULL);
    at[strcspn(at, "\"")] = '\0';
    return at;
}

/* The plot is 816 wide from 64 on, and 200 high from 52 on; 5 % of it are above the highest. */
static void points_are_drawn_where_their_values_are(void)
{
    static const double x[] = {0, 1, 2, 3, 4}, y[] = {0, 200, NAN, 100, 200},
                        low[] = {0, 100, NAN, 0, 100};
    struct pmo_plot_series series = {.count = 5, .x = x, .y = y, .low = low};
    _cleanup_free_ char *line = plot_series(series), *step = NULL, *band = NULL;

    CU_ASSERT_STRING_EQUAL(drawn(line), "M64.0 252.0L268.0 61.5M676.0 156.8L880.0 61.5");
    series.kind = PMO_PLOT_STEP;
    step = plot_series(series);
    CU_ASSERT_STRING_EQUAL(drawn(step), "M64.0 252.0H268.0V61.5M676.0 156.8H880.0V61.5");
    series.kind = PMO_PLOT_BAND;
    band = plot_series(series);
    CU_ASSERT_STRING_EQUAL(drawn(band), "M64.0 252.0L268.0 61.5L268.0 156.8L64.0 252.0Z"
                                        "M676.0 156.8L880.0 61.5L880.0 156.8L676.0 252.0Z");
}

static void many_points_keep_their_extremes(void)
{
    enum { COUNT = 100000 };
    static double x[COUNT], y[COUNT], low[COUNT];
    struct pmo_plot_series series = {.count = COUNT, .x = x, .y = y, .low = low};
    _cleanup_free_ char *line = NULL, *band = NULL;

    for (size_t i = 0; i < COUNT; i++) {
        x[i] = (double)i;
        y[i] = 100;
        low[i] = 50;
    }
    y[77777] = 200;
    low[33333] = 0;
    line = plot_series(series);
    CU_ASSERT_TRUE(strlen(line) < 60000);
    CU_ASSERT_PTR_NOT_NULL(strstr(drawn(line), "698.7 61.5"));
    series.kind = PMO_PLOT_BAND;
    band = plot_series(series);
    CU_ASSERT_TRUE(strlen(band) < 120000);
    CU_ASSERT_PTR_NOT_NULL(strstr(drawn(band), "335.7 252.0L"));
}

static void ticks_are_round_numbers_and_times(void)
{
    static const double x[] = {86400, 88200}, y[] = {3, 47};
    struct pmo_plot_series series = {.label = "a<b & c", .count = 2, .x = x, .y = y};
    struct pmo_plot_panel panels[] = {
        {.title = "A", .x_label = "time", .x_is_time = true, .series = &series, .series_count = 1},
        {.title = "B", .series = &series, .series_count = 1}};
    static const char *const texts[] = {">0<",        ">10<",       ">40<",
                                        ">1d 00:05<", ">1d 00:30<", ">time<",
                                        ">86500<",    ">88000<",    ">a&lt;b &amp; c<"};
    _cleanup_free_ char *text = plot(panels, 2), *again = plot(panels, 2);

    CU_ASSERT_STRING_EQUAL(text, again);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CU_ASSERT_PTR_NOT_NULL(strstr(text, texts[i]));
        if (!strstr(text, texts[i]))
            (void)fprintf(stderr, "no %s\n", texts[i]);
    }
}

static void nothing_to_draw_is_no_error(void)
{
    static const double x[] = {5}, y[] = {NAN};
    _cleanup_free_ char *none = plot_series((struct pmo_plot_series){0}), *gap = NULL;

    CU_ASSERT_STRING_EQUAL(drawn(none), "");
    gap = plot_series((struct pmo_plot_series){.count = 1, .x = x, .y = y});
    CU_ASSERT_PTR_NULL(strstr(gap, "nan"));
}

static void a_file_that_cannot_be_written_is_an_error(void)
{
    enum pmo_log_level level = pmo_log_max;
    struct pmo_plot_panel panel = {.title = "t"};

    pmo_log_max = 0;
    CU_ASSERT_EQUAL(pmo_plot_write("/nowhere/plot.svg", &panel, 1), -ENOENT);
    CU_ASSERT_EQUAL(pmo_plot_write("/dev/full", &panel, 1), -ENOSPC);
    pmo_log_max = level;
}

SUITE(plot) = {
    TEST(points_are_drawn_where_their_values_are),   TEST(many_points_keep_their_extremes),
    TEST(ticks_are_round_numbers_and_times),         TEST(nothing_to_draw_is_no_error),
    TEST(a_file_that_cannot_be_written_is_an_error), {0}};
