/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local backend with real processes, namespaces and control groups. The program that its
 * instances run is this test runner itself, which serves instead of testing when SERVE_VARIABLE is
 * in its environment.
 */
#include "tests/unit/suite.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/act/backend.h"
#include "agent/base/log.h"

#define SERVE_VARIABLE "PMO_LOCAL_TEST_SERVE"
#define PORT           8080
#define KEPT           64

/* ---- the instances' program ---- */

__attribute__((constructor)) static void serve(void)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    const char *how = getenv(SERVE_VARIABLE);
    char request[2048];
    int listener, one = 1;

    if (!how)
        return;
    if (!strcmp(how, "deaf"))
        (void)signal(SIGTERM, SIG_IGN);
    (void)usleep(200000);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 16) < 0)
        _exit(1);
    for (;;) {
        int connection = accept(listener, NULL, NULL);

        if (read(connection, request, sizeof(request)) > 0 &&
            write(connection, answer, sizeof(answer) - 1) < 0)
            _exit(1);
        (void)close(connection);
    }
}

/* ---- an agent, as far as the backend needs one ---- */

struct agent {
    uv_loop_t loop;
    struct pmo_backend *backend;
    struct pmo_file *file;
    struct pmo_backend_instance instances[KEPT]; /* by name, the last report of each */
    size_t count;
    bool busy; /* what idle() denies */
};

static char state_dir[] = "/tmp/pmo-local-test-XXXXXX";

static void on_instance(void *context, const struct pmo_backend_instance *instance)
{
    struct agent *agent = context;
    size_t i = 0;

    while (i < agent->count && strcmp(agent->instances[i].name, instance->name) != 0)
        i++;
    if (i == KEPT)
        return;
    agent->instances[i] = *instance;
    agent->count += i == agent->count;
}

static bool is_idle(void *context, const struct pmo_backend_instance *instance)
{
    return !((struct agent *)context)->busy;
}

static size_t count(const struct agent *agent, enum pmo_instance_phase phase)
{
    size_t n = 0;

    for (size_t i = 0; i < agent->count; i++)
        n += agent->instances[i].phase == phase;
    return n;
}

static const struct pmo_backend_instance *find(const struct agent *agent, const char *name)
{
    for (size_t i = 0; i < agent->count; i++)
        if (!strcmp(agent->instances[i].name, name))
            return &agent->instances[i];
    return NULL;
}

static double now_s(void)
{
    return (double)uv_hrtime() / 1e9;
}

static void wake(uv_timer_t *timer)
{
}

static void pause_ms(struct agent *agent, unsigned int ms)
{
    double until_s = now_s() + ms / 1000.0;
    uv_timer_t timer;

    (void)uv_timer_init(&agent->loop, &timer);
    (void)uv_timer_start(&timer, wake, 10, 10);
    while (now_s() < until_s)
        (void)uv_run(&agent->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&agent->loop, UV_RUN_NOWAIT);
}

/* Runs the loop until so many instances are in a phase, for 10 s at most. */
static bool reaches(struct agent *agent, enum pmo_instance_phase phase, size_t n)
{
    for (double until_s = now_s() + 10; now_s() < until_s; pause_ms(agent, 10))
        if (count(agent, phase) == n)
            return true;
    return false;
}

static int open_agent(struct agent *agent, const char *serving, const char *more)
{
    struct pmo_backend_events events = {agent, on_instance, is_idle};
    char text[1024];

    *agent = (struct agent){0};
    (void)snprintf(text, sizeof(text),
                   "apiVersion: pmo.dev/v1alpha1\n"
                   "kind: LocalService\n"
                   "metadata: {name: shop}\n"
                   "spec:\n"
                   "  address: 198.18.0.11:80\n"
                   "  port: %d\n"
                   "  command: [/proc/self/exe]\n"
                   "  environment: {" SERVE_VARIABLE ": %s}\n"
                   "  replicas: 0\n"
                   "  drain: 2s\n"
                   "  cpu: 50%%\n"
                   "%s",
                   PORT, serving, more);
    (void)uv_loop_init(&agent->loop);
    if (pmo_file_parse(&agent->file, "test.yaml", text, strlen(text), NULL, NULL) < 0)
        return -EINVAL;
    return pmo_backend_local.open(&agent->backend, &agent->loop, agent->file, state_dir, &events);
}

