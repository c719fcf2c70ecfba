/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/act/cgroup.h"
#include "agent/act/network.h"
#include "agent/act/record.h"
#include "agent/act/service.h"

#define HEAD    "apiVersion: pmo.dev/v1alpha1\nkind: LocalService\nmetadata: {name: catalog}\n"
#define MINIMAL HEAD "spec: {address: '198.18.0.11:80', port: 8080, command: [demo]}\n"

static char complaints[2048];

static void collect(void *context, const char *file, size_t line, size_t column,
                    const char *message)
{
    size_t used = strlen(complaints);

    (void)snprintf(complaints + used, sizeof(complaints) - used, "%zu: %s\n", line, message);
}

static int read_text(struct pmo_local_services *services, const char *text)
{
    struct pmo_file *file = NULL;
    int r;

    complaints[0] = '\0';
    r = pmo_file_parse(&file, "test.yaml", text, strlen(text), collect, NULL);
    if (!r)
        r = pmo_local_services_read(services, file);
    pmo_file_free(&file);
    return r;
}

/* The document is refused, and the one complaint has these words. */
static bool refused(const char *text, const char *words)
{
    struct pmo_local_services services = {0};
    const char *end;

    if (read_text(&services, text) != -EINVAL || services.at)
        return false;
    end = strchr(complaints, '\n');
    return end && !end[1] && strstr(complaints, words);
}

