/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <errno.h>
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

static void cpu_time_of_a_cgroup_is_read_in_microseconds(void)
{
    uint64_t usec = 0;

    CU_ASSERT_EQUAL(pmo_cgroup_cpu_parse("usage_usec 1234567\nuser_usec 1\nsystem_usec 2\n", &usec),
                    0);
    CU_ASSERT_EQUAL(usec, 1234567);
    CU_ASSERT_EQUAL(pmo_cgroup_cpu_parse("", &usec), -EINVAL);
    CU_ASSERT_EQUAL(pmo_cgroup_cpu_parse("usage_usec \n", &usec), -EINVAL);
}

static void a_process_is_described_by_its_name(void)
{
    char command[64], cgroup[256];

    CU_ASSERT_EQUAL(pmo_process_describe(getpid(), command, cgroup), 0);
    CU_ASSERT_EQUAL(strncmp(command, program_invocation_short_name, 15), 0);
    CU_ASSERT_TRUE(!cgroup[0] || cgroup[0] == '/');
    CU_ASSERT_EQUAL(pmo_process_describe(INT_MAX, command, cgroup), -ESRCH);
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
                TEST(the_cgroup_v2_is_found_among_others),
                TEST(cpu_time_of_a_cgroup_is_read_in_microseconds),
                TEST(a_process_is_described_by_its_name),
                TEST(time_of_a_tree_includes_children_that_ended),
                TEST(time_never_falls_when_a_child_is_not_waited_for),
                {0}};