static void close_agent(struct agent *agent, bool leave)
{
    pmo_backend_local.close(&agent->backend, leave);
    pmo_file_free(&agent->file);
    (void)uv_run(&agent->loop, UV_RUN_DEFAULT);
    CU_ASSERT_EQUAL(uv_loop_close(&agent->loop), 0);
}

/* ---- what is in the world ---- */

static size_t entries(const char *path, const char *prefix)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    size_t n = 0;

    while (directory && (entry = readdir(directory)))
        n += entry->d_name[0] != '.' && !strncmp(entry->d_name, prefix, strlen(prefix));
    if (directory)
        (void)closedir(directory);
    return n;
}

static const char *cgroup_root(void)
{
    static char path[256];
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    const struct mntent *mount;

    while (!*path && mounts && (mount = getmntent(mounts)))
        if (!strcmp(mount->mnt_type, "cgroup2"))
            (void)snprintf(path, sizeof(path), "%s/pmo", mount->mnt_dir);
    if (mounts)
        (void)endmntent(mounts);
    return path;
}

static bool nothing_is_left(void)
{
    char records[64];

    (void)snprintf(records, sizeof(records), "%s/instances", state_dir);
    return !entries("/run/netns", "pmo-shop-") && access("/run/netns/pmo-mesh", F_OK) < 0 &&
           !if_nametoindex("pmo-host") && access(cgroup_root(), F_OK) < 0 &&
           access(records, F_OK) < 0;
}

static bool answers(const struct pmo_backend_instance *instance)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(instance->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[16] = "";
    bool right;

    memcpy(&to.sin_addr, instance->addr + 12, 4);
    right = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && write(fd, "GET", 3) == 3 &&
            read(fd, answer, sizeof(answer) - 1) > 0 && !strncmp(answer, "HTTP/1.1 200", 12);
    (void)close(fd);
    return right;
}

static bool process_is_in(const struct pmo_backend_instance *instance)
{
    char path[64], cgroup[512] = "", line[512];
    struct stat process, namespace;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", instance->pid);
    if (stat(path, &process) < 0 || fstat(instance->netns_fd, &namespace) < 0 ||
        process.st_ino != namespace.st_ino)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", instance->pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "0::%511s", cgroup) == 1)
            break;
    if (file)
        (void)fclose(file);
    return strlen(cgroup) > 5 && strstr(instance->cgroup, cgroup) &&
           !access(instance->cgroup, F_OK);
}

/* Whoever its parent is. */
static void kill_at_once(pid_t pid)
{
    struct pollfd fd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

    (void)kill(pid, SIGKILL);
    (void)poll(&fd, 1, 1000);
    (void)close(fd.fd);
}

static void ignore(void *context, const char *file, size_t line, size_t column, const char *message)
{
}

/* ---- the tests ---- */

