/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/schema.h"

#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const struct pmo_value *root;
    char place[160]; /* in the JSON: .services[0].name */
    char *error;
};

__attribute__((format(printf, 2, 3))) static bool breaks(struct check *check, const char *format,
                                                         ...)
{
    va_list args;
    int n = snprintf(check->error, 256, "%s: ", check->place[0] ? check->place : ".");

    va_start(args, format);
    (void)vsnprintf(check->error + n, 256 - n, format, args);
    va_end(args);
    return false;
}

const struct pmo_value *schema_resolve(const struct pmo_value *root, const struct pmo_value *value)
{
    const char *ref = pmo_value_text(pmo_value_get(value, "$ref"));
    char path[160], *rest = path, *part;

    if (!ref)
        return value;
    if (strncmp(ref, "#/", 2) != 0)
        return NULL;
    (void)snprintf(path, sizeof(path), "%s", ref + 2);
    value = root;
    while (value && (part = strsep(&rest, "/")))
        value = pmo_value_get(value, part);
    return value;
}

static const char *type_of(const json_t *json)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "object",   [JSON_ARRAY] = "array", [JSON_STRING] = "string",
        [JSON_INTEGER] = "integer", [JSON_REAL] = "number", [JSON_TRUE] = "boolean",
        [JSON_FALSE] = "boolean",   [JSON_NULL] = "null",
    };

    return names[json_typeof(json)];
}

static bool is_type(const char *type, const json_t *json)
{
    return !strcmp(type, type_of(json)) || (!strcmp(type, "number") && json_is_number(json));
}

static bool keeps_type(struct check *check, const struct pmo_value *type, const json_t *json)
{
    if (pmo_value_text(type) && is_type(pmo_value_text(type), json))
        return true;
    for (size_t i = 0; pmo_value_is_list(type) && i < pmo_value_count(type); i++)
        if (is_type(pmo_value_text(pmo_value_item(type, i)), json))
            return true;
    return breaks(check, "is of type %s", type_of(json));
}

static bool keeps_enum(struct check *check, const struct pmo_value *words, const json_t *json)
{
    const char *text = json_is_string(json) ? json_string_value(json) : "(no text)";

    for (size_t i = 0; i < pmo_value_count(words); i++)
        if (!strcmp(pmo_value_text(pmo_value_item(words, i)), text))
            return true;
    return breaks(check, "\"%s\" is not in the enum", text);
}

static bool keeps_required(struct check *check, const struct pmo_value *names, const json_t *json)
{
    for (size_t i = 0; json_is_object(json) && i < pmo_value_count(names); i++) {
        const char *name = pmo_value_text(pmo_value_item(names, i));

        if (!json_object_get(json, name))
            return breaks(check, "lacks %s", name);
    }
    return true;
}

static bool keeps(struct check *check, const struct pmo_value *schema, const json_t *json);

static bool keeps_properties(struct check *check, const struct pmo_value *properties, json_t *json)
{
    size_t end = strlen(check->place);
    const char *name;
    json_t *member;

    json_object_foreach (json, name, member) {
        const struct pmo_value *schema = pmo_value_get(properties, name);

        (void)snprintf(check->place + end, sizeof(check->place) - end, ".%s", name);
        if (!schema)
            return breaks(check, "is not in the schema");
        if (!keeps(check, schema, member))
            return false;
        check->place[end] = '\0';
    }
    return true;
}

static bool keeps_items(struct check *check, const struct pmo_value *schema, const json_t *json)
{
    size_t end = strlen(check->place), i;
    json_t *item;

    json_array_foreach (json, i, item) {
        (void)snprintf(check->place + end, sizeof(check->place) - end, "[%zu]", i);
        if (!keeps(check, schema, item))
            return false;
        check->place[end] = '\0';
    }
    return true;
}

static bool keeps_any(struct check *check, const struct pmo_value *schemas, const json_t *json)
{
    size_t end = strlen(check->place);

    for (size_t i = 0; i < pmo_value_count(schemas); i++) {
        check->place[end] = '\0';
        if (keeps(check, pmo_value_item(schemas, i), json))
            return true;
    }
    return false;
}

/* Members of a mapping whose names nobody knows; false is what "properties" means anyway. */
static bool keeps_additional(struct check *check, const struct pmo_value *schema, json_t *json)
{
    const char *name;
    json_t *member;

    json_object_foreach (json, name, member)
        if (pmo_value_is_map(schema) && !keeps(check, schema, member))
            return false;
    return true;
}

