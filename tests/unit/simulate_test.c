/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl simulate. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "tests/unit/directory.h"
#include "tests/unit/suite.h"
#include "tools/pmoctl/pmoctl.h"

#define SECONDS 700

static int simulate(struct pmoctl ctl)
{
    return run_command(pmoctl_simulate, &ctl, true);
}

static const struct pmoctl usual = {
    .trace = "trace", .out = "out", .capacity_rps = 10, .startup_s = 5};

static bool refused(struct pmoctl ctl, const char *why)
{
    return simulate(ctl) == EXIT_FAILURE && has_said(why) && access("out", F_OK) != 0;
}

/* A wave with a step in it, without seconds 300 to 399; after them, @after times as much. */
static void write_trace(size_t seconds, double after)
{
    _cleanup_fclose_ FILE *file = fopen("trace", "we");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs("t,requests\n", file);
    for (size_t t = 0; t < seconds; t++)
        if (t < 300 || t >= 400)
            (void)fprintf(file, "%zu,%.0f\n", t,
                          (40 + 20 * sin((double)t / 50) + (t > 550 ? 60 : 0)) *
                              (t >= 400 ? after : 1));
}

static void a_wrong_trace_is_refused(void)
{
    enter();
    CU_ASSERT_TRUE(refused(usual, "trace: cannot be opened: No such file"));
    write_text("trace", "t,requests\n0,1\n1,x\n");
    CU_ASSERT_TRUE(refused(usual, "trace:3: requests are not a number"));
    leave();
}

static void wrong_options_are_refused_before_anything_is_written(void)
{
    struct pmoctl ctl = usual;

    enter();
    write_trace(10, 1);
    ctl.capacity_rps = 0;
    CU_ASSERT_TRUE(refused(ctl, "simulate needs --trace, --capacity, --startup and --out"));
    ctl = usual;
    ctl.startup_s = 4000;
    CU_ASSERT_TRUE(refused(ctl, "--startup 4000: more than an hour"));
    ctl = usual;
    ctl.from_s = 10;
    CU_ASSERT_TRUE(refused(ctl, "--from 10: trace ends after 10 s; write less"));
    ctl = usual;
    ctl.against = "hpa:70,hpa:700";
    CU_ASSERT_TRUE(refused(ctl, "--against hpa:700: not known; write e.g. hpa:70,fast:70,oracle"));
    ctl.against = "hpa";
    CU_ASSERT_TRUE(refused(ctl, "--against hpa: not known"));
    ctl.against = "";
    CU_ASSERT_TRUE(refused(ctl, "--against : not known"));
    ctl = usual;
    ctl.policy = "policy";
    CU_ASSERT_TRUE(refused(ctl, "policy"));
    write_text("policy", "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
                         "metadata: {name: a}\nspec: {target: {service: a}, modus: act}\n");
    CU_ASSERT_TRUE(refused(ctl, "policy:4:"));
    write_text("policy", "apiVersion: pmo.dev/v1alpha1\nkind: LocalService\n");
    CU_ASSERT_TRUE(refused(ctl, "policy: there is no policy in it"));
    ctl = usual;
    ctl.out = "./trace";
    CU_ASSERT_TRUE(refused(ctl, "--out ./trace: that is the trace; write another name"));
    ctl = usual;
    ctl.plot = "trace";
    CU_ASSERT_TRUE(refused(ctl, "--plot trace: that is the trace"));
    ctl = usual;
    ctl.out = "nowhere/out";
    CU_ASSERT_TRUE(refused(ctl, "cannot write nowhere/out: No such file"));
    leave();
}

static void decisions_of_a_trace_cut_off_are_the_same_up_to_there(void)
{
    _cleanup_free_ char *whole = NULL, *again = NULL, *cut = NULL;
    struct pmoctl ctl = usual;

    enter();
    write_trace(SECONDS, 1);
    CU_ASSERT_EQUAL_FATAL(simulate(ctl), EXIT_SUCCESS);
    ctl.out = "other";
    ctl.json = true;
    CU_ASSERT_EQUAL_FATAL(simulate(ctl), EXIT_SUCCESS);
    whole = read_text("out");
    again = read_text("other");
    CU_ASSERT_STRING_EQUAL(whole, again);
    CU_ASSERT_PTR_NOT_NULL(strstr(whole, "\n699,"));
    write_trace(500, 1);
    CU_ASSERT_EQUAL_FATAL(simulate(ctl), EXIT_SUCCESS);
    cut = read_text("other");
    CU_ASSERT_EQUAL(strncmp(whole, cut, strlen(cut)), 0);
    free(cut);
    write_trace(SECONDS, 20); /* what comes after the gap must not be seen in it */
    CU_ASSERT_EQUAL_FATAL(simulate(ctl), EXIT_SUCCESS);
    cut = read_text("other");
    CU_ASSERT_EQUAL(strncmp(whole, cut, (size_t)(strstr(whole, "\n400,") - whole)), 0);
    CU_ASSERT_NOT_EQUAL(strcmp(whole, cut), 0);
    leave();
}

