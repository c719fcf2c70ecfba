/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel side: one object, one program family a file.
 *
 *   connection.h  sockops              accepted connections, bound to their instance
 *   request.h     cgroup_skb           requests and responses on them
 *   listener.h    tp_btf               instances that come, stop listening, die
 *   connect.h     cgroup/connect4      service address to ready instance
 *   syn.h         xdp                  connection attempts
 *   flush.h       syscall, timer       window records to user space
 *   count.h, maps.h                    counters, routes, pinned maps
 *   http1.h, fold.h, portable.h        parsers, which also compile for the host
 */
#include <vmlinux.h>

/* CLOCK_MONOTONIC + this = the wall clock that windows follow; the same for the life of the pins.
 */
const volatile __u64 wall_offset_ns;

#include "bpf/maps.h"
#include "bpf/count.h"
#include "bpf/request.h"
#include "bpf/listener.h"
#include "bpf/connection.h"
#include "bpf/connect.h"
#include "bpf/syn.h"
#include "bpf/flush.h"

char LICENSE[] SEC("license") = "GPL";
