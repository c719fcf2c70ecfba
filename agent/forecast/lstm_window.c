/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/lstm_window.h"

#include <math.h>
#include <string.h>

#define KNOWN_MIN (PMO_LSTM_WINDOW * 4 / 5)
#define MEAN_MIN  0.02F /* requests a second */
#define RATIO     (1.0F / 8)
#define HUBER     2.0F /* errors are squared up to this many times the noise */
#define MEAN_OF   30

int64_t pmo_lstm_past_next(const struct pmo_lstm_past *past)
{
    int64_t first = past->start > past->since ? past->start : past->since;
    int64_t room = past->start + (int64_t)past->count - first - PMO_LSTM_WINDOW;

    if (room < 0)
        return past->since;
    return first + (room / PMO_LSTM_STRIDE + 1) * PMO_LSTM_STRIDE;
}

static float value_at(const struct pmo_lstm_past *past, int64_t t)
{
    if (t < past->start || t >= past->start + (int64_t)past->count)
        return NAN;
    return past->value[t - past->start];
}

static int8_t signal_at(const struct pmo_lstm_past *past, const float *signal, int64_t t)
{
    float parts = signal ? roundf(signal[t - past->start] * PMO_LSTM_SIGNAL_ONE) : 0;

    return (int8_t)fminf(fmaxf(parts, INT8_MIN), INT8_MAX);
}

static void means_before(const struct pmo_lstm_past *past, int64_t start,
                         struct pmo_lstm_means *means)
{
    int64_t last = INT64_MIN;

    memset(means, 0, sizeof(*means));
    for (int64_t t = start - PMO_LSTM_MEANS; t < start; t++) {
        float value = value_at(past, t);

        if (isnan(value))
            continue;
        pmo_lstm_means_take(means, value, means->seconds ? t - last - 1 : 0);
        last = t;
    }
}

bool pmo_lstm_window_cut(const struct pmo_lstm_past *past, int64_t start,
                         struct pmo_lstm_window *window)
{
    unsigned int known = 0;
    double sum = 0;
    float mean;

    window->start = start;
    for (int64_t i = 0; i < PMO_LSTM_WINDOW; i++) {
        float value = value_at(past, start + i);

        window->value[i] = value;
        window->event[i] = signal_at(past, past->event, start + i);
        for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
            window->leading[k][i] = signal_at(past, past->leading[k], start + i);
        known += !isnan(value);
        sum += isnan(value) ? 0 : value;
    }
    for (int64_t i = 0; i < PMO_LSTM_EARLIER; i++)
        window->earlier[i] = value_at(past, start - PMO_LSTM_HOUR - PMO_LSTM_BEFORE + i);
    means_before(past, start, &window->means);
    mean = known ? (float)(sum / known) : 0;
    window->scale = sqrtf(mean + RATIO * RATIO * mean * mean);
    return known >= KNOWN_MIN && mean >= MEAN_MIN;
}

static void second_of(const struct pmo_lstm_window *window, size_t i,
                      struct pmo_lstm_second *second)
{
    second->t = window->start + (int64_t)i;
    second->value = window->value[i];
    second->event = (float)window->event[i] / PMO_LSTM_SIGNAL_ONE;
    for (size_t k = 0; k < PMO_LSTM_LEADING; k++)
        second->leading[k] = (float)window->leading[k][i] / PMO_LSTM_SIGNAL_ONE;
    pmo_lstm_hour_ago(&window->earlier[i], second->hour_ago);
}

static void pass(const struct pmo_lstm_weights *weights, const struct pmo_lstm_window *window,
                 struct pmo_lstm_passage *passage)
{
    static const float zero[PMO_LSTM_HIDDEN];
    const float *hidden = zero, *cell = zero;
    struct pmo_lstm_means means = window->means;
    struct pmo_lstm_second second;
    size_t next = 0; /* the second after the last known one */

    passage->count = 0;
    for (size_t i = 0; i < PMO_LSTM_ORIGINS; i++) {
        struct pmo_lstm_step *step = &passage->step[passage->count];
        int64_t missing = (int64_t)(i - next);

        if (isnan(window->value[i]))
            continue;
        second_of(window, i, &second);
        pmo_lstm_means_take(&means, second.value, missing);
        pmo_lstm_look(&means, &second, missing, step->input);
        pmo_lstm_forward(weights, hidden, cell, step);
        hidden = step->hidden;
        cell = step->cell;
        passage->second[passage->count] = (uint16_t)i;
        passage->level[passage->count++] = means.level;
        next = i + 1;
    }
}

