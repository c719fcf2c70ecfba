/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"

/* Pixels. */
#define WIDTH        900
#define LEFT         64
#define RIGHT        20
#define PLOT_WIDTH   (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT  200
#define TITLE_HEIGHT 34
#define LEGEND_LINE  18
#define AXIS_HEIGHT  44
#define LETTER       7.2 /* of a legend, on average */
#define SWATCH       26  /* of a legend, with the space behind it */

#define TICKS_WANTED 6

/* One panel's place and scale. */
struct frame {
    FILE *out;
    double top; /* of the axes' area */
    double x_min, x_max, y_max;
};

static double x_at(const struct frame *frame, double x)
{
    return LEFT + (x - frame->x_min) / (frame->x_max - frame->x_min) * PLOT_WIDTH;
}

static double y_at(const struct frame *frame, double y)
{
    return frame->top + PLOT_HEIGHT - y / frame->y_max * PLOT_HEIGHT;
}

static void write_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            (void)fputs("&lt;", out);
        else if (*text == '&')
            (void)fputs("&amp;", out);
        else
            (void)fputc(*text, out);
    }
}

/* ---- axes ------------------------------------------------------------------------------------ */

/* The smallest of 1, 2 and 5 times a power of ten that makes few enough ticks. */
static double round_step(double range)
{
    double least = range / TICKS_WANTED, power = pow(10, floor(log10(least)));

    return power * (least <= power ? 1 : least <= 2 * power ? 2 : least <= 5 * power ? 5 : 10);
}

static double time_step(double range)
{
    static const double steps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (steps[i] * TICKS_WANTED >= range)
            return steps[i];
    return 86400 * fmax(1, round_step(range / 86400));
}

static void write_number(FILE *out, double value)
{
    (void)fprintf(out, "%.10g", fabs(value) < 1e-12 ? 0 : value);
}

/* "12d", "12d 07:30", "07:30", "07:30:15" */
static void write_time(FILE *out, double seconds, double step, bool days)
{
    long s = lround(seconds);

    if (days)
        (void)fprintf(out, step >= 86400 ? "%ldd" : "%ldd ", s / 86400);
    if (days && step >= 86400)
        return;
    (void)fprintf(out, "%02ld:%02ld", s / 3600 % 24, s / 60 % 60);
    if (step < 60)
        (void)fprintf(out, ":%02ld", s % 60);
}

static void write_axes(const struct frame *frame, const struct pmo_plot_panel *panel)
{
    double bottom = frame->top + PLOT_HEIGHT, range = frame->x_max - frame->x_min;
    double y_step = round_step(frame->y_max);
    double x_step = panel->x_is_time ? time_step(range) : round_step(range);

    /* counted, not added up: rounding must not take the last tick away */
    for (long i = 0; (double)i * y_step <= frame->y_max * (1 + 1e-9); i++) {
        double y = y_at(frame, (double)i * y_step);

        (void)fprintf(frame->out,
                      "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                      "text-anchor=\"end\">",
                      LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4);
        write_number(frame->out, (double)i * y_step);
        (void)fputs("</text>\n", frame->out);
    }
    for (double i = ceil(frame->x_min / x_step - 1e-9); i * x_step <= frame->x_max + 1e-9 * range;
         i++) {
        double x = x_at(frame, i * x_step);

        (void)fprintf(frame->out,
                      "<path class=\"grid\" d=\"M%.1f %.1fv5\"/><text x=\"%.1f\" y=\"%.1f\" "
                      "text-anchor=\"middle\">",
                      x, bottom, x, bottom + 18);
        if (panel->x_is_time)
            write_time(frame->out, i * x_step, x_step, frame->x_max >= 86400);
        else
            write_number(frame->out, i * x_step);
        (void)fputs("</text>\n", frame->out);
    }
    if (panel->x_label) {
        (void)fprintf(frame->out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", WIDTH - RIGHT,
                      bottom + 34);
        write_text(frame->out, panel->x_label);
        (void)fputs("</text>\n", frame->out);
    }
}

/* ---- series ---------------------------------------------------------------------------------- */

/* Of more points than can be told apart, the lowest and the highest of each few. */
static size_t bundle(const struct pmo_plot_series *series)
{
    return series->count > 4 * PLOT_WIDTH ? series->count / (2 * PLOT_WIDTH) + 1 : 1;
}

