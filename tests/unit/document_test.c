/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/suite.h"

static char said[4096]; /* all complaints, a line each: FILE:LINE:COLUMN: message */
static unsigned int times;

static void note(void *context, const char *file, size_t line, size_t column, const char *message)
{
    size_t used = strlen(said);

    (void)snprintf(said + used, sizeof(said) - used, "%s:%zu:%zu: %s\n", file, line, column,
                   message);
    times++;
}

static int parse_bytes(struct pmo_file **file, const char *text, size_t length)
{
    said[0] = '\0';
    times = 0;
    return pmo_file_parse(file, "f", text, length, note, NULL);
}

static int parse(struct pmo_file **file, const char *text)
{
    return parse_bytes(file, text, strlen(text));
}

static bool is_said(const char *text)
{
    bool found = strstr(said, text);

    if (!found)
        (void)printf("\n    said: %s    not: %s\n", said, text);
    return found;
}

static const struct pmo_value *root_of(struct pmo_file **file, const char *text)
{
    CU_ASSERT_EQUAL_FATAL(parse(file, text), 0);
    return pmo_file_document(*file, 0);
}

static void values_are_found_with_their_places(void)
{
    struct pmo_file *file = NULL;
    const struct pmo_value *root, *list;
    size_t line, column;

    root = root_of(&file, "a: one\nb:\n  - x\n  - {c: y}\n");
    CU_ASSERT_TRUE(pmo_value_is_map(root));
    CU_ASSERT_EQUAL(pmo_value_count(root), 2);
    CU_ASSERT_STRING_EQUAL(pmo_value_key(root, 1), "b");
    CU_ASSERT_STRING_EQUAL(pmo_value_text(pmo_value_get(root, "a")), "one");
    CU_ASSERT_PTR_NULL(pmo_value_get(root, "c"));
    list = pmo_value_get(root, "b");
    CU_ASSERT_TRUE(pmo_value_is_list(list));
    CU_ASSERT_PTR_NULL(pmo_value_text(list));
    pmo_value_place(pmo_value_get(pmo_value_item(list, 1), "c"), &line, &column);
    CU_ASSERT_EQUAL(line, 4);
    CU_ASSERT_EQUAL(column, 9);
    pmo_file_free(&file);
    CU_ASSERT_PTR_NULL(file);
}

static void a_file_has_many_documents_and_empty_ones_do_not_count(void)
{
    struct pmo_file *file = NULL;

    CU_ASSERT_EQUAL_FATAL(parse(&file, "# hello\n---\na: 1\n---\n# nothing\n---\nb: 2\n"), 0);
    CU_ASSERT_EQUAL(pmo_file_documents(file), 2);
    CU_ASSERT_PTR_NOT_NULL(pmo_value_get(pmo_file_document(file, 1), "b"));
    pmo_file_free(&file);
}

static void a_text_that_is_no_yaml_gets_one_complaint(void)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "f:1:1: the file is empty"},
        {"# only a comment\n", "f:1:1: the file is empty"},
        {"a: [1, 2\nb: 3\n", "f:2:2: this is not YAML: did not find expected ',' or ']' while "
                             "parsing a flow sequence"},
        {"a:\n\tb: 1\n", "f:2:1: this is not YAML: found character that cannot start any token "
                         "while scanning for the next token; indent with spaces, not with tabs"},
        {"service: *\n", "put a star in quotes: \"*\""},
        {"a: 1\nb: 2\na: 3\n", "f:3:1: \"a\" stands here twice; keep one of them"},
        {"? [x]\n: 1\n", "f:1:3: a field's name is a word"},
        {"a: \"x\\0y\"\n", "f:1:4: a NUL byte in a text"},
        {"ok: 1\nab\xff: 1\n", "f:2:3: this is not text"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pmo_file *file = NULL;

        CU_ASSERT_EQUAL(parse(&file, cases[i].text), -EINVAL);
        CU_ASSERT_TRUE(is_said(cases[i].said));
        CU_ASSERT_EQUAL(times, 1);
        CU_ASSERT_PTR_NULL(file);
    }
}

static void a_document_that_contains_itself_does_no_harm(void)
{
    struct pmo_file *file = NULL;
    const struct pmo_value *root = root_of(&file, "a: &x [*x, *x]\n");
    const struct pmo_value *list = pmo_value_get(root, "a");

    CU_ASSERT_PTR_EQUAL(pmo_value_item(list, 0), list);
    pmo_file_free(&file);
}

