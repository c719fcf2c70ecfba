/* SPDX-License-Identifier: MIT */
#pragma once

#include <pmo/pmo.h>

/* As pmo_open(), on PMO_HINTS_ROWS rows that the caller keeps: for tests and benchmarks. Visible to
 * who links libpmo statically, not exported by libpmo.so. */
int pmo_open_memory(struct pmo **pmo, const void *rows);
