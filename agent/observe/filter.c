/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/pkt_sched.h>
#include <netlink/cache.h>
#include <netlink/route/classifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/observe/netlink.h"

#define HANDLE   0x504d4f /* PMO */
#define PRIORITY 1        /* what others return ends the search */

#define FILTER_PIN "filter_"
#define QDISC_PIN  "qdisc_"

struct pin {
    char path[500];
    const char *name;
    int ifindex;
    bool qdisc; /* is this agent's, too */
};

/* Takes FILTER_PIN or QDISC_PIN, a number and "_" from the beginning of a file's name. */
static bool pin_parse(struct pin *pin, const char *file)
{
    char *end;

    pin->qdisc = !strncmp(file, QDISC_PIN, strlen(QDISC_PIN));
    if (!pin->qdisc && strncmp(file, FILTER_PIN, strlen(FILTER_PIN)) != 0)
        return false;
    pin->ifindex = (int)strtol(file + strlen(pin->qdisc ? QDISC_PIN : FILTER_PIN), &end, 10);
    pin->name = end + 1;
    return pin->ifindex > 0 && *end == '_';
}

const char *pmo_filter_name(const char *file)
{
    struct pin pin;

    return pin_parse(&pin, file) ? pin.name : NULL;
}

/* The next pin of a name (NULL: any), on an interface (0: any). */
static bool pin_next(DIR *links, const char *directory, const char *name, int ifindex,
                     struct pin *pin)
{
    const struct dirent *entry;

    while (links && (entry = readdir(links))) {
        if (!pin_parse(pin, entry->d_name) || (name && strcmp(pin->name, name) != 0) ||
            (ifindex && pin->ifindex != ifindex))
            continue;
        (void)snprintf(pin->path, sizeof(pin->path), "%s/links/%s", directory, entry->d_name);
        return true;
    }
    return false;
}

static DIR *links_open(const char *directory)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/links", directory);
    return opendir(path);
}

static bool pin_find(const char *directory, const char *name, int ifindex, struct pin *pin)
{
    DIR *links = links_open(directory);
    bool found = pin_next(links, directory, name, ifindex, pin);

    if (links)
        (void)closedir(links);
    return found;
}

bool pmo_filter_is_on(const char *directory, const char *name, int ifindex)
{
    struct pin pin;

    return ifindex && pin_find(directory, name, ifindex, &pin);
}

int pmo_filter_attach(const char *directory, const char *name, int ifindex, int program)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program, .handle = HANDLE, .priority = PRIORITY,
                .flags = BPF_TC_F_REPLACE);
    struct pin pin;
    int r;

    if (pin_find(directory, name, ifindex, &pin)) {
        (void)unlink(pin.path); /* it is the earlier program's */
    } else {
        r = bpf_tc_hook_create(&hook);
        if (r && r != -EEXIST)
            return r;
        (void)snprintf(pin.path, sizeof(pin.path), "%s/links/%s%d_%s", directory,
                       r ? FILTER_PIN : QDISC_PIN, ifindex, name);
    }
    if (bpf_obj_pin(program, pin.path))
        return -errno;
    r = bpf_tc_attach(&hook, &filter);
    if (r)
        pmo_filter_detach(directory, name);
    return r;
}

/* ---- the end --------------------------------------------------------------------------------- */

static uint32_t program_id(const struct pin *pin)
{
    _cleanup_close_ int program = bpf_obj_get(pin->path);
    struct bpf_prog_info info = {0};
    uint32_t size = sizeof(info);

    return program >= 0 && !bpf_obj_get_info_by_fd(program, &info, &size) ? info.id : 0;
}

/* Where that cannot be told, there is. */
static bool has_filters(struct nl_sock *sock, int ifindex, uint32_t direction)
{
    struct nl_cache *filters;
    bool has;

    if (rtnl_cls_alloc_cache(sock, ifindex, TC_H_MAKE(TC_H_CLSACT, direction), &filters) < 0)
        return true;
    has = nl_cache_nitems(filters) > 0;
    nl_cache_free(filters);
    return has;
}

static void qdisc_remove(int ifindex)
{
    LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = ifindex,
                .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
    struct nl_sock *sock;

    if (pmo_netlink_open(&sock, NETLINK_ROUTE, -1) < 0)
        return;
    if (!has_filters(sock, ifindex, TC_H_MIN_INGRESS) &&
        !has_filters(sock, ifindex, TC_H_MIN_EGRESS))
        (void)bpf_tc_hook_destroy(&both);
    nl_socket_free(sock);
}

/* The interface of this number may be another one by now, whose filter is not ours. */
static void pin_remove(const struct pin *pin)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = pin->ifindex, .attach_point = BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, there, .handle = HANDLE, .priority = PRIORITY);
    LIBBPF_OPTS(bpf_tc_opts, filter, .handle = HANDLE, .priority = PRIORITY);
    uint32_t id = program_id(pin);
    bool ours = id && !bpf_tc_query(&hook, &there) && there.prog_id == id;

    if (ours && !bpf_tc_detach(&hook, &filter) && pin->qdisc)
        qdisc_remove(pin->ifindex);
    (void)unlink(pin->path);
}

void pmo_filter_detach(const char *directory, const char *name)
{
    DIR *links = links_open(directory);
    struct pin pin;

    while (pin_next(links, directory, name, 0, &pin))
        pin_remove(&pin);
    if (links)
        (void)closedir(links);
}
