/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/sources.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/base/quantity.h"
#include "agent/base/spelling.h"
#include "agent/events/kafka.h"

#define API_VERSION   "pmo.dev/v1alpha1"
#define SOURCES_MAX   1000
#define REFRESH_S     900.0
#define REFRESH_MIN_S 1.0
#define REFRESH_MAX_S 86400.0
#define EFFECT_MAX    1000.0

struct pmo_sources {
    size_t count;
    struct pmo_source list[];
};

/* By type: the field of the spec that makes it one, and those that go with it. */
static const struct {
    const char *field;
    const char *const *keys;
} types[] = {
    [PMO_SOURCE_SCHEDULE] = {"schedule",
                             (const char *const[]){"schedule", "timezone", "kind", "duration",
                                                   "scope", "strength", "effect", NULL}},
    [PMO_SOURCE_CALENDAR] = {"calendar",
                             (const char *const[]){"calendar", "timezone", "refresh", "plainHttp",
                                                   "rules", "kind", "duration", "scope", "strength",
                                                   "effect", NULL}},
    [PMO_SOURCE_FEED] = {"feed",
                         (const char *const[]){"feed", "refresh", "plainHttp", "rules", "kind",
                                               "duration", "scope", "strength", "effect", NULL}},
    [PMO_SOURCE_KAFKA] = {"kafka", (const char *const[]){"kafka", NULL}},
    [PMO_SOURCE_CLOUDEVENT] = {"cloudEvent",
                               (const char *const[]){"cloudEvent", "kind", "duration", "scope",
                                                     "strength", "effect", NULL}},
};
#define TYPES (sizeof(types) / sizeof(*types))

const char *pmo_source_type_name(enum pmo_source_type type)
{
    return types[type].field;
}

/* ---- what an event is taken for -------------------------------------------------------------- */

static void read_word(const struct pmo_value *map, const char *key, char *to, size_t size)
{
    const char *text = NULL;

    if (pmo_value_get_text(map, key, &text) < 0 || !text)
        return;
    if (strlen(text) >= size || strpbrk(text, " \t\r\n"))
        (void)pmo_value_complain(pmo_value_get(map, key),
                                 "%s: \"%.80s\" is not a name; write up to %zu letters without "
                                 "blanks",
                                 key, text, size - 1);
    else
        (void)snprintf(to, size, "%s", text);
}

static void read_strength(const struct pmo_value *map, float *strength)
{
    const struct pmo_value *value = pmo_value_get(map, "strength");
    const char *at = pmo_value_text(value);
    enum pmo_dimension dimension = PMO_NUMBER;
    double number = 0;

    if (!value)
        return;
    if (!at || pmo_quantity_scan(&at, &number, &dimension) < 0 || *at || dimension != PMO_NUMBER ||
        number <= 0 || number > (double)PMO_STRENGTH_MAX)
        (void)pmo_value_complain(value,
                                 "strength is a number above 0, up to %.0f; 1 is as usual for the "
                                 "kind",
                                 (double)PMO_STRENGTH_MAX);
    else
        *strength = (float)number;
}

/* "2x": twice the load */
static void read_effect(const struct pmo_value *map, double *effect)
{
    const struct pmo_value *value = pmo_value_get(map, "effect");
    const char *at = pmo_value_text(value);
    enum pmo_dimension dimension = PMO_NUMBER;
    double number = 0;

    if (!value)
        return;
    if (!at || pmo_quantity_scan(&at, &number, &dimension) < 0 || strcmp(at, "x") != 0 ||
        dimension != PMO_NUMBER || number * EFFECT_MAX < 1 || number > EFFECT_MAX)
        (void)pmo_value_complain(value, "effect is how many times the load before the event; write "
                                        "e.g. effect: 2x");
    else
        *effect = number;
}

static void read_form_duration(const struct pmo_value *map, uint32_t *duration_s)
{
    double seconds = 0;

    if (!pmo_value_get(map, "duration") || pmo_value_get_duration(map, "duration", &seconds) < 0)
        return;
    if (seconds > PMO_DURATION_MAX_S)
        (void)pmo_value_complain(pmo_value_get(map, "duration"),
                                 "duration is more than 31 days; write e.g. duration: 5m");
    else
        *duration_s = (uint32_t)lround(seconds);
}

