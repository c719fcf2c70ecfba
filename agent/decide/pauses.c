/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/decide/pauses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct pmo_pause *find(const struct pmo_pauses *pauses, const char *service)
{
    for (size_t i = 0; i < pauses->count; i++)
        if (!strcmp(pauses->at[i].service, service))
            return &pauses->at[i];
    return NULL;
}

static bool is_over(const struct pmo_pause *pause, int64_t now)
{
    return pause->until && pause->until <= now;
}

int pmo_pauses_put(struct pmo_pauses *pauses, const struct pmo_pause *pause)
{
    struct pmo_pause *at = find(pauses, pause->service), *more;

    if (at) {
        *at = *pause;
        return 0;
    }
    more = reallocarray(pauses->at, pauses->count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    pauses->at = more;
    pauses->at[pauses->count++] = *pause;
    return 0;
}

bool pmo_pauses_drop(struct pmo_pauses *pauses, const char *service)
{
    struct pmo_pause *at = find(pauses, service);

    if (!at)
        return false;
    *at = pauses->at[--pauses->count];
    return true;
}

const struct pmo_pause *pmo_pauses_for(const struct pmo_pauses *pauses, const char *service,
                                       int64_t now)
{
    const struct pmo_pause *own = find(pauses, service), *all = find(pauses, "");

    if (own && !is_over(own, now))
        return own;
    return all && !is_over(all, now) ? all : NULL;
}

const struct pmo_pause *pmo_pauses_over(const struct pmo_pauses *pauses, int64_t now)
{
    for (size_t i = 0; i < pauses->count; i++)
        if (is_over(&pauses->at[i], now))
            return &pauses->at[i];
    return NULL;
}

void pmo_pauses_free(struct pmo_pauses *pauses)
{
    free(pauses->at);
    *pauses = (struct pmo_pauses){};
}
