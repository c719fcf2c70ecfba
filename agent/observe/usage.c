/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/usage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <linux/if_link.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/netlink.h"
#include "agent/observe/process.h"

#define TICKS_A_SEARCH 5 /* seconds until a new process of a tree is noticed */

/* Files of an instance's own cgroups. */
enum { CPU_STAT, CPU_STAT_V1, MEMORY, MEMORY_STAT, IO_STAT, FILES };

struct pmo_usage_instance {
    pid_t pid;
    struct pmo_tree *tree;
    struct pmo_taskstats *taskstats; /* struct pmo_usage has it */
    int files[FILES];                /* negative where the tree is read instead */
    const char *inactive;            /* line of MEMORY_STAT */
    struct nl_sock *sock;            /* in its network namespace, NULL where none is read */
    int ifindex;
    struct pmo_usage_instance *next;
};

struct pmo_usage {
    struct pmo_usage_instance *instances;
    struct pmo_taskstats *taskstats; /* NULL: the kernel has none for us */
    unsigned int ticks;              /* since the last search for processes */
};

int pmo_usage_tick(struct pmo_usage *usage)
{
    struct pmo_processes *processes = NULL;
    int r;

    if (usage->ticks++ % TICKS_A_SEARCH || !usage->instances)
        return 0;
    r = pmo_processes_list(&processes);
    for (struct pmo_usage_instance *i = usage->instances; r == 0 && i; i = i->next)
        r = pmo_tree_grow(i->tree, processes);
    pmo_processes_free(&processes);
    return r;
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

/* What v2 does not have may be in v1: a controller is in one of them. */
static void open_cgroups(struct pmo_usage_instance *instance, const char *cgroup)
{
    char v1[256];

    if (is_own_cgroup(cgroup, instance->pid)) {
        instance->files[CPU_STAT] = open_in(cgroup, "cpu.stat");
        instance->files[MEMORY] = open_in(cgroup, "memory.current");
        instance->files[MEMORY_STAT] = open_in(cgroup, "memory.stat");
        instance->files[IO_STAT] = open_in(cgroup, "io.stat");
    }
    instance->inactive = "inactive_file";
    if (pmo_cgroup_v1(instance->pid, "cpu", v1) == 0 && is_own_cgroup(v1, instance->pid))
        instance->files[CPU_STAT_V1] = open_in(v1, "cpu.stat");
    if (instance->files[MEMORY] < 0 && pmo_cgroup_v1(instance->pid, "memory", v1) == 0 &&
        is_own_cgroup(v1, instance->pid)) {
        instance->files[MEMORY] = open_in(v1, "memory.usage_in_bytes");
        instance->files[MEMORY_STAT] = open_in(v1, "memory.stat");
        instance->inactive = "total_inactive_file";
    }
}

double pmo_cpu_max_parse(const char *text)
{
    double quota, period;

    if (sscanf(text, "%lf %lf", &quota, &period) != 2 || !(quota > 0) || !(period > 0))
        return NAN;
    return quota / period;
}

static bool read_in(const char *directory, const char *name, char *text, size_t room)
{
    _cleanup_close_ int fd = open_in(directory, name);

    return fd >= 0 && pmo_read_again(fd, text, room) == 0;
}

double pmo_usage_cpu_limit(pid_t pid, const char *cgroup)
{
    char quota[64], period[64], v1[256], both[130];

    if (is_own_cgroup(cgroup, pid) && read_in(cgroup, "cpu.max", quota, sizeof(quota)))
        return pmo_cpu_max_parse(quota);
    if (pmo_cgroup_v1(pid, "cpu", v1) || !is_own_cgroup(v1, pid) ||
        !read_in(v1, "cpu.cfs_quota_us", quota, sizeof(quota)) ||
        !read_in(v1, "cpu.cfs_period_us", period, sizeof(period)))
        return NAN;
    (void)snprintf(both, sizeof(both), "%s %s", quota, period);
    return pmo_cpu_max_parse(both); /* -1: none */
}

/* CPU time is always there in v2, throttled time where it has the cpu controller. */
static int read_cgroup_cpu(const struct pmo_usage_instance *instance,
                           struct pmo_usage_reading *reading)
{
    uint64_t throttled;
    char text[2048];

    if (instance->files[CPU_STAT] >= 0) {
        if (pmo_read_again(instance->files[CPU_STAT], text, sizeof(text)) < 0)
            return -ESRCH;
        if (pmo_line_number(text, "usage_usec", &reading->cpu_usec) < 0)
            return -EINVAL;
        if (pmo_line_number(text, "throttled_usec", &throttled) == 0)
            reading->throttled_usec = throttled;
    }
    if (reading->throttled_usec == PMO_USAGE_UNKNOWN &&
        pmo_read_again(instance->files[CPU_STAT_V1], text, sizeof(text)) == 0 &&
        pmo_line_number(text, "throttled_time", &throttled) == 0)
        reading->throttled_usec = throttled / 1000;
    return 0;
}

static int read_cgroup_memory(const struct pmo_usage_instance *instance,
                              struct pmo_usage_reading *reading)
{
    uint64_t inactive;
    char text[8192];

    if (instance->files[MEMORY] < 0)
        return 0;
    if (pmo_read_again(instance->files[MEMORY], text, sizeof(text)) < 0)
        return -ESRCH;
    if (pmo_number_parse(text, &reading->memory_bytes) < 0)
        return -EINVAL;
    reading->working_set_bytes = PMO_USAGE_UNKNOWN; /* not the tree's, which is something else */
    if (pmo_read_again(instance->files[MEMORY_STAT], text, sizeof(text)) == 0 &&
        pmo_line_number(text, instance->inactive, &inactive) == 0)
        reading->working_set_bytes =
            reading->memory_bytes > inactive ? reading->memory_bytes - inactive : 0;
    return 0;
}

static void read_cgroup_io(const struct pmo_usage_instance *instance,
                           struct pmo_usage_reading *reading)
{
    char text[16384]; /* a line of 100 bytes or so for each device */

    if (instance->files[IO_STAT] < 0)
        return;
    if (pmo_read_again(instance->files[IO_STAT], text, sizeof(text)) < 0 ||
        pmo_cgroup_io_parse(text, &reading->disk_read_bytes, &reading->disk_written_bytes) < 0)
        reading->disk_read_bytes = reading->disk_written_bytes = PMO_USAGE_UNKNOWN;
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
    (void)pmo_taskstats_open(&made->taskstats);
    *usage = made;
    return 0;
}

static void instance_free(struct pmo_usage_instance **instance)
{
    struct pmo_usage_instance *i = *instance;

    if (!i)
        return;
    for (size_t file = 0; file < FILES; file++)
        if (i->files[file] >= 0)
            (void)close(i->files[file]);
    pmo_tree_free(&i->tree);
    nl_socket_free(i->sock);
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
    pmo_taskstats_close(&(*usage)->taskstats);
    free(*usage);
    *usage = NULL;
}

static int instance_open(struct pmo_usage_instance *instance, const char *cgroup, int netns_fd,
                         const char *interface)
{
    int r = pmo_tree_new(&instance->tree, instance->pid);

    if (r < 0)
        return r == -ESRCH ? pmo_err_r(r, "cannot read the usage of process %d", instance->pid) : r;
    open_cgroups(instance, cgroup);
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
    made->taskstats = usage->taskstats;
    for (size_t file = 0; file < FILES; file++)
        made->files[file] = -EBADF;
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

/* Returns 0, or -ESRCH where no process of the tree is left. */
static int read_tree(struct pmo_usage_instance *instance, struct pmo_usage_reading *reading)
{
    struct pmo_tree_reading tree;
    struct rlimit files;

    if (pmo_tree_read(instance->tree, instance->taskstats, &tree) < 0)
        return -ESRCH;
    reading->cpu_usec = tree.cpu_usec;
    reading->memory_bytes = tree.resident_bytes;
    reading->run_delay_ns = tree.run_delay_ns;
    reading->working_set_bytes = tree.anonymous_bytes;
    reading->disk_read_bytes = tree.read_bytes;
    reading->disk_written_bytes = tree.written_bytes;
    reading->open_files = tree.open_files;
    reading->open_files_most = tree.open_files_most;
    if (pmo_tree_has(instance->tree, instance->pid) && /* its number may be another's by now */
        prlimit(instance->pid, RLIMIT_NOFILE, NULL, &files) == 0)
        reading->open_files_limit = files.rlim_cur;
    return 0;
}

int pmo_usage_read(struct pmo_usage_instance *instance, struct pmo_usage_reading *reading)
{
    int r;

    memset(reading, 0xff, sizeof(*reading)); /* PMO_USAGE_UNKNOWN */
    reading->rx_bytes = reading->tx_bytes = 0;
    r = read_tree(instance, reading);
    if (r < 0 && instance->files[CPU_STAT] >= 0 && instance->files[MEMORY] >= 0)
        r = 0; /* processes that were not found yet may be there: the cgroup knows */
    if (r == 0)
        r = read_cgroup_cpu(instance, reading);
    if (r == 0)
        r = read_cgroup_memory(instance, reading);
    if (r == 0)
        read_cgroup_io(instance, reading);
    if (r == 0 && instance->sock) {
        r = read_network(instance, reading);
        if (r < 0)
            reading->rx_bytes = reading->tx_bytes = PMO_USAGE_UNKNOWN;
    }
    return r;
}
