/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * History is one table of spans and one of the counts in them. A span is a second, a minute or an
 * hour of a service. All its columns but the latencies are sums over the seconds that were observed
 * in it, gauges too (a memory of 60 GB in a minute with 60 observed seconds is 1 GB), so that
 * rolling up is adding, and loses nothing but the resolution.
 *
 * What is pending is a list of (service, second): the store remembers the last hour anyway, so a
 * flush that fails (the disk is full, somebody holds a lock, the file broke) is tried again with
 * the next one, and a count that came late, but before the flush, is written too.
 */
#include "agent/series/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/series/history_file.h"

#define ROLL_PERIOD    60                  /* seconds */
#define ROLL_BUDGET_NS (20 * 1000 * 1000L) /* a backlog is rolled up bit by bit */

/* Above the protocol in its column, as the tables are older than calls: the direction, and who is
 * asked, by its row in the table of services. */
#define DIRECTION 8
#define PEER      16

#define MINUTE 60
#define HOUR   3600
#define DAY    (24 * HOUR)

/* Spans of a length are rolled up into the next longer ones when they are this old. */
static const struct resolution {
    int64_t length, into, kept;
} resolutions[] = {
    {1, MINUTE, DAY},
    {MINUTE, HOUR, 30LL * DAY},
    {HOUR, 0, 400LL * DAY}, /* into nothing: deleted */
};
#define RESOLUTIONS (sizeof(resolutions) / sizeof(*resolutions))

/* Row numbers on disk of a service and of its types, by their index in the store. */
struct known_service {
    const struct pmo_service_store *store;
    int64_t id; /* 0: not asked for yet */
    int64_t *types;
    size_t types_count;
};

struct pending {
    const struct pmo_service_store *service;
    int64_t t;
};

struct pmo_history {
    struct pmo_history_file file;
    struct known_service *known;
    size_t known_count;
    struct pending *pending;
    size_t pending_count, pending_room;
    int64_t roll_due;     /* second of the next rolling up */
    int64_t roll_service; /* the last service that was looked at */
};

static void forget_known(struct pmo_history *history)
{
    for (size_t i = 0; i < history->known_count; i++)
        free(history->known[i].types);
    free(TAKE_PTR(history->known));
    history->known_count = 0;
}

struct pmo_history_file *pmo_history_file_of(struct pmo_history *history)
{
    return &history->file;
}

