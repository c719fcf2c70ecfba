/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/tls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/tls_binary.h"

/* A file that some process has mapped as code. */
struct binary {
    unsigned int major, minor;
    unsigned long inode;
    bool probed; /* it speaks TLS */
    bool seen;   /* in the scan that is running */
};

struct pmo_tls {
    struct pmo_kernel *kernel;
    void *binaries; /* struct binary, by place: tsearch(3) */
    bool scanning;
    bool failed; /* that it does not work was said */
};

static int by_place(const void *a, const void *b)
{
    const struct binary *x = a, *y = b;

    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    if (x->major != y->major)
        return x->major < y->major ? -1 : 1;
    return x->minor < y->minor ? -1 : x->minor > y->minor;
}

int pmo_tls_new(struct pmo_tls **tls, struct pmo_kernel *kernel)
{
    struct pmo_tls *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    made->kernel = kernel;
    *tls = made;
    return 0;
}

void pmo_tls_free(struct pmo_tls **tls)
{
    if (!*tls)
        return;
    tdestroy((*tls)->binaries, free);
    free(*tls);
    *tls = NULL;
}

/* What the pins of a file's probes are called begins with this. */
static void pins_of(const struct binary *b, char name[64])
{
    (void)snprintf(name, 64, PMO_KERNEL_TLS_PIN "%x_%x_%lx_", b->major, b->minor, b->inode);
}

static void probe(struct pmo_tls *tls, struct binary *b, const char *file, const char *called)
{
    struct pmo_tls_probe probes[PMO_TLS_PROBES_MAX];
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
    int count = fd < 0 ? 0 : pmo_tls_binary_read(fd, probes);
    char pins[64], name[128];

    pins_of(b, pins);
    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof(name), "%s%lx_%d", pins, (unsigned long)probes[i].offset,
                       probes[i].program);
        int r = pmo_kernel_tls_probe(tls->kernel, &probes[i], file, name);

        if (r) {
            if (!tls->failed && r != -ENOTSUP)
                (void)pmo_err_r(r, "cannot see requests inside TLS: no probe in %s", called);
            tls->failed = true;
            return;
        }
    }
    b->probed = count > 0;
    if (b->probed)
        pmo_debug("requests inside TLS are read in %s", called);
}

/* One line of /proc/PID/maps (proc_pid_maps(5)). */
static void read_mapping(struct pmo_tls *tls, pid_t pid, const char *line)
{
    struct binary key = {0}, *made, **found;
    unsigned long start, end;
    char permissions[5], file[96];
    int path = 0;

    if (sscanf(line, "%lx-%lx %4s %*x %x:%x %lu %n", &start, &end, permissions, &key.major,
               &key.minor, &key.inode, &path) < 6 ||
        permissions[2] != 'x' || !key.inode || line[path] != '/')
        return;
    found = tfind(&key, &tls->binaries, by_place);
    if (found) {
        (*found)->seen = true;
        return;
    }
    made = malloc(sizeof(*made));
    if (!made)
        return;
    *made = key;
    made->seen = true;
    if (!tsearch(made, &tls->binaries, by_place)) {
        free(made);
        return;
    }
    /* leads to the file whatever the mount namespace, also where it was removed */
    (void)snprintf(file, sizeof(file), "/proc/%d/map_files/%lx-%lx", pid, start, end);
    probe(tls, made, file, line + path);
}

void pmo_tls_process(struct pmo_tls *tls, pid_t pid)
{
    _cleanup_fclose_ FILE *maps = NULL;
    _cleanup_free_ char *line = NULL;
    size_t room = 0;
    char path[64];

    if (tls->failed)
        return;
    (void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    maps = fopen(path, "re");
    while (maps && getline(&line, &room, maps) > 0) {
        line[strcspn(line, "\n")] = '\0';
        read_mapping(tls, pid, line);
    }
}

/* tdelete(3) must not run in a walk: what is to go is collected. */
struct unused {
    struct binary *list[256];
    size_t count;
};

static void collect_unused(const void *node, VISIT visit, void *context)
{
    struct binary *b = *(struct binary *const *)node;
    struct unused *unused = context;

    if (visit != postorder && visit != leaf)
        return;
    if (!b->seen && unused->count < sizeof(unused->list) / sizeof(*unused->list))
        unused->list[unused->count++] = b;
    b->seen = false;
}

void pmo_tls_scan(struct pmo_tls *tls)
{
    struct unused unused = {0};
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    char pins[64];

    while (proc && (entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0)
            pmo_tls_process(tls, pid);
    }
    if (proc)
        (void)closedir(proc);
    twalk_r(tls->binaries, collect_unused, &unused);
    for (size_t i = 0; i < unused.count; i++) {
        struct binary *b = unused.list[i];

        pins_of(b, pins);
        if (b->probed)
            pmo_kernel_tls_end(tls->kernel, pins, false);
        (void)tdelete(b, &tls->binaries, by_place);
        free(b);
    }
}
