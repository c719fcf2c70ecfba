/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_NS 100000000ULL
#define ERASE     "\033[K" /* to the end of the line */
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

static void draw(const struct pmo_progress *progress)
{
    static const char full[] = "########################################";
    static const char none[] = "........................................";
    double share = (double)progress->done / (double)progress->seconds;
    double elapsed_s = (double)(progress->drawn_ns - progress->begun_ns) / 1e9;
    int width = bar_width(), bar = (int)(share * width);
    char elapsed[32], left[32];

    _Static_assert(sizeof(full) == BAR_MAX + 1 && sizeof(none) == BAR_MAX + 1, "as wide as a bar");
    (void)fprintf(stderr, "\r%3.0f %% [%.*s%.*s] %s", share * 100, bar, full, width - bar, none,
                  format_duration(elapsed, elapsed_s));
    if (share > 0)
        (void)fprintf(stderr, ", %s left", format_duration(left, elapsed_s * (1 - share) / share));
    (void)fputs(ERASE, stderr);
    (void)fflush(stderr);
}

void pmo_progress_begin(struct pmo_progress *progress, size_t seconds)
{
    const char *terminal = getenv("TERM");
    uint64_t now = now_ns();

    *progress = (struct pmo_progress){
        .seconds = seconds,
        .begun_ns = now,
        .drawn_ns = now,
        .terminal = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0,
    };
}

void pmo_progress_at(struct pmo_progress *progress, size_t done)
{
    uint64_t now;

    progress->done = done;
    if (!progress->terminal)
        return;
    now = now_ns();
    if (now - progress->drawn_ns < REDRAW_NS)
        return;
    progress->drawn_ns = now;
    draw(progress);
}

void pmo_progress_end(struct pmo_progress *progress)
{
    double took_s = (double)(now_ns() - progress->begun_ns + 1) / 1e9;

    (void)fprintf(stderr, "%s%zu s in %.1f s: %.0f times as fast as life\n",
                  progress->terminal ? "\r" ERASE : "", progress->done, took_s,
                  (double)progress->done / took_s);
}
