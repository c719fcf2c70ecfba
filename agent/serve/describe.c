/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON forms of what the agent knows. docs/openapi.yaml describes each of them. */
#include "agent/serve/api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/address.h"
#include "agent/observe/zones.h"
#include "agent/serve/serve.h"

#define LATENCY_SECONDS 10 /* over which quantiles are taken, as policies do */
#define RECENT_SECONDS  60

json_t *pmo_json_number(double value)
{
    return isfinite(value) ? json_real(round(value * 1000) / 1000) : json_null();
}

const char *pmo_zone_name(uint8_t zone, char name[8])
{
    if (!zone)
        return "unknown";
    (void)snprintf(name, 8, "%u", zone);
    return name;
}

json_t *pmo_json_load(const struct pmo_operation_load *load)
{
    uint64_t answered = 0;

    for (size_t i = 0; i < PMO_STATUS_CLASSES; i++)
        answered += i == PMO_STATUS_ABORTED ? 0 : load->requests[i];
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}",
        "rps", pmo_json_number(load->rps), "firstByteMeanMs",
        pmo_json_number(load->first_byte_mean_us / 1e3), "firstByteP50Ms",
        pmo_json_number(load->first_byte_p50_us / 1e3), "firstByteP99Ms",
        pmo_json_number(load->first_byte_p99_us / 1e3), "lastByteMeanMs",
        pmo_json_number(load->last_byte_mean_us / 1e3), "lastByteP50Ms",
        pmo_json_number(load->last_byte_p50_us / 1e3), "lastByteP99Ms",
        pmo_json_number(load->last_byte_p99_us / 1e3), "requestBytesPerS",
        pmo_json_number(load->request_bytes_per_s), "responseBytesPerS",
        pmo_json_number(load->response_bytes_per_s), "errorRate", pmo_json_number(load->error_rate),
        "totals", "arrived", (json_int_t)load->arrived, "answered", (json_int_t)answered, "errors",
        (json_int_t)load->requests[5], "aborted", (json_int_t)load->requests[PMO_STATUS_ABORTED],
        "finished", (json_int_t)load->finished, "requestBytes", (json_int_t)load->request_bytes,
        "responseBytes", (json_int_t)load->response_bytes);
}

json_t *pmo_json_type(const struct pmo_type *type)
{
    char zone[8];

    return json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "direction", pmo_direction_name(type->direction),
        "protocol", pmo_protocol_name(type->protocol), "method", pmo_method_name(type->method),
        "route", pmo_json_text(type->route), "peer",
        type->peer[0] ? pmo_json_text(type->peer) : json_null(), "statusClass",
        pmo_status_class_name(type->status_class), "zone", pmo_zone_name(type->zone, zone));
}

static json_t *use_json(const struct pmo_use *use)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "throttledMsPerS",
                     pmo_json_number(use->second.throttled_s * 1e3), "cpuWaitMsPerS",
                     pmo_json_number(use->second.run_delay_s * 1e3), "workingSetBytes",
                     pmo_json_number(use->working_set_bytes), "diskReadBytesPerS",
                     pmo_json_number(use->second.disk_read_bytes), "diskWriteBytesPerS",
                     pmo_json_number(use->second.disk_written_bytes), "openFiles",
                     pmo_json_number(use->open_files), "openFilesRatio",
                     pmo_json_number(use->open_files_ratio));
}

static double mean_ms(uint64_t sum_us, uint64_t count)
{
    return count ? (double)sum_us / (double)count / 1e3 : NAN;
}

