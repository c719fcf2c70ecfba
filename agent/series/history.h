/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * History on disk: SQLite in WAL mode, one transaction every few seconds. One-second rows for a
 * day, then minutes for 30 days, then hours for 400. Also keeps decisions, the audit log (400 days,
 * PMO_AUDIT_MAX entries), and who is paused.
 *
 * Owned by the event loop; each call is short (a transaction of some hundred rows). But for
 * the readers of <state_dir>/history.db, which take their time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "agent/decide/pauses.h"
#include "agent/series/series.h"

struct pmo_history;

/**
 * pmo_history_open - open or make <state_dir>/history.db
 * A file that is not a database, or is corrupt, or has a schema of another version, is moved aside
 * (history.db.bad-<time>; the warning names it and says how to look into it) and a new one is
 * begun: nothing is deleted. Returns 0, or what the file system gave.
 */
int pmo_history_open(struct pmo_history **history, const char *state_dir);
/* Writes what is pending, closes: before the store it was filled from is freed. Takes NULL, sets
 * NULL. */
void pmo_history_close(struct pmo_history **history);

/* Notes completed second @t of a service: arrivals, latencies, instances, and every type with a
 * count. Buffered (as a note: the store must live on); written by pmo_history_flush(). */
int pmo_history_add(struct pmo_history *history, const struct pmo_service_store *service,
                    int64_t t);
/* Writes what is pending in one transaction, and now and then rolls old rows up. @now: seconds.
 * What could not be written stays pending for an hour. Returns 0 or a negative errno, logged. */
int pmo_history_flush(struct pmo_history *history, int64_t now);

/* Reads the last hour back into the store (types, arrivals, gauges); totals start at 0 again.
 * Returns 0 or a negative errno. */
int pmo_history_load(struct pmo_history *history, struct pmo_store *store, int64_t now);

/* Walks a service's arrivals per second in time order from @since on. A rolled-up row gives its
 * mean over the seconds that were observed, and how many those are: @arrivals times @seconds is
 * exact. Stops when @row returns non-zero, and returns that; -EUCLEAN: the file broke and was
 * replaced. */
typedef int (*pmo_history_row_fn)(void *context, int64_t t, uint32_t seconds, double arrivals);
int pmo_history_arrivals(struct pmo_history *history, const char *service, int64_t since,
                         pmo_history_row_fn row, void *context);

/**
 * pmo_history_minutes - walk what <state_dir>/history.db has of a service's arrivals since @since
 * In time order: hours of long ago, then minutes; seconds are added up to minutes, and the last one
 * may not be over. @row gets the mean over the @observed of its @seconds, stops the walk when it
 * returns non-zero, and that is returned; else 0 or a negative errno (-ENOENT: no such file).
 * Reads through a connection of its own and logs nothing: for any thread, while the loop writes.
 */
typedef int (*pmo_history_minute_fn)(void *context, int64_t t, uint32_t seconds, uint32_t observed,
                                     double arrivals);
int pmo_history_minutes(const char *state_dir, const char *service, int64_t since,
                        pmo_history_minute_fn row, void *context);

/* The same of each span as it is kept: hours, minutes, and seconds of the last day. */
int pmo_history_spans(const char *state_dir, const char *service, int64_t since,
                      pmo_history_minute_fn row, void *context);
/* Instance-seconds (starting and ready) of a service that <state_dir>/history.db has since @since.
 * As pmo_history_minutes(): for any thread, and what it returns. */
int pmo_history_instance_seconds(const char *state_dir, const char *service, int64_t since,
                                 double *instance_seconds);

/* Decisions: one JSON text each. Newest first; stops as above. */
int pmo_history_add_decision(struct pmo_history *history, int64_t id, int64_t t,
                             const char *service, const char *json);
typedef int (*pmo_history_decision_fn)(void *context, int64_t id, const char *json);
int pmo_history_decisions(struct pmo_history *history, const char *service, int64_t since,
                          unsigned int limit, pmo_history_decision_fn row, void *context);
/* What was learned of a service, in a form that @version stands for. Returns 0 or a negative errno,
 * logged when it is a new one. */
int pmo_history_keep_learned(struct pmo_history *history, const char *service, int64_t version,
                             const void *state, size_t size);
/* Reads it back. Returns 0, -ENOENT where there is nothing, -EPROTO where it is of another version
 * or size, or a negative errno. */
int pmo_history_learned(struct pmo_history *history, const char *service, int64_t version,
                        void *state, size_t size);
/* Highest decision id ever used, 0 when none. */
int64_t pmo_history_last_decision(struct pmo_history *history);
/* Last second that was flushed, 0 when none: what an agent that died has on disk. */
int64_t pmo_history_last_second(struct pmo_history *history);

/* ---- history_audit.c ---- */

#define PMO_AUDIT_MAX 100000

/* What was done, by whom. */
struct pmo_audit_entry {
    int64_t id; /* counts up, given by the history */
    int64_t t;  /* seconds since 1970 */
    const char *kind;
    const char *service; /* "": what concerns all */
    const char *who, *text;
};

/* Written at once. Returns 0 or a negative errno, logged. */
int pmo_history_add_audit(struct pmo_history *history, const struct pmo_audit_entry *entry);
/* Newest first, of a service (and what concerns all) or of all (NULL); stops as above. */
typedef int (*pmo_history_audit_fn)(void *context, const struct pmo_audit_entry *entry);
int pmo_history_audit(struct pmo_history *history, const char *service, int64_t since,
                      unsigned int limit, pmo_history_audit_fn row, void *context);

/* Who is paused, so that the next agent knows. Both return 0 or a negative errno, logged. */
int pmo_history_put_pause(struct pmo_history *history, const struct pmo_pause *pause);
int pmo_history_drop_pause(struct pmo_history *history, const char *service);
/* Adds all that are kept. Returns 0 or a negative errno, logged unless -ENOMEM. */
int pmo_history_load_pauses(struct pmo_history *history, struct pmo_pauses *pauses);
