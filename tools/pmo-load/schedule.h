/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When requests are to leave: a rate over time and the arrivals that follow from it. The schedule
 * is fixed before the first request and never waits for an answer, so that a slow server cannot
 * slow its own load down (an open loop).
 *
 * Arrivals are a Poisson process with the rate's intensity, by inversion of the cumulated rate
 * (Çinlar, Introduction to Stochastic Processes, 1975, 4.7): unit exponential steps on the scale of
 * expected requests, mapped back to time. Even spacing takes steps of one instead. The same seed
 * gives the same schedule.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pmo_load_step {
    double start_s;
    double rps; /* until the next step */
};

/* Requests per second over time: steps, or a wave (level where base = peak), and bursts on top. */
struct pmo_load_rate {
    struct pmo_load_step *steps; /* NULL: a wave */
    size_t steps_count;
    double steps_end_s;
    double wave_base_rps, wave_peak_rps, wave_period_s; /* at its base at 0, its peak half-way */
    double burst_rps;                                   /* 0: none */
    double burst_length_s, burst_every_s, burst_offset_s;
};

/**
 * pmo_load_profile_read - steps from a CSV file of t,requests: seconds, requests per second
 *
 * A row holds until the next row's time, the last one for as long as the one before it (1 s if it
 * is alone). Times start at 0 with the first row. A header and further columns are skipped. Returns
 * 0, or a negative errno, logged with file and line.
 */
int pmo_load_profile_read(struct pmo_load_rate *rate, const char *path);
/* The same from memory; @name stands for the path in complaints. */
int pmo_load_profile_parse(struct pmo_load_rate *rate, const char *name, char *text);
void pmo_load_rate_free(struct pmo_load_rate *rate);

/* "BASE:PEAK:PERIOD" and "RATE:LENGTH:EVERY[:OFFSET]", such as 50:200:60s and 300:5s:30s:10s.
 * Return 0 or -EINVAL, logged. */
int pmo_load_wave_parse(struct pmo_load_rate *rate, const char *text);
int pmo_load_burst_parse(struct pmo_load_rate *rate, const char *text);

/* "250ms", "5s", "3m", "1h"; a bare number is seconds. Return 0 or -EINVAL, not logged. */
int pmo_load_duration_parse(const char *text, double *seconds);
/* 0..1000000 requests per second. */
int pmo_load_rps_parse(const char *text, double *rps);

struct pmo_load_schedule {
    const struct pmo_load_rate *rate;
    bool even;
    uint64_t random; /* state of the generator */
    double credit;   /* of the next step, in requests */
    uint64_t tick;   /* position: milliseconds and */
    double within_s; /* seconds within this one */
    uint64_t ticks;  /* length of the schedule */
    size_t step;     /* index of the last step used */
};

void pmo_load_schedule_init(struct pmo_load_schedule *schedule, const struct pmo_load_rate *rate,
                            double duration_s, bool even, uint64_t seed);

/* Time of the next request in nanoseconds from the start, never going back. false: no more. */
bool pmo_load_schedule_next(struct pmo_load_schedule *schedule, uint64_t *at_ns);
