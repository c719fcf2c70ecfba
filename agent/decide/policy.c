/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/policy_private.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/base/quantity.h"
#include "agent/base/spelling.h"

#define KIND        "OrchestrationPolicy"
#define LIMITS_KIND "OrchestrationLimits"
#define LEAD_MAX_S  3600

struct pmo_policies {
    uint32_t limit; /* instances of all; 0: any number */
    size_t count;
    struct pmo_policy policies[];
};

static const char *const modes[] = {[PMO_MODE_OBSERVE] = "observe",
                                    [PMO_MODE_RECOMMEND] = "recommend",
                                    [PMO_MODE_ACT] = "act",
                                    NULL};

const char *pmo_mode_name(enum pmo_mode mode)
{
    return modes[mode];
}

int pmo_mode_parse(const char *text)
{
    for (int i = 0; modes[i]; i++)
        if (!strcmp(modes[i], text))
            return i;
    return -EINVAL;
}

void pmo_policy_read_name(const struct pmo_value *parent, const struct pmo_value *map,
                          const char *section, const char *key, char *to, size_t size)
{
    const char *text = NULL;

    if (pmo_value_get_text(map, key, &text) < 0)
        return;
    if (!text) {
        (void)pmo_value_complain(map ? map : parent, "%s.%s is missing; write %s: {%s: NAME}",
                                 section, key, section, key);
        return;
    }
    if (strlen(text) >= size || strpbrk(text, " \t\r\n"))
        (void)pmo_value_complain(pmo_value_get(map, key),
                                 "%s: \"%.80s\" is not a name; write up to %zu letters without "
                                 "blanks",
                                 key, text, size - 1);
    else
        (void)snprintf(to, size, "%s", text);
}

static void read_instances(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char *const keys[] = {"min", "max", "capacity", "leadTime", NULL};
    const struct pmo_value *map = pmo_value_get(spec, "instances");
    long min = policy->min, max = policy->max;

    (void)pmo_value_only_keys(map, keys);
    if (pmo_value_get_integer(map, "min", 1, PMO_POLICY_COUNT_MAX, &min) < 0 ||
        pmo_value_get_integer(map, "max", 1, PMO_POLICY_COUNT_MAX, &max) < 0)
        min = max = 1; /* one complaint is enough */
    if (min > max)
        (void)pmo_value_complain(pmo_value_get(map, "min"),
                                 "min %ld is more than max %ld%s; write a max of %ld or more", min,
                                 max, pmo_value_get(map, "max") ? "" : " (the default)", min);
    policy->min = (uint32_t)min;
    policy->max = (uint32_t)max;
    if (!pmo_value_get_rate(map, "capacity", &policy->capacity_rps) &&
        pmo_value_get(map, "capacity") && policy->capacity_rps <= 0)
        (void)pmo_value_complain(pmo_value_get(map, "capacity"),
                                 "capacity must be more than 0; leave it out if it is not known");
    if (!pmo_value_get_duration(map, "leadTime", &policy->lead_time_s) &&
        policy->lead_time_s > LEAD_MAX_S)
        (void)pmo_value_complain(pmo_value_get(map, "leadTime"),
                                 "leadTime is more than an hour; write e.g. leadTime: 3s");
}

static void read_objective(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char *const keys[] = {"latency", "late", NULL};
    const struct pmo_value *map = pmo_value_get(spec, "objective");

    (void)pmo_value_only_keys(map, keys);
    if (!pmo_value_get_duration(map, "latency", &policy->latency_objective_s) &&
        policy->latency_objective_s <= 0)
        (void)pmo_value_complain(pmo_value_get(map, "latency"),
                                 "latency must be more than 0; write e.g. latency: 250ms");
    if (!pmo_value_get_share(map, "late", &policy->late) && pmo_value_get(map, "late") &&
        (policy->late < 0.0001 || policy->late > 0.1))
        (void)pmo_value_complain(pmo_value_get(map, "late"),
                                 "late must be from 0.01%% to 10%%; write e.g. late: 0.1%%");
}

