/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what a policy says about times. */
#include "agent/decide/policy_private.h"

#include <math.h>
#include <string.h>

#define FOR_MIN_S 60

/* cron, timeZone, for */
static void read_recurrence(struct pmo_recurrence *recurrence, const struct pmo_value *map,
                            const char *example)
{
    const char *cron = NULL, *zone = "UTC";
    char error[256];
    double for_s = 0;
    bool timed = !pmo_value_get_duration(map, "for", &for_s);

    if (!pmo_value_get_text(map, "cron", &cron) && !cron)
        (void)pmo_value_complain(map, "cron is missing: when does it begin? write e.g. %s",
                                 example);
    else if (cron && pmo_cron_parse(&recurrence->cron, cron, error, sizeof(error)) < 0)
        (void)pmo_value_complain(pmo_value_get(map, "cron"), "cron: %s", error);
    if (!pmo_value_get_text(map, "timeZone", &zone)) {
        recurrence->zone = pmo_zone_find(zone);
        if (!recurrence->zone)
            (void)pmo_value_complain(
                pmo_value_get(map, "timeZone"),
                "timeZone: \"%.60s\" is not known here; write UTC, or a name as in Europe/Berlin "
                "(package tzdata has them)",
                zone);
    }
    if (timed && !pmo_value_get(map, "for"))
        (void)pmo_value_complain(map, "for is missing: how long does it last? write e.g. %s",
                                 example);
    else if (timed && (for_s < FOR_MIN_S || for_s > PMO_RECURS_FOR_MAX_S || for_s != floor(for_s)))
        (void)pmo_value_complain(pmo_value_get(map, "for"),
                                 "for is from 1m to 7d; write e.g. for: 10h");
    recurrence->for_s = (uint32_t)for_s;
}

/* The list @key of mappings, up to @max; NULL for item @i where it is none. */
static size_t count_items(const struct pmo_value *spec, const char *key, size_t max,
                          const char *example)
{
    const struct pmo_value *list = pmo_value_get(spec, key);

    if (list && !pmo_value_is_list(list)) {
        (void)pmo_value_complain(list, "%s must be a list; write e.g. %s: [%s]", key, key, example);
        return 0;
    }
    if (pmo_value_count(list) > max) {
        (void)pmo_value_complain(pmo_value_item(list, max),
                                 "%s has at most %zu items; take out those from here on", key, max);
        return 0;
    }
    return pmo_value_count(list);
}

#define SCHEDULE "{name: workday, cron: \"0 8 * * 1-5\", for: 10h, instances: {min: 4}}"

static void read_bounds(struct pmo_schedule *schedule, const struct pmo_policy *policy,
                        const struct pmo_value *item)
{
    static const char *const keys[] = {"min", "max", NULL};
    const struct pmo_value *map = pmo_value_get(item, "instances");
    long min = 0, max = 0;

    if (!pmo_value_get(map, "min") && !pmo_value_get(map, "max")) {
        (void)pmo_value_complain(map ? map : item,
                                 "which bounds hold in this time? write e.g. " SCHEDULE);
        return;
    }
    (void)pmo_value_only_keys(map, keys);
    if (pmo_value_get_integer(map, "min", 1, PMO_POLICY_COUNT_MAX, &min) < 0 ||
        pmo_value_get_integer(map, "max", 1, PMO_POLICY_COUNT_MAX, &max) < 0)
        return;
    schedule->min = (uint32_t)min;
    schedule->max = (uint32_t)max;
    if (!max && schedule->min > policy->max)
        (void)pmo_value_complain(
            pmo_value_get(map, "min"),
            "min %ld is more than the policy's max %u; write max: %ld beside it", min, policy->max,
            min);
    else if (max && min > max)
        (void)pmo_value_complain(pmo_value_get(map, "min"),
                                 "min %ld is more than max %ld; write a max of %ld or more", min,
                                 max, min);
    else if (!min && schedule->max < policy->min)
        (void)pmo_value_complain(pmo_value_get(map, "max"),
                                 "max %ld is less than the policy's min %u; write min: %ld beside "
                                 "it",
                                 max, policy->min, max);
}

void pmo_policy_read_schedules(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char *const keys[] = {"name", "cron", "timeZone", "for", "instances", NULL};
    size_t count = count_items(spec, "schedules", PMO_SCHEDULES_MAX, SCHEDULE), column;

    for (size_t i = 0; i < count; i++) {
        const struct pmo_value *item = pmo_value_item(pmo_value_get(spec, "schedules"), i);
        struct pmo_schedule *schedule = &policy->schedules[policy->schedules_count++];

        if (!pmo_value_is_map(item)) {
            (void)pmo_value_complain(
                item, "a schedule has a name, times and bounds; write e.g. " SCHEDULE);
            continue;
        }
        (void)pmo_value_only_keys(item, keys);
        pmo_policy_read_name(item, item, "schedule", "name", schedule->name,
                             sizeof(schedule->name));
        read_recurrence(&schedule->when, item, SCHEDULE);
        read_bounds(schedule, policy, item);
        pmo_value_place(item, &schedule->line, &column);
        for (size_t other = 0; other + 1 < policy->schedules_count; other++)
            if (*schedule->name && !strcmp(schedule->name, policy->schedules[other].name))
                (void)pmo_value_complain(pmo_value_get(item, "name"),
                                         "another schedule is named \"%s\" already; choose another "
                                         "name",
                                         schedule->name);
    }
}

#define FREEZE "{cron: \"0 18 * * 5\", for: 62h, allow: up}"

void pmo_policy_read_freezes(struct pmo_policy *policy, const struct pmo_value *spec)
{
    static const char *const keys[] = {"cron", "timeZone", "for", "allow", NULL};
    static const char *const allowed[] = {"none", "up", NULL};
    size_t count = count_items(spec, "freeze", PMO_FREEZES_MAX, FREEZE), column;

    for (size_t i = 0; i < count; i++) {
        const struct pmo_value *item = pmo_value_item(pmo_value_get(spec, "freeze"), i);
        struct pmo_freeze *freeze = &policy->freezes[policy->freezes_count++];
        int allow = 0;

        if (!pmo_value_is_map(item)) {
            (void)pmo_value_complain(item, "a freeze has times; write e.g. " FREEZE);
            continue;
        }
        (void)pmo_value_only_keys(item, keys);
        read_recurrence(&freeze->when, item, FREEZE);
        (void)pmo_value_get_choice(item, "allow", allowed, &allow);
        freeze->up = allow == 1;
        pmo_value_place(item, &freeze->line, &column);
    }
}
