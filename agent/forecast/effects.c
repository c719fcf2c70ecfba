/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/effects.h"

#include <math.h>
#include <string.h>

#define STEP_S         16
#define FADE_MIN_S     60
#define FORGETTING     0.9F  /* an event counts this much when the next one has been learned from */
#define BETWEEN_FIRST  0.09F /* variance between events before there were two: 35 % either way */
#define GUESS_VARIANCE 0.25F /* of a first guess: a factor of 1.65 either way */
#define NONE_VARIANCE  1.0F  /* where nobody guessed, before James and Stein */
#define NOISE_FIRST    1.0F
#define DRIFT_FIRST    (0.04F / 60)
#define SLOWLY         0.02F /* share of what is new, for noise and drift */
#define LATELY         0.93  /* what was seen lately: 14 s */
#define TRUSTED_S      5.0   /* seconds of the level that speak against what was seen lately */
#define RATIO_LOG_MAX  5.0

uint32_t pmo_effect_kind(const char *kind)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (; *kind; kind++)
        hash = (hash ^ (unsigned char)*kind) * 16777619U;
    return hash ? hash : 1;
}

void pmo_effects_init(struct pmo_effects *effects)
{
    memset(effects, 0, sizeof(*effects));
    for (size_t i = 0; i < PMO_EFFECT_LEVELS; i++)
        effects->level[i] = NAN;
    effects->step = INT64_MIN;
    effects->noise = NOISE_FIRST;
    effects->drift = DRIFT_FIRST;
}

/* ---- phases ---------------------------------------------------------------------------------- */

static uint32_t fade_of(const struct pmo_effect_event *event)
{
    uint32_t fade = event->duration_s;

    return fade < FADE_MIN_S ? FADE_MIN_S : fade > PMO_EFFECT_FADE_S ? PMO_EFFECT_FADE_S : fade;
}

/* Part of @parts that grow with the square of their number, at @share (0..1) of the whole. */
static int part_at(double share, int parts)
{
    int part = (int)(sqrt(share) * parts);

    return part < parts ? part : parts - 1;
}

/* -1: outside of the event. */
static int part_of(const struct pmo_effect_event *event, int64_t t)
{
    int64_t at = t - event->start;
    uint32_t fade = fade_of(event);

    if (at < -PMO_EFFECT_LEAD_S)
        return -1;
    if (at < 0)
        return (int)(at + PMO_EFFECT_LEAD_S) * PMO_EFFECT_BEFORE / PMO_EFFECT_LEAD_S;
    if (at < event->duration_s)
        return PMO_EFFECT_BEFORE + part_at((double)at / event->duration_s, PMO_EFFECT_DURING);
    at -= event->duration_s;
    if (at >= fade)
        return -1;
    return PMO_EFFECT_BEFORE + PMO_EFFECT_DURING + part_at((double)at / fade, PMO_EFFECT_AFTER);
}

/* First part of before, during or after, and how many there are. */
static void group_of(int part, int *first, int *count)
{
    if (part < PMO_EFFECT_BEFORE) {
        *first = 0;
        *count = PMO_EFFECT_BEFORE;
    } else if (part < PMO_EFFECT_BEFORE + PMO_EFFECT_DURING) {
        *first = PMO_EFFECT_BEFORE;
        *count = PMO_EFFECT_DURING;
    } else {
        *first = PMO_EFFECT_BEFORE + PMO_EFFECT_DURING;
        *count = PMO_EFFECT_AFTER;
    }
}

/* A guess is about the event itself; it fades as it goes. */
static float guess_at(float guess_log, int part)
{
    const int after = PMO_EFFECT_BEFORE + PMO_EFFECT_DURING;

    if (isnan(guess_log) || part < PMO_EFFECT_BEFORE)
        return 0;
    if (part < after)
        return guess_log;
    return guess_log * (1 - (float)(part - after + 1) / (PMO_EFFECT_AFTER + 1));
}

/* ---- what is known of a kind ----------------------------------------------------------------- */

static const struct pmo_effect_kind_state *find_kind(const struct pmo_effects *effects,
                                                     uint32_t kind)
{
    for (size_t i = 0; i < PMO_EFFECT_KINDS; i++)
        if (effects->kinds[i].kind == kind)
            return &effects->kinds[i];
    return NULL;
}

/* The place of a kind, if need be that of the one that was seen last the longest ago. */
static struct pmo_effect_kind_state *kind_for(struct pmo_effects *effects, uint32_t kind)
{
    struct pmo_effect_kind_state *found = (struct pmo_effect_kind_state *)find_kind(effects, kind);

