/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmoctl simulate: what PMO would have done on a recorded load, in virtual time (the live code:
 * agent/decide/simulator.h), and what it would have come to in one queue model (queue.h), beside
 * others. Those begin anew at --from, with nothing to learn from; PMO has what came before as its
 * history. Everything is scored from there on.
 */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/decide/baseline.h"
#include "agent/decide/simulator.h"
#include "tools/pmoctl/plot.h"
#include "tools/pmoctl/progress.h"
#include "tools/pmoctl/table.h"
#include "tools/pmoctl/trace.h"

#define AGAINST       "hpa:70,fast:70,oracle"
#define CONTENDERS    16
#define HPA_MAX       1000000 /* instances */
#define STARTUP_MAX_S 3600
#define BEFORE_S      300  /* of the picture: what is shown before the rise, */
#define SHOWN_S       1200 /* and altogether */

/* Who decides, and what it came to. */
struct contender {
    char name[32];
    enum { PMO, HPA, FAST, ORACLE } kind;
    double target;
    uint32_t *wanted; /* in each scored second */
    struct pmo_queue_result result;
    uint32_t peak;
    size_t changes;
};

struct simulation {
    const struct pmoctl *ctl;
    struct pmo_queue_model model;
    struct pmo_policy policy;
    struct pmo_trace trace;
    double *demand;   /* the trace with its gaps filled */
    uint32_t *wanted; /* PMO's, in each second of the trace */
    size_t from, scored;
    struct contender contenders[1 + CONTENDERS]; /* PMO first */
    size_t count;
    double oracle_s; /* instance-seconds of the oracle: a cost of 1 */
};

