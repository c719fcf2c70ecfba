/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/process.h"

struct member {
    pid_t pid;
    int stat_fd, statm_fd, io_fd, files_fd; /* of /proc/PID; -1: cannot be opened */
    uint64_t run_delay_ns;                  /* when it was last read */
};

/* A sum over the members that does not fall when one of them ends. */
struct sum {
    uint64_t last, lost; /* lost: what left it */
};

struct pmo_tree {
    struct member *members;
    size_t count, room;
    struct sum cpu_usec, read_bytes, written_bytes;
    uint64_t ended_run_delay_ns; /* of members that are gone */
};

struct child {
    pid_t parent, pid;
};

struct pmo_processes {
    struct child *list;
    size_t count, room;
};

/* ---- all processes --------------------------------------------------------------------------- */
static int by_parent(const void *a, const void *b)
{
    pid_t x = ((const struct child *)a)->parent, y = ((const struct child *)b)->parent;

    return (x > y) - (x < y);
}

static int list_processes(struct pmo_processes *processes)
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
        if (processes->count == processes->room) {
            size_t more = processes->room ? processes->room * 2 : 512;
            void *list = reallocarray(processes->list, more, sizeof(*processes->list));

            if (!list) {
                r = pmo_err_r(ENOMEM, "cannot list the processes");
                break;
            }
            processes->list = list;
            processes->room = more;
        }
        processes->list[processes->count++] = (struct child){stat.parent, pid};
    }
    (void)closedir(proc);
    if (processes->count)
        qsort(processes->list, processes->count, sizeof(*processes->list), by_parent);
    return r;
}

int pmo_processes_list(struct pmo_processes **processes)
{
    struct pmo_processes *made = calloc(1, sizeof(*made));
    int r = made ? list_processes(made) : pmo_err_r(ENOMEM, "cannot list the processes");

    if (r < 0)
        pmo_processes_free(&made);
    else
        *processes = made;
    return r;
}

void pmo_processes_free(struct pmo_processes **processes)
{
    if (!*processes)
        return;
    free((*processes)->list);
    free(*processes);
    *processes = NULL;
}

static const struct child *first_child(const struct pmo_processes *processes, pid_t parent)
{
    size_t low = 0, high = processes->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (processes->list[middle].parent < parent)
            low = middle + 1;
        else
            high = middle;
    }
    return processes->list + low;
}

/* ---- members --------------------------------------------------------------------------------- */
bool pmo_tree_has(const struct pmo_tree *tree, pid_t pid)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->members[i].pid == pid)
            return true;
    return false;
}

static int open_file(pid_t pid, const char *name, int flags)
{
    char path[32];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    return fd < 0 ? -errno : fd;
}

