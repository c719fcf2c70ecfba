/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One series: each second, (1) the forecasts that were made for it are scored, (2) the models take
 * it in, (3) they forecast the next minute, and what is forecast at the horizons of the grid is
 * kept until it can be scored. So whatever is learned comes from forecasts that were really made.
 */
#include "agent/forecast/forecast.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "agent/forecast/aggregation.h"
#include "agent/forecast/bounds.h"
#include "agent/forecast/calibration.h"
#include "agent/forecast/combination.h"
#include "agent/forecast/decomposition.h"
#include "agent/forecast/drift.h"
#include "agent/forecast/effects.h"
#include "agent/forecast/grid.h"
#include "agent/forecast/jumps.h"
#include "agent/forecast/leading.h"
#include "agent/forecast/mixture.h"
#include "agent/forecast/model.h"
#include "agent/forecast/recent.h"
#include "agent/forecast/scores.h"
#include "agent/forecast/tracker.h"

/* A value may be this many times the greatest of the last seconds (a lower one, up to the floor). A
 * real rise is followed within two or three seconds; what a broken counter says does no harm. */
#define RISE_MAX     10
#define RISE_SECONDS 10
#define RISE_FLOOR   1000
#define VALUE_MAX    1e12
/* Seconds beyond these are not times; the sums of times in here do not overflow. */
#define TIME_MAX (INT64_MAX / 4)

/* Where a model says nothing, the mean of the last seconds stands in. */
#define SILENT_SECONDS 30

/* Nothing is reckoned to go further than this times the greatest level of so many hours, and than
 * that much more over the hours that were seen. */
#define MOST       1.25F
#define MOST_YOUNG 3.0F
#define MOST_HOURS 48
#define SMOOTHED   5
#define LIMIT_MIN  10.0F

/* How far an event's effect is believed where it says anything. */
#define EVENT_BELIEVED 0.8F

/* A jump is what was not expected at this horizon of the grid, 11 seconds. */
#define JUMP_GRID 3

/* A model that changed is judged by its forecasts of the last seconds. */
#define HINDCAST_SECONDS 120

/* Trust looks at the 0.9 quantile up to this horizon, over about this many forecasts. */
#define TRUST_QUANTILE 5
#define TRUST_HORIZON  11
#define TRUST_MEMORY   240
#define TRUST_SETTLED  40    /* forecasts until it counts in full */
#define TRUST_NONE     0.6F  /* share held at which there is no trust, */
#define TRUST_FULL     0.88F /* and full trust */

/* While forecasts drift, what learns from the past looks at it so many times as often. */
#define SOONER 4

/* The simplest distribution there is, and sometimes the best: what the last minute was like. */
struct minute {
    float mean, deviation;
};

/* What may come besides what the models say: a jump up, one down, an event. */
#define OUTLOOKS (PMO_JUMP_DIRECTIONS + 1)
#define EVENT    PMO_JUMP_DIRECTIONS

/* A forecast made for second `target`, at one horizon of the grid. */
struct issued {
    int64_t target;
    float model[PMO_MODELS];
    struct pmo_calibrated combined;
    float calm[PMO_QUANTILES]; /* of the combined ones and the minute together */
    bool made;                 /* false: there is none, and nothing else is set */
    bool unsure;               /* something else may come: */
};

/* What, and what was said in the end. Apart, as a series that never jumps has none of it in memory.
 */
struct unsure {
    struct pmo_jump_outlook outlook[OUTLOOKS];
    float value[PMO_QUANTILES];
};

/* By the second in which forecasts were made; more than PMO_HORIZONS, and a power of two. */
#define MINUTES 64

struct pmo_forecaster {
    struct pmo_recent recent;
    struct pmo_combination combination[PMO_GRID];
    struct pmo_calibration calibration[PMO_GRID];
    struct pmo_aggregation aggregation[PMO_GRID];
    pmo_tracker trackers[PMO_GRID];
    struct pmo_scores scores[PMO_GRID];
    struct pmo_drifting drifting;
    struct minute minutes[MINUTES];     /* by second mod MINUTES */
    struct issued issued[PMO_GRID_SUM]; /* by grid horizon h, slot target mod h */
    struct unsure unsure[PMO_GRID_SUM]; /* of the same, where issued says so */
    uint32_t generation[PMO_MODELS];
    float dispersion[PMO_GRID];
    float mean[PMO_HORIZONS];
    float scale[PMO_HORIZONS];
    struct pmo_jumps jumps;
    struct pmo_effects effects;
    struct pmo_effect_event events[PMO_EFFECT_EVENTS]; /* known now */
    size_t events_count;
    const struct pmo_lstm *lstm;
    struct pmo_leading *leading; /* NULL: there were no signals */
    int64_t hour;                /* since 1970, current one */
    float greatest[MOST_HOURS];  /* mean of SMOOTHED seconds, by hour mod MOST_HOURS, */
    float most;                  /* and of all of these */
    float limit;                 /* of what is forecast */
    struct pmo_jump_outlook outlook[OUTLOOKS][PMO_HORIZONS];
    float held;    /* forgetting share of 0.9 quantiles that held */
    double judged; /* how many there were */

