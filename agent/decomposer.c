/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decomposer.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/series/history.h"

#define HISTORY_SECONDS (400 * 86400LL)
#define LOWEST_PRIORITY 19

/* Owned by the thread until it is done, then by the loop, which frees it. */
struct job {
    uv_work_t work;
    struct pmo_decomposer *decomposer; /* NULL: nobody waits for it any more; the loop's */
    char state_dir[PATH_MAX], service[64];
    int64_t now;
    struct pmo_minute *minutes;
    size_t count, room;
    struct pmo_decomposition fit;
    atomic_bool cancelled;
    int result;
};

struct pmo_decomposer {
    uv_loop_t *loop;
    char state_dir[PATH_MAX];
    pmo_decomposer_fn done;
    void *context;
    struct job *job; /* NULL: none is under way */
};

static int take_minute(void *context, int64_t t, uint32_t seconds, uint32_t observed,
                       double arrivals)
{
    struct job *job = context;
    size_t room = job->room ? job->room * 2 : 4096;
    struct pmo_minute *more;

    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed))
        return -ECANCELED;
    /* seconds that came late, to a minute that was rolled up already */
    if (job->count && t <= job->minutes[job->count - 1].t)
        return 0;
    if (job->count == job->room) {
        more = reallocarray(job->minutes, room, sizeof(*more));
        if (!more)
            return -ENOMEM;
        job->minutes = more;
        job->room = room;
    }
    job->minutes[job->count++] = (struct pmo_minute){t, seconds, observed, (float)arrivals};
    return 0;
}

static void work(uv_work_t *request)
{
    struct job *job = request->data;
    struct pmo_minutes history = {0};

    /* on Linux, of this thread; the pool has no other work that would mind */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), LOWEST_PRIORITY);
    job->result = pmo_history_minutes(job->state_dir, job->service, job->now - HISTORY_SECONDS,
                                      take_minute, job);
    if (job->result)
        return;
    history.at = job->minutes;
    history.count = job->count;
    job->result = pmo_decomposition_fit(&job->fit, &history);
}

static void after_work(uv_work_t *request, int status)
{
    struct job *job = request->data;
    struct pmo_decomposer *decomposer = job->decomposer;

    if (decomposer) {
        decomposer->job = NULL;
        if (!status && !job->result)
            decomposer->done(decomposer->context, job->service, &job->fit);
        else if (!status && job->result != -ENODATA) /* that comes with time */
            pmo_warn("service %s: no seasons were learned from its history: %s", job->service,
                     strerror(-job->result));
    }
    free(job->minutes);
    free(job);
}

int pmo_decomposer_new(struct pmo_decomposer **decomposer, uv_loop_t *loop, const char *state_dir,
                       pmo_decomposer_fn done, void *context)
{
    _cleanup_free_ struct pmo_decomposer *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    if (snprintf(made->state_dir, sizeof(made->state_dir), "%s", state_dir) >=
        (int)sizeof(made->state_dir))
        return -ENAMETOOLONG;
    made->loop = loop;
    made->done = done;
    made->context = context;
    *decomposer = TAKE_PTR(made);
    return 0;
}

void pmo_decomposer_free(struct pmo_decomposer **decomposer)
{
    struct job *job = *decomposer ? (*decomposer)->job : NULL;

    if (job) {
        job->decomposer = NULL;
        atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
        (void)uv_cancel((uv_req_t *)&job->work); /* works only before it has begun */
    }
    free(TAKE_PTR(*decomposer));
}

bool pmo_decomposer_begin(struct pmo_decomposer *decomposer, const char *service, int64_t now)
{
    _cleanup_free_ struct job *job = NULL;

    if (decomposer->job)
        return false;
    job = calloc(1, sizeof(*job));
    if (!job)
        return false;
    job->work.data = job;
    job->decomposer = decomposer;
    job->now = now;
    (void)snprintf(job->state_dir, sizeof(job->state_dir), "%s", decomposer->state_dir);
    (void)snprintf(job->service, sizeof(job->service), "%s", service);
    if (uv_queue_work(decomposer->loop, &job->work, work, after_work))
        return false;
    decomposer->job = TAKE_PTR(job);
    return true;
}
