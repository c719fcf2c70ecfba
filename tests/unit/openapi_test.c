/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * docs/openapi.yaml held against the server, both ways: what the file says is kept, and what the
 * server does is in the file. The requests are made from the file itself: examples of parameters
 * and what is not allowed, until every answer in the file was seen.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/base/document.h"
#include "agent/serve/api.h"
#include "tests/unit/schema.h"
#include "tests/unit/serve_world.h"
#include "tests/unit/suite.h"

#define BIG 70000U /* more than a body may have */

/* One operation of the file, on its way through all provocations. */
struct operation {
    const struct world *world;
    const struct pmo_value *root, *value;
    const char *path;
    char method[8];
    const char *body;  /* of the example; NULL where it takes none */
    const char *type;  /* of the body, the first that the file has */
    bool *status_seen; /* for each response in the file */
    unsigned int failures;
    bool quiet;
};

__attribute__((format(printf, 2, 3))) static void fails(struct operation *op, const char *format,
                                                        ...)
{
    va_list args;

    op->failures++;
    if (op->quiet)
        return;
    printf("\n    %s %s: ", op->method, op->path);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
}

/* Holds one answer against the response that the file has for its status. */
static void check_answer(struct operation *op, const struct answer *answer)
{
    const struct pmo_value *responses = pmo_value_get(op->value, "responses"), *response, *content;
    char status[16], error[256];
    json_t *json;

    (void)snprintf(status, sizeof(status), "%ld", answer->status);
    response = schema_resolve(op->root, pmo_value_get(responses, status));
    if (!response) {
        fails(op, "answers %s, which is not in the file: %s", status, answer->text);
        return;
    }
    for (size_t i = 0; i < pmo_value_count(responses); i++)
        op->status_seen[i] |= !strcmp(pmo_value_key(responses, i), status);
    content = pmo_value_get(pmo_value_get(response, "content"), answer->type);
    if (!content) {
        fails(op, "%s: content type %s is not in the file", status, answer->type);
        return;
    }
    json = !strcmp(answer->type, "application/json") ? json_loads(answer->text, 0, NULL)
                                                     : json_string(answer->text);
    if (!json)
        fails(op, "%s: not JSON: %s", status, answer->text);
    else if (!schema_keeps(op->root, pmo_value_get(content, "schema"), json, error))
        fails(op, "%s: the schema is not kept: %s", status, error);
    json_decref(json);
}

/* Text of a parameter: its example, or @value for parameters of @type. */
static const char *parameter_text(const struct pmo_value *parameter, const char *type,
                                  const char *value)
{
    const char *own = pmo_value_text(pmo_value_get(pmo_value_get(parameter, "schema"), "type"));

    return type && !strcmp(own, type) ? value : pmo_value_text(pmo_value_get(parameter, "example"));
}

enum fill { FILL_ALL, FILL_REQUIRED, FILL_NONE };

/* The path with its parameters; those of @type (unless NULL) get @value. */
static void make_path(const struct operation *op, enum fill fill, const char *type,
                      const char *value, char path[512])
{
    const struct pmo_value *parameters = pmo_value_get(op->value, "parameters");
    char separator = '?';

    (void)snprintf(path, 512, "%s", op->path);
    for (size_t i = 0; i < pmo_value_count(parameters); i++) {
        const struct pmo_value *parameter = schema_resolve(op->root, pmo_value_item(parameters, i));
        const char *name = pmo_value_text(pmo_value_get(parameter, "name"));
        bool required = pmo_value_get(parameter, "required") != NULL;
        char *brace = strchr(path, '{');

        if (!strcmp(pmo_value_text(pmo_value_get(parameter, "in")), "path")) {
            (void)snprintf(brace, 512 - (brace - path), "%s",
                           parameter_text(parameter, type, value));
        } else if (fill == FILL_ALL || (fill == FILL_REQUIRED && required)) {
            size_t length = strlen(path);

            (void)snprintf(path + length, 512 - length, "%c%s=%s", separator, name,
                           parameter_text(parameter, type, value));
            separator = '&';
        }
    }
}

static void provoke(struct operation *op, const char *method, const char *path, const char *type,
                    const char *body)
{
    struct answer answer = world_ask(op->world, method, path, type, body);

    check_answer(op, &answer);
    free(answer.text);
}

