/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/recent.h"

void pmo_recent_append(struct pmo_recent *recent, int64_t t, float y)
{
    int64_t missing = recent->observed ? t - recent->last - 1 : PMO_RECENT_SECONDS;

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
    double sum = 0;
    unsigned int known = 0;

    for (unsigned int i = 0; i < seconds; i++) {
        float y = pmo_recent_at(recent, recent->last - i);

        if (isnan(y))
            continue;
        sum += y;
        known++;
    }
    return (float)(sum / known);
}

float pmo_recent_max(const struct pmo_recent *recent, unsigned int seconds)
{
    float max = 0;

    for (unsigned int i = 0; i < seconds; i++)
        max = fmaxf(max, pmo_recent_at(recent, recent->last - i));
    return max;
}
