/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/recent.h"

#include <string.h>
#include "agent/forecast/bounds.h"

void pmo_recent_append(struct pmo_recent *recent, int64_t t, float y)
{
    int64_t missing = recent->observed ? t - recent->last - 1 : 0;

    if (missing > PMO_RECENT_SECONDS)
        missing = PMO_RECENT_SECONDS;
    for (int64_t i = 1; i <= missing; i++)
        recent->value[pmo_recent_slot(t - i)] = NAN;
    recent->value[pmo_recent_slot(t)] = y;
    if (!recent->observed)
        recent->first = t;
    recent->last = t;
    recent->observed++;
}

void pmo_recent_copy(const struct pmo_recent *recent, int64_t from, unsigned int seconds,
                     float *value)
{
    size_t slot = pmo_recent_slot(from), straight = PMO_RECENT_SECONDS - slot;

    if (from < recent->first || from <= recent->last - PMO_RECENT_SECONDS ||
        from + seconds - 1 > recent->last) {
        for (unsigned int i = 0; i < seconds; i++)
            value[i] = pmo_recent_at(recent, from + i);
        return;
    }
    straight = seconds < straight ? seconds : straight;
    memcpy(value, &recent->value[slot], straight * sizeof(*value));
    memcpy(value + straight, recent->value, (seconds - straight) * sizeof(*value));
}

/* Sum of what is known of @count values; in four, so that none waits for the one before. */
static double sum_of(const float *value, size_t count, unsigned int *known)
{
    double sum[4] = {0};
    size_t i = 0;

    for (; i + 4 <= count; i += 4)
        for (size_t k = 0; k < 4; k++)
            sum[k] += isnan(value[i + k]) ? 0 : value[i + k];
    for (; i < count; i++)
        sum[0] += isnan(value[i]) ? 0 : value[i];
    for (i = 0; i < count; i++)
        *known += !isnan(value[i]);
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

float pmo_recent_mean(const struct pmo_recent *recent, unsigned int seconds)
{
    const int64_t had = recent->last - recent->first + 1;
    unsigned int known = 0;
    size_t end, before;
    double sum;

    if (seconds > had)
        seconds = (unsigned int)had;
    end = pmo_recent_slot(recent->last) + 1;
    before = seconds > end ? seconds - end : 0; /* at the ring's other end */
    sum = sum_of(&recent->value[end - (seconds - before)], seconds - before, &known);
    sum += sum_of(&recent->value[PMO_RECENT_SECONDS - before], before, &known);
    return (float)(sum / known);
}

float pmo_recent_max(const struct pmo_recent *recent, unsigned int seconds)
{
    float max = 0;

    for (unsigned int i = 0; i < seconds; i++)
        max = pmo_at_least(max, pmo_recent_at(recent, recent->last - i));
    return max;
}
