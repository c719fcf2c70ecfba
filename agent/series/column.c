/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/series/column.h"

#include <errno.h>
#include <stdlib.h>

struct pmo_series_chunk {
    uint32_t minute; /* since 1970 */
    uint32_t width;  /* bytes a number */
    uint64_t values[];
};

static uint32_t width_of(uint64_t value)
{
    return value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : 8;
}

static uint64_t chunk_get(const struct pmo_series_chunk *chunk, unsigned int i)
{
    switch (chunk->width) {
    case 1:
        return ((const uint8_t *)chunk->values)[i];
    case 2:
        return ((const uint16_t *)chunk->values)[i];
    case 4:
        return ((const uint32_t *)chunk->values)[i];
    default:
        return chunk->values[i];
    }
}

static void chunk_set(struct pmo_series_chunk *chunk, unsigned int i, uint64_t value)
{
    switch (chunk->width) {
    case 1:
        ((uint8_t *)chunk->values)[i] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)chunk->values)[i] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)chunk->values)[i] = (uint32_t)value;
        break;
    default:
        chunk->values[i] = value;
    }
}

static struct pmo_series_chunk *chunk_new(uint32_t minute, uint32_t width)
{
    struct pmo_series_chunk *chunk = calloc(1, sizeof(*chunk) + (size_t)60 * width);

    if (!chunk)
        return NULL;
    chunk->minute = minute;
    chunk->width = width;
    return chunk;
}

uint64_t pmo_series_get(const struct pmo_series *series, int64_t t)
{
    const struct pmo_series_chunk *chunk = series->chunks[t / 60 % PMO_SERIES_MINUTES];

    return chunk && chunk->minute == t / 60 ? chunk_get(chunk, t % 60) : 0;
}

int pmo_series_set(struct pmo_series *series, int64_t t, uint64_t value)
{
    struct pmo_series_chunk **slot = &series->chunks[t / 60 % PMO_SERIES_MINUTES], *wider;

    if (*slot && (*slot)->minute > t / 60)
        return 0; /* older than an hour */
    if (*slot && (*slot)->minute < t / 60) {
        free(*slot);
        *slot = NULL;
    }
    if (!*slot && !value)
        return 0;
    if (!*slot || (*slot)->width < width_of(value)) {
        wider = chunk_new((uint32_t)(t / 60), width_of(value));
        if (!wider)
            return -ENOMEM;
        for (unsigned int i = 0; *slot && i < 60; i++)
            chunk_set(wider, i, chunk_get(*slot, i));
        free(*slot);
        *slot = wider;
    }
    chunk_set(*slot, t % 60, value);
    return 0;
}

int pmo_series_add(struct pmo_series *series, int64_t t, uint64_t value)
{
    return value ? pmo_series_set(series, t, pmo_series_get(series, t) + value) : 0;
}

void pmo_series_forget(struct pmo_series *series, int64_t t)
{
    for (size_t i = 0; i < PMO_SERIES_MINUTES; i++) {
        if (!series->chunks[i] || (int64_t)series->chunks[i]->minute * 60 + 59 > t)
            continue;
        free(series->chunks[i]);
        series->chunks[i] = NULL;
    }
}
