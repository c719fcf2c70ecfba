/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/aggregation.h"

#include <math.h>
#include <stdbool.h>
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

struct quantiles {
    float expert[PMO_EXPERTS][PMO_QUANTILES], value[PMO_QUANTILES];
};

static void together(const struct pmo_aggregation *aggregation, struct quantiles *quantiles)
{
    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        quantiles->value[q] = 0;
        for (size_t k = 0; k < PMO_EXPERTS; k++)
            quantiles->value[q] += aggregation->weight[q][k] * quantiles->expert[k][q];
    }
}

static double pinball(double y, double value, double q)
{
    return y < value ? (1 - q) * (value - y) : q * (y - value);
}

static bool sums_are_one(const struct pmo_aggregation *aggregation)
{
    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        float sum = 0;

        for (size_t k = 0; k < PMO_EXPERTS; k++) {
            sum += aggregation->weight[q][k];
            if (!(aggregation->weight[q][k] >= 0))
                return false;
        }
        if (!(fabsf(sum - 1) < 1e-5F))
            return false;
    }
    return true;
}

/*
 * Two experts say 0 and 1; what comes lies far to the side that the aggregate leans away from.
 *
 * With a learning rate e each, regret k <= e * V + ln(1 / prior) / e, V the sum of the squares of
 * the instantaneous regrets (after Wintenberger 2017). With the adaptive rate sqrt(ln K / V) that
 * is sqrt(V) * (ln K + ln(1 / prior) + c) / sqrt(ln K), where c = 1 + ln(1 + ln n) is allowed here
 * for the changing rate: of the order of the paper's log log n, not its constant. Besides, each
 * second may lose the share of the weight that is spread (0.0005) and the rate is at most 0.5.
 */
static void regret_is_bounded_whatever_comes(void)
{
    enum { SECONDS = 5000 };

    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        struct pmo_aggregation aggregation;
        double lost = 0, expert_lost[PMO_EXPERTS] = {0}, squares[PMO_EXPERTS] = {0};

        pmo_aggregation_init(&aggregation);
        for (int t = 0; t < SECONDS; t++) {
            struct quantiles quantiles = {0};
            double level = pmo_quantiles[q], y, slope, loss;

            for (size_t i = 0; i < PMO_QUANTILES; i++)
                quantiles.expert[1][i] = 1;
            together(&aggregation, &quantiles);
            y = quantiles.value[q] > 0.5F ? -1 : 2;
            slope = (y < 0 ? 1 : 0) - level;
            loss = pinball(y, quantiles.value[q], level);
            lost += loss;
            for (size_t k = 0; k < PMO_EXPERTS; k++) {
                double r = slope * (quantiles.value[q] - quantiles.expert[k][q]);

                expert_lost[k] += pinball(y, quantiles.expert[k][q], level);
                squares[k] += r * r;
            }
            pmo_aggregation_learn(&aggregation, quantiles.expert, quantiles.value, 1, (float)y, 1);
            CU_ASSERT_FATAL(sums_are_one(&aggregation));
        }
        for (size_t k = 0; k < PMO_EXPERTS; k++) {
            double ln_prior = k ? log(1 / 0.02) : log(1 / 0.98), ln_k = log(PMO_EXPERTS);
            double bound =
                sqrt(squares[k]) * (ln_k + ln_prior + 1 + log(1 + log(SECONDS))) / sqrt(ln_k) +
                0.0005 * SECONDS + ln_prior / 0.5;

            CU_ASSERT(lost - expert_lost[k] <= bound);
        }
    }
}

/* Normal values; one expert knows their quantiles, the other one is off by so many deviations. */
static void let_learn(struct pmo_aggregation *aggregation, int seconds, size_t right, float off)
{
    for (int t = 0; t < seconds; t++) {
        struct quantiles quantiles;

        for (size_t q = 0; q < PMO_QUANTILES; q++)
            for (size_t k = 0; k < PMO_EXPERTS; k++)
                quantiles.expert[k][q] = 100 + 10 * (pmo_normal[q] + (k == right ? 0 : off));
        together(aggregation, &quantiles);
        pmo_aggregation_learn(aggregation, quantiles.expert, quantiles.value, 10,
                              (float)(100 + 10 * normal()), 1);
    }
}

