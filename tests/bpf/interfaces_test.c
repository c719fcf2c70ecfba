/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Link events and network bytes, in network namespaces of their own. Needs root. */
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/observe/interfaces.h"
#include "agent/observe/process.h"
#include "agent/observe/usage.h"

#define USED_INSTANCES 200

/* Runs a test in a process with a network namespace of its own, so that nothing is left. */
static void in_namespace(void (*test)(void))
{
    unsigned int failures = CU_get_number_of_failures();
    int status = -1;
    pid_t pid = fork();

    if (!pid) {
        if (unshare(CLONE_NEWNET) < 0)
            _exit(99);
        test();
        _exit(CU_get_number_of_failures() > failures);
    }
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
}

struct seen {
    char text[4096]; /* "+name -name ..." */
};

static void note_change(void *context, int ifindex, const char *name, bool present)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);

    (void)snprintf(seen->text + used, sizeof(seen->text) - used, "%c%s ", present ? '+' : '-',
                   name);
}

/* Lets the loop handle what the kernel has queued already: netlink events are synchronous. */
static void turn(uv_loop_t *loop)
{
    for (int i = 0; i < 20; i++)
        (void)uv_run(loop, UV_RUN_NOWAIT);
}

static void follow_links(void)
{
    struct pmo_interfaces *interfaces = NULL;
    struct seen seen = {""};
    uv_loop_t loop;

    CU_ASSERT_EQUAL(uv_loop_init(&loop), 0);
    CU_ASSERT_EQUAL(system("ip link add before type veth peer name peer"), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_interfaces_start(&interfaces, &loop, note_change, &seen), 0);
    turn(&loop);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "+lo "));
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "+before "));

    seen.text[0] = '\0';
    CU_ASSERT_EQUAL(system("ip link set before up && ip link add one type veth peer name other"),
                    0);
    turn(&loop);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "+one "));
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "+other "));
    CU_ASSERT_PTR_NULL(strstr(seen.text, "before")); /* was known, and only went up */
    seen.text[0] = '\0';
    CU_ASSERT_EQUAL(system("ip link set one name two"), 0);
    turn(&loop);
    CU_ASSERT_STRING_EQUAL(seen.text, "+two ");
    seen.text[0] = '\0';
    CU_ASSERT_EQUAL(system("ip link del two"), 0);
    turn(&loop);
    CU_ASSERT_EQUAL(strlen(seen.text), strlen("-two -other "));
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "-two "));
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "-other "));

    pmo_interfaces_stop(&interfaces);
    turn(&loop);
    CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
}

/* More events than the socket's buffer holds, before the loop turns once. */
static void overflow_events(void)
{
    struct pmo_interfaces *interfaces = NULL;
    struct seen seen = {""};
    uv_loop_t loop;

    CU_ASSERT_EQUAL(uv_loop_init(&loop), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_interfaces_start(&interfaces, &loop, note_change, &seen), 0);
    turn(&loop);
    CU_ASSERT_EQUAL(system("ip link add gone type veth peer name also"), 0);
    turn(&loop);
    CU_ASSERT_EQUAL(system("for i in $(seq 60); do"
                           "  echo link add a$i type veth peer name b$i; echo link set a$i up;"
                           "  echo link del a$i; done | ip -batch -"
                           " && ip link del gone && ip link add last type veth peer name lost"),
                    0);
    for (int i = 0; i < 50; i++)
        turn(&loop);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "-gone "));
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.text, "+last "));
    pmo_interfaces_stop(&interfaces);
    turn(&loop);
    CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
}

static void send_datagrams(int count)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char bytes[1000] = {0};

    for (int i = 0; i < count; i++)
        (void)sendto(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&address, sizeof(address));
}

static void read_bytes(void)
{
    _cleanup_close_ int inside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct pmo_usage_reading before, after;
    struct pmo_usage_instance *instance = NULL;
    struct pmo_usage *usage = NULL;

    CU_ASSERT_EQUAL(system("ip link set lo up"), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_usage_new(&usage), 0);
    CU_ASSERT_EQUAL(unshare(CLONE_NEWNET), 0); /* read it from outside */
    CU_ASSERT_EQUAL_FATAL(pmo_usage_add(usage, getpid(), "", inside, "lo", &instance), 0);
    CU_ASSERT_EQUAL(pmo_usage_read(instance, &before), 0);
    CU_ASSERT_EQUAL(setns(inside, CLONE_NEWNET), 0);
    send_datagrams(10);
    CU_ASSERT_EQUAL(pmo_usage_read(instance, &after), 0);
    CU_ASSERT_TRUE(after.tx_bytes >= before.tx_bytes + 10 * 1000);
    CU_ASSERT_TRUE(after.rx_bytes >= before.rx_bytes + 10 * 1000);
    pmo_usage_free(&usage);
}