static const json_t *find(const json_t *results, const char *name)
{
    const json_t *result;
    size_t i;

    json_array_foreach (results, i, result)
        if (!strcmp(pmoctl_text(result, "name"), name))
            return result;
    return NULL;
}

/* 20 rps, then 40: the oracle has 2, and 4 from `startup` before the step on. The HPA at 50 % has
 * 4; its mean of 30 s is 20, 30 and 40 at the syncs 60, 75 and 90: 6, then 8. */
static void the_report_is_as_by_hand(void)
{
    struct pmoctl ctl = usual;
    _cleanup_free_ char *said = NULL;
    const json_t *oracle, *hpa, *results;
    json_t *report;

    enter();
    {
        _cleanup_fclose_ FILE *file = fopen("trace", "we");

        (void)fputs("t,requests\n", file);
        for (size_t t = 0; t < 220; t++) /* the first hundred are history */
            (void)fprintf(file, "%zu,%d\n", t, t < 100 ? 5 : t < 160 ? 20 : 40);
    }
    ctl.from_s = 100;
    ctl.json = true;
    ctl.against = "oracle,hpa:50";
    CU_ASSERT_EQUAL_FATAL(simulate(ctl), EXIT_SUCCESS);
    said = read_text("said");
    report = json_loads(strchr(said, '{'), 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(report);
    results = json_object_get(report, "results");
    oracle = find(results, "oracle");
    hpa = find(results, "hpa:50");
    CU_ASSERT_PTR_NOT_NULL(find(results, "pmo"));
    CU_ASSERT_EQUAL(pmoctl_integer(report, "seconds"), 120);
    CU_ASSERT_EQUAL(pmoctl_number(report, "requests"), 60 * 20 + 60 * 40);
    CU_ASSERT_EQUAL(pmoctl_number(oracle, "latePercent"), 0);
    CU_ASSERT_EQUAL(pmoctl_number(oracle, "cost"), 1);
    CU_ASSERT_EQUAL(pmoctl_number(oracle, "instanceSeconds"), 55 * 2 + 65 * 4);
    CU_ASSERT_EQUAL(pmoctl_integer(oracle, "peakInstances"), 4);
    CU_ASSERT_EQUAL(pmoctl_integer(oracle, "changes"), 1);
    CU_ASSERT_EQUAL(pmoctl_number(hpa, "instanceSeconds"), 75 * 4 + 15 * 6 + 30 * 8);
    CU_ASSERT_EQUAL(pmoctl_number(hpa, "latePercent"), 0);
    CU_ASSERT_EQUAL(pmoctl_integer(hpa, "changes"), 2);
    json_decref(report);
    leave();
}

static void a_policy_file_is_obeyed(void)
{
    struct pmoctl ctl = usual;
    _cleanup_free_ char *out = NULL;

    enter();
    write_trace(SECONDS, 1);
    write_text("policy",
               "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\nmetadata: {name: a}\n"
               "spec: {target: {service: a}, mode: observe, instances: {max: 3}}\n---\n"
               "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\nmetadata: {name: b}\n"
               "spec: {target: {service: b}, instances: {min: 50, max: 50}}\n");
    ctl.policy = "policy";
    CU_ASSERT_TRUE(refused(ctl, "policy: there are 2 policies in it; say whose with --service"));
    ctl.service = "c";
    CU_ASSERT_TRUE(refused(ctl, "policy: there is no policy for service c in it"));
    ctl.service = "a";
    CU_ASSERT_EQUAL_FATAL(simulate(ctl), EXIT_SUCCESS);
    out = read_text("out");
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n200,3\n"));
    CU_ASSERT_PTR_NULL(strstr(out, ",4\n"));
    ctl.service = "b";
    CU_ASSERT_EQUAL_FATAL(simulate(ctl), EXIT_SUCCESS);
    free(out);
    out = read_text("out");
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "t,replicas\n0,50\n1,50\n"));
    leave();
}

static void the_picture_shows_the_strongest_rise(void)
{
    struct pmoctl ctl = usual;
    _cleanup_free_ char *plot = NULL;

    enter();
    write_trace(SECONDS, 1);
    ctl.plot = "plot";
    CU_ASSERT_EQUAL_FATAL(simulate(ctl), EXIT_SUCCESS);
    CU_ASSERT_TRUE(has_said("as fast as life"));
    plot = read_text("plot");
    CU_ASSERT_PTR_NOT_NULL(strstr(plot, "hpa:70"));
    CU_ASSERT_PTR_NOT_NULL(strstr(plot, ">00:10<")); /* the step is at 551 */
    CU_ASSERT_PTR_NULL(strstr(plot, ">00:04<"));
    CU_ASSERT_PTR_NOT_NULL(strstr(plot, "</svg>\n"));
    leave();
}

SUITE(simulate) = {
    TEST(a_wrong_trace_is_refused),
    TEST(wrong_options_are_refused_before_anything_is_written),
    TEST(decisions_of_a_trace_cut_off_are_the_same_up_to_there),
    TEST(the_report_is_as_by_hand),
    TEST(a_policy_file_is_obeyed),
    TEST(the_picture_shows_the_strongest_rise),
    {0},
};