/* Everything that can be asked of an operation by what the file says of it. */
static void provoke_all(struct operation *op)
{
    _cleanup_free_ char *big = malloc(BIG + 1);
    const char *json = op->type;
    char path[512], unknown[640];

    CU_ASSERT_PTR_NOT_NULL_FATAL(big);
    memset(big, ' ', BIG);
    big[BIG] = '\0';
    make_path(op, FILL_ALL, "string", "nobody", path);
    provoke(op, op->method, path, json, op->body ? "{\"service\": \"nobody\"}" : NULL);
    make_path(op, FILL_ALL, "integer", "999999", path);
    provoke(op, op->method, path, json, op->body);
    make_path(op, FILL_ALL, "integer", "x", path);
    provoke(op, op->method, path, json, op->body);
    make_path(op, FILL_REQUIRED, NULL, NULL, path);
    provoke(op, op->method, path, json, op->body);
    make_path(op, FILL_NONE, NULL, NULL, path);
    provoke(op, op->method, path, json, op->body ? "{}" : NULL);
    make_path(op, FILL_ALL, NULL, NULL, path);
    provoke(op, op->method, path, json, op->body);
    provoke(op, op->method, path, json ? json : "application/json", big);
    provoke(op, op->method, path, "text/plain", op->body);
    provoke(op, "PATCH", path, json, op->body);
    (void)snprintf(unknown, sizeof(unknown), "%s%cunknown=1", path, strchr(path, '?') ? '&' : '?');
    provoke(op, op->method, unknown, json, op->body);
    if (!strcmp(op->path, "/v1/reload")) { /* what its answer depends on is no part of a request */
        world_configure(op->world, "kind: Nonsense\n");
        provoke(op, op->method, path, json, op->body);
        world_configure(op->world, world_config_text);
        provoke(op, op->method, path, json, op->body);
    }
}

static void check_parameters(struct operation *op, const struct pmo_endpoint *endpoint)
{
    const struct pmo_value *parameters = pmo_value_get(op->value, "parameters");
    size_t in_file = 0, in_server = 0;

    for (size_t i = 0; i < pmo_value_count(parameters); i++) {
        const struct pmo_value *parameter = schema_resolve(op->root, pmo_value_item(parameters, i));
        const char *name = pmo_value_text(pmo_value_get(parameter, "name"));
        bool known = false;

        if (strcmp(pmo_value_text(pmo_value_get(parameter, "in")), "query") != 0)
            continue;
        in_file++;
        for (const char *const *p = endpoint->parameters; *p; p++)
            known |= !strcmp(*p, name);
        if (!known)
            fails(op, "the server has no parameter %s", name);
    }
    while (endpoint->parameters[in_server])
        in_server++;
    if (in_file != in_server)
        fails(op, "the server has %zu parameters, the file %zu", in_server, in_file);
}

/* What is sent where a body is taken. */
static void take_body(struct operation *op)
{
    static const char *const bodies[][2] = {
        {"/v1/orchestrate", "{\"service\": \"front\", \"method\": \"GET\", \"path\": "
                            "\"/products/42\", \"clientZone\": \"eu\", \"flags\": "
                            "[\"new-checkout\"]}"},
        {"/v1/events", "{\"specversion\": \"1.0\", \"id\": \"1\", \"source\": \"/shop\", "
                       "\"type\": \"sale\", \"data\": {\"duration\": \"10m\"}}"},
        {"/v1/pause", "{\"service\": \"front\", \"forS\": 3600, \"reason\": \"load test\"}"},
        {"/v1/resume", "{\"service\": \"front\"}"},
    };
    const struct pmo_value *content =
        pmo_value_get(pmo_value_get(op->value, "requestBody"), "content");

    op->body = op->type = NULL;
    for (size_t i = 0; content && i < sizeof(bodies) / sizeof(bodies[0]); i++)
        if (!strcmp(bodies[i][0], op->path)) {
            op->body = bodies[i][1];
            op->type = pmo_value_key(content, 0);
        }
}

static void check_operation(struct operation *op)
{
    const struct pmo_value *responses = pmo_value_get(op->value, "responses");
    const struct pmo_endpoint *endpoint = pmo_endpoints;

    for (char *c = op->method; *c; c++)
        *c = (char)(*c - ('a' - 'A'));
    take_body(op);
    while (endpoint->method &&
           (strcmp(endpoint->method, op->method) != 0 || strcmp(endpoint->path, op->path) != 0))
        endpoint++;
    if (!endpoint->method) {
        fails(op, "the server has no such path");
        return;
    }
    check_parameters(op, endpoint);
    op->status_seen = calloc(pmo_value_count(responses) + 1, sizeof(bool));
    CU_ASSERT_PTR_NOT_NULL_FATAL(op->status_seen);
    provoke_all(op);
    for (size_t i = 0; i < pmo_value_count(responses); i++)
        if (!op->status_seen[i])
            fails(op, "the server never answers %s", pmo_value_key(responses, i));
    free(op->status_seen);
}

