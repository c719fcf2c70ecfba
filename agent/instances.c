/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is there. An instance is a row in the kernel's maps, made by listen() or found by a scan; its
 * service is the backend's, when its network namespace is one the backend made, else it is named
 * after its container, its systemd unit or its command, and the port. Who is asked over UDP alone
 * is one, too, from the first request on. An instance that went keeps its row for a minute, so that
 * counts that are still on their way are not taken for a successor's.
 */
#include "agent/core.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define KEEP_GONE_S 60

struct pmo_agent_instance *pmo_instance_by_id(struct pmo_core *core, uint32_t id)
{
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->id == id && id)
            return i;
    return NULL;
}

static struct pmo_agent_instance *by_name(struct pmo_core *core, const char *name)
{
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->managed && !i->gone && !strcmp(i->name, name))
            return i;
    return NULL;
}

static struct pmo_agent_instance *by_netns(struct pmo_core *core, uint64_t netns)
{
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->managed && !i->gone && i->listener.netns == netns)
            return i;
    return NULL;
}

static struct pmo_agent_instance *instance_add(struct pmo_core *core, const char *service,
                                               const char *name)
{
    struct pmo_agent_instance *made = calloc(1, sizeof(*made)), **at = &core->agent.instances;

    if (!made)
        return NULL;
    made->service = pmo_core_service(core, service);
    if (!made->service) {
        free(made);
        return NULL;
    }
    if (made->service->hints_number < 0)
        made->service->hints_number = pmo_hints_service(core->hints, service, NULL, 0);
    (void)snprintf(made->name, sizeof(made->name), "%s", name);
    made->netns_fd = -1;
    made->use = pmo_use_unknown;
    memset(&made->reading, 0xff, sizeof(made->reading)); /* PMO_USAGE_UNKNOWN */
    made->predicted_latency_s = NAN;
    made->cpu_limit = NAN;
    while (*at) {
        int order = strcmp((*at)->service->name, service);

        if (order > 0 || (!order && strverscmp((*at)->name, name) > 0))
            break;
        at = &(*at)->next;
    }
    made->next = *at;
    *at = made;
    return made;
}

static void usage_begin(struct pmo_core *core, struct pmo_agent_instance *i)
{
    struct pmo_usage_reading now;

    if (i->usage || !i->pid)
        return;
    if (pmo_usage_add(core->usage, (pid_t)i->pid, i->cgroup, i->netns_fd, i->interface, &i->usage))
        return;
    if (!pmo_usage_read(i->usage, &now))
        i->reading = now;
    i->cpu_limit = pmo_usage_cpu_limit((pid_t)i->pid, i->cgroup);
}

static void instance_gone(struct pmo_core *core, struct pmo_agent_instance *i)
{
    if (i->gone)
        return;
    i->phase = PMO_INSTANCE_GONE;
    i->gone = core->agent.now ? core->agent.now : 1;
    i->cpu_share = i->load_rps = i->rx_bytes_per_s = i->tx_bytes_per_s = 0;
    i->memory_bytes = 0;
    i->use = pmo_use_unknown;
    if (i->usage)
        pmo_usage_remove(core->usage, &i->usage);
    if (i->id) {
        pmo_hints_flags(core->hints, i->id, 0, PMO_HINT_READY | PMO_HINT_DRAINING);
        if (i->interface[0])
            pmo_kernel_count_syns_end(core->kernel, i->name, &i->listener);
    }
    pmo_instances_publish(core, i->service);
}

