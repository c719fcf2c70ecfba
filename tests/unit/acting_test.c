/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keeps acting within bounds: pauses, limits per hour, logs of bounded size, the audit log. */
#include "tests/unit/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/act/logs.h"
#include "agent/base/cleanup.h"
#include "agent/decide/pauses.h"
#include "agent/decide/plan.h"
#include "agent/series/history.h"

static void a_services_own_pause_goes_before_that_of_all(void)
{
    struct pmo_pause all = {.since = 100, .reason = "all"};
    struct pmo_pause front = {.service = "front", .since = 100, .until = 200, .reason = "own"};
    struct pmo_pauses pauses = {};

    CU_ASSERT_PTR_NULL(pmo_pauses_for(&pauses, "front", 150));
    CU_ASSERT_EQUAL(pmo_pauses_put(&pauses, &all), 0);
    CU_ASSERT_EQUAL(pmo_pauses_put(&pauses, &front), 0);
    CU_ASSERT_STRING_EQUAL(pmo_pauses_for(&pauses, "front", 199)->reason, "own");
    CU_ASSERT_STRING_EQUAL(pmo_pauses_for(&pauses, "front", 200)->reason, "all");
    CU_ASSERT_STRING_EQUAL(pmo_pauses_for(&pauses, "catalog", 150)->reason, "all");
    CU_ASSERT_PTR_NULL(pmo_pauses_over(&pauses, 199));
    CU_ASSERT_STRING_EQUAL(pmo_pauses_over(&pauses, 200)->reason, "own");
    front.until = 0;
    CU_ASSERT_EQUAL(pmo_pauses_put(&pauses, &front), 0); /* in its place */
    CU_ASSERT_EQUAL(pauses.count, 2);
    CU_ASSERT_PTR_NULL(pmo_pauses_over(&pauses, INT64_MAX));
    CU_ASSERT(pmo_pauses_drop(&pauses, ""));
    CU_ASSERT(!pmo_pauses_drop(&pauses, ""));
    CU_ASSERT_PTR_NULL(pmo_pauses_for(&pauses, "catalog", 150));
    pmo_pauses_free(&pauses);
}

static const char limited[] =
    "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\nmetadata: {name: front}\n"
    "spec:\n  target: {service: front}\n  mode: act\n  forecast: off\n"
    "  instances: {min: 1, max: 100}\n  scaleUp: {limit: 4 per 1h}\n"
    "  rules:\n    - scale up by 3 instances if load exceeds 1 rps\n";

/* The load asks for more all the time, for three hours. */
static void a_limit_per_hour_holds_in_every_hour(void)
{
    struct pmo_service_state state = {.name = "front",
                                      .load_rps = 100,
                                      .latency_p99_s = NAN,
                                      .error_rate = NAN,
                                      .lead_time_s = 3,
                                      .ready = 1};
    static uint32_t wanted[3 * 3600 + 1] = {1};
    struct pmo_policies *policies = NULL;
    struct pmo_planner *planner = NULL;
    struct pmo_decision decision;
    struct pmo_file *file = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "front.yaml", limited, strlen(limited), NULL, NULL),
                          0);
    CU_ASSERT_EQUAL_FATAL(pmo_policies_read(&policies, file), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_planner_new(&planner, 1), 0);
    for (int t = 1; t <= 3 * 3600; t++) {
        CU_ASSERT(pmo_planner_decide(planner, pmo_policies_at(policies, 0), PMO_MODE_ACT, &state,
                                     1000 + t, &wanted[t], &decision) >= 0);
        state.ready = wanted[t];
    }
    for (int t = 3600; t <= 3 * 3600; t++)
        CU_ASSERT(wanted[t] - wanted[t - 3600] <= 4);
    CU_ASSERT_EQUAL(wanted[3 * 3600], 1 + 3 * 4);
    pmo_planner_free(&planner);
    pmo_policies_free(&policies);
    pmo_file_free(&file);
}

/* ---- logs ---- */

static void write_file(const char *directory, const char *name, const char *text, off_t size)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_fclose_ FILE *file = NULL;

    CU_ASSERT_FATAL(asprintf(&path, "%s/%s", directory, name) > 0);
    file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT(fputs(text, file) >= 0);
    (void)fflush(file);
    if (size)
        CU_ASSERT_EQUAL(truncate(path, size), 0);
}

/* Its size, -1 where there is none; its beginning goes to @text. */
static off_t read_file(const char *directory, const char *name, char text[16])
{
    _cleanup_free_ char *path = NULL;
    _cleanup_fclose_ FILE *file = NULL;
    struct stat status;

    text[0] = '\0';
    CU_ASSERT_FATAL(asprintf(&path, "%s/%s", directory, name) > 0);
    file = fopen(path, "r");
    if (!file || fstat(fileno(file), &status))
        return -1;
    text[fread(text, 1, 15, file)] = '\0';
    return status.st_size;
}

