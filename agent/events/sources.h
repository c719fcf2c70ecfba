/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where happenings come from: documents of `kind: EventSource`, in the same files as policies.
 * docs/events.md shows them to users. What is read here runs in refresh.h; POST /v1/events and
 * Kafka look up here what an administrator says of a type of CloudEvents.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "agent/base/document.h"
#include "agent/events/cloudevent.h"
#include "agent/events/cron.h"
#include "agent/events/event.h"

enum pmo_source_type {
    PMO_SOURCE_SCHEDULE,
    PMO_SOURCE_CALENDAR,
    PMO_SOURCE_FEED,
    PMO_SOURCE_KAFKA,
    PMO_SOURCE_CLOUDEVENT, /* of the API and of Kafka: what a type means */
};
const char *pmo_source_type_name(enum pmo_source_type type);

#define PMO_SOURCE_RULES_MAX    32
#define PMO_SOURCE_SETTINGS_MAX 32

/* What is in the text of an event or item (any case) decides its kind. */
struct pmo_source_rule {
    char keyword[64];
    struct pmo_event_form form;
};

struct pmo_source_setting { /* of librdkafka */
    char *name, *value;
};

struct pmo_source {
    enum pmo_source_type type;
    char name[64];
    struct pmo_event_form form;
    struct pmo_cron cron;
    icaltimezone *zone;
    char *place; /* file or URL; list of Kafka's brokers; type of CloudEvents */
    char *topic;
    bool plain_http; /* http is allowed, not only https */
    double refresh_s;
    struct pmo_source_rule rules[PMO_SOURCE_RULES_MAX];
    size_t rules_count;
    struct pmo_source_setting settings[PMO_SOURCE_SETTINGS_MAX];
    size_t settings_count;
};

struct pmo_sources;

#define PMO_EVENT_SOURCE_KIND "EventSource"

/**
 * pmo_sources_read - all `kind: EventSource` documents of a parsed file
 * Documents of other kinds are left to others. Complaints go where the file's go. Returns 0,
 * -ENOMEM or -EINVAL when there was any complaint; then *sources is unchanged.
 */
int pmo_sources_read(struct pmo_sources **sources, const struct pmo_file *file);
void pmo_sources_free(struct pmo_sources **sources);
/* All of these take NULL for "there are none". */
size_t pmo_sources_count(const struct pmo_sources *sources);
const struct pmo_source *pmo_sources_at(const struct pmo_sources *sources, size_t i);

/* What a source takes a text for: its kind, or that of the first rule that fits; NULL: none does.
 */
const struct pmo_event_form *pmo_source_form(const struct pmo_source *source, const char *text);
/* A pmo_event_form_fn on struct pmo_sources. */
const struct pmo_event_form *pmo_sources_cloudevent(const void *sources, const char *type);
/* First guess of the effect of a kind on a service: what names the service goes first; NAN: nobody
 * has stated one. */
double pmo_sources_effect(const struct pmo_sources *sources, const char *kind, const char *service);
/* Name of the source that a happening came from; "api". */
const char *pmo_sources_name(const struct pmo_sources *sources,
                             const struct pmo_happening *happening);
