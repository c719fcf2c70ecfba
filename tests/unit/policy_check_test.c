/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl policy check. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/series/history.h"
#include "tests/unit/directory.h"
#include "tests/unit/suite.h"
#include "tools/pmoctl/pmoctl.h"

#define SECONDS 2400
#define BEGIN   1764230400 /* 08:00 UTC */
#define HEAD                                                                                       \
    "apiVersion: pmo.dev/v1alpha1\n"                                                               \
    "kind: OrchestrationPolicy\n"                                                                  \
    "metadata: {name: front}\n"                                                                    \
    "spec:\n"                                                                                      \
    "  target: {service: front}\n"                                                                 \
    "  instances: {capacity: 50rps, leadTime: 3s}\n"

/* Runs on the file "policy". */
static int check(struct pmoctl ctl)
{
    static char *arguments[] = {"check", "policy"};

    ctl.arguments = arguments;
    ctl.arguments_count = 2;
    ctl.state_dir = ".";
    ctl.startup_s = NAN;
    return run_command(pmoctl_policy, &ctl, true);
}

/* 40 minutes of 3 instances and 60 rps, with five minutes of 200 rps in them, by minutes. */
static void write_history(void)
{
    struct pmo_history *history = NULL;
    sqlite3 *db = NULL;
    char sql[256];

    CU_ASSERT_EQUAL_FATAL(pmo_history_open(&history, "."), 0);
    pmo_history_close(&history);
    CU_ASSERT_EQUAL_FATAL(sqlite3_open("history.db", &db), SQLITE_OK);
    CU_ASSERT_EQUAL(
        sqlite3_exec(db, "INSERT INTO services VALUES (7, 'front'); BEGIN", NULL, NULL, NULL),
        SQLITE_OK);
    for (int m = 0; m < SECONDS / 60; m++) {
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO spans VALUES (7, 60, %d, 60, %d, 0, 0, 0, 0, 0, 0, 0, 180, 0, "
                       "NULL, NULL)",
                       BEGIN + 60 * m, 60 * (m >= 20 && m < 25 ? 200 : 60));
        CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    }
    CU_ASSERT_EQUAL(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_close(db), SQLITE_OK);
}

static void remove_history(void)
{
    (void)unlink("history.db");
    (void)unlink("history.db-wal");
    (void)unlink("history.db-shm");
}

static void mistakes_fail_and_warnings_do_not(void)
{
    enter();
    write_text("policy", HEAD "  mod: act\n");
    CU_ASSERT_EQUAL(check((struct pmoctl){}), EXIT_FAILURE);
    CU_ASSERT_TRUE(has_said("policy:7:3: unknown field \"mod\"; did you mean \"mode\"?"));
    write_text("policy", HEAD "  rules: [scale to 20 instances if load > 1 rps]\n");
    CU_ASSERT_EQUAL(check((struct pmoctl){}), EXIT_SUCCESS);
    CU_ASSERT_TRUE(has_said("warning: policy:7: \"scale to 20 instances if load > 1 rps\" asks"));
    CU_ASSERT_TRUE(has_said("policy: ok: 1 policy"));
    CU_ASSERT_EQUAL(check((struct pmoctl){.json = true}), EXIT_SUCCESS);
    CU_ASSERT_TRUE(has_said("\"warnings\": ["));
    CU_ASSERT_TRUE(has_said("\"line\": 7"));
    leave();
}