/* Returns how many differences there are between the file and the server. */
static unsigned int differences(const struct world *w, const struct pmo_file *file, bool quiet)
{
    const struct pmo_value *root = pmo_file_document(file, 0),
                           *paths = pmo_value_get(root, "paths");
    struct operation op = {.world = w, .root = root, .quiet = quiet};

    for (size_t i = 0; i < pmo_value_count(paths); i++) {
        const struct pmo_value *path = pmo_value_get(paths, pmo_value_key(paths, i));

        for (size_t k = 0; k < pmo_value_count(path); k++) {
            op.path = pmo_value_key(paths, i);
            (void)snprintf(op.method, sizeof(op.method), "%s", pmo_value_key(path, k));
            op.value = pmo_value_get(path, pmo_value_key(path, k));
            check_operation(&op);
        }
    }
    for (const struct pmo_endpoint *e = pmo_endpoints; e->method; e++) {
        char method[8] = "";

        for (size_t i = 0; e->method[i]; i++)
            method[i] = (char)(e->method[i] + ('a' - 'A'));
        op.path = e->path;
        (void)snprintf(op.method, sizeof(op.method), "%s", e->method);
        if (!pmo_value_get(pmo_value_get(paths, e->path), method))
            fails(&op, "is not in the file");
    }
    return op.failures;
}

static char *read_openapi(void)
{
    _cleanup_fclose_ FILE *file = fopen("docs/openapi.yaml", "re");
    char *text = calloc(1, 1 << 17);

    CU_ASSERT_FATAL(file && text);
    CU_ASSERT_FATAL(fread(text, 1, (1 << 17) - 1, file) > 0);
    return text;
}

static unsigned int differences_of(const struct world *w, const char *text, bool quiet)
{
    struct pmo_file *file = NULL;
    unsigned int count;

    CU_ASSERT_EQUAL_FATAL(
        pmo_file_parse(&file, "docs/openapi.yaml", text, strlen(text), NULL, NULL), 0);
    count = differences(w, file, quiet);
    pmo_file_free(&file);
    return count;
}

static void the_openapi_file_and_the_server_agree(void)
{
    const struct pmo_type type = {.direction = PMO_OUTBOUND, .route = "/a", .peer = "catalog"};
    const struct pmo_counts counts = {.requests = 1};
    _cleanup_free_ char *text = read_openapi();
    struct world w;

    world_start(&w); /* the server sleeps until it is asked */
    CU_ASSERT_EQUAL(pmo_service_store_add(w.front.store, &type, WORLD_NOW, WORLD_NOW, &counts), 0);
    CU_ASSERT_EQUAL(differences_of(&w, text, false), 0);
    world_stop(&w);
}

static void any_difference_between_the_openapi_file_and_the_server_is_found(void)
{
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"required: [now, services]", "required: [now, services, nothing]"},
        {"        leadTimeS:\n          type: [number, \"null\"]",
         "        leadTimeS:\n          type: number"},
        {"        residentBytes:\n          type: integer",
         "        other:\n          type: integer"},
        {"enum: [starting, ready, draining]", "enum: [starting, draining]"},
        {"            text/plain; version=0.0.4; charset=utf-8:", "            text/plain:"},
        {"\n  /v1/status:", "\n  /v1/state:"},
        {"- name: limit", "- name: most"},
        {"\"415\"", "\"418\""},
        {"maxItems: 60", "maxItems: 59"},
        {"$ref: \"#/components/schemas/Rates\"", "$ref: \"#/components/schemas/Nothing\""},
        {"          minimum: 1\n        t:", "          exclusiveMinimum: 0\n        t:"},
    };
    _cleanup_free_ char *text = read_openapi();
    struct world w;

    world_start(&w);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const char *at = strstr(text, changes[i].from);
        _cleanup_free_ char *changed = NULL;
        unsigned int found;

        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        CU_ASSERT_FATAL(asprintf(&changed, "%.*s%s%s", (int)(at - text), text, changes[i].to,
                                 at + strlen(changes[i].from)) > 0);
        found = differences_of(&w, changed, true);
        if (!found)
            printf("\n    not found: %s\n", changes[i].to);
        CU_ASSERT(found > 0);
    }
    world_stop(&w);
}

SUITE(openapi) = {
    TEST(the_openapi_file_and_the_server_agree),
    TEST(any_difference_between_the_openapi_file_and_the_server_is_found),
    {0},
};
