/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/capacity.h"

#include <math.h>
#include <string.h>
#include "tests/unit/suite.h"

#define OBJECTIVE_S 0.25
#define LATE        0.01
#define SATURATION  ((LIMIT - IDLE) / DEMAND_S)
#define LIMIT       0.5
#define IDLE        0.02
#define DEMAND_S    0.008

/* An instance that does as the laws say, but for noise. */
struct world {
    struct pmo_capacity capacity;
    int64_t t;
    uint32_t random;
    double demand_s, limit_cores, noise;
    uint32_t ready;
};

static double noise(struct world *w)
{
    double sum = 0;

    for (int i = 0; i < 12; i++) { /* of about normal distribution */
        w->random = w->random * 1664525 + 1013904223;
        sum += w->random / 4294967296.0;
    }
    return 1 + w->noise * (sum - 6);
}

static struct world begin(double noise)
{
    return (struct world){.t = 1000,
                          .random = 1,
                          .demand_s = DEMAND_S,
                          .limit_cores = LIMIT,
                          .noise = noise,
                          .ready = 2};
}

/* @use: of saturation, so many seconds, of each instance */
static void serve(struct world *w, double use, int seconds)
{
    double full = (w->limit_cores - IDLE) / w->demand_s;

    for (int i = 0; i < seconds; i++) {
        double rps = floor(w->ready * full * use * fmax(0, noise(w))) / w->ready;
        struct pmo_capacity_second second = {
            .answered = rps * w->ready,
            .cpu_s = w->ready * (IDLE + w->demand_s * rps * noise(w)),
            .limit_cores = w->limit_cores,
            .latency_s = (0.02 + 1 / full / (1 - fmin(0.95, rps / full))) * noise(w),
            .ready = w->ready};

        second.late = second.latency_s > OBJECTIVE_S;
        pmo_capacity_observe(&w->capacity, ++w->t, &second, OBJECTIVE_S, LATE);
    }
}

/* A day's worth of loads, none beyond 60 %. */
static void serve_little(struct world *w)
{
    for (int i = 0; i < 20; i++)
        serve(w, 0.05 + 0.55 * (1 + sin(i)) / 2 / 1.1, 30);
}

/* M/M/1: 1 % are later than x where exp(-x (saturation - rate)) * use is, x beyond the base. */
static double knee_of(double full)
{
    double rps = full / 2;

    while (rps / full * exp(-(OBJECTIVE_S - 0.02 - 1 / full) * (full - rps)) < LATE)
        rps += 0.01;
    return rps;
}

static struct pmo_capacity_estimate estimate(const struct world *w)
{
    return pmo_capacity_estimate(&w->capacity, OBJECTIVE_S, LATE);
}

static void nothing_is_known_at_first(void)
{
    struct world w = begin(0.1);

    CU_ASSERT_EQUAL(estimate(&w).rps, 0);
    serve(&w, 0.3, 10);
    CU_ASSERT_EQUAL(estimate(&w).rps, 0);
    CU_ASSERT_EQUAL(pmo_capacity_planned(&(struct pmo_capacity_estimate){0}, 0), 0);
    CU_ASSERT_EQUAL(pmo_capacity_planned(&(struct pmo_capacity_estimate){0}, 50), 50);
}

static void without_noise_demand_is_what_the_utilisation_law_says(void)
{
    struct world w = begin(0);

    serve_little(&w);
    CU_ASSERT_DOUBLE_EQUAL(estimate(&w).demand_s, DEMAND_S, DEMAND_S * 0.02);
    CU_ASSERT_DOUBLE_EQUAL(estimate(&w).saturation_rps, SATURATION, SATURATION * 0.02);
}

static void the_knee_is_found_from_loads_far_below_it(void)
{
    struct world w = begin(0.15);
    double truth = knee_of(SATURATION);
    struct pmo_capacity_estimate found;

    serve_little(&w);
    found = estimate(&w);
    CU_ASSERT_DOUBLE_EQUAL(found.rps, truth, truth * 0.1);
    CU_ASSERT_TRUE(found.seen_rps < truth);
    CU_ASSERT_TRUE(pmo_capacity_lower(&found) < truth);
    CU_ASSERT_TRUE(pmo_capacity_lower(&found) > truth * 0.8);
}

