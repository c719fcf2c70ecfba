/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writer (agent/route/hints.c) and reader (libpmo) of the hints map, over plain memory. */
#include "tests/unit/suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/route/hints.h"
#include "libpmo/libpmo_internal.h"

struct world {
    char *rows;
    struct pmo_hints *hints;
    struct pmo *pmo;
};

static struct world made(void)
{
    struct world w = {.rows = aligned_alloc(64, (size_t)PMO_HINTS_ROWS * PMO_HINTS_ROW)};

    if (!w.rows)
        abort();
    memset(w.rows, 0, (size_t)PMO_HINTS_ROWS * PMO_HINTS_ROW);
    CU_ASSERT_EQUAL_FATAL(pmo_hints_new(&w.hints, w.rows), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_open_memory(&w.pmo, w.rows), 0);
    return w;
}

static void gone(struct world *w)
{
    pmo_close(&w->pmo);
    pmo_hints_free(&w->hints);
    CU_ASSERT_TRUE(!w->pmo && !w->hints);
    pmo_close(&w->pmo);
    free(w->rows);
}

/* A service with instances first..first+count-1, all ready, weight 1024. */
static int service_of(struct world *w, const char *name, uint32_t first, uint32_t count)
{
    uint32_t members[PMO_HINTS_INSTANCES_MAX];
    int service = pmo_hints_service(w->hints, name, NULL, 0);

    CU_ASSERT_TRUE_FATAL(service >= 0);
    for (uint32_t i = 0; i < count; i++) {
        struct pmo_hint_instance row = {
            .service = (uint32_t)service, .weight = 1024, .port = 8080, .pid = first + i};

        members[i] = first + i;
        pmo_hints_instance(w->hints, first + i, &row);
        pmo_hints_flags(w->hints, first + i, PMO_HINT_READY, 0);
    }
    CU_ASSERT_EQUAL(pmo_hints_members(w->hints, service, members, count), 0);
    return service;
}

static struct pmo_hint_instance *writable(struct world *w, uint32_t instance)
{
    return (struct pmo_hint_instance *)pmo_hints_row(w->hints, instance);
}

static struct pmo_hint_service *service_row(struct world *w, int service)
{
    return (struct pmo_hint_service *)(w->rows +
                                       (PMO_HINTS_FIRST_SERVICE + service) * PMO_HINTS_ROW);
}

/* How often each of the first @n instances is picked in @picks picks. */
static void draw(const struct world *w, int service, unsigned int picks, unsigned int *of, size_t n)
{
    memset(of, 0, n * sizeof(*of));
    for (unsigned int i = 0; i < picks; i++) {
        int picked = pmo_pick(w->pmo, service, NULL);

        CU_ASSERT_TRUE_FATAL(picked >= 0 && (size_t)picked < n);
        of[picked]++;
    }
}

static bool near(unsigned int n, double expected)
{
    return n > expected * 0.95 && n < expected * 1.05;
}

/* ---- writing and reading ----------------------------------------------------------------------
 */