/* What @map does not say stays as it is. */
static void read_form(struct pmo_event_form *form, const struct pmo_value *map)
{
    read_word(map, "kind", form->kind, sizeof(form->kind));
    read_word(map, "scope", form->scope, sizeof(form->scope));
    read_form_duration(map, &form->duration_s);
    read_strength(map, &form->strength);
    read_effect(map, &form->effect);
}

static void read_rule(struct pmo_source *source, const struct pmo_value *map)
{
    static const char *const keys[] = {"if",       "kind",   "duration", "scope",
                                       "strength", "effect", NULL};
    struct pmo_source_rule *rule = &source->rules[source->rules_count++];
    const char *keyword = NULL;

    rule->form = source->form;
    if (pmo_value_only_keys(map, keys) < 0 && !pmo_value_is_map(map))
        return;
    read_form(&rule->form, map);
    if (pmo_value_get_text(map, "if", &keyword) < 0)
        return;
    if (!keyword || strlen(keyword) >= sizeof(rule->keyword))
        (void)pmo_value_complain(map,
                                 "a rule says which word it looks for (at most %zu bytes); "
                                 "write {if: \"flash sale\", kind: sale}",
                                 sizeof(rule->keyword) - 1);
    else
        (void)snprintf(rule->keyword, sizeof(rule->keyword), "%s", keyword);
    if (!*rule->form.kind && !pmo_value_get(map, "kind"))
        (void)pmo_value_complain(map, "what kind of event is it? Write {if: ..., kind: NAME}");
}

static void read_rules(struct pmo_source *source, const struct pmo_value *spec)
{
    const struct pmo_value *list = pmo_value_get(spec, "rules");

    if (!list)
        return;
    if (!pmo_value_is_list(list) || !pmo_value_count(list) ||
        pmo_value_count(list) > PMO_SOURCE_RULES_MAX) {
        (void)pmo_value_complain(list,
                                 "rules are a list of 1 to %d; write [{if: \"flash sale\", "
                                 "kind: sale}]",
                                 PMO_SOURCE_RULES_MAX);
        return;
    }
    for (size_t i = 0; i < pmo_value_count(list); i++)
        read_rule(source, pmo_value_item(list, i));
}

/* ---- each type of source --------------------------------------------------------------------- */

static int copy_text(const struct pmo_value *map, const char *key, char **to)
{
    const char *text = NULL;
    int r = pmo_value_get_text(map, key, &text);

    if (r < 0 || !text)
        return r;
    *to = strdup(text);
    return *to ? 0 : -ENOMEM;
}

static void read_timezone(struct pmo_source *source, const struct pmo_value *spec)
{
    const char *name = "UTC";

    if (pmo_value_get_text(spec, "timezone", &name) < 0)
        return;
    source->zone = pmo_zone_find(name);
    if (!source->zone)
        (void)pmo_value_complain(
            pmo_value_get(spec, "timezone"),
            "timezone: \"%.60s\" is not known here; write UTC, or a name as in "
            "Europe/Berlin (package tzdata has them)",
            name);
}

static int read_schedule(struct pmo_source *source, const struct pmo_value *spec)
{
    const char *text = NULL;
    char error[256];

    read_timezone(source, spec);
    if (pmo_value_get_text(spec, "schedule", &text) < 0 || !text)
        return 0;
    if (pmo_cron_parse(&source->cron, text, error, sizeof(error)) < 0)
        (void)pmo_value_complain(pmo_value_get(spec, "schedule"), "schedule: %s", error);
    return 0;
}

