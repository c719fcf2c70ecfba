/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/lead_time.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define STATED   6 /* starts that a stated lead time counts for: less than a tenth of 64 */
#define SLOWER   2
#define SLOW_MAX 60
#define IDLE_MAX 10

void pmo_lead_times_add(struct pmo_lead_times *times, double lead_s)
{
    times->kept_s[times->count++ % PMO_LEAD_TIMES] = (float)lead_s;
    if (times->count == 2 * PMO_LEAD_TIMES)
        times->count = PMO_LEAD_TIMES; /* the same place in the ring, and still full */
}

static int ascending(const void *a, const void *b)
{
    const float *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

double pmo_lead_times_quantile(const struct pmo_lead_times *times, double q, double stated_s)
{
    float sorted[PMO_LEAD_TIMES + STATED];
    size_t kept = times->count < PMO_LEAD_TIMES ? times->count : PMO_LEAD_TIMES, n = kept, rank;

    memcpy(sorted, times->kept_s, kept * sizeof(*sorted));
    while (stated_s > 0 && n < kept + STATED)
        sorted[n++] = (float)stated_s;
    if (!n)
        return NAN;
    qsort(sorted, n, sizeof(*sorted), ascending);
    rank = (size_t)ceil(q * (double)(n + 1)); /* the (n + 1) q-th of n: no bias */
    if (rank <= n)
        return sorted[rank - 1];
    return stated_s > 0 ? sorted[n - 1] : sorted[n - 1] * (1 + 0.5 / (double)n);
}

double pmo_start_second(struct pmo_start *start, double latency_s, double others_s,
                        double objective_s)
{
    double lead_s = start->ready_after_s + start->slow_s;
    bool well = latency_s <= objective_s || latency_s <= SLOWER * others_s;

    if (!(start->ready_after_s > 0))
        return NAN;
    start->seconds++;
    if (!well && start->seconds < SLOW_MAX &&
        (!isnan(latency_s) || start->slow_s || start->seconds < IDLE_MAX)) {
        if (!isnan(latency_s))
            start->slow_s = start->seconds;
        return NAN;
    }
    *start = (struct pmo_start){0};
    return lead_s;
}
