/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/logs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define EARLIER 3 /* files before the current one */

/* Number 0 is the current one. */
static void log_path(char path[PATH_MAX], const char *directory, const char *name, int number)
{
    if (number)
        (void)snprintf(path, PATH_MAX, "%s/%s.log.%d", directory, name, number);
    else
        (void)snprintf(path, PATH_MAX, "%s/%s.log", directory, name);
}

/* Renames from number @first on. */
static void shift(const char *directory, const char *name, int first)
{
    char from[PATH_MAX], to[PATH_MAX];

    for (int i = EARLIER; i > first; i--) {
        log_path(from, directory, name, i - 1);
        log_path(to, directory, name, i);
        if (rename(from, to) && errno != ENOENT)
            (void)pmo_err_r(errno, "cannot rename %s", from);
    }
}

void pmo_logs_shift(const char *directory, const char *name)
{
    shift(directory, name, 0);
}

static int copy(int from, const char *path, off_t bytes)
{
    _cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    off_t at = 0;

    if (to < 0)
        return -errno;
    while (at < bytes)
        if (sendfile(to, from, &at, (size_t)(bytes - at)) <= 0)
            return -errno;
    return 0;
}

void pmo_logs_bound(const char *directory, const char *name)
{
    char path[PATH_MAX], earlier[PATH_MAX];
    _cleanup_close_ int fd = -1;
    struct stat status;
    int r;

    log_path(path, directory, name, 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) || status.st_size <= PMO_LOG_BYTES_MAX)
        return;
    shift(directory, name, 1);
    log_path(earlier, directory, name, 1);
    r = copy(fd, earlier, status.st_size);
    if (r)
        (void)pmo_err_r(r, "cannot keep the log of %s in %s; it begins anew", name, earlier);
    if (ftruncate(fd, 0))
        (void)pmo_err_r(errno, "cannot empty %s", path);
}

struct found {
    char name[NAME_MAX + 1];
    struct timespec changed;
};

static int newest_first(const void *a, const void *b)
{
    const struct timespec *x = &((const struct found *)a)->changed;
    const struct timespec *y = &((const struct found *)b)->changed;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? 1 : -1;
    return x->tv_nsec < y->tv_nsec ? 1 : x->tv_nsec > y->tv_nsec ? -1 : 0;
}

/* Whether a file is a log of an instance that is gone. */
static bool is_of_gone(const char *file, bool (*is_live)(void *context, const char *name),
                       void *context)
{
    const char *end = strstr(file, ".log");
    char name[NAME_MAX + 1];

    if (!end || (end[4] && end[4] != '.'))
        return false;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(end - file), file);
    return !is_live(context, name);
}

void pmo_logs_prune(const char *directory, size_t kept,
                    bool (*is_live)(void *context, const char *name), void *context)
{
    _cleanup_free_ struct found *files = NULL;
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    size_t count = 0;
    struct stat status;

    while (stream && (entry = readdir(stream))) {
        struct found *more;

        if (!is_of_gone(entry->d_name, is_live, context) ||
            fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
            continue;
        more = reallocarray(files, count + 1, sizeof(*files));
        if (!more)
            break;
        files = more;
        memcpy(files[count].name, entry->d_name, strlen(entry->d_name) + 1);
        files[count++].changed = status.st_mtim;
    }
    if (count > kept)
        qsort(files, count, sizeof(*files), newest_first);
    for (size_t i = kept; i < count; i++)
        if (unlinkat(dirfd(stream), files[i].name, 0))
            (void)pmo_err_r(errno, "cannot remove %s/%s", directory, files[i].name);
    if (stream)
        (void)closedir(stream);
}
