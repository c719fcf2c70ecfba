/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Training for one series where there is no thread for it: a recorded load is gone through in
 * virtual time, and once an hour of it the network of lstm.h is trained a little on what is past,
 * and once a day trend and seasons are fitted to it; four times as often while forecasts drift.
 * Pure: the same seconds give the same.
 */
#pragma once

#include <stdint.h>
#include "agent/forecast/forecast.h"

struct pmo_study;

int pmo_study_new(struct pmo_study **study);
/* The forecasters that it trained must not be used any more. */
void pmo_study_free(struct pmo_study **study);

/* @forecaster has observed second @t. */
void pmo_study_second(struct pmo_study *study, struct pmo_forecaster *forecaster, int64_t t);
