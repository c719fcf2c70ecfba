/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zones: of a file, of a database that MaxMind's own writer has made (data/zones.pl), of nodes. */
#include "agent/observe/zones.h"

#include <arpa/inet.h>
#include <errno.h>
#include <maxminddb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent/observe/maxmind.h"
#include "tests/unit/suite.h"

#define DATABASE "tests/unit/data/zones.mmdb"

static char said[2048]; /* all complaints, a line each */

static void note(void *context, const char *file, size_t line, size_t column, const char *message)
{
    size_t used = strlen(said);

    (void)snprintf(said + used, sizeof(said) - used, "%zu:%zu: %s\n", line, column, message);
}

static int read_text(struct pmo_zones **zones, const char *text)
{
    struct pmo_file *file = NULL;
    int r;

    said[0] = '\0';
    r = pmo_file_parse(&file, "zones", text, strlen(text), note, NULL);
    if (!r)
        r = pmo_zones_read(zones, file);
    pmo_file_free(&file);
    return r;
}

static void zones_are_prefixes_with_names(void)
{
    static const struct pmo_kernel_zone expected[] = {
        {{96 + 24, {[10] = 0xff, 0xff, 192, 0, 2}}, 1},
        {{32, {0x20, 0x01, 0x0d, 0xb8}}, 1},
        {{128, {[10] = 0xff, 0xff, 203, 0, 113, 7}}, 2},
        {{96, {[10] = 0xff, 0xff}}, 2},
    };
    struct pmo_zones *zones = NULL;
    const struct pmo_kernel_zone *prefixes;
    size_t count, found = 0;

    CU_ASSERT_EQUAL_FATAL(read_text(&zones, "zones:\n"
                                            "  office: [192.0.2.0/24, \"2001:db8::/32\"]\n"
                                            "  far: [203.0.113.7, 0.0.0.0/0]\n"),
                          0);
    prefixes = pmo_zones_prefixes(zones, &count);
    CU_ASSERT_EQUAL(count, 4);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 4; k++)
            found += prefixes[i].zone == expected[k].zone &&
                     !memcmp(&prefixes[i].prefix, &expected[k].prefix, sizeof(struct pmo_prefix));
    CU_ASSERT_EQUAL(found, 4);
    CU_ASSERT_STRING_EQUAL(pmo_zones_name(zones, 0), "unknown");
    CU_ASSERT_STRING_EQUAL(pmo_zones_name(zones, 2), "far");
    CU_ASSERT_STRING_EQUAL(pmo_zones_name(zones, 3), "unknown");
    CU_ASSERT_STRING_EQUAL(pmo_zones_name(NULL, 1), "unknown");
    pmo_zones_free(&zones);
}

static void mistakes_in_zones_have_a_place_and_advice(void)
{
    static const struct {
        const char *text, *says;
    } mistakes[] = {
        {"zones: {a: [192.0.2.1/24]}",
         "1:13: 192.0.2.1/24 has bits behind its prefix; write 192.0.2.0/24\n"},
        {"zones:\n  a: [192.0.2.0/33]",
         "2:7: \"192.0.2.0/33\" is no prefix; write 192.0.2.0/24 or \"2001:db8::/32\"\n"},
        {"zones:\n  a: [192.0.2.0/]", "2:7: \"192.0.2.0/\" is no prefix"},
        {"zones:\n  a: [here]", "2:7: \"here\" is no prefix"},
        {"zones:\n  a: 192.0.2.0/24", "2:6: a zone is a list of prefixes; write [192.0.2.0/24]\n"},
        {"zones: {a: [\"2001:db8::1/32\"]}",
         "1:13: 2001:db8::1/32 has bits behind its prefix; write 2001:db8::/32\n"},
        {"zones:\n  a: [192.0.2.0/24]\n  b: [192.0.2.0/24]",
         "3:6: 192.0.2.0/24 is in zone a, too; leave it in one of them\n"},
        {"zones: {unknown: [192.0.2.0/24]}", "no zone can be called unknown"},
        {"zone: {a: [192.0.2.0/24]}", "1:"},
        {"zones: []", "1:8: zones are missing; write zones: {NAME: [192.0.2.0/24]}\n"},
        {"maxmind: {by: [country]}", "the database is missing; write database: "},
        {"maxmind: {database: a}", "1:10: by is a path into the database's records; write by: "},
        {"maxmind: {database: a, by: country}", "1:28: by is a path into the database's records"},
        {"maxmind: {database: a, by: []}", "by is a path into the database's records"},
        {"maxmind: {database: /nowhere/a.mmdb, by: [country]}",
         "1:10: /nowhere/a.mmdb cannot be read as a MaxMind database: No such file or directory\n"},
        {"maxmind: {database: Makefile, by: [country]}",
         "1:10: Makefile cannot be read as a MaxMind database: "},
        {"maxmind: {database: " DATABASE ", by: [city, name]}",
         "1:10: " DATABASE " has this field in no record; `mmdblookup --file FILE --ip ADDRESS` "
         "shows its fields\n"},
        {"maxmind: {database: " DATABASE ", by: [number]}", "has something else than a text"},
        {"maxmind: {database: " DATABASE ", by: [country]}", "has something else than a text"},
        {"kubernetes: {server: \"http://127.0.0.1\"}",
         "\"http://127.0.0.1\" is no server; write https://HOST:6443"},
        {"kubernetes: {server: \"https://127.0.0.1\", tokenFile: /nowhere/token}",
         "tokenFile /nowhere/token cannot be read: No such file or directory"},
        {"kubernetes: {server: \"https://127.0.0.1\", certificate: Makefile}",
         "a certificate has a key; write both"},
        {"kubernetes: {server: \"https://127.0.0.1\", refresh: 10ms}",
         "nodes are asked for once a second at most; write refresh: 60s"},
        {"kubernetes: {}", "the server is missing, and this is no pod of a cluster; write server:"},
    };

    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct pmo_zones *zones = NULL;

        CU_ASSERT_EQUAL(read_text(&zones, mistakes[i].text), -EINVAL);
        CU_ASSERT_PTR_NULL(zones);
        if (!strstr(said, mistakes[i].says))
            printf("\n    said: %s    not: %s\n", said, mistakes[i].says);
        CU_ASSERT_PTR_NOT_NULL(strstr(said, mistakes[i].says));
    }
}