static void read_cost(const struct pmo_value *map, const char *key, double *cost)
{
    const struct pmo_value *value = pmo_value_get(map, key);
    const char *at = pmo_value_text(value);
    enum pmo_dimension dimension;

    if (at && !pmo_quantity_scan(&at, cost, &dimension) && dimension == PMO_NUMBER && !*at &&
        *cost > 0)
        return;
    (void)pmo_value_complain(value ? value : map,
                             "costs: %s must be a number above 0, without a currency; write e.g. "
                             "{instanceHour: 0.04, lateRequest: 0.0001}",
                             key);
}

/* How sure to be is said in one way only: as a quantile, a share that may be late, or by costs. */
static void read_costs(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char *const keys[] = {"instanceHour", "lateRequest", NULL};
    const struct pmo_value *map = pmo_value_get(spec, "costs");
    const struct pmo_value *late = pmo_value_get(pmo_value_get(spec, "objective"), "late");
    const struct pmo_value *quantile = pmo_value_get(pmo_value_get(spec, "forecast"), "quantile");
    const struct pmo_value *second = quantile && (late || map) ? quantile
                                     : late && map             ? map
                                                               : NULL;

    if (second)
        (void)pmo_value_complain(second, "of objective.late, costs and forecast.quantile, one says "
                                         "how sure to be; take the others out");
    if (!map || pmo_value_only_keys(map, keys) < 0)
        return;
    read_cost(map, "instanceHour", &policy->instance_hour);
    read_cost(map, "lateRequest", &policy->late_request);
}

static void read_forecast(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char *const keys[] = {"quantile", "target", NULL};
    const struct pmo_value *map = pmo_value_get(spec, "forecast");
    const char *text = pmo_value_text(map);

    if (text && (!strcmp(text, "off") || !strcmp(text, "false"))) { /* JSON's way to say off */
        policy->quantile = 0;
        return;
    }
    if (text) {
        (void)pmo_value_complain(map,
                                 "forecast: \"%.60s\" is not known; write off, or {quantile: 0.99, "
                                 "target: 99%%}",
                                 text);
        return;
    }
    (void)pmo_value_only_keys(map, keys);
    if (!pmo_value_get_share(map, "quantile", &policy->quantile) &&
        (policy->quantile < 0.5 || policy->quantile > 0.999))
        (void)pmo_value_complain(pmo_value_get(map, "quantile"),
                                 "quantile must be from 0.5 to 0.999; write e.g. quantile: 0.99");
    if (!pmo_value_get_share(map, "target", &policy->target) && policy->target < 0.1)
        (void)pmo_value_complain(pmo_value_get(map, "target"),
                                 "target must be from 10%% to 100%%; write e.g. target: 99%%");
}

static void read_scale(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char *const up_keys[] = {"limit", NULL};
    static const char *const down_keys[] = {"after", "limit", NULL};
    const struct pmo_value *up = pmo_value_get(spec, "scaleUp");
    const struct pmo_value *down = pmo_value_get(spec, "scaleDown");

    (void)pmo_value_only_keys(up, up_keys);
    pmo_policy_read_limit(up, &policy->up_limit, &policy->up_period_s);
    (void)pmo_value_only_keys(down, down_keys);
    pmo_policy_read_limit(down, &policy->down_limit, &policy->down_period_s);
    if (!pmo_value_get_duration(down, "after", &policy->down_delay_s) &&
        policy->down_delay_s > PMO_DOWN_DELAY_MAX_S)
        (void)pmo_value_complain(pmo_value_get(down, "after"),
                                 "after is more than 10 minutes; write e.g. after: 60s");
}

static void read_rules(struct pmo_policy *policy, const struct pmo_value *spec)
{
    const struct pmo_value *list = pmo_value_get(spec, "rules");
    char error[256];

    if (list && !pmo_value_is_list(list)) {
        (void)pmo_value_complain(list, "rules must be a list; begin each rule with \"- \"");
        return;
    }
    if (pmo_value_count(list) > PMO_RULES_MAX) {
        (void)pmo_value_complain(pmo_value_item(list, PMO_RULES_MAX),
                                 "a policy has at most %d rules; take out those from here on",
                                 PMO_RULES_MAX);
        return;
    }
    for (size_t i = 0; i < pmo_value_count(list); i++) {
        const struct pmo_value *item = pmo_value_item(list, i);
        struct pmo_rule *rule = &policy->rules[policy->rules_count];
        size_t column;

        if (!pmo_value_text(item)) {
            (void)pmo_value_complain(item, "a rule is one sentence; write e.g. scale up by 2 "
                                           "instances if predicted load exceeds 80 %% of capacity");
            continue;
        }
        if (pmo_rule_parse(rule, pmo_value_text(item), error, sizeof(error)) < 0) {
            (void)pmo_value_complain(item, "%s", error);
            continue;
        }
        pmo_value_place(item, &rule->line, &column);
        policy->rules_count++;
    }
}