/* A second of which there is no record had nothing of all this. */
static json_t *signals_json(const struct pmo_signals_second *signals, int64_t now)
{
    static const struct pmo_signals_second nothing;
    const struct pmo_signals_second *s = signals->t == now ? signals : &nothing;
    const struct pmo_signals *c = &s->counts;
    bool queues = s->queues.window;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}",
                     "waitMs", pmo_json_number(mean_ms(c->wait_us, c->waits)), "waitP50Ms",
                     pmo_json_number(pmo_signals_wait_us(c, 0.5) / 1e3), "waitP99Ms",
                     pmo_json_number(pmo_signals_wait_us(c, 0.99) / 1e3), "unreadBytes",
                     pmo_json_number(c->waits ? (double)c->unread_bytes / (double)c->waits : NAN),
                     "acceptQueue", pmo_json_number(queues ? s->queues.accept_queue : NAN),
                     "acceptQueueLimit", pmo_json_number(queues ? s->queues.accept_limit : NAN),
                     "halfOpen", pmo_json_number(queues ? s->queues.half_open : NAN), "handshakeMs",
                     pmo_json_number(mean_ms(c->handshake_us, c->handshakes)), "rttMs",
                     pmo_json_number(mean_ms(c->rtt_us, c->waits)), "rttMinMs",
                     pmo_json_number(mean_ms(c->rtt_min_us, c->waits)), "waitsMeasured",
                     (json_int_t)c->waits, "acceptQueueOverflows", (json_int_t)c->overflows,
                     "retransmits", (json_int_t)c->retransmits, "resetsSent",
                     (json_int_t)c->resets_sent, "resetsReceived", (json_int_t)c->resets_received);
}

static json_t *attempts_json(const struct pmo_agent *agent, const struct pmo_attempts *attempts)
{
    const struct pmo_attempts last = pmo_attempts_in(attempts, agent->now);
    json_t *zones = json_array();

    for (unsigned int i = 1; attempts->zones && i < PMO_ZONES_MAX; i++) {
        const struct pmo_zone_attempts *zone = &attempts->zones[i];

        if (zone->syns || zone->connections)
            (void)json_array_append_new(
                zones,
                json_pack("{s:o, s:I, s:I}", "zone",
                          pmo_json_text(pmo_zones_name(agent->zones, (uint8_t)i)), "syns",
                          (json_int_t)zone->syns, "connections", (json_int_t)zone->connections));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "synsPerS", pmo_json_number(last.syns_per_s),
                     "connectionsPerS", pmo_json_number(last.connections_per_s), "datagramsPerS",
                     pmo_json_number(last.datagrams_per_s), "quicInitialsPerS",
                     pmo_json_number(last.initials_per_s), "floodPerS",
                     pmo_json_number(pmo_attempts_flood(&last)), "zones", zones);
}

json_t *pmo_json_instance_ready(const struct pmo_agent_instance *instance,
                                double predicted_latency_s)
{
    char address[INET6_ADDRSTRLEN];

    return json_pack("{s:I, s:o, s:s, s:b, s:s, s:i, s:n, s:I, s:o, s:o}", "id",
                     (json_int_t)instance->id, "name", pmo_json_text(instance->name), "phase",
                     pmo_instance_phase_name(instance->phase), "managed", instance->managed,
                     "address", pmo_address_text(instance->listener.addr, address), "port",
                     (int)instance->listener.port, "zone" /* instances have none yet */, "inFlight",
                     (json_int_t)instance->in_flight, "rps", pmo_json_number(instance->load_rps),
                     "predictedLatencyMs", pmo_json_number(predicted_latency_s * 1e3));
}

json_t *pmo_json_instance(const struct pmo_agent *agent, const struct pmo_agent_instance *instance)
{
    json_t *json = pmo_json_instance_ready(instance, instance->predicted_latency_s);
    uint64_t limit = instance->reading.open_files_limit;
    json_t *more = json_pack(
        "{s:I, s:o, s:o, s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "pid",
        (json_int_t)instance->pid, "cgroup", pmo_json_text(instance->cgroup), "unit",
        pmo_json_text(instance->workload.unit), "containerId", instance->workload.container,
        "podUid", instance->workload.pod_uid, "pod", pmo_json_text(instance->pod), "cpuCores",
        pmo_json_number(instance->cpu_share), "memoryBytes", (json_int_t)instance->memory_bytes,
        "receiveBytesPerS", pmo_json_number(instance->rx_bytes_per_s), "transmitBytesPerS",
        pmo_json_number(instance->tx_bytes_per_s), "openFilesLimit",
        pmo_json_number(limit == PMO_USAGE_UNKNOWN ? NAN : (double)limit), "use",
        use_json(&instance->use), "signals", signals_json(&instance->signals, agent->now),
        "attempts", attempts_json(agent, &instance->attempts));

    (void)json_object_update_missing(json, more);
    json_decref(more);
    return json;
}