static void remove_all(const char *directory)
{
    static const char *const names[] = {"a-1.log",   "a-1.log.1", "a-1.log.2",
                                        "a-1.log.3", "b-1.log",   "other"};
    char path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

static void each_instance_of_a_name_has_a_log_of_its_own(void)
{
    char directory[] = "/tmp/pmo-logs-XXXXXX", text[16];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    for (int i = 1; i <= 6; i++) {
        pmo_logs_shift(directory, "a-1");
        CU_ASSERT_EQUAL(read_file(directory, "a-1.log", text), -1);
        (void)snprintf(text, sizeof(text), "%d", i);
        write_file(directory, "a-1.log", text, 0);
    }
    CU_ASSERT_EQUAL(read_file(directory, "a-1.log.1", text), 1);
    CU_ASSERT_STRING_EQUAL(text, "5");
    CU_ASSERT_EQUAL(read_file(directory, "a-1.log.3", text), 1);
    CU_ASSERT_STRING_EQUAL(text, "3");
    CU_ASSERT_EQUAL(read_file(directory, "a-1.log.4", text), -1);
    remove_all(directory);
}

static void a_log_that_is_too_large_begins_anew_and_the_earlier_part_is_kept(void)
{
    char directory[] = "/tmp/pmo-logs-XXXXXX", text[16];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    write_file(directory, "a-1.log", "small", 0);
    pmo_logs_bound(directory, "a-1");
    CU_ASSERT_EQUAL(read_file(directory, "a-1.log", text), 5);
    write_file(directory, "a-1.log.1", "before", 0);
    write_file(directory, "a-1.log", "large", PMO_LOG_BYTES_MAX + 1);
    pmo_logs_bound(directory, "a-1");
    CU_ASSERT_EQUAL(read_file(directory, "a-1.log", text), 0);
    CU_ASSERT_EQUAL(read_file(directory, "a-1.log.1", text), PMO_LOG_BYTES_MAX + 1);
    CU_ASSERT_STRING_EQUAL(text, "large");
    CU_ASSERT_EQUAL(read_file(directory, "a-1.log.2", text), 6);
    pmo_logs_bound(directory, "nobody");
    remove_all(directory);
}

static bool is_a_1(void *context, const char *name)
{
    return !strcmp(name, "a-1");
}

static void logs_of_those_that_run_are_not_pruned(void)
{
    char directory[] = "/tmp/pmo-logs-XXXXXX", text[16];

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    write_file(directory, "a-1.log", "", 0);
    write_file(directory, "a-1.log.1", "", 0);
    write_file(directory, "b-1.log", "", 0);
    write_file(directory, "other", "", 0);
    pmo_logs_prune(directory, 1, is_a_1, NULL);
    CU_ASSERT_EQUAL(read_file(directory, "b-1.log", text), 0);
    pmo_logs_prune(directory, 0, is_a_1, NULL);
    CU_ASSERT_EQUAL(read_file(directory, "b-1.log", text), -1);
    CU_ASSERT_EQUAL(read_file(directory, "a-1.log.1", text), 0);
    CU_ASSERT_EQUAL(read_file(directory, "other", text), 0);
    remove_all(directory);
}

/* ---- the audit log ---- */

static int count_entry(void *context, const struct pmo_audit_entry *entry)
{
    int64_t *found = context;

    found[0]++;
    found[1] = entry->t;
    return 0;
}

/* Entries of service "front" (and of all) that an agent finds which begins now. */
static void entries(const char *directory, int64_t roll_up_at, int64_t found[2])
{
    struct pmo_history *history = NULL;

    found[0] = found[1] = 0;
    CU_ASSERT_EQUAL_FATAL(pmo_history_open(&history, directory), 0);
    if (roll_up_at)
        CU_ASSERT_EQUAL(pmo_history_flush(history, roll_up_at), 0);
    CU_ASSERT_EQUAL(pmo_history_audit(history, "front", 0, 100, count_entry, found), 0);
    pmo_history_close(&history);
}

static void the_audit_log_outlives_the_agent_and_ends_after_400_days(void)
{
    struct pmo_audit_entry entry = {.kind = "order", .who = "front", .text = "1 -> 2"};
    static const char *const services[] = {"front", "", "catalog"};
    static const char *const files[] = {"history.db", "history.db-wal", "history.db-shm"};
    char directory[] = "/tmp/pmo-audit-XXXXXX", path[64];
    struct pmo_history *history = NULL;
    int64_t found[2], day = 86400, t0 = 1700000000;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    CU_ASSERT_EQUAL_FATAL(pmo_history_open(&history, directory), 0);
    for (int i = 0; i < 3; i++) {
        entry.t = t0 + i * day;
        entry.service = services[i];
        CU_ASSERT_EQUAL(pmo_history_add_audit(history, &entry), 0);
    }
    pmo_history_close(&history);
    entries(directory, 0, found);
    CU_ASSERT(found[0] == 2 && found[1] == t0);
    entries(directory, t0 + 400 * day + 1, found);
    CU_ASSERT(found[0] == 1 && found[1] == t0 + day);
    entries(directory, t0 + 402 * day, found);
    CU_ASSERT_EQUAL(found[0], 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        (void)unlink(path);
    }
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

SUITE(acting) = {
    TEST(a_services_own_pause_goes_before_that_of_all),
    TEST(a_limit_per_hour_holds_in_every_hour),
    TEST(each_instance_of_a_name_has_a_log_of_its_own),
    TEST(a_log_that_is_too_large_begins_anew_and_the_earlier_part_is_kept),
    TEST(logs_of_those_that_run_are_not_pruned),
    TEST(the_audit_log_outlives_the_agent_and_ends_after_400_days),
    {0},
};
