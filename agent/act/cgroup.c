/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define PERIOD_US    10000
#define QUOTA_MIN_US 1000

enum limiter { LIMIT_NONE, LIMIT_V2, LIMIT_V1 };

struct pmo_cgroups {
    char root[256];                       /* where cgroup v2 is mounted */
    char v1[PMO_CGROUP_CONTROLLERS][256]; /* where hierarchies of cgroup v1 are, "": nowhere */
    int parent_fd; /* <root>/pmo: locked, so that two agents do not clear each other's instances */
    enum limiter limiter[PMO_CGROUP_CONTROLLERS];
};

static const char *const controllers[PMO_CGROUP_CONTROLLERS] = {
    [PMO_CGROUP_CPU] = "cpu", [PMO_CGROUP_MEMORY] = "memory"};

struct pmo_cpu_limit pmo_cpu_limit(double share)
{
    long quota_us = (long)(share * PERIOD_US + 0.5);

    if (quota_us >= QUOTA_MIN_US)
        return (struct pmo_cpu_limit){quota_us, PERIOD_US};
    return (struct pmo_cpu_limit){QUOTA_MIN_US, (long)(QUOTA_MIN_US / share + 0.5)};
}

static int write_text(const char *directory, const char *file, const char *text)
{
    char path[PATH_MAX];
    _cleanup_close_ int fd = -1;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return -errno;
    return 0;
}

static bool file_has_word(const char *directory, const char *file, const char *word)
{
    char path[PATH_MAX], text[64];
    _cleanup_fclose_ FILE *stream = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, file);
    stream = fopen(path, "re");
    while (stream && fscanf(stream, "%63s", text) == 1)
        if (!strcmp(text, word))
            return true;
    return false;
}

static void find_mounts(struct pmo_cgroups *cgroups)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    const struct mntent *mount;

    while (mounts && (mount = getmntent(mounts))) {
        if (!strcmp(mount->mnt_type, "cgroup2") && !*cgroups->root)
            (void)snprintf(cgroups->root, sizeof(cgroups->root), "%s", mount->mnt_dir);
        for (size_t i = 0; i < PMO_CGROUP_CONTROLLERS; i++)
            if (!strcmp(mount->mnt_type, "cgroup") && hasmntopt(mount, controllers[i]) &&
                !*cgroups->v1[i])
                (void)snprintf(cgroups->v1[i], sizeof(cgroups->v1[i]), "%s", mount->mnt_dir);
    }
    if (mounts)
        (void)endmntent(mounts);
}

/* Directory of a group, or of the parent of all groups when there is no name. */
static void group_path(char path[static PATH_MAX], const char *root, const char *name)
{
    (void)snprintf(path, PATH_MAX, "%s/pmo%s%s", root, *name ? "/" : "", name);
}

void pmo_cgroup_path(const struct pmo_cgroups *cgroups, const char *name, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/pmo/%s", cgroups->root, name);
}

/* A controller works in a group when all above it hand it down. */
static bool enable_v2(const struct pmo_cgroups *cgroups, const char *parent, const char *controller)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "+%s", controller);
    return file_has_word(cgroups->root, "cgroup.controllers", controller) &&
           !write_text(cgroups->root, "cgroup.subtree_control", text) &&
           !write_text(parent, "cgroup.subtree_control", text);
}

static void choose_limiter(struct pmo_cgroups *cgroups, const char *parent, size_t controller)
{
    char path[PATH_MAX];

    if (enable_v2(cgroups, parent, controllers[controller])) {
        cgroups->limiter[controller] = LIMIT_V2;
    } else if (*cgroups->v1[controller]) {
        group_path(path, cgroups->v1[controller], "");
        if (!mkdir(path, 0755) || errno == EEXIST)
            cgroups->limiter[controller] = LIMIT_V1;
    }
}

static int open_parent(struct pmo_cgroups *cgroups)
{
    char path[PATH_MAX];

    group_path(path, cgroups->root, "");
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return pmo_err_r(errno, "cannot make control group %s", path);
    cgroups->parent_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cgroups->parent_fd < 0)
        return pmo_err_r(errno, "cannot open control group %s", path);
    if (flock(cgroups->parent_fd, LOCK_EX | LOCK_NB) < 0)
        return pmo_fail(EBUSY,
                        "another agent runs instances on this host (it holds %s); stop it "
                        "first",
                        path);
    for (size_t i = 0; i < PMO_CGROUP_CONTROLLERS; i++)
        choose_limiter(cgroups, path, i);
    return 0;
}

