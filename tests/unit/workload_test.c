/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a process is by its cgroup, and what containers and pods are called. */
#include "tests/unit/suite.h"

#include <string.h>

#include "agent/observe/container.h"
#include "agent/observe/workload.h"

#define ID     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_2   "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID    "6fb5c7a2-04d4-4a3c-9d0e-1f2a3b4c5d6e"
#define UID__  "6fb5c7a2_04d4_4a3c_9d0e_1f2a3b4c5d6e"
#define STATIC "c8f9a0b1c2d3e4f5061728394a5b6c7d"

static struct pmo_workload parse_seen_from(const char *cgroups, const char *own)
{
    struct pmo_workload w;

    memset(&w, 0xff, sizeof(w));
    pmo_workload_parse(cgroups, own, &w);
    return w;
}

static struct pmo_workload parse(const char *cgroups)
{
    return parse_seen_from(cgroups, "0::/\n");
}

static void is_unit(const char *cgroups, const char *unit)
{
    struct pmo_workload w = parse(cgroups);

    CU_ASSERT_STRING_EQUAL(w.unit, unit);
    CU_ASSERT_STRING_EQUAL(w.container, "");
    CU_ASSERT_STRING_EQUAL(w.pod_uid, "");
}

static void is_container(const char *cgroups, const char *id, enum pmo_container_runtime runtime,
                         const char *pod_uid)
{
    struct pmo_workload w = parse(cgroups);

    CU_ASSERT_STRING_EQUAL(w.container, id);
    CU_ASSERT_EQUAL(w.runtime, runtime);
    CU_ASSERT_STRING_EQUAL(w.pod_uid, pod_uid);
}

static void services_of_systemd_are_units(void)
{
    is_unit("0::/system.slice/nginx.service\n", "nginx");
    is_unit("0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
            "postgresql@15-main");
    is_unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service\n", "foo");
    is_unit("0::/system.slice/nginx.service/workers\n", "nginx"); /* delegated */
    is_unit("0::/system.slice/nginx.service", "nginx");           /* cut at its end */
}

static void names_of_units_are_shown_as_they_were_written(void)
{
    is_unit("0::/system.slice/web\\x2dfront.service\n", "web-front");
    is_unit("0::/system.slice/web\\x2dfront@a\\x20b\\x2fc\\xc3.service\n",
            "web-front@a\\x20b\\x2fc\\xc3");
    is_unit("0::/system.slice/web\\x2.service\n", "web\\x2");
    is_unit("0::/system.slice/web\\x\n", "");
    is_unit("0::/system.slice/_cpu.service\n", "cpu"); /* cgroupfs has files called cpu.* */
}

