/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/zones.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/maxmind.h"

#define MAPPED_BITS    96     /* of an IPv4-mapped IPv6 address, before the IPv4 address */
#define FIELDS_MAX     8      /* of a path into a record */
#define NAMED_PREFIXES 65536U /* in the file itself */
#define NODES_PREFIXES 16384U /* of a cluster's nodes */
#define NODES_ZONES    16     /* likewise, that a database leaves room for */

/* Where prefixes are from: what lies in a prefix of an earlier one is that one's. */
enum origin { FROM_FILE, FROM_NODES, FROM_DATABASE, ORIGINS };

struct prefixes {
    struct pmo_kernel_zone *list;
    size_t count, room;
};

struct pmo_zones {
    char names[PMO_ZONES_MAX][64];
    size_t count; /* "unknown" included */
    struct prefixes from[ORIGINS], all;
    struct pmo_cluster *cluster; /* NULL: nodes have no zones */
};

struct ranked {
    struct pmo_kernel_zone zone;
    enum origin origin;
};

/* "192.0.2.0/24"; without a length it is one address. */
static bool prefix_parse(struct pmo_prefix *prefix, const char *text)
{
    size_t length = strcspn(text, "/");
    unsigned long bits, width = 128;
    char address[INET6_ADDRSTRLEN], *end;

    if (length >= sizeof(address))
        return false;
    (void)snprintf(address, sizeof(address), "%.*s", (int)length, text);
    *prefix = (struct pmo_prefix){.addr = {[10] = 0xff, 0xff}};
    if (inet_pton(AF_INET, address, prefix->addr + 12) == 1)
        width = 32;
    else if (inet_pton(AF_INET6, address, prefix->addr) != 1)
        return false;
    bits = width;
    if (text[length] == '/') {
        bits = strtoul(text + length + 1, &end, 10);
        if (text[length + 1] < '0' || text[length + 1] > '9' || *end || bits > width)
            return false;
    }
    prefix->bits = (uint32_t)(bits + (width == 32 ? MAPPED_BITS : 0));
    return true;
}

/* Clears what is behind the prefix; returns whether anything was. */
static bool prefix_cut(struct pmo_prefix *prefix)
{
    struct pmo_prefix whole = *prefix;

    for (uint32_t bit = prefix->bits; bit < 128; bit++)
        prefix->addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return memcmp(&whole, prefix, sizeof(whole)) != 0;
}

static const char *prefix_text(const struct pmo_prefix *prefix, char text[INET6_ADDRSTRLEN + 4])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool ipv4 = prefix->bits >= MAPPED_BITS && !memcmp(prefix->addr, mapped, sizeof(mapped));
    size_t length;

    (void)inet_ntop(ipv4 ? AF_INET : AF_INET6, prefix->addr + (ipv4 ? 12 : 0), text,
                    INET6_ADDRSTRLEN);
    length = strlen(text);
    (void)snprintf(text + length, INET6_ADDRSTRLEN + 4 - length, "/%u",
                   prefix->bits - (ipv4 ? MAPPED_BITS : 0));
    return text;
}

static int add(struct prefixes *prefixes, const struct pmo_prefix *prefix, uint8_t zone)
{
    if (prefixes->count == prefixes->room) {
        size_t room = prefixes->room ? 2 * prefixes->room : 64;
        void *larger = reallocarray(prefixes->list, room, sizeof(*prefixes->list));

        if (!larger)
            return -ENOMEM;
        prefixes->list = larger;
        prefixes->room = room;
    }
    prefixes->list[prefixes->count++] = (struct pmo_kernel_zone){.prefix = *prefix, .zone = zone};
    return 0;
}

static int by_prefix(const void *a, const void *b)
{
    const struct pmo_kernel_zone *x = a, *y = b;

    return memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
}

/* ---- the file -------------------------------------------------------------------------------- */