int pmo_cgroups_open(struct pmo_cgroups **cgroups)
{
    struct pmo_cgroups *made = calloc(1, sizeof(*made));
    int r;

    if (!made)
        return pmo_err_r(ENOMEM, "cannot use control groups");
    made->parent_fd = -1;
    find_mounts(made);
    if (*made->root)
        r = open_parent(made);
    else
        r = pmo_fail(ENOENT, "cgroup v2 is not mounted; mount it: mount -t cgroup2 none "
                             "/sys/fs/cgroup");
    if (r)
        pmo_cgroups_close(&made, false);
    else
        *cgroups = made;
    return r;
}

void pmo_cgroups_close(struct pmo_cgroups **cgroups, bool remove)
{
    struct pmo_cgroups *old = *cgroups;
    char path[PATH_MAX];

    if (!old)
        return;
    for (size_t i = 0; remove && i < PMO_CGROUP_CONTROLLERS; i++) {
        group_path(path, old->v1[i], "");
        if (*old->v1[i])
            (void)rmdir(path);
    }
    if (remove) {
        group_path(path, old->root, "");
        if (rmdir(path) < 0 && errno != ENOENT)
            (void)pmo_err_r(errno, "cannot remove control group %s", path);
    }
    if (old->parent_fd >= 0)
        (void)close(old->parent_fd);
    free(old);
    *cgroups = NULL;
}

__attribute__((format(printf, 3, 4))) static int
write_value(const char *directory, const char *file, const char *format, ...)
{
    char text[64];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return write_text(directory, file, text);
}

static int limit_cpu(const char *path, enum limiter limiter, double share)
{
    struct pmo_cpu_limit limit = pmo_cpu_limit(share);
    int r;

    if (limiter == LIMIT_V2)
        return write_value(path, "cpu.max", "%ld %ld", limit.quota_us, limit.period_us);
    r = write_value(path, "cpu.cfs_period_us", "%ld", limit.period_us);
    return r ? r : write_value(path, "cpu.cfs_quota_us", "%ld", limit.quota_us);
}

/* Swap is none of it; where there is none, or it is not counted, that cannot be said and need not.
 */
static int limit_memory(const char *path, enum limiter limiter, uint64_t bytes)
{
    int r;

    if (limiter == LIMIT_V2) {
        r = write_value(path, "memory.max", "%llu", (unsigned long long)bytes);
        (void)write_value(path, "memory.swap.max", "0");
        return r;
    }
    r = write_value(path, "memory.limit_in_bytes", "%llu", (unsigned long long)bytes);
    (void)write_value(path, "memory.memsw.limit_in_bytes", "%llu", (unsigned long long)bytes);
    return r;
}

/* Makes the group of cgroup v1 too, where it is that which limits. */
static int set_limit(struct pmo_cgroups *cgroups, const char *name, size_t controller,
                     const struct pmo_cgroup_limits *limits)
{
    enum limiter limiter = cgroups->limiter[controller];
    static bool warned[PMO_CGROUP_CONTROLLERS];
    char path[PATH_MAX];

    if (limiter == LIMIT_NONE) {
        if (!warned[controller])
            pmo_warn("the %s limits of services are not enforced: this host has no %s controller, "
                     "neither in cgroup v2 nor v1",
                     controllers[controller], controllers[controller]);
        warned[controller] = true;
        return 0;
    }
    group_path(path, limiter == LIMIT_V2 ? cgroups->root : cgroups->v1[controller], name);
    if (limiter == LIMIT_V1 && mkdir(path, 0755) < 0 && errno != EEXIST)
        return -errno;
    return controller == PMO_CGROUP_CPU ? limit_cpu(path, limiter, limits->cpu_share)
                                        : limit_memory(path, limiter, limits->memory_bytes);
}

int pmo_cgroup_make(struct pmo_cgroups *cgroups, const char *name,
                    const struct pmo_cgroup_limits *limits)
{
    const bool wanted[] = {limits->cpu_share > 0, limits->memory_bytes > 0};
    char path[PATH_MAX];
    int r = 0;

    group_path(path, cgroups->root, name);
    if (mkdir(path, 0755) < 0)
        return pmo_err_r(errno, "cannot make control group %s", path);
    for (size_t i = 0; !r && i < PMO_CGROUP_CONTROLLERS; i++) {
        r = wanted[i] ? set_limit(cgroups, name, i, limits) : 0;
        if (r)
            r = pmo_err_r(r, "cannot set the %s limit of %s", controllers[i], name);
    }
    if (r)
        (void)pmo_cgroup_remove(cgroups, name);
    return r;
}

int pmo_cgroup_enter(const struct pmo_cgroups *cgroups, const char *name,
                     struct pmo_cgroup_entry *entry)
{
    char path[PATH_MAX];

