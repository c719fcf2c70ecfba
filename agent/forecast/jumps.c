/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/jumps.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "agent/forecast/bounds.h"

/* Detection: the mean of the last FAST seconds against the BASE seconds before. */
#define FAST        5U
#define BASE        60U
#define BASE_MIN    30U   /* of which so many must be known */
#define RATIO       1.5F  /* between the two, at least; */
#define RATIO_OF    0.6F  /* and this share of how far jumps have gone (of the logarithm), */
#define RATIO_UP    2.0F  /* up to here, */
#define RATIO_AFTER 10.0F /* once there have been so many */
#define NOISE       5.0F  /* standard errors of FAST seconds between the two, at least */

#define MEMORY_HOURS  336.0F  /* two weeks */
#define MEMORY_JUMPS  0.99F   /* of a factor and of a profile, at each jump */
#define PRIOR_PASSED  8640.0F /* bins in which one jump happened before anything was seen: a day */
#define PRIOR_HOURS   3.0F    /* so many passes of a bin had the rate of all bins */
#define PRIOR         1.0F /* so many jumps were expected, and happened, in each bin of a factor */
#define BESIDE        0.2F /* of a bin's jumps might as well have been in the one before, or after */
#define RATE_MAX      0.9F
#define COLD_VARIANCE 0.06F  /* of a logarithm, where one jump is all that was seen */
#define NEGLIGIBLE    0.001F /* probability of a jump */
#define LEVEL_FOR     30     /* seconds whose mean a jump is counted from */
#define TAKEN_IN      40.0F  /* seconds after which the models have taken a jump in */
#define OFF           0.5F   /* of how far this jump is off its profile, what stays */
#define NEVER         INT64_MIN

void pmo_jumps_init(struct pmo_jumps *jumps)
{
    jumps->last = jumps->bin = jumps->last_up = jumps->detected = NEVER;
}

static size_t hour_bin(int64_t bin)
{
    int64_t at = bin % PMO_JUMP_HOUR_BINS;

    return (size_t)(at < 0 ? at + PMO_JUMP_HOUR_BINS : at);
}

static size_t day_bin(int64_t t)
{
    int64_t at = t % 86400;

    return (size_t)((at < 0 ? at + 86400 : at) / (86400 / PMO_JUMP_DAY_BINS));
}

/* Quarters of an octave, from one minute on. */
static size_t elapsed_bin(const struct pmo_jumps *jumps, int64_t t)
{
    float minutes;

    if (jumps->last_up == NEVER)
        return PMO_JUMP_ELAPSED_BINS - 1;
    minutes = (float)(t - jumps->last_up) / 60;
    return (size_t)fminf(4 * log2f(pmo_at_least(1, minutes)), PMO_JUMP_ELAPSED_BINS - 1);
}

static float factor(const struct pmo_jump_factor *factor)
{
    return (factor->happened + PRIOR) / (factor->expected + PRIOR);
}

/* A jump a little earlier or later than a half hour's others may fall into the one beside it. */
static float day_factor(const struct pmo_jump_factor day[PMO_JUMP_DAY_BINS], size_t at)
{
    const struct pmo_jump_factor *before = &day[at ? at - 1 : PMO_JUMP_DAY_BINS - 1];
    const struct pmo_jump_factor *after = &day[at + 1 < PMO_JUMP_DAY_BINS ? at + 1 : 0];
    const struct pmo_jump_factor all = {
        .happened = day[at].happened + BESIDE * (before->happened + after->happened),
        .expected = day[at].expected + BESIDE * (before->expected + after->expected),
    };

    return factor(&all);
}

/* Rate of jumps in each pass of an hour's bin. */
static float hour_rate(const struct pmo_jumps *jumps, unsigned int kind, int64_t bin)
{
    const float *happened = jumps->kind[kind].happened;
    size_t at = hour_bin(bin), before = hour_bin(bin - 1), after = hour_bin(bin + 1);
    float prior = (jumps->kind[kind].happened_all + 1) / (jumps->passed_all + PMO_JUMP_HOUR_BINS);

    return ((1 - 2 * BESIDE) * happened[at] + BESIDE * (happened[before] + happened[after]) +
            PRIOR_HOURS * prior) /
           (jumps->passed[at] + PRIOR_HOURS);
}

static bool is_under_way(const struct pmo_jumps *jumps, int64_t t)
{
    return jumps->detected != NEVER && t - jumps->detected <= PMO_JUMP_AFTER;
}

