/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/series/history.h"

#define T0     1700000000LL
#define MINUTE 60
#define HOUR   3600
#define DAY    86400LL

/* ---- a state directory and a store ------------------------------------------------------------
 */

static char state_dir[64], database[96];

static void begin(void)
{
    (void)snprintf(state_dir, sizeof(state_dir), "/tmp/pmo-history-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(state_dir));
    (void)snprintf(database, sizeof(database), "%s/history.db", state_dir);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void end(void)
{
    CU_ASSERT_EQUAL(nftw(state_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static struct pmo_history *opened(void)
{
    struct pmo_history *history = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_history_open(&history, state_dir), 0);
    return history;
}

static struct pmo_store *fresh_store(void)
{
    struct pmo_store *store = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_store_new(&store), 0);
    return store;
}

static void count(struct pmo_service_store *service, const char *route, int64_t t,
                  uint64_t requests)
{
    struct pmo_type type = {.protocol = 1, .method = PMO_METHOD_POST, .status_class = 5, .zone = 3};
    struct pmo_instance_counts arrivals = {.arrivals = requests};
    struct pmo_counts counts = {.requests = requests, .request_bytes = 10};

    counts.latency[6].first_byte[0] = (uint32_t)requests;
    (void)snprintf(type.route, sizeof(type.route), "%s", route);
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, t, t, &counts), 0);
    CU_ASSERT_EQUAL(pmo_service_store_add_instance(service, t, t, &arrivals), 0);
}

/* One second of a service with @requests on "/a", closed and noted. */
static void note(struct pmo_history *history, struct pmo_service_store *service, int64_t t,
                 uint64_t requests)
{
    struct pmo_service_second gauges = {
        .in_flight = 2, .cpu_seconds = 0.5, .memory_bytes = 1e6, .ready = 4, .starting = 1};

    count(service, "/a", t, requests);
    pmo_service_store_close(service, t, &gauges);
    CU_ASSERT_EQUAL(pmo_history_add(history, service, t), 0);
}

static int64_t ask(const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    sqlite3 *db = NULL;

    CU_ASSERT_EQUAL(sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return value;
}

/* Files history.db.bad-* */
static int moved_aside(void)
{
    struct dirent *entry;
    int n = 0;
    DIR *dir = opendir(state_dir);

    if (!dir)
        return -1;
    while ((entry = readdir(dir)))
        n += !strncmp(entry->d_name, "history.db.bad-", 15) && !strchr(entry->d_name + 15, '-');
    (void)closedir(dir);
    return n;
}

static void write_file(const char *path, off_t at, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    CU_ASSERT_EQUAL(pwrite(fd, text, length, at), (ssize_t)length);
    (void)close(fd);
}

/* Adds up arrivals * seconds of the rows, and counts them. */
struct walk {
    double arrivals;
    int64_t last;
    unsigned int rows, seconds;
    int stop;
};

static int walk_row(void *context, int64_t t, uint32_t seconds, double arrivals)
{
    struct walk *walk = context;

    CU_ASSERT_TRUE(t > walk->last);
    walk->last = t;
    walk->rows++;
    walk->seconds += seconds;
    walk->arrivals += arrivals * seconds;
    return walk->stop;
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void a_second_comes_back_after_a_restart_as_it_was(void)
{
    struct pmo_store *store = fresh_store(), *again = fresh_store();
    struct pmo_service_store *service = pmo_store_service(store, "front", true);
    struct pmo_service_second was, is;
    struct pmo_history *history;
    uint32_t requests;

    begin();
    history = opened();
    CU_ASSERT_EQUAL(pmo_history_last_second(history), 0);
    count(service, "/users/{id}", T0, 7);
    note(history, service, T0, 1000);
    note(history, service, T0 + 2, 0);
    pmo_history_close(&history);
    CU_ASSERT_PTR_NULL(history);
    pmo_history_close(&history);

    history = opened();
    CU_ASSERT_EQUAL(pmo_history_last_second(history), T0 + 2);
    CU_ASSERT_EQUAL(pmo_history_load(history, again, T0 + 10), 0);
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0, &was), 0);
    service = pmo_store_service(again, "front", false);
    CU_ASSERT_PTR_NOT_NULL_FATAL(service);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_second(service, T0, &is), 0);
    CU_ASSERT_EQUAL(is.arrivals, 1007);
    CU_ASSERT_EQUAL(is.arrivals, was.arrivals);
    CU_ASSERT_EQUAL(is.latency_p50_us, was.latency_p50_us);
    CU_ASSERT_EQUAL(is.latency_p99_us, was.latency_p99_us);
    CU_ASSERT_EQUAL(is.cpu_seconds, 0.5);
    CU_ASSERT_EQUAL(is.rx_bytes, 20);
    CU_ASSERT_EQUAL(is.ready, 4);
    CU_ASSERT_EQUAL(is.starting, 1);
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0 + 1, &is), -ENODATA);
    CU_ASSERT_EQUAL(pmo_service_store_second(service, T0 + 2, &is), 0);
    CU_ASSERT_EQUAL(is.arrivals, 0);
    CU_ASSERT_TRUE(isnan(is.latency_p50_us));
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_types(service), 2);
    CU_ASSERT_STRING_EQUAL(pmo_service_store_type_at(service, 0)->route, "/users/{id}");
    CU_ASSERT_EQUAL(pmo_service_store_type_at(service, 0)->zone, 3);
    CU_ASSERT_EQUAL(pmo_service_store_type_count(service, 0, T0, &requests), 0);
    CU_ASSERT_EQUAL(requests, 7);
    CU_ASSERT_EQUAL(pmo_service_store_class(service, T0, 5), 1007);
    CU_ASSERT_EQUAL(pmo_service_store_total(service), 0);
    pmo_history_close(&history);
    pmo_store_free(&store);
    pmo_store_free(&again);
    end();
}

