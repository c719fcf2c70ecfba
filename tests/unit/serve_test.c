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
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(service, "arrivedTotal")), total);
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

    if (!strncmp(line, "# HELP pmo_", 11) || !strncmp(line, "# TYPE pmo_", 11))
        return true;
    if (n == 0)
        return false;
    while (*c == '{' || *c == ',') {
        c += 1 + strspn(c + 1, "abcdefghijklmnopqrstuvwxyz_");
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
    CU_ASSERT_PTR_NOT_NULL(strstr(answer.text, "\npmo_arrivals_total{service=\"front\"} 5049\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(answer.text, "\npmo_instances{service=\"front\",phase=\"ready\"} 2\n"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(answer.text, "\npmo_lead_time_seconds{service=\"catalog\"} NaN\n"));
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

SUITE(serve) = {
    TEST(the_socket_is_for_its_owner_and_group),
    TEST(a_second_agent_does_not_take_the_socket_of_the_first),
    TEST(a_socket_that_nobody_answers_on_is_replaced),
    TEST(a_file_that_is_not_a_socket_stays),
    TEST(the_rows_of_a_series_add_up_to_the_total),
    TEST(a_missing_second_is_listed_and_not_a_zero),
    TEST(a_range_without_seconds_is_an_empty_series),
    TEST(decisions_come_newest_first_from_memory_and_history),
    TEST(an_agent_that_has_seen_no_second_yet_answers),
    TEST(metrics_are_in_the_text_format_with_labels_escaped),
    TEST(a_wrong_request_is_told_what_to_do),
    TEST(head_is_answered_like_get_without_the_body),
    TEST(truncated_and_senseless_input_does_no_harm),
    TEST(a_path_of_64_kib_is_refused),
    TEST(a_body_without_end_is_cut_off),
    TEST(slow_clients_do_not_keep_others_waiting),
    {0},
};
