/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/network.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define NETNS_DIRECTORY "/run/netns"
#define NETNS_PREFIX    "pmo-"
#define MESH            "mesh"
#define BRIDGE          "pmo0"
#define HOST_LINK       "pmo-host"

#define NETWORK     0xc6130000U /* 198.19.0.0/16 */
#define PREFIX_BITS 16

/* A netlink socket belongs to the namespace in which it was made, wherever its user is now. */
struct pmo_network {
    int host_fd;
    struct nl_sock *host, *mesh;
    int bridge; /* interface index in the mesh */
};

static void cleanup_socket(struct nl_sock **sock)
{
    nl_socket_free(*sock);
}

static void cleanup_link(struct rtnl_link **link)
{
    if (*link)
        rtnl_link_put(*link);
}

#define _cleanup_socket_ __attribute__((cleanup(cleanup_socket)))
#define _cleanup_link_   __attribute__((cleanup(cleanup_link)))

uint16_t pmo_mesh_number(const uint16_t *used, size_t used_count, uint16_t last)
{
    uint8_t taken[(UINT16_MAX + 1) / 8] = {0};
    uint16_t number = last;

    for (size_t i = 0; i < used_count; i++)
        taken[used[i] / 8] |= 1U << used[i] % 8;
    for (uint32_t tries = 1; tries < PMO_MESH_HOST; tries++) {
        number = number >= PMO_MESH_HOST - 1 ? 1 : number + 1;
        if (!(taken[number / 8] & 1U << number % 8))
            return number;
    }
    return 0;
}

void pmo_mesh_address(uint16_t number, uint8_t addr[16])
{
    uint32_t v4 = htonl(NETWORK | number);

    memset(addr, 0, 10);
    memset(addr + 10, 0xff, 2);
    memcpy(addr + 12, &v4, 4);
}

static int netlink_fail(int r, const char *what, const char *name)
{
    return pmo_fail(EIO, "cannot %s %s: %s", what, name, nl_geterror(r));
}

static void namespace_path(char path[static 128], const char *name)
{
    (void)snprintf(path, 128, NETNS_DIRECTORY "/" NETNS_PREFIX "%s", name);
}

static void port_name(char name[static IFNAMSIZ], uint16_t number)
{
    (void)snprintf(name, IFNAMSIZ, "pmo%u", number);
}

bool pmo_network_exists(void)
{
    char path[128];

    namespace_path(path, MESH);
    return !access(path, F_OK);
}

/* Everything else of the agent takes for granted that it is in the host's namespace. */
static void enter_host(const struct pmo_network *network)
{
    if (setns(network->host_fd, CLONE_NEWNET) < 0)
        abort();
}

/* As ip-netns(8) makes it: a shared mount, so that a namespace removed here is also removed from
 * the mount namespaces of services that were started in between. */
static int make_directory(void)
{
    if (mkdir(NETNS_DIRECTORY, 0755) < 0 && errno != EEXIST)
        return pmo_err_r(errno, "cannot make " NETNS_DIRECTORY);
    if (!mount("", NETNS_DIRECTORY, "none", MS_SHARED | MS_REC, NULL))
        return 0;
    if (errno != EINVAL ||
        mount(NETNS_DIRECTORY, NETNS_DIRECTORY, "none", MS_BIND | MS_REC, NULL) < 0 ||
        mount("", NETNS_DIRECTORY, "none", MS_SHARED | MS_REC, NULL) < 0)
        return pmo_err_r(errno, "cannot mount " NETNS_DIRECTORY);
    return 0;
}

static void remove_namespace(const char *name)
{
    char path[128];

    namespace_path(path, name);
    if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
        (void)pmo_err_r(errno, "cannot unmount %s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        (void)pmo_err_r(errno, "cannot remove %s", path);
}

static int make_namespace(const struct pmo_network *network, const char *name)
{
    char path[128];
    int fd, r = 0;

    namespace_path(path, name);
    fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
        return pmo_err_r(errno, "cannot make %s", path);
    (void)close(fd);
    if (unshare(CLONE_NEWNET) < 0) {
        r = pmo_err_r(errno, "cannot make a network namespace");
    } else {
        if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) < 0)
            r = pmo_err_r(errno, "cannot mount a network namespace on %s", path);
        enter_host(network);
    }
    if (r)
        remove_namespace(name);
    return r;
}

