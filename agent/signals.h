/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes before load (bpf/saturation.h), second by second, of instances and of services: how
 * long what was received waited to be read, how full the queues of those who listen were, round
 * trips, what was sent again, resets.
 */
#pragma once

#include <stdint.h>
#include <pmo/abi.h>

/* Of the newest second of which there is a record; of several instances, the sums. */
struct pmo_signals_second {
    int64_t t; /* that second; 0: there was none */
    struct pmo_signals counts;
    struct pmo_queues queues; /* its window is 0 where no handshake was under way */
};

/* Adds a record of its second, or of a later one, which begins anew. */
void pmo_signals_note(struct pmo_signals_second *second, const struct pmo_signals_record *record);
void pmo_signals_add(struct pmo_signals *sum, const struct pmo_signals *counts);

/* Quantile (0..1) in microseconds of the waits, NAN where none was measured. Interpolated inside
 * the bucket on a log scale. */
double pmo_signals_wait_us(const struct pmo_signals *counts, double quantile);

/* The mask under which about as many reads a second are measured as is cheap, if there are as many
 * as there were in a second of which @measured were under @mask. */
uint32_t pmo_signals_mask(uint32_t mask, uint64_t measured);
