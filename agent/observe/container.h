/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a container is called, so that the next one that takes its place is the same service. Its id
 * is not: it is new each time.
 *
 * Docker and Podman tell names and labels over HTTP on a unix socket. containerd and CRI-O speak
 * gRPC only, and below a kubelet; there, the host name that a container sees is the name of its
 * pod, which tells the Deployment, StatefulSet, DaemonSet or Job that it is of.
 *
 * Not thread-safe.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>
#include "agent/observe/workload.h"

struct pmo_container {
    char name[128]; /* "": not known */
    char pod[254];  /* name of its pod in Kubernetes, "": none, or not known */
};

struct pmo_runtimes; /* the sockets of container runtimes */

/* Returns 0 or -ENOMEM. */
int pmo_runtimes_new(struct pmo_runtimes **runtimes);
void pmo_runtimes_free(struct pmo_runtimes **runtimes);

/**
 * pmo_container_look_up - what the container of a workload is called
 * @pid: a process in it, 0 where none is known
 * Takes a few milliseconds, 200 at most; a runtime that took longer is not asked for a minute, with
 * a line in the log.
 */
void pmo_container_look_up(struct pmo_runtimes *runtimes, const struct pmo_workload *workload,
                           pid_t pid, struct pmo_container *container);

/**
 * pmo_container_parse - name and pod in what GET /containers/ID/json answers
 *
 * The pod's owner, with Kubernetes' labels; PROJECT-SERVICE with Compose's; the service with
 * Swarm's; else the container's name. What is not there, or no text, is as if it were not known.
 */
void pmo_container_parse(const json_t *answer, struct pmo_container *container);

/**
 * pmo_pod_owner - NAMESPACE/OWNER from the name of a pod
 * @space: namespace, "" where it is not known: then OWNER only
 *
 * What a controller appends is cut: -HASH-xxxxx (Deployment), -TIME-xxxxx (CronJob), -xxxxx
 * (DaemonSet, Job, ReplicaSet), -N (StatefulSet). Both are of letters and digits that make no words
 * (Kubernetes' SafeEncodeString: no vowels), so that a pod of nobody's mostly keeps its name.
 */
void pmo_pod_owner(const char *pod, const char *space, char owner[128]);