int pmo_history_settle(struct pmo_history *history, int rc, const char *doing)
{
    int r = pmo_history_file_settle(&history->file, rc, doing);

    if (r)
        forget_known(history);
    return r;
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct known_service *known_service(struct pmo_history *history,
                                           const struct pmo_service_store *store)
{
    struct known_service *more;

    for (size_t i = 0; i < history->known_count; i++)
        if (history->known[i].store == store)
            return &history->known[i];
    more = reallocarray(history->known, history->known_count + 1, sizeof(*more));
    if (!more)
        return NULL;
    history->known = more;
    more[history->known_count] = (struct known_service){.store = store};
    return &more[history->known_count++];
}

static int name_id(struct pmo_history *history, const char *name, int64_t *id)
{
    (void)sqlite3_bind_text(history->file.statements[SQL_SERVICE_ID], 1, name, -1, SQLITE_STATIC);
    return pmo_history_file_run(&history->file, SQL_SERVICE_ID, id);
}

static int service_id(struct pmo_history *history, struct known_service *service)
{
    if (service->id)
        return SQLITE_OK;
    return name_id(history, pmo_service_store_name(service->store), &service->id);
}

static int type_id(struct pmo_history *history, struct known_service *service, size_t i,
                   int64_t *id)
{
    const struct pmo_type *type = pmo_service_store_type_at(service->store, i);
    sqlite3_stmt *statement;
    int64_t peer = 0;
    int rc = SQLITE_OK;

    if (i >= service->types_count) {
        size_t count = pmo_service_store_types(service->store);
        int64_t *more = reallocarray(service->types, count, sizeof(*more));

        if (!more)
            return SQLITE_NOMEM;
        memset(more + service->types_count, 0, (count - service->types_count) * sizeof(*more));
        service->types = more;
        service->types_count = count;
    }
    if (!service->types[i] && type->peer[0])
        rc = name_id(history, type->peer, &peer);
    if (rc == SQLITE_OK && !service->types[i]) {
        statement = pmo_history_file_bind(
            &history->file, SQL_TYPE_ID,
            type->protocol | type->direction << DIRECTION | peer << PEER, type->method);
        (void)sqlite3_bind_int64(statement, 3, type->status_class);
        (void)sqlite3_bind_int64(statement, 4, type->zone);
        (void)sqlite3_bind_text(statement, 5, type->route, -1, SQLITE_STATIC);
        rc = pmo_history_file_run(&history->file, SQL_TYPE_ID, &service->types[i]);
    }
    *id = service->types[i];
    return rc;
}

static int write_second(struct pmo_history *history, const struct pending *pending)
{
    struct known_service *service = known_service(history, pending->service);
    struct pmo_service_second second;
    sqlite3_stmt *statement;
    uint32_t requests;
    int64_t type;
    int rc;

    if (!service)
        return SQLITE_NOMEM;
    if (pmo_service_store_second(pending->service, pending->t, &second))
        return SQLITE_OK; /* it waited for more than an hour */
    rc = service_id(history, service);
    if (rc != SQLITE_OK)
        return rc;
    statement = pmo_history_file_bind(&history->file, SQL_ADD_SPAN, service->id, pending->t);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)second.arrivals);
    (void)sqlite3_bind_double(statement, 4, second.in_flight);
    (void)sqlite3_bind_double(statement, 5, second.cpu_seconds);
    (void)sqlite3_bind_double(statement, 6, second.memory_bytes);
    (void)sqlite3_bind_double(statement, 7, second.rx_bytes);
    (void)sqlite3_bind_double(statement, 8, second.tx_bytes);
    (void)sqlite3_bind_int64(statement, 9, (int64_t)second.syns);
    (void)sqlite3_bind_int64(statement, 10, (int64_t)second.connections);
    (void)sqlite3_bind_int64(statement, 11, second.ready);
    (void)sqlite3_bind_int64(statement, 12, second.starting);
    (void)sqlite3_bind_double(statement, 13, second.latency_p50_us); /* NAN is NULL */
    (void)sqlite3_bind_double(statement, 14, second.latency_p99_us);
    rc = pmo_history_file_run(&history->file, SQL_ADD_SPAN, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < pmo_service_store_types(pending->service); i++) {
        if (pmo_service_store_type_count(pending->service, i, pending->t, &requests) || !requests)
            continue;
        rc = type_id(history, service, i, &type);
        if (rc != SQLITE_OK)
            break;
        statement = pmo_history_file_bind(&history->file, SQL_ADD_COUNT, service->id, pending->t);
        (void)sqlite3_bind_int64(statement, 3, type);
        (void)sqlite3_bind_int64(statement, 4, requests);
        rc = pmo_history_file_run(&history->file, SQL_ADD_COUNT, NULL);
    }
    return rc;
}

static int write_once(struct pmo_history *history)
{
    int rc;

    if (!history->file.db)
        return -EIO;
    if (!history->pending_count)
        return 0;
    rc = pmo_history_file_run(&history->file, SQL_BEGIN, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < history->pending_count; i++)
        rc = write_second(history, &history->pending[i]);
    if (rc == SQLITE_OK)
        rc = pmo_history_file_run(&history->file, SQL_COMMIT, NULL);
    if (rc == SQLITE_OK)
        history->pending_count = 0;
    return pmo_history_settle(history, rc, "write to");
}

static int write_pending(struct pmo_history *history)
{
    int r = write_once(history);

    return r == -EUCLEAN ? write_once(history) : r;
}

int pmo_history_add(struct pmo_history *history, const struct pmo_service_store *service, int64_t t)
{
    size_t room = history->pending_room ? history->pending_room * 2 : 64;
    struct pending *more;

    if (history->pending_count == history->pending_room) {
        more = reallocarray(history->pending, room, sizeof(*more));
        if (!more)
            return -ENOMEM;
        history->pending = more;
        history->pending_room = room;
    }
    history->pending[history->pending_count++] = (struct pending){service, t};
    return 0;
}

/* What failed to be written for an hour is not in memory any more. */
static void drop_old(struct pmo_history *history, int64_t now)
{
    size_t kept = 0;

    for (size_t i = 0; i < history->pending_count; i++)
        if (history->pending[i].t > now - PMO_SERIES_SECONDS)
            history->pending[kept++] = history->pending[i];
    history->pending_count = kept;
}

