/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel side's programs for what comes in on interfaces: where they are attached, whom they
 * count for, and from which zones. */
#include "agent/observe/kernel_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/filter.h"
#include "bpf/packet.h"

#define TCX_INGRESS 46 /* enum bpf_attach_type since 6.6; the build may have older headers */
#define NODE_PIN    "node_"

/* ---- where ---------------------------------------------------------------------------------- */

bool pmo_kernel_without_tcx;

struct counting { /* either program, as the interface allows */
    const struct bpf_program *xdp, *tc;
};

static int link_make(const struct counting *c, int ifindex)
{
    LIBBPF_OPTS(bpf_link_create_opts, generic, .flags = XDP_FLAGS_SKB_MODE);
    int xdp = bpf_program__fd(c->xdp), tc = bpf_program__fd(c->tc);
    int link = bpf_link_create(xdp, ifindex, BPF_XDP, NULL);

    if (link < 0 && link != -EBUSY && link != -EEXIST) /* the driver cannot */
        link = bpf_link_create(xdp, ifindex, BPF_XDP, &generic);
    if (link == -EBUSY || link == -EEXIST)
        link = pmo_kernel_without_tcx ? -EINVAL : bpf_link_create(tc, ifindex, TCX_INGRESS, NULL);
    return link;
}

/* Interfaces are named by index, and an index means the namespace of the caller. */
static int attach_new(const struct counting *c, int netns_fd, const char *interface,
                      const char *path)
{
    _cleanup_close_ int home = -1, link = -1;
    int r = 0;

    if (netns_fd >= 0) {
        home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (home < 0 || setns(netns_fd, CLONE_NEWNET))
            return -errno;
    }
    link = link_make(c, (int)if_nametoindex(interface));
    if (link < 0)
        r = link;
    else if (bpf_obj_pin(link, path))
        r = -errno;
    if (home >= 0 && setns(home, CLONE_NEWNET))
        abort(); /* cannot go on in the wrong namespace */
    return r;
}

/* Attaches, in the place of an earlier agent's program, whichever of the two that is. A link whose
 * interface has gone takes neither. Where another XDP program has one of the node's interfaces, and
 * there is no tcx, it is a filter. */
static int attach(struct pmo_kernel *k, const struct counting *c, int netns_fd,
                  const char *interface, const char *pin)
{
    _cleanup_close_ int link = -1;
    int ifindex = netns_fd < 0 ? (int)if_nametoindex(interface) : 0;
    char path[500];
    int r;

    (void)snprintf(path, sizeof(path), "%s/links/%s", k->directory, pin);
    link = bpf_obj_get(path);
    if (link >= 0) {
        if (!bpf_link_update(link, bpf_program__fd(c->xdp), NULL) ||
            !bpf_link_update(link, bpf_program__fd(c->tc), NULL))
            return 0;
        (void)unlink(path);
    }
    r = -EINVAL;
    if (!pmo_filter_is_on(k->directory, pin, ifindex)) {
        pmo_filter_detach(k->directory, pin); /* one that had its name */
        r = attach_new(c, netns_fd, interface, path);
    }
    if (r == -EINVAL && ifindex)
        r = pmo_filter_attach(k->directory, pin, ifindex, bpf_program__fd(c->tc));
    return r ? pmo_err_r(r, "cannot count SYNs on %s (%s)", interface, pin) : 0;
}

/* At once: a link that only loses its pin stays for some milliseconds, in which the interface
 * takes no other. */
static void detach(const struct pmo_kernel *k, const char *pin)
{
    _cleanup_close_ int link = -1;
    char path[500];

    (void)snprintf(path, sizeof(path), "%s/links/%s", k->directory, pin);
    link = bpf_obj_get(path);
    if (link >= 0)
        (void)bpf_link_detach(link);
    (void)unlink(path);
    pmo_filter_detach(k->directory, pin);
}

/* What is refused was told when the agent began. */
static bool refused(const struct counting *c)
{
    return !bpf_program__autoload(c->xdp) || !bpf_program__autoload(c->tc);
}

/* ---- for whom ------------------------------------------------------------------------------- */