    _Alignas(max_align_t) unsigned char state[]; /* of the models, one after the other */
};

static size_t aligned(size_t bytes)
{
    return (bytes + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
}

size_t pmo_forecaster_bytes(void)
{
    size_t bytes = sizeof(struct pmo_forecaster);

    for (size_t i = 0; i < PMO_MODELS; i++)
        bytes += aligned(pmo_models[i]->state_bytes);
    return bytes;
}

size_t pmo_forecaster_signals_bytes(void)
{
    return sizeof(struct pmo_leading);
}

int pmo_forecaster_new(struct pmo_forecaster **forecaster)
{
    /* not calloc(): that writes zeros to much of it, and a young series does not need all */
    struct pmo_forecaster *made = mmap(NULL, pmo_forecaster_bytes(), PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *state;

    if (made == MAP_FAILED)
        return -ENOMEM;
    for (size_t i = 0; i < PMO_GRID; i++) {
        pmo_combination_init(&made->combination[i]);
        pmo_calibration_init(&made->calibration[i]);
        made->trackers[i] = 1;
        pmo_aggregation_init(&made->aggregation[i]);
    }
    pmo_drift_init(&made->drifting);
    pmo_jumps_init(&made->jumps);
    pmo_effects_init(&made->effects);
    state = made->state;
    for (size_t i = 0; i < PMO_MODELS; i++) {
        if (pmo_models[i]->init)
            pmo_models[i]->init(pmo_models[i], state);
        state += aligned(pmo_models[i]->state_bytes);
    }
    *forecaster = made;
    return 0;
}

void pmo_forecaster_free(struct pmo_forecaster **forecaster)
{
    if (!*forecaster)
        return;
    free((*forecaster)->leading);
    (void)munmap(*forecaster, pmo_forecaster_bytes());
    *forecaster = NULL;
}

/* Where the forecast for second @target is kept that horizon @g of the grid makes. */
static struct issued *issued_for(struct pmo_forecaster *forecaster, size_t g, int64_t target)
{
    size_t first = 0;

    for (size_t i = 0; i < g; i++)
        first += pmo_grid[i];
    return &forecaster->issued[first + (uint64_t)target % pmo_grid[g]];
}

static struct unsure *unsure_of(struct pmo_forecaster *forecaster, const struct issued *issued)
{
    return &forecaster->unsure[issued - forecaster->issued];
}

static void judge(struct pmo_forecaster *forecaster, bool held)
{
    float share = fmaxf(1.0F / TRUST_MEMORY, 1 / ((float)forecaster->judged + 1));

    forecaster->held += share * ((held ? 1.0F : 0.0F) - forecaster->held);
    forecaster->judged++;
}

static struct minute *minute_at(struct pmo_forecaster *forecaster, int64_t t)
{
    return &forecaster->minutes[(uint64_t)t % MINUTES];
}

static void minute_quantiles(const struct minute *minute, float value[PMO_QUANTILES])
{
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        value[q] = pmo_at_least(0, minute->mean + pmo_normal[q] * minute->deviation);
}

/* How far signals had moved a forecast. */
static float used(const struct pmo_forecaster *forecaster, const struct issued *issued)
{
    return forecaster->leading ? forecaster->leading->used[issued - forecaster->issued] : 0;
}

/* The quantiles of a minute, as far as signals move them. */
static void minute_moved(const float minute[PMO_QUANTILES], float change,
                         float value[PMO_QUANTILES])
{
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        value[q] = pmo_at_least(0, minute[q] + change);
}

static void look_at_minute(struct minute *minute, const struct pmo_recent *recent)
{
    float sum = 0, squares = 0, known = 0;

    for (int i = 0; i < 60; i++) {
        float y = pmo_recent_at(recent, recent->last - i);

        if (isnan(y))
            continue;
        sum += y;
        squares += y * y;
        known++;
    }
    sum /= known;
    minute->mean = pmo_recent_mean(recent, 30);
    minute->deviation = sqrtf(fmaxf(squares / known - sum * sum, 0));
}

static const float *said(struct pmo_forecaster *forecaster, const struct issued *issued)
{
    return issued->unsure ? unsure_of(forecaster, issued)->value : issued->calm;
}

/* How likely the second was of a jump, after what was forecast and then came (Bayes). */
static float jumped(const struct issued *issued, const struct unsure *unsure, float y)
{
    float jump = 0, none = 1, off, density;

    for (unsigned int kind = 0; kind < OUTLOOKS; kind++) {
        const struct pmo_jump_outlook *outlook = &unsure->outlook[kind];

        if (outlook->probability <= 0)
            continue;
        off = (y - outlook->mean) / outlook->deviation;
        jump += outlook->probability * expf(-off * off / 2) / outlook->deviation;
        none -= outlook->probability;
    }
    if (jump <= 0)
        return 0;
    off = (y - issued->combined.mean) / issued->combined.scale;
    density = fmaxf(none, 0) * expf(-off * off / 2) / issued->combined.scale;
    return jump / (jump + density);
}

/* Asks for what was issued for second @t, which lies far apart. */
static void prefetch(struct pmo_forecaster *forecaster, int64_t t)
{
    for (size_t g = 0; g < PMO_GRID; g++) {
        const struct issued *issued = issued_for(forecaster, g, t);
        const struct unsure *unsure = unsure_of(forecaster, issued);

        __builtin_prefetch(issued);
        __builtin_prefetch((const char *)(issued + 1) - 1);
        __builtin_prefetch(unsure);
        __builtin_prefetch((const char *)(unsure + 1) - 1);
    }
}

static void prefetch_all(const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)from + i);
}

