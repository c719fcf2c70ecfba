/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/container.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/library.h"
#include "agent/base/log.h"

#define ASK_MS        200L
#define ASK_AGAIN_S   60
#define ANSWER_BYTES  (1U << 20) /* usual are 10,000 */
#define SUFFIX_LENGTH 5U         /* of a pod's name */

/* It takes 5 MiB with what it is linked with: only where there is a runtime to ask. */
static struct {
    typeof(curl_easy_init) *init;
    typeof(curl_easy_reset) *reset;
    typeof(curl_easy_setopt) *setopt;
    typeof(curl_easy_perform) *perform;
    typeof(curl_easy_cleanup) *cleanup;
} libcurl;

static const struct pmo_function functions[] = {
    {"curl_easy_init", &libcurl.init},       {"curl_easy_reset", &libcurl.reset},
    {"curl_easy_setopt", &libcurl.setopt},   {"curl_easy_perform", &libcurl.perform},
    {"curl_easy_cleanup", &libcurl.cleanup},
};

struct runtime {
    const char *socket;
    time_t ask_again; /* CLOCK_MONOTONIC */
};

struct answer {
    char *text;
    size_t length;
};

struct pmo_runtimes {
    CURL *curl; /* NULL: nobody was asked yet */
    struct answer answer;
    struct runtime docker, podman;
};

int pmo_runtimes_new(struct pmo_runtimes **runtimes)
{
    struct pmo_runtimes *made = calloc(1, sizeof(*made));

    if (!made)
        return -ENOMEM;
    made->docker.socket = "/var/run/docker.sock";
    made->podman.socket = "/run/podman/podman.sock";
    made->answer.text = malloc(ANSWER_BYTES);
    if (!made->answer.text) {
        pmo_runtimes_free(&made);
        return -ENOMEM;
    }
    *runtimes = made;
    return 0;
}

void pmo_runtimes_free(struct pmo_runtimes **runtimes)
{
    if (!*runtimes)
        return;
    if ((*runtimes)->curl)
        libcurl.cleanup((*runtimes)->curl);
    free((*runtimes)->answer.text);
    free(*runtimes);
    *runtimes = NULL;
}

/* ---- names ----------------------------------------------------------------------------------- */
/* Whether the part of a pod's name between two places is of what SafeEncodeString makes. */
static bool is_encoded(const char *from, const char *to)
{
    return strspn(from, "bcdfghjklmnpqrstvwxz2456789") >= (size_t)(to - from);
}

static bool is_number(const char *from, const char *to)
{
    return to > from && strspn(from, "0123456789") >= (size_t)(to - from);
}

/* The last "-" before a place that is not at the beginning; NULL: none. */
static const char *dash_before(const char *text, const char *end)
{
    const char *at = memrchr(text, '-', (size_t)(end - text));

    return at > text ? at : NULL;
}

