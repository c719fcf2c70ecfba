/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

bool pmo_process_was_there(pid_t pid, uint64_t time_ns)
{
    uint64_t ticks_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
    struct timespec boot, monotonic;
    struct pmo_process_stat stat;
    uint64_t slept_ns;

    if (pmo_process_stat_read(pid, &stat) < 0)
        return false;
    (void)clock_gettime(CLOCK_MONOTONIC, &monotonic);
    (void)clock_gettime(CLOCK_BOOTTIME, &boot); /* which goes on while the machine is suspended */
    slept_ns = (uint64_t)(boot.tv_sec - monotonic.tv_sec) * 1000000000ULL;
    /* a second for what is rounded here: no pid is given again that soon */
    return stat.started_ticks * ticks_ns <= time_ns + slept_ns + 1000000000ULL;
}

int pmo_number_parse(const char *text, uint64_t *value)
{
    char *end;

    if (!isdigit((unsigned char)*text)) /* strtoull() would take a sign */
        return -EINVAL;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno || !isspace((unsigned char)*end) ? -EINVAL : 0;
}

int pmo_process_statm_parse(const char *text, uint64_t *anonymous_pages)
{
    uint64_t fields[3]; /* size, resident, shared */

    for (int i = 0; i < 3; i++) {
        if (pmo_number_parse(text, &fields[i]) < 0)
            return -EINVAL;
        text += strcspn(text, " ");
        text += *text == ' ';
    }
    /* The kernel reads its counters one by one, while they change. */
    *anonymous_pages = fields[1] > fields[2] ? fields[1] - fields[2] : 0;
    return 0;
}

int pmo_read_again(int fd, char *text, size_t room)
{
    ssize_t n = fd < 0 ? fd : pread(fd, text, room, 0);

    if (n < 0)
        return fd < 0 ? fd : -errno;
    if ((size_t)n == room)
        return -E2BIG;
    text[n] = '\0';
    return 0;
}

int pmo_line_number(const char *text, const char *key, uint64_t *value)
{
    size_t length = strlen(key);

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *at = line + length;

        if (strncmp(line, key, length) != 0 || (*at != ' ' && *at != '\t'))
            continue;
        return pmo_number_parse(at + strspn(at, " \t"), value);
    }
    return -EINVAL;
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

const char *pmo_cgroup_v1_parse(char *text, const char *controller)
{
    char *line;

    while ((line = strsep(&text, "\n"))) { /* 4:cpu,cpuacct:/path */
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        const char *name;

        if (!path)
            continue;
        *path++ = '\0';
        names++;
        while ((name = strsep(&names, ",")))
            if (!strcmp(name, controller))
                return path;
    }
    return NULL;
}

int pmo_cgroup_v1(pid_t pid, const char *controller, char directory[256])
{
    const struct mntent *mount;
    char text[4096];
    const char *path;
    FILE *mounts;
    int r = read_file(pid, "cgroup", text, sizeof(text));

    directory[0] = '\0';
    if (r < 0)
        return r;
    path = pmo_cgroup_v1_parse(text, controller);
    if (!path || path[0] != '/' || !path[1] || !strncmp(path, "/..", 3))
        return 0;
    mounts = setmntent("/proc/self/mounts", "re");
    if (!mounts)
        return -errno;
    while (!directory[0] && (mount = getmntent(mounts)))
        if (!strcmp(mount->mnt_type, "cgroup") && hasmntopt(mount, controller) &&
            snprintf(directory, 256, "%s%s", mount->mnt_dir, path) >= 256)
            break;
    if (strlen(directory) == 255)
        directory[0] = '\0';
    (void)endmntent(mounts);
    return 0;
}

int pmo_cgroup_io_parse(const char *text, uint64_t *read_bytes, uint64_t *written_bytes)
{
    *read_bytes = *written_bytes = 0;
    while (*text) {
        const char *end = text + strcspn(text, "\n");
        const char *rbytes = strstr(text, " rbytes="), *wbytes = strstr(text, " wbytes=");
        uint64_t read, written;

        if (!*end)
            return -EINVAL; /* cut */
        text = end + 1;
        if (!rbytes || rbytes > end) /* "8:0 ": a device that was not used */
            continue;
        if (!wbytes || wbytes > end || pmo_number_parse(rbytes + strlen(" rbytes="), &read) < 0 ||
            pmo_number_parse(wbytes + strlen(" wbytes="), &written) < 0)
            return -EINVAL;
        *read_bytes += read;
        *written_bytes += written;
    }
    return 0;
}

int pmo_process_cgroups(pid_t pid, char *text, size_t room)
{
    return read_file(pid, "cgroup", text, room);
}

int pmo_cgroup_by_id(uint64_t id, char path[256])
{
    enum { FILEID_KERNFS = 0xfe }; /* linux/exportfs.h */
    struct {
        struct file_handle handle;
        uint64_t id;
    } named = {.handle = {.handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS}, .id = id};
    _cleanup_close_ int mount = open(pmo_cgroup_mount(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = -1;
    size_t above = strlen(pmo_cgroup_mount());
    char link[32], place[512];
    ssize_t n;

    if (mount < 0)
        return -errno;
    fd = open_by_handle_at(mount, &named.handle, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, place, sizeof(place) - 1);
    if (n < 0)
        return -errno;
    place[n] = '\0';
    if (strncmp(place, pmo_cgroup_mount(), above) != 0)
        return -ENOENT; /* outside of what this mount shows */
    if (strlen(place) - above >= 256)
        return -ENAMETOOLONG;
    (void)snprintf(path, 256, "%.255s", place[above] ? place + above : "/");
    return 0;
}

pid_t pmo_cgroup_process(const char *path)
{
    _cleanup_fclose_ FILE *file = NULL;
    char place[512];
    pid_t pid = 0;

    (void)snprintf(place, sizeof(place), "%s%s/cgroup.procs", pmo_cgroup_mount(), path);
    file = fopen(place, "re");
    return file && fscanf(file, "%d", &pid) == 1 ? pid : 0;
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
