/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the calendar, the API and the forecasters. */
#include "agent/agent.h"

#include <errno.h>
#include <math.h>
#include "agent/events/told.h"

#define TOUCHING_MAX 64 /* of all services at once */

int pmo_agent_events_take(struct pmo_agent *agent, const struct pmo_cloudevents *events,
                          int64_t now, struct pmo_events_taken *taken)
{
    *taken = (struct pmo_events_taken){};
    for (size_t i = 0; i < events->count; i++) {
        const struct pmo_happening *event = &events->list[i];
        int r;

        if (event->strength <= 0) {
            taken->removed += pmo_calendar_remove(agent->calendar, event->source, event->id);
            continue;
        }
        r = pmo_calendar_add(agent->calendar, event, now);
        if (r == -ENOMEM)
            return r;
        taken->accepted += r == 1;
        taken->replaced += r == 0;
        taken->dropped += r < 0;
    }
    if (*agent->told)
        (void)pmo_told_write(agent->told, agent->calendar); /* which says what is wrong */
    return 0;
}

size_t pmo_agent_events(const struct pmo_agent *agent, const char *service, int64_t now,
                        int64_t from, int64_t to, struct pmo_effect_event *events, size_t room)
{
    const struct pmo_happening *touching[TOUCHING_MAX];
    size_t count = pmo_calendar_between(agent->calendar, from - PMO_EFFECT_FADE_S,
                                        to + PMO_EFFECT_LEAD_S, touching, TOUCHING_MAX);
    size_t used = 0;

    for (size_t i = 0; i < count && used < room; i++) {
        const struct pmo_happening *h = touching[i];

        if (h->known > now || !pmo_happening_concerns(h, service))
            continue;
        events[used++] = (struct pmo_effect_event){
            .kind = pmo_effect_kind(h->kind),
            .duration_s = h->duration_s,
            .start = h->start,
            .strength = h->strength,
            .guess_log = (float)log(pmo_sources_effect(agent->sources, h->kind, service))};
    }
    return used;
}
