/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/serve_world.h"

#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "tests/unit/suite.h"

#define WAIT_MS_MAX 5000

static const struct pmo_signals_second world_signals = {
    .t = WORLD_NOW,
    .counts = {.waits = 4,
               .wait_us = 10000,
               .unread_bytes = 40,
               .rtt_us = 8000,
               .rtt_min_us = 4000,
               .handshakes = 2,
               .handshake_us = 3000,
               .retransmits = 5,
               .resets_sent = 6,
               .resets_received = 7,
               .overflows = 8,
               .wait = {[6] = 4}},
    .queues = {.window = WORLD_NOW, .accept_queue = 9, .accept_limit = 128, .half_open = 3}};
static const struct pmo_use world_use = {.second = {0.25, 0.5, 4096, 8192},
                                         .working_set_bytes = 3e6,
                                         .open_files = 128,
                                         .open_files_ratio = 0.125};

static void add_counts(struct pmo_service_store *store, struct pmo_operations *operations,
                       const char *route, uint8_t status_class, int64_t t,
                       const struct pmo_counts *counts)
{
    struct pmo_type type = {
        .protocol = PMO_PROTOCOL_HTTP1, .method = PMO_METHOD_GET, .status_class = status_class};

    (void)snprintf(type.route, sizeof(type.route), "%s", route);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_add(store, &type, t, t, counts), 0);
    if (operations)
        CU_ASSERT_FATAL(pmo_operations_add(operations, &type, t, t, counts) >= 0);
}

/* Requests that arrive and are answered; 100 and 1,000 bytes each. */
static void add_requests(struct pmo_service_store *store, struct pmo_operations *operations,
                         const char *route, int64_t t, uint64_t count)
{
    struct pmo_counts arrived = {.requests = count};
    struct pmo_counts counts = {.requests = count,
                                .finished = count,
                                .first_byte_ns = count * 5000000,
                                .last_byte_ns = count * 20000000,
                                .request_bytes = count * 100,
                                .response_bytes = count * 1000};

    counts.latency[8].first_byte[0] = (uint32_t)count;
    counts.latency[10].last_byte = (uint32_t)count;
    add_counts(store, operations, route, PMO_STATUS_ARRIVED, t, &arrived);
    add_counts(store, operations, route, 2, t, &counts);
}

static void make_service(struct world *w, struct pmo_service *service, const char *name)
{
    struct pmo_service_second gauges = {.ready = 2, .starting = 1};

    (void)snprintf(service->name, sizeof(service->name), "%s", name);
    service->scope = pmo_route_scope(name);
    service->store = pmo_store_service(w->core.agent.store, name, true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(service->store);
    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&service->forecaster), 0);
    for (int64_t t = WORLD_NOW - WORLD_SECONDS + 1; t <= WORLD_NOW; t++) {
        if (t == WORLD_MISSING)
            continue;
        add_requests(service->store, w->instances[0].operations, "/products/{id}", t, 50);
        add_requests(service->store, NULL, WORLD_ODD_ROUTE, t, 1);
        pmo_service_store_close(service->store, t, &gauges);
        pmo_forecaster_observe(service->forecaster, t, 51);
    }
    pmo_forecaster_predict(service->forecaster, &service->forecast);
    service->policy = &w->policy;
    service->managed = true;
    service->wanted = service->ready = 2;
    service->lead_time_s = 3;
    service->capacity_rps = 40;
    service->learned =
        (struct pmo_capacity_estimate){.rps = 50, .error_rps = 10, .saturation_rps = 60};
    pmo_lead_times_add(&service->lead_times, 4);
    service->use = pmo_use_unknown;
    service->use_total = pmo_use_unknown.second;
}

/* Decision 1 is in the history only, 2 is made by the planner and kept in memory. */
static void make_decisions(struct world *w)
{
    struct pmo_service_state state = {.name = "front",
                                      .load_rps = 500,
                                      .latency_p99_s = 0.1,
                                      .error_rate = 0,
                                      .ready = 1,
                                      .lead_time_s = 3,
                                      .forecast = &w->front.forecast};
    struct pmo_decision old = {.id = 1, .t = WORLD_NOW - 1000, .service = "front", .reason = "old"};
    _cleanup_free_ char *text = pmo_decision_text(&old);
    uint32_t wanted;

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL_FATAL(pmo_history_open(&w->core.agent.history, w->directory), 0);
    CU_ASSERT_EQUAL_FATAL(
        pmo_history_add_decision(w->core.agent.history, old.id, old.t, old.service, text), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_history_flush(w->core.agent.history, WORLD_NOW), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_planner_new(&w->core.agent.planner, 2), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_planner_adopt(w->core.agent.planner, "front", 1, WORLD_NOW - 1), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_planner_decide(w->core.agent.planner, &w->policy, PMO_MODE_ACT,
                                             &state, WORLD_NOW, &wanted,
                                             &w->core.agent.decisions[0]),
                          1);
    w->core.agent.decisions_made = 1;
}

