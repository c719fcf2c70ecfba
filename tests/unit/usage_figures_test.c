/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What usage.c says of a process that does what it is told. */
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/descriptors.h"
#include "agent/observe/process.h"
#include "agent/observe/usage.h"
#include "agent/use.h"

#define MIB (1024 * 1024UL)

enum order {
    HOLD_FILES = 'f',   /* 100 descriptors more */
    LET_FILES_GO = 'g', /* and without them */
    ALLOCATE = 'a',     /* 32 MiB of anonymous memory */
    MAP_A_FILE = 'm',   /* 32 MiB of a file, all read */
    WRITE_FILE = 'w',   /* 8 MiB, synced */
    WRITE_NULL = 'n',   /* as much to where no disk is */
    READ_FILE = 'r',    /* the same, not from the page cache */
    CROWD = 'c',        /* two threads for 0.2 s; they end */
    BURN = 'b',         /* 0.1 s of CPU time */
    FORK_CROWD = 'k',   /* CROWD in a child, which stays */
    END_CHILD = 'e',    /* and is waited for */
};

struct worker {
    pid_t pid;
    int order[2], done[2];
    char path[64]; /* of its file, on a disk */
    struct pmo_usage *usage;
    struct pmo_usage_instance *instance;
    struct pmo_usage_reading first, now;
};

/* From a small buffer: memory that is freed may stay with the process. */
static void write_file(const char *path, size_t bytes)
{
    static char block[65536] = "x";
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    for (size_t i = 0; i < bytes; i += sizeof(block))
        (void)!write(fd, block, sizeof(block));
    (void)fsync(fd);
    (void)close(fd);
}

static void read_file(const char *path)
{
    char block[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    while (read(fd, block, sizeof(block)) > 0)
        ;
    (void)close(fd);
}

static void touch(const char *memory, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 4096)
        (void)*(const volatile char *)(memory + i);
}

/* All on one CPU, so that each waits while the other runs. */
static void *work_for_200_ms(void *unused)
{
    struct timespec from, now;

    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    do
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < 200);
    return NULL;
}

static void crowd(void)
{
    pthread_t threads[2];
    cpu_set_t set, all;

    (void)sched_getaffinity(0, sizeof(all), &all);
    CPU_ZERO(&set);
    for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&set); cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
    for (int i = 0; i < 2; i++)
        (void)pthread_create(&threads[i], NULL, work_for_200_ms, NULL);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    (void)sched_setaffinity(0, sizeof(all), &all);
}

static void burn_100_ms(void)
{
    struct timespec from, now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    do
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < 100);
}

