/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/listeners.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/netlink.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

struct owner {
    uint32_t inode;
    uint64_t netns; /* that the socket was seen in */
    pid_t pid;      /* 0: nobody's */
    char command[64];
    char cgroup[256];
};

struct pmo_listeners {
    struct owner *owners; /* sorted by inode */
    size_t count;
};

/* The listeners of one scan. */
struct scan {
    uint64_t netns;
    struct pmo_listening *found;
    size_t count, room;
    bool failed; /* out of memory */
};

/* A process that holds one of the sockets whose owner is looked for. */
struct holder {
    uint32_t inode;
    pid_t pid, parent;
    uint64_t started_ticks;
};

struct holders {
    struct holder *list;
    size_t count, room;
};

/* Makes room for one more element. Returns NULL (and leaves the old list) when there is none. */
static void *grow(void *list, size_t count, size_t *room, size_t size)
{
    size_t more = *room ? *room * 2 : 64;

    if (count < *room)
        return list;
    list = reallocarray(list, more, size);
    if (list)
        *room = more;
    return list;
}

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_inode(const void *a, const void *b) /* inode is the first member of an owner */
{
    return compare(*(const uint32_t *)a, *(const uint32_t *)b);
}

static int by_inode_and_age(const void *a, const void *b)
{
    const struct holder *x = a, *y = b;

    return x->inode != y->inode ? compare(x->inode, y->inode)
                                : compare(x->started_ticks, y->started_ticks);
}

/* ---- what the kernel says -------------------------------------------------------------------- */
static bool is_any(const struct pmo_listener *address)
{
    static const uint8_t any[16];

    return !memcmp(address->addr, any, sizeof(any));
}

static int add_message(struct nl_msg *message, void *context)
{
    struct nlmsghdr *header = nlmsg_hdr(message);
    const struct inet_diag_msg *diag = nlmsg_data(header);
    struct scan *scan = context;
    struct pmo_listening *l;
    struct nlattr *attribute;
    void *list;

    if (!nlmsg_valid_hdr(header, sizeof(*diag)))
        return NL_SKIP;
    list = grow(scan->found, scan->count, &scan->room, sizeof(*scan->found));
    if (!list) {
        scan->failed = true;
        return NL_STOP;
    }
    scan->found = list;
    l = &scan->found[scan->count++];
    *l = (struct pmo_listening){
        .address = {.netns = scan->netns, .port = ntohs(diag->id.idiag_sport)},
        .inode = diag->idiag_inode,
        .queue = diag->idiag_rqueue,
        .queue_limit = diag->idiag_wqueue,
    };
    if (diag->idiag_family == AF_INET6) {
        memcpy(l->address.addr, diag->id.idiag_src, 16);
        attribute = nlmsg_find_attr(header, sizeof(*diag), INET_DIAG_SKV6ONLY);
        l->dual_stack = is_any(&l->address) && attribute && !nla_get_u8(attribute);
    } else if (diag->id.idiag_src[0]) { /* 0.0.0.0 stays all zero: any address */
        memset(l->address.addr + 10, 0xff, 2);
        memcpy(l->address.addr + 12, diag->id.idiag_src, 4);
    }
    attribute = nlmsg_find_attr(header, sizeof(*diag), INET_DIAG_CGROUP_ID);
    if (attribute)
        l->cgroup_id = nla_get_u64(attribute);
    return NL_OK;
}

static int ask_family(struct nl_sock *sock, struct scan *scan, uint8_t family, uint8_t protocol)
{
    struct inet_diag_req_v2 request = {
        .sdiag_family = family,
        .sdiag_protocol = protocol,
        .idiag_states = 1U << (protocol == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE),
    };
    int r;

    nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, add_message, scan);
    r = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request, sizeof(request));
    if (r >= 0)
        r = nl_recvmsgs_default(sock);
    if (scan->failed)
        r = -NLE_NOMEM;
    if (r == -NLE_OBJ_NOTFOUND && protocol != IPPROTO_TCP)
        return 0;
    return r < 0 ? pmo_err_r(pmo_netlink_errno(r), "cannot list the sockets that listen") : 0;
}