/* A bin is over in which a jump might have begun. */
static void close_bin(struct pmo_jumps *jumps, int64_t bin)
{
    int64_t middle = bin * PMO_JUMP_BIN + PMO_JUMP_BIN / 2;
    size_t at = hour_bin(bin);
    const float keep = 1 - 1 / MEMORY_HOURS;

    for (unsigned int kind = 0; kind < PMO_JUMP_DIRECTIONS; kind++) {
        struct pmo_jump_factor *day = &jumps->kind[kind].day[day_bin(middle)];
        struct pmo_jump_factor *elapsed = &jumps->kind[kind].elapsed[elapsed_bin(jumps, middle)];
        float rate = hour_rate(jumps, kind, bin),
              of_day = day_factor(jumps->kind[kind].day, day_bin(middle)),
              of_rest = factor(elapsed);

        if (!is_under_way(jumps, middle)) {
            day->expected += rate * of_rest;
            elapsed->expected += rate * of_day;
        }
        jumps->kind[kind].happened_all -= (1 - keep) * jumps->kind[kind].happened[at];
        jumps->kind[kind].happened[at] *= keep;
    }
    jumps->passed_all += 1 - (1 - keep) * jumps->passed[at];
    jumps->passed[at] = keep * jumps->passed[at] + 1;
}

static float mean_of(const struct pmo_recent *recent, int64_t from, int64_t to, float *variance,
                     unsigned int least)
{
    float sum = 0, squares = 0, n = 0;

    for (int64_t t = from; t <= to; t++) {
        float y = pmo_recent_at(recent, t);

        if (isnan(y))
            continue;
        sum += y;
        squares += y * y;
        n++;
    }
    if (n < (float)least)
        return NAN;
    if (variance)
        *variance = fmaxf(squares / n - sum / n * (sum / n), 0);
    return sum / n;
}

static void learn_profile(struct pmo_jumps *jumps, const struct pmo_recent *recent)
{
    float *profiles = &jumps->kind[jumps->under_way].profiles;

    *profiles = *profiles * MEMORY_JUMPS + 1;
    for (int i = 0; i < PMO_JUMP_PROFILE; i++) {
        int64_t from = jumps->detected - PMO_JUMP_BEFORE + (int64_t)i * PMO_JUMP_STEP;
        float level = mean_of(recent, from, from + PMO_JUMP_STEP - 1, NULL, 1), off;
        float share = 1 / *profiles;
        float *mean = &jumps->kind[jumps->under_way].profile[i].mean;
        float *variance = &jumps->kind[jumps->under_way].profile[i].variance;

        if (isnan(level))
            continue;
        off = logf((level + 1) / (jumps->before + 1)) - *mean;
        *mean += share * off;
        *variance = (1 - share) * (*variance + share * off * off);
    }
}

static void happen(struct pmo_jumps *jumps, unsigned int kind, int64_t t, float before)
{
    struct pmo_jump_factor *day = &jumps->kind[kind].day[day_bin(t)];
    struct pmo_jump_factor *elapsed = &jumps->kind[kind].elapsed[elapsed_bin(jumps, t)];

    for (size_t i = 0; i < PMO_JUMP_DAY_BINS; i++) {
        jumps->kind[kind].day[i].happened *= MEMORY_JUMPS;
        jumps->kind[kind].day[i].expected *= MEMORY_JUMPS;
    }
    for (size_t i = 0; i < PMO_JUMP_ELAPSED_BINS; i++) {
        jumps->kind[kind].elapsed[i].happened *= MEMORY_JUMPS;
        jumps->kind[kind].elapsed[i].expected *= MEMORY_JUMPS;
    }
    day->happened++;
    elapsed->happened++;
    jumps->kind[kind].happened[hour_bin(jumps->bin)]++;
    jumps->kind[kind].happened_all++;
    jumps->detected = t;
    jumps->under_way = kind;
    jumps->before = before;
    if (kind == PMO_JUMP_UP)
        jumps->last_up = t;
}

/* Where the load trebles at times, half as much again is something else, which comes at other times
 * and goes less far. */
static float least_ratio(const struct pmo_jumps *jumps, unsigned int kind)
{
    float furthest = 0;

    if (jumps->kind[kind].profiles < RATIO_AFTER)
        return RATIO;
    for (int i = 0; i < PMO_JUMP_PROFILE; i++)
        furthest = fmaxf(furthest, fabsf(jumps->kind[kind].profile[i].mean));
    return fminf(fmaxf(expf(RATIO_OF * furthest), RATIO), RATIO_UP);
}