static void obey(const struct worker *w, char order)
{
    static int files[100];
    static pid_t child;
    char *memory;
    int fd;

    switch (order) {
    case HOLD_FILES:
        for (int i = 0; i < 100; i++)
            files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        break;
    case LET_FILES_GO:
        for (int i = 0; i < 100; i++)
            (void)close(files[i]);
        break;
    case ALLOCATE:
        memory = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(memory, 'x', 32 * MIB);
        break;
    case MAP_A_FILE:
        write_file(w->path, 32 * MIB);
        fd = open(w->path, O_RDONLY | O_CLOEXEC);
        memory = mmap(NULL, 32 * MIB, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
        touch(memory, 32 * MIB);
        break;
    case WRITE_FILE:
        write_file(w->path, 8 * MIB);
        break;
    case WRITE_NULL:
        write_file("/dev/null", 8 * MIB);
        break;
    case READ_FILE:
        read_file(w->path);
        break;
    case CROWD:
        crowd();
        break;
    case BURN:
        burn_100_ms();
        break;
    case FORK_CROWD:
        child = fork();
        if (child)
            return; /* the child says that it is done */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        crowd();
        (void)!write(w->done[1], "", 1);
        for (;;)
            (void)pause();
    case END_CHILD:
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        break;
    }
    (void)!write(w->done[1], "", 1);
}

static void wait_until_done(const struct worker *w)
{
    char byte;

    CU_ASSERT_EQUAL(read(w->done[0], &byte, 1), 1);
}

static void order(struct worker *w, char what)
{
    CU_ASSERT_EQUAL(write(w->order[1], &what, 1), 1);
    wait_until_done(w);
    CU_ASSERT_EQUAL(pmo_usage_read(w->instance, &w->now), 0);
}

/* Does not read it yet. */
static void worker_start(struct worker *w)
{
    struct rlimit files = {.rlim_cur = 321, .rlim_max = 321};
    char what;

    *w = (struct worker){.path = "/var/tmp/pmo-usage-XXXXXX"};
    CU_ASSERT_EQUAL_FATAL(pipe(w->order) | pipe(w->done), 0);
    (void)close(mkstemp(w->path));
    w->pid = fork();
    if (!w->pid) {
        (void)setrlimit(RLIMIT_NOFILE, &files);
        (void)close(w->order[1]); /* its end is the end of the orders */
        (void)!write(w->done[1], "", 1);
        while (read(w->order[0], &what, 1) == 1)
            obey(w, what);
        _exit(0);
    }
    wait_until_done(w);
}

static void worker_read(struct worker *w, const char *cgroup)
{
    CU_ASSERT_EQUAL_FATAL(pmo_usage_new(&w->usage), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_usage_add(w->usage, w->pid, cgroup, -1, "", &w->instance), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_usage_read(w->instance, &w->first), 0);
}

static void worker_end(struct worker *w)
{
    (void)kill(w->pid, SIGKILL);
    (void)waitpid(w->pid, NULL, 0);
    (void)unlink(w->path);
    pmo_usage_free(&w->usage);
    for (int i = 0; i < 2; i++) {
        (void)close(w->order[i]);
        (void)close(w->done[i]);
    }
}

/* Says which figure this machine does not have. */
static bool is_known(const char *what, uint64_t value)
{
    if (value != PMO_USAGE_UNKNOWN)
        return true;
    printf("(no %s here: not tested) ", what);
    (void)fflush(stdout);
    return false;
}

/* Nobody but us may be to blame where it is not known. */
static bool has_taskstats(uint64_t run_delay_ns)
{
    struct pmo_taskstats *taskstats = NULL;
    uint64_t ns;
    int r = pmo_taskstats_open(&taskstats);

    if (r == 0)
        r = pmo_taskstats_run_delay(taskstats, getpid(), &ns);
    if (r == 0) {
        CU_ASSERT_NOT_EQUAL(run_delay_ns, PMO_USAGE_UNKNOWN);
        CU_ASSERT_EQUAL(pmo_taskstats_run_delay(taskstats, INT_MAX, &ns), -ESRCH);
    } else {
        CU_ASSERT_TRUE(r == -EOPNOTSUPP || r == -EPERM);
    }
    pmo_taskstats_close(&taskstats);
    return is_known("taskstats", run_delay_ns);
}

static void open_files_and_their_limit_are_read(void)
{
    struct worker w;

    worker_start(&w);
    worker_read(&w, "");
    CU_ASSERT_TRUE(w.first.open_files >= 5 && w.first.open_files < 221);
    CU_ASSERT_EQUAL(w.first.open_files_most, w.first.open_files);
    CU_ASSERT_EQUAL(w.first.open_files_limit, 321);
    order(&w, HOLD_FILES);
    CU_ASSERT_EQUAL(w.now.open_files, w.first.open_files + 100);
    order(&w, LET_FILES_GO);
    CU_ASSERT_EQUAL(w.now.open_files, w.first.open_files);
    CU_ASSERT_EQUAL(w.now.throttled_usec, PMO_USAGE_UNKNOWN); /* no cgroup of its own: no 0 */
    worker_end(&w);
}

static void files_are_added_over_the_tree(void)
{
    struct worker w;

    worker_start(&w);
    worker_read(&w, "");
    order(&w, HOLD_FILES);
    order(&w, FORK_CROWD); /* the child has what its parent has */
    CU_ASSERT_EQUAL(pmo_usage_tick(w.usage), 0);
    CU_ASSERT_EQUAL(pmo_usage_read(w.instance, &w.now), 0);
    CU_ASSERT_EQUAL(w.now.open_files, 2 * (w.first.open_files + 100));
    CU_ASSERT_EQUAL(w.now.open_files_most, w.first.open_files + 100);
    order(&w, END_CHILD);
    CU_ASSERT_EQUAL(w.now.open_files, w.first.open_files + 100);
    worker_end(&w);
}

static void the_working_set_has_anonymous_memory_and_no_mapped_files(void)
{
    const uint64_t about = 31 * MIB;
    struct worker w;
    uint64_t before, resident;

    worker_start(&w);
    worker_read(&w, "");
    order(&w, MAP_A_FILE);
    CU_ASSERT_TRUE(w.now.memory_bytes >= w.first.memory_bytes + about);
    CU_ASSERT_TRUE(w.now.working_set_bytes < w.first.working_set_bytes + 2 * MIB);
    before = w.now.working_set_bytes;
    resident = w.now.memory_bytes;
    order(&w, ALLOCATE);
    CU_ASSERT_TRUE(w.now.working_set_bytes >= before + about);
    CU_ASSERT_TRUE(w.now.memory_bytes >= resident + about);
    CU_ASSERT_TRUE(w.now.working_set_bytes < w.now.memory_bytes);
    worker_end(&w);
}

static void what_is_written_to_and_read_from_a_disk_is_counted(void)
{
    struct statfs place;
    struct worker w;

    worker_start(&w);
    worker_read(&w, "");
    CU_ASSERT_EQUAL(statfs(w.path, &place), 0);
    if (is_known("disk below /var/tmp", place.f_type == TMPFS_MAGIC ? PMO_USAGE_UNKNOWN : 0) &&
        is_known("/proc/PID/io", w.first.disk_written_bytes)) {
        order(&w, WRITE_NULL);
        CU_ASSERT_TRUE(w.now.disk_written_bytes < w.first.disk_written_bytes + MIB);
        order(&w, WRITE_FILE);
        CU_ASSERT_TRUE(w.now.disk_written_bytes >= w.first.disk_written_bytes + 8 * MIB);
        CU_ASSERT_TRUE(w.now.disk_written_bytes < w.first.disk_written_bytes + 16 * MIB);
        CU_ASSERT_TRUE(w.now.disk_read_bytes < w.first.disk_read_bytes + 4 * MIB);
        order(&w, READ_FILE);
        CU_ASSERT_TRUE(w.now.disk_read_bytes >= w.first.disk_read_bytes + 8 * MIB);
    }
    worker_end(&w);
}

/* Two threads on one CPU for 0.2 s: together they waited for that long, or longer where there is
 * other work. Both are gone when it is read. */
static void waits_for_a_cpu_are_those_of_all_threads(void)
{
    struct worker w;

    worker_start(&w);
    worker_read(&w, "");
    if (has_taskstats(w.first.run_delay_ns)) {
        order(&w, CROWD);
        CU_ASSERT_TRUE(w.now.run_delay_ns >= w.first.run_delay_ns + 150000000);
        CU_ASSERT_TRUE(w.now.run_delay_ns < w.first.run_delay_ns + 5000000000 * suite_slower());
    }
    worker_end(&w);
}

static void waits_of_a_child_that_ended_are_kept(void)
{
    struct worker w;
    uint64_t delay;

    worker_start(&w);
    worker_read(&w, "");
    if (has_taskstats(w.first.run_delay_ns)) {
        order(&w, FORK_CROWD);
        CU_ASSERT_EQUAL(pmo_usage_tick(w.usage), 0);
        CU_ASSERT_EQUAL(pmo_usage_read(w.instance, &w.now), 0);
        delay = w.now.run_delay_ns;
        CU_ASSERT_TRUE(delay >= w.first.run_delay_ns + 150000000);
        order(&w, END_CHILD);
        CU_ASSERT_TRUE(w.now.run_delay_ns >= delay);
    }
    worker_end(&w);
}

/* ---- cgroups ----------------------------------------------------------------------------------
 */
static bool write_in(const char *directory, const char *name, const char *text)
{
    char path[400];
    int fd;
    bool done;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        (void)close(fd);
    return done;
}

static void remove_group(const char *directory)
{
    for (int i = 0; i < 200 && rmdir(directory) < 0 && errno == EBUSY; i++)
        (void)usleep(10000);
}

static bool enter(const char *directory, pid_t pid)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", pid);
    return write_in(directory, "cgroup.procs", text);
}

