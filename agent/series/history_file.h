/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file under agent/series/history.c and history_audit.c: its schema, its prepared statements,
 * and what happens when it is broken. Private to history.
 */
#pragma once

#include <limits.h>
#include <sqlite3.h>
#include <stdint.h>

enum pmo_history_statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SERVICE_ID,
    SQL_TYPE_ID,
    SQL_ADD_SPAN,
    SQL_ADD_COUNT,
    SQL_LOAD_SPANS,
    SQL_LOAD_COUNTS,
    SQL_ARRIVALS,
    SQL_ADD_DECISION,
    SQL_DECISIONS,
    SQL_LAST_DECISION,
    SQL_LAST_SECOND,
    SQL_SERVICES,
    SQL_OLDEST,
    SQL_ROLL_SPANS,
    SQL_ROLL_COUNTS,
    SQL_DELETE_SPANS,
    SQL_DELETE_COUNTS,
    SQL_DELETE_DECISIONS,
    SQL_KEEP_LEARNED,
    SQL_LEARNED,
    SQL_ADD_AUDIT,
    SQL_AUDIT,
    SQL_DELETE_AUDIT,
    SQL_PUT_PAUSE,
    SQL_DROP_PAUSE,
    SQL_PAUSES,
    SQL_STATEMENTS
};

struct pmo_history;

struct pmo_history_file {
    char path[PATH_MAX];
    sqlite3 *db; /* NULL when a broken file could not be replaced */
    sqlite3_stmt *statements[SQL_STATEMENTS];
    int failed; /* what SQLite last failed with: the same failure again and again is one line */
};

/**
 * pmo_history_file_open - open file->path, or begin it; move a broken one aside and begin anew
 * Returns 0 or a negative errno, logged.
 */
int pmo_history_file_open(struct pmo_history_file *file);
void pmo_history_file_close(struct pmo_history_file *file);

/* A statement with its first two parameters bound. */
sqlite3_stmt *pmo_history_file_bind(struct pmo_history_file *file, enum pmo_history_statement which,
                                    int64_t first, int64_t second);
/* Runs a statement that gives at most one row, whose first column goes to @value (or NULL). Returns
 * SQLITE_OK or what SQLite gave. */
int pmo_history_file_run(struct pmo_history_file *file, enum pmo_history_statement which,
                         int64_t *value);

/**
 * pmo_history_file_settle - end what SQLite ended with @rc
 * @doing: for the message: "cannot <doing> history"
 * Undoes an open transaction. A file that turned out to be broken is replaced (-EUCLEAN: try again,
 * on the new one). Returns 0 or a negative errno, logged when
 * it is a new one.
 */
int pmo_history_file_settle(struct pmo_history_file *file, int rc, const char *doing);

/* history.c: the file of a history; pmo_history_file_settle() of it, which also forgets row numbers
 * that may be gone with what failed. */
struct pmo_history_file *pmo_history_file_of(struct pmo_history *history);
int pmo_history_settle(struct pmo_history *history, int rc, const char *doing);
