/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel side (bpf/) and the agent share: keys and values of the pinned maps and the
 * records in the ring buffers. Fixed-width members, explicit padding, no pointers.
 *
 * Change anything here and PMO_ABI_VERSION goes up by one: an agent adopts only pins that were made
 * with its own version.
 *
 * Counting works without resets. A counter slot holds two cumulative sums, one for even and one for
 * odd windows (a window is one second of the wall clock at the time the pins were made). While
 * window W is current nobody writes the sum of the other parity, so the flusher can read it at
 * leisure, and what it reads less what it read before is exactly what happened in window W-1. A
 * record that did not fit into the ring is simply part of the next difference: no count is ever
 * lost, and none is counted twice.
 */
#pragma once

#ifndef __bpf__
#include <stdint.h>
#include <stddef.h>
#endif
#include <linux/types.h>

#define PMO_ABI_VERSION 1U

#define PMO_INSTANCES_MAX   4096U /* rows; 0 is "unknown instance", used when the rows are full */
#define PMO_COUNTERS_MAX    8192U /* (instance, type) pairs; the first few count what has no pair */
#define PMO_ROUTES_MAX      4096U /* folded routes; 0 is "{other}" */
#define PMO_ROUTE_BYTES     120U  /* a folded route with its NUL; a longer one is cut */
#define PMO_LATENCY_BUCKETS 40U   /* half an octave each, see pmo_latency_bucket_us() */

enum pmo_protocol {
    PMO_PROTOCOL_UNKNOWN = 0,
    PMO_PROTOCOL_HTTP1 = 1,
};

enum pmo_method { /* RFC 9110 section 9, RFC 5789 */
                  PMO_METHOD_OTHER = 0,
                  PMO_METHOD_GET,
                  PMO_METHOD_HEAD,
                  PMO_METHOD_POST,
                  PMO_METHOD_PUT,
                  PMO_METHOD_DELETE,
                  PMO_METHOD_CONNECT,
                  PMO_METHOD_OPTIONS,
                  PMO_METHOD_TRACE,
                  PMO_METHOD_PATCH,
                  PMO_METHODS
};

/* status class 1..5 is the first digit of the status; 0 is a request that got no response before
 * its connection ended. */
#define PMO_STATUS_ABORTED 0U
#define PMO_STATUS_CLASSES 6U

/* A listening address. IPv4 is held as an IPv4-mapped IPv6 address, :: stands for any address. */
struct pmo_listener {
    __u64 netns;   /* network namespace cookie; 0 on keys of syn_targets */
    __u8 addr[16]; /* network byte order */
    __u16 port;    /* host byte order */
    __u16 pad[3];
};

/* An instance as the kernel knows it: who listens. */
struct pmo_instance {
    __u32 id;        /* row, 1..PMO_INSTANCES_MAX-1 */
    __u32 listeners; /* sockets that listen on this address (SO_REUSEPORT makes several) */
    __u32 pid;       /* the process that called listen(), 0 where it is not known */
    __u32 pad;
    __u64 cgroup; /* cgroup v2 id of that process, 0 where it is not known */
};

/* One type of request on one instance: what a counter slot counts. */
struct pmo_counter_key {
    __u32 instance;
    __u32 route; /* row of the routes map */
    __u8 protocol;
    __u8 method;
    __u8 status_class;
    __u8 zone; /* source zone, 0 where no prefix matched */
};

struct pmo_counts {
    __u64 requests;
    __u64 latency_ns; /* sum, request head complete to first byte of the response */
    __u32 latency[PMO_LATENCY_BUCKETS];
};

struct pmo_counter {             /* one per CPU */
    struct pmo_counts window[2]; /* by parity of the window */
};

struct pmo_instance_counts {
    __u64 arrivals; /* requests whose head is complete, counted when they arrive */
    __u64 connections;
    __u64 closes;
    __u64 syns;     /* at XDP, before the stack */
    __u64 rx_bytes; /* TCP payload */
    __u64 tx_bytes;
};

