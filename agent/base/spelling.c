/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Distance of words: letters inserted, left out, replaced or swapped with their neighbour (optimal
 * string alignment, Damerau 1964). A word counts as mistyped when at most a third of it is wrong.
 */
#include "agent/base/spelling.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_WORD 63 /* no known word is longer */

static unsigned int least(unsigned int a, unsigned int b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned int distance(const char *a, const char *b)
{
    unsigned int rows[3][LONGEST_WORD + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > LONGEST_WORD || lb > LONGEST_WORD)
        return UINT_MAX;
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        unsigned int *row = rows[i % 3];
        const unsigned int *above = rows[(i + 2) % 3], *above_that = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            row[j] = least(above[j], row[j - 1]) + 1;
            row[j] = least(row[j], above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], above_that[j - 2] + 1);
        }
    }
    return rows[la % 3][lb];
}

const char *pmo_spelling_nearest(const char *word, const char *const *known)
{
    const char *nearest = NULL;
    unsigned int nearest_distance = UINT_MAX;

    for (; *known; known++) {
        unsigned int d = distance(word, *known);
        size_t allowed = strlen(*known) / 3;

        if (d >= nearest_distance || d > (allowed ? allowed : 1))
            continue;
        nearest = *known;
        nearest_distance = d;
    }
    return nearest;
}

void pmo_spelling_list(const char *const *words, char *text, size_t text_size)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; words[i] && used < text_size; i++) {
        const char *glue = !i ? "" : words[i + 1] ? ", " : " or ";
        used += snprintf(text + used, text_size - used, "%s%s", glue, words[i]);
    }
}