void pmo_instances_publish(struct pmo_core *core, struct pmo_service *service)
{
    uint32_t members[PMO_HINTS_INSTANCES_MAX];
    size_t count = 0;

    service->ready = service->starting = service->draining = 0;
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next) {
        struct pmo_hint_instance row = {};

        if (i->service != service)
            continue;
        service->ready += i->phase == PMO_INSTANCE_READY;
        service->starting += i->phase == PMO_INSTANCE_STARTING;
        service->draining += i->phase == PMO_INSTANCE_DRAINING;
        if (i->id && !i->gone) {
            pmo_kernel_scope(core->kernel, i->id, service->scope);
            pmo_headers_follow(core, i);
        }
        if (!i->id || i->gone || service->hints_number < 0)
            continue;
        row.service = service->hints_number;
        row.weight = 1024;
        row.predicted_latency_us =
            isnan(i->predicted_latency_s) ? 0 : (uint32_t)(i->predicted_latency_s * 1e6);
        row.capacity_mrps = (uint32_t)(service->capacity_rps * 1000);
        memcpy(row.addr, i->listener.addr, 16);
        row.port = i->listener.port;
        row.pid = i->pid;
        pmo_hints_instance(core->hints, i->id, &row);
        if (count < PMO_HINTS_INSTANCES_MAX)
            members[count++] = i->id;
    }
    /* while some are missing, an earlier agent's list is better: what is in this one may be
     * draining */
    if (service->hints_number >= 0 && !core->adopting)
        (void)pmo_hints_members(core->hints, service->hints_number, members, count);
}

static bool kernel_knows(struct pmo_core *core, uint32_t id);

static void count_syns(struct pmo_core *core, struct pmo_agent_instance *i)
{
    if (i->id && i->interface[0])
        (void)pmo_kernel_count_syns(core->kernel, i->netns_fd, i->interface, i->name, &i->listener,
                                    i->id);
}

/* From here on, routers may choose it. */
static void instance_ready(struct pmo_core *core, struct pmo_agent_instance *i)
{
    i->phase = PMO_INSTANCE_READY;
    pmo_instances_publish(core, i->service);
    if (i->pid)
        pmo_tls_process(core->tls, (pid_t)i->pid);
    if (!i->id)
        return;
    if (i->managed && i->pid)
        (void)pmo_kernel_process(core->kernel, i->pid, i->id);
    pmo_hints_flags(core->hints, i->id, PMO_HINT_READY, PMO_HINT_DRAINING);
    /* It may have stopped listening between the probe and now: then the kernel side has cleared the
     * bit already, and it must stay so. */
    if (!kernel_knows(core, i->id))
        pmo_hints_flags(core->hints, i->id, 0, PMO_HINT_READY);
}

struct row_search {
    uint64_t netns;
    uint32_t id;
    uint16_t port;
    struct pmo_listener listener;
};

static void match_row(void *context, const struct pmo_listener *listener,
                      const struct pmo_instance *instance)
{
    struct row_search *s = context;

    if (s->id ? instance->id != s->id : listener->netns != s->netns || listener->port != s->port)
        return;
    s->id = instance->id;
    s->listener = *listener;
}

static bool kernel_knows(struct pmo_core *core, uint32_t id)
{
    struct row_search s = {.id = id};

    pmo_kernel_instances(core->kernel, match_row, &s);
    return s.listener.port != 0;
}

/* A listener that is not the backend's, and all that is known of who it is. */
struct discovery {
    uint32_t id;
    struct pmo_listener listener;
    uint32_t pid;
    uint64_t cgroup_id;
    uint64_t time_ns; /* CLOCK_MONOTONIC, when it had that pid; 0: now */
    char command[64]; /* "" where it is not known yet */
    char cgroup[256];
    bool datagrams; /* see struct pmo_agent_instance */
};

/* Asks /proc; where the process is gone already, the kernel may still know its cgroup. Returns its
 * pid, 0 if it is gone. */
static pid_t describe(struct pmo_core *core, struct discovery *d, struct pmo_workload *workload,
                      struct pmo_container *container)
{
    char cgroups[4096] = "", command[64], path[256];
    pid_t pid = (pid_t)d->pid, inside;

    if (d->time_ns && !pmo_process_was_there(pid, d->time_ns))
        pid = 0;
    if (pid && !d->cgroup[0] && !pmo_process_describe(pid, command, d->cgroup))
        memcpy(d->command, command, sizeof(d->command));
    if (pid && pmo_process_cgroups(pid, cgroups, sizeof(cgroups)) < 0)
        pid = 0;
    inside = pid;
    if (!pid && d->cgroup_id && !pmo_cgroup_by_id(d->cgroup_id, path)) {
        (void)snprintf(cgroups, sizeof(cgroups), "0::%s\n", path);
        inside = pmo_cgroup_process(path);
    }
    pmo_workload_parse(cgroups, core->own_cgroups, workload);
    pmo_container_look_up(core->runtimes, workload, inside, container);
    return pid;
}

