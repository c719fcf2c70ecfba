/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What BPF tests share: a bpf file system of their own, the kernel side loaded into it, the counts
 * it hands out, and TCP connections whose every segment the test chooses.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "agent/observe/kernel.h"

struct counted_type {
    struct pmo_counter_key key;
    char route[PMO_ROUTE_BYTES];
    uint64_t requests, finished, request_bytes, response_bytes, latency_ns, in_buckets;
};

#define WORLD_TYPES 4096 /* of the whole host */

struct world {
    char bpffs[64];
    struct pmo_kernel *kernel;
    struct counted_type types[WORLD_TYPES];
    size_t types_count;
    struct pmo_instance_counts instances[PMO_INSTANCES_MAX];
    struct pmo_signals signals[PMO_INSTANCES_MAX]; /* sums */
    struct pmo_queues queues[PMO_INSTANCES_MAX];   /* the longest */
    uint64_t calls_left[PMO_INSTANCES_MAX];        /* requests to others, */
    /* and those whose request is known: how many, how long after it, how many in buckets of that */
    uint64_t calls_known[PMO_INSTANCES_MAX], delay_ns[PMO_INSTANCES_MAX];
    uint64_t delays[PMO_INSTANCES_MAX];
    struct pmo_kernel_extras extras; /* that it opens with; world_open() leaves them alone */
    uint64_t windows, spans;         /* window records, and those that cover more than one window */
    uint16_t events[PMO_INSTANCES_MAX][PMO_EVENT_TLS + 1];
};

/* Mounts a bpf file system and opens the kernel side in it; false: failed (and said why). @w is
 * zero at first. */
bool world_open(struct world *w);
/* The same, before it sees connections: pmo_kernel_start() is next. */
bool world_load(struct world *w);
/* Closes the kernel side; unmounts unless @leave. */
void world_close(struct world *w, bool leave);
/* Opens it again over pins that world_close(leave) left. Counts so far are kept. */
bool world_reopen(struct world *w);
/* Waits until all that was counted before the call has been handed out. */
void world_settle(struct world *w);

/* Has what this process, cgroup or network namespace (0: that of the instance) asks others for
 * counted as calls of an instance. Returns whether it will be. */
bool world_caller(struct world *w, uint32_t instance, enum pmo_caller_kind kind, uint64_t id);

/* The instance that a listening socket is, by its network namespace and port; 0: none. */
uint32_t world_instance(const struct world *w, int listener);

/* Sum over types, with any argument -1 or NULL standing for all. */
uint64_t world_requests(const struct world *w, int instance, int method, int status_class,
                        const char *route);

/* The same of requests that instances make to others. */
uint64_t world_calls(const struct world *w, int instance, int method, int status_class,
                     const char *route);

/* Those whose peer is an address with this port (0: any other, "{other}") that the instance
 * @accepted_by has accepted connections to. */
uint64_t world_calls_to(const struct world *w, uint32_t instance, uint16_t port,
                        uint32_t accepted_by);

/* Of an instance, now. */
uint32_t world_in_flight(const struct world *w, uint32_t instance);

/* Requests to an instance that carried a header, as in "name: value"; NULL stands for all. */
uint64_t world_headers(const struct world *w, uint32_t instance, const char *text);

/* SYNs or connections (PMO_PROTOCOL_SYNS, PMO_PROTOCOL_CONNECTIONS) of an instance from a zone. */
uint64_t world_zone(const struct world *w, uint32_t instance, uint8_t protocol, uint8_t zone);

/* What was counted of an instance that has one type; NULL: nothing. The whole host is counted, so a
 * test looks at its own instance only. */
const struct counted_type *world_type(const struct world *w, uint32_t instance);

/* A connection over loopback. */
struct wire {
    int listener, client, server;
    uint16_t port;
    uint32_t instance;
};

/* Listens on 127.0.0.1 (or ::1), connects and accepts; the instance's row is looked up. */
bool wire_open(struct world *w, struct wire *wire, int family);
/* One more connection to the same listener. */
bool wire_again(struct wire *wire);
void wire_close(struct wire *wire);
/* One segment (TCP_NODELAY is on), read completely at the other end before it returns. */
void wire_request(struct wire *wire, const char *bytes);
void wire_response(struct wire *wire, const char *bytes);
void wire_send(int from, int to, const char *bytes, size_t length);
/* Begins HTTP/2 on it, both ways. */
void wire_http2(struct wire *wire);
/* A frame of HTTP/2, put @to where there is room: its length. */
size_t wire_http2_frame(char *to, char type, char flags, char stream, const char *payload,
                        size_t length);
/* 600 requests at once, or their responses: in turn GET /a (200), GET /c (404), HEAD /b (302). */
void wire_pipeline(struct wire *wire, bool responses);
