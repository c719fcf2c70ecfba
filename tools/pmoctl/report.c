/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pmoctl report: what a run of pmo-load came to. Requests sent and counted; and each service's
 * instances, as they were, beside what the HorizontalPodAutoscaler's algorithm would have asked for
 * on the same arrivals: at its usual target, and at the target where it costs as much. All of them
 * go through one queue model (agent/decide/queue.h), so that they differ in nothing but the
 * decisions. The whole run, and its second half: by then PMO has seen what recurs.
 */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/decide/baseline.h"
#include "agent/decide/queue.h"
#include "tools/pmoctl/table.h"

#define SETTLE_TRIES   8 /* half a second each, until the last second's counts are read */
#define CLOCKS_APART_S 2 /* the kernel's windows and pmo-load's clock, at most */
#define DEFAULT_LATE_S 0.25

/* Recorded seconds of one service. */
struct record {
    size_t seconds;
    double *demand; /* gaps filled */
    uint32_t *instances, *hpa;
};

static void record_free(struct record *record)
{
    free(record->demand);
    free(record->instances);
    free(record->hpa);
}

/* Fills in the seconds of /v1/series. Where one is missing, instances stay as they were. */
static int record_read(struct record *record, const json_t *series)
{
    json_int_t since = pmoctl_integer(series, "since");
    json_t *arrivals = json_object_get(series, "arrivals"), *row;
    size_t i;

    record->seconds = (size_t)fmax(0, (double)(pmoctl_integer(series, "until") - since + 1));
    record->demand = calloc(record->seconds + 1, sizeof(*record->demand));
    record->instances = calloc(record->seconds + 1, sizeof(*record->instances));
    record->hpa = calloc(record->seconds + 1, sizeof(*record->hpa));
    if (!record->demand || !record->instances || !record->hpa)
        return -ENOMEM;
    for (i = 0; i < record->seconds; i++)
        record->demand[i] = NAN;
    json_array_foreach (arrivals, i, row) {
        json_int_t at = pmoctl_integer(row, "t") - since;

        if (at < 0 || at >= (json_int_t)record->seconds)
            continue;
        record->demand[at] = pmoctl_number(row, "count");
        record->instances[at] =
            (uint32_t)(pmoctl_integer(row, "ready") + pmoctl_integer(row, "starting"));
    }
    for (i = 1; i < record->seconds; i++)
        if (isnan(record->demand[i]))
            record->instances[i] = record->instances[i - 1];
    pmo_demand_fill(record->demand, record->seconds);
    return 0;
}

static json_t *result_json(const struct pmo_queue_result *result, double target)
{
    json_t *json = json_pack("{s:f, s:f}", "latePercent",
                             result->requests > 0 ? 100 * result->late / result->requests : 0,
                             "instanceSeconds", result->instance_seconds);

    if (target > 0)
        (void)json_object_set_new(json, "target", json_real(target));
    return json;
}

struct comparison {
    struct pmo_queue_model model;
    struct record *record;
    size_t from; /* first second that is scored */
    uint32_t min, max;
};

static void score(const struct comparison *c, const uint32_t *wanted,
                  struct pmo_queue_result *result)
{
    pmo_queue_run(&c->model, c->record->demand + c->from, wanted + c->from,
                  c->record->seconds - c->from, result, NULL);
}

/* The algorithm runs from the run's first second on, with the instances there were. */
static void score_hpa(const struct comparison *c, double target, struct pmo_queue_result *result)
{
    pmo_hpa_run(c->record->demand, c->record->seconds, c->model.capacity_rps, target,
                c->record->instances[0], c->min, c->max, c->record->hpa);
    score(c, c->record->hpa, result);
}

/* Scores the part of the run from second @from on; NULL where the service's numbers are not known.
 */
static json_t *compare(const struct pmoctl *ctl, const json_t *service, struct record *record,
                       size_t from)
{
    const json_t *policy = json_object_get(service, "policy");
    double lead_time_s = pmoctl_number(service, "leadTimeS");
    double objective_ms = pmoctl_number(policy, "latencyObjectiveMs");
    struct comparison c = {
        .model = {.capacity_rps = pmoctl_number(service, "capacityRps"),
                  .startup_s = isfinite(lead_time_s) ? (uint32_t)ceil(lead_time_s) : 0,
                  .objective_s = isfinite(objective_ms) ? objective_ms / 1e3 : DEFAULT_LATE_S},
        .record = record,
        .from = from,
        .min = (uint32_t)pmoctl_integer(policy, "min"),
        .max = (uint32_t)pmoctl_integer(policy, "max")};
    struct pmo_queue_result own, hpa, same;
    double target = 1;

    if (!json_is_object(policy) || !isfinite(c.model.capacity_rps) || from >= record->seconds)
        return NULL;
    score(&c, record->instances, &own);
    score_hpa(&c, ctl->target, &hpa);
    do {
        score_hpa(&c, target, &same);
        target -= 0.01;
    } while (same.instance_seconds < own.instance_seconds && target > 0.1);
    return json_pack("{s:o, s:o, s:o}", "pmoInModel", result_json(&own, 0), "hpaInModel",
                     result_json(&hpa, ctl->target), "hpaAtSameCost",
                     result_json(&same, target + 0.01));
}

