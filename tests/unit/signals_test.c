/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <math.h>
#include "agent/signals.h"

static struct pmo_signals_record record_of(int64_t t, uint64_t waits, uint32_t queue)
{
    return (struct pmo_signals_record){
        .window = (uint64_t)t,
        .counts = {.waits = waits, .wait_us = waits * 100, .wait = {[2] = (uint32_t)waits}},
        .queues = {.window = queue ? (uint64_t)t : 0, .accept_queue = queue, .accept_limit = 8}};
}

static void instances_of_a_second_are_added_and_a_later_one_begins_anew(void)
{
    struct pmo_signals_second second = {};
    struct pmo_signals_record record = record_of(10, 3, 5);

    pmo_signals_note(&second, &record);
    record = record_of(10, 4, 0); /* nobody connected to this one */
    pmo_signals_note(&second, &record);
    CU_ASSERT_EQUAL(second.t, 10);
    CU_ASSERT_EQUAL(second.counts.waits, 7);
    CU_ASSERT_EQUAL(second.counts.wait_us, 700);
    CU_ASSERT_EQUAL(second.counts.wait[2], 7);
    CU_ASSERT_EQUAL(second.queues.accept_queue, 5);
    CU_ASSERT_EQUAL(second.queues.accept_limit, 8);
    record = record_of(11, 1, 0);
    pmo_signals_note(&second, &record);
    CU_ASSERT_EQUAL(second.t, 11);
    CU_ASSERT_EQUAL(second.counts.waits, 1);
    CU_ASSERT_EQUAL(second.queues.window, 0);
    CU_ASSERT_EQUAL(second.queues.accept_queue, 0);
}

static void quantiles_of_waits_are_inside_their_bucket(void)
{
    struct pmo_signals counts = {.wait = {[0] = 98, [9] = 2}}; /* 8.4 to 16.8 ms */

    CU_ASSERT(pmo_signals_wait_us(&counts, 0.5) <= 32.768);
    CU_ASSERT(pmo_signals_wait_us(&counts, 0.99) > 8388.608);
    CU_ASSERT(pmo_signals_wait_us(&counts, 0.99) < 16777.216);
    counts = (struct pmo_signals){};
    CU_ASSERT(isnan(pmo_signals_wait_us(&counts, 0.5)));
}

static void as_many_reads_are_measured_as_is_cheap(void)
{
    uint32_t mask;

    CU_ASSERT_EQUAL(pmo_signals_mask(0, 0), 0);
    CU_ASSERT_EQUAL(pmo_signals_mask(0, 8192), 0);
    CU_ASSERT_EQUAL(pmo_signals_mask(0, 8193), 1);
    CU_ASSERT_EQUAL(pmo_signals_mask(0, 150000), 31);
    CU_ASSERT_EQUAL(pmo_signals_mask(31, 150000 / 32), 31); /* and so it stays */
    CU_ASSERT_EQUAL(pmo_signals_mask(31, 10), 0);
    mask = pmo_signals_mask(4095, UINT32_MAX);
    CU_ASSERT_EQUAL(mask, 4095);
}

SUITE(signals) = {TEST(instances_of_a_second_are_added_and_a_later_one_begins_anew),
                  TEST(quantiles_of_waits_are_inside_their_bucket),
                  TEST(as_many_reads_are_measured_as_is_cheap),
                  {0}};
