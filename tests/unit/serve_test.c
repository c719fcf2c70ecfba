/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API's socket, its numbers, and what clients may do to it. openapi_test.c holds its form. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "tests/unit/serve_world.h"
#include "tests/unit/suite.h"

static bool answers(const struct world *w)
{
    struct answer answer = world_ask(w, "GET", "/v1/status", NULL, NULL);

    free(answer.text);
    return answer.status == 200;
}

static void expect_error(const struct world *w, const char *method, const char *path,
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

static void send_text(int fd, const char *text)
{
    CU_ASSERT_EQUAL(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* ---- the socket -------------------------------------------------------------------------------
 */

static int start_second(struct world *w, const char *path)
{
    enum pmo_log_level level = pmo_log_max;
    struct pmo_server *second = NULL;
    uv_loop_t loop;
    int r;

    pmo_log_max = 0;
    CU_ASSERT_EQUAL_FATAL(uv_loop_init(&loop), 0);
    r = pmo_server_start(&second, &loop, &w->core.agent, path);
    pmo_server_stop(&second);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
    pmo_log_max = level;
    return r;
}

static void the_socket_is_for_its_owner_and_group(void)
{
    struct world w;
    struct stat st;

    world_start(&w);
    CU_ASSERT_EQUAL_FATAL(stat(w.socket, &st), 0);
    CU_ASSERT(S_ISSOCK(st.st_mode));
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0660);
    world_stop(&w);
}

static void a_second_agent_does_not_take_the_socket_of_the_first(void)
{
    struct world w;

    world_start(&w);
    CU_ASSERT_EQUAL(start_second(&w, w.socket), -EADDRINUSE);
    CU_ASSERT(answers(&w));
    world_stop(&w);
}

static void a_socket_that_nobody_answers_on_is_replaced(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct world w;
    int fd;

    world_start(&w);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/old.sock", w.directory);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
    CU_ASSERT_EQUAL(start_second(&w, address.sun_path), 0);
    CU_ASSERT_EQUAL(access(address.sun_path, F_OK), -1);
    world_stop(&w);
}

static void a_file_that_is_not_a_socket_stays(void)
{
    char path[128], long_path[256];
    struct world w;

    world_start(&w);
    (void)snprintf(path, sizeof(path), "%s/file", w.directory);
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CU_ASSERT_EQUAL(start_second(&w, path), -EEXIST);
    CU_ASSERT_EQUAL(unlink(path), 0);
    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    CU_ASSERT_EQUAL(start_second(&w, long_path), -ENAMETOOLONG);
    world_stop(&w);
}

/* ---- numbers ----------------------------------------------------------------------------------
 */

static void the_rows_of_a_series_add_up_to_the_total(void)
{
    json_t *series, *services, *service, *row;
    json_int_t sum = 0, total;
    struct world w;
    size_t i;

    world_start(&w);
    series = world_get(&w, "/v1/series?service=front&since=1&until=0");
    services = world_get(&w, "/v1/services");
    json_array_foreach (json_object_get(series, "rows"), i, row)
        sum += json_integer_value(json_object_get(row, "count"));
    service = json_array_get(json_object_get(services, "services"), 1);
    total = json_integer_value(json_object_get(service, "requestsTotal"));
    CU_ASSERT_EQUAL(total, 51 * (WORLD_SECONDS - 1));
    CU_ASSERT_EQUAL(sum, total);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(service, "arrivedTotal")),
                    total + WORLD_IN_FLIGHT);
    json_decref(series);
    json_decref(services);
    world_stop(&w);
}

static void a_missing_second_is_listed_and_not_a_zero(void)
{
    json_t *series, *missing;
    struct world w;

    world_start(&w);
    series = world_get(&w, "/v1/series?service=front&since=-9");
    missing = json_object_get(series, "missing");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(series, "since")), WORLD_NOW - 9);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(series, "until")), WORLD_NOW);
    CU_ASSERT_EQUAL(json_array_size(missing), 1);
    CU_ASSERT_EQUAL(json_integer_value(json_array_get(missing, 0)), WORLD_MISSING);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(series, "arrivals")), 9);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(series, "rows")), 18);
    json_decref(series);
    world_stop(&w);
}

static double number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static void types_show_what_a_service_is_asked_for(void)
{
    json_t *answer, *types, *type, *totals;
    struct world w;

    world_start(&w);
    answer = world_get(&w, "/v1/types?service=front");
    CU_ASSERT_TRUE(json_is_null(json_object_get(answer, "instance")));
    types = json_object_get(answer, "types");
    CU_ASSERT_EQUAL_FATAL(json_array_size(types), 2);
    type = json_array_get(types, 0); /* the busiest first */
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(type, "route")), "/products/{id}");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(type, "protocol")), "http1");
    CU_ASSERT_EQUAL(number(type, "rps"), 50 + WORLD_IN_FLIGHT);
    CU_ASSERT_EQUAL(number(type, "inFlight"), WORLD_IN_FLIGHT);
    CU_ASSERT_EQUAL(number(type, "requestBytesPerS"), 5000);
    CU_ASSERT_EQUAL(number(type, "responseBytesPerS"), 50000);
    CU_ASSERT_EQUAL(number(type, "errorRate"), 0);
    CU_ASSERT_TRUE(number(type, "firstByteP50Ms") > 4 && number(type, "firstByteP50Ms") < 8);
    CU_ASSERT_TRUE(number(type, "lastByteP50Ms") > 16 && number(type, "lastByteP99Ms") < 34);
    totals = json_object_get(type, "totals");
    CU_ASSERT_EQUAL(number(totals, "answered"), 50 * (WORLD_SECONDS - 1));
    CU_ASSERT_EQUAL(number(totals, "arrived"), number(totals, "finished") + WORLD_IN_FLIGHT);
    CU_ASSERT_EQUAL(number(totals, "responseBytes"), 1000 * number(totals, "finished"));
    json_decref(answer);
    world_stop(&w);
}

static void types_of_an_instance_are_its_own(void)
{
    json_t *first, *second, *types;
    struct world w;

    world_start(&w);
    first = world_get(&w, "/v1/types?service=front&instance=front-1");
    second = world_get(&w, "/v1/types?service=front&instance=front-2");
    types = json_object_get(first, "types");
    CU_ASSERT_EQUAL_FATAL(json_array_size(types), 1);
    CU_ASSERT_EQUAL(number(json_array_get(types, 0), "inFlight"), WORLD_IN_FLIGHT);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(second, "types")), 0);
    expect_error(&w, "GET", "/v1/types?service=front&instance=front-3", NULL, 404, "front-3");
    expect_error(&w, "GET", "/v1/types?service=catalog&instance=front-1", NULL, 404, "front-1");
    expect_error(&w, "GET", "/v1/types?instance=front-1", NULL, 400, "service=NAME");
    json_decref(first);
    json_decref(second);
    world_stop(&w);
}

