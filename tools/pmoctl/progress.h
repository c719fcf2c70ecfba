/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a run through a trace is, on standard error: a line with percent, bar, time so far and
 * time left where that is a terminal; and at the end, instead of it, how fast it was. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pmo_progress {
    size_t seconds, done; /* of the trace */
    uint64_t begun_ns, drawn_ns;
    bool terminal;
};

/* @seconds: how many there will be, at least 1 */
void pmo_progress_begin(struct pmo_progress *progress, size_t seconds);
/* @done seconds are over. Cheap enough for every second. */
void pmo_progress_at(struct pmo_progress *progress, size_t done);
void pmo_progress_end(struct pmo_progress *progress);
