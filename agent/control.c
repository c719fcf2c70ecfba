/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kill switch and the audit log, wired. What is paused is decided for as in mode recommend;
 * when that is over, the planner goes on from the instances that were last ordered, not from what
 * it has recommended meanwhile.
 */
#include "agent/core.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "agent/base/log.h"

void pmo_agent_audit(struct pmo_agent *agent, const char *kind, const char *service,
                     const char *who, const char *format, ...)
{
    struct pmo_audit_entry entry = {.t = time(NULL), .kind = kind, .service = service, .who = who};
    char text[PMO_AUDIT_TEXT];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    entry.text = text;
    if (agent->history)
        (void)pmo_history_add_audit(agent->history, &entry);
}

/* "front", or "all services" */
static const char *whom(const char *service)
{
    return *service ? service : "all services";
}

static const char *until_text(const struct pmo_pause *pause, char text[64])
{
    time_t until = (time_t)pause->until;
    struct tm tm;

    if (!pause->until)
        (void)snprintf(text, 64, "until it is resumed");
    else if (!localtime_r(&until, &tm) || !strftime(text, 64, "until %F %T", &tm))
        text[0] = '\0';
    return text;
}

int pmo_agent_pause(struct pmo_agent *agent, const struct pmo_pause *pause, const char *who)
{
    const char *comma = *pause->reason ? ": " : "";
    char until[64];
    int r;

    if (*pause->service && !pmo_agent_service(agent, pause->service))
        return -ENOENT;
    r = pmo_pauses_put(&agent->pauses, pause);
    if (r)
        return r;
    (void)until_text(pause, until);
    (void)pmo_history_put_pause(agent->history, pause);
    pmo_agent_audit(agent, "pause", pause->service, who, "%s%s%s", until, comma, pause->reason);
    pmo_warn("%s paused %s: nothing is ordered %s%s%s", who, whom(pause->service), until, comma,
             pause->reason);
    return 0;
}

/* From here on, orders are carried out again. */
static void go_on(struct pmo_agent *agent, const char *service)
{
    for (const struct pmo_service *s = agent->services; s; s = s->next)
        if (s->managed && (!*service || !strcmp(service, s->name)))
            (void)pmo_planner_adopt(agent->planner, s->name, s->wanted, agent->now);
}

static void drop(struct pmo_agent *agent, const char *service, const char *kind, const char *who,
                 const char *text)
{
    (void)pmo_pauses_drop(&agent->pauses, service);
    (void)pmo_history_drop_pause(agent->history, service);
    pmo_agent_audit(agent, kind, service, who, "%s", text);
    pmo_warn("%s: %s: orders for it are carried out again", whom(service), text);
    go_on(agent, service);
}

int pmo_agent_resume(struct pmo_agent *agent, const char *service, const char *who)
{
    char name[sizeof(agent->pauses.at->service)], text[160];
    int resumed = 0;

    if (*service && !pmo_agent_service(agent, service))
        return -ENOENT;
    (void)snprintf(text, sizeof(text), "resumed by %s", who);
    for (size_t i = agent->pauses.count; i-- > 0;) {
        if (*service && strcmp(agent->pauses.at[i].service, service) != 0)
            continue;
        memcpy(name, agent->pauses.at[i].service, sizeof(name));
        drop(agent, name, "resume", who, text);
        resumed++;
    }
    return resumed;
}

void pmo_pauses_expire(struct pmo_core *core)
{
    const struct pmo_pause *over;

    while ((over = pmo_pauses_over(&core->agent.pauses, time(NULL)))) {
        char name[sizeof(over->service)];

        memcpy(name, over->service, sizeof(name));
        drop(&core->agent, name, "resume", "pmo-agent", "the time of its pause is over");
    }
}

int pmo_pauses_start(struct pmo_core *core)
{
    struct pmo_pauses *pauses = &core->agent.pauses;
    int r = pmo_history_load_pauses(core->agent.history, pauses);

    if (r == -ENOMEM)
        return pmo_err_r(r, "cannot start");
    for (size_t i = 0; i < pauses->count; i++) {
        const struct pmo_pause *pause = &pauses->at[i];
        char until[64];

        pmo_warn("%s: still paused %s%s%s", whom(pause->service), until_text(pause, until),
                 *pause->reason ? ": " : "", pause->reason);
    }
    return 0;
}