static void deep_nesting_is_refused_and_not_followed(void)
{
    static char text[1 << 20];
    struct pmo_file *file = NULL;

    memset(text, '[', sizeof(text));
    CU_ASSERT_EQUAL(parse_bytes(&file, text, sizeof(text)), -EINVAL);
    CU_ASSERT_TRUE(is_said("f:1:101: more than 100 brackets are open; close them"));
    for (size_t i = 0; i < sizeof(text); i += 2)
        memcpy(text + i, "- ", 2);
    CU_ASSERT_EQUAL(parse_bytes(&file, text, sizeof(text)), 0);
    pmo_file_free(&file);
}

static void a_complaint_is_one_line_and_counted(void)
{
    struct pmo_file *file = NULL;
    const struct pmo_value *root = root_of(&file, "mode: \"act\\nup\"\n");
    static const char *const modes[] = {"observe", "act", NULL};
    int mode = 7;

    CU_ASSERT_EQUAL(pmo_value_get_choice(root, "mode", modes, &mode), -EINVAL);
    CU_ASSERT_EQUAL(mode, 7);
    CU_ASSERT_TRUE(is_said("f:1:7: mode: \"act up\" is not known; write observe or act\n"));
    CU_ASSERT_EQUAL(pmo_file_complaints(file), 1);
    pmo_file_free(&file);
}

static void unknown_fields_are_told_with_the_nearest_known_one(void)
{
    static const char *const known[] = {"leadTime", "capacity", NULL};
    struct pmo_file *file = NULL;
    const struct pmo_value *root = root_of(&file, "leedtime: 1\ncapacity: 2\ncolour: 3\n");

    CU_ASSERT_EQUAL(pmo_value_only_keys(root, known), -EINVAL);
    CU_ASSERT_TRUE(is_said("f:1:1: unknown field \"leedtime\"; did you mean \"leadTime\"?\n"));
    CU_ASSERT_TRUE(is_said("f:3:1: unknown field \"colour\"; write leadTime or capacity\n"));
    CU_ASSERT_EQUAL(times, 2);
    CU_ASSERT_EQUAL(pmo_value_only_keys(pmo_value_get(root, "colour"), known), -EINVAL);
    CU_ASSERT_TRUE(is_said("f:3:9: fields are expected here: leadTime or capacity\n"));
    CU_ASSERT_EQUAL(pmo_value_only_keys(NULL, known), 0);
    pmo_file_free(&file);
}

static void numbers_are_read_with_their_units(void)
{
    struct pmo_file *file = NULL;
    const struct pmo_value *root =
        root_of(&file, "ms: 250ms\nmin: 10 m\nh: 1h\nus: 1.5us\nrps: 50rps\nper_m: 3000/m\n"
                       "per_s: 50 /s\nwords: 20 requests per second\npercent: 80 %\nshare: 0.8\n"
                       "whole: 1\nyes: true\nno: false\nten: 10\n");
    const struct {
        const char *key;
        int (*read)(const struct pmo_value *, const char *, double *);
        double value;
    } cases[] = {
        {"ms", pmo_value_get_duration, 0.25},  {"min", pmo_value_get_duration, 600},
        {"h", pmo_value_get_duration, 3600},   {"us", pmo_value_get_duration, 1.5e-6},
        {"rps", pmo_value_get_rate, 50},       {"per_m", pmo_value_get_rate, 50},
        {"per_s", pmo_value_get_rate, 50},     {"words", pmo_value_get_rate, 20},
        {"percent", pmo_value_get_share, 0.8}, {"share", pmo_value_get_share, 0.8},
        {"whole", pmo_value_get_share, 1},     {"absent", pmo_value_get_share, -1},
    };
    long ten = 0;
    bool flag = false;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        double value = -1;

        CU_ASSERT_EQUAL(cases[i].read(root, cases[i].key, &value), 0);
        CU_ASSERT_DOUBLE_EQUAL(value, cases[i].value, 1e-12);
    }
    CU_ASSERT_EQUAL(pmo_value_get_integer(root, "ten", 1, 10, &ten), 0);
    CU_ASSERT_EQUAL(ten, 10);
    CU_ASSERT_EQUAL(pmo_value_get_bool(root, "yes", &flag), 0);
    CU_ASSERT_TRUE(flag);
    CU_ASSERT_EQUAL(pmo_value_get_bool(root, "no", &flag), 0);
    CU_ASSERT_FALSE(flag);
    CU_ASSERT_EQUAL(times, 0);
    pmo_file_free(&file);
}