static void instances_come_and_go_as_asked(void)
{
    struct agent agent;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    CU_ASSERT_EQUAL(agent.count, 0);
    CU_ASSERT_STRING_EQUAL(pmo_backend_local.service(agent.backend, 0)->name, "shop");
    CU_ASSERT_PTR_NULL(pmo_backend_local.service(agent.backend, 1));
    CU_ASSERT_EQUAL(pmo_backend_local.scale(agent.backend, "other", 1), -ENOENT);
    CU_ASSERT_EQUAL(pmo_backend_local.scale(agent.backend, "shop", 3), 0);
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_STARTING), 3);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 3));
    for (size_t i = 0; i < agent.count; i++) {
        CU_ASSERT(answers(&agent.instances[i]));
        CU_ASSERT(process_is_in(&agent.instances[i]));
        CU_ASSERT(agent.instances[i].netns != 0);
        CU_ASSERT(agent.instances[i].ready_s > agent.instances[i].ordered_s + 0.1);
    }
    CU_ASSERT_EQUAL(entries("/run/netns", "pmo-shop-"), 3);
    CU_ASSERT_EQUAL(pmo_backend_local.scale(agent.backend, "shop", 1), 0);
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_DRAINING), 2);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_GONE, 2));
    CU_ASSERT_EQUAL(find(&agent, "shop-1")->phase, PMO_INSTANCE_READY); /* the oldest stays */
    CU_ASSERT_EQUAL(entries("/run/netns", "pmo-shop-"), 1);
    CU_ASSERT_EQUAL(pmo_backend_local.scale(agent.backend, "shop", 0), 0);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_GONE, 3));
    CU_ASSERT_EQUAL(entries(cgroup_root(), "shop-"), 0);
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static void a_starting_instance_is_stopped_before_a_ready_one(void)
{
    struct agent agent;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 1);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 1));
    (void)pmo_backend_local.scale(agent.backend, "shop", 2);
    (void)pmo_backend_local.scale(agent.backend, "shop", 1);
    CU_ASSERT_EQUAL(find(&agent, "shop-1")->phase, PMO_INSTANCE_READY);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_GONE, 1));
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static void a_busy_instance_is_drained_before_it_is_stopped(void)
{
    struct agent agent;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 1);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 1));
    agent.busy = true;
    (void)pmo_backend_local.scale(agent.backend, "shop", 0);
    pause_ms(&agent, 1000);
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_DRAINING), 1);
    CU_ASSERT(answers(&agent.instances[0]));
    pause_ms(&agent, 1500); /* `drain` is 2 s */
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_GONE), 1);
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static void a_killed_instance_is_replaced(void)
{
    struct agent agent;
    pid_t killed;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 2);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 2));
    killed = find(&agent, "shop-1")->pid;
    (void)kill(killed, SIGKILL);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_GONE, 1));
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 2));
    CU_ASSERT_NOT_EQUAL(find(&agent, "shop-1")->pid, killed);
    CU_ASSERT(answers(find(&agent, "shop-1")));
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static void an_http_probe_asks_for_its_path(void)
{
    struct agent agent;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", "  readiness: {path: /ready}\n"), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 1);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 1));
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

/* Its network namespace and cgroup are the instance's; what takes too long is killed. */
static void a_command_probe_runs_where_the_instance_runs(void)
{
    static const char script[] =
        "  readiness: {interval: 100ms, timeout: 300ms, exec: {command: [sh, -c, \""
        "grep -q :1F90 /proc/net/tcp && grep -q pmo/shop-1 /proc/self/cgroup || exec sleep "
        "60\"]}}\n"
        "  memory: 64MiB\n";
    struct agent agent;
    size_t processes = 0;
    char path[300], line[64];
    FILE *procs;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", script), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 1);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 1));
    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", find(&agent, "shop-1")->cgroup);
    procs = fopen(path, "re");
    while (procs && fgets(line, sizeof(line), procs))
        processes++;
    if (procs)
        (void)fclose(procs);
    CU_ASSERT_EQUAL(processes, 1);
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static int reload(struct agent *agent, const char *spec, char restart[256])
{
    struct pmo_file *file = NULL;
    char text[512];
    int r;

    (void)snprintf(text, sizeof(text), "apiVersion: pmo.dev/v1alpha1\nkind: LocalService\n%s",
                   spec);
    restart[0] = '\0';
    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&file, "test.yaml", text, strlen(text), ignore, NULL), 0);
    r = pmo_backend_local.reload(agent->backend, file, restart, 256);
    pmo_file_free(&file);
    return r;
}

static void new_documents_are_for_instances_to_come(void)
{
    struct agent agent;
    char restart[256];

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 1);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 1));
    CU_ASSERT_EQUAL(reload(&agent, "metadata: {name: shop}\nspec: {port: x}\n", restart), -EINVAL);
    CU_ASSERT_EQUAL(reload(&agent,
                           "metadata: {name: shop}\nspec: {address: '198.18.0.12:80', port: 8080, "
                           "command: [/none]}\n---\napiVersion: pmo.dev/v1alpha1\n"
                           "kind: LocalService\nmetadata: {name: more}\n"
                           "spec: {address: '198.18.0.13:80', port: 1, command: [a]}\n",
                           restart),
                    0);
    CU_ASSERT_STRING_EQUAL(restart, "service more is new, the address of service shop");
    (void)pmo_backend_local.scale(agent.backend, "shop", 2);
    pause_ms(&agent, 100);
    CU_ASSERT_EQUAL(find(&agent, "shop-1")->phase, PMO_INSTANCE_READY);
    CU_ASSERT(answers(find(&agent, "shop-1")));
    CU_ASSERT_PTR_NOT_NULL(strstr(find(&agent, "shop-2")->reason, "cannot run /none"));
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static void an_instance_deaf_to_sigterm_is_killed_when_the_backend_closes(void)
{
    struct agent agent;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "deaf", ""), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 2);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 2));
    close_agent(&agent, false);
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_GONE), 2);
    CU_ASSERT(nothing_is_left());
}

