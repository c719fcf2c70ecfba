/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When will the level jump, how far, and how sure is that? A newsletter goes out at two minutes
 * past, a batch job starts each night, a match is over: the load doubles within seconds, and
 * nothing in the minute before shows it. What does is when it happened before.
 *
 * A jump is detected where the mean of the last seconds has left that of the minute before, and
 * what was expected, by a factor, and by far more than noise would. The factor is 1.5; after ten
 * jumps more where these have gone further, so that what is only half as much again, at any time,
 * does not blur when the load trebles. Jumps are counted by the second of the hour, in bins some
 * seconds wide, over how often each bin was passed. The rate of a bin to come is
 *
 *   rate(second of the hour) * factor(half hour of the day) * factor(time since the last one)
 *
 * the multiplicative intensity of survival analysis (Cox 1972; Aalen 1978), where a factor is the
 * number of jumps that happened over the number that the rest of the product expected, both pulled
 * towards 1. So a job of each night is found by its hour, one that rests between two runs by the
 * rest, and jumps without any order get a small rate everywhere.
 *
 * How far: the ratio to the level before, by the seconds since the jump was detected: mean and
 * variance of its logarithm over the jumps so far. Jumps down are kept like jumps up. Old ones are
 * forgotten in weeks.
 */
#pragma once

#include "agent/forecast/forecast.h"
#include "agent/forecast/recent.h"

#define PMO_JUMP_BIN          10U /* seconds */
#define PMO_JUMP_HOUR_BINS    360U
#define PMO_JUMP_DAY_BINS     48U
#define PMO_JUMP_ELAPSED_BINS 40U
#define PMO_JUMP_STEP         5  /* seconds of a profile's step; its first one is */
#define PMO_JUMP_BEFORE       15 /* seconds before the jump is detected */
#define PMO_JUMP_AFTER        60
#define PMO_JUMP_PROFILE      ((PMO_JUMP_BEFORE + PMO_JUMP_AFTER) / PMO_JUMP_STEP)

enum pmo_jump_direction { PMO_JUMP_UP, PMO_JUMP_DOWN, PMO_JUMP_DIRECTIONS };

struct pmo_jump_factor {
    float happened, expected; /* jumps */
};

struct pmo_jumps {
    int64_t last;                     /* second */
    int64_t bin;                      /* of the current second, since 1970 */
    unsigned int seconds;             /* known ones in it */
    float passed[PMO_JUMP_HOUR_BINS]; /* times, forgetting as the counts do */
    float passed_all;
    struct {
        float happened[PMO_JUMP_HOUR_BINS], happened_all;
        struct pmo_jump_factor day[PMO_JUMP_DAY_BINS], elapsed[PMO_JUMP_ELAPSED_BINS];
        struct {
            float mean, variance; /* of log(level / level before) */
        } profile[PMO_JUMP_PROFILE];
        float profiles; /* how many are in there, forgetting */
    } kind[PMO_JUMP_DIRECTIONS];
    int64_t last_up;        /* INT64_MIN: never */
    int64_t detected;       /* the jump under way, INT64_MIN: none */
    unsigned int under_way; /* its direction */
    float before;           /* level before it */
    float expected;         /* mean of what had been expected of the last seconds */
};

/* What may have become of the level by one second to come. */
struct pmo_jump_outlook {
    float probability; /* that it will have jumped; 0: the rest is not set */
    float mean, deviation;
};

void pmo_jumps_init(struct pmo_jumps *jumps);

/* Second @t is the last one of @recent; some seconds before, @expected requests had been expected
 * in it (NAN: unknown). What was expected is no jump. */
void pmo_jumps_observe(struct pmo_jumps *jumps, const struct pmo_recent *recent, int64_t t,
                       float expected);

/* What to reckon with in each of the next seconds, or with a probability of 0. */
void pmo_jumps_predict(const struct pmo_jumps *jumps, const struct pmo_recent *recent,
                       struct pmo_jump_outlook outlook[PMO_JUMP_DIRECTIONS][PMO_HORIZONS]);
