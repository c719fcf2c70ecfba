/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/effects.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/random.h"
#include "tests/unit/suite.h"

#define EVERY    1800 /* seconds between two events */
#define DURATION 120U

/* A world with one event every EVERY seconds, whose load is `level` times the effect. */
struct world {
    struct pmo_effects effects;
    struct pmo_effect_event event; /* the next, or the one that runs */
    double level, wander;          /* standard deviation of the level's logarithm in a second */
    double effect_log;             /* of strength 1, during the event */
    double scale;
    int64_t t;
};

static struct world world_new(double level, double effect_log)
{
    struct world w = {.level = level, .effect_log = effect_log, .scale = 1};

    pmo_effects_init(&w.effects);
    w.event = (struct pmo_effect_event){.kind = pmo_effect_kind("newsletter"),
                                        .duration_s = DURATION,
                                        .start = EVERY / 2,
                                        .strength = 1,
                                        .guess_log = NAN};
    return w;
}

static double rate(const struct world *w, int64_t t)
{
    bool on = t >= w->event.start && t < w->event.start + w->event.duration_s;

    return w->level * (on ? exp((double)w->event.strength * w->effect_log) : 1);
}

static void run(struct world *w, int64_t until)
{
    for (; w->t < until; w->t++) {
        if (w->t > w->event.start + w->event.duration_s + PMO_EFFECT_FADE_S)
            w->event.start += EVERY;
        w->level *= exp(w->wander * normal());
        pmo_effects_learn(&w->effects, w->t, w->scale * poisson(rate(w, w->t)), &w->event, 1);
    }
}

static double factor_at(const struct world *w, int64_t after_start, double *sd_log)
{
    double factor;

    (void)pmo_effects_factor(&w->effects, &w->event, w->event.start + after_start, &factor, sd_log);
    return factor;
}

static void a_known_effect_is_recovered_from_noisy_counts(void)
{
    static const double levels[] = {5, 50, 1000};

    random_state = 1;
    for (size_t i = 0; i < 3; i++) {
        struct world w = world_new(levels[i], log(2));
        double sd;

        run(&w, 12 * EVERY);
        CU_ASSERT_EQUAL(pmo_effects_seen(&w.effects, w.event.kind), 12);
        for (int64_t at = 0; at < DURATION; at++)
            CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, at, &sd), 2, levels[i] < 10 ? 0.7 : 0.3);
        CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, 60, &sd), 2, levels[i] < 10 ? 0.3 : 0.15);
        CU_ASSERT(sd > 0 && sd < 0.35);
        CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, -30, &sd), 1, 0.1);
        CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, DURATION + 20, &sd), 1, 0.15);
        CU_ASSERT_EQUAL(factor_at(&w, -PMO_EFFECT_LEAD_S - 1, &sd), 1);
        CU_ASSERT_EQUAL(factor_at(&w, DURATION + PMO_EFFECT_FADE_S, &sd), 1);
    }
}

static void three_events_are_enough_and_one_says_something(void)
{
    struct world w = world_new(100, log(3));
    double sd;

    random_state = 2;
    run(&w, EVERY);
    CU_ASSERT_EQUAL(pmo_effects_seen(&w.effects, w.event.kind), 1);
    CU_ASSERT(factor_at(&w, 60, &sd) > 1.8);
    CU_ASSERT(sd > 0.2); /* the next one may be different */
    run(&w, 3 * EVERY);
    CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, 60, &sd), 3, 0.5);
}

static void events_without_effect_have_none(void)
{
    double worst = 0;

    random_state = 3;
    for (int i = 0; i < 20; i++) {
        struct world w = world_new(i % 2 ? 20 : 200, 0);
        double sd;

        w.wander = 0.003; /* 18 % an hour, at random */
        run(&w, (2 + i) * EVERY);
        for (int64_t at = -60; at < 240; at += 5)
            worst = fmax(worst, fabs(log(factor_at(&w, at, &sd))));
    }
    CU_ASSERT(worst < 0.2);
    if (worst >= 0.2)
        printf("\n    worst %f\n", worst);
}

