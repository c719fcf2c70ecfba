/* SPDX-License-Identifier: GPL-2.0 */
/* Connection attempts per instance, at XDP: before the stack has a say. */
#pragma once

#include "bpf/maps.h"
#include "bpf/request.h"

SEC("xdp")
int syn_count(struct xdp_md *ctx)
{
    __u8 *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct pmo_instance_counts *counts;
    struct pmo_listener key;
    __u32 at = 14, *instance;
    __u8 *tcp;
    __u16 type;

    if (data + 14 + 40 > data_end)
        return XDP_PASS;
    type = data[12] << 8 | data[13];
    __builtin_memset(&key, 0, sizeof(key));
    if (type == 0x0800) {
        if (data[14 + 9] != IPPROTO_TCP)
            return XDP_PASS;
        key.addr[10] = key.addr[11] = 0xff;
        __builtin_memcpy(&key.addr[12], data + 14 + 16, 4);
        at += (data[14] & 15) * 4;
    } else if (type == 0x86dd) {
        if (data[14 + 6] != IPPROTO_TCP)
            return XDP_PASS;
        __builtin_memcpy(key.addr, data + 14 + 24, 16);
        at += 40;
    } else {
        return XDP_PASS;
    }
    tcp = data + at;
    if (tcp + 20 > data_end)
        return XDP_PASS;
    if ((tcp[13] & 0x12) != 0x02) /* SYN without ACK */
        return XDP_PASS;
    key.port = tcp[2] << 8 | tcp[3];
    instance = bpf_map_lookup_elem(&syn_targets, &key);
    if (!instance)
        return XDP_PASS;
    counts = instance_counts(*instance, bpf_ktime_get_ns());
    if (counts)
        __sync_fetch_and_add(&counts->syns, 1);
    return XDP_PASS;
}
