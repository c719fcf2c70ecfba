/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/graph: which service calls which, where policies say calls: true. An edge is what one
 * service asks another for, or an address that is of no service here; with how many calls there are
 * to a request that the caller serves. Calls and requests are told by when they were over, so that
 * both sides of that ratio are of the same seconds, and those that an earlier agent saw are there.
 */
#include "agent/serve/api.h"

#include <math.h>
#include <string.h>

#define TYPES_MAX 16 /* of an edge */

struct row {
    const struct pmo_operation *operation;
    struct pmo_operation_load load;
};

/* How long after the request that they are made for calls leave, as far as it is known. */
static void add_delay(json_t *json, const struct pmo_operation_load *load)
{
    json_t *delay = json_pack("{s:I, s:o, s:o, s:o}", "delaysMeasured", (json_int_t)load->delays,
                              "delayMeanMs", pmo_json_number(load->delay_mean_us / 1e3),
                              "delayP50Ms", pmo_json_number(load->delay_p50_us / 1e3), "delayP99Ms",
                              pmo_json_number(load->delay_p99_us / 1e3));

    (void)json_object_update_new(json, delay);
}

/* The busiest types of calls to a peer; @all: how many there are. */
static json_t *types_json(const struct pmo_operations *calls, const char *peer, int64_t now,
                          size_t *all)
{
    struct row rows[TYPES_MAX + 1];
    size_t count = 0;
    json_t *types = json_array();

    *all = 0;
    for (size_t i = 0; calls && i < pmo_operations_count(calls); i++) {
        struct row *last = &rows[count];

        last->operation = pmo_operations_at(calls, i);
        if (strcmp(last->operation->peer, peer) != 0)
            continue;
        pmo_operations_load(calls, i, now, &last->load);
        for (; last > rows && last->load.arrived > last[-1].load.arrived; last--) {
            struct row before = last[-1];

            last[-1] = *last;
            *last = before;
        }
        count += count < TYPES_MAX;
        (*all)++;
    }
    for (size_t i = 0; types && i < count; i++) {
        json_t *type =
            json_pack("{s:s, s:s, s:o}", "protocol", pmo_protocol_name(rows[i].operation->protocol),
                      "method", pmo_method_name(rows[i].operation->method), "route",
                      pmo_json_text(rows[i].operation->route));

        (void)json_object_update_new(type, pmo_json_load(&rows[i].load));
        add_delay(type, &rows[i].load);
        (void)json_array_append_new(types, type);
    }
    return types;
}

/* A rate, or, of calls to requests, a ratio; null where it is not known. */
static json_t *quotient_json(uint64_t n, uint64_t of)
{
    return pmo_json_number(of ? (double)n / (double)of : NAN);
}

static json_t *edge_json(const struct pmo_agent *agent, const struct pmo_service *service, size_t i)
{
    const struct pmo_service_store *store = service->store;
    const struct pmo_operations *calls = pmo_service_store_calls(store);
    const char *peer = pmo_service_store_peer_at(store, i);
    uint64_t calls_10s = pmo_service_store_peer_answered(store, i, agent->now, 10);
    uint64_t calls_60s = pmo_service_store_peer_answered(store, i, agent->now, 60);
    struct pmo_operation_load load;
    size_t types_count;
    json_t *types = types_json(calls, peer, agent->now, &types_count);
    json_t *edge = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "from", pmo_json_text(service->name), "to",
        pmo_json_text(peer), "rps10s",
        quotient_json(calls_10s, pmo_service_store_observed(store, agent->now, 10)), "rps60s",
        quotient_json(calls_60s, pmo_service_store_observed(store, agent->now, 60)),
        "callsPerRequest10s",
        quotient_json(calls_10s, pmo_service_store_answered(store, agent->now, 10)),
        "callsPerRequest60s",
        quotient_json(calls_60s, pmo_service_store_answered(store, agent->now, 60)), "typesTotal",
        (json_int_t)types_count, "types", types);

    pmo_operations_load_of_peer(calls, peer, agent->now, &load);
    (void)json_object_update_new(edge, pmo_json_load(&load));
    add_delay(edge, &load);
    return edge;
}

/* An end of edges; @service: NULL where it is none of this host. */
static json_t *node_json(const struct pmo_agent *agent, const char *name,
                         const struct pmo_service *service)
{
    const char *kind = service ? "service" : strcmp(name, PMO_PEER_OTHER) ? "address" : "other";
    uint64_t n[2] = {}, seconds[2] = {};

    for (int i = 0; service && i < 2; i++) {
        n[i] = pmo_service_store_answered(service->store, agent->now, i ? 60 : 10);
        seconds[i] = pmo_service_store_observed(service->store, agent->now, i ? 60 : 10);
    }
    return json_pack("{s:o, s:s, s:o, s:o}", "name", pmo_json_text(name), "kind", kind, "rps10s",
                     quotient_json(n[0], seconds[0]), "rps60s", quotient_json(n[1], seconds[1]));
}

int pmo_answer_graph(struct pmo_exchange *exchange)
{
    struct pmo_agent *agent = exchange->agent;
    json_t *nodes = json_object(); /* by their names, which need not be UTF-8 */
    json_t *edges = json_array(), *list = json_array(), *node;
    const char *name;

    for (const struct pmo_service *s = agent->services; s; s = s->next) {
        size_t count = pmo_service_store_peers(s->store);

        if (count)
            (void)json_object_set_new_nocheck(nodes, s->name, node_json(agent, s->name, s));
        for (size_t i = 0; i < count; i++) {
            const char *peer = pmo_service_store_peer_at(s->store, i);

            (void)json_array_append_new(edges, edge_json(agent, s, i));
            if (!json_object_get(nodes, peer))
                (void)json_object_set_new_nocheck(
                    nodes, peer, node_json(agent, peer, pmo_agent_service(agent, peer)));
        }
    }
    json_object_foreach (nodes, name, node)
        (void)json_array_append(list, node);
    json_decref(nodes);
    return pmo_answer_json(exchange, MHD_HTTP_OK,
                           json_pack("{s:I, s:I, s:o, s:o}", "now", (json_int_t)agent->now,
                                     "edgesMax", (json_int_t)PMO_EDGES_MAX, "nodes", list, "edges",
                                     edges));
}
