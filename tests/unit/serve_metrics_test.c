/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GET /metrics, and what it says in other words than GET /v1/services. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/serve_world.h"
#include "tests/unit/suite.h"

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
        world_expect_line(metrics.text, lines[i]);
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
    world_expect_line(answer.text, "# TYPE http_server_request_duration_seconds histogram\n");
    world_expect_line(answer.text,
                      "_duration_seconds_bucket{service=\"front\",le=\"+Inf\"} 5049\n");
    world_expect_line(answer.text, "_duration_seconds_count{service=\"front\"} 5049\n");
    world_expect_line(answer.text, "_duration_seconds_sum{service=\"front\"} 100.98\n");
    world_expect_line(answer.text,
                      "_first_byte_seconds_bucket{service=\"front\",le=\"0.008388608\"} 5049\n");
    world_expect_line(answer.text,
                      "_first_byte_seconds_bucket{service=\"front\",le=\"0.004194304\"} 0\n");
    world_expect_line(answer.text, "_first_byte_seconds_sum{service=\"front\"} 25.245\n");
    world_expect_line(answer.text, "\npmo_request_bytes_total{service=\"front\"} 504900\n");
    world_expect_line(answer.text, "\npmo_response_bytes_total{service=\"front\"} 5049000\n");
    world_expect_line(answer.text, "\nhttp_server_active_requests{service=\"front\"} 3\n");
    CU_ASSERT_PTR_NULL(strstr(answer.text, "pmo_calls_total{"));
    CU_ASSERT_PTR_NULL(strstr(answer.text, "http_client_active_requests{"));
    free(answer.text);
    world_stop(&w);
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
        world_expect_line(answer.text, lines[i]);
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
    struct answer metrics;
    struct world w;

    world_start(&w);
    world_expect_figures(&w, expect_signals);
    metrics = world_ask(&w, "GET", "/metrics", NULL, NULL);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        world_expect_line(metrics.text, lines[i]);
    free(metrics.text);
    world_stop(&w);
}

SUITE(serve_metrics) = {
    TEST(metrics_are_in_the_text_format_with_labels_escaped),
    TEST(use_is_in_the_metrics_and_unknown_use_is_nan),
    TEST(scores_are_in_the_metrics_those_of_models_where_there_is_a_policy),
    TEST(metrics_have_histograms_that_add_up),
    TEST(a_flood_of_syns_is_shown_and_is_no_demand),
    TEST(what_comes_before_load_is_shown_and_null_where_nothing_came),
    {0},
};
