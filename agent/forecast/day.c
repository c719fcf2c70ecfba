/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The day's shape: the mean of each minute of the day over the days so far, newer days weighing
 * more, moved to the level of the last minute. Seconds of a day would take 84 KiB more a series and
 * show mostly noise. Minutes are counted in UTC; a change of daylight saving time is relearned.
 */
#include "agent/forecast/model.h"

#define MINUTES   1440
#define NEW_DAY   0.5F /* share of the newest day in a minute's mean */
#define WAITING   4    /* minutes of today that are not yet in the shape they are compared with */
#define LEVEL_FOR 60   /* seconds */

struct day {
    int64_t minute; /* current one since 1970 */
    double sum;
    uint32_t known;         /* seconds in sum */
    float waiting[WAITING]; /* means of complete minutes by minute mod WAITING; NAN: none */
    uint64_t seen[(MINUTES + 63) / 64]; /* bits: minutes of the day; */
    float mean[MINUTES];                /* of the others it is not set, nor in memory */
};

static void init(const struct pmo_model_ops *model, void *state)
{
    struct day *day = state;

    for (size_t i = 0; i < WAITING; i++)
        day->waiting[i] = NAN;
}

static size_t minute_of_day(int64_t minute)
{
    return (size_t)((minute % MINUTES + MINUTES) % MINUTES);
}

static int64_t minute_of(int64_t t)
{
    return t >= 0 ? t / 60 : (t - 59) / 60;
}

static float mean_at(const struct day *day, size_t minute)
{
    return day->seen[minute / 64] >> minute % 64 & 1 ? day->mean[minute] : NAN;
}

/* Takes the oldest waiting minute into the day's shape, and @mean in its place. */
static void complete(struct day *day, float mean)
{
    float *waiting = &day->waiting[(uint64_t)day->minute % WAITING];
    size_t minute = minute_of_day(day->minute - WAITING);
    float shape = mean_at(day, minute);

    if (!isnan(*waiting)) {
        day->mean[minute] = isnan(shape) ? *waiting : shape + NEW_DAY * (*waiting - shape);
        day->seen[minute / 64] |= 1ULL << minute % 64;
    }
    *waiting = mean;
}

static void observe(const struct pmo_model_ops *model, void *state,
                    const struct pmo_context *context, int64_t t, double y)
{
    struct day *day = state;
    int64_t minute = minute_of(t);

    if (context->recent->observed == 1)
        day->minute = minute;
    /* after WAITING + 1 minutes without data nothing waits any more */
    for (int i = 0; day->minute < minute && i <= WAITING; i++, day->minute++) {
        complete(day, day->known ? (float)(day->sum / day->known) : NAN);
        day->sum = 0;
        day->known = 0;
    }
    day->minute = minute;
    day->sum += y;
    day->known++;
}

/* The day's shape from second @from on, in straight lines between the middles of minutes. */
static void shape_from(const struct day *day, int64_t from, size_t seconds, float *shape)
{
    int64_t minute = minute_of(from - 30), second = from - 30 - minute * 60;

    for (size_t i = 0; i < seconds; minute++, second = 0) {
        float before = mean_at(day, minute_of_day(minute));
        float after = mean_at(day, minute_of_day(minute + 1));

        for (; second < 60 && i < seconds; second++, i++)
            shape[i] = before + (float)second / 60 * (after - before);
    }
}

static void predict(const struct pmo_model_ops *model, const void *state,
                    const struct pmo_context *context, float mean[PMO_HORIZONS])
{
    const struct day *day = state;
    const struct pmo_recent *recent = context->recent;
    float level = pmo_recent_mean(recent, LEVEL_FOR), now;

    shape_from(day, recent->last - LEVEL_FOR / 2, 1, &now);
    shape_from(day, recent->last + 1, PMO_HORIZONS, mean);
    for (size_t i = 0; i < PMO_HORIZONS; i++)
        mean[i] = level + mean[i] - now;
}

const struct pmo_model_ops pmo_model_seasonal_day = {
    .name = "shape of the day",
    .state_bytes = sizeof(struct day),
    .init = init,
    .observe = observe,
    .predict = predict,
};