static void one_load_all_the_time_gives_a_cautious_value(void)
{
    struct world w = begin(0.05);

    serve(&w, 0.3, 600);
    CU_ASSERT_TRUE(estimate(&w).rps > SATURATION / 2);
    CU_ASSERT_TRUE(estimate(&w).rps < SATURATION);
}

static void the_error_shrinks_with_what_is_seen(void)
{
    struct world w = begin(0.3);
    double early;

    serve(&w, 0.1, 40);
    serve(&w, 0.2, 40);
    early = estimate(&w).error_rps / estimate(&w).rps;
    serve_little(&w);
    CU_ASSERT_TRUE(estimate(&w).error_rps / estimate(&w).rps < early);
}

static void a_version_that_is_slower_is_followed_within_two_minutes(void)
{
    struct world w = begin(0.15);
    double truth = knee_of((LIMIT - IDLE) / (DEMAND_S * 1.4));

    serve_little(&w);
    w.demand_s *= 1.4;
    for (int i = 0; i < 12; i++)
        serve(&w, i % 2 ? 0.3 : 0.5, 10);
    CU_ASSERT_DOUBLE_EQUAL(estimate(&w).rps, truth, truth * 0.1);
}

static void one_that_is_faster_is_too(void)
{
    struct world w = begin(0.15);
    double full = (LIMIT - IDLE) / (DEMAND_S * 0.6), truth = knee_of(full);

    serve_little(&w);
    w.demand_s *= 0.6;
    for (int i = 0; i < 12; i++)
        serve(&w, i % 2 ? 0.3 : 0.5, 10);
    CU_ASSERT_DOUBLE_EQUAL(estimate(&w).rps, truth, truth * 0.1);
}

static void noise_alone_makes_nothing_be_forgotten(void)
{
    struct world w = begin(0.3);

    serve_little(&w);
    CU_ASSERT_TRUE(w.capacity.demand.seconds > 300);
}

static void without_a_limit_it_is_one_core_or_what_was_used(void)
{
    struct world w = begin(0);

    w.limit_cores = 1; /* of which nothing is told */
    serve_little(&w);
    w.capacity.limit_cores = 0;
    CU_ASSERT_DOUBLE_EQUAL(estimate(&w).saturation_rps, (1 - IDLE) / DEMAND_S, 3);
    w.capacity.most_cores = 2;
    CU_ASSERT_DOUBLE_EQUAL(estimate(&w).saturation_rps, (2 - IDLE) / DEMAND_S, 6);
}

static void what_is_slow_by_itself_is_no_reason_for_ever_more_instances(void)
{
    struct world w = begin(0.1);

    serve_little(&w);
    w.capacity.seen_rps = 0; /* by that objective */
    CU_ASSERT_DOUBLE_EQUAL(pmo_capacity_estimate(&w.capacity, 0.001, LATE).rps, SATURATION / 2,
                           SATURATION / 50);
}

static void an_overload_is_no_part_of_the_curve(void)
{
    struct world w = begin(0.05);
    struct pmo_capacity_second full = {.answered = SATURATION,
                                       .cpu_s = LIMIT,
                                       .limit_cores = LIMIT,
                                       .latency_s = 9,
                                       .late = 1,
                                       .ready = 1};
    double before;

    serve_little(&w);
    before = estimate(&w).rps;
    for (int i = 0; i < 30; i++)
        pmo_capacity_observe(&w.capacity, ++w.t, &full, OBJECTIVE_S, LATE);
    full.answered /= 2; /* what piled up is still there */
    full.cpu_s /= 2;
    pmo_capacity_observe(&w.capacity, ++w.t, &full, OBJECTIVE_S, LATE);
    CU_ASSERT_DOUBLE_EQUAL(estimate(&w).rps, before, before * 0.05);
}

