/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/suite.h"

#define SEED "scale up by 2 instances if predicted load exceeds 80 % of capacity"
#define HEAD                                                                                       \
    "apiVersion: pmo.dev/v1alpha1\n"                                                               \
    "kind: OrchestrationPolicy\n"                                                                  \
    "metadata: {name: front}\n"                                                                    \
    "spec:\n"                                                                                      \
    "  target: {service: front}\n"

static char said[2048];
static unsigned int times;

static void note(void *context, const char *file, size_t line, size_t column, const char *message)
{
    size_t used = strlen(said);

    (void)snprintf(said + used, sizeof(said) - used, "%zu:%zu: %s\n", line, column, message);
    times++;
}

static int read_text(struct pmo_policies **policies, const char *text)
{
    struct pmo_file *file = NULL;
    int r;

    said[0] = '\0';
    times = 0;
    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "f", text, strlen(text), note, NULL), 0);
    r = pmo_policies_read(policies, file);
    pmo_file_free(&file);
    return r;
}

static void the_seed_sentence_is_understood_as_it_stands(void)
{
    struct pmo_rule rule;
    char error[256] = "";

    CU_ASSERT_EQUAL_FATAL(pmo_rule_parse(&rule, SEED, error, sizeof(error)), 0);
    CU_ASSERT_EQUAL(rule.action, PMO_SCALE_UP_BY);
    CU_ASSERT_EQUAL(rule.instances, 2);
    CU_ASSERT_EQUAL(rule.condition.count, 1);
    CU_ASSERT_EQUAL(rule.condition.nodes[0].quantity, PMO_PREDICTED_UTILIZATION);
    CU_ASSERT_EQUAL(rule.condition.nodes[0].operator, PMO_ABOVE);
    CU_ASSERT_DOUBLE_EQUAL(rule.condition.nodes[0].threshold, 0.8, 1e-12);
    CU_ASSERT_EQUAL(rule.condition.nodes[0].seconds, 0);
    CU_ASSERT_EQUAL(rule.for_s, 0);
    CU_ASSERT_STRING_EQUAL(rule.text, SEED);
}

