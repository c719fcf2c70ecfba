/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/leading.h"
#include "agent/forecast/lstm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/forecast/lstm_file.h"
#include "agent/forecast/lstm_train.h"
#include "tests/unit/suite.h"

#define _cleanup_trainer_ __attribute__((cleanup(pmo_lstm_trainer_free)))

#define HIDDEN  PMO_LSTM_HIDDEN
#define INPUTS  PMO_LSTM_INPUTS
#define WEIGHTS (sizeof(struct pmo_lstm_weights) / sizeof(float))

/* A fixed sequence of uniform numbers in (0, 1): Knuth's MMIX generator. */
static uint64_t random_state;

static double uniform(void)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(random_state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
}

/* A count with this mean, which is not small. */
static float count_of(double mean)
{
    return (float)fmax(0, round(mean + sqrt(mean) * normal()));
}

static void random_weights(struct pmo_lstm_weights *weights, double size)
{
    float *weight = weights->input[0];

    for (size_t i = 0; i < WEIGHTS; i++)
        weight[i] = (float)(size * (2 * uniform() - 1));
}

/* A network that always speaks. */
static void random_net(struct pmo_lstm *net)
{
    random_weights(&net->weights, 0.3);
    net->generation = 1;
    for (size_t g = 0; g < PMO_GRID; g++)
        net->score[g].better = true;
}

/* 200 requests a second, swinging by 60 % with a period of 97 s. */
static double wave(int64_t t)
{
    return 200 + 120 * sin(2 * M_PI * (double)t / 97);
}

/* 60 requests a second, and 240 for 25 s of every five minutes, by the clock. */
static double clock_bursts(int64_t t)
{
    return t % 300 >= 130 && t % 300 < 155 ? 240 : 60;
}

static struct pmo_lstm_trainer *trainer_new(size_t memory_bytes)
{
    struct pmo_lstm_trainer *trainer = NULL;

    CU_ASSERT_EQUAL_FATAL(pmo_lstm_trainer_new(&trainer, 7, memory_bytes), 0);
    return trainer;
}

static void slices(struct pmo_lstm_trainer *trainer, int count)
{
    for (int i = 0; i < count; i++)
        CU_ASSERT_NOT_EQUAL(pmo_lstm_train_slice(trainer), PMO_LSTM_IDLE);
}

/* Until the weights of @batches mini-batches are judged. */
static void train_and_judge(struct pmo_lstm_trainer *trainer, uint64_t batches)
{
    while (pmo_lstm_trainer_training(trainer)->batches <= batches)
        CU_ASSERT_NOT_EQUAL_FATAL(pmo_lstm_train_slice(trainer), PMO_LSTM_IDLE);
}

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* Gate @which (0 input, 1 forget, 2 output, 3 candidate) of unit @i, before its function. */
static double gate_sum(const struct pmo_lstm_weights *weights, const float *input,
                       const double *hidden, size_t which, size_t i)
{
    size_t at = which * HIDDEN + i;
    double sum = weights->bias[at];

    for (size_t k = 0; k < INPUTS; k++)
        sum += (double)weights->input[k][at] * input[k];
    for (size_t k = 0; k < HIDDEN; k++)
        sum += weights->hidden[k][at] * hidden[k];
    return sum;
}

/* The equations of Gers et al. (2000), section 3, without more than one cell a block. */
static void steps_are_those_of_the_equations(void)
{
    struct pmo_lstm_weights weights;
    struct pmo_lstm_step step = {0};
    float hidden[HIDDEN] = {0}, cell[HIDDEN] = {0};
    double h[HIDDEN] = {0}, c[HIDDEN] = {0}, next[HIDDEN];

    random_state = 1;
    random_weights(&weights, 0.8);
    for (int t = 0; t < 20; t++) {
        for (size_t k = 0; k < INPUTS; k++)
            step.input[k] = (float)normal();
        pmo_lstm_forward(&weights, hidden, cell, &step);
        for (size_t i = 0; i < HIDDEN; i++) {
            double in = logistic(gate_sum(&weights, step.input, h, 0, i));
            double forget = logistic(gate_sum(&weights, step.input, h, 1, i));
            double out = logistic(gate_sum(&weights, step.input, h, 2, i));

            c[i] = forget * c[i] + in * tanh(gate_sum(&weights, step.input, h, 3, i));
            next[i] = out * tanh(c[i]);
            CU_ASSERT_DOUBLE_EQUAL(step.cell[i], c[i], 1e-4);
            CU_ASSERT_DOUBLE_EQUAL(step.hidden[i], next[i], 1e-4);
        }
        memcpy(h, next, sizeof(h));
        for (size_t g = 0; g < PMO_GRID; g++) {
            double output = weights.head_bias[g];

            for (size_t k = 0; k < INPUTS; k++)
                output += (double)weights.head_input[k][g] * step.input[k];
            for (size_t i = 0; i < HIDDEN; i++)
                output += weights.head_hidden[i][g] * h[i];
            CU_ASSERT_DOUBLE_EQUAL(step.output[g], output, 1e-3);
        }
        memcpy(hidden, step.hidden, sizeof(hidden));
        memcpy(cell, step.cell, sizeof(cell));
    }
}

