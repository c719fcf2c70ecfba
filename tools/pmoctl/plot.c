/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define WIDTH  900
#define LEFT   60
#define RIGHT  (WIDTH - 40)
#define TOP    40
#define PANEL  220 /* height, with its title, legend and margin */
#define GRAPH  150
#define TICKS  8 /* of time, at most */
#define LEVELS 4 /* of values, at most */

/* Where a panel's points come to lie. */
struct frame {
    FILE *out;
    double base, top; /* y of 0; value at the upper edge */
    size_t first, seconds;
};

static double x_of(const struct frame *frame, double second)
{
    return LEFT + (RIGHT - LEFT) * second / (double)frame->seconds;
}

static double y_of(const struct frame *frame, double value)
{
    return frame->base - GRAPH * value / frame->top;
}

/* 1, 2 or 5 times a power of ten, so that @range has at most @most of them. */
static double round_step(double range, double most)
{
    double power = pow(10, floor(log10(range / most)));

    for (int i = 0; i < 3; i++) {
        static const double steps[] = {1, 2, 5};

        if (range / (steps[i] * power) <= most)
            return steps[i] * power;
    }
    return 10 * power;
}

static void draw_axes(const struct frame *frame)
{
    double step = round_step(frame->top, LEVELS);

    for (double value = 0; value <= frame->top; value += step)
        (void)fprintf(frame->out,
                      "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                      "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" fill=\"#666\">%g</text>\n",
                      LEFT, RIGHT, y_of(frame, value), y_of(frame, value), LEFT - 6,
                      y_of(frame, value) + 4, value);
    step = round_step((double)frame->seconds, TICKS);
    for (double second = ceil((double)frame->first / step) * step - (double)frame->first;
         second <= (double)frame->seconds; second += step)
        (void)fprintf(frame->out,
                      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"#666\">%.0f s"
                      "</text>\n",
                      x_of(frame, second), frame->base + 16, (double)frame->first + second);
}

/* A step is drawn where the value changes. */
static void draw_line(const struct frame *frame, const struct pmo_plot_line *line)
{
    double last = NAN;

    (void)fprintf(frame->out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"%s d=\"",
                  line->colour, line->dashed ? " stroke-dasharray=\"3 3\"" : "");
    for (size_t t = 0; t < frame->seconds; t++) {
        double value = line->values[t], x = x_of(frame, (double)t), y = y_of(frame, value);

        if (isnan(last) && !isnan(value))
            (void)fprintf(frame->out, "M%.1f %.1f", x, y);
        else if (line->steps && value != last && !isnan(last))
            (void)fprintf(frame->out, "H%.1fV%.1f", x, isnan(value) ? y_of(frame, last) : y);
        else if (!line->steps && !isnan(value))
            (void)fprintf(frame->out, "L%.1f %.1f", x, y);
        last = value;
    }
    if (line->steps && !isnan(last))
        (void)fprintf(frame->out, "H%.1f", x_of(frame, (double)frame->seconds));
    (void)fputs("\"/>\n", frame->out);
}

static void draw_legend(const struct frame *frame, const struct pmo_plot_panel *panel)
{
    double y = frame->base - GRAPH - 12, x = RIGHT;

    (void)fprintf(frame->out, "<text x=\"%d\" y=\"%.1f\">%s</text>\n", LEFT, y, panel->title);
    for (size_t i = panel->lines_count; i-- > 0;) {
        const struct pmo_plot_line *line = &panel->lines[i];

        (void)fprintf(frame->out,
                      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" fill=\"%s\">%s%s</text>\n",
                      x, y, line->colour, line->name, line->dashed ? " (dashed)" : "");
        x -= 150;
    }
}

static double greatest(const struct pmo_plot_panel *panel, size_t seconds)
{
    double most = panel->top;

    for (size_t i = 0; i < panel->lines_count; i++)
        for (size_t t = 0; t < seconds; t++)
            most = fmax(most, panel->lines[i].values[t]);
    return most > 0 ? most : 1;
}

int pmo_plot_write(const char *path, const char *title, const struct pmo_plot_panel *panels,
                   size_t panels_count, size_t first, size_t seconds)
{
    _cleanup_fclose_ FILE *out = fopen(path, "we");
    int height = TOP + PANEL * (int)panels_count;

    if (!out)
        return pmo_err_r(errno, "cannot write %s", path);
    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "font-family=\"sans-serif\" font-size=\"12\">\n"
                  "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
                  "<text x=\"%d\" y=\"20\" font-size=\"14\">%s</text>\n",
                  WIDTH, height, WIDTH, height, LEFT, title);
    for (size_t i = 0; i < panels_count; i++) {
        struct frame frame = {.out = out,
                              .base = TOP + PANEL * (double)i + (PANEL - GRAPH) / 2.0 + GRAPH,
                              .top = greatest(&panels[i], seconds),
                              .first = first,
                              .seconds = seconds};

        draw_axes(&frame);
        draw_legend(&frame, &panels[i]);
        for (size_t l = 0; l < panels[i].lines_count; l++)
            draw_line(&frame, &panels[i].lines[l]);
    }
    (void)fputs("</svg>\n", out);
    if (fflush(out) != 0 || ferror(out))
        return pmo_err_r(errno, "cannot write %s", path);
    return 0;
}
