/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/exec_probe.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct pmo_exec_probe {
    pid_t pid; /* of a process group, too: it has a session of its own */
    int pidfd;
    uv_poll_t ended;
    uv_timer_t timeout;
    pmo_probe_done_fn done; /* NULL: it was cancelled */
    void *context;
    unsigned int open_handles;
};

static void handle_closed(uv_handle_t *handle)
{
    struct pmo_exec_probe *probe = handle->data;

    if (--probe->open_handles)
        return;
    (void)close(probe->pidfd);
    free(probe);
}

/* Its number is not another's before it was collected, so this cannot hit anybody else. */
static void kill_all(uv_timer_t *timer)
{
    const struct pmo_exec_probe *probe = timer->data;

    (void)kill(-probe->pid, SIGKILL);
}

static void on_end(uv_poll_t *poll, int status, int events)
{
    struct pmo_exec_probe *probe = poll->data;
    siginfo_t info = {0};
    bool passed;

    passed = !waitid(P_PIDFD, (id_t)probe->pidfd, &info, WEXITED | WNOHANG) &&
             info.si_code == CLD_EXITED && info.si_status == 0;
    uv_close((uv_handle_t *)&probe->ended, handle_closed);
    uv_close((uv_handle_t *)&probe->timeout, handle_closed);
    if (probe->done)
        probe->done(probe->context, passed);
}

int pmo_exec_probe_start(struct pmo_exec_probe **probe, uv_loop_t *loop,
                         const struct pmo_process *process, double timeout_s,
                         pmo_probe_done_fn done, void *context)
{
    struct pmo_exec_probe *made = calloc(1, sizeof(*made));
    int r = made ? pmo_process_start(process, &made->pid, &made->pidfd) : -ENOMEM;

    if (r) {
        free(made);
        return r;
    }
    made->done = done;
    made->context = context;
    made->ended.data = made->timeout.data = made;
    r = uv_poll_init(loop, &made->ended, made->pidfd);
    if (r) {
        (void)kill(-made->pid, SIGKILL);
        (void)waitid(P_PIDFD, (id_t)made->pidfd, &(siginfo_t){0}, WEXITED);
        (void)close(made->pidfd);
        free(made);
        return r;
    }
    made->open_handles = 2;
    (void)uv_timer_init(loop, &made->timeout);
    (void)uv_poll_start(&made->ended, UV_READABLE, on_end);
    (void)uv_timer_start(&made->timeout, kill_all, (uint64_t)(timeout_s * 1000), 0);
    *probe = made;
    return 0;
}

void pmo_exec_probe_cancel(struct pmo_exec_probe **probe)
{
    if (!*probe)
        return;
    (*probe)->done = NULL;
    (void)kill(-(*probe)->pid, SIGKILL);
    *probe = NULL;
}
