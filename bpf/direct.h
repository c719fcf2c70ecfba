/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "bpf/maps.h"

void *bpf_cast_to_kern_ctx(void *context) __ksym __weak;
void *bpf_rdonly_cast(const void *from, __u32 type) __ksym __weak;

const volatile __u64 direct_base, pages_base;

static __always_inline __u64 direct_at(struct __sk_buff *skb, __u32 offset, __u32 n)
{
    struct sk_buff *k = bpf_cast_to_kern_ctx(skb);
    __u32 linear = k->len - k->data_len;
    struct skb_shared_info *shared;
    __u64 page;

    if (offset + n <= linear)
        return (__u64)k->data + offset;
    if (offset < linear)
        return 0;
    offset -= linear;
    shared = bpf_rdonly_cast((void *)(k->head + k->end), bpf_core_type_id_kernel(struct skb_shared_info));
    if (!shared->nr_frags || offset + n > shared->frags[0].len)
        return 0;
    page = shared->frags[0].netmem;
    if (page & 1)
        return 0;
    return direct_base + ((page - pages_base) / 64 * 4096) + shared->frags[0].offset + offset;
}

static __always_inline bool direct_load(struct __sk_buff *skb, __u32 offset, __u8 *to, __u32 n)
{
    __u64 at = direct_at(skb, offset, n), steps = (n + 15) / 16;

    if (!at)
        return false;
    for (__u32 i = 0; i < HTTP1_CHUNK / 16; i++) {
        struct timespec64 *two;

        if (i >= steps)
            break;
        two = bpf_rdonly_cast((void *)(at + i * 16), bpf_core_type_id_kernel(struct timespec64));
        *(__u64 *)(to + i * 16) = two->tv_sec;
        *(__u64 *)(to + i * 16 + 8) = two->tv_nsec;
    }
    return true;
}
