/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/limits.h"

#include <string.h>

/* When the ring is full, the newest change takes the further one in: a limit then is kept for
 * longer, never broken. */
void pmo_changes_note(struct pmo_changes *changes, int64_t t, uint32_t by)
{
    unsigned int oldest = changes->count % PMO_CHANGES_KEPT;
    unsigned int newest = (changes->count + PMO_CHANGES_KEPT - 1) % PMO_CHANGES_KEPT;

    if (changes->count >= PMO_CHANGES_KEPT &&
        t - changes->kept[oldest].t < PMO_LIMIT_PERIOD_MAX_S) {
        changes->kept[newest].t = t;
        changes->kept[newest].by += by;
        return;
    }
    changes->kept[oldest].t = t;
    changes->kept[oldest].by = by;
    changes->count++;
}

uint32_t pmo_changes_left(const struct pmo_changes *changes, int64_t t, uint32_t limit,
                          uint32_t period_s)
{
    unsigned int kept = changes->count < PMO_CHANGES_KEPT ? changes->count : PMO_CHANGES_KEPT;
    uint64_t used = 0;

    if (!limit)
        return UINT32_MAX;
    for (unsigned int i = 0; i < kept; i++)
        if (t - changes->kept[i].t < (int64_t)period_s)
            used += changes->kept[i].by;
    return used < limit ? limit - (uint32_t)used : 0;
}

double pmo_spending_note(struct pmo_spending *spending, const struct pmo_budget *budget, int64_t t,
                         uint32_t instances)
{
    int64_t width = budget->period_s / PMO_BUDGET_SLOTS, now = t / width;
    int64_t last = spending->t ? spending->t / width : now, gap = spending->t ? t - spending->t : 1;
    double sum = 0;

    if (now - last >= PMO_BUDGET_SLOTS)
        memset(spending->slots, 0, sizeof(spending->slots));
    else
        for (int64_t slot = last + 1; slot <= now; slot++)
            spending->slots[slot % PMO_BUDGET_SLOTS] = 0;
    if (gap > budget->period_s)
        gap = budget->period_s;
    spending->slots[now % PMO_BUDGET_SLOTS] += (double)gap * instances;
    spending->t = t;
    for (size_t i = 0; i < PMO_BUDGET_SLOTS; i++)
        sum += spending->slots[i];
    return sum;
}

void pmo_spending_begin(struct pmo_spending *spending, int64_t t, double instance_s)
{
    for (size_t i = 0; i < PMO_BUDGET_SLOTS; i++)
        spending->slots[i] = instance_s / PMO_BUDGET_SLOTS;
    spending->t = t;
}

static uint32_t extra_of(const struct pmo_wish *wish)
{
    return wish->wanted > wish->min ? wish->wanted - wish->min : 0;
}

/* What it takes to give all of a priority up to @each beyond their minimum. */
static uint64_t cost_of(const struct pmo_wish *wishes, size_t count, uint32_t priority,
                        uint32_t each)
{
    uint64_t cost = 0;

    for (size_t i = 0; i < count; i++)
        if (wishes[i].priority == priority)
            cost += extra_of(&wishes[i]) < each ? extra_of(&wishes[i]) : each;
    return cost;
}

uint32_t pmo_limits_grant(const struct pmo_wish *wishes, size_t count, size_t i, uint32_t limit)
{
    const struct pmo_wish *wish = &wishes[i];
    uint32_t low = 0, high = extra_of(wish);
    uint64_t before = 0, left;

    for (size_t j = 0; j < count; j++)
        before += wishes[j].min + (wishes[j].priority > wish->priority ? extra_of(&wishes[j]) : 0);
    if (before >= limit)
        return wish->min;
    left = limit - before;
    while (low < high) { /* as many each as there are for all of this priority */
        uint32_t middle = high - (high - low) / 2;

        if (cost_of(wishes, count, wish->priority, middle) <= left)
            low = middle;
        else
            high = middle - 1;
    }
    if (low == extra_of(wish))
        return wish->min + low;
    /* what does not go up to one more each goes to the first ones */
    left -= cost_of(wishes, count, wish->priority, low);
    for (size_t j = 0; j < i; j++)
        if (left && wishes[j].priority == wish->priority && extra_of(&wishes[j]) > low)
            left--;
    return wish->min + low + (left > 0);
}