/* ---- a database ----------------------------------------------------------------------------- */

static struct pmo_prefix address(const char *text)
{
    struct pmo_prefix a = {.bits = 128, .addr = {[10] = 0xff, 0xff}};

    if (inet_pton(AF_INET, text, a.addr + 12) != 1)
        CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, a.addr), 1);
    return a;
}

/* By the longest prefix, as the kernel does. */
static const char *zone_of(const struct pmo_zones *zones, const char *text)
{
    struct pmo_prefix a = address(text);
    const struct pmo_kernel_zone *prefixes, *best = NULL;
    size_t count;

    prefixes = pmo_zones_prefixes(zones, &count);
    for (size_t i = 0; i < count; i++) {
        const struct pmo_prefix *p = &prefixes[i].prefix;
        uint32_t same = 0;

        while (same < p->bits && !((p->addr[same / 8] ^ a.addr[same / 8]) >> (7 - same % 8) & 1))
            same++;
        if (same == p->bits && (!best || best->prefix.bits < p->bits))
            best = &prefixes[i];
    }
    return pmo_zones_name(zones, best ? best->zone : 0);
}

static void zones_of_a_database_are_those_that_its_own_library_finds(void)
{
    static const char *const addresses[] = {
        "198.18.0.1",
        "198.19.63.255",
        "198.19.64.1",
        "198.19.65.0",
        "198.19.127.255",
        "198.19.128.0",
        "198.17.255.255",
        "203.0.113.0",
        "203.0.114.0",
        "0.0.0.0",
        "255.255.255.255",
        "100.80.1.1",
        "2001:db8::1",
        "2001:db8:ffff::",
        "2001:db9::",
        "2001:dba::",
        "::1",
        "ffff::",
        "2002:c612:1::",
    };
    struct pmo_zones *zones = NULL;
    MMDB_s database;
    size_t count;

    CU_ASSERT_EQUAL_FATAL(
        read_text(&zones, "maxmind: {database: " DATABASE ", by: [country, iso_code]}"), 0);
    CU_ASSERT_EQUAL_FATAL(MMDB_open(DATABASE, MMDB_MODE_MMAP, &database), 0);
    for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
        MMDB_entry_data_s field = {.has_data = false};
        int failed, error;
        MMDB_lookup_result_s found = MMDB_lookup_string(&database, addresses[i], &failed, &error);
        char expected[64] = "unknown";

        if (found.found_entry &&
            !MMDB_get_value(&found.entry, &field, "country", "iso_code", NULL) && field.has_data &&
            strncmp(addresses[i], "2002:", 5) != 0) /* those are IPv4's, which no one sends from */
            (void)snprintf(expected, sizeof(expected), "%.*s", (int)field.data_size,
                           field.utf8_string);
        if (strcmp(zone_of(zones, addresses[i]), expected) != 0)
            printf("\n    %s: %s", addresses[i], expected);
        CU_ASSERT_STRING_EQUAL(zone_of(zones, addresses[i]), expected);
    }
    MMDB_close(&database);
    /* 198.18/16; .19/18 and .128/17 of the second half, 6 of DE's around the /24 that has none,
     * FR's, and NL's two halves in IPv6 as one, and DE's */
    (void)pmo_zones_prefixes(zones, &count);
    CU_ASSERT_EQUAL(count, 3 + 6 + 1 + 2);
    pmo_zones_free(&zones);
}