/* Asks for what is learned at horizon @g of the grid. */
static void prefetch_learned(const struct pmo_forecaster *forecaster, size_t g)
{
    prefetch_all(&forecaster->combination[g], sizeof(forecaster->combination[g]));
    prefetch_all(&forecaster->calibration[g], sizeof(forecaster->calibration[g]));
    prefetch_all(&forecaster->aggregation[g], sizeof(forecaster->aggregation[g]));
}

/* Makes of what the models say what is said in the end. */
static void widen(const struct pmo_forecaster *forecaster, unsigned int h,
                  float value[PMO_QUANTILES])
{
    const struct pmo_grid_point at = pmo_grid_at(h);

    pmo_tracker_widen(&forecaster->trackers[at.i], at, value);
    if (value[PMO_TRACKED] > forecaster->limit)
        value[PMO_TRACKED] = forecaster->limit;
}

/* Learns from the forecasts that had been made for second @t. */
static void score(struct pmo_forecaster *forecaster, int64_t t, float y)
{
    for (size_t g = 0; g < PMO_GRID; g++) {
        const struct issued *issued = issued_for(forecaster, g, t);
        const struct unsure *unsure = unsure_of(forecaster, issued);
        float value[PMO_QUANTILES], expert[PMO_EXPERTS][PMO_QUANTILES], calm;

        if (g + 1 < PMO_GRID)
            prefetch_learned(forecaster, g + 1);
        if (!issued->made || issued->target != t)
            continue; /* its origin was missing */
        memcpy(value, said(forecaster, issued), sizeof(value));
        pmo_tracker_learn(&forecaster->trackers[g], value, y);
        widen(forecaster, pmo_grid[g], value);
        pmo_scores_learn(&forecaster->scores[g], forecaster->combination[g].scored, value, y);
        if (pmo_grid[g] == PMO_DRIFT_HORIZON)
            pmo_drift_learn(&forecaster->drifting, value, y);
        calm = issued->unsure ? 1 - jumped(issued, unsure, y) : 1;
        memcpy(expert[0], issued->combined.value, sizeof(expert[0]));
        minute_quantiles(minute_at(forecaster, t - pmo_grid[g]), expert[1]);
        if (forecaster->leading)
            minute_moved(expert[1], used(forecaster, issued), expert[1]);
        pmo_aggregation_learn(&forecaster->aggregation[g], expert, issued->calm,
                              issued->combined.scale, y, calm);
        pmo_combination_learn(&forecaster->combination[g], pmo_grid[g], issued->model,
                              issued->combined.mean, y);
        pmo_calibration_learn(&forecaster->calibration[g], &issued->combined, y, calm);
        if (pmo_grid[g] <= TRUST_HORIZON)
            judge(forecaster, y <= value[TRUST_QUANTILE]);
    }
}

