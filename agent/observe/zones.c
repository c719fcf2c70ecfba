/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/zones.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/cleanup.h"

#define MAPPED_BITS 96 /* of an IPv4-mapped IPv6 address, before the IPv4 address */

struct pmo_zones {
    char names[PMO_ZONES_MAX][64];
    size_t count; /* "unknown" included */
    struct pmo_kernel_zone *prefixes;
    size_t prefixes_count, room;
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

static int add(struct pmo_zones *zones, const struct pmo_prefix *prefix)
{
    if (zones->prefixes_count == zones->room) {
        size_t room = zones->room ? 2 * zones->room : 64;
        void *larger = reallocarray(zones->prefixes, room, sizeof(*zones->prefixes));

        if (!larger)
            return -ENOMEM;
        zones->prefixes = larger;
        zones->room = room;
    }
    zones->prefixes[zones->prefixes_count++] =
        (struct pmo_kernel_zone){.prefix = *prefix, .zone = (uint8_t)zones->count};
    return 0;
}

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
        else if (zones->prefixes_count == PMO_PREFIXES_MAX)
            return pmo_value_complain(item, "there are more than %u prefixes; leave some out",
                                      PMO_PREFIXES_MAX);
        else
            r = add(zones, &prefix);
    }
    return r;
}

static int by_prefix(const void *a, const void *b)
{
    const struct pmo_kernel_zone *x = a, *y = b;

    return memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));
}

/* A prefix in two zones would be in either. */
static int check_unique(struct pmo_zones *zones, const struct pmo_value *map)
{
    char text[INET6_ADDRSTRLEN + 4];

    if (zones->prefixes_count)
        qsort(zones->prefixes, zones->prefixes_count, sizeof(*zones->prefixes), by_prefix);
    for (size_t i = 1; i < zones->prefixes_count; i++) {
        const struct pmo_kernel_zone *a = &zones->prefixes[i - 1], *b = a + 1;

        if (!by_prefix(a, b) && a->zone != b->zone)
            return pmo_value_complain(
                pmo_value_get(map, zones->names[a->zone > b->zone ? a->zone : b->zone]),
                "%s is in zone %s, too; leave it in one of them", prefix_text(&a->prefix, text),
                zones->names[a->zone < b->zone ? a->zone : b->zone]);
    }
    return 0;
}

int pmo_zones_read(struct pmo_zones **zones, const struct pmo_file *file)
{
    static const char *const keys[] = {"zones", NULL};
    __attribute__((cleanup(pmo_zones_free))) struct pmo_zones *read = calloc(1, sizeof(*read));
    const struct pmo_value *root = pmo_file_document(file, 0), *map = pmo_value_get(root, "zones");
    size_t before = pmo_file_complaints(file);
    int r = 0;

    if (!read)
        return -ENOMEM;
    (void)snprintf(read->names[0], sizeof(read->names[0]), "unknown");
    read->count = 1;
    (void)pmo_value_only_keys(root, keys);
    if (!map || !pmo_value_is_map(map))
        (void)pmo_value_complain(map ? map : root,
                                 "zones are missing; write zones: {NAME: [192.0.2.0/24]}");
    for (size_t i = 0; r != -ENOMEM && map && pmo_value_is_map(map) && i < pmo_value_count(map);
         i++) {
        const char *name = pmo_value_key(map, i);
        const struct pmo_value *list = pmo_value_get(map, name);

        if (read->count == PMO_ZONES_MAX) {
            (void)pmo_value_complain(list, "there are more than %u zones; leave some out",
                                     PMO_ZONES_MAX - 1);
            break;
        }
        if (strlen(name) >= sizeof(read->names[0]) || !strcmp(name, "unknown"))
            (void)pmo_value_complain(list, "no zone can be called %s; choose a shorter name", name);
        (void)snprintf(read->names[read->count], sizeof(read->names[0]), "%s", name);
        r = read_zone(read, list);
        read->count++;
    }
    if (r == -ENOMEM)
        return r;
    if (pmo_file_complaints(file) != before || check_unique(read, map))
        return -EINVAL;
    *zones = TAKE_PTR(read);
    return 0;
}

void pmo_zones_free(struct pmo_zones **zones)
{
    if (!*zones)
        return;
    free((*zones)->prefixes);
    free(*zones);
    *zones = NULL;
}

const char *pmo_zones_name(const struct pmo_zones *zones, uint8_t zone)
{
    return zones && zone < zones->count ? zones->names[zone] : "unknown";
}

struct pmo_kernel_zone *pmo_zones_prefixes(struct pmo_zones *zones, size_t *count)
{
    *count = zones ? zones->prefixes_count : 0;
    return zones ? zones->prefixes : NULL;
}
