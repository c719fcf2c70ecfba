/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zones while the agent runs: those of a cluster's nodes change as nodes come and go. The API
 * server is asked once a minute or as configured, in a thread of libuv's pool; where it cannot be,
 * what it said last holds.
 */
#include "agent/zones.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

struct pmo_zones_refresh {
    uv_timer_t timer;
    uv_work_t work;
    struct pmo_zones *zones;
    struct pmo_kernel *kernel;
    bool busy, closed;
    bool stopped; /* written by the loop, read by the thread */
    bool failed;  /* the last time */
    int result;
    struct pmo_nodes nodes, known; /* what was answered; what the kernel side was told */
    char error[512];
};

/* In a thread of the pool: touches nothing but its own. */
static void on_work(uv_work_t *work)
{
    struct pmo_zones_refresh *refresh = work->data;

    refresh->result = pmo_cluster_nodes(pmo_zones_cluster(refresh->zones), &refresh->stopped,
                                        &refresh->nodes, refresh->error, sizeof(refresh->error));
}

static void take(struct pmo_zones_refresh *refresh)
{
    const struct pmo_kernel_zone *prefixes;
    struct pmo_nodes before = refresh->known;
    size_t count;

    if (pmo_nodes_same(&refresh->nodes, &refresh->known))
        return;
    refresh->result = pmo_zones_set_nodes(refresh->zones, &refresh->nodes);
    if (refresh->result)
        return;
    prefixes = pmo_zones_prefixes(refresh->zones, &count);
    if (pmo_kernel_zones(refresh->kernel, prefixes, count))
        return;
    refresh->known = refresh->nodes;
    refresh->nodes = before;
}

/* Once where it begins, once where it ends. */
static void report(struct pmo_zones_refresh *refresh)
{
    if (refresh->result && !refresh->failed)
        pmo_warn("zones of nodes: %s; what it said last is kept", refresh->error);
    else if (!refresh->result && refresh->failed)
        pmo_info("zones of nodes: the server answers again");
    refresh->failed = refresh->result;
}

static void free_if_done(struct pmo_zones_refresh *refresh)
{
    if (!refresh->closed || refresh->busy)
        return;
    pmo_nodes_clear(&refresh->known);
    pmo_zones_free(&refresh->zones);
    free(refresh);
}

static void on_asked(uv_work_t *work, int status)
{
    struct pmo_zones_refresh *refresh = work->data;

    refresh->busy = false;
    if (!refresh->stopped) {
        if (!refresh->result)
            take(refresh);
        report(refresh);
    }
    pmo_nodes_clear(&refresh->nodes);
    free_if_done(refresh);
}

static void on_timer(uv_timer_t *timer)
{
    struct pmo_zones_refresh *refresh = timer->data;

    if (!refresh->busy)
        refresh->busy = !uv_queue_work(timer->loop, &refresh->work, on_work, on_asked);
}

int pmo_zones_refresh_start(struct pmo_zones_refresh **refresh, uv_loop_t *loop,
                            struct pmo_zones *zones, struct pmo_kernel *kernel)
{
    struct pmo_zones_refresh *made;

    if (!pmo_zones_cluster(zones))
        return 0;
    made = calloc(1, sizeof(*made));
    if (!made)
        return pmo_err_r(ENOMEM, "cannot follow the zones of nodes");
    made->zones = zones;
    made->kernel = kernel;
    made->timer.data = made->work.data = made;
    (void)uv_timer_init(loop, &made->timer);
    (void)uv_timer_start(&made->timer, on_timer, 0,
                         (uint64_t)(pmo_cluster_refresh_s(pmo_zones_cluster(zones)) * 1000));
    *refresh = made;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct pmo_zones_refresh *refresh = handle->data;

    refresh->closed = true;
    free_if_done(refresh);
}

void pmo_zones_refresh_stop(struct pmo_zones_refresh **refresh, struct pmo_zones **zones)
{
    struct pmo_zones_refresh *stopped = *refresh;

    if (!stopped) {
        pmo_zones_free(zones);
        return;
    }
    *refresh = NULL;
    __atomic_store_n(&stopped->stopped, true, __ATOMIC_RELAXED);
    stopped->zones = TAKE_PTR(*zones); /* the thread may still read them */
    uv_close((uv_handle_t *)&stopped->timer, on_closed);
}