static int read_zone(struct pmo_zones *zones, const struct pmo_value *list)
{
    char text[INET6_ADDRSTRLEN + 4];
    int r = 0;

    if (!pmo_value_is_list(list))
        return pmo_value_complain(list, "a zone is a list of prefixes; write [192.0.2.0/24]");
    for (size_t i = 0; r != -ENOMEM && i < pmo_value_count(list); i++) {
        const struct pmo_value *item = pmo_value_item(list, i);
        const char *written = pmo_value_text(item);
        struct pmo_prefix prefix;

        if (!written || !prefix_parse(&prefix, written))
            r = pmo_value_complain(item,
                                   "\"%s\" is no prefix; write 192.0.2.0/24 or \"2001:db8::/32\"",
                                   written ? written : "");
        else if (prefix_cut(&prefix))
            r = pmo_value_complain(item, "%s has bits behind its prefix; write %s", written,
                                   prefix_text(&prefix, text));
        else
            r = add(&zones->from[FROM_FILE], &prefix, (uint8_t)zones->count);
    }
    return r;
}

/* A prefix in two zones would be in either. */
static int check_unique(struct pmo_zones *zones, const struct pmo_value *map)
{
    struct prefixes *prefixes = &zones->from[FROM_FILE];
    char text[INET6_ADDRSTRLEN + 4];

    if (prefixes->count)
        qsort(prefixes->list, prefixes->count, sizeof(*prefixes->list), by_prefix);
    for (size_t i = 1; i < prefixes->count; i++) {
        const struct pmo_kernel_zone *a = &prefixes->list[i - 1], *b = a + 1;

        if (!by_prefix(a, b) && a->zone != b->zone)
            return pmo_value_complain(
                pmo_value_get(map, zones->names[a->zone > b->zone ? a->zone : b->zone]),
                "%s is in zone %s, too; leave it in one of them", prefix_text(&a->prefix, text),
                zones->names[a->zone < b->zone ? a->zone : b->zone]);
    }
    return 0;
}

static int read_named(struct pmo_zones *zones, const struct pmo_value *map)
{
    int r = 0;

    if (!pmo_value_is_map(map))
        return pmo_value_complain(map, "zones are missing; write zones: {NAME: [192.0.2.0/24]}");
    for (size_t i = 0; r != -ENOMEM && i < pmo_value_count(map); i++) {
        const char *name = pmo_value_key(map, i);
        const struct pmo_value *list = pmo_value_get(map, name);

        if (zones->count == PMO_ZONES_MAX)
            return pmo_value_complain(list, "there are more than %u zones; leave some out",
                                      PMO_ZONES_MAX - 1);
        if (strlen(name) >= sizeof(zones->names[0]) || !strcmp(name, "unknown"))
            (void)pmo_value_complain(list, "no zone can be called %s; choose a shorter name", name);
        (void)snprintf(zones->names[zones->count], sizeof(zones->names[0]), "%s", name);
        r = read_zone(zones, list);
        zones->count++;
    }
    return r == -ENOMEM ? r : check_unique(zones, map);
}

/* ---- a database ------------------------------------------------------------------------------ */

/* Number of a zone, which is made if there is none of this name. The last one is {other}, for those
 * that there is no other room for. */
static uint8_t zone_number(struct pmo_zones *zones, const char *name) // NOLINT(misc-no-recursion)
{
    for (size_t i = 0; i < zones->count; i++)
        if (!strcmp(zones->names[i], name))
            return (uint8_t)i;
    if (zones->count >= PMO_ZONES_MAX - 1 && strcmp(name, "{other}") != 0)
        return zone_number(zones, "{other}");
    if (zones->count == PMO_ZONES_MAX)
        return 0;
    (void)snprintf(zones->names[zones->count], sizeof(zones->names[0]), "%s", name);
    return (uint8_t)zones->count++;
}

static int by_bits(const void *a, const void *b)
{
    const struct pmo_kernel_zone *x = a, *y = b;

    return x->prefix.bits != y->prefix.bits ? (x->prefix.bits > y->prefix.bits) * 2 - 1
                                            : memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
}

/* The largest networks, where not all of them have room. */
static int take_networks(struct pmo_zones *zones, const char *path, struct pmo_maxmind *maxmind)
{
    struct prefixes *to = &zones->from[FROM_DATABASE];
    size_t room =
        PMO_PREFIXES_MAX - zones->from[FROM_FILE].count - (zones->cluster ? NODES_PREFIXES : 0);
    uint8_t numbers[PMO_ZONES_MAX];
    int r = 0;

    for (size_t i = 0; i < maxmind->values_count; i++)
        numbers[i] = zone_number(zones, maxmind->values[i]);
    if (maxmind->networks_count > room) {
        qsort(maxmind->networks, maxmind->networks_count, sizeof(*maxmind->networks), by_bits);
        pmo_warn("%s: of its %zu networks, the %zu smallest have no room and no zone; choose a "
                 "field that tells fewer apart, or a database of fewer networks",
                 path, maxmind->networks_count, maxmind->networks_count - room);
        maxmind->networks_count = room;
    }
    for (size_t i = 0; !r && i < maxmind->networks_count; i++)
        r = add(to, &maxmind->networks[i].prefix, numbers[maxmind->networks[i].zone]);
    return r;
}

