/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel side as the agent sees it: loads, pins and attaches the BPF programs, or adopts what
 * an earlier agent left under <bpffs>/pmo, and reads the rings.
 *
 * Everything is pinned, so counting goes on while no agent runs. An adopting agent keeps the maps
 * (and with them every count), and puts its own programs in the place of the old ones.
 *
 * Records of the ring "windows" are read in two steps: pmo_kernel_drain() hands out what is new,
 * pmo_kernel_commit() gives the space back to the kernel. What was drained but not committed is
 * read again by the next agent, so a record is not lost with an agent that dies.
 *
 * Owned by the event loop; not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <pmo/abi.h>

struct pmo_kernel;

struct pmo_kernel_events {
    void *context;
    void (*type)(void *context, const struct pmo_type_record *record);
    void (*instance)(void *context, const struct pmo_instance_record *record);
    /* every record of windows up to record->window came before */
    void (*window)(void *context, const struct pmo_window_record *record);
    void (*event)(void *context, const struct pmo_event *event);
};

/* Size of the ring "windows", read by pmo_kernel_open() when it makes one; tests make it small. */
extern uint32_t pmo_kernel_ring_bytes;

/**
 * pmo_kernel_open - load or adopt; from here on, listeners that come and go are seen
 * @bpffs: a mounted bpf file system; NULL for /sys/fs/bpf, which is mounted if it is not
 * @events: copied
 * Returns 0, or (each logged in one line that says what to do) -EPERM without the privilege,
 * -ENOTSUP for a kernel without BTF or a cgroup v2 mount, -EBUSY where another agent uses them,
 * -EPROTO where they are of another version, -ENOTDIR where @bpffs is no bpf file system, or what
 * the kernel said.
 */
int pmo_kernel_open(struct pmo_kernel **kernel, const char *bpffs,
                    const struct pmo_kernel_events *events);

/* Attaches the programs that see traffic, joins connections that are there already, starts the
 * flusher. Called when the listeners that were there before are known. */
int pmo_kernel_start(struct pmo_kernel *kernel);

/* Closes. @leave: programs, maps and pins stay for the next agent; otherwise all are removed. Takes
 * NULL, sets NULL. */
void pmo_kernel_close(struct pmo_kernel **kernel, bool leave);

/* Removes the pins below @bpffs (NULL as above) whatever their version. */
int pmo_kernel_remove(const char *bpffs);

/* Hands out new records. Returns how many windows were completed. */
int pmo_kernel_drain(struct pmo_kernel *kernel);
void pmo_kernel_commit(struct pmo_kernel *kernel);

/* Becomes readable when there are events (listeners, exits). */
int pmo_kernel_events_fd(const struct pmo_kernel *kernel);
void pmo_kernel_read_events(struct pmo_kernel *kernel);

/* The live row of counters and settings, read-only. */
const volatile struct pmo_control *pmo_kernel_control(const struct pmo_kernel *kernel);
/* The mapped hints map: PMO_HINTS_ROWS rows. */
void *pmo_kernel_hints(const struct pmo_kernel *kernel);
/* Whether pins of an earlier agent were adopted. */
bool pmo_kernel_adopted(const struct pmo_kernel *kernel);

/* Second of the wall clock that windows follow, now; *into_ns: how far into it. */
int64_t pmo_kernel_second(const struct pmo_kernel *kernel, uint64_t *into_ns);

/**
 * pmo_kernel_instance - row of a listener, made if needed
 * @listeners: sockets that listen on this address
 * Returns 0, or -ENOSPC when all rows are used.
 */
int pmo_kernel_instance(struct pmo_kernel *kernel, const struct pmo_listener *listener,
                        uint32_t pid, uint64_t cgroup, uint32_t listeners, uint32_t *instance);
/* Walks all listeners the kernel knows. */
typedef void (*pmo_kernel_listener_fn)(void *context, const struct pmo_listener *listener,
                                       const struct pmo_instance *instance);
void pmo_kernel_instances(struct pmo_kernel *kernel, pmo_kernel_listener_fn each, void *context);
/* Removes a listener that is not there any more: the next one on its address is a new instance. */
void pmo_kernel_listener_forget(struct pmo_kernel *kernel, const struct pmo_listener *listener);
/* Forgets an instance: its counter slots and its row can be used again. */
void pmo_kernel_instance_free(struct pmo_kernel *kernel, uint32_t instance);

/* Exit of @pid is the end of @instance. A pid that is gone already is told as an event at once by
 * the caller's own watch. */
int pmo_kernel_process(struct pmo_kernel *kernel, uint32_t pid, uint32_t instance);

/* Text of a route row. Returns 0 or -ENOENT. */
int pmo_kernel_route(struct pmo_kernel *kernel, uint32_t row, char text[PMO_ROUTE_BYTES]);

/* connect() to this address goes to a ready instance of that service (a number in the hints). */
int pmo_kernel_service_address(struct pmo_kernel *kernel, const uint8_t addr[16], uint16_t port,
                               uint32_t service);

/**
 * pmo_kernel_count_syns - attach the XDP program to an instance's interface
 * @netns_fd: namespace the interface is in, or -1 for this one
 * @name: unique name for the pin; a pin of this name is adopted
 * Native where the driver can, generic otherwise.
 */
int pmo_kernel_count_syns(struct pmo_kernel *kernel, int netns_fd, const char *interface,
                          const char *name, const struct pmo_listener *listener, uint32_t instance);
void pmo_kernel_count_syns_end(struct pmo_kernel *kernel, const char *name,
                               const struct pmo_listener *listener);
