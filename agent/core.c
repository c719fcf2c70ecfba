/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start and end. The order at the start: the kernel side loads and begins to see listeners; the
 * backend adopts or starts its instances; this host's listeners are scanned; only then are the
 * programs attached that see traffic, so that no request is counted for an instance that has no
 * name yet. At the end, the reverse.
 */
#include "agent/core.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/events/told.h"

#define SCAN_EVERY_MS  5000
#define AFTER_FLUSH_MS 12 /* the kernel's flusher runs 10 ms after the second's end */
#define RETRY_MS       5

struct pmo_service *pmo_agent_service(struct pmo_agent *agent, const char *name)
{
    for (struct pmo_service *s = agent->services; s; s = s->next)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}

struct pmo_service *pmo_core_service(struct pmo_core *core, const char *name)
{
    struct pmo_service *s = pmo_agent_service(&core->agent, name), **at = &core->agent.services;

    if (s)
        return s;
    s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    s->store = pmo_store_service(core->agent.store, s->name, true);
    if (!s->store) {
        free(s);
        return NULL;
    }
    s->scope = pmo_route_scope(s->name);
    s->lead_time_s = s->upstream_rps = NAN;
    s->use = pmo_use_unknown;
    s->use_total = pmo_use_unknown.second;
    s->hints_number = pmo_hints_service(core->hints, s->name, NULL, 0);
    pmo_learn_restore(core, s);
    pmo_core_policy(core, s);
    while (*at && strcmp((*at)->name, s->name) < 0)
        at = &(*at)->next;
    s->next = *at;
    *at = s;
    return s;
}

void pmo_core_policy(struct pmo_core *core, struct pmo_service *s)
{
    s->policy = core->agent.policies ? pmo_policies_for(core->agent.policies, s->name) : NULL;
    if (s->policy) { /* until more is known */
        s->capacity_rps = s->policy->capacity_rps;
        s->lead_time_s = s->policy->lead_time_s > 0 ? s->policy->lead_time_s : NAN;
    }
    pmo_routes_follow(core, s);
}

/* Makes a directory and those above it. */
static int make_directories(const char *path)
{
    char part[512];

    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return pmo_err_r(ENAMETOOLONG, "%s", path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = 0;
        if (mkdir(part, 0750) && errno != EEXIST)
            return pmo_err_r(errno, "cannot make the state directory %s (--state-dir)", part);
        if (!slash)
            return 0;
        *slash = '/';
    }
}

static int config_read(struct pmo_core *core, const char *path)
{
    struct pmo_config_state *state = &core->agent.config;
    struct pmo_config config;
    int r;

    state->path = path;
    state->loaded = time(NULL);
    (void)pmo_config_hash(path, state->sha256); /* a pipe has none, and does not change */
    memcpy(state->tried, state->sha256, sizeof(state->tried));
    r = pmo_config_read(&config, path, NULL, NULL);
    core->config = config.file;
    core->agent.policies = config.policies;
    core->agent.sources = config.sources;
    core->backend_ops = config.backend_ops;
    return r;
}

static int zones_read(struct pmo_core *core, const char *path)
{
    struct pmo_file *file = NULL;
    int r = pmo_file_read(&file, path, NULL, NULL);

    if (!r)
        r = pmo_zones_read(&core->agent.zones, file);
    pmo_file_free(&file);
    return r;
}

static uint64_t own_netns_cookie(void)
{
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(uint64_t);
    uint64_t cookie = 0;

    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size))
        return 0;
    return cookie;
}

static void on_backend_instance(void *context, const struct pmo_backend_instance *instance)
{
    pmo_instances_backend(context, instance);
}

static bool on_backend_idle(void *context, const struct pmo_backend_instance *instance)
{
    struct pmo_core *core = context;

    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->managed && !i->gone && !strcmp(i->name, instance->name) && i->id)
            return !pmo_hints_in_flight(core->hints, i->id);
    return true;
}

static void on_interface(void *context, int ifindex, const char *name, bool present)
{
    pmo_debug("interface %s (%d) %s", name, ifindex, present ? "is there" : "is gone");
    pmo_node_interface(context, ifindex, name, present);
}

