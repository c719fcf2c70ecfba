/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Review: what is right as it is written but will hardly do what was meant. Rules whose conditions
 * can never hold, that never change anything, that another rule always beats, that pull to and fro;
 * schedules that never begin, contradict each other or are frozen.
 *
 * What conditions can be true, together or without each other, is tried out: what matters of a
 * quantity is only where it lies among the thresholds that it is compared with, so that finitely
 * many cases stand for all. Where they are more than a few ten thousand, nothing is said. Pure.
 */
#pragma once

#include <stdint.h>
#include "agent/decide/policy.h"

typedef void (*pmo_review_fn)(void *context, size_t line, const char *message);

/* @now: schedules are looked at for a year from this second on. Calls @warn for each finding. */
void pmo_policy_review(const struct pmo_policy *policy, int64_t now, pmo_review_fn warn,
                       void *context);
