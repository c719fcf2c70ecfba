/* SPDX-License-Identifier: MIT */
/*
 * libpmo: routing hints of the PMO agent on this host, for routers.
 *
 * Thread rules: one struct pmo serves any number of threads at once; only pmo_close() must be
 * alone. No function but pmo_open() and pmo_close() makes a system call.
 */
#pragma once

#include <pmo/hints.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pmo; /* an opened hints map */

/* What a router needs to know of one instance, a consistent copy of its row. */
struct pmo_hint {
    __u32 instance; /* row, stable while the instance lives */
    __u32 flags;    /* PMO_HINT_* */
    __u32 in_flight;
    __u32 weight;
    __u32 predicted_latency_us;
    __u32 capacity_mrps;
    __u32 version;
    __u32 pid;
    __u8 addr[16]; /* IPv4-mapped IPv6, network byte order */
    __u16 port;    /* host byte order */
    __u16 zone;
    __u64 cleared_ns;
};

/**
 * pmo_open - map the hints of the agent on this host
 * @pmo:  receives the handle; unchanged on failure
 * @path: of the pinned map; NULL for /sys/fs/bpf/pmo/hints
 *
 * Returns 0, or -ENOENT (no agent has run here), -EPERM or -EACCES (CAP_BPF or the file's mode is
 * missing), -EPROTO (not a hints map, or one of another version), or what bpf(2) or mmap(2) gave.
 */
int pmo_open(struct pmo **pmo, const char *path);

/** pmo_close - unmap; takes NULL, sets NULL */
void pmo_close(struct pmo **pmo);

/**
 * pmo_service - number of a service
 * @name: as the agent knows it
 * Returns its number, 0 or more, or -ENOENT. Look it up once and keep it: it is stable until the
 * service is deleted.
 */
int pmo_service(const struct pmo *pmo, const char *name);

/**
 * pmo_pick - an instance for the next request: the better of two random ready ones, by requests in
 *            flight over weight (Mitzenmacher 2001, the power of two choices)
 * @service: number from pmo_service()
 * @hint:    filled on success; may be NULL
 * Returns the instance's row, or -ENOENT (no such service), or -EAGAIN (none is ready).
 */
int pmo_pick(const struct pmo *pmo, int service, struct pmo_hint *hint);

/**
 * pmo_instance - read one instance's row
 * Returns 0, or -ENOENT where the row is out of range or unused.
 */
int pmo_instance(const struct pmo *pmo, __u32 instance, struct pmo_hint *hint);

/**
 * pmo_next - iterate over the instances of a service, ready or not
 * @position: 0 at first, advanced by each call
 * Returns 0 with *hint filled, or -ENOENT after the last.
 */
int pmo_next(const struct pmo *pmo, int service, __u32 *position, struct pmo_hint *hint);

/** pmo_next_service - names in turn: position as in pmo_next; NULL after the last */
const char *pmo_next_service(const struct pmo *pmo, __u32 *position, int *service);

#ifdef __cplusplus
}
#endif
