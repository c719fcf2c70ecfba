/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why readers never see half a row. A row is written between two stores of its sequence number
 * (H. Boehm, "Can seqlocks get along with programming language memory models?", 2012):
 *
 *   writer                                   reader
 *   seq = odd             relaxed            before = seq          acquire, again while odd
 *   fence                 release            read the fields       relaxed
 *   write the fields      relaxed            fence                 acquire
 *   seq = next even       release            after = seq           relaxed, again if changed
 *
 * A reader that read one new field synchronizes with the writer's fence through its own, so it must
 * see the odd number, or a later one, in `after`, while `before` was read earlier: unequal, or odd.
 * A reader whose `before` is the new even number synchronizes with that store and sees all new
 * fields. Every field is one relaxed atomic access, so there is no data race to reason about;
 * on x86 and arm64 those are plain moves. There is one writer, so seq itself needs no atomic
 * increment. `flags`, `arrived` and `ended` are outside of all this: the kernel changes them at any
 * time, and nobody sets the counters back, so that requests in flight stay right whoever has a row.
 *
 * Members. Lists are laid one after the other in the member region: a new list goes behind the last
 * one, then the service's row is flipped to it under its seq. What a list leaves behind is used
 * again only when the region's end is reached: then all lists move down, in order, each under its
 * service's seq. So nothing but the service rows describes the region (an agent that adopts a map
 * needs no more), there is no fragmentation, and a reader that holds on to an old list, as the BPF
 * program at connect() may, reads live memory for as long as can be. An instance is in one list and
 * the region holds twice as many members as there are instances: a list and its successor always
 * fit. Whoever reads a list without checking seq at the end may see numbers of another service,
 * but all below PMO_HINTS_INSTANCES_MAX: hence the rule that hint.service must be compared.
 */
#include "agent/route/hints.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"

#define WORDS (PMO_HINTS_ROW / sizeof(__u32))
/* Words of an instance's row that the agent writes: all but seq, flags, arrived, cleared_ns. */
#define INSTANCE_FIRST_WORD (offsetof(struct pmo_hint_instance, service) / sizeof(__u32))
#define INSTANCE_END_WORD   (offsetof(struct pmo_hint_instance, cleared_ns) / sizeof(__u32))

_Static_assert(PMO_HINTS_MEMBERS_MAX >= 2 * PMO_HINTS_INSTANCES_MAX, "a list and its successor");

struct pmo_hints {
    char *rows;
    __u32 members_end; /* end of the last list */
};

static void *row_at(const struct pmo_hints *hints, size_t row)
{
    return hints->rows + row * PMO_HINTS_ROW;
}

static struct pmo_hint_service *service_at(const struct pmo_hints *hints, size_t service)
{
    assert(service < PMO_HINTS_SERVICES_MAX);
    return row_at(hints, PMO_HINTS_FIRST_SERVICE + service);
}

static char *name_at(const struct pmo_hints *hints, size_t service)
{
    return row_at(hints, PMO_HINTS_FIRST_NAME + service);
}

static struct pmo_hint_instance *instance_at(const struct pmo_hints *hints, size_t instance)
{
    assert(instance < PMO_HINTS_INSTANCES_MAX);
    return row_at(hints, PMO_HINTS_FIRST_INSTANCE + instance);
}

static __u32 *members_of(const struct pmo_hints *hints)
{
    return row_at(hints, PMO_HINTS_FIRST_MEMBERS);
}

/* ---- writing under seq, as above --------------------------------------------------------------
 */