static void simulation_free(struct simulation *s)
{
    for (size_t i = 1; i < CONTENDERS + 1; i++)
        free(s->contenders[i].wanted);
    free(s->wanted);
    free(s->demand);
    pmo_trace_free(&s->trace);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

/* "hpa:70" */
static int read_contender(struct contender *contender, const char *text)
{
    static const char *const names[] = {[HPA] = "hpa:", [FAST] = "fast:"};
    char *end = NULL;

    (void)snprintf(contender->name, sizeof(contender->name), "%s", text);
    contender->kind = ORACLE;
    if (!strcmp(text, "oracle"))
        return 0;
    for (int kind = HPA; kind <= FAST; kind++) {
        size_t length = strlen(names[kind]);

        if (strncmp(text, names[kind], length) != 0)
            continue;
        contender->kind = kind;
        contender->target = strtod(text + length, &end) / 100;
        if (end > text + length && !*end && contender->target > 0 && contender->target <= 1)
            return 0;
    }
    return pmo_fail(EINVAL, "--against %s: not known; write e.g. " AGAINST, text);
}

static int read_contenders(struct simulation *s, const char *against)
{
    _cleanup_free_ char *list = strdup(against ? against : AGAINST);
    char *rest = list, *text;

    if (!list)
        return pmo_err_r(ENOMEM, "cannot read --against");
    s->contenders[s->count++] = (struct contender){.name = "pmo", .kind = PMO};
    while ((text = strsep(&rest, ","))) {
        if (s->count > CONTENDERS)
            return pmo_fail(EINVAL, "--against: more than %d; leave some out", CONTENDERS);
        if (read_contender(&s->contenders[s->count], text) < 0)
            return -EINVAL;
        s->count++;
    }
    return 0;
}

/* The policy for --service, else the only one. */
static int choose_policy(struct pmo_policy *policy, const struct pmo_policies *policies,
                         const struct pmoctl *ctl)
{
    size_t count = pmo_policies_count(policies);
    const struct pmo_policy *chosen = ctl->service ? pmo_policies_for(policies, ctl->service)
                                      : count == 1 ? pmo_policies_at(policies, 0)
                                                   : NULL;

    if (!count)
        return pmo_fail(EINVAL, "%s: there is no policy in it; see docs/policies.md", ctl->policy);
    if (!chosen && ctl->service)
        return pmo_fail(EINVAL, "%s: there is no policy for service %s in it", ctl->policy,
                        ctl->service);
    if (!chosen)
        return pmo_fail(EINVAL, "%s: there are %zu policies in it; say whose with --service",
                        ctl->policy, count);
    *policy = *chosen;
    return 0;
}

/* Without --policy: what holds where a policy says nothing, with room for any number of instances.
 */
static int read_policy(struct pmo_policy *policy, const struct pmoctl *ctl)
{
    static const char text[] = "apiVersion: pmo.dev/v1alpha1\n"
                               "kind: OrchestrationPolicy\n"
                               "metadata: {name: defaults}\n"
                               "spec: {target: {service: '*'}, instances: {max: 10000}}\n";
    struct pmo_policies *policies = NULL;
    struct pmo_file *file = NULL;
    int r = ctl->policy ? pmo_file_read(&file, ctl->policy, NULL, NULL)
                        : pmo_file_parse(&file, "defaults", text, strlen(text), NULL, NULL);

    if (!r)
        r = pmo_policies_read(&policies, file);
    if (!r)
        r = choose_policy(policy, policies, ctl);
    pmo_policies_free(&policies);
    pmo_file_free(&file);
    return r;
}

static int prepare(struct simulation *s, const struct pmoctl *ctl)
{
    int r;

    s->ctl = ctl;
    if (!ctl->trace || !ctl->out || !(ctl->capacity_rps > 0) || isnan(ctl->startup_s))
        return pmo_fail(EINVAL, "simulate needs --trace, --capacity, --startup and --out; see "
                                "pmoctl simulate --help");
    if (ctl->startup_s > STARTUP_MAX_S)
        return pmo_fail(EINVAL, "--startup %g: more than an hour; write less", ctl->startup_s);
    r = pmo_trace_keep(ctl->trace, "--out", ctl->out);
    if (!r)
        r = pmo_trace_keep(ctl->trace, "--plot", ctl->plot);
    if (!r)
        r = read_contenders(s, ctl->against);
    if (!r)
        r = read_policy(&s->policy, ctl);
    if (r < 0)
        return r;
    if (ctl->slo_s > 0 && !ctl->policy)
        s->policy.latency_objective_s = ctl->slo_s;
    s->model = (struct pmo_queue_model){
        .capacity_rps = ctl->capacity_rps,
        .startup_s = (uint32_t)ceil(ctl->startup_s),
        .objective_s = ctl->slo_s > 0 ? ctl->slo_s : s->policy.latency_objective_s,
    };
    r = pmo_trace_read(&s->trace, ctl->trace);
    if (r < 0)
        return r;
    if (ctl->from_s >= (double)s->trace.seconds)
        return pmo_fail(EINVAL, "--from %.0f: %s ends after %zu s; write less", ctl->from_s,
                        ctl->trace, s->trace.seconds);
    s->from = (size_t)fmax(ctl->from_s, 0); /* 0 where not given */
    s->scored = s->trace.seconds - s->from;
    s->demand = calloc(s->trace.seconds, sizeof(*s->demand));
    s->wanted = calloc(s->trace.seconds, sizeof(*s->wanted));
    if (!s->demand || !s->wanted)
        return pmo_err_r(ENOMEM, "cannot simulate %zu s", s->trace.seconds);
    memcpy(s->demand, s->trace.requests, s->trace.seconds * sizeof(*s->demand));
    pmo_demand_fill(s->demand, s->trace.seconds);
    return 0;
}

/* ---- deciding and scoring -------------------------------------------------------------------- */

static int run_pmo(struct simulation *s)
{
    struct pmo_simulator *simulator = NULL;
    struct pmo_progress progress;
    int r = pmo_simulator_new(&simulator, &s->model, &s->policy, s->wanted);

    if (!r && s->ctl->learn)
        pmo_simulator_learn(simulator);
    pmo_progress_begin(&progress, s->trace.seconds);
    for (size_t t = 0; t < s->trace.seconds && !r; t++) {
        double signals[PMO_LEADING_SIGNALS];

        pmo_trace_signals(&s->trace, t, signals);
        pmo_simulator_set_signals(simulator, signals);
        r = pmo_simulator_step(simulator, s->trace.requests[t]);
        pmo_progress_at(&progress, t + 1);
    }
    pmo_progress_end(&progress);
    pmo_simulator_free(&simulator);
    return r;
}

static void run_other(const struct simulation *s, struct contender *contender)
{
    const double *demand = s->demand + s->from;
    double capacity_rps = s->model.capacity_rps;

    if (contender->kind == HPA)
        pmo_hpa_run(demand, s->scored, capacity_rps, contender->target, 0, 1, HPA_MAX,
                    contender->wanted);
    else if (contender->kind == FAST)
        pmo_fast_run(s->trace.requests + s->from, s->scored, capacity_rps, contender->target,
                     contender->wanted);
    else
        pmo_oracle_run(demand, s->scored, capacity_rps, s->model.startup_s, contender->wanted);
}

static void score(const struct simulation *s, struct contender *contender)
{
    const uint32_t *wanted = contender->wanted;

    pmo_queue_run(&s->model, s->demand + s->from, wanted, s->scored, &contender->result, NULL);
    for (size_t t = 0; t < s->scored; t++) {
        if (wanted[t] > contender->peak)
            contender->peak = wanted[t];
        contender->changes += t > 0 && wanted[t] != wanted[t - 1];
    }
}

static int run(struct simulation *s)
{
    _cleanup_free_ uint32_t *wanted = calloc(s->scored, sizeof(*wanted));
    struct contender oracle = {.kind = ORACLE, .wanted = wanted};
    int r = wanted ? run_pmo(s) : -ENOMEM;

    s->contenders[0].wanted = s->wanted + s->from;
    for (size_t i = 1; i < s->count && !r; i++) {
        s->contenders[i].wanted = calloc(s->scored, sizeof(*wanted));
        if (s->contenders[i].wanted)
            run_other(s, &s->contenders[i]);
        else
            r = -ENOMEM;
    }
    if (r < 0)
        return pmo_err_r(r, "cannot simulate %zu s", s->trace.seconds);
    run_other(s, &oracle);
    score(s, &oracle);
    s->oracle_s = oracle.result.instance_seconds;
    for (size_t i = 0; i < s->count; i++)
        score(s, &s->contenders[i]);
    return 0;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static int write_decisions(const struct simulation *s, FILE *out)
{
    (void)fputs("t,replicas\n", out);
    for (size_t t = 0; t < s->trace.seconds; t++)
        (void)fprintf(out, "%zu,%u\n", t, s->wanted[t]);
    if (fflush(out) != 0 || ferror(out))
        return pmo_err_r(errno, "cannot write %s", s->ctl->out);
    return 0;
}

static double late_percent(const struct pmo_queue_result *result)
{
    return result->requests > 0 ? 100 * result->late / result->requests : 0;
}

static json_t *report_json(const struct simulation *s)
{
    json_t *results = json_array();

    for (size_t i = 0; i < s->count; i++) {
        const struct contender *c = &s->contenders[i];

        (void)json_array_append_new(
            results,
            json_pack("{s:s, s:f, s:f, s:f, s:I, s:I}", "name", c->name, "latePercent",
                      late_percent(&c->result), "cost", c->result.instance_seconds / s->oracle_s,
                      "instanceSeconds", c->result.instance_seconds, "peakInstances",
                      (json_int_t)c->peak, "changes", (json_int_t)c->changes));
    }
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:I, s:f, s:o}", "trace", s->ctl->trace, "from",
                     (json_int_t)s->from, "seconds", (json_int_t)s->scored, "requests",
                     s->contenders[0].result.requests, "capacityRps", s->model.capacity_rps,
                     "startupS", (json_int_t)s->model.startup_s, "sloMs",
                     1e3 * s->model.objective_s, "results", results);
}