static void a_full_document_is_read(void)
{
    static const uint8_t address[16] = {[10] = 0xff, 0xff, 198, 18, 0, 11};
    struct pmo_local_services services = {0};
    const struct pmo_local_service *service;

    CU_ASSERT_EQUAL_FATAL(read_text(&services,
                                    HEAD "spec:\n"
                                         "  address: 198.18.0.11:80\n"
                                         "  port: 8080\n"
                                         "  command: [build/pmo-demo, --port, \"8080\"]\n"
                                         "  environment: {LANG: C, EMPTY: \"\"}\n"
                                         "  readiness: {path: /ready, interval: 500ms, "
                                         "timeout: 2s}\n"
                                         "  cpu: 10%\n"
                                         "  memory: 64MiB\n"
                                         "  replicas: 3\n"
                                         "  drain: 20s\n"),
                          0);
    CU_ASSERT_EQUAL_FATAL(services.count, 1);
    service = services.at;
    CU_ASSERT_STRING_EQUAL(service->public.name, "catalog");
    CU_ASSERT_EQUAL(memcmp(service->public.addr, address, 16), 0);
    CU_ASSERT_EQUAL(service->public.port, 80);
    CU_ASSERT_EQUAL(service->port, 8080);
    CU_ASSERT_STRING_EQUAL(service->command[0], "build/pmo-demo");
    CU_ASSERT_STRING_EQUAL(service->command[2], "8080");
    CU_ASSERT_PTR_NULL(service->command[3]);
    CU_ASSERT_STRING_EQUAL(service->environment[0], "LANG=C");
    CU_ASSERT_STRING_EQUAL(service->environment[1], "EMPTY=");
    CU_ASSERT_PTR_NULL(service->environment[2]);
    CU_ASSERT_STRING_EQUAL(service->probe_path, "/ready");
    CU_ASSERT_DOUBLE_EQUAL(service->probe_interval_s, 0.5, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(service->probe_timeout_s, 2, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(service->cpu_share, 0.1, 1e-9);
    CU_ASSERT_EQUAL(service->memory_bytes, 64 << 20);
    CU_ASSERT_PTR_NULL(service->probe_command);
    CU_ASSERT_EQUAL(service->replicas, 3);
    CU_ASSERT_DOUBLE_EQUAL(service->drain_s, 20, 1e-9);
    pmo_local_services_free(&services);
}

static void a_short_document_gets_defaults(void)
{
    struct pmo_local_services services = {0};

    CU_ASSERT_EQUAL_FATAL(read_text(&services, MINIMAL), 0);
    CU_ASSERT_EQUAL_FATAL(services.count, 1);
    CU_ASSERT_PTR_NULL(services.at->probe_path);
    CU_ASSERT_PTR_NULL(services.at->environment);
    CU_ASSERT_DOUBLE_EQUAL(services.at->probe_interval_s, 0.2, 1e-9);
    CU_ASSERT_EQUAL(services.at->cpu_share, 0);
    CU_ASSERT_EQUAL(services.at->memory_bytes, 0);
    CU_ASSERT_EQUAL(services.at->replicas, 1);
    pmo_local_services_free(&services);
}

static void the_example_of_the_documentation_is_right(void)
{
    static const char begin[] = "```yaml\n";
    struct pmo_local_services services = {0};
    FILE *file = fopen("docs/acting.md", "re");
    char text[4096] = "", *at, *end;

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT(fread(text, 1, sizeof(text) - 1, file) > 0);
    (void)fclose(file);
    at = strstr(text, begin);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    at += sizeof(begin) - 1;
    end = strstr(at, "```");
    CU_ASSERT_PTR_NOT_NULL_FATAL(end);
    *end = '\0';
    CU_ASSERT_EQUAL_FATAL(read_text(&services, at), 0);
    CU_ASSERT_EQUAL(services.count, 1);
    pmo_local_services_free(&services);
}

static void a_probe_may_be_a_command(void)
{
    struct pmo_local_services services = {0};

    CU_ASSERT_EQUAL_FATAL(
        read_text(&services, HEAD "spec: {address: '198.18.0.11:80', port: 8080, command: [demo], "
                                  "readiness: {exec: {command: [test, -e, /run/ok]}}}\n"),
        0);
    CU_ASSERT_STRING_EQUAL(services.at->probe_command[0], "test");
    CU_ASSERT_STRING_EQUAL(services.at->probe_command[2], "/run/ok");
    CU_ASSERT_PTR_NULL(services.at->probe_command[3]);
    CU_ASSERT_STRING_EQUAL(services.at->command[0], "demo");
    pmo_local_services_free(&services);
}

static void documents_of_other_kinds_are_left_to_others(void)
{
    struct pmo_local_services services = {0};

    CU_ASSERT_EQUAL(read_text(&services, "kind: OrchestrationPolicy\nanything: 1\n---\n" MINIMAL),
                    0);
    CU_ASSERT_EQUAL(services.count, 1);
    pmo_local_services_free(&services);
    CU_ASSERT_EQUAL(pmo_local_services_read(&services, NULL), 0);
    CU_ASSERT_EQUAL(services.count, 0);
    pmo_local_services_free(&services);
}

static void each_mistake_is_one_line_that_says_what_to_write(void)
{
#define SPEC HEAD "spec:\n  address: 198.18.0.11:80\n  port: 8080\n  command: [demo]\n"
    CU_ASSERT(refused(HEAD, "spec is missing"));
    CU_ASSERT(refused(HEAD "spec: 5\n", "4: spec is a mapping"));
    CU_ASSERT(refused(HEAD "spec: {port: 1, command: [a]}\n", "address is missing"));
    CU_ASSERT(refused(HEAD "spec: {address: '198.18.0.1:80', command: [a]}\n", "port is missing"));
    CU_ASSERT(refused(HEAD "spec: {address: '198.18.0.1:80', port: 1}\n", "command is missing"));
    CU_ASSERT(refused(HEAD "spec: {address: '10.0.0.1:80', port: 1, command: [a]}\n",
                      "4: an address is one of 198.18.0.0/16"));
    CU_ASSERT(refused(HEAD "spec: {address: '198.18.0.1', port: 1, command: [a]}\n",
                      "write e.g. `198.18.0.11:80`"));
    CU_ASSERT(refused(HEAD "spec: {address: '198.18.0.1:80', port: 1, command: demo}\n",
                      "a command is a list"));
    CU_ASSERT(refused(SPEC "  prot: 1\n", "prot"));
    CU_ASSERT(refused(SPEC "  cpu: 0%\n", "cpu is from 1%"));
    CU_ASSERT(refused(SPEC "  environment: [A]\n", "environment is a mapping"));
    CU_ASSERT(refused(SPEC "  environment: {A=B: C}\n", "a name without ="));
    CU_ASSERT(refused(SPEC "  readiness: {path: ready}\n", "a path starts with /"));
    CU_ASSERT(refused(SPEC "  readiness: {interval: 1ms}\n", "interval is from 0.1 s to 60 s"));
    CU_ASSERT(refused(SPEC "  readiness: {every: 1s}\n", "every"));
    CU_ASSERT(refused(SPEC "  readiness: {exec: [a]}\n", "exec is a mapping"));
    CU_ASSERT(refused(SPEC "  readiness: {exec: {}}\n", "command is missing"));
    CU_ASSERT(refused(SPEC "  readiness: {exec: {command: a}}\n", "a command is a list"));
    CU_ASSERT(refused(SPEC "  readiness: {path: /r, exec: {command: [a]}}\n", "leave one out"));
    CU_ASSERT(refused(SPEC "  memory: 64\n", "memory is 1 MiB or more, with its unit"));
    CU_ASSERT(refused(SPEC "  memory: 64KiB\n", "memory is 1 MiB or more"));
    CU_ASSERT(refused(SPEC "  memory: [1]\n", "memory is 1 MiB or more"));
    CU_ASSERT(refused("apiVersion: v1\nkind: LocalService\nmetadata: {name: a}\n"
                      "spec: {address: '198.18.0.11:80', port: 1, command: [a]}\n",
                      "1: this agent reads only `pmo.dev/v1alpha1`"));
    CU_ASSERT(refused("apiVersion: pmo.dev/v1alpha1\nkind: LocalService\nmetadata: {name: A/b}\n"
                      "spec: {address: '198.18.0.11:80', port: 1, command: [a]}\n",
                      "3: a name is 1 to 63 of"));
    CU_ASSERT(refused(MINIMAL "---\n" MINIMAL, "a LocalService catalog is above already"));
#undef SPEC
}

static void all_mistakes_are_found_in_one_reading(void)
{
    struct pmo_local_services services = {0};

    CU_ASSERT_EQUAL(read_text(&services, HEAD "spec: {address: a, port: 0, command: [], cpu: x}\n"),
                    -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "address"));
    CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "port"));
    CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "command"));
    CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "cpu"));
}

