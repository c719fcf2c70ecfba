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

#define PMO_ABI_VERSION 12U

#define PMO_INSTANCES_MAX   4096U /* rows; 0 is "unknown instance", used when the rows are full */
#define PMO_COUNTERS_MAX    8192U /* (instance, type) pairs; the first few count what has no pair */
#define PMO_ROUTES_MAX      4096U /* folded routes; 0 is "{other}" */
#define PMO_PEERS_MAX       1024U /* addresses that calls go to; 0 is "{other}" */
#define PMO_ROUTE_BYTES     120U  /* a folded route with its NUL; a longer one is cut */
#define PMO_FOLD_NAME_BYTES 32U   /* what stands for a folded segment, with its NUL */
#define PMO_FOLD_RULES_MAX  4096U /* see struct pmo_fold_rule */
#define PMO_FOLD_CHILDREN   24U   /* of a path that are told apart; more are folded */
#define PMO_FOLD_ROUTES     200U  /* routes of a service; what comes beyond is "{other}" */
#define PMO_STASH_PIECES    4096U /* of 2 KiB, for segments that come before their turn */
#define PMO_SHARDS_MAX      9U    /* copies of the counters, see struct pmo_counter */
#define PMO_LATENCY_BUCKETS 40U   /* half an octave each, see pmo_latency_bucket_us() */
#define PMO_COMMAND_BYTES   16U   /* of a process, with its NUL: the kernel's TASK_COMM_LEN */
#define PMO_HEADERS_MAX     4U    /* that policies name */
#define PMO_HEADER_BYTES    32U   /* name or value of one, with its NUL */
#define PMO_HEADER_VALUES   16U   /* that are listed of one */
#define PMO_HEADER_HASHES   48U /* of one and a service; with its "{other}" < PMO_FOLD_ROUTES / 4 */
#define PMO_TARGET_BUCKETS  4096U
#define PMO_TARGETS         8U      /* of a bucket */
#define PMO_ZONES_MAX       256U    /* 0 is "unknown" */
#define PMO_PREFIXES_MAX    524288U /* of all zones; each that there is takes up to 128 bytes */