enum pmo_mode pmo_service_mode(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_policy *policy = service->policy;

    if (!policy)
        return PMO_MODE_OBSERVE;
    return policy->mode < agent->mode ? policy->mode : agent->mode;
}

double pmo_service_utilization(const struct pmo_agent *agent, const struct pmo_service *service)
{
    struct pmo_service_second second;

    if (pmo_service_store_second(service->store, agent->now, &second) < 0 ||
        !(service->capacity_rps > 0) || !service->ready)
        return NAN;
    return second.arrivals / (service->capacity_rps * service->ready);
}

static json_t *policy_json(const struct pmo_policy *policy)
{
    if (!policy)
        return json_null();
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o}", "name", pmo_json_text(policy->name), "min",
                     (json_int_t)policy->min, "max", (json_int_t)policy->max, "latencyObjectiveMs",
                     pmo_json_number(policy->latency_objective_s * 1e3), "quantile",
                     pmo_json_number(policy->quantile), "target", pmo_json_number(policy->target));
}

static json_t *range_json(const struct pmo_forecast *forecast, unsigned int horizon)
{
    return json_pack("{s:o, s:o, s:o}", "q10",
                     pmo_json_number(pmo_forecast_quantile(forecast, horizon, 0.1)), "q50",
                     pmo_json_number(pmo_forecast_quantile(forecast, horizon, 0.5)), "q90",
                     pmo_json_number(pmo_forecast_quantile(forecast, horizon, 0.9)));
}

static json_t *rates_json(const struct pmo_agent *agent, const struct pmo_service *service)
{
    json_t *rates = json_object();

    for (unsigned int i = 0; i < PMO_STATUS_CLASSES; i++)
        (void)json_object_set_new(
            rates, pmo_status_class_name(i),
            json_integer((json_int_t)pmo_service_store_class(service->store, agent->now, i)));
    return rates;
}

/* Arrivals of the minute that ends with second @last. */
static json_t *recent_json(const struct pmo_service *service, int64_t last)
{
    json_t *recent = json_array();

    for (int64_t t = last - RECENT_SECONDS + 1; t <= last; t++) {
        struct pmo_service_second second;
        bool known = pmo_service_store_second(service->store, t, &second) == 0;

        (void)json_array_append_new(recent, pmo_json_number(known ? second.arrivals : NAN));
    }
    return recent;
}

static json_t *instances_json(const struct pmo_agent *agent, const struct pmo_service *service)
{
    json_t *instances = json_array();

    for (const struct pmo_agent_instance *i = agent->instances; i; i = i->next)
        if (i->service == service && i->phase != PMO_INSTANCE_GONE)
            (void)json_array_append_new(instances, pmo_json_instance(agent, i));
    return instances;
}

static json_t *learned_json(const struct pmo_service *service)
{
    const struct pmo_capacity_estimate *learned = &service->learned;
    const struct pmo_lead_times *starts = &service->lead_times;
    bool known = learned->rps > 0;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "capacityRps",
                     pmo_json_number(known ? learned->rps : NAN), "capacityErrorRps",
                     pmo_json_number(known ? learned->error_rps : NAN), "capacityLowerRps",
                     pmo_json_number(known ? pmo_capacity_lower(learned) : NAN), "saturationRps",
                     pmo_json_number(known ? learned->saturation_rps : NAN), "seenRps",
                     pmo_json_number(learned->seen_rps), "requestCpuMs",
                     pmo_json_number(known ? learned->demand_s * 1e3 : NAN), "leadTimeP50S",
                     pmo_json_number(pmo_lead_times_quantile(starts, 0.5, 0)), "leadTimeP90S",
                     pmo_json_number(pmo_lead_times_quantile(starts, 0.9, 0)), "cpuLimitCores",
                     pmo_json_number(service->together.limit_cores));
}

