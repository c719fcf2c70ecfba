/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new configuration while the agent runs: when the file has changed, on SIGHUP, and when the API
 * is asked to. A file with any mistake changes nothing.
 *
 * It is the directory that is watched: editors write a file beside the old one and rename it, and
 * Kubernetes changes a symbolic link above it. Whatever happens there, the file is looked at a
 * moment later, when whoever writes is likely to be done; and it is read only if it is another one.
 */
#include "agent/core.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define SETTLED_MS 200

/* ---- what a new configuration changes -------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void needs_restart(struct pmo_config_state *state,
                                                                const char *format, ...)
{
    size_t used = strlen(state->restart);
    va_list args;

    if (used)
        used += (size_t)snprintf(state->restart + used, sizeof(state->restart) - used, ", ");
    if (used >= sizeof(state->restart))
        return;
    va_start(args, format);
    (void)vsnprintf(state->restart + used, sizeof(state->restart) - used, format, args);
    va_end(args);
}

/* The first step, and the only one that can still refuse. */
static int reload_backend(struct pmo_core *core, const struct pmo_config *config)
{
    struct pmo_config_state *state = &core->agent.config;
    char restart[sizeof(state->restart)] = "";
    int r;

    if (!core->backend) {
        if (config->backend_ops)
            needs_restart(state, "the services of kind %s", config->backend_ops->kind);
        return 0;
    }
    r = core->backend_ops->reload(core->backend, config->file, restart, sizeof(restart));
    if (!r && *restart)
        needs_restart(state, "%s", restart);
    return r;
}

static int new_planner(struct pmo_core *core, struct pmo_planner **planner)
{
    const struct pmo_agent *agent = &core->agent;
    int64_t last = pmo_history_last_decision(agent->history);

    if (agent->decisions_made) {
        int64_t id = agent->decisions[(agent->decisions_made - 1) % PMO_DECISIONS_KEPT].id;

        last = id > last ? id : last;
    }
    return pmo_planner_new(planner, last + 1);
}

/* Each service by its new policy, from where it is. */
static void follow_policies(struct pmo_core *core)
{
    for (struct pmo_service *s = core->agent.services; s; s = s->next) {
        pmo_core_policy(core, s);
        if (s->managed)
            (void)pmo_core_adopt(core, s);
    }
}

/* Rows of the kernel side's table have other headers from here on, so nobody is searched for them
 * while it is written. */
static void follow_headers(struct pmo_core *core)
{
    const struct pmo_policy_header *rows[PMO_HEADERS_MAX];

    if (!core->headers) {
        if (pmo_policies_headers(core->agent.policies, rows))
            needs_restart(&core->agent.config, "observe.headers");
        return;
    }
    for (const struct pmo_agent_instance *i = core->agent.instances; i; i = i->next)
        if (i->id)
            pmo_kernel_headers_wanted(core->kernel, i->id, 0);
    (void)pmo_headers_start(core);
}

static void follow_calls(struct pmo_core *core)
{
    if (!core->calls && pmo_calls_wanted(core->agent.policies))
        needs_restart(&core->agent.config, "observe.calls");
    pmo_calls_follow(core);
}

/* What sources of other names have told is forgotten. */
static void follow_sources(struct pmo_core *core, struct pmo_sources *sources)
{
    struct pmo_agent *agent = &core->agent;

    for (size_t i = 0; i < pmo_sources_count(agent->sources); i++) {
        const char *name = pmo_sources_at(agent->sources, i)->name;

        if (i >= pmo_sources_count(sources) || strcmp(name, pmo_sources_at(sources, i)->name) != 0)
            (void)pmo_calendar_replace(agent->calendar, (uint16_t)(i + 1), NULL, 0, time(NULL));
    }
    pmo_refresh_stop(&core->refresh, &agent->sources);
    agent->sources = sources;
    if (pmo_refresh_start(&core->refresh, core->loop, sources, agent->calendar))
        needs_restart(&agent->config, "the event sources");
}

static int apply(struct pmo_core *core, struct pmo_config *config)
{
    struct pmo_agent *agent = &core->agent;
    struct pmo_planner *planner = NULL;
    int r;

    if (new_planner(core, &planner))
        return pmo_err_r(ENOMEM, "cannot reload %s", agent->config.path);
    r = reload_backend(core, config);
    if (r) {
        pmo_planner_free(&planner);
        return r;
    }
    pmo_planner_free(&agent->planner);
    agent->planner = planner;
    for (struct pmo_service *s = agent->services; s; s = s->next)
        s->policy = NULL;
    pmo_policies_free(&agent->policies);
    agent->policies = TAKE_PTR(config->policies);
    pmo_planner_limit(planner, pmo_policies_limit(agent->policies));
    follow_policies(core);
    follow_headers(core);
    follow_calls(core);
    for (struct pmo_service *s = agent->services; s; s = s->next)
        pmo_instances_publish(core, s);
    follow_sources(core, TAKE_PTR(config->sources));
    return 0;
}