static void discovered(struct pmo_core *core, struct discovery *d)
{
    struct pmo_agent_instance *i = pmo_instance_by_id(core, d->id);
    struct pmo_container container;
    struct pmo_workload workload;
    char service[64], name[80];
    pid_t pid;

    if (i) {
        i->missed = 0;
        i->datagrams = d->datagrams;
        if (!i->gone && !i->pid && d->pid) { /* who called listen() has handed it on, and ended */
            i->pid = d->pid;
            memcpy(i->cgroup, d->cgroup, sizeof(i->cgroup));
            usage_begin(core, i);
            pmo_tls_process(core->tls, (pid_t)i->pid);
        }
        if (!i->gone)
            return;
        i->id = 0; /* the row was given to another listener */
    }
    pid = describe(core, d, &workload, &container);
    pmo_workload_service(&workload, container.name, d->command, d->listener.port, service);
    (void)snprintf(name, sizeof(name), "%s-%u", service, d->pid);
    i = instance_add(core, service, name);
    if (!i)
        return;
    i->id = d->id;
    i->listener = d->listener;
    i->pid = (uint32_t)pid;
    memcpy(i->cgroup, d->cgroup, sizeof(i->cgroup));
    i->datagrams = d->datagrams;
    i->workload = workload;
    memcpy(i->pod, container.pod, sizeof(i->pod));
    usage_begin(core, i);
    instance_ready(core, i);
}

struct scan {
    struct pmo_listening *sockets;
    size_t count, room;
};

static int found(void *context, const struct pmo_listening *l)
{
    struct scan *scan = context;

    if (scan->count == scan->room) {
        size_t room = scan->room ? 2 * scan->room : 64;
        void *larger = reallocarray(scan->sockets, room, sizeof(*scan->sockets));

        if (!larger)
            return -ENOMEM;
        scan->sockets = larger;
        scan->room = room;
    }
    scan->sockets[scan->count++] = *l;
    return 0;
}

static int by_address(const void *a, const void *b)
{
    const struct pmo_listening *x = a, *y = b;

    return memcmp(&x->address, &y->address, sizeof(x->address));
}

/* A listener that closed between a scan's look and its entry was never seen to close, and a UDP
 * socket never is: what two scans do not find is gone. */
static void missed_end(struct pmo_core *core)
{
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next) {
        if (i->managed || i->gone || (i->listener.netns != core->own_netns && !i->datagrams) ||
            i->missed++ < 2)
            continue;
        pmo_kernel_listener_forget(core->kernel, &i->listener);
        instance_gone(core, i);
    }
}

/* Sockets that share an address (SO_REUSEPORT) are one instance. @netns_fd: -1: the agent's own
 * network namespace */
static int scan_namespace(struct pmo_core *core, int netns_fd, void *unused)
{
    struct scan scan = {};
    int r = pmo_listeners_scan(core->listeners, netns_fd, found, &scan);

    qsort(scan.sockets, scan.count, sizeof(*scan.sockets), by_address);
    for (size_t i = 0, n; !r && i < scan.count; i += n) {
        const struct pmo_listening *l = &scan.sockets[i];
        struct discovery d = {
            .listener = l->address, .pid = (uint32_t)l->pid, .cgroup_id = l->cgroup_id};

        for (n = 1; i + n < scan.count && !by_address(l, l + n); n++)
            ;
        memcpy(d.command, l->command, sizeof(d.command));
        memcpy(d.cgroup, l->cgroup, sizeof(d.cgroup));
        /* when all rows are used, its requests are counted under instance 0 */
        if (!by_netns(core, l->address.netns) &&
            !pmo_kernel_instance(core->kernel, &l->address, d.pid, l->cgroup_id, (uint32_t)n,
                                 &d.id))
            discovered(core, &d);
    }
    free(scan.sockets);
    return r;
}

/* Network namespaces that were looked at, by inode. */
struct namespaces {
    ino_t *list;
    size_t count, room;
};