static void the_best_expert_gets_the_weight(void)
{
    for (size_t right = 0; right < PMO_EXPERTS; right++)
        for (int side = -1; side <= 1; side += 2) {
            struct pmo_aggregation aggregation;

            random_state = right;
            pmo_aggregation_init(&aggregation);
            let_learn(&aggregation, 3600, right, (float)side);
            for (size_t q = 0; q < PMO_QUANTILES; q++)
                CU_ASSERT(aggregation.weight[q][right] > 0.9F);
            CU_ASSERT(sums_are_one(&aggregation));
        }
}

static void another_one_that_becomes_the_best_gets_it_in_turn(void)
{
    struct pmo_aggregation aggregation;

    random_state = 3;
    pmo_aggregation_init(&aggregation);
    for (int turn = 0; turn < 4; turn++) {
        let_learn(&aggregation, turn ? 14400 : 3600, turn % 2, 1);
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            CU_ASSERT(aggregation.weight[q][turn % 2] > 0.8F);
    }
}

/* One is too low by as much as the other one is too high: in between is better than either. */
static void in_between_is_found_where_that_is_best(void)
{
    struct pmo_aggregation aggregation;
    struct quantiles quantiles;

    random_state = 4;
    pmo_aggregation_init(&aggregation);
    for (int t = 0; t < 20000; t++) {
        for (size_t q = 0; q < PMO_QUANTILES; q++)
            for (size_t k = 0; k < PMO_EXPERTS; k++)
                quantiles.expert[k][q] = 100 + 10 * (pmo_normal[q] + (k ? 1.5F : -1.5F));
        together(&aggregation, &quantiles);
        pmo_aggregation_learn(&aggregation, quantiles.expert, quantiles.value, 10,
                              (float)(100 + 10 * normal()), 1);
    }
    together(&aggregation, &quantiles);
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        CU_ASSERT_DOUBLE_EQUAL(quantiles.value[q], 100 + 10 * pmo_normal[q], 6);
}

static void one_freak_does_not_decide(void)
{
    struct pmo_aggregation aggregation;
    struct quantiles quantiles;

    random_state = 5;
    pmo_aggregation_init(&aggregation);
    let_learn(&aggregation, 3600, 0, 1);
    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        quantiles.expert[0][q] = 100;
        quantiles.expert[1][q] = 1e9F;
    }
    together(&aggregation, &quantiles);
    pmo_aggregation_learn(&aggregation, quantiles.expert, quantiles.value, 10, 1e12F, 1);
    CU_ASSERT(sums_are_one(&aggregation));
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        CU_ASSERT(aggregation.weight[q][0] > 0.8F);
    let_learn(&aggregation, 14400, 1, 1); /* nor keep anything from being learned */
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        CU_ASSERT(aggregation.weight[q][1] > 0.8F);
}

static void what_counts_nothing_teaches_nothing(void)
{
    struct pmo_aggregation aggregation, before;
    struct quantiles quantiles = {.expert = {{0}, {90, 91, 92, 93, 94, 95, 96}}};

    random_state = 6;
    pmo_aggregation_init(&aggregation);
    let_learn(&aggregation, 600, 0, 1);
    before = aggregation;
    together(&aggregation, &quantiles);
    pmo_aggregation_learn(&aggregation, quantiles.expert, quantiles.value, 10, 500, 0);
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        CU_ASSERT_DOUBLE_EQUAL(aggregation.weight[q][0], before.weight[q][0], 1e-3);
}

SUITE(aggregation) = {
    TEST(regret_is_bounded_whatever_comes),
    TEST(the_best_expert_gets_the_weight),
    TEST(another_one_that_becomes_the_best_gets_it_in_turn),
    TEST(in_between_is_found_where_that_is_best),
    TEST(one_freak_does_not_decide),
    TEST(what_counts_nothing_teaches_nothing),
    {0},
};