    if (found)
        return found;
    found = &effects->kinds[0];
    for (size_t i = 1; found->kind && i < PMO_EFFECT_KINDS; i++)
        if (!effects->kinds[i].kind || effects->kinds[i].last < found->last)
            found = &effects->kinds[i];
    *found = (struct pmo_effect_kind_state){.kind = kind, .between = BETWEEN_FIRST};
    return found;
}

/* By how much what was learned of a group of parts exceeds what noise would look like. */
static float significance(const struct pmo_effect_kind_state *state, int first, int count)
{
    float squares = 0;
    int known = 0;

    for (int i = first; i < first + count; i++) {
        squares += state->mean[i] * state->mean[i] * state->precision[i];
        known += state->precision[i] > 0;
    }
    return squares > 0 ? fmaxf(0, 1 - (float)known / squares) : 0;
}

/* Logarithm of the effect of strength 1 in a part, and its variance. */
static float effect_at(const struct pmo_effect_kind_state *state, float guess_log, int part,
                       float *variance)
{
    float prior = guess_at(guess_log, part);
    float prior_precision = 1 / (isnan(guess_log) ? NONE_VARIANCE : GUESS_VARIANCE);
    float precision, mean, share = 1;
    int first, count;

    if (!state) {
        *variance = isnan(guess_log) ? 0 : GUESS_VARIANCE;
        return prior;
    }
    group_of(part, &first, &count);
    if (isnan(guess_log))
        share = significance(state, first, count);
    precision = prior_precision + state->precision[part];
    mean = (prior_precision * prior + state->precision[part] * state->mean[part]) / precision;
    *variance = 1 / precision + state->between;
    if (isnan(guess_log))
        *variance *= share; /* no effect adds no doubt */
    return share * mean;
}

/* The same of an event, which has its strength. */
static float event_at(const struct pmo_effects *effects, const struct pmo_effect_event *event,
                      int part, float *variance)
{
    float log_effect = effect_at(find_kind(effects, event->kind), event->guess_log, part, variance);

    *variance *= event->strength * event->strength;
    return event->strength * log_effect;
}

bool pmo_effects_factor(const struct pmo_effects *effects, const struct pmo_effect_event *event,
                        int64_t t, double *factor, double *sd_log)
{
    int part = part_of(event, t);
    float variance = 0;

    *factor = part < 0 ? 1 : exp((double)event_at(effects, event, part, &variance));
    *sd_log = sqrt((double)variance);
    return part >= 0;
}

uint32_t pmo_effects_seen(const struct pmo_effects *effects, uint32_t kind)
{
    const struct pmo_effect_kind_state *state = find_kind(effects, kind);

    return state ? state->events : 0;
}

/* ---- the level without events ---------------------------------------------------------------- */

static int64_t step_of(int64_t t)
{
    return t >= 0 ? t / STEP_S : -((-t + STEP_S - 1) / STEP_S);
}

static float level_at(const struct pmo_effects *effects, int64_t step)
{
    if (step >= effects->step || step <= effects->step - PMO_EFFECT_LEVELS)
        return NAN;
    return effects->level[(uint64_t)step % PMO_EFFECT_LEVELS];
}

/* Mean of the two steps before @t, or what there is of them; NAN: nothing. */
static double level_before(const struct pmo_effects *effects, int64_t t)
{
    double sum = 0;
    int known = 0;

    for (int64_t step = step_of(t) - 2; step < step_of(t); step++) {
        float level = level_at(effects, step);

        if (isnan(level))
            continue;
        sum += (double)level;
        known++;
    }
    return known ? sum / known : NAN;
}

/* Between events the series tells how it drifts: over four steps. */
static void learn_drift(struct pmo_effects *effects, double level)
{
    const int lag = 4;
    float before = level_at(effects, effects->step - lag);
    double moved, noise;

    if (isnan(before) || before <= 0 || level <= 0 || effects->quiet < (uint32_t)lag + 2)
        return;
    moved = log(level / (double)before);
    noise = 2 * (double)effects->noise / STEP_S;
    effects->drift +=
        SLOWLY * ((float)(fmax(moved * moved - noise, 0) / (lag * STEP_S)) - effects->drift);
}