/* null while replacements are started at once. */
static json_t *crash_loop_json(const struct pmo_backend_status *status)
{
    struct timespec now;
    double wait_s;
    char text[160];

    if (!status->held)
        return json_null();
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    wait_s = fmax(0, ceil(status->retry_s - ((double)now.tv_sec + (double)now.tv_nsec / 1e9)));
    (void)snprintf(text, sizeof(text), "crash-looping, next try in %.0f s: %s", wait_s,
                   status->last_crash);
    return json_pack("{s:I, s:I, s:o, s:o}", "crashes", (json_int_t)status->crashes, "held",
                     (json_int_t)status->held, "nextTryS", pmo_json_number(wait_s), "text",
                     pmo_json_text(text));
}

json_t *pmo_json_service(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_service_store *store = service->store;
    const struct pmo_forecast *forecast = &service->forecast;
    struct pmo_service_second second;
    bool known = pmo_service_store_second(store, agent->now, &second) == 0;

    return json_pack(
        "{s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:o, s:o, s:o}, "
        "s:I, s:I, s:I, s:I,"
        " s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:o, s:o}",
        "name", pmo_json_text(service->name), "mode",
        pmo_mode_name(pmo_service_mode(agent, service)), "managed", service->managed, "policy",
        policy_json(service->policy), "rps", pmo_json_number(known ? second.arrivals : NAN),
        "rates", rates_json(agent, service), "recentArrivals", recent_json(service, agent->now),
        "latencyP50Ms",
        pmo_json_number(pmo_service_store_latency(store, agent->now, LATENCY_SECONDS, 0.5) / 1e3),
        "latencyP99Ms",
        pmo_json_number(pmo_service_store_latency(store, agent->now, LATENCY_SECONDS, 0.99) / 1e3),
        "lastByteP50Ms",
        pmo_json_number(pmo_service_store_last_byte(store, agent->now, LATENCY_SECONDS, 0.5) / 1e3),
        "lastByteP99Ms",
        pmo_json_number(pmo_service_store_last_byte(store, agent->now, LATENCY_SECONDS, 0.99) /
                        1e3),
        "requestBytesPerS", pmo_json_number(known ? second.rx_bytes : NAN), "responseBytesPerS",
        pmo_json_number(known ? second.tx_bytes : NAN), "forecast", "origin",
        (json_int_t)forecast->origin, "trust", pmo_json_number(forecast->trust), "in10s",
        range_json(forecast, 10), "in30s", range_json(forecast, 30), "wanted",
        (json_int_t)service->wanted, "ready", (json_int_t)service->ready, "starting",
        (json_int_t)service->starting, "draining", (json_int_t)service->draining, "utilization",
        pmo_json_number(pmo_service_utilization(agent, service)), "capacityRps",
        pmo_json_number(service->capacity_rps > 0 ? service->capacity_rps : NAN), "leadTimeS",
        pmo_json_number(service->lead_time_s), "learned", learned_json(service), "requestsTotal",
        (json_int_t)pmo_service_store_total(store), "arrivedTotal",
        (json_int_t)pmo_service_store_arrived(store), "instanceSeconds",
        pmo_json_number(service->instance_seconds), "cpuCores",
        pmo_json_number(service->cpu_seconds), "memoryBytes",
        pmo_json_number(service->memory_bytes), "network", "receiveBytesPerS",
        pmo_json_number(service->rx_bytes), "transmitBytesPerS", pmo_json_number(service->tx_bytes),
        "use", use_json(&service->use), "signals", signals_json(&service->signals, agent->now),
        "attempts", attempts_json(agent, &service->attempts), "instances",
        instances_json(agent, service), "paused",
        pmo_json_pause(pmo_pauses_for(&agent->pauses, service->name, time(NULL))), "crashLoop",
        crash_loop_json(&service->backend));
}

const unsigned int pmo_scored[PMO_SCORED] = {5, 15, 30, 60};

/* Weight and error of each model at a few horizons: all sixty would say little more. */
static json_t *models_json(const struct pmo_forecaster *forecaster)
{
    json_t *models = json_array();

    for (size_t i = 0; i < PMO_SCORED; i++) {
        struct pmo_model_score scores[PMO_MODELS_MAX];
        size_t count = forecaster ? pmo_forecaster_scores(forecaster, pmo_scored[i], scores) : 0;

        for (size_t k = 0; k < count; k++)
            (void)json_array_append_new(
                models, json_pack("{s:s, s:i, s:o, s:o}", "model", scores[k].model, "horizonS",
                                  (int)pmo_scored[i], "weight", pmo_json_number(scores[k].weight),
                                  "error", pmo_json_number(scores[k].error)));
    }
    return models;
}