void pmo_pod_owner(const char *pod, const char *space, char owner[128])
{
    const char *end = pod + strlen(pod), *suffix = dash_before(pod, end);

    if (suffix && (size_t)(end - suffix - 1) == SUFFIX_LENGTH && is_encoded(suffix + 1, end)) {
        const char *hash = dash_before(pod, suffix);
        size_t length = hash ? (size_t)(suffix - hash - 1) : 0;

        end = suffix;
        if (length >= 8 && length <= 10 &&
            (is_encoded(hash + 1, suffix) || is_number(hash + 1, suffix)))
            end = hash;
    } else if (suffix && is_number(suffix + 1, end)) {
        end = suffix;
    }
    (void)snprintf(owner, 128, "%.63s%s%.*s", space, space[0] ? "/" : "",
                   (int)(end - pod < 63 ? end - pod : 63), pod);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

void pmo_container_parse(const json_t *answer, struct pmo_container *container)
{
    const json_t *labels = json_object_get(json_object_get(answer, "Config"), "Labels");
    const char *pod = text_of(labels, "io.kubernetes.pod.name");
    const char *project = text_of(labels, "com.docker.compose.project");
    const char *composed = text_of(labels, "com.docker.compose.service");
    const char *swarm = text_of(labels, "com.docker.swarm.service.name");
    const char *name = text_of(answer, "Name"); /* "/name" where it is Docker's */

    memset(container, 0, sizeof(*container));
    (void)snprintf(container->pod, sizeof(container->pod), "%s", pod);
    if (pod[0])
        pmo_pod_owner(pod, text_of(labels, "io.kubernetes.pod.namespace"), container->name);
    else if (composed[0])
        (void)snprintf(container->name, sizeof(container->name), "%s%s%s", project,
                       project[0] ? "-" : "", composed);
    else
        (void)snprintf(container->name, sizeof(container->name), "%s",
                       swarm[0] ? swarm : name + (name[0] == '/'));
}

/* ---- runtimes -------------------------------------------------------------------------------- */
static size_t on_answer(char *from, size_t size, size_t count, void *context)
{
    struct answer *answer = context;

    if (count > ANSWER_BYTES - answer->length)
        return 0; /* ends the transfer */
    memcpy(answer->text + answer->length, from, count);
    answer->length += count;
    return count;
}

static time_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* NULL: the library is missing, which was said. */
static CURL *curl_of(struct pmo_runtimes *runtimes)
{
    if (!runtimes->curl &&
        !pmo_library_load("libcurl-gnutls.so.4", functions, sizeof(functions) / sizeof(*functions)))
        runtimes->curl = libcurl.init();
    return runtimes->curl;
}

static void ask(struct pmo_runtimes *runtimes, struct runtime *runtime, const char *id,
                struct pmo_container *container)
{
    CURL *curl;
    char url[128];
    json_t *json;
    CURLcode r;

    if (access(runtime->socket, F_OK) < 0 || now() < runtime->ask_again)
        return;
    curl = curl_of(runtimes);
    if (!curl) {
        runtime->ask_again = now() + ASK_AGAIN_S;
        return;
    }
    (void)snprintf(url, sizeof(url), "http://runtime/containers/%s/json", id);
    runtimes->answer.length = 0;
    libcurl.reset(curl);
    (void)libcurl.setopt(curl, CURLOPT_URL, url);
    (void)libcurl.setopt(curl, CURLOPT_UNIX_SOCKET_PATH, runtime->socket);
    (void)libcurl.setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
    (void)libcurl.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)libcurl.setopt(curl, CURLOPT_FORBID_REUSE, 1L); /* Podman's service ends when idle */
    (void)libcurl.setopt(curl, CURLOPT_TIMEOUT_MS, ASK_MS);
    (void)libcurl.setopt(curl, CURLOPT_FAILONERROR, 1L);
    (void)libcurl.setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    (void)libcurl.setopt(curl, CURLOPT_WRITEDATA, &runtimes->answer);
    r = libcurl.perform(curl);
    if (r == CURLE_OPERATION_TIMEDOUT) {
        runtime->ask_again = now() + ASK_AGAIN_S;
        pmo_warn("%s does not answer within %ld ms: containers that begin to listen in the next "
                 "%d s are called by their ids",
                 runtime->socket, ASK_MS, ASK_AGAIN_S);
    }
    if (r) /* one that nobody listens on, a container that it does not know */
        return;
    json = json_loadb(runtimes->answer.text, runtimes->answer.length, 0, NULL);
    pmo_container_parse(json, container);
    json_decref(json);
}

/* ---- pods ------------------------------------------------------------------------------------ */
/* The first line of a file as a process sees it. What is in a container is whatever it likes:
 * links lead nowhere outside of it, and nothing but a file is waited for. */
static void read_inside(int root, const char *path, char *line, size_t room)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    _cleanup_close_ int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    struct stat status;
    ssize_t n;

    line[0] = '\0';
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    n = read(fd, line, room - 1);
    line[n > 0 ? n : 0] = '\0';
    line[strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789-.")] = '\0'; /* RFC 1123 */
}

/* A pod on the host's network has the host's name, and no namespace of its own for it. Where nobody
 * may look at init, the agent's namespace is taken for the host's. */
static bool has_own_host_name(pid_t pid)
{
    struct stat host, own;
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/%d/ns/uts", pid);
    return (stat("/proc/1/ns/uts", &host) == 0 || stat("/proc/self/ns/uts", &host) == 0) &&
           stat(path, &own) == 0 && host.st_ino != own.st_ino;
}

static void ask_pod(pid_t pid, struct pmo_container *container)
{
    static const char space_path[] = "var/run/secrets/kubernetes.io/serviceaccount/namespace";
    _cleanup_close_ int root = -1;
    char path[32], space[64];

    if (!has_own_host_name(pid))
        return;
    (void)snprintf(path, sizeof(path), "/proc/%d/root", pid);
    root = open(path, O_PATH | O_CLOEXEC);
    if (root < 0)
        return;
    read_inside(root, "etc/hostname", container->pod, sizeof(container->pod));
    read_inside(root, space_path, space, sizeof(space));
    if (container->pod[0])
        pmo_pod_owner(container->pod, space, container->name);
}

void pmo_container_look_up(struct pmo_runtimes *runtimes, const struct pmo_workload *workload,
                           pid_t pid, struct pmo_container *container)
{
    memset(container, 0, sizeof(*container));
    if (!workload->container[0])
        return;
    if (workload->runtime == PMO_RUNTIME_PODMAN)
        ask(runtimes, &runtimes->podman, workload->container, container);
    else if (workload->runtime != PMO_RUNTIME_OTHER)
        ask(runtimes, &runtimes->docker, workload->container, container);
    if (!container->name[0] && workload->pod_uid[0] && pid)
        ask_pod(pid, container);
}