/* Eight minutes with all there can be: bursts, an hour ago, missing seconds, events, signals. */
static void full_window(struct pmo_lstm_window *window)
{
    enum { seconds = PMO_LSTM_HOUR + 700 };
    static float value[seconds], event[seconds], leading[PMO_LSTM_LEADING][seconds];
    struct pmo_lstm_past past = {.start = 1000, .count = seconds, .value = value, .event = event};

    for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
        past.leading[k] = leading[k];
    for (int64_t t = 0; t < seconds; t++) {
        value[t] = t % 50 == 7 || (t > 3900 && t < 3910) ? NAN : count_of(wave(t) / 20);
        event[t] = (float)uniform();
        for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
            leading[k][t] = (float)normal();
    }
    CU_ASSERT_TRUE_FATAL(pmo_lstm_window_cut(&past, 1000 + PMO_LSTM_HOUR + 200, window));
}

/* The derivative by @weight, from losses on both sides of it. */
static double central_difference(struct pmo_lstm_weights *weights, float *weight,
                                 const struct pmo_lstm_window *window,
                                 struct pmo_lstm_passage *passage)
{
    static struct pmo_lstm_weights ignored;
    const float was = *weight, to = 0.01F;
    double above, below;

    *weight = was + to;
    above = pmo_lstm_window_gradient(weights, window, passage, &ignored);
    *weight = was - to;
    below = pmo_lstm_window_gradient(weights, window, passage, &ignored);
    *weight = was;
    return (above - below) / (2 * (double)to);
}

static void gradients_are_those_of_finite_differences(void)
{
    static struct pmo_lstm_window window;
    static struct pmo_lstm_passage passage;
    static struct pmo_lstm_weights weights, gradient;
    static float *const groups[] = {weights.input[0],      weights.hidden[0],
                                    weights.bias,          weights.head_hidden[0],
                                    weights.head_input[0], weights.head_bias};
    static const size_t sizes[] = {sizeof(weights.input),      sizeof(weights.hidden),
                                   sizeof(weights.bias),       sizeof(weights.head_hidden),
                                   sizeof(weights.head_input), sizeof(weights.head_bias)};

    random_state = 2;
    full_window(&window);
    random_weights(&weights, 0.25);
    memset(&gradient, 0, sizeof(gradient));
    CU_ASSERT(pmo_lstm_window_gradient(&weights, &window, &passage, &gradient) > 0);
    for (size_t group = 0; group < sizeof(groups) / sizeof(*groups); group++) {
        double wrong = 0, right = 0;

        for (int i = 0; i < 12; i++) {
            size_t which = (size_t)(uniform() * (double)sizes[group] / sizeof(float));
            double expected =
                central_difference(&weights, groups[group] + which, &window, &passage);
            const float *all = gradient.input[0];
            double got = all[groups[group] + which - weights.input[0]];

            wrong += (got - expected) * (got - expected);
            right += expected * expected;
        }
        CU_ASSERT(right > 0);
        CU_ASSERT(sqrt(wrong / right) < 0.01);
    }
}

/* Errors at horizons 5, 11 and 31 over an hour that comes after what was trained on; and those of
 * the last value. */
