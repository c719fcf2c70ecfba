/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/local.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/act/logs.h"
#include "agent/act/process.h"
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define DRAIN_MIN_S    0.3  /* connections that were on their way when the ready bit was cleared */
#define TERMINATE_S    5.0  /* from SIGTERM to SIGKILL */
#define STEADY_S       10.0 /* having served this long, an instance's end is no crash loop */
#define BACK_OFF_MAX_S 60.0

bool pmo_local_instance_is_stopping(const struct pmo_local_instance *instance)
{
    return instance->stage > SERVING;
}

/* ---- telling others: the agent, and the next agent ---- */

static int write_record(const struct pmo_local_instance *instance)
{
    struct pmo_record record = {.number = instance->number,
                                .port = instance->public.port,
                                .pid = instance->public.pid,
                                .phase = instance->public.phase,
                                .ordered_s = instance->public.ordered_s,
                                .ready_s = instance->public.ready_s};

    memcpy(record.service, instance->public.service, sizeof(record.service));
    return pmo_record_write(instance->backend->records, instance->public.name, &record);
}

static void report(struct pmo_local_instance *instance, enum pmo_instance_phase phase)
{
    const struct pmo_backend_events *events = &instance->backend->events;

    instance->public.phase = phase;
    if (phase != PMO_INSTANCE_GONE)
        (void)write_record(instance);
    events->instance(events->context, &instance->public);
}

static void enter_stage(struct pmo_local_instance *instance, enum pmo_local_stage stage)
{
    instance->stage = stage;
    instance->stage_since_s = pmo_local_now_s();
    pmo_local_wake(instance->backend);
}

/* ---- the end of an instance ---- */

static void cancel_probe(struct pmo_local_instance *instance)
{
    pmo_probe_cancel(&instance->probe);
    pmo_exec_probe_cancel(&instance->exec_probe);
}

static void poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void pmo_local_instance_forget(struct pmo_local_instance *instance)
{
    struct pmo_local_instance **at = &instance->backend->instances;

    while (*at != instance)
        at = &(*at)->next;
    *at = instance->next;
    cancel_probe(instance);
    uv_close((uv_handle_t *)&instance->ended, poll_closed);
    (void)close(instance->pidfd);
    (void)close(instance->public.netns_fd);
    instance->public.netns_fd = -1;
}

void pmo_local_instance_remove(struct pmo_local_instance *instance)
{
    struct pmo_backend *backend = instance->backend;

    pmo_network_remove(backend->network, instance->public.name, instance->number);
    pmo_record_remove(backend->records, instance->public.name);
    report(instance, PMO_INSTANCE_GONE);
    pmo_local_instance_forget(instance);
}

static bool is_live(void *context, const char *name)
{
    return pmo_local_find(context, name) != NULL;
}

void pmo_local_instance_reap(struct pmo_local_instance *instance)
{
    char *reason = instance->public.reason;
    size_t used = strlen(reason);

    if (used)
        used += (size_t)snprintf(reason + used, sizeof(instance->public.reason) - used, "; ");
    pmo_process_reap(instance->pidfd, reason + used, sizeof(instance->public.reason) - used);
    if (instance->memory_bytes &&
        pmo_cgroup_ran_out_of_memory(instance->backend->cgroups, instance->public.name))
        (void)snprintf(reason + used, sizeof(instance->public.reason) - used,
                       "was killed as it ran out of memory (limit: %llu MiB)",
                       (unsigned long long)instance->memory_bytes >> 20);
}

static void hold_replacement(struct pmo_local_fleet *fleet, const struct pmo_local_instance *dead)
{
    double served_s = dead->public.ready_s > 0 ? pmo_local_now_s() - dead->public.ready_s : 0;
    double wait_s;

    if (served_s >= STEADY_S) {
        fleet->crashes = 0;
        return;
    }
    wait_s = fmin(ldexp(1, (int)(fleet->crashes < 6 ? fleet->crashes : 6)), BACK_OFF_MAX_S);
    fleet->crashes++;
    fleet->held++;
    fleet->held_until_s = pmo_local_now_s() + wait_s;
    (void)snprintf(fleet->last_crash, sizeof(fleet->last_crash), "%.79s", dead->public.reason);
}

