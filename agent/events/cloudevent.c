/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/cloudevent.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/base/quantity.h"
#include "agent/events/instant.h"

#define BATCH_MAX 1000

struct reader {
    int64_t now;
    pmo_event_form_fn form;
    const void *forms;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct reader *reader,
                                                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(reader->error, reader->error_size, format, args);
    va_end(args);
    return -EINVAL;
}

/* A number of seconds, or text with a unit. */
static int read_duration(const struct reader *reader, const json_t *value, uint32_t *duration_s)
{
    double seconds = json_is_number(value) ? json_number_value(value) : NAN;
    const char *text = json_string_value(value);
    enum pmo_dimension dimension = PMO_NUMBER;

    if (text &&
        (pmo_quantity_scan(&text, &seconds, &dimension) < 0 || *text || dimension != PMO_DURATION))
        seconds = NAN;
    if (!(seconds >= 0 && seconds <= PMO_DURATION_MAX_S))
        return wrong(reader,
                     "data.duration is no time of up to 31 days; write seconds, or e.g. \"5m\"");
    *duration_s = (uint32_t)lround(seconds);
    return 0;
}

static int read_scope(const struct reader *reader, const json_t *value, char scope[64])
{
    const char *text = json_string_value(value);

    if (!text || !*text || strlen(text) >= 64)
        return wrong(reader, "data.scope is no name of a service; write e.g. \"front\", or \"*\" "
                             "for all");
    (void)snprintf(scope, 64, "%s", text);
    return 0;
}

static int read_data(const struct reader *reader, const json_t *data,
                     struct pmo_happening *happening)
{
    const json_t *duration = json_object_get(data, "duration");
    const json_t *scope = json_object_get(data, "scope");
    const json_t *strength = json_object_get(data, "strength");
    double number = json_number_value(strength);
    int r = 0;

    if (duration)
        r = read_duration(reader, duration, &happening->duration_s);
    if (!r && scope)
        r = read_scope(reader, scope, happening->scope);
    if (!r && strength && !(json_is_number(strength) && number >= 0 && number <= PMO_STRENGTH_MAX))
        r = wrong(reader,
                  "data.strength is no number from 0 to %.0f; 1 is as usual, 0 takes the "
                  "event back",
                  (double)PMO_STRENGTH_MAX);
    if (!r && strength)
        happening->strength = (float)number;
    return r;
}

static int read_type(const struct reader *reader, const char *type, struct pmo_happening *happening)
{
    const struct pmo_event_form *form = reader->form ? reader->form(reader->forms, type) : NULL;

    if (strlen(type) >= sizeof(happening->kind))
        return wrong(reader, "the type \"%.80s\" is longer than %d bytes; choose a shorter one",
                     type, PMO_KIND_BYTES - 1);
    (void)snprintf(happening->kind, sizeof(happening->kind), "%s", form ? form->kind : type);
    (void)snprintf(happening->scope, sizeof(happening->scope), "%s", form ? form->scope : "*");
    happening->strength = form ? form->strength : 1;
    happening->duration_s =
        form && form->duration_s != PMO_DURATION_UNSET ? form->duration_s : PMO_DURATION_S;
    return 0;
}

static bool is_utf8(const char *text)
{
    json_t *json = json_string(text); /* NULL where it is none */
    bool is = json != NULL;

    json_decref(json);
    return is;
}

static int read_event(const struct reader *reader, pmo_attribute_fn attribute, void *context,
                      const json_t *data, struct pmo_happening *happening)
{
    static const char *const required[] = {"specversion", "id", "source", "type"};
    const char *time;
    int r;

    memset(happening, 0, sizeof(*happening));
    for (size_t i = 0; i < sizeof(required) / sizeof(*required); i++) {
        const char *value = attribute(context, required[i]);

        if (!value || !*value)
            return wrong(reader,
                         "the attribute \"%s\" is missing; a CloudEvent has specversion, id, "
                         "source and type",
                         required[i]);
        if (!is_utf8(value))
            return wrong(reader, "the attribute \"%s\" is no UTF-8; send characters, encoded",
                         required[i]);
    }
    if (strcmp(attribute(context, "specversion"), "1.0") != 0)
        return wrong(reader, "specversion \"%.20s\" is not known; send \"1.0\"",
                     attribute(context, "specversion"));
    time = attribute(context, "time");
    happening->start = reader->now;
    if (time && pmo_instant_parse(time, &happening->start))
        return wrong(reader, "time \"%.40s\" is no time; write e.g. \"2026-04-05T17:31:00Z\"",
                     time);
    r = read_type(reader, attribute(context, "type"), happening);
    if (r)
        return r;
    pmo_happening_name(happening, attribute(context, "source"), attribute(context, "id"));
    return json_is_object(data) ? read_data(reader, data, happening) : 0;
}

static const char *member(void *context, const char *name)
{
    return json_string_value(json_object_get(context, name));
}

static int read_object(const struct reader *reader, json_t *object, size_t index, bool batch,
                       struct pmo_happening *happening)
{
    char *error = reader->error, in_batch[400];
    int r;

    if (!json_is_object(object))
        r = wrong(reader, "a CloudEvent is a JSON object; send {\"specversion\": \"1.0\", ...}");
    else
        r = read_event(reader, member, object, json_object_get(object, "data"), happening);
    if (r && batch) {
        (void)snprintf(in_batch, sizeof(in_batch), "event %zu of the batch: %.280s", index + 1,
                       error);
        (void)snprintf(error, reader->error_size, "%s", in_batch);
    }
    return r;
}

int pmo_cloudevents_json(struct pmo_cloudevents *events, const json_t *json, int64_t now,
                         pmo_event_form_fn form, const void *forms, char *error, size_t error_size)
{
    const struct reader reader = {now, form, forms, error, error_size};
    bool batch = json_is_array(json);
    size_t count = batch ? json_array_size(json) : 1;
    _cleanup_free_ struct pmo_happening *list = NULL;
    int r = 0;

    if (count > BATCH_MAX)
        return wrong(&reader, "there are %zu events in the batch; send at most %d at once", count,
                     BATCH_MAX);
    list = calloc(count + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < count && !r; i++)
        r = read_object(&reader, batch ? json_array_get(json, i) : (json_t *)json, i, batch,
                        &list[i]);
    if (r)
        return r;
    *events = (struct pmo_cloudevents){TAKE_PTR(list), count};
    return 0;
}

int pmo_cloudevents_binary(struct pmo_cloudevents *events, pmo_attribute_fn attribute,
                           void *context, const json_t *data, int64_t now, pmo_event_form_fn form,
                           const void *forms, char *error, size_t error_size)
{
    const struct reader reader = {now, form, forms, error, error_size};
    _cleanup_free_ struct pmo_happening *list = calloc(1, sizeof(*list));
    int r;

    if (!list)
        return -ENOMEM;
    r = read_event(&reader, attribute, context, data, list);
    if (r)
        return r;
    *events = (struct pmo_cloudevents){TAKE_PTR(list), 1};
    return 0;
}