/* The forecasts of one horizon are no longer made as before: errors so far, and what is still under
 * way, say nothing about those to come. */
static void start_over(struct pmo_forecaster *forecaster, size_t g)
{
    pmo_calibration_init(&forecaster->calibration[g]);
    for (unsigned int i = 0; i < pmo_grid[g]; i++)
        issued_for(forecaster, g, i)->made = false;
}

/* Judges a model that has become another by what it would have forecast of the last seconds. A
 * horizon at which it could not have yet is judged like the one before. */
static void hindcast(struct pmo_forecaster *forecaster, size_t i, const unsigned char *state)
{
    struct pmo_recent *recent = &forecaster->recent;
    const struct pmo_context context = {.recent = recent};
    const int64_t now = recent->last;
    double squares[PMO_GRID] = {0};
    unsigned int count[PMO_GRID] = {0};
    double mean_square = NAN;

    /* cutting `recent` short hides what came after */
    for (recent->last = now - HINDCAST_SECONDS; recent->last < now; recent->last++) {
        float mean[PMO_HORIZONS];

        if (isnan(pmo_recent_at(recent, recent->last)))
            continue;
        pmo_models[i]->predict(pmo_models[i], state, &context, mean);
        for (size_t g = 0; g < PMO_GRID; g++) {
            int64_t target = recent->last + pmo_grid[g];
            float y = target > now ? NAN : recent->value[pmo_recent_slot(target)];
            float square = pmo_combination_square(mean[pmo_grid[g] - 1], y);

            if (isnan(square))
                continue;
            squares[g] += square;
            count[g]++;
        }
    }
    for (size_t g = 0; g < PMO_GRID; g++) {
        if (count[g])
            mean_square = squares[g] / count[g];
        if (isnan(mean_square))
            continue;
        if (pmo_combination_judge_anew(&forecaster->combination[g], i, mean_square))
            start_over(forecaster, g);
    }
}

void pmo_forecaster_set_lstm(struct pmo_forecaster *forecaster, const struct pmo_lstm *lstm)
{
    forecaster->lstm = lstm;
}

void pmo_forecaster_set_decomposition(struct pmo_forecaster *forecaster,
                                      const struct pmo_decomposition *fit)
{
    unsigned char *state = forecaster->state;

    for (size_t i = 0; i < PMO_MODELS; i++) {
        if (pmo_models[i] == &pmo_model_decomposition)
            pmo_decomposition_use(state, fit);
        state += aligned(pmo_models[i]->state_bytes);
    }
}

void pmo_forecaster_set_events(struct pmo_forecaster *forecaster,
                               const struct pmo_effect_event *events, size_t count)
{
    forecaster->events_count = count < PMO_EFFECT_EVENTS ? count : PMO_EFFECT_EVENTS;
    memcpy(forecaster->events, events, forecaster->events_count * sizeof(*events));
}

void pmo_forecaster_set_signals(struct pmo_forecaster *forecaster,
                                const double signal[PMO_LEADING_SIGNALS])
{
    bool known = false;

    for (size_t i = 0; i < PMO_LEADING_SIGNALS; i++)
        known |= !isnan(signal[i]);
    if (!forecaster->leading) {
        if (!known)
            return;
        forecaster->leading = calloc(1, sizeof(*forecaster->leading));
        if (!forecaster->leading)
            return;
        pmo_leading_init(forecaster->leading);
    }
    memcpy(forecaster->leading->signal, signal, sizeof(forecaster->leading->signal));
}

static float event_now(const struct pmo_forecaster *forecaster, int64_t t)
{
    float most = 0;

    for (size_t i = 0; i < forecaster->events_count; i++) {
        const struct pmo_effect_event *event = &forecaster->events[i];

        if (t >= event->start - PMO_EFFECT_LEAD_S && t < event->start + event->duration_s)
            most = fmaxf(most, event->strength);
    }
    return fminf(most, 1);
}

static void note_greatest(struct pmo_forecaster *forecaster, int64_t t)
{
    int64_t hour = t / 3600;
    float *greatest = &forecaster->greatest[(uint64_t)hour % MOST_HOURS];
    float hours = (float)(t - forecaster->recent.first) / 3600;

    if (hour != forecaster->hour) {
        forecaster->hour = hour;
        *greatest = forecaster->most = 0;
        for (size_t i = 0; i < MOST_HOURS; i++)
            forecaster->most = fmaxf(forecaster->most, forecaster->greatest[i]);
    }
    *greatest = fmaxf(*greatest, pmo_recent_mean(&forecaster->recent, SMOOTHED));
    forecaster->most = fmaxf(forecaster->most, *greatest);
    forecaster->limit = forecaster->most * (MOST + MOST_YOUNG / (1 + hours)) + LIMIT_MIN;
}

