/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sources that are fetched, from a real HTTP server, and Kafka, from librdkafka's own cluster of
 * brokers in memory, which speaks the protocol on real sockets. */
#include "agent/events/refresh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/events/fetch.h"
#include "tests/unit/suite.h"

#define WAIT_MS_MAX 10000

/* ---- a web server ---------------------------------------------------------------------------- */

struct web {
    struct MHD_Daemon *daemon;
    char root[64]; /* http://127.0.0.1:PORT */
    _Atomic(const char *) ics;
    _Atomic unsigned int asked;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
                              const char *text, size_t length, const char *location)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, (void *)text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result r;

    if (location)
        (void)MHD_add_response_header(response, "Location", location);
    r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *bytes, size_t *length, void **state)
{
    struct web *web = context;
    const char *ics = web->ics;
    static char big[PMO_FETCH_BYTES_MAX + 1];

    web->asked++;
    if (!strcmp(path, "/ics") && ics)
        return answer(connection, 200, ics, strlen(ics), NULL);
    if (!strcmp(path, "/redirect"))
        return answer(connection, 302, "", 0, "/ics");
    if (!strcmp(path, "/file"))
        return answer(connection, 302, "", 0, "file:///etc/passwd");
    if (!strcmp(path, "/round"))
        return answer(connection, 302, "", 0, "/round");
    if (!strcmp(path, "/big"))
        return answer(connection, 200, big, sizeof(big), NULL);
    if (!strcmp(path, "/empty"))
        return answer(connection, 200, "", 0, NULL);
    return answer(connection, 404, "no", 2, NULL);
}

static void web_start(struct web *web)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const union MHD_DaemonInfo *info;

    memset(web, 0, sizeof(*web));
    web->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL,
                                   on_request, web, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    CU_ASSERT_PTR_NOT_NULL_FATAL(web->daemon);
    info = MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_BIND_PORT);
    (void)snprintf(web->root, sizeof(web->root), "http://127.0.0.1:%u", info->port);
}

/* ---- fetching -------------------------------------------------------------------------------- */

static char error[320];

static int fetch(const char *root, const char *path, bool plain)
{
    static const bool going_on;
    _cleanup_free_ char *text = NULL;
    char place[256];
    size_t length = 0;

    error[0] = '\0';
    (void)snprintf(place, sizeof(place), "%s%s", root, path);
    return pmo_fetch(place, plain, &going_on, &text, &length, error, sizeof(error));
}

static void only_what_is_allowed_is_fetched(void)
{
    static const bool cancelled = true;
    char *text = NULL;
    size_t length;
    struct web web;

    web_start(&web);
    web.ics = "text";
    CU_ASSERT_EQUAL(fetch(web.root, "/ics", true), 0);
    CU_ASSERT_EQUAL(fetch(web.root, "/redirect", true), 0);
    CU_ASSERT_EQUAL(fetch(web.root, "/empty", true), 0);
    CU_ASSERT_EQUAL(fetch(web.root, "/nowhere", true), -EIO);
    CU_ASSERT_STRING_EQUAL(error, "is answered with status 404; look at it with curl");
    CU_ASSERT_EQUAL(fetch(web.root, "/ics", false), -EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "plainHttp: true"));
    CU_ASSERT_EQUAL(fetch(web.root, "/file", true), -EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "only https is"));
    CU_ASSERT_EQUAL(fetch(web.root, "/round", true), -EIO);
    CU_ASSERT_EQUAL(fetch(web.root, "/big", true), -EFBIG);
    CU_ASSERT_STRING_EQUAL(error, "is larger than 4 MiB; name one that is smaller");
    CU_ASSERT_EQUAL(fetch("ftp://127.0.0.1/", "", true), -EIO);
    CU_ASSERT_EQUAL(pmo_fetch(web.root, true, &cancelled, &text, &length, error, sizeof(error)),
                    -ECANCELED);
    MHD_stop_daemon(web.daemon);
    CU_ASSERT_EQUAL(fetch(web.root, "/ics", true), -EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error, "cannot be fetched: "));
}