static void rules_may_be_said_in_many_ways(void)
{
    static const struct {
        const char *text;
        enum pmo_action_kind action;
        uint32_t instances;
        struct pmo_node node;
        uint32_t for_s;
    } cases[] = {
        {"Scale  Up by 1 INSTANCE if Load > 80% of capacity ",
         PMO_SCALE_UP_BY,
         1,
         {PMO_ABOVE, PMO_UTILIZATION, 0, 0, 0.8},
         0},
        {"scale to 6 instances if predicted load in 30s exceeds 300 rps for 5s",
         PMO_SCALE_TO,
         6,
         {PMO_ABOVE, PMO_PREDICTED_LOAD, 30, 0, 300},
         5},
        {"scale down by 1 instance if load is below 20 % of capacity for 1 minute",
         PMO_SCALE_DOWN_BY,
         1,
         {PMO_BELOW, PMO_UTILIZATION, 0, 0, 0.2},
         60},
        {"scale down by 3 instances if predicted load in 1m falls below 3000/m",
         PMO_SCALE_DOWN_BY,
         3,
         {PMO_BELOW, PMO_PREDICTED_LOAD, 60, 0, 50},
         0},
        {"scale up by 1 instance if latency is above 0.2 s",
         PMO_SCALE_UP_BY,
         1,
         {PMO_ABOVE, PMO_LATENCY, 0, 0, 0.2},
         0},
        {"scale up by 1 instance if error rate exceeds 2.5 %",
         PMO_SCALE_UP_BY,
         1,
         {PMO_ABOVE, PMO_ERROR_RATE, 0, 0, 0.025},
         0},
        {"scale up by 1 instance if requests in flight exceed 20 per instance for 5s",
         PMO_SCALE_UP_BY,
         1,
         {PMO_ABOVE, PMO_IN_FLIGHT, 0, 0, 20},
         5},
        {"scale up by 1 instance if predicted load exceeds 120 percent of capacity",
         PMO_SCALE_UP_BY,
         1,
         {PMO_ABOVE, PMO_PREDICTED_UTILIZATION, 0, 0, 1.2},
         0},
        {"scale to 1 instance if requests in flight < 1",
         PMO_SCALE_TO,
         1,
         {PMO_BELOW, PMO_IN_FLIGHT, 0, 0, 1},
         0},
        {"scale to 1 instance if predicted.utilization(30s)>=80%",
         PMO_SCALE_TO,
         1,
         {PMO_AT_LEAST, PMO_PREDICTED_UTILIZATION, 30, 0, 0.8},
         0},
        {"scale to 1 instance if Error_Rate (1m) <= 5 % for 2s",
         PMO_SCALE_TO,
         1,
         {PMO_AT_MOST, PMO_ERROR_RATE, 60, 0, 0.05},
         2},
        {"scale to 1 instance if load(5m) > 80 % of capacity",
         PMO_SCALE_TO,
         1,
         {PMO_ABOVE, PMO_UTILIZATION, 300, 0, 0.8},
         0},
        {"scale to 1 instance if instances.ready < 3",
         PMO_SCALE_TO,
         1,
         {PMO_BELOW, PMO_READY, 0, 0, 3},
         0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct pmo_node *wanted = &cases[i].node, *node;
        char error[256] = "";
        struct pmo_rule rule;

        CU_ASSERT_EQUAL_FATAL(pmo_rule_parse(&rule, cases[i].text, error, sizeof(error)), 0);
        CU_ASSERT_STRING_EQUAL(error, "");
        CU_ASSERT_EQUAL(rule.action, cases[i].action);
        CU_ASSERT_EQUAL(rule.instances, cases[i].instances);
        CU_ASSERT_EQUAL(rule.condition.count, 1);
        node = &rule.condition.nodes[0];
        CU_ASSERT_EQUAL(node->quantity, wanted->quantity);
        CU_ASSERT_EQUAL(node->operator, wanted->operator);
        CU_ASSERT_DOUBLE_EQUAL(node->threshold, wanted->threshold, 1e-9);
        CU_ASSERT_EQUAL(node->seconds, wanted->seconds);
        CU_ASSERT_EQUAL(rule.for_s, cases[i].for_s);
        CU_ASSERT_STRING_EQUAL(rule.text, cases[i].text);
    }
}

static void what_a_rule_gets_wrong_is_told_with_the_way_out(void)
{
#define UP "scale up by 1 instance if "
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "the rule ends too early; go on with scale"},
        {"scael up by 1 instance if load > 1 rps",
         "\"scael\" is not understood; did you mean \"scale\"?"},
        {"scale sideways", "\"sideways\" is not understood; write up, down or to"},
        {"scale up 2 instances", "\"2\" is not understood; write by"},
        {"scale up by two instances", "how many instances?"},
        {"scale up by 0 instances", "how many instances?"},
        {"scale up by 1.5 instances", "how many instances?"},
        {"scale up by 2000 instances", "whole number from 1 to 1000"},
        {"scale up by 2 pods if load > 1 rps",
         "\"pods\" is not understood; write instance or instances"},
        {"scale up by 2 instances", "the rule ends too early; go on with if"},
        {"scale up by 2 instances fi load > 1 rps", "did you mean \"if\"?"},
        {UP "laod > 1 rps", "did you mean \"load\"?"},
        {UP "predicted lod > 1 rps", "did you mean \"load\"?"},
        {UP "weather is bad", "write predicted load, predicted.load, predicted.utilization, load"},
        {UP "predicted load in 90s exceeds 1 rps", "whole seconds from 1s to 60s, e.g. in 30s"},
        {UP "predicted load in 30 exceeds 1 rps", "whole seconds from 1s to 60s"},
        {UP "load excedes 1 rps", "did you mean \"exceeds\"?"},
        {UP "load equals 1 rps", "write exceeds, is above, falls below or is below"},
        {UP "load exceeds many", "load is compared with a number; write e.g. 80 % of capacity"},
        {UP "load exceeds 300", "load cannot be compared with \"300\"; write e.g. 80 % of"},
        {UP "load exceeds 300 ms", "load cannot be compared with \"300 ms\""},
        {UP "load exceeds 80 %", "80 % of what? write 80 % of capacity"},
        {UP "load exceeds 80 % of capasity", "did you mean \"capacity\"?"},
        {UP "latency exceeds 200", "latency cannot be compared with \"200\"; write e.g. 200 ms"},
        {UP "latency exceeds 200 rps", "latency cannot be compared with \"200 rps\""},
        {UP "error rate exceeds 120 %", "error rate cannot be compared with \"120 %\""},
        {UP "requests in flight exceed 5 s", "write e.g. 20, for each ready instance"},
        {UP "load exceeds 1 rps for ever", "\"for\" is followed by whole seconds"},
        {UP "load exceeds 1 rps for 0.5s", "\"for\" is followed by whole seconds"},
        {UP "load exceeds 1 rps but latency > 1 s",
         "\"but latency > 1 s\" is not understood; go on with and, or, or with for and a duration"},
        {UP "load exceeds 1 rps and", "the rule ends too early; go on with predicted load"},
        {UP "load exceeds 1 rps and latency(1m) > 80 % or load < 1 rps",
         "latency cannot be compared with \"80 %\"; write e.g. 200 ms"},
        {UP "predicted.utilization(30s) > 200 rps", "write e.g. 80 %"},
        {UP "predicted.utilisation(30s) > 20 %", "did you mean \"predicted.utilization\"?"},
        {UP "predicted.load(2m) > 1 rps", "\"predicted.load(\" is followed by whole seconds from 1s"
                                          " to 60s"},
        {UP "error_rate(10m) > 1 %", "from 1s to 300s, e.g. error_rate( 30s"},
        {UP "trust(10s) < 50 %", "trust is what it is now; take out the parentheses"},
        {UP "trust < 0.5", "trust cannot be compared with \"0.5\"; write e.g. 50 %"},
        {UP "(load > 1 rps or load < 2 rps", "the rule ends too early; go on with )"},
        {UP "load > 1 rps)", "\")\" is not understood"},
        {UP "event(campaign).active", "which event? write its kind or id in quotes"},
        {UP "event(\"\").active", "which event?"},
        {UP "event(\"x\").activ", "did you mean \".active\"?"},
        {UP "event(\"x\").starts_in < 80 %", "starts_in cannot be compared with \"80 %\""},
        {UP "event(\"a\").active or event(\"b\").active or event(\"c\").active",
         "names at most 2 events"},
    };
