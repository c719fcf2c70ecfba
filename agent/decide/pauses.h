/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kill switch: services for which nothing is ordered, until somebody resumes them or their time
 * is over. While one is paused, its policy does no more than recommend. Pure.
 *
 * Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pmo_pause {
    char service[64]; /* "": all services */
    int64_t since;    /* seconds since 1970 */
    int64_t until;    /* likewise; 0: until it is resumed */
    char reason[160]; /* "": none was given */
};

struct pmo_pauses {
    struct pmo_pause *at;
    size_t count;
};

/* Puts one in, or in the place of the one for the same service. Returns 0 or -ENOMEM. */
int pmo_pauses_put(struct pmo_pauses *pauses, const struct pmo_pause *pause);
/* Removes the one for exactly this service ("": for all of them). Returns whether there was one. */
bool pmo_pauses_drop(struct pmo_pauses *pauses, const char *service);
/* What pauses a service at @now: its own pause, else that of all; NULL: nothing does. */
const struct pmo_pause *pmo_pauses_for(const struct pmo_pauses *pauses, const char *service,
                                       int64_t now);
/* One whose time is over at @now; NULL: there is none. */
const struct pmo_pause *pmo_pauses_over(const struct pmo_pauses *pauses, int64_t now);
void pmo_pauses_free(struct pmo_pauses *pauses);
