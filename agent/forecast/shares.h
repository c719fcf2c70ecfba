/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of a forecast that add up to it. What a service is asked for in all is forecast with care;
 * of a single type there is often too little for that. So a type is forecast as a share of its
 * service, the same at all horizons, and its quantiles are that share of the service's: top-down by
 * proportions (Gross and Sohl 1990, "Disaggregation methods to expedite product line forecasting"),
 * so that types always sum to their service.
 *
 * Shares are a composition: 0 or more, 1 in sum. They are the expectation under a Dirichlet prior:
 * what came lately, seconds weighing less the older they are, and as if some requests more had come
 * in the proportions of all that ever came. So a type that rests for a while does not vanish, and
 * one of few requests does not jump about.
 *
 * Pure.
 */
#pragma once

#include <stddef.h>

#define PMO_SHARE_SECONDS 300 /* that are looked at */

/* What a request counts that came @age seconds ago: less by e in two minutes. */
double pmo_share_weight(unsigned int age);

/**
 * pmo_shares - how a whole is divided among its parts
 * @lately: of each part, its requests by weight; @ever: all it ever had
 * @share: sums to 1; all 0 where nothing ever came
 */
void pmo_shares(const double lately[], const double ever[], size_t count, double share[]);