static int backend_start(struct pmo_core *core)
{
    const struct pmo_backend_events events = {
        .context = core, .instance = on_backend_instance, .idle = on_backend_idle};
    const struct pmo_backend_service *s;
    int r;

    if (!core->backend_ops)
        return 0;
    core->adopting = true;
    r = core->backend_ops->open(&core->backend, core->loop, core->config, core->state_dir, &events);
    core->adopting = false;
    for (size_t i = 0; !r && (s = core->backend_ops->service(core->backend, i)); i++) {
        struct pmo_service *service = pmo_core_service(core, s->name);

        if (!service)
            return pmo_err_r(ENOMEM, "cannot add service %s", s->name);
        service->managed = true;
        (void)core->backend_ops->status(core->backend, s->name, &service->backend);
        service->wanted = service->backend.wanted;
        pmo_instances_publish(core, service);
        service->hints_number = pmo_hints_service(core->hints, s->name, s->addr, s->port);
        if (service->hints_number < 0)
            return pmo_err_r(service->hints_number, "cannot route service %s", s->name);
        r = pmo_kernel_service_address(core->kernel, s->addr, s->port, service->hints_number);
        if (!r)
            r = pmo_core_adopt(core, service);
    }
    return r;
}

static void on_events(uv_poll_t *poll, int status, int readable)
{
    struct pmo_core *core = poll->data;

    pmo_kernel_read_events(core->kernel);
}

/* Who takes TLS connections that nobody reads may not be who listens. */
static void tls_search(struct pmo_core *core)
{
    const volatile struct pmo_control *control = pmo_kernel_control(core->kernel);
    uint64_t unread = control->tls - control->tls_read;

    if (unread > core->tls_unread)
        pmo_tls_scan(core->tls);
    core->tls_unread = unread;
}

static void on_scan(uv_timer_t *timer)
{
    struct pmo_core *core = timer->data;

    (void)pmo_instances_scan(core, false);
    tls_search(core);
    if (++core->scans % 12)
        return;
    /* calls that were in progress when this agent came have returned, or wait for long */
    pmo_kernel_tls_end(core->kernel, PMO_KERNEL_TLS_OLD, false);
    pmo_kernel_tls_sweep(core->kernel);
}

/* Runs a little after each second's end; when the kernel's record is late, again soon. */
static void on_second(uv_timer_t *timer)
{
    struct pmo_core *core = timer->data;
    uint64_t into_ns, wait_ms;
    int64_t second;

    pmo_second_run(core);
    second = pmo_kernel_second(core->kernel, &into_ns);
    wait_ms = 1000 - into_ns / 1000000 + AFTER_FLUSH_MS;
    if (core->agent.now < second - 1 && into_ns < 500000000)
        wait_ms = into_ns < AFTER_FLUSH_MS * 1000000ULL ? AFTER_FLUSH_MS : RETRY_MS;
    (void)uv_timer_start(timer, on_second, wait_ms, 0);
}

static int loop_start(struct pmo_core *core)
{
    int r = uv_poll_init(core->loop, &core->events, pmo_kernel_events_fd(core->kernel));

    if (r)
        return pmo_fail(r, "cannot watch the kernel's events: %s", uv_strerror(r));
    core->events.data = core->second.data = core->scan.data = core;
    (void)uv_poll_start(&core->events, UV_READABLE, on_events);
    (void)uv_timer_init(core->loop, &core->second);
    (void)uv_timer_start(&core->second, on_second, AFTER_FLUSH_MS, 0);
    (void)uv_timer_init(core->loop, &core->scan);
    (void)uv_timer_start(&core->scan, on_scan, SCAN_EVERY_MS, SCAN_EVERY_MS);
    return 0;
}