static void process_ended(uv_poll_t *poll, int status, int events)
{
    struct pmo_local_instance *instance = poll->data;
    struct pmo_backend *backend = instance->backend;

    (void)uv_poll_stop(poll);
    pmo_local_instance_reap(instance);
    cancel_probe(instance);
    if (!pmo_local_instance_is_stopping(instance)) {
        pmo_warn("instance %s %s; its output is in %s/%s.log", instance->public.name,
                 instance->public.reason, backend->logs, instance->public.name);
        hold_replacement(instance->fleet, instance);
    }
    pmo_cgroup_kill(backend->cgroups, instance->public.name); /* what it has left running */
    enter_stage(instance, ENDED);
    pmo_local_tick(backend->tick);
}

static void terminate(struct pmo_local_instance *instance)
{
    pmo_process_signal(instance->pidfd, SIGTERM);
    enter_stage(instance, TERMINATING);
}

void pmo_local_instance_stop(struct pmo_local_instance *instance, const char *why)
{
    bool ready = instance->public.phase == PMO_INSTANCE_READY;

    (void)snprintf(instance->public.reason, sizeof(instance->public.reason), "%s", why);
    cancel_probe(instance);
    enter_stage(instance, DRAINING);
    report(instance, PMO_INSTANCE_DRAINING);
    if (!ready)
        terminate(instance);
}

/* ---- the life of an instance ---- */

static void probed(void *context, bool passed)
{
    struct pmo_local_instance *instance = context;

    instance->probe = NULL;
    instance->exec_probe = NULL;
    if (!passed) {
        /* one that was adopted as ready is not, after all */
        if (instance->public.phase == PMO_INSTANCE_READY)
            report(instance, PMO_INSTANCE_STARTING);
        return;
    }
    enter_stage(instance, SERVING);
    if (instance->public.phase == PMO_INSTANCE_READY)
        return;
    instance->public.ready_s = pmo_local_now_s();
    report(instance, PMO_INSTANCE_READY);
}

static int run(struct pmo_local_instance *instance, char *const *command, const char *log,
               int (*start)(struct pmo_local_instance *instance,
                            const struct pmo_process *process));

static int start_exec_probe(struct pmo_local_instance *instance, const struct pmo_process *process)
{
    return pmo_exec_probe_start(&instance->exec_probe, instance->backend->loop, process,
                                instance->fleet->service->probe_timeout_s, probed, instance);
}

static void probe_by_command(struct pmo_local_instance *instance)
{
    int r = run(instance, instance->fleet->service->probe_command, "/dev/null", start_exec_probe);

    if (r && !instance->probe_complained)
        (void)pmo_err_r(r, "cannot run the readiness command %s of instance %s",
                        instance->fleet->service->probe_command[0], instance->public.name);
    instance->probe_complained |= r != 0;
}

static void probe(struct pmo_local_instance *instance)
{
    const struct pmo_local_service *service = instance->fleet->service;

    if (instance->probe || instance->exec_probe || pmo_local_now_s() < instance->next_probe_s)
        return;
    instance->next_probe_s = pmo_local_now_s() + service->probe_interval_s;
    if (service->probe_command)
        probe_by_command(instance);
    else
        (void)pmo_probe_start(&instance->probe, instance->backend->loop, instance->public.addr,
                              instance->public.port, service->probe_path, service->probe_timeout_s,
                              probed, instance);
}

static bool is_drained(const struct pmo_local_instance *instance)
{
    const struct pmo_backend_events *events = &instance->backend->events;
    double waited_s = pmo_local_now_s() - instance->stage_since_s;

    if (waited_s < DRAIN_MIN_S)
        return false;
    return waited_s >= instance->fleet->service->drain_s ||
           events->idle(events->context, &instance->public);
}

void pmo_local_instance_advance(struct pmo_local_instance *instance)
{
    double waited_s = pmo_local_now_s() - instance->stage_since_s;

    switch (instance->stage) {
    case PROBING:
        probe(instance);
        break;
    case SERVING:
        break;
    case DRAINING:
        if (is_drained(instance))
            terminate(instance);
        break;
    case TERMINATING:
        if (waited_s < TERMINATE_S)
            break;
        pmo_warn("instance %s does not end on SIGTERM; killing it", instance->public.name);
        pmo_cgroup_kill(instance->backend->cgroups, instance->public.name);
        enter_stage(instance, KILLED);
        break;
    case KILLED:
        break;
    case ENDED:
        if (pmo_cgroup_remove(instance->backend->cgroups, instance->public.name) != -EBUSY)
            pmo_local_instance_remove(instance);
        break;
    }
}

