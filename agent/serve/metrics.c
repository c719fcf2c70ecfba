/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /metrics: Prometheus text exposition format 0.0.4. Base units and the suffixes _total,
 * _seconds, _bytes and _ratio as its naming conventions ask for. What OpenTelemetry's semantic
 * conventions for HTTP servers and clients define has their name, as their translation to
 * Prometheus writes it; the rest begins with pmo_. (http.server.request.body.size would be a
 * histogram of bodies: the kernel side has sums of heads and bodies.)
 */
#include "agent/serve/api.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "agent/observe/zones.h"
#include "agent/series/latency.h"

#define LATENCY_SECONDS 10

/* A label's value: backslash, quote and newline escaped, and UTF-8 throughout. */
static void print_value(FILE *out, const char *value)
{
    _cleanup_free_ char *clean = pmo_clean_text(value);

    for (const char *c = clean ? clean : ""; *c; c++) {
        if (*c == '\n')
            (void)fputs("\\n", out);
        else if (*c == '\\' || *c == '"')
            (void)fprintf(out, "\\%c", *c);
        else
            (void)fputc(*c, out);
    }
}

/* One sample; labels are pairs of name and value, ended by NULL. An empty one is as good as none.
 */
static void print_sample(FILE *out, const char *metric, double value, const char *label, ...)
{
    const char *separator = "{";
    va_list labels;

    (void)fputs(metric, out);
    va_start(labels, label);
    for (; label; label = va_arg(labels, const char *)) {
        const char *text = va_arg(labels, const char *);

        if (!*text)
            continue;
        (void)fprintf(out, "%s%s=\"", separator, label);
        print_value(out, text);
        (void)fputc('"', out);
        separator = ",";
    }
    va_end(labels);
    if (*separator == ',')
        (void)fputc('}', out);
    if (isnan(value))
        (void)fputs(" NaN\n", out);
    else
        (void)fprintf(out, " %.15g\n", value);
}

static void print_head(FILE *out, const char *metric, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, type);
}

static void print_types(FILE *out, const struct pmo_agent *agent, uint8_t direction,
                        const char *metric, const char *help)
{
    print_head(out, metric, "counter", help);
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t i = 0; i < pmo_service_store_types(s->store); i++) {
            const struct pmo_type *type = pmo_service_store_type_at(s->store, i);
            char zone[8];

            if (type->direction != direction)
                continue;
            print_sample(
                out, metric, (double)pmo_service_store_type_total(s->store, i), "service", s->name,
                "peer", type->peer, "method", pmo_method_name(type->method), "route", type->route,
                "status_class", pmo_status_class_name(type->status_class), "protocol",
                pmo_protocol_name(type->protocol), "zone", pmo_zone_name(type->zone, zone), NULL);
        }
}

static void print_requests(FILE *out, const struct pmo_agent *agent)
{
    print_types(out, agent, PMO_INBOUND, "pmo_requests_total",
                "Requests that were answered, or aborted before that.");
    print_types(out, agent, PMO_OUTBOUND, "pmo_calls_total",
                "The same of requests to others, where a policy says calls: true.");
}

