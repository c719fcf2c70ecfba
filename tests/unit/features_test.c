/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/features.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/suite.h"

static struct pmo_feature features[PMO_FEATURES_MAX];
static size_t count;

/* A machine on which all is well, seen by root. */
static struct pmo_host healthy(void)
{
    return (struct pmo_host){
        .release = "6.12.9-cloud",
        .capabilities = UINT64_MAX,
        .capabilities_max = UINT64_MAX,
        .btf = true,
        .bpffs = true,
        .bpffs_place = true,
        .cgroup = "/sys/fs/cgroup",
        .jit = 1,
        .locked_bytes = UINT64_MAX,
        .lockdown = "integrity",
        .maps = "hash ringbuf",
        .programs_count = 2,
        .programs = {{.name = "request_ingress", .section = "cgroup_skb/ingress"},
                     {.name = "syn_count", .section = "xdp"}},
    };
}

/* Judges; returns whether the agent can work there. */
static int judge(const struct pmo_host *host)
{
    count = pmo_features_judge(host, features);
    return pmo_features_able(features, count);
}

static const struct pmo_feature *feature(const char *name)
{
    static const struct pmo_feature none = {.state = -1};

    for (size_t i = 0; i < count; i++)
        if (!strcmp(features[i].name, name))
            return &features[i];
    return &none;
}

static bool says(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static void a_machine_that_has_all_needs_no_advice(void)
{
    struct pmo_host host = healthy();

    CU_ASSERT_EQUAL(judge(&host), 1);
    CU_ASSERT_TRUE(count > host.programs_count + 5);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(features[i].state, PMO_FEATURE_OK);
        CU_ASSERT_STRING_EQUAL(features[i].advice, "");
        CU_ASSERT_STRING_NOT_EQUAL(features[i].found, "");
    }
}

/* One thing is wrong: it is named, has its advice, and the agent cannot work. */
static void check_missing(const struct pmo_host *host, const char *name, const char *advice)
{
    CU_ASSERT_EQUAL(judge(host), 0);
    CU_ASSERT_EQUAL(feature(name)->state, PMO_FEATURE_MISSING);
    CU_ASSERT_TRUE(says(feature(name)->advice, advice));
    for (size_t i = 0; i < count; i++)
        CU_ASSERT_TRUE(&features[i] == feature(name) || features[i].state == PMO_FEATURE_OK);
}

static void what_the_agent_refuses_to_start_without_is_missing(void)
{
    struct pmo_host host = healthy();

    host.cgroup[0] = '\0';
    check_missing(&host, "cgroup v2", "mount -t cgroup2 none /sys/fs/cgroup");
    host = healthy();
    host.bpffs = host.bpffs_place = false;
    check_missing(&host, "bpf file system", "mount -t bpf bpf");
    host = healthy();
    (void)snprintf(host.lockdown, sizeof(host.lockdown), "confidentiality");
    check_missing(&host, "lockdown", "lockdown=integrity");
    host = healthy();
    host.jit = 0;
    check_missing(&host, "JIT", "net.core.bpf_jit_enable=1");
    host = healthy();
    (void)snprintf(host.maps_none, sizeof(host.maps_none), "ringbuf");
    check_missing(&host, "maps", "5.19");
    host = healthy();
    host.bpf = -EPERM; /* with all capabilities */
    CU_ASSERT_EQUAL(judge(&host), 0);
    CU_ASSERT_TRUE(says(feature("privileges")->advice, "user namespace"));
}

static void without_type_information_programs_are_not_blamed(void)
{
    struct pmo_host host = healthy();

    host.btf = false;
    for (size_t i = 0; i < host.programs_count; i++)
        host.programs[i].error = -EPERM; /* not tried */
    CU_ASSERT_EQUAL(judge(&host), 0);
    CU_ASSERT_TRUE(says(feature("type information")->advice, "CONFIG_DEBUG_INFO_BTF=y"));
    CU_ASSERT_EQUAL(feature("requests")->state, PMO_FEATURE_UNKNOWN);
}

static void a_bpf_file_system_that_can_be_mounted_is_not_missing(void)
{
    struct pmo_host host = healthy();

    host.bpffs = false;
    CU_ASSERT_EQUAL(judge(&host), 1);
    CU_ASSERT_TRUE(says(feature("bpf file system")->found, "the agent does it"));
}

