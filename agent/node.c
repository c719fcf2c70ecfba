/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node's own interfaces, those that an administrator names: what asks for a connection is
 * counted on them for the listeners of this network namespace. One that goes and comes again, or
 * gets such a name, is followed. A listener on any address is one on each address that the node
 * has, so that what is only forwarded is not counted; instances of the backend have interfaces of
 * their own.
 */
#include "agent/core.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

struct node_targets {
    struct pmo_kernel_target *list;
    size_t count, room;
};

void pmo_node_start(struct pmo_core *core, const struct pmo_options *options)
{
    for (size_t i = 0; i < options->interfaces_count; i++) {
        core->node[i].name = options->interfaces[i];
        if (!if_nametoindex(options->interfaces[i]))
            pmo_warn("there is no interface %s yet: SYNs are counted on it once there is one",
                     options->interfaces[i]);
    }
    core->node_count = options->interfaces_count;
    pmo_kernel_node_interfaces_only(core->kernel, options->interfaces, options->interfaces_count);
    pmo_node_targets_follow(core);
}

void pmo_node_interface(struct pmo_core *core, int ifindex, const char *name, bool present)
{
    for (size_t i = 0; i < core->node_count; i++) {
        struct pmo_node_interface *n = &core->node[i];

        if (n->ifindex != ifindex || (present && !strcmp(n->name, name)))
            continue; /* else it has gone, or has another name now */
        pmo_kernel_node_interface_end(core->kernel, n->name);
        n->ifindex = 0;
    }
    for (size_t i = 0; present && i < core->node_count; i++)
        if (!strcmp(core->node[i].name, name) && !pmo_kernel_node_interface(core->kernel, name))
            core->node[i].ifindex = ifindex;
}

static void add(struct node_targets *targets, const struct pmo_listener *address, uint32_t instance)
{
    if (targets->count == targets->room) {
        size_t room = targets->room ? 2 * targets->room : 64;
        void *larger = reallocarray(targets->list, room, sizeof(*targets->list));

        if (!larger)
            return;
        targets->list = larger;
        targets->room = room;
    }
    targets->list[targets->count++] =
        (struct pmo_kernel_target){.address = *address, .instance = instance};
}

static bool address_of(struct pmo_listener *address, const struct ifaddrs *of)
{
    const struct sockaddr *a = of->ifa_addr;

    memset(address->addr, 0, sizeof(address->addr));
    if (!a || of->ifa_flags & IFF_LOOPBACK)
        return false;
    if (a->sa_family == AF_INET) {
        memset(address->addr + 10, 0xff, 2);
        memcpy(address->addr + 12, &((const struct sockaddr_in *)a)->sin_addr, 4);
    } else if (a->sa_family == AF_INET6) {
        memcpy(address->addr, &((const struct sockaddr_in6 *)a)->sin6_addr, 16);
    }
    return a->sa_family == AF_INET || a->sa_family == AF_INET6;
}

void pmo_node_targets_follow(struct pmo_core *core)
{
    static const uint8_t any[16];
    struct node_targets targets = {};
    struct ifaddrs *addresses = NULL;

    if (!core->node_count)
        return;
    if (getifaddrs(&addresses)) {
        (void)pmo_err_r(errno, "cannot read the node's addresses");
        return;
    }
    for (const struct pmo_agent_instance *i = core->agent.instances; i; i = i->next) {
        struct pmo_listener address = i->listener;

        if (i->managed || i->gone || !i->id || i->listener.netns != core->own_netns)
            continue;
        if (memcmp(address.addr, any, sizeof(any)) != 0)
            add(&targets, &address, i->id);
        else
            for (const struct ifaddrs *a = addresses; a; a = a->ifa_next)
                if (address_of(&address, a))
                    add(&targets, &address, i->id);
    }
    freeifaddrs(addresses);
    (void)pmo_kernel_node_targets(core->kernel, targets.list, targets.count);
    free(targets.list);
}
