/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A service in virtual time: the forecaster and the planner, as they run live, on a load that comes
 * in second by second, with the queue (queue.h) in the place of real instances. It is given one
 * second after the other, so no decision can know what comes later. Pure; not thread-safe.
 */
#pragma once

#include "agent/decide/capacity.h"
#include "agent/decide/policy.h"
#include "agent/decide/queue.h"
#include "agent/forecast/forecast.h"

struct pmo_simulator;

/**
 * pmo_simulator_new - a service before its first second
 * @policy: what it is scaled by, in mode act whatever it says; capacity and lead time are the
 *          model's where it does not state them
 * @wanted: receives the count that is asked for in each second; both live as long as the simulator
 * Returns 0 or -ENOMEM.
 */
int pmo_simulator_new(struct pmo_simulator **simulator, const struct pmo_queue_model *model,
                      const struct pmo_policy *policy, uint32_t *wanted);
/**
 * pmo_simulator_learn - from now on capacity and lead time are not known, but learned as live
 * To be called before the first second. Each second, the planner's side is shown what real
 * instances of the model show: the CPU time they used (with a tenth of noise) and may use, what was
 * answered, how fast, and how long starts took. The model may change from second to second, as
 * a new version does.
 */
void pmo_simulator_learn(struct pmo_simulator *simulator);
/* What it has learned of one instance; all 0 where it does not learn. */
struct pmo_capacity_estimate pmo_simulator_learned(const struct pmo_simulator *simulator);
void pmo_simulator_free(struct pmo_simulator **simulator);

/* Second 0 is this one of real time (which schedules go by) instead of 1970's first; before the
 * first step. */
void pmo_simulator_begin(struct pmo_simulator *simulator, int64_t t);

/**
 * pmo_simulator_step - the next second, t = 0, 1, 2...
 * @requests: that came in it; NAN: not recorded. The forecaster then has no such second, the queue
 *            and the planner go on with the last load that is known.
 * Decides, and writes the count to wanted[t]. The instances of second 0 are ready in it.
 * Returns 0 or -ENOMEM.
 */
int pmo_simulator_step(struct pmo_simulator *simulator, double requests);
/* What of the next second's signals is known; before each step, where any is. */
void pmo_simulator_set_signals(struct pmo_simulator *simulator,
                               const double signal[PMO_LEADING_SIGNALS]);
