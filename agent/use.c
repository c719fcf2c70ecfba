/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/use.h"

#include <math.h>

const struct pmo_use pmo_use_unknown = {
    .second = {NAN, NAN, NAN, NAN},
    .working_set_bytes = NAN,
    .open_files = NAN,
    .open_files_ratio = NAN,
};

double pmo_use_grown(uint64_t last, uint64_t now)
{
    if (now == PMO_USAGE_UNKNOWN || last == PMO_USAGE_UNKNOWN)
        return NAN;
    return now > last ? (double)(now - last) : 0;
}

static double known(uint64_t value)
{
    return value == PMO_USAGE_UNKNOWN ? NAN : (double)value;
}

struct pmo_use pmo_use_between(const struct pmo_usage_reading *last,
                               const struct pmo_usage_reading *now)
{
    return (struct pmo_use){
        .second = {.throttled_s = pmo_use_grown(last->throttled_usec, now->throttled_usec) / 1e6,
                   .run_delay_s = pmo_use_grown(last->run_delay_ns, now->run_delay_ns) / 1e9,
                   .disk_read_bytes = pmo_use_grown(last->disk_read_bytes, now->disk_read_bytes),
                   .disk_written_bytes =
                       pmo_use_grown(last->disk_written_bytes, now->disk_written_bytes)},
        .working_set_bytes = known(now->working_set_bytes),
        .open_files = known(now->open_files),
        .open_files_ratio = now->open_files_limit
                                ? known(now->open_files_most) / known(now->open_files_limit)
                                : NAN,
    };
}

static void add(double *sum, double value)
{
    if (!isnan(value))
        *sum = isnan(*sum) ? value : *sum + value;
}

void pmo_use_sums_add(struct pmo_use_sums *sum, const struct pmo_use_sums *use)
{
    add(&sum->throttled_s, use->throttled_s);
    add(&sum->run_delay_s, use->run_delay_s);
    add(&sum->disk_read_bytes, use->disk_read_bytes);
    add(&sum->disk_written_bytes, use->disk_written_bytes);
}

void pmo_use_add(struct pmo_use *sum, const struct pmo_use *use)
{
    pmo_use_sums_add(&sum->second, &use->second);
    add(&sum->working_set_bytes, use->working_set_bytes);
    add(&sum->open_files, use->open_files);
    sum->open_files_ratio = fmax(sum->open_files_ratio, use->open_files_ratio);
}
