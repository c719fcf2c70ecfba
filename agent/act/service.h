/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents of `kind: LocalService`: services whose instances are processes on this host, each in a
 * network namespace and a cgroup of its own.
 *
 *   apiVersion: pmo.dev/v1alpha1
 *   kind: LocalService
 *   metadata: {name: catalog}
 *   spec:
 *     address: 198.18.0.11:80    # what clients connect to; no interface has it
 *     port: 8080                 # where each instance listens, in its own network namespace
 *     command: [build/pmo-demo, --port, "8080"]
 *     environment: {LANG: C}     # besides PATH, PMO_SERVICE and PMO_INSTANCE
 *     readiness: {path: /ready, interval: 200ms, timeout: 1s}
 *     cpu: 10%                   # of one core; no limit where absent
 *     memory: 64MiB              # likewise; what takes more is killed
 *     replicas: 1                # where no earlier agent has left a count
 *     drain: 10s                 # at most; then SIGTERM, 5 s later SIGKILL
 *
 * Without a readiness path the probe is a TCP connect. One with a path is a real request, and the
 * kernel side counts it like any other: give it a path only where that does no harm. With
 * `readiness: {exec: {command: [PROGRAM, ARGUMENT]}}` it is a command, run where the instance runs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "agent/act/backend.h"
#include "agent/base/document.h"

struct pmo_local_service {
    struct pmo_backend_service public;
    uint16_t port;
    char **command;       /* NULL-terminated */
    char **environment;   /* "KEY=value", NULL-terminated; NULL where there is none */
    char *probe_path;     /* NULL: a TCP connect, or a command: */
    char **probe_command; /* NULL-terminated; NULL: none */
    double probe_interval_s, probe_timeout_s;
    double cpu_share;      /* of one core; 0: no limit */
    uint64_t memory_bytes; /* likewise */
    uint32_t replicas;
    double drain_s;
};

struct pmo_local_services {
    struct pmo_local_service *at;
    size_t count;
};

/**
 * pmo_local_services_read - all `kind: LocalService` documents of a parsed file
 * Documents of other kinds are left to others. Copies what it keeps. Returns 0, or -EINVAL when
 * there was any complaint, or -ENOMEM; then *services is unchanged.
 */
int pmo_local_services_read(struct pmo_local_services *services, const struct pmo_file *file);
void pmo_local_services_free(struct pmo_local_services *services);

/* "198.18.0.11:80" as an IPv4-mapped address and a port. Returns 0, or -EINVAL for anything that is
 * not a port of an address in 198.18.0.0/16. */
int pmo_local_address_parse(const char *text, uint8_t addr[16], uint16_t *port);
