/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /v1/events: what is known to come and to have come. POST /v1/events: CloudEvents, as their
 * binding to HTTP has them: structured (application/cloudevents+json), batched
 * (application/cloudevents-batch+json), or binary, with attributes in headers (ce-id...).
 */
#include "agent/serve/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- GET --------------------------------------------------------------------------------------
 */

static json_t *event_json(const struct pmo_agent *agent, const struct pmo_happening *event)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:I}", "id", pmo_json_text(event->id),
                     "source", pmo_json_text(pmo_sources_name(agent->sources, event)), "kind",
                     pmo_json_text(event->kind), "scope", pmo_json_text(event->scope), "start",
                     (json_int_t)event->start, "durationS", (json_int_t)event->duration_s,
                     "strength", pmo_json_number((double)event->strength), "known",
                     (json_int_t)event->known);
}

static json_t *sources_json(const struct pmo_agent *agent)
{
    json_t *sources = json_array();

    for (size_t i = 0; i < pmo_sources_count(agent->sources); i++) {
        const struct pmo_source *source = pmo_sources_at(agent->sources, i);

        (void)json_array_append_new(sources,
                                    json_pack("{s:o, s:s}", "name", pmo_json_text(source->name),
                                              "type", pmo_source_type_name(source->type)));
    }
    return sources;
}

int pmo_answer_events(struct pmo_exchange *exchange)
{
    const struct pmo_agent *agent = exchange->agent;
    const char *service = pmo_query_text(exchange, "service");
    json_t *events;

    if (service && !pmo_agent_service(exchange->agent, service))
        return pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                                "there is no service \"%.64s\"; GET /v1/services lists them",
                                service);
    events = json_array();
    for (size_t i = 0; i < pmo_calendar_count(agent->calendar); i++) {
        const struct pmo_happening *event = pmo_calendar_at(agent->calendar, i);

        if (!service || pmo_happening_concerns(event, service))
            (void)json_array_append_new(events, event_json(agent, event));
    }
    return pmo_answer_json(exchange, MHD_HTTP_OK,
                           json_pack("{s:I, s:o, s:o, s:I}", "now", (json_int_t)agent->now,
                                     "events", events, "sources", sources_json(agent), "dropped",
                                     (json_int_t)pmo_calendar_dropped(agent->calendar)));
}

/* ---- POST -------------------------------------------------------------------------------------
 */

/* Attributes in headers: their values are percent-encoded. The last few are kept. */
#define VALUES 8

struct headers {
    struct MHD_Connection *connection;
    char *values[VALUES];
    size_t used;
};

static const char *header(void *context, const char *name)
{
    struct headers *headers = context;
    char key[64], **value = &headers->values[headers->used++ % VALUES];
    const char *found;

    (void)snprintf(key, sizeof(key), "ce-%s", name);
    found = MHD_lookup_connection_value(headers->connection, MHD_HEADER_KIND, key);
    free(*value);
    *value = found ? strdup(found) : NULL;
    if (*value)
        (void)MHD_http_unescape(*value);
    return *value;
}

/* Returns whether the body could be read, as an object or a list, or as anything (ANY); else the
 * exchange is answered (400). */
enum form { OBJECT, LIST, ANY };

static bool read_body(struct pmo_exchange *exchange, enum form form, json_t **json)
{
    json_error_t error;

    *json = json_loadb(exchange->body ? exchange->body : "", exchange->body_length,
                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*json && (form == ANY || (form == LIST ? json_is_array(*json) : json_is_object(*json))))
        return true;
    (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST, "the body is no JSON%s%s%.160s; send %s",
                           form == LIST ? " list" : " object", *json ? "" : ": ",
                           *json ? "" : error.text,
                           form == LIST ? "[{\"specversion\": \"1.0\", ...}, ...]"
                                        : "{\"specversion\": \"1.0\", ...}");
    json_decref(*json);
    return false;
}

static int take(struct pmo_exchange *exchange, int r, struct pmo_cloudevents *events,
                const char *error)
{
    struct pmo_events_taken taken;

    if (r == -EINVAL)
        return pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST, "%s%s", error,
                                strstr(error, "; ") ? "" : "; docs/events.md has examples");
    if (!r)
        r = pmo_agent_events_take(exchange->agent, events, time(NULL), &taken);
    free(events->list);
    if (r)
        return r;
    return pmo_answer_json(exchange, MHD_HTTP_ACCEPTED,
                           json_pack("{s:I, s:I, s:I, s:I}", "accepted", (json_int_t)taken.accepted,
                                     "replaced", (json_int_t)taken.replaced, "removed",
                                     (json_int_t)taken.removed, "dropped",
                                     (json_int_t)taken.dropped));
}

int pmo_answer_events_post(struct pmo_exchange *exchange)
{
    const struct pmo_sources *sources = exchange->agent->sources;
    struct headers headers = {.connection = exchange->connection};
    bool batch = pmo_body_is(exchange, "application/cloudevents-batch+json");
    struct pmo_cloudevents events = {0};
    char error[320] = "";
    json_t *json = NULL;
    int r;

    if (batch || pmo_body_is(exchange, "application/cloudevents+json")) {
        if (!read_body(exchange, batch ? LIST : OBJECT, &json))
            return 0;
        r = pmo_cloudevents_json(&events, json, time(NULL), pmo_sources_cloudevent, sources, error,
                                 sizeof(error));
    } else if (MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND,
                                           "ce-specversion")) {
        if (exchange->body_length && pmo_body_is(exchange, "application/json") &&
            !read_body(exchange, ANY, &json))
            return 0;
        r = pmo_cloudevents_binary(&events, header, &headers, json, time(NULL),
                                   pmo_sources_cloudevent, sources, error, sizeof(error));
        for (size_t i = 0; i < VALUES; i++)
            free(headers.values[i]);
    } else {
        return pmo_answer_error(exchange, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                "this is no CloudEvent; send it with the header \"Content-Type: "
                                "application/cloudevents+json\"");
    }
    json_decref(json);
    return take(exchange, r, &events, error);
}