/* What is known of events to come, or under way, learned from those that were. */
static void foresee_events(struct pmo_forecaster *forecaster, int64_t t, float y)
{
    float mean[PMO_HORIZONS], deviation[PMO_HORIZONS];

    pmo_effects_learn(&forecaster->effects, t, y, forecaster->events, forecaster->events_count);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        forecaster->outlook[EVENT][h].probability = 0;
    if (!forecaster->events_count)
        return;
    pmo_effects_predict(&forecaster->effects, t,
                        pmo_recent_mean(&forecaster->recent, SILENT_SECONDS), forecaster->events,
                        forecaster->events_count, mean, deviation);
    for (size_t h = 0; h < PMO_HORIZONS; h++) {
        float off = mean[h] * deviation[h];

        if (isnan(mean[h]))
            continue;
        forecaster->outlook[EVENT][h] = (struct pmo_jump_outlook){
            .probability = EVENT_BELIEVED,
            .mean = mean[h],
            .deviation = sqrtf(off * off + fmaxf(mean[h], 1)),
        };
        for (unsigned int kind = 0; kind < PMO_JUMP_DIRECTIONS; kind++)
            forecaster->outlook[kind][h].probability *= 1 - EVENT_BELIEVED;
    }
}

/* All models take in second @t, and forecast into @means. */
static void models_observe(struct pmo_forecaster *forecaster, int64_t t, float y,
                           float means[PMO_MODELS][PMO_HORIZONS])
{
    unsigned char *state = forecaster->state;
    const struct pmo_context context = {.recent = &forecaster->recent,
                                        .lstm = forecaster->lstm,
                                        .leading = forecaster->leading,
                                        .event = event_now(forecaster, t)};
    float level = pmo_recent_mean(&forecaster->recent, SILENT_SECONDS);

    for (size_t i = 0; i < PMO_MODELS; i++) {
        const struct pmo_model_ops *model = pmo_models[i];
        float *mean = means[i];

        if (model->observe)
            model->observe(model, state, &context, t, y);
        if (model->generation && model->generation(state) != forecaster->generation[i]) {
            forecaster->generation[i] = model->generation(state);
            hindcast(forecaster, i, state);
        }
        model->predict(model, state, &context, mean);
        for (size_t h = 0; h < PMO_HORIZONS; h++)
            mean[h] = isnan(mean[h]) ? level : mean[h];
        state += aligned(model->state_bytes);
    }
}

size_t pmo_forecaster_means(const struct pmo_forecaster *forecaster, unsigned int h,
                            double means[PMO_MODELS_MAX])
{
    const unsigned char *state = forecaster->state;
    const struct pmo_context context = {.recent = &forecaster->recent,
                                        .lstm = forecaster->lstm,
                                        .leading = forecaster->leading,
                                        .event = event_now(forecaster, forecaster->recent.last)};
    float mean[PMO_HORIZONS];

    assert(h >= 1 && h <= PMO_HORIZONS);
    if (!forecaster->recent.observed)
        return 0;
    for (size_t i = 0; i < PMO_MODELS; i++) {
        pmo_models[i]->predict(pmo_models[i], state, &context, mean);
        means[i] =
            isnan(mean[h - 1]) ? pmo_recent_mean(&forecaster->recent, SILENT_SECONDS) : mean[h - 1];
        state += aligned(pmo_models[i]->state_bytes);
    }
    if (!forecaster->leading)
        return PMO_MODELS;
    means[PMO_MODELS] = forecaster->mean[h - 1] + forecaster->leading->rest[h - 1];
    return PMO_MODELS + 1;
}

/* Moves what the models forecast to where the signals say. Counts scatter there as they do here. */
static void heed_signals(struct pmo_forecaster *forecaster, int64_t t, float y)
{
    const float noise = pmo_combination_noise(&forecaster->combination[0]);
    struct pmo_leading *leading = forecaster->leading;

    pmo_leading_observe(leading, t, y, forecaster->mean, forecaster->scale[0]);
    for (size_t h = 0; h < PMO_HORIZONS; h++) {
        float *mean = &forecaster->mean[h], *scale = &forecaster->scale[h];

        leading->change[h] = pmo_at_least(-*mean, leading->change[h]);
        *mean += leading->change[h];
        *scale = sqrtf(*scale * *scale + noise * leading->change[h] +
                       fabsf(leading->change[h] * leading->rest[h]));
    }
}

