/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was done, by whom, and who is paused. Each is a transaction of its own: it is there when the
 * agent is killed a moment later.
 */
#include "agent/series/history.h"

#include <errno.h>
#include <stdio.h>
#include "agent/series/history_file.h"

/* Runs a statement whose parameters @bind sets; again where the file broke and was replaced. */
static int write_row(struct pmo_history *history, enum pmo_history_statement which,
                     void (*bind)(sqlite3_stmt *statement, const void *row), const void *row)
{
    struct pmo_history_file *file = pmo_history_file_of(history);
    int r = -EUCLEAN;

    for (int attempt = 0; r == -EUCLEAN && attempt < 2; attempt++) {
        if (!file->db)
            return -EIO;
        bind(file->statements[which], row);
        r = pmo_history_settle(history, pmo_history_file_run(file, which, NULL), "write to");
    }
    return r;
}

static void bind_audit(sqlite3_stmt *statement, const void *row)
{
    const struct pmo_audit_entry *entry = row;

    (void)sqlite3_bind_int64(statement, 1, entry->t);
    (void)sqlite3_bind_text(statement, 2, entry->kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 3, entry->service, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 4, entry->who, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 5, entry->text, -1, SQLITE_STATIC);
}

int pmo_history_add_audit(struct pmo_history *history, const struct pmo_audit_entry *entry)
{
    return write_row(history, SQL_ADD_AUDIT, bind_audit, entry);
}

int pmo_history_audit(struct pmo_history *history, const char *service, int64_t since,
                      unsigned int limit, pmo_history_audit_fn row, void *context)
{
    struct pmo_history_file *file = pmo_history_file_of(history);
    int r = 0, rc = SQLITE_DONE;
    sqlite3_stmt *statement;

    if (!file->db)
        return -EIO;
    statement = file->statements[SQL_AUDIT];
    (void)sqlite3_bind_int64(statement, 1, since);
    (void)sqlite3_bind_text(statement, 2, service, -1, SQLITE_STATIC); /* NULL: of any */
    (void)sqlite3_bind_int64(statement, 3, limit);
    while (!r && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct pmo_audit_entry entry = {
            .id = sqlite3_column_int64(statement, 0),
            .t = sqlite3_column_int64(statement, 1),
            .kind = (const char *)sqlite3_column_text(statement, 2),
            .service = (const char *)sqlite3_column_text(statement, 3),
            .who = (const char *)sqlite3_column_text(statement, 4),
            .text = (const char *)sqlite3_column_text(statement, 5),
        };

        r = row(context, &entry);
    }
    (void)sqlite3_reset(statement);
    return r || rc == SQLITE_DONE ? r : pmo_history_settle(history, rc, "read");
}

static void bind_pause(sqlite3_stmt *statement, const void *row)
{
    const struct pmo_pause *pause = row;

    (void)sqlite3_bind_text(statement, 1, pause->service, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, pause->since);
    (void)sqlite3_bind_int64(statement, 3, pause->until);
    (void)sqlite3_bind_text(statement, 4, pause->reason, -1, SQLITE_STATIC);
}

int pmo_history_put_pause(struct pmo_history *history, const struct pmo_pause *pause)
{
    return write_row(history, SQL_PUT_PAUSE, bind_pause, pause);
}

static void bind_service(sqlite3_stmt *statement, const void *row)
{
    (void)sqlite3_bind_text(statement, 1, row, -1, SQLITE_STATIC);
}

int pmo_history_drop_pause(struct pmo_history *history, const char *service)
{
    return write_row(history, SQL_DROP_PAUSE, bind_service, service);
}

int pmo_history_load_pauses(struct pmo_history *history, struct pmo_pauses *pauses)
{
    struct pmo_history_file *file = pmo_history_file_of(history);
    int r = 0, rc = SQLITE_DONE;
    sqlite3_stmt *row;

    if (!file->db)
        return -EIO;
    row = file->statements[SQL_PAUSES];
    while (!r && (rc = sqlite3_step(row)) == SQLITE_ROW) {
        struct pmo_pause pause = {.since = sqlite3_column_int64(row, 1),
                                  .until = sqlite3_column_int64(row, 2)};

        (void)snprintf(pause.service, sizeof(pause.service), "%s",
                       (const char *)sqlite3_column_text(row, 0));
        (void)snprintf(pause.reason, sizeof(pause.reason), "%s",
                       (const char *)sqlite3_column_text(row, 3));
        r = pmo_pauses_put(pauses, &pause);
    }
    (void)sqlite3_reset(row);
    return r || rc == SQLITE_DONE ? r : pmo_history_settle(history, rc, "read");
}
