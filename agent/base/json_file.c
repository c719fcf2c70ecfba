/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/json_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include "agent/base/log.h"

int pmo_json_replace(const char *path, json_t *json)
{
    char temporary[PATH_MAX];
    int r;

    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    errno = ENOMEM;
    r = json ? json_dump_file(json, temporary, JSON_COMPACT) : -1;
    json_decref(json);
    if (r < 0 || rename(temporary, path) < 0)
        return pmo_err_r(errno, "cannot write %s", path);
    return 0;
}