/* Whether the forecast of second @i, at grid point @g, is scored. */
static bool scored(const struct pmo_lstm_window *window, size_t i, size_t g)
{
    return i >= PMO_LSTM_LEAD_IN && !isnan(window->value[i + pmo_grid[g]]);
}

/* Loss of step @k's forecasts and its derivatives by the step's outputs. */
static double loss(const struct pmo_lstm_window *window, const struct pmo_lstm_passage *passage,
                   size_t k, float share, float by_output[PMO_LSTM_OUTPUTS])
{
    size_t i = passage->second[k];
    double sum = 0;

    memset(by_output, 0, PMO_LSTM_OUTPUTS * sizeof(*by_output));
    for (size_t g = 0; g < PMO_GRID; g++) {
        float mean = pmo_lstm_mean(passage->level[k], passage->step[k].output[g]), error;

        if (!scored(window, i, g))
            continue;
        error = (mean - window->value[i + pmo_grid[g]]) / window->scale;
        if (fabsf(error) <= HUBER)
            sum += 0.5F * error * error;
        else
            sum += HUBER * (fabsf(error) - 0.5F * HUBER);
        error = fminf(fmaxf(error, -HUBER), HUBER);
        by_output[g] = share * error / window->scale *
                       pmo_lstm_slope(passage->level[k], passage->step[k].output[g]);
    }
    return share * sum;
}

/* Rows and columns swapped, for the way back. */
struct transposed {
    float hidden[PMO_LSTM_GATES][PMO_LSTM_HIDDEN];
    float head[PMO_LSTM_OUTPUTS][PMO_LSTM_HIDDEN];
};

static void transpose(const struct pmo_lstm_weights *weights, struct transposed *transposed)
{
    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++) {
        for (size_t k = 0; k < PMO_LSTM_GATES; k++)
            transposed->hidden[k][i] = weights->hidden[i][k];
        for (size_t k = 0; k < PMO_LSTM_OUTPUTS; k++)
            transposed->head[k][i] = weights->head_hidden[i][k];
    }
}

/* What comes back to a step from those after it: derivatives of the loss. */
struct back {
    float hidden[PMO_LSTM_HIDDEN], cell[PMO_LSTM_HIDDEN];
};

/* Through the gates: from back->hidden and back->cell to the derivatives by the gates' sums, and
 * to those by the cells before. */
static void back_through_gates(const struct pmo_lstm_step *step, const float *cell_before,
                               struct back *back, float by_sum[PMO_LSTM_GATES])
{
    enum {
        in = 0,
        forget = PMO_LSTM_HIDDEN,
        out = 2 * PMO_LSTM_HIDDEN,
        candidate = 3 * PMO_LSTM_HIDDEN
    };
    const float *gate = step->gate;

    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++) {
        float i_gate = gate[in + i], f_gate = gate[forget + i], o_gate = gate[out + i],
              c_gate = gate[candidate + i], squashed = step->squashed[i];
        float by_cell = back->cell[i] + back->hidden[i] * o_gate * (1 - squashed * squashed);

        by_sum[out + i] = back->hidden[i] * squashed * o_gate * (1 - o_gate);
        by_sum[in + i] = by_cell * c_gate * i_gate * (1 - i_gate);
        by_sum[candidate + i] = by_cell * i_gate * (1 - c_gate * c_gate);
        by_sum[forget + i] = by_cell * cell_before[i] * f_gate * (1 - f_gate);
        back->cell[i] = by_cell * f_gate;
    }
}

static void add_row(float *restrict sum, float x, const float *restrict row, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += x * row[i];
}

static void back_through_step(const struct pmo_lstm_passage *passage, size_t k,
                              const struct transposed *transposed,
                              const float by_output[PMO_LSTM_OUTPUTS], struct back *back,
                              struct pmo_lstm_weights *gradient)
{
    static const float zero[PMO_LSTM_HIDDEN];
    const struct pmo_lstm_step *step = &passage->step[k];
    const float *hidden_before = k ? passage->step[k - 1].hidden : zero;
    const float *cell_before = k ? passage->step[k - 1].cell : zero;
    float by_sum[PMO_LSTM_GATES];