/* Opens a namespace, a netlink socket in it, and asks for its cookie. Logs nothing. */
static int open_namespace(const struct pmo_network *network, const char *name, int *netns_fd,
                          struct nl_sock **sock, uint64_t *cookie)
{
    _cleanup_socket_ struct nl_sock *inside = nl_socket_alloc();
    _cleanup_close_ int fd = -1, probe = -1;
    socklen_t size = sizeof(*cookie);
    char path[128];
    int r = 0;

    namespace_path(path, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!inside || fd < 0)
        return inside ? -errno : -ENOMEM;
    if (setns(fd, CLONE_NEWNET) < 0)
        return -errno;
    probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0 || getsockopt(probe, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &size) < 0)
        r = -errno;
    else if (nl_connect(inside, NETLINK_ROUTE) < 0)
        r = -EIO;
    enter_host(network);
    if (r)
        return r;
    *netns_fd = TAKE_FD(fd);
    *sock = TAKE_PTR(inside);
    return 0;
}

/* Interface index, 0 where there is no such link. */
static int link_index(struct nl_sock *sock, const char *name)
{
    _cleanup_link_ struct rtnl_link *link = NULL;

    return rtnl_link_get_kernel(sock, 0, name, &link) < 0 ? 0 : rtnl_link_get_ifindex(link);
}

static int link_up(struct nl_sock *sock, const char *name)
{
    _cleanup_link_ struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
    int r;

    if (!change)
        return pmo_err_r(ENOMEM, "cannot bring up %s", name);
    rtnl_link_set_flags(change, IFF_UP);
    r = rtnl_link_get_kernel(sock, 0, name, &link);
    if (r >= 0)
        r = rtnl_link_change(sock, link, change, 0);
    return r < 0 ? netlink_fail(r, "bring up", name) : 0;
}

static void link_delete(struct nl_sock *sock, const char *name)
{
    _cleanup_link_ struct rtnl_link *link = rtnl_link_alloc();
    int r;

    if (!link)
        return;
    rtnl_link_set_name(link, name);
    r = rtnl_link_delete(sock, link);
    if (r < 0 && r != -NLE_NODEV && r != -NLE_OBJ_NOTFOUND)
        (void)netlink_fail(r, "remove link", name);
}

static int make_bridge(struct pmo_network *network)
{
    _cleanup_link_ struct rtnl_link *bridge = NULL;
    int r;

    network->bridge = link_index(network->mesh, BRIDGE);
    if (!network->bridge) {
        bridge = rtnl_link_bridge_alloc();
        if (!bridge)
            return pmo_err_r(ENOMEM, "cannot make bridge " BRIDGE);
        rtnl_link_set_name(bridge, BRIDGE);
        r = rtnl_link_add(network->mesh, bridge, NLM_F_CREATE | NLM_F_EXCL);
        if (r < 0)
            return netlink_fail(r, "make bridge", BRIDGE);
        network->bridge = link_index(network->mesh, BRIDGE);
    }
    return link_up(network->mesh, BRIDGE);
}

