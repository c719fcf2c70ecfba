/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What signals from elsewhere say of the next minute that the series itself does not: who calls the
 * service is busier, connections are asked for, requests queue up.
 *
 * The errors that the combined models make are regressed on the signals, so what comes out is a
 * change of the forecast. Not one more mean in the combination: that weighs models by their errors
 * of the last quarter of an hour, and in a calm one, all are as good. Who alone sees the next burst
 * come would have a tenth of the weight when it does.
 *
 * Inputs: of who calls, ten means over lags of 0 to 63 s, as a queue between two services may hold
 * requests for that long; of SYNs the means of 3 and 10 s, the accept queue, requests in flight;
 * and where the series itself stands, means of 3 and 30 s. Each is counted as the share by which it
 * is above what is usual (the mean of 300 s), times the requests that are usual: what is passed on,
 * is so in proportion. Nobody's units matter, and a signal that is not known is as usual.
 *
 * Learning: least squares with forgetting, in the information form, as in autoregression.c (Ljung
 * and Soderstrom 1983), for each horizon of the grid. The inputs' products are kept once for all
 * horizons, and one second in four is learned from, which is about as much, as errors of
 * neighbouring seconds go together. Errors are counted in those expected, and in more the more the
 * signals move, so that neither a freak nor a burst decides alone; what is beyond three of these
 * counts as three (Huber 1964).
 *
 * Belief, 0 to 1: the share of what was said that would have been right, of changes that were
 * really forecast, less twice its standard error. Signals that are of no use are not heeded.
 *
 * Pure. Not thread-safe; one series, one thread at a time.
 */
#pragma once

#include <stdint.h>
#include "agent/forecast/forecast.h"
#include "agent/forecast/grid.h"
#include "agent/forecast/lstm.h"

#define PMO_LEADING_LAGS    10
#define PMO_LEADING_BEYOND  4
#define PMO_LEADING_INPUTS  16
#define PMO_LEADING_SECONDS 64  /* of who calls; a power of two */
#define PMO_LEADING_STRIDE  4   /* one second in so many is learned from */
#define PMO_LEADING_LOGS    512 /* seconds of logarithms; a power of two */
#define PMO_LEADING_LOG_ONE 31
#define PMO_LEADING_ORIGINS (PMO_LEADING_SECONDS / PMO_LEADING_STRIDE)

/* What was known in a second, and said then; until it has come. */
struct pmo_leading_origin {
    int64_t t;
    float unit; /* requests; 0: there is none */
    float x[PMO_LEADING_INPUTS];
    float mean[PMO_GRID];   /* that the models forecast, */
    float change[PMO_GRID]; /* and what the signals say of it; in units */
};

struct pmo_leading {
    double signal[PMO_LEADING_SIGNALS]; /* of the next second; NAN: not known */
    int64_t last, known;                /* seconds: the last one heard of, and with any signal */
    float seconds, slow, own[2];        /* that were seen, and means of the series */
    float heard[PMO_LEADING_SIGNALS], usual[PMO_LEADING_SIGNALS];
    float beyond[PMO_LEADING_BEYOND]; /* shares above what is usual: of SYNs, means of 3 and 10 s;
                                       * of the accept queue; of requests in flight, mean of 3 s */
    float upstream[PMO_LEADING_SECONDS];            /* by second mod size */
    int8_t log[PMO_LSTM_LEADING][PMO_LEADING_LOGS]; /* likewise; in parts of PMO_LEADING_LOG_ONE */
    unsigned int turn;
    float count; /* origins that were learned from */
    float product[PMO_LEADING_INPUTS][PMO_LEADING_INPUTS];
    struct pmo_leading_point {
        float target[PMO_LEADING_INPUTS], weight[PMO_LEADING_INPUTS];
        float count;
        float agreed, said, missed; /* means: said times right, and squares of what was said and
                                     * what was left */
        float error;                /* forgetting mean absolute one; in requests */
        float belief;
    } at[PMO_GRID];
    struct pmo_leading_origin origin[PMO_LEADING_ORIGINS];
    float change[PMO_HORIZONS]; /* of the forecast, now; in requests */
    float rest[PMO_HORIZONS];   /* and what it would be more if all was believed */
    float used[PMO_GRID_SUM];   /* the owner's: of forecasts under way */
};

/* All zero but for what init sets. */
void pmo_leading_init(struct pmo_leading *leading);

/* Takes in leading->signal, those of second @t, which is later than the last, and forgets them. */
void pmo_leading_hear(struct pmo_leading *leading, int64_t t);

/**
 * pmo_leading_observe - second @t, whose signals were heard, had @y requests
 * @mean: what the models forecast of the next minute, without signals
 * @unit: the error that is to be expected a second ahead; above 0
 * Works out leading->change.
 */
void pmo_leading_observe(struct pmo_leading *leading, int64_t t, float y,
                         const float mean[PMO_HORIZONS], float unit);

/* What the network of lstm.h sees of second @t: logarithms of the ratios to what is usual; 0 where
 * a signal is not known, or no longer. */
void pmo_leading_logs(const struct pmo_leading *leading, int64_t t, float logs[PMO_LSTM_LEADING]);