/* Share of the requests that left from second @from of the load on and were late, NAN: not known.
 */
static double late_percent(const json_t *load, size_t from)
{
    const json_t *by_second = json_object_get(load, "by_second");
    const json_t *scheduled = json_object_get(by_second, "scheduled");
    const json_t *late = json_object_get(by_second, "late");
    double all = 0, bad = 0;

    for (size_t i = from; i < json_array_size(scheduled); i++) {
        all += (double)json_integer_value(json_array_get(scheduled, i));
        bad += (double)json_integer_value(json_array_get(late, i));
    }
    return all > 0 ? 100 * bad / all : NAN;
}

/* One part of the run. */
static json_t *report_part(const struct pmoctl *ctl, const json_t *load, const json_t *service,
                           struct record *record, const char *name, size_t from)
{
    double instance_seconds = 0, late = late_percent(load, from);
    json_t *part, *model, *measured;

    for (size_t i = from; i < record->seconds; i++)
        instance_seconds += record->instances[i];
    measured = json_pack("{s:f}", "instanceSeconds", instance_seconds);
    if (!strcmp(pmoctl_text(service, "name"), ctl->service) && isfinite(late))
        (void)json_object_set_new(measured, "latePercent", json_real(late));
    part = json_pack("{s:s, s:I, s:o}", "part", name, "seconds",
                     (json_int_t)(record->seconds - from), "pmoMeasured", measured);
    model = compare(ctl, service, record, from);
    (void)json_object_update(part, model);
    json_decref(model);
    return part;
}

/* One service's part of the report. */
static json_t *report_service(struct pmoctl *ctl, const json_t *load, const json_t *service)
{
    const char *name = pmoctl_text(service, "name");
    double begin = pmoctl_number(load, "started"), elapsed_s = pmoctl_number(load, "elapsed_s");
    struct record record = {0};
    json_t *series, *part = NULL;
    char since[32], until[32];

    (void)snprintf(since, sizeof(since), "%.0f", floor(begin));
    (void)snprintf(until, sizeof(until), "%.0f", ceil(begin + elapsed_s));
    series = pmoctl_logged(
        ctl, pmoctl_get(ctl, "/v1/series", "service", name, "since", since, "until", until, NULL));
    if (!series)
        return NULL;
    if (record_read(&record, series) < 0) {
        json_decref(series);
        record_free(&record);
        (void)pmo_err_r(ENOMEM, "cannot compare %s", name);
        return NULL;
    }
    part = json_pack("{s:s, s:f, s:[o, o]}", "service", name, "instanceSecondsSinceStart",
                     fmax(0, pmoctl_number(service, "instanceSeconds")), "parts",
                     report_part(ctl, load, service, &record, "whole run", 0),
                     report_part(ctl, load, service, &record, "second half", record.seconds / 2));
    json_decref(series);
    record_free(&record);
    return part;
}

/* Requests to the loaded service in the series since the load began, or -1, logged. Not the
 * service's total, which begins anew with the agent; and waits while the last second is still on
 * its way. */
static json_int_t counted_requests(struct pmoctl *ctl, const json_t *load)
{
    double begin = floor(pmoctl_number(load, "started")) - CLOCKS_APART_S;
    json_int_t sent = pmoctl_integer(load, "sent"), counted, first;
    json_t *series, *row;
    char since[32];
    size_t k;

    (void)snprintf(since, sizeof(since), "%.0f", begin);
    for (int i = 0;; i++) {
        series = pmoctl_logged(
            ctl, pmoctl_get(ctl, "/v1/series", "service", ctl->service, "since", since, NULL));
        if (!series)
            return -1;
        counted = 0;
        json_array_foreach (json_object_get(series, "rows"), k, row)
            counted += pmoctl_integer(row, "count");
        first = pmoctl_integer(series, "since");
        json_decref(series);
        if ((double)first > begin)
            return pmo_fail(1,
                            "%s: this load began more than an hour ago, and the agent keeps one "
                            "hour; run pmo-load again",
                            ctl->load);
        if (counted >= sent || i == SETTLE_TRIES)
            return counted;
        (void)usleep(500000);
    }
}