struct pmo_instance_counter { /* one per CPU */
    struct pmo_instance_counts window[2];
};

struct pmo_route {
    __u64 hash;
    char text[PMO_ROUTE_BYTES]; /* NUL-terminated */
};

/* Records in the ring "windows". Every record starts with its kind. */
enum pmo_record_kind {
    PMO_RECORD_TYPE = 1,     /* struct pmo_type_record */
    PMO_RECORD_INSTANCE = 2, /* struct pmo_instance_record */
    PMO_RECORD_WINDOW = 3,   /* struct pmo_window_record: every record of this window came before */
};

struct pmo_type_record {
    __u32 kind;
    __u32 slot;
    __u64 since;  /* first and */
    __u64 window; /* last window this covers (seconds since 1970); equal unless some were missed */
    struct pmo_counter_key key;
    struct pmo_counts counts;
};

struct pmo_instance_record {
    __u32 kind;
    __u32 instance;
    __u64 since;
    __u64 window;
    struct pmo_instance_counts counts;
};

struct pmo_window_record {
    __u32 kind;
    __u32 pad;
    __u64 since;
    __u64 window;
};

/* Records in the ring "events": what changed in the world. A lost one is found again by the
 * agent's own scan of the listening sockets. */
enum pmo_event_kind {
    PMO_EVENT_LISTENING = 1, /* an instance was made by listen() or by a first connection */
    PMO_EVENT_CLOSED = 2,    /* its last listening socket closed */
    PMO_EVENT_EXITED = 3,    /* its process ended */
};

struct pmo_event {
    __u32 kind;
    __u32 instance;
    __u32 pid;
    __u32 pad;
    __u64 time_ns; /* CLOCK_MONOTONIC */
    __u64 cgroup;
    struct pmo_listener listener;
};

/* The single row of the map "control". */
struct pmo_control {
    __u32 abi_version;
    __u32 cpus;           /* possible CPUs */
    __u64 wall_offset_ns; /* CLOCK_MONOTONIC + this = the wall clock that windows follow */
    __u64 last_window;    /* last window that was flushed */
    __u64 ring_full;      /* records that had to wait for the next window */
    __u64 routes_full;    /* requests counted under "{other}" */
    __u64 counters_full;  /* requests counted under an overflow slot */
    __u64 instances_full; /* connections counted under instance 0 */
    __u64 midstream;      /* connections joined in mid-stream, from their next request head on */
    __u64 holes;          /* segments that came too far out of order to be parsed */
    __u64 not_http;       /* connections that are not HTTP/1.x */
    __u32 slots_used;     /* counter slots below this have been used */
    __u32 routes_used;    /* rows of routes */
    __u32 instances_used; /* instance rows below this have been used */
    __u32 pad;
};

#ifndef __bpf__
/* Upper bound in microseconds of latency bucket i: 2^14 * 2^((i+1)/2) nanoseconds, from 23 us to 17
 * s; the last one is open. These are the boundaries of an OpenTelemetry exponential histogram of
 * scale 1 in nanoseconds. */
static inline double pmo_latency_bucket_us(unsigned int i)
{
    double v = 16.384 * (double)(1ULL << ((i + 1) / 2));
    return (i + 1) % 2 ? v * 1.4142135623730951 : v;
}
#endif

_Static_assert(sizeof(struct pmo_listener) == 32, "key without holes");
_Static_assert(sizeof(struct pmo_counter_key) == 12, "key without holes");
_Static_assert(sizeof(struct pmo_instance) == 24, "shared with the kernel");
_Static_assert(sizeof(struct pmo_counts) == 176, "shared with the kernel");
_Static_assert(sizeof(struct pmo_type_record) == 216, "shared with the kernel");
_Static_assert(sizeof(struct pmo_instance_record) == 72, "shared with the kernel");
_Static_assert(sizeof(struct pmo_event) == 64, "shared with the kernel");
_Static_assert(sizeof(struct pmo_route) == 128, "shared with the kernel");
