/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What reaches a service from those who call it: the requests that these were asked in a second,
 * each times the calls that it makes for one. Where a caller holds requests back, in a queue or
 * while it waits for others, that is known before the calls are made. Callers that answer at once
 * are no earlier than the calls themselves. Their forecasts are not asked: they know of their own
 * past only, and what repeats in it repeats in the callee's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pmo_agent;
struct pmo_service;

/* What a service asks others for; sums that forget, of calls and of requests that are over. */
struct pmo_asks {
    double served;
    struct pmo_asked {
        double calls;
        struct pmo_service *callee; /* NULL: an address, or a service that is not known yet */
    } * to;                         /* by the number of the peer in the series */
    size_t count;
};

/* Second @t of all services is closed: sets each one's upstream_rps. */
void pmo_upstream_second(struct pmo_agent *agent, int64_t t);
void pmo_upstream_free(struct pmo_asks *asks);