static json_t *make_report(struct pmoctl *ctl, const json_t *load)
{
    json_int_t sent = pmoctl_integer(load, "sent"), counted = counted_requests(ctl, load);
    double scheduled = pmoctl_number(load, "scheduled");
    json_t *services, *service, *parts, *part;
    size_t i;

    services = counted < 0 ? NULL : pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/services", NULL));
    if (!services)
        return NULL;
    parts = json_array();
    json_array_foreach (json_object_get(services, "services"), i, service) {
        if (!json_is_true(json_object_get(service, "managed")) &&
            strcmp(pmoctl_text(service, "name"), ctl->service) != 0)
            continue;
        part = report_service(ctl, load, service);
        if (!part) {
            json_decref(parts);
            json_decref(services);
            return NULL;
        }
        (void)json_array_append_new(parts, part);
    }
    json_decref(services);
    return json_pack("{s:s, s:I, s:I, s:b, s:I, s:f, s:f, s:o}", "service", ctl->service, "sent",
                     sent, "counted", counted, "equal", sent == counted, "late",
                     pmoctl_integer(load, "late"), "latePercent",
                     scheduled > 0 ? 100 * pmoctl_number(load, "late") / scheduled : 0, "hpaTarget",
                     ctl->target, "services", parts);
}

/* ---- for people -------------------------------------------------------------------------------
 */

static const char *format_late(char text[32], const json_t *result)
{
    double late = pmoctl_number(result, "latePercent");

    if (!isfinite(late))
        return "-";
    (void)snprintf(text, 32, "%.2f %%", late);
    return text;
}

static const char *format_seconds(char text[32], const json_t *result)
{
    return pmoctl_format(text, pmoctl_number(result, "instanceSeconds"));
}

static int print_table(const json_t *report)
{
    static const char *const columns[] = {"SERVICE",     "PART",        ">SECONDS",
                                          ">LATE",       ">INSTANCE-S", ">MODEL LATE",
                                          ">HPA LATE",   ">INSTANCE-S", ">HPA, SAME COST: LATE",
                                          ">INSTANCE-S", NULL};
    struct libscols_table *table = pmoctl_table_new(columns);
    json_t *service, *part;
    size_t i, j;

    json_array_foreach (json_object_get(report, "services"), i, service) {
        json_array_foreach (json_object_get(service, "parts"), j, part) {
            const json_t *measured = json_object_get(part, "pmoMeasured");
            const json_t *hpa = json_object_get(part, "hpaInModel");
            const json_t *same = json_object_get(part, "hpaAtSameCost");
            char cell[8][32];

            (void)snprintf(cell[0], sizeof(cell[0]), "%lld",
                           (long long)pmoctl_integer(part, "seconds"));
            pmoctl_table_row(
                table, (const char *[]){pmoctl_text(service, "service"), pmoctl_text(part, "part"),
                                        cell[0], format_late(cell[1], measured),
                                        format_seconds(cell[2], measured),
                                        format_late(cell[3], json_object_get(part, "pmoInModel")),
                                        format_late(cell[4], hpa), format_seconds(cell[5], hpa),
                                        format_late(cell[6], same), format_seconds(cell[7], same)});
        }
    }
    return pmoctl_table_print(table);
}

static int print_report(const json_t *report)
{
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    json_int_t sent = pmoctl_integer(report, "sent");
    json_int_t counted = pmoctl_integer(report, "counted");

    printf("requests sent     %10lld\n", (long long)sent);
    printf("requests counted  %10lld   ", (long long)counted);
    if (sent == counted)
        puts("equal");
    else
        printf("%sdifference %+lld%s\n", colour ? "\033[31m" : "", (long long)(counted - sent),
               colour ? "\033[0m" : "");
    printf("requests late     %10lld   %.2f %%\n\n", (long long)pmoctl_integer(report, "late"),
           pmoctl_number(report, "latePercent"));
    printf("LATE and INSTANCE-S as measured, then in one queue model: PMO's instance counts, those "
           "of\n"
           "the Kubernetes HPA algorithm aiming at %.0f %% of capacity, and those of the HPA "
           "aiming so\n"
           "low that it costs as much as PMO. In the second half PMO has seen what recurs.\n",
           pmoctl_number(report, "hpaTarget") * 100);
    return print_table(report);
}

static json_t *read_load(const char *path)
{
    json_error_t error;
    json_t *load = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

    if (!load) {
        (void)pmo_fail(EINVAL, "%s: %s; give the JSON report of pmo-load --json", path, error.text);
        return NULL;
    }
    if (json_is_integer(json_object_get(load, "sent")) &&
        json_is_integer(json_object_get(load, "late")) &&
        isfinite(pmoctl_number(load, "started")) && isfinite(pmoctl_number(load, "elapsed_s")))
        return load;
    (void)pmo_fail(EINVAL,
                   "%s: lacks sent, late, started or elapsed_s; give the JSON report of "
                   "pmo-load --json",
                   path);
    json_decref(load);
    return NULL;
}

int pmoctl_report(struct pmoctl *ctl)
{
    json_t *load, *report;
    int status;

    if (!ctl->load)
        return -pmo_fail(1, "which load? write: pmoctl report --load FILE.json");
    if (!ctl->service)
        ctl->service = "front";
    load = read_load(ctl->load);
    if (!load)
        return EXIT_FAILURE;
    report = make_report(ctl, load);
    json_decref(load);
    if (!report)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(report);
    status = print_report(report);
    json_decref(report);
    return status;
}
