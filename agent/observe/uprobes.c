/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places in files where the programs of bpf/tls.h run: pinned, so that they outlive an agent. */
#include "agent/observe/kernel_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include "agent/base/cleanup.h"

bool pmo_kernel_tls_replaces;

static struct bpf_program *tls_program(const struct pmo_kernel *k, enum pmo_tls_program which)
{
    const struct pmo_bpf *s = k->skeleton;

    switch (which) {
    case PMO_TLS_ENTER:
        return s->progs.tls_enter;
    case PMO_TLS_FREE:
        return s->progs.tls_free;
    default:
        return s->progs.tls_bytes;
    }
}

/* What it has to know besides. */
static uint32_t tls_program_flags(enum pmo_tls_program which)
{
    return which == PMO_TLS_GO_ENTER  ? PMO_TLS_GO_ENTRY
           : which == PMO_TLS_GO_EXIT ? PMO_TLS_GO_RETURN
                                      : 0;
}

/* Event source of uprobes, and its bit that makes it one on the return; perf_event_open(2). */
static int uprobe_open(const char *file, uint64_t offset, bool on_return)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr), .uprobe_path = (uint64_t)(uintptr_t)file, .probe_offset = offset};
    _cleanup_fclose_ FILE *type = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
    _cleanup_fclose_ FILE *bit =
        fopen("/sys/bus/event_source/devices/uprobe/format/retprobe", "re");
    unsigned int config_bit;
    int fd;

    if (!type || !bit || fscanf(type, "%u", &attr.type) != 1 ||
        fscanf(bit, "config:%u", &config_bit) != 1)
        return -ENOTSUP;
    attr.config = on_return ? 1ULL << config_bit : 0;
    fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* The hash of a program's instructions, which tells whether two are the same. */
static bool program_tag(int program, uint8_t tag[BPF_TAG_SIZE])
{
    struct bpf_prog_info info = {};
    uint32_t size = sizeof(info);

    if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &size))
        return false;
    memcpy(tag, info.tag, BPF_TAG_SIZE);
    return true;
}

/* Whether a program that may be another agent's observes the same as ours: constants say what (in a
 * map that belongs to it), of which a tag knows nothing. */
static bool program_extras(const struct pmo_kernel *k, int program)
{
    const struct bpf_map *own = k->skeleton->maps.rodata;
    __typeof__(k->skeleton->rodata) constants = malloc(bpf_map__value_size(own));
    uint32_t ids[64], zero = 0, size = sizeof(struct bpf_prog_info);
    struct bpf_prog_info info = {.map_ids = (uintptr_t)ids, .nr_map_ids = 64};
    bool same = false;

    if (!constants || bpf_obj_get_info_by_fd(program, &info, &size))
        info.nr_map_ids = 0;
    for (uint32_t i = 0; i < info.nr_map_ids && i < 64; i++) {
        _cleanup_close_ int map = bpf_map_get_fd_by_id(ids[i]);
        struct bpf_map_info map_info = {};

        size = sizeof(map_info);
        if (map >= 0 && !bpf_obj_get_info_by_fd(map, &map_info, &size) &&
            !strncmp(map_info.name, bpf_map__name(own), BPF_OBJ_NAME_LEN - 1) &&
            map_info.value_size == bpf_map__value_size(own) &&
            !bpf_map_lookup_elem(map, &zero, constants))
            same = constants->calls == k->skeleton->rodata->calls &&
                   constants->headers_named == k->skeleton->rodata->headers_named;
    }
    free(constants);
    return same;
}

/* Whether the program of a pinned link is one of ours, whoever has loaded it. */
static bool link_is_current(const struct pmo_kernel *k, const char *path)
{
    _cleanup_close_ int link = bpf_obj_get(path), program = -1;
    struct bpf_link_info info = {};
    uint8_t tag[BPF_TAG_SIZE], own[BPF_TAG_SIZE];
    uint32_t size = sizeof(info);

    if (link < 0 || bpf_obj_get_info_by_fd(link, &info, &size))
        return false;
    program = bpf_prog_get_fd_by_id(info.prog_id);
    if (!program_tag(program, tag))
        return false;
    for (int i = 0; i < PMO_TLS_PROGRAMS; i++)
        if (program_tag(bpf_program__fd(tls_program(k, i)), own) && !memcmp(tag, own, BPF_TAG_SIZE))
            return program_extras(k, program);
    return false;
}

int pmo_kernel_tls_probe(struct pmo_kernel *k, const struct pmo_tls_probe *probe, const char *file,
                         const char *pin)
{
    LIBBPF_OPTS(bpf_link_create_opts, options);
    struct bpf_program *program = tls_program(k, probe->program);
    _cleanup_close_ int event = -1, link = -1;
    char path[280], old[280];
    struct timespec now;

    if (bpf_program__fd(program) < 0 || bpf_program__fd(k->skeleton->progs.data_read) < 0)
        return -ENOTSUP;
    (void)snprintf(path, sizeof(path), "%s/links/%s", k->directory, pin);
    if (!pmo_kernel_tls_replaces && link_is_current(k, path))
        return 0;
    event = uprobe_open(file, probe->offset, probe->program == PMO_TLS_EXIT);
    if (event < 0)
        return event;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    options.perf_event.bpf_cookie = ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec) >>
                                        PMO_TLS_SINCE_UNIT << PMO_TLS_SINCE_SHIFT |
                                    probe->flags | tls_program_flags(probe->program);
    link = bpf_link_create(bpf_program__fd(program), event, BPF_PERF_EVENT, &options);
    if (link < 0 || ioctl(event, PERF_EVENT_IOC_ENABLE, 0))
        return -errno;
    /* A return is seen by those only that saw the entry: the old one stays for calls in progress.
     */
    (void)snprintf(old, sizeof(old), "%s/links/" PMO_KERNEL_TLS_OLD "%s", k->directory, pin);
    (void)rename(path, old);
    return bpf_obj_pin(link, path) ? -errno : 0;
}

void pmo_kernel_tls_end(struct pmo_kernel *k, const char *prefix, bool foreign)
{
    struct dirent *entry;
    char path[512];
    DIR *links;

    (void)snprintf(path, sizeof(path), "%s/links", k->directory);
    links = opendir(path);
    while (links && (entry = readdir(links))) {
        (void)snprintf(path, sizeof(path), "%s/links/%s", k->directory, entry->d_name);
        if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
            !(foreign && link_is_current(k, path)))
            (void)unlink(path);
    }
    if (links)
        (void)closedir(links);
}

void pmo_kernel_tls_linger(struct pmo_kernel *k)
{
    LIBBPF_OPTS(bpf_test_run_opts, run);
    int program = bpf_program__fd(k->skeleton->progs.tls_linger);

    if (program >= 0)
        (void)bpf_prog_test_run_opts(program, &run);
}

void pmo_kernel_tls_sweep(struct pmo_kernel *k)
{
    int map = bpf_map__fd(k->skeleton->maps.tls_calls_kept);
    struct {
        uint64_t process, thread;
    } key;
    struct map_walk walk = map_walk_begin(map, sizeof(key));

    while (map_walk_next(&walk, &key)) {
        if (kill((pid_t)key.process, 0) && errno == ESRCH)
            (void)bpf_map_delete_elem(map, &key);
    }
}
