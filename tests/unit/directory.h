/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of a command that reads and writes files: in a directory of their own, each file its own.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "tests/unit/suite.h"

/* Files in a directory of their own, in which the tests run. */
static char directory[] = "/tmp/pmo-tests-XXXXXX";
static int back = -1;

static inline void enter(void)
{
    memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
    back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_TRUE_FATAL(back >= 0 && mkdtemp(directory) && !chdir(directory));
}

static inline void leave(void)
{
    static const char *const names[] = {"trace",  "out",  "other", "origins",
                                        "policy", "plot", "said"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        (void)unlink(names[i]);
    CU_ASSERT_EQUAL(fchdir(back), 0);
    CU_ASSERT_EQUAL(rmdir(directory), 0);
    (void)close(back);
}

static inline void write_text(const char *name, const char *text)
{
    _cleanup_fclose_ FILE *file = fopen(name, "we");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs(text, file);
}

/* A file's text, to be freed. */
static inline char *read_text(const char *name)
{
    _cleanup_fclose_ FILE *file = fopen(name, "re");
    char *text = calloc(1, 1 << 20);

    CU_ASSERT_TRUE_FATAL(file && text);
    text[fread(text, 1, (1 << 20) - 1, file)] = 0;
    return text;
}
