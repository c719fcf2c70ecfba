/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/review.h"

#include <stdio.h>
#include <string.h>
#include "tests/unit/suite.h"

#define NOW 1764201600 /* 2025-11-27 00:00:00 UTC, a Thursday */

static char said[4096];

static void note(void *context, size_t line, const char *message)
{
    size_t used = strlen(said);

    (void)snprintf(said + used, sizeof(said) - used, "%zu: %s\n", line, message);
}

static void ignore(void *context, const char *file, size_t line, size_t column, const char *message)
{
    (void)printf("\n    %zu:%zu: %s\n", line, column, message);
}

/* What is said of a policy with this in its spec, from line 6 on. */
static const char *review(const char *spec)
{
    char text[2048];
    struct pmo_policies *policies = NULL;
    struct pmo_file *file = NULL;

    said[0] = '\0';
    (void)snprintf(text, sizeof(text),
                   "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
                   "metadata: {name: a}\nspec:\n  target: {service: a}\n%s",
                   spec);
    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "f", text, strlen(text), ignore, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_policies_read(&policies, file), 0);
    pmo_policy_review(pmo_policies_at(policies, 0), NOW, note, NULL);
    pmo_policies_free(&policies);
    pmo_file_free(&file);
    return said;
}

/* The same of a list of rules, the first in line 7. */
static const char *rules(const char *list)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "  rules:\n%s", list);
    return review(text);
}

static void expect(const char *what, const char *wanted)
{
    bool right = *wanted ? strstr(what, wanted) != NULL : !*what;

    CU_ASSERT_TRUE(right);
    if (!right)
        (void)printf("\n    said: %s\n    not: %s\n", what, wanted);
}

static void rules_that_get_along_are_not_mentioned(void)
{
    expect(rules("    - scale up by 2 instances if predicted load exceeds 80 % of capacity\n"
                 "    - scale to 6 instances if predicted load in 30s exceeds 300 rps for 5s\n"
                 "    - scale down by 1 instance if load is below 20 % of capacity for 60s\n"
                 "    - scale up by 1 instance if latency exceeds 200 ms\n"),
           "");
    /* both may hold, but not by what both are about */
    expect(rules("    - scale up by 2 instances if utilization > 80% or latency > 1s\n"
                 "    - scale down by 1 instance if utilization < 20%\n"),
           "");
    expect(rules("    - scale up by 1 instance if load > 50 rps\n"
                 "    - scale up by 4 instances if load > 100 rps\n"
                 "    - scale to 3 instances if not event(\"a\").active\n"),
           "");
    expect(review(""), "");
}

static void rules_that_pull_to_and_fro_are_told(void)
{
    expect(rules("    - scale up by 1 instance if load exceeds 50 % of capacity\n"
                 "    - scale down by 1 instance if load is below 60 % of capacity\n"),
           "8: \"scale up by 1 instance if load exceeds 50 % of capacity\" and \"scale down by 1 "
           "instance if load is below 60 % of capacity\" may hold at once and pull to and fro");
    expect(
        rules("    - scale down by 1 instance if utilization(1m) < 60%\n"
              "    - scale up by 1 instance if predicted.utilization(30s) > 50% and error_rate < "
              "5%\n"),
        "may hold at once and pull to and fro");
    expect(rules("    - scale down by 1 instance if utilization(1m) < 50%\n"
                 "    - scale up by 1 instance if predicted.utilization(30s) > 50%\n"),
           "");
}

