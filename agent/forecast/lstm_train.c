/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/lstm_train.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BATCH        4 /* windows */
#define RATE         0.003
#define FIRST_DECAY  0.9 /* Adam's, of the gradient's and its square's mean */
#define SECOND_DECAY 0.999
#define TINY         1e-8
#define NORM_MAX     1.0          /* of a gradient */
#define AVERAGE      (1.0F / 300) /* share of the newest weights in their mean */

#define WINDOW_PART 5      /* of all windows, one in this many is held back, */
#define HELD_PART   8      /* but not more than this part of the memory */
#define KEPT_FOR    604800 /* seconds: windows trained on are a sample of this long */

#define JUDGE_EVERY 256    /* mini-batches */
#define JUDGE_PART  8      /* windows a slice */
#define JUDGE_MIN   8      /* windows, for anything to be beyond chance */
#define BEYOND      2.0    /* standard errors */
#define BETTER      0.997F /* of the errors of the weights in use: what takes their place */

#define WEIGHTS (sizeof(struct pmo_lstm_weights) / sizeof(float))

enum { IN_USE, AVERAGED, JUDGED };

/* Of one network at one horizon, over the windows judged so far. */
struct judged {
    double error;
    double gain[PMO_LSTM_SIMPLE], gain_squared[PMO_LSTM_SIMPLE]; /* over each simple forecast */
    double count;
};

struct pmo_lstm_trainer {
    struct pmo_lstm_training training;
    struct pmo_lstm_window *window; /* trained on, then held back, each at its place */
    size_t trained, trained_max;
    size_t held, held_max;
    uint64_t random;  /* which windows are kept */
    uint64_t offered; /* windows that came to be trained on */
    int64_t oldest, newest;
    int64_t resumed_until; /* what is not later than this was trained on before, maybe */

    bool judging;
    size_t next_held; /* to be judged */
    struct judged judged[JUDGED][PMO_GRID];

    struct pmo_lstm_weights gradient;
    struct pmo_lstm_passage passage;
};

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* In [0, 1). */
static double random_uniform(uint64_t *state)
{
    return (double)(random_next(state) >> 11) / 9007199254740992.0;
}

static void randomise(float *weights, size_t count, uint64_t *random)
{
    double limit = 1 / sqrt(PMO_LSTM_INPUTS + PMO_LSTM_HIDDEN);

    for (size_t i = 0; i < count; i++)
        weights[i] = (float)(limit * (2 * random_uniform(random) - 1));
}

/* Heads are 0, so that at first the level is the forecast; forget gates are open, so that errors
 * get back through them (Gers et al. 2000). */
static void weights_begin(struct pmo_lstm_weights *weights, uint64_t *random)
{
    randomise(weights->input[0], sizeof(weights->input) / sizeof(float), random);
    randomise(weights->hidden[0], sizeof(weights->hidden) / sizeof(float), random);
    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++)
        weights->bias[PMO_LSTM_HIDDEN + i] = 2;
}

int pmo_lstm_trainer_new(struct pmo_lstm_trainer **trainer, uint64_t seed, size_t memory_bytes)
{
    struct pmo_lstm_trainer *made = calloc(1, sizeof(*made));
    size_t windows = memory_bytes / sizeof(*made->window);

    if (!made)
        return -ENOMEM;
    if (windows < 2 * HELD_PART)
        windows = 2 * HELD_PART;
    made->held_max = windows / HELD_PART;
    made->trained_max = windows - made->held_max - 1; /* one is on its way */
    made->window = malloc(windows * sizeof(*made->window));
    if (!made->window) {
        free(made);
        return -ENOMEM;
    }
    made->random = seed;
    made->training.random = ~seed;
    made->training.trained_until = made->resumed_until = INT64_MIN;
    weights_begin(&made->training.weights, &made->training.random);
    made->training.average = made->training.weights;
    *trainer = made;
    return 0;
}

void pmo_lstm_trainer_free(struct pmo_lstm_trainer **trainer)
{
    if (*trainer)
        free((*trainer)->window);
    free(*trainer);
    *trainer = NULL;
}

void pmo_lstm_trainer_resume(struct pmo_lstm_trainer *trainer,
                             const struct pmo_lstm_training *training)
{
    trainer->training = *training;
    trainer->resumed_until = training->trained_until;
    trainer->judging = false;
}

const struct pmo_lstm_training *pmo_lstm_trainer_training(const struct pmo_lstm_trainer *trainer)
{
    return &trainer->training;
}

void pmo_lstm_trainer_windows(const struct pmo_lstm_trainer *trainer, size_t *trained, size_t *held)
{
    *trained = trainer->trained;
    *held = trainer->held;
}