/* Burns 0.1 s of CPU time with a tenth of a CPU. */
static void expect_throttling(struct worker *w, const char *cgroup)
{
    worker_read(w, cgroup);
    CU_ASSERT_NOT_EQUAL(w->first.throttled_usec, PMO_USAGE_UNKNOWN);
    order(w, BURN);
    CU_ASSERT_NOT_EQUAL(w->now.throttled_usec, PMO_USAGE_UNKNOWN);
    CU_ASSERT_TRUE(w->now.throttled_usec >= w->first.throttled_usec + 300000);
    CU_ASSERT_TRUE(w->now.throttled_usec < w->first.throttled_usec + 60000000);
}

/* Where one of the usual places has cgroup v1's cpu controller. */
static void throttled_time_of_a_cgroup_v1_is_read(void)
{
    char group[64];
    struct worker w;
    bool made;

    (void)snprintf(group, sizeof(group), "/sys/fs/cgroup/cpu/pmo-unit-%d", getpid());
    made = mkdir(group, 0755) == 0;
    worker_start(&w);
    if (made && write_in(group, "cpu.cfs_period_us", "10000") &&
        write_in(group, "cpu.cfs_quota_us", "1000") && enter(group, w.pid)) {
        CU_ASSERT_DOUBLE_EQUAL(pmo_usage_cpu_limit(w.pid, ""), 0.1, 1e-9);
        expect_throttling(&w, "");
    } else {
        (void)is_known("cpu controller in cgroup v1", PMO_USAGE_UNKNOWN);
    }
    worker_end(&w);
    if (made)
        remove_group(group);
}

