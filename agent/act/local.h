/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the local backend: local.c decides how many instances there are, instance.c leads each
 * one through its stages. What moves an instance on is its process's end (a pidfd), the outcome of
 * a probe, or a tick of 100 ms that runs only while something is under way:
 *
 *   PROBING --probe passed--> SERVING --scale down--> DRAINING --idle, or time over--> TERMINATING
 *   (SIGTERM) --5 s--> KILLED (SIGKILL to the cgroup); and from each, when the process has ended,
 *   to ENDED, in which everything that was made for it is removed.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include "agent/act/backend.h"
#include "agent/act/cgroup.h"
#include "agent/act/exec_probe.h"
#include "agent/act/network.h"
#include "agent/act/probe.h"
#include "agent/act/record.h"
#include "agent/act/service.h"

enum pmo_local_stage { PROBING, SERVING, DRAINING, TERMINATING, KILLED, ENDED };

/* The instances of one service. */
struct pmo_local_fleet {
    const struct pmo_local_service *service; /* for instances to come */
    bool adopted;                            /* an earlier agent ran it */
    uint32_t wanted;
    uint32_t held;    /* replacements that wait until `held_until_s` */
    uint32_t crashes; /* in a row */
    double held_until_s;
    char last_crash[80]; /* how that instance ended */
};

struct pmo_local_instance {
    struct pmo_backend_instance public;
    struct pmo_backend *backend;
    struct pmo_local_fleet *fleet;
    enum pmo_local_stage stage;
    double stage_since_s;
    uint16_t number;       /* in the mesh */
    uint64_t memory_bytes; /* its limit, 0: none */
    int pidfd;
    uv_poll_t ended; /* watches pidfd */
    struct pmo_probe *probe;
    struct pmo_exec_probe *exec_probe;
    bool probe_complained; /* that the command cannot be run */
    double next_probe_s;
    struct pmo_local_instance *next;
};

struct pmo_backend {
    uv_loop_t *loop;
    uv_timer_t *tick;  /* on the heap: it outlives the backend until the loop has closed it */
    uv_timer_t *bound; /* likewise; bounds the logs */
    struct pmo_backend_events events;
    struct pmo_local_services services;
    struct pmo_local_fleet *fleets; /* one for each service */
    struct pmo_network *network;
    struct pmo_cgroups *cgroups;
    struct pmo_local_instance *instances; /* list, oldest first */
    uint16_t last_number;
    char records[PATH_MAX - 128]; /* directories */
    char logs[PATH_MAX - 128];
    char wanted[PATH_MAX - 128]; /* file */
};

/* CLOCK_MONOTONIC */
double pmo_local_now_s(void);
/* Sees to it that the tick runs, until nothing is under way. */
void pmo_local_wake(struct pmo_backend *backend);
void pmo_local_tick(uv_timer_t *timer);
struct pmo_local_instance *pmo_local_find(struct pmo_backend *backend, const char *name);

/* Makes and reports an instance. Returns 0, or a negative errno, logged: then a replacement is held
 * back for a while. */
int pmo_local_instance_start(struct pmo_backend *backend, struct pmo_local_fleet *fleet);
/* Takes over one of an earlier agent. Returns -ENOENT, not logged, where any part is missing. */
int pmo_local_instance_adopt(struct pmo_backend *backend, struct pmo_local_fleet *fleet,
                             const char *name, const struct pmo_record *record);
/* Drains it if it is ready, and stops it. @why: for its reason */
void pmo_local_instance_stop(struct pmo_local_instance *instance, const char *why);
/* Collects its process, and completes its reason with how that ended. */
void pmo_local_instance_reap(struct pmo_local_instance *instance);
/* Whether it was asked to stop or has ended: it does not count any more. */
bool pmo_local_instance_is_stopping(const struct pmo_local_instance *instance);
void pmo_local_instance_advance(struct pmo_local_instance *instance);
/* When its processes are no more: removes the rest, reports it gone and forgets it. */
void pmo_local_instance_remove(struct pmo_local_instance *instance);
/* Drops it from the list; its memory is freed when the loop has closed its watcher. */
void pmo_local_instance_forget(struct pmo_local_instance *instance);
