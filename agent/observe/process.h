/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes as /proc knows them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Fields of /proc/PID/stat (proc_pid_stat(5)). */
struct pmo_process_stat {
    pid_t parent;
    uint64_t cpu_ticks;     /* its own and of children it has waited for, user and system */
    uint64_t started_ticks; /* since boot */
    uint64_t resident_pages;
};

/* Returns 0, or -EINVAL for a text that is not such a line. */
int pmo_process_stat_parse(const char *text, struct pmo_process_stat *stat);

/* Returns 0, or -ESRCH (no such process), or another negative errno; none is logged. */
int pmo_process_stat_read(pid_t pid, struct pmo_process_stat *stat);

/* Whether there is a process with this pid that was there at a time (CLOCK_MONOTONIC): one that was
 * given the pid of one that ended was not. */
bool pmo_process_was_there(pid_t pid, uint64_t time_ns);

/* Pages of /proc/PID/statm (proc_pid_statm(5)) that are neither of a file nor of shared memory:
 * resident less shared. Returns 0 or -EINVAL. */
int pmo_process_statm_parse(const char *text, uint64_t *anonymous_pages);

/* Reads a file from its start again. Returns 0, or a negative errno: @fd itself where that is
 * negative, -E2BIG for a text that does not fit, -ESRCH for a file of a process that is gone. */
int pmo_read_again(int fd, char *text, size_t room);

/* A whole number of 64 bits, without a sign and with white space behind it: a text that was cut has
 * nothing there. Returns 0 or -EINVAL. */
int pmo_number_parse(const char *text, uint64_t *value);

/* The number in the line that begins with a key: "write_bytes: 17", "throttled_usec 5". Returns 0,
 * or -EINVAL where there is no such line, or no whole number of 64 bits in it. */
int pmo_line_number(const char *text, const char *key, uint64_t *value);

/**
 * pmo_process_describe - name and cgroup of a process
 * @command: as in /proc/PID/comm
 * @cgroup: absolute path of its cgroup v2 directory; "" where there is no cgroup v2, the path is
 * too long or the process is outside of what this mount shows Returns 0, or -ESRCH (no such
 * process), or another negative errno; none is logged.
 */
int pmo_process_describe(pid_t pid, char command[64], char cgroup[256]);

/* The text of /proc/PID/cgroup. Returns 0, or -ESRCH or another negative errno; none is logged. */
int pmo_process_cgroups(pid_t pid, char *text, size_t room);

/**
 * pmo_cgroup_by_id - path of a cgroup v2, also when the process is gone that was known to be in it
 * @path: below the mount, "/system.slice/nginx.service"
 * Returns 0, -ESTALE where there is none with this id any more, or another negative errno; none is
 * logged.
 */
int pmo_cgroup_by_id(uint64_t id, char path[256]);

/* A process that is in the cgroup v2 of this path below the mount; 0: none. */
pid_t pmo_cgroup_process(const char *path);

/* Where cgroup v2 is mounted ("/sys/fs/cgroup"), "" where it is not. Asked once. */
const char *pmo_cgroup_mount(void);

/* Path of the cgroup v2 in the text of /proc/PID/cgroup; NULL where there is none. Cuts the text.
 */
const char *pmo_cgroup_parse(char *text);

/* The same of the cgroup v1 hierarchy that has a controller: "cpu" */
const char *pmo_cgroup_v1_parse(char *text, const char *controller);

/* Absolute path of a process's directory in that hierarchy, "" where there is none, it is its root
 * or the path is too long. Returns 0, or -ESRCH or another negative errno; none is logged. */
int pmo_cgroup_v1(pid_t pid, const char *controller, char directory[256]);

/* Sums over the devices of an io.stat file (kernel: Documentation/admin-guide/cgroup-v2.rst); it is
 * empty before the first transfer. Returns 0 or -EINVAL. */
int pmo_cgroup_io_parse(const char *text, uint64_t *read_bytes, uint64_t *written_bytes);