static void history_is_played_with_the_policy(void)
{
    _cleanup_free_ char *said = NULL;
    json_t *report, *outcome;

    enter();
    write_history();
    write_text("policy", HEAD "  mode: act\n");
    CU_ASSERT_EQUAL(check((struct pmoctl){.history = true, .json = true, .since = "1764230400"}),
                    EXIT_SUCCESS);
    said = read_text("said");
    report = json_loads(strchr(said, '['), 0, NULL);
    outcome = json_array_get(json_object_get(json_array_get(report, 0), "history"), 0);
    CU_ASSERT_STRING_EQUAL(pmoctl_text(outcome, "service"), "front");
    CU_ASSERT_EQUAL(pmoctl_integer(outcome, "seconds"), SECONDS);
    CU_ASSERT_DOUBLE_EQUAL(pmoctl_number(outcome, "requests"), 60 * 2100 + 200 * 300, 500);
    CU_ASSERT_EQUAL(pmoctl_number(outcome, "recordedInstanceSeconds"), 3 * SECONDS);
    /* at least the load's 2 and 5 instances, at most half as many more */
    CU_ASSERT_TRUE(pmoctl_number(outcome, "instanceSeconds") >= 2 * 2100 + 4 * 300);
    CU_ASSERT_TRUE(pmoctl_number(outcome, "instanceSeconds") < 3 * 2100 + 6 * 300);
    CU_ASSERT_TRUE(pmoctl_integer(outcome, "decisions") >= 2);
    CU_ASSERT_TRUE(pmoctl_number(outcome, "latePercent") < 5);
    json_decref(report);
    CU_ASSERT_EQUAL(check((struct pmoctl){.history = true, .since = "1764230400"}), EXIT_SUCCESS);
    CU_ASSERT_TRUE(has_said("policy front on 0.7 h of service front: 186000 requests, 50 rps an "
                            "instance, 3 s to start"));
    CU_ASSERT_TRUE(has_said("(there were 7200)"));
    remove_history();
    leave();
}

static void schedules_go_by_the_time_of_the_recording(void)
{
    double without, with;

    enter();
    write_history();
    for (int i = 0; i < 2; i++) {
        _cleanup_free_ char *said = NULL;
        json_t *report;

        write_text("policy", i ? HEAD "  schedules: [{name: s, cron: \"10 8 * * *\", for: 5m, "
                                      "instances: {min: 9}}]\n"
                               : HEAD);
        CU_ASSERT_EQUAL(
            check((struct pmoctl){.history = true, .json = true, .since = "1764230400"}),
            EXIT_SUCCESS);
        said = read_text("said");
        report = json_loads(strchr(said, '['), 0, NULL);
        *(i ? &with : &without) =
            pmoctl_number(json_array_get(json_object_get(json_array_get(report, 0), "history"), 0),
                          "instanceSeconds");
        json_decref(report);
    }
    CU_ASSERT_TRUE(with > without + 6 * 300 && with < without + 8 * 400);
    remove_history();
    leave();
}

static void what_history_cannot_say_is_told(void)
{
    struct pmoctl ctl = {.history = true, .since = "1764230400"};

    enter();
    write_text("policy", HEAD);
    CU_ASSERT_EQUAL(check(ctl), EXIT_FAILURE);
    CU_ASSERT_TRUE(has_said("cannot read ./history.db; write --state-dir DIR: No such file"));
    write_history();
    ctl.since = "1964230400";
    CU_ASSERT_EQUAL(check(ctl), EXIT_FAILURE);
    CU_ASSERT_TRUE(has_said("./history.db has nothing of service front"));
    write_text("policy", "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
                         "metadata: {name: all}\nspec: {target: {service: '*'}}\n");
    ctl.since = "1764230400";
    CU_ASSERT_EQUAL(check(ctl), EXIT_FAILURE);
    CU_ASSERT_TRUE(has_said("policy all is for all services; say of which with --service"));
    ctl.service = "front";
    CU_ASSERT_EQUAL(check(ctl), EXIT_FAILURE);
    CU_ASSERT_TRUE(has_said("does not state instances.capacity; write --capacity RPS"));
    ctl.capacity_rps = 50;
    CU_ASSERT_EQUAL(check(ctl), EXIT_SUCCESS);
    remove_history();
    leave();
}

SUITE(policy_check) = {
    TEST(mistakes_fail_and_warnings_do_not),
    TEST(history_is_played_with_the_policy),
    TEST(schedules_go_by_the_time_of_the_recording),
    TEST(what_history_cannot_say_is_told),
    {0},
};
