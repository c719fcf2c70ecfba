/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel routing: connect() to a service address becomes connect() to a ready instance, chosen from
 * the hints map, before there is a packet. No proxy in the path.
 *
 * The choice is the better of two random ready instances, by requests in flight over weight
 * (Mitzenmacher 2001); when neither is ready, the first ready one from a random place on.
 */
#pragma once

#include "bpf/listener.h"
#include "bpf/maps.h"

#define ECONNREFUSED 111

struct pick {
    __u32 service, first, count, start;
    __u32 instance; /* 0: none yet */
    __u64 load;     /* of it: (in flight + 1) / weight, scaled */
};

static __always_inline void pick_consider(struct pick *p, __u32 place)
{
    struct pmo_hint_instance *hint;
    __u32 at = p->first + place, row, id;
    __u32 *members, *ended, before;
    __u64 load;

    row = PMO_HINTS_FIRST_MEMBERS + at / 16;
    members = bpf_map_lookup_elem(&hints, &row);
    if (!members)
        return;
    id = members[at & 15];
    hint = hint_row(id);
    ended = ended_row(id);
    if (!id || !hint || !ended || hint->service != p->service || !(hint->flags & PMO_HINT_READY))
        return;
    before = *(volatile __u32 *)ended;
    load = ((__u64)(__u32)(*(volatile __u32 *)&hint->arrived - before) + 1) * (1 << 20) /
           (hint->weight ? hint->weight : 1);
    if (p->instance && load >= p->load)
        return;
    p->instance = id;
    p->load = load;
}

static long pick_scan(__u32 i, void *context)
{
    struct pick *p = context;

    if (i >= p->count || !p->count)
        return 1;
    pick_consider(p, (p->start + i) % p->count);
    return p->instance != 0;
}

SEC("cgroup/connect4")
int service_connect(struct bpf_sock_addr *ctx)
{
    struct pmo_listener key;
    struct pmo_hint_service *service;
    struct pmo_hint_instance *hint;
    struct pick pick;
    __u32 *number, row, addr = ctx->user_ip4, random;

    __builtin_memset(&key, 0, sizeof(key));
    key.addr[10] = key.addr[11] = 0xff;
    __builtin_memcpy(&key.addr[12], &addr, 4);
    key.port = bpf_ntohs(ctx->user_port);
    number = bpf_map_lookup_elem(&service_addresses, &key);
    if (!number)
        return 1;
    row = PMO_HINTS_FIRST_SERVICE + *number;
    service = bpf_map_lookup_elem(&hints, &row);
    if (!service)
        return 1;
    __builtin_memset(&pick, 0, sizeof(pick));
    pick.service = *number;
    pick.first = service->members_first;
    pick.count = service->members_count;
    if (pick.count) {
        random = bpf_get_prandom_u32();
        pick_consider(&pick, (random & 0xffff) % pick.count);
        pick_consider(&pick, (random >> 16) % pick.count);
        if (!pick.instance) {
            pick.start = random % pick.count;
            bpf_loop(PMO_HINTS_MEMBERS_MAX, pick_scan, &pick, 0);
        }
    }
    hint = pick.instance ? hint_row(pick.instance) : NULL;
    if (!hint) {
        bpf_set_retval(-ECONNREFUSED);
        return 0;
    }
    __builtin_memcpy(&addr, &hint->addr[12], 4);
    ctx->user_ip4 = addr;
    ctx->user_port = bpf_htons(hint->port);
    return 1;
}