/* ---- reading it ------------------------------------------------------------------------------ */

static void keep_first(void *context, const char *file, size_t line, size_t column,
                       const char *message)
{
    struct pmo_config_state *state = context;
    char place[64] = "";

    if (line)
        (void)snprintf(place, sizeof(place), ":%zu:%zu", line, column);
    (void)pmo_fail(EINVAL, "%s%s: %s", file, place, message);
    if (!*state->error)
        (void)snprintf(state->error, sizeof(state->error), "%s%s: %s", file, place, message);
}

static int load(struct pmo_core *core)
{
    struct pmo_config_state *state = &core->agent.config;
    char restart[sizeof(state->restart)];
    struct pmo_config config;
    int r;

    r = pmo_config_read(&config, state->path, keep_first, state);
    if (r)
        return r;
    memcpy(restart, state->restart, sizeof(restart));
    state->restart[0] = '\0';
    r = apply(core, &config);
    if (r)
        memcpy(state->restart, restart, sizeof(restart));
    pmo_config_free(&config);
    return r;
}

static int refuse(struct pmo_agent *agent, const char *who, int r)
{
    struct pmo_config_state *state = &agent->config;

    state->failed = true;
    if (!*state->error)
        (void)snprintf(state->error, sizeof(state->error), "%s: %s", state->path, strerror(-r));
    pmo_agent_audit(agent, "reload-failed", "", who, "%s; the old configuration stays",
                    state->error);
    return pmo_fail(EINVAL, "%s is not taken over: what was read before stays in force",
                    state->path);
}

int pmo_agent_reload(struct pmo_agent *agent, const char *who)
{
    struct pmo_core *core = (struct pmo_core *)agent;
    struct pmo_config_state *state = &agent->config;
    char hash[PMO_SHA256_BYTES] = "";
    int r;

    if (!state->path)
        return -ENOENT;
    if (pmo_config_hash(state->path, hash))
        hash[0] = '\0'; /* reading it says why */
    memcpy(state->tried, hash, sizeof(hash));
    state->error[0] = '\0';
    if (*hash && !strcmp(hash, state->sha256)) {
        state->failed = false;
        return 0;
    }
    r = load(core);
    if (r)
        return refuse(agent, who, r);
    state->failed = false;
    state->loaded = time(NULL);
    memcpy(state->sha256, hash, sizeof(hash));
    pmo_agent_audit(agent, "reload", "", who, "%s, sha256 %s%s%s", state->path, hash,
                    *state->restart ? "; needs a restart: " : "", state->restart);
    pmo_info("%s is read anew (%s)", state->path, who);
    if (*state->restart)
        pmo_warn("a restart is needed for what else is new in %s: %s", state->path, state->restart);
    return 1;
}

/* ---- watching it ----------------------------------------------------------------------------- */

static void on_settled(uv_timer_t *timer)
{
    struct pmo_core *core = timer->data;
    struct pmo_config_state *state = &core->agent.config;
    char hash[PMO_SHA256_BYTES] = "";

    /* between an editor's two steps, there may be none */
    if (!pmo_config_hash(state->path, hash) && strcmp(hash, state->tried) != 0)
        (void)pmo_agent_reload(&core->agent, "change of the file");
}

static void on_change(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct pmo_core *core = event->data;

    /* from the first change on: in a busy directory, there may be no end of them */
    if (!uv_is_active((uv_handle_t *)&core->config_settled))
        (void)uv_timer_start(&core->config_settled, on_settled, SETTLED_MS, 0);
}

int pmo_reload_start(struct pmo_core *core)
{
    struct pmo_config_state *state = &core->agent.config;
    char directory[PATH_MAX], *slash;
    int r;

    if (!state->path)
        return 0;
    (void)snprintf(directory, sizeof(directory), "%s", state->path);
    slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = '\0';
    r = uv_fs_event_init(core->loop, &core->config_changed);
    if (r)
        return pmo_fail(r, "cannot watch %s: %s", state->path, uv_strerror(r));
    (void)uv_timer_init(core->loop, &core->config_settled);
    core->config_changed.data = core->config_settled.data = core;
    r = uv_fs_event_start(&core->config_changed, on_change, slash ? directory : ".", 0);
    if (r)
        pmo_warn("cannot watch %s (%s): use SIGHUP or `pmoctl reload`", state->path,
                 uv_strerror(r));
    return 0;
}

void pmo_reload_stop(struct pmo_core *core)
{
    if (!core->config_settled.loop)
        return;
    uv_close((uv_handle_t *)&core->config_changed, NULL);
    uv_close((uv_handle_t *)&core->config_settled, NULL);
}