static int fields_read(const struct pmo_value *list, const char *fields[FIELDS_MAX + 1])
{
    size_t count = list && pmo_value_is_list(list) ? pmo_value_count(list) : 0;

    for (size_t i = 0; i < count && i < FIELDS_MAX; i++)
        fields[i] = pmo_value_text(pmo_value_item(list, i));
    for (size_t i = 0; i < count && i < FIELDS_MAX; i++)
        if (!fields[i])
            count = 0;
    return count && count <= FIELDS_MAX ? 0 : -EINVAL;
}

static int read_maxmind(struct pmo_zones *zones, const struct pmo_value *map)
{
    static const char *const keys[] = {"database", "by", NULL};
    const struct pmo_value *by = pmo_value_get(map, "by");
    const char *path = NULL, *fields[FIELDS_MAX + 1] = {NULL};
    size_t room = PMO_ZONES_MAX - 1 - zones->count - (zones->cluster ? NODES_ZONES : 0);
    struct pmo_maxmind maxmind;
    char error[200];
    int r;

    if (pmo_value_only_keys(map, keys) || pmo_value_get_text(map, "database", &path))
        return -EINVAL;
    if (!path)
        return pmo_value_complain(map, "the database is missing; write database: /PATH/NAME.mmdb");
    if (fields_read(by, fields))
        return pmo_value_complain(by ? by : map, "by is a path into the database's records; write "
                                                 "by: [country, iso_code]");
    if (room < 2 || room > PMO_ZONES_MAX)
        return pmo_value_complain(map, "the file has so many zones that there is no room for the "
                                       "database's; leave some out");
    r = pmo_maxmind_read(&maxmind, path, fields, room, error, sizeof(error));
    if (r)
        return r == -ENOMEM ? r : pmo_value_complain(map, "%s %s", path, error);
    if (maxmind.others)
        pmo_warn("%s: it has %zu zones, of which the %zu with the most addresses have their names; "
                 "the others are {other}",
                 path, maxmind.values_count - 1 + maxmind.others, maxmind.values_count - 1);
    r = take_networks(zones, path, &maxmind);
    pmo_maxmind_clear(&maxmind);
    return r;
}

/* ---- all together ---------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    int order = memcmp(x->zone.prefix.addr, y->zone.prefix.addr, sizeof(x->zone.prefix.addr));

    if (order)
        return order;
    if (x->zone.prefix.bits != y->zone.prefix.bits)
        return x->zone.prefix.bits < y->zone.prefix.bits ? -1 : 1;
    return (int)x->origin - (int)y->origin;
}

static bool lies_in(const struct pmo_prefix *inner, const struct pmo_prefix *outer)
{
    uint32_t bytes = outer->bits / 8, rest = outer->bits % 8;

    return outer->bits <= inner->bits && !memcmp(inner->addr, outer->addr, bytes) &&
           (!rest || (inner->addr[bytes] ^ outer->addr[bytes]) >> (8 - rest) == 0);
}

/* In the order of addresses, what lies in a prefix follows it at once: of each origin, the widest
 * one that has not ended is enough to know. */
static int merge_sorted(struct prefixes *all, const struct ranked *sorted, size_t count)
{
    const struct pmo_prefix *widest[ORIGINS] = {NULL};
    int r = 0;

    all->count = 0;
    for (size_t i = 0; !r && i < count; i++) {
        const struct pmo_kernel_zone *zone = &sorted[i].zone;
        const struct pmo_prefix **own = &widest[sorted[i].origin];
        bool covered = all->count && !by_prefix(&all->list[all->count - 1], zone);

        for (size_t o = 0; o < sorted[i].origin; o++)
            covered |= widest[o] && lies_in(&zone->prefix, widest[o]);
        if (!*own || !lies_in(&zone->prefix, *own))
            *own = &zone->prefix;
        if (!covered)
            r = add(all, &zone->prefix, zone->zone);
    }
    return r;
}

