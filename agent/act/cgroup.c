/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
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
    char root[256]; /* where cgroup v2 is mounted */
    char v1[256];   /* where the cgroup v1 cpu hierarchy is mounted, "" where it is not */
    int parent_fd;  /* <root>/pmo: locked, so that two agents do not clear each other's instances */
    enum limiter limiter;
};

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
        if (!strcmp(mount->mnt_type, "cgroup") && hasmntopt(mount, "cpu") && !*cgroups->v1)
            (void)snprintf(cgroups->v1, sizeof(cgroups->v1), "%s", mount->mnt_dir);
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
static bool enable_v2_cpu(const struct pmo_cgroups *cgroups, const char *parent)
{
    return file_has_word(cgroups->root, "cgroup.controllers", "cpu") &&
           !write_text(cgroups->root, "cgroup.subtree_control", "+cpu") &&
           !write_text(parent, "cgroup.subtree_control", "+cpu");
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
    if (enable_v2_cpu(cgroups, path)) {
        cgroups->limiter = LIMIT_V2;
        return 0;
    }
    if (!*cgroups->v1)
        return 0;
    group_path(path, cgroups->v1, "");
    if (!mkdir(path, 0755) || errno == EEXIST)
        cgroups->limiter = LIMIT_V1;
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
    if (remove && *old->v1) {
        group_path(path, old->v1, "");
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

static int limit_v1(const struct pmo_cgroups *cgroups, const char *name,
                    const struct pmo_cpu_limit *limit, int *cpu_fd)
{
    char path[PATH_MAX], text[32];
    int r;

    group_path(path, cgroups->v1, name);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return -errno;
    (void)snprintf(text, sizeof(text), "%ld", limit->period_us);
    r = write_text(path, "cpu.cfs_period_us", text);
    if (r)
        return r;
    (void)snprintf(text, sizeof(text), "%ld", limit->quota_us);
    r = write_text(path, "cpu.cfs_quota_us", text);
    if (r)
        return r;
    group_path(path, cgroups->v1, name);
    (void)strncat(path, "/cgroup.procs", sizeof(path) - strlen(path) - 1);
    *cpu_fd = open(path, O_WRONLY | O_CLOEXEC);
    return *cpu_fd < 0 ? -errno : 0;
}

static int limit_v2(const char *path, const struct pmo_cpu_limit *limit)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%ld %ld", limit->quota_us, limit->period_us);
    return write_text(path, "cpu.max", text);
}

static int set_limit(struct pmo_cgroups *cgroups, const char *name, const char *path, double share,
                     int *cpu_fd)
{
    struct pmo_cpu_limit limit = pmo_cpu_limit(share);
    static bool warned;
    int r = 0;

    if (cgroups->limiter == LIMIT_V2)
        r = limit_v2(path, &limit);
    else if (cgroups->limiter == LIMIT_V1)
        r = limit_v1(cgroups, name, &limit, cpu_fd);
    else if (!warned)
        pmo_warn("the cpu limits of services are not enforced: this host has no cpu controller, "
                 "neither in cgroup v2 nor v1");
    warned |= cgroups->limiter == LIMIT_NONE;
    return r < 0 ? pmo_err_r(r, "cannot limit the CPU time of %s", name) : 0;
}

int pmo_cgroup_make(struct pmo_cgroups *cgroups, const char *name, double cpu_share, int *fd,
                    int *cpu_fd)
{
    _cleanup_close_ int group = -1, cpu = -1;
    char path[PATH_MAX];
    int r = 0;

    group_path(path, cgroups->root, name);
    if (mkdir(path, 0755) < 0)
        return pmo_err_r(errno, "cannot make control group %s", path);
    group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        r = pmo_err_r(errno, "cannot open control group %s", path);
    else if (cpu_share > 0)
        r = set_limit(cgroups, name, path, cpu_share, &cpu);
    if (r) {
        (void)pmo_cgroup_remove(cgroups, name);
        return r;
    }
    *fd = TAKE_FD(group);
    *cpu_fd = TAKE_FD(cpu);
    return 0;
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
    const char *const roots[] = {cgroups->v1, cgroups->root};
    char path[PATH_MAX];

    for (size_t i = 0; i < 2; i++) {
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
    if (*cgroups->v1)
        sweep(cgroups, cgroups->v1, keep, context);
}