/* What is learned at two neighbouring horizons of the grid: at the lower one, and how much more at
 * the upper one. Quantile by quantile, and one that is none, for whole vectors. */
#define LANES (PMO_QUANTILES + 1)

struct span {
    float error[LANES], error_more[LANES];
    float weight[PMO_EXPERTS][LANES], weight_more[PMO_EXPERTS][LANES];
    float dispersion, dispersion_more;
};

static void span_from(const struct pmo_forecaster *forecaster, size_t g, struct span *span)
{
    const struct pmo_calibration *calibration = &forecaster->calibration[g];
    const struct pmo_aggregation *lower = &forecaster->aggregation[g], *upper = lower + 1;

    memset(span, 0, sizeof(*span));
    span->dispersion = forecaster->dispersion[g];
    span->dispersion_more = forecaster->dispersion[g + 1] - span->dispersion;
    for (size_t q = 0; q < PMO_QUANTILES; q++) {
        span->error[q] = calibration[0].at[q];
        span->error_more[q] = calibration[1].at[q] - calibration[0].at[q];
        for (size_t k = 0; k < PMO_EXPERTS; k++) {
            span->weight[k][q] = lower->weight[q][k];
            span->weight_more[k][q] = upper->weight[q][k] - lower->weight[q][k];
        }
    }
}

/* Quantiles of the second @h ahead, which lies @share of the way through @span, if there is no jump
 * until then: as the models have them (@calibrated) and together with those of the last minute,
 * @minute. */
static void calm_at(const struct pmo_forecaster *forecaster, unsigned int h,
                    const struct span *span, float share, const float minute[LANES],
                    struct pmo_calibrated *calibrated, float calm[PMO_QUANTILES])
{
    float error[LANES], models[LANES] = {0}, moved[LANES] = {0}, value[LANES];

    if (forecaster->leading) {
        minute_moved(minute, forecaster->leading->change[h - 1], moved);
        minute = moved;
    }
    for (size_t q = 0; q < LANES; q++)
        error[q] = span->error[q] + share * span->error_more[q];
    calibrated->mean = forecaster->mean[h - 1];
    calibrated->scale = forecaster->scale[h - 1];
    pmo_calibration_quantiles(calibrated->mean, calibrated->scale, error,
                              span->dispersion + share * span->dispersion_more, calibrated->value);
    memcpy(models, calibrated->value, sizeof(calibrated->value));
    for (size_t q = 0; q < LANES; q++) {
        float of_models = span->weight[0][q] + share * span->weight_more[0][q];
        float of_minute = span->weight[1][q] + share * span->weight_more[1][q];

        value[q] = pmo_at_most(forecaster->limit, models[q] * of_models + minute[q] * of_minute);
    }
    calm[0] = value[0];
    for (size_t q = 1; q < PMO_QUANTILES; q++)
        calm[q] = pmo_at_least(calm[q - 1], value[q]);
}

/* What may come besides, as parts of a mixture. */
static void jumps_at(const struct pmo_forecaster *forecaster, unsigned int h,
                     struct pmo_mixture *mixture)
{
    mixture->count = 0;
    for (unsigned int kind = 0; kind < OUTLOOKS; kind++) {
        const struct pmo_jump_outlook *jump = &forecaster->outlook[kind][h - 1];

        if (jump->probability > 0)
            pmo_mixture_add_bell(mixture, jump->probability, jump->mean, jump->deviation);
    }
}

/* The same as at the horizon before? It mostly is, for some seconds. */
static bool jumps_stay(const struct pmo_forecaster *forecaster, unsigned int h)
{
    for (unsigned int kind = 0; kind < OUTLOOKS; kind++) {
        const struct pmo_jump_outlook *jump = &forecaster->outlook[kind][h - 1];

        if (memcmp(jump, jump - 1, sizeof(*jump)) != 0)
            return false;
    }
    return true;
}

/* Quantiles of the second @h ahead, @jumps and all. */
static void values_at(const struct pmo_forecaster *forecaster, struct pmo_mixture *jumps,
                      const float calm[PMO_QUANTILES], float value[PMO_QUANTILES])
{
    const size_t count = jumps->count;
    float none = 1;

    if (!count) {
        memcpy(value, calm, PMO_QUANTILES * sizeof(*value));
        return;
    }
    for (size_t i = 0; i < count; i++)
        none -= (float)jumps->part[i].probability;
    pmo_mixture_add(jumps, pmo_at_least(0, none), calm);
    pmo_mixture_quantiles(jumps, value);
    jumps->count = count;
    for (size_t q = 0; q < PMO_QUANTILES; q++)
        value[q] = pmo_at_most(forecaster->limit, value[q]);
}

