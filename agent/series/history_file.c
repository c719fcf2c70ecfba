/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * WAL with synchronous=NORMAL (sqlite.org/wal.html, pragma.html#pragma_synchronous): kill -9 loses
 * nothing that was committed, a power cut may lose the last commits, neither breaks the file. A
 * file that is broken all the same is seen when it is used: preparing the statements checks the
 * schema, and a page that makes no sense is SQLITE_CORRUPT whenever it is read (PRAGMA quick_check
 * would read them all at each start). It is moved aside then, and nothing of it is deleted.
 */
#include "agent/series/history_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define SCHEMA_VERSION  1
#define BUSY_TIMEOUT_MS 250

static const char schema[] =
    "BEGIN;"
    "CREATE TABLE services (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE types ("
    " id INTEGER PRIMARY KEY, protocol INTEGER NOT NULL, method INTEGER NOT NULL,"
    " status_class INTEGER NOT NULL, zone INTEGER NOT NULL, route TEXT NOT NULL,"
    " UNIQUE (route, method, status_class, protocol, zone));"
    "CREATE TABLE spans ("
    " service INTEGER NOT NULL, length INTEGER NOT NULL, t INTEGER NOT NULL," /* [t, t + length) */
    " observed INTEGER NOT NULL,"
    " arrivals INTEGER NOT NULL, in_flight REAL NOT NULL, cpu_seconds REAL NOT NULL,"
    " memory_bytes REAL NOT NULL, rx_bytes REAL NOT NULL, tx_bytes REAL NOT NULL,"
    " syns INTEGER NOT NULL, connections INTEGER NOT NULL, ready INTEGER NOT NULL,"
    " starting INTEGER NOT NULL,"
    " latency_p50_us REAL, latency_p99_us REAL," /* rolled up: the mean, the greatest */
    " PRIMARY KEY (service, length, t)) WITHOUT ROWID;"
    "CREATE TABLE counts ("
    " service INTEGER NOT NULL, length INTEGER NOT NULL, t INTEGER NOT NULL,"
    " type INTEGER NOT NULL, requests INTEGER NOT NULL,"
    " PRIMARY KEY (service, length, t, type)) WITHOUT ROWID;"
    "CREATE TABLE decisions ("
    " id INTEGER PRIMARY KEY, t INTEGER NOT NULL, service TEXT NOT NULL, json TEXT NOT NULL);"
    "PRAGMA user_version = 1;"
    "COMMIT;";
_Static_assert(SCHEMA_VERSION == 1, "the pragma above says so too");

/* Tables that came later. An agent that does not know them leaves them alone, so they need no
 * version of their own. */
static const char later[] =
    "CREATE TABLE IF NOT EXISTS audit ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, t INTEGER NOT NULL, kind TEXT NOT NULL,"
    " service TEXT NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS pauses ("
    " service TEXT PRIMARY KEY, since INTEGER NOT NULL, until INTEGER NOT NULL,"
    " reason TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS learned ("
    " service TEXT PRIMARY KEY, version INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;";

static const char *const statements[SQL_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SERVICE_ID] = "INSERT INTO services (name) VALUES (?1)"
                       " ON CONFLICT DO UPDATE SET name = name RETURNING id",
    [SQL_TYPE_ID] = "INSERT INTO types (protocol, method, status_class, zone, route)"
                    " VALUES (?1, ?2, ?3, ?4, ?5)"
                    " ON CONFLICT DO UPDATE SET route = route RETURNING id",
    [SQL_ADD_SPAN] = "INSERT OR REPLACE INTO spans VALUES"
                     " (?1, 1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [SQL_ADD_COUNT] = "INSERT OR REPLACE INTO counts VALUES (?1, 1, ?2, ?3, ?4)",
    [SQL_LOAD_SPANS] =
        "SELECT name, t, arrivals, in_flight, cpu_seconds, memory_bytes, rx_bytes,"
        " tx_bytes, syns, connections, ready, starting, latency_p50_us, latency_p99_us"
        " FROM services CROSS JOIN spans ON service = id"
        " WHERE length = 1 AND t > ?1 AND t <= ?2",
    [SQL_LOAD_COUNTS] = "SELECT services.name, t, requests, protocol, method, status_class, zone,"
                        " route, coalesce(peers.name, '')"
                        " FROM services CROSS JOIN counts ON service = services.id"
                        " CROSS JOIN types ON types.id = type"
                        " LEFT JOIN services AS peers ON peers.id = protocol >> 16"
                        " WHERE length = 1 AND t > ?1 AND t <= ?2",
    [SQL_ARRIVALS] = "SELECT t, observed, arrivals FROM spans"
                     " WHERE service = (SELECT id FROM services WHERE name = ?1)"
                     " AND length = ?2 AND t >= ?3 ORDER BY t",
    [SQL_ADD_DECISION] = "INSERT OR REPLACE INTO decisions VALUES (?1, ?2, ?3, ?4)",
    [SQL_DECISIONS] = "SELECT id, json FROM decisions"
                      " WHERE t >= ?1 AND (?2 IS NULL OR service = ?2) ORDER BY id DESC LIMIT ?3",
    [SQL_LAST_DECISION] = "SELECT coalesce(max(id), 0) FROM decisions",
    [SQL_LAST_SECOND] = "SELECT coalesce(max((SELECT max(t) FROM spans"
                        " WHERE service = id AND length = 1)), 0) FROM services",
    [SQL_SERVICES] = "SELECT id FROM services WHERE id > ?1 ORDER BY id LIMIT 1",
    [SQL_OLDEST] = "SELECT min(t) FROM spans WHERE service = ?1 AND length = ?2",
    [SQL_ROLL_SPANS] = "INSERT INTO spans SELECT service, ?3, ?4, sum(observed), sum(arrivals),"
                       " sum(in_flight), sum(cpu_seconds), sum(memory_bytes), sum(rx_bytes),"
                       " sum(tx_bytes), sum(syns), sum(connections), sum(ready), sum(starting),"
                       " avg(latency_p50_us), max(latency_p99_us) FROM spans"
                       " WHERE service = ?1 AND length = ?2 AND t >= ?4 AND t < ?4 + ?3"
                       " GROUP BY service"
                       " ON CONFLICT DO UPDATE SET observed = observed + excluded.observed,"
                       " arrivals = arrivals + excluded.arrivals,"
                       " in_flight = in_flight + excluded.in_flight,"
                       " cpu_seconds = cpu_seconds + excluded.cpu_seconds,"
                       " memory_bytes = memory_bytes + excluded.memory_bytes,"
                       " rx_bytes = rx_bytes + excluded.rx_bytes,"
                       " tx_bytes = tx_bytes + excluded.tx_bytes,"
                       " syns = syns + excluded.syns,"
                       " connections = connections + excluded.connections,"
                       " ready = ready + excluded.ready,"
                       " starting = starting + excluded.starting",
    [SQL_ROLL_COUNTS] = "INSERT INTO counts SELECT service, ?3, ?4, type, sum(requests) FROM counts"
                        " WHERE service = ?1 AND length = ?2 AND t >= ?4 AND t < ?4 + ?3"
                        " GROUP BY type"
                        " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests",
    [SQL_DELETE_SPANS] = "DELETE FROM spans"
                         " WHERE service = ?1 AND length = ?2 AND t >= ?4 AND t < ?4 + ?3",
    [SQL_DELETE_COUNTS] = "DELETE FROM counts"
                          " WHERE service = ?1 AND length = ?2 AND t >= ?4 AND t < ?4 + ?3",
    [SQL_DELETE_DECISIONS] = "DELETE FROM decisions WHERE t < ?1",
    [SQL_KEEP_LEARNED] = "INSERT OR REPLACE INTO learned VALUES (?1, ?2, ?3)",
    [SQL_LEARNED] = "SELECT version, state FROM learned WHERE service = ?1",
    [SQL_ADD_AUDIT] = "INSERT INTO audit (t, kind, service, who, text) VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_AUDIT] = "SELECT id, t, kind, service, who, text FROM audit"
                  " WHERE t >= ?1 AND (?2 IS NULL OR service = ?2 OR service = '')"
                  " ORDER BY id DESC LIMIT ?3",
    [SQL_DELETE_AUDIT] = "DELETE FROM audit WHERE t < ?1 OR id <= (SELECT max(id) FROM audit) - ?2",
    [SQL_PUT_PAUSE] = "INSERT OR REPLACE INTO pauses VALUES (?1, ?2, ?3, ?4)",
    [SQL_DROP_PAUSE] = "DELETE FROM pauses WHERE service = ?1",
    [SQL_PAUSES] = "SELECT service, since, until, reason FROM pauses",
};