static void services_show_the_last_byte_and_bytes(void)
{
    json_t *services, *front;
    struct world w;

    world_start(&w);
    services = world_get(&w, "/v1/services");
    front = json_array_get(json_object_get(services, "services"), 1);
    CU_ASSERT_EQUAL(number(front, "requestBytesPerS"), 5100);
    CU_ASSERT_EQUAL(number(front, "responseBytesPerS"), 51000);
    CU_ASSERT_TRUE(number(front, "lastByteP50Ms") > 16 && number(front, "lastByteP99Ms") < 34);
    json_decref(services);
    world_stop(&w);
}

static void a_range_without_seconds_is_an_empty_series(void)
{
    json_t *series;
    struct world w;

    world_start(&w);
    series = world_get(&w, "/v1/series?service=front&since=1800000000");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(series, "arrivals")), 0);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(series, "rows")), 0);
    json_decref(series);
    world_stop(&w);
}

static void decisions_come_newest_first_from_memory_and_history(void)
{
    json_t *all, *some, *decisions;
    struct world w;

    world_start(&w);
    all = world_get(&w, "/v1/decisions");
    decisions = json_object_get(all, "decisions");
    CU_ASSERT_EQUAL(json_array_size(decisions), 2);
    for (size_t i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_array_get(decisions, i), "id")),
                        (json_int_t)(2 - i));
    some = world_get(&w, "/v1/decisions?service=front&limit=1");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(some, "decisions")), 1);
    json_decref(some);
    some = world_get(&w, "/v1/decisions?service=catalog");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(some, "decisions")), 0);
    json_decref(some);
    some = world_get(&w, "/v1/decisions?since=1699999999");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(some, "decisions")), 1);
    json_decref(some);
    json_decref(all);
    world_stop(&w);
}

static void an_agent_that_has_seen_no_second_yet_answers(void)
{
    static const char *const paths[] = {"/v1/services", "/v1/series?service=front", "/v1/forecast",
                                        "/v1/status"};
    struct pmo_forecaster *forecaster;
    struct world w;

    world_start(&w); /* the loop waits for a request: nobody reads what changes here */
    forecaster = w.front.forecaster;
    w.core.agent.now = 0;
    w.front.forecaster = NULL;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        json_decref(world_get(&w, paths[i]));
    w.front.forecaster = forecaster;
    world_stop(&w);
}

/* One line of the text format: a comment, or name{label="value",...} number. */
static bool is_metric_line(const char *line)
{
    size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    const char *c = line + n;
    char *end;

    if (!strncmp(line, "# HELP ", 7) || !strncmp(line, "# TYPE ", 7))
        return !strncmp(line + 7, "pmo_", 4) || !strncmp(line + 7, "http_server_", 12) ||
               !strncmp(line + 7, "http_client_", 12);
    if (n == 0)
        return false;
    while (*c == '{' || *c == ',') {
        c += 1 + strspn(c + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");
        if (strncmp(c, "=\"", 2) != 0)
            return false;
        for (c += 2; *c && *c != '"'; c++)
            if (*c == '\\' && !strchr("\\\"n", *++c))
                return false;
        c += *c == '"';
    }
    c += *c == '}';
    (void)strtod(c, &end);
    return *c == ' ' && end > c && !*end;
}

static void metrics_are_in_the_text_format_with_labels_escaped(void)
{
    struct answer answer;
    char *rest, *line;
    struct world w;

    world_start(&w);
    answer = world_ask(&w, "GET", "/metrics", NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer.text);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(answer.text, "pmo_requests_total{service=\"front\",method=\"GET\",route=\""
                            "/a\\\"b\\\\c\\n%FF{id}\",status_class=\"2xx\",protocol=\"http1\","
                            "zone=\"unknown\"} 99\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.text, "\npmo_arrivals_total{service=\"front\"} 5052\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(answer.text, "\npmo_instances{service=\"front\",phase=\"ready\"} 2\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(answer.text, "\npmo_lead_time_seconds{service=\"catalog\"} NaN\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(
        answer.text, "\npmo_instance_capacity_learned_lower_rps{service=\"front\"} 33.55\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(
        answer.text, "\npmo_lead_time_quantile_seconds{service=\"front\",quantile=\"0.9\"} 6\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.text, "\npmo_decisions_total 1\n"));
    rest = answer.text;
    while ((line = strsep(&rest, "\n")))
        if (*line && !is_metric_line(line)) {
            printf("\n    %s\n", line);
            CU_FAIL("not a line of the text format");
        }
    free(answer.text);
    world_stop(&w);
}

static void expect_line(const char *text, const char *line)
{
    if (!strstr(text, line))
        printf("\n    is missing: %s\n", line);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, line));
}

static void use_is_in_the_metrics_and_unknown_use_is_nan(void)
{
    static const char *const lines[] = {
        "\npmo_cpu_throttled_seconds_total{service=\"front\"} 1.5\n",
        "\npmo_cpu_wait_seconds_total{service=\"front\"} 2.5\n",
        "\npmo_disk_read_bytes_total{service=\"front\"} 3000\n",
        "\npmo_disk_written_bytes_total{service=\"front\"} 4000\n",
        "\npmo_memory_working_set_bytes{service=\"front\"} 3000000\n",
        "\npmo_open_files{service=\"front\"} 128\n",
        "\npmo_open_files_ratio{service=\"front\"} 0.125\n",
        "\npmo_cpu_throttled_seconds_total{service=\"catalog\"} NaN\n",
        "\npmo_open_files{service=\"catalog\"} NaN\n",
    };
    struct answer answer;
    struct world w;

    world_start(&w);
    answer = world_ask(&w, "GET", "/metrics", NULL, NULL);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(answer.text, lines[i]));
    free(answer.text);
    world_stop(&w);
}

static void expect_use(const json_t *owner, bool known)
{
    static const struct {
        const char *name;
        double value;
    } figures[] = {{"throttledMsPerS", 250},     {"cpuWaitMsPerS", 500},
                   {"workingSetBytes", 3e6},     {"diskReadBytesPerS", 4096},
                   {"diskWriteBytesPerS", 8192}, {"openFiles", 128},
                   {"openFilesRatio", 0.125}};
    const json_t *use = json_object_get(owner, "use");

    CU_ASSERT_EQUAL(json_object_size(use), sizeof(figures) / sizeof(figures[0]));
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        const json_t *figure = json_object_get(use, figures[i].name);

        if (known)
            CU_ASSERT_DOUBLE_EQUAL(json_number_value(figure), figures[i].value, 1e-9);
        CU_ASSERT_EQUAL(json_is_null(figure), !known);
    }
}

static void a_flood_of_syns_is_shown_and_is_no_demand(void)
{
    static const char *const lines[] = {
        "\npmo_syns_total{service=\"front\"} 1000\n",
        "\npmo_connections_total{service=\"front\"} 10\n",
        "\npmo_udp_datagrams_total{service=\"front\"} 70\n",
        "\npmo_quic_initials_total{service=\"front\"} 7\n",
        "\npmo_syn_flood_per_second{service=\"front\"} 990\n",
        "\npmo_syn_flood_per_second{service=\"catalog\"} 0\n",
        "\npmo_zone_syns_total{service=\"front\",zone=\"eu\"} 900\n",
        "\npmo_arrivals_total{service=\"front\"} 5052\n",
    };
    static const char file_text[] = "zones: {office: [192.0.2.0/24], eu: [198.51.100.0/24]}";
    const json_t *front, *zone, *attempts;
    struct pmo_file *file = NULL;
    struct answer answer;
    struct world w;
    json_t *all;

    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "zones", file_text, strlen(file_text), NULL, NULL),
                          0);
    world_start(&w);
    CU_ASSERT_EQUAL_FATAL(pmo_zones_read(&w.core.agent.zones, file), 0);
    pmo_file_free(&file);
    answer = world_ask(&w, "GET", "/metrics", NULL, NULL);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_line(answer.text, lines[i]);
    free(answer.text);
    all = world_get(&w, "/v1/services");
    front = json_array_get(json_object_get(all, "services"), 1);
    for (int i = 0; i < 2; i++) { /* the service, and its first instance */
        attempts = json_object_get(
            i ? json_array_get(json_object_get(front, "instances"), 0) : front, "attempts");
        CU_ASSERT_EQUAL(json_number_value(json_object_get(attempts, "synsPerS")), 1000);
        CU_ASSERT_EQUAL(json_number_value(json_object_get(attempts, "floodPerS")), 990);
        CU_ASSERT_EQUAL(json_number_value(json_object_get(attempts, "quicInitialsPerS")), 7);
        zone = json_array_get(json_object_get(attempts, "zones"), 0);
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(zone, "zone")), "eu");
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(zone, "syns")), 900);
        CU_ASSERT_EQUAL(json_array_size(json_object_get(attempts, "zones")), 1);
    }
    CU_ASSERT_EQUAL(json_number_value(json_object_get(front, "rps")), 51 + WORLD_IN_FLIGHT);
    json_decref(all);
    pmo_zones_free(&w.core.agent.zones);
    world_stop(&w);
}

