/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens each second: the kernel side's records of the second that ended go into the series;
 * each service's forecaster sees its arrivals; the planner decides; the backend is told; the hints
 * and the history are written. Only when the history is on disk are the records given back to the
 * kernel, so that an agent that dies loses none.
 */
#include "agent/core.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "agent/base/log.h"

#define FLUSH_EVERY_S 2

static void arrived(struct pmo_agent_instance *i, uint64_t since, uint64_t window,
                    uint64_t requests)
{
    if (!i)
        return;
    if (i->load_second != (int64_t)window)
        i->load_rps = 0;
    i->load_rps += (double)requests / (double)(window - since + 1);
    i->load_second = (int64_t)window;
}

/* Requests that carry a header: counted with their type, too, and here by "name: value". */
static void on_header(struct pmo_core *core, struct pmo_service *service, struct pmo_type *type,
                      const struct pmo_type_record *record)
{
    if (pmo_kernel_route(core->kernel, record->key.route, type->route) ||
        (!service->headers && pmo_operations_new(&service->headers)))
        return;
    (void)pmo_operations_add(service->headers, type, (int64_t)record->since,
                             (int64_t)record->window, &record->counts);
}

static void on_type(void *context, const struct pmo_type_record *record)
{
    struct pmo_core *core = context;
    struct pmo_agent_instance *i = pmo_instance_by_id(core, record->key.instance);
    struct pmo_service *service = i ? i->service : pmo_core_service(core, "unknown");
    int64_t since = (int64_t)record->since, until = (int64_t)record->window;
    bool call = record->key.direction == PMO_OUTBOUND;
    struct pmo_type type = {.direction = record->key.direction,
                            .protocol = record->key.protocol,
                            .method = record->key.method,
                            .status_class = record->key.status_class,
                            .zone = record->key.zone};
    struct pmo_operations **set = i ? call ? &i->calls : &i->operations : NULL;
    char route[PMO_ROUTE_BYTES];
    uint64_t scope;

    if (until <= core->committed || !service)
        return;
    if (type.protocol == PMO_PROTOCOL_SYNS || type.protocol == PMO_PROTOCOL_CONNECTIONS) {
        if (i)
            pmo_attempts_add_zone(&i->attempts, record);
        pmo_attempts_add_zone(&service->attempts, record);
        return;
    }
    if (type.protocol == PMO_PROTOCOL_HEADER) {
        on_header(core, service, &type, record);
        return;
    }
    if (pmo_kernel_route(core->kernel, record->key.route, route))
        (void)snprintf(route, sizeof(route), "{other}");
    if (call)
        pmo_calls_peer(core, record->key.peer, type.peer);
    scope = call ? pmo_route_scope_outbound(service->scope) : service->scope;
    pmo_routes_name(core->agent.routes, scope, route, type.route, NULL, NULL);
    if (type.status_class == PMO_STATUS_ARRIVED && !call)
        arrived(i, record->since, record->window, record->counts.requests);
    if (i && type.status_class != PMO_STATUS_ARRIVED && !call)
        pmo_learn_answered(i, &type, since, until, &record->counts);
    (void)pmo_service_store_add(service->store, &type, since, until, &record->counts);
    if (set && (*set || !pmo_operations_new(set)))
        (void)pmo_operations_add(*set, &type, since, until, &record->counts);
}

static void on_instance(void *context, const struct pmo_instance_record *record)
{
    struct pmo_core *core = context;
    struct pmo_agent_instance *i = pmo_instance_by_id(core, record->instance);
    struct pmo_service *service = i ? i->service : pmo_core_service(core, "unknown");

    if ((int64_t)record->window <= core->committed || !service)
        return;
    arrived(i, record->since, record->window, record->counts.arrivals);
    if (i)
        pmo_attempts_add(&i->attempts, record);
    pmo_attempts_add(&service->attempts, record);
    (void)pmo_service_store_add_instance(service->store, (int64_t)record->since,
                                         (int64_t)record->window, &record->counts);
}

