/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CloudEvents 1.0 (https://github.com/cloudevents/spec): the structured JSON format, its batches,
 * and the binary mode, in which attributes are headers. What an event means for the load stands in
 * its data, all of it optional: {"duration": seconds or "5m", "scope": service, "strength": 1};
 * strength 0: it will not be. Data of another form is somebody else's, and ignored.
 *
 * Pure.
 */
#pragma once

#include <jansson.h>
#include "agent/events/event.h"

/* What a type of CloudEvents is taken for where it does not say so itself. */
struct pmo_event_form {
    char kind[PMO_KIND_BYTES];
    char scope[64];
    uint32_t duration_s; /* PMO_DURATION_UNSET: not stated */
    float strength;
    double effect; /* first guess: load during it over the load before; NAN: none */
};
#define PMO_DURATION_UNSET UINT32_MAX

/* The form of a type, NULL for one that nobody has configured. */
typedef const struct pmo_event_form *(*pmo_event_form_fn)(const void *context, const char *type);

/* Value of an attribute ("id", "type"...), NULL where there is none. */
typedef const char *(*pmo_attribute_fn)(void *context, const char *name);

struct pmo_cloudevents {
    struct pmo_happening *list; /* the caller's to free */
    size_t count;
};

/**
 * pmo_cloudevents_json - one event (an object) or a batch (an array) in structured mode
 * @now: start of those that have no time
 * Returns 0; -EINVAL with what is wrong, and what to write instead, in @error (then none is taken);
 * -ENOMEM.
 */
int pmo_cloudevents_json(struct pmo_cloudevents *events, const json_t *json, int64_t now,
                         pmo_event_form_fn form, const void *forms, char *error, size_t error_size);

/* The same of one event in binary mode. @data: NULL where it is no JSON. */
int pmo_cloudevents_binary(struct pmo_cloudevents *events, pmo_attribute_fn attribute,
                           void *context, const json_t *data, int64_t now, pmo_event_form_fn form,
                           const void *forms, char *error, size_t error_size);
