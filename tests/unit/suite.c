/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct suite *suites;

void suite_register(struct suite *suite)
{
    struct suite **at = &suites;

    while (*at && strcmp((*at)->name, suite->name) < 0)
        at = &(*at)->next;
    suite->next = *at;
    *at = suite;
}

double suite_slower(void)
{
    const char *slower = getenv("PMO_TESTS_SLOWER");

    return slower ? strtod(slower, NULL) : 1;
}

/* Whether one of the words is @name; without words but those that begin with "-", all are wanted.
 */
static bool wanted(int words_count, char **words, const char *name)
{
    bool any = false;

    for (int i = 0; i < words_count; i++) {
        if (!strcmp(words[i], name))
            return true;
        any |= words[i][0] != '-';
    }
    return !any;
}

/* Whether one of the words is @name behind a "-". */
static bool unwanted(int words_count, char **words, const char *name)
{
    for (int i = 0; i < words_count; i++)
        if (words[i][0] == '-' && !strcmp(words[i] + 1, name))
            return true;
    return false;
}

/* Whether a suite or a test is called @name. */
static bool known(char *name)
{
    for (struct suite *s = suites; s; s = s->next) {
        if (wanted(1, &name, s->name))
            return true;
        for (size_t i = 0; i < s->count; i++)
            if (wanted(1, &name, s->tests[i].name))
                return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    unsigned int failed;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (known(argv[i] + (argv[i][0] == '-')))
            continue;
        (void)fprintf(stderr, "%s: no suite or test is called %s\n", argv[0], argv[i]);
        return 2;
    }
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    for (struct suite *s = suites; s; s = s->next) {
        bool whole = wanted(argc - 1, argv + 1, s->name);
        CU_pSuite suite = NULL;

        for (size_t i = 0; i < s->count; i++) {
            if (!whole && !wanted(argc - 1, argv + 1, s->tests[i].name))
                continue;
            if (unwanted(argc - 1, argv + 1, s->name) ||
                unwanted(argc - 1, argv + 1, s->tests[i].name))
                continue;
            if (!suite)
                suite = CU_add_suite(s->name, NULL, NULL);
            if (!CU_add_test(suite, s->tests[i].name, s->tests[i].run))
                return 2;
        }
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    failed = CU_get_number_of_tests_failed() + (CU_get_number_of_tests_run() == 0);
    CU_cleanup_registry();
    return failed ? 1 : 0;
}