static int ask_kernel(struct scan *scan, int netns_fd, uint8_t protocol)
{
    _cleanup_netlink_ struct nl_sock *sock = NULL;
    socklen_t length = sizeof(scan->netns);
    int r = pmo_netlink_open(&sock, NETLINK_SOCK_DIAG, netns_fd);

    if (r < 0)
        return r;
    if (getsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_NETNS_COOKIE, &scan->netns, &length) < 0)
        return pmo_err_r(errno, "cannot get a network namespace's cookie (kernel 5.14 or later)");
    r = ask_family(sock, scan, AF_INET, protocol);
    return r < 0 ? r : ask_family(sock, scan, AF_INET6, protocol);
}

/* ---- what /proc says ------------------------------------------------------------------------- */
static const struct owner *owner_of(const struct pmo_listeners *listeners, uint32_t inode)
{
    if (!listeners->count)
        return NULL;
    return bsearch(&inode, listeners->owners, listeners->count, sizeof(struct owner), by_inode);
}

/* The inode of a descriptor that is a socket; 0 for any other. */
static uint32_t socket_inode(int directory, const char *name)
{
    static const char prefix[] = "socket:[";
    char link[64];
    ssize_t n = readlinkat(directory, name, link, sizeof(link) - 1);

    if (n < (ssize_t)sizeof(prefix) || memcmp(link, prefix, sizeof(prefix) - 1) != 0)
        return 0;
    link[n] = '\0';
    return (uint32_t)strtoul(link + sizeof(prefix) - 1, NULL, 10);
}

/* Notes which of the wanted sockets (sorted by inode) one process holds. */
static int search_process(pid_t pid, const struct owner *wanted, size_t count,
                          struct holders *holders)
{
    struct pmo_process_stat stat = {0};
    char path[32];
    const struct dirent *entry;
    DIR *directory;
    int r = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    directory = opendir(path);
    if (!directory)
        return 0; /* gone, or not ours to see */
    while ((entry = readdir(directory))) {
        uint32_t inode = socket_inode(dirfd(directory), entry->d_name);
        void *list;

        if (!inode || !bsearch(&inode, wanted, count, sizeof(*wanted), by_inode))
            continue;
        if (!stat.started_ticks && pmo_process_stat_read(pid, &stat) < 0)
            break;
        list = grow(holders->list, holders->count, &holders->room, sizeof(*holders->list));
        if (!list) {
            r = -ENOMEM;
            break;
        }
        holders->list = list;
        holders->list[holders->count++] =
            (struct holder){inode, pid, stat.parent, stat.started_ticks};
    }
    (void)closedir(directory);
    return r;
}

static int search_proc(const struct owner *wanted, size_t count, struct holders *holders)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int r = 0;

    if (!proc)
        return pmo_err_r(errno, "cannot read /proc");
    while (r == 0 && (entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0)
            r = search_process(pid, wanted, count, holders);
    }
    (void)closedir(proc);
    return r;
}

static bool holds(const struct holder *first, const struct holder *end, pid_t pid)
{
    for (; first < end; first++)
        if (first->pid == pid)
            return true;
    return false;
}

/* Of the holders [first, end) of one socket, by age: the oldest whose parent is none of them. */
static pid_t choose(const struct holder *first, const struct holder *end)
{
    for (const struct holder *h = first; h < end; h++)
        if (!holds(first, end, h->parent))
            return h->pid;
    return first < end ? first->pid : 0;
}

/* Fills in who owns the wanted sockets (sorted by inode). */
static int find_owners(struct owner *wanted, size_t count)
{
    struct holders holders = {0};
    const struct holder *at, *end;
    const struct owner *last = NULL;
    int r = search_proc(wanted, count, &holders);

    if (holders.count)
        qsort(holders.list, holders.count, sizeof(*holders.list), by_inode_and_age);
    at = holders.list;
    end = holders.list + holders.count;
    for (size_t i = 0; i < count; i++) {
        struct owner *owner = &wanted[i];
        const struct holder *first;

        while (at < end && at->inode < owner->inode)
            at++;
        for (first = at; at < end && at->inode == owner->inode;)
            at++;
        owner->pid = choose(first, at);
        if (!owner->pid)
            continue;
        if (last && last->pid == owner->pid) { /* the usual case: many sockets of one process */
            memcpy(owner->command, last->command, sizeof(owner->command));
            memcpy(owner->cgroup, last->cgroup, sizeof(owner->cgroup));
        } else { /* if it has just gone, the next scan looks for another owner */
            (void)pmo_process_describe(owner->pid, owner->command, owner->cgroup);
        }
        last = owner;
    }
    free(holders.list);
    return r;
}

