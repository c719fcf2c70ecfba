/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A trace: requests by second, as a CSV file with the header `t,requests`, plain or gzipped. t is
 * whole seconds from the trace's start, rising; a second without a row was not recorded, which is
 * not the same as a second with 0 requests. More columns may follow, signals that come before
 * requests: upstream, syns, accept_queue, in_flight, in any order; a field that is empty was not
 * recorded.
 */
#pragma once

#include <stddef.h>
#include "agent/forecast/forecast.h"

#define PMO_TRACE_SECONDS_MAX (1000 * 86400)

struct pmo_trace {
    double *requests;                     /* by second from the trace's start; NAN: not recorded */
    double *signals[PMO_LEADING_SIGNALS]; /* likewise; NULL: there is no such column */
    size_t seconds;                       /* up to the last recorded one; at least 1 */
};

/**
 * pmo_trace_read - reads a trace from a file
 * @trace: unchanged on failure; else the caller's to free
 *
 * Returns 0; -EINVAL where the file cannot be read or is no trace, with what is wrong logged in one
 * line (file, line, what to write instead); -ENOMEM, logged.
 */
int pmo_trace_read(struct pmo_trace *trace, const char *path);
/* Signals of second @t, as pmo_forecaster_set_signals() takes them. */
void pmo_trace_signals(const struct pmo_trace *trace, size_t t, double signal[PMO_LEADING_SIGNALS]);
/* Refuses to write over the trace in file @path: @option, as in "--out", says @output (NULL:
 * nothing). Returns 0 or -EINVAL, logged. */
int pmo_trace_keep(const char *path, const char *option, const char *output);
/* Second from which on half a minute has most more requests than the half before it, none of them
 * missing; 0 in a trace that is too short. */
size_t pmo_trace_rise(const double *requests, size_t seconds);
/* Leaves an empty trace. */
void pmo_trace_free(struct pmo_trace *trace);