static void calls_come_back_as_calls(void)
{
    struct pmo_type type = {.direction = PMO_OUTBOUND,
                            .protocol = PMO_PROTOCOL_GRPC,
                            .method = PMO_METHOD_POST,
                            .status_class = 5,
                            .route = "/a",
                            .peer = "stock"};
    struct pmo_store *store = fresh_store(), *again = fresh_store();
    struct pmo_service_store *service = pmo_store_service(store, "front", true);
    struct pmo_counts counts = {.requests = 3};
    struct pmo_history *history;
    uint32_t requests;
    int stock = 0, address = 0;

    begin();
    history = opened();
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &counts), 0);
    (void)strcpy(type.peer, "198.51.100.7:443");
    CU_ASSERT_EQUAL(pmo_service_store_add(service, &type, T0, T0, &counts), 0);
    note(history, service, T0, 1000);
    pmo_history_close(&history);
    history = opened();
    CU_ASSERT_EQUAL(pmo_history_load(history, again, T0 + 10), 0);
    service = pmo_store_service(again, "front", false);
    CU_ASSERT_PTR_NOT_NULL_FATAL(service);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_types(service), 3);
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_peers(service), 2);
    for (size_t i = 0; i < 3; i++) {
        const struct pmo_type *is = pmo_service_store_type_at(service, i);

        if (is->direction != PMO_OUTBOUND)
            continue;
        CU_ASSERT_EQUAL(is->protocol, PMO_PROTOCOL_GRPC);
        CU_ASSERT_EQUAL(pmo_service_store_type_count(service, i, T0, &requests), 0);
        CU_ASSERT_EQUAL(requests, 3);
        stock += !strcmp(is->peer, "stock");
        address += !strcmp(is->peer, "198.51.100.7:443");
    }
    CU_ASSERT(stock == 1 && address == 1);
    CU_ASSERT_EQUAL(pmo_service_store_peer_answered(service, 0, T0, 1), 3);
    CU_ASSERT_EQUAL(pmo_service_store_peer_answered(service, 1, T0, 1), 3);
    CU_ASSERT_EQUAL(pmo_service_store_class(service, T0, 5), 1000);
    pmo_history_close(&history);
    pmo_store_free(&store);
    pmo_store_free(&again);
    end();
}

