/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bounds decisions over time and over services: rates of change, budgets of instance-hours,
 * and the share of each service in what the host has. Pure; not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- rates ---- */

#define PMO_LIMIT_PERIOD_MAX_S 3600
#define PMO_CHANGES_KEPT       64

/* The last changes in one direction, a ring. */
struct pmo_changes {
    struct {
        int64_t t;
        uint32_t by; /* instances */
    } kept[PMO_CHANGES_KEPT];
    unsigned int count;
};

void pmo_changes_note(struct pmo_changes *changes, int64_t t, uint32_t by);
/* Instances that may still come (or go) at second @t under @limit per @period_s; 0: no limit. */
uint32_t pmo_changes_left(const struct pmo_changes *changes, int64_t t, uint32_t limit,
                          uint32_t period_s);

/* ---- budgets ---- */

#define PMO_BUDGET_SLOTS 100
#define PMO_BUDGET_NEAR  0.9 /* nearly spent */
#define PMO_BUDGET_MIN_S 3600
#define PMO_BUDGET_MAX_S (31 * 86400)

struct pmo_budget {
    double instance_s;
    uint32_t period_s; /* 0: there is no budget */
};

/* What was spent, by hundredths of the period. All 0: nothing was. */
struct pmo_spending {
    double slots[PMO_BUDGET_SLOTS]; /* instance-seconds, a ring */
    int64_t t;                      /* second that was noted last */
};

/* Notes that there are @instances in second @t, and were since the last call. Returns what was
 * spent in the budget's period up to now, in instance-seconds. */
double pmo_spending_note(struct pmo_spending *spending, const struct pmo_budget *budget, int64_t t,
                         uint32_t instances);

/* Begins with @instance_s spent in a budget's period up to second @t, as if evenly. */
void pmo_spending_begin(struct pmo_spending *spending, int64_t t, double instance_s);

/* ---- shares ---- */

struct pmo_wish {
    uint32_t min, wanted; /* instances */
    uint32_t priority;    /* 0..100 */
};

/**
 * pmo_limits_grant - what the @i-th of all wishes gets of @limit instances
 * The minimum of each comes first, even where they are more than @limit together. Of what is left,
 * higher priorities get all that they want before lower ones get anything; those of the same one
 * get as many beyond their minimum as each other, as far as they want them.
 */
uint32_t pmo_limits_grant(const struct pmo_wish *wishes, size_t count, size_t i, uint32_t limit);
