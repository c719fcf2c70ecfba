/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logging: one line an event to standard error, for people and for journald (whose priority prefix
 * is printed when standard error is not a terminal and JOURNAL_STREAM is set).
 *
 * The error idiom: a function returns 0 or a negative errno; it logs once, where the cause is
 * known, with `return pmo_err_r(r, "cannot open %s", path);`, and callers add no echo.
 * Thread-safe: each line is one write.
 */
#pragma once

enum pmo_log_level { PMO_LOG_ERROR = 3, PMO_LOG_WARNING = 4, PMO_LOG_INFO = 6, PMO_LOG_DEBUG = 7 };

/* Lines above this level are dropped; PMO_LOG_INFO at start. */
extern enum pmo_log_level pmo_log_max;

__attribute__((format(printf, 2, 3))) void pmo_log(enum pmo_log_level level, const char *format,
                                                   ...);

/* Logs the message followed by ": " and the text of error @r; returns -|r|. */
__attribute__((format(printf, 2, 3))) int pmo_err_r(int r, const char *format, ...);

#define pmo_warn(...)  pmo_log(PMO_LOG_WARNING, __VA_ARGS__)
#define pmo_info(...)  pmo_log(PMO_LOG_INFO, __VA_ARGS__)
#define pmo_debug(...) pmo_log(PMO_LOG_DEBUG, __VA_ARGS__)
/* Logs an error that has no errno worth printing; the message says it all. Returns -|r|. */
#define pmo_fail(r, ...) (pmo_log(PMO_LOG_ERROR, __VA_ARGS__), (r) < 0 ? (r) : -(r))
