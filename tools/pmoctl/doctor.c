/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl doctor: what of this machine the agent can use, without an agent. */
#include "tools/pmoctl/pmoctl.h"

#include <stdlib.h>
#include <string.h>

#include "agent/observe/features.h"
#include "tools/pmoctl/table.h"

static const char *const states[] = {[PMO_FEATURE_OK] = "ok",
                                     [PMO_FEATURE_OFF] = "off",
                                     [PMO_FEATURE_MISSING] = "missing",
                                     [PMO_FEATURE_UNKNOWN] = "unknown"};

static json_t *as_json(const struct pmo_feature *features, size_t count, int able)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:s, s:s}", "name", features[i].name, "state",
                            states[features[i].state], "needed", features[i].needed, "found",
                            features[i].found, "advice", features[i].advice));
    return json_pack("{s:o, s:o}", "able", able < 0 ? json_null() : json_boolean(able), "features",
                     list);
}

static int print_table(const struct pmo_feature *features, size_t count)
{
    static const char *const columns[] = {"WHAT", "STATE", "FOUND", NULL};
    struct libscols_table *table = pmoctl_table_new(columns);

    for (size_t i = 0; i < count; i++)
        pmoctl_table_row(table, (const char *[]){features[i].name, states[features[i].state],
                                                 features[i].found});
    return pmoctl_table_print(table);
}

/* Each advice once, after all that it is for. */
static void print_advice(const struct pmo_feature *features, size_t count)
{
    for (size_t i = 0, blank = 0; i < count; i++) {
        size_t same = 0;

        while (strcmp(features[same].advice, features[i].advice) != 0)
            same++;
        if (!features[i].advice[0] || same < i)
            continue;
        printf("%s%s", blank++ ? "" : "\n", features[i].name);
        for (same = i + 1; same < count; same++)
            if (!strcmp(features[same].advice, features[i].advice))
                printf(", %s", features[same].name);
        printf(": %s\n", features[i].advice);
    }
}

static void print_verdict(const struct pmo_feature *features, size_t count, int able)
{
    size_t missing = 0, off = 0;

    for (size_t i = 0; i < count; i++) {
        missing += features[i].state == PMO_FEATURE_MISSING;
        off += features[i].state == PMO_FEATURE_OFF;
    }
    if (missing)
        printf("\nThe agent cannot work here: %zu thing%s that it needs %s missing.\n", missing,
               missing == 1 ? "" : "s", missing == 1 ? "is" : "are");
    else if (able < 0)
        puts("\nNothing that can be seen without root is missing; `sudo pmoctl doctor` sees all.");
    else
        printf("\nThe agent can work here%s.\n", off ? ", without what is off" : "");
}

int pmoctl_doctor(struct pmoctl *ctl)
{
    struct pmo_feature features[PMO_FEATURES_MAX];
    struct pmo_host host;
    size_t count;
    int able;

    pmo_host_probe(&host);
    count = pmo_features_judge(&host, features);
    able = pmo_features_able(features, count);
    if (ctl->json)
        (void)pmoctl_print_json(as_json(features, count, able));
    else if (print_table(features, count) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if (!ctl->json) {
        print_advice(features, count);
        print_verdict(features, count, able);
    }
    return able ? EXIT_SUCCESS : EXIT_FAILURE;
}