static void a_program_that_is_needed_and_one_that_is_not_differ(void)
{
    struct pmo_host host = healthy();

    host.programs[1].error = -EACCES;
    (void)snprintf(host.programs[1].reason, sizeof(host.programs[1].reason), "R1 is not a pointer");
    CU_ASSERT_EQUAL(judge(&host), 1);
    CU_ASSERT_EQUAL(feature("connection attempts")->state, PMO_FEATURE_OFF);
    CU_ASSERT_FALSE(feature("connection attempts")->needed);
    CU_ASSERT_STRING_EQUAL(feature("connection attempts")->found, "xdp: R1 is not a pointer");
    CU_ASSERT_TRUE(says(feature("connection attempts")->advice, "SYNs are not counted"));

    host.programs[0].error = -ENOTSUP;
    (void)snprintf(host.programs[0].reason, sizeof(host.programs[0].reason), "no bpf_loop()");
    CU_ASSERT_EQUAL(judge(&host), 0);
    CU_ASSERT_EQUAL(feature("requests")->state, PMO_FEATURE_MISSING);
    CU_ASSERT_TRUE(says(feature("requests")->advice, "5.19 or newer"));
    host.programs[0].error = -EACCES; /* it has all parts, and refuses */
    CU_ASSERT_EQUAL(judge(&host), 0);
    CU_ASSERT_TRUE(says(feature("requests")->advice, "report"));
    host.programs[0].reason[0] = '\0';
    (void)judge(&host);
    CU_ASSERT_STRING_EQUAL(feature("requests")->found, "cgroup_skb/ingress: Permission denied");
}

static void a_program_that_nobody_described_is_needed(void)
{
    struct pmo_host host = healthy();

    CU_ASSERT_TRUE(pmo_program_needed("request_ingress"));
    CU_ASSERT_FALSE(pmo_program_needed("syn_count"));
    CU_ASSERT_TRUE(pmo_program_needed("brand_new"));
    (void)snprintf(host.programs[1].name, sizeof(host.programs[1].name), "brand_new");
    host.programs[1].error = -EINVAL;
    CU_ASSERT_EQUAL(judge(&host), 0);
    CU_ASSERT_EQUAL(feature("brand_new")->state, PMO_FEATURE_MISSING);
}

static void without_root_what_cannot_be_known_is_called_so(void)
{
    struct pmo_host host = healthy();

    host.uid = 1000;
    host.capabilities = 0;
    host.bpf = host.uprobe = -EPERM;
    host.maps[0] = '\0';
    for (size_t i = 0; i < host.programs_count; i++)
        host.programs[i].error = -EPERM;
    CU_ASSERT_EQUAL(judge(&host), -EPERM);
    CU_ASSERT_EQUAL(feature("privileges")->state, PMO_FEATURE_UNKNOWN);
    CU_ASSERT_TRUE(says(feature("privileges")->found, "user 1000"));
    CU_ASSERT_TRUE(says(feature("privileges")->advice, "run as root"));
    CU_ASSERT_EQUAL(feature("maps")->state, PMO_FEATURE_UNKNOWN);
    CU_ASSERT_EQUAL(feature("requests")->state, PMO_FEATURE_UNKNOWN);
    CU_ASSERT_EQUAL(feature("uprobes")->state, PMO_FEATURE_UNKNOWN);

    host.cgroup[0] = '\0'; /* what can be seen is told */
    CU_ASSERT_EQUAL(judge(&host), 0);
}

static void a_container_that_root_cannot_leave_is_told_which_capabilities_it_lacks(void)
{
    struct pmo_host host = healthy();

    host.capabilities_max &= ~(1ULL << CAP_SYS_ADMIN | 1ULL << CAP_BPF);
    host.capabilities = host.capabilities_max;
    host.bpf = -EPERM;
    CU_ASSERT_EQUAL(judge(&host), 0);
    CU_ASSERT_TRUE(says(feature("privileges")->found, " BPF, SYS_ADMIN "));
    CU_ASSERT_FALSE(says(feature("privileges")->found, "PERFMON"));
    /* SYS_ADMIN includes BPF and PERFMON, as it did before there were these */
    host.capabilities_max = 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_NET_ADMIN;
    host.capabilities = host.capabilities_max;
    host.bpf = 0;
    CU_ASSERT_EQUAL(judge(&host), 1);
}

