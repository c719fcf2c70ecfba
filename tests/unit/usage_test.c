/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <errno.h>
#include <math.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/observe/process.h"
#include "agent/observe/usage.h"

#define STAT_TAIL                                                                                  \
    " S 17 42 42 0 -1 4194560 10 20 30 40 500 60 7 8 20 0 1 0 12345 1000000 250 "                  \
    "18446744073709551615"

static void a_stat_line_gives_parent_time_and_memory(void)
{
    struct pmo_process_stat stat;

    CU_ASSERT_EQUAL_FATAL(pmo_process_stat_parse("42 (nginx)" STAT_TAIL, &stat), 0);
    CU_ASSERT_EQUAL(stat.parent, 17);
    CU_ASSERT_EQUAL(stat.cpu_ticks, 500 + 60 + 7 + 8);
    CU_ASSERT_EQUAL(stat.started_ticks, 12345);
    CU_ASSERT_EQUAL(stat.resident_pages, 250);
}

static void a_command_may_hold_spaces_and_parentheses(void)
{
    struct pmo_process_stat stat;

    CU_ASSERT_EQUAL(pmo_process_stat_parse("42 (a) R 1 (b))" STAT_TAIL, &stat), 0);
    CU_ASSERT_EQUAL(stat.parent, 17);
}

static void a_cut_stat_line_is_refused(void)
{
    const char text[] = "42 (nginx)" STAT_TAIL;
    const size_t enough = strstr(text, " 250") - text + 2;
    struct pmo_process_stat stat;
    char cut[sizeof(text)];

    for (size_t length = 0; length < enough; length++) {
        memcpy(cut, text, length);
        cut[length] = '\0';
        CU_ASSERT_EQUAL(pmo_process_stat_parse(cut, &stat), -EINVAL);
    }
}

static void the_cgroup_v2_is_found_among_others(void)
{
    char hybrid[] = "4:memory:/a\n1:name=systemd:/b\n0::/system.slice/nginx.service\n";
    char v1_only[] = "4:memory:/a\n";
    char none[] = "";

    CU_ASSERT_STRING_EQUAL(pmo_cgroup_parse(hybrid), "/system.slice/nginx.service");
    CU_ASSERT_PTR_NULL(pmo_cgroup_parse(v1_only));
    CU_ASSERT_PTR_NULL(pmo_cgroup_parse(none));
}

static void the_path_in_a_cgroup_v1_is_found_by_its_controller(void)
{
    static const char lines[] = "9:name=systemd:/s\n4:cpu,cpuacct:/pmo/front-1\n3:cpuset:/b\n"
                                "bad\n2:memory\n0::/v2\n";
    char text[sizeof(lines)];

    CU_ASSERT_STRING_EQUAL(pmo_cgroup_v1_parse(strcpy(text, lines), "cpu"), "/pmo/front-1");
    CU_ASSERT_STRING_EQUAL(pmo_cgroup_v1_parse(strcpy(text, lines), "cpuacct"), "/pmo/front-1");
    CU_ASSERT_STRING_EQUAL(pmo_cgroup_v1_parse(strcpy(text, lines), "cpuset"), "/b");
    CU_ASSERT_PTR_NULL(pmo_cgroup_v1_parse(strcpy(text, lines), "memory")); /* no path */
    CU_ASSERT_PTR_NULL(pmo_cgroup_v1_parse(strcpy(text, lines), "blkio"));
    CU_ASSERT_PTR_NULL(pmo_cgroup_v1_parse(strcpy(text, ""), "cpu"));
}

static void a_line_is_found_by_its_whole_key(void)
{
    static const char stat[] = "usage_usec 1234567\nuser_usec 1\nnr_throttled 4\n"
                               "throttled_usec 18446744073709551615\n";
    static const char io[] = "rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\n"
                             "cancelled_write_bytes: 5\n";
    uint64_t value = 0;

    CU_ASSERT_EQUAL(pmo_line_number(stat, "usage_usec", &value), 0);
    CU_ASSERT_EQUAL(value, 1234567);
    CU_ASSERT_EQUAL(pmo_line_number(stat, "throttled_usec", &value), 0);
    CU_ASSERT_EQUAL(value, UINT64_MAX);
    CU_ASSERT_EQUAL(pmo_line_number(io, "write_bytes:", &value), 0);
    CU_ASSERT_EQUAL(value, 8192);
    CU_ASSERT_EQUAL(
        pmo_line_number("total_inactive_file 1\ninactive_file 2\n", "inactive_file", &value), 0);
    CU_ASSERT_EQUAL(value, 2);
}

