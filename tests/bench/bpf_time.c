/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run time of BPF programs as the kernel accounts it (struct bpf_prog_info, run_time_ns).
 *
 *   bpf_time PID RESULT COMMAND [ARG]...
 *
 * runs COMMAND and writes to the file RESULT what the programs that process PID has loaded took
 * meanwhile: a line for each and their sum. The accounting itself reads the clock twice, which
 * takes longer than a small program does. So an empty cgroup_skb program is attached for the time
 * of the measurement, and its mean is taken off each run of the others.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/process.h"
#include "tests/bench/measure.h"

#define PROGRAMS_MAX 1024

struct program {
    uint32_t id;
    char name[BPF_OBJ_NAME_LEN];
    uint64_t runs, ns; /* since the beginning, then since the first reading */
};

/* Id of the program that a descriptor of a process stands for, 0 for any other descriptor. */
static uint32_t descriptor_program(const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    char line[128];
    uint32_t id;

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "prog_id: %u", &id) == 1)
            return id;
    return 0;
}

/* Fills in the programs that a process holds open. Returns how many. */
static size_t programs_of(const char *pid, struct program programs[PROGRAMS_MAX])
{
    char directory[64], path[320];
    struct dirent *entry;
    size_t count = 0;
    DIR *d;

    (void)snprintf(directory, sizeof(directory), "/proc/%s/fdinfo", pid);
    d = opendir(directory);
    while (d && count < PROGRAMS_MAX && (entry = readdir(d))) {
        uint32_t id;

        (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        id = descriptor_program(path);
        for (size_t i = 0; i < count; i++)
            if (programs[i].id == id)
                id = 0;
        if (id)
            programs[count++].id = id;
    }
    if (d)
        (void)closedir(d);
    return count;
}

/* Reads a program's counters, and takes off what it had before. */
static void program_read(struct program *program)
{
    _cleanup_close_ int fd = bpf_prog_get_fd_by_id(program->id);
    struct bpf_prog_info info = {};
    uint32_t size = sizeof(info);

    if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
        return;
    (void)snprintf(program->name, sizeof(program->name), "%s", info.name);
    program->runs = info.run_cnt - program->runs;
    program->ns = info.run_time_ns - program->ns;
}

/* A cgroup_skb program that lets everything pass, on all that leaves this host. Returns its id or a
 * negative errno; it stays attached until this process ends. */
static int empty_attach(void)
{
    static const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
        {.code = BPF_JMP | BPF_EXIT},
    };
    int cgroup = open(pmo_cgroup_mount(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int program = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "empty", "GPL", pass, 2, NULL);
    struct bpf_prog_info info = {};
    uint32_t size = sizeof(info);

    if (cgroup < 0 || program < 0 ||
        bpf_link_create(program, cgroup, BPF_CGROUP_INET_EGRESS, NULL) < 0 ||
        bpf_obj_get_info_by_fd(program, &info, &size))
        return pmo_err_r(errno, "cannot attach an empty BPF program");
    return (int)info.id;
}

static int command_run(char **command)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        (void)execvp(*command, command);
        (void)pmo_err_r(errno, "cannot run %s", *command);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return pmo_err_r(errno, "cannot run %s", *command);
    return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECHILD;
}

static void report(FILE *out, const struct program *programs, size_t count,
                   const struct program *empty)
{
    double empty_ns = empty->runs ? (double)empty->ns / (double)empty->runs : 0, sum_ns = 0;

    for (const struct program *p = programs; p < programs + count; p++) {
        double net_ns = fmax(0, (double)p->ns - (double)p->runs * empty_ns);

        if (p->runs)
            (void)fprintf(out, "program %s %lu %.0f\n", p->name, p->runs, net_ns);
        sum_ns += net_ns;
    }
    (void)fprintf(out, "net_ns %.0f\n", sum_ns);
}

int main(int argc, char **argv)
{
    static struct program programs[PROGRAMS_MAX];
    _cleanup_fclose_ FILE *out = NULL;
    struct program empty = {};
    size_t count;
    int id, r;

    if (argc < 4) {
        (void)fputs("usage: bpf_time PID RESULT COMMAND [ARG]...\n", stderr);
        return 2;
    }
    out = fopen(argv[2], "we");
    if (!out)
        return -pmo_err_r(errno, "cannot write %s", argv[2]);
    id = empty_attach();
    if (id < 0)
        return 1;
    empty.id = (uint32_t)id;
    if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0) /* off again when this process ends */
        return -pmo_err_r(errno, "cannot switch the accounting of BPF run time on");
    count = programs_of(argv[1], programs);
    for (size_t i = 0; i < count; i++)
        program_read(&programs[i]);
    program_read(&empty);
    r = command_run(argv + 3);
    for (size_t i = 0; i < count; i++)
        program_read(&programs[i]);
    program_read(&empty);
    report(out, programs, count, &empty);
    return r ? 1 : 0;
}
