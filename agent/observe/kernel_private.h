/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that are the kernel side's user space share: kernel.c, rows.c, packets.c and
 * uprobes.c. */
#pragma once

#include <bpf/bpf.h>
#include <string.h>
#include "agent/observe/kernel.h"
#include "agent/observe/ring.h"
#include "pmo.skel.h"

struct pmo_kernel {
    char directory[200]; /* <bpffs>/pmo */
    struct pmo_kernel_events events;
    struct pmo_bpf *skeleton;
    struct pmo_control *control;
    void *hints;
    uint64_t *accepting_ports; /* a bit each */
    uint64_t *scopes;          /* by instance */
    uint64_t *headers_wanted;  /* likewise */
    struct pmo_peer *peers;
    struct pmo_target_bucket *targets;
    struct pmo_kernel_zone *zones; /* that the map has, sorted; NULL: not known yet */
    size_t zones_count;
    struct pmo_ring windows, changes;
    int cgroup_fd;
    int lock_fd;
    int windows_completed;
    bool adopted;
    uint64_t adopted_wall_offset_ns;
    uint64_t header_key[2];
};

#define PMO_TARGETS_BYTES (PMO_TARGET_BUCKETS * sizeof(struct pmo_target_bucket))

/* Attaches a program, in the place of an earlier agent's, and pins the link. What is not needed and
 * is refused is off. Returns 0, or what the kernel said (logged). */
int pmo_kernel_attach(struct pmo_kernel *k, struct bpf_program *program);

/* All keys of a map, also while those that were handed out are deleted. */
struct map_walk {
    int map;
    bool more;
    size_t key_bytes;
    uint8_t next[64];
};

_Static_assert(sizeof(struct pmo_listener) <= 64, "the longest key");

static inline struct map_walk map_walk_begin(int map, size_t key_bytes)
{
    struct map_walk walk = {.map = map, .key_bytes = key_bytes};

    walk.more = !bpf_map_get_next_key(map, NULL, walk.next);
    return walk;
}

static inline bool map_walk_next(struct map_walk *walk, void *key)
{
    if (!walk->more)
        return false;
    memcpy(key, walk->next, walk->key_bytes);
    walk->more = !bpf_map_get_next_key(walk->map, key, walk->next);
    return true;
}