static void begin_write(__u32 *seq)
{
    __atomic_store_n(seq, *seq | 1U, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end_write(__u32 *seq)
{
    __atomic_store_n(seq, *seq + 1U, __ATOMIC_RELEASE);
}

static void store(__u32 *field, __u32 value)
{
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

/* Words [first, end) of a row. */
static void store_words(void *row, const void *from, size_t first, size_t end)
{
    __u32 words[WORDS];

    memcpy(words, from, sizeof(words));
    for (size_t i = first; i < end; i++)
        store((__u32 *)row + i, words[i]);
}

/* ---- adopting ---------------------------------------------------------------------------------
 */

static bool is_whole(const struct pmo_hint_service *service)
{
    return !(service->seq & 1U) && service->members_count <= PMO_HINTS_MEMBERS_MAX &&
           service->members_first <= PMO_HINTS_MEMBERS_MAX - service->members_count;
}

/*
 * Takes over the rows of an agent that may have been killed in the middle of a write. Such a row is
 * half old, half new, and nobody reads it: it is made even again, without what could mislead (an
 * instance is not ready, a service has no members). The agent writes it whole when it next sees the
 * service or the instance.
 */
static void adopt(struct pmo_hints *hints)
{
    struct pmo_hint_instance *instance;
    struct pmo_hint_service *service;
    __u32 end;

    for (size_t i = 0; i < PMO_HINTS_SERVICES_MAX; i++) {
        service = service_at(hints, i);
        name_at(hints, i)[PMO_HINTS_ROW - 1] = '\0';
        if (!is_whole(service)) {
            begin_write(&service->seq);
            store(&service->members_first, 0);
            store(&service->members_count, 0);
            end_write(&service->seq);
        }
        end = service->members_first + service->members_count;
        if (service->used && end > hints->members_end)
            hints->members_end = end;
    }
    for (size_t i = 0; i < PMO_HINTS_INSTANCES_MAX; i++) {
        instance = instance_at(hints, i);
        if (!(instance->seq & 1U))
            continue;
        pmo_hints_flags(hints, i, 0, PMO_HINT_READY);
        end_write(&instance->seq);
    }
}

int pmo_hints_new(struct pmo_hints **hints, void *rows)
{
    const struct pmo_hints_header ours = {
        .magic = PMO_HINTS_MAGIC,
        .version = PMO_HINTS_VERSION,
        .row_bytes = PMO_HINTS_ROW,
        .services_max = PMO_HINTS_SERVICES_MAX,
        .instances_max = PMO_HINTS_INSTANCES_MAX,
        .members_max = PMO_HINTS_MEMBERS_MAX,
    };
    struct pmo_hints_header *header = rows;
    struct pmo_hints *made;

    if (header->magic && header->magic != PMO_HINTS_MAGIC)
        return pmo_fail(-EPROTO, "the hints map is not one of PMO (magic %#x): remove its pin",
                        header->magic);
    if (header->magic &&
        memcmp(header, &ours, offsetof(struct pmo_hints_header, heartbeat_ns)) != 0)
        return pmo_fail(
            -EPROTO,
            "the hints map has version %u (%u services, %u instances, %u members), this "
            "agent writes version %u (%u, %u, %u): run the agent that made it, or discard it with "
            "`pmo-agent --discard` and restart routers",
            header->version, header->services_max, header->instances_max, header->members_max,
            ours.version, ours.services_max, ours.instances_max, ours.members_max);
    made = calloc(1, sizeof(*made));
    if (!made)
        return -ENOMEM;
    made->rows = rows;
    if (header->magic) {
        adopt(made);
    } else {
        /* the magic comes last: whoever sees it sees the rest */
        store_words(header, &ours, 1, WORDS);
        __atomic_store_n(&header->magic, ours.magic, __ATOMIC_RELEASE);
    }
    *hints = made;
    return 0;
}

void pmo_hints_free(struct pmo_hints **hints)
{
    free(*hints);
    *hints = NULL;
}

/* ---- services ---------------------------------------------------------------------------------
 */

int pmo_hints_service(struct pmo_hints *hints, const char *name, const uint8_t addr[16],
                      uint16_t port)
{
    struct pmo_hint_service row = {.used = 1, .port = port}, *service;
    char text[PMO_HINTS_ROW] = "";
    int free_row = -1, found = -1;

    if (strlen(name) >= sizeof(text))
        return pmo_err_r(ENAMETOOLONG, "cannot give routers hints for service %s", name);
    for (int i = 0; found < 0 && i < (int)PMO_HINTS_SERVICES_MAX; i++) {
        if (service_at(hints, i)->used && !strcmp(name_at(hints, i), name))
            found = i;
        else if (free_row < 0 && !service_at(hints, i)->used)
            free_row = i;
    }
    if (found < 0 && free_row < 0)
        return -ENOSPC;
    service = service_at(hints, found >= 0 ? found : free_row);
    if (found >= 0)
        row = *service;
    row.port = port;
    if (addr)
        memcpy(row.addr, addr, sizeof(row.addr));
    else
        memset(row.addr, 0, sizeof(row.addr));
    (void)snprintf(text, sizeof(text), "%s", name);

    begin_write(&service->seq);
    if (found < 0)
        store_words(name_at(hints, free_row), text, 0, WORDS);
    store_words(service, &row, 1, WORDS);
    end_write(&service->seq);
    return found >= 0 ? found : free_row;
}

void pmo_hints_service_delete(struct pmo_hints *hints, int service)
{
    struct pmo_hint_service *row = service_at(hints, service);
    const struct pmo_hint_service none = {0};

    begin_write(&row->seq);
    store_words(row, &none, 1, WORDS);
    end_write(&row->seq);
}

void pmo_hints_service_predict(struct pmo_hints *hints, int service, const uint32_t mrps[3])
{
    struct pmo_hint_service *row = service_at(hints, service);

    begin_write(&row->seq);
    for (size_t i = 0; i < 3; i++)
        store(&row->predicted_mrps[i], mrps[i]);
    end_write(&row->seq);
}

/* ---- members ----------------------------------------------------------------------------------
 */

static int compare_firsts(const void *left, const void *right)
{
    const struct pmo_hint_service *a = *(const struct pmo_hint_service *const *)left;
    const struct pmo_hint_service *b = *(const struct pmo_hint_service *const *)right;

    return (a->members_first > b->members_first) - (a->members_first < b->members_first);
}

/* Moves all lists down, one behind the other, from the lowest on: none runs over one that is still
 * to be moved. */
static void compact(struct pmo_hints *hints)
{
    struct pmo_hint_service *lists[PMO_HINTS_SERVICES_MAX];
    __u32 *members = members_of(hints), end = 0;
    size_t count = 0;

    for (size_t i = 0; i < PMO_HINTS_SERVICES_MAX; i++)
        if (service_at(hints, i)->used && service_at(hints, i)->members_count)
            lists[count++] = service_at(hints, i);
    qsort(lists, count, sizeof(struct pmo_hint_service *), compare_firsts);
    for (size_t i = 0; i < count; i++) {
        struct pmo_hint_service *service = lists[i];

        if (service->members_first > end) {
            begin_write(&service->seq);
            for (__u32 m = 0; m < service->members_count; m++)
                store(&members[end + m], members[service->members_first + m]);
            store(&service->members_first, end);
            end_write(&service->seq);
        }
        end = service->members_first + service->members_count;
    }
    hints->members_end = end;
}

int pmo_hints_members(struct pmo_hints *hints, int service, const uint32_t *instances, size_t count)
{
    struct pmo_hint_service *row = service_at(hints, service);
    __u32 *members = members_of(hints);

    if (row->members_count == count &&
        !memcmp(members + row->members_first, instances, count * sizeof(*instances)))
        return 0;
    if (count > PMO_HINTS_MEMBERS_MAX - hints->members_end)
        compact(hints);
    if (count > PMO_HINTS_MEMBERS_MAX - hints->members_end)
        return -ENOSPC;
    for (size_t i = 0; i < count; i++) {
        assert(instances[i] < PMO_HINTS_INSTANCES_MAX);
        store(&members[hints->members_end + i], instances[i]);
    }
    begin_write(&row->seq);
    store(&row->members_first, hints->members_end);
    store(&row->members_count, (__u32)count);
    end_write(&row->seq);
    hints->members_end += (__u32)count;
    return 0;
}

/* ---- instances --------------------------------------------------------------------------------
 */

void pmo_hints_instance(struct pmo_hints *hints, uint32_t instance,
                        const struct pmo_hint_instance *row)
{
    struct pmo_hint_instance *to = instance_at(hints, instance);

    begin_write(&to->seq);
    store_words(to, row, INSTANCE_FIRST_WORD, INSTANCE_END_WORD);
    end_write(&to->seq);
}

void pmo_hints_flags(struct pmo_hints *hints, uint32_t instance, uint32_t set, uint32_t clear)
{
    __u32 *flags = &instance_at(hints, instance)->flags;
    __u32 before = __atomic_load_n(flags, __ATOMIC_RELAXED);

    /* release: whoever sees the ready bit sees the row that was written before it was set */
    while (!__atomic_compare_exchange_n(flags, &before, (before & ~clear) | set, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

void pmo_hints_instance_delete(struct pmo_hints *hints, uint32_t instance)
{
    struct pmo_hint_instance *row = instance_at(hints, instance);
    const struct pmo_hint_instance none = {0};

    pmo_hints_flags(hints, instance, 0, UINT32_MAX);
    begin_write(&row->seq);
    store_words(row, &none, INSTANCE_FIRST_WORD, WORDS);
    end_write(&row->seq);
}

const struct pmo_hint_instance *pmo_hints_row(const struct pmo_hints *hints, uint32_t instance)
{
    return instance_at(hints, instance);
}

uint32_t pmo_hints_in_flight(const struct pmo_hints *hints, uint32_t instance)
{
    const struct pmo_hint_ended *row = row_at(hints, PMO_HINTS_FIRST_ENDED + instance);
    uint32_t ended = __atomic_load_n(&row->ended, __ATOMIC_ACQUIRE);

    return __atomic_load_n(&instance_at(hints, instance)->arrived, __ATOMIC_RELAXED) - ended;
}

void pmo_hints_together(struct pmo_hints *hints, uint32_t instance, uint32_t next)
{
    struct pmo_hint_ended *row = row_at(hints, PMO_HINTS_FIRST_ENDED + instance);

    /* the kernel writes the rest of the row: it is left alone */
    if (__atomic_load_n(&row->together, __ATOMIC_RELAXED) != next)
        __atomic_store_n(&row->together, next, __ATOMIC_RELAXED);
}

void pmo_hints_heartbeat(struct pmo_hints *hints, uint64_t now_ns)
{
    struct pmo_hints_header *header = row_at(hints, 0);

    __atomic_store_n(&header->heartbeat_ns, now_ns, __ATOMIC_RELAXED);
}