static bool pattern_clashes(const struct pmo_policy *policy, const struct pmo_value *item,
                            const char *text)
{
    for (size_t i = 0; i < policy->routes_count; i++) {
        if (!strcmp(policy->routes[i], text)) {
            (void)pmo_value_complain(item, "route \"%.120s\" is there already; take one out", text);
            return true;
        }
        if (pmo_route_patterns_clash(policy->routes[i], text)) {
            (void)pmo_value_complain(item,
                                     "route \"%.120s\" has another name for a segment of "
                                     "\"%.120s\"; write the same in both",
                                     text, policy->routes[i]);
            return true;
        }
    }
    return false;
}

static void read_routes(struct pmo_policy *policy, const struct pmo_value *spec)
{
    const struct pmo_value *list = pmo_value_get(spec, "routes");
    char error[256];

    if (list && !pmo_value_is_list(list)) {
        (void)pmo_value_complain(list, "routes must be a list; write e.g. routes: "
                                       "[\"/users/{name}\", /status]");
        return;
    }
    for (size_t i = 0; i < pmo_value_count(list); i++) {
        const struct pmo_value *item = pmo_value_item(list, i);
        const char *text = pmo_value_text(item);

        if (i == PMO_PATTERNS_MAX) {
            (void)pmo_value_complain(item,
                                     "a policy pins at most %d routes; take out those from here on",
                                     PMO_PATTERNS_MAX);
            return;
        }
        if (!text)
            (void)pmo_value_complain(item, "a route is a path; write it in quotes, as in "
                                           "\"/users/{name}\"");
        else if (pmo_route_pattern_check(text, error, sizeof(error)) < 0)
            (void)pmo_value_complain(item, "route \"%.120s\" %s", text, error);
        else if (!pattern_clashes(policy, item, text))
            (void)snprintf(policy->routes[policy->routes_count++], PMO_ROUTE_BYTES, "%s", text);
    }
}

static bool is_token(const char *text, const char *others)
{
    size_t length = strlen(text);

    return length && length < PMO_HEADER_BYTES && strspn(text, others) == length;
}

/* Frames of messages, and secrets: no label is worth a look at these. */
static const char *const headers_refused[] = {
    "authorization",  "proxy-authorization", "cookie", "set-cookie",
    "content-length", "transfer-encoding",   NULL};