static void errors_after(const struct pmo_lstm *net, double (*rate)(int64_t t), int64_t from,
                         double *error, double *simple)
{
    _cleanup_free_ struct pmo_recent *recent = calloc(1, sizeof(*recent));
    static const unsigned int horizons[] = {5, 11, 31};
    struct pmo_lstm_state state = {0};
    float mean[PMO_HORIZONS];

    CU_ASSERT_FATAL(recent != NULL);
    *error = *simple = 0;
    for (int64_t t = from; t < from + 7200; t++) {
        struct pmo_lstm_second second;

        pmo_recent_append(recent, t, count_of(rate(t)));
        pmo_lstm_second_from(recent, &second);
        pmo_lstm_observe(net, &state, &second);
        if (t < from + 3600)
            continue;
        pmo_lstm_predict(net, &state, mean);
        for (size_t i = 0; i < sizeof(horizons) / sizeof(*horizons); i++) {
            double truth = rate(t + horizons[i]);

            *error += fabs(mean[horizons[i] - 1] - truth);
            *simple += fabs(second.value - truth);
        }
    }
}

static void waves_and_bursts_by_the_clock_are_learned(void)
{
    enum { seconds = 4 * 3600 };
    static double (*const rates[])(int64_t t) = {wave, clock_bursts};
    static float value[seconds];
    _cleanup_trainer_ struct pmo_lstm_trainer *trainer = trainer_new(PMO_LSTM_MEMORY);
    const struct pmo_lstm *net = &pmo_lstm_trainer_training(trainer)->net;
    float mean[PMO_HORIZONS];
    struct pmo_lstm_state state = {0};
    double error, simple;

    random_state = 3;
    for (size_t i = 0; i < 2; i++) {
        struct pmo_lstm_past past = {.count = seconds, .value = value};

        for (int64_t t = 0; t < seconds; t++)
            value[t] = count_of(rates[i](t));
        (void)pmo_lstm_trainer_add(trainer, &past);
    }
    CU_ASSERT_FALSE(pmo_lstm_usable(net, 5));
    train_and_judge(trainer, 256);
    for (unsigned int h = 1; h <= 31; h++)
        CU_ASSERT_TRUE(pmo_lstm_usable(net, h));
    pmo_lstm_predict(net, &state, mean); /* of a series that was not seen yet */
    CU_ASSERT(isnan(mean[0]));
    for (size_t i = 0; i < 2; i++) {
        errors_after(net, rates[i], seconds, &error, &simple);
        CU_ASSERT(error < 0.5 * simple);
    }
}

/* Of what can only be a guess, nothing is usable: the best forecast of a random walk is its last
 * value. */
static void nothing_is_usable_that_is_not_better(void)
{
    enum { seconds = 6 * 3600 };
    static float value[seconds];
    _cleanup_trainer_ struct pmo_lstm_trainer *trainer = trainer_new(PMO_LSTM_MEMORY);
    struct pmo_lstm_past past = {.count = seconds, .value = value};
    double at = log(1e5);

    random_state = 4;
    for (size_t t = 0; t < seconds; t++)
        value[t] = (float)exp(at += 0.02 * normal());
    (void)pmo_lstm_trainer_add(trainer, &past);
    train_and_judge(trainer, 256);
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++)
        CU_ASSERT_FALSE(pmo_lstm_usable(&pmo_lstm_trainer_training(trainer)->net, h));
}

/* What is held back has no part in the weights: not even if it is another series altogether. */
static void training_does_not_see_what_is_held_back(void)
{
    enum { seconds = 100 + 20 * PMO_LSTM_STRIDE, known = 16 * PMO_LSTM_STRIDE + PMO_LSTM_LEAD_IN };
    static const int64_t until[] = {seconds, known, known - 2};
    static float value[seconds];
    struct pmo_lstm_past past = {.count = seconds, .value = value};
    struct pmo_lstm_weights weights[3];

    for (int i = 0; i < 3; i++) {
        _cleanup_trainer_ struct pmo_lstm_trainer *trainer = trainer_new(PMO_LSTM_MEMORY);
        size_t trained, held;

        random_state = 5;
        for (int64_t t = 0; t < seconds; t++)
            value[t] = count_of(t < until[i] ? wave(t) : 3 * wave(t));
        (void)pmo_lstm_trainer_add(trainer, &past);
        pmo_lstm_trainer_windows(trainer, &trained, &held);
        CU_ASSERT_EQUAL(held, 4);
        CU_ASSERT_EQUAL(trained, 16);
        slices(trainer, 10);
        weights[i] = pmo_lstm_trainer_training(trainer)->weights;
    }
    CU_ASSERT_FALSE(memcmp(&weights[0], &weights[1], sizeof(*weights)));
    CU_ASSERT_TRUE(memcmp(&weights[0], &weights[2], sizeof(*weights)));
}