static void service_addresses_stay_in_their_half_of_the_range(void)
{
    static const char *const wrong[] = {"",
                                        ":80",
                                        "198.18.0.1",
                                        "198.18.0.1:",
                                        "198.18.0.1:0",
                                        "198.18.0.1:65536",
                                        "198.18.0.1:80x",
                                        "198.18.0.1:-1",
                                        "198.19.0.1:80",
                                        "8.8.8.8:80",
                                        "198.18.0.300:80",
                                        "198.18.0.1111111111111:80"};
    uint8_t addr[16];
    uint16_t port;

    CU_ASSERT_EQUAL(pmo_local_address_parse("198.18.255.254:65535", addr, &port), 0);
    CU_ASSERT_EQUAL(port, 65535);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CU_ASSERT_EQUAL(pmo_local_address_parse(wrong[i], addr, &port), -EINVAL);
}

static void numbers_go_round_before_one_is_used_again(void)
{
    static const uint16_t used[] = {2, 4, 65533};
    uint16_t *all = calloc(65533, sizeof(*all));

    CU_ASSERT_EQUAL(pmo_mesh_number(used, 0, 0), 1);
    CU_ASSERT_EQUAL(pmo_mesh_number(used, 3, 1), 3);
    CU_ASSERT_EQUAL(pmo_mesh_number(used, 3, 3), 5);
    CU_ASSERT_EQUAL(pmo_mesh_number(used, 3, 65532), 1); /* 65534 is the host's */
    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    for (uint16_t i = 0; i < 65533; i++)
        all[i] = i + 1;
    CU_ASSERT_EQUAL(pmo_mesh_number(all, 65533, 65533), 0);
    free(all);
}

static void a_members_address_follows_from_its_number(void)
{
    static const uint8_t expected[16] = {[10] = 0xff, 0xff, 198, 19, 1, 4};
    uint8_t addr[16];

    pmo_mesh_address(260, addr);
    CU_ASSERT_EQUAL(memcmp(addr, expected, 16), 0);
}

static void the_cpu_quota_is_never_below_the_kernels_least(void)
{
    static const double shares[] = {0.01, 0.03, 0.06, 0.1, 0.25, 1};

    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        struct pmo_cpu_limit limit = pmo_cpu_limit(shares[i]);

        CU_ASSERT(limit.quota_us >= 1000);
        CU_ASSERT(limit.period_us >= 10000 && limit.period_us <= 100000);
        CU_ASSERT_DOUBLE_EQUAL((double)limit.quota_us / (double)limit.period_us, shares[i], 1e-4);
    }
}