static void a_router_reads_what_the_agent_wrote(void)
{
    const uint8_t addr[16] = {[10] = 0xff, 0xff, 198, 18, 0, 7};
    const uint32_t mrps[3] = {1000, 2000, 3000}, member = 5;
    struct pmo_hint_instance row = {.flags = 0xff,
                                    .arrived = 99,
                                    .weight = 512,
                                    .predicted_latency_us = 1500,
                                    .capacity_mrps = 80000,
                                    .version = 3,
                                    .port = 8080,
                                    .zone = 2,
                                    .pid = 77,
                                    .cleared_ns = 5};
    struct world w = made();
    struct pmo_hint hint;
    __u32 position = 0;
    int service;

    memcpy(row.addr, addr, sizeof(addr));
    (void)service_of(&w, "other", 1, 2);
    service = pmo_hints_service(w.hints, "front", addr, 80);
    row.service = (uint32_t)service;
    pmo_hints_service_predict(w.hints, service, mrps);
    pmo_hints_instance(w.hints, 5, &row);
    CU_ASSERT_EQUAL(pmo_hints_members(w.hints, service, &member, 1), 0);
    CU_ASSERT_EQUAL(pmo_service(w.pmo, "front"), service);
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, service, &hint), -EAGAIN);
    pmo_hints_flags(w.hints, 5, PMO_HINT_READY, 0);
    CU_ASSERT_EQUAL_FATAL(pmo_pick(w.pmo, service, &hint), 5);
    CU_ASSERT_EQUAL(hint.instance, 5);
    CU_ASSERT_EQUAL(hint.flags, PMO_HINT_READY);
    CU_ASSERT_EQUAL(hint.in_flight, 0); /* the kernel's, not the agent's */
    CU_ASSERT_EQUAL(hint.cleared_ns, 0);
    CU_ASSERT_EQUAL(hint.weight, 512);
    CU_ASSERT_EQUAL(hint.predicted_latency_us, 1500);
    CU_ASSERT_EQUAL(hint.capacity_mrps, 80000);
    CU_ASSERT_EQUAL(hint.version, 3);
    CU_ASSERT_EQUAL(hint.port, 8080);
    CU_ASSERT_EQUAL(hint.zone, 2);
    CU_ASSERT_EQUAL(hint.pid, 77);
    CU_ASSERT_EQUAL(memcmp(hint.addr, addr, 16), 0);
    CU_ASSERT_EQUAL(service_row(&w, service)->predicted_mrps[2], 3000);
    CU_ASSERT_EQUAL(service_row(&w, service)->port, 80);
    CU_ASSERT_EQUAL(pmo_instance(w.pmo, 5, &hint), 0);
    CU_ASSERT_EQUAL(pmo_next(w.pmo, service, &position, &hint), 0);
    CU_ASSERT_EQUAL(pmo_next(w.pmo, service, &position, &hint), -ENOENT);

    /* asked for again: the same number, the rest kept */
    CU_ASSERT_EQUAL(pmo_hints_service(w.hints, "front", NULL, 81), service);
    CU_ASSERT_EQUAL(service_row(&w, service)->predicted_mrps[2], 3000);
    CU_ASSERT_EQUAL(service_row(&w, service)->members_count, 1);
    CU_ASSERT_EQUAL(service_row(&w, service)->addr[12], 0);

    pmo_hints_instance_delete(w.hints, 5);
    CU_ASSERT_EQUAL(pmo_instance(w.pmo, 5, &hint), -ENOENT);
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, service, &hint), -EAGAIN);
    gone(&w);
}

static void what_does_not_exist_is_refused(void)
{
    struct world w = made();
    struct pmo_hint hint = {.instance = 42};
    int service = service_of(&w, "front", 1, 1);
    char name[80];

    CU_ASSERT_EQUAL(pmo_service(w.pmo, "fron"), -ENOENT);
    CU_ASSERT_EQUAL(pmo_service(w.pmo, ""), -ENOENT);
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, -1, NULL), -ENOENT);
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, service + 1, NULL), -ENOENT);
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, 1 << 30, NULL), -ENOENT);
    CU_ASSERT_EQUAL(pmo_instance(w.pmo, 2, &hint), -ENOENT);
    CU_ASSERT_EQUAL(pmo_instance(w.pmo, UINT32_MAX, &hint), -ENOENT);
    CU_ASSERT_EQUAL(hint.instance, 42);
    pmo_hints_service_delete(w.hints, service);
    CU_ASSERT_EQUAL(pmo_service(w.pmo, "front"), -ENOENT);
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, service, NULL), -ENOENT);
    pmo_log_max = (enum pmo_log_level)0;
    memset(name, 'x', sizeof(name));
    name[64] = '\0';
    CU_ASSERT_EQUAL(pmo_hints_service(w.hints, name, NULL, 0), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(pmo_service(w.pmo, name), -ENOENT);
    name[63] = '\0';
    CU_ASSERT_EQUAL(pmo_service(w.pmo, name), -ENOENT);
    service = pmo_hints_service(w.hints, name, NULL, 0);
    CU_ASSERT_TRUE(service >= 0);
    CU_ASSERT_EQUAL(pmo_service(w.pmo, name), service);
    pmo_log_max = PMO_LOG_INFO;
    gone(&w);
}

