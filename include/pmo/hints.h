/* SPDX-License-Identifier: MIT */
/*
 * The hints map: which instances of a service are ready, and how fast each will be. A
 * BPF_F_MMAPABLE array pinned as <bpffs>/pmo/hints, rows of 64 bytes, read by any router through
 * mmap() without a system call. Kernel programs clear the ready bit and count requests in flight;
 * the agent writes everything else.
 *
 * Rows, in this order:
 *   0                                     struct pmo_hints_header
 *   1 .. services_max                     struct pmo_hint_service
 *   .. + services_max                     char name[64], NUL-terminated, of each service
 *   .. + instances_max                    struct pmo_hint_instance (row i is instance i)
 *   .. + instances_max                    struct pmo_hint_ended (likewise)
 *   .. + members_max / 16                 __u32 instance numbers, 16 a row
 *
 * A service's members are members_count numbers from members_first on in the last region.
 *
 * Readers of a service or an instance row: read seq; if it is odd, start again; read the fields;
 * read seq again; if it changed, start again. `flags`, `arrived` and `ended` change at any time,
 * also outside of seq, and are read with one atomic load each.
 *
 * An instance's requests in flight are `arrived` less `ended` (both wrap), of which `ended` is read
 * first. Two counters in two cache lines, as it is two CPUs that write them, most often.
 */
#pragma once

#include <linux/types.h>

#define PMO_HINTS_MAGIC   0x53544e48U /* "HNTS" */
#define PMO_HINTS_VERSION 2U
#define PMO_HINTS_ROW     64U

#define PMO_HINTS_SERVICES_MAX  1024U
#define PMO_HINTS_INSTANCES_MAX 4096U
#define PMO_HINTS_MEMBERS_MAX   8192U

#define PMO_HINTS_FIRST_SERVICE  1U
#define PMO_HINTS_FIRST_NAME     (PMO_HINTS_FIRST_SERVICE + PMO_HINTS_SERVICES_MAX)
#define PMO_HINTS_FIRST_INSTANCE (PMO_HINTS_FIRST_NAME + PMO_HINTS_SERVICES_MAX)
#define PMO_HINTS_FIRST_ENDED    (PMO_HINTS_FIRST_INSTANCE + PMO_HINTS_INSTANCES_MAX)
#define PMO_HINTS_FIRST_MEMBERS  (PMO_HINTS_FIRST_ENDED + PMO_HINTS_INSTANCES_MAX)
#define PMO_HINTS_ROWS           (PMO_HINTS_FIRST_MEMBERS + PMO_HINTS_MEMBERS_MAX / 16U)

struct pmo_hints_header {
    __u32 magic;
    __u32 version;
    __u32 row_bytes;
    __u32 services_max;
    __u32 instances_max;
    __u32 members_max;
    __u64 heartbeat_ns; /* CLOCK_MONOTONIC of the agent's last write; old: hints are stale */
    __u64 pad[4];
};

#define PMO_HINT_READY    1U /* takes new requests */
#define PMO_HINT_DRAINING 2U /* finishes what it has */

struct pmo_hint_instance {
    __u32 seq;
    __u32 flags;   /* PMO_HINT_*; the kernel clears PMO_HINT_READY by itself */
    __u32 arrived; /* requests, counted by the kernel */
    __u32 service; /* number of its service, 0-based */
    __u32 weight;  /* share of requests it should get, relative to its siblings; 1024 is one */
    __u32 predicted_latency_us; /* first byte, in the next second */
    __u32 capacity_mrps;        /* thousandths of requests per second within the objective */
    __u32 version;              /* of the deployed program, 0 where unknown */
    __u8 addr[16];              /* IPv4-mapped IPv6, network byte order */
    __u16 port;                 /* host byte order */
    __u16 zone;
    __u32 pid;
    __u64 cleared_ns; /* CLOCK_MONOTONIC when the kernel last cleared the ready bit */
};

struct pmo_hint_ended {
    __u32 ended; /* requests whose response is complete, or will not be; counted by the kernel */
    /* not for routers, and only where calls are counted: `arrived` with the last request that found
     * the instance idle, when that was (CLOCK_MONOTONIC), and, in a circle, another instance that
     * makes its calls together with this one (0: none does) */
    __u32 lone;
    __u64 lone_ns;
    __u32 together;
    __u32 pad[11];
};

struct pmo_hint_service {
    __u32 seq;
    __u32 used; /* 0: no such service */
    __u32 members_first;
    __u32 members_count;
    __u8 addr[16]; /* the service address that connect() rewrites, or all zero */
    __u16 port;
    __u16 pad;
    __u32 predicted_mrps[3]; /* median load in 1, 10 and 30 s, thousandths of requests per second */
    __u64 pad2[2];
};

_Static_assert(sizeof(struct pmo_hints_header) == PMO_HINTS_ROW, "a row");
_Static_assert(sizeof(struct pmo_hint_instance) == PMO_HINTS_ROW, "a row");
_Static_assert(sizeof(struct pmo_hint_ended) == PMO_HINTS_ROW, "a row");
_Static_assert(sizeof(struct pmo_hint_service) == PMO_HINTS_ROW, "a row");