#undef UP

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pmo_rule rule = {.instances = 77};
        char error[256] = "";

        CU_ASSERT_EQUAL(pmo_rule_parse(&rule, cases[i].text, error, sizeof(error)), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, cases[i].error));
        if (!strstr(error, cases[i].error))
            (void)printf("\n    said: %s\n    not: %s\n", error, cases[i].error);
        CU_ASSERT_EQUAL(rule.instances, 77);
    }
}

static void a_rule_that_is_too_long_is_refused(void)
{
    char text[400], error[64];
    struct pmo_rule rule;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CU_ASSERT_EQUAL(pmo_rule_parse(&rule, text, error, sizeof(error)), -EINVAL);
    text[159] = '\0';
    CU_ASSERT_EQUAL(pmo_rule_parse(&rule, text, error, sizeof(error)), -EINVAL);
    CU_ASSERT_TRUE(strlen(error) < sizeof(error));
}

static void how_sure_to_be_is_read_as_a_share_or_by_costs(void)
{
    struct pmo_policies *policies = NULL;

    CU_ASSERT_EQUAL_FATAL(read_text(&policies, HEAD "  objective: {late: 0.1%}\n"), 0);
    CU_ASSERT_DOUBLE_EQUAL(pmo_policies_at(policies, 0)->late, 0.001, 1e-12);
    pmo_policies_free(&policies);
    CU_ASSERT_EQUAL_FATAL(
        read_text(&policies, HEAD "  costs: {instanceHour: 0.04, lateRequest: 0.0001}\n"), 0);
    CU_ASSERT_DOUBLE_EQUAL(pmo_policies_at(policies, 0)->instance_hour, 0.04, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(pmo_policies_at(policies, 0)->late_request, 0.0001, 1e-12);
    pmo_policies_free(&policies);
}

static void every_field_is_read(void)
{
    struct pmo_policies *policies = NULL;
    const struct pmo_policy *p;

    CU_ASSERT_EQUAL_FATAL(read_text(&policies, HEAD "  mode: act\n"
                                                    "  objective: {latency: 300ms}\n"
                                                    "  instances: {min: 2, max: 12, capacity: "
                                                    "50rps, leadTime: 3s}\n"
                                                    "  forecast: {quantile: 0.9, target: 80%}\n"
                                                    "  scaleUp: {limit: 4 per 10s}\n"
                                                    "  scaleDown: {after: 20s, limit: 1 per 5s}\n"
                                                    "  observe: {calls: true}\n"
                                                    "  rules:\n"
                                                    "    - " SEED "\n"),
                          0);
    CU_ASSERT_EQUAL(pmo_policies_count(policies), 1);
    p = pmo_policies_at(policies, 0);
    CU_ASSERT_STRING_EQUAL(p->name, "front");
    CU_ASSERT_STRING_EQUAL(p->service, "front");
    CU_ASSERT_EQUAL(p->mode, PMO_MODE_ACT);
    CU_ASSERT_TRUE(p->mode_set);
    CU_ASSERT_DOUBLE_EQUAL(p->latency_objective_s, 0.3, 1e-12);
    CU_ASSERT_EQUAL(p->min, 2);
    CU_ASSERT_EQUAL(p->max, 12);
    CU_ASSERT_EQUAL(p->capacity_rps, 50);
    CU_ASSERT_EQUAL(p->lead_time_s, 3);
    CU_ASSERT_DOUBLE_EQUAL(p->quantile, 0.9, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(p->target, 0.8, 1e-12);
    CU_ASSERT_TRUE(p->up_limit == 4 && p->up_period_s == 10);
    CU_ASSERT_TRUE(p->down_limit == 1 && p->down_period_s == 5);
    CU_ASSERT_EQUAL(p->down_delay_s, 20);
    CU_ASSERT_EQUAL(p->rules_count, 1);
    CU_ASSERT_EQUAL(p->rules[0].line, 14);
    CU_ASSERT_TRUE(p->calls);
    pmo_policies_free(&policies);
    CU_ASSERT_PTR_NULL(policies);
}

static void what_is_left_out_has_a_default(void)
{
    struct pmo_policies *policies = NULL;
    const struct pmo_policy *p;

    CU_ASSERT_EQUAL_FATAL(read_text(&policies, HEAD), 0);
    p = pmo_policies_at(policies, 0);
    CU_ASSERT_EQUAL(p->mode, PMO_MODE_RECOMMEND);
    CU_ASSERT_FALSE(p->mode_set);
    CU_ASSERT_FALSE(p->calls);
    CU_ASSERT_TRUE(p->min == 1 && p->max == 10);
    CU_ASSERT_DOUBLE_EQUAL(p->quantile, 0.99, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(p->target, 0.99, 1e-12);
    CU_ASSERT_TRUE(p->capacity_rps == 0 && p->lead_time_s == 0);
    CU_ASSERT_TRUE(p->up_limit == 0 && p->down_limit == 0 && p->down_delay_s == 15);
    pmo_policies_free(&policies);
}

static void headers_are_read(void)
{
    const struct pmo_policy_header *headers[PMO_HEADERS_MAX];
    struct pmo_policies *policies = NULL;
    const struct pmo_policy *p;

    CU_ASSERT_EQUAL_FATAL(
        read_text(&policies,
                  HEAD "  observe: {headers: [{name: X-Tenant, values: [acme, Umbrella]}, "
                       "{name: x-feature, hash: true}]}\n---\n"
                       "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
                       "metadata: {name: b}\nspec: {target: {service: b}, observe: "
                       "{headers: [{name: x-feature, hash: true}]}}\n"),
        0);
    p = pmo_policies_at(policies, 0);
    CU_ASSERT_EQUAL_FATAL(p->headers_count, 2);
    CU_ASSERT_STRING_EQUAL(p->headers[0].name, "x-tenant");
    CU_ASSERT_EQUAL(p->headers[0].values_count, 2);
    CU_ASSERT_STRING_EQUAL(p->headers[0].values[1], "Umbrella");
    CU_ASSERT_FALSE(p->headers[0].hash);
    CU_ASSERT_STRING_EQUAL(p->headers[1].name, "x-feature");
    CU_ASSERT_TRUE(p->headers[1].hash);
    CU_ASSERT_FALSE(p->calls);
    CU_ASSERT_EQUAL(pmo_policies_headers(policies, headers),
                    2); /* the second policy's is the same */
    pmo_policies_free(&policies);
    CU_ASSERT_EQUAL(pmo_policies_headers(NULL, headers), 0);
}

static void forecasting_can_be_turned_off(void)
{
    struct pmo_policies *policies = NULL;

    CU_ASSERT_EQUAL_FATAL(read_text(&policies, HEAD "  forecast: off\n"), 0);
    CU_ASSERT_EQUAL(pmo_policies_at(policies, 0)->quantile, 0);
    pmo_policies_free(&policies);
}

static void each_mistake_is_one_complaint_at_its_place(void)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {HEAD "  mod: act\n", "6:3: unknown field \"mod\"; did you mean \"mode\"?"},
        {HEAD "  mode: atc\n", "6:9: mode: \"atc\" is not known; did you mean \"act\"?"},
        {HEAD "  mode: [act]\n", "6:9: mode must be one word: observe, recommend or act"},
        {HEAD "  objective: {latncy: 1s}\n", "6:15: unknown field \"latncy\"; did you mean"},
        {HEAD "  objective: {latency: 250}\n", "6:24: latency: \"250\" has no unit"},
        {HEAD "  objective: {latency: 0s}\n", "6:24: latency must be more than 0"},
        {HEAD "  objective: 250ms\n", "6:14: fields are expected here: latency"},
        {HEAD "  instances: {min: 5, max: 3}\n",
         "6:20: min 5 is more than max 3; write a max of 5"},
        {HEAD "  objective: {late: 50%}\n", "6:21: late must be from 0.01% to 10%; write"},
        {HEAD "  costs: {instanceHour: 0.04}\n", "6:10: costs: lateRequest must be a number above"},
        {HEAD "  costs: {instanceHour: 4 EUR, lateRequest: 1}\n",
         "6:25: costs: instanceHour must be a number above 0, without a currency"},
        {HEAD "  costs: {instanceHour: 1, lateRequest: 0}\n",
         "6:41: costs: lateRequest must be a number above 0"},
        {HEAD "  costs: {instanceHour: 1, lateRequest: 1}\n  objective: {late: 1%}\n",
         "6:10: of objective.late, costs and forecast.quantile, one says how sure to be"},
        {HEAD "  objective: {late: 1%}\n  forecast: {quantile: 0.9}\n",
         "7:24: of objective.late, costs and forecast.quantile, one says how sure to be"},
        {HEAD "  costs: {instanceHour: 1, lateRequest: 1}\n  forecast: {quantile: 0.9}\n",
         "7:24: of objective.late, costs and forecast.quantile, one says how sure to be"},
        {HEAD "  instances: {min: 50}\n", "6:20: min 50 is more than max 10 (the default)"},
        {HEAD "  instances: {min: 0}\n", "6:20: min must be a whole number from 1"},
        {HEAD "  instances: {max: many}\n", "6:20: max must be a whole number from 1"},
        {HEAD "  instances: {capacity: 50ms}\n", "6:25: capacity: \"50ms\" is not a rate"},
        {HEAD "  instances: {capacity: 0rps}\n", "6:25: capacity must be more than 0"},
        {HEAD "  instances: {leadTime: 2h}\n", "6:25: leadTime is more than an hour"},
        {HEAD "  forecast: {quantile: 0.3}\n", "6:24: quantile must be from 0.5 to 0.999"},
        {HEAD "  forecast: {quantile: 1}\n", "6:24: quantile must be from 0.5 to 0.999"},
        {HEAD "  forecast: {quantile: 95}\n", "6:24: quantile: \"95\" is more than the whole"},
        {HEAD "  forecast: {target: 5%}\n", "6:22: target must be from 10% to 100%"},
        {HEAD "  forecast: of\n", "6:13: forecast: \"of\" is not known; write off, or {"},
        {HEAD "  scaleUp: {limit: 4}\n", "6:20: limit: \"4\" is not understood; write e.g. 4 per"},
        {HEAD "  scaleUp: {limit: 4 per 10}\n", "6:20: limit: \"4 per 10\" is not understood"},
        {HEAD "  scaleUp: {limit: 4s per 10s}\n", "6:20: limit: \"4s per 10s\" is not understood"},
        {HEAD "  scaleUp: {limit: 4 per 0.5s}\n", "6:20: limit: \"4 per 0.5s\" is out of range"},
        {HEAD "  scaleUp: {limit: 0 per 5s}\n", "6:20: limit: \"0 per 5s\" is out of range"},
        {HEAD "  scaleDown: {after: 1h}\n", "6:22: after is more than 10 minutes"},
        {HEAD "  scaleDown: {afer: 1s}\n", "6:15: unknown field \"afer\"; did you mean \"after\"?"},
        {HEAD "  rules: scale up\n", "6:10: rules must be a list"},
        {HEAD "  rules:\n    - scale up by 2 instances if laod > 1 rps\n",
         "7:7: \"laod\" is not understood; did you mean \"load\"?"},
        {HEAD "  rules:\n    - {scale: up}\n", "7:7: a rule is one sentence"},
        {HEAD "  schedules: workday\n", "6:14: schedules must be a list; write e.g. schedules: [{"},
        {HEAD "  schedules: [workday]\n", "6:15: a schedule has a name, times and bounds"},
        {HEAD "  schedules:\n    - {name: a, cron: \"0 8 * *\", for: 1h, instances: {min: 2}}\n",
         "7:23: cron: five fields are expected"},
        {HEAD "  schedules:\n    - {name: a, for: 1h, instances: {min: 2}}\n",
         "7:7: cron is missing: when does it begin?"},
        {HEAD "  schedules:\n    - {name: a, cron: \"0 8 * * *\", instances: {min: 2}}\n",
         "7:7: for is missing: how long does it last?"},
        {HEAD "  schedules:\n    - {name: a, cron: \"0 8 * * *\", for: 8d, instances: {min: 2}}\n",
         "7:41: for is from 1m to 7d"},
        {HEAD "  schedules:\n    - {name: a, cron: \"0 8 * * *\", for: 1h}\n",
         "7:7: which bounds hold in this time?"},
        {HEAD "  schedules:\n    - {cron: \"0 8 * * *\", for: 1h, instances: {min: 2}}\n",
         "7:7: schedule.name is missing"},
        {HEAD "  schedules:\n    - {name: a, cron: \"0 8 * * *\", for: 1h, instances: {min: 20}}\n",
         "7:62: min 20 is more than the policy's max 10; write max: 20 beside it"},
        {HEAD "  schedules:\n    - {name: a, cron: \"0 8 * * *\", for: 1h, timezone: UTC, "
              "instances: {min: 2}}\n",
         "7:45: unknown field \"timezone\"; did you mean \"timeZone\"?"},
        {HEAD "  schedules:\n    - {name: a, cron: \"0 8 * * *\", for: 1h, timeZone: Mars, "
              "instances: {min: 2}}\n",
         "7:55: timeZone: \"Mars\" is not known here; write UTC, or"},
        {HEAD "  freeze: [{cron: \"0 8 * * *\", for: 1h, allow: down}]\n",
         "6:48: allow: \"down\" is not known; write none or up"},
        {HEAD "  priority: 101\n", "6:13: priority must be a whole number from 0 to 100, not 101"},
        {HEAD "  budget: 40 hours per 1d\n", "6:11: budget: \"40 hours per 1d\" is not understood"},
        {HEAD "  budget: 40 instance-hours per 1m\n",
         "6:11: budget: \"40 instance-hours per 1m\" is out "
         "of range; write more than 0 per 1h to 31d"},
        {HEAD "  instances: {min: 2}\n  budget: 40 instance-hours per 1d\n",
         "7:11: budget: the minimum of 2 instances takes 48 instance-hours in this time"},
        {HEAD
         "---\napiVersion: pmo.dev/v1alpha1\nkind: OrchestrationLimits\nmetadata: {name: host}\n"
         "spec: {instances: 0}\n",
         "10:19: instances must be a whole number from 1"},
        {HEAD
         "  instances: {min: 5}\n---\napiVersion: pmo.dev/v1alpha1\nkind: OrchestrationLimits\n"
         "metadata: {name: host}\nspec: {instances: 4}\n",
         "11:19: the minima of all policies are 5 instances together; write as many or more"},
        {HEAD
         "---\napiVersion: pmo.dev/v1alpha1\nkind: OrchestrationLimit\nmetadata: {name: host}\n"
         "spec: {instances: 9}\n",
         "8:7: kind: \"OrchestrationLimit\" is not known; did you mean \"OrchestrationLimits\"?"},
        {HEAD "  observe: calls\n", "6:12: observe: \"calls\" is not known; write {calls: true}"},
        {HEAD "  observe: {call: true}\n", "6:13: unknown field \"call\"; did you mean \"calls\"?"},
        {HEAD "  observe: {calls: perhaps}\n", "6:20: calls: \"perhaps\" is not known"},
        {HEAD "  observe: {headers: x-tenant}\n", "6:22: headers must be a list; write e.g. heade"},
        {HEAD "  observe: {headers: [x-tenant]}\n", "6:23: a header has a name; write e.g. {nam"},
        {HEAD "  observe: {headers: [{hash: true}]}\n", "6:23: a header has no name; write e.g."},
        {HEAD "  observe: {headers: [{name: \"x y\", hash: true}]}\n",
         "6:30: name: \"x y\" is no name of a header; write a letter"},
        {HEAD "  observe: {headers: [{name: x234567890123456789012345678901a, hash: true}]}\n",
         "6:30: name: \"x234567890123456789012345678901a\" is no name of a header"},
        {HEAD "  observe: {headers: [{name: Cookie, hash: true}]}\n",
         "6:30: name: cookie is never counted by its value; write another header"},
        {HEAD "  observe: {headers: [{name: x-a, hash: true}, {name: X-A, hash: true}]}\n",
         "6:55: name: x-a is there already; take one out"},
        {HEAD "  observe: {headers: [{name: x-a}]}\n", "6:23: what of the header's values is "},
        {HEAD "  observe: {headers: [{name: x-a, values: [b], hash: true}]}\n",
         "6:43: what of the header's values is counted? write either values: [acme,"},
        {HEAD "  observe: {headers: [{name: x-a, values: [\"b c\"]}]}\n",
         "6:44: value \"b c\" is not understood; write up to 31 letters without blanks"},
        {HEAD "  observe: {headers: [{name: x-a, valeus: [b], hash: true}]}\n",
         "6:35: unknown field \"valeus\"; did you mean \"values\"?"},
        {HEAD "  observe: {headers: [{name: a, hash: true}, {name: b, hash: true}, {name: c, hash: "
              "true}, {name: d, hash: true}, {name: e, hash: true}]}\n",
         "6:115: at most 4 headers are looked for; take out those from here on"},
        {HEAD "  observe: {headers: [{name: a, hash: true}, {name: b, hash: true}]}\n---\n"
              "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\nmetadata: {name: b}\n"
              "spec: {target: {service: b}, observe: {headers: [{name: a, values: [x]}, {name: b, "
              "hash: true}, {name: c, hash: true}, {name: d, hash: true}]}}\n",
         "11:49: all policies together name at most 4 headers, and one with other values is "},
        {HEAD "  routes: /u\n", "6:11: routes must be a list; write e.g. routes: ["},
        {HEAD "  routes: [{name: x}]\n", "6:12: a route is a path; write it in quotes"},
        {HEAD "  routes: [users]\n", "6:12: route \"users\" is not a path; write e.g. /users/"},
        {HEAD "  routes: [/]\n", "6:12: route \"/\" is not a path; write e.g. /users/{name}"},
        {HEAD "  routes: [\"/a?b=c\"]\n", "6:12: route \"/a?b=c\" is not a path: routes have no"},
        {HEAD "  routes: [/a/]\n", "6:12: route \"/a/\" has an empty segment; write one slash"},
        {HEAD "  routes: [/a//b]\n", "6:12: route \"/a//b\" has an empty segment"},
        {HEAD "  routes: [\"/a{b}\"]\n", "6:12: route \"/a{b}\" \"a{b}\" is no name; write one"},
        {HEAD "  routes: [\"/{}\"]\n", "6:12: route \"/{}\" \"{}\" is no name; write one"},
        {HEAD "  routes: [\"/{a b}\"]\n", "6:12: route \"/{a b}\" is not a path"},
        {HEAD "  routes: [\"/{a..}\"]\n", "6:12: route \"/{a..}\" \"{a..}\" is no name"},
        {HEAD "  routes: [\"/{a...}/b\"]\n",
         "6:12: route \"/{a...}/b\" \"{a...}\" takes all that comes behind it; end"},
        {HEAD "  routes: [/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a]\n",
         "6:12: route \"/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a\" has too many segments"},
        {HEAD "  routes: [/b, \"/u/{a}\", \"/u/{b}/x\"]\n",
         "6:26: route \"/u/{b}/x\" has another name for a segment of \"/u/{a}\"; write the same"},
        {HEAD "  routes: [/b, /b]\n", "6:16: route \"/b\" is there already; take one out"},
        {"apiVersion: pmo.dev/v2\nkind: OrchestrationPolicy\nmetadata: {name: a}\n"
         "spec: {target: {service: a}}\n",
         "1:13: apiVersion: \"pmo.dev/v2\" is not known; "},
        {"kind: OrchestrationPolicy\nmetadata: {name: a}\nspec: {target: {service: a}}\n",
         "1:1: apiVersion is missing; write apiVersion: pmo.dev/v1alpha1"},
        {"apiVersion: pmo.dev/v1alpha1\nkind: OrchestratonPolicy\n",
         "2:7: kind: \"OrchestratonPolicy\" is not known; did you mean \"OrchestrationPolicy\"?"},
        {"apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
         "spec: {target: {service: a}}\n",
         "1:1: metadata.name is missing; write metadata: {name: NAME}"},
        {"apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\nmetadata: {name: a}\n",
         "1:1: spec is missing"},
        {"apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\nmetadata: {name: a}\nspec: x\n",
         "4:7: fields are expected here: target, mode"},
        {"apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\nmetadata: {name: a}\n"
         "spec: {mode: act}\n",
         "4:7: target.service is missing; write target: {service: NAME}"},
        {"apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\nmetadata: {name: a b}\n"
         "spec: {target: {service: a}}\n",
         "3:18: name: \"a b\" is not a name"},
        {HEAD "---\napiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
              "metadata: {name: b}\nspec: {target: {service: front}}\n",
         "10:26: service \"front\" has the policy \"front\" already; keep one of the two"},
        {HEAD "---\napiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
              "metadata: {name: front}\nspec: {target: {service: b}}\n",
         "9:18: another policy is named \"front\" already"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pmo_policies *policies = NULL;

        CU_ASSERT_EQUAL(read_text(&policies, cases[i].text), -EINVAL);
        CU_ASSERT_PTR_NULL(policies);
        CU_ASSERT_EQUAL(times, 1);
        CU_ASSERT_PTR_EQUAL(strstr(said, cases[i].said), said);
        if (strstr(said, cases[i].said) != said)
            (void)printf("\n    said: %s    not: %s\n", said, cases[i].said);
    }
}

static void all_mistakes_of_a_file_are_told_at_once(void)
{
    struct pmo_policies *policies = NULL;

    CU_ASSERT_EQUAL(read_text(&policies, HEAD "  mode: atc\n  objective: {latency: 250}\n"),
                    -EINVAL);
    CU_ASSERT_EQUAL(times, 2);
}

static void more_rules_than_fit_are_refused(void)
{
    struct pmo_policies *policies = NULL;
    char text[4096] = HEAD "  rules:\n";

    for (int i = 0; i < PMO_RULES_MAX + 1; i++)
        (void)strcat(text, "    - " SEED "\n");
    CU_ASSERT_EQUAL(read_text(&policies, text), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "23:7: a policy has at most 16 rules"));
}

static void other_kinds_are_left_to_others(void)
{
    struct pmo_policies *policies = NULL;

    CU_ASSERT_EQUAL(read_text(&policies, "kind: LocalService\n---\n" HEAD "---\nhello\n"), 0);
    CU_ASSERT_EQUAL(pmo_policies_count(policies), 1);
    CU_ASSERT_EQUAL(times, 0);
    pmo_policies_free(&policies);
}

static void a_service_has_its_own_policy_or_the_general_one(void)
{
    struct pmo_policies *policies = NULL;

    CU_ASSERT_PTR_NULL(pmo_policies_for(NULL, "front"));
    CU_ASSERT_EQUAL_FATAL(
        read_text(&policies, "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
                             "metadata: {name: all}\nspec: {target: {service: \"*\"}}\n---\n" HEAD),
        0);
    CU_ASSERT_STRING_EQUAL(pmo_policies_for(policies, "front")->name, "front");
    CU_ASSERT_STRING_EQUAL(pmo_policies_for(policies, "catalog")->name, "all");
    pmo_policies_free(&policies);
}

static void pinned_routes_are_read(void)
{
    struct pmo_policies *policies = NULL;
    const struct pmo_policy *p;
    char text[4096] = HEAD "  routes:\n";

    CU_ASSERT_EQUAL_FATAL(read_text(&policies,
                                    HEAD "  routes: [\"/u/{name}\", /u/me, \"/a/{rest...}\", "
                                         "\"/u/{name}/orders/{order-id}\", /v1.2/x-y]\n"),
                          0);
    p = pmo_policies_at(policies, 0);
    CU_ASSERT_EQUAL_FATAL(p->routes_count, 5);
    CU_ASSERT_STRING_EQUAL(p->routes[0], "/u/{name}");
    CU_ASSERT_STRING_EQUAL(p->routes[4], "/v1.2/x-y");
    pmo_policies_free(&policies);
    for (size_t i = 0; i <= PMO_PATTERNS_MAX; i++)
        (void)snprintf(text + strlen(text), 32, "    - /r%zu\n", i);
    CU_ASSERT_EQUAL(read_text(&policies, text), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "39:7: a policy pins at most 32 routes; take out those"));
}

