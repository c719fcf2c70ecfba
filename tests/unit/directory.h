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
#include "tools/pmoctl/pmoctl.h"

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

/* Runs a command with standard output in the file "said", and standard error there, too, where
 * @errors, else nowhere. Returns its status. */
static inline int run_command(int (*command)(struct pmoctl *ctl), struct pmoctl *ctl, bool errors)
{
    _cleanup_close_ int said = open("said", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    _cleanup_close_ int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    _cleanup_close_ int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    int status;

    (void)fflush(stdout);
    (void)dup2(said, STDOUT_FILENO);
    (void)dup2(errors ? said : nowhere, STDERR_FILENO);
    status = command(ctl);
    (void)fflush(stdout);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    return status;
}

/* Whether the last one has said this; if not, prints what it has. */
static inline bool has_said(const char *text)
{
    _cleanup_free_ char *said = read_text("said");

    if (strstr(said, text))
        return true;
    (void)fprintf(stderr, "instead of \"%s\": %s", text, said);
    return false;
}