void pmo_history_file_close(struct pmo_history_file *file)
{
    for (size_t i = 0; i < SQL_STATEMENTS; i++)
        (void)sqlite3_finalize(TAKE_PTR(file->statements[i]));
    (void)sqlite3_close(TAKE_PTR(file->db));
}

static int64_t pragma(sqlite3 *db, const char *sql, int *rc)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;

    *rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (*rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    if (*rc == SQLITE_OK)
        *rc = sqlite3_finalize(statement);
    return value;
}

/* Opens the file, begins a schema in an empty one. SQLITE_NOTADB, SQLITE_CORRUPT and SQLITE_SCHEMA
 * (not ours) are about the file's content, @reason says what it is. */
static int open_database(struct pmo_history_file *file, char reason[256])
{
    int64_t version, tables;
    int rc =
        sqlite3_open_v2(file->path, &file->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(file->db, BUSY_TIMEOUT_MS);
    tables = rc == SQLITE_OK ? pragma(file->db, "SELECT count(*) FROM sqlite_schema", &rc) : 0;
    version = rc == SQLITE_OK ? pragma(file->db, "PRAGMA user_version", &rc) : 0;
    if (rc == SQLITE_OK && version != SCHEMA_VERSION && (version || tables)) {
        (void)snprintf(reason, 256, "has schema version %lld, this agent writes %d",
                       (long long)version, SCHEMA_VERSION);
        return SQLITE_SCHEMA;
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(file->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", NULL,
                          NULL, NULL);
    if (rc == SQLITE_OK && !version)
        rc = sqlite3_exec(file->db, schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(file->db, later, NULL, NULL, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < SQL_STATEMENTS; i++)
        rc = sqlite3_prepare_v3(file->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                &file->statements[i], NULL);
    if (rc != SQLITE_OK)
        (void)snprintf(reason, 256, "is not usable (%s)", sqlite3_errmsg(file->db));
    return rc == SQLITE_ERROR ? SQLITE_SCHEMA : rc;
}

static int error_of(sqlite3 *db, int rc)
{
    switch (rc) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return -EACCES;
    default:
        return db && sqlite3_system_errno(db) ? -sqlite3_system_errno(db) : -EIO;
    }
}

/* Renames the file and what SQLite keeps beside it, so that it can still be looked into. */
static int move_aside(struct pmo_history_file *file, const char *reason)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    char aside[PATH_MAX + 64], from[PATH_MAX + 8], to[PATH_MAX + 72];
    time_t now = time(NULL);

    /* no checkpoint on the way out: it would write into what is to be kept as it is */
    (void)sqlite3_db_config(file->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    pmo_history_file_close(file);
    do {
        (void)snprintf(aside, sizeof(aside), "%s.bad-%lld", file->path, (long long)now++);
    } while (!access(aside, F_OK));
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        (void)snprintf(from, sizeof(from), "%s%s", file->path, parts[i]);
        (void)snprintf(to, sizeof(to), "%s%s", aside, parts[i]);
        if (rename(from, to) && (errno != ENOENT || i == 0))
            return pmo_err_r(errno, "history %s %s, and cannot be moved to %s", from, reason, to);
    }
    pmo_warn("history %s %s: moved to %s (look into it with: sqlite3 %s .recover), "
             "a new one is begun",
             file->path, reason, aside, aside);
    return 0;
}

static bool is_broken(int rc)
{
    return rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_SCHEMA;
}

int pmo_history_file_open(struct pmo_history_file *file)
{
    char reason[256];
    int rc = open_database(file, reason), r;

    if (is_broken(rc)) {
        r = move_aside(file, reason);
        if (r)
            return r;
        rc = open_database(file, reason);
    }
    if (rc == SQLITE_OK)
        return 0;
    r = error_of(file->db, rc);
    pmo_history_file_close(file);
    return pmo_fail(r, "history %s %s", file->path, reason);
}

int pmo_history_file_run(struct pmo_history_file *file, enum pmo_history_statement which,
                         int64_t *value)
{
    sqlite3_stmt *statement = file->statements[which];
    int rc = sqlite3_step(statement);

    if (rc == SQLITE_ROW && value)
        *value = sqlite3_column_int64(statement, 0);
    if (rc == SQLITE_ROW)
        rc = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

sqlite3_stmt *pmo_history_file_bind(struct pmo_history_file *file, enum pmo_history_statement which,
                                    int64_t first, int64_t second)
{
    sqlite3_stmt *statement = file->statements[which];

    (void)sqlite3_bind_int64(statement, 1, first);
    (void)sqlite3_bind_int64(statement, 2, second);
    return statement;
}

int pmo_history_file_settle(struct pmo_history_file *file, int rc, const char *doing)
{
    char reason[256];
    int r;

    if (rc == SQLITE_OK) {
        file->failed = SQLITE_OK;
        return 0;
    }
    (void)snprintf(reason, sizeof(reason), "is broken (%s)", sqlite3_errmsg(file->db));
    r = error_of(file->db, rc);
    if (!sqlite3_get_autocommit(file->db))
        (void)pmo_history_file_run(file, SQL_ROLLBACK, NULL);
    if (!is_broken(rc) && file->failed == rc)
        return r; /* told before */
    file->failed = rc;
    if (!is_broken(rc))
        return pmo_fail(r, "cannot %s history %s: %s", doing, file->path, sqlite3_errstr(rc));
    r = move_aside(file, reason);
    if (!r)
        r = pmo_history_file_open(file);
    return r ? r : -EUCLEAN;
}
