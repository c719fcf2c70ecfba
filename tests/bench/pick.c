/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pick PIN: what a router pays for a pick and for a hint. Makes a hints map as the agent does, pins
 * it as PIN and reads it through libpmo: services of 1, 10 and 1000 ready instances. Beside it, the
 * same row read with bpf(2), as a router without the mapped map would.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <pmo/pmo.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include "agent/base/log.h"
#include "agent/route/hints.h"
#include "tests/bench/measure.h"

#define ROUNDS       7
#define PICKS        2000000
#define LOOKUPS      200000
#define INSTANCES    1000
#define MAP_BYTES    ((size_t)PMO_HINTS_ROWS * PMO_HINTS_ROW)
#define PAGE_ROUNDED ((MAP_BYTES + 4095) / 4096 * 4096)

static const size_t sizes[] = {1, 10, INSTANCES};

/* Services "1", "10" and "1000", each with as many of the same instances. */
static int fill(void *rows)
{
    static uint32_t members[INSTANCES];
    struct pmo_hints *hints;
    int r = pmo_hints_new(&hints, rows);

    for (uint32_t i = 0; !r && i < INSTANCES; i++)
        members[i] = i + 1;
    for (size_t s = 0; !r && s < sizeof(sizes) / sizeof(*sizes); s++) {
        char name[16];
        int service;

        (void)snprintf(name, sizeof(name), "%zu", sizes[s]);
        service = pmo_hints_service(hints, name, NULL, 0);
        r = service < 0 ? service : pmo_hints_members(hints, service, members, sizes[s]);
    }
    pmo_hints_free(&hints);
    return r;
}

/* The instances are ready, and members of @service. */
static void belong(void *rows, int service)
{
    struct pmo_hint_instance *row =
        (void *)((char *)rows + PMO_HINTS_FIRST_INSTANCE * PMO_HINTS_ROW);

    for (uint32_t i = 1; i <= INSTANCES; i++)
        row[i] = (struct pmo_hint_instance){.flags = PMO_HINT_READY,
                                            .arrived = i % 7,
                                            .service = (uint32_t)service,
                                            .weight = 1024,
                                            .predicted_latency_us = 900,
                                            .port = 8080,
                                            .pid = i};
}

static double time_picks(const struct pmo *pmo, int service, bool with_hint)
{
    struct pmo_hint hint;
    uint64_t start = now_ns();

    for (int i = 0; i < PICKS; i++) {
        int instance = pmo_pick(pmo, service, with_hint ? &hint : NULL);

        use(&instance);
        use(&hint);
    }
    return (double)(now_ns() - start) / PICKS;
}

static double time_hints(const struct pmo *pmo)
{
    struct pmo_hint hint;
    uint64_t start = now_ns();

    for (uint32_t i = 0; i < PICKS; i++) {
        (void)pmo_instance(pmo, 1 + i % 8, &hint);
        use(&hint);
    }
    return (double)(now_ns() - start) / PICKS;
}

static double time_lookups(int map)
{
    struct pmo_hint_instance row;
    uint64_t start = now_ns();

    for (uint32_t i = 0; i < LOOKUPS; i++) {
        uint32_t key = PMO_HINTS_FIRST_INSTANCE + 1 + i % 8;

        (void)bpf_map_lookup_elem(map, &key, &row);
        use(&row);
    }
    return (double)(now_ns() - start) / LOOKUPS;
}

static int measure(const struct pmo *pmo, void *rows, int map)
{
    double without[ROUNDS], with[ROUNDS], hints[ROUNDS], lookups[ROUNDS];

    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        char name[16];
        int service;

        (void)snprintf(name, sizeof(name), "%zu", sizes[s]);
        service = pmo_service(pmo, name);
        belong(rows, service);
        if (pmo_pick(pmo, service, NULL) < 0)
            return pmo_fail(EAGAIN, "no instance can be picked");
        for (int i = 0; i < ROUNDS; i++) {
            without[i] = time_picks(pmo, service, false);
            with[i] = time_picks(pmo, service, true);
        }
        (void)printf("pick_%zu %.1f\npick_hint_%zu %.1f\n", sizes[s],
                     quantile(without, ROUNDS, 0.5), sizes[s], quantile(with, ROUNDS, 0.5));
    }
    for (int i = 0; i < ROUNDS; i++) {
        hints[i] = time_hints(pmo);
        lookups[i] = time_lookups(map);
    }
    (void)printf("hint %.1f\nlookup %.1f\n", quantile(hints, ROUNDS, 0.5),
                 quantile(lookups, ROUNDS, 0.5));
    return 0;
}

int main(int argc, char **argv)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    struct pmo *pmo = NULL;
    void *rows;
    int map, r;

    if (argc != 2) {
        (void)fputs("usage: pick PIN\n", stderr);
        return 2;
    }
    map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "hints", 4, PMO_HINTS_ROW, PMO_HINTS_ROWS, &options);
    if (map < 0 || bpf_obj_pin(map, argv[1]))
        return -pmo_err_r(errno, "cannot make a hints map at %s", argv[1]);
    rows = mmap(NULL, PAGE_ROUNDED, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (rows == MAP_FAILED)
        return -pmo_err_r(errno, "cannot map %s", argv[1]);
    r = fill(rows);
    if (!r)
        r = pmo_open(&pmo, argv[1]);
    if (r)
        return -pmo_err_r(r, "cannot fill and open %s", argv[1]);
    r = measure(pmo, rows, map);
    pmo_close(&pmo);
    return r ? 1 : 0;
}