static struct pmo_target *target_find(struct pmo_kernel *k, const struct pmo_listener *address,
                                      bool node, bool make)
{
    uint32_t key = PMO_TARGET_KEY(node, address->port);
    struct pmo_target_bucket *bucket;
    struct pmo_target *room = NULL;
    __u64 addr[2];

    memcpy(addr, address->addr, sizeof(addr));
    bucket = &k->targets[packet_bucket(addr, address->port)];
    for (size_t i = 0; i < PMO_TARGETS; i++) {
        struct pmo_target *t = &bucket->targets[i];

        if (!t->what && !room)
            room = t;
        if (t->what && (t->what & 0x1ffff) == key && !memcmp(t->addr, addr, sizeof(addr)))
            return t;
    }
    return make ? room : NULL;
}

static void target_set(struct pmo_kernel *k, struct pmo_target *t,
                       const struct pmo_listener *address, uint32_t instance, bool node)
{
    uint32_t number = __atomic_add_fetch(&k->control->generations, 1, __ATOMIC_RELAXED);

    __atomic_store_n(&t->what, 0, __ATOMIC_SEQ_CST);
    memcpy(t->addr, address->addr, sizeof(t->addr));
    __atomic_store_n(&t->what, PMO_TARGET(number, instance, node, address->port), __ATOMIC_RELEASE);
}

static void target_clear(struct pmo_target *t)
{
    __atomic_store_n(&t->what, 0, __ATOMIC_RELAXED);
}

int pmo_kernel_count_syns(struct pmo_kernel *k, int netns_fd, const char *interface,
                          const char *name, const struct pmo_listener *listener, uint32_t instance)
{
    const struct counting c = {k->skeleton->progs.syn_count, k->skeleton->progs.syn_count_tc};
    struct pmo_target *target;
    char pin[100];

    if (refused(&c))
        return 0;
    target = target_find(k, listener, false, true);
    if (!target)
        return pmo_err_r(ENOSPC, "cannot count SYNs on %s of %s", interface, name);
    if (PMO_TARGET_INSTANCE(target->what) != instance)
        target_set(k, target, listener, instance, false);
    (void)snprintf(pin, sizeof(pin), "xdp_%s", name);
    return attach(k, &c, netns_fd, interface, pin);
}

void pmo_kernel_count_syns_end(struct pmo_kernel *k, const char *name,
                               const struct pmo_listener *listener)
{
    struct pmo_target *target = target_find(k, listener, false, false);
    char pin[100];

    if (target)
        target_clear(target);
    (void)snprintf(pin, sizeof(pin), "xdp_%s", name);
    detach(k, pin);
}

/* The bpf file system takes no dots, which interfaces of VLANs have; these have no colons. */
static const char *node_pin(char pin[sizeof(NODE_PIN) + IF_NAMESIZE], const char *interface)
{
    (void)snprintf(pin, sizeof(NODE_PIN) + IF_NAMESIZE, NODE_PIN "%s", interface);
    for (char *dot = pin; (dot = strchr(dot, '.'));)
        *dot = ':';
    return pin;
}

int pmo_kernel_node_interface(struct pmo_kernel *k, const char *interface)
{
    const struct counting c = {k->skeleton->progs.node_count, k->skeleton->progs.node_count_tc};
    char pin[sizeof(NODE_PIN) + IF_NAMESIZE];

    if (refused(&c))
        return 0;
    (void)node_pin(pin, interface);
    return attach(k, &c, -1, interface, pin);
}

void pmo_kernel_node_interface_end(struct pmo_kernel *k, const char *interface)
{
    char pin[sizeof(NODE_PIN) + IF_NAMESIZE];

    detach(k, node_pin(pin, interface));
}

void pmo_kernel_node_interfaces_only(struct pmo_kernel *k, const char *const *interfaces,
                                     size_t count)
{
    const struct dirent *entry;
    char links[256];
    DIR *d;

    (void)snprintf(links, sizeof(links), "%s/links", k->directory);
    d = opendir(links);
    while (d && (entry = readdir(d))) {
        const char *filter = pmo_filter_name(entry->d_name);
        char pin[256], kept[sizeof(NODE_PIN) + IF_NAMESIZE];
        size_t i = 0;

        (void)snprintf(pin, sizeof(pin), "%s", filter ? filter : entry->d_name);
        if (strncmp(pin, NODE_PIN, strlen(NODE_PIN)) != 0)
            continue;
        while (i < count && strcmp(node_pin(kept, interfaces[i]), pin) != 0)
            i++;
        if (i == count)
            detach(k, pin);
    }
    if (d)
        (void)closedir(d);
}