static void left_instances_serve_on_and_are_adopted_as_ready(void)
{
    struct pmo_backend_instance before;
    struct agent agent;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 1);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 1));
    before = agent.instances[0];
    close_agent(&agent, true);
    CU_ASSERT(answers(&before));
    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_READY), 1); /* reported by open() itself */
    CU_ASSERT_EQUAL(agent.instances[0].pid, before.pid);
    CU_ASSERT_EQUAL(agent.instances[0].netns, before.netns);
    CU_ASSERT_EQUAL(agent.instances[0].ordered_s, before.ordered_s);
    CU_ASSERT_EQUAL(memcmp(agent.instances[0].addr, before.addr, 16), 0);
    pause_ms(&agent, 500);
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_READY), 1);
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

/* A second agent in a process of its own: scales, says so on the pipe, and waits to be killed. */
static pid_t fork_agent(uint32_t replicas, int *ready_fd)
{
    static struct agent agent;
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    pid = fork();
    if (pid) {
        (void)close(fds[1]);
        *ready_fd = fds[0];
        return pid;
    }
    if (open_agent(&agent, "yes", "") < 0)
        _exit(1);
    (void)pmo_backend_local.scale(agent.backend, "shop", replicas);
    if (!reaches(&agent, PMO_INSTANCE_READY, replicas) || write(fds[1], "", 1) < 0)
        _exit(1);
    for (;;)
        pause_ms(&agent, 1000);
}

static void after_kill_9_of_the_agent_the_next_one_adopts_what_lives_and_replaces_the_rest(void)
{
    struct agent agent;
    int fd = -1;
    pid_t pid;
    char byte;

    pid = fork_agent(3, &fd);
    CU_ASSERT_EQUAL_FATAL(read(fd, &byte, 1), 1);
    CU_ASSERT_EQUAL(open_agent(&agent, "yes", ""), -EBUSY); /* while the other one lives */
    pmo_file_free(&agent.file);
    (void)uv_run(&agent.loop, UV_RUN_DEFAULT);
    CU_ASSERT_EQUAL(uv_loop_close(&agent.loop), 0);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    (void)close(fd);
    CU_ASSERT_EQUAL(entries("/run/netns", "pmo-shop-"), 3);
    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_READY), 3);
    for (size_t i = 0; i < agent.count; i++)
        CU_ASSERT(answers(&agent.instances[i]));
    (void)kill(find(&agent, "shop-2")->pid, SIGKILL); /* adopted ones are watched too */
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_GONE, 1));
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 3));
    pid = find(&agent, "shop-3")->pid;
    close_agent(&agent, true);
    kill_at_once(pid); /* while no agent is there */
    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 3));
    CU_ASSERT_NOT_EQUAL(find(&agent, "shop-3")->pid, pid);
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