/* State and forecast after @count seconds of @value, and an hour of it before. */
static void run(const struct pmo_lstm *net, const float *value, size_t count,
                struct pmo_lstm_state *state, float mean[PMO_HORIZONS])
{
    _cleanup_free_ struct pmo_recent *recent = calloc(1, sizeof(*recent));

    CU_ASSERT_FATAL(recent != NULL);
    memset(state, 0, sizeof(*state));
    for (size_t t = 0; t < count; t++) {
        struct pmo_lstm_second second;

        if (isnan(value[t]))
            continue;
        pmo_recent_append(recent, (int64_t)t, value[t]);
        pmo_lstm_second_from(recent, &second);
        pmo_lstm_observe(net, state, &second);
    }
    pmo_lstm_predict(net, state, mean);
}

static void a_thousand_times_the_series_is_a_thousand_times_the_forecast(void)
{
    enum { seconds = 4000 };
    static float value[seconds];
    static struct pmo_lstm net;
    struct pmo_lstm_state state;
    float mean[PMO_HORIZONS], thousandfold[PMO_HORIZONS];

    random_state = 6;
    random_net(&net);
    for (int64_t t = 0; t < seconds; t++)
        value[t] = 1e4F * count_of(clock_bursts(t));
    run(&net, value, seconds, &state, mean);
    for (int64_t t = 0; t < seconds; t++)
        value[t] *= 1000;
    run(&net, value, seconds, &state, thousandfold);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT_DOUBLE_EQUAL(thousandfold[h] / mean[h], 1000, 5);
}

static void forecasts_do_not_know_what_comes(void)
{
    enum { seconds = 8000, origin = 4000 };
    static float value[seconds];
    static struct pmo_lstm net;
    struct pmo_lstm_state state;
    float known[PMO_HORIZONS], mean[PMO_HORIZONS];
    _cleanup_free_ struct pmo_recent *recent = calloc(1, sizeof(*recent));
    struct pmo_lstm_second a, b;

    CU_ASSERT_FATAL(recent != NULL);
    random_state = 7;
    random_net(&net);
    for (int64_t t = 0; t < seconds; t++)
        value[t] = count_of(wave(t));
    run(&net, value, origin, &state, known);
    /* an hour ago ends a minute after an hour ago: what comes next is not in it */
    for (int64_t t = 0; t < origin; t++)
        pmo_recent_append(recent, t, value[t]);
    pmo_lstm_second_from(recent, &a);
    for (int64_t t = origin - PMO_LSTM_HOUR + PMO_HORIZONS; t < origin - 1; t++)
        recent->value[pmo_recent_slot(t)] = 0;
    pmo_lstm_second_from(recent, &b);
    CU_ASSERT_FALSE(memcmp(&a, &b, sizeof(a)));
    recent->value[pmo_recent_slot(origin - 1 - PMO_LSTM_HOUR + PMO_HORIZONS)] = 0;
    pmo_lstm_second_from(recent, &b);
    CU_ASSERT_TRUE(memcmp(&a, &b, sizeof(a)));

    for (int64_t t = origin; t < seconds; t++)
        value[t] = 0;
    run(&net, value, origin, &state, mean);
    CU_ASSERT_FALSE(memcmp(mean, known, sizeof(mean)));
}

static void a_gap_is_survived_and_a_long_one_ends_what_was_known(void)
{
    enum { seconds = 600 };
    static float value[seconds];
    static struct pmo_lstm net;
    struct pmo_lstm_state state;
    float mean[PMO_HORIZONS];

    random_state = 8;
    random_net(&net);
    for (int64_t t = 0; t < seconds; t++)
        value[t] = t >= 300 && t < 330 ? NAN : count_of(wave(t));
    run(&net, value, 331, &state, mean);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT(isfinite(mean[h]) && mean[h] >= 0);
    for (int64_t t = 330; t < 400; t++)
        value[t] = NAN;
    run(&net, value, 400 + PMO_LSTM_LEAD_IN - 1, &state, mean);
    CU_ASSERT(isnan(mean[0]));
    run(&net, value, 400 + PMO_LSTM_LEAD_IN, &state, mean);
    CU_ASSERT(isfinite(mean[0]));
}

