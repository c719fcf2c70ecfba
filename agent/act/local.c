/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local backend: instances are processes on this host, each in a network namespace and a cgroup
 * of its own, like small pods. service.h has its documents, network.h the mesh, record.h what one
 * agent leaves to the next, local.h the life of an instance.
 *
 * A process that ends unasked is replaced: at once if it had served for a while, else after 1, 2, 4
 * .. 60 s, so that a program that cannot run does not keep the host busy. What was started by an
 * earlier configuration goes on as it is; new limits and commands are for instances to come.
 */
#include "agent/act/local.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "agent/act/logs.h"
#include "agent/act/process.h"
#include "agent/base/log.h"

#define TICK_MS  100
#define BOUND_MS 10000
#define CLOSE_S  2.0 /* from SIGTERM to SIGKILL when the backend closes, which is waited for */

double pmo_local_now_s(void)
{
    return (double)uv_hrtime() / 1e9; /* CLOCK_MONOTONIC */
}

static struct pmo_local_fleet *fleet_find(struct pmo_backend *backend, const char *name)
{
    for (size_t i = 0; i < backend->services.count; i++)
        if (!strcmp(backend->fleets[i].service->public.name, name))
            return &backend->fleets[i];
    return NULL;
}

struct pmo_local_instance *pmo_local_find(struct pmo_backend *backend, const char *name)
{
    struct pmo_local_instance *at = backend->instances;

    while (at && strcmp(at->public.name, name) != 0)
        at = at->next;
    return at;
}

void pmo_local_wake(struct pmo_backend *backend)
{
    if (!uv_is_active((uv_handle_t *)backend->tick))
        (void)uv_timer_start(backend->tick, pmo_local_tick, TICK_MS, TICK_MS);
}

/* The one whose stop costs least: a starting one, else the youngest. */
static struct pmo_local_instance *choose_to_stop(struct pmo_backend *backend,
                                                 const struct pmo_local_fleet *fleet)
{
    struct pmo_local_instance *chosen = NULL;

    for (struct pmo_local_instance *at = backend->instances; at; at = at->next) {
        if (at->fleet != fleet || pmo_local_instance_is_stopping(at))
            continue;
        if (!chosen || at->stage < chosen->stage ||
            (at->stage == chosen->stage && at->public.ordered_s >= chosen->public.ordered_s))
            chosen = at;
    }
    return chosen;
}

static uint32_t count_live(const struct pmo_backend *backend, const struct pmo_local_fleet *fleet)
{
    uint32_t live = 0;

    for (const struct pmo_local_instance *at = backend->instances; at; at = at->next)
        live += at->fleet == fleet && !pmo_local_instance_is_stopping(at);
    return live;
}

/* Counts anew after each step, because whoever is told of a step may scale again. */
static void reconcile(struct pmo_backend *backend, struct pmo_local_fleet *fleet)
{
    while (count_live(backend, fleet) > fleet->wanted)
        pmo_local_instance_stop(choose_to_stop(backend, fleet), "no longer wanted");
    while (count_live(backend, fleet) + fleet->held < fleet->wanted)
        if (pmo_local_instance_start(backend, fleet) < 0)
            return; /* the next tick tries again what is not held */
}

/* Moves everything on; stops itself when there is nothing to wait for. */
void pmo_local_tick(uv_timer_t *timer)
{
    struct pmo_backend *backend = timer->data;
    bool waiting = false;

    for (struct pmo_local_instance *at = backend->instances, *next; at; at = next) {
        next = at->next;
        pmo_local_instance_advance(at);
    }
    for (size_t i = 0; i < backend->services.count; i++) {
        struct pmo_local_fleet *fleet = &backend->fleets[i];

        if (fleet->held && pmo_local_now_s() >= fleet->held_until_s)
            fleet->held = 0;
        reconcile(backend, fleet);
        waiting |= fleet->held > 0;
    }
    for (const struct pmo_local_instance *at = backend->instances; at; at = at->next)
        waiting |= at->stage != SERVING;
    if (!waiting)
        (void)uv_timer_stop(timer);
}

/* ---- adoption ---- */

/* What ended while no agent was there is told like any other end. */
static void tell_end(struct pmo_backend *backend, const char *name, const char *service,
                     const char *reason)
{
    struct pmo_backend_instance gone = {.phase = PMO_INSTANCE_GONE, .netns_fd = -1};

    (void)snprintf(gone.name, sizeof(gone.name), "%s", name);
    (void)snprintf(gone.service, sizeof(gone.service), "%s", service);
    (void)snprintf(gone.reason, sizeof(gone.reason), "%s", reason);
    pmo_info("instance %s %s; removing what is left", name, reason);
    backend->events.instance(backend->events.context, &gone);
    pmo_record_remove(backend->records, name);
}