static void on_signals(void *context, const struct pmo_signals_record *record)
{
    struct pmo_core *core = context;
    struct pmo_agent_instance *i = pmo_instance_by_id(core, record->instance);

    core->waits_measured += record->counts.waits;
    if ((int64_t)record->window <= core->committed || !i)
        return;
    pmo_signals_note(&i->signals, record);
    pmo_signals_note(&i->service->signals, record);
    pmo_signals_add(&i->service->signals_total, &record->counts);
}

static void close_second(struct pmo_core *core, int64_t t)
{
    for (struct pmo_service *s = core->agent.services; s; s = s->next) {
        struct pmo_service_second gauges = {.cpu_seconds = s->cpu_seconds,
                                            .memory_bytes = s->memory_bytes,
                                            .rx_bytes = s->rx_bytes,
                                            .tx_bytes = s->tx_bytes,
                                            .ready = s->ready,
                                            .starting = s->starting};

        for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
            if (i->service == s)
                gauges.in_flight += i->in_flight;
        pmo_service_store_close(s->store, t, &gauges);
        s->instance_seconds += s->ready + s->starting + s->draining;
    }
    pmo_upstream_second(&core->agent, t);
    for (struct pmo_service *s = core->agent.services; s; s = s->next) {
        struct pmo_service_second closed;

        if (pmo_service_store_second(s->store, t, &closed))
            continue;
        /* a listener that nobody ever called needs no forecast */
        if (!s->forecaster && closed.arrivals > 0 && pmo_forecasts_begin(core, s, t))
            continue;
        if (s->forecaster)
            pmo_forecasts_observe(core, s, t, &closed);
        if (s->forecaster || s->managed || (s->policy && s->policy->calls))
            (void)pmo_history_add(core->agent.history, s->store, t);
    }
}

static void on_window(void *context, const struct pmo_window_record *record)
{
    struct pmo_core *core = context;

    core->agent.totals.windows++;
    if (record->since != record->window)
        core->agent.totals.late_windows += record->window - record->since;
    if ((int64_t)record->window <= core->agent.now)
        return;
    pmo_instances_tick(core, (int64_t)record->window);
    for (int64_t t = (int64_t)record->since; t <= (int64_t)record->window; t++)
        if (t > core->committed && t > core->agent.now)
            close_second(core, t);
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next) {
        if (i->operations)
            pmo_operations_settle(i->operations, i->in_flight);
        if (i->calls)
            pmo_operations_settle(i->calls, PMO_NO_GAUGE);
    }
    core->agent.now = (int64_t)record->window;
}

static void on_event(void *context, const struct pmo_event *event)
{
    pmo_instances_event(context, event);
}

const struct pmo_kernel_events pmo_second_events = {
    .type = on_type,
    .instance = on_instance,
    .signals = on_signals,
    .window = on_window,
    .event = on_event,
};

static double error_rate(const struct pmo_service *s, int64_t t)
{
    double all = 0, bad = 0;

    for (int64_t at = t - 9; at <= t; at++) {
        for (unsigned int c = 1; c < PMO_STATUS_CLASSES; c++)
            all += (double)pmo_service_store_class(s->store, at, c);
        bad += (double)pmo_service_store_class(s->store, at, 5);
    }
    return all > 0 ? bad / all : NAN;
}

static double waiting(const struct pmo_service *s, int64_t t)
{
    return s->signals.t == t ? pmo_signals_wait_us(&s->signals.counts, 0.99) / 1e6 : NAN;
}

/* Has the backend carry it out. @decision: NULL where an earlier one is caught up with. */
static void order(struct pmo_core *core, struct pmo_service *s, uint32_t wanted,
                  struct pmo_decision *decision)
{
    uint32_t from = s->wanted;
    int r = core->backend_ops->scale(core->backend, s->name, wanted);

