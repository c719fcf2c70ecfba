/* SPDX-License-Identifier: MIT */
/*
 * Reading rows: as pmo/hints.h says, the sequence number before and after, and the fields between
 * them in relaxed atomic loads (H. Boehm, "Can seqlocks get along with programming language memory
 * models?", 2012). The writer is at most some instructions long, but it may have been killed or
 * preempted within them. So nobody waits for long: after SPINS looks an instance counts as not
 * readable, and a service's list is used as it is. That is safe because nothing that was read is
 * trusted: numbers are checked against the map's bounds, and an instance is picked only if its own
 * row says that it is ready and belongs to the service.
 *
 * Random numbers: xorshift64* (Vigna 2016), one state a thread, in initial-exec TLS so that
 * reaching it is not a function call. A thread's first pick seeds it from what pmo_open() got from
 * the kernel, the state's own address, and a ticket drawn from a page that is shared with processes
 * forked later, so that the workers of a router do not all pick the same instances in step. No
 * system call, no clock.
 */
#include "libpmo/libpmo_internal.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_PATH "/sys/fs/bpf/pmo/hints"
#define MAP_BYTES    ((size_t)PMO_HINTS_ROWS * PMO_HINTS_ROW)
#define ROW_WORDS    (PMO_HINTS_ROW / sizeof(__u64))
#define SPINS        1000 /* some 10 microseconds */
#define PICKS        8    /* of instances that turn out to be gone */
#define ENOTSUPP     524  /* what the kernel says where it means ENOTSUP */

struct pmo {
    const char *rows;
    __u64 *tickets; /* shared with forked processes; starts at a random number */
    bool mapped;    /* rows are ours to unmap */
};

static __thread __u64 random_state __attribute__((tls_model("initial-exec")));

/* ---- rows -------------------------------------------------------------------------------------
 */

static const void *row_at(const struct pmo *pmo, size_t row)
{
    return pmo->rows + row * PMO_HINTS_ROW;
}

static const struct pmo_hint_service *service_at(const struct pmo *pmo, __u32 service)
{
    return row_at(pmo, PMO_HINTS_FIRST_SERVICE + service);
}

static const struct pmo_hint_instance *instance_at(const struct pmo *pmo, __u32 instance)
{
    return row_at(pmo, PMO_HINTS_FIRST_INSTANCE + instance);
}

static const struct pmo_hint_ended *ended_at(const struct pmo *pmo, __u32 instance)
{
    return row_at(pmo, PMO_HINTS_FIRST_ENDED + instance);
}

static const __u32 *members_of(const struct pmo *pmo)
{
    return row_at(pmo, PMO_HINTS_FIRST_MEMBERS);
}

