/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What asks for connections: zones of a file, and when SYNs are a flood. */
#include "agent/attempts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "agent/observe/zones.h"
#include "tests/unit/suite.h"

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

static double flood_of(uint64_t syns, uint64_t connections, uint64_t seconds)
{
    struct pmo_instance_record record = {
        .since = 100, .window = 99 + seconds, .counts = {.syns = syns, .connections = connections}};
    struct pmo_attempts attempts = {.second = 0};

    pmo_attempts_add(&attempts, &record);
    return pmo_attempts_flood(&attempts);
}

static void many_syns_without_connections_are_a_flood(void)
{
    struct pmo_instance_record record = {.since = 100, .window = 100, .counts = {.syns = 500}};
    struct pmo_attempts attempts = {.second = 0}, last;

    CU_ASSERT_EQUAL(flood_of(5000, 100, 1), 4900);
    CU_ASSERT_EQUAL(flood_of(5000, 4900, 1), 0);
    CU_ASSERT_EQUAL(flood_of(5000, 2500, 1), 0);
    CU_ASSERT_EQUAL(flood_of(99, 0, 1), 0); /* a server that is down, and its clients */
    CU_ASSERT_EQUAL(flood_of(5000, 0, 10), 500);
    CU_ASSERT_EQUAL(flood_of(900, 0, 10), 0);
    pmo_attempts_add(&attempts, &record);
    last = pmo_attempts_in(&attempts, 101); /* over */
    CU_ASSERT_EQUAL(pmo_attempts_flood(&last), 0);
    CU_ASSERT_EQUAL(last.total.syns, 500);
    last = pmo_attempts_in(&attempts, 100);
    CU_ASSERT_EQUAL(pmo_attempts_flood(&last), 500);
}

SUITE(attempts) = {TEST(zones_are_prefixes_with_names),
                   TEST(mistakes_in_zones_have_a_place_and_advice),
                   TEST(many_syns_without_connections_are_a_flood),
                   {0}};