static void what_instances_use_is_shown_and_null_where_it_is_not_known(void)
{
    const json_t *services, *front, *instances;
    struct world w;
    json_t *answer;

    world_start(&w);
    answer = world_get(&w, "/v1/services");
    services = json_object_get(answer, "services");
    front = json_array_get(services, 1);
    instances = json_object_get(front, "instances");
    expect_use(json_array_get(services, 0), false);
    expect_use(front, true);
    expect_use(json_array_get(instances, 0), true);
    expect_use(json_array_get(instances, 1), false);
    CU_ASSERT_EQUAL(
        json_number_value(json_object_get(json_array_get(instances, 0), "openFilesLimit")), 1024);
    CU_ASSERT_TRUE(json_is_null(json_object_get(json_array_get(instances, 1), "openFilesLimit")));
    json_decref(answer);
    world_stop(&w);
}

static void expect_signals(const json_t *owner, bool known)
{
    static const struct {
        const char *name;
        double value, without;
    } figures[] = {
        {"waitMs", 2.5, NAN},    {"waitsMeasured", 4, 0},        {"unreadBytes", 10, NAN},
        {"acceptQueue", 9, NAN}, {"acceptQueueLimit", 128, NAN}, {"acceptQueueOverflows", 8, 0},
        {"halfOpen", 3, NAN},    {"handshakeMs", 1.5, NAN},      {"rttMs", 2, NAN},
        {"rttMinMs", 1, NAN},    {"retransmits", 5, 0},          {"resetsSent", 6, 0},
        {"resetsReceived", 7, 0}};
    const json_t *signals = json_object_get(owner, "signals");
    double p50 = json_number_value(json_object_get(signals, "waitP50Ms"));

    CU_ASSERT_EQUAL(json_object_size(signals), sizeof(figures) / sizeof(figures[0]) + 2);
    if (known) /* bucket 6 */
        CU_ASSERT(p50 > 1.048576 && p50 < 2.097152);
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        const json_t *figure = json_object_get(signals, figures[i].name);
        double value = known ? figures[i].value : figures[i].without;

        CU_ASSERT_EQUAL(json_is_null(figure), isnan(value));
        if (!isnan(value))
            CU_ASSERT_DOUBLE_EQUAL(json_number_value(figure), value, 1e-9);
    }
}