static void read_many(void)
{
    struct pmo_usage_instance *instances[USED_INSTANCES] = {NULL};
    struct pmo_usage *usage = NULL;
    struct timespec from, to;
    double ms;

    CU_ASSERT_EQUAL_FATAL(pmo_usage_new(&usage), 0);
    for (int i = 0; i < USED_INSTANCES; i++)
        CU_ASSERT_EQUAL_FATAL(pmo_usage_add(usage, getpid(), "", -1, "lo", &instances[i]), 0);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int second = 0; second < 10; second++) {
        CU_ASSERT_EQUAL(pmo_usage_tick(usage), 0);
        for (int i = 0; i < USED_INSTANCES; i++) {
            struct pmo_usage_reading reading;

            CU_ASSERT_EQUAL(pmo_usage_read(instances[i], &reading), 0);
        }
    }
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    ms = (double)(to.tv_sec - from.tv_sec) * 1e2 + (double)(to.tv_nsec - from.tv_nsec) / 1e7;
    printf("(%.2f ms a second) ", ms);
    (void)fflush(stdout);
#ifdef __SANITIZE_ADDRESS__
    ms /= 2;
#endif
    CU_ASSERT_TRUE(ms < 10 * suite_slower()); /* 1 % of a core */
    pmo_usage_free(&usage);
}

static void interfaces_are_followed_through_their_life(void)
{
    in_namespace(follow_links);
}

static void lost_events_are_made_up_for(void)
{
    in_namespace(overflow_events);
}

static void bytes_of_an_interface_in_a_namespace_are_read(void)
{
    in_namespace(read_bytes);
}

static void two_hundred_instances_take_less_than_a_percent_of_a_core(void)
{
    in_namespace(read_many);
}

static void burn_cpu(void)
{
    struct timespec used;

    do
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec == 0 && used.tv_nsec < 100000000);
}

/* Uses the mounted cgroup v2, where there is one that lets us make a group. */
static void an_own_cgroup_is_read_and_a_shared_one_is_not(void)
{
    char own[256], path[300];
    struct pmo_usage_instance *in_own = NULL, *in_shared = NULL;
    struct pmo_usage_reading cgroup, tree;
    struct pmo_usage *usage = NULL;
    int moved[2], done[2];
    char byte = 0;
    FILE *procs;
    pid_t pid;

    (void)snprintf(own, sizeof(own), "%s/pmo-test-%d", pmo_cgroup_mount(), getpid());
    if (!pmo_cgroup_mount()[0] || mkdir(own, 0755) < 0)
        return;
    CU_ASSERT_EQUAL_FATAL(pipe(moved) | pipe(done), 0);
    pid = fork();
    if (!pid) {
        (void)!read(moved[0], &byte, 1);
        burn_cpu();
        (void)!write(done[1], &byte, 1);
        for (;;)
            (void)pause();
    }
    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", own);
    procs = fopen(path, "we");
    CU_ASSERT_FATAL(procs && fprintf(procs, "%d", pid) > 0 && fclose(procs) == 0);
    CU_ASSERT_EQUAL_FATAL(pmo_usage_new(&usage), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_usage_add(usage, pid, own, -1, "", &in_own), 0);
    CU_ASSERT_EQUAL_FATAL(pmo_usage_add(usage, pid, pmo_cgroup_mount(), -1, "", &in_shared), 0);
    CU_ASSERT_EQUAL(write(moved[1], &byte, 1), 1);
    CU_ASSERT_EQUAL(read(done[0], &byte, 1), 1);
    CU_ASSERT_EQUAL(pmo_usage_read(in_shared, &tree), 0);
    CU_ASSERT_EQUAL(pmo_usage_read(in_own, &cgroup), 0);
    CU_ASSERT_TRUE(cgroup.cpu_usec > 50000 && tree.cpu_usec > 50000);
    CU_ASSERT_NOT_EQUAL(cgroup.cpu_usec % 10000,
                        0); /* finer than a clock tick: it is the cgroup's */
    CU_ASSERT_EQUAL(tree.cpu_usec % 10000, 0);
    CU_ASSERT_TRUE(cgroup.memory_bytes > 0 && tree.memory_bytes > 0);
    CU_ASSERT_TRUE(tree.open_files > 4 && tree.open_files < 10000); /* older kernels: counted */
    CU_ASSERT_EQUAL(cgroup.open_files, tree.open_files);
    CU_ASSERT_TRUE(tree.working_set_bytes > 0 && tree.working_set_bytes < tree.memory_bytes);

    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    for (int i = 0; i < 2; i++) {
        (void)close(moved[i]);
        (void)close(done[i]);
    }
    for (int i = 0; i < 100 && rmdir(own) < 0; i++)
        (void)usleep(10000);
    CU_ASSERT_EQUAL(pmo_usage_read(in_own, &cgroup), -ESRCH);
    CU_ASSERT_EQUAL(pmo_usage_read(in_shared, &tree), -ESRCH);
    pmo_usage_free(&usage);
}

SUITE(interfaces) = {TEST(interfaces_are_followed_through_their_life),
                     TEST(lost_events_are_made_up_for),
                     TEST(bytes_of_an_interface_in_a_namespace_are_read),
                     TEST(an_own_cgroup_is_read_and_a_shared_one_is_not),
                     TEST(two_hundred_instances_take_less_than_a_percent_of_a_core),
                     {0}};
