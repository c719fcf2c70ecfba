/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/lstm.h"

#include <math.h>
#include <string.h>
#include "agent/forecast/leading.h"

#define QUICK (1.0F / 3)
#define LEVEL (1.0F / 16)
#define SLOW  (1.0F / 300)

#define SIGNAL_MAX 4.0F
#define OUTPUT_MAX 4.0F /* nothing rises to more than 55 times its level within a minute */

enum { SEEN_NOW, SEEN_QUICK, SEEN_SLOW, SEEN_NOISE, SEEN_MISSING, SEEN_EVENT, SEEN_LEADING };
#define SEEN_HOUR_AGO   (SEEN_LEADING + PMO_LSTM_LEADING)
#define SEEN_HOUR_KNOWN (SEEN_HOUR_AGO + PMO_LSTM_HOUR_AGO)
#define SEEN_CLOCK      (SEEN_HOUR_KNOWN + 1)

/* What programs run by: the minute, five minutes, half an hour, the hour, the day. */
static const int32_t clocks[] = {60, 300, 1800, 3600, 86400};
_Static_assert(SEEN_CLOCK + 2 * sizeof(clocks) / sizeof(*clocks) == PMO_LSTM_INPUTS, "all of them");

void pmo_lstm_hour_ago(const float around[PMO_LSTM_AROUND], float hour_ago[PMO_LSTM_HOUR_AGO])
{
    /* where each mean ends: ten seconds up to an hour ago, and four parts of what followed */
    static const uint8_t end[PMO_LSTM_HOUR_AGO] = {PMO_LSTM_BEFORE + 1, 16, 28, 46,
                                                   PMO_LSTM_AROUND};
    size_t i = 0;

    for (size_t k = 0; k < PMO_LSTM_HOUR_AGO; k++) {
        float sum = 0, known = 0;

        for (; i < end[k]; i++) {
            bool missing = isnan(around[i]);

            sum += missing ? 0 : around[i];
            known += missing ? 0 : 1;
        }
        hour_ago[k] = known > 0 ? sum / known : NAN;
    }
}

/* Second @t, known, as @recent has it. */
static void second_at(const struct pmo_recent *recent, int64_t t, struct pmo_lstm_second *second)
{
    float around[PMO_LSTM_AROUND];

    for (size_t i = 0; i < PMO_LSTM_AROUND; i++)
        around[i] = pmo_recent_at(recent, t - PMO_LSTM_HOUR - PMO_LSTM_BEFORE + (int64_t)i);
    *second = (struct pmo_lstm_second){.t = t, .value = pmo_recent_at(recent, t)};
    pmo_lstm_hour_ago(around, second->hour_ago);
}

void pmo_lstm_second_from(const struct pmo_recent *recent, struct pmo_lstm_second *second)
{
    second_at(recent, recent->last, second);
}

/* @share of a second, after @missing that the mean stood still for. */
static void take(float *mean, float share, float seconds, float value, int64_t missing)
{
    if (missing > 0)
        share = 1 - powf(1 - share, (float)missing + 1);
    *mean += fmaxf(share, 1 / seconds) * (value - *mean);
}

void pmo_lstm_means_take(struct pmo_lstm_means *means, float value, int64_t missing)
{
    float seconds = (float)(means->seconds + 1);

    take(&means->quick, QUICK, seconds, value, missing);
    take(&means->level, LEVEL, seconds, value, missing);
    take(&means->slow, SLOW, seconds, value, missing);
    if (means->seconds < PMO_LSTM_MEANS)
        means->seconds++;
}

static float within(float x, float limit)
{
    return fminf(fmaxf(x, -limit), limit);
}

static float known_or_0(float x)
{
    return isnan(x) ? 0 : x;
}

static void look_at_clocks(int64_t t, float *input)
{
    for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
        int32_t second = (int32_t)(t % clocks[i]);
        float phase = 2 * (float)M_PI * (float)second / (float)clocks[i];

        *input++ = sinf(phase);
        *input++ = cosf(phase);
    }
}