static void print_latency(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_request_latency_seconds";
    static const struct {
        const char *name;
        double value;
    } quantiles[] = {{"0.5", 0.5}, {"0.9", 0.9}, {"0.99", 0.99}};

    print_head(out, metric, "gauge", "Time to the first byte of the answer, of the last 10 s.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t q = 0; q < sizeof(quantiles) / sizeof(quantiles[0]); q++)
            print_sample(out, metric,
                         pmo_service_store_latency(s->store, agent->now, LATENCY_SECONDS,
                                                   quantiles[q].value) /
                             1e6,
                         "service", s->name, "quantile", quantiles[q].name, NULL);
}

/* Of the starts that were seen. */
static void print_lead_times(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_lead_time_quantile_seconds";
    static const struct {
        const char *name;
        double value;
    } quantiles[] = {{"0.5", 0.5}, {"0.9", 0.9}};

    print_head(out, metric, "gauge", "From the order of an instance until it serves well.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t q = 0; q < sizeof(quantiles) / sizeof(quantiles[0]); q++)
            print_sample(out, metric,
                         pmo_lead_times_quantile(&s->lead_times, quantiles[q].value, 0), "service",
                         s->name, "quantile", quantiles[q].name, NULL);
}

/* By service, and by who is asked of calls: for each type it would be forty thousand samples. */
static void print_histogram(FILE *out, const struct pmo_service *s, const char *peer,
                            const char *metric, const uint64_t octaves[PMO_LATENCY_OCTAVES],
                            uint64_t sum_ns)
{
    char name[64], bound[32];
    uint64_t count = 0;

    (void)snprintf(name, sizeof(name), "%s_bucket", metric);
    for (unsigned int i = 0; i < PMO_LATENCY_OCTAVES; i++) {
        count += octaves[i];
        if (i < PMO_LATENCY_OCTAVES - 1)
            (void)snprintf(bound, sizeof(bound), "%.10g", pmo_latency_octave_s(i));
        else
            (void)snprintf(bound, sizeof(bound), "+Inf"); /* it is open */
        print_sample(out, name, (double)count, "service", s->name, "peer", peer, "le", bound, NULL);
    }
    (void)snprintf(name, sizeof(name), "%s_sum", metric);
    print_sample(out, name, (double)sum_ns / 1e9, "service", s->name, "peer", peer, NULL);
    (void)snprintf(name, sizeof(name), "%s_count", metric);
    print_sample(out, name, (double)count, "service", s->name, "peer", peer, NULL);
}

static void print_histograms(FILE *out, const struct pmo_agent *agent)
{
    static const char first[] = "pmo_request_first_byte_seconds";
    static const char last[] = "http_server_request_duration_seconds";

    print_head(out, first, "histogram",
               "From the complete head of a request to the first byte of its answer.");
    for (const struct pmo_service *s = agent->services; s; s = s->next) {
        const struct pmo_service_totals *totals = pmo_service_store_totals(s->store);

        print_histogram(out, s, "", first, totals->first_byte, totals->first_byte_ns);
    }
    print_head(out, last, "histogram",
               "From the complete head of a request to the last byte of its answer.");
    for (const struct pmo_service *s = agent->services; s; s = s->next) {
        const struct pmo_service_totals *totals = pmo_service_store_totals(s->store);

        print_histogram(out, s, "", last, totals->last_byte, totals->last_byte_ns);
    }
}

static void print_waits(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_read_wait_seconds";

    print_head(out, metric, "histogram",
               "From the arrival of data to its read; of a busy host, of a part of the reads.");
    for (const struct pmo_service *s = agent->services; s; s = s->next) {
        uint64_t octaves[PMO_LATENCY_OCTAVES];

        for (unsigned int i = 0; i < PMO_LATENCY_OCTAVES; i++)
            octaves[i] = s->signals_total.wait[i];
        print_histogram(out, s, "", metric, octaves, s->signals_total.wait_us * 1000);
    }
}

static void print_forecasts(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_forecast_rps";
    static const unsigned int horizons[] = {1, 10, 30, 60};

    print_head(out, metric, "gauge",
               "Forecast of arrivals per second, so many seconds (horizon) after the last one.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t h = 0; h < sizeof(horizons) / sizeof(horizons[0]); h++)
            for (size_t q = 0; q < PMO_QUANTILES; q++) {
                char horizon[16], quantile[16];

                (void)snprintf(horizon, sizeof(horizon), "%u", horizons[h]);
                (void)snprintf(quantile, sizeof(quantile), "%g", pmo_quantiles[q]);
                print_sample(out, metric, s->forecast.value[horizons[h] - 1][q], "service", s->name,
                             "horizon", horizon, "quantile", quantile, NULL);
            }
}

/* Of the models there are a dozen: they are shown where their weights decide something, for
 * services with a policy. GET /v1/forecast has them all. So a service without one adds 20 lines
 * with those below, and one with a policy 68. */
static void print_errors(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_forecast_error_rps";

    print_head(out, metric, "gauge",
               "Mean absolute error so many seconds (horizon) ahead, forgetting: of the median "
               "(no model), and of each model where there is a policy.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t h = 0; s->forecaster && h < PMO_SCORED; h++) {
            struct pmo_model_score models[PMO_MODELS_MAX];
            struct pmo_forecast_score score;
            char horizon[16];
            size_t count =
                s->policy ? pmo_forecaster_scores(s->forecaster, pmo_scored[h], models) : 0;

            (void)snprintf(horizon, sizeof(horizon), "%u", pmo_scored[h]);
            pmo_forecaster_score(s->forecaster, pmo_scored[h], &score);
            print_sample(out, metric, score.error, "service", s->name, "horizon", horizon, NULL);
            for (size_t i = 0; i < count; i++)
                print_sample(out, metric, models[i].error, "service", s->name, "model",
                             models[i].model, "horizon", horizon, NULL);
        }
}

static void print_pinball(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_forecast_pinball_loss_rps";

    print_head(out, metric, "gauge", "Mean pinball loss of all quantiles, forgetting.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t h = 0; s->forecaster && h < PMO_SCORED; h++) {
            struct pmo_forecast_score score;
            char horizon[16];

            (void)snprintf(horizon, sizeof(horizon), "%u", pmo_scored[h]);
            pmo_forecaster_score(s->forecaster, pmo_scored[h], &score);
            print_sample(out, metric, score.pinball, "service", s->name, "horizon", horizon, NULL);
        }
}

static void print_held(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_forecast_quantile_held_ratio";

    print_head(out, metric, "gauge",
               "Share of seconds with no more arrivals than this quantile said, forgetting.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t h = 0; s->forecaster && h < PMO_SCORED; h++) {
            struct pmo_forecast_score score;
            char horizon[16], quantile[16];

            (void)snprintf(horizon, sizeof(horizon), "%u", pmo_scored[h]);
            pmo_forecaster_score(s->forecaster, pmo_scored[h], &score);
            for (size_t i = 0; i < PMO_HELD; i++) {
                (void)snprintf(quantile, sizeof(quantile), "%g", pmo_quantiles[pmo_held[i]]);
                print_sample(out, metric, score.held[i], "service", s->name, "horizon", horizon,
                             "quantile", quantile, NULL);
            }
        }
}

static void print_drift(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_forecast_drift";

    print_head(out, metric, "gauge", "1: forecasts have been wrong in this way of late.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (int kind = PMO_DRIFT_STEADY + 1; s->forecaster && kind < PMO_DRIFTS; kind++)
            print_sample(out, metric, pmo_forecaster_drift(s->forecaster) == (enum pmo_drift)kind,
                         "service", s->name, "kind", pmo_drift_name((enum pmo_drift)kind), NULL);
}

static void print_instances(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_instances";

    print_head(out, metric, "gauge", "Instances by phase.");
    for (const struct pmo_service *s = agent->services; s; s = s->next) {
        print_sample(out, metric, s->ready, "service", s->name, "phase",
                     pmo_instance_phase_name(PMO_INSTANCE_READY), NULL);
        print_sample(out, metric, s->starting, "service", s->name, "phase",
                     pmo_instance_phase_name(PMO_INSTANCE_STARTING), NULL);
        print_sample(out, metric, s->draining, "service", s->name, "phase",
                     pmo_instance_phase_name(PMO_INSTANCE_DRAINING), NULL);
    }
}

/* What an instance is a part of, to join with what others measure: names as OpenTelemetry has them,
 * in Prometheus' spelling. */
static void print_instance_info(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_instance_info";

    print_head(out, metric, "gauge", "Instances, and what each is a part of.");
    for (const struct pmo_agent_instance *i = agent->instances; i; i = i->next)
        if (!i->gone)
            print_sample(out, metric, 1, "service", i->service->name, "instance", i->name,
                         "systemd_unit", i->workload.unit, "container_id", i->workload.container,
                         "k8s_pod_name", i->pod, "k8s_pod_uid", i->workload.pod_uid, NULL);
}

static bool has_calls(const struct pmo_service *s)
{
    return (s->policy && s->policy->calls) || pmo_service_store_calls(s->store);
}

static double calls_in_flight(const struct pmo_agent *agent, const struct pmo_service *service)
{
    double sum = 0;

    for (const struct pmo_agent_instance *i = agent->instances; i; i = i->next)
        for (size_t k = 0; i->service == service && i->calls && k < pmo_operations_count(i->calls);
             k++)
            sum += pmo_operations_in_flight(i->calls, k);
    return sum;
}

static double call_request_bytes(const struct pmo_service_totals *totals)
{
    return (double)totals->request_bytes;
}

static double call_response_bytes(const struct pmo_service_totals *totals)
{
    return (double)totals->response_bytes;
}

static void print_edges(FILE *out, const struct pmo_agent *agent, const char *metric,
                        double (*value)(const struct pmo_service_totals *totals))
{
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t i = 0; i < pmo_service_store_peers(s->store); i++)
            print_sample(out, metric, value(pmo_service_store_peer_totals(s->store, i)), "service",
                         s->name, "peer", pmo_service_store_peer_at(s->store, i), NULL);
}

enum edge_histogram { EDGE_FIRST_BYTE, EDGE_LAST_BYTE, EDGE_DELAY };

static void print_edge_histograms(FILE *out, const struct pmo_agent *agent, const char *metric,
                                  enum edge_histogram which)
{
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t i = 0; i < pmo_service_store_peers(s->store); i++) {
            const struct pmo_service_totals *t = pmo_service_store_peer_totals(s->store, i);
            const char *peer = pmo_service_store_peer_at(s->store, i);

            if (which == EDGE_FIRST_BYTE)
                print_histogram(out, s, peer, metric, t->first_byte, t->first_byte_ns);
            else if (which == EDGE_LAST_BYTE)
                print_histogram(out, s, peer, metric, t->last_byte, t->last_byte_ns);
            else
                print_histogram(out, s, peer, metric, t->delay, t->delay_ns);
        }
}

/* What is counted of requests to others has the names of clients. */
static void print_calls(FILE *out, const struct pmo_agent *agent)
{
    static const char first[] = "pmo_call_first_byte_seconds";
    static const char last[] = "http_client_request_duration_seconds";
    static const char delay[] = "pmo_call_delay_seconds";
    static const char active[] = "http_client_active_requests";
    static const char sent[] = "pmo_call_request_bytes_total";
    static const char received[] = "pmo_call_response_bytes_total";

    print_head(out, first, "histogram",
               "From the complete head of a request to others to the first byte of its answer.");
    print_edge_histograms(out, agent, first, EDGE_FIRST_BYTE);
    print_head(out, last, "histogram",
               "From the complete head of a request to others to the last byte of its answer.");
    print_edge_histograms(out, agent, last, EDGE_LAST_BYTE);
    print_head(out, delay, "histogram",
               "From a request to the calls made for it, where it was the only one in flight.");
    print_edge_histograms(out, agent, delay, EDGE_DELAY);
    print_head(out, active, "gauge", "Requests to others that are not at the end of their answer.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        if (has_calls(s))
            print_sample(out, active, calls_in_flight(agent, s), "service", s->name, NULL);
    print_head(out, sent, "counter", "Heads and bodies of answered requests to others.");
    print_edges(out, agent, sent, call_request_bytes);
    print_head(out, received, "counter", "Heads and bodies of their answers.");
    print_edges(out, agent, received, call_response_bytes);
}

/* Metrics with one value a service. */

static double arrivals_total(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)pmo_service_store_arrived(service->store);
}

static double in_flight(const struct pmo_agent *agent, const struct pmo_service *service)
{
    double sum = 0;

    for (const struct pmo_agent_instance *i = agent->instances; i; i = i->next)
        sum += i->service == service ? i->in_flight : 0;
    return sum;
}

static double request_bytes(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)pmo_service_store_totals(service->store)->request_bytes;
}

static double response_bytes(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)pmo_service_store_totals(service->store)->response_bytes;
}

