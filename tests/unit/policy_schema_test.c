/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policies/schema.json, by which editors complete policies, beside the readers and the documents.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include "agent/act/service.h"
#include "agent/base/cleanup.h"
#include "agent/base/document.h"
#include "agent/decide/policy.h"
#include "agent/events/sources.h"
#include "tests/unit/schema.h"
#include "tests/unit/suite.h"

#define MARK "0mark" /* a field that nobody knows, and none that is near */

static struct pmo_file *schema_file;
static const struct pmo_value *root;
static char said[4096];

static void note(void *context, const char *file, size_t line, size_t column, const char *message)
{
    size_t used = strlen(said);

    (void)snprintf(said + used, sizeof(said) - used, "%zu:%zu: %s\n", line, column, message);
}

static void open_schema(void)
{
    said[0] = '\0';
    CU_ASSERT_EQUAL_FATAL(pmo_file_read(&schema_file, "policies/schema.json", note, NULL), 0);
    root = pmo_file_document(schema_file, 0);
}

static void close_schema(void)
{
    pmo_file_free(&schema_file);
}

/* What the agent's readers say of @text. */
static void read_all(const char *text, size_t length)
{
    struct pmo_local_services services = {};
    struct pmo_policies *policies = NULL;
    struct pmo_sources *sources = NULL;
    struct pmo_file *file = NULL;

    said[0] = '\0';
    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "f", text, length, note, NULL), 0);
    (void)pmo_policies_read(&policies, file);
    (void)pmo_sources_read(&sources, file);
    (void)pmo_local_services_read(&services, file);
    pmo_policies_free(&policies);
    pmo_sources_free(&sources);
    pmo_local_services_free(&services);
    pmo_file_free(&file);
}

/* ---- YAML as JSON, with the types that editors see ---- */

static json_t *scalar(const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;
    char *end;

    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        if (!strcmp(text, "true") || !strcmp(text, "false"))
            return json_boolean(*text == 't');
        if (*text && text[strspn(text, "0123456789")] == '\0')
            return json_integer(strtol(text, NULL, 10));
        if (*text && (strtod(text, &end), !*end))
            return json_real(strtod(text, NULL));
    }
    return json_string(text);
}

static json_t *to_json(yaml_document_t *document, yaml_node_t *node)
{
    json_t *json;

    if (node->type == YAML_SCALAR_NODE)
        return scalar(node);
    if (node->type == YAML_SEQUENCE_NODE) {
        json = json_array();
        for (yaml_node_item_t *i = node->data.sequence.items.start;
             i < node->data.sequence.items.top; i++)
            (void)json_array_append_new(json,
                                        to_json(document, yaml_document_get_node(document, *i)));
        return json;
    }
    json = json_object();
    for (yaml_node_pair_t *i = node->data.mapping.pairs.start; i < node->data.mapping.pairs.top;
         i++)
        (void)json_object_set_new(
            json, (const char *)yaml_document_get_node(document, i->key)->data.scalar.value,
            to_json(document, yaml_document_get_node(document, i->value)));
    return json;
}