static void what_comes_before_load_is_shown_and_null_where_nothing_came(void)
{
    static const char *const lines[] = {
        "\npmo_read_wait_seconds_bucket{service=\"front\",le=\"0.001048576\"} 0\n",
        "\npmo_read_wait_seconds_bucket{service=\"front\",le=\"0.002097152\"} 4\n",
        "\npmo_read_wait_seconds_sum{service=\"front\"} 0.01\n",
        "\npmo_read_wait_seconds_count{service=\"front\"} 4\n",
        "\npmo_accept_queue_connections{service=\"front\"} 9\n",
        "\npmo_accept_queue_limit_connections{service=\"front\"} 128\n",
        "\npmo_accept_queue_overflows_total{service=\"front\"} 8\n",
        "\npmo_half_open_connections{service=\"front\"} 3\n",
        "\npmo_handshake_seconds{service=\"front\"} 0.0015\n",
        "\npmo_tcp_rtt_seconds{service=\"front\"} 0.002\n",
        "\npmo_tcp_rtt_min_seconds{service=\"front\"} 0.001\n",
        "\npmo_receive_queue_bytes{service=\"front\"} 10\n",
        "\npmo_tcp_retransmits_total{service=\"front\"} 5\n",
        "\npmo_tcp_resets_sent_total{service=\"front\"} 6\n",
        "\npmo_tcp_resets_received_total{service=\"front\"} 7\n",
        "\npmo_accept_queue_connections{service=\"catalog\"} NaN\n",
        "\npmo_tcp_rtt_seconds{service=\"catalog\"} NaN\n",
    };
    const json_t *services, *front, *instances;
    struct answer metrics;
    struct world w;
    json_t *answer;

    world_start(&w);
    answer = world_get(&w, "/v1/services");
    services = json_object_get(answer, "services");
    front = json_array_get(services, 1);
    instances = json_object_get(front, "instances");
    expect_signals(json_array_get(services, 0), false);
    expect_signals(front, true);
    expect_signals(json_array_get(instances, 0), true);
    expect_signals(json_array_get(instances, 1), false);
    json_decref(answer);
    metrics = world_ask(&w, "GET", "/metrics", NULL, NULL);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_line(metrics.text, lines[i]);
    free(metrics.text);
    world_stop(&w);
}

/* The forecaster saw 51 in each second, so only its first forecasts were off. */
static void forecasts_come_with_their_scores_and_drift(void)
{
    static const int horizons[] = {5, 15, 30, 60};
    json_t *answer, *score, *held, *model;
    const json_t *forecast, *recent;
    struct pmo_forecast_score said;
    struct world w;
    size_t i, k, models = 0;

    world_start(&w);
    answer = world_get(&w, "/v1/forecast?service=front");
    forecast = json_array_get(json_object_get(answer, "forecasts"), 0);
    CU_ASSERT_STRING_EQUAL(
        json_string_value(json_object_get(json_object_get(forecast, "drift"), "kind")), "steady");
    recent = json_object_get(forecast, "recentArrivals");
    CU_ASSERT_EQUAL(json_array_size(recent), 60);
    CU_ASSERT_EQUAL(json_number_value(json_array_get(recent, 58)), 51);
    CU_ASSERT_EQUAL(json_is_null(json_array_get(recent, 59 - (WORLD_NOW - WORLD_MISSING))),
                    WORLD_NOW - WORLD_MISSING < 60);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(forecast, "scores")), 4);
    json_array_foreach (json_object_get(forecast, "scores"), i, score) {
        CU_ASSERT_EQUAL(json_integer_value(json_object_get(score, "horizonS")), horizons[i]);
        pmo_forecaster_score(w.front.forecaster, (unsigned int)horizons[i], &said);
        CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(score, "error")), said.error,
                               1e-3);
        CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(score, "pinball")), said.pinball,
                               1e-3);
        CU_ASSERT(said.pinball > 0);
        json_array_foreach (json_object_get(score, "held"), k, held)
            CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(held, "share")), said.held[k],
                                   1e-3);
        CU_ASSERT_EQUAL(k, 2);
        json_array_foreach (json_object_get(forecast, "models"), k, model)
            models += json_integer_value(json_object_get(model, "horizonS")) == horizons[i];
    }
    CU_ASSERT(models >= 24);
    CU_ASSERT_EQUAL(models, json_array_size(json_object_get(forecast, "models")));
    json_decref(answer);
    world_stop(&w);
}

/* 50 of 51 requests are for one route; what is said of the types is what is said of the service. */
static void forecasts_of_types_add_up_to_their_service(void)
{
    json_t *answer, *type, *row;
    const json_t *forecast, *types, *values;
    double shares = 0, sums[PMO_HORIZONS + 1][PMO_QUANTILES] = {{0}};
    struct world w;
    size_t i, k;

    world_start(&w);
    answer = world_get(&w, "/v1/forecast?service=front&types=1");
    forecast = json_array_get(json_object_get(answer, "forecasts"), 0);
    values = json_object_get(forecast, "values");
    types = json_object_get(forecast, "types");
    CU_ASSERT_EQUAL_FATAL(json_array_size(types), 3);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(types, 0), "route")),
                           "/products/{id}");
    CU_ASSERT_DOUBLE_EQUAL(json_number_value(json_object_get(json_array_get(types, 0), "share")),
                           50.0 / 51, 2e-3);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(types, 2), "route")),
                           "{other}");
    json_array_foreach (types, i, type) {
        shares += json_number_value(json_object_get(type, "share"));
        json_array_foreach (json_object_get(type, "forecast"), k, row)
            for (size_t q = 0; q < PMO_QUANTILES; q++)
                sums[json_integer_value(json_object_get(row, "horizonS"))][q] +=
                    json_number_value(json_array_get(json_object_get(row, "values"), q));
        CU_ASSERT_EQUAL(k, 4);
    }
    CU_ASSERT_DOUBLE_EQUAL(shares, 1, 2e-3);
    for (size_t h = 5; h <= 60; h += h < 15 ? 10 : h) /* 5, 15, 30, 60 */
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            CU_ASSERT_DOUBLE_EQUAL(
                sums[h][q], json_number_value(json_array_get(json_array_get(values, h - 1), q)),
                1e-9);
    CU_ASSERT(sums[30][PMO_MEDIAN] > 40);
    json_decref(answer);
    expect_error(&w, "GET", "/v1/forecast?types=1", NULL, 400, "needs a service");
    expect_error(&w, "GET", "/v1/forecast?service=front&types=2", NULL, 400, "from 0 to 1");
    world_stop(&w);
}

static void scores_are_in_the_metrics_those_of_models_where_there_is_a_policy(void)
{
    static const char *const lines[] = {
        "\npmo_forecast_error_rps{service=\"front\",model=\"mean of 30 s\",horizon=\"60\"} ",
        "\npmo_forecast_error_rps{service=\"front\",horizon=\"5\"} ",
        "\npmo_forecast_error_rps{service=\"catalog\",horizon=\"30\"} ",
        "\npmo_forecast_pinball_loss_rps{service=\"catalog\",horizon=\"15\"} ",
        "\npmo_forecast_quantile_held_ratio{service=\"front\",horizon=\"60\",quantile=\"0.9\"} ",
        "\npmo_forecast_quantile_held_ratio{service=\"front\",horizon=\"5\",quantile=\"0.99\"} ",
        "\npmo_forecast_drift{service=\"front\",kind=\"too_low\"} 0\n",
        "\npmo_forecast_drift{service=\"catalog\",kind=\"too_wide\"} 0\n",
    };
    const struct pmo_policy *policy;
    struct answer metrics;
    struct world w;

    world_start(&w); /* the loop waits for a request: nobody reads what changes here */
    policy = w.catalog.policy;
    w.catalog.policy = NULL;
    metrics = world_ask(&w, "GET", "/metrics", NULL, NULL);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_line(metrics.text, lines[i]);
    CU_ASSERT_PTR_NULL(strstr(metrics.text, "error_rps{service=\"catalog\",model="));
    free(metrics.text);
    w.catalog.policy = policy;
    world_stop(&w);
}