/* Index of the lowest (@sign -1) or highest (1) value of points from..to-1; @to: there is none. */
static size_t extreme(const double *y, size_t from, size_t to, double sign)
{
    size_t found = to;

    for (size_t i = from; i < to; i++)
        if (!isnan(y[i]) && (found == to || sign * y[i] > sign * y[found]))
            found = i;
    return found;
}

/* Adds a point to a path; returns whether the next one is to be connected with it. */
static bool write_point(const struct frame *frame, const struct pmo_plot_series *series, size_t i,
                        bool connected)
{
    double x = x_at(frame, series->x[i]), y = y_at(frame, series->y[i]);

    if (connected && series->kind == PMO_PLOT_STEP)
        (void)fprintf(frame->out, "H%.1fV%.1f", x, y);
    else
        (void)fprintf(frame->out, "%c%.1f %.1f", connected ? 'L' : 'M', x, y);
    return true;
}

static void write_line(const struct frame *frame, const struct pmo_plot_series *series)
{
    size_t step = bundle(series);
    bool connected = false;

    for (size_t i = 0; i < series->count; i += step) {
        size_t to = i + step < series->count ? i + step : series->count;
        size_t low = extreme(series->y, i, to, -1), high = extreme(series->y, i, to, 1);

        if (low == to) {
            connected = false;
            continue;
        }
        connected = write_point(frame, series, low < high ? low : high, connected);
        if (low != high)
            connected = write_point(frame, series, low < high ? high : low, connected);
    }
}

/* One polygon for each stretch without a gap: there along the top, back along the bottom. */
static void write_band(const struct frame *frame, const struct pmo_plot_series *series)
{
    size_t step = bundle(series), from = 0, to;

    while (from < series->count) {
        for (to = from; to < series->count && !isnan(series->y[to]) && !isnan(series->low[to]);)
            to++;
        for (size_t i = from; i < to; i += step) {
            size_t end = i + step < to ? i + step : to;

            (void)fprintf(frame->out, "%c%.1f %.1f", i == from ? 'M' : 'L',
                          x_at(frame, series->x[i]),
                          y_at(frame, series->y[extreme(series->y, i, end, 1)]));
        }
        for (size_t end = to; end > from; end -= (end - from - 1) % step + 1) {
            size_t i = end - 1 - (end - from - 1) % step;

            (void)fprintf(frame->out, "L%.1f %.1f", x_at(frame, series->x[i]),
                          y_at(frame, series->low[extreme(series->low, i, end, -1)]));
        }
        if (to > from)
            (void)fputc('Z', frame->out);
        from = to + 1;
    }
}

static const char *style(enum pmo_plot_kind kind)
{
    return kind == PMO_PLOT_BAND ? "band" : kind == PMO_PLOT_DOTTED ? "line dotted" : "line";
}

static void write_series(const struct frame *frame, const struct pmo_plot_series *series)
{
    (void)fprintf(frame->out, "<path class=\"%s c%d\" d=\"", style(series->kind), series->colour);
    if (series->kind == PMO_PLOT_BAND)
        write_band(frame, series);
    else
        write_line(frame, series);
    (void)fputs("\"/>\n", frame->out);
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* Writes the legend from line @y on (NULL: does not); returns how many lines it takes. */
static int legend(FILE *out, const struct pmo_plot_panel *panel, double y)
{
    double x = LEFT;
    int lines = 1;

    for (size_t i = 0; i < panel->series_count; i++) {
        const struct pmo_plot_series *series = &panel->series[i];
        double width = SWATCH + LETTER * (double)strlen(series->label) + 14;
        bool band = series->kind == PMO_PLOT_BAND;

        if (x > LEFT && x + width > WIDTH - RIGHT) {
            x = LEFT;
            y += LEGEND_LINE;
            lines++;
        }
        if (out) {
            (void)fprintf(out,
                          band ? "<path class=\"%s c%d\" d=\"M%.1f %.1fh20v10h-20Z\"/>"
                               : "<path class=\"%s c%d\" d=\"M%.1f %.1fh20\"/>",
                          style(series->kind), series->colour, x, band ? y - 9 : y - 4);
            (void)fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">", x + SWATCH, y);
            write_text(out, series->label);
            (void)fputs("</text>\n", out);
        }
        x += width;
    }
    return lines;
}

static double panel_height(const struct pmo_plot_panel *panel)
{
    return TITLE_HEIGHT + LEGEND_LINE * legend(NULL, panel, 0) + PLOT_HEIGHT + AXIS_HEIGHT;
}