void pmo_lstm_look(const struct pmo_lstm_means *means, const struct pmo_lstm_second *second,
                   int64_t missing, float input[PMO_LSTM_INPUTS])
{
    float level = logf(1 + means->level), then = logf(1 + second->hour_ago[0]);

    input[SEEN_NOW] = logf(1 + second->value) - level;
    input[SEEN_QUICK] = logf(1 + means->quick) - level;
    input[SEEN_SLOW] = logf(1 + means->slow) - level;
    input[SEEN_NOISE] = 1 / sqrtf(1 + means->level); /* of counts, as a ratio */
    input[SEEN_MISSING] = logf(1 + (float)missing) / SIGNAL_MAX;
    input[SEEN_EVENT] = within(second->event, 1);
    for (size_t i = 0; i < PMO_LSTM_LEADING; i++)
        input[SEEN_LEADING + i] = within(second->leading[i], SIGNAL_MAX);
    input[SEEN_HOUR_AGO] = known_or_0(then - level);
    for (size_t i = 1; i < PMO_LSTM_HOUR_AGO; i++)
        input[SEEN_HOUR_AGO + i] = known_or_0(logf(1 + second->hour_ago[i]) - then);
    input[SEEN_HOUR_KNOWN] = isnan(then) ? 0 : 1;
    look_at_clocks(second->t, input + SEEN_CLOCK);
}

/* tanh of each, by the ninth convergent of Lambert's continued fraction (1768), cut where it
 * reaches 1: wrong by 7e-6 at most. */
static void squash(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float a = x[i] < 6.3F ? x[i] : 6.3F;
        float b = a > -6.3F ? a : -6.3F, u = b * b;
        float above = 34459425.0F + u * (4729725.0F + u * (135135.0F + u * (990.0F + u)));
        float below =
            34459425.0F + u * (16216200.0F + u * (945945.0F + u * (13860.0F + u * 45.0F)));

        x[i] = b * above / below;
    }
}

/* sum += x * row */
static void add_row(float sum[PMO_LSTM_GATES], float x, const float row[PMO_LSTM_GATES])
{
    for (size_t i = 0; i < PMO_LSTM_GATES; i++)
        sum[i] += x * row[i];
}

static void add_head(float sum[PMO_LSTM_OUTPUTS], float x, const float row[PMO_LSTM_OUTPUTS])
{
    for (size_t i = 0; i < PMO_LSTM_OUTPUTS; i++)
        sum[i] += x * row[i];
}

void pmo_lstm_forward(const struct pmo_lstm_weights *weights, const float hidden[PMO_LSTM_HIDDEN],
                      const float cell[PMO_LSTM_HIDDEN], struct pmo_lstm_step *step)
{
    enum { logistic = 3 * PMO_LSTM_HIDDEN };
    float gate[PMO_LSTM_GATES], output[PMO_LSTM_OUTPUTS];
    const float *in = gate, *forget = in + PMO_LSTM_HIDDEN, *out = forget + PMO_LSTM_HIDDEN,
                *candidate = out + PMO_LSTM_HIDDEN;

    memcpy(gate, weights->bias, sizeof(gate));
    memcpy(output, weights->head_bias, sizeof(output));
    for (size_t i = 0; i < PMO_LSTM_INPUTS; i++) {
        add_row(gate, step->input[i], weights->input[i]);
        add_head(output, step->input[i], weights->head_input[i]);
    }
    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++)
        add_row(gate, hidden[i], weights->hidden[i]);

    for (size_t i = 0; i < logistic; i++) /* 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2 */
        gate[i] *= 0.5F;
    squash(gate, PMO_LSTM_GATES);
    for (size_t i = 0; i < logistic; i++)
        gate[i] = 0.5F + 0.5F * gate[i];

    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++)
        step->cell[i] = step->squashed[i] = forget[i] * cell[i] + in[i] * candidate[i];
    squash(step->squashed, PMO_LSTM_HIDDEN);
    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++)
        step->hidden[i] = out[i] * step->squashed[i];
    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++)
        add_head(output, step->hidden[i], weights->head_hidden[i]);
    memcpy(step->gate, gate, sizeof(gate));
    memcpy(step->output, output, sizeof(output));
}