static void rules_that_never_act_are_told(void)
{
    expect(
        rules("    - scale to 20 instances if load > 5 rps\n"),
        "7: \"scale to 20 instances if load > 5 rps\" asks for 20 instances, and there are never "
        "more than 10; raise instances.max");
    expect(review("  instances: {min: 4}\n  rules: [scale to 2 instances if load > 5 rps]\n"),
           "there are never fewer than 4");
    expect(review("  instances: {min: 4, max: 4}\n"
                  "  rules: [scale up by 2 instances if load > 5 rps]\n"),
           "changes nothing: instances.min and max are both 4");
    expect(
        review("  schedules:\n    - {name: s, cron: \"0 8 * * *\", for: 1h, instances: {max: 30}}\n"
               "  rules: [scale to 20 instances if load > 5 rps]\n"),
        "");
    expect(rules("    - scale up by 1 instance if error rate exceeds 100 %\n"),
           "7: \"scale up by 1 instance if error rate exceeds 100 %\" never acts: its condition "
           "cannot be true");
    expect(rules("    - scale up by 1 instance if load > 50 rps and load < 40 rps\n"),
           "never acts");
    expect(rules("    - scale up by 1 instance if load < 0 rps\n"), "never acts");
    expect(rules("    - scale up by 1 instance if load > 50 rps and not load > 40 rps\n"),
           "never acts");
    expect(rules("    - scale up by 1 instance if load > 50 rps and load(1m) < 40 rps\n"), "");
    expect(rules("    - scale up by 1 instance if instances.ready > 10\n"), "never acts");
    expect(
        rules("    - scale up by 1 instance if event(\"a\").active and not event(\"a\").active\n"),
        "never acts");
}

static void rules_that_another_one_always_beats_are_told(void)
{
    expect(rules("    - scale up by 4 instances if load > 50 rps\n"
                 "    - scale up by 2 instances if load > 80 rps\n"),
           "8: \"scale up by 2 instances if load > 80 rps\" never decides: wherever it holds, "
           "\"scale up by 4 instances if load > 50 rps\" asks for as many or more");
    expect(rules("    - scale up by 2 instances if load > 80 rps and error_rate < 5%\n"
                 "    - scale up by 2 instances if load > 80 rps\n"),
           "7: \"scale up by 2 instances if load > 80 rps and error_rate < 5%\" never decides");
    expect(rules("    - scale up by 4 instances if load > 50 rps for 10s\n"
                 "    - scale up by 2 instances if load > 80 rps\n"),
           "");
    expect(rules("    - scale down by 1 instance if load < 50 rps\n"
                 "    - scale down by 2 instances if load < 40 rps\n"),
           "8: \"scale down by 2 instances if load < 40 rps\" never decides");
    expect(rules("    - scale up by 1 instance if load > 50 rps\n"
                 "    - scale down by 1 instance if load > 60 rps\n"),
           "8: \"scale down by 1 instance if load > 60 rps\" never decides");
}

static void times_that_contradict_each_other_are_told(void)
{
    expect(review("  schedules:\n"
                  "    - {name: never, cron: \"0 8 30 2 *\", for: 1h, instances: {min: 2}}\n"),
           "7: schedule never does not begin within a year");
    expect(review("  freeze:\n    - {cron: \"0 8 30 2 *\", for: 1h}\n"),
           "7: this freeze does not begin within a year");
    expect(
        review("  schedules:\n"
               "    - {name: day, cron: \"0 8 * * *\", for: 10h, instances: {min: 4}}\n"
               "    - {name: lunch, cron: \"0 12 * * *\", for: 1h, instances: {max: 3}}\n"),
        "8: schedules day and lunch go on at once, and the min 4 of one is more than the max 3 of "
        "the other: the min counts");
    expect(review("  schedules:\n"
                  "    - {name: day, cron: \"0 8 * * *\", for: 4h, instances: {min: 4}}\n"
                  "    - {name: lunch, cron: \"0 12 * * *\", for: 1h, instances: {max: 3}}\n"),
           "");
    expect(
        review("  schedules:\n"
               "    - {name: sat, cron: \"0 8 * * 6\", for: 4h, instances: {min: 4}}\n"
               "  freeze:\n    - {cron: \"0 18 * * 5\", for: 62h}\n"),
        "7: schedule sat begins while the freeze of line 9 goes on, and has no effect until that "
        "is over");
    expect(review("  schedules:\n"
                  "    - {name: sat, cron: \"0 8 * * 6\", for: 4h, instances: {min: 4}}\n"
                  "  freeze:\n    - {cron: \"0 18 * * 5\", for: 62h, allow: up}\n"),
           "");
}

SUITE(review) = {
    TEST(rules_that_get_along_are_not_mentioned),
    TEST(rules_that_pull_to_and_fro_are_told),
    TEST(rules_that_never_act_are_told),
    TEST(rules_that_another_one_always_beats_are_told),
    TEST(times_that_contradict_each_other_are_told),
    {0},
};
