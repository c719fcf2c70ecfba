/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API's socket, what clients may do to it, and what they change. openapi_test.c holds its form,
 * and serve_*_test.c what it says. */
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

/* ---- requests that are wrong ------------------------------------------------------------------
 */

static void a_wrong_request_is_told_what_to_do(void)
{
    struct world w;

    world_start(&w);
    world_expect_error(&w, "GET", "/", NULL, 404, "openapi");
    world_expect_error(&w, "GET", "/v1/services/", NULL, 404, "openapi");
    world_expect_error(&w, "GET", "/v1/decisions/", NULL, 404, "openapi");
    world_expect_error(&w, "GET", "/v1/decisions/12x", NULL, 400, "12x");
    world_expect_error(&w, "GET", "/v1/decisions/99999999999999999999", NULL, 400, "9999");
    world_expect_error(&w, "GET", "/v1/series", NULL, 400, "service=NAME");
    world_expect_error(&w, "GET", "/v1/series?service=%ff%00%22", NULL, 404, "no service");
    world_expect_error(&w, "GET", "/v1/series?service=front&since=yesterday", NULL, 400,
                       "yesterday");
    world_expect_error(&w, "GET", "/v1/decisions?limit=0", NULL, 400, "from 1 to 1000");
    world_expect_error(&w, "GET", "/v1/forecast?servise=front", NULL, 400, "servise");
    world_expect_error(&w, "DELETE", "/v1/decisions/1", NULL, 405, "use GET");
    world_expect_error(&w, "GET", "/v1/orchestrate", NULL, 405, "use POST");
    world_expect_error(&w, "POST", "/v1/orchestrate", "", 400, "not a JSON object");
    world_expect_error(&w, "POST", "/v1/orchestrate", "[1]", 400, "not a JSON object");
    world_expect_error(&w, "POST", "/v1/orchestrate", "{\"service\": \"front\"", 400, "expected");
    world_expect_error(&w, "POST", "/v1/orchestrate", "{}", 400, "names no service");
    world_expect_error(&w, "POST", "/v1/orchestrate", "{\"service\": 1}", 400, "is not a text");
    world_expect_error(&w, "POST", "/v1/orchestrate", "{\"servise\": \"front\"}", 400, "servise");
    world_expect_error(&w, "POST", "/v1/orchestrate", "{\"service\": \"front\", \"flags\": [1]}",
                       400, "flags");
    world_expect_error(&w, "POST", "/v1/orchestrate", "{\"service\": \"nobody\"}", 404, "nobody");
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

/* ---- what clients change ----------------------------------------------------------------------
 */

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
