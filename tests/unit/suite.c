/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <CUnit/Basic.h>
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

int main(int argc, char **argv)
{
    unsigned int failed;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    for (struct suite *s = suites; s; s = s->next) {
        CU_pSuite suite;
        int wanted = argc < 2;

        for (int i = 1; i < argc; i++)
            wanted |= !strcmp(argv[i], s->name);
        if (!wanted)
            continue;
        suite = CU_add_suite(s->name, NULL, NULL);
        for (size_t i = 0; suite && i < s->count; i++)
            if (!CU_add_test(suite, s->tests[i].name, s->tests[i].run))
                return 2;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    (void)CU_basic_run_tests();
    failed = CU_get_number_of_tests_failed() + (CU_get_number_of_tests_run() == 0);
    CU_cleanup_registry();
    return failed ? 1 : 0;
}
