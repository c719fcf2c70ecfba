/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/base/descriptors.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/resource.h>

static struct rlimit before;
static bool raised;

void pmo_descriptors_raise(void)
{
    struct rlimit limit;

    if (raised || getrlimit(RLIMIT_NOFILE, &before) < 0)
        return;
    limit = (struct rlimit){.rlim_cur = before.rlim_max, .rlim_max = before.rlim_max};
    raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

int pmo_descriptors_restore(void)
{
    return raised && setrlimit(RLIMIT_NOFILE, &before) < 0 ? -errno : 0;
}