static double wanted(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->wanted;
}

static double instance_seconds(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->instance_seconds;
}

static double capacity_rps(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->capacity_rps > 0 ? service->capacity_rps : NAN;
}

static double capacity_learned(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->learned.rps > 0 ? service->learned.rps : NAN;
}

static double capacity_lower(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->learned.rps > 0 ? pmo_capacity_lower(&service->learned) : NAN;
}

static double lead_time(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->lead_time_s;
}

static double trust(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->forecast.trust;
}

static double cpu(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->cpu_seconds;
}

static double memory(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->memory_bytes;
}

static double throttled(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->use_total.throttled_s;
}

static double cpu_wait(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->use_total.run_delay_s;
}

static double working_set(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->use.working_set_bytes;
}

static double disk_read(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->use_total.disk_read_bytes;
}

static double disk_written(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->use_total.disk_written_bytes;
}

static double open_files(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->use.open_files;
}

/* What comes before load is of the last second, and there is none where nothing came. */
static const struct pmo_signals *signals_now(const struct pmo_agent *agent,
                                             const struct pmo_service *service)
{
    return service->signals.t == agent->now ? &service->signals.counts : NULL;
}

static const struct pmo_queues *queues_now(const struct pmo_agent *agent,
                                           const struct pmo_service *service)
{
    return service->signals.t == agent->now && service->signals.queues.window
               ? &service->signals.queues
               : NULL;
}

