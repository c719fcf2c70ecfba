/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/usage.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/netlink.h"
#include "agent/observe/process.h"

#define TICKS_A_SEARCH 5 /* seconds until a new process of a tree is noticed */

struct member { /* of a process tree */
    pid_t pid;
    int stat_fd; /* /proc/PID/stat; -1 once the process is gone */
};

struct pmo_usage_instance {
    pid_t pid;
    int cpu_fd;    /* cpu.stat, -1 where the tree is read instead */
    int memory_fd; /* memory.current, likewise */
    struct member *members;
    size_t count, room;
    uint64_t tree_usec, lost_usec; /* last sum over the tree, and what left it */
    struct nl_sock *sock;          /* in its network namespace, NULL where none is read */
    int ifindex;
    struct pmo_usage_instance *next;
};

struct pmo_usage {
    struct pmo_usage_instance *instances;
    unsigned int ticks; /* since the last search for processes */
};

struct child {
    pid_t parent, pid;
};

/* Every process of the host by its parent. */
struct children {
    struct child *list;
    size_t count, room;
};

static bool reads_tree(const struct pmo_usage_instance *instance)
{
    return instance->cpu_fd < 0 || instance->memory_fd < 0;
}

/* Reads a file from its start again. Returns 0 or a negative errno. */
static int read_again(int fd, char *text, size_t room)
{
    ssize_t n = pread(fd, text, room - 1, 0);

    if (n < 0)
        return -errno;
    text[n] = '\0';
    return 0;
}

/* ---- process trees --------------------------------------------------------------------------- */
static int by_parent(const void *a, const void *b)
{
    pid_t x = ((const struct child *)a)->parent, y = ((const struct child *)b)->parent;

    return (x > y) - (x < y);
}

static int list_processes(struct children *children)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    int r = 0;

    if (!proc)
        return pmo_err_r(errno, "cannot read /proc");
    while ((entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        struct pmo_process_stat stat;

        if (pid <= 0 || pmo_process_stat_read(pid, &stat) < 0)
            continue;
        if (children->count == children->room) {
            size_t more = children->room ? children->room * 2 : 512;
            void *list = reallocarray(children->list, more, sizeof(*children->list));

            if (!list) {
                r = pmo_err_r(ENOMEM, "cannot list the processes");
                break;
            }
            children->list = list;
            children->room = more;
        }
        children->list[children->count++] = (struct child){stat.parent, pid};
    }
    (void)closedir(proc);
    if (children->count)
        qsort(children->list, children->count, sizeof(*children->list), by_parent);
    return r;
}

static const struct child *first_child(const struct children *children, pid_t parent)
{
    size_t low = 0, high = children->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (children->list[middle].parent < parent)
            low = middle + 1;
        else
            high = middle;
    }
    return children->list + low;
}

static bool is_member(const struct pmo_usage_instance *instance, pid_t pid)
{
    for (size_t i = 0; i < instance->count; i++)
        if (instance->members[i].pid == pid)
            return true;
    return false;
}

static int add_member(struct pmo_usage_instance *instance, pid_t pid)
{
    char path[32];
    int fd;

    if (is_member(instance, pid))
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : pmo_err_r(errno, "cannot open %s", path);
    if (instance->count == instance->room) {
        size_t more = instance->room ? instance->room * 2 : 4;
        void *members = reallocarray(instance->members, more, sizeof(*instance->members));

        if (!members) {
            (void)close(fd);
            return pmo_err_r(ENOMEM, "cannot follow process %d", pid);
        }
        instance->members = members;
        instance->room = more;
    }
    instance->members[instance->count++] = (struct member){pid, fd};
    return 0;
}

/* Adds what descends from the members. One that was left by its parent stays. */
static int grow_tree(struct pmo_usage_instance *instance, const struct children *children)
{
    const struct child *end = children->list + children->count;

    for (size_t i = 0; i < instance->count; i++) {
        pid_t parent = instance->members[i].pid;

        for (const struct child *c = first_child(children, parent); c < end && c->parent == parent;
             c++) {
            int r = add_member(instance, c->pid);

            if (r < 0 && r != -ESRCH)
                return r;
        }
    }
    return 0;
}