static void metrics_have_histograms_that_add_up(void)
{
    static const char bucket[] =
        "\nhttp_server_request_duration_seconds_bucket{service=\"front\",le=\"";
    struct answer answer;
    double last = -1, bound = 0;
    unsigned int buckets = 0;
    struct world w;

    world_start(&w);
    answer = world_ask(&w, "GET", "/metrics", NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer.text);
    for (const char *at = answer.text; (at = strstr(at, bucket)); buckets++) {
        char *end;
        double le = strtod(at += sizeof(bucket) - 1, &end), count = strtod(end + 2, NULL);

        CU_ASSERT_TRUE(le > bound); /* +Inf too */
        CU_ASSERT_TRUE(count >= last);
        /* all are in octave 10: up to 2^25 ns */
        CU_ASSERT_EQUAL(count, le < 0.033 ? 0 : 51 * (WORLD_SECONDS - 1));
        bound = le;
        last = count;
    }
    CU_ASSERT_EQUAL(buckets, PMO_LATENCY_BUCKETS / 2);
    expect_line(answer.text, "# TYPE http_server_request_duration_seconds histogram\n");
    expect_line(answer.text, "_duration_seconds_bucket{service=\"front\",le=\"+Inf\"} 5049\n");
    expect_line(answer.text, "_duration_seconds_count{service=\"front\"} 5049\n");
    expect_line(answer.text, "_duration_seconds_sum{service=\"front\"} 100.98\n");
    expect_line(answer.text,
                "_first_byte_seconds_bucket{service=\"front\",le=\"0.008388608\"} 5049\n");
    expect_line(answer.text,
                "_first_byte_seconds_bucket{service=\"front\",le=\"0.004194304\"} 0\n");
    expect_line(answer.text, "_first_byte_seconds_sum{service=\"front\"} 25.245\n");
    expect_line(answer.text, "\npmo_request_bytes_total{service=\"front\"} 504900\n");
    expect_line(answer.text, "\npmo_response_bytes_total{service=\"front\"} 5049000\n");
    expect_line(answer.text, "\nhttp_server_active_requests{service=\"front\"} 3\n");
    CU_ASSERT_PTR_NULL(strstr(answer.text, "pmo_calls_total{"));
    CU_ASSERT_PTR_NULL(strstr(answer.text, "http_client_active_requests{"));
    free(answer.text);
    world_stop(&w);
}

/* ---- calls ------------------------------------------------------------------------------------
 */

/* The server sleeps until it is asked. */
static void add_calls(struct world *w)
{
    struct pmo_type type = {.direction = PMO_OUTBOUND,
                            .protocol = PMO_PROTOCOL_HTTP1,
                            .method = PMO_METHOD_GET,
                            .status_class = 2,
                            .route = "/catalog/{id}",
                            .peer = "catalog"};
    struct pmo_counts counts = {.requests = 70,
                                .finished = 70,
                                .last_byte_ns = 7000000000,
                                .request_bytes = 700,
                                .response_bytes = 7000};
    struct pmo_agent_instance *instance = &w->instances[0];

    counts.latency[10].last_byte = 70;
    CU_ASSERT_EQUAL_FATAL(pmo_operations_new(&instance->calls), 0);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(pmo_service_store_add(w->front.store, &type, WORLD_NOW, WORLD_NOW, &counts),
                        0);
        CU_ASSERT(pmo_operations_add(instance->calls, &type, WORLD_NOW, WORLD_NOW, &counts) >= 0);
        type.status_class = PMO_STATUS_ARRIVED;
        counts = (struct pmo_counts){.requests = 72, .finished = 20, .first_byte_ns = 600000000};
        counts.latency[10].first_byte[1] = 20; /* 30 ms after their requests */
    }
}

static void calls_are_told_apart_and_part_of_no_other_number(void)
{
    json_t *before, *after, *types, *type, *call = NULL;
    struct answer answer;
    struct world w;
    size_t i;

    world_start(&w);
    before = world_get(&w, "/v1/services");
    add_calls(&w);
    after = world_get(&w, "/v1/services");
    CU_ASSERT(json_equal(before, after));
    json_decref(before);
    json_decref(after);

    types = world_get(&w, "/v1/types?service=front&instance=front-1");
    json_array_foreach (json_object_get(types, "types"), i, type)
        if (!strcmp(json_string_value(json_object_get(type, "direction")), "outbound"))
            call = type;
    CU_ASSERT_PTR_NOT_NULL_FATAL(call);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(call, "route")), "/catalog/{id}");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(call, "peer")), "catalog");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(call, "inFlight")), 2);
    json_decref(types);
    types = world_get(&w, "/v1/routes?service=front");
    answer.text = json_dumps(types, 0);
    CU_ASSERT_PTR_NULL(strstr(answer.text, "/catalog/{id}"));
    free(answer.text);
    json_decref(types);

    answer = world_ask(&w, "GET", "/metrics", NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer.text);
    expect_line(answer.text, "\npmo_calls_total{service=\"front\",peer=\"catalog\",method=\"GET\","
                             "route=\"/catalog/{id}\""
                             ",status_class=\"2xx\",protocol=\"http1\",zone=\"unknown\"} 70\n");
    CU_ASSERT_PTR_NULL(strstr(answer.text, "pmo_requests_total{service=\"front\",method=\"GET\","
                                           "route=\"/catalog/{id}\""));
    expect_line(answer.text, "http_client_request_duration_seconds_count"
                             "{service=\"front\",peer=\"catalog\"} 70\n");
    expect_line(answer.text, "http_client_request_duration_seconds_sum"
                             "{service=\"front\",peer=\"catalog\"} 7\n");
    expect_line(answer.text, "http_client_request_duration_seconds_bucket"
                             "{service=\"front\",peer=\"catalog\",le=\"+Inf\"} 70\n");
    expect_line(answer.text,
                "http_server_request_duration_seconds_count{service=\"front\"} 5049\n");
    expect_line(answer.text, "\nhttp_client_active_requests{service=\"front\"} 2\n");
    expect_line(answer.text,
                "\npmo_call_request_bytes_total{service=\"front\",peer=\"catalog\"} 700\n");
    expect_line(answer.text,
                "\npmo_call_response_bytes_total{service=\"front\",peer=\"catalog\"} 7000\n");
    expect_line(answer.text,
                "\npmo_call_delay_seconds_sum{service=\"front\",peer=\"catalog\"} 0.6\n");
    expect_line(answer.text,
                "\npmo_call_delay_seconds_count{service=\"front\",peer=\"catalog\"} 20\n");
    CU_ASSERT_PTR_NULL(strstr(answer.text, "http_client_active_requests{service=\"catalog\"}"));
    free(answer.text);
    pmo_operations_free(&w.instances[0].calls);
    world_stop(&w);
}

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

