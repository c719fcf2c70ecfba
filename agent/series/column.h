/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A column of the last hour: one whole number a second. It is cut into chunks of a minute. A chunk
 * exists only while one of its seconds is not zero, and its numbers are 1, 2, 4 or 8 bytes wide,
 * whatever its largest needs. So a type that is seen now and then costs some hundred bytes, and an
 * idle service little more; 2,000 types that each have up to 255 requests in every second of the
 * hour take 11 MiB.
 *
 * An hour that does not begin on a minute touches 61 of them, so chunks live in a ring of 61 slots,
 * each knowing its minute: a slot that holds an older minute is simply taken over.
 *
 * Private to series.c. Times: 1..PMO_SERIES_T_MAX.
 */
#pragma once

#include <stdint.h>

#define PMO_SERIES_MINUTES 61
#define PMO_SERIES_T_MAX   ((int64_t)UINT32_MAX * 60) /* a chunk's minute has 32 bits */

struct pmo_series {
    struct pmo_series_chunk *chunks[PMO_SERIES_MINUTES];
};

/* 0 where nothing was set. */
uint64_t pmo_series_get(const struct pmo_series *series, int64_t t);
/* Return 0 or -ENOMEM; a second whose slot has gone on to a later minute is left out. */
int pmo_series_set(struct pmo_series *series, int64_t t, uint64_t value);
int pmo_series_add(struct pmo_series *series, int64_t t, uint64_t value);
/* Frees what no second after @t needs. */
void pmo_series_forget(struct pmo_series *series, int64_t t);
