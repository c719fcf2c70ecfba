/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel side: one object, one program family a file.
 *
 *   connection.h  sockops              accepted connections, bound to their instance
 *   request.h     cgroup_skb           requests and responses on them: the short way...
 *   segment.h                          ... and the long one
 *   direct.h                           bytes of a packet, where they lie
 *   exchange.h                         what a connection's requests go through
 *   calls.h                            the same of connections that instances open
 *   peers.h                            and whom they call
 *   tls.h         uprobes, tp_btf      requests inside TLS
 *   listener.h    tp_btf               instances that come, stop listening, die
 *   saturation.h  tp_btf               what comes before load: waits, queues, round trips, resets
 *   datagram.h    raw_tp               DNS over UDP, which cgroup_skb sees, too
 *   connect.h     cgroup/connect4      service address to ready instance
 *   syn.h         xdp, tc              connection attempts and datagrams
 *   flush.h       syscall, timer       window records to user space
 *   count.h, maps.h                    counters, routes, pinned maps
 *   http1.h, http2.h, wire.h,           parsers, which also compile for the host
 *   packet.h
 */
#include <vmlinux.h>

/* CLOCK_MONOTONIC + this = the wall clock that windows follow; the same for the life of the pins.
 */
const volatile __u64 wall_offset_ns;
/* Of the counters, shard 0 included, and whether each of the others belongs to one CPU alone. */
const volatile __u32 shards = 2;
const volatile bool exclusive;
/* A tick of the kernel's clock (1 / CONFIG_HZ). */
const volatile __u32 tick_us = 4000;
/* Whether any service's calls to others are counted. */
const volatile bool calls;
/* Whether any policy names headers, and the key of their digests. */
const volatile bool headers_named;
const volatile __u64 header_key[2];
/* Differs wherever the zones do; 0: there are none. */
const volatile __u64 zones_seed;

#include "bpf/maps.h"
#include "bpf/count.h"
#include "bpf/request.h"
#include "bpf/listener.h"
#include "bpf/connection.h"
#include "bpf/datagram.h"
#include "bpf/saturation.h"
#include "bpf/connect.h"
#include "bpf/syn.h"
#include "bpf/flush.h"

char LICENSE[] SEC("license") = "GPL";
