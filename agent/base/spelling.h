/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "Did you mean ...?": the known word that a mistyped one is nearest to. */
#pragma once

#include <stddef.h>

/* The word of a NULL-terminated list that @word was probably meant to be, NULL when none is near.
 * Upper and lower case are alike. */
const char *pmo_spelling_nearest(const char *word, const char *const *known);

/* Writes "a, b or c" of a NULL-terminated list to @text; cut where it does not fit. */
void pmo_spelling_list(const char *const *words, char *text, size_t text_size);