static void a_map_of_another_kind_is_refused_and_left_alone(void)
{
    struct world w = made();
    struct pmo_hints_header *header = (struct pmo_hints_header *)w.rows;
    struct pmo_hints *hints = NULL;
    struct pmo *pmo = NULL;
    __u32 *fields[] = {&header->magic,        &header->version,       &header->row_bytes,
                       &header->services_max, &header->instances_max, &header->members_max};

    pmo_log_max = (enum pmo_log_level)0;
    for (size_t i = 0; i < 6; i++) {
        (*fields[i])++;
        CU_ASSERT_EQUAL(pmo_hints_new(&hints, w.rows), -EPROTO);
        CU_ASSERT_EQUAL(pmo_open_memory(&pmo, w.rows), -EPROTO);
        (*fields[i])--;
    }
    CU_ASSERT_TRUE(!hints && !pmo);
    header->magic = 0; /* not begun by any agent yet */
    CU_ASSERT_EQUAL(pmo_open_memory(&pmo, w.rows), -EPROTO);
    CU_ASSERT_EQUAL(pmo_open(&pmo, "/nowhere/hints"), -ENOENT);
    pmo_log_max = PMO_LOG_INFO;
    gone(&w);
}

static void services_and_their_instances_can_be_listed(void)
{
    struct world w = made();
    struct pmo_hint hint;
    __u32 position = 0, at;
    const char *name;
    int service, seen = 0;

    (void)service_of(&w, "a", 10, 3);
    pmo_hints_service_delete(w.hints, service_of(&w, "b", 20, 3));
    (void)service_of(&w, "c", 30, 3); /* takes the row of b */
    (void)service_of(&w, "d", 40, 3);
    pmo_hints_flags(w.hints, 31, PMO_HINT_DRAINING, PMO_HINT_READY);
    while ((name = pmo_next_service(w.pmo, &position, &service))) {
        CU_ASSERT_EQUAL(pmo_service(w.pmo, name), service);
        at = 0;
        for (uint32_t i = 0; !pmo_next(w.pmo, service, &at, &hint); i++) {
            CU_ASSERT_EQUAL(hint.pid % 10, i);
            CU_ASSERT_EQUAL(hint.flags, hint.pid == 31 ? PMO_HINT_DRAINING : PMO_HINT_READY);
            seen++;
        }
    }
    CU_ASSERT_EQUAL(seen, 9);
    CU_ASSERT_EQUAL(pmo_service(w.pmo, "c"), 1);
    gone(&w);
}

static void all_rows_can_be_used(void)
{
    struct world w = made();
    uint32_t members[PMO_HINTS_INSTANCES_MAX];
    char name[16];

    for (int i = 0; i < (int)PMO_HINTS_SERVICES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        CU_ASSERT_EQUAL(pmo_hints_service(w.hints, name, NULL, 0), i);
    }
    CU_ASSERT_EQUAL(pmo_hints_service(w.hints, "one more", NULL, 0), -ENOSPC);
    /* one service with all instances, replaced again and again */
    for (uint32_t round = 0; round < 9; round++) {
        for (uint32_t i = 0; i < PMO_HINTS_INSTANCES_MAX; i++)
            members[i] = (i + round) % PMO_HINTS_INSTANCES_MAX;
        CU_ASSERT_EQUAL(pmo_hints_members(w.hints, 7, members, PMO_HINTS_INSTANCES_MAX), 0);
    }
    CU_ASSERT_EQUAL(pmo_hints_members(w.hints, 8, members, PMO_HINTS_INSTANCES_MAX), 0);
    CU_ASSERT_EQUAL(pmo_hints_members(w.hints, 9, members, 1), -ENOSPC);
    gone(&w);
}