    pmo_agent_audit(&core->agent, r ? "order-failed" : "order", s->name, s->policy->name,
                    "%u -> %u instances%s%s%s%s", from, wanted, r ? ": " : "",
                    r ? strerror(-r) : "", decision ? ": " : "", decision ? decision->reason : "");
    if (r)
        return;
    s->wanted = wanted;
    if (decision)
        decision->carried_out = true;
}

int pmo_second_decide(struct pmo_core *core, struct pmo_service *s, int64_t t,
                      struct pmo_decision *decision)
{
    struct pmo_agent *agent = &core->agent;
    struct pmo_service_second last;
    struct pmo_service_state state = {
        .name = s->name,
        .load_rps = NAN,
        .latency_p99_s = pmo_service_store_latency(s->store, t, 10, 0.99) / 1e6,
        .error_rate = error_rate(s, t),
        .ready = s->ready,
        .starting = s->starting,
        .draining = s->draining,
        .lead_time_s = s->lead_time_s,
        .capacity_rps = s->capacity_rps,
        .quantile = s->policy && s->policy->late > 0
                        ? pmo_outcome_quantile(&s->outcome, s->policy->late)
                        : 0,
        .forecast = s->forecaster ? &s->forecast : NULL,
        .calendar = agent->calendar,
        .wait_p99_s = waiting(s, t),
        .cpu_cores = s->cpu_seconds};
    const struct pmo_signals_second *signals = &s->signals;
    bool paused = pmo_pauses_for(&agent->pauses, s->name, time(NULL)) != NULL;
    enum pmo_mode cap =
        paused && agent->mode > PMO_MODE_RECOMMEND ? PMO_MODE_RECOMMEND : agent->mode;
    uint32_t wanted = s->wanted;
    char *text;
    bool acts;
    int made;

    if (!s->policy)
        return 0;
    if (!pmo_service_store_second(s->store, t, &last)) {
        state.load_rps = last.arrivals;
        state.in_flight = last.in_flight;
    }
    for (unsigned int c = 1; c < PMO_STATUS_CLASSES; c++)
        state.answered += (double)pmo_service_store_class(s->store, t, c);
    state.failed = (double)pmo_service_store_class(s->store, t, 5);
    if (signals->t == t) {
        state.accept_queue = signals->queues.window ? signals->queues.accept_queue : 0;
        if (signals->counts.waits)
            state.wait_mean_s =
                (double)signals->counts.wait_us / (double)signals->counts.waits / 1e6;
    }
    made = pmo_planner_decide(agent->planner, s->policy, cap, &state, t, &wanted, decision);
    if (made < 0)
        return pmo_err_r(made, "cannot decide for service %s", s->name);
    acts = s->managed && s->policy->mode == PMO_MODE_ACT && agent->mode == PMO_MODE_ACT;
    if (acts && !paused && wanted != s->wanted)
        order(core, s, wanted, made ? decision : NULL);
    if (!made)
        return 0;
    decision->paused = acts && paused;
    pmo_outcome_expect(&s->outcome, decision->id, t, decision->horizon_s,
                       decision->to * decision->capacity_rps);
    agent->decisions[agent->decisions_made++ % PMO_DECISIONS_KEPT] = *decision;
    text = pmo_decision_text(decision);
    if (text)
        (void)pmo_history_add_decision(agent->history, decision->id, decision->t, decision->service,
                                       text);
    free(text);
    return 1;
}

/* Latency in the next second: the last one's median, stretched or shrunk as utilisation will be.
 * In a queue with one server waiting grows with 1 / (1 - utilisation) (M/M/1). */
static double latency_next(const struct pmo_service *s, double median_s, double load_rps,
                           double predicted_rps)
{
    double now, then;

    if (s->capacity_rps <= 0 || !s->ready)
        return median_s;
    now = fmin(load_rps / (s->capacity_rps * s->ready), 0.95);
    then = fmin(predicted_rps / (s->capacity_rps * s->ready), 0.95);
    return median_s * (1 - now) / (1 - then);
}