static void ten_times_the_load_has_the_same_factors(void)
{
    struct world a = world_new(300, log(0.5)), b = world_new(300, log(0.5));
    double sd_a, sd_b;

    random_state = 4;
    run(&a, 6 * EVERY);
    b.scale = 10;
    random_state = 4;
    run(&b, 6 * EVERY);
    for (int64_t at = -60; at < 300; at += 7) {
        CU_ASSERT_DOUBLE_EQUAL(factor_at(&a, at, &sd_a), factor_at(&b, at, &sd_b), 0.01);
        CU_ASSERT_DOUBLE_EQUAL(sd_a, sd_b, 0.01);
    }
    CU_ASSERT_DOUBLE_EQUAL(factor_at(&a, 60, &sd_a), 0.5, 0.1);
}

static void a_first_guess_holds_until_events_speak(void)
{
    struct world w = world_new(100, log(4));
    double sd, one, many, first;

    random_state = 5;
    w.event.guess_log = (float)log(2);
    first = factor_at(&w, 60, &sd);
    CU_ASSERT_DOUBLE_EQUAL(first, 2, 1e-5);
    CU_ASSERT_DOUBLE_EQUAL(sd, 0.5, 1e-5);
    CU_ASSERT_EQUAL(factor_at(&w, -10, &sd), 1);
    run(&w, EVERY);
    one = factor_at(&w, 60, &sd);
    run(&w, 8 * EVERY);
    many = factor_at(&w, 60, &sd);
    CU_ASSERT(one > 2.5 && one < 4);
    CU_ASSERT_DOUBLE_EQUAL(many, 4, 0.5);
    /* a guess that was wrong goes, too */
    w = world_new(100, 0);
    w.event.guess_log = (float)log(3);
    run(&w, 8 * EVERY);
    CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, 60, &sd), 1, 0.15);
}

static void strength_multiplies_the_logarithm(void)
{
    struct world w = world_new(200, log(2));
    double sd;

    random_state = 6;
    for (int i = 1; i < 10; i++) {
        w.event.strength = i % 2 ? 1 : 2;
        run(&w, i * EVERY);
    }
    w.event.strength = 1;
    CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, 60, &sd), 2, 0.2);
    w.event.strength = 2;
    CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, 60, &sd), 4, 0.8);
}

static void two_kinds_at_once_are_told_apart(void)
{
    struct pmo_effects effects;
    struct pmo_effect_event events[2] = {
        {pmo_effect_kind("sale"), 300, 600, 1, NAN},
        {pmo_effect_kind("news"), 300, 600, 1, NAN},
    };
    double factor, sd;

    random_state = 7;
    pmo_effects_init(&effects);
    for (int64_t t = 0; t < 30 * EVERY; t++) {
        double load = 100;

        if (t == events[0].start + 1000)
            events[0].start += EVERY;
        if (t == events[1].start + 1000) /* now in, now beside the other */
            events[1].start += EVERY + (t / EVERY % 2 ? 200 : -200);
        for (int i = 0; i < 2; i++)
            if (t >= events[i].start && t < events[i].start + 300)
                load *= i ? 3 : 0.5;
        pmo_effects_learn(&effects, t, poisson(load), events, 2);
    }
    (void)pmo_effects_factor(&effects, &events[0], events[0].start + 150, &factor, &sd);
    CU_ASSERT_DOUBLE_EQUAL(factor, 0.5, 0.12);
    (void)pmo_effects_factor(&effects, &events[1], events[1].start + 150, &factor, &sd);
    CU_ASSERT_DOUBLE_EQUAL(factor, 3, 0.5);
}

static void forecasts_follow_the_event_and_what_it_is_like_this_time(void)
{
    struct world w = world_new(100, log(2));
    float mean[PMO_HORIZONS], sd[PMO_HORIZONS];

    random_state = 8;
    run(&w, 10 * EVERY);
    w.event.start += EVERY;
    run(&w, w.event.start - 31);
    pmo_effects_predict(&w.effects, w.t - 1, 100, &w.event, 1, mean, sd);
    for (int h = 0; h < 60; h++) /* half a minute as it is, half a minute of the event */
        CU_ASSERT_DOUBLE_EQUAL(mean[h], h < 31 ? 100 : 200, h < 31 ? 15 : 30);
    /* this one is twice as strong */
    w.effect_log = log(4);
    run(&w, w.event.start + 40);
    pmo_effects_predict(&w.effects, w.t - 1, 100, &w.event, 1, mean, sd);
    CU_ASSERT_DOUBLE_EQUAL(mean[0], 400, 80);
    /* nothing within a minute */
    w.event.start += EVERY;
    pmo_effects_predict(&w.effects, w.t - 1, 100, &w.event, 1, mean, sd);
    CU_ASSERT(isnan(mean[0]) && isnan(mean[59]));
}

