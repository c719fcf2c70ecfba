/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backends carry plans out: each is one file that fills in one struct pmo_backend_ops and is listed
 * in backends.c. All calls come from the event loop and return at once; what happens later is told
 * through the events.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>
#include "agent/base/document.h"

enum pmo_instance_phase {
    PMO_INSTANCE_STARTING, /* ordered; not yet serving */
    PMO_INSTANCE_READY,    /* passed its readiness probe */
    PMO_INSTANCE_DRAINING, /* takes no new connections, finishes what it has */
    PMO_INSTANCE_GONE,     /* stopped, and everything that was made for it is removed */
};
const char *pmo_instance_phase_name(enum pmo_instance_phase phase);

/* An instance as its backend knows it. */
struct pmo_backend_instance {
    char name[80]; /* unique, stable: "front-3" */
    char service[64];
    enum pmo_instance_phase phase;
    pid_t pid;          /* main process, 0 where the backend has none on this host */
    uint64_t netns;     /* network namespace cookie (SO_NETNS_COOKIE), 0 where not known */
    int netns_fd;       /* of its network namespace, -1 where none; owned by the backend */
    uint8_t addr[16];   /* IPv4-mapped IPv6, network byte order */
    uint16_t port;      /* host byte order */
    char interface[16]; /* inside the namespace, for XDP; "" where none */
    char cgroup[256];   /* absolute path of its cgroup v2 directory, "" where none */
    double ordered_s;   /* CLOCK_MONOTONIC of the order, and of readiness (0: not yet) */
    double ready_s;
    bool adopted;     /* an earlier agent started it */
    char reason[160]; /* when it is gone: why, and how it ended */
};

/* How it goes with the instances that a service should have. */
struct pmo_backend_status {
    uint32_t wanted;     /* those it should have, as last ordered, also by an earlier agent */
    uint32_t held;       /* replacements that wait, as instances end soon after their start */
    uint32_t crashes;    /* in a row */
    double retry_s;      /* CLOCK_MONOTONIC: when the next one is tried, where any is held */
    char last_crash[80]; /* how the last one ended; "" where none did */
};

/* A service address that clients connect to and that resolves to a ready instance. */
struct pmo_backend_service {
    char name[64];
    uint8_t addr[16];
    uint16_t port;
};

struct pmo_backend_events {
    void *context;
    /* An instance appeared or changed its phase. */
    void (*instance)(void *context, const struct pmo_backend_instance *instance);
    /* Asked while draining: may this instance be stopped (nothing in flight)? */
    bool (*idle)(void *context, const struct pmo_backend_instance *instance);
};

struct pmo_backend;

struct pmo_backend_ops {
    const char *name; /* "local" */
    /* The `kind` of documents that describe this backend's services. */
    const char *kind;
    /**
     * open - read this backend's documents, adopt what an earlier agent left, clean up what is
     * broken. Reports adopted instances through events->instance before it returns.
     * @state_dir: for logs of instances and other files
     * Returns 0, -EINVAL for a bad document (complained about), or a negative errno (logged).
     */
    int (*open)(struct pmo_backend **backend, uv_loop_t *loop, const struct pmo_file *file,
                const char *state_dir, const struct pmo_backend_events *events);
    /* Services it can run, for route. Returns NULL past the end. */
    const struct pmo_backend_service *(*service)(const struct pmo_backend *backend, size_t i);
    /* Have @replicas instances of a service (ready or starting). -ENOENT: not one of its services.
     */
    int (*scale)(struct pmo_backend *backend, const char *service, uint32_t replicas);
    /* How it goes with a service. -ENOENT: not one of its services. */
    int (*status)(const struct pmo_backend *backend, const char *service,
                  struct pmo_backend_status *status);
    /**
     * reload - take over what other documents say of services it runs, for instances to come
     * @restart: receives what would take a restart, "" for nothing
     * Returns 0, or -EINVAL (complained about) or -ENOMEM; then nothing has changed.
     */
    int (*reload)(struct pmo_backend *backend, const struct pmo_file *file, char *restart,
                  size_t size);
    /* Stops the loop's watchers. @leave: leave instances running for the next agent; otherwise
     * stops them all and removes everything that was made, before it returns. Sets NULL. */
    void (*close)(struct pmo_backend **backend, bool leave);
};

/* All of them, NULL-terminated. */
extern const struct pmo_backend_ops *const pmo_backends[];
extern const struct pmo_backend_ops pmo_backend_local;