static void files_are_read_and_nothing_else(void)
{
    char directory[] = "/tmp/pmo-fetch-XXXXXX", path[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/pipe", directory);
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
    CU_ASSERT_EQUAL(fetch(path, "", false), -EINVAL); /* and does not wait */
    (void)unlink(path);
    CU_ASSERT_EQUAL(fetch(directory, "", false), -EISDIR);
    CU_ASSERT_EQUAL(fetch(directory, "/none", false), -ENOENT);
    CU_ASSERT_STRING_EQUAL(error, "cannot be read: No such file or directory");
    (void)rmdir(directory);
    CU_ASSERT_EQUAL(fetch("docs/events.md", "", false), -EIO); /* no URL, and no whole path */
    CU_ASSERT_EQUAL(fetch("file:///etc/hostname", "", false), 0);
}

/* ---- in a loop ------------------------------------------------------------------------------- */

struct stage {
    uv_loop_t loop;
    uv_timer_t timer;
    struct pmo_sources *sources;
    struct pmo_calendar *calendar;
    struct pmo_refresh *refresh;
    unsigned int ticks; /* of 10 ms */
};

static void on_tick(uv_timer_t *timer)
{
    ((struct stage *)timer->data)->ticks++;
}

static int stage_start(struct stage *stage, const char *spec)
{
    struct pmo_file *file = NULL;
    char *text = NULL;

    memset(stage, 0, sizeof(*stage));
    CU_ASSERT_FATAL(
        asprintf(&text,
                 "apiVersion: pmo.dev/v1alpha1\nkind: EventSource\nmetadata: {name: a}\n"
                 "spec: %s\n",
                 spec) > 0);
    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "f", text, strlen(text), NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_sources_read(&stage->sources, file), 0);
    pmo_file_free(&file);
    free(text);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_new(&stage->calendar), 0);
    CU_ASSERT_EQUAL_FATAL(uv_loop_init(&stage->loop), 0);
    (void)uv_timer_init(&stage->loop, &stage->timer);
    stage->timer.data = stage;
    (void)uv_timer_start(&stage->timer, on_tick, 10, 10);
    return pmo_refresh_start(&stage->refresh, &stage->loop, stage->sources, stage->calendar);
}

/* Runs the loop until there are so many events. */
static void wait_for(struct stage *stage, size_t count)
{
    stage->ticks = 0;
    while (pmo_calendar_count(stage->calendar) != count &&
           stage->ticks < WAIT_MS_MAX / 10 * (unsigned int)suite_slower())
        (void)uv_run(&stage->loop, UV_RUN_ONCE);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_count(stage->calendar), count);
}

static void stage_stop(struct stage *stage)
{
    pmo_refresh_stop(&stage->refresh, &stage->sources);
    CU_ASSERT_PTR_NULL(stage->sources);
    uv_close((uv_handle_t *)&stage->timer, NULL);
    (void)uv_run(&stage->loop, UV_RUN_DEFAULT);
    CU_ASSERT_EQUAL(uv_loop_close(&stage->loop), 0);
    pmo_calendar_free(&stage->calendar);
}

static void ics_at(char text[512], int64_t start, int count)
{
    time_t t = start;
    char when[32];
    struct tm tm;

    (void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&t, &tm));
    (void)snprintf(text, 512,
                   "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Sale\r\n"
                   "DTSTART:%s\r\nDURATION:PT5M\r\nRRULE:FREQ=HOURLY;COUNT=%d\r\nEND:VEVENT\r\n"
                   "END:VCALENDAR\r\n",
                   when, count);
}

static void a_calendar_is_fetched_again_and_kept_where_that_fails(void)
{
    int64_t start = time(NULL) + 3600;
    static char three[512], two[512];
    struct stage stage;
    char spec[256];
    struct web web;
    unsigned int asked;

    ics_at(three, start, 3);
    ics_at(two, start, 2);
    web_start(&web);
    web.ics = three;
    (void)snprintf(spec, sizeof(spec),
                   "{calendar: %s/ics, plainHttp: true, refresh: 1s, kind: sale}", web.root);
    CU_ASSERT_EQUAL(stage_start(&stage, spec), 0);
    wait_for(&stage, 3);
    CU_ASSERT_EQUAL(pmo_calendar_at(stage.calendar, 0)->start, start);
    CU_ASSERT_EQUAL(pmo_calendar_at(stage.calendar, 0)->duration_s, 300);
    CU_ASSERT_STRING_EQUAL(pmo_sources_name(stage.sources, pmo_calendar_at(stage.calendar, 0)),
                           "a");
    stage_stop(&stage);
    /* the same with time that goes by */
    pmo_log_max = 0;
    web.ics = NULL;
    CU_ASSERT_EQUAL(stage_start(&stage, spec), 0);
    asked = web.asked;
    while (web.asked == asked)
        (void)uv_run(&stage.loop, UV_RUN_ONCE);
    web.ics = two;
    wait_for(&stage, 2);
    CU_ASSERT(web.asked > asked + 1);
    stage_stop(&stage);
    pmo_log_max = PMO_LOG_INFO;
    MHD_stop_daemon(web.daemon);
}