static int watch(struct pmo_local_instance *instance)
{
    int r = uv_poll_init(instance->backend->loop, &instance->ended, instance->pidfd);

    if (r)
        return pmo_err_r(r, "cannot watch instance %s", instance->public.name);
    instance->ended.data = instance;
    (void)uv_poll_start(&instance->ended, UV_READABLE, process_ended);
    return 0;
}

static void append(struct pmo_local_instance *instance)
{
    struct pmo_local_instance **at = &instance->backend->instances;

    while (*at)
        at = &(*at)->next;
    *at = instance;
}

/* The lowest free one, so that names, logs and metrics stay few. */
static void choose_name(struct pmo_backend *backend, struct pmo_backend_instance *public)
{
    unsigned int number = 0;

    do
        (void)snprintf(public->name, sizeof(public->name), "%s-%u", public->service, ++number);
    while (pmo_local_find(backend, public->name));
}

static int choose_number(struct pmo_backend *backend, uint16_t *number)
{
    uint16_t *used;
    size_t count = 0;

    for (const struct pmo_local_instance *at = backend->instances; at; at = at->next)
        count++;
    used = calloc(count + 1, sizeof(*used));
    if (!used)
        return pmo_err_r(ENOMEM, "cannot start an instance");
    count = 0;
    for (const struct pmo_local_instance *at = backend->instances; at; at = at->next)
        used[count++] = at->number;
    *number = pmo_mesh_number(used, count, backend->last_number);
    free(used);
    if (!*number)
        return pmo_fail(ENOSPC, "all addresses of 198.19.0.0/16 are in use");
    backend->last_number = *number;
    return 0;
}

/* Has @start run a command where the instance is. The agent's environment is the agent's (it may
 * hold secrets and the notify socket of the service manager), so only the search path is handed on.
 */
static int run(struct pmo_local_instance *instance, char *const *command, const char *log,
               int (*start)(struct pmo_local_instance *instance, const struct pmo_process *process))
{
    char *const *given = instance->fleet->service->environment;
    const char *path = getenv("PATH");
    char path_text[4096], service[80], name[96];
    _cleanup_free_ char **environment = NULL;
    struct pmo_cgroup_entry group;
    size_t count = 0;
    struct pmo_process process = {
        .command = command, .log_path = log, .netns_fd = instance->public.netns_fd};
    int r;

    while (given && given[count])
        count++;
    environment = calloc(count + 4, sizeof(*environment));
    if (!environment)
        return -ENOMEM;
    if (count)
        memcpy(environment, given, count * sizeof(*environment));
    environment[count++] = service;
    environment[count++] = name;
    environment[count] = path_text; /* last: the first of two equal names counts */
    process.environment = environment;
    (void)snprintf(path_text, sizeof(path_text), "PATH=%s", path ? path : "/usr/bin:/bin");
    (void)snprintf(service, sizeof(service), "PMO_SERVICE=%s", instance->public.service);
    (void)snprintf(name, sizeof(name), "PMO_INSTANCE=%s", instance->public.name);
    r = pmo_cgroup_enter(instance->backend->cgroups, instance->public.name, &group);
    process.cgroup_fd = group.fd;
    memcpy(process.v1_fds, group.v1_fds, sizeof(process.v1_fds));
    if (!r)
        r = start(instance, &process);
    pmo_cgroup_entry_close(&group);
    return r;
}

static int start_program(struct pmo_local_instance *instance, const struct pmo_process *process)
{
    return pmo_process_start(process, &instance->public.pid, &instance->pidfd);
}

static int run_program(struct pmo_local_instance *instance)
{
    char *const *command = instance->fleet->service->command;
    const char *directory = instance->backend->logs;
    char log[PATH_MAX];
    int r;

    (void)snprintf(log, sizeof(log), "%s/%s.log", directory, instance->public.name);
    pmo_logs_shift(directory, instance->public.name);
    pmo_logs_prune(directory, PMO_LOGS_KEPT, is_live, instance->backend);
    r = run(instance, command, log, start_program);
    if (r)
        (void)snprintf(instance->public.reason, sizeof(instance->public.reason),
                       "cannot run %.80s: %s", command[0], strerror(-r));
    return r ? pmo_err_r(r, "cannot run %s for instance %s", command[0], instance->public.name) : 0;
}