static void wrong_numbers_are_told_with_an_example(void)
{
    static const struct {
        const char *text;
        char reader;
        const char *said;
    } cases[] = {
        {"k: 250", 'd', "f:1:4: k: \"250\" has no unit; write a duration, e.g. 250ms, 3s or 10m"},
        {"k: 250rps", 'd', "f:1:4: k: \"250rps\" is not a duration; write e.g. 250ms, 3s or 10m"},
        {"k: -3s", 'd', "is not a duration"},
        {"k: 1e3s", 'd', "is not a duration"},
        {"k: nan", 'd', "is not a duration"},
        {"k: 3s5", 'd', "is not a duration"},
        {"k: 3 parsecs", 'd', "is not a duration"},
        {"k:", 'd', "k must be a duration"},
        {"k: [3s]", 'd', "f:1:4: k must be a duration"},
        {"k: 50", 'r', "k: \"50\" has no unit; write a rate of requests, e.g. 50rps"},
        {"k: 50ms", 'r', "k: \"50ms\" is not a rate of requests"},
        {"k: 80", 's', "k: \"80\" is more than the whole; write e.g. 80% or 0.8"},
        {"k: 120%", 's', "is more than the whole"},
        {"k: 80 rps", 's', "k: \"80 rps\" is not a share"},
        {"k: 0", 'i', "k must be a whole number from 1 to 10, not 0; write e.g. k: 1"},
        {"k: 11", 'i', "k must be a whole number"},
        {"k: 2.5", 'i', "k must be a whole number from 1 to 10, not 2.5"},
        {"k: 99999999999999999999", 'i', "k must be a whole number"},
        {"k: {}", 'i', "k must be a whole number from 1 to 10;"},
        {"k: yes", 'b', "k: \"yes\" is not known; write false or true"},
        {"k: {}", 'b', "k must be one word: false or true"},
        {"k: []", 't', "k must be a text; write k: text"},
        {"k: ''", 't', "k must be a text"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pmo_file *file = NULL;
        const struct pmo_value *root = root_of(&file, cases[i].text);
        const char *text = NULL;
        double number = -1;
        long integer = -1;
        bool flag = true;
        int r = 0;

        if (cases[i].reader == 'd')
            r = pmo_value_get_duration(root, "k", &number);
        else if (cases[i].reader == 'r')
            r = pmo_value_get_rate(root, "k", &number);
        else if (cases[i].reader == 's')
            r = pmo_value_get_share(root, "k", &number);
        else if (cases[i].reader == 'i')
            r = pmo_value_get_integer(root, "k", 1, 10, &integer);
        else if (cases[i].reader == 'b')
            r = pmo_value_get_bool(root, "k", &flag);
        else
            r = pmo_value_get_text(root, "k", &text);
        CU_ASSERT_EQUAL(r, -EINVAL);
        CU_ASSERT_TRUE(is_said(cases[i].said));
        CU_ASSERT_EQUAL(times, 1);
        CU_ASSERT_TRUE(number == -1 && integer == -1 && flag && !text);
        pmo_file_free(&file);
    }
}

static void a_file_that_cannot_be_read_is_told_once(void)
{
    char path[] = "/tmp/pmo-document-test-XXXXXX";
    int fd = mkstemp(path);
    struct pmo_file *file = NULL;

    CU_ASSERT_FATAL(fd >= 0);
    said[0] = '\0';
    times = 0;
    CU_ASSERT_EQUAL(pmo_file_read(&file, "/nowhere.yaml", note, NULL), -ENOENT);
    CU_ASSERT_TRUE(is_said("/nowhere.yaml:0:0: cannot be read: No such file or directory\n"));
    CU_ASSERT_EQUAL(pmo_file_read(&file, "/", note, NULL), -EISDIR);
    CU_ASSERT_EQUAL(times, 2);
    CU_ASSERT_EQUAL(write(fd, "a: 1\n", 5), 5);
    CU_ASSERT_EQUAL(pmo_file_read(&file, path, note, NULL), 0);
    CU_ASSERT_EQUAL(pmo_file_documents(file), 1);
    pmo_file_free(&file);
    CU_ASSERT_EQUAL(ftruncate(fd, (1 << 20) + 1), 0);
    CU_ASSERT_EQUAL(pmo_file_read(&file, path, note, NULL), -EFBIG);
    CU_ASSERT_EQUAL(times, 3);
    CU_ASSERT_PTR_NULL(file);
    (void)close(fd);
    (void)unlink(path);
}

SUITE(document) = {
    TEST(values_are_found_with_their_places),
    TEST(a_file_has_many_documents_and_empty_ones_do_not_count),
    TEST(a_text_that_is_no_yaml_gets_one_complaint),
    TEST(a_document_that_contains_itself_does_no_harm),
    TEST(deep_nesting_is_refused_and_not_followed),
    TEST(a_complaint_is_one_line_and_counted),
    TEST(unknown_fields_are_told_with_the_nearest_known_one),
    TEST(numbers_are_read_with_their_units),
    TEST(wrong_numbers_are_told_with_an_example),
    TEST(a_file_that_cannot_be_read_is_told_once),
    {0},
};