int pmo_core_start(struct pmo_core *core, uv_loop_t *loop, const struct pmo_options *options)
{
    struct pmo_kernel_events events = pmo_second_events;
    const struct pmo_policy_header *rows[PMO_HEADERS_MAX];
    struct pmo_kernel_extras extras = {.tls = true};
    const struct pmo_kernel_zone *zones;
    char state_dir[PATH_MAX];
    size_t zones_count;
    struct timespec now;
    int r;

    memset(core, 0, sizeof(*core));
    core->loop = loop;
    core->agent.mode = options->mode;
    core->state_dir = options->state_dir;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    core->agent.started = (double)now.tv_sec;
    core->own_netns = own_netns_cookie();
    events.context = core;
    if (options->config && (r = config_read(core, options->config)))
        return r;
    if (options->zones && (r = zones_read(core, options->zones)))
        return r;
    if (core->agent.zones)
        extras.zones = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    core->calls = extras.calls = pmo_calls_wanted(core->agent.policies);
    core->headers = extras.headers = pmo_policies_headers(core->agent.policies, rows) > 0;
    if (geteuid())
        return pmo_fail(EPERM, "not allowed to load BPF programs: run as root (`sudo pmo-agent`)");
    r = make_directories(options->state_dir);
    if (r)
        return r;
    if (core->backend_ops && realpath(options->state_dir, state_dir))
        (void)snprintf(core->agent.logs, sizeof(core->agent.logs), "%s/logs", state_dir);
    (void)snprintf(core->agent.told, sizeof(core->agent.told), "%s/events.json",
                   options->state_dir);
    r = pmo_calendar_new(&core->agent.calendar);
    if (!r)
        r = pmo_told_read(core->agent.told, core->agent.calendar, now.tv_sec);
    if (r)
        return pmo_err_r(r, "cannot start");
    /* the socket first: it tells whether another agent is running */
    r = pmo_server_start(&core->server, loop, &core->agent, options->socket);
    if (r)
        return r;
    r = pmo_history_open(&core->agent.history, options->state_dir);
    if (r)
        return r;
    r = pmo_pauses_start(core);
    if (!r)
        r = pmo_store_new(&core->agent.store);
    if (!r)
        r = pmo_routes_new(&core->agent.routes);
    if (!r)
        r = pmo_listeners_new(&core->listeners);
    if (!r)
        r = pmo_runtimes_new(&core->runtimes);
    if (!r)
        r = pmo_process_cgroups(getpid(), core->own_cgroups, sizeof(core->own_cgroups));
    if (!r)
        r = pmo_usage_new(&core->usage);
    if (!r)
        r = pmo_planner_new(&core->agent.planner,
                            pmo_history_last_decision(core->agent.history) + 1);
    if (r)
        return pmo_err_r(r, "cannot start");
    pmo_planner_limit(core->agent.planner, pmo_policies_limit(core->agent.policies));
    r = pmo_kernel_open(&core->kernel, options->bpffs, &extras, &events);
    if (r)
        return r;
    zones = pmo_zones_prefixes(core->agent.zones, &zones_count);
    r = pmo_kernel_zones(core->kernel, zones, zones_count);
    if (!r)
        r = pmo_headers_start(core);
    if (!r)
        r = pmo_hints_new(&core->hints, pmo_kernel_hints(core->kernel));
    if (r)
        return r;
    if (pmo_tls_new(&core->tls, core->kernel))
        return pmo_err_r(ENOMEM, "cannot start");
    if (pmo_kernel_adopted(core->kernel)) {
        pmo_kernel_tls_end(core->kernel, PMO_KERNEL_TLS_OLD, false);
        pmo_tls_scan(core->tls);
        pmo_kernel_tls_end(core->kernel, PMO_KERNEL_TLS_PIN, true);
    }
    pmo_routes_refresh(core);
    r = pmo_history_load(core->agent.history, core->agent.store, now.tv_sec);
    if (r)
        return r;
    core->committed = core->flushed = pmo_history_last_second(core->agent.history);
    r = backend_start(core);
    if (!r)
        r = pmo_instances_scan(core, true);
    if (!r)
        r = pmo_kernel_start(core->kernel);
    if (r)
        return r;
    pmo_node_start(core, options);
    r = pmo_zones_refresh_start(&core->zones_refresh, loop, core->agent.zones, core->kernel);
    if (!r)
        r = pmo_refresh_start(&core->refresh, loop, core->agent.sources, core->agent.calendar);
    if (r)
        return r;
    r = pmo_interfaces_start(&core->interfaces, loop, on_interface, core);
    if (!r)
        r = pmo_forecasts_start(core, options->state_dir, options->train_share);
    if (!r)
        r = pmo_reload_start(core);
    if (!r)
        r = loop_start(core);
    if (!r)
        pmo_agent_audit(&core->agent, "agent-started", "", "pmo-agent", "%s, mode %s%s%s%s%s",
                        PMO_VERSION, pmo_mode_name(options->mode), options->config ? ", " : "",
                        options->config ? options->config : "",
                        *core->agent.config.sha256 ? ", sha256 " : "", core->agent.config.sha256);
    return r;
}