static void begin(struct pmo_lstm_state *state, uint32_t generation)
{
    state->generation = generation;
    state->steps = 0;
    memset(state->hidden, 0, sizeof(state->hidden));
    memset(state->cell, 0, sizeof(state->cell));
}

void pmo_lstm_observe(const struct pmo_lstm *net, struct pmo_lstm_state *state,
                      const struct pmo_lstm_second *second)
{
    int64_t missing = state->means.seconds ? second->t - state->last - 1 : 0;
    struct pmo_lstm_step step;

    if (state->generation != net->generation || missing > PMO_LSTM_LEAD_IN)
        begin(state, net->generation);
    pmo_lstm_means_take(&state->means, second->value, missing);
    pmo_lstm_look(&state->means, second, state->steps ? missing : 0, step.input);
    pmo_lstm_forward(&net->weights, state->hidden, state->cell, &step);
    memcpy(state->hidden, step.hidden, sizeof(state->hidden));
    memcpy(state->cell, step.cell, sizeof(state->cell));
    memcpy(state->output, step.output, sizeof(state->output));
    state->last = second->t;
    if (state->steps < PMO_LSTM_LEAD_IN)
        state->steps++;
}

void pmo_lstm_warm(const struct pmo_lstm *net, struct pmo_lstm_state *state,
                   const struct pmo_recent *recent, const struct pmo_leading *leading)
{
    int64_t t = recent->last - PMO_LSTM_MEANS - PMO_LSTM_LEAD_IN;

    *state = (struct pmo_lstm_state){0};
    for (; t <= recent->last; t++) {
        struct pmo_lstm_second second;
        float value = pmo_recent_at(recent, t);

        if (isnan(value))
            continue;
        if (t <= recent->last - PMO_LSTM_LEAD_IN) {
            pmo_lstm_means_take(&state->means, value,
                                state->means.seconds ? t - state->last - 1 : 0);
            state->last = t;
            continue;
        }
        second_at(recent, t, &second);
        if (leading)
            pmo_leading_logs(leading, t, second.leading);
        pmo_lstm_observe(net, state, &second);
    }
}

float pmo_lstm_mean(float level, float output)
{
    return (level + 1) * expf(within(output, OUTPUT_MAX)) - 1;
}

float pmo_lstm_slope(float level, float output)
{
    return fabsf(output) < OUTPUT_MAX ? pmo_lstm_mean(level, output) + 1 : 0;
}

bool pmo_lstm_usable(const struct pmo_lstm *net, unsigned int horizon)
{
    struct pmo_grid_point at = pmo_grid_at(horizon);

    return (at.share >= 1 || net->score[at.i].better) &&
           (at.share <= 0 || net->score[at.i + 1].better);
}

void pmo_lstm_predict(const struct pmo_lstm *net, const struct pmo_lstm_state *state,
                      float mean[PMO_HORIZONS])
{
    bool ready = state->generation == net->generation && state->steps >= PMO_LSTM_LEAD_IN;
    float at_grid[PMO_GRID];

    for (size_t g = 0; g < PMO_GRID; g++)
        at_grid[g] = ready && net->score[g].better
                         ? fmaxf(pmo_lstm_mean(state->means.level, state->output[g]), 0)
                         : NAN;
    for (unsigned int h = 1; h <= PMO_HORIZONS; h++) {
        struct pmo_grid_point at = pmo_grid_at(h);

        /* NAN at a side that has no share is none */
        mean[h - 1] = at.share <= 0   ? at_grid[at.i]
                      : at.share >= 1 ? at_grid[at.i + 1]
                                      : pmo_grid_between(at, at_grid[at.i], at_grid[at.i + 1]);
    }
}
