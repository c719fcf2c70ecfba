/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What lets the parsers compile for the kernel and for the host alike, so that unit tests and
 * fuzzers run the very lines that run in the kernel.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

#ifndef __bpf__
#include <stddef.h>
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))

static inline long bpf_loop(__u32 count, long (*step)(__u32 i, void *context), void *context,
                            __u64 flags)
{
    __u32 i;

    for (i = 0; i < count; i++)
        if (step(i, context))
            return i + 1;
    return i;
}
#endif

#ifdef __clang__
#define PMO_UNROLL _Pragma("unroll")
#else
#define PMO_UNROLL
#endif

/* Where the hot path goes: what is unlikely is laid out behind it, out of the way of the caches. */
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Keeps the compiler from reasoning about a value, so that it keeps the bounds check that the
 * verifier needs to see. */
#define pmo_opaque(x) asm volatile("" : "+r"(x))

/* Eight bytes at once ("SIMD within a register", after Mycroft's zero-byte test, 1987). */
#define PMO_ONES 0x0101010101010101ULL
#define PMO_HIGH 0x8080808080808080ULL

/* Eight bytes from any address: one load in BPF, where the architectures that matter allow it. */
static __always_inline __u64 load_word(const void *from)
{
#ifdef __bpf__
    return *(const __u64 *)from;
#else
    __u64 w;

    __builtin_memcpy(&w, from, sizeof(w));
    return w;
#endif
}

/* High bit set in each byte of w that equals c; exact up to and including the first. */
static __always_inline __u64 bytes_equal(__u64 w, __u8 c)
{
    __u64 x = w ^ (PMO_ONES * c);

    return (x - PMO_ONES) & ~x & PMO_HIGH;
}

/* Index (0..7) of the first byte marked in a non-zero result of bytes_equal(); BPF has no ctz. */
static __always_inline __u32 first_byte(__u64 marks)
{
    return (((marks & -marks) >> 7) * 0x0001020304050607ULL) >> 56;
}

static __always_inline __u64 hash_mix(__u64 hash, __u64 w)
{
    hash = (hash ^ w) * 0x9fb21c651e98df25ULL;
    return hash ^ (hash >> 32);
}
