/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process and its descendants use, summed over them from descriptors that stay open: four a
 * process. New processes are found by a search of /proc.
 *
 * What a process that ended had used stays in the sums. Its parent has it when it waits for it:
 * /proc/PID/stat (cutime) and /proc/PID/io both include children that were waited for, so there
 * even those count that came and went between two searches. Where nobody of the tree waits, what
 * was last seen is kept. For run_delay_ns that is all that can be kept: nobody inherits it, so
 * waits of a process that lived between two searches, or of its last second, are lost.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/observe/taskstats.h"

#define PMO_USAGE_UNKNOWN UINT64_MAX

/* What cannot be read of one process is PMO_USAGE_UNKNOWN for the tree. */
struct pmo_tree_reading {
    uint64_t cpu_usec;        /* proc_pid_stat(5): in steps of 10 ms */
    uint64_t run_delay_ns;    /* see agent/observe/taskstats.h */
    uint64_t resident_bytes;  /* shared pages count once a process */
    uint64_t anonymous_bytes; /* proc_pid_statm(5), resident less shared: without pages of files
                                 and of shared memory. RssAnon + RssShmem of /proc/PID/status would
                                 take six times as long, and count shared memory once a process. */
    uint64_t read_bytes, written_bytes; /* proc_pid_io(5): fetched from storage; made dirty, to be
                                           written to it */
    uint64_t open_files;                /* entries of /proc/PID/fd, over all processes */
    uint64_t open_files_most;           /* of the process that has most */
};

struct pmo_tree;
struct pmo_processes; /* every process of the host by its parent */

/* @pid: of the first process. Returns 0, or -ESRCH or another negative errno; the latter is
 * logged. */
int pmo_tree_new(struct pmo_tree **tree, pid_t pid);
/* Takes NULL, sets NULL. */
void pmo_tree_free(struct pmo_tree **tree);

/* Returns 0 or a negative errno, logged. */
int pmo_processes_list(struct pmo_processes **processes);
void pmo_processes_free(struct pmo_processes **processes);

/* Adds what descends from the tree's processes. One that was left by its parent stays. Returns 0 or
 * a negative errno. */
int pmo_tree_grow(struct pmo_tree *tree, const struct pmo_processes *processes);

/* True if a process was there at the last reading. */
bool pmo_tree_has(const struct pmo_tree *tree, pid_t pid);

/* @taskstats: NULL where there is none. Returns 0, or -ESRCH when all its processes are gone;
 * nothing is logged. */
int pmo_tree_read(struct pmo_tree *tree, struct pmo_taskstats *taskstats,
                  struct pmo_tree_reading *reading);
