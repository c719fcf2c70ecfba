/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API's table of endpoints, and the answers that are short. */
#include "agent/serve/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLAGS_MAX           32
#define DECISIONS_LIMIT     50
#define DECISIONS_LIMIT_MAX 1000

static struct pmo_service *find_service(struct pmo_exchange *exchange, const char *name)
{
    struct pmo_service *service = pmo_agent_service(exchange->agent, name);

    if (!service)
        (void)pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                               "there is no service \"%.64s\"; GET /v1/services lists them", name);
    return service;
}

/* ---- GET /v1/services, /v1/forecast, /v1/status -----------------------------------------------
 */

static int answer_services(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    json_t *services = json_array();

    for (const struct pmo_service *s = agent->services; s; s = s->next)
        (void)json_array_append_new(services, pmo_json_service(agent, s));
    return pmo_answer_json(
        exchange, MHD_HTTP_OK,
        json_pack("{s:I, s:o}", "now", (json_int_t)agent->now, "services", services));
}

static int answer_forecast(struct pmo_exchange *exchange)
{
    const char *name = pmo_query_text(exchange, "service");
    json_t *forecasts, *quantiles;
    int64_t types = 0;

    if (name && !find_service(exchange, name))
        return 0;
    if (!pmo_query_integer(exchange, "types", 0, 1, &types))
        return 0;
    if (types && !name)
        return pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                                "types=1 needs a service; write /v1/forecast?service=NAME&types=1");
    forecasts = json_array();
    quantiles = json_array();
    for (const struct pmo_service *s = exchange->agent->services; s; s = s->next) {
        json_t *forecast = name && strcmp(name, s->name) ? NULL : pmo_json_forecast(s);

        if (!forecast)
            continue;
        if (types)
            (void)json_object_set_new(forecast, "types", pmo_json_forecast_types(s));
        (void)json_array_append_new(forecasts, forecast);
    }
    for (int q = 0; q < PMO_QUANTILES; q++)
        (void)json_array_append_new(quantiles, pmo_json_number(pmo_quantiles[q]));
    return pmo_answer_json(exchange, MHD_HTTP_OK,
                           json_pack("{s:I, s:o, s:o}", "now", (json_int_t)exchange->agent->now,
                                     "quantiles", quantiles, "forecasts", forecasts));
}

static json_t *totals_json(const struct pmo_agent *agent)
{
    const struct pmo_agent_totals *totals = &agent->totals;
    uint64_t requests = 0, arrived = 0;

    for (const struct pmo_service *s = agent->services; s; s = s->next) {
        requests += pmo_service_store_total(s->store);
        arrived += pmo_service_store_arrived(s->store);
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                     "requests", (json_int_t)requests, "arrived", (json_int_t)arrived, "decisions",
                     (json_int_t)agent->decisions_made, "windows", (json_int_t)totals->windows,
                     "lateWindows", (json_int_t)totals->late_windows, "ringFull",
                     (json_int_t)totals->ring_full, "routesFull", (json_int_t)totals->routes_full,
                     "countersFull", (json_int_t)totals->counters_full, "instancesFull",
                     (json_int_t)totals->instances_full, "peersFull",
                     (json_int_t)totals->peers_full, "midstream", (json_int_t)totals->midstream,
                     "holes", (json_int_t)totals->holes, "notHttp", (json_int_t)totals->not_http,
                     "tls", (json_int_t)totals->tls, "tlsRead", (json_int_t)totals->tls_read);
}

static int answer_status(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    json_int_t services = 0, instances = 0;
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        services++;
    for (const struct pmo_agent_instance *i = agent->instances; i; i = i->next)
        instances++;
    return pmo_answer_json(
        exchange, MHD_HTTP_OK,
        json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "version", PMO_VERSION,
                  "mode", pmo_mode_name(agent->mode), "now", (json_int_t)agent->now, "startedAt",
                  pmo_json_number(agent->started), "uptimeS",
                  pmo_json_number(now.tv_sec + now.tv_nsec / 1e9 - agent->started), "cpuCores",
                  pmo_json_number(agent->cpu_share), "residentBytes",
                  (json_int_t)agent->resident_bytes, "services", services, "instances", instances,
                  "totals", totals_json(agent), "logs",
                  *agent->logs ? pmo_json_text(agent->logs) : json_null()));
}

/* ---- GET /v1/decisions, /v1/decisions/{id} ----------------------------------------------------
 */

