/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files that read policies: policy.c and those for what stands in a section of a spec.
 */
#pragma once

#include "agent/decide/policy.h"

#define PMO_POLICY_API_VERSION "pmo.dev/v1alpha1"
#define PMO_POLICY_COUNT_MAX   10000 /* instances that a policy may name */

/* Copies a name to @to of @size bytes, or complains about it at @parent where it is missing. */
void pmo_policy_read_name(const struct pmo_value *parent, const struct pmo_value *map,
                          const char *section, const char *key, char *to, size_t size);

/* What documents of all kinds begin with: version, and metadata with a name, copied to @name. */
void pmo_policy_read_head(const struct pmo_value *root, char *name, size_t size);

/* `schedules` and `freeze`; the policy's own bounds are read already. (policy_schedule.c) */
void pmo_policy_read_schedules(struct pmo_policy *policy, const struct pmo_value *spec);
void pmo_policy_read_freezes(struct pmo_policy *policy, const struct pmo_value *spec);

/* "limit" of scaleUp or scaleDown. (These and what follows: policy_limits.c) */
void pmo_policy_read_limit(const struct pmo_value *map, uint32_t *limit, uint32_t *period_s);
/* `budget`; the policy's minimum is read already. */
void pmo_policy_read_budget(struct pmo_policy *policy, const struct pmo_value *spec);
void pmo_policy_read_priority(struct pmo_policy *policy, const struct pmo_value *spec);
/* A document of `kind: OrchestrationLimits`: instances of all services together; 0: complained. */
uint32_t pmo_policy_read_host(const struct pmo_value *root);