/* ---- opening --------------------------------------------------------------------------------- */

int pmo_history_open(struct pmo_history **history, const char *state_dir)
{
    _cleanup_free_ struct pmo_history *made = calloc(1, sizeof(*made));
    int fd, r;

    if (!made)
        return -ENOMEM;
    r = snprintf(made->file.path, sizeof(made->file.path), "%s/history.db", state_dir);
    if (r >= (int)sizeof(made->file.path))
        return pmo_err_r(ENAMETOOLONG, "cannot open history in %s", state_dir);
    if (mkdir(state_dir, 0750) && errno != EEXIST)
        return pmo_err_r(errno, "cannot make the state directory %s", state_dir);
    /* SQLite would say "unable to open database file"; the system says why. Closed before SQLite
     * locks the file: any close() drops a process's locks. */
    fd = open(made->file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0 || close(fd))
        return pmo_err_r(errno, "cannot open history %s", made->file.path);
    r = pmo_history_file_open(&made->file);
    if (r)
        return r;
    *history = TAKE_PTR(made);
    return 0;
}

void pmo_history_close(struct pmo_history **history)
{
    if (!*history)
        return;
    (void)write_pending(*history);
    pmo_history_file_close(&(*history)->file);
    forget_known(*history);
    free((*history)->pending);
    free(*history);
    *history = NULL;
}

/* ---- rolling up ------------------------------------------------------------------------------ */

/* Rolls up the oldest minute or hour of one resolution of one service, where it is due. */
static int roll_oldest(struct pmo_history *history, int64_t service,
                       const struct resolution *resolution, int64_t now, bool *rolled)
{
    static const enum pmo_history_statement steps[] = {SQL_ROLL_SPANS, SQL_ROLL_COUNTS,
                                                       SQL_DELETE_SPANS, SQL_DELETE_COUNTS};
    int64_t span = resolution->into ? resolution->into : resolution->length, oldest = 0;
    int rc;

    (void)pmo_history_file_bind(&history->file, SQL_OLDEST, service, resolution->length);
    rc = pmo_history_file_run(&history->file, SQL_OLDEST, &oldest);
    oldest -= oldest % span;
    if (rc != SQLITE_OK || !oldest || oldest + span > now - resolution->kept)
        return rc;
    for (size_t i = resolution->into ? 0 : 2; rc == SQLITE_OK && i < 4; i++) {
        sqlite3_stmt *statement =
            pmo_history_file_bind(&history->file, steps[i], service, resolution->length);

        (void)sqlite3_bind_int64(statement, 3, span);
        (void)sqlite3_bind_int64(statement, 4, oldest);
        rc = pmo_history_file_run(&history->file, steps[i], NULL);
    }
    *rolled = true;
    return rc;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* One round over all services, a minute and an hour of each, cut off when it takes too long. @more:
 * there is more to do at once. */
static int roll_round(struct pmo_history *history, int64_t now, bool *more)
{
    int64_t until = monotonic_ns() + ROLL_BUDGET_NS, service;
    bool whole = !history->roll_service; /* from the first service on, not from where one was cut */
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && monotonic_ns() < until) {
        service = 0;
        (void)sqlite3_bind_int64(history->file.statements[SQL_SERVICES], 1, history->roll_service);
        rc = pmo_history_file_run(&history->file, SQL_SERVICES, &service);
        history->roll_service = service;
        if (!service) {
            *more |= !whole;
            return rc;
        }
        for (size_t i = 0; rc == SQLITE_OK && i < RESOLUTIONS; i++)
            rc = roll_oldest(history, service, &resolutions[i], now, more);
    }
    *more = true;
    return rc;
}