static __u32 load(const __u32 *field)
{
    return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static __u32 in_flight(const struct pmo *pmo, __u32 instance)
{
    __u32 ended = __atomic_load_n(&ended_at(pmo, instance)->ended, __ATOMIC_ACQUIRE);

    return load(&instance_at(pmo, instance)->arrived) - ended;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

static __u32 begin_read(const __u32 *seq)
{
    return __atomic_load_n(seq, __ATOMIC_ACQUIRE);
}

/* Whether what was read since begin_read() is whole. */
static bool end_read(const __u32 *seq, __u32 before)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return !(before & 1U) && load(seq) == before;
}

static void copy_row(void *to, const void *row)
{
    __u64 words[ROW_WORDS];

    for (size_t i = 0; i < ROW_WORDS; i++)
        words[i] = __atomic_load_n((const __u64 *)row + i, __ATOMIC_RELAXED);
    memcpy(to, words, sizeof(words));
}

/* A consistent copy of a row; false when its writer does not come to an end. */
static bool read_row(void *to, const void *row, const __u32 *seq)
{
    for (int i = 0; i < SPINS; i++) {
        __u32 before = begin_read(seq);

        copy_row(to, row);
        if (end_read(seq, before))
            return true;
        relax();
    }
    return false;
}

/* The same for an instance, field by field: half the time of a copy of the row. */
static bool read_instance(const struct pmo *pmo, __u32 instance, struct pmo_hint *hint,
                          __u32 *service)
{
    const struct pmo_hint_instance *row = instance_at(pmo, instance);

    for (int i = 0; i < SPINS; i++) {
        __u32 before = begin_read(&row->seq);

        hint->instance = instance;
        hint->flags = load(&row->flags);
        hint->in_flight = in_flight(pmo, instance);
        hint->weight = load(&row->weight);
        hint->predicted_latency_us = load(&row->predicted_latency_us);
        hint->capacity_mrps = load(&row->capacity_mrps);
        hint->version = load(&row->version);
        hint->pid = load(&row->pid);
        for (size_t word = 0; word < sizeof(hint->addr); word += sizeof(__u64)) {
            __u64 half = __atomic_load_n((const __u64 *)(row->addr + word), __ATOMIC_RELAXED);

            memcpy(hint->addr + word, &half, sizeof(half));
        }
        hint->port = __atomic_load_n(&row->port, __ATOMIC_RELAXED);
        hint->zone = __atomic_load_n(&row->zone, __ATOMIC_RELAXED);
        hint->cleared_ns = __atomic_load_n(&row->cleared_ns, __ATOMIC_RELAXED);
        *service = load(&row->service);
        if (__builtin_expect(end_read(&row->seq, before), 1))
            return true;
        relax();
    }
    return false;
}

/* Where a service's members are; count 0 where it is unknown, or its numbers make no sense. */
struct list {
    __u32 seq, used, first, count;
};

static struct list list_of(const struct pmo_hint_service *row)
{
    struct list list = {.seq = begin_read(&row->seq),
                        .used = load(&row->used),
                        .first = load(&row->members_first),
                        .count = load(&row->members_count)};

    if (!list.used || list.count > PMO_HINTS_INSTANCES_MAX ||
        list.first > PMO_HINTS_MEMBERS_MAX - list.count)
        list.count = 0;
    return list;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static bool is_hints(const void *rows)
{
    struct pmo_hints_header header;

    /* acquire: the magic was written last */
    if (__atomic_load_n((const __u32 *)rows, __ATOMIC_ACQUIRE) != PMO_HINTS_MAGIC)
        return false;
    copy_row(&header, rows);
    return header.version == PMO_HINTS_VERSION && header.row_bytes == PMO_HINTS_ROW &&
           header.services_max == PMO_HINTS_SERVICES_MAX &&
           header.instances_max == PMO_HINTS_INSTANCES_MAX &&
           header.members_max == PMO_HINTS_MEMBERS_MAX;
}

int pmo_open_memory(struct pmo **pmo, const void *rows)
{
    struct pmo *made;
    __u64 *tickets;

    if (!is_hints(rows))
        return -EPROTO;
    tickets =
        mmap(NULL, sizeof(*tickets), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tickets == MAP_FAILED)
        return -errno;
    made = malloc(sizeof(*made));
    if (!made) {
        (void)munmap(tickets, sizeof(*tickets));
        return -ENOMEM;
    }
    *made = (struct pmo){.rows = rows, .tickets = tickets};
    /* at early boot there may be no entropy: the address has to do then */
    if (getrandom(tickets, sizeof(*tickets), GRND_NONBLOCK) < 0)
        *tickets = (__u64)(unsigned long)made;
    *pmo = made;
    return 0;
}

int pmo_open(struct pmo **pmo, const char *path)
{
    union bpf_attr attr;
    void *rows;
    int fd, r;

    memset(&attr, 0, sizeof(attr));
    attr.pathname = (__u64)(unsigned long)(path ? path : DEFAULT_PATH);
    /* Not BPF_F_RDONLY, though nothing is written: a descriptor that cannot write makes the kernel
     * drop VM_SHARED from the mapping, and bpf_map_mmap() refuses what is not shared. */
    fd = (int)syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
    if (fd < 0)
        return -errno;
    rows = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    r = -errno;
    (void)close(fd);
    /* a map of another kind or size, or no map at all, cannot be mapped like this */
    if (rows == MAP_FAILED)
        return r == -EINVAL || r == -ENODEV || r == -ENOTSUPP ? -EPROTO : r;
    r = pmo_open_memory(pmo, rows);
    if (r)
        (void)munmap(rows, MAP_BYTES);
    else
        (*pmo)->mapped = true;
    return r;
}

void pmo_close(struct pmo **pmo)
{
    if (!*pmo)
        return;
    (void)munmap((*pmo)->tickets, sizeof(*(*pmo)->tickets));
    if ((*pmo)->mapped)
        (void)munmap((void *)(*pmo)->rows, MAP_BYTES);
    free(*pmo);
    *pmo = NULL;
}

/* ---- picking ----------------------------------------------------------------------------------
 */

static __attribute__((noinline, cold)) __u64 seeded(const struct pmo *pmo)
{
    __u64 x = __atomic_fetch_add(pmo->tickets, 1, __ATOMIC_RELAXED) * 0x9e3779b97f4a7c15ULL +
              (__u64)(unsigned long)&random_state;

    /* the finalizer of splitmix64: neighbours end far apart */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    x ^= x >> 31;
    return x ? x : 1;
}

static __u64 random_bits(const struct pmo *pmo)
{
    __u64 x = random_state;

    if (__builtin_expect(!x, 0))
        x = seeded(pmo);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random_state = x;
    return x * 0x2545f4914f6cdd1dULL;
}

/* 32 random bits to 0..n-1, without a division (Lemire 2019). */
static __u32 below(__u32 random, __u64 n)
{
    return (__u32)((random * n) >> 32);
}

/* Whether a number from a list may be picked, whatever else the list says. */
static bool is_ready(const struct pmo *pmo, __u32 instance, __u32 service)
{
    const struct pmo_hint_instance *row;

    if (instance >= PMO_HINTS_INSTANCES_MAX)
        return false;
    row = instance_at(pmo, instance);
    /* acquire: the row was written before it was made ready */
    return (__atomic_load_n(&row->flags, __ATOMIC_ACQUIRE) & PMO_HINT_READY) &&
           load(&row->service) == service;
}

/* The one with less in flight for its weight. Both the same, most often idle: a draw by weight. */
static __u32 better(const struct pmo *pmo, __u32 a, __u32 b)
{
    const struct pmo_hint_instance *row_a = instance_at(pmo, a), *row_b = instance_at(pmo, b);
    __u64 weight_a = load(&row_a->weight), weight_b = load(&row_b->weight);
    __u64 load_a = in_flight(pmo, a) * weight_b, load_b = in_flight(pmo, b) * weight_a;
    bool is_a = load_a < load_b;

    if (load_a == load_b)
        is_a = ((random_bits(pmo) >> 34) * (weight_a + weight_b)) >> 30 < weight_a;
    /* not a branch: which one it is cannot be foreseen, and a wrong guess costs half of a pick */
    return b ^ ((a ^ b) & -(__u32)is_a);
}

/* First ready one from a random place on; PMO_HINTS_INSTANCES_MAX where there is none. */
static __u32 scan(const struct pmo *pmo, const struct list *list, __u32 service)
{
    const __u32 *members = members_of(pmo) + list->first;
    __u32 at = list->count ? below((__u32)(random_bits(pmo) >> 32), list->count) : 0, member;

    for (__u32 i = 0; i < list->count; i++) {
        member = load(&members[at]);
        if (is_ready(pmo, member, service))
            return member;
        at = at + 1 < list->count ? at + 1 : 0;
    }
    return PMO_HINTS_INSTANCES_MAX;
}

static __u32 choose(const struct pmo *pmo, const struct list *list, __u32 service)
{
    const __u32 *members = members_of(pmo) + list->first;
    __u32 first, second;
    bool first_ready, second_ready;
    __u64 random;

    if (list->count < 2)
        return scan(pmo, list, service);
    random = random_bits(pmo);
    first = below((__u32)(random >> 32), list->count);
    second = below((__u32)random, list->count - 1); /* of the others */
    second += second >= first;
    first = load(&members[first]);
    second = load(&members[second]);
    first_ready = is_ready(pmo, first, service);
    second_ready = is_ready(pmo, second, service);
    if (first_ready && second_ready)
        return better(pmo, first, second);
    if (first_ready || second_ready)
        return first_ready ? first : second;
    return scan(pmo, list, service);
}

/* Chooses from the list as it is at one moment. */
static __u32 choose_now(const struct pmo *pmo, __u32 service, bool *used)
{
    const struct pmo_hint_service *row = service_at(pmo, service);
    struct list list;
    __u32 chosen;

    for (int i = 0; i < SPINS; i++) {
        list = list_of(row);
        chosen = choose(pmo, &list, service);
        if (__builtin_expect(end_read(&row->seq, list.seq), 1))
            break;
        relax();
    }
    *used = list.used;
    return chosen;
}

int pmo_pick(const struct pmo *pmo, int service, struct pmo_hint *hint)
{
    __u32 picked, of_service;
    bool used;

    if ((__u32)service >= PMO_HINTS_SERVICES_MAX)
        return -ENOENT;
    for (int i = 0; i < PICKS; i++) {
        picked = choose_now(pmo, service, &used);
        if (!used)
            return -ENOENT;
        if (picked == PMO_HINTS_INSTANCES_MAX)
            return -EAGAIN;
        if (!hint)
            return (int)picked;
        /* since then it may have been cleared, or given to another service */
        if (read_instance(pmo, picked, hint, &of_service) && (hint->flags & PMO_HINT_READY) &&
            of_service == (__u32)service)
            return (int)picked;
    }
    return -EAGAIN;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

int pmo_service(const struct pmo *pmo, const char *name)
{
    char text[PMO_HINTS_ROW];

    for (__u32 i = 0; i < PMO_HINTS_SERVICES_MAX; i++) {
        const struct pmo_hint_service *row = service_at(pmo, i);

        /* the name is written under the service's seq */
        if (load(&row->used) && read_row(text, row_at(pmo, PMO_HINTS_FIRST_NAME + i), &row->seq) &&
            !strncmp(text, name, sizeof(text)) && load(&row->used))
            return (int)i;
    }
    return -ENOENT;
}

int pmo_instance(const struct pmo *pmo, __u32 instance, struct pmo_hint *hint)
{
    struct pmo_hint read;
    __u32 service;

    if (instance >= PMO_HINTS_INSTANCES_MAX || !read_instance(pmo, instance, &read, &service) ||
        !read.port)
        return -ENOENT;
    *hint = read;
    return 0;
}

int pmo_next(const struct pmo *pmo, int service, __u32 *position, struct pmo_hint *hint)
{
    const struct pmo_hint_service *row;
    __u32 member = 0, of_service;
    struct pmo_hint read;
    struct list list;

    if ((__u32)service >= PMO_HINTS_SERVICES_MAX)
        return -ENOENT;
    row = service_at(pmo, service);
    for (;;) {
        for (int i = 0; i < SPINS; i++) {
            list = list_of(row);
            if (*position < list.count)
                member = load(&members_of(pmo)[list.first + *position]);
            if (end_read(&row->seq, list.seq))
                break;
            relax();
        }
        if (*position >= list.count)
            return -ENOENT;
        (*position)++;
        if (member >= PMO_HINTS_INSTANCES_MAX || !read_instance(pmo, member, &read, &of_service) ||
            of_service != (__u32)service)
            continue;
        *hint = read;
        return 0;
    }
}

const char *pmo_next_service(const struct pmo *pmo, __u32 *position, int *service)
{
    while (*position < PMO_HINTS_SERVICES_MAX) {
        __u32 at = (*position)++;

        if (!load(&service_at(pmo, at)->used))
            continue;
        *service = (int)at;
        return row_at(pmo, PMO_HINTS_FIRST_NAME + at);
    }
    return NULL;
}