/* 70 calls in the last second; of the last ten, nine were observed, with 51 requests each. */
static void the_graph_says_who_calls_whom(void)
{
    static const char *const kinds[] = {"service", "other", "service", "address"};
    struct pmo_type type = {.direction = PMO_OUTBOUND,
                            .protocol = PMO_PROTOCOL_HTTP1,
                            .method = PMO_METHOD_GET,
                            .status_class = 5,
                            .peer = "198.51.100.7:443"};
    struct pmo_counts counts = {.requests = 9, .first_byte_ns = 45000000};
    json_t *graph, *edges, *edge, *node;
    struct world w;
    size_t i;

    world_start(&w);
    graph = world_get(&w, "/v1/graph");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(graph, "nodes")), 0);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(graph, "edges")), 0);
    json_decref(graph);
    add_calls(&w);
    for (i = 0; i < 20; i++) {
        (void)snprintf(type.route, sizeof(type.route), "/%zu", i);
        CU_ASSERT_EQUAL(
            pmo_service_store_add(w.front.store, &type, WORLD_NOW - 20, WORLD_NOW - 20, &counts),
            0);
    }
    type.peer[0] = 0; /* an earlier agent's, which knew no peers */
    CU_ASSERT_EQUAL(pmo_service_store_restore_type(w.catalog.store, &type, WORLD_NOW, 18), 0);
    graph = world_get(&w, "/v1/graph");
    json_array_foreach (json_object_get(graph, "nodes"), i, node)
        CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(node, "kind")), kinds[i]);
    CU_ASSERT_EQUAL_FATAL(i, 4);
    node = json_array_get(json_object_get(graph, "nodes"), 2);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(node, "name")), "front");
    CU_ASSERT_EQUAL(number_of(node, "rps10s"), 51);
    edges = json_object_get(graph, "edges");
    CU_ASSERT_EQUAL_FATAL(json_array_size(edges), 3);
    edge = json_array_get(edges, 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(edge, "to")), "{other}");
    CU_ASSERT_DOUBLE_EQUAL(number_of(edge, "rps10s"), 18.0 / 9, 0.001);
    CU_ASSERT(json_is_null(json_object_get(edge, "firstByteMeanMs")));
    edge = json_array_get(edges, 1);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(edge, "from")), "front");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(edge, "to")), "catalog");
    CU_ASSERT_DOUBLE_EQUAL(number_of(edge, "rps10s"), 70.0 / 9, 0.001);
    CU_ASSERT_DOUBLE_EQUAL(number_of(edge, "rps60s"), 70.0 / 59, 0.001);
    CU_ASSERT_DOUBLE_EQUAL(number_of(edge, "callsPerRequest10s"), 70.0 / (9 * 51), 0.001);
    CU_ASSERT_DOUBLE_EQUAL(number_of(edge, "callsPerRequest60s"), 70.0 / (59 * 51), 0.001);
    CU_ASSERT_EQUAL(number_of(edge, "errorRate"), 0);
    CU_ASSERT_EQUAL(number_of(edge, "lastByteMeanMs"), 100);
    CU_ASSERT_EQUAL(number_of(edge, "delaysMeasured"), 20);
    CU_ASSERT_EQUAL(number_of(edge, "delayMeanMs"), 30);
    node = json_array_get(json_object_get(edge, "types"), 0);
    CU_ASSERT_EQUAL(number_of(node, "delayMeanMs"), 30);
    CU_ASSERT_EQUAL(number_of(json_object_get(edge, "totals"), "arrived"), 72);
    CU_ASSERT_EQUAL(number_of(edge, "typesTotal"), 1);
    edge = json_array_get(edges, 2);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(edge, "to")), "198.51.100.7:443");
    CU_ASSERT_EQUAL(number_of(edge, "rps10s"), 0);
    CU_ASSERT_DOUBLE_EQUAL(number_of(edge, "rps60s"), 180.0 / 59, 0.001);
    CU_ASSERT_EQUAL(number_of(edge, "errorRate"), 1);
    CU_ASSERT_EQUAL(number_of(edge, "firstByteMeanMs"), 5);
    CU_ASSERT_EQUAL(number_of(edge, "delaysMeasured"), 0);
    CU_ASSERT(json_is_null(json_object_get(edge, "delayMeanMs")));
    CU_ASSERT_EQUAL(number_of(edge, "typesTotal"), 20);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(edge, "types")), 16);
    json_decref(graph);
    pmo_operations_free(&w.instances[0].calls);
    world_stop(&w);
}

static void requests_are_shown_by_the_headers_they_carry(void)
{
    struct pmo_type type = {.protocol = PMO_PROTOCOL_HEADER,
                            .status_class = PMO_STATUS_ARRIVED,
                            .route = "x-tenant: acme"};
    struct pmo_counts counts = {.requests = 70};
    json_t *before, *after, *types, *header;
    struct answer answer;
    struct world w;

    world_start(&w);
    before = world_get(&w, "/v1/services");
    CU_ASSERT_EQUAL_FATAL(pmo_operations_new(&w.front.headers), 0);
    CU_ASSERT(pmo_operations_add(w.front.headers, &type, WORLD_NOW, WORLD_NOW, &counts) >= 0);
    after = world_get(&w, "/v1/services");
    CU_ASSERT(json_equal(before, after));
    json_decref(before);
    json_decref(after);

    types = world_get(&w, "/v1/types?service=front");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(types, "headers")), 1);
    header = json_array_get(json_object_get(types, "headers"), 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(header, "name")), "x-tenant");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(header, "value")), "acme");
    CU_ASSERT_EQUAL(json_number_value(json_object_get(header, "requests")), 70);
    CU_ASSERT_EQUAL(json_number_value(json_object_get(header, "rps")), 70);
    json_decref(types);
    answer = world_ask(&w, "GET", "/metrics", NULL, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer.text);
    expect_line(answer.text, "\npmo_header_requests_total{service=\"front\",header=\"x-tenant\","
                             "value=\"acme\"} 70\n");
    free(answer.text);
    pmo_operations_free(&w.front.headers);
    world_stop(&w);
}