static void schedules_and_freezes_are_read(void)
{
    struct pmo_policies *policies = NULL;
    const struct pmo_policy *p;

    CU_ASSERT_EQUAL_FATAL(read_text(&policies,
                                    HEAD "  schedules:\n"
                                         "    - {name: day, cron: \"0 8 * * 1-5\", timeZone: "
                                         "Europe/Berlin, for: 10h, instances: {min: 4}}\n"
                                         "    - {name: sale, cron: \"0 0 1 12 *\", for: 1d, "
                                         "instances: {min: 20, max: 40}}\n"
                                         "  freeze: [{cron: \"0 18 * * 5\", for: 62h, allow: up}, "
                                         "{cron: \"0 0 * * *\", for: 1m}]\n"),
                          0);
    p = pmo_policies_at(policies, 0);
    CU_ASSERT_EQUAL_FATAL(p->schedules_count, 2);
    CU_ASSERT_STRING_EQUAL(p->schedules[0].name, "day");
    CU_ASSERT_EQUAL(p->schedules[0].when.for_s, 36000);
    CU_ASSERT_TRUE(p->schedules[0].min == 4 && p->schedules[0].max == 0);
    CU_ASSERT_EQUAL(p->schedules[0].line, 7);
    CU_ASSERT_TRUE(p->schedules[1].min == 20 && p->schedules[1].max == 40);
    CU_ASSERT_EQUAL_FATAL(p->freezes_count, 2);
    CU_ASSERT_TRUE(p->freezes[0].up && !p->freezes[1].up);
    CU_ASSERT_EQUAL(p->freezes[1].when.for_s, 60);
    pmo_policies_free(&policies);
}

