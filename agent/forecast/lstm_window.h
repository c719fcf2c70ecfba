/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the network of lstm.h is trained and judged on: eight minutes of one series, with the same
 * minutes of the hour before.
 *
 * Training goes back through one window at a time, which is cut off from what was before it
 * (truncated backpropagation through time, Williams and Peng 1990).
 *
 * The loss is Huber's, of each error relative to the noise of the window it is in: sqrt(S +
 * (S/8)^2), with S the window's mean. That is how counts scatter, and at high rates, where whatever
 * else changes is more than that, a ratio; so a busy series weighs no more than others. Errors are
 * of counts, not of their logarithms: the forecast is to be a mean, and that of logarithms is too
 * low where counts are small. Huber's, as a burst that nobody could foresee is many times the noise
 * and would outweigh an hour.
 *
 * Pure. Not thread-safe: a passage is used by one call at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/forecast/lstm.h"

/* A window: lead-in, origins of forecasts, and the minute that the last of these is about. With the
 * hour before, it fits into struct pmo_recent. */
#define PMO_LSTM_WINDOW  480
#define PMO_LSTM_ORIGINS (PMO_LSTM_WINDOW - PMO_HORIZONS) /* those of the lead-in included */
/* From one window's begin to the next one's: windows overlap in their lead-in only. */
#define PMO_LSTM_STRIDE  (PMO_LSTM_WINDOW - PMO_LSTM_LEAD_IN)
#define PMO_LSTM_EARLIER (PMO_LSTM_BEFORE + PMO_LSTM_WINDOW)
_Static_assert(PMO_LSTM_HOUR + PMO_LSTM_EARLIER <= PMO_RECENT_SECONDS, "an hour and a window");

/* Seconds start .. start + count - 1 of one series. */
struct pmo_lstm_past {
    int64_t start;
    size_t count;
    int64_t since;                          /* no window begins earlier; that is context */
    const float *value;                     /* 0 or more; NAN: missing */
    const float *event;                     /* as in struct pmo_lstm_second; NULL: all 0 */
    const float *leading[PMO_LSTM_LEADING]; /* likewise */
};

struct pmo_lstm_window {
    int64_t start;
    struct pmo_lstm_means means;     /* of what was before */
    float scale;                     /* the noise of its counts */
    float value[PMO_LSTM_WINDOW];    /* NAN: missing */
    float earlier[PMO_LSTM_EARLIER]; /* seconds from start - HOUR - BEFORE on */
    int8_t event[PMO_LSTM_WINDOW];   /* in parts of PMO_LSTM_SIGNAL_ONE */
    int8_t leading[PMO_LSTM_LEADING][PMO_LSTM_WINDOW];
};
#define PMO_LSTM_SIGNAL_ONE 31

/* Where the next window begins, once all of @past are cut: its `since` for the next time. */
int64_t pmo_lstm_past_next(const struct pmo_lstm_past *past);

/* Cuts the window that begins at @start, all of it in @past. Returns whether it is worth keeping:
 * most seconds are known, and something happened in some. */
bool pmo_lstm_window_cut(const struct pmo_lstm_past *past, int64_t start,
                         struct pmo_lstm_window *window);

/* The steps through a window: working memory, too large for a stack. */
struct pmo_lstm_passage {
    size_t count;                      /* of known seconds, */
    uint16_t second[PMO_LSTM_ORIGINS]; /* which these are, */
    float level[PMO_LSTM_ORIGINS];
    struct pmo_lstm_step step[PMO_LSTM_ORIGINS];
};

/* Mean loss of the forecasts that @weights make in @window; adds its gradient to @gradient. */
double pmo_lstm_window_gradient(const struct pmo_lstm_weights *weights,
                                const struct pmo_lstm_window *window,
                                struct pmo_lstm_passage *passage,
                                struct pmo_lstm_weights *gradient);

/* Mean absolute errors at each horizon of the grid, in parts of window->scale; NAN: no forecast
 * could be scored. */
void pmo_lstm_window_errors(const struct pmo_lstm_weights *weights,
                            const struct pmo_lstm_window *window, struct pmo_lstm_passage *passage,
                            float error[PMO_GRID]);

/* The same of forecasts that need no network: the last value, the mean of 30 s, and what came an
 * hour ago (the last value, where that is missing). Of the same seconds. */
#define PMO_LSTM_SIMPLE 3
void pmo_lstm_window_simple(const struct pmo_lstm_window *window,
                            float error[PMO_LSTM_SIMPLE][PMO_GRID]);