/* ---- requests that are wrong ------------------------------------------------------------------
 */

static void a_wrong_request_is_told_what_to_do(void)
{
    struct world w;

    world_start(&w);
    expect_error(&w, "GET", "/", NULL, 404, "openapi");
    expect_error(&w, "GET", "/v1/services/", NULL, 404, "openapi");
    expect_error(&w, "GET", "/v1/decisions/", NULL, 404, "openapi");
    expect_error(&w, "GET", "/v1/decisions/12x", NULL, 400, "12x");
    expect_error(&w, "GET", "/v1/decisions/99999999999999999999", NULL, 400, "9999");
    expect_error(&w, "GET", "/v1/series", NULL, 400, "service=NAME");
    expect_error(&w, "GET", "/v1/series?service=%ff%00%22", NULL, 404, "no service");
    expect_error(&w, "GET", "/v1/series?service=front&since=yesterday", NULL, 400, "yesterday");
    expect_error(&w, "GET", "/v1/decisions?limit=0", NULL, 400, "from 1 to 1000");
    expect_error(&w, "GET", "/v1/forecast?servise=front", NULL, 400, "servise");
    expect_error(&w, "DELETE", "/v1/decisions/1", NULL, 405, "use GET");
    expect_error(&w, "GET", "/v1/orchestrate", NULL, 405, "use POST");
    expect_error(&w, "POST", "/v1/orchestrate", "", 400, "not a JSON object");
    expect_error(&w, "POST", "/v1/orchestrate", "[1]", 400, "not a JSON object");
    expect_error(&w, "POST", "/v1/orchestrate", "{\"service\": \"front\"", 400, "expected");
    expect_error(&w, "POST", "/v1/orchestrate", "{}", 400, "names no service");
    expect_error(&w, "POST", "/v1/orchestrate", "{\"service\": 1}", 400, "is not a text");
    expect_error(&w, "POST", "/v1/orchestrate", "{\"servise\": \"front\"}", 400, "servise");
    expect_error(&w, "POST", "/v1/orchestrate", "{\"service\": \"front\", \"flags\": [1]}", 400,
                 "flags");
    expect_error(&w, "POST", "/v1/orchestrate", "{\"service\": \"nobody\"}", 404, "nobody");
    world_stop(&w);
}

static void head_is_answered_like_get_without_the_body(void)
{
    struct answer answer;
    struct world w;

    world_start(&w);
    answer = world_ask(&w, "HEAD", "/v1/services", NULL, NULL);
    CU_ASSERT_EQUAL(answer.status, 200);
    CU_ASSERT_EQUAL(answer.length, 0);
    free(answer.text);
    world_stop(&w);
}

/* ---- clients that are worse -------------------------------------------------------------------
 */

static void truncated_and_senseless_input_does_no_harm(void)
{
    static const char *const inputs[] = {
        "",
        "\r\n\r\n",
        "G",
        "GET",
        "GET /v1/services HTTP/1.1\r\nHost",
        "GET /v1/services HTTP/9.9\r\nHost: x\r\n\r\n",
        "POST /v1/orchestrate HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{\"serv",
        "POST /v1/orchestrate HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/orchestrate HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /v1/orchestrate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        "POST /v1/orchestrate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    };
    struct world w;

    world_start(&w);
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        _cleanup_close_ int fd = world_connect(&w);

        send_text(fd, inputs[i]);
        CU_ASSERT(answers(&w));
    }
    CU_ASSERT(answers(&w));
    world_stop(&w);
}

static void a_path_of_64_kib_is_refused(void)
{
    static const char head[] = "GET /", tail[] = " HTTP/1.1\r\nHost: x\r\n\r\n";
    _cleanup_free_ char *request = malloc(65536 + sizeof(head) + sizeof(tail));
    char answer[64] = "";
    struct world w;
    int fd;

    CU_ASSERT_PTR_NOT_NULL_FATAL(request);
    memcpy(request, head, sizeof(head) - 1);
    memset(request + sizeof(head) - 1, 'a', 65536);
    memcpy(request + sizeof(head) - 1 + 65536, tail, sizeof(tail));
    world_start(&w);
    fd = world_connect(&w);
    (void)send(fd, request, strlen(request), MSG_NOSIGNAL);
    (void)recv(fd, answer, sizeof(answer) - 1, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(answer, " 4")); /* 414 or 431, by the HTTP library */
    (void)close(fd);
    CU_ASSERT(answers(&w));
    world_stop(&w);
}