/* A file or URL, and how often it is looked at. */
static int read_place(struct pmo_source *source, const struct pmo_value *spec)
{
    const char *key = types[source->type].field;
    const struct pmo_value *value = pmo_value_get(spec, key);
    int r = copy_text(spec, key, &source->place);

    read_timezone(source, spec);
    (void)pmo_value_get_bool(spec, "plainHttp", &source->plain_http);
    if (!pmo_value_get_duration(spec, "refresh", &source->refresh_s) &&
        (source->refresh_s < REFRESH_MIN_S || source->refresh_s > REFRESH_MAX_S))
        (void)pmo_value_complain(pmo_value_get(spec, "refresh"),
                                 "refresh is from 1s to 24h; write e.g. refresh: 15m");
    if (!source->place || r)
        return r == -ENOMEM ? r : 0;
    if (!strncmp(source->place, "http://", 7) && !source->plain_http)
        (void)pmo_value_complain(value, "http can be read and changed on its way; write https://, "
                                        "or plainHttp: true beside it");
    else if (strncmp(source->place, "http://", 7) != 0 &&
             strncmp(source->place, "https://", 8) != 0 &&
             strncmp(source->place, "file:///", 8) != 0 && source->place[0] != '/')
        (void)pmo_value_complain(
            value,
            "%s: \"%.80s\" is neither a file nor a URL; write /etc/pmo/FILE or "
            "https://...",
            key, source->place);
    return 0;
}

static int read_setting(struct pmo_source *source, const struct pmo_value *map, size_t i)
{
    struct pmo_source_setting *setting = &source->settings[source->settings_count];
    const char *name = pmo_value_key(map, i), *value;
    char error[256];

    value = pmo_value_text(pmo_value_get(map, name));
    if (pmo_kafka_setting_check(name, value ? value : "", error, sizeof(error)) < 0)
        return pmo_value_complain(pmo_value_get(map, name), "%s", error);
    source->settings_count++;
    setting->name = strdup(name);
    setting->value = strdup(value ? value : "");
    return setting->name && setting->value ? 0 : -ENOMEM;
}

static int read_kafka(struct pmo_source *source, const struct pmo_value *spec)
{
    static const char *const keys[] = {"brokers", "topic", "settings", NULL};
    const struct pmo_value *map = pmo_value_get(spec, "kafka");
    const struct pmo_value *settings = pmo_value_get(map, "settings");
    int r;

    if (pmo_value_only_keys(map, keys) < 0 && !pmo_value_is_map(map))
        return 0;
    r = copy_text(map, "brokers", &source->place);
    if (r != -ENOMEM)
        r = copy_text(map, "topic", &source->topic);
    if (!pmo_value_get(map, "brokers") || !pmo_value_get(map, "topic"))
        (void)pmo_value_complain(map, "kafka needs brokers and a topic; write {brokers: "
                                      "\"kafka1:9092\", topic: events}");
    if (settings &&
        (!pmo_value_is_map(settings) || pmo_value_count(settings) > PMO_SOURCE_SETTINGS_MAX)) {
        (void)pmo_value_complain(settings,
                                 "settings are up to %d of librdkafka's; write e.g. "
                                 "{security.protocol: SSL}",
                                 PMO_SOURCE_SETTINGS_MAX);
        return 0;
    }
    for (size_t i = 0; r != -ENOMEM && i < pmo_value_count(settings); i++)
        r = read_setting(source, settings, i);
    return r == -ENOMEM ? r : 0;
}

static int read_cloudevent(struct pmo_source *source, const struct pmo_value *spec)
{
    int r = copy_text(spec, "cloudEvent", &source->place);

    if (!*source->form.kind && source->place && strlen(source->place) < PMO_KIND_BYTES)
        (void)snprintf(source->form.kind, sizeof(source->form.kind), "%s", source->place);
    return r == -ENOMEM ? r : 0;
}

/* The one field that says what it is. */
static int type_of(const struct pmo_value *spec, enum pmo_source_type *type)
{
    const char *found = NULL;

    for (size_t i = 0; i < TYPES; i++) {
        if (!pmo_value_get(spec, types[i].field))
            continue;
        if (found)
            return pmo_value_complain(pmo_value_get(spec, types[i].field),
                                      "a source is one of %s and %s; write two documents", found,
                                      types[i].field);
        found = types[i].field;
        *type = i;
    }
    if (found)
        return 0;
    return pmo_value_complain(spec, "where do the events come from? Write schedule, calendar, "
                                    "feed, kafka or cloudEvent");
}