enum pmo_protocol {
    PMO_PROTOCOL_UNKNOWN = 0,
    PMO_PROTOCOL_HTTP1 = 1,
    PMO_PROTOCOL_HTTP2 = 2,
    PMO_PROTOCOL_GRPC = 3,  /* over HTTP/2; the status class follows from grpc-status */
    PMO_PROTOCOL_REDIS = 4, /* these have commands as routes; a status class is 2 or, for errors, 5
                               (or, of DNS, 4) */
    PMO_PROTOCOL_MEMCACHED = 5,
    PMO_PROTOCOL_POSTGRESQL = 6,
    PMO_PROTOCOL_MYSQL = 7, /* MariaDB, too */
    PMO_PROTOCOL_DNS = 8,   /* over TCP and UDP */
    PMO_PROTOCOL_KAFKA = 9,
    /* Not protocols: SYNs and accepted connections of an instance from a zone. Their status class
     * is PMO_STATUS_ARRIVED; what comes from no zone is only in struct pmo_instance_counts. */
    PMO_PROTOCOL_CONNECTIONS = 253,
    PMO_PROTOCOL_SYNS = 254,
    /* Not a protocol: requests that carry a header which a policy names, once more. Their route is
     * "name: value", their status class PMO_STATUS_ARRIVED. */
    PMO_PROTOCOL_HEADER = 255,
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
/* Not a status: the requests of a type as they arrive, when nobody knows their status yet. Those
 * that are in flight are these less those that finished or were aborted. */
#define PMO_STATUS_ARRIVED 6U

enum pmo_direction {
    PMO_INBOUND = 0, /* requests that an instance serves */
    PMO_OUTBOUND,    /* requests that it makes to others, where its policy says `calls: true` */
};

/* Counter slots for pairs that found no slot of their own, by direction and status class. Inbound
 * arrivals that find none are counted with their instance. */
#define PMO_OVERFLOW_SLOTS (2 * (PMO_STATUS_ARRIVED + 1))

/* A listening address. IPv4 is held as an IPv4-mapped IPv6 address, :: stands for any address. */
struct pmo_listener {
    __u64 netns;   /* network namespace cookie */
    __u8 addr[16]; /* network byte order */
    __u16 port;    /* host byte order */
    __u16 pad[3];
};

/*
 * An address that packets are counted for, at XDP. The table of them is an array of buckets, as a
 * look-up in a hash map alone takes more than the whole program does: the agent writes it, the
 * kernel side reads it. `what` is written last, and 0 before the rest changes.
 */
struct pmo_target {
    __u64 addr[2]; /* as in struct pmo_listener */
    __u64 what;    /* PMO_TARGET(); 0: none */
};

struct pmo_target_bucket {
    struct pmo_target targets[PMO_TARGETS];
};

/* @number differs from that of any target before; @node: on interfaces of the node itself, not on
 * those of an instance. Where it is looked up is in the lower part: PMO_TARGET_KEY(). */
#define PMO_TARGET_KEY(node, port) ((__u32)(node) << 16 | (port))
#define PMO_TARGET(number, instance, node, port)                                                   \
    ((__u64)(number) << 32 | (__u32)(instance) << 17 | PMO_TARGET_KEY(node, port))
#define PMO_TARGET_INSTANCE(what) ((__u32)(what) >> 17)

/* Key of the map "zones", a trie of prefixes: its value is a zone. */
struct pmo_prefix {
    __u32 bits; /* of addr, 96 more where it is IPv4-mapped */
    __u8 addr[16];
};

/* An instance as the kernel knows it: who listens. */
struct pmo_instance {
    __u32 id;         /* row, 1..PMO_INSTANCES_MAX-1 */
    __u32 listeners;  /* sockets that listen on this address (SO_REUSEPORT makes several) */
    __u32 pid;        /* the process that called listen(), 0 where it is not known */
    __u32 generation; /* from 1 on; differs from that of every other instance */
    __u64 cgroup;     /* cgroup v2 id of that process, 0 where it is not known */
};

/* How the instance is known that opens a connection. */
enum pmo_caller_kind {
    PMO_CALLER_NETNS = 1, /* by the cookie of its network namespace, which is its own */
    PMO_CALLER_PROCESS,   /* by its process, or one that descends from it */
    PMO_CALLER_CGROUP,    /* by the cgroup v2 id of its socket */
};

struct pmo_caller {
    __u64 id;
    __u32 kind;
    __u32 pad;
};

struct pmo_calling {
    __u32 instance;
    __u32 generation;
};

/* An address that calls go to: a row of the map "peers". */
struct pmo_peer {
    struct pmo_listener address; /* as callers know it; netns is 0 but of loopback, link-local */
    __u32 instance;              /* that accepted the last connection to it; 0: not on this host */
    __u32 pad;
};

/* One type of request on one instance: what a counter slot counts. */
struct pmo_counter_key {
    __u16 instance;
    __u16 peer;     /* outbound: row of the peers map */
    __u16 route;    /* row of the routes map */
    __u8 direction; /* enum pmo_direction */
    __u8 pad;
    __u8 protocol;
    __u8 method;
    __u8 status_class;
    __u8 zone; /* source zone, 0 where no prefix matched */
};

/* Time to the first byte of the response in half octaves, to the last byte in octaves. */
struct pmo_latency_octave {
    __u32 first_byte[2]; /* buckets 2i and 2i+1 */
    __u32 last_byte;
};

/* Of calls that left (PMO_OUTBOUND, PMO_STATUS_ARRIVED), three of these have another meaning:
 * `finished` are those of which it is known what request they are made for, `first_byte_ns` and the
 * buckets of the first byte how long after the arrival of that they left. */
struct pmo_counts {
    __u64 requests;       /* that have a response head, or never got one (PMO_STATUS_ABORTED), or
                           * arrived (PMO_STATUS_ARRIVED, where inbound nothing else is counted) */
    __u64 finished;       /* whose response is over: whole, or cut short */
    __u64 first_byte_ns;  /* sum over requests, from head complete to first byte of the response */
    __u64 last_byte_ns;   /* sum over finished, from head complete to last byte of the response */
    __u64 request_bytes;  /* sums over finished: heads and bodies */
    __u64 response_bytes; /* */
    struct pmo_latency_octave latency[PMO_LATENCY_BUCKETS / 2];
};

/* One for each shard: shard 0 is added to atomically by whoever has no shard, the others belong to
 * a CPU each (or to several on large machines). */
struct pmo_counter {
    struct pmo_counts window[2]; /* by parity of the window */
};

struct pmo_instance_counts {
    __u64 arrivals; /* requests that are not in any PMO_STATUS_ARRIVED */
    __u64 connections;
    __u64 closes;
    __u64 syns;      /* at XDP, before the stack: no demand, as anyone can send them */
    __u64 datagrams; /* UDP, likewise */
    __u64 initials;  /* those of them that ask for a QUIC connection */
};

struct pmo_instance_counter { /* one for each shard */
    struct pmo_instance_counts window[2];
};

/* What comes before load, of one instance in one window (bpf/saturation.h). */
#define PMO_WAIT_BUCKETS 20U /* octaves as those of latency */

struct pmo_signals {
    __u64 waits;        /* reads whose wait was measured: of a busy host, a part of them */
    __u64 wait_us;      /* sums over those: from arrival to read; */
    __u64 unread_bytes; /* what the read left in the receive queue; */
    __u64 rtt_us;       /* smoothed round-trip time, */
    __u64 rtt_min_us;   /* and the least of the connection's last minutes (tcp_min_rtt_wlen) */
    __u64 handshakes;   /* connections accepted whose first round trip was measured, */
    __u64 handshake_us; /* and its sum: from SYN-ACK to ACK */
    __u64 retransmits;  /* segments that were sent again */
    __u64 resets_sent, resets_received;
    __u64 overflows; /* packets of handshakes that found the accept queue full */
    __u32 wait[PMO_WAIT_BUCKETS];
};

/* The longest that packets of handshakes found in a window. */
struct pmo_queues {
    __u64 window;
    __u32 accept_queue; /* connections that wait for accept() */
    __u32 accept_limit; /* and how many may */
    __u32 half_open;    /* handshakes under way */
    __u32 pad;
};

struct pmo_signals_row {
    struct pmo_signals window[2]; /* sums, by parity of the window */
    struct pmo_queues queues[2];
};

struct pmo_route {
    __u64 hash;
    char text[PMO_ROUTE_BYTES]; /* NUL-terminated */
};

/*
 * Folding that learns (bpf/learn.h). A scope is a service; what is kept of one is a tree of path
 * segments, each node in the map "fold_nodes" under the hash of its scope and path. Where a path's
 * children are too many, or an administrator said so, they fold: then its node's rule is in the map
 * "fold_rules". An instance without a service has scope 0, for which nothing is learned.
 */
struct pmo_fold_node {
    __u64 scope;
    __u32 flags;
    __u32 children; /* that were told apart */
    __u32 routes;   /* of the scope, in its root */
    __u32 pad;
};

#define PMO_FOLD_NODE_KEPT    1U /* this segment stays as it is, whatever the rule of its parent */
#define PMO_FOLD_NODE_LEARNED 2U /* children that are no nodes yet fold to {id} */
#define PMO_FOLD_NODE_NAMED   4U /* children fold to a name; those that are kept do not */

enum pmo_fold_kind {
    PMO_FOLD_LEARNED = 1,  /* what comes behind `text` folds */
    PMO_FOLD_LEARNED_KEPT, /* but `text` does not */
    PMO_FOLD_PINNED,       /* the same two, by configuration */
    PMO_FOLD_PINNED_KEPT,
};

#define PMO_FOLD_SKETCH 256U /* registers */

struct pmo_fold_rule {
    __u64 scope;
    __u64 made_ns; /* CLOCK_MONOTONIC */
    __u32 kind;    /* enum pmo_fold_kind */
    __u32 settled; /* the agent has decided on the children that were told apart before */
    char name[PMO_FOLD_NAME_BYTES]; /* "{id}"; "{rest...}" takes all that comes */
    char text[PMO_ROUTE_BYTES];     /* path, ending with a slash but for those that are kept */
    __u8 sketch[PMO_FOLD_SKETCH];   /* of the segments that were folded: HyperLogLog */
};

/* A header that a policy names: a row of the map "named_headers" (bpf/headers.h). */
#define PMO_HEADER_TEXT 72U /* "name: value", its NULs fill it */

struct pmo_header_value {
    __u64 digest;
    __u32 length; /* of text */
    __u32 pad;
    char text[PMO_HEADER_TEXT];
};

struct pmo_header {
    __u64 name;          /* its digest; 0: no header */
    __u64 http2_name;    /* that of its name in HTTP/2, mostly the same */
    __u64 http2_indices; /* entries of HPACK's static table that have either name, a bit each */
    __u32 hash;          /* values are shown as the first half of their digest */
    __u32 values;        /* that are listed */
    /* [0] is any other, "name: {other}"; with `hash`, [1] is "name: " */
    struct pmo_header_value value[1 + PMO_HEADER_VALUES];
};

/* Which of them are looked for in requests to an instance: in "headers_wanted". */
#define PMO_HEADERS_WANTED(rows, letters) ((__u64)(rows) << 32 | (letters))

/* Records in the ring "windows". Every record starts with its kind. */
enum pmo_record_kind {
    PMO_RECORD_TYPE = 1,     /* struct pmo_type_record */
    PMO_RECORD_INSTANCE = 2, /* struct pmo_instance_record */
    PMO_RECORD_WINDOW = 3,   /* struct pmo_window_record: every record of this window came before */
    PMO_RECORD_SIGNALS = 4,  /* struct pmo_signals_record */
};

struct pmo_type_record {
    __u32 kind;
    __u32 slot;
    __u64 since;  /* first and */
    __u64 window; /* last window this covers (seconds since 1970); equal unless some were missed */
    struct pmo_counter_key key;
    struct pmo_counts counts; /* inbound PMO_STATUS_ARRIVED: only counts.requests is there */
};

#define PMO_ARRIVED_RECORD_BYTES offsetof(struct pmo_type_record, counts.finished)

struct pmo_instance_record {
    __u32 kind;
    __u32 instance;
    __u64 since;
    __u64 window;
    struct pmo_instance_counts counts;
};

struct pmo_signals_record {
    __u32 kind;
    __u32 instance;
    __u64 since;
    __u64 window;
    struct pmo_signals counts;
    struct pmo_queues queues; /* its window is 0 where no handshake was under way in this one */
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
    PMO_EVENT_TLS = 4,       /* it has a TLS connection, the first one */
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

struct pmo_listening_event { /* PMO_EVENT_LISTENING */
    struct pmo_event event;
    /* of the process, which may be gone when this is read; "" where no process is known */
    char command[PMO_COMMAND_BYTES];
};

/*
 * What the uprobes on a TLS library know of the function that they are on: their BPF cookie. Above
 * these bits it is when the probe was attached (CLOCK_MONOTONIC, in units of 2^PMO_TLS_SINCE_UNIT
 * ns): of a connection that is younger, they have seen all.
 */
#define PMO_TLS_READ        1U   /* the second argument is a buffer that it fills, */
#define PMO_TLS_WRITE       2U   /* or takes */
#define PMO_TLS_INT         4U   /* returns how many bytes as an int, not as a long, */
#define PMO_TLS_LENGTH_AT   8U   /* or stores it where the fourth argument points, and returns 1 */
#define PMO_TLS_UNSEEN      16U  /* the bytes are never in memory (SSL_sendfile()) */
#define PMO_TLS_GO_ENTRY    32U  /* in Go's convention: where the function is entered, */
#define PMO_TLS_GO_RETURN   64U  /* or left */
#define PMO_TLS_FIFTH       128U /* with PMO_TLS_LENGTH_AT: where the fifth argument points */
#define PMO_TLS_SINCE_SHIFT 8
#define PMO_TLS_SINCE_UNIT  20

/* The single row of the map "control". */
struct pmo_control {
    __u32 abi_version;
    __u32 shards;         /* of the counters, shard 0 included */
    __u64 wall_offset_ns; /* CLOCK_MONOTONIC + this = the wall clock that windows follow */
    __u64 last_window;    /* last window that was flushed */
    __u64 ring_full;      /* records that had to wait for the next window */
    __u64 routes_full;    /* requests counted under "{other}" */
    __u64 counters_full;  /* requests counted under an overflow slot */
    __u64 instances_full; /* connections counted under instance 0 */
    __u64 midstream;      /* connections joined in mid-stream, from their next request head on */
    __u64 holes;          /* gaps in a stream that nothing ever filled: requests may be missing */
    __u64 not_http;       /* connections that are neither HTTP nor TLS */
    __u64 tls;            /* connections that are TLS, */
    __u64 tls_read;       /* and those of them whose library's calls are read */
    __u32 wait_mask;    /* of 1 + this many reads, the wait of one is measured; a power of 2 - 1 */
    __u32 direct;       /* CPUs that read segments where they lie (bpf/direct.h), */
    __u32 direct_wrong; /* and those that found that they cannot */
    __u32 pad;
    __u64 broken;         /* directions of HTTP/2 connections that ceased to make sense */
    __u64 peers_full;     /* connections whose calls are counted under the peer "{other}" */
    __u32 slots_used;     /* counter slots below this have been used */
    __u32 routes_used;    /* rows of routes, */
    __u32 peers_used;     /* and of peers */
    __u32 instances_used; /* instance rows below this have been used */
    __u32 generations;    /* instances that were made */
    __u32 stash_tickets;  /* segments that were kept until it was their turn */
    __u32 stash_taken;    /* pieces of them that were taken away, as there was no room */
    __u32 fold_rules;     /* that were made by the kernel side */
    __u32 headers_epoch;  /* differs whenever a row of named_headers is another header */
    __u64 header_key[2];  /* for digests of headers: secret, and drawn when the maps were made */
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
_Static_assert(sizeof(struct pmo_caller) == 16, "key without holes");
_Static_assert(sizeof(struct pmo_counter_key) == 12, "key without holes");
_Static_assert(PMO_ROUTES_MAX <= 65536 && PMO_INSTANCES_MAX <= 65536 && PMO_PEERS_MAX <= 65536,
               "a row takes 16 bits of a key");
_Static_assert(sizeof(struct pmo_peer) == 40, "shared with the kernel");
_Static_assert(sizeof(struct pmo_instance) == 24, "shared with the kernel");
_Static_assert(sizeof(struct pmo_counts) == 288, "shared with the kernel");
_Static_assert(sizeof(struct pmo_type_record) == 328, "shared with the kernel");
_Static_assert(sizeof(struct pmo_instance_record) == 72, "shared with the kernel");
_Static_assert(PMO_INSTANCES_MAX <= 1 << 15, "a row takes 15 bits of a target");
_Static_assert(sizeof(struct pmo_prefix) == 20, "key without holes");
_Static_assert(sizeof(struct pmo_event) == 64, "shared with the kernel");
_Static_assert(sizeof(struct pmo_signals_record) == 216, "shared with the kernel");
_Static_assert(sizeof(struct pmo_header) == 32 + 17 * 88, "shared with the kernel");
_Static_assert(sizeof(struct pmo_route) == 128, "shared with the kernel");
_Static_assert(sizeof(struct pmo_fold_node) == 24, "shared with the kernel");
_Static_assert(sizeof(struct pmo_fold_rule) == 432, "shared with the kernel");