/* As far as its controllers are handed down. */
static void a_cgroup_v2_is_read(void)
{
    char group[256], path[300];
    struct worker w;
    bool made;

    (void)snprintf(group, sizeof(group), "%s/pmo-unit-%d", pmo_cgroup_mount(), getpid());
    made = pmo_cgroup_mount()[0] && mkdir(group, 0755) == 0;
    worker_start(&w);
    if (!made || !enter(group, w.pid)) {
        (void)is_known("cgroup v2", PMO_USAGE_UNKNOWN);
    } else {
        if (write_in(group, "cpu.max", "1000 10000")) {
            CU_ASSERT_DOUBLE_EQUAL(pmo_usage_cpu_limit(w.pid, group), 0.1, 1e-9);
            expect_throttling(&w, group);
        } else
            (void)is_known("cpu controller in cgroup v2", PMO_USAGE_UNKNOWN);
        if (!w.instance)
            worker_read(&w, group);
        CU_ASSERT_EQUAL(w.first.open_files_limit, 321);
        CU_ASSERT_NOT_EQUAL(w.first.working_set_bytes, PMO_USAGE_UNKNOWN);
        CU_ASSERT_NOT_EQUAL(w.first.disk_written_bytes, PMO_USAGE_UNKNOWN);
        (void)snprintf(path, sizeof(path), "%s/memory.current", group);
        if (access(path, R_OK) < 0) {
            (void)is_known("memory controller in cgroup v2", PMO_USAGE_UNKNOWN);
        } else {
            order(&w, ALLOCATE);
            CU_ASSERT_TRUE(w.now.working_set_bytes >= w.first.working_set_bytes + 31 * MIB);
        }
    }
    worker_end(&w);
    if (made)
        remove_group(group);
}

