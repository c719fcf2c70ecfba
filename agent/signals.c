/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/signals.h"

#include <math.h>
#include <string.h>
#include "agent/series/latency.h"

/* Measuring one takes 150 ns: this is a thousandth of a core. */
#define WAITS_PER_S 8192U
#define MASK_MAX    4095U

void pmo_signals_add(struct pmo_signals *sum, const struct pmo_signals *counts)
{
    sum->waits += counts->waits;
    sum->wait_us += counts->wait_us;
    sum->unread_bytes += counts->unread_bytes;
    sum->rtt_us += counts->rtt_us;
    sum->rtt_min_us += counts->rtt_min_us;
    sum->handshakes += counts->handshakes;
    sum->handshake_us += counts->handshake_us;
    sum->retransmits += counts->retransmits;
    sum->resets_sent += counts->resets_sent;
    sum->resets_received += counts->resets_received;
    sum->overflows += counts->overflows;
    for (unsigned int i = 0; i < PMO_WAIT_BUCKETS; i++)
        sum->wait[i] += counts->wait[i];
}

void pmo_signals_note(struct pmo_signals_second *second, const struct pmo_signals_record *record)
{
    if (second->t != (int64_t)record->window)
        *second = (struct pmo_signals_second){.t = (int64_t)record->window};
    pmo_signals_add(&second->counts, &record->counts);
    if (!record->queues.window)
        return;
    second->queues.window = record->queues.window;
    second->queues.accept_queue += record->queues.accept_queue;
    second->queues.accept_limit += record->queues.accept_limit;
    second->queues.half_open += record->queues.half_open;
}

double pmo_signals_wait_us(const struct pmo_signals *counts, double quantile)
{
    struct pmo_latency_octave octaves[PMO_LATENCY_OCTAVES] = {};

    for (unsigned int i = 0; i < PMO_WAIT_BUCKETS; i++)
        octaves[i].last_byte = counts->wait[i];
    return pmo_latency_quantile_us(octaves, PMO_LAST_BYTE, quantile);
}

uint32_t pmo_signals_mask(uint32_t mask, uint64_t measured)
{
    uint64_t reads = measured * (mask + 1ULL);
    uint32_t fit = 0;

    while (fit < MASK_MAX && reads > WAITS_PER_S * (fit + 1ULL))
        fit = 2 * fit + 1;
    return fit;
}