static int roll_up(struct pmo_history *history, int64_t now)
{
    bool more = false;
    int rc = pmo_history_file_run(&history->file, SQL_BEGIN, NULL);

    if (rc == SQLITE_OK)
        rc = roll_round(history, now, &more);
    if (rc == SQLITE_OK && !more) {
        (void)sqlite3_bind_int64(history->file.statements[SQL_DELETE_DECISIONS], 1,
                                 now - resolutions[RESOLUTIONS - 1].kept);
        rc = pmo_history_file_run(&history->file, SQL_DELETE_DECISIONS, NULL);
    }
    if (rc == SQLITE_OK && !more) {
        (void)pmo_history_file_bind(&history->file, SQL_DELETE_AUDIT,
                                    now - resolutions[RESOLUTIONS - 1].kept, PMO_AUDIT_MAX);
        rc = pmo_history_file_run(&history->file, SQL_DELETE_AUDIT, NULL);
    }
    if (rc == SQLITE_OK)
        rc = pmo_history_file_run(&history->file, SQL_COMMIT, NULL);
    history->roll_due = more ? now : now + ROLL_PERIOD;
    return pmo_history_settle(history, rc, "roll up");
}

int pmo_history_flush(struct pmo_history *history, int64_t now)
{
    int r = write_pending(history);

    if (r)
        drop_old(history, now);
    if (r || now < history->roll_due)
        return r;
    r = roll_up(history, now);
    return r == -EUCLEAN ? 0 : r;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int load_spans(struct pmo_history *history, struct pmo_store *store, int64_t now, int *r)
{
    sqlite3_stmt *row =
        pmo_history_file_bind(&history->file, SQL_LOAD_SPANS, now - PMO_SERIES_SECONDS, now);
    struct pmo_service_store *service;
    int rc = SQLITE_DONE;

    while (!*r && (rc = sqlite3_step(row)) == SQLITE_ROW) {
        struct pmo_service_second second = {
            .arrivals = sqlite3_column_double(row, 2),
            .in_flight = sqlite3_column_double(row, 3),
            .cpu_seconds = sqlite3_column_double(row, 4),
            .memory_bytes = sqlite3_column_double(row, 5),
            .rx_bytes = sqlite3_column_double(row, 6),
            .tx_bytes = sqlite3_column_double(row, 7),
            .syns = sqlite3_column_double(row, 8),
            .connections = sqlite3_column_double(row, 9),
            .ready = (uint32_t)sqlite3_column_int64(row, 10),
            .starting = (uint32_t)sqlite3_column_int64(row, 11),
            .latency_p50_us = sqlite3_column_double(row, 12), /* NULL reads as 0: no answer */
            .latency_p99_us = sqlite3_column_double(row, 13),
        };

        service = pmo_store_service(store, (const char *)sqlite3_column_text(row, 0), true);
        *r = service ? pmo_service_store_restore(service, sqlite3_column_int64(row, 1), &second)
                     : -ENOMEM;
    }
    (void)sqlite3_reset(row);
    return *r || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int load_counts(struct pmo_history *history, struct pmo_store *store, int64_t now, int *r)
{
    sqlite3_stmt *row =
        pmo_history_file_bind(&history->file, SQL_LOAD_COUNTS, now - PMO_SERIES_SECONDS, now);
    struct pmo_service_store *service;
    int rc = SQLITE_DONE;

    while (!*r && (rc = sqlite3_step(row)) == SQLITE_ROW) {
        struct pmo_type type = {
            .direction = (uint8_t)(sqlite3_column_int64(row, 3) >> DIRECTION),
            .protocol = (uint8_t)sqlite3_column_int64(row, 3),
            .method = (uint8_t)sqlite3_column_int64(row, 4),
            .status_class = (uint8_t)sqlite3_column_int64(row, 5),
            .zone = (uint8_t)sqlite3_column_int64(row, 6),
        };

        (void)snprintf(type.route, sizeof(type.route), "%s",
                       (const char *)sqlite3_column_text(row, 7));
        (void)snprintf(type.peer, sizeof(type.peer), "%s",
                       (const char *)sqlite3_column_text(row, 8));
        service = pmo_store_service(store, (const char *)sqlite3_column_text(row, 0), true);
        *r = service ? pmo_service_store_restore_type(service, &type, sqlite3_column_int64(row, 1),
                                                      (uint64_t)sqlite3_column_int64(row, 2))
                     : -ENOMEM;
    }
    (void)sqlite3_reset(row);
    return *r || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pmo_history_load(struct pmo_history *history, struct pmo_store *store, int64_t now)
{
    int r = 0, rc;

    if (!history->file.db)
        return -EIO;
    rc = load_spans(history, store, now, &r);
    if (rc == SQLITE_OK && !r)
        rc = load_counts(history, store, now, &r);
    if (rc != SQLITE_OK)
        r = pmo_history_settle(history, rc, "read");
    return r == -EUCLEAN ? 0 : r; /* warned of; what could be read is there */
}

int pmo_history_arrivals(struct pmo_history *history, const char *service, int64_t since,
                         pmo_history_row_fn row, void *context)
{
    int r = 0, rc = SQLITE_DONE;

    if (!history->file.db)
        return -EIO;
    /* the longer its spans, the older it is */
    for (size_t i = RESOLUTIONS; i-- && !r && rc == SQLITE_DONE;) {
        sqlite3_stmt *span = history->file.statements[SQL_ARRIVALS];

        (void)sqlite3_bind_text(span, 1, service, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(span, 2, resolutions[i].length);
        (void)sqlite3_bind_int64(span, 3, since);
        while (!r && (rc = sqlite3_step(span)) == SQLITE_ROW) {
            double observed = sqlite3_column_double(span, 1);

            r = row(context, sqlite3_column_int64(span, 0), (uint32_t)observed,
                    sqlite3_column_double(span, 2) / observed);
        }
        (void)sqlite3_reset(span);
    }
    return r || rc == SQLITE_DONE ? r : pmo_history_settle(history, rc, "read");
}

/* @least: seconds to which shorter spans are added up */
static int walk_spans(sqlite3 *db, const char *service, int64_t since, int64_t least,
                      pmo_history_minute_fn row, void *context)
{
    static const char sql[] =
        "SELECT t - t % ?2 AS minute, sum(observed), sum(arrivals) FROM spans"
        " WHERE service = (SELECT id FROM services WHERE name = ?1) AND length = ?3 AND t >= ?4"
        " GROUP BY minute ORDER BY minute";
    sqlite3_stmt *minute = NULL;
    int r = 0, rc = sqlite3_prepare_v2(db, sql, -1, &minute, NULL);

    for (size_t i = RESOLUTIONS; i-- && !r && (rc == SQLITE_OK || rc == SQLITE_DONE);) {
        int64_t seconds = resolutions[i].length > least ? resolutions[i].length : least;

        (void)sqlite3_bind_text(minute, 1, service, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(minute, 2, seconds);
        (void)sqlite3_bind_int64(minute, 3, resolutions[i].length);
        (void)sqlite3_bind_int64(minute, 4, since);
        while (!r && (rc = sqlite3_step(minute)) == SQLITE_ROW) {
            double observed = sqlite3_column_double(minute, 1);

            r = row(context, sqlite3_column_int64(minute, 0), (uint32_t)seconds, (uint32_t)observed,
                    sqlite3_column_double(minute, 2) / observed);
        }
        (void)sqlite3_reset(minute);
    }
    (void)sqlite3_finalize(minute);
    return r || rc == SQLITE_DONE ? r : -EIO;
}

/* A connection of its own, with one view of all resolutions: what is rolled up meanwhile is there
 * once. */
static int open_view(const char *state_dir, sqlite3 **db)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/history.db", state_dir) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    if (access(path, F_OK))
        return -errno;
    if (sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(*db, 1000) == SQLITE_OK &&
        sqlite3_exec(*db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    (void)sqlite3_close(*db);
    return -EIO;
}

static int view_spans(const char *state_dir, const char *service, int64_t since, int64_t least,
                      pmo_history_minute_fn row, void *context)
{
    sqlite3 *db = NULL;
    int r = open_view(state_dir, &db);

    if (r)
        return r;
    r = walk_spans(db, service, since, least, row, context);
    (void)sqlite3_close(db);
    return r;
}

int pmo_history_minutes(const char *state_dir, const char *service, int64_t since,
                        pmo_history_minute_fn row, void *context)
{
    return view_spans(state_dir, service, since, MINUTE, row, context);
}

int pmo_history_spans(const char *state_dir, const char *service, int64_t since,
                      pmo_history_minute_fn row, void *context)
{
    return view_spans(state_dir, service, since, 1, row, context);
}

int pmo_history_instance_seconds(const char *state_dir, const char *service, int64_t since,
                                 double *instance_seconds)
{
    sqlite3_stmt *sum = NULL;
    sqlite3 *db = NULL;
    int r = open_view(state_dir, &db);

    if (r)
        return r;
    r = -EIO;
    if (sqlite3_prepare_v2(db,
                           "SELECT coalesce(sum(ready + starting), 0) FROM spans"
                           " WHERE service = (SELECT id FROM services WHERE name = ?1)"
                           " AND t >= ?2",
                           -1, &sum, NULL) == SQLITE_OK &&
        sqlite3_bind_text(sum, 1, service, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_int64(sum, 2, since) == SQLITE_OK && sqlite3_step(sum) == SQLITE_ROW) {
        *instance_seconds = sqlite3_column_double(sum, 0);
        r = 0;
    }
    (void)sqlite3_finalize(sum);
    (void)sqlite3_close(db);
    return r;
}

/* ---- decisions ------------------------------------------------------------------------------- */

int pmo_history_add_decision(struct pmo_history *history, int64_t id, int64_t t,
                             const char *service, const char *json)
{
    sqlite3_stmt *statement;
    int r = -EUCLEAN;

    for (int attempt = 0; r == -EUCLEAN && attempt < 2; attempt++) {
        if (!history->file.db)
            return -EIO;
        statement = pmo_history_file_bind(&history->file, SQL_ADD_DECISION, id, t);
        (void)sqlite3_bind_text(statement, 3, service, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(statement, 4, json, -1, SQLITE_STATIC);
        r = pmo_history_settle(
            history, pmo_history_file_run(&history->file, SQL_ADD_DECISION, NULL), "write to");
    }
    return r;
}

int pmo_history_decisions(struct pmo_history *history, const char *service, int64_t since,
                          unsigned int limit, pmo_history_decision_fn row, void *context)
{
    sqlite3_stmt *decision;
    int r = 0, rc = SQLITE_DONE;

    if (!history->file.db)
        return -EIO;
    decision = history->file.statements[SQL_DECISIONS];
    (void)sqlite3_bind_int64(decision, 1, since);
    (void)sqlite3_bind_text(decision, 2, service, -1, SQLITE_STATIC); /* NULL: of any */
    (void)sqlite3_bind_int64(decision, 3, limit);
    while (!r && (rc = sqlite3_step(decision)) == SQLITE_ROW)
        r = row(context, sqlite3_column_int64(decision, 0),
                (const char *)sqlite3_column_text(decision, 1));
    (void)sqlite3_reset(decision);
    return r || rc == SQLITE_DONE ? r : pmo_history_settle(history, rc, "read");
}

int pmo_history_keep_learned(struct pmo_history *history, const char *service, int64_t version,
                             const void *state, size_t size)
{
    sqlite3_stmt *statement;
    int r = -EUCLEAN;

    for (int attempt = 0; r == -EUCLEAN && attempt < 2; attempt++) {
        if (!history->file.db)
            return -EIO;
        statement = history->file.statements[SQL_KEEP_LEARNED];
        (void)sqlite3_bind_text(statement, 1, service, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 2, version);
        (void)sqlite3_bind_blob64(statement, 3, state, size, SQLITE_STATIC);
        r = pmo_history_settle(
            history, pmo_history_file_run(&history->file, SQL_KEEP_LEARNED, NULL), "write to");
    }
    return r;
}

int pmo_history_learned(struct pmo_history *history, const char *service, int64_t version,
                        void *state, size_t size)
{
    sqlite3_stmt *statement;
    int r = -ENOENT, rc;

    if (!history->file.db)
        return -EIO;
    statement = history->file.statements[SQL_LEARNED];
    (void)sqlite3_bind_text(statement, 1, service, -1, SQLITE_STATIC);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        const void *kept = sqlite3_column_blob(statement, 1);

        r = -EPROTO;
        if (kept && sqlite3_column_int64(statement, 0) == version &&
            (size_t)sqlite3_column_bytes(statement, 1) == size) {
            memcpy(state, kept, size);
            r = 0;
        }
    }
    (void)sqlite3_reset(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? r : pmo_history_settle(history, rc, "read");
}

int64_t pmo_history_last_decision(struct pmo_history *history)
{
    int64_t id = 0;

    if (history->file.db)
        (void)pmo_history_settle(
            history, pmo_history_file_run(&history->file, SQL_LAST_DECISION, &id), "read");
    return id;
}

int64_t pmo_history_last_second(struct pmo_history *history)
{
    int64_t t = 0;

    if (history->file.db)
        (void)pmo_history_settle(history, pmo_history_file_run(&history->file, SQL_LAST_SECOND, &t),
                                 "read");
    return t;
}
