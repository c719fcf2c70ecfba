/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Orchestration policies: what an administrator allows and asks for, read from YAML documents of
 * `kind: OrchestrationPolicy`. docs/policies.md shows them to users.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pmo/abi.h>
#include "agent/base/document.h"
#include "agent/decide/condition.h"
#include "agent/decide/limits.h"
#include "agent/decide/schedule.h"

enum pmo_mode { PMO_MODE_OBSERVE, PMO_MODE_RECOMMEND, PMO_MODE_ACT };
const char *pmo_mode_name(enum pmo_mode mode);
/* Returns the mode, or -EINVAL. */
int pmo_mode_parse(const char *text);

/* A rule in words: "scale up by 2 instances if predicted load exceeds 80 % of capacity". */
enum pmo_action_kind { PMO_SCALE_UP_BY, PMO_SCALE_DOWN_BY, PMO_SCALE_TO };

struct pmo_rule {
    enum pmo_action_kind action;
    uint32_t instances;
    struct pmo_condition condition;
    uint32_t for_s; /* how long the condition must have held; 0: at once */
    size_t line;    /* where it stands in the file */
    char text[160];
};

/* A header of requests that are counted by its value. */
struct pmo_policy_header {
    char name[PMO_HEADER_BYTES]; /* in lower case */
    bool hash;                   /* a value is shown as a hash of it, else if it is in the list */
    char values[PMO_HEADER_VALUES][PMO_HEADER_BYTES];
    size_t values_count;
};

#define PMO_RULES_MAX        16
#define PMO_PATTERNS_MAX     32
#define PMO_DOWN_DELAY_MAX_S 600

struct pmo_policy {
    char name[64];
    char service[64]; /* the service it is for; "*" for all that have no own policy */
    enum pmo_mode mode;
    bool mode_set;
    double latency_objective_s;         /* a request slower than this is late */
    double late;                        /* share of requests that may be late; 0: not stated */
    double instance_hour, late_request; /* what they cost, in one currency; 0: not stated */
    double quantile;     /* of the load's peak that capacity must hold, 0.5..0.999; 0: no
                            forecast-driven scaling, rules only */
    uint32_t min, max;   /* instances */
    double capacity_rps; /* of one instance; 0: not stated */
    double target;       /* share of capacity to plan for, 0..1 */
    double lead_time_s;  /* from order to ready; 0: not stated, measured by the backend */
    uint32_t up_limit, up_period_s;     /* at most so many instances more in so long; 0: no limit */
    uint32_t down_limit, down_period_s; /* the same for fewer */
    double down_delay_s;                /* fewer only when that has been enough for this long */
    struct pmo_budget budget;
    uint32_t priority; /* 0..100, where the host's bound is too low for all */
    struct pmo_rule rules[PMO_RULES_MAX];
    size_t rules_count;
    struct pmo_schedule schedules[PMO_SCHEDULES_MAX];
    size_t schedules_count;
    struct pmo_freeze freezes[PMO_FREEZES_MAX];
    size_t freezes_count;
    bool calls; /* count what the service's instances ask others for */
    struct pmo_policy_header headers[PMO_HEADERS_MAX]; /* different in name */
    size_t headers_count;
    char routes[PMO_PATTERNS_MAX][PMO_ROUTE_BYTES]; /* pinned: as in "/users/{name}" */
    size_t routes_count;
};

struct pmo_policies; /* an ordered set; at most one for each service */

/**
 * pmo_policies_read - all documents of `kind: OrchestrationPolicy` and OrchestrationLimits of a
 * file Documents of other kinds are left to others. Complaints go where the file's go. Returns 0,
 * or -EINVAL when there was any complaint; then *policies is unchanged.
 */
int pmo_policies_read(struct pmo_policies **policies, const struct pmo_file *file);
void pmo_policies_free(struct pmo_policies **policies);
size_t pmo_policies_count(const struct pmo_policies *policies);
const struct pmo_policy *pmo_policies_at(const struct pmo_policies *policies, size_t i);
/* The policy for a service ("*" as a last resort), NULL where none applies. */
const struct pmo_policy *pmo_policies_for(const struct pmo_policies *policies, const char *service);

/* Instances that all services together may have, of `kind: OrchestrationLimits`; 0: any number. */
uint32_t pmo_policies_limit(const struct pmo_policies *policies);

/* The different headers that policies name: the kernel side has one table for all. Returns how many
 * they are, at most PMO_HEADERS_MAX in what pmo_policies_read() gives. */
size_t pmo_policies_headers(const struct pmo_policies *policies,
                            const struct pmo_policy_header *headers[PMO_HEADERS_MAX]);
/* Whether two policies mean the same by a header. */
bool pmo_policy_header_equal(const struct pmo_policy_header *a, const struct pmo_policy_header *b);

/* Parses one rule in words. On failure, writes to @error what is wrong and what to write instead,
 * and returns -EINVAL. */
int pmo_rule_parse(struct pmo_rule *rule, const char *text, char *error, size_t error_size);

/* Checks a pattern of routes; on failure as pmo_rule_parse(), without the pattern itself. */
int pmo_route_pattern_check(const char *pattern, char *error, size_t error_size);
/* Whether two patterns have two names for the same segment. */
bool pmo_route_patterns_clash(const char *a, const char *b);
