/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a count covers: a second, or, after a gap, several. Then it is spread over them evenly in
 * whole requests, so that its total stays exact. Private to agent/series.
 */
#pragma once

#include <stdint.h>
#include "agent/series/column.h"
#include "agent/series/series.h"

/* All seconds are counted, of which only the last hour, [from, to], is remembered. */
struct pmo_span {
    int64_t since;
    uint64_t seconds;
    int64_t from, to;
};

static inline struct pmo_span pmo_span_of(int64_t since, int64_t until)
{
    struct pmo_span span = {.since = since < 0 ? 0 : since,
                            .to = until > 0 && until < PMO_SERIES_T_MAX ? until : 0};

    if (span.since > span.to)
        span.since = span.to;
    span.seconds = (uint64_t)(span.to - span.since) + 1;
    span.from = span.to - PMO_SERIES_SECONDS + 1;
    if (span.from < span.since)
        span.from = span.since;
    return span;
}

/* Part of @n that falls to second @t: whole numbers that add up to @n, no two of them further apart
 * than one. */
static inline uint64_t pmo_span_share(const struct pmo_span *span, uint64_t n, int64_t t)
{
    uint64_t i = (uint64_t)(t - span->since), rest;

    if (!n || span->seconds == 1)
        return n;
    rest = n % span->seconds;
    return n / span->seconds + (i + 1) * rest / span->seconds - i * rest / span->seconds;
}
