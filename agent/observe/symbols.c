/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"

void pmo_symbols_find(struct pmo_symbol *symbols, size_t count)
{
    _cleanup_fclose_ FILE *list = fopen("/proc/kallsyms", "re");
    _cleanup_free_ char *line = NULL;
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        symbols[i].address = 0;
    while (list && getline(&line, &size, list) > 0) { /* "ffffffff81000000 T _text" */
        char *name = strchr(line, ' ');

        if (!name || strlen(name) < 4)
            continue;
        name += 3;
        name[strcspn(name, "\t\n")] = '\0';
        for (size_t i = 0; i < count; i++)
            if (!strcmp(name, symbols[i].name))
                symbols[i].address = strtoull(line, NULL, 16);
    }
}
