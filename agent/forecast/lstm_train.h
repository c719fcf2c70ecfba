/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Training of the network of lstm.h, in slices of a few milliseconds.
 *
 * The past of all series is kept as windows of eight minutes, each with the same minutes of the
 * hour before: at most `memory_bytes` of them. The newest ones are held back: a window is trained
 * on only after it has become one of the older ones, so what is held back comes later than whatever
 * the network has seen of that series. Those trained on are a fair sample of all that ever were, of
 * a week at most (reservoir sampling, Vitter 1985). Windows overlap in their lead-in only: no
 * second is a target of both a window that is trained on and one that is held back.
 *
 * A mini-batch is the gradient of some windows drawn at random; gradients are clipped by their norm
 * (Pascanu et al. 2013), steps are Adam's (Kingma and Ba 2015). What is judged, and used, is not
 * the weights of the last step but their mean over the last few hundred (Polyak and Juditsky 1992).
 *
 * After some mini-batches the mean weights and those in use are compared on what is held back, and
 * with simple forecasts: the last value, the mean of 30 s, what followed an hour ago. A horizon is
 * usable if the network's absolute errors are smaller than those of the best of these, window by
 * window, by twice the standard error of that difference.
 *
 * Pure and deterministic: the same calls after the same seed give the same weights. Not
 * thread-safe.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "agent/forecast/lstm.h"
#include "agent/forecast/lstm_window.h"

#define PMO_LSTM_MEMORY (16U << 20) /* bytes of windows, by default; some 430 hours of series */

/* All that training goes on from, but for the past. */
struct pmo_lstm_training {
    struct pmo_lstm net;                            /* in use; generation 0: none yet */
    struct pmo_lstm_weights weights;                /* as trained last, */
    struct pmo_lstm_weights average, first, second; /* their mean, and Adam's moments */
    uint64_t batches;
    uint64_t random;
    int64_t trained_until; /* latest second of all windows that were trained on */
};

struct pmo_lstm_trainer;

/* What a slice did. */
enum pmo_lstm_slice {
    PMO_LSTM_IDLE,    /* nothing: there is not enough past */
    PMO_LSTM_WORKED,  /* some of the work */
    PMO_LSTM_CHANGED, /* and training->net is another one, or is usable for other horizons */
};

/**
 * pmo_lstm_trainer_new - begin with small random weights
 * @memory_bytes: of windows; PMO_LSTM_MEMORY
 * Returns 0 or -ENOMEM.
 */
int pmo_lstm_trainer_new(struct pmo_lstm_trainer **trainer, uint64_t seed, size_t memory_bytes);
void pmo_lstm_trainer_free(struct pmo_lstm_trainer **trainer);

/* Goes on from @training, which another trainer had. Windows that it may have been trained on are
 * not used to judge it. */
void pmo_lstm_trainer_resume(struct pmo_lstm_trainer *trainer,
                             const struct pmo_lstm_training *training);
const struct pmo_lstm_training *pmo_lstm_trainer_training(const struct pmo_lstm_trainer *trainer);

/**
 * pmo_lstm_trainer_add - cut windows from a series' past
 * One window takes PMO_LSTM_WINDOW seconds, of which most must be known and some not 0; the hour
 * and BEFORE seconds before it, where known, are kept with it.
 * Returns what `since` is to be when this series' past is added the next time.
 */
int64_t pmo_lstm_trainer_add(struct pmo_lstm_trainer *trainer, const struct pmo_lstm_past *past);

/* Some milliseconds of work: a mini-batch, or the judging of some windows. */
enum pmo_lstm_slice pmo_lstm_train_slice(struct pmo_lstm_trainer *trainer);

/* How many windows there are to train on, and held back. */
void pmo_lstm_trainer_windows(const struct pmo_lstm_trainer *trainer, size_t *trained,
                              size_t *held);
