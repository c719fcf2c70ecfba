/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run time of BPF programs as the kernel accounts it (struct bpf_prog_info, run_time_ns).
 *
 *   bpf_time newest                       id of the newest program on this host
 *   bpf_time AFTER RESULT COMMAND [ARG]...  runs COMMAND, writes what the programs newer than AFTER
 *                                         took meanwhile to the file RESULT
 *
 * The accounting itself reads the clock twice, which takes longer than a small program does. So an
 * empty cgroup_skb program is attached for the time of the measurement, and its mean is taken off
 * each run of the others. Program ids only grow: "newer than" leaves out what other agents on this
 * host have loaded.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdbool.h>
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
    uint64_t runs, ns;
};

struct programs {
    struct program row[PROGRAMS_MAX];
    size_t count;
};

static uint32_t newest_id(void)
{
    uint32_t id = 0;

    while (!bpf_prog_get_next_id(id, &id))
        ;
    return id;
}

static void programs_read(struct programs *programs, uint32_t after)
{
    programs->count = 0;
    for (uint32_t id = after; !bpf_prog_get_next_id(id, &id) && programs->count < PROGRAMS_MAX;) {
        _cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
        struct program *p = &programs->row[programs->count];
        struct bpf_prog_info info = {};
        uint32_t size = sizeof(info);

        if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size))
            continue;
        *p = (struct program){.id = id, .runs = info.run_cnt, .ns = info.run_time_ns};
        (void)snprintf(p->name, sizeof(p->name), "%s", info.name);
        programs->count++;
    }
}

/* What was run since @before, per program; a program that came later counts from its beginning. */
static void programs_subtract(struct programs *programs, const struct programs *before)
{
    for (struct program *p = programs->row; p < programs->row + programs->count; p++)
        for (size_t i = 0; i < before->count; i++)
            if (before->row[i].id == p->id) {
                p->runs -= before->row[i].runs;
                p->ns -= before->row[i].ns;
            }
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

static void report(FILE *out, const struct programs *programs, uint32_t empty_id)
{
    double empty_ns = 0, net_ns = 0;

    for (const struct program *p = programs->row; p < programs->row + programs->count; p++)
        if (p->id == empty_id && p->runs)
            empty_ns = (double)p->ns / (double)p->runs;
    for (const struct program *p = programs->row; p < programs->row + programs->count; p++) {
        double net = (double)p->ns - (double)p->runs * empty_ns;

        if (p->id == empty_id || !p->runs)
            continue;
        net = net > 0 ? net : 0;
        net_ns += net;
        (void)fprintf(out, "program %s %lu %.0f\n", p->name, p->runs, net);
    }
    (void)fprintf(out, "empty_ns %.1f\nnet_ns %.0f\n", empty_ns, net_ns);
}

int main(int argc, char **argv)
{
    static struct programs before, after;
    _cleanup_fclose_ FILE *out = NULL;
    uint32_t newest;
    int empty_id, r;

    if (argc == 2 && !strcmp(argv[1], "newest")) {
        (void)printf("%u\n", newest_id());
        return 0;
    }
    if (argc < 4) {
        (void)fputs("usage: bpf_time newest | AFTER RESULT COMMAND [ARG]...\n", stderr);
        return 2;
    }
    newest = (uint32_t)strtoul(argv[1], NULL, 10);
    out = fopen(argv[2], "we");
    if (!out)
        return -pmo_err_r(errno, "cannot write %s", argv[2]);
    empty_id = empty_attach();
    if (empty_id < 0)
        return 1;
    if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0) /* off again when this process ends */
        return -pmo_err_r(errno, "cannot switch the accounting of BPF run time on");
    programs_read(&before, newest);
    r = command_run(argv + 3);
    programs_read(&after, newest);
    programs_subtract(&after, &before);
    report(out, &after, (uint32_t)empty_id);
    return r ? 1 : 0;
}