/* The axes' ends: the values', and 0. */
static void find_range(struct frame *frame, const struct pmo_plot_panel *panel)
{
    frame->x_min = INFINITY;
    frame->x_max = -INFINITY;
    for (size_t s = 0; s < panel->series_count; s++) {
        const struct pmo_plot_series *series = &panel->series[s];

        if (!series->count)
            continue;
        frame->x_min = fmin(frame->x_min, series->x[0]);
        frame->x_max = fmax(frame->x_max, series->x[series->count - 1]);
        for (size_t i = 0; i < series->count; i++)
            frame->y_max = fmax(frame->y_max, series->y[i]);
    }
    if (!(frame->x_max > frame->x_min)) { /* nothing, or a single point */
        frame->x_min = isfinite(frame->x_min) ? frame->x_min : 0;
        frame->x_max = frame->x_min + 1;
    }
    frame->y_max = fmax(frame->y_max * 1.05, panel->top);
    if (panel->limit > 0)
        frame->y_max = fmin(frame->y_max, panel->limit);
    if (!(frame->y_max > 0))
        frame->y_max = 1;
}

static void write_panel(FILE *out, const struct pmo_plot_panel *panel, double y)
{
    struct frame frame = {.out = out};

    (void)fprintf(out, "<text x=\"%d\" y=\"%.1f\" font-weight=\"bold\">", LEFT, y + 20);
    write_text(out, panel->title);
    (void)fputs("</text>\n", out);
    frame.top = y + TITLE_HEIGHT + LEGEND_LINE * legend(out, panel, y + TITLE_HEIGHT + 6);
    find_range(&frame, panel);
    write_axes(&frame, panel);
    (void)fprintf(out,
                  "<clipPath id=\"y%.0f\"><rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\"/>"
                  "</clipPath><g clip-path=\"url(#y%.0f)\">\n",
                  y, LEFT, frame.top - 1, PLOT_WIDTH, PLOT_HEIGHT + 2, y);
    for (size_t i = 0; i < panel->series_count; i++)
        write_series(&frame, &panel->series[i]);
    (void)fputs("</g>\n", out);
}

static void write_head(FILE *out, double height)
{
    static const char *const light[] = {"#57606a", "#0969da", "#cf222e",
                                        "#1a7f37", "#8250df", "#bc4c00"};
    static const char *const dark[] = {"#8b949e", "#58a6ff", "#ff7b72",
                                       "#3fb950", "#d2a8ff", "#f0883e"};
    const size_t colours = sizeof(light) / sizeof(light[0]);

    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
                  "viewBox=\"0 0 %d %.0f\" font-family=\"DejaVu Sans,Helvetica,Arial,sans-serif\" "
                  "font-size=\"12\">\n<style>\n"
                  ".page{fill:#fff}text{fill:#1f2328}.grid{fill:none;stroke:#d0d7de}"
                  ".line{fill:none;stroke-width:1.5;stroke-linejoin:round}"
                  ".dotted{stroke-dasharray:2 3}.band{stroke:none;fill-opacity:.25}\n",
                  WIDTH, height, WIDTH, height);
    for (size_t i = 0; i < colours; i++)
        (void)fprintf(out, ".line.c%zu{stroke:%s}.band.c%zu{fill:%s}", i, light[i], i, light[i]);
    (void)fputs("\n@media(prefers-color-scheme:dark){\n"
                ".page{fill:#0d1117}text{fill:#e6edf3}.grid{stroke:#30363d}\n",
                out);
    for (size_t i = 0; i < colours; i++)
        (void)fprintf(out, ".line.c%zu{stroke:%s}.band.c%zu{fill:%s}", i, dark[i], i, dark[i]);
    (void)fprintf(
        out, "}\n</style>\n<rect class=\"page\" width=\"100%%\" height=\"100%%\" rx=\"8\"/>\n");
}

int pmo_plot_write(const char *path, const struct pmo_plot_panel *panels, size_t panels_count)
{
    FILE *out = fopen(path, "we");
    double height = 0, y = 0;
    bool failed;

    if (!out)
        return pmo_err_r(errno, "cannot write %s", path);
    for (size_t i = 0; i < panels_count; i++)
        height += panel_height(&panels[i]);
    write_head(out, height);
    for (size_t i = 0; i < panels_count; i++) {
        write_panel(out, &panels[i], y);
        y += panel_height(&panels[i]);
    }
    (void)fputs("</svg>\n", out);
    failed = ferror(out) != 0;
    errno = failed ? EIO : 0;
    return fclose(out) != 0 || failed ? pmo_err_r(errno, "cannot write %s", path) : 0;
}
