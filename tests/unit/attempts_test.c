/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What asks for connections: when SYNs are a flood. */
#include "agent/attempts.h"
#include "tests/unit/suite.h"

static double flood_of(uint64_t syns, uint64_t connections, uint64_t seconds)
{
    struct pmo_instance_record record = {
        .since = 100, .window = 99 + seconds, .counts = {.syns = syns, .connections = connections}};
    struct pmo_attempts attempts = {.second = 0};

    pmo_attempts_add(&attempts, &record);
    return pmo_attempts_flood(&attempts);
}

static void many_syns_without_connections_are_a_flood(void)
{
    struct pmo_instance_record record = {.since = 100, .window = 100, .counts = {.syns = 500}};
    struct pmo_attempts attempts = {.second = 0}, last;

    CU_ASSERT_EQUAL(flood_of(5000, 100, 1), 4900);
    CU_ASSERT_EQUAL(flood_of(5000, 4900, 1), 0);
    CU_ASSERT_EQUAL(flood_of(5000, 2500, 1), 0);
    CU_ASSERT_EQUAL(flood_of(99, 0, 1), 0); /* a server that is down, and its clients */
    CU_ASSERT_EQUAL(flood_of(5000, 0, 10), 500);
    CU_ASSERT_EQUAL(flood_of(900, 0, 10), 0);
    pmo_attempts_add(&attempts, &record);
    last = pmo_attempts_in(&attempts, 101); /* over */
    CU_ASSERT_EQUAL(pmo_attempts_flood(&last), 0);
    CU_ASSERT_EQUAL(last.total.syns, 500);
    last = pmo_attempts_in(&attempts, 100);
    CU_ASSERT_EQUAL(pmo_attempts_flood(&last), 500);
}

SUITE(attempts) = {TEST(many_syns_without_connections_are_a_flood), {0}};