/* All documents of @text, a list. */
static json_t *load(const char *text, size_t length)
{
    json_t *documents = json_array();
    yaml_document_t document;
    yaml_parser_t parser;
    yaml_node_t *node;

    CU_ASSERT_TRUE_FATAL(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    while (yaml_parser_load(&parser, &document)) {
        node = yaml_document_get_root_node(&document);
        if (node)
            (void)json_array_append_new(documents, to_json(&document, node));
        yaml_document_delete(&document);
        if (!node)
            break;
    }
    yaml_parser_delete(&parser);
    return documents;
}

static char *read_file(const char *name, size_t *length)
{
    _cleanup_fclose_ FILE *file = fopen(name, "re");
    char *text = calloc(1, 1 << 18);

    CU_ASSERT_TRUE_FATAL(file && text);
    *length = fread(text, 1, (1 << 18) - 1, file);
    return text;
}

static json_t *load_file(const char *name)
{
    size_t length;
    _cleanup_free_ char *text = read_file(name, &length);

    return load(text, length);
}

static void keeps(const char *what, const json_t *documents)
{
    char error[256];
    size_t i;
    json_t *document;

    json_array_foreach (documents, i, document) {
        const char *kind = json_string_value(json_object_get(document, "kind"));
        const struct pmo_value *of_kind =
            pmo_value_get(pmo_value_get(root, "definitions"), kind ? kind : "?");
        bool kept = of_kind && schema_keeps(root, of_kind, document, error) &&
                    schema_keeps(root, root, document, error);

        CU_ASSERT_TRUE(kept);
        if (!kept)
            (void)printf("\n    %s, document %zu: %s\n", what, i, of_kind ? error : "kind?");
    }
}

/* ---- tests ---- */

static void the_policies_that_come_along_keep_the_schema(void)
{
    static const char *const names[] = {"policies/example.yaml", "policies/quickstart.yaml"};

    open_schema();
    for (size_t i = 0; i < 2; i++) {
        json_t *documents = load_file(names[i]);

        CU_ASSERT_TRUE(json_array_size(documents) > 1);
        keeps(names[i], documents);
        json_decref(documents);
    }
    close_schema();
}

static void what_is_wrong_breaks_the_schema(void)
{
#define POLICY(spec)                                                                               \
    "{apiVersion: pmo.dev/v1alpha1, kind: OrchestrationPolicy, metadata: {name: a}, spec: "        \
    "{target: {service: a}" spec "}}"
    static const char *const wrong[] = {
        POLICY(", mod: act"),
        POLICY(", mode: atc"),
        POLICY(", objective: {latency: 250}"),
        POLICY(", instances: {min: 0}"),
        POLICY(", forecast: of"),
        POLICY(", scaleUp: {limit: 4 per 10}"),
        POLICY(", budget: 40 hours per 1d"),
        POLICY(", priority: 101"),
        POLICY(", freeze: [{for: 1h}]"),
        POLICY(", schedules: [{name: a, cron: '* * * * *', for: 1h, instances: {mim: 1}}]"),
        "{apiVersion: pmo.dev/v1, kind: OrchestrationLimits, metadata: {name: a}, spec: "
        "{instances: 4}}",
        "{kind: OrchestrationLimits, metadata: {name: a}, spec: {instances: 4}}",
    };
    json_t *right = load(POLICY(""), strlen(POLICY("")));
    char error[256];

    open_schema();
    keeps("a plain policy", right);
    json_decref(right);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        json_t *documents = load(wrong[i], strlen(wrong[i]));

        CU_ASSERT_FALSE(schema_keeps(root, root, json_array_get(documents, 0), error));
        json_decref(documents);
    }
    close_schema();
#undef POLICY
}

/* Notes the words of "a, b or c" in @known; each is a property. */
static void note_words(const char *place, const char *list, const struct pmo_value *properties,
                       json_t *known)
{
    _cleanup_free_ char *words = strndup(list, strcspn(list, "\n"));
    char *rest = words, *word;

    while ((word = strsep(&rest, " ,"))) {
        if (!*word || !strcmp(word, "or"))
            continue;
        (void)json_object_set_new(known, word, json_true());
        CU_ASSERT_PTR_NOT_NULL(pmo_value_get(properties, word));
        if (!pmo_value_get(properties, word))
            (void)printf("\n    %s.%s is not in the schema\n", place, word);
    }
}

/* Was each property noted? */
static void all_known(const char *place, const struct pmo_value *properties, const json_t *known)
{
    for (size_t i = 0; i < pmo_value_count(properties); i++) {
        bool is_known = json_object_get(known, pmo_value_key(properties, i));

        CU_ASSERT_TRUE(is_known);
        if (!is_known)
            (void)printf("\n    %s: the reader does not know %s\n", place,
                         pmo_value_key(properties, i));
    }
}

/* Puts a field that nobody knows into @map: the reader then lists those that it knows. */
static void ask(json_t *document, json_t *map, const char *place,
                const struct pmo_value *properties, json_t *known)
{
    static const char before[] = "unknown field \"" MARK "\"; write ";
    _cleanup_free_ char *text = NULL;
    const char *list;

    (void)json_object_set_new(map, MARK, json_integer(1));
    text = json_dumps(document, JSON_ENCODE_ANY);
    (void)json_object_del(map, MARK);
    read_all(text, strlen(text));
    list = strstr(said, before);
    CU_ASSERT_PTR_NOT_NULL(list);
    if (list)
        note_words(place, list + sizeof(before) - 1, properties, known);
    else
        (void)printf("\n    %s: %s\n", place, said);
}

static void compare(json_t *document, json_t *map, const char *place,
                    const struct pmo_value *properties)
{
    json_t *known = json_object();

    ask(document, map, place, properties, known);
    all_known(place, properties, known);
    json_decref(known);
}

static void walk(json_t *document, json_t *json, const struct pmo_value *schema, const char *place)
{
    const struct pmo_value *properties, *options;
    char below[160];

    schema = schema_resolve(root, schema);
    options = pmo_value_get(schema, "anyOf");
    for (size_t i = 0; i < pmo_value_count(options); i++)
        walk(document, json, pmo_value_item(options, i), place);
    if (pmo_value_get(schema, "items"))
        walk(document, json_array_get(json, 0), pmo_value_get(schema, "items"), place);
    properties = pmo_value_get(schema, "properties");
    if (!properties)
        return;
    CU_ASSERT_TRUE(json_is_object(json));
    if (!json_is_object(json)) {
        (void)printf("\n    the example has no %s\n", place);
        return;
    }
    compare(document, json, place, properties);
    for (size_t i = 0; i < pmo_value_count(properties); i++) {
        const char *key = pmo_value_key(properties, i);

        json_t *member = json_object_get(json, key), *empty = json_object();

        (void)snprintf(below, sizeof(below), "%s.%s", place, key);
        /* what the example cannot have beside something else */
        if (!member &&
            pmo_value_get(schema_resolve(root, pmo_value_get(properties, key)), "properties"))
            (void)json_object_set(json, key, member = empty);
        walk(document, member, pmo_value_get(properties, key), below);
        if (member == empty)
            (void)json_object_del(json, key);
        json_decref(empty);
    }
}

