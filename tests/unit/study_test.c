/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/study.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

struct world {
    struct pmo_forecaster *forecaster;
    struct pmo_study *study;
};

static struct world world_new(void)
{
    struct world w = {0};

    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&w.forecaster), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_study_new(&w.study), 0);
    return w;
}

/* A wave whose period no other model knows soon, and noise. */
static void run(struct world *w, int64_t from, int64_t until)
{
    for (int64_t t = from; t < until; t++) {
        pmo_forecaster_observe(w->forecaster, t,
                               poisson(200 + 120 * sin(2 * M_PI * (double)t / 97)));
        pmo_study_second(w->study, w->forecaster, t);
    }
}

/* Without a network its model says nothing, and the mean of 30 s stands in. */
static bool has_network(const struct world *w)
{
    struct pmo_model_score scores[PMO_MODELS_MAX];
    size_t count = pmo_forecaster_scores(w->forecaster, 11, scores), network = count, mean = count;

    for (size_t i = 0; i < count; i++) {
        if (!strcmp(scores[i].model, "LSTM"))
            network = i;
        if (!strcmp(scores[i].model, "mean of 30 s"))
            mean = i;
    }
    CU_ASSERT_FATAL(network < count && mean < count);
    return scores[network].error != scores[mean].error;
}

static bool same(const struct world *a, const struct world *b)
{
    struct pmo_forecast one, other;

    pmo_forecaster_predict(a->forecaster, &one);
    pmo_forecaster_predict(b->forecaster, &other);
    return !memcmp(one.value, other.value, sizeof(one.value));
}

static void end(struct world *w)
{
    pmo_forecaster_free(&w->forecaster);
    pmo_study_free(&w->study);
    CU_ASSERT_PTR_NULL(w->study);
}

/* There must be enough windows to train on, and as many to judge by. */
static void the_same_past_gives_the_same_network_and_too_little_gives_none(void)
{
    struct world worlds[2];

    for (size_t i = 0; i < 2; i++) {
        worlds[i] = world_new();
        random_state = 1;
        run(&worlds[i], 0, 10 * 3600);
        CU_ASSERT(!has_network(&worlds[i]));
        run(&worlds[i], 10 * 3600, 13 * 3600 + 120);
        CU_ASSERT(has_network(&worlds[i]));
    }
    CU_ASSERT(same(&worlds[0], &worlds[1]));
    end(&worlds[0]);
    end(&worlds[1]);
}

SUITE(study) = {
    TEST(the_same_past_gives_the_same_network_and_too_little_gives_none),
    {0},
};