const char world_config_text[] = "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
                                 "metadata: {name: front}\nspec: {target: {service: front}}\n";

void world_configure(const struct world *w, const char *text)
{
    _cleanup_fclose_ FILE *file = fopen(w->config, "we");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_FATAL(fputs(text, file) >= 0);
}

static void make_config(struct world *w)
{
    struct pmo_config_state *state = &w->core.agent.config;

    (void)snprintf(w->config, sizeof(w->config), "%s/pmo.yaml", w->directory);
    world_configure(w, world_config_text);
    state->path = w->config;
    state->loaded = WORLD_NOW;
    CU_ASSERT_EQUAL_FATAL(pmo_config_hash(w->config, state->sha256), 0);
}

static int scale(struct pmo_backend *backend, const char *service, uint32_t replicas)
{
    return 0;
}

static const struct pmo_backend_ops backend = {.name = "world", .scale = scale};

static void make_world(struct world *w)
{
    memset(w, 0, sizeof(*w));
    (void)snprintf(w->directory, sizeof(w->directory), "/tmp/pmo-serve-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(w->directory));
    (void)snprintf(w->socket, sizeof(w->socket), "%s/run/pmo.sock", w->directory);
    make_config(w);
    w->policy = (struct pmo_policy){.name = "front",
                                    .service = "front",
                                    .mode = PMO_MODE_ACT,
                                    .mode_set = true,
                                    .latency_objective_s = 0.25,
                                    .quantile = 0.99,
                                    .min = 1,
                                    .max = 20,
                                    .capacity_rps = 40,
                                    .target = 0.9,
                                    .lead_time_s = 3,
                                    .down_delay_s = 30};
    w->hints = calloc(PMO_HINTS_ROWS, PMO_HINTS_ROW);
    CU_ASSERT_PTR_NOT_NULL_FATAL(w->hints);
    CU_ASSERT_EQUAL_FATAL(pmo_hints_new(&w->core.hints, w->hints), 0);
    w->core.backend_ops = &backend;
    w->core.agent.mode = PMO_MODE_ACT;
    w->core.agent.now = WORLD_NOW;
    w->core.agent.started = WORLD_NOW - 100;
    CU_ASSERT_EQUAL_FATAL(pmo_store_new(&w->core.agent.store), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_routes_new(&w->core.agent.routes), 0);
    make_service(w, &w->catalog, "catalog");
    CU_ASSERT_EQUAL_FATAL(pmo_operations_new(&w->instances[0].operations), 0);
    make_service(w, &w->front, "front");
    add_counts(w->front.store, w->instances[0].operations, "/products/{id}", PMO_STATUS_ARRIVED,
               WORLD_NOW, &(struct pmo_counts){.requests = WORLD_IN_FLIGHT});
    pmo_operations_settle(w->instances[0].operations, WORLD_IN_FLIGHT);
    w->catalog.policy = NULL;
    w->catalog.lead_time_s = NAN;
    w->catalog.next = &w->front;
    w->core.agent.services = &w->catalog;
    for (int i = 0; i < 2; i++) {
        struct pmo_agent_instance *instance = &w->instances[i];

        instance->id = i + 1;
        (void)snprintf(instance->name, sizeof(instance->name), "front-%d", i + 1);
        instance->service = &w->front;
        instance->phase = PMO_INSTANCE_READY;
        instance->managed = true;
        instance->netns_fd = -1;
        instance->in_flight = i ? 0 : WORLD_IN_FLIGHT;
        instance->listener = (struct pmo_listener){
            .addr = {[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 18, [15] = i + 1}, .port = 8080};
        instance->predicted_latency_s = 0.005;
        instance->use = i ? pmo_use_unknown : world_use;
        instance->reading.open_files_limit = i ? PMO_USAGE_UNKNOWN : 1024;
        pmo_hints_flags(w->core.hints, instance->id, PMO_HINT_READY, 0);
    }
    for (int i = 0; i < 2; i++) {
        struct pmo_attempts *a = i ? &w->front.attempts : &w->instances[0].attempts;
        struct pmo_instance_record record = {
            .since = WORLD_NOW,
            .window = WORLD_NOW,
            .counts = {.syns = 1000, .connections = 10, .datagrams = 70, .initials = 7}};
        struct pmo_type_record zone = {.key = {.protocol = PMO_PROTOCOL_SYNS, .zone = 2},
                                       .counts = {.requests = 900}};

        pmo_attempts_add(a, &record);
        pmo_attempts_add_zone(a, &zone);
    }
    w->instances[0].next = &w->instances[1];
    w->core.agent.instances = w->instances;
    w->front.use = world_use;
    w->front.use_total = (struct pmo_use_sums){1.5, 2.5, 3000, 4000};
    w->front.signals = w->instances[0].signals = world_signals;
    pmo_signals_add(&w->front.signals_total, &world_signals.counts);
    make_decisions(w);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_new(&w->core.agent.calendar), 0);
}

static void on_stop(uv_async_t *stop)
{
    struct world *w = stop->data;

    pmo_server_stop(&w->server);
    uv_close((uv_handle_t *)stop, NULL);
}

static void *run_loop(void *context)
{
    struct world *w = context;

    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

void world_start(struct world *w)
{
    make_world(w);
    pmo_log_max = 0; /* what is refused and ordered here is no news */
    CU_ASSERT_EQUAL_FATAL(uv_loop_init(&w->loop), 0);
    CU_ASSERT_EQUAL_FATAL(uv_async_init(&w->loop, &w->stop, on_stop), 0);
    w->stop.data = w;
    CU_ASSERT_EQUAL_FATAL(pmo_server_start(&w->server, &w->loop, &w->core.agent, w->socket), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&w->thread, NULL, run_loop, w), 0);
}

static void remove_world(struct world *w)
{
    char path[128];
    static const char *const files[] = {"history.db", "history.db-wal", "history.db-shm",
                                        "pmo.yaml"};

    pmo_attempts_free(&w->front.attempts);
    pmo_attempts_free(&w->instances[0].attempts);
    pmo_hints_free(&w->core.hints);
    free(w->hints);
    pmo_planner_free(&w->core.agent.planner);
    pmo_calendar_free(&w->core.agent.calendar);
    pmo_pauses_free(&w->core.agent.pauses);
    pmo_sources_free(&w->core.agent.sources);
    pmo_history_close(&w->core.agent.history);
    pmo_forecaster_free(&w->front.forecaster);
    pmo_forecaster_free(&w->catalog.forecaster);
    pmo_operations_free(&w->instances[0].operations);
    pmo_store_free(&w->core.agent.store);
    pmo_routes_free(&w->core.agent.routes);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", w->directory, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/run", w->directory);
    (void)rmdir(path);
    CU_ASSERT_EQUAL(rmdir(w->directory), 0);
}

