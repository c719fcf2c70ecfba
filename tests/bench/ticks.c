/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a second costs the agent: forecasting (observe and predict, all models, 60 horizons,
 * quantiles) for each series, and deciding for each service. SERIES series take turns, as they do
 * in an agent, so that none of them lives in the nearest cache. Beside the one, the simplest
 * forecast that has quantiles: those of the last minute; beside the other, what the
 * HorizontalPodAutoscaler computes.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include "agent/base/log.h"
#include "agent/decide/baseline.h"
#include "agent/decide/plan.h"
#include "agent/forecast/forecast.h"
#include "tests/bench/measure.h"

#define SERIES  200
#define WARM_UP 3600 /* seconds before the measurement: all models have what they need */
#define SECONDS 300  /* measured */

#define FLEET           1000 /* services */
#define FLEET_INSTANCES 20   /* of each */

struct world {
    struct pmo_forecaster *forecaster[SERIES];
    struct pmo_forecast forecast[SERIES];
    double minute[SERIES][60];
    uint64_t random;
};

static double uniform(struct world *w)
{
    w->random = w->random * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX */
    return (double)(w->random >> 11) / 9007199254740992.0;
}

/* Requests in second @t: a wave, a burst every two minutes, and noise. */
static double load_at(struct world *w, int series, int t)
{
    double wave = 100 + 60 * sin(2 * M_PI * (t + 37 * series) / 600.0);
    double burst = (t + series) % 120 < 10 ? 150 : 0;

    return floor(wave + burst + 20 * (uniform(w) - 0.5));
}

static double time_forecasts(struct world *w, int t)
{
    double load[SERIES];
    uint64_t start;

    for (int s = 0; s < SERIES; s++) {
        load[s] = load_at(w, s, t);
        w->minute[s][t % 60] = load[s];
    }
    start = now_ns();
    for (int s = 0; s < SERIES; s++) {
        pmo_forecaster_observe(w->forecaster[s], t, load[s]);
        pmo_forecaster_predict(w->forecaster[s], &w->forecast[s]);
    }
    return (double)(now_ns() - start) / 1e3 / SERIES;
}

static double time_minutes(struct world *w)
{
    uint64_t start = now_ns();

    for (int s = 0; s < SERIES; s++) {
        struct pmo_forecast forecast;
        double sorted[60];

        memcpy(sorted, w->minute[s], sizeof(sorted));
        qsort(sorted, 60, sizeof(*sorted), by_value);
        for (int h = 0; h < PMO_HORIZONS; h++)
            for (int q = 0; q < PMO_QUANTILES; q++)
                forecast.value[h][q] = (float)sorted[(int)(pmo_quantiles[q] * 59)];
        use(&forecast);
    }
    return (double)(now_ns() - start) / 1e3 / SERIES;
}

static double time_decisions(struct world *w, struct pmo_planner *planner,
                             const struct pmo_policy *policy, uint32_t wanted[SERIES], int t)
{
    char name[SERIES][16];
    struct pmo_decision decision;
    uint64_t start;

    for (int s = 0; s < SERIES; s++)
        (void)snprintf(name[s], sizeof(name[s]), "service-%d", s & 0xff);
    start = now_ns();
    for (int s = 0; s < SERIES; s++) {
        struct pmo_service_state state = {.name = name[s],
                                          .load_rps = w->minute[s][t % 60],
                                          .in_flight = 3,
                                          .latency_p99_s = 0.02,
                                          .ready = wanted[s],
                                          .lead_time_s = 3,
                                          .capacity_rps = 50,
                                          .forecast = &w->forecast[s]};

        (void)pmo_planner_decide(planner, policy, PMO_MODE_ACT, &state, t, &wanted[s], &decision);
    }
    return (double)(now_ns() - start) / 1e3 / SERIES;
}