/* Both ends are made where they belong, in one request to the kernel. */
static int make_veth(struct pmo_network *network, uint16_t number, const char *name, int netns_fd)
{
    uint8_t mac[6] = {0x02, 0x50, 198, 19, (uint8_t)(number >> 8), (uint8_t)number};
    struct nl_addr *hardware = nl_addr_build(AF_LLC, mac, sizeof(mac));
    _cleanup_link_ struct rtnl_link *port = rtnl_link_veth_alloc(), *end = NULL;
    char port_text[IFNAMSIZ];
    int r;

    if (!port || !hardware) {
        nl_addr_put(hardware);
        return pmo_err_r(ENOMEM, "cannot make link %s", name);
    }
    end = rtnl_link_veth_get_peer(port);
    port_name(port_text, number);
    rtnl_link_set_name(port, port_text);
    rtnl_link_set_master(port, network->bridge);
    rtnl_link_set_name(end, name);
    rtnl_link_set_addr(end, hardware);
    rtnl_link_set_ns_fd(end, netns_fd);
    nl_addr_put(hardware);
    r = rtnl_link_add(network->mesh, port, NLM_F_CREATE | NLM_F_EXCL);
    if (r < 0)
        return netlink_fail(r, "make link", port_text);
    return link_up(network->mesh, port_text);
}

static int add_address(struct nl_sock *sock, const char *name, uint16_t number)
{
    uint32_t v4 = htonl(NETWORK | number);
    struct nl_addr *local = nl_addr_build(AF_INET, &v4, sizeof(v4));
    struct rtnl_addr *address = rtnl_addr_alloc();
    int r = -NLE_NOMEM;

    if (local && address) {
        nl_addr_set_prefixlen(local, PREFIX_BITS);
        rtnl_addr_set_ifindex(address, link_index(sock, name));
        r = rtnl_addr_set_local(address, local);
    }
    if (r >= 0)
        r = rtnl_addr_add(sock, address, 0);
    rtnl_addr_put(address);
    nl_addr_put(local);
    return r < 0 ? netlink_fail(r, "give an address to", name) : 0;
}

/* Connects a namespace to the mesh: link @name in it, with the address of @number. */
static int connect_namespace(struct pmo_network *network, struct nl_sock *inside, int netns_fd,
                             const char *name, uint16_t number)
{
    int r = make_veth(network, number, name, netns_fd);

    if (!r)
        r = add_address(inside, name, number);
    return r ? r : link_up(inside, name);
}

static int open_mesh(struct pmo_network *network)
{
    _cleanup_close_ int fd = -1;
    uint64_t cookie;
    int r;

    r = open_namespace(network, MESH, &fd, &network->mesh, &cookie);
    if (!r)
        return 0;
    remove_namespace(MESH); /* what an interrupted start may have left */
    r = make_namespace(network, MESH);
    if (r)
        return r;
    r = open_namespace(network, MESH, &fd, &network->mesh, &cookie);
    return r < 0 ? pmo_err_r(r, "cannot enter network namespace " NETNS_PREFIX MESH) : 0;
}

static int connect_host(struct pmo_network *network)
{
    char port[IFNAMSIZ];

    port_name(port, PMO_MESH_HOST);
    if (link_index(network->mesh, port) && link_index(network->host, HOST_LINK))
        return 0;
    link_delete(network->mesh, port);
    link_delete(network->host, HOST_LINK);
    return connect_namespace(network, network->host, network->host_fd, HOST_LINK, PMO_MESH_HOST);
}

int pmo_network_open(struct pmo_network **network)
{
    struct pmo_network *made = calloc(1, sizeof(*made));
    int r;

    if (!made)
        return pmo_err_r(ENOMEM, "cannot make the mesh");
    made->host_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    made->host = nl_socket_alloc();
    if (made->host_fd < 0 || !made->host)
        r = pmo_err_r(made->host_fd < 0 ? errno : ENOMEM, "cannot make the mesh");
    else if (nl_connect(made->host, NETLINK_ROUTE) < 0)
        r = pmo_err_r(EIO, "cannot open a netlink socket");
    else
        r = make_directory();
    if (!r)
        r = open_mesh(made);
    if (!r)
        r = make_bridge(made);
    if (!r)
        r = connect_host(made);
    if (r)
        pmo_network_close(&made, false);
    else
        *network = made;
    return r;
}

