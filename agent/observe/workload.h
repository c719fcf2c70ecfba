/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process is a part of, and what its service is called for that: the container or the
 * systemd unit that its cgroup belongs to, or nothing but its command. Pure: what runtimes and pods
 * tell of a container is in container.h.
 */
#pragma once

#include <stdint.h>

#define PMO_CONTAINER_ID 64 /* hexadecimal digits */

enum pmo_container_runtime {
    PMO_RUNTIME_UNKNOWN = 0, /* the path has the container's id only */
    PMO_RUNTIME_DOCKER,
    PMO_RUNTIME_PODMAN,
    PMO_RUNTIME_OTHER, /* containerd, CRI-O */
};

struct pmo_workload {
    char unit[256]; /* systemd service without ".service", "postgresql@15-main"; "": none */
    char container[PMO_CONTAINER_ID + 1]; /* id; "": none */
    char pod_uid[37];                     /* of Kubernetes, "" where the path does not tell */
    enum pmo_container_runtime runtime;   /* of the container */
};

/**
 * pmo_workload_parse - unit and container in the text of /proc/PID/cgroup, v1 or v2
 *
 * What does not tell a service from others names nothing: scopes (login sessions; containers
 * excepted), transient units without a name of their own, units that start what others ask for
 * (container runtimes, user managers, sshd, cron). Nor do the cgroups that the agent is in, and
 * those above: whatever a CI runner's unit or container holds, it holds the agent, too.
 *
 * Of several containers in each other, and of several units, the innermost counts; a unit that runs
 * in a container is the container's own affair. Hierarchies of v1 may disagree, as runtimes use
 * some of them only: a container in any of them is one.
 * @own: the same text of the agent
 */
void pmo_workload_parse(const char *cgroups, const char *own, struct pmo_workload *workload);

/**
 * pmo_workload_service - name of the service of a listener: "nginx:80"
 * @container: what its container is called, "" where that is not known: then it is the unit that
 * the container runs in, or the beginning of the container's id
 * @command: names it where there is neither container nor unit; "": not known, "tcp"
 */
void pmo_workload_service(const struct pmo_workload *workload, const char *container,
                          const char *command, uint16_t port, char service[64]);