/* A second of the planner, in ms: a fleet of services, each with 20 instances and a forecast. */
static double time_fleet(struct world *w, struct pmo_planner *planner,
                         const struct pmo_policy *policy, int t)
{
    static struct pmo_forecast forecast[FLEET];
    static char name[FLEET][32];
    static uint32_t wanted[FLEET];
    struct pmo_decision decision;
    uint64_t start;

    for (int s = 0; s < FLEET; s++) {
        forecast[s] = w->forecast[s % SERIES];
        (void)snprintf(name[s], sizeof(name[s]), "fleet-%d", s);
    }
    start = now_ns();
    for (int s = 0; s < FLEET; s++) {
        struct pmo_service_state state = {.name = name[s],
                                          .load_rps = w->minute[s % SERIES][t % 60],
                                          .in_flight = 3,
                                          .latency_p99_s = 0.02,
                                          .ready = FLEET_INSTANCES,
                                          .lead_time_s = 3,
                                          .capacity_rps = 10,
                                          .forecast = &forecast[s]};

        (void)pmo_planner_decide(planner, policy, PMO_MODE_ACT, &state, t, &wanted[s], &decision);
    }
    return (double)(now_ns() - start) / 1e6;
}

/* The HorizontalPodAutoscaler's algorithm on the same load, as one run of all seconds. */
static double time_hpa(struct world *w)
{
    double load[SECONDS];
    uint32_t wanted[SECONDS];
    uint64_t start, taken = 0;

    for (int s = 0; s < SERIES; s++) {
        for (int t = 0; t < SECONDS; t++)
            load[t] = load_at(w, s, t);
        start = now_ns();
        pmo_hpa_run(load, SECONDS, 50, 0.7, 2, 1, 12, wanted);
        taken += now_ns() - start;
        use(wanted);
    }
    return (double)taken / 1e3 / SERIES / SECONDS;
}

static int policy_fill(struct pmo_policy *policy)
{
    static const char *const rules[] = {
        "scale up by 2 instances if predicted load exceeds 80 % of capacity",
        "scale up by 1 instance if latency exceeds 200 ms",
        "scale down by 1 instance if load is below 20 % of capacity for 60s",
    };
    char error[256];
    int r = 0;

    *policy = (struct pmo_policy){.name = "all",
                                  .service = "*",
                                  .mode = PMO_MODE_ACT,
                                  .latency_objective_s = 0.25,
                                  .quantile = 0.95,
                                  .min = 1,
                                  .max = 12,
                                  .target = 0.9,
                                  .down_delay_s = 20};
    for (size_t i = 0; !r && i < sizeof(rules) / sizeof(*rules); i++)
        r = pmo_rule_parse(&policy->rules[policy->rules_count++], rules[i], error, sizeof(error));
    return r;
}

int main(void)
{
    static struct world w = {.random = 1};
    static uint32_t wanted[SERIES];
    static double forecasts[SECONDS], minutes[SECONDS], decisions[SECONDS], fleets[SECONDS];
    struct pmo_policy policy;
    struct pmo_planner *planner;
    int r = policy_fill(&policy);

    if (!r)
        r = pmo_planner_new(&planner, 1);
    for (int s = 0; !r && s < SERIES; s++) {
        wanted[s] = 2;
        r = pmo_forecaster_new(&w.forecaster[s]);
    }
    if (r)
        return -pmo_err_r(r, "cannot begin");
    for (int t = 0; t < WARM_UP; t++)
        (void)time_forecasts(&w, t);
    for (int i = 0; i < SECONDS; i++) {
        forecasts[i] = time_forecasts(&w, WARM_UP + i);
        minutes[i] = time_minutes(&w);
        decisions[i] = time_decisions(&w, planner, &policy, wanted, WARM_UP + i);
        fleets[i] = time_fleet(&w, planner, &policy, WARM_UP + i);
    }
    (void)printf("forecast_p50 %.1f\n", quantile(forecasts, SECONDS, 0.5));
    (void)printf("forecast_p99 %.1f\n", quantile(forecasts, SECONDS, 0.99));
    (void)printf("minute %.1f\n", quantile(minutes, SECONDS, 0.5));
    (void)printf("decision %.2f\n", quantile(decisions, SECONDS, 0.5));
    (void)printf("fleet_p50 %.2f\n", quantile(fleets, SECONDS, 0.5));
    (void)printf("fleet_p99 %.2f\n", quantile(fleets, SECONDS, 0.99));
    (void)printf("hpa %.3f\n", time_hpa(&w));
    (void)printf("forecaster_kib %.1f\n", (double)pmo_forecaster_bytes() / 1024);
    (void)printf("forecaster_signals_kib %.1f\n",
                 (double)(pmo_forecaster_bytes() + pmo_forecaster_signals_bytes()) / 1024);
    for (int s = 0; s < SERIES; s++)
        pmo_forecaster_free(&w.forecaster[s]);
    pmo_planner_free(&planner);
    return 0;
}