static void another_network_goes_on_where_the_last_one_was(void)
{
    enum { seconds = 1500 };
    static struct pmo_lstm net;
    _cleanup_free_ struct pmo_recent *recent = calloc(1, sizeof(*recent));
    _cleanup_free_ struct pmo_leading *leading = calloc(1, sizeof(*leading));
    struct pmo_lstm_state state = {0}, warmed = {.generation = 77};
    struct pmo_lstm_second second;
    float mean[PMO_HORIZONS], warm[PMO_HORIZONS];

    CU_ASSERT_FATAL(recent && leading);
    pmo_leading_init(leading);
    random_state = 9;
    random_net(&net);
    for (size_t i = 0; i < HIDDEN; i++) /* which forgets within the lead-in */
        net.weights.bias[HIDDEN + i] = 0;
    for (int64_t t = 0; t < seconds; t++) {
        pmo_recent_append(recent, t, count_of(wave(t)));
        leading->signal[PMO_LEADING_UPSTREAM] = count_of(wave(t + 20));
        pmo_leading_hear(leading, t);
        pmo_lstm_second_from(recent, &second);
        pmo_leading_logs(leading, t, second.leading);
        pmo_lstm_observe(&net, &state, &second);
    }
    pmo_lstm_warm(&net, &warmed, recent, leading);
    pmo_lstm_predict(&net, &state, mean);
    pmo_lstm_predict(&net, &warmed, warm);
    CU_ASSERT_EQUAL(warmed.last, state.last);
    for (size_t h = 0; h < PMO_HORIZONS; h++)
        CU_ASSERT_DOUBLE_EQUAL(warm[h] / mean[h], 1, 0.02);
    /* without that, it says nothing for a while */
    net.generation++;
    pmo_recent_append(recent, seconds, 200);
    pmo_lstm_second_from(recent, &second);
    pmo_lstm_observe(&net, &state, &second);
    pmo_lstm_predict(&net, &state, mean);
    CU_ASSERT(isnan(mean[0]));
}

static void the_past_has_its_bounds(void)
{
    enum { seconds = 86400, windows = 100 };
    static float value[seconds];
    _cleanup_trainer_ struct pmo_lstm_trainer *trainer =
        trainer_new(windows * sizeof(struct pmo_lstm_window));
    struct pmo_lstm_past past = {.count = seconds, .value = value};
    size_t trained, held;

    random_state = 10;
    for (int64_t t = 0; t < seconds; t++)
        value[t] = count_of(wave(t));
    past.since = pmo_lstm_trainer_add(trainer, &past);
    CU_ASSERT(past.since + PMO_LSTM_WINDOW > seconds);
    CU_ASSERT_EQUAL(past.since % PMO_LSTM_STRIDE, 0);
    pmo_lstm_trainer_windows(trainer, &trained, &held);
    CU_ASSERT(trained + held <= windows && trained + held >= windows - 1);
    CU_ASSERT_EQUAL(pmo_lstm_trainer_add(trainer, &past), past.since); /* nothing twice */
    past.since = 0;
    past.count = PMO_LSTM_WINDOW - 1;
    CU_ASSERT_EQUAL(pmo_lstm_trainer_add(trainer, &past), 0); /* too little */
}

static void silence_is_not_worth_a_window(void)
{
    static float value[2 * PMO_LSTM_WINDOW];
    static struct pmo_lstm_window window;
    struct pmo_lstm_past past = {.count = 2 * PMO_LSTM_WINDOW, .value = value};

    CU_ASSERT_FALSE(pmo_lstm_window_cut(&past, 100, &window)); /* no requests at all */
    for (int64_t t = 0; t < 2 * PMO_LSTM_WINDOW; t++)
        value[t] = t < PMO_LSTM_WINDOW ? NAN : 5;
    CU_ASSERT_TRUE(pmo_lstm_window_cut(&past, PMO_LSTM_WINDOW - 90, &window));
    CU_ASSERT_FALSE(pmo_lstm_window_cut(&past, PMO_LSTM_WINDOW - 100, &window)); /* or not known */
}