static void the_loop_does_not_wait_for_a_server_that_does_not_answer(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(address);
    struct stage stage;
    uint64_t before;
    char spec[128];

    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, size), 0);
    CU_ASSERT_EQUAL_FATAL(listen(fd, 4), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(spec, sizeof(spec), "{feed: \"http://127.0.0.1:%u/\", plainHttp: true, kind: k}",
                   ntohs(address.sin_port));
    CU_ASSERT_EQUAL(stage_start(&stage, spec), 0);
    before = uv_hrtime();
    while (stage.ticks < 20)
        (void)uv_run(&stage.loop, UV_RUN_ONCE);
    CU_ASSERT(uv_hrtime() - before < 1000000000ULL * (uint64_t)suite_slower());
    before = uv_hrtime();
    stage_stop(&stage); /* gives up what is under way */
    CU_ASSERT(uv_hrtime() - before < 3000000000ULL * (uint64_t)suite_slower());
}

static void items_that_left_a_feed_stay_in_the_calendar(void)
{
    static const char rss[] = "<rss><channel><item><title>Sale %d</title><guid>%d</guid></item>"
                              "</channel></rss>";
    char path[] = "/tmp/pmo-feed-XXXXXX", spec[128];
    _cleanup_close_ int fd = mkstemp(path);
    struct stage stage;

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(dprintf(fd, rss, 1, 1) > 0);
    (void)snprintf(spec, sizeof(spec), "{feed: %s, refresh: 1s, kind: sale}", path);
    CU_ASSERT_EQUAL(stage_start(&stage, spec), 0);
    wait_for(&stage, 1);
    CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
    CU_ASSERT(lseek(fd, 0, SEEK_SET) == 0 && dprintf(fd, rss, 2, 2) > 0);
    wait_for(&stage, 2);
    CU_ASSERT_EQUAL(pmo_calendar_at(stage.calendar, 0)->duration_s, PMO_DURATION_S);
    stage_stop(&stage);
    (void)unlink(path);
}

static void a_schedule_is_in_the_calendar_at_once(void)
{
    struct stage stage;

    CU_ASSERT_EQUAL(stage_start(&stage, "{schedule: \"7 * * * *\", kind: k}"), 0);
    (void)uv_run(&stage.loop, UV_RUN_ONCE);
    /* of a day back and a week ahead; one more while the first lasts */
    CU_ASSERT(pmo_calendar_count(stage.calendar) - (24 + 24 * 7) <= 1);
    stage_stop(&stage);
}

/* ---- Kafka ----------------------------------------------------------------------------------- */

struct cluster {
    rd_kafka_t *producer; /* whose handle has the brokers in it */
    char brokers[256];
};

static void ignore_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
}

static void cluster_start(struct cluster *cluster)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_mock_cluster_t *mock;
    char reason[256];

    rd_kafka_conf_set_log_cb(conf, ignore_log);
    CU_ASSERT_EQUAL_FATAL(
        rd_kafka_conf_set(conf, "test.mock.num.brokers", "2", reason, sizeof(reason)),
        RD_KAFKA_CONF_OK);
    cluster->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    CU_ASSERT_PTR_NOT_NULL_FATAL(cluster->producer);
    mock = rd_kafka_handle_mock_cluster(cluster->producer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mock);
    (void)snprintf(cluster->brokers, sizeof(cluster->brokers), "%s",
                   rd_kafka_mock_cluster_bootstraps(mock));
    (void)rd_kafka_mock_topic_create(mock, "events", 3, 1);
}