static double mean_s(uint64_t sum_us, uint64_t count)
{
    return count ? (double)sum_us / (double)count / 1e6 : NAN;
}

static double accept_queue(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_queues *queues = queues_now(agent, service);

    return queues ? queues->accept_queue : NAN;
}

static double accept_limit(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_queues *queues = queues_now(agent, service);

    return queues ? queues->accept_limit : NAN;
}

static double half_open(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_queues *queues = queues_now(agent, service);

    return queues ? queues->half_open : NAN;
}

static double overflows(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)service->signals_total.overflows;
}

static double handshake(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_signals *s = signals_now(agent, service);

    return s ? mean_s(s->handshake_us, s->handshakes) : NAN;
}

static double rtt(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_signals *s = signals_now(agent, service);

    return s ? mean_s(s->rtt_us, s->waits) : NAN;
}

static double rtt_min(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_signals *s = signals_now(agent, service);

    return s ? mean_s(s->rtt_min_us, s->waits) : NAN;
}

static double unread(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_signals *s = signals_now(agent, service);

    return s && s->waits ? (double)s->unread_bytes / (double)s->waits : NAN;
}

static double retransmits(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)service->signals_total.retransmits;
}

static double resets_sent(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)service->signals_total.resets_sent;
}

static double resets_received(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)service->signals_total.resets_received;
}

