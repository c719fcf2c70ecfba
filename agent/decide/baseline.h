/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What others would have done on a recorded load. Each writes how many instances it asks for in
 * each second; pmo_queue_run() says what they come to. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/**
 * pmo_hpa_run - the HorizontalPodAutoscaler's algorithm
 * Version 2 with its default behavior: 15 s sync, 10 % tolerance, up by 100 % or 4 pods in 15 s,
 * down by the highest recommendation of 300 s; the metric is the mean of the last 30 s.
 * @demand: requests in each second, without gaps
 * @target: utilisation it aims at, e.g. 0.7
 * @initial: instances at second 0; 0: as many as that second needs
 * @min, @max: bounds; @wanted: receives @seconds counts
 */
void pmo_hpa_run(const double *demand, size_t seconds, double capacity_rps, double target,
                 uint32_t initial, uint32_t min, uint32_t max, uint32_t *wanted);

/**
 * pmo_fast_run - a fast reactive rule
 * Each second, as many as the mean of the last 10 s needs at @target; fewer only when that has been
 * enough for 60 s.
 * @requests: in each second, NAN where not recorded: such seconds do not count, and where there are
 *            no others the need stays. Second t's count knows seconds 0..t.
 */
void pmo_fast_run(const double *requests, size_t seconds, double capacity_rps, double target,
                  uint32_t *wanted);

/* Who knows the future and the startup time: in each second, what the load needs from then until an
 * order would be served. @demand: without gaps. */
void pmo_oracle_run(const double *demand, size_t seconds, double capacity_rps, uint32_t startup_s,
                    uint32_t *wanted);
