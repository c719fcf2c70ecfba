/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pmoctl types: what a service or one of its instances is asked for. */
#include "tools/pmoctl/pmoctl.h"

#include <math.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "tools/pmoctl/table.h"

static void add_row(struct libscols_table *table, const json_t *type)
{
    char cell[9][32];

    pmoctl_table_row(
        table, (const char *[]){
                   pmoctl_text(type, "direction"), pmoctl_text(type, "protocol"),
                   pmoctl_text(type, "method"), pmoctl_format(cell[0], pmoctl_number(type, "rps")),
                   pmoctl_format(cell[1], pmoctl_number(type, "inFlight")),
                   pmoctl_format_ms(cell[2], pmoctl_number(type, "firstByteP50Ms")),
                   pmoctl_format_ms(cell[3], pmoctl_number(type, "firstByteP99Ms")),
                   pmoctl_format_ms(cell[4], pmoctl_number(type, "lastByteP50Ms")),
                   pmoctl_format_ms(cell[5], pmoctl_number(type, "lastByteP99Ms")),
                   pmoctl_format_bytes(cell[6], pmoctl_number(type, "requestBytesPerS")),
                   pmoctl_format_bytes(cell[7], pmoctl_number(type, "responseBytesPerS")),
                   pmoctl_format_errors(cell[8], type), pmoctl_text(type, "peer"),
                   pmoctl_text(type, "route")});
}

/* A table of its own, where a policy names any. */
static int print_headers(const json_t *headers)
{
    static const char *const columns[] = {"HEADER", "VALUE", ">RPS", ">REQUESTS", NULL};
    struct libscols_table *table;
    json_t *header;
    size_t i;

    if (!json_array_size(headers))
        return EXIT_SUCCESS;
    (void)putchar('\n');
    table = pmoctl_table_new(columns);
    json_array_foreach (headers, i, header) {
        char cell[2][32];

        pmoctl_table_row(
            table, (const char *[]){pmoctl_text(header, "name"), pmoctl_text(header, "value"),
                                    pmoctl_format(cell[0], pmoctl_number(header, "rps")),
                                    pmoctl_format(cell[1], pmoctl_number(header, "requests"))});
    }
    return pmoctl_table_print(table);
}

int pmoctl_types(struct pmoctl *ctl)
{
    static const char *const columns[] = {"DIRECTION",  "PROTOCOL", "METHOD",   ">RPS",
                                          ">IN FLIGHT", ">P50 MS",  ">P99 MS",  ">END P50",
                                          ">END P99",   ">IN B/S",  ">OUT B/S", ">ERRORS",
                                          "PEER",       "ROUTE",    NULL};
    struct libscols_table *table;
    json_t *answer, *type;
    size_t i;
    int r;

    if (!ctl->service)
        return -pmo_fail(1, "which service? write: pmoctl types --service S");
    answer = pmoctl_logged(ctl, pmoctl_get(ctl, "/v1/types", "service", ctl->service, "instance",
                                           ctl->instance, NULL));
    if (!answer)
        return EXIT_FAILURE;
    if (ctl->json)
        return pmoctl_print_json(answer);
    table = pmoctl_table_new(columns);
    json_array_foreach (json_object_get(answer, "types"), i, type)
        add_row(table, type);
    r = pmoctl_table_print(table);
    if (!r)
        r = print_headers(json_object_get(answer, "headers"));
    json_decref(answer);
    return r;
}