static void named_prefixes_win_over_a_database_and_share_its_names(void)
{
    static const char text[] = "zones:\n"
                               "  office: [198.19.64.0/23, 203.0.113.128/25]\n"
                               "  FR: [192.0.2.0/24]\n"
                               "maxmind: {database: " DATABASE ", by: [country, iso_code]}";
    struct pmo_zones *zones = NULL;
    size_t names = 0;

    CU_ASSERT_EQUAL_FATAL(read_text(&zones, text), 0);
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "198.19.64.1"), "office");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "198.19.65.1"), "office"); /* DE's /24 is inside */
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "198.19.66.1"), "DE");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "203.0.113.1"), "FR");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "203.0.113.129"), "office");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "192.0.2.1"), "FR");
    for (unsigned int zone = 0; zone < PMO_ZONES_MAX; zone++)
        names += !strcmp(pmo_zones_name(zones, (uint8_t)zone), "FR");
    CU_ASSERT_EQUAL(names, 1);
    pmo_zones_free(&zones);
}

/* 300 of them, all but three of the same size. */
static void of_too_many_zones_the_largest_keep_their_names(void)
{
    static const char *const by[] = {"cell", NULL};
    struct pmo_zones *zones = NULL;
    struct pmo_maxmind few;
    char error[200];

    CU_ASSERT_EQUAL_FATAL(pmo_maxmind_read(&few, DATABASE, by, 3, error, sizeof(error)), 0);
    CU_ASSERT_EQUAL(few.values_count, 3);
    CU_ASSERT_EQUAL(few.others, 298);
    CU_ASSERT_STRING_EQUAL(few.values[0], "c299");
    CU_ASSERT_STRING_EQUAL(few.values[1], "c298");
    CU_ASSERT_STRING_EQUAL(few.values[2], "{other}");
    CU_ASSERT_TRUE(few.networks_count < 20); /* neighbours, all of them {other} */
    pmo_maxmind_clear(&few);
    CU_ASSERT_EQUAL_FATAL(read_text(&zones,
                                    "zones: {a: [192.0.2.0/24]}\nmaxmind: {database: " DATABASE
                                    ", by: [cell]}"),
                          0);
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "100.64.0.1"), "c299");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "100.66.31.255"), "c297");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "192.0.2.1"), "a");
    CU_ASSERT_STRING_EQUAL(pmo_zones_name(zones, PMO_ZONES_MAX - 2), "{other}");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "100.80.99.1"), "{other}"); /* the last by name */
    pmo_zones_free(&zones);
}

/* The file takes all numbers: those of nodes have none. */
static void where_all_zones_are_taken_nodes_have_none(void)
{
    struct pmo_node_network networks[] = {{"10.0.0.0/8", "a"}, {"10.0.0.0/16", "z7"}};
    struct pmo_nodes nodes = {networks, 2, 2};
    struct pmo_zones *zones = NULL;
    char text[16384] = "kubernetes: {server: \"https://[::1]:1\"}\nzones:\n";

    for (int i = 1; i < (int)PMO_ZONES_MAX; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "  z%d: [198.51.100.%d]\n",
                       i, i);
    CU_ASSERT_EQUAL_FATAL(read_text(&zones, text), 0);
    CU_ASSERT_EQUAL(pmo_zones_set_nodes(zones, &nodes), 0);
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "198.51.100.255"), "z255");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "10.1.0.1"), "unknown");
    CU_ASSERT_STRING_EQUAL(zone_of(zones, "10.0.0.1"), "z7");
    pmo_zones_free(&zones);
}

/* Each byte of the database in turn is another one: whatever it says then, it is read to its end.
 */