static void kill_minus_nine_loses_only_what_was_not_flushed(void)
{
    struct pmo_store *store = fresh_store();
    struct pmo_service_store *service = pmo_store_service(store, "front", true);
    struct pmo_history *history;
    pid_t child;
    int status;

    begin();
    child = fork();
    if (!child) {
        history = opened();
        for (int64_t t = T0; t < T0 + 10; t++)
            note(history, service, t, 3);
        (void)pmo_history_flush(history, T0 + 10);
        note(history, service, T0 + 10, 3);
        (void)raise(SIGKILL);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFSIGNALED(status));
    history = opened();
    CU_ASSERT_EQUAL(moved_aside(), 0);
    CU_ASSERT_EQUAL(pmo_history_last_second(history), T0 + 9);
    CU_ASSERT_EQUAL(ask("SELECT sum(requests) FROM counts"), 30);
    pmo_history_close(&history);
    pmo_store_free(&store);
    end();
}

static void a_count_that_came_before_the_flush_is_written(void)
{
    struct pmo_store *store = fresh_store();
    struct pmo_service_store *service = pmo_store_service(store, "front", true);
    struct pmo_history *history;

    begin();
    history = opened();
    note(history, service, T0, 3);
    count(service, "/late", T0, 4);
    CU_ASSERT_EQUAL(pmo_history_flush(history, T0 + 1), 0);
    CU_ASSERT_EQUAL(ask("SELECT sum(requests) FROM counts"), 7);
    pmo_history_close(&history);
    pmo_store_free(&store);
    end();
}

static void flush_until_rolled_up(struct pmo_history *history, int64_t now, int64_t rows)
{
    for (int i = 0; i < 1000 && ask("SELECT count(*) FROM spans") > rows; i++)
        CU_ASSERT_EQUAL(pmo_history_flush(history, now), 0);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM spans"), rows);
}

static void rolled_up_sums_are_exact(void)
{
    static const char sums[] = "SELECT sum(arrivals) * 1000 + sum(observed) + sum(memory_bytes)"
                               " + sum(rx_bytes) FROM spans";
    struct pmo_store *store = fresh_store();
    struct pmo_history *history;
    int64_t requests = 0, before;
    struct walk walk = {0};

    begin();
    history = opened();
    /* two services, an hour and ten minutes from a full hour on, every seventh second missing */
    for (int64_t t = T0 - T0 % HOUR; t < T0 - T0 % HOUR + 4200; t++) {
        for (int s = 0; s < 2 && t % 7; s++) {
            note(history, pmo_store_service(store, s ? "front" : "catalog", true), t, t % 13 + s);
            requests += t % 13 + s;
        }
        if (t % 500 == 0)
            CU_ASSERT_EQUAL(pmo_history_flush(history, t), 0);
    }
    CU_ASSERT_EQUAL(pmo_history_flush(history, T0 + 4200), 0);
    before = ask(sums);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM spans"), 7200);

    flush_until_rolled_up(history, T0 + DAY + 2 * HOUR, 2 * 70);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM spans WHERE length = 60"), 2 * 70);
    CU_ASSERT_EQUAL(ask("SELECT sum(requests) FROM counts"), requests);
    CU_ASSERT_EQUAL(ask(sums), before);

    /* the second hour has only ten minutes, and is one row too */
    flush_until_rolled_up(history, T0 + 31 * DAY, 2 * 2);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM spans WHERE length = 3600"), 2 * 2);
    CU_ASSERT_EQUAL(ask("SELECT sum(requests) FROM counts"), requests);
    CU_ASSERT_EQUAL(ask(sums), before);

    CU_ASSERT_EQUAL(pmo_history_arrivals(history, "front", 0, walk_row, &walk), 0);
    CU_ASSERT_EQUAL(walk.rows, 2);
    CU_ASSERT_EQUAL(walk.seconds, 3600);
    CU_ASSERT_DOUBLE_EQUAL(walk.arrivals,
                           (double)ask("SELECT sum(arrivals) FROM spans JOIN services"
                                       " ON id = service WHERE name = 'front'"),
                           1e-6);

    flush_until_rolled_up(history, T0 + 402 * DAY, 0);
    CU_ASSERT_EQUAL(ask("SELECT count(*) FROM counts"), 0);
    pmo_history_close(&history);
    pmo_store_free(&store);
    end();
}

