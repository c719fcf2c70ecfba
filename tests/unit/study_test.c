/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/study.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

struct world {
    struct pmo_forecaster *forecaster;
    struct pmo_study *study; /* NULL: nobody trains */
};

static struct world world_new(bool studies)
{
    struct world w = {0};

    CU_ASSERT_EQUAL_FATAL(pmo_forecaster_new(&w.forecaster), 0);
    if (studies)
        CU_ASSERT_EQUAL_FATAL(pmo_study_new(&w.study), 0);
    return w;
}

/* A wave whose period no other model knows soon, and noise. */
static void run(struct world *w, int64_t from, int64_t until)
{
    for (int64_t t = from; t < until; t++) {
        pmo_forecaster_observe(w->forecaster, t,
                               poisson(200 + 120 * sin(2 * M_PI * (double)t / 97)));
        if (w->study)
            pmo_study_second(w->study, w->forecaster, t);
    }
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

static void it_trains_from_the_second_hour_on_and_each_time_the_same(void)
{
    struct world one = world_new(true), again = world_new(true), none = world_new(false);

    random_state = 1;
    run(&one, 0, 3600);
    random_state = 1;
    run(&none, 0, 3600);
    CU_ASSERT(same(&one, &none)); /* no network without an hour of the past */
    random_state = 2;
    run(&one, 3600, 5 * 3600);
    random_state = 2;
    run(&none, 3600, 5 * 3600);
    CU_ASSERT(!same(&one, &none));
    random_state = 1;
    run(&again, 0, 3600);
    random_state = 2;
    run(&again, 3600, 5 * 3600);
    CU_ASSERT(same(&one, &again));
    end(&one);
    end(&again);
    end(&none);
}

SUITE(study) = {
    TEST(it_trains_from_the_second_hour_on_and_each_time_the_same),
    {0},
};