static double open_files_ratio(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->use.open_files_ratio;
}

static double syns(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)service->attempts.total.syns;
}

static double connections(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)service->attempts.total.connections;
}

static double datagrams(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)service->attempts.total.datagrams;
}

static double quic_initials(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return (double)service->attempts.total.initials;
}

static double flood(const struct pmo_agent *agent, const struct pmo_service *service)
{
    const struct pmo_attempts last = pmo_attempts_in(&service->attempts, agent->now);

    return pmo_attempts_flood(&last);
}

static double paused(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return pmo_pauses_for(&agent->pauses, service->name, time(NULL)) ? 1 : 0;
}

static double held(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->backend.held;
}

static double crashes(const struct pmo_agent *agent, const struct pmo_service *service)
{
    return service->backend.crashes;
}

static const struct {
    const char *name, *type, *help;
    double (*value)(const struct pmo_agent *agent, const struct pmo_service *service);
} service_metrics[] = {
    {"pmo_arrivals_total", "counter", "Requests whose head has arrived.", arrivals_total},
    {"http_server_active_requests", "gauge", "Requests that are not at the end of their answer.",
     in_flight},
    {"pmo_request_bytes_total", "counter", "Heads and bodies of answered requests.", request_bytes},
    {"pmo_response_bytes_total", "counter", "Heads and bodies of their answers.", response_bytes},
    {"pmo_instances_wanted", "gauge", "Instances asked for.", wanted},
    {"pmo_instances_held", "gauge", "Instances that wait, as others ended soon after their start.",
     held},
    {"pmo_instance_crashes", "gauge", "How many in a row ended soon after their start.", crashes},
    {"pmo_paused", "gauge", "1 while nothing is ordered for it (pmoctl pause).", paused},
    {"pmo_instance_seconds_total", "counter", "Time that instances ran.", instance_seconds},
    {"pmo_instance_capacity_rps", "gauge",
     "Requests per second that one instance is planned to take at most.", capacity_rps},
    {"pmo_instance_capacity_learned_rps", "gauge",
     "Requests per second at which the objective holds, as learned.", capacity_learned},
    {"pmo_instance_capacity_learned_lower_rps", "gauge", "95 % lower bound of that.",
     capacity_lower},
    {"pmo_utilization_ratio", "gauge", "Load over the capacity of the ready instances.",
     pmo_service_utilization},
    {"pmo_lead_time_seconds", "gauge",
     "From the order of an instance until it serves well, as planned with.", lead_time},
    {"pmo_forecast_trust_ratio", "gauge", "How far recent 0.9 quantiles held.", trust},
    {"pmo_cpu_cores", "gauge", "Cores that all instances used in the last second.", cpu},
    {"pmo_memory_bytes", "gauge", "Resident memory of all instances.", memory},
    {"pmo_cpu_throttled_seconds_total", "counter",
     "Time that limits of instances' cgroups kept them from running.", throttled},
    {"pmo_cpu_wait_seconds_total", "counter", "Time that threads of instances waited for a CPU.",
     cpu_wait},
    {"pmo_memory_working_set_bytes", "gauge",
     "Memory of all instances that cannot be taken from them easily.", working_set},
    {"pmo_disk_read_bytes_total", "counter", "Read from storage by instances.", disk_read},
    {"pmo_disk_written_bytes_total", "counter", "Written to storage by instances.", disk_written},
    {"pmo_open_files", "gauge", "File descriptors of all instances.", open_files},
    {"pmo_open_files_ratio", "gauge", "Of their limit, in the process that is nearest to it.",
     open_files_ratio},
    {"pmo_accept_queue_connections", "gauge",
     "Most connections that waited for accept() in the last second.", accept_queue},
    {"pmo_accept_queue_limit_connections", "gauge", "How many of them may.", accept_limit},
    {"pmo_accept_queue_overflows_total", "counter",
     "Packets of handshakes that found the accept queue full.", overflows},
    {"pmo_half_open_connections", "gauge", "Most handshakes under way in the last second.",
     half_open},
    {"pmo_handshake_seconds", "gauge", "Mean time from SYN-ACK to ACK in the last second.",
     handshake},
    {"pmo_tcp_rtt_seconds", "gauge", "Mean smoothed round-trip time in the last second.", rtt},
    {"pmo_tcp_rtt_min_seconds", "gauge", "Mean of the connections' least round-trip times.",
     rtt_min},
    {"pmo_receive_queue_bytes", "gauge", "Mean of what reads left unread in the last second.",
     unread},
    {"pmo_tcp_retransmits_total", "counter", "Segments that were sent again.", retransmits},
    {"pmo_tcp_resets_sent_total", "counter", "Connections that were reset.", resets_sent},
    {"pmo_tcp_resets_received_total", "counter", "Connections that their clients reset.",
     resets_received},
    {"pmo_syns_total", "counter", "SYNs that came in for instances.", syns},
    {"pmo_connections_total", "counter", "Connections that were accepted.", connections},
    {"pmo_udp_datagrams_total", "counter", "UDP datagrams that came in for instances.", datagrams},
    {"pmo_quic_initials_total", "counter", "Those of them that ask for a QUIC connection.",
     quic_initials},
    {"pmo_syn_flood_per_second", "gauge",
     "SYNs of the last second that became no connection, where those are most of many.", flood},
};

