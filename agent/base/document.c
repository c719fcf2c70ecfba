/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * YAML through libyaml's document API. libyaml keeps the nodes of a document in one array and
 * refers to them by number (from 1); beside it stands an array of values, value i for node i+1,
 * which adds the way back to the file. Nothing here follows aliases deeper than one call, so a
 * document that contains itself does no harm.
 */
#include "agent/base/document.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/base/quantity.h"
#include "agent/base/spelling.h"

#define FILE_BYTES_MAX (1U << 20)
#define DEPTH_MAX      100 /* brackets open at once */

struct pmo_value {
    struct pmo_file *file;
    const yaml_node_t *node;
    const struct pmo_value *values; /* of the same document, by node number less 1 */
};

struct document {
    yaml_document_t yaml;
    struct pmo_value *values;
};

struct pmo_file {
    char *name;
    pmo_complaint_fn complain;
    void *context;
    size_t complaints;
    struct document *documents;
    size_t documents_count;
};

static void log_complaint(void *context, const char *file, size_t line, size_t column,
                          const char *message)
{
    if (line)
        pmo_log(PMO_LOG_ERROR, "%s:%zu:%zu: %s", file, line, column, message);
    else
        pmo_log(PMO_LOG_ERROR, "%s: %s", file, message);
}

__attribute__((format(printf, 4, 0))) static void
complain_at(struct pmo_file *file, size_t line, size_t column, const char *format, va_list args)
{
    char message[768];

    (void)vsnprintf(message, sizeof(message), format, args);
    for (char *c = message; *c; c++) /* a quoted text may have line breaks; a complaint has none */
        if (iscntrl((unsigned char)*c))
            *c = ' ';
    file->complaints++;
    (file->complain ? file->complain : log_complaint)(file->context, file->name, line, column,
                                                      message);
}

__attribute__((format(printf, 4, 5))) static int
file_complain(struct pmo_file *file, size_t line, size_t column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_at(file, line, column, format, args);
    va_end(args);
    return -EINVAL;
}

int pmo_value_complain(const struct pmo_value *value, const char *format, ...)
{
    va_list args;
    size_t line, column;

    pmo_value_place(value, &line, &column);
    va_start(args, format);
    complain_at(value->file, line, column, format, args);
    va_end(args);
    return -EINVAL;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What to do about the two mistakes that libyaml's own words do not explain. */
static const char *yaml_advice(const yaml_parser_t *parser, const char *text, size_t length)
{
    size_t at = parser->problem_mark.index;

    if (at < length && text[at] == '\t')
        return "; indent with spaces, not with tabs";
    if (parser->context && strstr(parser->context, "alias"))
        return "; put a star in quotes: \"*\"";
    return "";
}

static int complain_of_yaml(struct pmo_file *file, const yaml_parser_t *parser, const char *text,
                            size_t length)
{
    size_t line = parser->problem_mark.line + 1, column = parser->problem_mark.column + 1;

    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    if (parser->error != YAML_READER_ERROR)
        return file_complain(file, line, column, "this is not YAML: %s%s%s%s", parser->problem,
                             parser->context ? " " : "", parser->context ? parser->context : "",
                             yaml_advice(parser, text, length));
    line = column = 1; /* for bytes that are no text, libyaml gives only the offset */
    for (size_t i = 0; i < parser->problem_offset && i < length; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return file_complain(file, line, column, "this is not text: %s; write the file in UTF-8",
                         parser->problem);
}

/* libyaml's time grows with the square of the depth of brackets: a file of nothing else would keep
 * it busy for minutes. Brackets in texts and comments count too; nobody has a hundred open. */
static int check_depth(struct pmo_file *file, const char *text, size_t length)
{
    size_t line = 1, line_start = 0;
    unsigned int depth = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            line++;
            line_start = i + 1;
        }
        depth += text[i] == '[' || text[i] == '{';
        depth -= depth && (text[i] == ']' || text[i] == '}');
        if (depth > DEPTH_MAX)
            return file_complain(file, line, i - line_start + 1,
                                 "more than %d brackets are open; close them", DEPTH_MAX);
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const struct pmo_value *const *x = a, *const *y = b;
    int order = strcmp(pmo_value_text(*x), pmo_value_text(*y));

    if (order)
        return order;
    return *x < *y ? -1 : *x > *y; /* nodes stand in the order of the text */
}

/* libyaml does not mind two equal keys, but one of them would be ignored. */
static int check_keys(const struct pmo_value *map)
{
    size_t count = pmo_value_count(map);
    _cleanup_free_ const struct pmo_value **keys = calloc(count + 1, sizeof(*keys));
    int r = 0;

    if (!keys)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        keys[i] = &map->values[map->node->data.mapping.pairs.start[i].key - 1];
        if (!pmo_value_text(keys[i]))
            return pmo_value_complain(keys[i], "a field's name is a word; write name: value");
    }
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < count; i++)
        if (!strcmp(pmo_value_text(keys[i - 1]), pmo_value_text(keys[i])))
            r = pmo_value_complain(keys[i], "\"%.60s\" stands here twice; keep one of them",
                                   pmo_value_text(keys[i]));
    return r;
}