static int read_spec(struct pmo_source *source, const struct pmo_value *root)
{
    static int (*const read[])(struct pmo_source *, const struct pmo_value *) = {
        [PMO_SOURCE_SCHEDULE] = read_schedule,
        [PMO_SOURCE_CALENDAR] = read_place,
        [PMO_SOURCE_FEED] = read_place,
        [PMO_SOURCE_KAFKA] = read_kafka,
        [PMO_SOURCE_CLOUDEVENT] = read_cloudevent,
    };
    const struct pmo_value *spec = pmo_value_get(root, "spec");
    int r;

    if (!pmo_value_is_map(spec))
        return pmo_value_complain(spec ? spec : root, "spec is missing; write spec: {schedule: "
                                                      "\"0 9 * * *\", kind: NAME}");
    r = type_of(spec, &source->type);
    if (r < 0)
        return r;
    (void)pmo_value_only_keys(spec, types[source->type].keys);
    read_form(&source->form, spec);
    read_rules(source, spec);
    r = read[source->type](source, spec);
    if (!*source->form.kind && !source->rules_count && source->type != PMO_SOURCE_KAFKA &&
        !pmo_value_get(spec, "kind"))
        (void)pmo_value_complain(spec, "kind is missing: events of one kind are learned together; "
                                       "write kind: NAME");
    return r;
}

static void check_unique(const struct pmo_sources *sources, const struct pmo_source *source,
                         const struct pmo_value *root)
{
    for (const struct pmo_source *other = sources->list; other < source; other++) {
        if (*source->name && !strcmp(other->name, source->name))
            (void)pmo_value_complain(pmo_value_get(pmo_value_get(root, "metadata"), "name"),
                                     "another source is named \"%s\" already; choose another name",
                                     source->name);
        if (source->type == PMO_SOURCE_CLOUDEVENT && other->type == PMO_SOURCE_CLOUDEVENT &&
            source->place && other->place && !strcmp(source->place, other->place))
            (void)pmo_value_complain(pmo_value_get(pmo_value_get(root, "spec"), "cloudEvent"),
                                     "\"%s\" stands for the type \"%.80s\" already; keep one of "
                                     "the two",
                                     other->name, source->place);
    }
}

static int read_source(struct pmo_sources *sources, const struct pmo_value *root)
{
    static const char *const keys[] = {"apiVersion", "kind", "metadata", "spec", NULL};
    static const char *const metadata_keys[] = {"name", "namespace", "labels", "annotations", NULL};
    static const char *const versions[] = {API_VERSION, NULL};
    struct pmo_source *source = &sources->list[sources->count++];
    const struct pmo_value *metadata = pmo_value_get(root, "metadata");
    int version = 0, r;

    *source = (struct pmo_source){
        .form = {.scope = "*", .duration_s = PMO_DURATION_UNSET, .strength = 1, .effect = NAN},
        .refresh_s = REFRESH_S};
    (void)pmo_value_only_keys(root, keys);
    if (!pmo_value_get(root, "apiVersion"))
        (void)pmo_value_complain(root, "apiVersion is missing; write apiVersion: " API_VERSION);
    (void)pmo_value_get_choice(root, "apiVersion", versions, &version);
    (void)pmo_value_only_keys(metadata, metadata_keys);
    read_word(metadata, "name", source->name, sizeof(source->name));
    if (!pmo_value_get(metadata, "name"))
        (void)pmo_value_complain(metadata ? metadata : root,
                                 "metadata.name is missing; write metadata: {name: NAME}");
    r = read_spec(source, root);
    check_unique(sources, source, root);
    return r;
}

