/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What reaches a service from its callers, as the agent tells its forecaster. */
#include "agent/upstream.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "agent/core.h"
#include "agent/forecast/model.h"
#include "tests/unit/suite.h"

#define NOW 1700000000LL

/* front and jobs call catalog; front has calls to an address, too. */
struct mesh {
    struct pmo_core core;
    struct pmo_service catalog, front, jobs;
};

static void add_service(struct mesh *m, struct pmo_service *service, const char *name)
{
    (void)snprintf(service->name, sizeof(service->name), "%s", name);
    service->store = pmo_store_service(m->core.agent.store, name, true);
    CU_ASSERT_PTR_NOT_NULL_FATAL(service->store);
    service->next = m->core.agent.services;
    m->core.agent.services = service;
}

static void mesh_start(struct mesh *m)
{
    memset(m, 0, sizeof(*m));
    CU_ASSERT_EQUAL_FATAL(pmo_store_new(&m->core.agent.store), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_calendar_new(&m->core.agent.calendar), 0);
    add_service(m, &m->jobs, "jobs");
    add_service(m, &m->front, "front");
    add_service(m, &m->catalog, "catalog");
}

static void mesh_end(struct mesh *m)
{
    for (struct pmo_service *s = m->core.agent.services; s; s = s->next) {
        pmo_upstream_free(&s->asks);
        pmo_forecaster_free(&s->forecaster);
    }
    pmo_calendar_free(&m->core.agent.calendar);
    pmo_store_free(&m->core.agent.store);
}

static void add(struct pmo_service *service, const char *peer, uint8_t status_class, int64_t t,
                uint64_t requests)
{
    struct pmo_type type = {.direction = peer ? PMO_OUTBOUND : PMO_INBOUND,
                            .protocol = PMO_PROTOCOL_HTTP1,
                            .method = PMO_METHOD_GET,
                            .status_class = status_class};
    struct pmo_counts counts = {.requests = requests};

    (void)snprintf(type.peer, sizeof(type.peer), "%s", peer ? peer : "");
    CU_ASSERT_EQUAL_FATAL(pmo_service_store_add(service->store, &type, t, t, &counts), 0);
}

/* Requests that arrive and are answered in second @t. */
static void serve(struct pmo_service *service, int64_t t, uint64_t requests)
{
    add(service, NULL, PMO_STATUS_ARRIVED, t, requests);
    add(service, NULL, 2, t, requests);
}

static void close_second(struct mesh *m, int64_t t)
{
    for (struct pmo_service *s = m->core.agent.services; s; s = s->next)
        pmo_service_store_close(s->store, t, NULL);
    pmo_upstream_second(&m->core.agent, t);
}

static void callers_count_by_their_calls_a_request(void)
{
    struct mesh m;

    mesh_start(&m);
    for (int64_t t = NOW; t < NOW + 100; t++) {
        serve(&m.front, t, 10);
        serve(&m.jobs, t, 4);
        add(&m.front, "catalog", 2, t, 20);
        add(&m.front, "203.0.113.7:443", 2, t, 10);
        add(&m.jobs, "catalog", 5, t, 2);
        close_second(&m, t);
    }
    CU_ASSERT_DOUBLE_EQUAL(m.catalog.upstream_rps, 22, 1e-6);
    CU_ASSERT(isnan(m.front.upstream_rps) && isnan(m.jobs.upstream_rps));
    serve(&m.front, NOW + 100, 50); /* whose calls are still to come */
    close_second(&m, NOW + 100);
    CU_ASSERT_DOUBLE_EQUAL(m.catalog.upstream_rps, 100, 5);
    mesh_end(&m);
}

