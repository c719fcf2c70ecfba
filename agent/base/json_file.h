/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of JSON that are replaced as a whole: who reads one finds the old or the new. */
#pragma once

#include <jansson.h>

/* Writes @json, which is dropped in any case (NULL: there was no memory), to PATH.new and puts that
 * in the place of PATH. Returns 0 or a negative errno, logged. */
int pmo_json_replace(const char *path, json_t *json);
