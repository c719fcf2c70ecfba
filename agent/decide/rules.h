/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a policy's rules want at one second, of all of them together. Pure but for what each rule is
 * remembered by, which is the caller's to keep.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "agent/decide/need.h"
#include "agent/decide/policy.h"

#define PMO_NEVER (INT64_MIN / 2)

struct pmo_rule_memory {
    int64_t held_since; /* PMO_NEVER: does not hold */
    int64_t acted;      /* PMO_NEVER: not yet */
};

/* What all rules together say. */
struct pmo_verdict {
    int strongest;  /* index of the rule that wants most, -1: none wants anything */
    uint32_t wants; /* what that rule wants */
    uint32_t hold;  /* going below this would only make a rule scale up again */
    bool any;       /* any condition holds */
};

/* @memories: one for each rule; `acted` is set by who acts. The situation's count is what rules
 * count from. */
struct pmo_verdict pmo_rules_ask(const struct pmo_policy *policy, struct pmo_rule_memory *memories,
                                 const struct pmo_situation *situation);