static bool keeps_all(struct check *check, const struct pmo_value *schemas, const json_t *json)
{
    for (size_t i = 0; i < pmo_value_count(schemas); i++)
        if (!keeps(check, pmo_value_item(schemas, i), json))
            return false;
    return true;
}

static bool keeps_const(struct check *check, const struct pmo_value *value, const json_t *json)
{
    const char *text = json_is_string(json)  ? json_string_value(json)
                       : json_is_false(json) ? "false"
                                             : "";

    return !strcmp(pmo_value_text(value), text) ||
           breaks(check, "is not %s", pmo_value_text(value));
}

/* Extended regular expressions are what all dialects have. */
static bool keeps_pattern(struct check *check, const struct pmo_value *value, const json_t *json)
{
    regex_t pattern;
    bool fits;

    if (!json_is_string(json))
        return true;
    if (regcomp(&pattern, pmo_value_text(value), REG_EXTENDED | REG_NOSUB))
        return breaks(check, "has a pattern that makes no sense: %s", pmo_value_text(value));
    fits = !regexec(&pattern, json_string_value(json), 0, NULL, 0);
    regfree(&pattern);
    return fits || breaks(check, "does not fit %s", pmo_value_text(value));
}

/* minimum, maxItems...: @value is the number or the list's length. */
static bool keeps_bound(struct check *check, const char *keyword, const struct pmo_value *bound,
                        double value)
{
    double limit = strtod(pmo_value_text(bound), NULL);

    if (!strncmp(keyword, "min", 3) ? value >= limit : value <= limit)
        return true;
    return breaks(check, "%g breaks %s %g", value, keyword, limit);
}

static bool keeps_keyword(struct check *check, const char *keyword, const struct pmo_value *value,
                          const json_t *json)
{
    static const char *const remarks[] = {"description", "default",     "examples",
                                          "title",       "definitions", "$schema"};

    for (size_t i = 0; i < sizeof(remarks) / sizeof(*remarks); i++)
        if (!strcmp(keyword, remarks[i]))
            return true;
    if (!strcmp(keyword, "type"))
        return keeps_type(check, value, json);
    if (!strcmp(keyword, "enum"))
        return keeps_enum(check, value, json);
    if (!strcmp(keyword, "required"))
        return keeps_required(check, value, json);
    if (!strcmp(keyword, "properties"))
        return keeps_properties(check, value, (json_t *)json);
    if (!strcmp(keyword, "items"))
        return keeps_items(check, value, json);
    if (!strcmp(keyword, "anyOf"))
        return keeps_any(check, value, json);
    if (!strcmp(keyword, "allOf"))
        return keeps_all(check, value, json);
    if (!strcmp(keyword, "const"))
        return keeps_const(check, value, json);
    if (!strcmp(keyword, "pattern"))
        return keeps_pattern(check, value, json);
    if (!strcmp(keyword, "additionalProperties"))
        return keeps_additional(check, value, (json_t *)json);
    if (!strcmp(keyword, "maxLength"))
        return !json_is_string(json) ||
               keeps_bound(check, keyword, value, (double)json_string_length(json));
    if (!strcmp(keyword, "minimum") || !strcmp(keyword, "maximum"))
        return !json_is_number(json) || keeps_bound(check, keyword, value, json_number_value(json));
    if (!strcmp(keyword, "minItems") || !strcmp(keyword, "maxItems"))
        return keeps_bound(check, keyword, value, (double)json_array_size(json));
    return breaks(check, "the test does not know the keyword %s", keyword);
}

static bool keeps(struct check *check, const struct pmo_value *schema, const json_t *json)
{
    schema = schema_resolve(check->root, schema);
    if (!schema)
        return breaks(check, "has a $ref that leads nowhere");
    if (!pmo_value_is_map(schema) || !pmo_value_count(schema))
        return breaks(check, "has an empty schema");
    for (size_t i = 0; i < pmo_value_count(schema); i++) {
        const char *keyword = pmo_value_key(schema, i);

        if (!keeps_keyword(check, keyword, pmo_value_get(schema, keyword), json))
            return false;
    }
    return true;
}

bool schema_keeps(const struct pmo_value *root, const struct pmo_value *schema, const json_t *json,
                  char error[256])
{
    struct check check = {.root = root, .error = error};

    error[0] = '\0';
    return keeps(&check, schema, json);
}