/* The same of what was said in the end. */
static json_t *scores_json(const struct pmo_forecaster *forecaster)
{
    json_t *scores = json_array();

    for (size_t i = 0; forecaster && i < PMO_SCORED; i++) {
        struct pmo_forecast_score score;
        json_t *held = json_array();

        pmo_forecaster_score(forecaster, pmo_scored[i], &score);
        for (size_t k = 0; k < PMO_HELD; k++)
            (void)json_array_append_new(held, json_pack("{s:o, s:o}", "quantile",
                                                        pmo_json_number(pmo_quantiles[pmo_held[k]]),
                                                        "share", pmo_json_number(score.held[k])));
        (void)json_array_append_new(
            scores, json_pack("{s:i, s:o, s:o, s:o}", "horizonS", (int)pmo_scored[i], "error",
                              pmo_json_number(score.error), "pinball",
                              pmo_json_number(score.pinball), "held", held));
    }
    return scores;
}

static json_t *drift_json(const struct pmo_forecaster *forecaster)
{
    enum pmo_drift drift = forecaster ? pmo_forecaster_drift(forecaster) : PMO_DRIFT_STEADY;

    return json_pack("{s:s, s:s}", "kind", pmo_drift_name(drift), "text", pmo_drift_text(drift));
}

json_t *pmo_json_forecast(const struct pmo_service *service)
{
    const struct pmo_forecast *forecast = &service->forecast;
    json_t *values = json_array();

    for (int h = 0; h < PMO_HORIZONS; h++) {
        json_t *row = json_array();

        for (int q = 0; q < PMO_QUANTILES; q++)
            (void)json_array_append_new(row, pmo_json_number(forecast->value[h][q]));
        (void)json_array_append_new(values, row);
    }
    return json_pack(
        "{s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "service", pmo_json_text(service->name),
        "origin", (json_int_t)forecast->origin, "observed", (json_int_t)forecast->observed, "trust",
        pmo_json_number(forecast->trust), "drift", drift_json(service->forecaster),
        "recentArrivals", recent_json(service, forecast->origin), "values", values, "scores",
        scores_json(service->forecaster), "models", models_json(service->forecaster));
}

static json_t *expected_json(const struct pmo_decision *decision)
{
    return json_pack("{s:o, s:o, s:o}", "over", pmo_json_number(decision->over), "overWithOneFewer",
                     pmo_json_number(decision->over_fewer), "overWithOneMore",
                     pmo_json_number(decision->over_more));
}

static json_t *came_json(const struct pmo_decision *decision)
{
    return json_pack("{s:o, s:o, s:o}", "over", pmo_json_number(decision->came_over), "peakRps",
                     pmo_json_number(decision->came_peak_rps), "late",
                     pmo_json_number(decision->came_late));
}

json_t *pmo_json_decision(const struct pmo_decision *decision)
{
    return json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:b, s:b, s:o, s:o}",
        "id", (json_int_t)decision->id, "t", (json_int_t)decision->t, "service",
        pmo_json_text(decision->service), "policy", pmo_json_text(decision->policy), "rule",
        pmo_json_text(decision->rule), "reason", pmo_json_text(decision->reason), "mode",
        pmo_mode_name(decision->mode), "from", (json_int_t)decision->from, "to",
        (json_int_t)decision->to, "ready", (json_int_t)decision->ready, "starting",
        (json_int_t)decision->starting, "loadRps", pmo_json_number(decision->load_rps),
        "predictedRps", pmo_json_number(decision->predicted_rps), "quantile",
        pmo_json_number(decision->quantile), "horizonS", pmo_json_number(decision->horizon_s),
        "capacityRps", pmo_json_number(decision->capacity_rps), "utilization",
        pmo_json_number(decision->utilization), "carriedOut", decision->carried_out, "paused",
        decision->paused, "expected", expected_json(decision), "came", came_json(decision));
}

char *pmo_decision_text(const struct pmo_decision *decision)
{
    json_t *json = pmo_json_decision(decision);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

    json_decref(json);
    return text;
}
