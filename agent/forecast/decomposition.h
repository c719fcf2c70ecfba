/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A series taken apart into trend, seasons and occasions (Taylor and Letham 2018, "Forecasting at
 * scale"): fitted now and then to weeks of history, minute by minute, and then read at any time.
 *
 *   log(rate + offset) = trend + seasons + occasions + noise
 *
 * Pure, as all of agent/forecast: the same history gives the same fit. Fitting takes up to some
 * seconds, so it belongs into a thread of its own; see agent/decomposer.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PMO_DECOMPOSITION_CHANGES   25 /* of the trend's slope, at most */
#define PMO_DECOMPOSITION_SEASONAL  82 /* terms of all seasons */
#define PMO_DECOMPOSITION_KINDS     8  /* of occasions */
#define PMO_DECOMPOSITION_OCCASIONS 16 /* that a fit remembers */
#define PMO_DECOMPOSITION_TERMS                                                                    \
    (2 + PMO_DECOMPOSITION_CHANGES + PMO_DECOMPOSITION_SEASONAL + PMO_DECOMPOSITION_KINDS)

/* Mean rate of what was observed in [t, t + seconds): a minute, or an hour of long ago. */
struct pmo_minute {
    int64_t t;        /* seconds since 1970, UTC */
    uint32_t seconds; /* 1 or more */
    uint32_t observed;
    float rps; /* 0 or more; NAN: as if it was left out */
};

/* When something was or will be different: a holiday, a sale, a broadcast. Those of a kind have the
 * same effect. */
struct pmo_occasion {
    int64_t from, until; /* [from, until) */
    uint32_t kind;       /* 0 .. PMO_DECOMPOSITION_KINDS - 1 */
};

struct pmo_minutes {
    const struct pmo_minute *at; /* in order of time; what is missing is left out */
    size_t count;
    const struct pmo_occasion
        *occasions; /* in order of time, known future ones, too; may be NULL */
    size_t occasions_count;
};

struct pmo_decomposition {
    int64_t from, until; /* of its history */
    float offset;        /* requests a second */
    float smear;         /* mean of the noise on the scale of rates (Duan 1983) */
    uint32_t changes;    /* of the slope */
    uint32_t seasons;    /* bit i: season i of the table in decomposition.c */
    uint32_t kinds, occasions_count;
    float weight[PMO_DECOMPOSITION_TERMS];
    struct pmo_occasion occasions[PMO_DECOMPOSITION_OCCASIONS];
};

/**
 * pmo_decomposition_fit - fits to @history
 * Returns 0; -ENODATA: less than a day observed, or no request in it; -EINVAL: @history is not in
 * order, or has a kind that is too high; -ENOMEM; -EDOM: the equations have no solution; -ELIBACC:
 * LAPACK is missing, which was logged. @fit is unchanged then.
 */
int pmo_decomposition_fit(struct pmo_decomposition *fit, const struct pmo_minutes *history);

/* Requests expected in second @t; 0 or more. */
double pmo_decomposition_at(const struct pmo_decomposition *fit, int64_t t);

/* Gives the state of pmo_model_decomposition a (new) fit; it says nothing before it has one. */
void pmo_decomposition_use(void *state, const struct pmo_decomposition *fit);
