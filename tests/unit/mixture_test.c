/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/mixture.h"

#include <math.h>
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

/* Indices of pmo_quantiles. */
enum { Q05, Q10, Q25, Q50, Q75, Q90, Q99 };

static void assert_same(const float value[PMO_QUANTILES], const float wanted[PMO_QUANTILES],
                        double share)
{
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        CU_ASSERT_DOUBLE_EQUAL(value[q], wanted[q], share * fmax(wanted[q], 1));
}

static void one_part_alone_gives_its_own_quantiles(void)
{
    static const float parts[][PMO_QUANTILES] = {
        {10, 12, 20, 35, 60, 100, 250},
        {0, 0, 1, 1, 2, 3, 5}, /* counts: some quantiles are the same */
        {7, 7, 7, 7, 7, 7, 7},
        {0, 0, 0, 0, 0, 0, 0},
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        struct pmo_mixture mixture = {0};
        float value[PMO_QUANTILES];

        pmo_mixture_add(&mixture, 0.3F, parts[i]); /* of whatever sum */
        pmo_mixture_quantiles(&mixture, value);
        assert_same(value, parts[i], 1e-5);
    }
}

static void a_bell_has_the_quantiles_of_a_normal_distribution(void)
{
    static const double normal_quantiles[] = {-1.644854, -1.281552, -0.674490, 0,
                                              0.674490,  1.281552,  2.326348};
    struct pmo_mixture mixture = {0};
    float value[PMO_QUANTILES];

    pmo_mixture_add_bell(&mixture, 1, 500, 40);
    pmo_mixture_quantiles(&mixture, value);
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        CU_ASSERT_DOUBLE_EQUAL(value[q], 500 + 40 * normal_quantiles[q], 0.02);
    mixture.count = 0;
    pmo_mixture_add_bell(&mixture, 1, 10, 40);
    pmo_mixture_quantiles(&mixture, value);
    CU_ASSERT_EQUAL(value[Q05], 0); /* there is no load below 0 */
    CU_ASSERT_DOUBLE_EQUAL(value[Q50], 10, 0.01);
}

/* Below 0.8 of all lies the lower one alone, above it the upper one: so quantile q is the lower
 * one's q / 0.8, or the upper one's (q - 0.8) / 0.2. */
static void of_two_far_apart_each_has_its_share_of_the_quantiles(void)
{
    struct pmo_mixture mixture = {0};
    float value[PMO_QUANTILES];

    pmo_mixture_add_bell(&mixture, 0.2F, 5000, 50); /* in whatever order */
    pmo_mixture_add_bell(&mixture, 0.8F, 1000, 20);
    pmo_mixture_quantiles(&mixture, value);
    CU_ASSERT_DOUBLE_EQUAL(value[Q90], 5000, 0.5);                       /* the median */
    CU_ASSERT_DOUBLE_EQUAL(value[Q50], 1000 + 20 * 0.674490 / 2, 0.05);  /* 0.625, by a line */
    CU_ASSERT_DOUBLE_EQUAL(value[Q50], 1000 + 20 * 0.318639, 0.02 * 20); /* 0.625 of a normal */
    CU_ASSERT_DOUBLE_EQUAL(value[Q10], 1000 - 20 * 1.150349, 0.10 * 20); /* 0.125 */
    CU_ASSERT_DOUBLE_EQUAL(value[Q75], 1000 + 20 * 1.534121, 0.25 * 20); /* 0.9375, far lines */
    CU_ASSERT_DOUBLE_EQUAL(value[Q99], 5000 + 50 * 1.644854, 0.25 * 50); /* 0.95 */
}

static void equal_parts_are_as_one(void)
{
    static const float part[PMO_QUANTILES] = {10, 12, 20, 35, 60, 100, 250};
    struct pmo_mixture mixture = {0};
    float value[PMO_QUANTILES];

    for (int i = 0; i < PMO_MIXTURE_PARTS; i++)
        pmo_mixture_add(&mixture, 0.1F * (float)(i + 1), part);
    pmo_mixture_quantiles(&mixture, value);
    assert_same(value, part, 1e-4);
}

static void a_part_without_probability_changes_nothing(void)
{
    static const float part[PMO_QUANTILES] = {10, 12, 20, 35, 60, 100, 250};
    struct pmo_mixture mixture = {0};
    float value[PMO_QUANTILES];

    pmo_mixture_add_bell(&mixture, 0, 40, 3);
    pmo_mixture_add(&mixture, 1, part);
    pmo_mixture_add_bell(&mixture, 0, 4000, 3);
    pmo_mixture_quantiles(&mixture, value);
    assert_same(value, part, 1e-4);
}

static struct pmo_mixture any_mixture(double scale)
{
    struct pmo_mixture mixture = {0};
    size_t parts = 1 + (size_t)(uniform() * PMO_MIXTURE_PARTS);

    for (size_t i = 0; i < parts; i++) {
        float value[PMO_QUANTILES], at = 0;

        for (size_t q = 0; q < PMO_QUANTILES; q++) { /* steps of very different sizes, and none */
            if (uniform() < 0.7)
                at += (float)(scale * exp(4 * normal()));
            value[q] = at;
        }
        pmo_mixture_add(&mixture, (float)uniform(), value);
    }
    return mixture;
}

static void quantiles_ascend_and_lie_between_those_of_the_parts(void)
{
    random_state = 1;
    for (int n = 0; n < 20000; n++) {
        struct pmo_mixture mixture = any_mixture(1);
        float value[PMO_QUANTILES];

        pmo_mixture_quantiles(&mixture, value);
        for (size_t q = 0; q < PMO_QUANTILES; q++) {
            float least = INFINITY, most = 0;

            for (size_t i = 0; i < mixture.count; i++) {
                least = fminf(least, mixture.part[i].at[q + 1]);
                most = fmaxf(most, mixture.part[i].at[q + 1]);
            }
            CU_ASSERT_FATAL(isfinite(value[q]));
            CU_ASSERT_FATAL(value[q] >= 0.999F * least - 0.001F &&
                            value[q] <= 1.001F * most + 0.001F);
            CU_ASSERT_FATAL(q == 0 || value[q] >= value[q - 1]);
        }
    }
}

static void quantiles_scale_with_the_parts(void)
{
    for (uint64_t n = 0; n < 200; n++) {
        struct pmo_mixture small, large;
        float value[PMO_QUANTILES], scaled[PMO_QUANTILES];

        random_state = n;
        small = any_mixture(1);
        random_state = n;
        large = any_mixture(1024);
        pmo_mixture_quantiles(&small, value);
        pmo_mixture_quantiles(&large, scaled);
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            CU_ASSERT_DOUBLE_EQUAL(scaled[q], 1024 * value[q], 1e-4 * scaled[q]);
    }
}

SUITE(mixture) = {
    TEST(one_part_alone_gives_its_own_quantiles),
    TEST(a_bell_has_the_quantiles_of_a_normal_distribution),
    TEST(of_two_far_apart_each_has_its_share_of_the_quantiles),
    TEST(equal_parts_are_as_one),
    TEST(a_part_without_probability_changes_nothing),
    TEST(quantiles_ascend_and_lie_between_those_of_the_parts),
    TEST(quantiles_scale_with_the_parts),
    {0},
};
