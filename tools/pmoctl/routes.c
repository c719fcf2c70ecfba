/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl routes: what was folded in a service's routes. */
#include "tools/pmoctl/pmoctl.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "tools/pmoctl/table.h"

/* One more of a list in one cell. */
static void add(char cell[256], const char *separator, const char *text)
{
    size_t used = strlen(cell);

    (void)snprintf(cell + used, 256 - used, "%s%s", used ? separator : "", text);
}

static void add_row(struct libscols_table *table, const json_t *route)
{
    char requests[32], by[256] = "", seen[256] = "", examples[256] = "";
    json_t *fold, *example;
    size_t i, k;

    (void)snprintf(requests, sizeof(requests), "%lld",
                   (long long)pmoctl_integer(route, "requests"));
    json_array_foreach (json_object_get(route, "folds"), i, fold) {
        char text[32] = "-";

        if (json_is_integer(json_object_get(fold, "seen")))
            (void)snprintf(text, sizeof(text), "%lld", (long long)pmoctl_integer(fold, "seen"));
        add(by, ", ", pmoctl_text(fold, "by"));
        add(seen, ", ", text);
        json_array_foreach (json_object_get(fold, "examples"), k, example)
            add(examples, " ", json_string_value(example));
    }
    pmoctl_table_row(table,
                     (const char *[]){requests, by, seen, pmoctl_text(route, "route"), examples});
}

int pmoctl_routes(struct pmoctl *ctl)
{
    static const char *const columns[] = {">REQUESTS", "FOLDED",   ">SEEN",
                                          "ROUTE",     "EXAMPLES", NULL};
    struct libscols_table *table;
    json_t *answer, *route;
    size_t i;

    if (!ctl->service)
        return -pmo_fail(1, "which service? write: pmoctl routes --service S");
    answer = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/routes", "service", ctl->service, NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    table = pmoctl_table_new(columns);
    json_array_foreach (json_object_get(answer, "routes"), i, route)
        add_row(table, route);
    json_decref(answer);
    return pmoctl_table_print(table);
}