/* Decision number i from the newest, NULL past the last that is kept in memory. */
static const struct pmo_decision *recent_decision(const struct pmo_agent *agent, uint64_t i)
{
    if (i >= agent->decisions_made || i >= PMO_DECISIONS_KEPT)
        return NULL;
    return &agent->decisions[(agent->decisions_made - 1 - i) % PMO_DECISIONS_KEPT];
}

struct older {
    json_t *decisions;
    int64_t before; /* only ids below; the rest came from memory */
    size_t limit;
};

static int add_older(void *context, int64_t id, const char *text)
{
    struct older *older = context;

    if (id >= older->before)
        return 0;
    (void)json_array_append_new(older->decisions, json_loads(text, 0, NULL));
    return json_array_size(older->decisions) >= older->limit;
}

static int answer_decisions(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    const char *service = pmo_query_text(exchange, "service");
    int64_t limit = DECISIONS_LIMIT, since = 0;
    struct older older = {.before = INT64_MAX};
    const struct pmo_decision *decision;

    if (!pmo_query_integer(exchange, "limit", 1, DECISIONS_LIMIT_MAX, &limit) ||
        !pmo_query_integer(exchange, "since", 0, INT64_MAX, &since))
        return 0;
    older.limit = (size_t)limit;
    older.decisions = json_array();
    for (uint64_t i = 0; (decision = recent_decision(agent, i)); i++) {
        older.before = decision->id;
        if (decision->t < since || (service && strcmp(service, decision->service) != 0))
            continue;
        if (json_array_size(older.decisions) < older.limit)
            (void)json_array_append_new(older.decisions, pmo_json_decision(decision));
    }
    if (agent->history && json_array_size(older.decisions) < older.limit)
        (void)pmo_history_decisions(agent->history, service, since,
                                    (unsigned int)limit + PMO_DECISIONS_KEPT, add_older, &older);
    return pmo_answer_json(exchange, MHD_HTTP_OK, json_pack("{s:o}", "decisions", older.decisions));
}

struct wanted_decision {
    int64_t id;
    json_t *decision;
};

static int find_older(void *context, int64_t id, const char *text)
{
    struct wanted_decision *wanted = context;

    if (id == wanted->id)
        wanted->decision = json_loads(text, 0, NULL);
    return id <= wanted->id; /* newest first: it cannot come any more */
}

static int answer_decision(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    struct wanted_decision wanted = {0};
    const struct pmo_decision *decision;
    char *end;

    errno = 0;
    wanted.id = strtoll(exchange->segment, &end, 10);
    if (errno || *end || wanted.id <= 0)
        return pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                                "\"%.40s\" is not a decision's number; GET /v1/decisions lists "
                                "them",
                                exchange->segment);
    for (uint64_t i = 0; (decision = recent_decision(agent, i)); i++)
        if (decision->id == wanted.id)
            return pmo_answer_json(exchange, MHD_HTTP_OK, pmo_json_decision(decision));
    if (agent->history)
        (void)pmo_history_decisions(agent->history, NULL, 0, UINT32_MAX, find_older, &wanted);
    if (!wanted.decision)
        return pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                                "there is no decision %lld; GET /v1/decisions lists them",
                                (long long)wanted.id);
    return pmo_answer_json(exchange, MHD_HTTP_OK, wanted.decision);
}

/* ---- POST /v1/orchestrate ---------------------------------------------------------------------
 */

/* Binds the body's members; false where one is wrong; then the exchange is answered (400). The
 * texts belong to @json. */
static bool read_orchestrate(struct pmo_exchange *exchange, json_t *json,
                             struct pmo_orchestrate_request *request, const char *flags[FLAGS_MAX])
{
    const struct {
        const char *name;
        const char **text;
    } members[] = {{"service", &request->service},
                   {"method", &request->method},
                   {"path", &request->path},
                   {"clientZone", &request->zone}};
    const char *key;
    json_t *value;

    request->flags = flags;
    json_object_foreach (json, key, value) {
        const char **text = NULL;

        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
            if (!strcmp(key, members[i].name))
                text = members[i].text;
        if (text && json_is_string(value)) {
            *text = json_string_value(value);
        } else if (text) {
            (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                                   "\"%s\" is not a text; write e.g. \"%s\": \"front\"", key, key);
            return false;
        } else if (strcmp(key, "flags") != 0) {
            (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                                   "unknown member \"%.40s\"; known are service, method, path, "
                                   "clientZone and flags",
                                   key);
            return false;
        }
    }
    value = json_object_get(json, "flags");
    if (value && (!json_is_array(value) || json_array_size(value) > FLAGS_MAX))
        goto bad_flags;
    for (size_t i = 0; i < json_array_size(value); i++) {
        flags[i] = json_string_value(json_array_get(value, i));
        if (!flags[i])
            goto bad_flags;
        request->flags_count = i + 1;
    }
    if (request->service)
        return true;
    (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                           "the request names no service; send {\"service\": \"front\", ...}");
    return false;
bad_flags:
    (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                           "\"flags\" is not a list of at most %d texts; write e.g. \"flags\": "
                           "[\"new-checkout\"]",
                           FLAGS_MAX);
    return false;
}