static struct pmo_lstm_window *held_window(struct pmo_lstm_trainer *trainer, size_t i)
{
    return &trainer->window[trainer->trained_max + i];
}

/* Keeps @window to train on, in the place of another one where there is no room; or not. */
static void keep(struct pmo_lstm_trainer *trainer, const struct pmo_lstm_window *window)
{
    struct pmo_lstm_training *training = &trainer->training;
    int64_t until = window->start + PMO_LSTM_WINDOW;
    double lasted = (double)(trainer->newest - trainer->oldest), of;
    size_t place = trainer->trained;

    trainer->offered++;
    if (trainer->trained < trainer->trained_max) {
        trainer->trained++;
    } else {
        of = (double)trainer->offered * fmin(1, KEPT_FOR / fmax(lasted, 1));
        of *= random_uniform(&trainer->random);
        if (of >= (double)trainer->trained_max)
            return;
        place = (size_t)(random_next(&trainer->random) % trainer->trained_max);
    }
    trainer->window[place] = *window;
    if (training->trained_until < until)
        training->trained_until = until;
}

/* The oldest of the windows held back is now to be trained on. */
static void release(struct pmo_lstm_trainer *trainer)
{
    size_t oldest = 0;

    for (size_t i = 1; i < trainer->held; i++)
        if (held_window(trainer, i)->start < held_window(trainer, oldest)->start)
            oldest = i;
    keep(trainer, held_window(trainer, oldest));
    *held_window(trainer, oldest) = *held_window(trainer, --trainer->held);
}

static void hold(struct pmo_lstm_trainer *trainer)
{
    const struct pmo_lstm_window *window = held_window(trainer, trainer->held);
    size_t most;

    if (!trainer->held && !trainer->trained)
        trainer->oldest = trainer->newest = window->start;
    if (trainer->oldest > window->start)
        trainer->oldest = window->start;
    if (trainer->newest < window->start)
        trainer->newest = window->start;
    trainer->held++;
    most = (trainer->trained + trainer->held) / WINDOW_PART;
    if (most > trainer->held_max)
        most = trainer->held_max;
    while (trainer->held > most && trainer->held > 1)
        release(trainer);
}

int64_t pmo_lstm_trainer_add(struct pmo_lstm_trainer *trainer, const struct pmo_lstm_past *past)
{
    int64_t start = past->start > past->since ? past->start : past->since;
    int64_t next = pmo_lstm_past_next(past);

    for (; start < next; start += PMO_LSTM_STRIDE)
        if (pmo_lstm_window_cut(past, start, held_window(trainer, trainer->held)))
            hold(trainer);
    return next;
}

/* ---- a mini-batch ---------------------------------------------------------------------------- */

static void step(struct pmo_lstm_training *training, const float *gradient, double scale)
{
    float *weights = training->weights.input[0], *average = training->average.input[0];
    float *first = training->first.input[0], *second = training->second.input[0];
    double batches = (double)++training->batches;
    double unbias_first = 1 - pow(FIRST_DECAY, batches);
    double unbias_second = 1 - pow(SECOND_DECAY, batches);
    float share = fmaxf(AVERAGE, 10 / (9 + (float)batches));

    for (size_t i = 0; i < WEIGHTS; i++) {
        double g = scale * gradient[i];

        first[i] += (float)((1 - FIRST_DECAY) * (g - first[i]));
        second[i] += (float)((1 - SECOND_DECAY) * (g * g - second[i]));
        weights[i] -=
            (float)(RATE * (first[i] / unbias_first) / (sqrt(second[i] / unbias_second) + TINY));
        average[i] += share * (weights[i] - average[i]);
    }
}

static void train(struct pmo_lstm_trainer *trainer)
{
    struct pmo_lstm_training *training = &trainer->training;
    const float *gradient = trainer->gradient.input[0];
    double squares = 0, norm;

    memset(&trainer->gradient, 0, sizeof(trainer->gradient));
    for (size_t i = 0; i < BATCH; i++) {
        size_t which = (size_t)(random_next(&training->random) % trainer->trained);

        (void)pmo_lstm_window_gradient(&training->weights, &trainer->window[which],
                                       &trainer->passage, &trainer->gradient);
    }
    for (size_t i = 0; i < WEIGHTS; i++)
        squares += (double)gradient[i] * gradient[i];
    norm = sqrt(squares) / BATCH;
    if (isfinite(norm))
        step(training, gradient, fmin(1, NORM_MAX / norm) / BATCH);
}

/* ---- judging --------------------------------------------------------------------------------- */

