/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WIDTH     40
#define LOOK      256 /* seconds of the trace between looks at the clock */
#define SHOW_MS   100
#define BAR       "########################################"
#define ERASE_EOL "\033[K"

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pmo_progress_begin(struct pmo_progress *progress, size_t seconds)
{
    *progress = (struct pmo_progress){
        .seconds = seconds, .began_ms = now_ms(), .terminal = isatty(STDERR_FILENO) == 1};
}

void pmo_progress_at(struct pmo_progress *progress, size_t done)
{
    int64_t now;
    double share;

    progress->done = done;
    if (!progress->terminal || done % LOOK != 0)
        return;
    now = now_ms();
    if (now - progress->shown_ms < SHOW_MS)
        return;
    progress->shown_ms = now;
    share = (double)done / (double)progress->seconds;
    (void)fprintf(stderr, "\r[%-*.*s] %3.0f %%, %.0f s left" ERASE_EOL, WIDTH, (int)(WIDTH * share),
                  BAR, 100 * share, (double)(now - progress->began_ms) / 1e3 * (1 - share) / share);
}

void pmo_progress_end(struct pmo_progress *progress)
{
    double took_s = (double)(now_ms() - progress->began_ms + 1) / 1e3;

    (void)fprintf(stderr, "%s%zu s in %.1f s: %.0f times as fast as life\n",
                  progress->terminal ? "\r" ERASE_EOL : "", progress->done, took_s,
                  (double)progress->done / took_s);
}