int pmo_usage_tick(struct pmo_usage *usage)
{
    struct children children = {0};
    bool wanted = false;
    int r;

    if (usage->ticks++ % TICKS_A_SEARCH)
        return 0;
    for (const struct pmo_usage_instance *i = usage->instances; i; i = i->next)
        wanted |= reads_tree(i);
    if (!wanted)
        return 0;
    r = list_processes(&children);
    for (struct pmo_usage_instance *i = usage->instances; r == 0 && i; i = i->next)
        if (reads_tree(i))
            r = grow_tree(i, &children);
    free(children.list);
    return r;
}

/* Sums the tree up. A process that ends takes its time along, into its parent's if that one waits
 * for it, else into lost_usec: either way the sum does not fall. */
static int read_tree(struct pmo_usage_instance *instance, uint64_t *cpu_usec,
                     uint64_t *memory_bytes)
{
    uint64_t ticks = 0, pages = 0, usec;
    size_t kept = 0;

    for (size_t i = 0; i < instance->count; i++) {
        struct member member = instance->members[i];
        struct pmo_process_stat stat;
        char text[1024];

        if (read_again(member.stat_fd, text, sizeof(text)) < 0 ||
            pmo_process_stat_parse(text, &stat) < 0) {
            (void)close(member.stat_fd);
            continue;
        }
        ticks += stat.cpu_ticks;
        pages += stat.resident_pages;
        instance->members[kept++] = member;
    }
    instance->count = kept;
    usec = ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    if (usec < instance->tree_usec)
        instance->lost_usec += instance->tree_usec - usec;
    instance->tree_usec = usec;
    *cpu_usec = usec + instance->lost_usec;
    *memory_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return kept ? 0 : -ESRCH;
}

/* ---- cgroup ---------------------------------------------------------------------------------- */
static bool descends_from(pid_t pid, pid_t ancestor)
{
    struct pmo_process_stat stat;

    while (pid != ancestor) {
        if (pid <= 1 || pmo_process_stat_read(pid, &stat) < 0)
            return false;
        pid = stat.parent;
    }
    return true;
}

/* True if a cgroup holds nothing but a process and its descendants. */
static bool is_own_cgroup(const char *cgroup, pid_t pid)
{
    char path[320];
    _cleanup_fclose_ FILE *file = NULL;
    bool own = true;
    int member;

    if (!cgroup[0] || !strcmp(cgroup, pmo_cgroup_mount()))
        return false;
    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
    file = fopen(path, "re");
    while (file && own && fscanf(file, "%d", &member) == 1)
        own = descends_from(member, pid);
    return file && own;
}

static int open_in(const char *directory, const char *name)
{
    char path[320];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int read_cgroup_cpu(int fd, uint64_t *cpu_usec)
{
    char text[2048];
    int r = read_again(fd, text, sizeof(text));

    return r < 0 ? -ESRCH : pmo_cgroup_cpu_parse(text, cpu_usec);
}

static int read_cgroup_memory(int fd, uint64_t *bytes)
{
    char text[32];

    if (read_again(fd, text, sizeof(text)) < 0)
        return -ESRCH;
    *bytes = strtoull(text, NULL, 10);
    return 0;
}

/* ---- network --------------------------------------------------------------------------------- */
static int take_bytes(struct nl_msg *message, void *context)
{
    struct pmo_usage_reading *reading = context;
    struct nlattr *attribute =
        nlmsg_find_attr(nlmsg_hdr(message), sizeof(struct if_stats_msg), IFLA_STATS_LINK_64);
    struct rtnl_link_stats64 stats = {0};

    if (!attribute)
        return NL_SKIP;
    nla_memcpy(&stats, attribute, sizeof(stats));
    reading->rx_bytes = stats.rx_bytes;
    reading->tx_bytes = stats.tx_bytes;
    return NL_OK;
}

/* RTM_GETSTATS asks for the counters alone, where RTM_GETLINK tells all there is about a link. */
static int read_network(const struct pmo_usage_instance *instance,
                        struct pmo_usage_reading *reading)
{
    struct if_stats_msg request = {
        .ifindex = (uint32_t)instance->ifindex,
        .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64),
    };
    int r;

    nl_socket_modify_cb(instance->sock, NL_CB_VALID, NL_CB_CUSTOM, take_bytes, reading);
    r = nl_send_simple(instance->sock, RTM_GETSTATS, 0, &request, sizeof(request));
    return pmo_netlink_errno(r < 0 ? r : nl_recvmsgs_default(instance->sock));
}