static void what_was_seen_in_time_is_no_more_than_capacity(void)
{
    struct world w = begin(0);
    struct pmo_capacity_second second = {.answered = 0.95 * SATURATION,
                                         .cpu_s = 0.95 * (LIMIT - IDLE) + IDLE,
                                         .limit_cores = LIMIT,
                                         .latency_s = 0.1,
                                         .late = 0,
                                         .ready = 1};

    serve_little(&w);
    CU_ASSERT_TRUE(estimate(&w).rps < 0.85 * SATURATION);
    for (int i = 0; i < 60; i++) /* its waits are shorter than thought */
        pmo_capacity_observe(&w.capacity, ++w.t, &second, OBJECTIVE_S, LATE);
    CU_ASSERT_DOUBLE_EQUAL(estimate(&w).rps, 0.95 * SATURATION, 1);
    second.late = 0.1;
    pmo_capacity_observe(&w.capacity, ++w.t, &second, OBJECTIVE_S, LATE);
    CU_ASSERT_EQUAL(w.capacity.well_rps, 0);
}

static void what_cannot_be_measured_teaches_nothing(void)
{
    struct world w = begin(0);
    struct pmo_capacity before;
    struct pmo_capacity_second unknown = {.answered = 10, .cpu_s = NAN, .ready = 1};

    serve_little(&w);
    before = w.capacity;
    pmo_capacity_observe(&w.capacity, w.t + 1, &unknown, OBJECTIVE_S, LATE);
    unknown.cpu_s = 1;
    unknown.ready = 0;
    pmo_capacity_observe(&w.capacity, w.t + 2, &unknown, OBJECTIVE_S, LATE);
    CU_ASSERT_EQUAL(memcmp(&before, &w.capacity, sizeof(before)), 0);
    CU_ASSERT_TRUE(sizeof(before) < 4096);
}

static void what_is_stated_holds_until_evidence_speaks_against_it(void)
{
    struct pmo_capacity_estimate learned = {
        .rps = 40, .error_rps = 2, .saturation_rps = 50, .saturation_error_rps = 1, .seen_rps = 50};

    CU_ASSERT_EQUAL(pmo_capacity_planned(&learned, 35), 35);
    CU_ASSERT_EQUAL(pmo_capacity_planned(&learned, 52), 52);
    CU_ASSERT_EQUAL(pmo_capacity_planned(&learned, 60), 53);
    CU_ASSERT_EQUAL(pmo_capacity_planned(&learned, 20), 34);
    learned.seen_rps = 25; /* never more than was seen to be served */
    CU_ASSERT_EQUAL(pmo_capacity_planned(&learned, 20), 25);
    learned.seen_rps = 10;
    CU_ASSERT_EQUAL(pmo_capacity_planned(&learned, 20), 20);
    CU_ASSERT_DOUBLE_EQUAL(pmo_capacity_planned(&learned, 0), 40 - 1.645 * 2, 1e-9);
}

SUITE(capacity) = {
    TEST(nothing_is_known_at_first),
    TEST(without_noise_demand_is_what_the_utilisation_law_says),
    TEST(the_knee_is_found_from_loads_far_below_it),
    TEST(one_load_all_the_time_gives_a_cautious_value),
    TEST(the_error_shrinks_with_what_is_seen),
    TEST(a_version_that_is_slower_is_followed_within_two_minutes),
    TEST(one_that_is_faster_is_too),
    TEST(noise_alone_makes_nothing_be_forgotten),
    TEST(without_a_limit_it_is_one_core_or_what_was_used),
    TEST(what_is_slow_by_itself_is_no_reason_for_ever_more_instances),
    TEST(an_overload_is_no_part_of_the_curve),
    TEST(what_was_seen_in_time_is_no_more_than_capacity),
    TEST(what_cannot_be_measured_teaches_nothing),
    TEST(what_is_stated_holds_until_evidence_speaks_against_it),
    {0},
};
