/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/study.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "agent/forecast/recent.h"
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

/* A wave, and noise. */
static double load_of(int64_t t)
{
    return poisson(200 + 120 * sin(2 * M_PI * (double)t / 97));
}

/* Without a network its model says nothing, and the mean of 30 s stands in. */
static bool has_network(const struct pmo_forecaster *forecaster)
{
    struct pmo_model_score scores[PMO_MODELS_MAX];
    size_t count = pmo_forecaster_scores(forecaster, 11, scores), network = count, mean = count;

    for (size_t i = 0; i < count; i++) {
        if (!strcmp(scores[i].model, "LSTM"))
            network = i;
        if (!strcmp(scores[i].model, "mean of 30 s"))
            mean = i;
    }
    CU_ASSERT_FATAL(network < count && mean < count);
    return scores[network].error != scores[mean].error;
}

static bool same(struct pmo_forecaster *a, struct pmo_forecaster *b)
{
    struct pmo_forecast one, other;

    pmo_forecaster_predict(a, &one);
    pmo_forecaster_predict(b, &other);
    return !memcmp(one.value, other.value, sizeof(one.value));
}

/* There must be enough windows to train on, and as many to judge by. Two studies go through one
 * load, and give the network to a forecaster each, which has seen the end of it. */
static void the_same_past_gives_the_same_network_and_too_little_gives_none(void)
{
    const int64_t trained = 13 * 3600, end = trained + 120;
    struct pmo_forecaster *whole = NULL, *forecaster[2] = {NULL, NULL};
    struct pmo_study *study[2] = {NULL, NULL};

    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&whole), 0);
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&forecaster[i]), 0);
        CU_ASSERT_EQUAL_FATAL(pmo_study_new(&study[i]), 0);
    }
    random_state = 1;
    for (int64_t t = 0; t < end; t++) {
        double y = load_of(t);

        if (t < trained)
            pmo_forecaster_observe(whole, t, y);
        for (size_t i = 0; i < 2; i++) {
            if (t >= trained - PMO_RECENT_SECONDS)
                pmo_forecaster_observe(forecaster[i], t, y);
            pmo_study_second(study[i], t < trained ? whole : forecaster[i], t);
        }
    }
    CU_ASSERT(!has_network(whole)); /* in all the hours before */
    CU_ASSERT(has_network(forecaster[0]));
    CU_ASSERT(same(forecaster[0], forecaster[1]));
    pmo_forecaster_free(&whole);
    for (size_t i = 0; i < 2; i++) {
        pmo_forecaster_free(&forecaster[i]);
        pmo_study_free(&study[i]);
        CU_ASSERT_PTR_NULL(study[i]);
    }
}

SUITE(study) = {
    TEST(the_same_past_gives_the_same_network_and_too_little_gives_none),
    {0},
};
