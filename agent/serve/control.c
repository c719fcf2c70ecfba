/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pausing, reloading, and the audit log. */
#include "agent/serve/api.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "agent/observe/process.h"

#define AUDIT_LIMIT     100
#define AUDIT_LIMIT_MAX 1000
#define PAUSE_MAX_S     (366.0 * 86400)

/* Who asks, as the kernel knows it: "uid 0 (pmoctl, pid 123)". */
static const char *who_asks(const struct pmo_exchange *exchange, char who[64])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char command[64] = "", cgroup[256];
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (!info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
        return "the API";
    if (pmo_process_describe(peer.pid, command, cgroup))
        (void)snprintf(command, sizeof(command), "?");
    (void)snprintf(who, 64, "uid %u (%.24s, pid %d)", peer.uid, command, peer.pid);
    return who;
}

json_t *pmo_json_pause(const struct pmo_pause *pause)
{
    if (!pause)
        return json_null();
    return json_pack("{s:o, s:I, s:o, s:o}", "service",
                     *pause->service ? pmo_json_text(pause->service) : json_null(), "since",
                     (json_int_t)pause->since, "until",
                     pause->until ? json_integer((json_int_t)pause->until) : json_null(), "reason",
                     pmo_json_text(pause->reason));
}

int pmo_answer_pauses(struct pmo_exchange *exchange)
{
    const struct pmo_pauses *pauses = &exchange->agent->pauses;
    json_t *list = json_array();

    for (size_t i = 0; i < pauses->count; i++)
        (void)json_array_append_new(list, pmo_json_pause(&pauses->at[i]));
    return pmo_answer_json(exchange, MHD_HTTP_OK, json_pack("{s:o}", "pauses", list));
}

/* The body's members; an empty body has none. NULL: it is wrong, and the exchange is answered. */
static json_t *read_body(struct pmo_exchange *exchange, const char *const *known)
{
    json_error_t error;
    const char *key;
    json_t *json, *value;

    if (!pmo_body_is(exchange, "application/json")) {
        (void)pmo_answer_error(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                               "the body must be JSON; send it with the header "
                               "\"Content-Type: application/json\"");
        return NULL;
    }
    json = json_loadb(exchange->body ? exchange->body : "", exchange->body_length,
                      JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(json)) {
        (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                               "the body is not a JSON object; send {} or {\"service\": "
                               "\"front\"}");
        json_decref(json);
        return NULL;
    }
    json_object_foreach (json, key, value) {
        size_t i = 0;

        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (known[i])
            continue;
        (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                               "unknown member \"%.40s\"; docs/openapi.yaml lists what is known",
                               key);
        json_decref(json);
        return NULL;
    }
    return json;
}

/* A member that is a text of less than @size bytes, "" where absent; false where it is something
 * else; then the exchange is answered. */
static bool read_text(struct pmo_exchange *exchange, const json_t *json, const char *name,
                      char *text, size_t size)
{
    const json_t *value = json_object_get(json, name);

    text[0] = '\0';
    if (!value)
        return true;
    if (json_is_string(value) && json_string_length(value) < size) {
        (void)snprintf(text, size, "%s", json_string_value(value));
        return true;
    }
    (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                           "\"%s\" is not a text of less than %zu bytes", name, size);
    return false;
}

static int no_service(struct pmo_exchange *exchange, const char *name)
{
    return pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                            "there is no service \"%.64s\"; GET /v1/services lists them", name);
}

static bool read_pause(struct pmo_exchange *exchange, const json_t *json, struct pmo_pause *pause)
{
    const json_t *for_s = json_object_get(json, "forS");
    double seconds = for_s ? json_number_value(for_s) : 0;

    if (!read_text(exchange, json, "service", pause->service, sizeof(pause->service)) ||
        !read_text(exchange, json, "reason", pause->reason, sizeof(pause->reason)))
        return false;
    pause->since = time(NULL);
    if (!for_s)
        return true;
    if (!(seconds >= 1 && seconds <= PAUSE_MAX_S)) {
        (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                               "\"forS\" is a number of seconds from 1 to a year; leave it out to "
                               "pause until it is resumed");
        return false;
    }
    pause->until = pause->since + (int64_t)ceil(seconds);
    return true;
}