static void who_was_not_seen_says_nothing(void)
{
    struct mesh m;

    mesh_start(&m);
    for (int64_t t = NOW; t < NOW + 10; t++) {
        serve(&m.front, t, 10);
        add(&m.front, "catalog", 2, t, 10);
        add(&m.front, "front", 2, t, 10); /* itself */
        close_second(&m, t);
    }
    CU_ASSERT_DOUBLE_EQUAL(m.catalog.upstream_rps, 10, 1e-6);
    CU_ASSERT(isnan(m.front.upstream_rps));
    pmo_upstream_second(&m.core.agent, NOW + 10); /* not closed */
    CU_ASSERT(isnan(m.catalog.upstream_rps));
    mesh_end(&m);
}

static void a_callee_that_is_found_later_is_known_within_a_minute(void)
{
    struct mesh m;

    mesh_start(&m);
    m.core.agent.services = m.catalog.next; /* nobody has found it yet */
    for (int64_t t = NOW; t < NOW + 70; t++) {
        serve(&m.front, t, 10);
        add(&m.front, "catalog", 2, t, 10);
        close_second(&m, t);
        if (t == NOW)
            m.core.agent.services = &m.catalog;
    }
    CU_ASSERT_DOUBLE_EQUAL(m.catalog.upstream_rps, 10, 1e-6);
    mesh_end(&m);
}

static size_t models_of(const struct pmo_service *service)
{
    struct pmo_model_score scores[PMO_MODELS_MAX];

    return pmo_forecaster_scores(service->forecaster, 5, scores);
}

static void observe(struct mesh *m, struct pmo_service *service, int64_t t)
{
    struct pmo_service_second second;

    CU_ASSERT_EQUAL_FATAL(pmo_service_store_second(service->store, t, &second), 0);
    pmo_forecasts_observe(&m->core, service, t, &second);
}

/* One that is only known by its requests in flight has none. */
static void forecasters_are_told_signals_where_there_are_any(void)
{
    struct mesh m;

    mesh_start(&m);
    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&m.front.forecaster), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&m.catalog.forecaster), 0);
    for (int64_t t = NOW; t < NOW + 10; t++) {
        serve(&m.front, t, 10);
        serve(&m.catalog, t, 10);
        add(&m.front, "catalog", 2, t, 10);
        close_second(&m, t);
        observe(&m, &m.front, t);
        observe(&m, &m.catalog, t);
    }
    CU_ASSERT_EQUAL(models_of(&m.front), PMO_MODELS);
    CU_ASSERT_EQUAL(models_of(&m.catalog), PMO_MODELS + 1);
    m.front.signals = (struct pmo_signals_second){
        .t = NOW + 10, .queues = {.window = NOW + 10, .accept_queue = 3}};
    serve(&m.front, NOW + 10, 10);
    close_second(&m, NOW + 10);
    observe(&m, &m.front, NOW + 10);
    CU_ASSERT_EQUAL(models_of(&m.front), PMO_MODELS + 1);
    mesh_end(&m);
}

/* Many SYNs that become no connection are an attack, and not load that comes. */
static void a_flood_is_no_signal(void)
{
    struct pmo_instance_record record = {
        .since = NOW, .window = NOW, .counts = {.syns = 5000, .connections = 10}};
    struct mesh m;

    mesh_start(&m);
    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&m.front.forecaster), 0);
    for (int64_t t = NOW; t < NOW + 2; t++) {
        serve(&m.front, t, 10);
        record.since = record.window = (uint64_t)t;
        pmo_attempts_add(&m.front.attempts, &record);
        close_second(&m, t);
        observe(&m, &m.front, t);
        CU_ASSERT_EQUAL(models_of(&m.front), t == NOW ? PMO_MODELS : PMO_MODELS + 1);
        record.counts.connections = 4900; /* then, real clients */
    }
    pmo_attempts_free(&m.front.attempts);
    mesh_end(&m);
}

SUITE(upstream) = {
    TEST(callers_count_by_their_calls_a_request),
    TEST(who_was_not_seen_says_nothing),
    TEST(a_callee_that_is_found_later_is_known_within_a_minute),
    TEST(forecasters_are_told_signals_where_there_are_any),
    TEST(a_flood_is_no_signal),
    {0},
};
