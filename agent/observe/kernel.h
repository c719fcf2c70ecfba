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
#include "agent/observe/tls_binary.h"

struct pmo_kernel;

struct pmo_kernel_events {
    void *context;
    void (*type)(void *context, const struct pmo_type_record *record);
    void (*instance)(void *context, const struct pmo_instance_record *record);
    void (*signals)(void *context, const struct pmo_signals_record *record);
    /* every record of windows up to record->window came before */
    void (*window)(void *context, const struct pmo_window_record *record);
    void (*event)(void *context, const struct pmo_event *event);
};

/* Size of the ring "windows", read by pmo_kernel_open() when it makes one; tests make it small. */
extern uint32_t pmo_kernel_ring_bytes;
/* Whether the probes of an earlier agent are replaced by the same programs, too; tests do so. */
extern bool pmo_kernel_tls_replaces;
/* Where the kernel is said to keep where its map of all memory begins (bpf/direct.h), 0: where it
 * says itself; tests set a wrong one. */
extern uint64_t pmo_kernel_page_offset_at;
/* Whether the kernel is taken for one before 6.6; tests do so. */
extern bool pmo_kernel_without_tcx;

/* What is observed beyond the requests that instances serve. What nobody asks for costs nothing. */
struct pmo_kernel_extras {
    bool calls;   /* requests that they make, see pmo_kernel_caller() */
    bool headers; /* that requests carry, see pmo_kernel_headers() */
    bool tls;     /* what libraries encrypt, see pmo_kernel_tls_probe() */
    /* that SYNs and connections come from, see pmo_kernel_zones(); differs wherever they do */
    uint64_t zones;
};

/**
 * pmo_kernel_open - load or adopt; from here on, listeners that come and go are seen
 * @bpffs: a mounted bpf file system; NULL for /sys/fs/bpf, which is mounted if it is not
 * @extras: NULL: nothing
 * @events: copied
 * Programs that are not needed and that the kernel refuses are off, each with a line in the log.
 * Returns 0, or (each logged in one line that says what to do) -EPERM without the privilege,
 * -ENOTSUP for a kernel that lacks BTF, a needed program, or a cgroup v2 mount, -EBUSY where
 * another agent uses them, -EPROTO where they are of another version, -ENOTDIR where @bpffs is no
 * bpf file system, or what the kernel said.
 */
int pmo_kernel_open(struct pmo_kernel **kernel, const char *bpffs,
                    const struct pmo_kernel_extras *extras, const struct pmo_kernel_events *events);

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

/* Ends requests over UDP that got no answer; once a second. */
void pmo_kernel_datagrams_expire(struct pmo_kernel *kernel);

/* Of how many reads the wait is measured from here on: struct pmo_control. */
void pmo_kernel_wait_mask(struct pmo_kernel *kernel, uint32_t mask);
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
/* Datagrams to this port are looked at, as packets of ports with listeners are: who is asked over
 * UDP is an instance. */
void pmo_kernel_datagrams(struct pmo_kernel *kernel, uint16_t port);
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

/**
 * pmo_kernel_caller - count what an instance calls, on connections that it opens from now on
 * @instance: as pmo_kernel_instances() tells it
 * Returns 0 or -ENOSPC.
 */
int pmo_kernel_caller(struct pmo_kernel *kernel, const struct pmo_caller *caller,
                      const struct pmo_calling *instance);
void pmo_kernel_caller_forget(struct pmo_kernel *kernel, const struct pmo_caller *caller);
typedef void (*pmo_kernel_caller_fn)(void *context, const struct pmo_caller *caller,
                                     const struct pmo_calling *instance);
/* Walks all callers; @each may forget the one it is told. */
void pmo_kernel_callers(struct pmo_kernel *kernel, pmo_kernel_caller_fn each, void *context);

/* A row of what calls go to. Returns 0, or -ENOENT where it stands for any other. */
int pmo_kernel_peer(const struct pmo_kernel *kernel, uint32_t row, struct pmo_peer *peer);

/* Text of a route row. Returns 0 or -ENOENT. */
int pmo_kernel_route(struct pmo_kernel *kernel, uint32_t row, char text[PMO_ROUTE_BYTES]);

/* Names all headers. Where they are others than before, no instance's requests are searched for
 * them yet, and connections forget what they know of those before. Returns 0 or what the kernel
 * said. */
int pmo_kernel_headers(struct pmo_kernel *kernel, const struct pmo_header headers[PMO_HEADERS_MAX]);
/* In requests to which instance: PMO_HEADERS_WANTED(). */
void pmo_kernel_headers_wanted(struct pmo_kernel *kernel, uint32_t instance, uint64_t wanted);

/*
 * Route folding that learns (bpf/learn.h). Scope: whose rules hold for an instance's requests; 0:
 * none.
 */