static void lists_stay_whole_however_often_they_change(void)
{
    enum { SERVICES = 60, EACH = 64 };
    struct world w = made();
    uint32_t members[EACH], counts[SERVICES] = {0}, random = 7;
    char name[16];

    for (int s = 0; s < SERVICES; s++) {
        (void)snprintf(name, sizeof(name), "s%d", s);
        (void)service_of(&w, name, (uint32_t)s * EACH, EACH);
        counts[s] = EACH;
    }
    for (int round = 0; round < 20000; round++) {
        uint32_t s = (random = random * 1664525 + 1013904223) >> 8;
        struct pmo_hint hint;
        __u32 at = 0, seen = 0;

        counts[s % SERVICES] = (s >> 8) % (EACH + 1);
        for (uint32_t i = 0; i < counts[s % SERVICES]; i++)
            members[i] = s % SERVICES * EACH + (i + (uint32_t)round) % EACH;
        CU_ASSERT_EQUAL(
            pmo_hints_members(w.hints, (int)(s % SERVICES), members, counts[s % SERVICES]), 0);
        s = (s >> 4) % SERVICES;
        while (!pmo_next(w.pmo, (int)s, &at, &hint))
            seen += hint.instance / EACH == s;
        CU_ASSERT_EQUAL(seen, counts[s]);
    }
    gone(&w);
}

/* ---- adopting ---------------------------------------------------------------------------------
 */

static void an_agent_continues_the_rows_of_the_one_before(void)
{
    struct world w = made();
    int front = service_of(&w, "front", 1, 3), catalog = service_of(&w, "catalog", 4, 2);
    const uint32_t members[] = {4, 5, 9};
    struct pmo_hint hint;

    pmo_hints_free(&w.hints);
    CU_ASSERT_EQUAL_FATAL(pmo_hints_new(&w.hints, w.rows), 0);
    CU_ASSERT_EQUAL(pmo_hints_service(w.hints, "catalog", NULL, 0), catalog);
    CU_ASSERT_EQUAL(pmo_hints_members(w.hints, catalog, members, 3), 0);
    CU_ASSERT_TRUE(service_row(&w, catalog)->members_first >= 5); /* behind what is in use */
    CU_ASSERT_TRUE(pmo_pick(w.pmo, front, &hint) >= 1);
    CU_ASSERT_TRUE(hint.instance <= 3);
    CU_ASSERT_EQUAL(pmo_hints_service(w.hints, "new", NULL, 0), 2);
    gone(&w);
}

static void rows_of_an_agent_that_was_killed_while_writing_mislead_nobody(void)
{
    struct world w = made();
    int front = service_of(&w, "front", 1, 2), catalog = service_of(&w, "catalog", 3, 2);
    struct pmo_hint hint;
    __u32 at = 0;

    service_row(&w, catalog)->seq |= 1;
    service_row(&w, catalog)->members_first = PMO_HINTS_MEMBERS_MAX - 1;
    writable(&w, 1)->seq |= 1;

    /* until there is a new agent: nobody waits, and the row is not used */
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, catalog, &hint), -EAGAIN);
    CU_ASSERT_EQUAL(pmo_instance(w.pmo, 1, &hint), -ENOENT);
    CU_ASSERT_EQUAL(pmo_next(w.pmo, front, &at, &hint), 0);
    CU_ASSERT_EQUAL(hint.instance, 2);

    pmo_hints_free(&w.hints);
    CU_ASSERT_EQUAL_FATAL(pmo_hints_new(&w.hints, w.rows), 0);
    CU_ASSERT_EQUAL(service_row(&w, catalog)->seq % 2, 0);
    CU_ASSERT_EQUAL(service_row(&w, catalog)->members_count, 0);
    CU_ASSERT_EQUAL(pmo_hints_row(w.hints, 1)->seq % 2, 0);
    CU_ASSERT_EQUAL(pmo_hints_row(w.hints, 1)->flags, 0);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(pmo_pick(w.pmo, front, &hint), 2);
    CU_ASSERT_EQUAL(service_of(&w, "catalog", 3, 2), catalog);
    CU_ASSERT_TRUE(pmo_pick(w.pmo, catalog, &hint) >= 3);
    gone(&w);
}

