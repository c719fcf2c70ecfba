/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What cannot be attached. The cgroup is one of the test's own, which a process takes for the root.
 */
#include "tests/unit/suite.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/observe/features.h"
#include "agent/observe/process.h"
#include "tests/bpf/world.h"

static struct world w;
static struct wire wire;

/* Runs a test in a process that sees a cgroup of its own where the root is. */
static void in_own_cgroup(void (*test)(void))
{
    unsigned int failures = CU_get_number_of_failures();
    char own[256], path[300];
    int status = -1;
    pid_t pid;

    (void)snprintf(own, sizeof(own), "%s/pmo-test-%d", pmo_cgroup_mount(), getpid());
    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", own);
    CU_ASSERT_EQUAL_FATAL(mkdir(own, 0755), 0);
    pid = fork();
    if (!pid) {
        FILE *procs = fopen(path, "we");

        if (!procs || fprintf(procs, "%d", getpid()) < 0 || fclose(procs) || unshare(CLONE_NEWNS) ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount(own, pmo_cgroup_mount(), NULL, MS_BIND, NULL))
            _exit(99);
        test();
        _exit(CU_get_number_of_failures() > failures);
    }
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
    for (int i = 0; i < 100 && rmdir(own) < 0; i++)
        (void)usleep(10000);
}

/* Attaches a program that lets connect() be, and no other beside it. */
static void connect_exclusive(void)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
    _cleanup_close_ int cgroup = open(pmo_cgroup_mount(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int program =
        bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "exclusive", "GPL", pass, 2, &opts);

    CU_ASSERT_EQUAL_FATAL(bpf_prog_attach(program, cgroup, BPF_CGROUP_INET4_CONNECT, 0), 0);
}

/* What standard error gets while @run runs. */
static void logged(void (*run)(void), char *text, size_t size)
{
    _cleanup_fclose_ FILE *log = tmpfile();
    int before = dup(STDERR_FILENO);
    size_t length;

    CU_ASSERT_FATAL(log && before >= 0 && dup2(fileno(log), STDERR_FILENO) >= 0);
    run();
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    rewind(log);
    length = fread(text, 1, size - 1, log);
    text[length] = '\0';
}

static void open_world(void)
{
    CU_ASSERT_TRUE_FATAL(world_open(&w));
}

static enum pmo_feature_state doctor_says(const char *name)
{
    static struct pmo_feature features[PMO_FEATURES_MAX];
    static struct pmo_host host;
    size_t count;

    pmo_host_probe(&host);
    count = pmo_features_judge(&host, features);
    CU_ASSERT_EQUAL(pmo_features_able(features, count), 1);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(features[i].name, name))
            return features[i].state;
    return -1;
}

static void count_without_service_addresses(void)
{
    char log[1024];

    CU_ASSERT_EQUAL(doctor_says("service addresses"), PMO_FEATURE_OK);
    connect_exclusive();
    CU_ASSERT_EQUAL(doctor_says("service addresses"), PMO_FEATURE_OFF);
    logged(open_world, log, sizeof(log));
    CU_ASSERT_PTR_NOT_NULL(strstr(log, "service addresses are off"));
    CU_ASSERT_PTR_EQUAL(strchr(log, '\n'), log + strlen(log) - 1); /* one line */
    CU_ASSERT_TRUE_FATAL(wire_open(&w, &wire, AF_INET));
    wire_request(&wire, "GET /here HTTP/1.1\r\n\r\n");
    wire_response(&wire, "HTTP/1.1 204 No Content\r\n\r\n");
    world_settle(&w);
    CU_ASSERT_EQUAL(world_requests(&w, (int)wire.instance, PMO_METHOD_GET, 2, "/here"), 1);
    wire_close(&wire);
    world_close(&w, false);
}

static void what_cannot_be_attached_is_off_and_the_rest_goes_on(void)
{
    in_own_cgroup(count_without_service_addresses);
}

SUITE(lacks) = {TEST(what_cannot_be_attached_is_off_and_the_rest_goes_on), {0}};
