/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmo-load/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"

static const struct {
    const char *label, *key;
    double share;
} quantiles[] = {{"p50", "p50", 0.5},
                 {"p90", "p90", 0.9},
                 {"p99", "p99", 0.99},
                 {"p99.9", "p999", 0.999},
                 {"max", "max", 1}};
#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static double quantile_ms(const struct pmo_load_result *result, size_t i)
{
    return (double)pmo_load_histogram_quantile(&result->latency, quantiles[i].share) / 1e3;
}

static double mean_ms(const struct pmo_load_result *result)
{
    const struct pmo_load_histogram *latency = &result->latency;

    return latency->count ? (double)latency->sum_us / (double)latency->count / 1e3 : 0;
}

static uint64_t failed_total(const struct pmo_load_result *result)
{
    uint64_t total = 0;

    for (size_t i = 0; i < PMO_LOAD_FAILURES; i++)
        total += result->failed[i];
    return total;
}

void pmo_load_report_text(const struct pmo_load_options *options,
                          const struct pmo_load_result *result)
{
    const struct pmo_load_counts *total = &result->total;
    double scheduled_s = fmin(result->elapsed_s, options->duration_s);

    printf("%s: %.1f s, %.1f requests/s\n", options->urls[0], result->elapsed_s,
           scheduled_s > 0 ? (double)total->scheduled / scheduled_s : 0);
    printf("  scheduled  %10" PRIu64 "\n", total->scheduled);
    printf("  sent       %10" PRIu64 "\n", total->sent);
    printf("  answered   %10" PRIu64, total->answered);
    for (int i = 1; i < 6; i++)
        if (result->answered[i])
            printf("   %dxx %" PRIu64, i, result->answered[i]);
    printf("\n  failed     %10" PRIu64, failed_total(result));
    for (int i = 0; i < PMO_LOAD_FAILURES; i++)
        if (result->failed[i])
            printf("   %s %" PRIu64, pmo_load_failure_names[i], result->failed[i]);
    if (result->other[0])
        printf(" (%s)", result->other);
    printf("\n  late       %10" PRIu64 "   %.2f %%: over %.0f ms or not answered\n", total->late,
           total->scheduled ? 100.0 * (double)total->late / (double)total->scheduled : 0,
           options->late_s * 1e3);
    if (total->answered) {
        printf("  latency               ");
        for (size_t i = 0; i < QUANTILES; i++)
            printf("  %s %.1f ms", quantiles[i].label, quantile_ms(result, i));
        putchar('\n');
    }
    printf("  generator               %.0f %% of a core, at most %.1f ms behind\n",
           result->elapsed_s > 0 ? 100 * result->cpu_s / result->elapsed_s : 0,
           result->behind_s * 1e3);
}

int pmo_load_report_json(const struct pmo_load_options *options,
                         const struct pmo_load_result *result)
{
    json_t *answered = json_object(), *failed = json_object(), *latency = json_object();
    json_t *scheduled = json_array(), *late = json_array(), *report;

    for (int i = 1; i < 6; i++) {
        char class_name[] = {(char)('0' + i), 'x', 'x', '\0'};

        json_object_set_new(answered, class_name, json_integer((json_int_t)result->answered[i]));
    }
    for (int i = 0; i < PMO_LOAD_FAILURES; i++)
        json_object_set_new(failed, pmo_load_failure_names[i],
                            json_integer((json_int_t)result->failed[i]));
    for (size_t i = 0; i < QUANTILES; i++)
        json_object_set_new(latency, quantiles[i].key, json_real(quantile_ms(result, i)));
    json_object_set_new(latency, "mean", json_real(mean_ms(result)));

    for (size_t i = 0; i < result->seconds_count; i++) {
        json_array_append_new(scheduled, json_integer((json_int_t)result->seconds[i].scheduled));
        json_array_append_new(late, json_integer((json_int_t)result->seconds[i].late));
    }
    report = json_pack(
        "{s:s, s:f, s:f, s:I, s:I, s:I, s:o, s:I, s:o, s:s, s:I, s:f, s:o, s:f, s:f, s:{s:o, s:o}}",
        "url", options->urls[0], "started", result->started, "elapsed_s", result->elapsed_s,
        "scheduled", (json_int_t)result->total.scheduled, "sent", (json_int_t)result->total.sent,
        "answered", (json_int_t)result->total.answered, "status", answered, "failed",
        (json_int_t)failed_total(result), "failures", failed, "other_failure", result->other,
        "late", (json_int_t)result->total.late, "late_over_ms", options->late_s * 1e3, "latency_ms",
        latency, "cpu_s", result->cpu_s, "behind_ms", result->behind_s * 1e3, "by_second",
        "scheduled", scheduled, "late", late);
    if (!report || json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) < 0) {
        json_decref(report);
        return pmo_err_r(ENOMEM, "cannot write the report");
    }
    json_decref(report);
    putchar('\n');
    return 0;
}

int pmo_load_report_timeline(const struct pmo_load_result *result, const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "we");

    if (!file)
        return pmo_err_r(errno, "cannot write timeline %s", path);
    (void)fputs("t,scheduled,sent,answered,late\n", file);
    for (size_t i = 0; i < result->seconds_count; i++) {
        const struct pmo_load_counts *second = &result->seconds[i];

        (void)fprintf(file, "%zu,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", i,
                      second->scheduled, second->sent, second->answered, second->late);
    }
    return fflush(file) ? pmo_err_r(errno, "cannot write timeline %s", path) : 0;
}
