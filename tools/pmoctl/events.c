/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl events: what is known to come, and has come. */
#include "tools/pmoctl/pmoctl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/pmoctl/table.h"

#define PAST_S 3600

/* "running", "in 5m", "2h ago": from @now to what is nearer, start or end. */
static const char *format_when(char text[32], json_int_t now, json_int_t start, json_int_t duration)
{
    json_int_t apart = start > now ? start - now : now - start - duration;
    const char *form = start > now ? "in %lld%s" : "%lld%s ago";

    if (start <= now && now <= start + duration)
        form = "running";
    (void)snprintf(text, 32, form,
                   (long long)(apart < 120     ? apart
                               : apart < 7200  ? apart / 60
                               : apart < 86400 ? apart / 3600
                                               : apart / 86400),
                   apart < 120     ? "s"
                   : apart < 7200  ? "m"
                   : apart < 86400 ? "h"
                                   : "d");
    return text;
}

static const char *format_duration(char text[32], json_int_t seconds)
{
    if (seconds >= 7200)
        (void)snprintf(text, 32, "%.3gh", (double)seconds / 3600);
    else if (seconds >= 120)
        (void)snprintf(text, 32, "%.3gm", (double)seconds / 60);
    else
        (void)snprintf(text, 32, "%llds", (long long)seconds);
    return text;
}

/* A time as the API takes it: from now where it is not positive. */
static json_int_t bound(const char *text, json_int_t now, json_int_t otherwise)
{
    json_int_t t = text ? strtoll(text, NULL, 10) : otherwise;

    return t > 0 ? t : now + t;
}

static void keep_between(json_t *answer, json_int_t since, json_int_t until)
{
    json_t *events = json_object_get(answer, "events");

    for (size_t i = json_array_size(events); i-- > 0;) {
        const json_t *event = json_array_get(events, i);
        json_int_t start = pmoctl_integer(event, "start");

        if (start > until || start + pmoctl_integer(event, "durationS") < since)
            (void)json_array_remove(events, i);
    }
}

static int print_table(const json_t *answer, json_int_t now)
{
    static const char *const columns[] = {"START",     "WHEN",   ">LASTS", "KIND", "SCOPE",
                                          ">STRENGTH", "SOURCE", "ID",     NULL};
    struct libscols_table *table = pmoctl_table_new(columns);
    json_t *event;
    size_t i;

    json_array_foreach (json_object_get(answer, "events"), i, event) {
        json_int_t start = pmoctl_integer(event, "start");
        json_int_t duration = pmoctl_integer(event, "durationS");
        char cell[4][32];

        pmoctl_table_row(table,
                         (const char *[]){pmoctl_format_time(cell[0], start, true),
                                          format_when(cell[1], now, start, duration),
                                          format_duration(cell[2], duration),
                                          pmoctl_text(event, "kind"), pmoctl_text(event, "scope"),
                                          pmoctl_format(cell[3], pmoctl_number(event, "strength")),
                                          pmoctl_text(event, "source"), pmoctl_text(event, "id")});
    }
    return pmoctl_table_print(table);
}

int pmoctl_events(struct pmoctl *ctl)
{
    json_t *answer =
        pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/events", "service", ctl->service, NULL));
    json_int_t now = time(NULL);
    int r = EXIT_SUCCESS;

    if (!answer)
        return EXIT_FAILURE;
    keep_between(answer, bound(ctl->since, now, -PAST_S),
                 ctl->until ? bound(ctl->until, now, 0) : INT64_MAX);
    if (ctl->json)
        return pmoctl_print_json(answer);
    if (json_array_size(json_object_get(answer, "events")))
        r = print_table(answer, now);
    else if (json_array_size(json_object_get(answer, "sources")))
        puts("no events: no source has any");
    else
        puts("no events: no source is configured (kind: EventSource) and none was told; see "
             "docs/events.md");
    json_decref(answer);
    return r;
}
