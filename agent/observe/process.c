/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"

/* Reads a small file of /proc/PID. Returns 0 or a negative errno. */
static int read_file(pid_t pid, const char *name, char *text, size_t room)
{
    char path[64];
    _cleanup_close_ int fd = -1;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    n = read(fd, text, room - 1);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return 0;
}

int pmo_process_stat_parse(const char *text, struct pmo_process_stat *stat)
{
    enum { PARENT = 4, UTIME = 14, CSTIME = 17, STARTED = 22, RESIDENT = 24 };
    const char *at = strrchr(text, ')'); /* a command may hold anything, also parentheses */
    uint64_t fields[RESIDENT + 1];

    if (!at || at[1] != ' ' || !at[2])
        return -EINVAL;
    at += 3;
    for (int i = PARENT; i <= RESIDENT; i++) {
        char *end;

        fields[i] = strtoull(at, &end, 10);
        if (end == at)
            return -EINVAL;
        at = end;
    }
    *stat = (struct pmo_process_stat){.parent = (pid_t)fields[PARENT],
                                      .started_ticks = fields[STARTED],
                                      .resident_pages = fields[RESIDENT]};
    for (int i = UTIME; i <= CSTIME; i++)
        stat->cpu_ticks += fields[i];
    return 0;
}

int pmo_process_stat_read(pid_t pid, struct pmo_process_stat *stat)
{
    char text[1024];
    int r = read_file(pid, "stat", text, sizeof(text));

    return r < 0 ? r : pmo_process_stat_parse(text, stat);
}

/* The mount of type cgroup2 in /proc/self/mountinfo: ID PARENT DEVICE ROOT PLACE ... - TYPE ... */
static void find_cgroup_mount(char *place, size_t room)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
    _cleanup_free_ char *line = NULL;
    size_t length = 0;

    while (file && getline(&line, &length, file) > 0) {
        char found[128];

        if (!strstr(line, " - cgroup2 ") || sscanf(line, "%*s %*s %*s %*s %127s", found) != 1)
            continue;
        (void)snprintf(place, room, "%s", found);
        return;
    }
}

const char *pmo_cgroup_mount(void)
{
    static char place[128];

    if (!place[0])
        find_cgroup_mount(place, sizeof(place));
    return place;
}

const char *pmo_cgroup_parse(char *text)
{
    char *line;

    while ((line = strsep(&text, "\n")))
        if (!strncmp(line, "0::/", 4))
            return line + 3;
    return NULL;
}

int pmo_cgroup_cpu_parse(const char *text, uint64_t *cpu_usec)
{
    const char *at = strstr(text, "usage_usec ");

    return at && sscanf(at, "usage_usec %lu", cpu_usec) == 1 ? 0 : -EINVAL;
}

int pmo_process_describe(pid_t pid, char command[64], char cgroup[256])
{
    char text[4096];
    const char *path;
    int r = read_file(pid, "comm", command, 64);

    if (r < 0)
        return r;
    command[strcspn(command, "\n")] = '\0';
    cgroup[0] = '\0';
    r = read_file(pid, "cgroup", text, sizeof(text));
    if (r < 0)
        return r;
    path = pmo_cgroup_parse(text);
    if (!path || !pmo_cgroup_mount()[0] || !strncmp(path, "/..", 3))
        return 0;
    if (snprintf(cgroup, 256, "%s%s", pmo_cgroup_mount(), strcmp(path, "/") ? path : "") >= 256)
        cgroup[0] = '\0';
    return 0;
}
