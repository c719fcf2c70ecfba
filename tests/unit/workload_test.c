/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>
#include "agent/observe/container.h"
#include "agent/observe/workload.h"

#define ID     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID_   "12345678_1234_1234_1234_123456789abc"
#define UID    "12345678-1234-1234-1234-123456789abc"
#define NOBODY "0::/\n"

static void is(const char *cgroups, const char *own, const char *unit, const char *container,
               const char *pod)
{
    struct pmo_workload w;

    pmo_workload_parse(cgroups, own, &w);
    CU_ASSERT_STRING_EQUAL(w.unit, unit);
    CU_ASSERT_STRING_EQUAL(w.container, container);
    CU_ASSERT_STRING_EQUAL(w.pod_uid, pod);
    if (strcmp(w.unit, unit) != 0 || strcmp(w.container, container) != 0)
        printf("\n    %s is \"%s\", \"%s\"\n", cgroups, w.unit, w.container);
}

static void units_are_found(void)
{
    is("0::/system.slice/nginx.service\n", NOBODY, "nginx", "", "");
    is("0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", NOBODY,
       "postgresql@15-main", "", "");
    is("0::/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service\n", NOBODY, "foo",
       "", "");
    is("0::/system.slice/a\\x2db.service\n", NOBODY, "a-b", "", "");
    is("0::/system.slice/nginx.service/workers\n", NOBODY, "nginx", "", "");
    /* v1 and v2 side by side, as they are where systemd's hierarchy is a v1 of its own */
    is("12:cpu,cpuacct:/\n1:name=systemd:/system.slice/nginx.service\n0::/system.slice/"
       "nginx.service\n",
       "1:name=systemd:/\n0::/\n", "nginx", "", "");
}

static void what_does_not_tell_a_service_names_nothing(void)
{
    is("0::/\n", NOBODY, "", "", "");
    is("", NOBODY, "", "", "");
    is("nonsense\n0:\n::\n", NOBODY, "", "", "");
    is("0::/user.slice/user-1000.slice/session-3.scope\n", NOBODY, "", "", "");
    is("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", NOBODY, "", "", "");
    is("0::/system.slice/docker.service\n", NOBODY, "", "", "");
    is("0::/system.slice/ssh.service\n", NOBODY, "", "", "");
    is("0::/system.slice/run-r0123456789abcdef0123456789abcdef.service\n", NOBODY, "", "", "");
    is("0::/machine.slice/libpod-conmon-" ID ".scope\n", NOBODY, "", "", "");
    is("0::/docker/0123\n", NOBODY, "", "", "");
}

static void containers_are_found(void)
{
    is("0::/docker/" ID "\n", NOBODY, "", ID, "");
    is("0::/system.slice/docker-" ID ".scope\n", NOBODY, "", ID, "");
    is("0::/machine.slice/libpod-" ID ".scope/container\n", NOBODY, "", ID, "");
    is("4:memory:/docker/" ID "\n0::/\n", "4:memory:/\n0::/\n", "", ID, "");
    is("0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
       ".slice/cri-containerd-" ID ".scope\n",
       NOBODY, "", ID, UID);
    is("0::/kubepods/burstable/pod" UID "/" ID "\n", NOBODY, "", ID, UID);
    is("0::/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" ID ".scope\n", NOBODY, "", ID, UID);
}

/* Whatever runs in the agent's own unit or container would be named after that. */
static void what_the_agent_is_in_names_nothing(void)
{
    is("0::/system.slice/runner.service\n", "0::/system.slice/runner.service\n", "", "", "");
    is("0::/docker/" ID "\n", "0::/docker/" ID "\n", "", "", "");
    is("0::/system.slice/runner.service/app.service\n", "0::/system.slice/runner.service\n", "app",
       "", "");
    is("0::/../../system.slice/nginx.service\n", NOBODY, "nginx", "", "");
}

static void names(const char *unit, const char *id, const char *container, const char *command,
                  const char *expected)
{
    struct pmo_workload w = {};
    char service[64];

    (void)snprintf(w.unit, sizeof(w.unit), "%s", unit);
    (void)snprintf(w.container, sizeof(w.container), "%s", id);
    pmo_workload_service(&w, container, command, 80, service);
    CU_ASSERT_STRING_EQUAL(service, expected);
}

static void a_service_is_called_by_the_best_that_is_known(void)
{
    names("", "", "", "nginx", "nginx:80");
    names("", "", "", "", "tcp:80");
    names("web", "", "", "nginx", "web:80");
    names("", ID, "", "nginx", "0123456789ab:80");
    names("", ID, "shop-web", "nginx", "shop-web:80");
    names("podman-web", ID, "", "nginx", "podman-web:80");
}

static void pods_are_those_of_their_owner(void)
{
    static const struct {
        const char *pod, *space, *owner;
    } pods[] = {{"web-5d4f8b7c9d-x2x7z", "shop", "shop/web"},
                {"db-0", "shop", "shop/db"},
                {"agent-x2x7z", "", "agent"},
                {"backup-28391040-x2x7z", "", "backup"},
                {"alone", "", "alone"},
                {"my-house", "", "my-house"}};
    char owner[128];

    for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++) {
        pmo_pod_owner(pods[i].pod, pods[i].space, owner);
        CU_ASSERT_STRING_EQUAL(owner, pods[i].owner);
    }
}

static void parsed(const char *text, const char *name, const char *pod)
{
    json_t *json = json_loads(text, 0, NULL);
    struct pmo_container container;

    pmo_container_parse(json, &container);
    CU_ASSERT_STRING_EQUAL(container.name, name);
    CU_ASSERT_STRING_EQUAL(container.pod, pod);
    json_decref(json);
}

static void labels_name_a_container(void)
{
    parsed("{\"Name\": \"/web\", \"Config\": {\"Labels\": {}}}", "web", "");
    parsed("{\"Name\": \"/x\", \"Config\": {\"Labels\": {\"com.docker.compose.project\": \"shop\","
           " \"com.docker.compose.service\": \"web\"}}}",
           "shop-web", "");
    parsed("{\"Name\": \"/k8s_x\", \"Config\": {\"Labels\": {\"io.kubernetes.pod.name\": \"db-0\","
           " \"io.kubernetes.pod.namespace\": \"shop\"}}}",
           "shop/db", "db-0");
    parsed("{\"Name\": 7, \"Config\": []}", "", "");
    parsed("nonsense", "", "");
}

SUITE(workload) = {TEST(units_are_found),
                   TEST(what_does_not_tell_a_service_names_nothing),
                   TEST(containers_are_found),
                   TEST(what_the_agent_is_in_names_nothing),
                   TEST(a_service_is_called_by_the_best_that_is_known),
                   TEST(pods_are_those_of_their_owner),
                   TEST(labels_name_a_container),
                   {0}};