static void budgets_priorities_and_the_hosts_bound_are_read(void)
{
    struct pmo_policies *policies = NULL;
    const struct pmo_policy *p;

    CU_ASSERT_EQUAL_FATAL(read_text(&policies,
                                    HEAD "  budget: 40 instance-hours per 1d\n"
                                         "  priority: 80\n---\n"
                                         "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationLimits\n"
                                         "metadata: {name: host}\nspec: {instances: 40}\n"),
                          0);
    p = pmo_policies_at(policies, 0);
    CU_ASSERT_EQUAL(p->budget.instance_s, 40 * 3600);
    CU_ASSERT_EQUAL(p->budget.period_s, 86400);
    CU_ASSERT_EQUAL(p->priority, 80);
    CU_ASSERT_EQUAL(pmo_policies_count(policies), 1);
    CU_ASSERT_EQUAL(pmo_policies_limit(policies), 40);
    pmo_policies_free(&policies);
    CU_ASSERT_EQUAL(pmo_policies_limit(NULL), 0);
    CU_ASSERT_EQUAL_FATAL(read_text(&policies, HEAD), 0);
    CU_ASSERT_EQUAL(pmo_policies_at(policies, 0)->priority, 50);
    CU_ASSERT_EQUAL(pmo_policies_at(policies, 0)->budget.period_s, 0);
    pmo_policies_free(&policies);
}