static void publish(struct pmo_core *core, struct pmo_service *s, int64_t t)
{
    static const unsigned int horizons[3] = {1, 10, 30};
    double median = pmo_service_store_latency(s->store, t, 10, 0.5) / 1e6, latency;
    struct pmo_service_second last = {};
    uint32_t predicted[3];

    for (int i = 0; i < 3; i++)
        predicted[i] = (uint32_t)(pmo_forecast_quantile(&s->forecast, horizons[i], 0.5) * 1000);
    if (s->hints_number >= 0)
        pmo_hints_service_predict(core->hints, s->hints_number, predicted);
    (void)pmo_service_store_second(s->store, t, &last);
    latency = isnan(median) ? NAN : latency_next(s, median, last.arrivals, predicted[0] / 1000.0);
    for (struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->service == s)
            i->predicted_latency_s = latency;
    pmo_instances_publish(core, s);
}

/* As many reads are measured as is cheap. */
static void waits_choose(struct pmo_core *core)
{
    uint32_t mask = pmo_kernel_control(core->kernel)->wait_mask;

    pmo_kernel_wait_mask(core->kernel, pmo_signals_mask(mask, core->waits_measured));
    core->waits_measured = 0;
}

static void read_own_usage(struct pmo_core *core)
{
    const volatile struct pmo_control *control = pmo_kernel_control(core->kernel);
    struct pmo_agent_totals *totals = &core->agent.totals;
    struct pmo_process_stat stat;
    struct timespec cpu;
    uint64_t usec;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    usec = (uint64_t)cpu.tv_sec * 1000000 + cpu.tv_nsec / 1000;
    core->agent.cpu_share = (double)(usec - core->own_cpu_usec) / 1e6;
    core->own_cpu_usec = usec;
    if (!pmo_process_stat_read(getpid(), &stat))
        core->agent.resident_bytes = stat.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
    totals->ring_full = control->ring_full;
    totals->routes_full = control->routes_full;
    totals->counters_full = control->counters_full;
    totals->instances_full = control->instances_full;
    totals->peers_full = control->peers_full;
    totals->midstream = control->midstream;
    totals->holes = control->holes;
    totals->not_http = control->not_http;
    totals->tls = control->tls;
    totals->tls_read = control->tls_read;
}

void pmo_second_run(struct pmo_core *core)
{
    struct pmo_agent *agent = &core->agent;
    struct timespec now;

    pmo_routes_refresh(core);
    pmo_kernel_tls_linger(core->kernel);
    pmo_kernel_datagrams_expire(core->kernel);
    pmo_kernel_read_events(core->kernel); /* who is there, before what they did */
    if (!pmo_kernel_drain(core->kernel))
        return;
    waits_choose(core);
    pmo_forecasts_train(core);
    pmo_routes_settle(core);
    pmo_learn_second(core, agent->now);
    pmo_pauses_expire(core);
    for (struct pmo_service *s = agent->services; s; s = s->next) {
        struct pmo_decision decision;

        if (s->managed)
            (void)core->backend_ops->status(core->backend, s->name, &s->backend);
        if (s->forecaster)
            pmo_forecaster_predict(s->forecaster, &s->forecast);
        (void)pmo_second_decide(core, s, agent->now, &decision);
        publish(core, s, agent->now);
    }
    read_own_usage(core);
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    pmo_hints_heartbeat(core->hints, (uint64_t)now.tv_sec * 1000000000ULL + now.tv_nsec);
    if (agent->now - core->flushed < FLUSH_EVERY_S)
        return;
    if (!pmo_history_flush(agent->history, agent->now)) {
        core->flushed = agent->now;
        pmo_kernel_commit(core->kernel);
    }
}