int pmo_kernel_node_targets(struct pmo_kernel *k, const struct pmo_kernel_target *targets,
                            size_t count)
{
    static bool told;
    bool kept[PMO_TARGET_BUCKETS * PMO_TARGETS] = {false};
    struct pmo_target *all = k->targets->targets; /* buckets are without holes */
    size_t missing = 0;

    /* first those that are there: what is not any more makes room for the rest */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            const struct pmo_kernel_target *from = &targets[i];
            struct pmo_target *t = target_find(k, &from->address, true, pass);

            if (t && PMO_TARGET_INSTANCE(t->what) != from->instance)
                target_set(k, t, &from->address, from->instance, true);
            if (t)
                kept[t - all] = true;
            missing += pass && !t;
        }
        for (size_t i = 0; !pass && i < PMO_TARGET_BUCKETS * PMO_TARGETS; i++)
            if (!kept[i] && all[i].what & PMO_TARGET_KEY(true, 0))
                target_clear(&all[i]);
    }
    if (missing && !told)
        pmo_warn("SYNs to %zu addresses of this node are not counted: there are too many", missing);
    told = missing;
    return missing ? -ENOSPC : 0;
}

/* ---- from where ----------------------------------------------------------------------------- */

static int by_prefix(const void *a, const void *b)
{
    const struct pmo_kernel_zone *x = a, *y = b;

    return memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
}

/* What was found for a source before is not believed any more: not before every program has ended
 * that may have looked at what was there (a barrier waits for that, see synchronize_rcu()). */
static int sources_forget(const struct pmo_kernel *k)
{
    struct bpf_map *map = k->skeleton->maps.source_zones;
    uint32_t rows = bpf_map__max_entries(map);
    int cpus = libbpf_num_possible_cpus(), r = 0;
    _cleanup_free_ uint64_t *nothing = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*nothing));

    if (!nothing || cpus < 0)
        return -ENOMEM;
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
    for (uint32_t row = 0; !r && row < rows; row++)
        r = bpf_map_update_elem(bpf_map__fd(map), &row, nothing, BPF_ANY);
    return r;
}

/* Of two sorted lists: what the old one had and the new one has not goes, what is new comes. */
static int zones_change(const struct pmo_kernel *k, const struct pmo_kernel_zone *zones,
                        size_t count, bool *changed)
{
    int map = bpf_map__fd(k->skeleton->maps.zones);
    size_t i = 0, j = 0;

    while (i < k->zones_count || j < count) {
        const struct pmo_kernel_zone *old = i < k->zones_count ? &k->zones[i] : NULL;
        const struct pmo_kernel_zone *new = j < count ? &zones[j] : NULL;
        int order = !old ? 1 : !new ? -1 : by_prefix(old, new);

        i += order <= 0;
        j += order >= 0;
        if (!order && old->zone == new->zone)
            continue;
        *changed = true;
        if (order < 0)
            (void)bpf_map_delete_elem(map, &old->prefix);
        else if (bpf_map_update_elem(map, &new->prefix, &new->zone, BPF_ANY))
            return -errno;
    }
    return 0;
}

int pmo_kernel_zones(struct pmo_kernel *k, const struct pmo_kernel_zone *zones, size_t count)
{
    int map = bpf_map__fd(k->skeleton->maps.zones), r;
    struct pmo_kernel_zone known = {0}, *sorted = calloc(count + 1, sizeof(*sorted));
    bool changed = false, first = !k->zones;
    struct map_walk walk;

    if (!sorted)
        return pmo_err_r(ENOMEM, "cannot set the zones in the kernel");
    if (count)
        memcpy(sorted, zones, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), by_prefix);
    if (first) /* an earlier agent's */
        for (walk = map_walk_begin(map, sizeof(known.prefix)); map_walk_next(&walk, &known.prefix);)
            if (!bsearch(&known, sorted, count, sizeof(*sorted), by_prefix))
                (void)bpf_map_delete_elem(map, &known.prefix);
    r = zones_change(k, sorted, count, &changed);
    free(k->zones);
    k->zones = sorted;
    k->zones_count = count;
    if (!r && changed && !first) /* the first time, the cache has another seed */
        r = sources_forget(k);
    return r ? pmo_err_r(r, "cannot set the zones in the kernel") : 0;
}
