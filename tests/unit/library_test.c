/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/library.h"

#include <errno.h>
#include <zlib.h>
#include "tests/unit/suite.h"

static typeof(crc32) *checksum;
static void *nothing;

static void a_library_is_loaded_with_its_functions(void)
{
    const struct pmo_function functions[] = {{"crc32", &checksum}};

    CU_ASSERT_EQUAL(pmo_library_load("libz.so.1", functions, 1), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(checksum);
    CU_ASSERT_EQUAL(checksum(0, (const unsigned char *)"123456789", 9), 0xcbf43926);
    CU_ASSERT_EQUAL(pmo_library_load("libz.so.1", functions, 1), 0);
}

static void a_library_or_a_function_that_is_missing_is_an_error(void)
{
    const struct pmo_function functions[] = {{"no_such_function", &nothing}};

    CU_ASSERT_EQUAL(pmo_library_load("libno-such-library.so.1", functions, 1), -ELIBACC);
    CU_ASSERT_EQUAL(pmo_library_load("libz.so.1", functions, 1), -ELIBACC);
    CU_ASSERT_PTR_NULL(nothing);
}

SUITE(library) = {TEST(a_library_is_loaded_with_its_functions),
                  TEST(a_library_or_a_function_that_is_missing_is_an_error),
                  {0}};