    add_row(gradient->head_bias, 1, by_output, PMO_LSTM_OUTPUTS);
    for (size_t i = 0; i < PMO_LSTM_INPUTS; i++)
        add_row(gradient->head_input[i], step->input[i], by_output, PMO_LSTM_OUTPUTS);
    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++)
        add_row(gradient->head_hidden[i], step->hidden[i], by_output, PMO_LSTM_OUTPUTS);
    for (size_t g = 0; g < PMO_GRID; g++)
        add_row(back->hidden, by_output[g], transposed->head[g], PMO_LSTM_HIDDEN);

    back_through_gates(step, cell_before, back, by_sum);
    add_row(gradient->bias, 1, by_sum, PMO_LSTM_GATES);
    for (size_t i = 0; i < PMO_LSTM_INPUTS; i++)
        add_row(gradient->input[i], step->input[i], by_sum, PMO_LSTM_GATES);
    for (size_t i = 0; i < PMO_LSTM_HIDDEN; i++)
        add_row(gradient->hidden[i], hidden_before[i], by_sum, PMO_LSTM_GATES);

    memset(back->hidden, 0, sizeof(back->hidden));
    for (size_t i = 0; i < PMO_LSTM_GATES; i++)
        add_row(back->hidden, by_sum[i], transposed->hidden[i], PMO_LSTM_HIDDEN);
}

double pmo_lstm_window_gradient(const struct pmo_lstm_weights *weights,
                                const struct pmo_lstm_window *window,
                                struct pmo_lstm_passage *passage, struct pmo_lstm_weights *gradient)
{
    struct transposed transposed;
    struct back back = {0};
    size_t forecasts = 0;
    double sum = 0;

    pass(weights, window, passage);
    transpose(weights, &transposed);
    for (size_t k = 0; k < passage->count; k++)
        for (size_t g = 0; g < PMO_GRID; g++)
            forecasts += scored(window, passage->second[k], g);
    for (size_t k = passage->count; forecasts && k-- > 0;) {
        float by_output[PMO_LSTM_OUTPUTS];

        sum += loss(window, passage, k, 1 / (float)forecasts, by_output);
        back_through_step(passage, k, &transposed, by_output, &back, gradient);
    }
    return sum;
}

void pmo_lstm_window_errors(const struct pmo_lstm_weights *weights,
                            const struct pmo_lstm_window *window, struct pmo_lstm_passage *passage,
                            float error[PMO_GRID])
{
    pass(weights, window, passage);
    for (size_t g = 0; g < PMO_GRID; g++) {
        float sum = 0, count = 0;

        for (size_t k = 0; k < passage->count; k++) {
            size_t i = passage->second[k];
            float mean;

            if (!scored(window, i, g))
                continue;
            mean = pmo_lstm_mean(passage->level[k], passage->step[k].output[g]);
            sum += fabsf(fmaxf(mean, 0) - window->value[i + pmo_grid[g]]);
            count++;
        }
        error[g] = sum / count / window->scale;
    }
}

/* Of what is known in the MEAN_OF seconds up to known second @i. */
static float mean_until(const struct pmo_lstm_window *window, size_t i)
{
    float sum = 0, known = 0;

    for (size_t k = i + 1 - MEAN_OF; k <= i; k++) {
        sum += isnan(window->value[k]) ? 0 : window->value[k];
        known += isnan(window->value[k]) ? 0 : 1;
    }
    return sum / known;
}

void pmo_lstm_window_simple(const struct pmo_lstm_window *window,
                            float error[PMO_LSTM_SIMPLE][PMO_GRID])
{
    float count[PMO_GRID] = {0};

    memset(error, 0, PMO_LSTM_SIMPLE * sizeof(*error));
    for (size_t i = PMO_LSTM_LEAD_IN; i < PMO_LSTM_ORIGINS; i++) {
        float last = window->value[i], mean;

        if (isnan(last))
            continue;
        mean = mean_until(window, i);
        for (size_t g = 0; g < PMO_GRID; g++) {
            float ago = window->earlier[PMO_LSTM_BEFORE + i + pmo_grid[g]];
            float value = window->value[i + pmo_grid[g]];

            if (isnan(value))
                continue;
            error[0][g] += fabsf(last - value);
            error[1][g] += fabsf(mean - value);
            error[2][g] += fabsf((isnan(ago) ? last : ago) - value);
            count[g]++;
        }
    }
    for (size_t k = 0; k < PMO_LSTM_SIMPLE; k++)
        for (size_t g = 0; g < PMO_GRID; g++)
            error[k][g] /= count[g] * window->scale;
}