/* An order that could not be carried out any more is, by the next agent. */
static void what_was_ordered_is_there_after_the_agent_died(void)
{
    struct agent agent;
    char record[64];
    pid_t pid;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 2);
    pid = find(&agent, "shop-2")->pid;
    close_agent(&agent, true);
    (void)snprintf(record, sizeof(record), "%s/instances/shop-2", state_dir);
    CU_ASSERT_EQUAL(unlink(record), 0); /* as if it had never come to it */
    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    CU_ASSERT(reaches(&agent, PMO_INSTANCE_READY, 2));
    CU_ASSERT_NOT_EQUAL(find(&agent, "shop-2")->pid, pid);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static void remains_without_a_record_are_removed(void)
{
    struct agent agent;
    char record[64], wanted[64];
    pid_t pid;

    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    (void)pmo_backend_local.scale(agent.backend, "shop", 1);
    pid = agent.instances[0].pid;
    close_agent(&agent, true);
    (void)snprintf(record, sizeof(record), "%s/instances/shop-1", state_dir);
    CU_ASSERT_EQUAL(unlink(record), 0);
    (void)snprintf(wanted, sizeof(wanted), "%s/wanted", state_dir);
    CU_ASSERT_EQUAL(unlink(wanted), 0);
    CU_ASSERT_EQUAL_FATAL(open_agent(&agent, "yes", ""), 0);
    CU_ASSERT_EQUAL(agent.count, 0);
    CU_ASSERT_EQUAL(entries("/run/netns", "pmo-shop-"), 0);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid); /* killed; this process started it */
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static void a_program_that_cannot_run_is_tried_again_later(void)
{
    struct pmo_backend_status status;
    struct pmo_backend_events events;
    struct agent agent = {0};
    static const char text[] = "apiVersion: pmo.dev/v1alpha1\n"
                               "kind: LocalService\n"
                               "metadata: {name: shop}\n"
                               "spec: {address: '198.18.0.11:80', port: 8080, command: [/none]}\n";

    events = (struct pmo_backend_events){&agent, on_instance, is_idle};
    (void)uv_loop_init(&agent.loop);
    CU_ASSERT_EQUAL_FATAL(pmo_file_parse(&agent.file, "test.yaml", text, strlen(text), NULL, NULL),
                          0);
    CU_ASSERT_EQUAL_FATAL(
        pmo_backend_local.open(&agent.backend, &agent.loop, agent.file, state_dir, &events), 0);
    pause_ms(&agent, 1300); /* logs two complaints: now and after 1 s */
    CU_ASSERT_EQUAL(count(&agent, PMO_INSTANCE_GONE), 1);
    CU_ASSERT_STRING_EQUAL(find(&agent, "shop-1")->reason,
                           "cannot run /none: No such file or directory");
    CU_ASSERT_EQUAL(pmo_backend_local.status(agent.backend, "shop", &status), 0);
    CU_ASSERT_EQUAL(status.held, 1);
    CU_ASSERT_EQUAL(status.crashes, 2);
    CU_ASSERT_DOUBLE_EQUAL(status.retry_s, now_s() + 1.7, 0.5);
    CU_ASSERT_EQUAL(entries("/run/netns", "pmo-shop-"), 0);
    close_agent(&agent, false);
    CU_ASSERT(nothing_is_left());
}

static void its_files_can_be_made(void)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(state_dir));
}

static void nothing_but_logs_stays_behind(void)
{
    char logs[64], path[400];
    struct dirent *entry;
    DIR *directory;

    (void)snprintf(logs, sizeof(logs), "%s/logs", state_dir);
    directory = opendir(logs);
    CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
    while ((entry = readdir(directory))) {
        (void)snprintf(path, sizeof(path), "%s/%s", logs, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(directory);
    CU_ASSERT_EQUAL(rmdir(logs), 0);
    CU_ASSERT_EQUAL(rmdir(state_dir), 0);
}

SUITE(local) = {
    TEST(its_files_can_be_made),
    TEST(instances_come_and_go_as_asked),
    TEST(a_starting_instance_is_stopped_before_a_ready_one),
    TEST(a_busy_instance_is_drained_before_it_is_stopped),
    TEST(a_killed_instance_is_replaced),
    TEST(an_http_probe_asks_for_its_path),
    TEST(a_command_probe_runs_where_the_instance_runs),
    TEST(new_documents_are_for_instances_to_come),
    TEST(an_instance_deaf_to_sigterm_is_killed_when_the_backend_closes),
    TEST(left_instances_serve_on_and_are_adopted_as_ready),
    TEST(after_kill_9_of_the_agent_the_next_one_adopts_what_lives_and_replaces_the_rest),
    TEST(what_was_ordered_is_there_after_the_agent_died),
    TEST(remains_without_a_record_are_removed),
    TEST(a_program_that_cannot_run_is_tried_again_later),
    TEST(nothing_but_logs_stays_behind),
    {0},
};
