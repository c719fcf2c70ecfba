/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A planner with one service and one policy, second by second. Fatal assertions of CUnit where
 * something fails. */
#pragma once

#include "agent/decide/plan.h"

/* A service whose orders are carried out: instances start for the lead time, then are ready. */
struct plan_world {
    struct pmo_planner *planner;
    struct pmo_policy policy;
    struct pmo_service_state state;
    struct pmo_forecast forecast;
    struct pmo_decision decision; /* the last one */
    enum pmo_mode cap;
    int64_t t;
    uint32_t wanted;
    unsigned int decisions;
};

/* 1 to 12 instances of 50 rps, one of them ready, without load and forecast. */
void plan_begin(struct plan_world *w);
void plan_end(struct plan_world *w);

void plan_rule(struct plan_world *w, const char *text);
/* A trusted forecast of seconds @from to @to: everything at @rps with a spread of @spread on either
 * side. */
void plan_predict(struct plan_world *w, unsigned int from, unsigned int to, double rps,
                  double spread);

/* One second passes; returns whether there was a decision. */
int plan_second(struct plan_world *w);
/* And what was ordered is there at once. */
int plan_carried_out(struct plan_world *w);
