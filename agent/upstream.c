/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/upstream.h"

#include <math.h>
#include <stdlib.h>
#include "agent/agent.h"

#define MEMORY_S 1800.0 /* longer than calls may lag behind a burst of requests */
#define LOOK_S   60     /* after which peers that were not known are looked for again */

/* Room for peers that are new. Returns whether there is. */
static bool reach(struct pmo_asks *asks, size_t count)
{
    struct pmo_asked *larger;

    if (count == asks->count)
        return true;
    larger = reallocarray(asks->to, count, sizeof(*asks->to));
    if (!larger)
        return false;
    for (; asks->count < count; asks->count++)
        larger[asks->count] = (struct pmo_asked){0};
    asks->to = larger;
    return true;
}

static void add(struct pmo_agent *agent, struct pmo_service *caller, int64_t t)
{
    const struct pmo_service_store *store = caller->store;
    const double keep = 1 - 1 / MEMORY_S;
    struct pmo_asks *asks = &caller->asks;
    size_t known = asks->count;
    struct pmo_service_second second;

    if (!pmo_service_store_peers(store) || pmo_service_store_second(store, t, &second) ||
        !reach(asks, pmo_service_store_peers(store)))
        return;
    asks->served = keep * asks->served + (double)pmo_service_store_answered(store, t, 1);
    for (size_t i = 0; i < asks->count; i++) {
        struct pmo_asked *to = &asks->to[i];

        if (!to->callee && (i >= known || t % LOOK_S == 0))
            to->callee = pmo_agent_service(agent, pmo_service_store_peer_at(store, i));
        to->calls = keep * to->calls + (double)pmo_service_store_peer_answered(store, i, t, 1);
        if (!to->callee || to->callee == caller || !(asks->served > 0))
            continue;
        if (isnan(to->callee->upstream_rps))
            to->callee->upstream_rps = 0;
        to->callee->upstream_rps += second.arrivals * to->calls / asks->served;
    }
}

void pmo_upstream_second(struct pmo_agent *agent, int64_t t)
{
    for (struct pmo_service *s = agent->services; s; s = s->next)
        s->upstream_rps = NAN;
    for (struct pmo_service *s = agent->services; s; s = s->next)
        add(agent, s, t);
}

void pmo_upstream_free(struct pmo_asks *asks)
{
    free(asks->to);
    *asks = (struct pmo_asks){0};
}