static void arrivals_come_in_time_order_over_all_resolutions(void)
{
    struct pmo_store *store = fresh_store();
    struct pmo_service_store *service = pmo_store_service(store, "front", true);
    struct walk walk = {0}, stopped = {.stop = 5}, part = {0};
    struct pmo_history *history;
    int64_t start = T0 - T0 % HOUR;

    begin();
    history = opened();
    for (int64_t t = start; t < start + 180; t++)
        note(history, service, t, 2);
    CU_ASSERT_EQUAL(pmo_history_flush(history, start + 180), 0);
    /* two minutes are a day old */
    flush_until_rolled_up(history, start + 120 + DAY, 2 + 60);
    CU_ASSERT_EQUAL(pmo_history_arrivals(history, "front", start, walk_row, &walk), 0);
    CU_ASSERT_EQUAL(walk.rows, 62);
    CU_ASSERT_EQUAL(walk.arrivals, 360);
    CU_ASSERT_EQUAL(pmo_history_arrivals(history, "front", start + 170, walk_row, &part), 0);
    CU_ASSERT_EQUAL(part.rows, 10);
    CU_ASSERT_EQUAL(pmo_history_arrivals(history, "front", start, walk_row, &stopped), 5);
    CU_ASSERT_EQUAL(stopped.rows, 1);
    CU_ASSERT_EQUAL(pmo_history_arrivals(history, "nobody", start, walk_row, &walk), 0);
    CU_ASSERT_EQUAL(walk.rows, 62);
    pmo_history_close(&history);
    pmo_store_free(&store);
    end();
}

struct decisions {
    int64_t ids[8];
    char json[64];
    size_t count;
};

static int decision_row(void *context, int64_t id, const char *json)
{
    struct decisions *decisions = context;

    decisions->ids[decisions->count++] = id;
    (void)snprintf(decisions->json, sizeof(decisions->json), "%s", json);
    return 0;
}

struct minutes {
    int64_t t[8];
    uint32_t seconds[8], observed[8];
    double arrivals[8];
    unsigned int rows;
    int stop;
};

static int minute_row(void *context, int64_t t, uint32_t seconds, uint32_t observed,
                      double arrivals)
{
    struct minutes *minutes = context;

    CU_ASSERT_FATAL(minutes->rows < 8);
    minutes->t[minutes->rows] = t;
    minutes->seconds[minutes->rows] = seconds;
    minutes->observed[minutes->rows] = observed;
    minutes->arrivals[minutes->rows++] = arrivals;
    return minutes->stop;
}