static void an_event_that_is_told_late_is_learned_from_all_the_same(void)
{
    struct world w = world_new(100, log(2));
    struct pmo_effect_event later;
    double sd;

    random_state = 9;
    for (int i = 0; i < 8; i++)
        for (; w.t < (i + 1) * EVERY; w.t++) {
            bool told = w.t > w.event.start + 45;

            if (w.t > w.event.start + DURATION + PMO_EFFECT_FADE_S)
                w.event.start += EVERY;
            pmo_effects_learn(&w.effects, w.t, poisson(rate(&w, w.t)), &w.event, told);
        }
    CU_ASSERT_EQUAL(pmo_effects_seen(&w.effects, w.event.kind), 8);
    CU_ASSERT_DOUBLE_EQUAL(factor_at(&w, 90, &sd), 2, 0.2);
    later = w.event;
    later.kind = pmo_effect_kind("other");
    CU_ASSERT_EQUAL(pmo_effects_seen(&w.effects, later.kind), 0);
}

static void kinds_are_bounded_and_the_oldest_gives_way(void)
{
    struct world w = world_new(100, log(2));
    char name[32];

    random_state = 10;
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "kind-%d", i);
        w.event.kind = pmo_effect_kind(name);
        run(&w, (i + 1) * EVERY);
    }
    CU_ASSERT_EQUAL(pmo_effects_seen(&w.effects, pmo_effect_kind("kind-0")), 0);
    CU_ASSERT_EQUAL(pmo_effects_seen(&w.effects, pmo_effect_kind("kind-4")), 1);
    CU_ASSERT_EQUAL(pmo_effects_seen(&w.effects, pmo_effect_kind("kind-19")), 1);
    CU_ASSERT(sizeof(struct pmo_effects) <= 4096);
}

static void whatever_comes_in_the_factors_stay_numbers(void)
{
    struct pmo_effect_event events[12];
    struct pmo_effects effects;
    float mean[PMO_HORIZONS], sd[PMO_HORIZONS];

    random_state = 11;
    pmo_effects_init(&effects);
    for (int64_t t = -5000; t < 20000; t += uniform() < 0.1 ? 90 : 1) {
        for (size_t i = 0; i < 12; i++)
            if (t == -5000 || uniform() < 0.005)
                events[i] = (struct pmo_effect_event){
                    1 + (uint32_t)(uniform() * 30), (uint32_t)(uniform() * 1000),
                    t + (int64_t)(uniform() * 200 - 100), (float)(uniform() * 5),
                    uniform() < 0.5 ? NAN : (float)normal()};
        pmo_effects_learn(&effects, t, uniform() < 0.3 ? 0 : 1e6 * uniform(), events, 12);
        pmo_effects_predict(&effects, t, 0, events, 12, mean, sd);
        for (int h = 0; h < 60; h++)
            if (isinf(mean[h]) || mean[h] < 0 || isinf(sd[h]) || isnan(mean[h]) != isnan(sd[h]))
                CU_FAIL_FATAL("not a number");
    }
    CU_PASS("all were numbers");
}

SUITE(effects) = {
    TEST(a_known_effect_is_recovered_from_noisy_counts),
    TEST(three_events_are_enough_and_one_says_something),
    TEST(events_without_effect_have_none),
    TEST(ten_times_the_load_has_the_same_factors),
    TEST(a_first_guess_holds_until_events_speak),
    TEST(strength_multiplies_the_logarithm),
    TEST(two_kinds_at_once_are_told_apart),
    TEST(forecasts_follow_the_event_and_what_it_is_like_this_time),
    TEST(an_event_that_is_told_late_is_learned_from_all_the_same),
    TEST(kinds_are_bounded_and_the_oldest_gives_way),
    TEST(whatever_comes_in_the_factors_stay_numbers),
    {0},
};
