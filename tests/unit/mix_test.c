/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/mix.h"

#include <math.h>
#include <string.h>
#include "agent/decide/capacity.h"
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#define CHEAP 11
#define DEAR  22
#define OTHER 33

/* Seconds of 100 requests, @dear of which (share) cost three times what the others do, or so. */
static double serve(struct pmo_mix *mix, double dear, double swing, int seconds, double noise)
{
    double cost = 1, reference = 1 + 2 * 0.2;

    for (int i = 0; i < seconds; i++) {
        double share = dear + swing * sin(i);

        pmo_mix_add(mix, CHEAP, 100 * (1 - share));
        pmo_mix_add(mix, DEAR, 100 * share);
        cost = pmo_mix_close(mix, (1 + 2 * share) / reference * (1 + noise * (2 * uniform() - 1)));
    }
    return cost;
}

static void without_types_all_requests_cost_the_same(void)
{
    struct pmo_mix mix = {0};

    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(pmo_mix_close(&mix, 2), 1);
    CU_ASSERT_EQUAL(pmo_mix_recent(&mix), 1);
}

static void a_mix_that_never_changes_teaches_nothing_about_types(void)
{
    struct pmo_mix mix = {0};

    (void)serve(&mix, 0.2, 0, 30, 0);
    for (int i = 0; i < 100; i++) { /* dearer, whatever the type: that is not the mix */
        pmo_mix_add(&mix, CHEAP, 80);
        pmo_mix_add(&mix, DEAR, 20);
        CU_ASSERT_DOUBLE_EQUAL(pmo_mix_close(&mix, 2), 1, 1e-9);
    }
}

static void what_types_cost_is_found_from_small_changes_of_the_mix(void)
{
    struct pmo_mix mix = {0};

    (void)serve(&mix, 0.2, 0, 30, 0);
    (void)serve(&mix, 0.2, 0.1, 300, 0.1);
    for (int i = 0; i < 20; i++) { /* nobody says what these cost */
        pmo_mix_add(&mix, CHEAP, 20);
        pmo_mix_add(&mix, DEAR, 80);
        CU_ASSERT_DOUBLE_EQUAL(pmo_mix_close(&mix, NAN), (1 + 2 * 0.8) / 1.4, 0.1);
    }
    CU_ASSERT_DOUBLE_EQUAL(pmo_mix_recent(&mix), (1 + 2 * 0.8) / 1.4, 0.2);
}

static void a_second_may_have_no_requests_and_types_may_be_many(void)
{
    struct pmo_mix mix = {0};

    (void)serve(&mix, 0.2, 0.1, 100, 0);
    CU_ASSERT_EQUAL(pmo_mix_close(&mix, 1), 1);
    for (int i = 0; i < 60; i++) { /* rare ones take nobody's place */
        pmo_mix_add(&mix, CHEAP, 80);
        pmo_mix_add(&mix, DEAR, 20);
        for (uint64_t type = 100; type < 200; type++)
            pmo_mix_add(&mix, type + (uint64_t)i, 0.01);
        CU_ASSERT_DOUBLE_EQUAL(pmo_mix_close(&mix, 1), 1, 0.05);
    }
    for (int i = 0; i < 60; i++) { /* a new one is learned, too */
        pmo_mix_add(&mix, CHEAP, 50);
        pmo_mix_add(&mix, OTHER, 50);
        (void)pmo_mix_close(&mix, 4);
    }
    CU_ASSERT_DOUBLE_EQUAL(pmo_mix_recent(&mix), 4, 0.2);
}

/* Two cores' worth of instances; what is dear takes 24 ms of CPU time, the rest 8. */
static void observe(struct pmo_capacity *capacity, int64_t t, double rps, double share)
{
    double demand_s = 0.008 * (1 + 2 * share), full = 1 / demand_s;
    struct pmo_capacity_second second = {.answered = rps,
                                         .cpu_s = rps * demand_s * (1 + 0.1 * (2 * uniform() - 1)),
                                         .limit_cores = 1,
                                         .latency_s =
                                             0.01 + demand_s / (1 - fmin(0.95, rps / full)),
                                         .late = 0,
                                         .ready = 1};

    pmo_mix_add(&capacity->mix, CHEAP, rps * (1 - share));
    pmo_mix_add(&capacity->mix, DEAR, rps * share);
    pmo_capacity_observe(capacity, t, &second, 0.25, 0.01);
}

static void capacity_follows_the_mix_at_once_and_is_not_forgotten(void)
{
    struct pmo_capacity capacity = {0};
    struct pmo_capacity_estimate before, after;
    int64_t t = 1000;

    random_state = 3;
    for (int i = 0; i < 900; i++)
        observe(&capacity, ++t, 15 + 10 * sin(i / 30.0), 0.2 + 0.1 * sin(i / 7.0));
    before = pmo_capacity_estimate(&capacity, 0.25, 0.01);
    CU_ASSERT_DOUBLE_EQUAL(before.saturation_rps, 1 / (0.008 * 1.4), 12);
    for (int i = 0; i < 15; i++)
        observe(&capacity, ++t, 15, 0.9);
    after = pmo_capacity_estimate(&capacity, 0.25, 0.01);
    CU_ASSERT_DOUBLE_EQUAL(after.saturation_rps, 1 / (0.008 * 2.8), 5);
    CU_ASSERT_TRUE(capacity.demand.seconds > 300); /* no drift */
    for (int i = 0; i < 15; i++)
        observe(&capacity, ++t, 15, 0.2);
    after = pmo_capacity_estimate(&capacity, 0.25, 0.01);
    CU_ASSERT_DOUBLE_EQUAL(after.saturation_rps, before.saturation_rps, 12);
}

SUITE(mix) = {
    TEST(without_types_all_requests_cost_the_same),
    TEST(a_mix_that_never_changes_teaches_nothing_about_types),
    TEST(what_types_cost_is_found_from_small_changes_of_the_mix),
    TEST(a_second_may_have_no_requests_and_types_may_be_many),
    TEST(capacity_follows_the_mix_at_once_and_is_not_forgotten),
    {0},
};