static void end_step(struct pmo_effects *effects, int64_t next)
{
    double level = effects->step_seconds ? effects->step_sum / effects->step_seconds : NAN;

    if (!isnan(level))
        learn_drift(effects, level);
    effects->level[(uint64_t)effects->step % PMO_EFFECT_LEVELS] = (float)level;
    for (int64_t step = effects->step + 1; step < next && step <= effects->step + PMO_EFFECT_LEVELS;
         step++)
        effects->level[(uint64_t)step % PMO_EFFECT_LEVELS] = NAN;
    effects->step = next;
    effects->step_sum = 0;
    effects->step_seconds = 0;
    effects->quiet++;
}

static void follow_level(struct pmo_effects *effects, int64_t t, double y)
{
    double level;

    if (effects->step == INT64_MIN)
        effects->step = step_of(t);
    if (step_of(t) > effects->step)
        end_step(effects, step_of(t));
    level = level_before(effects, t);
    if (level > 0 && effects->quiet > 4) {
        double share = (y - level) / level;

        effects->noise += SLOWLY * ((float)(share * share) - effects->noise);
    }
    effects->step_sum += y;
    effects->step_seconds++;
}

/* ---- learning -------------------------------------------------------------------------------- */

static struct pmo_effect_running *find_running(const struct pmo_effects *effects,
                                               const struct pmo_effect_event *event)
{
    for (size_t i = 0; i < PMO_EFFECT_EVENTS; i++)
        if (effects->running[i].kind == event->kind && effects->running[i].start == event->start)
            return (struct pmo_effect_running *)&effects->running[i];
    return NULL;
}

/* Takes in what a part of an event came to, which ended before second @t. */
static void fold(struct pmo_effects *effects, struct pmo_effect_running *run, float strength,
                 int64_t t)
{
    struct pmo_effect_kind_state *state = kind_for(effects, run->kind);
    float since = (float)(t - run->start + PMO_EFFECT_LEAD_S); /* of the level */
    float noise, log_ratio, variance, residual, weight, *mean, *precision;

    if (run->seconds && run->expected > 0 && strength > 0) {
        mean = &state->mean[run->part];
        precision = &state->precision[run->part];
        /* half a request on each side: zero has a logarithm, and a little of it */
        log_ratio = (float)fmax(-RATIO_LOG_MAX,
                                fmin(RATIO_LOG_MAX, log((run->sum + 0.5) / (run->expected + 0.5))));
        noise = effects->noise / (float)run->seconds + effects->noise / (2 * STEP_S) +
                effects->drift * since;
        log_ratio /= strength;
        noise /= strength * strength;
        residual = log_ratio - *mean;
        if (*precision > 0)
            state->between += 0.05F * (fmaxf(0, residual * residual - noise) - state->between);
        variance = noise + state->between;
        weight = 1 / variance;
        *precision = FORGETTING * *precision + weight;
        *mean += weight / *precision * residual;
    }
    run->sum = run->expected = 0;
    run->seconds = 0;
}

static void begin(struct pmo_effects *effects, const struct pmo_effect_event *event,
                  double others_log)
{
    for (size_t i = 0; i < PMO_EFFECT_EVENTS; i++) {
        struct pmo_effect_running *run = &effects->running[i];

        if (run->kind)
            continue;
        *run = (struct pmo_effect_running){
            .kind = event->kind,
            .part = -1,
            .start = event->start,
            .base = level_before(effects, event->start - PMO_EFFECT_LEAD_S) / exp(others_log)};
        return;
    }
}

static bool is_same(const struct pmo_effect_event *a, const struct pmo_effect_event *b)
{
    return a->kind == b->kind && a->start == b->start;
}

/* Whether event @i stands before itself in the list. */
static bool is_twice(const struct pmo_effect_event *events, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (is_same(&events[k], &events[i]))
            return true;
    return false;
}

/* Sum of the logarithms of all events' effects on second @t, but @but's. */
static double sum_others(const struct pmo_effects *effects, const struct pmo_effect_event *events,
                         size_t count, const struct pmo_effect_event *but, int64_t t)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        int part = part_of(&events[i], t);
        float variance;

        if (part >= 0 && !is_same(&events[i], but) && !is_twice(events, i))
            sum += (double)event_at(effects, &events[i], part, &variance);
    }
    return sum;
}

/* An event that is over, or of which nobody tells any more. */
static void end_others(struct pmo_effects *effects, const struct pmo_effect_event *events,
                       size_t count, int64_t t)
{
    for (size_t i = 0; i < PMO_EFFECT_EVENTS; i++) {
        struct pmo_effect_running *run = &effects->running[i];
        bool on = false;

        for (size_t k = 0; run->kind && k < count; k++)
            on |= events[k].kind == run->kind && events[k].start == run->start &&
                  part_of(&events[k], t) >= 0;
        if (!on)
            run->kind = 0;
    }
}