static void modes_have_names(void)
{
    CU_ASSERT_EQUAL(pmo_mode_parse("act"), PMO_MODE_ACT);
    CU_ASSERT_EQUAL(pmo_mode_parse("acting"), -EINVAL);
    CU_ASSERT_STRING_EQUAL(pmo_mode_name(PMO_MODE_OBSERVE), "observe");
}

static void the_example_policy_is_right(void)
{
    struct pmo_policies *policies = NULL;
    struct pmo_file *file = NULL;

    said[0] = '\0';
    CU_ASSERT_EQUAL_FATAL(pmo_file_read(&file, "policies/example.yaml", note, NULL), 0);
    CU_ASSERT_EQUAL(pmo_policies_read(&policies, file), 0);
    CU_ASSERT_STRING_EQUAL(said, "");
    CU_ASSERT_EQUAL(pmo_policies_at(policies, 0)->rules_count, 6);
    pmo_policies_free(&policies);
    pmo_file_free(&file);
}

SUITE(policy) = {
    TEST(the_seed_sentence_is_understood_as_it_stands),
    TEST(rules_may_be_said_in_many_ways),
    TEST(what_a_rule_gets_wrong_is_told_with_the_way_out),
    TEST(a_rule_that_is_too_long_is_refused),
    TEST(how_sure_to_be_is_read_as_a_share_or_by_costs),
    TEST(every_field_is_read),
    TEST(what_is_left_out_has_a_default),
    TEST(headers_are_read),
    TEST(forecasting_can_be_turned_off),
    TEST(each_mistake_is_one_complaint_at_its_place),
    TEST(all_mistakes_of_a_file_are_told_at_once),
    TEST(more_rules_than_fit_are_refused),
    TEST(other_kinds_are_left_to_others),
    TEST(a_service_has_its_own_policy_or_the_general_one),
    TEST(pinned_routes_are_read),
    TEST(schedules_and_freezes_are_read),
    TEST(budgets_priorities_and_the_hosts_bound_are_read),
    TEST(modes_have_names),
    TEST(the_example_policy_is_right),
    {0},
};