static bool is_new(struct namespaces *n, ino_t inode)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->list[i] == inode)
            return false;
    if (n->count == n->room) {
        size_t room = n->room ? 2 * n->room : 16;
        ino_t *larger = reallocarray(n->list, room, sizeof(*larger));

        if (!larger)
            return false;
        n->list = larger;
        n->room = room;
    }
    n->list[n->count++] = inode;
    return true;
}

/* Returns non-zero to stop. @netns_fd: -1: the agent's own */
typedef int (*namespace_fn)(struct pmo_core *core, int netns_fd, void *context);

/* Every network namespace that a process is in. One that has just gone has no listeners. */
static int each_namespace(struct pmo_core *core, namespace_fn look, void *context)
{
    struct namespaces seen = {};
    const struct dirent *entry;
    DIR *proc = opendir("/proc");
    struct stat status;
    int r = 0;

    if (!proc)
        return pmo_err_r(errno, "cannot read /proc");
    if (!stat("/proc/self/ns/net", &status) && is_new(&seen, status.st_ino))
        r = look(core, -1, context);
    while (!r && (entry = readdir(proc))) {
        _cleanup_close_ int fd = -1;
        char path[300];

        (void)snprintf(path, sizeof(path), "/proc/%s/ns/net", entry->d_name);
        if (!isdigit((unsigned char)entry->d_name[0]) || stat(path, &status) ||
            !is_new(&seen, status.st_ino))
            continue;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && look(core, fd, context) > 0)
            break;
    }
    (void)closedir(proc);
    free(seen.list);
    return r;
}

/* ---- who is asked over UDP ------------------------------------------------------------------- */

#define DNS_PORT        53
#define EPHEMERAL_PORTS 32768 /* from here on, what asks others has them */

static int datagram_socket(void *context, const struct pmo_listening *l)
{
    struct pmo_core *core = context;

    if (l->address.port < EPHEMERAL_PORTS)
        pmo_kernel_datagrams(core->kernel, l->address.port);
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->datagrams && !memcmp(&i->listener, &l->address, sizeof(i->listener)) &&
            (!i->pid || !kill((pid_t)i->pid, 0))) /* else the socket is the next one's */
            i->missed = 0;
    return 0;
}

static int datagrams_in(struct pmo_core *core, int netns_fd, void *unused)
{
    return pmo_datagrams_scan(netns_fd, false, datagram_socket, core);
}

