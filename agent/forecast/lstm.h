/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One small recurrent network for all series: a long short-term memory (Hochreiter and Schmidhuber
 * 1997) with forget gates (Gers, Schmidhuber and Cummins 2000) and without peepholes, which bring
 * nothing (Greff et al. 2017, "LSTM: a search space odyssey"). It takes one step a second and says
 * how far the mean at each horizon of the grid will be from the level of now.
 *
 * Whatever it sees of a series is a difference of logarithms, log(1 + y), so that at high rates it
 * only sees ratios: a series and its thousandfold have the same forecasts, up to the factor. What
 * one network cannot know of each series, when its bursts come, it is shown: what followed an hour
 * ago. Over missing seconds it stands still.
 *
 * Weights are shared, and never change once they are in use: training (lstm_train.h) makes new
 * ones. Single precision; tanh and the logistic function are right to 1e-5.
 *
 * Pure, no clock, no file, no randomness. Any number of threads may use the same network, each with
 * states of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/forecast/forecast.h"
#include "agent/forecast/grid.h"
#include "agent/forecast/recent.h"

#define PMO_LSTM_HIDDEN   16
#define PMO_LSTM_GATES    (4 * PMO_LSTM_HIDDEN) /* input, forget and output gates, candidates */
#define PMO_LSTM_INPUTS   24
#define PMO_LSTM_OUTPUTS  12 /* PMO_GRID and padding: a whole number of vectors */
#define PMO_LSTM_LEADING  2
#define PMO_LSTM_HOUR_AGO 5

/* After fewer steps than this, and after more missing seconds in a row, it says nothing. */
#define PMO_LSTM_LEAD_IN 64
/* What the slow mean has to have seen to be one. */
#define PMO_LSTM_MEANS 600

/* What is needed of an hour ago for second t: seconds t - 3600 - BEFORE .. t - 3600 + 60. */
#define PMO_LSTM_HOUR   3600
#define PMO_LSTM_BEFORE 9
#define PMO_LSTM_AROUND (PMO_LSTM_BEFORE + 1 + PMO_HORIZONS)

struct pmo_leading; /* leading.h */

/* What is known of a series at the end of a second. Signals that nobody knows are 0. */
struct pmo_lstm_second {
    int64_t t;
    float value;                       /* requests, finite and 0 or more */
    float event;                       /* 0..1: strength of events now or within a minute */
    float leading[PMO_LSTM_LEADING];   /* logarithms of ratios to what is usual, of what callers are
                                        * asked and of SYNs; cut to -4..4 */
    float hour_ago[PMO_LSTM_HOUR_AGO]; /* means around and after an hour ago; NAN: not known */
};

/* Rows of 64 or 12: the inner loops run along them. Heads see the hidden units, the inputs, and a
 * constant. */
struct pmo_lstm_weights {
    float input[PMO_LSTM_INPUTS][PMO_LSTM_GATES];
    float hidden[PMO_LSTM_HIDDEN][PMO_LSTM_GATES];
    float bias[PMO_LSTM_GATES];
    float head_hidden[PMO_LSTM_HIDDEN][PMO_LSTM_OUTPUTS];
    float head_input[PMO_LSTM_INPUTS][PMO_LSTM_OUTPUTS];
    float head_bias[PMO_LSTM_OUTPUTS];
};

/* Mean absolute errors on data that the weights were not trained on, relative to the noise there;
 * of the network and of the best of the simple forecasts. */
struct pmo_lstm_score {
    float error, simple;
    bool better; /* beyond chance */
};

struct pmo_lstm {
    struct pmo_lstm_weights weights;
    struct pmo_lstm_score score[PMO_GRID];
    uint32_t generation; /* of the weights: counts up from 1 */
};

/* Forgetting means of what was seen, over about 3, 16 and 300 s. */
struct pmo_lstm_means {
    uint32_t seconds; /* how many, up to a cap */
    float quick, level, slow;
};

/* One series; all zero at first. */
struct pmo_lstm_state {
    int64_t last;        /* second of the last step */
    uint32_t generation; /* of the weights that `hidden` and `cell` come from */
    uint32_t steps;      /* since they were zero, up to a cap */
    struct pmo_lstm_means means;
    float hidden[PMO_LSTM_HIDDEN], cell[PMO_LSTM_HIDDEN];
    float output[PMO_GRID]; /* logarithms of ratios to means.level */
};
_Static_assert(sizeof(struct pmo_lstm_state) <= 256, "10,000 series have one each");

/* What one step computed; training goes back over them. */
struct pmo_lstm_step {
    float input[PMO_LSTM_INPUTS];
    float gate[PMO_LSTM_GATES]; /* after their functions */
    float cell[PMO_LSTM_HIDDEN], squashed[PMO_LSTM_HIDDEN], hidden[PMO_LSTM_HIDDEN];
    float output[PMO_LSTM_OUTPUTS];
};

/* Fills @hour_ago from @around, the seconds that PMO_LSTM_AROUND says (NAN: missing). */
void pmo_lstm_hour_ago(const float around[PMO_LSTM_AROUND], float hour_ago[PMO_LSTM_HOUR_AGO]);

/* The last second of @recent, without signals. */
void pmo_lstm_second_from(const struct pmo_recent *recent, struct pmo_lstm_second *second);

/**
 * pmo_lstm_observe - take one step
 * @second: later than the last; seconds in between are missing
 * With weights of another generation than the last call's, the memory begins anew, and there is
 * nothing to say for PMO_LSTM_LEAD_IN steps; pmo_lstm_warm() spares that.
 */
void pmo_lstm_observe(const struct pmo_lstm *net, struct pmo_lstm_state *state,
                      const struct pmo_lstm_second *second);

/* Brings @state to where the last second of @recent would have left it, with other weights than
 * before: the last PMO_LSTM_MEANS seconds for the means, and PMO_LSTM_LEAD_IN steps. Events are
 * taken to be 0, and so are signals where @leading is NULL. */
void pmo_lstm_warm(const struct pmo_lstm *net, struct pmo_lstm_state *state,
                   const struct pmo_recent *recent, const struct pmo_leading *leading);

/* The mean of second state->last + 1 + i into @mean[i], 0 or more; NAN where
 * pmo_lstm_usable() is false, or the state is too young. */
void pmo_lstm_predict(const struct pmo_lstm *net, const struct pmo_lstm_state *state,
                      float mean[PMO_HORIZONS]);

/* Whether the network beat the simple forecasts, @horizon seconds (1..60) ahead. */
bool pmo_lstm_usable(const struct pmo_lstm *net, unsigned int horizon);

/* ---- for training ---------------------------------------------------------------------------- */

/* Takes a second in, after @missing that were not known. */
void pmo_lstm_means_take(struct pmo_lstm_means *means, float value, int64_t missing);
/* What the network sees of @second, which is in @means already. */
void pmo_lstm_look(const struct pmo_lstm_means *means, const struct pmo_lstm_second *second,
                   int64_t missing, float input[PMO_LSTM_INPUTS]);
/* From step->input and what was before, all the rest of @step. */
void pmo_lstm_forward(const struct pmo_lstm_weights *weights, const float hidden[PMO_LSTM_HIDDEN],
                      const float cell[PMO_LSTM_HIDDEN], struct pmo_lstm_step *step);
/* The mean that @output stands for, which may be a little below 0, and its derivative. */
float pmo_lstm_mean(float level, float output);
float pmo_lstm_slope(float level, float output);
