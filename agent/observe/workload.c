/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/workload.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Part of a path, between two slashes. */
struct component {
    const char *text;
    size_t length;
};

static bool ends_with(struct component c, const char *end)
{
    size_t length = strlen(end);

    return c.length >= length && !memcmp(c.text + c.length - length, end, length);
}

static bool begins_with(struct component c, const char *beginning)
{
    size_t length = strlen(beginning);

    return c.length >= length && !memcmp(c.text, beginning, length);
}

static bool is(struct component c, const char *text)
{
    return c.length == strlen(text) && !memcmp(c.text, text, c.length);
}

static bool is_hexadecimal(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    return true;
}

/* Takes the next component of a path that ends with its line. */
static bool next_component(const char **path, struct component *c)
{
    *path += strspn(*path, "/");
    c->text = *path;
    c->length = strcspn(*path, "/\n");
    *path += c->length;
    return c->length;
}

/* ---- units ----------------------------------------------------------------------------------- */
/* Of what they start, users and other programs decide. Templates are known by what is before "@".
 */
static const char *const starters[] = {
    "user",        "docker",       "snap.docker.dockerd",
    "containerd",  "podman",       "crio",
    "cri-docker",  "k3s",          "k3s-agent",
    "rke2-server", "rke2-agent",   "k0s",
    "ssh",         "sshd",         "cron",
    "crond",       "kubelet",      "atd",
    "getty",       "serial-getty",
};

/* systemd-run names a unit run-u12, run-rHEX or run-p12-i34; the message bus names one after a
 * connection. None of these is the same the next time. */
static bool is_transient(const char *unit)
{
    if (!strncmp(unit, "dbus-:", 6))
        return true;
    return !strncmp(unit, "run-", 4) && unit[4] && strchr("urp", unit[4]) && unit[5] &&
           !unit[5 + strspn(unit + 5, "0123456789abcdef-i")];
}

static bool names_a_service(const char *unit)
{
    size_t template = strcspn(unit, "@");

    for (size_t i = 0; i < sizeof(starters) / sizeof(*starters); i++)
        if (strlen(starters[i]) == template && !strncmp(unit, starters[i], template))
            return false;
    return unit[0] && !is_transient(unit);
}

/* \x2d is how systemd.unit(5) writes what may not be in a name; what cannot be printed, or would be
 * taken for a path, stays as it is written. */
static char unescaped(const char *text)
{
    char digits[3] = {text[2], text[3]};
    unsigned long byte;

    if (strncmp(text, "\\x", 2) != 0 || !is_hexadecimal(digits, 2))
        return '\0';
    byte = strtoul(digits, NULL, 16);
    return byte > ' ' && byte < 0x7f && byte != '/' ? (char)byte : '\0';
}

static void find_unit(struct component c, char found[256])
{
    char unit[256];
    size_t length = 0;

    if (!ends_with(c, ".service") || c.length >= sizeof(unit))
        return;
    c.length -= strlen(".service");
    if (begins_with(c, "_")) { /* where a file of cgroupfs might be called like the unit */
        c.text++;
        c.length--;
    }
    for (size_t i = 0; i < c.length; i++) {
        char byte = c.length - i >= 4 ? unescaped(c.text + i) : '\0';

        unit[length++] = byte ? byte : c.text[i];
        i += byte ? 3 : 0;
    }
    unit[length] = '\0';
    if (names_a_service(unit))
        memcpy(found, unit, length + 1);
}

/* ---- containers and pods --------------------------------------------------------------------- */
/*
 * ID below the cgroup "docker" or a pod's, RUNTIME-ID.scope (systemd as the cgroup driver),
 * libpod-payload-ID (Podman in a unit), SLICE:RUNTIME:ID (that driver's path taken for the
 * other's). RUNTIME-conmon-ID is the process that watches a container, not in it.
 */
