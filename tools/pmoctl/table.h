/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aligned tables through libsmartcols, which also makes text from elsewhere safe for a terminal. */
#pragma once

struct libscols_table;
struct libscols_line;

/* @columns: headings, ended by NULL; ">RPS" is aligned to the right, "+NAME" shows what rows are
 * below. NULL: no memory. */
struct libscols_table *pmoctl_table_new(const char *const *columns);
/* Adds a row: one text for each column. */
void pmoctl_table_row(struct libscols_table *table, const char *const *cells);
/* The same below another row (NULL: below none), in a table that is a tree. NULL: no memory. */
struct libscols_line *pmoctl_table_row_below(struct libscols_table *table,
                                             struct libscols_line *above, const char *const *cells);
/* Prints to standard output, frees, and returns the exit status. */
int pmoctl_table_print(struct libscols_table *table);