void pmo_network_close(struct pmo_network **network, bool remove)
{
    struct pmo_network *old = *network;

    if (!old)
        return;
    if (remove) {
        /* one by one, because the kernel would remove them some time after the namespace */
        link_delete(old->host, HOST_LINK);
        link_delete(old->mesh, BRIDGE);
        remove_namespace(MESH);
    }
    nl_socket_free(old->mesh);
    nl_socket_free(old->host);
    if (old->host_fd >= 0)
        (void)close(old->host_fd);
    free(old);
    *network = NULL;
}

int pmo_network_add(struct pmo_network *network, const char *name, uint16_t number, int *netns_fd,
                    uint64_t *cookie)
{
    _cleanup_socket_ struct nl_sock *inside = NULL;
    _cleanup_close_ int fd = -1;
    int r = make_namespace(network, name);

    if (r)
        return r;
    r = open_namespace(network, name, &fd, &inside, cookie);
    if (r)
        (void)pmo_err_r(r, "cannot enter network namespace " NETNS_PREFIX "%s", name);
    else
        r = link_up(inside, "lo");
    if (!r)
        r = connect_namespace(network, inside, fd, "eth0", number);
    if (r)
        pmo_network_remove(network, name, number);
    else
        *netns_fd = TAKE_FD(fd);
    return r;
}

int pmo_network_adopt(struct pmo_network *network, const char *name, uint16_t number, int *netns_fd,
                      uint64_t *cookie)
{
    _cleanup_socket_ struct nl_sock *inside = NULL;
    _cleanup_close_ int fd = -1;
    char port[IFNAMSIZ];

    port_name(port, number);
    if (!link_index(network->mesh, port) ||
        open_namespace(network, name, &fd, &inside, cookie) < 0 || !link_index(inside, "eth0"))
        return -ENOENT;
    *netns_fd = TAKE_FD(fd);
    return 0;
}

void pmo_network_remove(struct pmo_network *network, const char *name, uint16_t number)
{
    char port[IFNAMSIZ];

    port_name(port, number);
    link_delete(network->mesh, port);
    remove_namespace(name);
}

/* pmo-SERVICE-NUMBER is an instance's; others of this prefix are not this backend's. */
static const char *instance_of(const char *entry)
{
    const char *dash = strrchr(entry, '-');

    if (strncmp(entry, NETNS_PREFIX, strlen(NETNS_PREFIX)) != 0 ||
        dash < entry + strlen(NETNS_PREFIX) + 1 || !isdigit((unsigned char)dash[1]) ||
        dash[1 + strspn(dash + 1, "0123456789")])
        return NULL;
    return entry + strlen(NETNS_PREFIX);
}

static void sweep_links(struct pmo_network *network,
                        bool (*keep)(void *context, const char *name, uint16_t number),
                        void *context)
{
    struct nl_cache *links = NULL;

    if (rtnl_link_alloc_cache(network->mesh, AF_UNSPEC, &links) < 0)
        return;
    for (struct nl_object *at = nl_cache_get_first(links); at; at = nl_cache_get_next(at)) {
        const char *name = rtnl_link_get_name((struct rtnl_link *)at);
        unsigned long number;

        if (!name || strncmp(name, "pmo", 3) != 0)
            continue;
        number = strtoul(name + 3, NULL, 10);
        if (number >= 1 && number < PMO_MESH_HOST && !keep(context, NULL, (uint16_t)number))
            link_delete(network->mesh, name);
    }
    nl_cache_free(links);
}

void pmo_network_sweep(struct pmo_network *network,
                       bool (*keep)(void *context, const char *name, uint16_t number),
                       void *context)
{
    DIR *directory = opendir(NETNS_DIRECTORY);

    while (directory) {
        const struct dirent *entry = readdir(directory);
        const char *name = entry ? instance_of(entry->d_name) : NULL;

        if (!entry)
            break;
        if (name && !keep(context, name, 0)) {
            pmo_info("removing network namespace %s, which no instance uses", entry->d_name);
            remove_namespace(name);
        }
    }
    if (directory)
        (void)closedir(directory);
    sweep_links(network, keep, context);
}