static void print_services(FILE *out, const struct pmo_agent *agent)
{
    for (size_t i = 0; i < sizeof(service_metrics) / sizeof(service_metrics[0]); i++) {
        print_head(out, service_metrics[i].name, service_metrics[i].type, service_metrics[i].help);
        for (const struct pmo_service *s = agent->services; s; s = s->next)
            print_sample(out, service_metrics[i].name, service_metrics[i].value(agent, s),
                         "service", s->name, NULL);
    }
}

static void print_zones(FILE *out, const struct pmo_agent *agent)
{
    static const struct {
        const char *name, *help;
        size_t at;
    } metrics[] = {{"pmo_zone_syns_total", "SYNs that came in for instances, by zone.",
                    offsetof(struct pmo_zone_attempts, syns)},
                   {"pmo_zone_connections_total", "Connections that were accepted, by zone.",
                    offsetof(struct pmo_zone_attempts, connections)}};

    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        print_head(out, metrics[i].name, "counter", metrics[i].help);
        for (const struct pmo_service *s = agent->services; s; s = s->next)
            for (unsigned int zone = 1; s->attempts.zones && zone < PMO_ZONES_MAX; zone++) {
                uint64_t n;

                memcpy(&n, (const char *)&s->attempts.zones[zone] + metrics[i].at, sizeof(n));
                if (n)
                    print_sample(out, metrics[i].name, (double)n, "service", s->name, "zone",
                                 pmo_zones_name(agent->zones, (uint8_t)zone), NULL);
            }
    }
}