static void note_name(void *context, const char *name)
{
    (void)snprintf(context, 64, "%s", name);
}

static void a_record_is_read_as_it_was_written(void)
{
    struct pmo_record record = {.service = "catalog",
                                .number = 7,
                                .port = 8080,
                                .pid = 4242,
                                .phase = PMO_INSTANCE_READY,
                                .ordered_s = 12345.678901,
                                .ready_s = 0};
    struct pmo_record read = {0};
    char directory[] = "/tmp/pmo-record-XXXXXX", path[64], name[64] = "";
    FILE *file;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    CU_ASSERT_EQUAL(pmo_record_read(directory, "catalog-1", &read), -EINVAL);
    CU_ASSERT_EQUAL(pmo_record_write(directory, "catalog-1", &record), 0);
    CU_ASSERT_EQUAL(pmo_record_read(directory, "catalog-1", &read), 0);
    CU_ASSERT_STRING_EQUAL(read.service, "catalog");
    CU_ASSERT_EQUAL(read.number, 7);
    CU_ASSERT_EQUAL(read.pid, 4242);
    CU_ASSERT_EQUAL(read.phase, PMO_INSTANCE_READY);
    CU_ASSERT_DOUBLE_EQUAL(read.ordered_s, 12345.678901, 1e-6);
    pmo_records_each(directory, note_name, name);
    CU_ASSERT_STRING_EQUAL(name, "catalog-1");
    (void)snprintf(path, sizeof(path), "%s/catalog-1", directory);
    file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs("{\"service\": \"catalog\", \"number\":", file);
    (void)fclose(file);
    CU_ASSERT_EQUAL(pmo_record_read(directory, "catalog-1", &read), -EINVAL);
    pmo_record_remove(directory, "catalog-1");
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

static void what_is_wanted_is_read_as_it_was_written(void)
{
    char directory[] = "/tmp/pmo-wanted-XXXXXX", path[64];
    uint32_t wanted = 7;
    FILE *file;

    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/wanted", directory);
    CU_ASSERT(!pmo_wanted_read(path, "front", &wanted));
    CU_ASSERT_EQUAL(wanted, 7);
    CU_ASSERT_EQUAL(pmo_wanted_write(path, "front", 3), 0);
    CU_ASSERT_EQUAL(pmo_wanted_write(path, "catalog", 0), 0);
    CU_ASSERT_EQUAL(pmo_wanted_write(path, "front", 4), 0);
    CU_ASSERT(pmo_wanted_read(path, "front", &wanted) && wanted == 4);
    CU_ASSERT(pmo_wanted_read(path, "catalog", &wanted) && wanted == 0);
    CU_ASSERT(!pmo_wanted_read(path, "nobody", &wanted));
    file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fputs("{\"front\": \"many\"", file);
    (void)fclose(file);
    CU_ASSERT(!pmo_wanted_read(path, "front", &wanted));
    CU_ASSERT_EQUAL(pmo_wanted_write(path, "front", 5), 0);
    CU_ASSERT(pmo_wanted_read(path, "front", &wanted) && wanted == 5);
    (void)unlink(path);
    CU_ASSERT_EQUAL(rmdir(directory), 0);
}

SUITE(local) = {
    TEST(a_full_document_is_read),
    TEST(a_short_document_gets_defaults),
    TEST(a_probe_may_be_a_command),
    TEST(the_example_of_the_documentation_is_right),
    TEST(documents_of_other_kinds_are_left_to_others),
    TEST(each_mistake_is_one_line_that_says_what_to_write),
    TEST(all_mistakes_are_found_in_one_reading),
    TEST(service_addresses_stay_in_their_half_of_the_range),
    TEST(numbers_go_round_before_one_is_used_again),
    TEST(a_members_address_follows_from_its_number),
    TEST(the_cpu_quota_is_never_below_the_kernels_least),
    TEST(a_record_is_read_as_it_was_written),
    TEST(what_is_wanted_is_read_as_it_was_written),
    {0},
};
