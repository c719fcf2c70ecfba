/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as UTF-8: routes and process names may hold what they like. NULL: no memory. */
#pragma once

#include <jansson.h>

/* Text with bytes that are not UTF-8 written as %XX. To be freed by the caller. */
char *pmo_clean_text(const char *text);
json_t *pmo_json_text(const char *text);