static int scan_datagrams(struct pmo_core *core, bool everywhere)
{
    pmo_kernel_datagrams(core->kernel, DNS_PORT); /* in namespaces that come later, too */
    for (const struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        everywhere |= i->datagrams && !i->gone && i->listener.netns != core->own_netns;
    return everywhere ? each_namespace(core, datagrams_in, NULL) : datagrams_in(core, -1, NULL);
}

static int is_sought(void *context, const struct pmo_listening *l)
{
    struct discovery *d = context;

    if (memcmp(&l->address, &d->listener, sizeof(d->listener)) != 0)
        return 0;
    d->datagrams = true;
    d->pid = (uint32_t)l->pid;
    memcpy(d->command, l->command, sizeof(d->command));
    memcpy(d->cgroup, l->cgroup, sizeof(d->cgroup));
    return 1;
}

static int sought_in(struct pmo_core *core, int netns_fd, void *d)
{
    if (pmo_datagrams_scan(netns_fd, false, is_sought, d) <= 0)
        return 0;
    return pmo_datagrams_scan(netns_fd, true, is_sought, d);
}

/* Of whom no process is known, it may be a UDP socket that was asked: nobody called listen(). */
static void datagram_owner(struct pmo_core *core, struct discovery *d)
{
    if (d->pid)
        return;
    if (d->listener.netns == core->own_netns)
        (void)sought_in(core, -1, d);
    else
        (void)each_namespace(core, sought_in, d);
}

/* ---- scans and events ------------------------------------------------------------------------ */

/* What the scan cannot see: listeners in other namespaces, and who is asked over UDP. */
static void adopt_row(void *context, const struct pmo_listener *listener,
                      const struct pmo_instance *instance)
{
    struct pmo_core *core = context;
    struct discovery d = {.id = instance->id,
                          .listener = *listener,
                          .pid = instance->pid,
                          .cgroup_id = instance->cgroup};
    const struct pmo_agent_instance *i = pmo_instance_by_id(core, instance->id);
    bool own = listener->netns == core->own_netns;

    if ((i && !i->gone) || by_netns(core, listener->netns) || (own && instance->listeners))
        return;
    if (!instance->listeners)
        datagram_owner(core, &d);
    if (!own || d.datagrams)
        discovered(core, &d);
}

int pmo_instances_scan(struct pmo_core *core, bool everywhere)
{
    int r =
        everywhere ? each_namespace(core, scan_namespace, NULL) : scan_namespace(core, -1, NULL);

    if (!r)
        r = scan_datagrams(core, everywhere);
    if (!r)
        missed_end(core);
    pmo_kernel_instances(core->kernel, adopt_row, core);
    pmo_node_targets_follow(core);
    pmo_calls_follow(core);
    return r;
}

void pmo_instances_event(struct pmo_core *core, const struct pmo_event *event)
{
    struct pmo_agent_instance *i;

    if (event->kind == PMO_EVENT_LISTENING) {
        i = by_netns(core, event->listener.netns);
        if (!i) {
            struct discovery d = {.id = event->instance,
                                  .listener = event->listener,
                                  .pid = event->pid,
                                  .cgroup_id = event->cgroup,
                                  .time_ns = event->time_ns};

            memcpy(d.command, ((const struct pmo_listening_event *)event)->command,
                   PMO_COMMAND_BYTES);
            datagram_owner(core, &d);
            discovered(core, &d);
        } else if (event->listener.port == i->listener.port) {
            i->id = event->instance;
            pmo_kernel_scope(core->kernel, i->id, i->service->scope);
            pmo_headers_follow(core, i);
            if (i->phase == PMO_INSTANCE_READY) { /* its probe does not ask its listener */
                count_syns(core, i);
                instance_ready(core, i);
            }
        }
        pmo_node_targets_follow(core);
        pmo_calls_follow(core);
        return;
    }
    i = pmo_instance_by_id(core, event->instance);
    if (!i)
        return;
    if (event->kind == PMO_EVENT_TLS) {
        pmo_tls_process(core->tls, (pid_t)i->pid);
        return;
    }
    if (i->managed) { /* the backend finds out, and tells when it is gone */
        if (i->phase == PMO_INSTANCE_READY)
            i->phase = PMO_INSTANCE_STARTING;
        pmo_instances_publish(core, i->service);
        return;
    }
    if (event->kind == PMO_EVENT_CLOSED)
        instance_gone(core, i);
    pmo_node_targets_follow(core);
    pmo_calls_follow(core);
}

static void audit(struct pmo_core *core, const struct pmo_backend_instance *b, bool is_new)
{
    if (b->phase == PMO_INSTANCE_GONE)
        pmo_agent_audit(&core->agent, "instance-ended", b->service, core->backend_ops->name,
                        "%s: %s", b->name, b->reason);
    else if (is_new && !b->adopted)
        pmo_agent_audit(&core->agent, "instance-started", b->service, core->backend_ops->name,
                        "%s, pid %d", b->name, (int)b->pid);
}

void pmo_instances_backend(struct pmo_core *core, const struct pmo_backend_instance *b)
{
    struct pmo_agent_instance *i = by_name(core, b->name);

    audit(core, b, !i);
    if (!i) {
        if (b->phase == PMO_INSTANCE_GONE)
            return;
        i = instance_add(core, b->service, b->name);
        if (!i)
            return;
        i->managed = true;
    }
    i->pid = (uint32_t)b->pid;
    i->netns_fd = b->netns_fd;
    i->listener.netns = b->netns;
    i->listener.port = b->port;
    memcpy(i->listener.addr, b->addr, 16);
    memcpy(i->cgroup, b->cgroup, sizeof(i->cgroup));
    memcpy(i->interface, b->interface, sizeof(i->interface));
    if (!i->id) {
        struct row_search s = {.netns = b->netns, .port = b->port};

        pmo_kernel_instances(core->kernel, match_row, &s);
        i->id = s.id;
        if (i->id)
            pmo_calls_follow(core);
    }
    switch (b->phase) {
    case PMO_INSTANCE_STARTING:
        i->phase = b->phase;
        pmo_instances_publish(core, i->service);
        break;
    case PMO_INSTANCE_READY:
        usage_begin(core, i);
        count_syns(core, i);
        pmo_learn_start(i, b);
        instance_ready(core, i);
        break;
    case PMO_INSTANCE_DRAINING:
        i->phase = b->phase;
        if (i->id)
            pmo_hints_flags(core->hints, i->id, PMO_HINT_DRAINING, PMO_HINT_READY);
        pmo_instances_publish(core, i->service);
        break;
    case PMO_INSTANCE_GONE:
        i->netns_fd = -1;
        instance_gone(core, i);
        break;
    }
}

/* A service of this host without instances keeps its series, and gives back the rest. */
static void service_rest(struct pmo_core *core, struct pmo_service *service)
{
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->service == service)
            return;
    if (service->managed)
        return;
    pmo_forecaster_free(&service->forecaster);
    service->decomposed = 0;
    memset(&service->forecast, 0, sizeof(service->forecast));
    pmo_kernel_scope_forget(core->kernel, service->scope);
    pmo_kernel_scope_forget(core->kernel, pmo_route_scope_outbound(service->scope));
    pmo_kernel_scope_forget(core->kernel, pmo_route_scope_headers(service->scope));
    if (service->hints_number >= 0)
        pmo_hints_service_delete(core->hints, service->hints_number);
    service->hints_number = -1;
}

