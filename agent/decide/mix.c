/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cost of a second's requests is 1 + sum of weight * (share - reference share): a linear
 * regression whose weights are a random walk, learned by a Kalman filter (Kalman 1960). Where
 * shares never change, nothing can be told about weights, and the filter leaves them at 0.
 */
#include "agent/decide/mix.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define REFERENCE_SECONDS 30
#define KEEP              0.9 /* of a second, in the next */
#define TAKE_OVER         0.05 /* share of a second from which a type may have the place of another */
#define RARE              0.01 /* that has so little */
#define DOUBT             1.0  /* variance of a weight of which nothing is known */
#define WALK              1e-5 /* variance that a second adds */
#define NOISE_FIRST       0.01
#define NOISE_MIN         1e-4
#define NOISE_KEEP        0.99
#define COST_MIN          0.1
#define COST_MAX          10.0

static void begin(struct pmo_mix *mix, size_t i, uint64_t type)
{
    memset(&mix->types[i], 0, sizeof(mix->types[i]));
    mix->types[i].type = type;
    mix->weight[i] = 0;
    for (size_t j = 0; j < PMO_MIX_TYPES; j++)
        mix->covariance[i][j] = mix->covariance[j][i] = 0;
    mix->covariance[i][i] = DOUBT;
}

void pmo_mix_add(struct pmo_mix *mix, uint64_t type, double requests)
{
    size_t rarest = 0;

    mix->second += requests;
    for (size_t i = 0; i < PMO_MIX_TYPES; i++) {
        if (mix->types[i].type == type) {
            mix->types[i].second += requests;
            return;
        }
        if (fmax(mix->types[i].share, mix->types[i].reference) <
            fmax(mix->types[rarest].share, mix->types[rarest].reference))
            rarest = i;
    }
    for (size_t i = 0; i < PMO_MIX_TYPES; i++)
        if (!mix->types[i].type)
            rarest = i;
    if (mix->types[rarest].type &&
        (mix->types[rarest].second > 0 || mix->types[rarest].share > RARE ||
         mix->types[rarest].reference > RARE || requests < TAKE_OVER * mix->second))
        return;
    begin(mix, rarest, type);
    mix->types[rarest].second = requests;
}

static double cost_of(const struct pmo_mix *mix, const double away[PMO_MIX_TYPES])
{
    double cost = 1;

    for (size_t i = 0; i < PMO_MIX_TYPES; i++)
        cost += mix->weight[i] * away[i];
    return fmin(COST_MAX, fmax(COST_MIN, cost));
}

double pmo_mix_recent(const struct pmo_mix *mix)
{
    double away[PMO_MIX_TYPES];

    for (size_t i = 0; i < PMO_MIX_TYPES; i++)
        away[i] = mix->types[i].share - mix->types[i].reference;
    return mix->seconds < REFERENCE_SECONDS || !(mix->requests > 0) ? 1 : cost_of(mix, away);
}

/* A weight may have changed; but no more is unknown of it than at first. */
static void walk(struct pmo_mix *mix, size_t i)
{
    double less;

    mix->covariance[i][i] += WALK;
    less = sqrt(DOUBT / mix->covariance[i][i]);
    for (size_t j = 0; less < 1 && j < PMO_MIX_TYPES; j++) {
        mix->covariance[i][j] *= less;
        mix->covariance[j][i] *= less;
    }
}

static void learn(struct pmo_mix *mix, const double away[PMO_MIX_TYPES], double seen)
{
    double gain[PMO_MIX_TYPES], spread = 0, off;

    off = seen - cost_of(mix, away);
    for (size_t i = 0; i < PMO_MIX_TYPES; i++) {
        gain[i] = 0;
        for (size_t j = 0; j < PMO_MIX_TYPES; j++)
            gain[i] += mix->covariance[i][j] * away[j];
        spread += away[i] * gain[i];
    }
    for (size_t i = 0; i < PMO_MIX_TYPES; i++) {
        double share = gain[i] / (spread + mix->noise);

        mix->weight[i] += share * off;
        for (size_t j = 0; j < PMO_MIX_TYPES; j++)
            mix->covariance[i][j] -= share * gain[j];
    }
    for (size_t i = 0; i < PMO_MIX_TYPES; i++)
        walk(mix, i);
    /* noise is what is left where the weights are known */
    off *= mix->noise / (spread + mix->noise);
    mix->noise = fmax(NOISE_MIN, NOISE_KEEP * mix->noise + (1 - NOISE_KEEP) * off * off);
}

double pmo_mix_close(struct pmo_mix *mix, double seen)
{
    bool referring = mix->seconds < REFERENCE_SECONDS;
    double away[PMO_MIX_TYPES], cost = 1;

    if (!(mix->second > 0))
        return 1;
    if (!mix->seconds)
        mix->noise = NOISE_FIRST;
    for (size_t i = 0; i < PMO_MIX_TYPES; i++)
        away[i] = mix->types[i].second / mix->second - mix->types[i].reference;
    if (!referring && !isnan(seen))
        learn(mix, away, fmin(COST_MAX, fmax(COST_MIN, seen)));
    if (!referring)
        cost = cost_of(mix, away);
    mix->seconds++;
    for (size_t i = 0; i < PMO_MIX_TYPES; i++) {
        if (referring)
            mix->types[i].reference += away[i] / (double)mix->seconds;
        mix->types[i].share = (KEEP * mix->requests * mix->types[i].share + mix->types[i].second) /
                              (KEEP * mix->requests + mix->second);
        mix->types[i].second = 0;
    }
    mix->requests = KEEP * mix->requests + mix->second;
    mix->second = 0;
    return cost;
}
