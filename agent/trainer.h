/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that trains the network of agent/forecast/lstm.h on what all series did.
 *
 * It takes no more than its share of one CPU: after each slice of work, some milliseconds, it
 * sleeps until what it used is that share of the time that went by. Besides, it is scheduled only
 * where nobody else wants the CPU (SCHED_IDLE). It may therefore stand still at any point for as
 * long as the host is busy, and so it has no lock that the event loop could wait for: pasts come to
 * it through a ring with one writer and one reader, networks go back through three places of which
 * each side holds one and the third changes hands.
 *
 * All functions are for one thread, that of the event loop.
 */
#pragma once

#include <stdint.h>
#include "agent/forecast/lstm.h"
#include "agent/forecast/lstm_window.h"

#define PMO_TRAINER_SHARE 0.1 /* of one CPU, by default */

struct pmo_trainer_options {
    const char *path;    /* where training is kept over restarts; NULL: nowhere */
    double cpu_share;    /* of one CPU, above 0, at most 1 */
    size_t memory_bytes; /* of the past that is trained on; 3 MiB come on top */
    uint64_t seed;
};

struct pmo_trainer;

/**
 * pmo_trainer_new - go on from the file, if there is one
 * A file that is damaged or none of ours is moved aside with a line in the log, and training begins
 * anew. Returns 0 or a negative errno, logged.
 */
int pmo_trainer_new(struct pmo_trainer **trainer, const struct pmo_trainer_options *options);

/* Starts the thread. Returns 0 or a negative errno, logged. */
int pmo_trainer_start(struct pmo_trainer *trainer);

/* Ends the thread after the slice it is at, writes the file, and frees all, networks included. */
void pmo_trainer_free(struct pmo_trainer **trainer);

/**
 * pmo_trainer_offer - give a part of a series' past, at least a window and the hour before it
 * Copied. Before the start it may be of any length; from then on, what is older than an hour
 * and a window is left out, and past->since should be recent accordingly.
 * Returns the `since` for this series' next past: where no whole window was in it, or the thread is
 * not done with what it has been offered, that is the same as before.
 */
int64_t pmo_trainer_offer(struct pmo_trainer *trainer, const struct pmo_lstm_past *past);

/* The network in use, NULL while there is none. It stays as it is, and valid, until the next
 * call. */
const struct pmo_lstm *pmo_trainer_net(struct pmo_trainer *trainer);

/* CPU time the thread has taken, in seconds, and mini-batches it has made. */
double pmo_trainer_cpu_s(const struct pmo_trainer *trainer);
uint64_t pmo_trainer_batches(const struct pmo_trainer *trainer);