/* Makes everything for an instance and runs it; what was made goes again if a part fails. */
static int launch(struct pmo_local_instance *instance)
{
    const struct pmo_local_service *service = instance->fleet->service;
    const struct pmo_cgroup_limits limits = {service->cpu_share, service->memory_bytes};
    struct pmo_backend_instance *public = &instance->public;
    struct pmo_backend *backend = instance->backend;
    int r = write_record(instance);

    instance->memory_bytes = limits.memory_bytes;
    if (!r)
        r = pmo_cgroup_make(backend->cgroups, public->name, &limits);
    if (!r)
        r = pmo_network_add(backend->network, public->name, instance->number, &public->netns_fd,
                            &public->netns);
    if (!r)
        r = run_program(instance);
    if (!r)
        r = watch(instance);
    if (!r)
        return 0;
    pmo_cgroup_clear(backend->cgroups, public->name);
    if (instance->pidfd >= 0)
        pmo_process_reap(instance->pidfd, (char[64]){""}, 64);
    pmo_network_remove(backend->network, public->name, instance->number);
    pmo_record_remove(backend->records, public->name);
    return r;
}

static void describe(struct pmo_local_instance *instance)
{
    struct pmo_backend_instance *public = &instance->public;

    pmo_mesh_address(instance->number, public->addr);
    (void)snprintf(public->interface, sizeof(public->interface), "eth0");
    pmo_cgroup_path(instance->backend->cgroups, public->name, public->cgroup,
                    sizeof(public->cgroup));
}

static struct pmo_local_instance *instance_new(struct pmo_backend *backend,
                                               struct pmo_local_fleet *fleet)
{
    struct pmo_local_instance *made = calloc(1, sizeof(*made));

    if (!made) {
        (void)pmo_err_r(ENOMEM, "cannot start an instance");
        return NULL;
    }
    made->backend = backend;
    made->fleet = fleet;
    made->pidfd = made->public.netns_fd = -1;
    memcpy(made->public.service, fleet->service->public.name, sizeof(made->public.service));
    made->public.port = fleet->service->port;
    made->public.ordered_s = pmo_local_now_s();
    return made;
}

static void instance_free(struct pmo_local_instance *instance)
{
    if (instance->pidfd >= 0)
        (void)close(instance->pidfd);
    if (instance->public.netns_fd >= 0)
        (void)close(instance->public.netns_fd);
    free(instance);
}

int pmo_local_instance_start(struct pmo_backend *backend, struct pmo_local_fleet *fleet)
{
    struct pmo_local_instance *made = instance_new(backend, fleet);
    int r;

    if (!made)
        return -ENOMEM;
    choose_name(backend, &made->public);
    r = choose_number(backend, &made->number);
    describe(made);
    if (!r)
        r = launch(made);
    if (r) {
        if (!*made->public.reason)
            (void)snprintf(made->public.reason, sizeof(made->public.reason),
                           "cannot be started: %s", strerror(-r));
        made->public.phase = PMO_INSTANCE_GONE;
        backend->events.instance(backend->events.context, &made->public);
        hold_replacement(fleet, made);
        pmo_local_wake(backend);
        instance_free(made);
        return r;
    }
    append(made);
    enter_stage(made, PROBING);
    report(made, PMO_INSTANCE_STARTING);
    return 0;
}

static int adopt_parts(struct pmo_local_instance *instance, const struct pmo_record *record)
{
    struct pmo_backend_instance *public = &instance->public;
    struct pmo_backend *backend = instance->backend;

    /* the descriptor first: then it is the process that is looked for in the cgroup */
    instance->pidfd = record->pid ? pmo_process_open(record->pid) : -ESRCH;
    if (instance->pidfd < 0 || !pmo_cgroup_holds(backend->cgroups, public->name, record->pid) ||
        pmo_network_adopt(backend->network, public->name, record->number, &public->netns_fd,
                          &public->netns) < 0)
        return -ENOENT;
    return watch(instance);
}

int pmo_local_instance_adopt(struct pmo_backend *backend, struct pmo_local_fleet *fleet,
                             const char *name, const struct pmo_record *record)
{
    struct pmo_local_instance *made = instance_new(backend, fleet);
    int r;

    if (!made)
        return -ENOMEM;
    (void)snprintf(made->public.name, sizeof(made->public.name), "%s", name);
    made->number = record->number;
    made->public.adopted = true;
    made->memory_bytes = fleet->service->memory_bytes;
    made->public.port = record->port;
    made->public.pid = record->pid;
    made->public.ordered_s = record->ordered_s;
    made->public.ready_s = record->ready_s;
    describe(made);
    r = adopt_parts(made, record);
    if (r) {
        instance_free(made);
        return r;
    }
    append(made);
    enter_stage(made, record->phase == PMO_INSTANCE_DRAINING ? DRAINING : PROBING);
    report(made, record->phase);
    return 0;
}