static json_t *orchestrate_json(const struct pmo_orchestrate_answer *answer)
{
    json_t *instances = json_array();

    for (size_t i = 0; i < answer->instances_count; i++)
        (void)json_array_append_new(
            instances, pmo_json_instance_ready(answer->instances[i].instance,
                                               answer->instances[i].predicted_latency_s));
    return json_pack("{s:o, s:o, s:o, s:b, s:b, s:o, s:o}", "service",
                     pmo_json_text(answer->service->name), "predictedRps",
                     pmo_json_number(answer->predicted_rps), "utilization",
                     pmo_json_number(answer->utilization), "scaled", answer->scaled, "deployed",
                     answer->deployed, "decision",
                     answer->scaled ? pmo_json_decision(&answer->decision) : json_null(),
                     "instances", instances);
}

static int answer_orchestrate(struct pmo_exchange *exchange)
{
    struct pmo_orchestrate_request request = {0};
    struct pmo_orchestrate_answer answer = {0};
    const char *flags[FLAGS_MAX];
    json_error_t error;
    json_t *json;
    int r = 0;

    if (!pmo_body_is(exchange, "application/json"))
        return pmo_answer_error(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                "the body must be JSON; send it with the header "
                                "\"Content-Type: application/json\"");
    json = json_loadb(exchange->body ? exchange->body : "", exchange->body_length,
                      JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(json))
        r = pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                             "the body is not a JSON object%s%.160s; send {\"service\": \"front\", "
                             "\"method\": \"GET\", \"path\": \"/\"}",
                             json ? "" : ": ", json ? "" : error.text);
    else if (read_orchestrate(exchange, json, &request, flags) &&
             find_service(exchange, request.service)) {
        r = pmo_agent_orchestrate(exchange->agent, &request, &answer);
        if (r == 0)
            r = pmo_answer_json(exchange, MHD_HTTP_OK, orchestrate_json(&answer));
    }
    json_decref(json);
    return r;
}

/* ---- the table --------------------------------------------------------------------------------
 */

static const char *const no_parameters[] = {NULL};
static const char *const service_parameter[] = {"service", NULL};
static const char *const forecast_parameters[] = {"service", "types", NULL};
static const char *const series_parameters[] = {"service", "since", "until", NULL};
static const char *const types_parameters[] = {"service", "instance", NULL};
static const char *const decisions_parameters[] = {"service", "limit", "since", NULL};

const struct pmo_endpoint pmo_endpoints[] = {
    {"POST", "/v1/orchestrate", no_parameters, answer_orchestrate},
    {"GET", "/v1/services", no_parameters, answer_services},
    {"GET", "/v1/series", series_parameters, pmo_answer_series},
    {"GET", "/v1/types", types_parameters, pmo_answer_types},
    {"GET", "/v1/routes", service_parameter, pmo_answer_routes},
    {"GET", "/v1/graph", no_parameters, pmo_answer_graph},
    {"GET", "/v1/forecast", forecast_parameters, answer_forecast},
    {"GET", "/v1/decisions", decisions_parameters, answer_decisions},
    {"GET", "/v1/decisions/{id}", no_parameters, answer_decision},
    {"GET", "/v1/events", service_parameter, pmo_answer_events},
    {"POST", "/v1/events", no_parameters, pmo_answer_events_post},
    {"GET", "/v1/pause", no_parameters, pmo_answer_pauses},
    {"POST", "/v1/pause", no_parameters, pmo_answer_pause},
    {"POST", "/v1/resume", no_parameters, pmo_answer_resume},
    {"GET", "/v1/reload", no_parameters, pmo_answer_config},
    {"POST", "/v1/reload", no_parameters, pmo_answer_reload},
    {"GET", "/v1/audit", decisions_parameters, pmo_answer_audit},
    {"GET", "/v1/status", no_parameters, answer_status},
    {"GET", "/metrics", no_parameters, pmo_answer_metrics},
    {0},
};