static void produce(struct cluster *cluster, const char *text, rd_kafka_headers_t *headers)
{
    CU_ASSERT_EQUAL(rd_kafka_producev(cluster->producer, RD_KAFKA_V_TOPIC("events"),
                                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                      RD_KAFKA_V_VALUE((void *)text, strlen(text)),
                                      RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
                    RD_KAFKA_RESP_ERR_NO_ERROR);
    CU_ASSERT_EQUAL(rd_kafka_flush(cluster->producer, WAIT_MS_MAX), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void produce_event(struct cluster *cluster, int id, double strength)
{
    char text[256];

    (void)snprintf(text, sizeof(text),
                   "{\"specversion\": \"1.0\", \"id\": \"%d\", \"source\": \"/s\", \"type\": "
                   "\"sale\", \"data\": {\"duration\": 300, \"strength\": %g}}",
                   id, strength);
    produce(cluster, text, NULL);
}

static void events_come_from_kafka_also_those_of_before(void)
{
    struct cluster cluster = {};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(5);
    struct stage stage;
    char spec[512];

    cluster_start(&cluster);
    produce_event(&cluster, 1, 1);
    produce_event(&cluster, 2, 1);
    (void)snprintf(spec, sizeof(spec),
                   "{kafka: {brokers: \"%s\", topic: events, settings: {fetch.wait.max.ms: 20}}}",
                   cluster.brokers);
    CU_ASSERT_EQUAL(stage_start(&stage, spec), 0);
    wait_for(&stage, 2);
    pmo_log_max = 0;
    produce(&cluster, "this is no event", NULL);
    pmo_log_max = PMO_LOG_INFO;
    (void)rd_kafka_header_add(headers, "ce_specversion", -1, "1.0", -1);
    (void)rd_kafka_header_add(headers, "ce_id", -1, "3", -1);
    (void)rd_kafka_header_add(headers, "ce_source", -1, "/s", -1);
    (void)rd_kafka_header_add(headers, "ce_type", -1, "news", -1);
    (void)rd_kafka_header_add(headers, "ce_time", -1, "2035-01-01T00:00:00Z", -1);
    pmo_log_max = 0;
    produce(&cluster, "{\"duration\": \"1h\"}", headers);
    wait_for(&stage, 3);
    pmo_log_max = PMO_LOG_INFO;
    CU_ASSERT_STRING_EQUAL(pmo_calendar_at(stage.calendar, 2)->kind, "news");
    CU_ASSERT_EQUAL(pmo_calendar_at(stage.calendar, 2)->start, 2051222400);
    CU_ASSERT_EQUAL(pmo_calendar_at(stage.calendar, 2)->duration_s, 3600);
    CU_ASSERT_STRING_EQUAL(pmo_calendar_at(stage.calendar, 2)->id, "/s 3");
    CU_ASSERT_STRING_EQUAL(pmo_sources_name(stage.sources, pmo_calendar_at(stage.calendar, 2)),
                           "api");
    produce_event(&cluster, 1, 0); /* is taken back */
    wait_for(&stage, 2);
    stage_stop(&stage);
    rd_kafka_destroy(cluster.producer);
}

static void brokers_that_are_away_do_no_harm(void)
{
    struct stage stage;
    uint64_t before;

    pmo_log_max = 0;
    CU_ASSERT_EQUAL(stage_start(&stage, "{kafka: {brokers: \"127.0.0.1:1\", topic: events}}"), 0);
    while (stage.ticks < 20)
        (void)uv_run(&stage.loop, UV_RUN_ONCE);
    before = uv_hrtime();
    stage_stop(&stage);
    CU_ASSERT(uv_hrtime() - before < 2000000000ULL * (uint64_t)suite_slower());
    pmo_log_max = PMO_LOG_INFO;
}

SUITE(refresh) = {
    TEST(only_what_is_allowed_is_fetched),
    TEST(files_are_read_and_nothing_else),
    TEST(a_schedule_is_in_the_calendar_at_once),
    TEST(a_calendar_is_fetched_again_and_kept_where_that_fails),
    TEST(items_that_left_a_feed_stay_in_the_calendar),
    TEST(the_loop_does_not_wait_for_a_server_that_does_not_answer),
    TEST(events_come_from_kafka_also_those_of_before),
    TEST(brokers_that_are_away_do_no_harm),
    {0},
};