static void adopt(void *context, const char *name)
{
    struct pmo_backend *backend = context;
    struct pmo_local_fleet *fleet = NULL;
    struct pmo_record record = {};

    if (!pmo_record_read(backend->records, name, &record))
        fleet = fleet_find(backend, record.service);
    if (!fleet) {
        tell_end(backend, name, record.service, "belongs to no service of this configuration");
        return;
    }
    fleet->adopted = true;
    fleet->wanted += record.phase != PMO_INSTANCE_DRAINING;
    if (pmo_local_instance_adopt(backend, fleet, name, &record) < 0) {
        tell_end(backend, name, record.service, "ended while no agent was there");
        return;
    }
    if (record.number > backend->last_number)
        backend->last_number = record.number;
}

static bool is_instance(void *context, const char *name)
{
    return pmo_local_find(context, name) != NULL;
}

static bool is_in_mesh(void *context, const char *name, uint16_t number)
{
    struct pmo_backend *backend = context;

    if (name)
        return is_instance(context, name);
    for (const struct pmo_local_instance *at = backend->instances; at; at = at->next)
        if (at->number == number)
            return true;
    return false;
}

/* ---- the interface ---- */

static int make_directory(char *path, size_t size, const char *state_dir, const char *name)
{
    if (snprintf(path, size, "%s/%s", state_dir, name) >= (int)size)
        return pmo_err_r(ENAMETOOLONG, "cannot make a directory in %s", state_dir);
    if (mkdir(path, 0750) < 0 && errno != EEXIST)
        return pmo_err_r(errno, "cannot make directory %s", path);
    return 0;
}

static void bound_logs(uv_timer_t *timer)
{
    const struct pmo_backend *backend = timer->data;

    for (const struct pmo_local_instance *at = backend->instances; at; at = at->next)
        pmo_logs_bound(backend->logs, at->public.name);
}

static int make_timers(struct pmo_backend *backend)
{
    uv_timer_t **const timers[] = {&backend->tick, &backend->bound};

    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        uv_timer_t *timer = calloc(1, sizeof(*timer));

        if (!timer)
            return pmo_err_r(ENOMEM, "cannot open the local backend");
        (void)uv_timer_init(backend->loop, timer);
        timer->data = backend;
        *timers[i] = timer;
    }
    (void)uv_timer_start(backend->bound, bound_logs, BOUND_MS, BOUND_MS);
    return 0;
}

static void order(struct pmo_backend *backend, struct pmo_local_fleet *fleet, uint32_t wanted)
{
    fleet->wanted = wanted;
    (void)pmo_wanted_write(backend->wanted, fleet->service->public.name, wanted);
    reconcile(backend, fleet);
}

/* Takes over what an earlier agent left, and removes what cannot be taken over. */
static int enter_world(struct pmo_backend *backend, const char *state_dir)
{
    int r;

    if (geteuid() != 0)
        return pmo_fail(EPERM, "running instances takes root (network namespaces, control groups); "
                               "start the agent with sudo");
    r = make_directory(backend->records, sizeof(backend->records), state_dir, "instances");
    if (!r)
        r = make_directory(backend->logs, sizeof(backend->logs), state_dir, "logs");
    (void)snprintf(backend->wanted, sizeof(backend->wanted), "%s/wanted", state_dir);
    if (!r)
        r = pmo_cgroups_open(&backend->cgroups);
    if (!r)
        r = pmo_network_open(&backend->network);
    if (!r)
        r = make_timers(backend);
    if (r)
        return r;
    pmo_records_each(backend->records, adopt, backend);
    pmo_cgroups_sweep(backend->cgroups, is_instance, backend);
    pmo_network_sweep(backend->network, is_in_mesh, backend);
    for (size_t i = 0; i < backend->services.count; i++) {
        struct pmo_local_fleet *fleet = &backend->fleets[i];

        /* an earlier agent's count goes on, not the document's */
        if (!pmo_wanted_read(backend->wanted, fleet->service->public.name, &fleet->wanted) &&
            !fleet->adopted)
            fleet->wanted = fleet->service->replicas;
        order(backend, fleet, fleet->wanted);
    }
    return 0;
}

static void timer_closed(uv_handle_t *handle)
{
    free(handle);
}

static void backend_free(struct pmo_backend *backend, bool remove)
{
    while (backend->instances)
        pmo_local_instance_forget(backend->instances);
    if (backend->tick)
        uv_close((uv_handle_t *)backend->tick, timer_closed);
    if (backend->bound)
        uv_close((uv_handle_t *)backend->bound, timer_closed);
    pmo_network_close(&backend->network, remove);
    pmo_cgroups_close(&backend->cgroups, remove);
    if (remove && *backend->records) {
        (void)rmdir(backend->records);
        (void)unlink(backend->wanted);
    }
    pmo_local_services_free(&backend->services);
    free(backend->fleets);
    free(backend);
}

static int make_fleets(struct pmo_backend *backend)
{
    backend->fleets = calloc(backend->services.count + 1, sizeof(*backend->fleets));
    if (!backend->fleets)
        return pmo_err_r(ENOMEM, "cannot open the local backend");
    for (size_t i = 0; i < backend->services.count; i++)
        backend->fleets[i].service = &backend->services.at[i];
    return 0;
}

