/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A test file is a CUnit suite: `SUITE(series) = {TEST(counts_add_up), ...};` at its end registers
 * it with the runner (suite.c), which a binary links once. A test's name is a sentence of what
 * holds. `runner NAME...` runs only suites and tests with these names, `runner -NAME...` all but
 * these.
 */
#pragma once

#include <CUnit/CUnit.h>

struct test {
    const char *name;
    void (*run)(void);
};

struct suite {
    const char *name;
    const struct test *tests;
    size_t count;
    struct suite *next;
};

void suite_register(struct suite *suite);

/* By how much longer than on real hardware something may take: PMO_TESTS_SLOWER, which
 * tests/kernels sets, where software emulates the CPU; else 1. */
double suite_slower(void);

#define TEST(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }
#define SUITE(suite_name)                                                                          \
    static const struct test suite_name##_tests[];                                                 \
    static void suite_name##_register(void);                                                       \
    static struct suite suite_name##_suite;                                                        \
    __attribute__((constructor)) static void suite_name##_register(void)                           \
    {                                                                                              \
        suite_name##_suite.name = #suite_name;                                                     \
        suite_name##_suite.tests = suite_name##_tests;                                             \
        while (suite_name##_tests[suite_name##_suite.count].name)                                  \
            suite_name##_suite.count++;                                                            \
        suite_register(&suite_name##_suite);                                                       \
    }                                                                                              \
    static const struct test suite_name##_tests[]