/* A pid that was used again within one scan interval would pass; that takes a turn of the whole pid
 * space, and a socket that survived its owner. */
static bool still_owned(const struct owner *owner)
{
    return !owner->pid || kill(owner->pid, 0) == 0 || errno == EPERM;
}

/* Makes the owners those of the scan's sockets, and of sockets seen in other namespaces. */
static int update_owners(struct pmo_listeners *listeners, const struct scan *scan)
{
    _cleanup_free_ struct owner *owners =
        calloc(listeners->count + scan->count + 1, sizeof(*owners));
    size_t wanted = 0, count;

    if (!owners)
        return pmo_err_r(ENOMEM, "cannot note the owners of %zu listeners", scan->count);
    for (size_t i = 0; i < scan->count; i++) { /* wanted ones first */
        const struct owner *known = owner_of(listeners, scan->found[i].inode);

        if (!known || known->netns != scan->netns || !still_owned(known))
            owners[wanted++] = (struct owner){.inode = scan->found[i].inode, .netns = scan->netns};
    }
    if (wanted) {
        int r;

        qsort(owners, wanted, sizeof(*owners), by_inode);
        r = find_owners(owners, wanted);
        if (r < 0)
            return r;
    }
    count = wanted;
    for (size_t i = 0; i < scan->count; i++) {
        const struct owner *known = owner_of(listeners, scan->found[i].inode);

        if (known && !bsearch(&known->inode, owners, wanted, sizeof(*owners), by_inode))
            owners[count++] = *known;
    }
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->owners[i].netns != scan->netns)
            owners[count++] = listeners->owners[i];
    qsort(owners, count, sizeof(*owners), by_inode);
    free(listeners->owners);
    listeners->owners = TAKE_PTR(owners);
    listeners->count = count;
    return 0;
}

/* ---- both together --------------------------------------------------------------------------- */
int pmo_listeners_new(struct pmo_listeners **listeners)
{
    struct pmo_listeners *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    *listeners = made;
    return 0;
}

void pmo_listeners_free(struct pmo_listeners **listeners)
{
    if (!*listeners)
        return;
    free((*listeners)->owners);
    free(*listeners);
    *listeners = NULL;
}

static void describe(struct pmo_listening *listening, const struct owner *owner)
{
    if (owner) {
        listening->pid = owner->pid;
        memcpy(listening->command, owner->command, sizeof(listening->command));
        memcpy(listening->cgroup, owner->cgroup, sizeof(listening->cgroup));
    }
}

/* @listeners: NULL: owners are not looked for */
static int scan_sockets(struct pmo_listeners *listeners, int netns_fd, uint8_t protocol,
                        pmo_listening_fn found, void *context)
{
    struct scan scan = {0};
    int r;

    r = ask_kernel(&scan, netns_fd, protocol);
    if (r == 0 && listeners)
        r = update_owners(listeners, &scan);
    for (size_t i = 0; r == 0 && i < scan.count; i++) {
        if (listeners)
            describe(&scan.found[i], owner_of(listeners, scan.found[i].inode));
        r = found(context, &scan.found[i]);
    }
    free(scan.found);
    return r;
}

int pmo_listeners_scan(struct pmo_listeners *listeners, int netns_fd, pmo_listening_fn found,
                       void *context)
{
    assert(listeners && found);
    return scan_sockets(listeners, netns_fd, IPPROTO_TCP, found, context);
}

int pmo_datagrams_scan(int netns_fd, bool owners, pmo_listening_fn found, void *context)
{
    struct pmo_listeners *once = NULL;
    int r = owners ? pmo_listeners_new(&once) : 0;

    if (!r)
        r = scan_sockets(once, netns_fd, IPPROTO_UDP, found, context);
    pmo_listeners_free(&once);
    return r;
}
