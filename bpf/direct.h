/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The beginning of a segment, read where it lies. What is sent lies in pages, and so does most of
 * what comes in; bpf_skb_load_bytes() finds it there and copies it, by way of three functions,
 * which was the dearest part of a request. A program may read any address (the kernel answers a bad
 * one with zeros), so all that it takes is the page's address: x86-64 maps all memory in a row, in
 * the order of its struct page (Documentation/arch/x86/x86_64/mm.rst in the kernel's sources).
 *
 * That order is no promise, so it is tried before it is trusted: on each CPU the first segments are
 * read both ways, and one difference means that it is not done there. Nor is it where a kernel
 * cannot (before 6.9), nor for a segment that lies in more than one piece.
 */
#pragma once

#include "bpf/maps.h"

#define DIRECT_MOST   256U /* bytes; of more, the kernel's way is the faster one */
#define DIRECT_CHECKS 64U
#define DIRECT_WRONG  ~0U

/* Where the kernel keeps where its maps of all memory and of its struct page begin; 0: it does not
 * say, and they are where they are unless they are moved (with four levels of page tables; with
 * five, the first segment tells). */
const volatile __u64 page_offset_base_at, vmemmap_base_at;
/* Neither said nor fixed: what lies at a wrong address may be a device. */
const volatile bool memory_known;

#define PAGE_OFFSET_FIXED 0xffff888000000000ULL
#define VMEMMAP_FIXED     0xffffea0000000000ULL

void *bpf_cast_to_kern_ctx(void *context) __ksym __weak;
void *bpf_rdonly_cast(const void *from, __u32 type) __ksym __weak;

#ifdef __TARGET_ARCH_x86
#define DIRECT_POSSIBLE                                                                            \
    (memory_known && bpf_core_type_size(struct page) == 64 &&                                      \
     bpf_core_enum_value_exists(enum special_kfunc_type, KF_bpf_rdonly_cast) &&                    \
     bpf_core_field_exists(struct skb_frag, netmem))
#else
#define DIRECT_POSSIBLE false
#endif

/* Sixteen bytes at any address. */
static __always_inline struct timespec64 *direct_words(__u64 at)
{
    return bpf_rdonly_cast((void *)at, bpf_core_type_id_kernel(struct timespec64));
}

/* What the kernel keeps at @at, or did not move. */
static __always_inline __u64 direct_base(__u64 at, __u64 fixed)
{
    return at ? direct_words(at)->tv_sec : fixed;
}

/* Address of @n bytes of a packet; 0 where they are not in one piece. */
static __always_inline __u64 direct_at(struct __sk_buff *context, __u32 offset, __u32 n,
                                       volatile __u64 *number)
{
    struct sk_buff *skb = bpf_cast_to_kern_ctx(context);
    __u32 linear = skb->len - skb->data_len;
    struct skb_shared_info *shared;
    __u64 page;

    if (offset + n <= linear) {
        *number = (__u64)skb->data; /* newer verifiers calculate with numbers only */
        return *number + offset;
    }
    if (offset < linear)
        return 0;
    offset -= linear;
    shared = bpf_rdonly_cast(skb->head + skb->end, bpf_core_type_id_kernel(struct skb_shared_info));
    page = shared->frags[0].netmem;
    if (!shared->nr_frags || offset + n > shared->frags[0].len || page & 1) /* a device's memory */
        return 0;
    return direct_base(page_offset_base_at, PAGE_OFFSET_FIXED) +
           (page - direct_base(vmemmap_base_at, VMEMMAP_FIXED)) / 64 * 4096 +
           shared->frags[0].offset + offset;
}

static __always_inline __u64 chunk_hash(const struct http1_chunk *chunk, __u32 words)
{
    __u64 hash = 0;

    for (__u32 i = 0; i < DIRECT_MOST / 8 && i < words; i++)
        hash = hash_mix(hash, load_word(chunk->buf + i * 8));
    return hash;
}

/* Loads what was read once more, in the kernel's way. Global, as it is verified once then. */
__noinline int direct_check(struct __sk_buff *skb, struct http1_chunk *chunk, __u32 offset,
                            __u32 length)
{
    struct pmo_control *control = control_row();
    struct cpu *cpu = this_cpu();
    __s64 n = length;
    __u64 read;

    if (!chunk || !cpu || !control)
        return false;
    read = chunk_hash(chunk, length / 8);
    if (!length_within(&n, HTTP1_CHUNK) || bpf_skb_load_bytes(skb, offset, chunk->buf, n))
        return false;
    if (chunk_hash(chunk, length / 8) != read) {
        cpu->direct = DIRECT_WRONG;
        __sync_fetch_and_add(&control->direct_wrong, 1);
    } else if (length >= 16 && ++cpu->direct == DIRECT_CHECKS) {
        __sync_fetch_and_add(&control->direct, 1);
    }
    return true;
}

/* Loads 1 to DIRECT_MOST bytes; up to 15 that follow them in the same page are written, too. */
static __always_inline bool direct_load(struct __sk_buff *skb, struct cpu *cpu,
                                        struct http1_chunk *chunk, __u32 offset, __u32 n)
{
    __u32 steps = (n + 15) / 16;
    __u64 at;

    if (!DIRECT_POSSIBLE || n > DIRECT_MOST || unlikely(cpu->direct == DIRECT_WRONG))
        return false;
    at = direct_at(skb, offset, n, (__u64 *)chunk);
    if (unlikely(!at || ((at + n - 1) ^ (at + steps * 16 - 1)) >> 12))
        return false;
    for (__u32 i = 0; i < DIRECT_MOST / 16 && i < steps; i++) {
        struct timespec64 *words = direct_words(at + i * 16);

        *(__u64 *)(chunk->buf + i * 16) = words->tv_sec;
        *(__u64 *)(chunk->buf + i * 16 + 8) = words->tv_nsec;
    }
    return likely(cpu->direct >= DIRECT_CHECKS) || direct_check(skb, chunk, offset, n);
}