static void learn_event(struct pmo_effects *effects, int64_t t, double y,
                        const struct pmo_effect_event *event, double others_log)
{
    struct pmo_effect_running *run = find_running(effects, event);
    int part = part_of(event, t);
    double factor, sd_log, expected;

    if (!run || isnan(run->base))
        return;
    expected = run->base * exp(others_log);
    (void)pmo_effects_factor(effects, event, t, &factor, &sd_log);
    run->seen = (float)(LATELY * (double)run->seen + y);
    run->foreseen = (float)(LATELY * (double)run->foreseen + expected * factor);
    if (part != run->part && run->part >= 0)
        fold(effects, run, event->strength, t);
    if (part >= PMO_EFFECT_BEFORE && run->part < PMO_EFFECT_BEFORE) {
        struct pmo_effect_kind_state *state = kind_for(effects, event->kind);

        state->events++;
        state->last = event->start;
    }
    run->part = part;
    run->sum += y;
    run->expected += expected;
    run->seconds++;
}

void pmo_effects_learn(struct pmo_effects *effects, int64_t t, double y,
                       const struct pmo_effect_event *events, size_t count)
{
    count = count < PMO_EFFECT_EVENTS ? count : PMO_EFFECT_EVENTS;
    follow_level(effects, t, y);
    /* the last part of an event that ends now */
    for (size_t i = 0; i < count; i++) {
        struct pmo_effect_running *run = find_running(effects, &events[i]);

        if (run && run->part >= 0 && part_of(&events[i], t) < 0 && !isnan(run->base))
            fold(effects, run, events[i].strength, t);
    }
    end_others(effects, events, count, t);
    for (size_t i = 0; i < count; i++) {
        double others_log;

        if (part_of(&events[i], t) < 0)
            continue;
        effects->quiet = 0;
        others_log = sum_others(effects, events, count, &events[i], t);
        if (!find_running(effects, &events[i]))
            begin(effects, &events[i],
                  sum_others(effects, events, count, &events[i],
                             events[i].start - PMO_EFFECT_LEAD_S));
        learn_event(effects, t, y, &events[i], others_log);
    }
}

/* ---- forecasts ------------------------------------------------------------------------------- */

/* The level without events: before the first of those that run, held against what came since. */
static double level_now(const struct pmo_effects *effects, double level)
{
    const struct pmo_effect_running *first = NULL;

    for (size_t i = 0; i < PMO_EFFECT_EVENTS; i++) {
        const struct pmo_effect_running *run = &effects->running[i];

        if (run->kind && !isnan(run->base) && (!first || run->start < first->start))
            first = run;
    }
    if (!first || !(first->base > 0))
        return level;
    return first->base * ((double)first->seen + TRUSTED_S * first->base) /
           ((double)first->foreseen + TRUSTED_S * first->base);
}

void pmo_effects_predict(const struct pmo_effects *effects, int64_t last, double level,
                         const struct pmo_effect_event *events, size_t count,
                         float mean[PMO_HORIZONS], float sd_log[PMO_HORIZONS])
{
    double base = level_now(effects, level);
    float sum[PMO_HORIZONS] = {0}, variance[PMO_HORIZONS] = {0};
    bool any[PMO_HORIZONS] = {0};

    count = count < PMO_EFFECT_EVENTS ? count : PMO_EFFECT_EVENTS;
    for (size_t i = 0; i < count; i++) {
        bool known = find_kind(effects, events[i].kind) || !isnan(events[i].guess_log);
        float log_effect = 0, doubt = 0;
        int part, before = -1;

        for (int h = 0; known && !is_twice(events, i) && h < PMO_HORIZONS; h++) {
            part = part_of(&events[i], last + 1 + h);
            if (part < 0)
                continue;
            if (part != before)
                log_effect = event_at(effects, &events[i], part, &doubt);
            before = part;
            any[h] = true;
            sum[h] += log_effect;
            variance[h] += doubt;
        }
    }
    for (int h = 0; h < PMO_HORIZONS; h++) {
        mean[h] = any[h] ? (float)base * expf(sum[h]) : NAN;
        if (sd_log)
            sd_log[h] = any[h] ? sqrtf(variance[h]) : NAN;
    }
}