static void a_list_that_makes_no_sense_is_never_followed_out_of_bounds(void)
{
    struct world w = made();
    int front = service_of(&w, "front", 1, 4), other = service_of(&w, "other", 5, 4);
    __u32 *members = (__u32 *)(w.rows + (size_t)PMO_HINTS_FIRST_MEMBERS * PMO_HINTS_ROW);

    /* numbers of another service, and of nobody, as in a list that was reused */
    members[0] = 6;
    members[1] = UINT32_MAX;
    members[2] = PMO_HINTS_INSTANCES_MAX;
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(pmo_pick(w.pmo, front, NULL), 4);
    service_row(&w, front)->members_first = UINT32_MAX - 1;
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, front, NULL), -EAGAIN);
    service_row(&w, other)->members_count = UINT32_MAX;
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, other, NULL), -EAGAIN);
    gone(&w);
}

/* ---- picking ----------------------------------------------------------------------------------
 */

static void idle_instances_are_picked_by_weight(void)
{
    struct world w = made();
    int front = service_of(&w, "front", 0, 2), many = service_of(&w, "many", 2, 100);
    unsigned int of[102];

    draw(&w, front, 100000, of, 2);
    CU_ASSERT_TRUE(near(of[0], 50000));
    writable(&w, 0)->weight = 3 * 1024;
    draw(&w, front, 100000, of, 2);
    CU_ASSERT_TRUE(near(of[0], 75000));
    CU_ASSERT_TRUE(near(of[1], 25000));
    writable(&w, 1)->weight = 0;
    draw(&w, front, 1000, of, 2);
    CU_ASSERT_EQUAL(of[0], 1000);
    draw(&w, many, 1000000, of, 102);
    for (int i = 2; i < 102; i++)
        CU_ASSERT_TRUE(near(of[i], 10000));
    gone(&w);
}

static void the_one_with_less_in_flight_for_its_weight_is_picked(void)
{
    struct world w = made();
    int front = service_of(&w, "front", 0, 2), three = service_of(&w, "three", 2, 3);
    unsigned int of[5];

    writable(&w, 0)->arrived = 5;
    writable(&w, 1)->arrived = 4;
    draw(&w, front, 1000, of, 2);
    CU_ASSERT_EQUAL(of[1], 1000);
    writable(&w, 0)->weight = 2048;
    draw(&w, front, 1000, of, 2);
    CU_ASSERT_EQUAL(of[0], 1000);
    /* the most loaded of three loses to both others */
    writable(&w, 3)->arrived = 9;
    draw(&w, three, 90000, of, 5);
    CU_ASSERT_EQUAL(of[3], 0);
    CU_ASSERT_TRUE(near(of[2], 45000));
    gone(&w);
}