/* Files of the page cache are charged to the group, but inactive. */
static void the_working_set_of_a_cgroup_v1_is_without_inactive_files(void)
{
    char group[64];
    struct worker w;
    uint64_t before;
    bool made;

    (void)snprintf(group, sizeof(group), "/sys/fs/cgroup/memory/pmo-unit-%d", getpid());
    made = mkdir(group, 0755) == 0;
    worker_start(&w);
    if (made && enter(group, w.pid)) {
        worker_read(&w, "");
        order(&w, WRITE_FILE);
        CU_ASSERT_TRUE(w.now.memory_bytes >= w.first.memory_bytes + 7 * MIB);
        CU_ASSERT_TRUE(w.now.working_set_bytes < w.first.working_set_bytes + 6 * MIB);
        before = w.now.working_set_bytes;
        order(&w, ALLOCATE);
        CU_ASSERT_TRUE(w.now.working_set_bytes >= before + 31 * MIB);
    } else {
        (void)is_known("memory controller in cgroup v1", PMO_USAGE_UNKNOWN);
    }
    worker_end(&w);
    if (made)
        remove_group(group);
}

static void a_reading_takes_some_tens_of_microseconds(void)
{
    enum { READINGS = 2000 };
    struct timespec from, to;
    struct worker w;
    double us;

    worker_start(&w);
    worker_read(&w, "");
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < READINGS; i++)
        CU_ASSERT_EQUAL(pmo_usage_read(w.instance, &w.now), 0);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    us = ((double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3) /
         READINGS;
    printf("(%.1f us) ", us);
    (void)fflush(stdout);
    CU_ASSERT_TRUE(us < 100 * suite_slower()); /* sanitizers included */
    worker_end(&w);
}

