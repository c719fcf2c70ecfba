/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/types: what a service or one of its instances is asked for, the busiest first. A type is
 * an operation here (agent/series/operations.h): its status classes are members of one row. Those
 * that it asks others for are among them, marked as outbound. Beside them: the service's requests
 * by the headers that its policy names.
 */
#include "agent/serve/api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

struct row {
    size_t number; /* in its set */
    uint8_t direction;
    const struct pmo_operation *operation;
    double in_flight;
    struct pmo_operation_load load;
};

static int busiest_first(const void *left, const void *right)
{
    const struct row *a = left, *b = right;

    if (a->load.arrived != b->load.arrived)
        return a->load.arrived < b->load.arrived ? 1 : -1;
    if (a->direction != b->direction)
        return a->direction - b->direction;
    return (a->number > b->number) - (a->number < b->number);
}

/* Of one instance, or of all: only instances have a gauge that in-flight requests are held to. */
static void add_in_flight(const struct pmo_agent *agent, const struct pmo_service *service,
                          const struct pmo_agent_instance *only, const struct pmo_operations *set,
                          struct row *rows, uint8_t direction)
{
    for (const struct pmo_agent_instance *i = agent->instances; i; i = i->next) {
        const struct pmo_operations *own = direction == PMO_OUTBOUND ? i->calls : i->operations;
        bool wanted = own && (only ? i == only : i->service == service);

        for (size_t k = 0; wanted && k < pmo_operations_count(own); k++) {
            int row = pmo_operations_find(set, pmo_operations_at(own, k));

            if (row >= 0)
                rows[row].in_flight += pmo_operations_in_flight(own, k);
        }
    }
}

/* Returns how many. */
static size_t add_rows(const struct pmo_agent *agent, const struct pmo_service *service,
                       const struct pmo_agent_instance *instance, const struct pmo_operations *set,
                       struct row *rows, uint8_t direction)
{
    size_t count = set ? pmo_operations_count(set) : 0;

    for (size_t i = 0; i < count; i++) {
        rows[i].number = i;
        rows[i].direction = direction;
        rows[i].operation = pmo_operations_at(set, i);
        pmo_operations_load(set, i, agent->now, &rows[i].load);
    }
    if (count)
        add_in_flight(agent, service, instance, set, rows, direction);
    return count;
}

static json_t *row_json(const struct row *row)
{
    const struct pmo_operation *operation = row->operation;
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "direction", pmo_direction_name(row->direction),
                  "protocol", pmo_protocol_name(operation->protocol), "method",
                  pmo_method_name(operation->method), "route", pmo_json_text(operation->route),
                  "peer", operation->peer[0] ? pmo_json_text(operation->peer) : json_null(),
                  "inFlight", pmo_json_number(round(row->in_flight)));

    (void)json_object_update_new(json, pmo_json_load(&row->load));
    return json;
}

/* NULL: no memory. */
static json_t *rows_json(const struct pmo_agent *agent, const struct pmo_service *service,
                         const struct pmo_agent_instance *instance)
{
    const struct pmo_operations *served =
        instance ? instance->operations : pmo_service_store_operations(service->store);
    const struct pmo_operations *calls =
        instance ? instance->calls : pmo_service_store_calls(service->store);
    size_t count =
        (served ? pmo_operations_count(served) : 0) + (calls ? pmo_operations_count(calls) : 0);
    _cleanup_free_ struct row *rows = calloc(count + 1, sizeof(*rows));
    json_t *types = rows ? json_array() : NULL;

    if (types) {
        count = add_rows(agent, service, instance, served, rows, PMO_INBOUND);
        count += add_rows(agent, service, instance, calls, rows + count, PMO_OUTBOUND);
        qsort(rows, count, sizeof(*rows), busiest_first);
    }
    for (size_t i = 0; types && i < count; i++)
        (void)json_array_append_new(types, row_json(&rows[i]));
    return types;
}

/* Requests of a service by the headers that its policy names; NULL: no memory. */
static json_t *headers_json(const struct pmo_agent *agent, const struct pmo_service *service)
{
    size_t count = service->headers ? pmo_operations_count(service->headers) : 0;
    json_t *headers = json_array();

    for (size_t i = 0; headers && i < count; i++) {
        const char *text = pmo_operations_at(service->headers, i)->route;
        const char *value = strstr(text, ": ");
        struct pmo_operation_load load;

        if (!value)
            continue; /* the kernel side had no room for it */
        pmo_operations_load(service->headers, i, agent->now, &load);
        (void)json_array_append_new(
            headers, json_pack("{s:s%, s:o, s:I, s:o}", "name", text, (size_t)(value - text),
                               "value", pmo_json_text(value + 2), "requests",
                               (json_int_t)load.arrived, "rps", pmo_json_number(load.rps)));
    }
    return headers;
}

static const struct pmo_agent_instance *
find_instance(const struct pmo_agent *agent, const struct pmo_service *service, const char *name)
{
    for (const struct pmo_agent_instance *i = agent->instances; i; i = i->next)
        if (i->service == service && i->phase != PMO_INSTANCE_GONE && !strcmp(i->name, name))
            return i;
    return NULL;
}

int pmo_answer_types(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    const char *name = pmo_query_text(exchange, "service");
    const char *instance_name = pmo_query_text(exchange, "instance");
    const struct pmo_agent_instance *instance = NULL;
    const struct pmo_service *service;

    if (!name)
        return pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                                "the query names no service; write /v1/types?service=NAME, "
                                "GET /v1/services lists them");
    service = pmo_agent_service(exchange->agent, name);
    if (!service)
        return pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                                "there is no service \"%.64s\"; GET /v1/services lists them", name);
    if (instance_name)
        instance = find_instance(agent, service, instance_name);
    if (instance_name && !instance)
        return pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                                "service %.64s has no instance \"%.80s\"; GET /v1/services lists "
                                "them by name",
                                name, instance_name);
    return pmo_answer_json(exchange, MHD_HTTP_OK,
                           json_pack("{s:I, s:o, s:o, s:o, s:o}", "now", (json_int_t)agent->now,
                                     "service", pmo_json_text(name), "instance",
                                     instance ? pmo_json_text(instance->name) : json_null(),
                                     "types", rows_json(agent, service, instance), "headers",
                                     headers_json(agent, service)));
}