static void what_does_not_tell_a_service_from_others_names_nothing(void)
{
    static const char *const paths[] = {
        "0::/\n",
        "0::/init.scope\n",
        "0::/user.slice/user-1000.slice/session-3.scope\n",
        "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-term-12.scope\n",
        "0::/system.slice/docker.service\n",
        "0::/system.slice/containerd.service\n",
        "0::/system.slice/ssh.service\n",
        "0::/system.slice/system-getty.slice/getty@tty1.service\n",
        "0::/system.slice/run-u12.service\n",
        "0::/system.slice/run-r0123456789abcdef0123456789abcdef.service\n",
        "0::/system.slice/run-p123-i456.service\n",
        "0::/user.slice/dbus-:1.2-org.example@0.service\n",
        "0::/system.slice/.service\n",
        "0::/system.slice\n",
        "0::\n",
        "",
        "nonsense\n:\n::\n",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        is_unit(paths[i], "");
    is_unit("0::/system.slice/run-rabbitmq.service\n", "run-rabbitmq");
    is_unit("0::/system.slice/dockerish.service\n", "dockerish");
}

static void containers_are_found_by_their_ids(void)
{
    is_container("0::/docker/" ID "\n", ID, PMO_RUNTIME_DOCKER, "");
    is_container("0::/system.slice/docker-" ID ".scope\n", ID, PMO_RUNTIME_DOCKER, "");
    is_container("0::/machine.slice/libpod-" ID ".scope\n", ID, PMO_RUNTIME_PODMAN, "");
    is_container("0::/machine.slice/libpod-" ID ".scope/container\n", ID, PMO_RUNTIME_PODMAN, "");
    is_container("0::/libpod_parent/libpod-" ID "\n", ID, PMO_RUNTIME_PODMAN, "");
    is_container("0::/system.slice/nerdctl-" ID ".scope\n", ID, PMO_RUNTIME_OTHER, "");
    is_container("0::/ecs/1234/" ID "\n", ID, PMO_RUNTIME_UNKNOWN, "");
    is_unit("0::/machine.slice/libpod-conmon-" ID ".scope\n", "");
    is_unit("0::/machine.slice/crio-conmon-" ID ".scope\n", "");
    is_unit("0::/docker/" ID "0\n", "");
    is_unit("0::/docker/x" ID "\n", "");
    is_unit("0::/docker/0123456789ab\n", "");
}

static void pods_are_found_with_either_cgroup_driver(void)
{
    is_container("0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID__
                 ".slice/cri-containerd-" ID ".scope\n",
                 ID, PMO_RUNTIME_OTHER, UID);
    is_container("0::/kubepods.slice/kubepods-pod" UID__ ".slice/crio-" ID ".scope\n", ID,
                 PMO_RUNTIME_OTHER, UID);
    is_container("0::/kubepods/burstable/pod" UID "/" ID "\n", ID, PMO_RUNTIME_UNKNOWN, UID);
    is_container("0::/kubepods/burstable/pod" STATIC "/" ID "\n", ID, PMO_RUNTIME_UNKNOWN, STATIC);
    is_container("0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" STATIC
                 ".slice/cri-containerd-" ID ".scope\n",
                 ID, PMO_RUNTIME_OTHER, STATIC);
    is_container("0::/system.slice/containerd.service/kubepods-burstable-pod" UID__
                 ".slice:cri-containerd:" ID "\n",
                 ID, PMO_RUNTIME_OTHER, UID);
    is_container("0::/kubepods/podcast/" ID "\n", ID, PMO_RUNTIME_UNKNOWN, "");
}

static void of_containers_in_each_other_the_innermost_counts(void)
{
    struct pmo_workload w = parse("0::/docker/" ID "/system.slice/nginx.service\n");

    CU_ASSERT_STRING_EQUAL(w.container, ID);
    CU_ASSERT_STRING_EQUAL(w.unit, ""); /* the container's own affair */
    is_container("0::/docker/" ID "/libpod_parent/libpod-" ID_2 "\n", ID_2, PMO_RUNTIME_PODMAN, "");
    w = parse("0::/system.slice/web.service/libpod-payload-" ID "\n"); /* Podman's Quadlet */
    CU_ASSERT_STRING_EQUAL(w.container, ID);
    CU_ASSERT_STRING_EQUAL(w.unit, "web");
}

static void any_hierarchy_of_v1_may_tell(void)
{
    is_container("9:name=systemd:/system.slice/containerd.service\n4:cpu,cpuacct:/docker/" ID
                 "\n0::/system.slice/containerd.service\n",
                 ID, PMO_RUNTIME_DOCKER, "");
    is_container("1:name=systemd:/system.slice/web.service\n2:memory:/docker/" ID "\n", ID,
                 PMO_RUNTIME_DOCKER, "");
    /* of Docker 20.10.24, with cgroupfs as its driver, and v1 and v2 side by side */
    is_container("9:name=systemd:/docker/" ID "\n8:pids:/docker/" ID "\n1:cpu:/docker/" ID
                 "\n0::/docker/" ID "\n",
                 ID, PMO_RUNTIME_DOCKER, "");
    /* the same below --cgroup-parent */
    is_container("1:cpu:/pmo-parent/" ID "\n0::/pmo-parent/" ID "\n", ID, PMO_RUNTIME_UNKNOWN, "");
    /* of ctr of containerd 1.6.20: /NAMESPACE/NAME, where the name may be anything */
    is_unit("9:name=systemd:/default/webby\n1:cpu:/default/webby\n0::/default/webby\n", "");
    is_unit("9:name=systemd:/system.slice/nginx.service\n2:cpu:/\n0::/\n", "nginx");
    is_unit("2:cpu:/user.slice\n1:name=systemd:/user.slice/user-0.slice/session-1.scope\n0::/\n",
            "");
}

static void paths_outside_of_a_cgroup_namespace_are_understood(void)
{
    is_unit("0::/../../system.slice/nginx.service\n", "nginx");
    is_unit("0::/..\n", "");
    is_container("0::/../" ID "\n", ID, PMO_RUNTIME_UNKNOWN, "");
    is_container("0::/../../kubepods-pod" UID__ ".slice/cri-containerd-" ID ".scope\n", ID,
                 PMO_RUNTIME_OTHER, UID);
}

/* A CI runner's unit, or the container that a build runs in, holds all that it starts. */
static void what_the_agent_is_in_names_nothing(void)
{
    static const char runner[] = "0::/system.slice/runner.service\n";
    static const char build[] = "5:memory:/docker/" ID "\n1:name=systemd:/\n0::/\n";
    struct pmo_workload w;

    w = parse_seen_from(runner, runner);
    CU_ASSERT_STRING_EQUAL(w.unit, "");
    w = parse_seen_from("0::/system.slice/runner.service/job\n", runner);
    CU_ASSERT_STRING_EQUAL(w.unit, "");
    w = parse_seen_from(runner, "0::/system.slice/runner.service/agent\n");
    CU_ASSERT_STRING_EQUAL(w.unit, "");
    w = parse_seen_from("0::/system.slice/runner.service/job/docker/" ID "\n", runner);
    CU_ASSERT_STRING_EQUAL(w.unit, "");
    CU_ASSERT_STRING_EQUAL(w.container, ID);
    w = parse_seen_from("0::/system.slice/runner2.service\n", runner);
    CU_ASSERT_STRING_EQUAL(w.unit, "runner2");
    w = parse_seen_from(build, build);
    CU_ASSERT_STRING_EQUAL(w.container, "");
    w = parse_seen_from("5:memory:/docker/" ID "/docker/" ID_2 "\n1:name=systemd:/\n0::/\n", build);
    CU_ASSERT_STRING_EQUAL(w.container, ID_2);
    CU_ASSERT_EQUAL(w.runtime, PMO_RUNTIME_DOCKER);
    w = parse_seen_from("5:memory:/docker/" ID_2 "\n0::/\n", build);
    CU_ASSERT_STRING_EQUAL(w.container, ID_2);
    /* the agent in a container with systemd in it: its neighbours are the units there */
    w = parse_seen_from("5:memory:/docker/" ID "/system.slice/nginx.service\n", build);
    CU_ASSERT_STRING_EQUAL(w.unit, "nginx");
    w = parse_seen_from("0::/docker/" ID "\n", build); /* other hierarchies are other paths */
    CU_ASSERT_STRING_EQUAL(w.container, ID);
}

static void is_called(const char *cgroups, const char *container, const char *command,
                      const char *service)
{
    struct pmo_workload w = parse(cgroups);
    char found[64];

    pmo_workload_service(&w, container, command, 80, found);
    CU_ASSERT_STRING_EQUAL(found, service);
}

static void a_service_is_named_by_the_best_that_is_known(void)
{
    static const char payload[] = "0::/system.slice/web.service/libpod-payload-" ID "\n";
    static const char longest[] =
        "0::/system.slice/"
        "a-very-long-name-of-a-unit-that-goes-on-and-on-and-on-without-end.service";

    is_called("0::/", "", "nginx", "nginx:80");
    is_called("0::/", "", "", "tcp:80");
    is_called("0::/system.slice/web.service\n", "", "nginx", "web:80");
    is_called("0::/docker/" ID "\n", "shop-web", "nginx", "shop-web:80");
    is_called("0::/docker/" ID "\n", "", "nginx", "0123456789ab:80");
    is_called(payload, "", "nginx", "web:80");
    is_called(payload, "systemd-web", "nginx", "systemd-web:80");
    is_called(longest, "", "x", "a-very-long-name-of-a-unit-that-goes-on-and-on-and-on-wit:80");
}

static void owner_is(const char *pod, const char *space, const char *owner)
{
    char found[128];

    pmo_pod_owner(pod, space, found);
    CU_ASSERT_STRING_EQUAL(found, owner);
}

static void pods_are_called_after_what_made_them(void)
{
    owner_is("front-6d4cf56db6-x7k2p", "shop", "shop/front"); /* Deployment */
    owner_is("front-75675f5897-7ci7o", "",
             "front-75675f5897-7ci7o"); /* not what Kubernetes makes */
    owner_is("web-2-6d4cf56db6-x7k2p", "", "web-2");
    owner_is("report-28123456-x7k2p", "", "report"); /* CronJob */
    owner_is("node-exporter-x7k2p", "", "node-exporter");
    owner_is("postgres-0", "db", "db/postgres"); /* StatefulSet */
    owner_is("postgres-12", "", "postgres");
    owner_is("debug", "", "debug");
    owner_is("my-own-pod", "", "my-own-pod");
    owner_is("-x7k2p", "", "-x7k2p");
    owner_is("postgres-", "", "postgres-");
    owner_is("", "", "");
}

static void container_is(const char *text, const char *name, const char *pod)
{
    json_t *json = json_loads(text, 0, NULL);
    struct pmo_container container;

    memset(&container, 0xff, sizeof(container));
    pmo_container_parse(json, &container);
    CU_ASSERT_STRING_EQUAL(container.name, name);
    CU_ASSERT_STRING_EQUAL(container.pod, pod);
    json_decref(json);
}

static void containers_are_called_by_labels_or_by_their_names(void)
{
    container_is("{\"Name\": \"/web\", \"Config\": {\"Labels\": {}}}", "web", "");
    container_is("{\"Name\": \"web\", \"Config\": {\"Labels\": null}}", "web", "");
    container_is("{\"Name\": \"/shop-web-1\", \"Config\": {\"Labels\": {"
                 "\"com.docker.compose.project\": \"shop\", "
                 "\"com.docker.compose.service\": \"web\"}}}",
                 "shop-web", "");
    container_is("{\"Name\": \"/shop_web.1.k3x\", \"Config\": {\"Labels\": {"
                 "\"com.docker.swarm.service.name\": \"shop_web\"}}}",
                 "shop_web", "");
    container_is("{\"Name\": \"/k8s_c_front_x\", \"Config\": {\"Labels\": {"
                 "\"io.kubernetes.pod.namespace\": \"shop\", "
                 "\"io.kubernetes.pod.name\": \"front-6d4cf56db6-x7k2p\"}}}",
                 "shop/front", "front-6d4cf56db6-x7k2p");
    /* of Docker 20.10.24, cut */
    container_is("{\"Id\":\"e5514c50b070c314887758e24f733bac62461a70e5a19926d91bb2aa0a0ceb7e\","
                 "\"Name\":\"/shop-db\",\"Config\":{\"Hostname\":\"vm\",\"Labels\":{}}}",
                 "shop-db", "");
    container_is("{\"Id\":\"87a6cca31a22cdc3d6d3400ef9f94bb72ed797ed05288a3a170a66828bc8fcf2\","
                 "\"Name\":\"/x_web_1\",\"Config\":{\"Hostname\":\"vm\",\"Labels\":"
                 "{\"com.docker.compose.project\":\"shop\","
                 "\"com.docker.compose.service\":\"web\"}}}",
                 "shop-web", "");
    container_is("{\"Name\": 1, \"Config\": [\"Labels\"]}", "", "");
    container_is("[]", "", "");
    container_is("nonsense", "", "");
}

SUITE(workload) = {TEST(services_of_systemd_are_units),
                   TEST(names_of_units_are_shown_as_they_were_written),
                   TEST(what_does_not_tell_a_service_from_others_names_nothing),
                   TEST(containers_are_found_by_their_ids),
                   TEST(pods_are_found_with_either_cgroup_driver),
                   TEST(of_containers_in_each_other_the_innermost_counts),
                   TEST(any_hierarchy_of_v1_may_tell),
                   TEST(paths_outside_of_a_cgroup_namespace_are_understood),
                   TEST(what_the_agent_is_in_names_nothing),
                   TEST(a_service_is_named_by_the_best_that_is_known),
                   TEST(pods_are_called_after_what_made_them),
                   TEST(containers_are_called_by_labels_or_by_their_names),
                   {0}};
