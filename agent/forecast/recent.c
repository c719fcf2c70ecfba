/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/recent.h"
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

float pmo_recent_mean(const struct pmo_recent *recent, unsigned int seconds)
{
    const int64_t had = recent->last - recent->first + 1;
    double sum = 0;
    unsigned int known = 0;

    if (seconds > had)
        seconds = (unsigned int)had;
    for (unsigned int i = 0; i < seconds; i++) {
        float y = recent->value[pmo_recent_slot(recent->last - i)];

        sum += isnan(y) ? 0 : y;
        known += !isnan(y);
    }
    return (float)(sum / known);
}

float pmo_recent_max(const struct pmo_recent *recent, unsigned int seconds)
{
    float max = 0;

    for (unsigned int i = 0; i < seconds; i++)
        max = pmo_at_least(max, pmo_recent_at(recent, recent->last - i));
    return max;
}