static void forget(struct pmo_core *core, struct pmo_agent_instance **at)
{
    struct pmo_agent_instance *i = *at;
    struct pmo_service *service = i->service;

    *at = i->next;
    if (i->id) {
        pmo_hints_instance_delete(core->hints, i->id);
        pmo_kernel_instance_free(core->kernel, i->id);
    }
    pmo_operations_free(&i->operations);
    pmo_operations_free(&i->calls);
    pmo_attempts_free(&i->attempts);
    free(i);
    service_rest(core, service);
}

/* What the history has counts as nothing where it is not known: fmax() prefers what is a number. */
static void read_usage(struct pmo_agent_instance *i)
{
    const struct pmo_usage_reading *last = &i->reading;
    struct pmo_usage_reading now;
    int r = i->usage ? pmo_usage_read(i->usage, &now) : -ESRCH;

    if (r == -ESRCH || r == -EINVAL)
        return;
    i->cpu_share = fmax(0, pmo_use_grown(last->cpu_usec, now.cpu_usec)) / 1e6;
    i->rx_bytes_per_s = fmax(0, pmo_use_grown(last->rx_bytes, now.rx_bytes));
    i->tx_bytes_per_s = fmax(0, pmo_use_grown(last->tx_bytes, now.tx_bytes));
    i->memory_bytes = now.memory_bytes;
    i->use = pmo_use_between(last, &now);
    i->reading = now;
}

void pmo_instances_tick(struct pmo_core *core, int64_t now)
{
    struct pmo_agent_instance **at = &core->agent.instances;

    for (struct pmo_service *s = core->agent.services; s; s = s->next) {
        s->cpu_seconds = s->memory_bytes = s->rx_bytes = s->tx_bytes = 0;
        s->use = pmo_use_unknown;
    }
    (void)pmo_usage_tick(core->usage);
    while (*at) {
        struct pmo_agent_instance *i = *at;

        if (i->gone && now > i->gone + KEEP_GONE_S) {
            forget(core, at);
            continue;
        }
        i->in_flight = i->id && !i->gone ? pmo_hints_in_flight(core->hints, i->id) : 0;
        if (i->load_second != now)
            i->load_rps = 0;
        read_usage(i);
        i->service->cpu_seconds += i->cpu_share;
        i->service->memory_bytes += (double)i->memory_bytes;
        i->service->rx_bytes += i->rx_bytes_per_s;
        i->service->tx_bytes += i->tx_bytes_per_s;
        pmo_use_add(&i->service->use, &i->use);
        pmo_use_sums_add(&i->service->use_total, &i->use.second);
        at = &i->next;
    }
}