static int local_open(struct pmo_backend **backend, uv_loop_t *loop, const struct pmo_file *file,
                      const char *state_dir, const struct pmo_backend_events *events)
{
    struct pmo_backend *made = calloc(1, sizeof(*made));
    int r;

    if (!made)
        return pmo_err_r(ENOMEM, "cannot open the local backend");
    made->loop = loop;
    made->events = *events;
    r = pmo_local_services_read(&made->services, file);
    if (!r)
        r = make_fleets(made);
    /* an agent that only observes needs no mesh, but removes the one of an agent that crashed */
    if (!r && (made->services.count || pmo_network_exists()))
        r = enter_world(made, state_dir);
    if (r)
        backend_free(made, false);
    else
        *backend = made;
    return r;
}

static const struct pmo_backend_service *local_service(const struct pmo_backend *backend, size_t i)
{
    return i < backend->services.count ? &backend->services.at[i].public : NULL;
}

static int local_scale(struct pmo_backend *backend, const char *service, uint32_t replicas)
{
    struct pmo_local_fleet *found = fleet_find(backend, service);

    if (!found)
        return -ENOENT;
    order(backend, found, replicas);
    return 0;
}

static int local_status(const struct pmo_backend *backend, const char *service,
                        struct pmo_backend_status *status)
{
    for (size_t i = 0; i < backend->services.count; i++) {
        const struct pmo_local_fleet *fleet = &backend->fleets[i];

        if (strcmp(fleet->service->public.name, service) != 0)
            continue;
        *status = (struct pmo_backend_status){.wanted = fleet->wanted,
                                              .held = fleet->held,
                                              .crashes = fleet->crashes,
                                              .retry_s = fleet->held_until_s};
        memcpy(status->last_crash, fleet->last_crash, sizeof(status->last_crash));
        return 0;
    }
    return -ENOENT;
}

static struct pmo_local_service *service_find(const struct pmo_local_services *services,
                                              const char *name)
{
    for (size_t i = 0; i < services->count; i++)
        if (!strcmp(services->at[i].public.name, name))
            return &services->at[i];
    return NULL;
}

__attribute__((format(printf, 3, 4))) static void add_text(char *text, size_t size,
                                                           const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    (void)snprintf(text + used, size - used, "%s", used ? ", " : "");
    used = strlen(text);
    (void)vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

/* Services come, go and move with a restart only: who connects to them is known to the kernel side.
 */
static int local_reload(struct pmo_backend *backend, const struct pmo_file *file, char *restart,
                        size_t size)
{
    struct pmo_local_services read = {0};
    int r = pmo_local_services_read(&read, file);

    if (r)
        return r;
    for (size_t i = 0; i < read.count; i++)
        if (!service_find(&backend->services, read.at[i].public.name))
            add_text(restart, size, "service %s is new", read.at[i].public.name);
    for (size_t i = 0; i < backend->services.count; i++) {
        struct pmo_local_service *old = &backend->services.at[i], swapped;
        struct pmo_local_service *new = service_find(&read, old->public.name);

        if (!new) {
            add_text(restart, size, "service %s is gone", old->public.name);
            continue;
        }
        if (memcmp(&new->public, &old->public, sizeof(old->public)) != 0)
            add_text(restart, size, "the address of service %s", old->public.name);
        swapped = *old;
        *old = *new;
        *new = swapped;
        old->public = swapped.public;
    }
    pmo_local_services_free(&read);
    return 0;
}

static void wait_for_end(const struct pmo_local_instance *instance, double until_s)
{
    struct pollfd fd = {.fd = instance->pidfd, .events = POLLIN};
    double left_s = until_s - pmo_local_now_s();

    (void)poll(&fd, 1, left_s > 0 ? (int)(left_s * 1000) : 0);
}

static void stop_all(struct pmo_backend *backend)
{
    double until_s = pmo_local_now_s() + CLOSE_S;

    for (struct pmo_local_instance *at = backend->instances; at; at = at->next)
        pmo_process_signal(at->pidfd, SIGTERM);
    for (struct pmo_local_instance *at = backend->instances; at; at = at->next)
        wait_for_end(at, until_s);
    while (backend->instances) {
        struct pmo_local_instance *at = backend->instances;

        if (!*at->public.reason)
            (void)snprintf(at->public.reason, sizeof(at->public.reason), "the agent was stopped");
        pmo_cgroup_clear(backend->cgroups, at->public.name);
        pmo_local_instance_reap(at);
        pmo_local_instance_remove(at);
    }
}

static void local_close(struct pmo_backend **backend, bool leave)
{
    if (!*backend)
        return;
    if (!leave)
        stop_all(*backend);
    backend_free(*backend, !leave);
    *backend = NULL;
}

const struct pmo_backend_ops pmo_backend_local = {.name = "local",
                                                  .kind = "LocalService",
                                                  .open = local_open,
                                                  .service = local_service,
                                                  .scale = local_scale,
                                                  .status = local_status,
                                                  .reload = local_reload,
                                                  .close = local_close};