void world_stop(struct world *w)
{
    (void)uv_async_send(&w->stop);
    (void)pthread_join(w->thread, NULL);
    pmo_log_max = PMO_LOG_INFO;
    CU_ASSERT_EQUAL(uv_loop_close(&w->loop), 0);
    CU_ASSERT_EQUAL(access(w->socket, F_OK), -1);
    remove_world(w);
}

/* ---- a client ---------------------------------------------------------------------------------
 */

static size_t keep_text(char *bytes, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    char *text = realloc(answer->text, answer->length + count + 1);

    if (!text)
        return 0;
    answer->text = text;
    memcpy(text + answer->length, bytes, count);
    answer->length += count;
    text[answer->length] = '\0';
    return count;
}

struct answer world_ask(const struct world *w, const char *method, const char *path,
                        const char *content_type, const char *body)
{
    struct answer answer = {0};
    struct curl_slist *headers = NULL;
    CURL *curl = curl_easy_init();
    char *type = NULL, *rest = NULL;
    _cleanup_free_ char *url = NULL, *lines = NULL;

    CU_ASSERT_FATAL(curl && asprintf(&url, "http://localhost%s", path) > 0);
    CU_ASSERT_FATAL(asprintf(&lines, "Content-Type: %s", content_type ? content_type : "") > 0);
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        headers = curl_slist_append(headers, line);
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, w->socket);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)WAIT_MS_MAX);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_text);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    if (!strcmp(method, "HEAD"))
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    CU_ASSERT_EQUAL(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    (void)snprintf(answer.type, sizeof(answer.type), "%s", type ? type : "");
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return answer;
}

json_t *world_get(const struct world *w, const char *path)
{
    struct answer answer = world_ask(w, "GET", path, NULL, NULL);
    json_t *json;

    CU_ASSERT_EQUAL(answer.status, 200);
    json = json_loads(answer.text ? answer.text : "", 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    free(answer.text);
    return json;
}

int world_connect(const struct world *w)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->socket);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void world_expect_error(const struct world *w, const char *method, const char *path,
                        const char *body, long status, const char *part)
{
    struct answer answer = world_ask(w, method, path, body ? "application/json" : NULL, body);

    if (answer.status != status || !strstr(answer.text, part) || !strstr(answer.text, "; "))
        printf("\n    %s %s: %ld %s\n", method, path, answer.status, answer.text);
    CU_ASSERT_EQUAL(answer.status, status);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.text, part));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.text, "; ")); /* what; what to do */
    free(answer.text);
}

void world_expect_line(const char *text, const char *line)
{
    if (!strstr(text, line))
        printf("\n    is missing: %s\n", line);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, line));
}

double world_number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

void world_expect_figures(const struct world *w, void (*expect)(const json_t *of, bool known))
{
    json_t *answer = world_get(w, "/v1/services");
    const json_t *services = json_object_get(answer, "services");
    const json_t *instances = json_object_get(json_array_get(services, 1), "instances");

    expect(json_array_get(services, 0), false);
    expect(json_array_get(services, 1), true);
    expect(json_array_get(instances, 0), true);
    expect(json_array_get(instances, 1), false);
    json_decref(answer);
}