static int print_report(const struct simulation *s)
{
    static const char *const columns[] = {"NAME",  ">LATE",    ">COST", ">INSTANCE-SECONDS",
                                          ">PEAK", ">CHANGES", NULL};
    struct libscols_table *table = pmoctl_table_new(columns);

    printf("%s: %zu s from second %zu on, %.0f requests; %g rps an instance, %u s to start, late "
           "after %g ms\n\n",
           s->ctl->trace, s->scored, s->from, s->contenders[0].result.requests,
           s->model.capacity_rps, s->model.startup_s, 1e3 * s->model.objective_s);
    for (size_t i = 0; i < s->count; i++) {
        const struct contender *c = &s->contenders[i];
        char late[32], cost[32], instance_seconds[32], peak[32], changes[32];
        const char *cells[] = {c->name, late, cost, instance_seconds, peak, changes};

        (void)snprintf(late, sizeof(late), "%.4f %%", late_percent(&c->result));
        (void)snprintf(cost, sizeof(cost), "%.3f", c->result.instance_seconds / s->oracle_s);
        (void)snprintf(instance_seconds, sizeof(instance_seconds), "%.0f",
                       c->result.instance_seconds);
        (void)snprintf(peak, sizeof(peak), "%u", c->peak);
        (void)snprintf(changes, sizeof(changes), "%zu", c->changes);
        if (table)
            pmoctl_table_row(table, cells);
    }
    return pmoctl_table_print(table);
}

