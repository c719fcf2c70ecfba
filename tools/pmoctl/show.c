/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that print one answer of the API as a table. */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/log.h"
#include "tools/pmoctl/table.h"

/* ---- reading and formatting -------------------------------------------------------------------
 */

double pmoctl_number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

json_int_t pmoctl_integer(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

const char *pmoctl_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

int pmoctl_print_json(json_t *json)
{
    (void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    (void)putchar('\n');
    json_decref(json);
    return EXIT_SUCCESS;
}

const char *pmoctl_format(char text[32], double value)
{
    if (!isfinite(value))
        return "-";
    (void)snprintf(text, 32, "%.*f", fabs(value) < 9.95 && value != 0 ? 1 : 0, value);
    return text;
}

const char *pmoctl_format_ms(char text[32], double ms)
{
    if (!isfinite(ms))
        return "-";
    (void)snprintf(text, 32, "%.*f", ms < 9.995 ? 2 : ms < 99.95 ? 1 : 0, ms);
    return text;
}

const char *pmoctl_format_errors(char text[32], const json_t *of)
{
    double rate = pmoctl_number(of, "errorRate");

    if (!isfinite(rate))
        return "-";
    (void)snprintf(text, 32, "%.*f%%", rate > 0 && rate < 0.0995 ? 1 : 0, rate * 100);
    return text;
}

const char *pmoctl_format_bytes(char text[32], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    if (!isfinite(bytes))
        return "-";
    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    (void)snprintf(text, 32, "%.*f %s", unit && bytes < 9.95 ? 1 : 0, bytes, units[unit]);
    return text;
}

const char *pmoctl_format_time(char text[32], json_int_t t, bool date)
{
    time_t time = (time_t)t;
    struct tm tm;

    if (!localtime_r(&time, &tm) || !strftime(text, 32, date ? "%F %T" : "%T", &tm))
        return "-";
    return text;
}

const char *pmoctl_format_range(char text[64], const json_t *range)
{
    char q10[32], q50[32], q90[32];

    (void)snprintf(text, 64, "%.15s [%.15s..%.15s]",
                   pmoctl_format(q50, pmoctl_number(range, "q50")),
                   pmoctl_format(q10, pmoctl_number(range, "q10")),
                   pmoctl_format(q90, pmoctl_number(range, "q90")));
    return text;
}

static const char *format_percent(char text[32], double share)
{
    if (!isfinite(share))
        return "-";
    (void)snprintf(text, 32, "%.0f%%", share * 100);
    return text;
}

/* Time a second, as CPU time is: 0.50 is half a second of each. */
static const char *format_cores(char text[32], double share)
{
    if (!isfinite(share))
        return "-";
    (void)snprintf(text, 32, "%.2f", share);
    return text;
}

static const char *format_integer(char text[32], json_int_t value)
{
    (void)snprintf(text, 32, "%lld", (long long)value);
    return text;
}

const char *pmoctl_format_pause(char text[256], const json_t *pause)
{
    json_int_t until = pmoctl_integer(pause, "until");
    const char *reason = pmoctl_text(pause, "reason");
    char time[32];

    (void)snprintf(text, 256, "paused until %s%s%s",
                   until ? pmoctl_format_time(time, until, true) : "it is resumed",
                   *reason ? ": " : "", reason);
    return text;
}

/* ---- services, status -------------------------------------------------------------------------
 */

/* What keeps services from having what is wanted. */
static void print_notes(const json_t *services)
{
    json_t *service;
    char text[256];
    size_t i;

    json_array_foreach (services, i, service) {
        const json_t *pause = json_object_get(service, "paused");
        const json_t *crash_loop = json_object_get(service, "crashLoop");

        if (json_is_object(pause))
            printf("%s: %s\n", pmoctl_text(service, "name"), pmoctl_format_pause(text, pause));
        if (json_is_object(crash_loop))
            printf("%s: %s\n", pmoctl_text(service, "name"), pmoctl_text(crash_loop, "text"));
    }
}

int pmoctl_services(struct pmoctl *ctl)
{
    static const char *const columns[] = {
        "SERVICE", "MODE",  ">RPS",       ">P50 MS", ">P99 MS",  ">READY",   ">STARTING",
        ">WANTED", ">USE",  ">EACH",      ">LEAD S", ">IN 10 S", ">IN 30 S", ">REQUESTS",
        ">CPU",    ">WAIT", ">THROTTLED", ">MEMORY", ">DISK/S",  ">FILES",   NULL};
    json_t *answer, *service;
    struct libscols_table *table;
    size_t i;

    answer = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/services", NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    table = pmoctl_table_new(columns);
    json_array_foreach (json_object_get(answer, "services"), i, service) {
        const json_t *forecast = json_object_get(service, "forecast");
        const json_t *use = json_object_get(service, "use");
        char cell[17][32], in10s[64], in30s[64];
        double cpu = pmoctl_number(service, "cpuCores");

        (void)snprintf(cell[9], sizeof(cell[9]), "%.2f", isfinite(cpu) ? cpu : 0);
        pmoctl_table_row(
            table, (const char *[]){
                       pmoctl_text(service, "name"),
                       pmoctl_text(service, "mode"),
                       pmoctl_format(cell[0], pmoctl_number(service, "rps")),
                       pmoctl_format(cell[1], pmoctl_number(service, "latencyP50Ms")),
                       pmoctl_format(cell[2], pmoctl_number(service, "latencyP99Ms")),
                       format_integer(cell[3], pmoctl_integer(service, "ready")),
                       format_integer(cell[4], pmoctl_integer(service, "starting")),
                       format_integer(cell[5], pmoctl_integer(service, "wanted")),
                       format_percent(cell[6], pmoctl_number(service, "utilization")),
                       pmoctl_format(cell[15], pmoctl_number(service, "capacityRps")),
                       pmoctl_format(cell[16], pmoctl_number(service, "leadTimeS")),
                       pmoctl_format_range(in10s, json_object_get(forecast, "in10s")),
                       pmoctl_format_range(in30s, json_object_get(forecast, "in30s")),
                       format_integer(cell[8], pmoctl_integer(service, "requestsTotal")),
                       cell[9],
                       format_cores(cell[11], pmoctl_number(use, "cpuWaitMsPerS") / 1e3),
                       format_cores(cell[12], pmoctl_number(use, "throttledMsPerS") / 1e3),
                       pmoctl_format_bytes(cell[10], pmoctl_number(service, "memoryBytes")),
                       pmoctl_format_bytes(cell[13], pmoctl_number(use, "diskReadBytesPerS") +
                                                         pmoctl_number(use, "diskWriteBytesPerS")),
                       format_percent(cell[14], pmoctl_number(use, "openFilesRatio"))});
    }
    if (pmoctl_table_print(table) == EXIT_SUCCESS)
        print_notes(json_object_get(answer, "services"));
    json_decref(answer);
    return EXIT_SUCCESS;
}

static void print_config(struct pmoctl *ctl)
{
    json_t *config = pmoctl_get(ctl, "/v1/reload", NULL);
    const char *error = pmoctl_text(config, "error"),
               *restart = pmoctl_text(config, "needsRestart");
    char time[32];

    if (*pmoctl_text(config, "path"))
        printf("configuration %s, read %s\n", pmoctl_text(config, "path"),
               pmoctl_format_time(time, pmoctl_integer(config, "loadedAt"), true));
    if (*error)
        printf("  it has changed since and is not taken over: %s\n", error);
    if (*restart)
        printf("  a restart is needed for: %s\n", restart);
    json_decref(config);
}

int pmoctl_status(struct pmoctl *ctl)
{
    json_t *answer, *totals, *total;
    const char *name;
    char text[32];

    answer = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/status", NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    printf("PMO agent %s, mode %s, running for %.0f s\n", pmoctl_text(answer, "version"),
           pmoctl_text(answer, "mode"), pmoctl_number(answer, "uptimeS"));
    print_config(ctl);
    printf("%lld services, %lld instances; the agent takes %.1f %% of a core and %s\n",
           (long long)pmoctl_integer(answer, "services"),
           (long long)pmoctl_integer(answer, "instances"), pmoctl_number(answer, "cpuCores") * 100,
           pmoctl_format_bytes(text, pmoctl_number(answer, "residentBytes")));
    totals = json_object_get(answer, "totals");
    json_object_foreach (totals, name, total)
        printf("  %-14s %lld\n", name, (long long)json_integer_value(total));
    json_decref(answer);
    return EXIT_SUCCESS;
}

/* ---- series -----------------------------------------------------------------------------------
 */

/* The contract of `series --json`: a list of rows, one a line. */
static int print_rows(const json_t *rows)
{
    json_t *row;
    size_t i;

    (void)putchar('[');
    json_array_foreach (rows, i, row) {
        json_t *type = json_object_get(row, "type");

        (void)json_object_set(type, "status_class", json_object_get(type, "statusClass"));
        (void)json_object_del(type, "statusClass");
        (void)fputs(i ? ",\n" : "\n", stdout);
        (void)json_dumpf(row, stdout, JSON_COMPACT);
    }
    puts("\n]");
    return EXIT_SUCCESS;
}

int pmoctl_series(struct pmoctl *ctl)
{
    static const char *const columns[] = {"TIME", "DIRECTION", "PROTOCOL", "METHOD", "STATUS",
                                          "ZONE", ">COUNT",    "PEER",     "ROUTE",  NULL};
    struct libscols_table *table;
    json_t *answer, *row;
    char time[32], count[32];
    size_t i;

    if (!ctl->service)
        return -pmo_fail(1, "which service? write: pmoctl series --service S");
    answer = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/series", "service", ctl->service, "since",
                                           ctl->since, "until", ctl->until, NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json) {
        (void)print_rows(json_object_get(answer, "rows"));
        json_decref(answer);
        return EXIT_SUCCESS;
    }
    table = pmoctl_table_new(columns);
    json_array_foreach (json_object_get(answer, "rows"), i, row) {
        const json_t *type = json_object_get(row, "type");

        pmoctl_table_row(
            table, (const char *[]){pmoctl_format_time(time, pmoctl_integer(row, "t"), true),
                                    pmoctl_text(type, "direction"), pmoctl_text(type, "protocol"),
                                    pmoctl_text(type, "method"), pmoctl_text(type, "statusClass"),
                                    pmoctl_text(type, "zone"),
                                    format_integer(count, pmoctl_integer(row, "count")),
                                    pmoctl_text(type, "peer"), pmoctl_text(type, "route")});
    }
    i = json_array_size(json_object_get(answer, "missing"));
    json_decref(answer);
    if (pmoctl_table_print(table) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (i)
        printf("%zu second%s of this time %s not observed.\n", i, i == 1 ? "" : "s",
               i == 1 ? "was" : "were");
    return EXIT_SUCCESS;
}

/* ---- decisions --------------------------------------------------------------------------------
 */

const char *pmoctl_since(const struct pmoctl *ctl, char text[32])
{
    const char *since = ctl->since;

    if (!since || (*since != '-' && strcmp(since, "0") != 0))
        return since;
    (void)snprintf(text, 32, "%lld", (long long)time(NULL) + strtoll(since, NULL, 10));
    return text;
}

int pmoctl_decisions(struct pmoctl *ctl)
{
    static const char *const columns[] = {">DECISION", "TIME", "SERVICE", "MODE",
                                          ">FROM",     ">TO",  "REASON",  NULL};
    struct libscols_table *table;
    json_t *answer, *decision;
    char id[32], at[32], from[32], to[32];
    const char *since = pmoctl_since(ctl, at);
    size_t i;

    answer = pmoctl_logged(
        ctl, pmoctl_get(ctl, "/v1/decisions", "service", ctl->service, "since", since, NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    table = pmoctl_table_new(columns);
    json_array_foreach (json_object_get(answer, "decisions"), i, decision)
        pmoctl_table_row(
            table, (const char *[]){format_integer(id, pmoctl_integer(decision, "id")),
                                    pmoctl_format_time(at, pmoctl_integer(decision, "t"), true),
                                    pmoctl_text(decision, "service"), pmoctl_text(decision, "mode"),
                                    format_integer(from, pmoctl_integer(decision, "from")),
                                    format_integer(to, pmoctl_integer(decision, "to")),
                                    pmoctl_text(decision, "reason")});
    json_decref(answer);
    return pmoctl_table_print(table);
}

/* In which share of the time that was planned for the load is more than capacity. */
static void print_outcome(const json_t *decision)
{
    const json_t *expected = json_object_get(decision, "expected");
    const json_t *came = json_object_get(decision, "came");
    long long to = (long long)pmoctl_integer(decision, "to");
    char text[3][32];

    printf("  expected     load above capacity in %s of the time; with %lld instances in %s, with "
           "%lld in %s\n",
           format_percent(text[0], pmoctl_number(expected, "over")), to > 0 ? to - 1 : 0,
           format_percent(text[1], pmoctl_number(expected, "overWithOneFewer")), to + 1,
           format_percent(text[2], pmoctl_number(expected, "overWithOneMore")));
    printf("  came         load above it in %s of the time, %s requests/s at most; %s late\n",
           format_percent(text[0], pmoctl_number(came, "over")),
           pmoctl_format(text[1], pmoctl_number(came, "peakRps")),
           format_percent(text[2], pmoctl_number(came, "late")));
}

static void print_explanation(const json_t *decision)
{
    double capacity = pmoctl_number(decision, "capacityRps");
    char text[32], other[32];

    printf("Decision %lld: %s, %s: %lld -> %lld instances\n",
           (long long)pmoctl_integer(decision, "id"),
           pmoctl_format_time(text, pmoctl_integer(decision, "t"), true),
           pmoctl_text(decision, "service"), (long long)pmoctl_integer(decision, "from"),
           (long long)pmoctl_integer(decision, "to"));
    printf("  %s\n\n", pmoctl_text(decision, "reason"));
    printf("  rule         %s\n", pmoctl_text(decision, "rule"));
    printf("  policy       %s\n", pmoctl_text(decision, "policy"));
    printf("  mode         %s: %s\n", pmoctl_text(decision, "mode"),
           json_is_true(json_object_get(decision, "carriedOut")) ? "carried out"
           : json_is_true(json_object_get(decision, "paused"))   ? "paused, not carried out"
                                                                 : "not carried out");
    printf("  load         %s requests/s in the last second\n",
           pmoctl_format(text, pmoctl_number(decision, "loadRps")));
    printf("  predicted    %s requests/s: quantile %g of the peak within %s s\n",
           pmoctl_format(text, pmoctl_number(decision, "predictedRps")),
           pmoctl_number(decision, "quantile"),
           pmoctl_format(other, pmoctl_number(decision, "horizonS")));
    printf("  capacity     %s requests/s each, %lld ready: %s\n", pmoctl_format(text, capacity),
           (long long)pmoctl_integer(decision, "ready"),
           pmoctl_format(other, capacity * (double)pmoctl_integer(decision, "ready")));
    printf("  use          %s of ready capacity, as predicted\n",
           format_percent(text, pmoctl_number(decision, "utilization")));
    print_outcome(decision);
    printf("  instances    %lld ready, %lld starting\n",
           (long long)pmoctl_integer(decision, "ready"),
           (long long)pmoctl_integer(decision, "starting"));
}

int pmoctl_explain(struct pmoctl *ctl)
{
    json_t *answer;
    char path[64], *end;
    long long id;

    errno = 0;
    id = strtoll(ctl->arguments[0], &end, 10);
    if (errno || *end || id <= 0)
        return -pmo_fail(1, "\"%s\" is not a decision's number; `pmoctl decisions` lists them",
                         ctl->arguments[0]);
    (void)snprintf(path, sizeof(path), "/v1/decisions/%lld", id);
    answer = pmoctl_logged(ctl, pmoctl_get(ctl, path, NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    print_explanation(answer);
    json_decref(answer);
    return EXIT_SUCCESS;
}