static void the_only_ready_one_of_many_is_found(void)
{
    struct world w = made();
    int front = service_of(&w, "front", 0, 1000);
    struct pmo_hint hint;

    for (uint32_t i = 0; i < 1000; i++)
        if (i != 617)
            pmo_hints_flags(w.hints, i, PMO_HINT_DRAINING, PMO_HINT_READY);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(pmo_pick(w.pmo, front, &hint), 617);
    pmo_hints_flags(w.hints, 617, 0, PMO_HINT_READY);
    CU_ASSERT_EQUAL(pmo_pick(w.pmo, front, &hint), -EAGAIN);
    gone(&w);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

enum { INSTANCES = 16, CHANGES = 400000 };

struct race {
    struct world w;
    int front, other;
    atomic_bool done;
    atomic_uint reads, torn;
};

/* Instances are given to one service and the other, and always hold one number in three fields. */
static void *write_rows(void *context)
{
    struct race *race = context;
    uint32_t members[2][INSTANCES], count[2], random = 3;

    for (uint32_t n = 1; n <= CHANGES; n++) {
        uint32_t instance = (random = random * 1664525 + 1013904223) >> 16;
        struct pmo_hint_instance row = {.service = instance & 1,
                                        .weight = n,
                                        .predicted_latency_us = n,
                                        .capacity_mrps = n,
                                        .pid = n,
                                        .port = 8080};

        memset(row.addr, (int)n, sizeof(row.addr));
        pmo_hints_instance(race->w.hints, instance / 2 % INSTANCES, &row);
        pmo_hints_flags(race->w.hints, instance / 2 % INSTANCES, n % 3 ? PMO_HINT_READY : 0,
                        n % 3 ? 0 : PMO_HINT_READY);
        count[0] = count[1] = 0;
        for (uint32_t i = 0; i < INSTANCES; i++) {
            uint32_t service = pmo_hints_row(race->w.hints, i)->service;

            members[service][count[service]++] = i;
        }
        (void)pmo_hints_members(race->w.hints, race->front, members[0], count[0]);
        (void)pmo_hints_members(race->w.hints, race->other, members[1], count[1]);
    }
    atomic_store(&race->done, true);
    return NULL;
}

static void *read_rows(void *context)
{
    struct race *race = context;
    struct pmo_hint hint;

    while (!atomic_load(&race->done)) {
        bool whole = true;
        __u32 at = 0;

        if (pmo_pick(race->w.pmo, race->front, &hint) >= 0)
            whole = hint.flags & PMO_HINT_READY;
        else if (pmo_next(race->w.pmo, race->other, &at, &hint))
            continue;
        whole &= hint.weight == hint.capacity_mrps && hint.weight == hint.predicted_latency_us &&
                 hint.weight == hint.pid && hint.addr[0] == (hint.weight & 0xff) &&
                 hint.addr[15] == hint.addr[0] && hint.instance < INSTANCES;
        atomic_fetch_add_explicit(&race->reads, 1, memory_order_relaxed);
        if (!whole)
            atomic_fetch_add_explicit(&race->torn, 1, memory_order_relaxed);
    }
    return NULL;
}

static void readers_see_whole_rows_while_they_change(void)
{
    struct race race = {.w = made()};
    pthread_t threads[3];

    race.front = service_of(&race.w, "front", 0, 0);
    race.other = service_of(&race.w, "other", 0, 0);
    CU_ASSERT_TRUE(race.front == 0 && race.other == 1);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, i ? read_rows : write_rows, &race),
                              0);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_TRUE(race.reads > 1000);
    CU_ASSERT_EQUAL(race.torn, 0);
    gone(&race.w);
}

SUITE(hints) = {
    TEST(a_router_reads_what_the_agent_wrote),
    TEST(what_does_not_exist_is_refused),
    TEST(a_map_of_another_kind_is_refused_and_left_alone),
    TEST(services_and_their_instances_can_be_listed),
    TEST(all_rows_can_be_used),
    TEST(lists_stay_whole_however_often_they_change),
    TEST(an_agent_continues_the_rows_of_the_one_before),
    TEST(rows_of_an_agent_that_was_killed_while_writing_mislead_nobody),
    TEST(a_list_that_makes_no_sense_is_never_followed_out_of_bounds),
    TEST(idle_instances_are_picked_by_weight),
    TEST(the_one_with_less_in_flight_for_its_weight_is_picked),
    TEST(the_only_ready_one_of_many_is_found),
    TEST(readers_see_whole_rows_while_they_change),
    {0},
};