static void print_headers(FILE *out, const struct pmo_agent *agent)
{
    static const char metric[] = "pmo_header_requests_total";

    print_head(out, metric, "counter", "Requests that carry a header which a policy names.");
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        for (size_t i = 0; s->headers && i < pmo_operations_count(s->headers); i++) {
            const char *text = pmo_operations_at(s->headers, i)->route, *value = strstr(text, ": ");
            char name[PMO_HEADER_BYTES];
            struct pmo_operation_load load;

            if (!value)
                continue;
            (void)snprintf(name, sizeof(name), "%.*s", (int)(value - text), text);
            pmo_operations_load(s->headers, i, agent->now, &load);
            print_sample(out, metric, (double)load.arrived, "service", s->name, "header", name,
                         "value", value + 2, NULL);
        }
}

static void print_agent(FILE *out, const struct pmo_agent *agent)
{
    const struct pmo_agent_totals *totals = &agent->totals;
    const struct {
        const char *name, *type, *help;
        double value;
    } metrics[] = {
        {"pmo_decisions_total", "counter", "Decisions made.", (double)agent->decisions_made},
        {"pmo_agent_start_time_seconds", "gauge", "When the agent started, since 1970.",
         agent->started},
        {"pmo_config_last_reload_successful", "gauge",
         "0 while the configuration file has a mistake and what was read before is in force.",
         agent->config.failed ? 0 : 1},
        {"pmo_config_last_reload_success_timestamp_seconds", "gauge",
         "When the configuration in force was read, since 1970.", (double)agent->config.loaded},
        {"pmo_agent_cpu_cores", "gauge", "Cores the agent used in the last second.",
         agent->cpu_share},
        {"pmo_agent_resident_memory_bytes", "gauge", "Resident memory of the agent.",
         (double)agent->resident_bytes},
        {"pmo_windows_total", "counter", "Window records read from the kernel.",
         (double)totals->windows},
        {"pmo_late_windows_total", "counter", "Seconds whose counts had to be spread.",
         (double)totals->late_windows},
        {"pmo_ring_full_total", "counter", "Records that had to wait for the next window.",
         (double)totals->ring_full},
        {"pmo_routes_full_total", "counter", "Requests counted under the route {other}.",
         (double)totals->routes_full},
        {"pmo_counters_full_total", "counter", "Requests counted under an overflow slot.",
         (double)totals->counters_full},
        {"pmo_instances_full_total", "counter", "Connections counted under no instance.",
         (double)totals->instances_full},
        {"pmo_peers_full_total", "counter",
         "Connections whose calls are counted under the peer {other}.", (double)totals->peers_full},
        {"pmo_midstream_total", "counter", "Connections joined in mid-stream.",
         (double)totals->midstream},
        {"pmo_holes_total", "counter", "Segments too far out of order to be parsed.",
         (double)totals->holes},
        {"pmo_not_http_total", "counter", "Connections that are neither HTTP nor TLS.",
         (double)totals->not_http},
        {"pmo_tls_total", "counter", "Connections that are TLS.", (double)totals->tls},
        {"pmo_tls_read_total", "counter", "Those of them whose library's calls are read.",
         (double)totals->tls_read},
    };

    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        print_head(out, metrics[i].name, metrics[i].type, metrics[i].help);
        print_sample(out, metrics[i].name, metrics[i].value, NULL);
    }
    print_head(out, "pmo_agent_info", "gauge", "Version and mode of the agent; always 1.");
    print_sample(out, "pmo_agent_info", 1, "version", PMO_VERSION, "mode",
                 pmo_mode_name(agent->mode), NULL);
}

int pmo_answer_metrics(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return -ENOMEM;
    print_requests(out, agent);
    print_latency(out, agent);
    print_lead_times(out, agent);
    print_histograms(out, agent);
    print_waits(out, agent);
    print_forecasts(out, agent);
    print_errors(out, agent);
    print_pinball(out, agent);
    print_held(out, agent);
    print_drift(out, agent);
    print_instances(out, agent);
    print_instance_info(out, agent);
    print_services(out, agent);
    print_calls(out, agent);
    print_headers(out, agent);
    print_zones(out, agent);
    print_agent(out, agent);
    if (fclose(out) < 0) {
        free(text);
        return -ENOMEM;
    }
    return pmo_answer_text(exchange, "text/plain; version=0.0.4; charset=utf-8", text, length);
}
