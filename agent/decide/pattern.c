/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Patterns of routes, as policies pin them: "/users/{name}/orders", "/assets/{rest...}". */
#include "agent/decide/policy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SEGMENTS_MAX   16U /* deeper ones are not told apart in the kernel */
#define NAME_BYTES_MAX 24U

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

__attribute__((format(printf, 3, 4))) static int wrong(char *error, size_t size, const char *format,
                                                       ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error, size, format, args);
    va_end(args);
    return -EINVAL;
}

/* One segment of @n bytes; @last: nothing comes behind it. */
static int check_segment(const char *at, size_t n, bool last, char *error, size_t size)
{
    size_t name = n > 1 ? strspn(at + 1, letters) : 0;
    bool rest;

    if (!n)
        return wrong(error, size,
                     "has an empty segment; write one slash between two segments and "
                     "none at the end");
    if (!memchr(at, '{', n) && !memchr(at, '}', n))
        return 0;
    rest = n > 5 && !strncmp(at + 1 + name, "...}", 4);
    if (at[0] != '{' || !name || name > NAME_BYTES_MAX || (at[1 + name] != '}' && !rest) ||
        n != name + (rest ? 5 : 2))
        return wrong(error, size,
                     "\"%.*s\" is no name; write one for a whole segment, up to %u letters, as in "
                     "/users/{name}",
                     (int)n, at, NAME_BYTES_MAX);
    if (rest && !last)
        return wrong(error, size, "\"%.*s\" takes all that comes behind it; end the pattern there",
                     (int)n, at);
    return 0;
}

int pmo_route_pattern_check(const char *pattern, char *error, size_t error_size)
{
    unsigned int segments = 0;
    int r = 0;

    if (pattern[0] != '/' || !pattern[1])
        return wrong(error, error_size, "is not a path; write e.g. /users/{name} or /status");
    for (const char *c = pattern; *c; c++)
        if (*c <= ' ' || *c == 0x7f || *c == '?' || *c == '#')
            return wrong(error, error_size,
                         "is not a path: routes have no query and no blanks; write what comes "
                         "before the \"?\", as it is sent");
    if (strlen(pattern) >= PMO_ROUTE_BYTES - PMO_FOLD_NAME_BYTES)
        return wrong(error, error_size, "is too long; write up to %u bytes",
                     PMO_ROUTE_BYTES - PMO_FOLD_NAME_BYTES - 1);
    for (const char *at = pattern + 1;; at++) {
        size_t n = strcspn(at, "/");

        r = check_segment(at, n, !at[n], error, error_size);
        if (r)
            return r;
        if (++segments > SEGMENTS_MAX)
            return wrong(error, error_size, "has too many segments; write up to %u", SEGMENTS_MAX);
        at += n;
        if (!*at)
            return 0;
    }
}

bool pmo_route_patterns_clash(const char *a, const char *b)
{
    while (*a == '/' && *b == '/') {
        size_t n = strcspn(++a, "/"), m = strcspn(++b, "/");
        bool same = n == m && !strncmp(a, b, n);

        if (!same)
            return *a == '{' && *b == '{';
        a += n;
        b += m;
    }
    return false;
}