void pmo_core_stop(struct pmo_core *core, bool leave)
{
    pmo_server_stop(&core->server);
    pmo_refresh_stop(&core->refresh, &core->agent.sources);
    pmo_reload_stop(core);
    pmo_zones_refresh_stop(&core->zones_refresh, &core->agent.zones);
    if (core->second.loop) {
        pmo_agent_audit(&core->agent, "agent-stopped", "", "pmo-agent", "%s",
                        leave ? "instances are left to the next agent" : "by SIGTERM or SIGINT");
        uv_close((uv_handle_t *)&core->events, NULL);
        uv_close((uv_handle_t *)&core->second, NULL);
        uv_close((uv_handle_t *)&core->scan, NULL);
    }
    if (core->interfaces)
        pmo_interfaces_stop(&core->interfaces);
    if (core->backend)
        core->backend_ops->close(&core->backend, leave);
    /* one that did not get so far cannot tell whose records they are: they are the next one's */
    if (core->second.loop) {
        (void)pmo_kernel_drain(core->kernel);
        for (struct pmo_service *s = core->agent.services; s; s = s->next)
            pmo_learn_keep(core, s);
        if (!pmo_history_flush(core->agent.history, core->agent.now))
            pmo_kernel_commit(core->kernel);
    }
    pmo_history_close(&core->agent.history);
    for (struct pmo_agent_instance *i = core->agent.instances, *next; i; i = next) {
        next = i->next;
        if (i->usage)
            pmo_usage_remove(core->usage, &i->usage);
        pmo_operations_free(&i->operations);
        pmo_operations_free(&i->calls);
        pmo_attempts_free(&i->attempts);
        free(i);
    }
    core->agent.instances = NULL;
    for (struct pmo_service *s = core->agent.services, *next; s; s = next) {
        next = s->next;
        pmo_forecaster_free(&s->forecaster);
        pmo_operations_free(&s->headers);
        pmo_attempts_free(&s->attempts);
        pmo_upstream_free(&s->asks);
        free(s);
    }
    core->agent.services = NULL;
    pmo_trainer_free(&core->trainer);
    pmo_decomposer_free(&core->decomposer);
    pmo_hints_free(&core->hints);
    pmo_tls_free(&core->tls);
    pmo_kernel_close(&core->kernel, leave);
    pmo_planner_free(&core->agent.planner);
    pmo_pauses_free(&core->agent.pauses);
    pmo_policies_free(&core->agent.policies);
    pmo_calendar_free(&core->agent.calendar);
    pmo_usage_free(&core->usage);
    pmo_runtimes_free(&core->runtimes);
    pmo_listeners_free(&core->listeners);
    pmo_store_free(&core->agent.store);
    pmo_routes_free(&core->agent.routes);
    pmo_file_free(&core->config);
}

static int by_latency(const void *a, const void *b)
{
    const struct pmo_orchestrate_instance *x = a, *y = b;
    uint32_t i = x->instance->in_flight, j = y->instance->in_flight;

    return i < j ? -1 : i > j;
}

int pmo_agent_orchestrate(struct pmo_agent *agent, const struct pmo_orchestrate_request *request,
                          struct pmo_orchestrate_answer *answer)
{
    struct pmo_core *core = (struct pmo_core *)agent;
    struct pmo_service *s = pmo_agent_service(agent, request->service);
    double lead;

    memset(answer, 0, sizeof(*answer));
    answer->utilization = NAN;
    if (!s)
        return -ENOENT;
    answer->service = s;
    lead = isnan(s->lead_time_s) ? 0 : s->lead_time_s;
    answer->predicted_rps =
        pmo_forecast_peak(&s->forecast, (unsigned int)fmin(lead + 1, PMO_HORIZONS),
                          s->policy && s->policy->quantile > 0 ? s->policy->quantile : 0.5);
    if (s->capacity_rps > 0 && s->ready)
        answer->utilization = answer->predicted_rps / (s->capacity_rps * s->ready);
    if (agent->now)
        answer->scaled = pmo_second_decide(core, s, agent->now, &answer->decision) > 0;
    for (struct pmo_agent_instance *i = agent->instances; i; i = i->next) {
        const struct pmo_hint_instance *hint = i->id ? pmo_hints_row(core->hints, i->id) : NULL;

        if (i->service != s || !hint || answer->instances_count == 64 ||
            !(__atomic_load_n(&hint->flags, __ATOMIC_RELAXED) & PMO_HINT_READY))
            continue;
        i->in_flight = pmo_hints_in_flight(core->hints, i->id);
        answer->instances[answer->instances_count++] = (struct pmo_orchestrate_instance){
            .instance = i, .predicted_latency_s = i->predicted_latency_s};
    }
    qsort(answer->instances, answer->instances_count, sizeof(answer->instances[0]), by_latency);
    return 0;
}