int pmo_answer_pause(struct pmo_exchange *exchange)
{
    static const char *const known[] = {"service", "forS", "reason", NULL};
    json_t *json = read_body(exchange, known);
    struct pmo_pause pause = {};
    char who[64];
    int r = 0;

    if (json && read_pause(exchange, json, &pause)) {
        r = pmo_agent_pause(exchange->agent, &pause, who_asks(exchange, who));
        if (r == -ENOENT)
            r = no_service(exchange, pause.service);
        else if (!r)
            r = pmo_answer_pauses(exchange);
    }
    json_decref(json);
    return r;
}

int pmo_answer_resume(struct pmo_exchange *exchange)
{
    static const char *const known[] = {"service", NULL};
    json_t *json = read_body(exchange, known);
    struct pmo_pause pause;
    char who[64];
    int r = 0;

    if (json && read_text(exchange, json, "service", pause.service, sizeof(pause.service))) {
        r = pmo_agent_resume(exchange->agent, pause.service, who_asks(exchange, who));
        if (r == -ENOENT)
            r = no_service(exchange, pause.service);
        else if (r >= 0)
            r = pmo_answer_json(exchange, MHD_HTTP_OK, json_pack("{s:i}", "resumed", r));
    }
    json_decref(json);
    return r;
}

static json_t *config_json(const struct pmo_config_state *state)
{
    return json_pack("{s:o, s:o, s:o, s:b, s:o, s:o}", "path",
                     state->path ? pmo_json_text(state->path) : json_null(), "sha256",
                     *state->sha256 ? json_string(state->sha256) : json_null(), "loadedAt",
                     state->path ? json_integer((json_int_t)state->loaded) : json_null(), "ok",
                     !state->failed, "error",
                     *state->error ? pmo_json_text(state->error) : json_null(), "needsRestart",
                     *state->restart ? pmo_json_text(state->restart) : json_null());
}

int pmo_answer_config(struct pmo_exchange *exchange)
{
    return pmo_answer_json(exchange, MHD_HTTP_OK, config_json(&exchange->agent->config));
}

int pmo_answer_reload(struct pmo_exchange *exchange)
{
    char who[64];
    int r = pmo_agent_reload(exchange->agent, who_asks(exchange, who));
    json_t *json;

    if (r == -ENOENT)
        return pmo_answer_error(exchange, MHD_HTTP_CONFLICT,
                                "the agent was started without a configuration file; start it with "
                                "--config FILE");
    if (r < 0)
        return pmo_answer_error(exchange, MHD_HTTP_CONFLICT, "%s", exchange->agent->config.error);
    json = config_json(&exchange->agent->config);
    (void)json_object_set_new(json, "changed", json_boolean(r));
    return pmo_answer_json(exchange, MHD_HTTP_OK, json);
}

static int add_entry(void *context, const struct pmo_audit_entry *entry)
{
    (void)json_array_append_new(
        context, json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "id", (json_int_t)entry->id, "t",
                           (json_int_t)entry->t, "kind", pmo_json_text(entry->kind), "service",
                           *entry->service ? pmo_json_text(entry->service) : json_null(), "who",
                           pmo_json_text(entry->who), "text", pmo_json_text(entry->text)));
    return 0;
}

int pmo_answer_audit(struct pmo_exchange *exchange)
{
    int64_t limit = AUDIT_LIMIT, since = 0;
    json_t *entries;

    if (!pmo_query_integer(exchange, "limit", 1, AUDIT_LIMIT_MAX, &limit) ||
        !pmo_query_integer(exchange, "since", 0, INT64_MAX, &since))
        return 0;
    entries = json_array();
    if (exchange->agent->history)
        (void)pmo_history_audit(exchange->agent->history, pmo_query_text(exchange, "service"),
                                since, (unsigned int)limit, add_entry, entries);
    return pmo_answer_json(exchange, MHD_HTTP_OK, json_pack("{s:o}", "entries", entries));
}