/* What one contender adds to the picture: its ready capacity, and who was late. */
static void plot_contender(const struct simulation *s, const struct contender *contender,
                           double *capacity, double *late)
{
    struct pmo_queue_result result;

    pmo_queue_run(&s->model, s->demand + s->from, contender->wanted, s->scored, &result, late);
    for (size_t t = 0; t < s->scored; t++) {
        capacity[t] = pmo_queue_ready(&s->model, contender->wanted, t) * s->model.capacity_rps;
        late[t] *= 100;
    }
}

/* PMO beside the first of --against. */
static int plot(const struct simulation *s)
{
    enum { SECOND, ASKED, READY, LATE, OTHER_READY, OTHER_LATE, SERIES };
    _cleanup_free_ double *values = calloc(SERIES * s->scored, sizeof(*values));
    const struct contender *pmo = &s->contenders[0], *other = &s->contenders[1];
    size_t rise = pmo_trace_rise(s->demand + s->from, s->scored);
    size_t first = rise > BEFORE_S ? rise - BEFORE_S : 0;
    size_t seconds = s->scored - first < SHOWN_S ? s->scored - first : SHOWN_S;
    double *series[SERIES];
    char title[128];

    if (!values)
        return pmo_err_r(ENOMEM, "cannot draw %s", s->ctl->plot);
    for (size_t i = 0; i < SERIES; i++)
        series[i] = values + i * s->scored;
    plot_contender(s, pmo, series[READY], series[LATE]);
    plot_contender(s, other, series[OTHER_READY], series[OTHER_LATE]);
    for (size_t t = 0; t < s->scored; t++) {
        series[SECOND][t] = (double)(s->from + t);
        series[ASKED][t] = pmo->wanted[t] * s->model.capacity_rps;
    }
    for (size_t i = 0; i < SERIES; i++)
        series[i] += first;
    (void)snprintf(title, sizeof(title), "Requests per second; %g rps an instance, %u s to start",
                   s->model.capacity_rps, s->model.startup_s);

    const double *x = series[SECOND];
    const struct pmo_plot_series rates[] = {
        {"demand", PMO_PLOT_LINE, PMO_PLOT_GREY, seconds, x, s->demand + s->from + first, NULL},
        {other->name, PMO_PLOT_STEP, PMO_PLOT_RED, seconds, x, series[OTHER_READY], NULL},
        {"pmo asked for", PMO_PLOT_DOTTED, PMO_PLOT_BLUE, seconds, x, series[ASKED], NULL},
        {"pmo ready", PMO_PLOT_STEP, PMO_PLOT_BLUE, seconds, x, series[READY], NULL}};
    const struct pmo_plot_series late[] = {
        {other->name, PMO_PLOT_STEP, PMO_PLOT_RED, seconds, x, series[OTHER_LATE], NULL},
        {"pmo", PMO_PLOT_STEP, PMO_PLOT_BLUE, seconds, x, series[LATE], NULL}};
    const struct pmo_plot_panel panels[] = {
        {.title = title, .x_is_time = true, .series = rates, .series_count = 4},
        {.title = "Late, % of a second's requests",
         .x_is_time = true,
         .x_label = "time in the trace",
         .top = 100,
         .series = late,
         .series_count = 2}};

    return pmo_plot_write(s->ctl->plot, panels, 2);
}

int pmoctl_simulate(struct pmoctl *ctl)
{
    struct simulation s = {0};
    _cleanup_fclose_ FILE *out = NULL;
    int r = prepare(&s, ctl), status = EXIT_FAILURE;

    if (!r) {
        out = fopen(ctl->out, "we"); /* before the work, that it is not for nothing */
        r = out ? 0 : pmo_err_r(errno, "cannot write %s", ctl->out);
    }
    if (!r)
        r = run(&s);
    if (!r)
        r = write_decisions(&s, out);
    if (!r)
        status = ctl->json ? pmoctl_print_json(report_json(&s)) : print_report(&s);
    if (!r && ctl->plot && plot(&s) < 0)
        status = EXIT_FAILURE;
    simulation_free(&s);
    return status;
}