static void minutes_are_read_beside_the_writer(void)
{
    struct pmo_store *store = fresh_store();
    struct pmo_service_store *service = pmo_store_service(store, "front", true);
    struct minutes minutes = {0}, part = {0}, stopped = {.stop = 7}, none = {0};
    struct pmo_history *history;
    int64_t start = T0 - T0 % HOUR;

    begin();
    CU_ASSERT_EQUAL(pmo_history_minutes(state_dir, "front", 0, minute_row, &none), -ENOENT);
    history = opened();
    for (int64_t t = start; t < start + 150; t++) /* two minutes and a half; 10 s are missing */
        if (t < start + 70 || t >= start + 80)
            note(history, service, t, (uint64_t)(t < start + 60 ? 2 : 3));
    CU_ASSERT_EQUAL(pmo_history_flush(history, start + 150), 0);
    flush_until_rolled_up(history, start + 60 + DAY, 1 + 50 + 30); /* the first one is a day old */
    CU_ASSERT_EQUAL(pmo_history_minutes(state_dir, "front", start, minute_row, &minutes), 0);
    CU_ASSERT_EQUAL(minutes.rows, 3);
    for (unsigned int i = 0; i < minutes.rows; i++) {
        CU_ASSERT_EQUAL(minutes.t[i], start + (int64_t)i * MINUTE);
        CU_ASSERT_EQUAL(minutes.seconds[i], MINUTE);
        CU_ASSERT_EQUAL(minutes.arrivals[i], i ? 3 : 2);
    }
    CU_ASSERT_EQUAL(minutes.observed[0], 60);
    CU_ASSERT_EQUAL(minutes.observed[1], 50);
    CU_ASSERT_EQUAL(minutes.observed[2], 30);
    CU_ASSERT_EQUAL(pmo_history_minutes(state_dir, "front", start + 120, minute_row, &part), 0);
    CU_ASSERT_EQUAL(part.rows, 1);
    part.rows = 0;
    CU_ASSERT_EQUAL(pmo_history_spans(state_dir, "front", start + 143, minute_row, &part), 0);
    CU_ASSERT_EQUAL(part.rows, 7); /* seconds as they are */
    CU_ASSERT_TRUE(part.t[6] == start + 149 && part.seconds[6] == 1 && part.observed[6] == 1);
    CU_ASSERT_EQUAL(pmo_history_minutes(state_dir, "front", 0, minute_row, &stopped), 7);
    CU_ASSERT_EQUAL(stopped.rows, 1);
    CU_ASSERT_EQUAL(pmo_history_minutes(state_dir, "nobody", 0, minute_row, &none), 0);
    CU_ASSERT_EQUAL(none.rows, 0);
    /* a month on, all is an hour */
    flush_until_rolled_up(history, start + 31 * DAY, 1);
    minutes.rows = 0;
    CU_ASSERT_EQUAL(pmo_history_minutes(state_dir, "front", 0, minute_row, &minutes), 0);
    CU_ASSERT_EQUAL(minutes.rows, 1);
    CU_ASSERT_EQUAL(minutes.seconds[0], HOUR);
    CU_ASSERT_EQUAL(minutes.observed[0], 140);
    CU_ASSERT_DOUBLE_EQUAL(minutes.arrivals[0] * 140, 60 * 2 + 80 * 3, 1e-9);
    pmo_history_close(&history);
    pmo_store_free(&store);
    end();
}

static void decisions_are_kept_newest_first(void)
{
    struct decisions all = {0}, of_front = {0}, one = {0};
    struct pmo_history *history;

    begin();
    history = opened();
    CU_ASSERT_EQUAL(pmo_history_last_decision(history), 0);
    CU_ASSERT_EQUAL(pmo_history_add_decision(history, 1, T0, "front", "{\"a\":1}"), 0);
    CU_ASSERT_EQUAL(pmo_history_add_decision(history, 2, T0 + 1, "catalog", "{}"), 0);
    CU_ASSERT_EQUAL(pmo_history_add_decision(history, 7, T0 + 2, "front", "{\"a\":7}"), 0);
    pmo_history_close(&history);
    history = opened();
    CU_ASSERT_EQUAL(pmo_history_last_decision(history), 7);
    CU_ASSERT_EQUAL(pmo_history_decisions(history, NULL, 0, 8, decision_row, &all), 0);
    CU_ASSERT_EQUAL(all.count, 3);
    CU_ASSERT_TRUE(all.ids[0] == 7 && all.ids[1] == 2 && all.ids[2] == 1);
    CU_ASSERT_EQUAL(pmo_history_decisions(history, "front", T0 + 1, 8, decision_row, &of_front), 0);
    CU_ASSERT_EQUAL(of_front.count, 1);
    CU_ASSERT_STRING_EQUAL(of_front.json, "{\"a\":7}");
    CU_ASSERT_EQUAL(pmo_history_decisions(history, "front", 0, 1, decision_row, &one), 0);
    CU_ASSERT_EQUAL(one.count, 1);
    pmo_history_close(&history);
    end();
}