/* A directory that looks like a cgroup v2 with all controllers, for machines that have none. */
static void put(const char *directory, const char *name, const char *text)
{
    char path[64];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void the_files_of_a_cgroup_v2_say_it_and_bad_ones_do_not(void)
{
    static const char *const names[] = {"cgroup.procs", "cpu.stat", "memory.current", "memory.stat",
                                        "io.stat"};
    char directory[] = "/tmp/pmo-usage-XXXXXX", path[64], pid[16];
    struct worker w;

    worker_start(&w);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    (void)snprintf(pid, sizeof(pid), "%d\n", w.pid);
    put(directory, "cgroup.procs", pid);
    put(directory, "cpu.stat", "usage_usec 70\nnr_throttled 2\nthrottled_usec 50\n");
    put(directory, "memory.current", "9000000\n");
    put(directory, "memory.stat", "anon 1\nactive_file 5\ninactive_file 2000000\n");
    put(directory, "io.stat", "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2 rios=1\n");
    worker_read(&w, directory);
    CU_ASSERT_EQUAL(w.first.cpu_usec, 70);
    CU_ASSERT_EQUAL(w.first.throttled_usec, 50);
    CU_ASSERT_EQUAL(w.first.memory_bytes, 9000000);
    CU_ASSERT_EQUAL(w.first.working_set_bytes, 7000000);
    CU_ASSERT_EQUAL(w.first.disk_read_bytes, 11);
    CU_ASSERT_EQUAL(w.first.disk_written_bytes, 22);
    CU_ASSERT_EQUAL(w.first.open_files_limit, 321);

    put(directory, "memory.stat", "inactive_file 9000001\n");
    CU_ASSERT_EQUAL(pmo_usage_read(w.instance, &w.now), 0);
    CU_ASSERT_EQUAL(w.now.working_set_bytes, 0);

    put(directory, "cpu.stat", "usage_usec 80\n");
    put(directory, "memory.stat", "inactive_file many\n");
    put(directory, "io.stat", "8:0 rbytes=10 wbytes=20");
    CU_ASSERT_EQUAL(pmo_usage_read(w.instance, &w.now), 0);
    CU_ASSERT_EQUAL(w.now.cpu_usec, 80);
    CU_ASSERT_EQUAL(w.now.throttled_usec, PMO_USAGE_UNKNOWN);
    CU_ASSERT_EQUAL(w.now.memory_bytes, 9000000);
    CU_ASSERT_EQUAL(w.now.working_set_bytes, PMO_USAGE_UNKNOWN);
    CU_ASSERT_EQUAL(w.now.disk_read_bytes, PMO_USAGE_UNKNOWN);
    CU_ASSERT_EQUAL(w.now.disk_written_bytes, PMO_USAGE_UNKNOWN);
    put(directory, "memory.current", "max\n");
    CU_ASSERT_EQUAL(pmo_usage_read(w.instance, &w.now), -EINVAL);
    worker_end(&w);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

/* ---- from second to second --------------------------------------------------------------------
 */
static void what_is_not_known_in_one_reading_has_no_difference(void)
{
    struct pmo_usage_reading last = {.throttled_usec = 1000000, .open_files_most = 3},
                             now = {.throttled_usec = 1250000,
                                    .run_delay_ns = 500000000,
                                    .disk_read_bytes = 7,
                                    .disk_written_bytes = PMO_USAGE_UNKNOWN,
                                    .working_set_bytes = PMO_USAGE_UNKNOWN,
                                    .open_files = 40,
                                    .open_files_most = 30,
                                    .open_files_limit = 120};
    struct pmo_use use, sum = pmo_use_unknown;

    last.disk_read_bytes = PMO_USAGE_UNKNOWN;
    use = pmo_use_between(&last, &now);
    CU_ASSERT_DOUBLE_EQUAL(use.second.throttled_s, 0.25, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(use.second.run_delay_s, 0.5, 1e-9);
    CU_ASSERT_TRUE(isnan(use.second.disk_read_bytes) && isnan(use.second.disk_written_bytes));
    CU_ASSERT_TRUE(isnan(use.working_set_bytes));
    CU_ASSERT_EQUAL(use.open_files, 40);
    CU_ASSERT_EQUAL(use.open_files_ratio, 0.25);
    CU_ASSERT_TRUE(isnan(pmo_use_between(&now, &last).open_files_ratio)); /* a limit of 0 */
    CU_ASSERT_EQUAL(pmo_use_grown(5, 3), 0);

    pmo_use_add(&sum, &pmo_use_unknown);
    CU_ASSERT_TRUE(isnan(sum.second.throttled_s) && isnan(sum.open_files_ratio));
    pmo_use_add(&sum, &use);
    pmo_use_add(&sum, &pmo_use_unknown);
    pmo_use_add(&sum, &use);
    CU_ASSERT_DOUBLE_EQUAL(sum.second.throttled_s, 0.5, 1e-9);
    CU_ASSERT_TRUE(isnan(sum.second.disk_read_bytes));
    CU_ASSERT_EQUAL(sum.open_files, 80);
    CU_ASSERT_EQUAL(sum.open_files_ratio, 0.25);
}

/* In a child, as its limits are nobody else's. */
static void the_limit_of_descriptors_is_raised_for_the_agent_only(void)
{
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = 200};
    int status = -1;
    pid_t pid = fork();

    if (!pid) {
        int wrong = pmo_descriptors_restore() || setrlimit(RLIMIT_NOFILE, &limit);

        pmo_descriptors_raise();
        wrong |= getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur != 200;
        wrong |= pmo_descriptors_restore() || getrlimit(RLIMIT_NOFILE, &limit) ||
                 limit.rlim_cur != 100 || limit.rlim_max != 200;
        _exit(wrong);
    }
    (void)waitpid(pid, &status, 0);
    CU_ASSERT_EQUAL(status, 0);
}

SUITE(usage_figures) = {TEST(open_files_and_their_limit_are_read),
                        TEST(files_are_added_over_the_tree),
                        TEST(the_working_set_has_anonymous_memory_and_no_mapped_files),
                        TEST(what_is_written_to_and_read_from_a_disk_is_counted),
                        TEST(waits_for_a_cpu_are_those_of_all_threads),
                        TEST(waits_of_a_child_that_ended_are_kept),
                        TEST(throttled_time_of_a_cgroup_v1_is_read),
                        TEST(a_cgroup_v2_is_read),
                        TEST(the_working_set_of_a_cgroup_v1_is_without_inactive_files),
                        TEST(the_files_of_a_cgroup_v2_say_it_and_bad_ones_do_not),
                        TEST(what_is_not_known_in_one_reading_has_no_difference),
                        TEST(the_limit_of_descriptors_is_raised_for_the_agent_only),
                        TEST(a_reading_takes_some_tens_of_microseconds),
                        {0}};
