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

/* Whether a length is 1 to @max, asked so that any verifier sees it: that of 6.1 learns nothing
 * from a comparison with 0, which is what the compiler makes of n < 1 where n has no sign. */
static __always_inline bool length_within(__s64 *n, __s64 max)
{
    pmo_opaque(*n);
    if (*n < 1)
        return false;
    pmo_opaque(*n);
    return *n <= max;
}

/* What a step of bpf_loop() returns: whether it is the last one. The verifier has to see that it is
 * 0 or 1, which newer compilers know, and do not show; clang 14, which builds for 6.1, does, and
 * the stack is short there. */
#if defined(__clang_major__) && __clang_major__ < 15
#define loop_ends(ends) (ends)
#else
static __always_inline long loop_ends(bool ends)
{
    long r = ends;

    pmo_opaque(r);
    return r & 1;
}
#endif

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

/* High bit set in each byte of w that is less than n, which is at most 128; exact likewise. */
static __always_inline __u64 bytes_below(__u64 w, __u8 n)
{
    return (w - PMO_ONES * n) & ~w & PMO_HIGH;
}

/* The same as bytes_equal() in fewer steps; marks bytes that are not ASCII, too. */
static __always_inline __u64 bytes_equal_ascii(__u64 w, __u8 c)
{
    return ((w ^ (PMO_ONES * c)) - PMO_ONES) & PMO_HIGH;
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