static void what_is_optional_or_cannot_be_read_stops_nothing(void)
{
    struct pmo_host host = healthy();

    host.jit = -1;
    host.lockdown[0] = '\0';
    host.uprobe = -ENOTSUP;
    (void)snprintf(host.release, sizeof(host.release), "5.14.0-427.el9"); /* with more in it */
    CU_ASSERT_EQUAL(judge(&host), 1);
    CU_ASSERT_EQUAL(feature("JIT")->state, PMO_FEATURE_UNKNOWN);
    CU_ASSERT_EQUAL(feature("lockdown")->state, PMO_FEATURE_UNKNOWN);
    CU_ASSERT_EQUAL(feature("uprobes")->state, PMO_FEATURE_OFF);
    CU_ASSERT_EQUAL(feature("kernel")->state, PMO_FEATURE_UNKNOWN);
    (void)snprintf(host.release, sizeof(host.release), "5.19.0");
    (void)judge(&host);
    CU_ASSERT_EQUAL(feature("kernel")->state, PMO_FEATURE_OK);
}

static void locked_memory_matters_before_5_11_only(void)
{
    struct pmo_host host = healthy();

    host.locked_bytes = 65536;
    host.capabilities &= ~(1ULL << CAP_SYS_RESOURCE);
    CU_ASSERT_EQUAL(judge(&host), 1);
    CU_ASSERT_EQUAL((int)feature("locked memory")->state, -1); /* no such line */
    (void)snprintf(host.release, sizeof(host.release), "5.10.0-32-cloud-amd64");
    CU_ASSERT_EQUAL(judge(&host), 0);
    CU_ASSERT_TRUE(says(feature("locked memory")->advice, "ulimit -l unlimited"));
    host.capabilities |= 1ULL << CAP_SYS_RESOURCE; /* libbpf lifts it */
    CU_ASSERT_EQUAL(judge(&host), 1);
}

static void cgroup_v2_beside_v1_is_enough(void)
{
    struct pmo_host host = healthy();

    (void)snprintf(host.cgroup, sizeof(host.cgroup), "/sys/fs/cgroup/unified");
    host.cgroup_v1 = true;
    CU_ASSERT_EQUAL(judge(&host), 1);
    CU_ASSERT_STRING_EQUAL(feature("cgroup v2")->found, "/sys/fs/cgroup/unified, besides v1");
}

static void the_verifiers_reason_is_found_in_its_log(void)
{
    char reason[64], tiny[8];

    pmo_verifier_reason("2167: (bc) w4 = w6\n"
                        "2168: (85) call bpf_skb_load_bytes#26\n"
                        "invalid access to map value, value_size=2120 off=16 size=0\n"
                        "R3 min value is outside of the allowed memory range\n"
                        "verification time 989389 usec\n"
                        "stack depth 152+72\n"
                        "processed 48570 insns (limit 1000000) max_states_per_insn 19\n"
                        "\n"
                        "-- END PROG LOAD LOG --\n",
                        reason, sizeof(reason));
    CU_ASSERT_STRING_EQUAL(reason, "R3 min value is outside of the allowed memory range");
    pmo_verifier_reason("unknown func bpf_loop#181", reason, sizeof(reason));
    CU_ASSERT_STRING_EQUAL(reason, "unknown func bpf_loop#181");
    pmo_verifier_reason("processed 0 insns\n", reason, sizeof(reason));
    CU_ASSERT_STRING_EQUAL(reason, "");
    pmo_verifier_reason("unknown func", tiny, sizeof(tiny));
    CU_ASSERT_STRING_EQUAL(tiny, "unknown");
}

/* Every program of the object is looked at, with or without root. */
static void the_programs_of_this_build_are_known_by_their_use(void)
{
    struct pmo_host host;

    pmo_host_probe(&host);
    CU_ASSERT_TRUE(host.programs_count > 5);
    CU_ASSERT_STRING_NOT_EQUAL(host.release, "");
    (void)judge(&host);
    for (size_t i = 0; i < host.programs_count; i++)
        CU_ASSERT_EQUAL((int)feature(host.programs[i].name)->state, -1); /* it has a plainer name */
}

SUITE(features) = {TEST(a_machine_that_has_all_needs_no_advice),
                   TEST(what_the_agent_refuses_to_start_without_is_missing),
                   TEST(without_type_information_programs_are_not_blamed),
                   TEST(a_bpf_file_system_that_can_be_mounted_is_not_missing),
                   TEST(a_program_that_is_needed_and_one_that_is_not_differ),
                   TEST(a_program_that_nobody_described_is_needed),
                   TEST(without_root_what_cannot_be_known_is_called_so),
                   TEST(a_container_that_root_cannot_leave_is_told_which_capabilities_it_lacks),
                   TEST(what_is_optional_or_cannot_be_read_stops_nothing),
                   TEST(locked_memory_matters_before_5_11_only),
                   TEST(cgroup_v2_beside_v1_is_enough),
                   TEST(the_verifiers_reason_is_found_in_its_log),
                   TEST(the_programs_of_this_build_are_known_by_their_use),
                   {0}};