static void issue(struct pmo_forecaster *forecaster, int64_t t,
                  float means[PMO_MODELS][PMO_HORIZONS])
{
    float minute[LANES] = {0};
    struct pmo_mixture jumps;
    struct span span;

    minute_quantiles(minute_at(forecaster, t), minute);
    for (size_t g = 0; g < PMO_GRID; g++)
        forecaster->dispersion[g] = pmo_calibration_dispersion(&forecaster->calibration[g]);
    for (size_t g = 0; g < PMO_GRID; g++) {
        unsigned int h = pmo_grid[g];
        struct issued *issued = issued_for(forecaster, g, t + h);
        struct pmo_grid_point at;

        issued->made = true;
        issued->target = t + h;
        for (size_t i = 0; i < PMO_MODELS; i++)
            issued->model[i] = means[i][h - 1];
        if (forecaster->leading)
            forecaster->leading->used[issued - forecaster->issued] =
                forecaster->leading->change[h - 1];
        at = pmo_grid_at(h);
        span_from(forecaster, at.i, &span);
        calm_at(forecaster, h, &span, at.share, minute, &issued->combined, issued->calm);
        jumps_at(forecaster, h, &jumps);
        issued->unsure = jumps.count > 0;
        if (issued->unsure) {
            struct unsure *unsure = unsure_of(forecaster, issued);

            for (unsigned int kind = 0; kind < OUTLOOKS; kind++)
                unsure->outlook[kind] = forecaster->outlook[kind][h - 1];
            values_at(forecaster, &jumps, issued->calm, unsure->value);
        }
    }
}

void pmo_forecaster_observe(struct pmo_forecaster *forecaster, int64_t t, double value)
{
    struct pmo_recent *recent = &forecaster->recent;
    const struct issued *issued;
    const struct pmo_jump_outlook *event;
    float means[PMO_MODELS][PMO_HORIZONS], y = (float)fmin(value, VALUE_MAX), expected;

    if (isnan(value) || value < 0 || t < -TIME_MAX || t > TIME_MAX)
        return;
    if (recent->observed && t <= recent->last)
        return;
    prefetch(forecaster, t);
    if (recent->observed)
        y = fminf(y, fmaxf(RISE_MAX * pmo_recent_max(recent, RISE_SECONDS), RISE_FLOOR));
    issued = issued_for(forecaster, JUMP_GRID, t);
    event = &unsure_of(forecaster, issued)->outlook[EVENT];
    expected = !issued->made || issued->target != t ? NAN
               : issued->unsure && event->probability > 0
                   ? event->mean
                   /* a jump that signals announce is one still, further ahead than they see */
                   : issued->combined.mean - used(forecaster, issued);
    score(forecaster, t, y);
    pmo_recent_append(recent, t, y);
    if (forecaster->leading)
        pmo_leading_hear(forecaster->leading, t);
    models_observe(forecaster, t, y, means);
    pmo_combination_mean(forecaster->combination, means, forecaster->mean, forecaster->scale);
    if (forecaster->leading)
        heed_signals(forecaster, t, y);
    note_greatest(forecaster, t);
    pmo_jumps_observe(&forecaster->jumps, recent, t, expected);
    pmo_jumps_predict(&forecaster->jumps, recent, forecaster->outlook);
    foresee_events(forecaster, t, y);
    look_at_minute(minute_at(forecaster, t), recent);
    issue(forecaster, t, means);
}

const struct pmo_recent *pmo_forecaster_recent(const struct pmo_forecaster *forecaster)
{
    return &forecaster->recent;
}

const struct pmo_leading *pmo_forecaster_leading(const struct pmo_forecaster *forecaster)
{
    return forecaster->leading;
}

static float trust(const struct pmo_forecaster *forecaster)
{
    float held = (forecaster->held - TRUST_NONE) / (TRUST_FULL - TRUST_NONE);
    float settled = (float)forecaster->judged / TRUST_SETTLED;

    return fminf(fmaxf(held, 0), 1) * fminf(settled, 1);
}

/* What is forecast at a horizon of the grid has been worked out already, to be scored. */
static bool was_issued(struct pmo_forecaster *forecaster, unsigned int h,
                       float value[PMO_QUANTILES])
{
    size_t g = pmo_grid_below[h];
    const struct issued *issued;

    g += h > pmo_grid[g]; /* the last one is below none */
    if (h != pmo_grid[g])
        return false;
    issued = issued_for(forecaster, g, forecaster->recent.last + h);
    memcpy(value, said(forecaster, issued), PMO_QUANTILES * sizeof(*value));
    return true;
}

