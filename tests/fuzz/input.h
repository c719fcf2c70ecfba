/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fuzz targets share: an input, from which choices are taken, too. */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static const unsigned char *input;
static size_t input_length, choices;

static void input_begin(const unsigned char *bytes, size_t length)
{
    input = bytes;
    input_length = length;
    choices = 0;
}

/* Less than @n, from the end of the input. */
static size_t choose(size_t n)
{
    if (!input_length)
        return 0;
    choices++;
    return (input[input_length - 1 - choices % input_length] + choices) % n;
}

/* Length of the next piece of @left bytes. */
static inline size_t choose_piece(size_t left)
{
    size_t n = choose(3) ? 1 + choose(left) : left;

    return n > 40 && choose(2) ? 1 + choose(40) : n;
}
