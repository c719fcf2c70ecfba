/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a long computation is: one line on standard error with percent, bar, time so far and time
 * left, where that is a terminal, else nothing. What takes less than a tenth of a second shows
 * none. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pmo_progress {
    bool shown; /* a terminal */
    bool drawn; /* a line that has to go */
    uint64_t steps, begun_ns, drawn_ns;
};

/* @steps: how many there will be, at least 1 */
void pmo_progress_begin(struct pmo_progress *progress, uint64_t steps);
/* @done of the steps are over; cheap enough for each of them. */
void pmo_progress_at(struct pmo_progress *progress, uint64_t done);
/* Takes the line away: before anything else is written to the terminal. */
void pmo_progress_end(struct pmo_progress *progress);