static int check_node(const struct pmo_value *value)
{
    const yaml_node_t *node = value->node;

    if (node->type == YAML_MAPPING_NODE)
        return check_keys(value);
    if (node->type == YAML_SCALAR_NODE &&
        strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
        return pmo_value_complain(value, "a NUL byte in a text; take \\0 out");
    return 0;
}

/* Takes the document over, also on failure. */
static int add_document(struct pmo_file *file, yaml_document_t *yaml)
{
    size_t nodes = yaml->nodes.top - yaml->nodes.start, bytes = sizeof(*file->documents);
    struct document *documents;
    struct pmo_value *values;
    int r = 0;

    values = calloc(nodes, sizeof(*values));
    documents = reallocarray(file->documents, file->documents_count + 1, bytes);
    if (documents)
        file->documents = documents;
    if (!values || !documents) {
        free(values);
        yaml_document_delete(yaml);
        return -ENOMEM;
    }
    documents[file->documents_count++] = (struct document){.yaml = *yaml, .values = values};
    for (size_t i = 0; i < nodes; i++)
        values[i] = (struct pmo_value){file, &yaml->nodes.start[i], values};
    for (size_t i = 0; i < nodes && r != -ENOMEM; i++) {
        int node_r = check_node(&values[i]);
        r = node_r ? node_r : r;
    }
    return r;
}

/* Between two "---", or where only a comment stands. */
static bool is_empty(yaml_document_t *yaml)
{
    const yaml_node_t *root = yaml_document_get_root_node(yaml);

    return root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0;
}

static int parse(struct pmo_file *file, const char *text, size_t length)
{
    yaml_parser_t parser;
    yaml_document_t yaml;
    bool end = false;
    int r = 0;

    if (check_depth(file, text, length) < 0)
        return -EINVAL;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    while (!r && !end) {
        if (!yaml_parser_load(&parser, &yaml)) {
            r = complain_of_yaml(file, &parser, text, length);
            break;
        }
        end = !yaml_document_get_root_node(&yaml);
        if (end || is_empty(&yaml))
            yaml_document_delete(&yaml);
        else
            r = add_document(file, &yaml);
    }
    yaml_parser_delete(&parser);
    if (!r && !file->documents_count)
        return file_complain(file, 1, 1,
                             "the file is empty; write apiVersion, kind, metadata and "
                             "spec");
    return r;
}

static int file_new(struct pmo_file **file, const char *name, pmo_complaint_fn complain,
                    void *context)
{
    struct pmo_file *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    f->complain = complain;
    f->context = context;
    f->name = strdup(name);
    *file = f;
    if (f->name)
        return 0;
    pmo_file_free(file);
    return -ENOMEM;
}

int pmo_file_parse(struct pmo_file **file, const char *name, const char *text, size_t length,
                   pmo_complaint_fn complain, void *context)
{
    struct pmo_file *f;
    int r = file_new(&f, name, complain, context);

    if (r < 0)
        return r;
    r = parse(f, text, length);
    if (r < 0)
        pmo_file_free(&f);
    else
        *file = f;
    return r;
}

static ssize_t read_all(const char *path, char *text, size_t size)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t n = 1;

    if (fd < 0)
        return -errno;
    while (length < size && n > 0) {
        n = read(fd, text + length, size - length);
        if (n < 0 && errno != EINTR)
            return -errno;
        length += n > 0 ? n : 0;
        n = n < 0 ? 1 : n;
    }
    return (ssize_t)length;
}

