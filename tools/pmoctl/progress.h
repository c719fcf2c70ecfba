/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a run through a trace is, on standard error: a bar where that is a terminal, and at the
 * end one line that says how fast it was.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pmo_progress {
    size_t seconds, done; /* of the trace */
    int64_t began_ms, shown_ms;
    bool terminal;
};

void pmo_progress_begin(struct pmo_progress *progress, size_t seconds);
/* @done seconds are over. Cheap enough for every second. */
void pmo_progress_at(struct pmo_progress *progress, size_t done);
void pmo_progress_end(struct pmo_progress *progress);
