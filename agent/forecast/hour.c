/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hour's shape: how much more or less than the level around it each ten seconds of the hour
 * have, on average over the hours so far. What does it every hour (or half, or quarter of one) does
 * it here; a jump to twice the level counts for little, as ratios are cut off: jumps.h has those.
 */
#include "agent/forecast/model.h"

#define BIN       10U
#define BINS      (3600U / BIN)
#define AROUND    300  /* seconds whose mean is the level of the one in the middle */
#define MEMORY    48   /* hours */
#define RATIO_MAX 0.3F /* of a logarithm */
#define LEVEL_FOR 60

struct hour {
    int64_t bin; /* of the current second */
    float seen[BINS];
    float shape[BINS]; /* mean logarithm of the ratio to the level */
};

static size_t bin_of(int64_t bin)
{
    int64_t at = bin % BINS;

    return (size_t)(at < 0 ? at + BINS : at);
}

static int64_t bin_at(int64_t t)
{
    return (t >= 0 ? t : t - BIN + 1) / BIN;
}

static float mean_of(const struct pmo_recent *recent, int64_t from, int64_t to)
{
    float sum = 0, known = 0;

    for (int64_t t = from; t < to; t++) {
        float y = pmo_recent_at(recent, t);

        if (isnan(y))
            continue;
        sum += y;
        known++;
    }
    return known > (float)(to - from) / 2 ? sum / known : NAN;
}

static void observe(const struct pmo_model_ops *model, void *state,
                    const struct pmo_context *context, int64_t t, double y)
{
    struct hour *hour = state;
    const struct pmo_recent *recent = context->recent;
    int64_t bin = bin_at(t), from;
    float level, here, ratio;
    size_t at;

    if (bin == hour->bin)
        return;
    hour->bin = bin;
    /* the bin whose surroundings have just become complete */
    bin -= AROUND / 2 / BIN;
    from = bin * BIN;
    level = mean_of(recent, from + BIN / 2 - AROUND / 2, from + BIN / 2 + AROUND / 2);
    here = mean_of(recent, from, from + BIN);
    if (isnan(level) || isnan(here))
        return;
    ratio = fminf(fmaxf(logf((here + 1) / (level + 1)), -RATIO_MAX), RATIO_MAX);
    at = bin_of(bin);
    hour->seen[at] = fminf(hour->seen[at] + 1, MEMORY);
    hour->shape[at] += (ratio - hour->shape[at]) / hour->seen[at];
}

/* Ratio to the level; no more than noise where little was seen. */
static float ratio_in(const struct hour *hour, int64_t bin)
{
    size_t at = bin_of(bin);

    return expf(hour->shape[at] * hour->seen[at] / (hour->seen[at] + 3));
}

static void predict(const struct pmo_model_ops *model, const void *state,
                    const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    const struct hour *hour = state;
    const struct pmo_recent *recent = context->recent;
    const int64_t bin = bin_at(recent->last), first = bin - LEVEL_FOR / (int)BIN;
    const int64_t seconds = recent->last - first * BIN; /* from there to now */
    float ratio[(LEVEL_FOR + PMO_HORIZONS) / (int)BIN + 2], sum = 0, known = 0;

    for (size_t i = 0; i < sizeof(ratio) / sizeof(*ratio); i++)
        ratio[i] = ratio_in(hour, first + (int64_t)i);
    for (int64_t i = 0; i < LEVEL_FOR; i++) {
        float y = pmo_recent_at(recent, recent->last - i);

        if (isnan(y))
            continue;
        sum += y;
        known += ratio[(seconds - i) / BIN];
    }
    for (size_t i = 0; i < PMO_HORIZONS; i++)
        mean[i] = sum / known * ratio[((size_t)seconds + 1 + i) / BIN];
}

const struct pmo_model_ops pmo_model_seasonal_hour = {
    .name = "shape of the hour",
    .state_bytes = sizeof(struct hour),
    .observe = observe,
    .predict = predict,
};