int pmo_file_read(struct pmo_file **file, const char *path, pmo_complaint_fn complain,
                  void *context)
{
    _cleanup_free_ char *text = malloc(FILE_BYTES_MAX + 1);
    struct pmo_file *f;
    ssize_t length;
    int r = file_new(&f, path, complain, context);

    if (r < 0)
        return r;
    length = text ? read_all(path, text, FILE_BYTES_MAX + 1) : -ENOMEM;
    if (length > FILE_BYTES_MAX) {
        length = -EFBIG;
        (void)file_complain(f, 0, 0, "is larger than 1 MiB; split it into several files");
    } else if (length < 0) {
        (void)file_complain(f, 0, 0, "cannot be read: %s", strerror((int)-length));
    }
    r = length < 0 ? (int)length : parse(f, text, length);
    if (r < 0)
        pmo_file_free(&f);
    else
        *file = f;
    return r;
}

void pmo_file_free(struct pmo_file **file)
{
    if (!*file)
        return;
    for (size_t i = 0; i < (*file)->documents_count; i++) {
        yaml_document_delete(&(*file)->documents[i].yaml);
        free((*file)->documents[i].values);
    }
    free((*file)->documents);
    free((*file)->name);
    free(*file);
    *file = NULL;
}

size_t pmo_file_documents(const struct pmo_file *file)
{
    return file->documents_count;
}

const struct pmo_value *pmo_file_document(const struct pmo_file *file, size_t i)
{
    assert(i < file->documents_count);
    return file->documents[i].values; /* the root is the first node */
}

size_t pmo_file_complaints(const struct pmo_file *file)
{
    return file->complaints;
}

/* ---- values ---------------------------------------------------------------------------------- */

bool pmo_value_is_map(const struct pmo_value *value)
{
    return value && value->node->type == YAML_MAPPING_NODE;
}

bool pmo_value_is_list(const struct pmo_value *value)
{
    return value && value->node->type == YAML_SEQUENCE_NODE;
}

const char *pmo_value_text(const struct pmo_value *value)
{
    if (!value || value->node->type != YAML_SCALAR_NODE)
        return NULL;
    return (const char *)value->node->data.scalar.value;
}

size_t pmo_value_count(const struct pmo_value *value)
{
    if (pmo_value_is_map(value))
        return value->node->data.mapping.pairs.top - value->node->data.mapping.pairs.start;
    if (pmo_value_is_list(value))
        return value->node->data.sequence.items.top - value->node->data.sequence.items.start;
    return 0;
}

const struct pmo_value *pmo_value_item(const struct pmo_value *list, size_t i)
{
    assert(pmo_value_is_list(list) && i < pmo_value_count(list));
    return &list->values[list->node->data.sequence.items.start[i] - 1];
}

static const struct pmo_value *key_at(const struct pmo_value *map, size_t i)
{
    assert(pmo_value_is_map(map) && i < pmo_value_count(map));
    return &map->values[map->node->data.mapping.pairs.start[i].key - 1];
}

const char *pmo_value_key(const struct pmo_value *map, size_t i)
{
    return pmo_value_text(key_at(map, i));
}

const struct pmo_value *pmo_value_get(const struct pmo_value *map, const char *key)
{
    if (!pmo_value_is_map(map))
        return NULL;
    for (size_t i = 0; i < pmo_value_count(map); i++)
        if (!strcmp(pmo_value_key(map, i), key))
            return &map->values[map->node->data.mapping.pairs.start[i].value - 1];
    return NULL;
}

void pmo_value_place(const struct pmo_value *value, size_t *line, size_t *column)
{
    *line = value->node->start_mark.line + 1;
    *column = value->node->start_mark.column + 1;
}

int pmo_value_only_keys(const struct pmo_value *map, const char *const *known)
{
    char list[512];
    int r = 0;

    if (!map)
        return 0;
    pmo_spelling_list(known, list, sizeof(list));
    if (!pmo_value_is_map(map))
        return pmo_value_complain(map, "fields are expected here: %s", list);
    for (size_t i = 0; i < pmo_value_count(map); i++) {
        const char *key = pmo_value_key(map, i), *near;
        size_t k = 0;

        while (known[k] && strcmp(known[k], key) != 0)
            k++;
        if (known[k])
            continue;
        near = pmo_spelling_nearest(key, known);
        if (near)
            r = pmo_value_complain(key_at(map, i), "unknown field \"%.60s\"; did you mean \"%s\"?",
                                   key, near);
        else
            r = pmo_value_complain(key_at(map, i), "unknown field \"%.60s\"; write %s", key, list);
    }
    return r;
}