static int open_network(struct pmo_usage_instance *instance, int netns_fd, const char *interface)
{
    struct rtnl_link *link = NULL;
    int r = pmo_netlink_open(&instance->sock, NETLINK_ROUTE, netns_fd);

    if (r < 0)
        return r;
    r = rtnl_link_get_kernel(instance->sock, 0, interface, &link);
    if (r < 0)
        return pmo_err_r(pmo_netlink_errno(r), "cannot find interface %s", interface);
    instance->ifindex = rtnl_link_get_ifindex(link);
    rtnl_link_put(link);
    nl_socket_disable_auto_ack(instance->sock); /* the answer is enough */
    return 0;
}

/* ---- instances ------------------------------------------------------------------------------- */
int pmo_usage_new(struct pmo_usage **usage)
{
    struct pmo_usage *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    *usage = made;
    return 0;
}

static void instance_free(struct pmo_usage_instance **instance)
{
    struct pmo_usage_instance *i = *instance;

    if (!i)
        return;
    for (size_t member = 0; member < i->count; member++)
        (void)close(i->members[member].stat_fd);
    if (i->cpu_fd >= 0)
        (void)close(i->cpu_fd);
    if (i->memory_fd >= 0)
        (void)close(i->memory_fd);
    nl_socket_free(i->sock);
    free(i->members);
    free(i);
    *instance = NULL;
}

void pmo_usage_free(struct pmo_usage **usage)
{
    if (!*usage)
        return;
    while ((*usage)->instances) {
        struct pmo_usage_instance *first = (*usage)->instances;

        pmo_usage_remove(*usage, &first);
    }
    free(*usage);
    *usage = NULL;
}

static int instance_open(struct pmo_usage_instance *instance, const char *cgroup, int netns_fd,
                         const char *interface)
{
    int r;

    if (is_own_cgroup(cgroup, instance->pid)) {
        instance->cpu_fd = open_in(cgroup, "cpu.stat");
        instance->memory_fd = open_in(cgroup, "memory.current");
    }
    if (reads_tree(instance)) {
        r = add_member(instance, instance->pid);
        if (r < 0)
            return r == -ESRCH ? pmo_err_r(r, "cannot read the usage of process %d", instance->pid)
                               : r;
    }
    return interface[0] ? open_network(instance, netns_fd, interface) : 0;
}

int pmo_usage_add(struct pmo_usage *usage, pid_t pid, const char *cgroup, int netns_fd,
                  const char *interface, struct pmo_usage_instance **instance)
{
    struct pmo_usage_instance *made = calloc(1, sizeof(*made));
    int r;

    assert(usage && pid > 0 && cgroup && interface);
    if (!made)
        return pmo_err_r(ENOMEM, "cannot read the usage of process %d", pid);
    made->pid = pid;
    made->cpu_fd = made->memory_fd = -1;
    r = instance_open(made, cgroup, netns_fd, interface);
    if (r < 0) {
        instance_free(&made);
        return r;
    }
    made->next = usage->instances;
    usage->instances = made;
    usage->ticks = 0; /* its processes are looked for at the next tick */
    *instance = made;
    return 0;
}

void pmo_usage_remove(struct pmo_usage *usage, struct pmo_usage_instance **instance)
{
    struct pmo_usage_instance **at = &usage->instances;

    if (!*instance)
        return;
    while (*at != *instance)
        at = &(*at)->next;
    *at = (*at)->next;
    instance_free(instance);
}

int pmo_usage_read(struct pmo_usage_instance *instance, struct pmo_usage_reading *reading)
{
    int r = 0;

    *reading = (struct pmo_usage_reading){0};
    if (reads_tree(instance))
        r = read_tree(instance, &reading->cpu_usec, &reading->memory_bytes);
    if (r == 0 && instance->cpu_fd >= 0)
        r = read_cgroup_cpu(instance->cpu_fd, &reading->cpu_usec);
    if (r == 0 && instance->memory_fd >= 0)
        r = read_cgroup_memory(instance->memory_fd, &reading->memory_bytes);
    if (r == 0 && instance->sock)
        r = read_network(instance, reading);
    return r;
}
