/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/forecast/shares.h"

#include <math.h>

#define MEMORY_SECONDS 120.0
#define PRIOR_REQUESTS 10.0 /* in the proportions of all that ever came */

double pmo_share_weight(unsigned int age)
{
    return exp(-(double)age / MEMORY_SECONDS);
}

void pmo_shares(const double lately[], const double ever[], size_t count, double share[])
{
    double all_lately = 0, all_ever = 0, prior;

    for (size_t i = 0; i < count; i++) {
        all_lately += lately[i];
        all_ever += ever[i];
    }
    prior = all_ever > 0 ? PRIOR_REQUESTS : 0;
    for (size_t i = 0; i < count; i++) {
        double requests = lately[i] + (prior > 0 ? prior * ever[i] / all_ever : 0);

        share[i] = requests > 0 ? requests / (all_lately + prior) : 0;
    }
}