/* ---- typed readers --------------------------------------------------------------------------- */

int pmo_value_get_text(const struct pmo_value *map, const char *key, const char **out)
{
    const struct pmo_value *value = pmo_value_get(map, key);
    const char *text = pmo_value_text(value);

    if (!value)
        return 0;
    if (!text || !*text)
        return pmo_value_complain(value, "%s must be a text; write %s: text", key, key);
    *out = text;
    return 0;
}

int pmo_value_get_bool(const struct pmo_value *map, const char *key, bool *out)
{
    static const char *const words[] = {"false", "true", NULL};
    int choice = *out;
    int r = pmo_value_get_choice(map, key, words, &choice);

    *out = choice;
    return r;
}

int pmo_value_get_integer(const struct pmo_value *map, const char *key, long min, long max,
                          long *out)
{
    const struct pmo_value *value = pmo_value_get(map, key);
    const char *text = pmo_value_text(value);
    char *end = NULL;
    long number = 0;

    if (!value)
        return 0;
    errno = 0;
    if (text)
        number = strtol(text, &end, 10);
    if (!text || end == text || *end || errno || number < min || number > max)
        return pmo_value_complain(value,
                                  "%s must be a whole number from %ld to %ld%s%.60s; write e.g. "
                                  "%s: %ld",
                                  key, min, max, text ? ", not " : "", text ? text : "", key, min);
    *out = number;
    return 0;
}

/* A bare number is taken as a fraction where a share is wanted, and as a missing unit elsewhere. */
static int get_quantity(const struct pmo_value *map, const char *key, enum pmo_dimension wanted,
                        double *out)
{
    const char *name = pmo_dimension_name(wanted), *example = pmo_dimension_example(wanted);
    const struct pmo_value *value = pmo_value_get(map, key);
    const char *text = pmo_value_text(value), *at = text;
    enum pmo_dimension dimension = PMO_NUMBER;
    double number;

    if (!value)
        return 0;
    if (!text || !*text)
        return pmo_value_complain(value, "%s must be %s; write e.g. %s", key, name, example);
    if (pmo_quantity_scan(&at, &number, &dimension) < 0 || *at ||
        (dimension != wanted && dimension != PMO_NUMBER))
        return pmo_value_complain(value, "%s: \"%.60s\" is not %s; write e.g. %s", key, text, name,
                                  example);
    if (dimension == PMO_NUMBER && wanted != PMO_SHARE)
        return pmo_value_complain(value, "%s: \"%.60s\" has no unit; write %s, e.g. %s", key, text,
                                  name, example);
    if (wanted == PMO_SHARE && number > 1)
        return pmo_value_complain(value, "%s: \"%.60s\" is more than the whole; write e.g. %s", key,
                                  text, example);
    *out = number;
    return 0;
}

int pmo_value_get_duration(const struct pmo_value *map, const char *key, double *seconds)
{
    return get_quantity(map, key, PMO_DURATION, seconds);
}

int pmo_value_get_share(const struct pmo_value *map, const char *key, double *fraction)
{
    return get_quantity(map, key, PMO_SHARE, fraction);
}

int pmo_value_get_rate(const struct pmo_value *map, const char *key, double *rps)
{
    return get_quantity(map, key, PMO_RATE, rps);
}

int pmo_value_get_choice(const struct pmo_value *map, const char *key, const char *const *words,
                         int *out)
{
    const struct pmo_value *value = pmo_value_get(map, key);
    const char *text = pmo_value_text(value), *near;
    char list[256];

    if (!value)
        return 0;
    pmo_spelling_list(words, list, sizeof(list));
    if (!text)
        return pmo_value_complain(value, "%s must be one word: %s", key, list);
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) != 0)
            continue;
        *out = i;
        return 0;
    }
    near = pmo_spelling_nearest(text, words);
    if (near)
        return pmo_value_complain(value, "%s: \"%.60s\" is not known; did you mean \"%s\"?", key,
                                  text, near);
    return pmo_value_complain(value, "%s: \"%.60s\" is not known; write %s", key, text, list);
}