static void judge_window(struct pmo_lstm_trainer *trainer, const struct pmo_lstm_window *window)
{
    const struct pmo_lstm_weights *weights[JUDGED] = {
        [IN_USE] = &trainer->training.net.weights, [AVERAGED] = &trainer->training.average};
    float simple[PMO_LSTM_SIMPLE][PMO_GRID], error[PMO_GRID];

    pmo_lstm_window_simple(window, simple);
    for (size_t n = 0; n < JUDGED; n++) {
        pmo_lstm_window_errors(weights[n], window, &trainer->passage, error);
        for (size_t g = 0; g < PMO_GRID; g++) {
            struct judged *judged = &trainer->judged[n][g];

            if (isnan(error[g]))
                continue;
            judged->count++;
            judged->error += error[g];
            for (size_t k = 0; k < PMO_LSTM_SIMPLE; k++) {
                double gain = simple[k][g] - error[g];

                judged->gain[k] += gain;
                judged->gain_squared[k] += gain * gain;
            }
        }
    }
}

static struct pmo_lstm_score score_of(const struct judged *judged)
{
    double n = judged->count, gain, variance;
    size_t best = 0;

    if (n < JUDGE_MIN)
        return (struct pmo_lstm_score){.error = NAN, .simple = NAN};
    for (size_t k = 1; k < PMO_LSTM_SIMPLE; k++)
        if (judged->gain[k] < judged->gain[best])
            best = k;
    gain = judged->gain[best] / n;
    variance = fmax(judged->gain_squared[best] / n - gain * gain, 0) / (n - 1);
    return (struct pmo_lstm_score){
        .error = (float)(judged->error / n),
        .simple = (float)(judged->error / n + gain),
        .better = gain > BEYOND * sqrt(variance),
    };
}

/* Errors in parts of those of the simple forecasts, over all horizons. */
static float sum_of(const struct pmo_lstm_score score[PMO_GRID])
{
    float sum = 0;

    for (size_t g = 0; g < PMO_GRID; g++)
        sum += score[g].error / score[g].simple;
    return sum;
}

static bool usable(const struct pmo_lstm_score score[PMO_GRID])
{
    for (size_t g = 0; g < PMO_GRID; g++)
        if (score[g].better)
            return true;
    return false;
}

static enum pmo_lstm_slice conclude(struct pmo_lstm_trainer *trainer)
{
    struct pmo_lstm *net = &trainer->training.net;
    struct pmo_lstm_score score[JUDGED][PMO_GRID];
    bool changed = false;

    for (size_t n = 0; n < JUDGED; n++)
        for (size_t g = 0; g < PMO_GRID; g++)
            score[n][g] = score_of(&trainer->judged[n][g]);
    trainer->judging = false;
    if (net->generation ? sum_of(score[AVERAGED]) < BETTER * sum_of(score[IN_USE])
                        : usable(score[AVERAGED])) {
        net->weights = trainer->training.average;
        net->generation++;
        memcpy(net->score, score[AVERAGED], sizeof(net->score));
        return PMO_LSTM_CHANGED;
    }
    if (!net->generation)
        return PMO_LSTM_WORKED;
    for (size_t g = 0; g < PMO_GRID; g++)
        changed |= net->score[g].better != score[IN_USE][g].better;
    memcpy(net->score, score[IN_USE], sizeof(net->score));
    return changed ? PMO_LSTM_CHANGED : PMO_LSTM_WORKED;
}

/* Judges some windows. One that is replaced by a newer one meanwhile does no harm: neither has been
 * trained on, as nothing is while this goes on. */
static enum pmo_lstm_slice judge(struct pmo_lstm_trainer *trainer)
{
    for (size_t i = 0; i < JUDGE_PART && trainer->next_held < trainer->held; i++) {
        const struct pmo_lstm_window *window = held_window(trainer, trainer->next_held++);

        if (window->start + PMO_LSTM_LEAD_IN >= trainer->resumed_until)
            judge_window(trainer, window);
    }
    return trainer->next_held < trainer->held ? PMO_LSTM_WORKED : conclude(trainer);
}

enum pmo_lstm_slice pmo_lstm_train_slice(struct pmo_lstm_trainer *trainer)
{
    if (trainer->judging)
        return judge(trainer);
    if (!trainer->trained)
        return PMO_LSTM_IDLE;
    train(trainer);
    if (trainer->training.batches % JUDGE_EVERY == 0) {
        trainer->judging = true;
        trainer->next_held = 0;
        memset(trainer->judged, 0, sizeof(trainer->judged));
    }
    return PMO_LSTM_WORKED;
}
