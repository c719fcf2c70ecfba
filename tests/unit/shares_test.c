/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/shares.h"

#include <math.h>
#include "tests/unit/suite.h"

static double sum_of(const double values[], size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum;
}

static void shares_are_a_composition(void)
{
    static const double lately[][4] = {{1e6, 3, 0, 0.25}, {0, 0, 0, 0}, {1e-9, 0, 1e-9, 0}};
    static const double ever[] = {1, 7, 1e12, 0};
    double share[4];

    for (size_t i = 0; i < 3; i++) {
        pmo_shares(lately[i], ever, 4, share);
        CU_ASSERT_DOUBLE_EQUAL(sum_of(share, 4), 1, 1e-12);
        for (size_t k = 0; k < 4; k++)
            CU_ASSERT(share[k] >= 0);
    }
    pmo_shares(lately[1], lately[1], 4, share);
    CU_ASSERT_EQUAL(sum_of(share, 4), 0);
}

/* The mean of a Dirichlet distribution: 10 requests before, 90 lately. */
static void what_came_lately_is_weighed_against_what_ever_came(void)
{
    static const double ever[] = {3000, 1000};
    double share[2];

    pmo_shares((const double[]){0, 90}, ever, 2, share);
    CU_ASSERT_DOUBLE_EQUAL(share[0], 7.5 / 100, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(share[1], 92.5 / 100, 1e-12);
    pmo_shares((const double[]){0, 0}, ever, 2, share); /* rests */
    CU_ASSERT_DOUBLE_EQUAL(share[0], 0.75, 1e-12);
}

static void seconds_weigh_less_by_e_in_two_minutes(void)
{
    CU_ASSERT_EQUAL(pmo_share_weight(0), 1);
    CU_ASSERT_DOUBLE_EQUAL(pmo_share_weight(120), exp(-1), 1e-12);
}

SUITE(shares) = {
    TEST(shares_are_a_composition),
    TEST(what_came_lately_is_weighed_against_what_ever_came),
    TEST(seconds_weigh_less_by_e_in_two_minutes),
    {0},
};