static void member_close(const struct member *member)
{
    const int fds[] = {member->stat_fd, member->statm_fd, member->io_fd, member->files_fd};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

static int add_member(struct pmo_tree *tree, pid_t pid)
{
    static bool told; /* once: it would be said again at each search */
    struct member member = {.pid = pid, .stat_fd = open_file(pid, "stat", 0)};

    if (member.stat_fd < 0) {
        bool gone = member.stat_fd == -ENOENT || member.stat_fd == -ESRCH;

        if (!gone && !told) {
            told = true;
            (void)pmo_err_r(member.stat_fd, "cannot open /proc/%d/stat", pid);
        }
        return gone ? -ESRCH : member.stat_fd;
    }
    if (tree->count == tree->room) {
        size_t more = tree->room ? tree->room * 2 : 4;
        void *members = reallocarray(tree->members, more, sizeof(*tree->members));

        if (!members) {
            (void)close(member.stat_fd);
            return pmo_err_r(ENOMEM, "cannot follow process %d", pid);
        }
        tree->members = members;
        tree->room = more;
    }
    member.statm_fd = open_file(pid, "statm", 0);
    member.io_fd = open_file(pid, "io", 0);
    member.files_fd = open_file(pid, "fd", O_DIRECTORY);
    tree->members[tree->count++] = member;
    return 0;
}

int pmo_tree_new(struct pmo_tree **tree, pid_t pid)
{
    struct pmo_tree *made = calloc(1, sizeof(*made));
    int r = made ? add_member(made, pid) : pmo_err_r(ENOMEM, "cannot follow process %d", pid);

    if (r < 0)
        pmo_tree_free(&made);
    else
        *tree = made;
    return r;
}

void pmo_tree_free(struct pmo_tree **tree)
{
    if (!*tree)
        return;
    for (size_t i = 0; i < (*tree)->count; i++)
        member_close((*tree)->members + i);
    free((*tree)->members);
    free(*tree);
    *tree = NULL;
}

int pmo_tree_grow(struct pmo_tree *tree, const struct pmo_processes *processes)
{
    const struct child *end = processes->list + processes->count;

    for (size_t i = 0; i < tree->count; i++) {
        pid_t parent = tree->members[i].pid;

        for (const struct child *c = first_child(processes, parent); c < end && c->parent == parent;
             c++) {
            int r = pmo_tree_has(tree, c->pid) ? 0 : add_member(tree, c->pid);

            if (r < 0 && r != -ESRCH)
                return r;
        }
    }
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */
/* Since Linux 6.2 the size of the directory is the number of its entries. Before, and that is where
 * it is 0, they have to be counted: 0.2 us each. Returns 0 or a negative errno. */
static int count_files(int files_fd, uint64_t *count)
{
    struct stat stat;
    DIR *entries;
    int fd;

    if (files_fd < 0)
        return files_fd;
    if (fstat(files_fd, &stat) < 0)
        return -errno;
    *count = (uint64_t)stat.st_size;
    if (*count)
        return 0;
    fd = openat(files_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    entries = fd < 0 ? NULL : fdopendir(fd);
    if (!entries) {
        int r = -errno;

        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    for (const struct dirent *entry; (entry = readdir(entries));)
        *count += entry->d_name[0] != '.';
    (void)closedir(entries);
    return 0;
}

/* A process that ended since its stat was read has nothing; what is not known makes the sum so. */
static void add(uint64_t *sum, int r, uint64_t value)
{
    if (*sum == PMO_USAGE_UNKNOWN || r == -ESRCH || r == -ENOENT)
        return;
    *sum = r < 0 ? PMO_USAGE_UNKNOWN : *sum + value;
}

static uint64_t never_falls(struct sum *sum, uint64_t now)
{
    if (now == PMO_USAGE_UNKNOWN)
        return now;
    if (now < sum->last)
        sum->lost += sum->last - now;
    sum->last = now;
    return now + sum->lost;
}

static void read_member(struct member *member, struct pmo_taskstats *taskstats,
                        struct pmo_tree_reading *reading)
{
    uint64_t pages = 0, read = 0, written = 0, files = 0, delay_ns = 0;
    char text[512];
    int r;

    r = pmo_read_again(member->statm_fd, text, sizeof(text));
    if (r == 0)
        r = pmo_process_statm_parse(text, &pages);
    add(&reading->anonymous_bytes, r, pages * (uint64_t)sysconf(_SC_PAGESIZE));

    r = pmo_read_again(member->io_fd, text, sizeof(text));
    if (r == 0 && (pmo_line_number(text, "read_bytes:", &read) < 0 ||
                   pmo_line_number(text, "write_bytes:", &written) < 0))
        r = -EINVAL;
    add(&reading->read_bytes, r, read);
    add(&reading->written_bytes, r, written);

    r = count_files(member->files_fd, &files);
    add(&reading->open_files, r, files);
    if (r < 0 && r != -ESRCH && r != -ENOENT)
        reading->open_files_most = PMO_USAGE_UNKNOWN;
    else if (files > reading->open_files_most)
        reading->open_files_most = files;

    r = taskstats ? pmo_taskstats_run_delay(taskstats, member->pid, &delay_ns) : -EOPNOTSUPP;
    if (delay_ns > member->run_delay_ns) /* of a zombie it is 0 */
        member->run_delay_ns = delay_ns;
    add(&reading->run_delay_ns, r == -ESRCH ? 0 : r, member->run_delay_ns);
}

int pmo_tree_read(struct pmo_tree *tree, struct pmo_taskstats *taskstats,
                  struct pmo_tree_reading *reading)
{
    uint64_t ticks = 0, pages = 0;
    size_t kept = 0;

    *reading = (struct pmo_tree_reading){0};
    for (size_t i = 0; i < tree->count; i++) {
        struct member member = tree->members[i];
        struct pmo_process_stat stat;
        char text[1024];

        if (pmo_read_again(member.stat_fd, text, sizeof(text)) < 0 ||
            pmo_process_stat_parse(text, &stat) < 0) {
            tree->ended_run_delay_ns += member.run_delay_ns;
            member_close(&member);
            continue;
        }
        ticks += stat.cpu_ticks;
        pages += stat.resident_pages;
        read_member(&member, taskstats, reading);
        tree->members[kept++] = member;
    }
    tree->count = kept;
    reading->cpu_usec =
        never_falls(&tree->cpu_usec, ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
    reading->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    reading->read_bytes = never_falls(&tree->read_bytes, reading->read_bytes);
    reading->written_bytes = never_falls(&tree->written_bytes, reading->written_bytes);
    add(&reading->run_delay_ns, 0, tree->ended_run_delay_ns);
    return kept ? 0 : -ESRCH;
}
