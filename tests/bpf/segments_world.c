/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bpf/segments_world.h"

#include <stdio.h>
#include <string.h>
#include "tests/bpf/world.h"
#include "tests/unit/suite.h"

static struct world w;
struct service service;
static uint32_t instance;
static uint64_t holes_before;

static uint64_t holes(void)
{
    return pmo_kernel_control(w.kernel)->holes - holes_before;
}

void segments_begin_with(int family, void (*options)(int socket))
{
    CU_ASSERT_FATAL(world_open(&w));
    CU_ASSERT_FATAL(packets_open());
    CU_ASSERT_FATAL(service_open(&service, family, options));
    instance = world_instance(&w, service.listener);
    CU_ASSERT_FATAL(instance > 0);
    holes_before = pmo_kernel_control(w.kernel)->holes;
}

void segments_begin(void)
{
    segments_begin_with(AF_INET6, NULL);
}

void segments_end(const struct expected *expected, uint64_t holes_expected)
{
    uint64_t sum = 0, found, wrong = 0;

    service_close(&service);
    packets_close();
    world_settle(&w);
    for (; expected->requests; expected++) {
        found = world_requests(&w, (int)instance, expected->method, expected->status_class,
                               expected->route);
        CU_ASSERT_EQUAL(found, expected->requests);
        wrong += found != expected->requests;
        sum += expected->requests;
    }
    found = world_requests(&w, (int)instance, -1, -1, NULL);
    CU_ASSERT_EQUAL(found, sum);
    CU_ASSERT_EQUAL(w.instances[instance].arrivals, sum);
    CU_ASSERT_EQUAL(holes(), holes_expected);
    CU_ASSERT_EQUAL(world_in_flight(&w, instance), 0);
    if (wrong || found != sum) {
        printf("\n    counted, with %llu holes:\n", (unsigned long long)holes());
        for (const struct counted_type *t = w.types; t < w.types + w.types_count; t++)
            if (t->key.instance == instance)
                printf("    method %u status %uxx %s: %llu\n", t->key.method, t->key.status_class,
                       t->route, (unsigned long long)t->requests);
    }
    world_close(&w, false);
}

struct flow *segments_open(struct flow *f, uint32_t first)
{
    flow_init(f, &service, AF_INET, first);
    CU_ASSERT_FATAL(flow_open(f));
    return f;
}

void segments_exchange(struct flow *f, const char *request, const char *response)
{
    flow_part(f, request, 0, strlen(request));
    CU_ASSERT(flow_taken(f, request, strlen(request)));
    flow_answer(f, response);
}