static void readers_and_schema_know_the_same_fields(void)
{
    static const struct {
        const char *file;
        size_t document;
    } examples[] = {{"policies/example.yaml", 0},
                    {"policies/example.yaml", 1},
                    {"policies/quickstart.yaml", 0}};

    open_schema();
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
        json_t *documents = load_file(examples[i].file);
        json_t *document = json_array_get(documents, examples[i].document);
        const char *kind = json_string_value(json_object_get(document, "kind"));

        walk(document, document, pmo_value_get(pmo_value_get(root, "definitions"), kind), kind);
        json_decref(documents);
    }
    close_schema();
}

/* Calls @use for each ```yaml block of a page; returns how many there are. */
static size_t each_block(const char *name, void (*use)(const char *text, size_t length))
{
    static const char begin[] = "\n```yaml\n", end[] = "\n```\n";
    size_t length, count = 0;
    _cleanup_free_ char *page = read_file(name, &length);

    for (char *at = strstr(page, begin); at; at = strstr(at, begin), count++) {
        char *stop = strstr(at += sizeof(begin) - 1, end);

        CU_ASSERT_PTR_NOT_NULL_FATAL(stop);
        use(at, (size_t)(stop - at) + 1);
        at = stop;
    }
    return count;
}

/* A whole document as it is, the parts of a spec in one. */
static void check_block(const char *text, size_t length)
{
    static const char head[] = "apiVersion: pmo.dev/v1alpha1\nkind: OrchestrationPolicy\n"
                               "metadata: {name: front}\nspec:\n  target: {service: front}\n";
    bool whole = !strncmp(text, "apiVersion:", 11);
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    json_t *documents;

    CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
    if (whole)
        (void)fwrite(text, 1, length, stream);
    else
        (void)fputs(head, stream);
    for (size_t at = 0; !whole && at < length;) {
        size_t line = strcspn(text + at, "\n") + 1;

        (void)fprintf(stream, "  %.*s", (int)line, text + at);
        at += line;
    }
    (void)fclose(stream);
    read_all(out, size);
    CU_ASSERT_STRING_EQUAL(said, "");
    if (*said)
        (void)printf("\n%s    %s\n", out, said);
    documents = load(out, size);
    CU_ASSERT_TRUE(json_array_size(documents) > 0);
    keeps(out, documents);
    json_decref(documents);
    free(out);
}

static json_t *source_fields; /* that readers of sources know */

static void ask_source(const char *text, size_t length)
{
    json_t *documents = load(text, length), *document = json_array_get(documents, 0);
    const struct pmo_value *schema =
        pmo_value_get(pmo_value_get(root, "definitions"), "EventSource");
    const struct pmo_value *properties = pmo_value_get(schema, "properties");

    compare(document, document, "EventSource", properties);
    ask(document, json_object_get(document, "spec"), "EventSource.spec",
        pmo_value_get(pmo_value_get(properties, "spec"), "properties"), source_fields);
    json_decref(documents);
}

static void each_type_of_source_knows_fields_of_the_schema_and_all_together_all(void)
{
    const struct pmo_value *at;

    open_schema();
    source_fields = json_object();
    CU_ASSERT_TRUE(each_block("docs/events.md", ask_source) >= 5);
    at = pmo_value_get(pmo_value_get(root, "definitions"), "EventSource");
    at = pmo_value_get(pmo_value_get(at, "properties"), "spec");
    all_known("EventSource.spec", pmo_value_get(at, "properties"), source_fields);
    json_decref(source_fields);
    close_schema();
}

static void every_example_of_the_documentation_is_right(void)
{
    open_schema();
    CU_ASSERT_TRUE(each_block("docs/policies.md", check_block) > 10);
    CU_ASSERT_TRUE(each_block("docs/events.md", check_block) >= 5);
    close_schema();
}

SUITE(policy_schema) = {
    TEST(the_policies_that_come_along_keep_the_schema),
    TEST(what_is_wrong_breaks_the_schema),
    TEST(readers_and_schema_know_the_same_fields),
    TEST(each_type_of_source_knows_fields_of_the_schema_and_all_together_all),
    TEST(every_example_of_the_documentation_is_right),
    {0},
};