static void resumed_training_ends_where_training_in_one_go_does(void)
{
    enum { seconds = 20000 };
    static float value[seconds];
    _cleanup_trainer_ struct pmo_lstm_trainer *once = trainer_new(PMO_LSTM_MEMORY);
    _cleanup_trainer_ struct pmo_lstm_trainer *first = trainer_new(PMO_LSTM_MEMORY);
    _cleanup_trainer_ struct pmo_lstm_trainer *then = trainer_new(PMO_LSTM_MEMORY);
    _cleanup_free_ struct pmo_lstm_file *file = malloc(sizeof(*file));
    struct pmo_lstm_past past = {.count = seconds, .value = value};

    CU_ASSERT_FATAL(file != NULL);
    random_state = 11;
    for (int64_t t = 0; t < seconds; t++)
        value[t] = count_of(wave(t));
    (void)pmo_lstm_trainer_add(once, &past);
    slices(once, 20);
    (void)pmo_lstm_trainer_add(first, &past);
    slices(first, 12);
    pmo_lstm_file_fill(file, pmo_lstm_trainer_training(first));
    CU_ASSERT_PTR_NULL_FATAL(pmo_lstm_file_check(file, sizeof(*file)));
    CU_ASSERT_FALSE(memcmp(&file->training, pmo_lstm_trainer_training(first),
                           sizeof(struct pmo_lstm_training)));
    pmo_lstm_trainer_resume(then, &file->training);
    (void)pmo_lstm_trainer_add(then, &past);
    slices(then, 8);
    CU_ASSERT_FALSE(memcmp(pmo_lstm_trainer_training(then), pmo_lstm_trainer_training(once),
                           sizeof(struct pmo_lstm_training)));
}

static void damaged_and_foreign_files_are_refused(void)
{
    _cleanup_trainer_ struct pmo_lstm_trainer *trainer = trainer_new(PMO_LSTM_MEMORY);
    _cleanup_free_ struct pmo_lstm_file *good = malloc(sizeof(*good));
    _cleanup_free_ struct pmo_lstm_file *file = malloc(sizeof(*file) + 1);

    CU_ASSERT_FATAL(good && file);
    pmo_lstm_file_fill(good, pmo_lstm_trainer_training(trainer));
    for (size_t at = 0; at < sizeof(*good); at += 997) { /* a bit, anywhere */
        *file = *good;
        ((unsigned char *)file)[at] ^= 0x10;
        CU_ASSERT_PTR_NOT_NULL(pmo_lstm_file_check(file, sizeof(*file)));
    }
    *file = *good;
    CU_ASSERT_PTR_NULL(pmo_lstm_file_check(file, sizeof(*file)));
    CU_ASSERT_STRING_EQUAL(pmo_lstm_file_check(file, sizeof(*file) - 1),
                           "is cut short, or longer than written");
    CU_ASSERT_STRING_EQUAL(pmo_lstm_file_check(file, sizeof(*file) + 1),
                           "is cut short, or longer than written");
    CU_ASSERT_STRING_EQUAL(pmo_lstm_file_check(file, 0), "is no network of an agent");
    file->version++;
    CU_ASSERT_STRING_EQUAL(pmo_lstm_file_check(file, sizeof(*file)), "is of another version");
}

SUITE(lstm) = {
    TEST(steps_are_those_of_the_equations),
    TEST(gradients_are_those_of_finite_differences),
    TEST(waves_and_bursts_by_the_clock_are_learned),
    TEST(nothing_is_usable_that_is_not_better),
    TEST(training_does_not_see_what_is_held_back),
    TEST(a_thousand_times_the_series_is_a_thousand_times_the_forecast),
    TEST(forecasts_do_not_know_what_comes),
    TEST(a_gap_is_survived_and_a_long_one_ends_what_was_known),
    TEST(another_network_goes_on_where_the_last_one_was),
    TEST(the_past_has_its_bounds),
    TEST(silence_is_not_worth_a_window),
    TEST(resumed_training_ends_where_training_in_one_go_does),
    TEST(damaged_and_foreign_files_are_refused),
    {},
};
