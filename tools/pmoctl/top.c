/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmoctl top. On a terminal: the alternate screen, redrawn in place, with line wrapping off so that
 * the terminal itself cuts what is too wide. Signals come through a descriptor that is polled with
 * the keyboard, so the terminal is always put back the way it was.
 */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define PLAIN_COLUMNS 112U

struct screen {
    bool full;           /* redrawn in place */
    bool keys;           /* standard input is a terminal, too */
    int signals;         /* signalfd */
    struct termios keep; /* of standard input */
    struct pmoctl_view view;
};

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void measure(struct screen *screen)
{
    struct winsize size;

    screen->view.columns = PLAIN_COLUMNS;
    screen->view.rows = 0;
    if (!screen->full || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row)
        return;
    screen->view.columns = size.ws_col;
    screen->view.rows = size.ws_row;
}

static int open_screen(struct screen *screen, const struct pmoctl *ctl)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGWINCH);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    screen->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (screen->signals < 0)
        return pmo_err_r(errno, "cannot wait for signals");
    screen->view.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    screen->full = isatty(STDOUT_FILENO) && !ctl->once && !ctl->json;
    screen->keys = screen->full && tcgetattr(STDIN_FILENO, &screen->keep) == 0;
    if (screen->keys) {
        struct termios raw = screen->keep;

        raw.c_lflag &= ~(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    if (screen->full) /* alternate screen, no cursor, no wrapping */
        (void)fputs("\033[?1049h\033[?25l\033[?7l", stdout);
    return 0;
}

static void close_screen(struct screen *screen)
{
    if (screen->full)
        (void)fputs("\033[?7h\033[?25h\033[?1049l", stdout);
    (void)fflush(stdout);
    if (screen->keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &screen->keep);
    (void)close(screen->signals);
}

static void free_answers(struct pmoctl_view *view)
{
    json_decref(view->status);
    json_decref(view->services);
    json_decref(view->forecasts);
    json_decref(view->decisions);
}

/* Asks for everything anew; what was shown before stays where the agent does not answer. */
static void refresh(struct screen *screen, struct pmoctl *ctl)
{
    struct pmoctl_view fresh = screen->view;

    fresh.status = pmoctl_get(ctl, "/v1/status", NULL);
    fresh.services = fresh.status ? pmoctl_get(ctl, "/v1/services", NULL) : NULL;
    fresh.forecasts =
        fresh.services ? pmoctl_get(ctl, "/v1/forecast", "service", ctl->service, NULL) : NULL;
    fresh.decisions = fresh.forecasts ? pmoctl_get(ctl, "/v1/decisions", "service", ctl->service,
                                                   "limit", "6", NULL)
                                      : NULL;
    if (fresh.decisions) {
        free_answers(&screen->view);
        screen->view = fresh;
        screen->view.complaint = NULL;
        return;
    }
    free_answers(&fresh);
    screen->view.complaint = ctl->error;
}

static void print_for_machines(const struct pmoctl_view *view)
{
    json_t *all = json_pack("{s:O, s:O, s:O, s:O}", "status", view->status, "services",
                            json_object_get(view->services, "services"), "forecasts",
                            json_object_get(view->forecasts, "forecasts"), "decisions",
                            json_object_get(view->decisions, "decisions"));

    (void)json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    (void)fputc('\n', stdout);
    json_decref(all);
}

static void draw(struct screen *screen)
{
    _cleanup_free_ char *text = NULL;
    char *rest, *line;
    size_t length = 0;
    unsigned int rows = 0;
    FILE *out;

    if (!screen->full) {
        pmoctl_view_print(&screen->view, stdout);
        (void)fputc('\n', stdout);
        return;
    }
    out = open_memstream(&text, &length);
    if (!out)
        return;
    pmoctl_view_print(&screen->view, out);
    (void)fclose(out);
    (void)fputs("\033[H", stdout);
    for (rest = text; (line = strsep(&rest, "\n")) && rows + 1 < screen->view.rows; rows++)
        printf("%s%s\033[K", rows ? "\r\n" : "", line); /* clear what is left of the line */
    (void)fputs("\033[J", stdout);
}

/* Waits until @deadline (CLOCK_MONOTONIC) at most. Returns true to end. */
static bool wait_until(struct screen *screen, double deadline, bool *resized)
{
    for (;;) {
        struct pollfd fds[] = {{screen->signals, POLLIN, 0},
                               {screen->keys ? STDIN_FILENO : -1, POLLIN, 0}};
        double left_s = deadline - now_s();
        struct signalfd_siginfo signal;
        char key = 0;

        if (left_s <= 0)
            return false;
        if (poll(fds, 2, (int)(left_s * 1000) + 1) <= 0)
            continue;
        if (read(screen->signals, &signal, sizeof(signal)) == sizeof(signal)) {
            if (signal.ssi_signo != SIGWINCH)
                return true;
            *resized = true;
            return false;
        }
        if (fds[1].revents && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q'))
            return true;
    }
}

static void show(struct screen *screen, const struct pmoctl *ctl)
{
    measure(screen);
    if (ctl->json)
        print_for_machines(&screen->view);
    else
        draw(screen);
    (void)fflush(stdout);
}

/* The same, showing the view again when the terminal's size changes. */
static bool pause_until(struct screen *screen, const struct pmoctl *ctl, double deadline)
{
    bool resized = false;

    while (!wait_until(screen, deadline, &resized)) {
        if (!resized)
            return false;
        resized = false;
        show(screen, ctl);
    }
    return true;
}

static void watch(struct screen *screen, struct pmoctl *ctl)
{
    double next = now_s(), end = ctl->duration_s > 0 ? next + ctl->duration_s : INFINITY;

    for (;;) {
        next += ctl->interval_s;
        if (pause_until(screen, ctl, fmin(next, end)) || now_s() >= end || ferror(stdout))
            return;
        refresh(screen, ctl);
        show(screen, ctl);
        next = fmax(next, now_s() - ctl->interval_s); /* late: do not try to catch up */
    }
}

int pmoctl_top(struct pmoctl *ctl)
{
    struct screen screen = {.view.service = ctl->service};

    refresh(&screen, ctl);
    if (screen.view.complaint) {
        (void)pmo_fail(EIO, "%s", ctl->error);
        return EXIT_FAILURE;
    }
    if (open_screen(&screen, ctl) < 0)
        return EXIT_FAILURE;
    show(&screen, ctl);
    if (!ctl->once)
        watch(&screen, ctl);
    close_screen(&screen);
    free_answers(&screen.view);
    return EXIT_SUCCESS;
}
