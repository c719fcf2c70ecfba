/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recorded load: CSV with the header t,requests, gzipped or not; t in seconds from the start, one
 * row a second. A second that was not recorded has no row.
 */
#pragma once

#include <stddef.h>

struct pmo_trace {
    double *requests; /* in second 0, 1, 2...; NAN: not recorded */
    size_t seconds;   /* up to the last that was recorded */
};

/**
 * pmo_trace_read - read a file
 * Returns 0, or a negative errno after logging FILE:LINE, what is wrong there, and what to write;
 * then *trace is unchanged. -EINVAL: no such CSV; else as open(2) and read(2), -ENOMEM.
 */
int pmo_trace_read(struct pmo_trace *trace, const char *path);
void pmo_trace_free(struct pmo_trace *trace);
