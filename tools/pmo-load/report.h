/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a run came to: for people, for machines, and second by second. */
#pragma once

#include "tools/pmo-load/client.h"

void pmo_load_report_text(const struct pmo_load_options *options,
                          const struct pmo_load_result *result);
/* Returns 0 or -ENOMEM, logged. */
int pmo_load_report_json(const struct pmo_load_options *options,
                         const struct pmo_load_result *result);

/* CSV of t,scheduled,sent,answered,late: a row a second of the schedule, which pmo-load can also
 * replay as a profile. Returns 0 or a negative errno, logged. */
int pmo_load_report_timeline(const struct pmo_load_result *result, const char *path);
