/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fits decompositions (agent/forecast/decomposition.h) to what the history has of services, in a
 * thread of libuv's pool, one at a time, at the lowest priority. The thread reads through a
 * connection of its own and touches nothing of the loop's; the loop gets the fit when it is made.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "agent/forecast/decomposition.h"

#define PMO_DECOMPOSER_EVERY (6 * 3600) /* seconds between fits, at calm times */

struct pmo_decomposer;

/* Called in the loop. @fit is valid during the call only. Not called where there is too little
 * history yet, or after pmo_decomposer_free(). */
typedef void (*pmo_decomposer_fn)(void *context, const char *service,
                                  const struct pmo_decomposition *fit);

int pmo_decomposer_new(struct pmo_decomposer **decomposer, uv_loop_t *loop, const char *state_dir,
                       pmo_decomposer_fn done, void *context);
/* A fit under way is thrown away when it ends: run the loop until then. Takes NULL, sets NULL. */
void pmo_decomposer_free(struct pmo_decomposer **decomposer);

/* Begins a fit to @service's history up to @now, as far as 400 days back. Returns false where one
 * is under way: ask again. */
bool pmo_decomposer_begin(struct pmo_decomposer *decomposer, const char *service, int64_t now);