static void what_was_learned_comes_back_in_the_form_it_was_kept_in(void)
{
    double learned[3] = {1, 2, 3}, back[3] = {0}, fewer[2];
    struct pmo_history *history;
    sqlite3 *db = NULL;

    begin();
    history = opened();
    CU_ASSERT_EQUAL(pmo_history_learned(history, "front", 1, back, sizeof(back)), -ENOENT);
    CU_ASSERT_EQUAL(pmo_history_keep_learned(history, "front", 1, fewer, sizeof(fewer)), 0);
    CU_ASSERT_EQUAL(pmo_history_keep_learned(history, "front", 1, learned, sizeof(learned)), 0);
    pmo_history_close(&history);
    history = opened();
    CU_ASSERT_EQUAL(pmo_history_learned(history, "front", 1, back, sizeof(back)), 0);
    CU_ASSERT_EQUAL(memcmp(back, learned, sizeof(back)), 0);
    CU_ASSERT_EQUAL(pmo_history_learned(history, "front", 2, back, sizeof(back)), -EPROTO);
    CU_ASSERT_EQUAL(pmo_history_learned(history, "front", 1, fewer, sizeof(fewer)), -EPROTO);
    CU_ASSERT_EQUAL(pmo_history_learned(history, "catalog", 1, back, sizeof(back)), -ENOENT);
    pmo_history_close(&history);

    /* a file from before there was any of this */
    CU_ASSERT_EQUAL_FATAL(sqlite3_open(database, &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "DROP TABLE learned", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    history = opened();
    CU_ASSERT_EQUAL(moved_aside(), 0);
    CU_ASSERT_EQUAL(pmo_history_learned(history, "front", 1, back, sizeof(back)), -ENOENT);
    pmo_history_close(&history);
    end();
}

static void a_file_that_is_no_database_is_moved_aside(void)
{
    static const char text[] = "this was never a database, whatever its name says, and it is long "
                               "enough for a header of one hundred bytes, which SQLite looks at";
    struct pmo_history *history;

    begin();
    pmo_log_max = PMO_LOG_ERROR;
    write_file(database, 0, text, sizeof(text));
    history = opened();
    CU_ASSERT_EQUAL(moved_aside(), 1);
    CU_ASSERT_EQUAL(pmo_history_add_decision(history, 1, T0, "front", "{}"), 0);
    pmo_history_close(&history);

    /* twice in the same second: the first one is still there */
    write_file(database, 0, text, sizeof(text));
    history = opened();
    CU_ASSERT_EQUAL(moved_aside(), 2);
    pmo_history_close(&history);
    pmo_log_max = PMO_LOG_INFO;
    end();
}

static void another_schema_is_moved_aside(void)
{
    static const char *const changes[] = {"PRAGMA user_version = 2", "DROP TABLE counts",
                                          "ALTER TABLE spans RENAME COLUMN observed TO seen",
                                          "PRAGMA user_version = 0"};
    struct pmo_history *history;

    begin();
    pmo_log_max = PMO_LOG_ERROR;
    for (int i = 0; i < 4; i++) {
        history = opened();
        CU_ASSERT_EQUAL(moved_aside(), i);
        pmo_history_close(&history);
        (void)ask(changes[i]);
    }
    history = opened();
    CU_ASSERT_EQUAL(moved_aside(), 4);
    pmo_history_close(&history);
    pmo_log_max = PMO_LOG_INFO;
    end();
}

static void a_file_that_breaks_later_is_replaced_and_nothing_pending_is_lost(void)
{
    struct pmo_store *store = fresh_store(), *again = fresh_store();
    struct pmo_service_store *service = pmo_store_service(store, "front", true);
    struct pmo_history *history;
    struct stat st;
    char noise[4096];

    begin();
    pmo_log_max = PMO_LOG_ERROR;
    history = opened();
    for (int64_t t = T0; t < T0 + 1000; t++)
        note(history, service, t, 2);
    pmo_history_close(&history);
    CU_ASSERT_EQUAL(stat(database, &st), 0);
    memset(noise, 0xa5, sizeof(noise));
    for (off_t at = 4096; at < st.st_size; at += (off_t)sizeof(noise))
        write_file(database, at, noise, sizeof(noise)); /* all but the schema */

    history = opened(); /* not noticed yet */
    CU_ASSERT_EQUAL(moved_aside(), 0);
    note(history, service, T0 + 1000, 9);
    CU_ASSERT_EQUAL(pmo_history_flush(history, T0 + 1001), 0);
    CU_ASSERT_EQUAL(moved_aside(), 1);
    CU_ASSERT_EQUAL(ask("SELECT sum(requests) FROM counts"), 9);
    pmo_history_close(&history);

    /* a truncated file is noticed on loading, and what comes next is kept */
    CU_ASSERT_EQUAL(truncate(database, 4096), 0);
    history = opened();
    CU_ASSERT_EQUAL(pmo_history_load(history, again, T0 + 1001), 0);
    CU_ASSERT_EQUAL(moved_aside(), 2);
    CU_ASSERT_EQUAL(pmo_store_services(again), 0);
    CU_ASSERT_EQUAL(pmo_history_add_decision(history, 1, T0, "front", "{}"), 0);
    CU_ASSERT_EQUAL(pmo_history_last_decision(history), 1);
    pmo_history_close(&history);
    pmo_log_max = PMO_LOG_INFO;
    pmo_store_free(&store);
    pmo_store_free(&again);
    end();
}

static void what_a_lock_kept_out_is_written_with_the_next_flush(void)
{
    struct pmo_store *store = fresh_store();
    struct pmo_service_store *service = pmo_store_service(store, "front", true);
    struct pmo_history *history;
    sqlite3 *other = NULL;

    begin();
    history = opened();
    CU_ASSERT_EQUAL(sqlite3_open(database, &other), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    note(history, service, T0, 3);
    pmo_log_max = (enum pmo_log_level)0;
    CU_ASSERT_EQUAL(pmo_history_flush(history, T0 + 1), -EBUSY);
    pmo_log_max = PMO_LOG_INFO;
    (void)sqlite3_close(other);
    note(history, service, T0 + 1, 4);
    CU_ASSERT_EQUAL(pmo_history_flush(history, T0 + 2), 0);
    CU_ASSERT_EQUAL(ask("SELECT sum(requests) FROM counts"), 7);
    pmo_history_close(&history);
    pmo_store_free(&store);
    end();
}

static void a_state_directory_is_made_and_a_wrong_one_refused(void)
{
    struct pmo_history *history = NULL;
    char path[128];

    begin();
    (void)snprintf(path, sizeof(path), "%s/new", state_dir);
    CU_ASSERT_EQUAL(pmo_history_open(&history, path), 0);
    pmo_history_close(&history);
    pmo_log_max = (enum pmo_log_level)0;
    (void)snprintf(path, sizeof(path), "%s/new/history.db", state_dir);
    CU_ASSERT_EQUAL(pmo_history_open(&history, path), -ENOTDIR);
    (void)snprintf(path, sizeof(path), "%s/no/such", state_dir);
    CU_ASSERT_EQUAL(pmo_history_open(&history, path), -ENOENT);
    CU_ASSERT_PTR_NULL(history);
    pmo_log_max = PMO_LOG_INFO;
    end();
}

SUITE(history) = {
    TEST(a_second_comes_back_after_a_restart_as_it_was),
    TEST(calls_come_back_as_calls),
    TEST(kill_minus_nine_loses_only_what_was_not_flushed),
    TEST(a_count_that_came_before_the_flush_is_written),
    TEST(rolled_up_sums_are_exact),
    TEST(arrivals_come_in_time_order_over_all_resolutions),
    TEST(minutes_are_read_beside_the_writer),
    TEST(decisions_are_kept_newest_first),
    TEST(what_was_learned_comes_back_in_the_form_it_was_kept_in),
    TEST(a_file_that_is_no_database_is_moved_aside),
    TEST(another_schema_is_moved_aside),
    TEST(a_file_that_breaks_later_is_replaced_and_nothing_pending_is_lost),
    TEST(what_a_lock_kept_out_is_written_with_the_next_flush),
    TEST(a_state_directory_is_made_and_a_wrong_one_refused),
    {0},
};
