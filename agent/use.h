/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What instances use beside CPU time, resident memory and network, second by second.
 * agent/observe/usage.h says what each of the figures means and where it comes from. NAN: not
 * known; of several instances, the sum of those of which it is known.
 */
#pragma once

#include "agent/observe/usage.h"

/* In a second, or since the agent's start. */
struct pmo_use_sums {
    double throttled_s, run_delay_s;
    double disk_read_bytes, disk_written_bytes;
};

struct pmo_use {
    struct pmo_use_sums second;
    double working_set_bytes;
    double open_files;
    double open_files_ratio; /* in the process that has most, of the main one's limit; of several
                                instances, the highest */
};

extern const struct pmo_use pmo_use_unknown;

/* What a sum of two readings grew by; NAN where one of them is not known. */
double pmo_use_grown(uint64_t last, uint64_t now);

struct pmo_use pmo_use_between(const struct pmo_usage_reading *last,
                               const struct pmo_usage_reading *now);
void pmo_use_add(struct pmo_use *sum, const struct pmo_use *use);
void pmo_use_sums_add(struct pmo_use_sums *sum, const struct pmo_use_sums *use);
