/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Classic tc, for kernels without tcx (before 6.6): a program as a filter of the qdisc clsact. A
 * filter is no link: it stays until someone deletes it. What is known of one is its pin, made
 * before it: the program, as links/filter_IFINDEX_NAME, or links/qdisc_IFINDEX_NAME where the qdisc
 * is to go, too, when no other filter is left in it. Handle and priority are always the same, so
 * that a filter of the next agent takes the place of this one, and there never are two.
 *
 * Interfaces are those of the current network namespace. @directory is that of the pins.
 */
#pragma once

#include <stdbool.h>

/* Attaches a program, in the place of an earlier agent's. Returns 0 or a negative errno. */
int pmo_filter_attach(const char *directory, const char *name, int ifindex, int program);
/* Whether an interface has a filter of this name. */
bool pmo_filter_is_on(const char *directory, const char *name, int ifindex);
/* Removes the filters of a name; NULL: all there are. */
void pmo_filter_detach(const char *directory, const char *name);
/* Name of the filter whose pin has this file name, NULL: it is none's. */
const char *pmo_filter_name(const char *file);
