/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_NS 100000000ULL
#define BAR_MAX   40
#define TEXT_MAX  40 /* columns beside the bar */

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static int bar_width(void)
{
    struct winsize size = {0};

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
        size.ws_col = 80;
    return size.ws_col < TEXT_MAX             ? 0
           : size.ws_col < TEXT_MAX + BAR_MAX ? size.ws_col - TEXT_MAX
                                              : BAR_MAX;
}

/* "7 s", "3:07" of minutes, "1:02:07" of hours */
static const char *format_duration(char text[32], double seconds)
{
    long s = (long)(seconds + 0.5);

    if (s < 60)
        (void)snprintf(text, 32, "%ld s", s);
    else if (s < 3600)
        (void)snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
    else
        (void)snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

static void draw(const struct pmo_progress *progress, uint64_t done)
{
    static const char full[] = "########################################";
    static const char none[] = "........................................";
    double share = (double)done / (double)progress->steps;
    double elapsed_s = (double)(progress->drawn_ns - progress->begun_ns) / 1e9;
    int width = bar_width(), bar = (int)(share * width);
    char elapsed[32], left[32];

    _Static_assert(sizeof(full) == BAR_MAX + 1 && sizeof(none) == BAR_MAX + 1, "as wide as a bar");
    (void)fprintf(stderr, "\r%3.0f %% [%.*s%.*s] %s", share * 100, bar, full, width - bar, none,
                  format_duration(elapsed, elapsed_s));
    if (done)
        (void)fprintf(stderr, ", %s left", format_duration(left, elapsed_s * (1 - share) / share));
    (void)fputs("\033[K", stderr);
    (void)fflush(stderr);
}

void pmo_progress_begin(struct pmo_progress *progress, uint64_t steps)
{
    const char *terminal = getenv("TERM");

    *progress = (struct pmo_progress){
        .shown = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0,
        .steps = steps,
        .begun_ns = now_ns(),
    };
    progress->drawn_ns = progress->begun_ns;
}

void pmo_progress_at(struct pmo_progress *progress, uint64_t done)
{
    uint64_t now;

    if (!progress->shown)
        return;
    now = now_ns();
    if (now - progress->drawn_ns < REDRAW_NS)
        return;
    progress->drawn_ns = now;
    progress->drawn = true;
    draw(progress, done);
}

void pmo_progress_end(struct pmo_progress *progress)
{
    if (progress->drawn)
        (void)fputs("\r\033[K", stderr);
    progress->drawn = progress->shown = false;
}