void pmo_kernel_scope(struct pmo_kernel *kernel, uint32_t instance, uint64_t scope);
typedef void (*pmo_kernel_rule_fn)(void *context, const struct pmo_fold_rule *rule);
void pmo_kernel_fold_rules(struct pmo_kernel *kernel, pmo_kernel_rule_fn each, void *context);
/* Makes a rule, or changes it; how many segments were seen is kept. Returns 0 or -ENOSPC. */
int pmo_kernel_fold_rule(struct pmo_kernel *kernel, const struct pmo_fold_rule *rule);
void pmo_kernel_fold_rule_remove(struct pmo_kernel *kernel, const struct pmo_fold_rule *rule);
/* A segment that was told apart is not any more: @path ends with it. */
void pmo_kernel_fold_merge(struct pmo_kernel *kernel, uint64_t scope, const char *path);
/* Forgets what was told apart of a service's paths; the rules stay. */
void pmo_kernel_scope_forget(struct pmo_kernel *kernel, uint64_t scope);

/* connect() to this address goes to a ready instance of that service (a number in the hints). */
int pmo_kernel_service_address(struct pmo_kernel *kernel, const uint8_t addr[16], uint16_t port,
                               uint32_t service);

/**
 * pmo_kernel_tls_probe - attach a program of bpf/tls.h to a place in a file
 * @file: a path to it; the probe is on the file, for all processes that use it
 * @pin: unique name for the pin. One that is there, an earlier agent's, stays where its program is
 * the same; else it is renamed, with PMO_KERNEL_TLS_OLD before its name, until that is ended.
 * Returns 0, -ENOTSUP where this kernel cannot (said when the programs were loaded), or what the
 * kernel said; not logged.
 */
int pmo_kernel_tls_probe(struct pmo_kernel *kernel, const struct pmo_tls_probe *probe,
                         const char *file, const char *pin);
/* Ends sessions whose sockets were closed a moment ago; once a second. */
void pmo_kernel_tls_linger(struct pmo_kernel *kernel);
/* Forgets calls of processes that were killed in them; once a minute. */
void pmo_kernel_tls_sweep(struct pmo_kernel *kernel);
#define PMO_KERNEL_TLS_OLD "old_"
#define PMO_KERNEL_TLS_PIN "uprobe_" /* what all names of pins begin with */
/* Takes off the probes whose pins begin with @prefix: all, or those of other programs only. */
void pmo_kernel_tls_end(struct pmo_kernel *kernel, const char *prefix, bool foreign);

/*
 * What asks for a connection, before the stack has a say (bpf/syn.h): at XDP, native where the
 * driver can, generic otherwise; at tcx (6.6) where another XDP program has the interface. All of
 * it does nothing where this kernel refuses the programs.
 *
 * pmo_kernel_count_syns - count SYNs and datagrams on an instance's interface
 * @netns_fd: namespace the interface is in, or -1 for this one
 * @name: unique name for the pin; a pin of this name is adopted
 * Returns 0 or what the kernel said, logged.
 */
int pmo_kernel_count_syns(struct pmo_kernel *kernel, int netns_fd, const char *interface,
                          const char *name, const struct pmo_listener *listener, uint32_t instance);
void pmo_kernel_count_syns_end(struct pmo_kernel *kernel, const char *name,
                               const struct pmo_listener *listener);

/* The same on an interface of the node, of this namespace: for all pmo_kernel_node_targets(). Its
 * name names the pin, so one that came again is attached to again. */
int pmo_kernel_node_interface(struct pmo_kernel *kernel, const char *interface);
void pmo_kernel_node_interface_end(struct pmo_kernel *kernel, const char *interface);
/* Takes off what an earlier agent attached to others than the @count @interfaces. */
void pmo_kernel_node_interfaces_only(struct pmo_kernel *kernel, const char *const *interfaces,
                                     size_t count);

struct pmo_kernel_target {
    struct pmo_listener address; /* no "any address"; its namespace does not matter */
    uint32_t instance;
};

/* Whom packets on interfaces of the node are counted for: these and no others. Returns 0, or
 * -ENOSPC (logged once) where not all of them have room. */
int pmo_kernel_node_targets(struct pmo_kernel *kernel, const struct pmo_kernel_target *targets,
                            size_t count);

struct pmo_kernel_zone {
    struct pmo_prefix prefix; /* bits behind it are 0 */
    uint8_t zone;
};

/* Which prefixes are in which zone: these and no others. The first time it takes a microsecond or
 * two a prefix, later only what changed takes time (and that some milliseconds, for what is
 * remembered of sources). Returns 0, -ENOMEM, or what the kernel said, logged. */
int pmo_kernel_zones(struct pmo_kernel *kernel, const struct pmo_kernel_zone *zones, size_t count);