void pmo_forecaster_predict(struct pmo_forecaster *forecaster, struct pmo_forecast *forecast)
{
    const struct pmo_recent *recent = &forecaster->recent;
    float minute[LANES] = {0};
    struct pmo_mixture jumps;
    struct span span;

    memset(forecast, 0, sizeof(*forecast));
    if (!recent->observed)
        return;
    forecast->origin = recent->last;
    forecast->observed = recent->observed < UINT32_MAX ? (uint32_t)recent->observed : UINT32_MAX;
    forecast->trust = trust(forecaster);
    minute_quantiles(minute_at(forecaster, recent->last), minute);
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        struct pmo_calibrated calibrated;
        float calm[PMO_QUANTILES], *value = forecast->value[h - 1];

        if (h == 1 || !jumps_stay(forecaster, h))
            jumps_at(forecaster, h, &jumps);
        if (h == 1 || pmo_grid_below[h] != pmo_grid_below[h - 1])
            span_from(forecaster, pmo_grid_below[h], &span);
        if (!was_issued(forecaster, h, value)) {
            calm_at(forecaster, h, &span, pmo_grid_at(h).share, minute, &calibrated, calm);
            values_at(forecaster, &jumps, calm, value);
        }
        widen(forecaster, h, value);
    }
}

/* Were there scores at both of the grid's horizons that count @at this point? */
static bool is_scored(const struct pmo_forecaster *forecaster, struct pmo_grid_point at)
{
    const struct pmo_combination *lower = &forecaster->combination[at.i], *upper = lower + 1;

    return (lower->scored > 0 || at.share >= 1) && (upper->scored > 0 || at.share <= 0);
}

size_t pmo_forecaster_scores(const struct pmo_forecaster *forecaster, unsigned int h,
                             struct pmo_model_score scores[PMO_MODELS_MAX])
{
    struct pmo_grid_point at;
    const struct pmo_combination *lower, *upper;
    const struct pmo_leading_point *leading;

    assert(h >= 1 && h <= PMO_HORIZONS);
    at = pmo_grid_at(h);
    lower = &forecaster->combination[at.i];
    upper = lower + 1;
    for (size_t i = 0; i < PMO_MODELS; i++) {
        scores[i].model = pmo_models[i]->name;
        scores[i].weight = pmo_grid_between(at, lower->weight[i], upper->weight[i]);
        scores[i].error = NAN;
        if (is_scored(forecaster, at))
            scores[i].error =
                pmo_grid_between(at, lower->absolute_error[i], upper->absolute_error[i]);
    }
    if (!forecaster->leading)
        return PMO_MODELS;
    leading = &forecaster->leading->at[at.i];
    scores[PMO_MODELS] = (struct pmo_model_score){
        .model = "leading signals",
        .weight = pmo_grid_between(at, leading[0].belief, leading[1].belief),
        .error =
            leading[1].count > 0 ? pmo_grid_between(at, leading[0].error, leading[1].error) : NAN,
    };
    return PMO_MODELS + 1;
}

void pmo_forecaster_score(const struct pmo_forecaster *forecaster, unsigned int h,
                          struct pmo_forecast_score *score)
{
    const struct pmo_scores *lower, *upper;
    struct pmo_grid_point at;

    assert(h >= 1 && h <= PMO_HORIZONS);
    at = pmo_grid_at(h);
    lower = &forecaster->scores[at.i];
    upper = lower + 1;
    *score = (struct pmo_forecast_score){.pinball = NAN, .error = NAN, .held = {NAN, NAN}};
    if (!is_scored(forecaster, at))
        return;
    score->pinball = pmo_grid_between(at, lower->pinball, upper->pinball);
    score->error = pmo_grid_between(at, lower->error, upper->error);
    for (size_t i = 0; i < PMO_HELD; i++)
        score->held[i] = pmo_grid_between(at, lower->held[i], upper->held[i]);
}

enum pmo_drift pmo_forecaster_drift(const struct pmo_forecaster *forecaster)
{
    return pmo_drift_now(&forecaster->drifting);
}

int64_t pmo_forecaster_study_after(const struct pmo_forecaster *forecaster, int64_t seconds)
{
    return pmo_forecaster_drift(forecaster) == PMO_DRIFT_STEADY ? seconds : seconds / SOONER;
}
