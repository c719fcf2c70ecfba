/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the kernel has its variables, as far as it says (/proc/kallsyms). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct pmo_symbol {
    const char *name;
    uint64_t address; /* out; 0: not told (no such one, no CONFIG_KALLSYMS_ALL, not root) */
};

/* Reads the whole list, which takes the kernel some 50 ms. */
void pmo_symbols_find(struct pmo_symbol *symbols, size_t count);
