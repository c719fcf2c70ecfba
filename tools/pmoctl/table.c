/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/log.h"

struct libscols_table *pmoctl_table_new(const char *const *columns)
{
    struct libscols_table *table;

    scols_init_debug(0);
    table = scols_new_table();
    for (; table && *columns; columns++) {
        bool right = **columns == '>', tree = **columns == '+';
        int flags = right        ? SCOLS_FL_RIGHT
                    : tree       ? SCOLS_FL_TREE
                    : columns[1] ? 0
                                 : SCOLS_FL_WRAP; /* the last may wrap */

        if (!scols_table_new_column(table, *columns + (right || tree), 0, flags)) {
            scols_unref_table(table);
            return NULL;
        }
    }
    return table;
}

struct libscols_line *pmoctl_table_row_below(struct libscols_table *table,
                                             struct libscols_line *above, const char *const *cells)
{
    struct libscols_line *line = table ? scols_table_new_line(table, above) : NULL;

    for (size_t i = 0; line && i < scols_table_get_ncols(table); i++)
        (void)scols_line_set_data(line, i, cells[i]);
    return line;
}

void pmoctl_table_row(struct libscols_table *table, const char *const *cells)
{
    (void)pmoctl_table_row_below(table, NULL, cells);
}

int pmoctl_table_print(struct libscols_table *table)
{
    int r = table ? scols_print_table(table) : -ENOMEM;

    scols_unref_table(table);
    if (r == 0)
        return EXIT_SUCCESS;
    (void)pmo_err_r(r, "cannot print the table");
    return EXIT_FAILURE;
}
