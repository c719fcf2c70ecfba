/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/plan_world.h"

#include <math.h>
#include "tests/unit/suite.h"

void plan_begin(struct plan_world *w)
{
    *w = (struct plan_world){.cap = PMO_MODE_ACT, .t = 1000};
    w->policy = (struct pmo_policy){
        .name = "front",
        .service = "front",
        .mode = PMO_MODE_ACT,
        .latency_objective_s = 0.25,
        .quantile = 0.95,
        .min = 1,
        .max = 12,
        .capacity_rps = 50,
        .target = 0.9,
        .lead_time_s = 3,
        .down_delay_s = 20,
    };
    w->state = (struct pmo_service_state){
        .name = "front", .latency_p99_s = NAN, .error_rate = NAN, .lead_time_s = NAN, .ready = 1};
    CU_ASSERT_EQUAL_FATAL(pmo_planner_new(&w->planner, 1), 0);
}

void plan_end(struct plan_world *w)
{
    pmo_planner_free(&w->planner);
    CU_ASSERT_PTR_NULL(w->planner);
}

void plan_rule(struct plan_world *w, const char *text)
{
    char error[256];

    CU_ASSERT_EQUAL_FATAL(
        pmo_rule_parse(&w->policy.rules[w->policy.rules_count++], text, error, sizeof(error)), 0);
}

void plan_predict(struct plan_world *w, unsigned int from, unsigned int to, double rps,
                  double spread)
{
    w->forecast.trust = 1;
    w->state.forecast = &w->forecast;
    for (unsigned int h = from; h <= to; h++)
        for (int i = 0; i < PMO_QUANTILES; i++)
            w->forecast.value[h - 1][i] = (float)(rps + spread * (2 * pmo_quantiles[i] - 1));
}

int plan_second(struct plan_world *w)
{
    int r;

    w->t++;
    w->forecast.origin = w->t;
    r = pmo_planner_decide(w->planner, &w->policy, w->cap, &w->state, w->t, &w->wanted,
                           &w->decision);
    w->decisions += r;
    return r;
}

int plan_carried_out(struct plan_world *w)
{
    int r = plan_second(w);

    w->state.ready = w->wanted;
    return r;
}
