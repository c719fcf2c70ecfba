/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What events do to a series: for each kind, the logarithm of the load during it over the load
 * before, by phase, learned from its past events.
 *
 * A phase is where a second lies in the event: the minute before it, in four parts; its duration,
 * in 12 parts that grow with the square of their number, so that how it begins is told apart by
 * seconds and the rest is not; and how it fades (as long as it lasted, from one to ten minutes), in
 * eight that grow likewise. So events of one kind may last differently.
 *
 * One event gives one observation of each part: requests in it over those that the level before
 * the event would have given. How far such an observation can be trusted, the series itself has
 * told between events: how noisy a second is, and how its level drifts. What it varies beyond that,
 * events of the kind differ in (a random-effects model: DerSimonian and Laird 1986). What is
 * learned is shrunk: to the administrator's first guess, which counts like an observation that may
 * be off by a factor of 1.65, or, where nobody guessed, to no effect, as far as it could be noise
 * (James and Stein 1961, by the positive part; for each of before, during and after).
 *
 * Scale-free: ten times the load gives the same factors. Pure; bounded: PMO_EFFECT_KINDS kinds, of
 * which the one that was seen last the longest ago gives way. Less than 4 KiB.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/forecast/forecast.h"

#define PMO_EFFECT_KINDS  16
#define PMO_EFFECT_BEFORE 4 /* parts */
#define PMO_EFFECT_DURING 12
#define PMO_EFFECT_AFTER  8
#define PMO_EFFECT_PARTS  (PMO_EFFECT_BEFORE + PMO_EFFECT_DURING + PMO_EFFECT_AFTER)
#define PMO_EFFECT_LEAD_S 60  /* of an effect before its event */
#define PMO_EFFECT_FADE_S 600 /* at most, after it */
#define PMO_EFFECT_EVENTS 8   /* at once, in one series; what there is beyond is not looked at */
#define PMO_EFFECT_LEVELS 40  /* steps of 16 s: what is told of late has its level all the same */

/* One event, as far as a series is concerned. */
struct pmo_effect_event {
    uint32_t kind; /* pmo_effect_kind() */
    uint32_t duration_s;
    int64_t start;
    float strength;  /* multiplies the logarithm of the effect */
    float guess_log; /* logarithm of the effect that an administrator guessed; NAN: nobody has */
};

struct pmo_effect_kind_state {
    uint32_t kind;   /* 0: free */
    uint32_t events; /* learned from */
    int64_t last;    /* start of the last one */
    float between;   /* variance between events of the kind, of logarithms */
    float mean[PMO_EFFECT_PARTS];
    float precision[PMO_EFFECT_PARTS];
};

/* An event that goes on, or is about to. */
struct pmo_effect_running {
    uint32_t kind; /* 0: free */
    int32_t part;
    int64_t start;
    double base;          /* level before it; NAN: not known */
    double sum, expected; /* requests in this part, and what the level alone would have given */
    uint32_t seconds;     /* in this part */
    float seen, foreseen; /* the same lately, and what was foreseen by the effect */
};

struct pmo_effects {
    struct pmo_effect_kind_state kinds[PMO_EFFECT_KINDS];
    struct pmo_effect_running running[PMO_EFFECT_EVENTS];
    float
        level[PMO_EFFECT_LEVELS]; /* mean of each step of 16 s, by step mod LEVELS; NAN: unknown */
    int64_t step;                 /* that is being summed up */
    double step_sum;
    uint32_t step_seconds;
    uint32_t quiet; /* steps since the last event */
    float noise;    /* variance of a second around its level, over the level's square */
    float drift;    /* variance of the logarithm of the level, a second */
};
_Static_assert(sizeof(struct pmo_effects) <= 4096, "a series must stay small");

/* A kind's number, never 0. */
uint32_t pmo_effect_kind(const char *kind);

void pmo_effects_init(struct pmo_effects *effects);

/**
 * pmo_effects_learn - second @t had @y requests
 * @t: later than before; seconds may be missing
 * @events: those for which @t lies between PMO_EFFECT_LEAD_S before the start and PMO_EFFECT_FADE_S
 *   after the end (others may be among them); those of one kind and start count once
 */
void pmo_effects_learn(struct pmo_effects *effects, int64_t t, double y,
                       const struct pmo_effect_event *events, size_t count);

/**
 * pmo_effects_factor - what one event does to second @t
 * @factor: load over the load without it; 1 where nothing is known, or @t lies outside of it
 * @sd_log: standard deviation of its logarithm, for an event to come
 * Returns whether @t lies within the event.
 */
bool pmo_effects_factor(const struct pmo_effects *effects, const struct pmo_effect_event *event,
                        int64_t t, double *factor, double *sd_log);

/**
 * pmo_effects_predict - mean of second last + 1 + i into mean[i], as far as events shape it
 * @last: last second that was learned
 * @level: of the series now, where no event runs yet
 * @events: as known now; up to PMO_EFFECT_LEAD_S after the last horizon
 * NAN: no event touches that second, or nothing is known of those that do. @sd_log as above; may be
 * NULL.
 */
void pmo_effects_predict(const struct pmo_effects *effects, int64_t last, double level,
                         const struct pmo_effect_event *events, size_t count,
                         float mean[PMO_HORIZONS], float sd_log[PMO_HORIZONS]);

/* How many events of a kind were learned from. */
uint32_t pmo_effects_seen(const struct pmo_effects *effects, uint32_t kind);