static void find_container(struct component c, struct component parent, struct pmo_workload *w)
{
    struct component before = c;

    if (ends_with(c, ".scope"))
        c.length -= strlen(".scope");
    if (c.length < PMO_CONTAINER_ID)
        return;
    before.length = c.length - PMO_CONTAINER_ID;
    if (!is_hexadecimal(c.text + before.length, PMO_CONTAINER_ID) ||
        (before.length && !ends_with(before, "-") && !ends_with(before, ":")) ||
        ends_with(before, "-conmon-"))
        return;
    memcpy(w->container, c.text + before.length, PMO_CONTAINER_ID);
    if (ends_with(before, "docker-") || ends_with(before, "docker:") || is(parent, "docker"))
        w->runtime = PMO_RUNTIME_DOCKER;
    else if (begins_with(before, "libpod"))
        w->runtime = PMO_RUNTIME_PODMAN;
    else
        w->runtime = before.length ? PMO_RUNTIME_OTHER : PMO_RUNTIME_UNKNOWN;
}

/* podUID, or ...-podUID.slice with "_" for "-". That of a static pod is a hash. */
static void find_pod(struct component c, struct pmo_workload *w)
{
    static const size_t lengths[] = {36, 32};
    const char *colon = memchr(c.text, ':', c.length);

    if (colon)
        c.length = (size_t)(colon - c.text);
    if (ends_with(c, ".slice"))
        c.length -= strlen(".slice");
    for (size_t i = 0; i < 2; i++) {
        size_t length = lengths[i], before = c.length - length;
        const char *uid = c.text + before;

        if (c.length < length + 3 || memcmp(uid - 3, "pod", 3) != 0 ||
            (before > 3 && uid[-4] != '-') || strspn(uid, "0123456789abcdef_-") < length)
            continue;
        memcpy(w->pod_uid, uid, length);
        w->pod_uid[length] = '\0';
        for (char *at = w->pod_uid; (at = strchr(at, '_'));)
            *at = '-';
        return;
    }
}

/* ---- paths ----------------------------------------------------------------------------------- */
/* The agent's path in the hierarchy of this line, "" where it has none. */
static const char *own_path(const char *own, const char *line, size_t hierarchy)
{
    for (; *own; own += strcspn(own, "\n"), own += *own == '\n')
        if (!strncmp(own, line, hierarchy))
            return own + hierarchy;
    return "";
}

/* What is left of a path without the cgroups that the agent is in, too. */
static const char *without_own(const char *path, const char *own)
{
    struct component theirs, ours;
    const char *rest = path;

    while (next_component(&path, &theirs) && next_component(&own, &ours) &&
           theirs.length == ours.length && !memcmp(theirs.text, ours.text, ours.length))
        rest = path;
    return rest;
}

static struct pmo_workload parse_path(const char *path)
{
    struct pmo_workload w = {};
    struct component c, parent = {};

    for (; next_component(&path, &c); parent = c) {
        if (!w.container[0])
            find_unit(c, w.unit);
        find_pod(c, &w);
        find_container(c, parent, &w);
    }
    return w;
}

void pmo_workload_parse(const char *cgroups, const char *own, struct pmo_workload *workload)
{
    memset(workload, 0, sizeof(*workload));
    for (const char *line = cgroups; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *controllers = strchr(line, ':'); /* 4:cpu,cpuacct:/path */
        const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        struct pmo_workload found;

        if (!path || path > line + strcspn(line, "\n"))
            continue;
        path++;
        found = parse_path(without_own(path, own_path(own, line, (size_t)(path - line))));
        if (found.container[0] ? !workload->container[0]
                               : found.unit[0] && !workload->unit[0] && !workload->container[0])
            *workload = found;
    }
}

void pmo_workload_service(const struct pmo_workload *workload, const char *container,
                          const char *command, uint16_t port, char service[64])
{
    const char *name = command[0] ? command : "tcp";
    int length = 57; /* and a colon, five digits and a NUL */

    if (workload->container[0] && container[0]) {
        name = container;
    } else if (workload->unit[0]) {
        name = workload->unit;
    } else if (workload->container[0]) {
        name = workload->container;
        length = 12; /* as runtimes show it */
    }
    (void)snprintf(service, 64, "%.*s:%u", length, name, port);
}