static void a_bad_line_is_no_zero(void)
{
    static const char *const bad[] = {
        "",
        "n\n",
        "n \n",
        "n 12",
        "n -1\n",
        "n +1\n",
        "n x\n",
        "n 1x\n",
        "nn 1\n",
        "m 1\nxn 1\n",
        "n 18446744073709551616\n",
    };
    uint64_t value;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CU_ASSERT_EQUAL(pmo_line_number(bad[i], "n", &value), -EINVAL);
}

static void anonymous_pages_are_resident_less_shared(void)
{
    static const char *const bad[] = {
        "", "\n", "9", "9 5\n", "9 5 2", "9 -5 2 1\n", "9 5 x 1\n", "9 99999999999999999999 2 1\n"};
    uint64_t pages = 0;

    CU_ASSERT_EQUAL(pmo_process_statm_parse("900 50 20 7 0 99 0\n", &pages), 0);
    CU_ASSERT_EQUAL(pages, 30);
    CU_ASSERT_EQUAL(pmo_process_statm_parse("900 50 51 7 0 99 0\n", &pages), 0);
    CU_ASSERT_EQUAL(pages, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CU_ASSERT_EQUAL(pmo_process_statm_parse(bad[i], &pages), -EINVAL);
}

static void bytes_of_all_devices_are_added(void)
{
    static const char *const bad[] = {"8:0 rbytes=1 wbytes=2", "8:0 rbytes=1\n8:1 wbytes=2\n",
                                      "8:0 rbytes=x wbytes=2\n", "8:0 rbytes=1 wbytes=-2\n",
                                      "8:0 rbytes= wbytes=2\n"};
    uint64_t read = 7, written = 7;

    CU_ASSERT_EQUAL(pmo_cgroup_io_parse("8:16 rbytes=1000 wbytes=20 rios=1 wios=2 dbytes=9 dios=1\n"
                                        "7:0 \n"
                                        "8:0 rbytes=500 wbytes=3 rios=1 wios=2 dbytes=0 dios=0\n",
                                        &read, &written),
                    0);
    CU_ASSERT_EQUAL(read, 1500);
    CU_ASSERT_EQUAL(written, 23);
    CU_ASSERT_EQUAL(pmo_cgroup_io_parse("", &read, &written), 0); /* nothing was transferred yet */
    CU_ASSERT_EQUAL(read + written, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CU_ASSERT_EQUAL(pmo_cgroup_io_parse(bad[i], &read, &written), -EINVAL);
}

static void a_limit_is_quota_over_period(void)
{
    static const char *const none[] = {"max 100000\n", "-1\n 100000\n", "", "6000", "6000 0"};

    CU_ASSERT_DOUBLE_EQUAL(pmo_cpu_max_parse("6000 100000\n"), 0.06, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(pmo_cpu_max_parse("250000 100000"), 2.5, 1e-12);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        CU_ASSERT_TRUE(isnan(pmo_cpu_max_parse(none[i])));
}

static void a_text_that_does_not_fit_is_refused(void)
{
    char text[8];
    int fds[2];

    CU_ASSERT_EQUAL(pmo_read_again(-EACCES, text, sizeof(text)), -EACCES);
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    CU_ASSERT_EQUAL(pmo_read_again(fds[0], text, sizeof(text)), -ESPIPE);
    (void)close(fds[0]);
    (void)close(fds[1]);
    fds[0] = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(pmo_read_again(fds[0], text, sizeof(text)), -E2BIG);
    (void)close(fds[0]);
}

static void a_process_is_described_by_its_name(void)
{
    char command[64], cgroup[256];

    CU_ASSERT_EQUAL(pmo_process_describe(getpid(), command, cgroup), 0);
    CU_ASSERT_EQUAL(strncmp(command, program_invocation_short_name, 15), 0);
    CU_ASSERT_TRUE(!cgroup[0] || cgroup[0] == '/');
    CU_ASSERT_EQUAL(pmo_process_describe(INT_MAX, command, cgroup), -ESRCH);
}

static void a_process_that_was_given_the_pid_of_one_that_ended_is_another_one(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    CU_ASSERT_TRUE(pmo_process_was_there(getpid(), (uint64_t)now.tv_sec * 1000000000ULL));
    CU_ASSERT_FALSE(pmo_process_was_there(getpid(), 0)); /* it is younger than the machine */
    CU_ASSERT_FALSE(pmo_process_was_there(INT_MAX, (uint64_t)now.tv_sec * 1000000000ULL));
}

/* A process with a child that used some CPU time. Each step is told or asked for by one byte. */
struct family {
    pid_t parent;
    int done[2];    /* the child has worked; later: it is gone */
    int release[2]; /* lets the child end */
};

static void step(int fd)
{
    char byte;

    CU_ASSERT_EQUAL(read(fd, &byte, 1), 1);
}

static void burn_cpu(void)
{
    struct timespec used;

    do
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec == 0 && used.tv_nsec < 100000000);
}

static _Noreturn void run_family(const struct family *family, bool wait_for_child)
{
    char byte = 0;

    if (!wait_for_child)
        (void)signal(SIGCHLD, SIG_IGN); /* the kernel reaps, and the parent is not charged */
    if (!fork()) {
        burn_cpu();
        (void)!write(family->done[1], &byte, 1);
        (void)!read(family->release[0], &byte, 1);
        _exit(0);
    }
    (void)wait(NULL); /* until no child is left, also where they are ignored */
    (void)!write(family->done[1], &byte, 1);
    for (;;)
        (void)pause();
}

static void read_family(bool wait_for_child, struct pmo_usage_reading *alive,
                        struct pmo_usage_reading *ended)
{
    struct pmo_usage_instance *instance = NULL;
    struct pmo_usage_reading gone;
    struct pmo_usage *usage = NULL;
    struct family family;

    CU_ASSERT_EQUAL_FATAL(pipe(family.done) | pipe(family.release), 0);
    family.parent = fork();
    if (!family.parent)
        run_family(&family, wait_for_child);
    step(family.done[0]);
    CU_ASSERT_EQUAL_FATAL(pmo_usage_new(&usage), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_usage_add(usage, family.parent, "", -1, "", &instance), 0);
    CU_ASSERT_EQUAL(pmo_usage_tick(usage), 0);
    CU_ASSERT_EQUAL(pmo_usage_read(instance, alive), 0);
    CU_ASSERT_EQUAL(write(family.release[1], "", 1), 1);
    step(family.done[0]);
    CU_ASSERT_EQUAL(pmo_usage_read(instance, ended), 0);

    (void)kill(family.parent, SIGKILL);
    (void)waitpid(family.parent, NULL, 0);
    CU_ASSERT_EQUAL(pmo_usage_read(instance, &gone), -ESRCH);
    pmo_usage_remove(usage, &instance);
    CU_ASSERT_PTR_NULL(instance);
    pmo_usage_free(&usage);
    for (int i = 0; i < 2; i++) {
        (void)close(family.done[i]);
        (void)close(family.release[i]);
    }
}

static void time_of_a_tree_includes_children_that_ended(void)
{
    struct pmo_usage_reading alive, ended;

    read_family(true, &alive, &ended);
    CU_ASSERT_TRUE(alive.cpu_usec >= 80000); /* 100 ms, in ticks of 10 ms */
    CU_ASSERT_TRUE(ended.cpu_usec >= alive.cpu_usec && ended.cpu_usec < alive.cpu_usec + 80000);
    CU_ASSERT_TRUE(alive.memory_bytes > 100000);
    CU_ASSERT_TRUE(ended.memory_bytes < alive.memory_bytes);
}

static void time_never_falls_when_a_child_is_not_waited_for(void)
{
    struct pmo_usage_reading alive, ended;

    read_family(false, &alive, &ended);
    CU_ASSERT_TRUE(alive.cpu_usec >= 80000);
    CU_ASSERT_TRUE(ended.cpu_usec >= alive.cpu_usec && ended.cpu_usec < alive.cpu_usec + 80000);
}

SUITE(usage) = {TEST(a_stat_line_gives_parent_time_and_memory),
                TEST(a_command_may_hold_spaces_and_parentheses),
                TEST(a_cut_stat_line_is_refused),
                TEST(a_limit_is_quota_over_period),
                TEST(the_cgroup_v2_is_found_among_others),
                TEST(the_path_in_a_cgroup_v1_is_found_by_its_controller),
                TEST(a_line_is_found_by_its_whole_key),
                TEST(a_bad_line_is_no_zero),
                TEST(anonymous_pages_are_resident_less_shared),
                TEST(bytes_of_all_devices_are_added),
                TEST(a_text_that_does_not_fit_is_refused),
                TEST(a_process_is_described_by_its_name),
                TEST(a_process_that_was_given_the_pid_of_one_that_ended_is_another_one),
                TEST(time_of_a_tree_includes_children_that_ended),
                TEST(time_never_falls_when_a_child_is_not_waited_for),
                {0}};