    *entry = (struct pmo_cgroup_entry){.v1_fds = {-1, -1}};
    group_path(path, cgroups->root, name);
    entry->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (entry->fd < 0)
        return -errno;
    for (size_t i = 0; i < PMO_CGROUP_CONTROLLERS; i++) {
        if (cgroups->limiter[i] != LIMIT_V1)
            continue;
        group_path(path, cgroups->v1[i], name);
        (void)strncat(path, "/cgroup.procs", sizeof(path) - strlen(path) - 1);
        entry->v1_fds[i] = open(path, O_WRONLY | O_CLOEXEC);
        if (entry->v1_fds[i] < 0 && errno != ENOENT) /* it has no such limit */
            return -errno;
    }
    return 0;
}

void pmo_cgroup_entry_close(struct pmo_cgroup_entry *entry)
{
    if (entry->fd >= 0)
        (void)close(entry->fd);
    for (size_t i = 0; i < PMO_CGROUP_CONTROLLERS; i++)
        if (entry->v1_fds[i] >= 0)
            (void)close(entry->v1_fds[i]);
}

bool pmo_cgroup_ran_out_of_memory(const struct pmo_cgroups *cgroups, const char *name)
{
    bool v2 = cgroups->limiter[PMO_CGROUP_MEMORY] == LIMIT_V2;
    char path[PATH_MAX], word[64];
    _cleanup_fclose_ FILE *stream = NULL;
    unsigned long long count;

    if (cgroups->limiter[PMO_CGROUP_MEMORY] == LIMIT_NONE)
        return false;
    group_path(path, v2 ? cgroups->root : cgroups->v1[PMO_CGROUP_MEMORY], name);
    (void)strncat(path, v2 ? "/memory.events" : "/memory.oom_control",
                  sizeof(path) - strlen(path) - 1);
    stream = fopen(path, "re");
    while (stream && fscanf(stream, "%63s %llu", word, &count) == 2)
        if (!strcmp(word, "oom_kill"))
            return count > 0;
    return false;
}

bool pmo_cgroup_holds(const struct pmo_cgroups *cgroups, const char *name, pid_t pid)
{
    char path[PATH_MAX], text[16];

    group_path(path, cgroups->root, name);
    (void)snprintf(text, sizeof(text), "%d", pid);
    return file_has_word(path, "cgroup.procs", text);
}

void pmo_cgroup_kill(const struct pmo_cgroups *cgroups, const char *name)
{
    char path[PATH_MAX];
    int r;

    group_path(path, cgroups->root, name);
    r = write_text(path, "cgroup.kill", "1");
    if (r < 0 && r != -ENOENT)
        (void)pmo_err_r(r, "cannot kill the processes in %s", path);
}

int pmo_cgroup_remove(const struct pmo_cgroups *cgroups, const char *name)
{
    const char *const roots[] = {cgroups->v1[0], cgroups->v1[1], cgroups->root};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        if (!*roots[i])
            continue;
        group_path(path, roots[i], name);
        if (rmdir(path) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

void pmo_cgroup_clear(const struct pmo_cgroups *cgroups, const char *name)
{
    static const struct timespec pause = {.tv_nsec = 5000000};
    int r = -EBUSY;

    pmo_cgroup_kill(cgroups, name);
    for (int tries = 0; tries < 400 && r == -EBUSY; tries++) {
        r = pmo_cgroup_remove(cgroups, name);
        if (r == -EBUSY)
            (void)nanosleep(&pause, NULL);
    }
    if (r < 0)
        (void)pmo_err_r(r, "cannot remove the control group of %s", name);
}

static void sweep(struct pmo_cgroups *cgroups, const char *root,
                  bool (*keep)(void *context, const char *name), void *context)
{
    char path[PATH_MAX];
    DIR *directory;

    group_path(path, root, "");
    directory = opendir(path);
    while (directory) {
        const struct dirent *entry = readdir(directory);

        if (!entry)
            break;
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || keep(context, entry->d_name))
            continue;
        pmo_info("removing what is left of instance %s", entry->d_name);
        pmo_cgroup_clear(cgroups, entry->d_name);
    }
    if (directory)
        (void)closedir(directory);
}

void pmo_cgroups_sweep(struct pmo_cgroups *cgroups, bool (*keep)(void *context, const char *name),
                       void *context)
{
    sweep(cgroups, cgroups->root, keep, context);
    for (size_t i = 0; i < PMO_CGROUP_CONTROLLERS; i++)
        if (*cgroups->v1[i])
            sweep(cgroups, cgroups->v1[i], keep, context);
}
