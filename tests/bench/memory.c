/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of the series of SERVICES services of one instance each, with 2,000 types of request
 * between them, after an hour in which each service had requests of two types in every second and
 * of the other eight now and then. Beside it, a plain array of an hour for each type.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include "agent/base/log.h"
#include "agent/series/operations.h"
#include "agent/series/series.h"
#include "tests/bench/measure.h"

#define SERVICES 200
#define TYPES    10 /* each */
#define START    1700000000
#define RARELY_S 600

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* One type's second as it comes from the kernel side: arrivals, then what came of them. */
static int exchange(struct pmo_service_store *service, struct pmo_operations *instance,
                    const char *route, int64_t t)
{
    struct pmo_counts counts = {.requests = 150,
                                .finished = 150,
                                .request_bytes = 30000,
                                .response_bytes = 1500000,
                                .latency = {[8] = {.first_byte = {150}, .last_byte = 150}}};
    struct pmo_type type = {.protocol = PMO_PROTOCOL_HTTP1, .method = PMO_METHOD_GET};
    int r = 0;

    (void)snprintf(type.route, sizeof(type.route), "%s", route);
    for (int answered = 0; !r && answered < 2; answered++) {
        type.status_class = answered ? 2 : PMO_STATUS_ARRIVED;
        r = pmo_service_store_add(service, &type, t, t, &counts);
        if (!r && pmo_operations_add(instance, &type, t, t, &counts) < 0)
            r = -ENOMEM;
    }
    return r;
}

static int second(struct pmo_store *store, struct pmo_operations **instances, int64_t t)
{
    const struct pmo_instance_counts counts = {.connections = 9};
    const struct pmo_service_second gauges = {.in_flight = 3, .cpu_seconds = 0.3, .ready = 1};
    int r = 0;

    for (int s = 0; !r && s < SERVICES; s++) {
        struct pmo_service_store *service;
        char name[32];

        (void)snprintf(name, sizeof(name), "service-%d", s);
        service = pmo_store_service(store, name, true);
        if (!service || (!instances[s] && pmo_operations_new(&instances[s])))
            return -ENOMEM;
        for (int i = 0; !r && i < TYPES; i++) {
            (void)snprintf(name, sizeof(name), "/%d", i);
            if (i < 2 || t % RARELY_S == i)
                r = exchange(service, instances[s], name, t);
        }
        if (!r)
            r = pmo_service_store_add_instance(service, t, t, &counts);
        pmo_service_store_close(service, t, &gauges);
    }
    return r;
}

int main(void)
{
    struct pmo_operations *instances[SERVICES] = {NULL};
    size_t before = heap_bytes();
    struct pmo_store *store;
    int r = pmo_store_new(&store);

    for (int64_t t = START; !r && t < START + PMO_SERIES_SECONDS + 60; t++)
        r = second(store, instances, t);
    if (r)
        return -pmo_err_r(r, "cannot fill the series");
    (void)printf("series_mib %.1f\n", (double)(heap_bytes() - before) / (1 << 20));
    (void)printf("array_mib %.1f\n",
                 (double)SERVICES * TYPES * PMO_SERIES_SECONDS * sizeof(uint32_t) / (1 << 20));
    for (int s = 0; s < SERVICES; s++)
        pmo_operations_free(&instances[s]);
    pmo_store_free(&store);
    return 0;
}
