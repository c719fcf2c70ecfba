/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forecasts: the next 1..60 seconds of a per-second series as quantiles.
 *
 * Pure: time comes in as an argument, there is no clock, no file, no randomness. The same
 * observations give the same forecasts, bit for bit. Not thread-safe; one series, one thread at a
 * time.
 */
#pragma once

#include <stdint.h>
#include <stddef.h>

#define PMO_HORIZONS  60 /* seconds ahead: index 0 is one second ahead */
#define PMO_QUANTILES 7

/* 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99 */
extern const double pmo_quantiles[PMO_QUANTILES];
/* The same of the standard normal distribution. */
extern const float pmo_normal[PMO_QUANTILES];
#define PMO_MEDIAN 3

struct pmo_forecast {
    int64_t origin;    /* last second that was known, seconds since 1970 (or of the trace) */
    uint32_t observed; /* seconds the forecaster has seen, capped at UINT32_MAX */
    float trust;       /* 0..1: how far recent 0.9 quantiles held; 0 before there are any scores */
    float value[PMO_HORIZONS][PMO_QUANTILES]; /* never negative, never crossing */
};

struct pmo_forecaster; /* one series: models, their weights, their past errors */

int pmo_forecaster_new(struct pmo_forecaster **forecaster);
void pmo_forecaster_free(struct pmo_forecaster **forecaster);

/**
 * pmo_forecaster_observe - second @t had @value requests
 * @t: strictly later than before; an earlier or equal one is ignored (a clock that stepped back).
 *     Seconds that are left out are missing, not zero.
 * @value: 0 or more; NAN: missing
 */
void pmo_forecaster_observe(struct pmo_forecaster *forecaster, int64_t t, double value);

/* From the next observation on: a trained network, which stays valid until another is set; NULL:
 * none. */
struct pmo_lstm;
void pmo_forecaster_set_lstm(struct pmo_forecaster *forecaster, const struct pmo_lstm *lstm);

/* A (new) fit of trend and seasons; copied. */
struct pmo_decomposition;
void pmo_forecaster_set_decomposition(struct pmo_forecaster *forecaster,
                                      const struct pmo_decomposition *fit);

/* Events that are known now and touch the next minute, or fade: up to PMO_EFFECT_EVENTS, copied.
 * Set anew before each observation while there are any. */
struct pmo_effect_event;
void pmo_forecaster_set_events(struct pmo_forecaster *forecaster,
                               const struct pmo_effect_event *events, size_t count);

/* Signals that may come before requests, of one second (leading.h). */
enum pmo_leading_signal {
    PMO_LEADING_UPSTREAM,     /* requests that callers were asked, each times its calls a request */
    PMO_LEADING_SYNS,         /* connections that were asked for */
    PMO_LEADING_ACCEPT_QUEUE, /* connections that nobody has accepted yet, at its end */
    PMO_LEADING_IN_FLIGHT,    /* requests, likewise */
};
#define PMO_LEADING_SIGNALS (PMO_LEADING_IN_FLIGHT + 1)

/* Those of the second that is observed next: 0 or more, NAN where not known; set anew before each
 * observation. The first one that is known takes memory, see pmo_forecaster_signals_bytes();
 * where there is none, signals are not heeded. */
void pmo_forecaster_set_signals(struct pmo_forecaster *forecaster,
                                const double signal[PMO_LEADING_SIGNALS]);

/* What has become of them (leading.h), NULL where none was ever told; valid until the next. */
struct pmo_leading;
const struct pmo_leading *pmo_forecaster_leading(const struct pmo_forecaster *forecaster);

/* The last hour or so; valid as long as the forecaster. */
struct pmo_recent;
const struct pmo_recent *pmo_forecaster_recent(const struct pmo_forecaster *forecaster);

/* The next minute as seen from the last observed second. Before anything was observed: origin 0
 * and all zero. */
void pmo_forecaster_predict(struct pmo_forecaster *forecaster, struct pmo_forecast *forecast);

/* Quantile q (0..1) at horizon h seconds (1..60), interpolated between the stored quantiles and
 * extended beyond them by the outermost slope. */
double pmo_forecast_quantile(const struct pmo_forecast *forecast, unsigned int h, double q);
/* The greatest such value over horizons 1..h. */
double pmo_forecast_peak(const struct pmo_forecast *forecast, unsigned int h, double q);

/* What a model says and how it did, for people: at a horizon. The last one is that of the signals,
 * if there are any: all others together, changed as they say. */
struct pmo_model_score {
    const char *model;
    double weight; /* in the combination; of signals, how far they are believed: both 0..1 */
    double error;  /* mean absolute one, exponentially forgetting; NAN before any */
};
#define PMO_MODELS_MAX 16
/* Fills up to PMO_MODELS_MAX scores for horizon h; returns how many. */
size_t pmo_forecaster_scores(const struct pmo_forecaster *forecaster, unsigned int h,
                             struct pmo_model_score scores[PMO_MODELS_MAX]);
/* What each model says by itself of the second h ahead, in the same order; asks them all anew.
 * Returns how many, 0 before anything was observed. */
size_t pmo_forecaster_means(const struct pmo_forecaster *forecaster, unsigned int h,
                            double means[PMO_MODELS_MAX]);

/* How forecasts did at a horizon: what was said in the end (all models, calibration and jumps
 * together) against what came. Means that forget with 900 s; all NAN before any. Between the
 * horizons at which forecasts are scored (grid.h), and after the last, as there. */
#define PMO_HELD 2
extern const size_t pmo_held[PMO_HELD]; /* 0.9 and 0.99, as indexes of pmo_quantiles */
struct pmo_forecast_score {
    double pinball;        /* mean pinball loss over all quantiles, in the series' unit */
    double error;          /* mean absolute error of the median */
    double held[PMO_HELD]; /* 0..1: share of truths at or below these quantiles */
};
void pmo_forecaster_score(const struct pmo_forecaster *forecaster, unsigned int h,
                          struct pmo_forecast_score *score);

/* In which way forecasts have been wrong of late (drift.h). */
enum pmo_drift {
    PMO_DRIFT_STEADY,
    PMO_DRIFT_TOO_LOW, /* level */
    PMO_DRIFT_TOO_HIGH,
    PMO_DRIFT_TOO_NARROW, /* noise */
    PMO_DRIFT_TOO_WIDE,
};
#define PMO_DRIFTS (PMO_DRIFT_TOO_WIDE + 1)
enum pmo_drift pmo_forecaster_drift(const struct pmo_forecaster *forecaster);
/* Seconds after which to look at the past anew, to train on it or fit to it, where @seconds will do
 * as long as forecasts are right: while there is drift, a quarter of that. */
int64_t pmo_forecaster_study_after(const struct pmo_forecaster *forecaster, int64_t seconds);
const char *pmo_drift_name(enum pmo_drift drift); /* "too_low", for machines */
const char *pmo_drift_text(enum pmo_drift drift); /* "level: forecasts too low" */

/* Bytes held by one forecaster, and how many more by one that signals were told. */
size_t pmo_forecaster_bytes(void);
size_t pmo_forecaster_signals_bytes(void);