static void detect(struct pmo_jumps *jumps, const struct pmo_recent *recent, int64_t t)
{
    float variance = 0, now = mean_of(recent, t - FAST + 1, t, NULL, FAST);
    float before = mean_of(recent, t - FAST - BASE + 1, t - FAST, &variance, BASE_MIN);
    float noise = NOISE * sqrtf((variance + 1) / FAST);

    if (!(fabsf(now - before) > noise))
        return;
    if (now > least_ratio(jumps, PMO_JUMP_UP) * fmaxf(before, jumps->expected))
        happen(jumps, PMO_JUMP_UP, t, before);
    else if (fminf(before, jumps->expected) > least_ratio(jumps, PMO_JUMP_DOWN) * now)
        happen(jumps, PMO_JUMP_DOWN, t, before);
}

void pmo_jumps_observe(struct pmo_jumps *jumps, const struct pmo_recent *recent, int64_t t,
                       float expected)
{
    int64_t bin = (t >= 0 ? t : t - PMO_JUMP_BIN + 1) / PMO_JUMP_BIN;

    if (bin != jumps->bin) {
        if (jumps->seconds > PMO_JUMP_BIN / 2)
            close_bin(jumps, jumps->bin);
        jumps->bin = bin;
        jumps->seconds = 0;
    }
    jumps->seconds++;
    jumps->last = t;
    if (isnan(expected))
        expected = pmo_recent_at(recent, t);
    jumps->expected += (expected - jumps->expected) / FAST;
    if (is_under_way(jumps, t))
        return;
    if (jumps->detected != NEVER) {
        learn_profile(jumps, recent);
        jumps->detected = NEVER;
    }
    detect(jumps, recent, t);
}

/* The probability of a jump in each bin from the current one on. */
#define BINS_AHEAD ((PMO_HORIZONS + PMO_JUMP_BEFORE) / (int)PMO_JUMP_BIN + 2)

static float bins_ahead(const struct pmo_jumps *jumps, float ahead[PMO_JUMP_DIRECTIONS][BINS_AHEAD])
{
    float none = 1; /* probability of no jump so far */

    for (int i = 0; i < BINS_AHEAD; i++) {
        int64_t bin = jumps->bin + i, middle = bin * PMO_JUMP_BIN + PMO_JUMP_BIN / 2;
        float left = i ? 1 : (float)((bin + 1) * PMO_JUMP_BIN - 1 - jumps->last) / PMO_JUMP_BIN;
        float rate[PMO_JUMP_DIRECTIONS], sum = 0;

        for (unsigned int kind = 0; kind < PMO_JUMP_DIRECTIONS; kind++) {
            rate[kind] = 0;
            if (jumps->kind[kind].profiles >= 1 && !is_under_way(jumps, middle))
                rate[kind] = left * hour_rate(jumps, kind, bin) *
                             day_factor(jumps->kind[kind].day, day_bin(middle)) *
                             factor(&jumps->kind[kind].elapsed[elapsed_bin(jumps, middle)]);
            sum += rate[kind];
        }
        for (unsigned int kind = 0; kind < PMO_JUMP_DIRECTIONS; kind++)
            ahead[kind][i] = none * rate[kind] / pmo_at_least(1, sum / RATE_MAX);
        none *= 1 - pmo_at_most(RATE_MAX, sum);
    }
    return 1 - none;
}

/* What is known of one direction for the seconds to come: the probability that its jump is detected
 * in each of them. */
struct coming {
    float in[PMO_HORIZONS + PMO_JUMP_BEFORE]; /* index 0: one second ahead */
};

static void spread(const struct pmo_jumps *jumps, const float ahead[BINS_AHEAD],
                   struct coming *coming)
{
    int64_t t = jumps->last + 1, end = (jumps->bin + 1) * PMO_JUMP_BIN;
    int i = 0, bin = t >= end;

    while (i < PMO_HORIZONS + PMO_JUMP_BEFORE) {
        int seconds = bin ? (int)PMO_JUMP_BIN : (int)(end - t);

        for (int k = 0; k < seconds && i < PMO_HORIZONS + PMO_JUMP_BEFORE; k++)
            coming->in[i++] = ahead[bin] / (float)seconds;
        bin++;
    }
}

static float bell(float mean, float deviation, float ratio_variance)
{
    return sqrtf(deviation * deviation * ratio_variance +
                 pmo_at_least(1, mean)); /* and counts' noise */
}

/* The second in which a jump is detected whose profile's first step has its middle in last + @h;
 * its step i has, where it is detected i steps earlier. Of the seconds to come, 0 is the first. */
static int detected_for(int h)
{
    return h - 1 + PMO_JUMP_BEFORE - PMO_JUMP_STEP / 2;
}

/* Is the outlook of second last + @h that of the second before? It changes where a step further
 * of the profile is reached, and where a bin ends: bins are whole numbers of steps. */