static void a_body_without_end_is_cut_off(void)
{
    char chunk[4096 + 8], answer[256];
    struct world w;
    int fd, sent = 0;

    world_start(&w);
    fd = world_connect(&w);
    send_text(fd, "POST /v1/orchestrate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    memset(chunk, ' ', sizeof(chunk));
    memcpy(chunk, "1000\r\n", 6);
    memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
    while (sent < 10000 && send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0)
        sent++;
    CU_ASSERT(sent < 10000);
    CU_ASSERT(recv(fd, answer, sizeof(answer), 0) <= 0);
    (void)close(fd);
    CU_ASSERT(answers(&w));
    world_stop(&w);
}

static void slow_clients_do_not_keep_others_waiting(void)
{
    struct timespec begin, end;
    struct world w;
    int slow[100];

    world_start(&w);
    for (int i = 0; i < 100; i++) {
        slow[i] = world_connect(&w);
        /* Half of them do not finish their request, the others never read the answer. */
        send_text(slow[i], "GET /v1/series?service=front&since=1 HTTP/1.1\r\nHost: x\r\n");
        if (i % 2)
            send_text(slow[i], "\r\n");
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < 20; i++)
        CU_ASSERT(answers(&w));
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    CU_ASSERT(end.tv_sec - begin.tv_sec < 4);
    for (int i = 0; i < 100; i++)
        (void)close(slow[i]);
    world_stop(&w);
}

static json_t *post(const struct world *w, const char *path, const char *body, long status)
{
    struct answer answer = world_ask(w, "POST", path, "application/json", body);
    json_t *json = json_loads(answer.text ? answer.text : "", 0, NULL);

    CU_ASSERT_EQUAL(answer.status, status);
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    free(answer.text);
    return json;
}

/* Member of a service as GET /v1/services has it; the caller's to free. */
static json_t *of_service(const struct world *w, size_t i, const char *name)
{
    json_t *services = world_get(w, "/v1/services");
    json_t *value = json_incref(
        json_object_get(json_array_get(json_object_get(services, "services"), i), name));

    json_decref(services);
    return value;
}

static void a_pause_is_shown_kept_and_ended(void)
{
    struct pmo_pauses kept = {};
    struct world w;
    json_t *json, *entries;

    world_start(&w);
    json_decref(
        post(&w, "/v1/pause", "{\"service\": \"front\", \"forS\": 60, \"reason\": \"x\"}", 200));
    json = of_service(&w, 1, "paused");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "service")), "front");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "until")) -
                        json_integer_value(json_object_get(json, "since")),
                    60);
    json_decref(json);
    json = of_service(&w, 0, "paused");
    CU_ASSERT(json_is_null(json));
    json_decref(json);
    json_decref(post(&w, "/v1/pause", "{}", 200));
    json = of_service(&w, 0, "paused");
    CU_ASSERT(json_is_null(json_object_get(json, "until")));
    json_decref(json);
    json = post(&w, "/v1/resume", "{\"service\": \"catalog\"}", 200); /* has none of its own */
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "resumed")), 0);
    json_decref(json);
    json = post(&w, "/v1/resume", "{\"service\": \"front\"}", 200);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "resumed")), 1);
    json_decref(json);
    CU_ASSERT_EQUAL(pmo_history_load_pauses(w.core.agent.history, &kept), 0);
    CU_ASSERT_EQUAL_FATAL(kept.count, 1);
    CU_ASSERT_STRING_EQUAL(kept.at[0].service, "");
    pmo_pauses_free(&kept);
    json = world_get(&w, "/v1/audit?service=front");
    entries = json_object_get(json, "entries");
    CU_ASSERT_EQUAL(json_array_size(entries), 3);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(entries, 0), "kind")),
                           "resume");
    CU_ASSERT_PTR_NOT_NULL(strstr(
        json_string_value(json_object_get(json_array_get(entries, 2), "who")), "unit-tests"));
    json_decref(json);
    world_stop(&w);
}

static void a_pause_that_makes_no_sense_is_refused(void)
{
    static const char *const bodies[] = {"{\"forS\": 0}",
                                         "{\"forS\": \"1h\"}",
                                         "{\"service\": 5}",
                                         "{\"servce\": \"front\"}",
                                         "[]",
                                         ""};
    struct world w;

    world_start(&w);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        json_decref(post(&w, "/v1/pause", bodies[i], 400));
    CU_ASSERT_EQUAL(w.core.agent.pauses.count, 0);
    world_stop(&w);
}

static void a_bad_configuration_is_not_taken_over_and_its_place_is_told(void)
{
    struct world w;
    json_t *json;
    const char *error;

    world_start(&w);
    world_configure(&w, "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
                        "metadata: {name: a}\nspec:\n  target: {service: front}\n  moed: act\n");
    json = post(&w, "/v1/reload", "", 409);
    error = json_string_value(json_object_get(json, "error"));
    CU_ASSERT(error && !strncmp(error, w.config, strlen(w.config)) && strstr(error, ":6:3: "));
    json_decref(json);
    json = world_get(&w, "/v1/reload");
    CU_ASSERT(json_is_false(json_object_get(json, "ok")));
    json_decref(json);
    world_configure(&w, world_config_text);
    json = post(&w, "/v1/reload", "", 200);
    CU_ASSERT(json_is_true(json_object_get(json, "ok")));
    CU_ASSERT(json_is_null(json_object_get(json, "error")));
    json_decref(json);
    world_stop(&w);
}

SUITE(serve) = {
    TEST(the_socket_is_for_its_owner_and_group),
    TEST(a_second_agent_does_not_take_the_socket_of_the_first),
    TEST(a_socket_that_nobody_answers_on_is_replaced),
    TEST(a_file_that_is_not_a_socket_stays),
    TEST(the_rows_of_a_series_add_up_to_the_total),
    TEST(a_missing_second_is_listed_and_not_a_zero),
    TEST(types_show_what_a_service_is_asked_for),
    TEST(types_of_an_instance_are_its_own),
    TEST(services_show_the_last_byte_and_bytes),
    TEST(a_range_without_seconds_is_an_empty_series),
    TEST(decisions_come_newest_first_from_memory_and_history),
    TEST(an_agent_that_has_seen_no_second_yet_answers),
    TEST(metrics_are_in_the_text_format_with_labels_escaped),
    TEST(a_flood_of_syns_is_shown_and_is_no_demand),
    TEST(use_is_in_the_metrics_and_unknown_use_is_nan),
    TEST(what_comes_before_load_is_shown_and_null_where_nothing_came),
    TEST(what_instances_use_is_shown_and_null_where_it_is_not_known),
    TEST(forecasts_come_with_their_scores_and_drift),
    TEST(forecasts_of_types_add_up_to_their_service),
    TEST(scores_are_in_the_metrics_those_of_models_where_there_is_a_policy),
    TEST(metrics_have_histograms_that_add_up),
    TEST(calls_are_told_apart_and_part_of_no_other_number),
    TEST(the_graph_says_who_calls_whom),
    TEST(requests_are_shown_by_the_headers_they_carry),
    TEST(a_wrong_request_is_told_what_to_do),
    TEST(head_is_answered_like_get_without_the_body),
    TEST(truncated_and_senseless_input_does_no_harm),
    TEST(a_path_of_64_kib_is_refused),
    TEST(a_body_without_end_is_cut_off),
    TEST(slow_clients_do_not_keep_others_waiting),
    TEST(a_pause_is_shown_kept_and_ended),
    TEST(a_pause_that_makes_no_sense_is_refused),
    TEST(a_bad_configuration_is_not_taken_over_and_its_place_is_told),
    {0},
};