/* Is this document a source? A kind that was probably meant to be one is complained about. */
static bool is_source(const struct pmo_value *root)
{
    static const char *const kinds[] = {PMO_EVENT_SOURCE_KIND, NULL};
    const char *kind = pmo_value_text(pmo_value_get(root, "kind"));

    if (kind && strcmp(kind, PMO_EVENT_SOURCE_KIND) != 0 && pmo_spelling_nearest(kind, kinds))
        (void)pmo_value_complain(pmo_value_get(root, "kind"),
                                 "kind: \"%.60s\" is not known; did you "
                                 "mean \"" PMO_EVENT_SOURCE_KIND "\"?",
                                 kind);
    return kind && !strcmp(kind, PMO_EVENT_SOURCE_KIND);
}

int pmo_sources_read(struct pmo_sources **sources, const struct pmo_file *file)
{
    size_t documents = pmo_file_documents(file), before = pmo_file_complaints(file);
    __attribute__((cleanup(pmo_sources_free))) struct pmo_sources *read = NULL;

    if (documents > SOURCES_MAX)
        return pmo_value_complain(pmo_file_document(file, SOURCES_MAX),
                                  "there are more than %d documents in the file; leave some out",
                                  SOURCES_MAX);
    read = calloc(1, sizeof(*read) + documents * sizeof(*read->list));
    if (!read)
        return -ENOMEM;
    for (size_t i = 0; i < documents; i++) {
        const struct pmo_value *root = pmo_file_document(file, i);

        if (is_source(root) && read_source(read, root) == -ENOMEM)
            return -ENOMEM;
    }
    if (pmo_file_complaints(file) != before)
        return -EINVAL;
    *sources = TAKE_PTR(read);
    return 0;
}

void pmo_sources_free(struct pmo_sources **sources)
{
    for (size_t i = 0; i < pmo_sources_count(*sources); i++) {
        struct pmo_source *source = &(*sources)->list[i];

        for (size_t k = 0; k < source->settings_count; k++) {
            free(source->settings[k].name);
            free(source->settings[k].value);
        }
        free(source->place);
        free(source->topic);
    }
    free(*sources);
    *sources = NULL;
}

size_t pmo_sources_count(const struct pmo_sources *sources)
{
    return sources ? sources->count : 0;
}

const struct pmo_source *pmo_sources_at(const struct pmo_sources *sources, size_t i)
{
    assert(i < pmo_sources_count(sources));
    return &sources->list[i];
}

const struct pmo_event_form *pmo_source_form(const struct pmo_source *source, const char *text)
{
    if (!source->rules_count)
        return &source->form;
    for (size_t i = 0; i < source->rules_count; i++)
        if (strcasestr(text, source->rules[i].keyword))
            return &source->rules[i].form;
    return NULL;
}

const struct pmo_event_form *pmo_sources_cloudevent(const void *sources, const char *type)
{
    for (size_t i = 0; i < pmo_sources_count(sources); i++) {
        const struct pmo_source *source = pmo_sources_at(sources, i);

        if (source->type == PMO_SOURCE_CLOUDEVENT && !strcmp(source->place, type))
            return &source->form;
    }
    return NULL;
}

/* Whether @form states an effect of a kind, for a service (or only for all, "*"). */
static bool states(const struct pmo_event_form *form, const char *kind, const char *scope)
{
    return !isnan(form->effect) && !strcmp(form->kind, kind) && !strcmp(form->scope, scope);
}

static double effect_in(const struct pmo_sources *sources, const char *kind, const char *scope)
{
    for (size_t i = 0; i < pmo_sources_count(sources); i++) {
        const struct pmo_source *source = pmo_sources_at(sources, i);

        for (size_t k = 0; k < source->rules_count; k++)
            if (states(&source->rules[k].form, kind, scope))
                return source->rules[k].form.effect;
        if (states(&source->form, kind, scope))
            return source->form.effect;
    }
    return NAN;
}

double pmo_sources_effect(const struct pmo_sources *sources, const char *kind, const char *service)
{
    double effect = effect_in(sources, kind, service);

    return isnan(effect) ? effect_in(sources, kind, "*") : effect;
}

const char *pmo_sources_name(const struct pmo_sources *sources,
                             const struct pmo_happening *happening)
{
    if (!happening->source || happening->source > pmo_sources_count(sources))
        return "api";
    return pmo_sources_at(sources, happening->source - 1U)->name;
}