static bool is_as_before(const struct pmo_jumps *jumps, int h)
{
    int end = (int)((jumps->bin + 1) * PMO_JUMP_BIN - (jumps->last + 1)); /* of the current bin */

    return detected_for(h) % PMO_JUMP_STEP != 0 && (detected_for(h) - end) % PMO_JUMP_STEP != 0;
}

/* Second last + @h, over all seconds in which the jump may be detected. */
static void outlook_at(const struct pmo_jumps *jumps, unsigned int kind,
                       const struct coming *coming, float level, int h,
                       struct pmo_jump_outlook *outlook)
{
    float all = 0, mean = 0, squares = 0, ratio;

    for (int i = 0; i < PMO_JUMP_PROFILE; i++) {
        int at = detected_for(h) - i * PMO_JUMP_STEP;
        float probability, log_ratio = jumps->kind[kind].profile[i].mean;

        if (at < 0)
            break;
        probability = PMO_JUMP_STEP * coming->in[at];
        all += probability;
        mean += probability * log_ratio;
        squares += probability * (log_ratio * log_ratio + jumps->kind[kind].profile[i].variance);
    }
    outlook->probability = all < NEGLIGIBLE ? 0 : pmo_at_most(RATE_MAX, all);
    if (all < NEGLIGIBLE)
        return;
    mean /= all;
    ratio = (level + 1) * expf(mean);
    outlook->mean = ratio - 1;
    outlook->deviation = bell(outlook->mean, ratio,
                              pmo_at_least(0, squares / all - mean * mean) +
                                  COLD_VARIANCE / jumps->kind[kind].profiles);
}

/* While a jump is under way, its profile goes before what the models say, which have yet to take it
 * in; less from second to second. */
static void predict_under_way(const struct pmo_jumps *jumps, const struct pmo_recent *recent,
                              struct pmo_jump_outlook outlook[PMO_JUMP_DIRECTIONS][PMO_HORIZONS])
{
    const unsigned int kind = jumps->under_way;
    int age = (int)(jumps->last - jumps->detected);
    int now = (age - PMO_JUMP_STEP / 2 + PMO_JUMP_BEFORE) / PMO_JUMP_STEP;
    float weight = 1 - (float)age / TAKEN_IN, off, level;

    if (jumps->kind[kind].profiles < 1 || weight <= 0)
        return;
    level = mean_of(recent, jumps->last - FAST + 1, jumps->last, NULL, 1);
    off = logf((level + 1) / (jumps->before + 1)) - jumps->kind[kind].profile[now].mean;
    for (int h = 1; h <= PMO_HORIZONS; h++) {
        int i = (age + h + PMO_JUMP_BEFORE) / PMO_JUMP_STEP;
        float ratio;

        if (h > 1 && (age + h + PMO_JUMP_BEFORE) % PMO_JUMP_STEP != 0) { /* the same step */
            outlook[kind][h - 1] = outlook[kind][h - 2];
            continue;
        }
        if (i >= PMO_JUMP_PROFILE)
            i = PMO_JUMP_PROFILE - 1;
        ratio = (jumps->before + 1) * expf(jumps->kind[kind].profile[i].mean + OFF * off);
        outlook[kind][h - 1].probability = weight;
        outlook[kind][h - 1].mean = ratio - 1;
        outlook[kind][h - 1].deviation = bell(ratio - 1, ratio,
                                              jumps->kind[kind].profile[i].variance +
                                                  COLD_VARIANCE / jumps->kind[kind].profiles);
    }
}

void pmo_jumps_predict(const struct pmo_jumps *jumps, const struct pmo_recent *recent,
                       struct pmo_jump_outlook outlook[PMO_JUMP_DIRECTIONS][PMO_HORIZONS])
{
    float ahead[PMO_JUMP_DIRECTIONS][BINS_AHEAD], level;

    for (unsigned int kind = 0; kind < PMO_JUMP_DIRECTIONS; kind++)
        for (int h = 0; h < PMO_HORIZONS; h++)
            outlook[kind][h].probability = 0;
    if (is_under_way(jumps, jumps->last)) {
        predict_under_way(jumps, recent, outlook);
        return;
    }
    if (bins_ahead(jumps, ahead) < NEGLIGIBLE)
        return;
    level = pmo_recent_mean(recent, LEVEL_FOR);
    for (unsigned int kind = 0; kind < PMO_JUMP_DIRECTIONS; kind++) {
        struct coming coming;

        if (jumps->kind[kind].profiles < 1)
            continue;
        spread(jumps, ahead[kind], &coming);
        for (int h = 1; h <= PMO_HORIZONS; h++)
            if (h > 1 && is_as_before(jumps, h))
                outlook[kind][h - 1] = outlook[kind][h - 2];
            else
                outlook_at(jumps, kind, &coming, level, h, &outlook[kind][h - 1]);
    }
}