static void read_header_name(struct pmo_policy_header *header, const struct pmo_policy *policy,
                             const struct pmo_value *map)
{
    const char *text = NULL;

    if (pmo_value_get_text(map, "name", &text) < 0)
        return;
    if (!text) {
        (void)pmo_value_complain(map, "a header has no name; write e.g. {name: x-tenant, values: "
                                      "[acme, umbrella]}");
        return;
    }
    if (!is_token(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ||
        strspn(text, "0123456789-_.")) {
        (void)pmo_value_complain(pmo_value_get(map, "name"),
                                 "name: \"%.60s\" is no name of a header; write a letter, and up "
                                 "to %u letters, digits, -, _ and . behind it",
                                 text, PMO_HEADER_BYTES - 2);
        return;
    }
    for (size_t i = 0; text[i]; i++)
        header->name[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    for (size_t i = 0; headers_refused[i]; i++)
        if (!strcmp(header->name, headers_refused[i]))
            (void)pmo_value_complain(pmo_value_get(map, "name"),
                                     "name: %s is never counted by its value; write another header",
                                     header->name);
    for (size_t i = 0; i < policy->headers_count; i++)
        if (!strcmp(header->name, policy->headers[i].name))
            (void)pmo_value_complain(pmo_value_get(map, "name"),
                                     "name: %s is there already; take one out", header->name);
}

static void read_header_values(struct pmo_policy_header *header, const struct pmo_value *map)
{
    const struct pmo_value *list = pmo_value_get(map, "values");

    (void)pmo_value_get_bool(map, "hash", &header->hash);
    if (!list == !header->hash || (list && !pmo_value_is_list(list))) {
        (void)pmo_value_complain(list ? list : map,
                                 "what of the header's values is counted? write either values: "
                                 "[acme, umbrella], or hash: true");
        return;
    }
    for (size_t i = 0; i < pmo_value_count(list); i++) {
        const struct pmo_value *item = pmo_value_item(list, i);
        const char *text = pmo_value_text(item);

        if (i == PMO_HEADER_VALUES) {
            (void)pmo_value_complain(item,
                                     "a header has at most %u values; take out those from here on, "
                                     "or write hash: true",
                                     PMO_HEADER_VALUES);
            return;
        }
        if (!text || !*text || strlen(text) >= PMO_HEADER_BYTES || strpbrk(text, " \t\r\n{}"))
            (void)pmo_value_complain(item,
                                     "value \"%.60s\" is not understood; write up to %u letters "
                                     "without blanks or braces",
                                     text ? text : "", PMO_HEADER_BYTES - 1);
        else
            (void)snprintf(header->values[header->values_count++], PMO_HEADER_BYTES, "%s", text);
    }
}

static void read_headers(struct pmo_policy *policy, const struct pmo_value *observe)
{
    static const char *const keys[] = {"name", "values", "hash", NULL};
    const struct pmo_value *list = pmo_value_get(observe, "headers");

    if (list && !pmo_value_is_list(list)) {
        (void)pmo_value_complain(list, "headers must be a list; write e.g. headers: [{name: "
                                       "x-tenant, values: [acme, umbrella]}]");
        return;
    }
    for (size_t i = 0; i < pmo_value_count(list); i++) {
        const struct pmo_value *item = pmo_value_item(list, i);
        struct pmo_policy_header header = {};

        if (i == PMO_HEADERS_MAX) {
            (void)pmo_value_complain(item,
                                     "at most %u headers are looked for; take out those from "
                                     "here on",
                                     PMO_HEADERS_MAX);
            return;
        }
        if (!pmo_value_is_map(item)) {
            (void)pmo_value_complain(item, "a header has a name; write e.g. {name: x-tenant, "
                                           "values: [acme, umbrella]}");
            continue;
        }
        (void)pmo_value_only_keys(item, keys);
        read_header_name(&header, policy, item);
        read_header_values(&header, item);
        policy->headers[policy->headers_count++] = header;
    }
}

static void read_observe(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char *const keys[] = {"calls", "headers", NULL};
    const struct pmo_value *map = pmo_value_get(spec, "observe");
    const char *text = pmo_value_text(map);

    if (text) {
        (void)pmo_value_complain(map, "observe: \"%.60s\" is not known; write {calls: true}", text);
        return;
    }
    (void)pmo_value_only_keys(map, keys);
    (void)pmo_value_get_bool(map, "calls", &policy->calls);
    read_headers(policy, map);
}

static void read_spec(struct pmo_policy *policy, const struct pmo_value *root)
{
    static const char *const keys[] = {
        "target", "mode",    "objective", "instances", "forecast", "scaleUp",  "scaleDown", "rules",
        "routes", "observe", "schedules", "freeze",    "budget",   "priority", "costs",     NULL};
    static const char *const target_keys[] = {"service", NULL};
    const struct pmo_value *spec = pmo_value_get(root, "spec"), *target;
    int mode = policy->mode;

    if (!spec) {
        (void)pmo_value_complain(root, "spec is missing; write spec: {target: {service: NAME}}");
        return;
    }
    if (pmo_value_only_keys(spec, keys) < 0 && !pmo_value_is_map(spec))
        return;
    target = pmo_value_get(spec, "target");
    if (!pmo_value_only_keys(target, target_keys))
        pmo_policy_read_name(spec, target, "target", "service", policy->service,
                             sizeof(policy->service));
    (void)pmo_value_get_choice(spec, "mode", modes, &mode);
    policy->mode = mode;
    policy->mode_set = pmo_value_get(spec, "mode");
    read_objective(policy, spec);
    read_instances(policy, spec);
    read_forecast(policy, spec);
    read_costs(policy, spec);
    read_scale(policy, spec);
    read_rules(policy, spec);
    pmo_policy_read_schedules(policy, spec);
    pmo_policy_read_freezes(policy, spec);
    pmo_policy_read_budget(policy, spec);
    pmo_policy_read_priority(policy, spec);
    read_routes(policy, spec);
    read_observe(policy, spec);
}

void pmo_policy_read_head(const struct pmo_value *root, char *name, size_t size)
{
    static const char *const keys[] = {"apiVersion", "kind", "metadata", "spec", NULL};
    /* what Kubernetes knows of every object is its own business */
    static const char *const metadata_keys[] = {"name", "namespace", "labels", "annotations", NULL};
    static const char *const versions[] = {PMO_POLICY_API_VERSION, NULL};
    const struct pmo_value *metadata = pmo_value_get(root, "metadata");
    int version = 0;

    (void)pmo_value_only_keys(root, keys);
    if (!pmo_value_get(root, "apiVersion"))
        (void)pmo_value_complain(
            root, "apiVersion is missing; write apiVersion: " PMO_POLICY_API_VERSION);
    (void)pmo_value_get_choice(root, "apiVersion", versions, &version);
    if (!pmo_value_only_keys(metadata, metadata_keys))
        pmo_policy_read_name(root, metadata, "metadata", "name", name, size);
}

static void read_policy(struct pmo_policy *policy, const struct pmo_value *root)
{
    *policy = (struct pmo_policy){
        .mode = PMO_MODE_RECOMMEND,
        .latency_objective_s = 0.25,
        .quantile = 0.99,
        .min = 1,
        .max = 10,
        .target = 0.99,
        .down_delay_s = 15,
        .priority = 50,
    };
    pmo_policy_read_head(root, policy->name, sizeof(policy->name));
    read_spec(policy, root);
}

/* One service, one policy; and a decision tells its policy by the name. */
static void check_unique(const struct pmo_policies *policies, const struct pmo_policy *policy,
                         const struct pmo_value *root)
{
    for (size_t i = 0; i < policies->count; i++) {
        const struct pmo_policy *other = &policies->policies[i];

        if (*policy->service && !strcmp(other->service, policy->service))
            (void)pmo_value_complain(
                pmo_value_get(pmo_value_get(pmo_value_get(root, "spec"), "target"), "service"),
                "service \"%s\" has the policy \"%s\" already; keep one of the two",
                policy->service, other->name);
        if (*policy->name && !strcmp(other->name, policy->name))
            (void)pmo_value_complain(pmo_value_get(pmo_value_get(root, "metadata"), "name"),
                                     "another policy is named \"%s\" already; choose another name",
                                     policy->name);
    }
}

bool pmo_policy_header_equal(const struct pmo_policy_header *a, const struct pmo_policy_header *b)
{
    return !memcmp(a->name, b->name, sizeof(a->name)) && a->hash == b->hash &&
           a->values_count == b->values_count && !memcmp(a->values, b->values, sizeof(a->values));
}

size_t pmo_policies_headers(const struct pmo_policies *policies,
                            const struct pmo_policy_header *headers[PMO_HEADERS_MAX])
{
    size_t count = 0;

    for (size_t p = 0; p < pmo_policies_count(policies); p++)
        for (size_t h = 0; h < policies->policies[p].headers_count; h++) {
            const struct pmo_policy_header *header = &policies->policies[p].headers[h];
            size_t i = 0;

            while (i < count && i < PMO_HEADERS_MAX && !pmo_policy_header_equal(headers[i], header))
                i++;
            if (i == count && count < PMO_HEADERS_MAX)
                headers[count++] = header;
            else if (i == PMO_HEADERS_MAX)
                return PMO_HEADERS_MAX + 1;
        }
    return count;
}

/* Complains at the first policy whose headers are too many. */
static bool check_headers(const struct pmo_policies *policies, const struct pmo_value *root)
{
    const struct pmo_policy_header *headers[PMO_HEADERS_MAX];

    if (pmo_policies_headers(policies, headers) <= PMO_HEADERS_MAX)
        return true;
    (void)pmo_value_complain(
        pmo_value_get(pmo_value_get(pmo_value_get(root, "spec"), "observe"), "headers"),
        "all policies together name at most %u headers, and one with other values is another; take "
        "some out",
        PMO_HEADERS_MAX);
    return false;
}

static void read_limits(struct pmo_policies *policies, const struct pmo_value *root)
{
    if (policies->limit)
        (void)pmo_value_complain(root, "there are " LIMITS_KIND " already; keep one of the two");
    policies->limit = pmo_policy_read_host(root);
}

/* Minima come first, so the bound must have room for them. */
static void check_limit(const struct pmo_policies *policies, const struct pmo_value *root)
{
    uint64_t least = 0;

    for (size_t i = 0; i < policies->count; i++)
        least += policies->policies[i].min;
    if (policies->limit && least > policies->limit)
        (void)pmo_value_complain(pmo_value_get(pmo_value_get(root, "spec"), "instances"),
                                 "the minima of all policies are %llu instances together; write as "
                                 "many or more",
                                 (unsigned long long)least);
}

/* Whose document is it: KIND's, LIMITS_KIND's, or another's, NULL? A kind that was probably meant
 * to be one of these is complained about. */
static const char *kind_of(const struct pmo_value *root)
{
    static const char *const kinds[] = {KIND, LIMITS_KIND, NULL};
    const char *kind = pmo_value_text(pmo_value_get(root, "kind")), *near;

    if (!kind)
        return NULL;
    for (size_t i = 0; kinds[i]; i++)
        if (!strcmp(kind, kinds[i]))
            return kinds[i];
    near = pmo_spelling_nearest(kind, kinds);
    if (near)
        (void)pmo_value_complain(pmo_value_get(root, "kind"),
                                 "kind: \"%.60s\" is not known; did you mean \"%s\"?", kind, near);
    return NULL;
}

int pmo_policies_read(struct pmo_policies **policies, const struct pmo_file *file)
{
    size_t documents = pmo_file_documents(file), before = pmo_file_complaints(file);
    _cleanup_free_ struct pmo_policies *read = NULL;
    const struct pmo_value *limits = NULL;
    bool headers_fit = true;

    read = calloc(1, sizeof(*read) + documents * sizeof(*read->policies));
    if (!read)
        return -ENOMEM;
    for (size_t i = 0; i < documents; i++) {
        const struct pmo_value *root = pmo_file_document(file, i);
        struct pmo_policy *policy = &read->policies[read->count];
        const char *kind = kind_of(root);

        if (kind && !strcmp(kind, LIMITS_KIND)) {
            limits = root;
            read_limits(read, root);
        }
        if (!kind || strcmp(kind, KIND) != 0)
            continue;
        read_policy(policy, root);
        check_unique(read, policy, root);
        read->count++;
        if (headers_fit)
            headers_fit = check_headers(read, root);
    }
    check_limit(read, limits);
    if (pmo_file_complaints(file) != before)
        return -EINVAL;
    *policies = TAKE_PTR(read);
    return 0;
}

void pmo_policies_free(struct pmo_policies **policies)
{
    free(*policies);
    *policies = NULL;
}

uint32_t pmo_policies_limit(const struct pmo_policies *policies)
{
    return policies ? policies->limit : 0;
}

size_t pmo_policies_count(const struct pmo_policies *policies)
{
    return policies ? policies->count : 0;
}

const struct pmo_policy *pmo_policies_at(const struct pmo_policies *policies, size_t i)
{
    assert(i < policies->count);
    return &policies->policies[i];
}

const struct pmo_policy *pmo_policies_for(const struct pmo_policies *policies, const char *service)
{
    const struct pmo_policy *any = NULL;

    for (size_t i = 0; i < pmo_policies_count(policies); i++) {
        const struct pmo_policy *policy = &policies->policies[i];

        if (!strcmp(policy->service, service))
            return policy;
        if (!strcmp(policy->service, "*"))
            any = policy;
    }
    return any;
}