static void a_broken_database_is_no_harm(void)
{
    static const char *const by[] = {"country", "iso_code", NULL};
    char path[] = "/tmp/pmo-test-XXXXXX", error[200];
    static uint8_t bytes[16384];
    FILE *file = fopen(DATABASE, "re");
    size_t length = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
    int fd = mkstemp(path), refused = 0;

    CU_ASSERT_FATAL(length > 4000 && length < sizeof(bytes) && fd >= 0);
    (void)fclose(file);
    for (size_t at = 0; at < length; at += 7) {
        struct pmo_maxmind maxmind;
        uint8_t right = bytes[at];

        bytes[at] ^= 0xff;
        CU_ASSERT_EQUAL(pwrite(fd, bytes, length, 0), (ssize_t)length);
        if (pmo_maxmind_read(&maxmind, path, by, 100, error, sizeof(error))) {
            CU_ASSERT_NOT_EQUAL(error[0], '\0');
            refused++;
        }
        pmo_maxmind_clear(&maxmind);
        bytes[at] = right;
    }
    CU_ASSERT_TRUE(refused > 100);
    CU_ASSERT_EQUAL(ftruncate(fd, (off_t)length / 2), 0);
    (void)close(fd);
    (void)unlink(path);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static void zones_of_nodes_follow_their_labels(void)
{
    static const char *const answers[] = {
        "{'items': [{'metadata': {'labels': {'zone': 'a'}}, 'spec': {'podCIDR': '10.244.1.0/24',"
        "'podCIDRs': ['10.244.1.0/24', 'fd00:1::/64']}, 'status': {'addresses': ["
        "{'type': 'Hostname', 'address': '192.0.2.9'}, {'type': 'InternalIP', 'address': "
        "'192.0.2.7'}]}}, {'metadata': {'labels': {'zone': 'b'}}, 'spec': {'podCIDR': "
        "'10.244.2.0/24'}}, {'metadata': {}, 'spec': {'podCIDR': '10.244.3.0/24'}}, 7]}",
        "{'items': [{'metadata': {'labels': {'zone': 'b'}}, 'spec': {'podCIDRs': ["
        "'10.244.1.0/24', 7, 'nonsense', '198.18.0.0/16']}}]}",
    };
    struct pmo_nodes nodes = {0}, before = {0};
    struct pmo_zones *zones = NULL;
    uint8_t numbers[2];

    CU_ASSERT_EQUAL_FATAL(read_text(&zones,
                                    "zones: {named: [10.244.1.128/25]}\n"
                                    "kubernetes: {server: \"https://[::1]:1\"}\n"
                                    "maxmind: {database: " DATABASE ", by: [country, iso_code]}"),
                          0);
    CU_ASSERT_PTR_NOT_NULL(pmo_zones_cluster(zones));
    for (size_t i = 0; i < 2; i++) {
        json_t *list;
        char text[2048];

        (void)snprintf(text, sizeof(text), "%s", answers[i]);
        for (char *c = text; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        list = json_loads(text, 0, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(list);
        CU_ASSERT_EQUAL(pmo_nodes_add(&nodes, list, "zone"), 0);
        CU_ASSERT_EQUAL(pmo_zones_set_nodes(zones, &nodes), 0);
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "10.244.1.1"), i ? "b" : "a");
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "10.244.1.129"), "named");
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "fd00:1::1"), i ? "unknown" : "a");
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "192.0.2.7"), i ? "unknown" : "a");
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "192.0.2.9"), "unknown");
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "10.244.2.1"), i ? "unknown" : "b");
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "10.244.3.1"), "unknown");
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "198.18.0.1"), i ? "b" : "NL");
        CU_ASSERT_STRING_EQUAL(zone_of(zones, "198.19.65.1"), "DE");
        for (unsigned int zone = 0; zone < PMO_ZONES_MAX; zone++)
            if (!strcmp(pmo_zones_name(zones, (uint8_t)zone), "b"))
                numbers[i] = (uint8_t)zone;
        json_decref(list);
        CU_ASSERT_EQUAL(pmo_nodes_same(&nodes, &before), false);
        CU_ASSERT_EQUAL(pmo_nodes_same(&nodes, &nodes), true);
        pmo_nodes_clear(&before);
        before = nodes;
        nodes = (struct pmo_nodes){0};
    }
    pmo_nodes_clear(&before);
    CU_ASSERT_EQUAL(numbers[0], numbers[1]);
    pmo_zones_free(&zones);
}

static void what_cannot_be_asked_is_named(void)
{
    struct pmo_zones *zones = NULL;
    struct pmo_nodes nodes = {0};
    bool cancelled = false;
    char error[512];

    CU_ASSERT_EQUAL_FATAL(
        read_text(&zones, "kubernetes: {server: \"https://127.0.0.1:1\", label: zone}"), 0);
    CU_ASSERT_EQUAL(
        pmo_cluster_nodes(pmo_zones_cluster(zones), &cancelled, &nodes, error, sizeof(error)),
        -EIO);
    CU_ASSERT_PTR_EQUAL(strstr(error, "https://127.0.0.1:1 cannot be asked: "), error);
    pmo_zones_free(&zones);
}

SUITE(zones) = {TEST(zones_are_prefixes_with_names),
                TEST(mistakes_in_zones_have_a_place_and_advice),
                TEST(zones_of_a_database_are_those_that_its_own_library_finds),
                TEST(named_prefixes_win_over_a_database_and_share_its_names),
                TEST(of_too_many_zones_the_largest_keep_their_names),
                TEST(where_all_zones_are_taken_nodes_have_none),
                TEST(a_broken_database_is_no_harm),
                TEST(zones_of_nodes_follow_their_labels),
                TEST(what_cannot_be_asked_is_named),
                {0}};