static int merge(struct pmo_zones *zones)
{
    size_t count = 0, room = 1;
    struct ranked *ranked;
    int r;

    for (size_t o = 0; o < ORIGINS; o++)
        room += zones->from[o].count;
    ranked = calloc(room, sizeof(*ranked));
    if (!ranked)
        return -ENOMEM;
    for (size_t o = 0; o < ORIGINS; o++)
        for (size_t i = 0; i < zones->from[o].count; i++)
            ranked[count++] = (struct ranked){zones->from[o].list[i], (enum origin)o};
    qsort(ranked, count, sizeof(*ranked), by_address);
    r = merge_sorted(&zones->all, ranked, count);
    free(ranked);
    return r;
}

static int read_document(struct pmo_zones *zones, const struct pmo_value *root)
{
    static const char *const keys[] = {"zones", "kubernetes", "maxmind", NULL};
    const struct pmo_value *named = pmo_value_get(root, "zones");
    const struct pmo_value *cluster = pmo_value_get(root, "kubernetes");
    const struct pmo_value *maxmind = pmo_value_get(root, "maxmind");
    int r = 0;

    (void)pmo_value_only_keys(root, keys);
    if (named || (!cluster && !maxmind))
        r = read_named(zones, named ? named : root);
    if (r != -ENOMEM && zones->from[FROM_FILE].count > NAMED_PREFIXES)
        (void)pmo_value_complain(named, "there are more than %u prefixes; leave some out",
                                 NAMED_PREFIXES);
    if (r != -ENOMEM && cluster)
        r = pmo_cluster_read(&zones->cluster, cluster);
    if (r != -ENOMEM && maxmind)
        r = read_maxmind(zones, maxmind);
    return r == -ENOMEM ? r : 0;
}

static void sources_free(struct pmo_zones *zones)
{
    for (size_t o = 0; o < ORIGINS; o++) {
        free(zones->from[o].list);
        zones->from[o] = (struct prefixes){0};
    }
}

int pmo_zones_read(struct pmo_zones **zones, const struct pmo_file *file)
{
    __attribute__((cleanup(pmo_zones_free))) struct pmo_zones *read = calloc(1, sizeof(*read));
    size_t before = pmo_file_complaints(file);
    int r;

    if (!read)
        return -ENOMEM;
    (void)snprintf(read->names[0], sizeof(read->names[0]), "unknown");
    read->count = 1;
    r = read_document(read, pmo_file_document(file, 0));
    if (!r && pmo_file_complaints(file) != before)
        r = -EINVAL;
    if (!r)
        r = merge(read);
    if (r)
        return r;
    if (!read->cluster) /* they are not merged again */
        sources_free(read);
    *zones = TAKE_PTR(read);
    return 0;
}

int pmo_zones_set_nodes(struct pmo_zones *zones, const struct pmo_nodes *nodes)
{
    struct prefixes *to = &zones->from[FROM_NODES];
    int r = 0;

    to->count = 0;
    for (size_t i = 0; !r && i < nodes->count && to->count < NODES_PREFIXES; i++) {
        const struct pmo_node_network *network = &nodes->list[i];
        struct pmo_prefix prefix;

        if (!prefix_parse(&prefix, network->prefix))
            continue;
        (void)prefix_cut(&prefix);
        r = add(to, &prefix, zone_number(zones, network->zone));
    }
    return r ? r : merge(zones);
}

const struct pmo_cluster *pmo_zones_cluster(const struct pmo_zones *zones)
{
    return zones ? zones->cluster : NULL;
}

void pmo_zones_free(struct pmo_zones **zones)
{
    if (!*zones)
        return;
    sources_free(*zones);
    free((*zones)->all.list);
    pmo_cluster_free(&(*zones)->cluster);
    free(*zones);
    *zones = NULL;
}

const char *pmo_zones_name(const struct pmo_zones *zones, uint8_t zone)
{
    return zones && zone < zones->count ? zones->names[zone] : "unknown";
}

const struct pmo_kernel_zone *pmo_zones_prefixes(const struct pmo_zones *zones, size_t *count)
{
    *count = zones ? zones->all.count : 0;
    return zones ? zones->all.list : NULL;
}
