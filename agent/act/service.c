/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/service.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "agent/base/log.h"

#define API_VERSION "pmo.dev/v1alpha1"

static void strings_free(char **strings)
{
    for (char **s = strings; s && *s; s++)
        free(*s);
    free(strings);
}

static void service_free(struct pmo_local_service *service)
{
    strings_free(service->command);
    strings_free(service->environment);
    free(service->probe_path);
    strings_free(service->probe_command);
}

void pmo_local_services_free(struct pmo_local_services *services)
{
    for (size_t i = 0; i < services->count; i++)
        service_free(&services->at[i]);
    free(services->at);
    *services = (struct pmo_local_services){0};
}

int pmo_local_address_parse(const char *text, uint8_t addr[16], uint16_t *port)
{
    const char *colon = strchr(text, ':');
    char host[INET_ADDRSTRLEN], *end;
    struct in_addr in;
    unsigned long value;

    if (!colon || (size_t)(colon - text) >= sizeof(host) || !isdigit((unsigned char)colon[1]))
        return -EINVAL;
    memcpy(host, text, colon - text);
    host[colon - text] = '\0';
    value = strtoul(colon + 1, &end, 10);
    if (*end || value < 1 || value > UINT16_MAX || inet_pton(AF_INET, host, &in) != 1)
        return -EINVAL;
    /* connect() is rewritten for the whole host, so an address that may belong to someone else must
     * not be taken: this half of RFC 2544's benchmarking range is nobody's */
    if ((ntohl(in.s_addr) & 0xffff0000U) != 0xc6120000U)
        return -EINVAL;
    memset(addr, 0, 10);
    memset(addr + 10, 0xff, 2);
    memcpy(addr + 12, &in, 4);
    *port = (uint16_t)value;
    return 0;
}

/* Names become parts of host names and of file names: a DNS label (RFC 1123). */
static bool is_label(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return length > 0 && length < 64 && !text[length] && text[0] != '-' && text[length - 1] != '-';
}

/* Required member of a mapping; complains where it is absent. */
static const struct pmo_value *required(const struct pmo_value *map, const char *key,
                                        const char *example)
{
    const struct pmo_value *value = pmo_value_get(map, key);

    if (!value)
        (void)pmo_value_complain(map, "%s is missing; write `%s: %s`", key, key, example);
    return value;
}

static int read_name(struct pmo_local_service *service, const struct pmo_value *document)
{
    static const char *const keys[] = {"name", "labels", "annotations", NULL};
    const struct pmo_value *metadata = required(document, "metadata", "{name: catalog}");
    const struct pmo_value *value;
    const char *text;

    if (!metadata)
        return -EINVAL;
    if (!pmo_value_is_map(metadata))
        return pmo_value_complain(metadata, "metadata is a mapping; write `{name: catalog}`");
    if (pmo_value_only_keys(metadata, keys) < 0)
        return -EINVAL;
    value = required(metadata, "name", "catalog");
    if (!value)
        return -EINVAL;
    text = pmo_value_text(value);
    if (!text || !is_label(text))
        return pmo_value_complain(value, "a name is 1 to 63 of a-z, 0-9 and -, not - at an end; "
                                         "write e.g. `catalog`");
    memcpy(service->public.name, text, strlen(text) + 1);
    return 0;
}

static int read_address(struct pmo_local_service *service, const struct pmo_value *spec)
{
    const struct pmo_value *value = required(spec, "address", "198.18.0.11:80");
    const char *text;

    if (!value)
        return -EINVAL;
    text = pmo_value_text(value);
    if (!text || pmo_local_address_parse(text, service->public.addr, &service->public.port) < 0)
        return pmo_value_complain(value, "an address is one of 198.18.0.0/16 with a port; write "
                                         "e.g. `198.18.0.11:80`");
    return 0;
}

static int read_port(struct pmo_local_service *service, const struct pmo_value *spec)
{
    long port = 0;

    if (!required(spec, "port", "8080") || pmo_value_get_integer(spec, "port", 1, 65535, &port) < 0)
        return -EINVAL;
    service->port = (uint16_t)port;
    return 0;
}

/* A program and its arguments. */
static int read_program(const struct pmo_value *map, const char *example, char ***command)
{
    const struct pmo_value *list = required(map, "command", example);
    size_t count;

    if (!list)
        return -EINVAL;
    if (!pmo_value_is_list(list) || !pmo_value_count(list))
        return pmo_value_complain(list, "a command is a list, the program first; write e.g. `%s`",
                                  example);
    count = pmo_value_count(list);
    *command = calloc(count + 1, sizeof(**command));
    if (!*command)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *text = pmo_value_text(pmo_value_item(list, i));

        if (!text || (i == 0 && !*text))
            return pmo_value_complain(pmo_value_item(list, i),
                                      "each part of a command is text, the program's not empty");
        (*command)[i] = strdup(text);
        if (!(*command)[i])
            return -ENOMEM;
    }
    return 0;
}

static int read_command(struct pmo_local_service *service, const struct pmo_value *spec)
{
    return read_program(spec, "[build/pmo-demo, --port, \"8080\"]", &service->command);
}

static int read_environment(struct pmo_local_service *service, const struct pmo_value *spec)
{
    const struct pmo_value *map = pmo_value_get(spec, "environment");
    size_t count;

    if (!map)
        return 0;
    if (!pmo_value_is_map(map))
        return pmo_value_complain(map, "environment is a mapping; write e.g. `{LANG: C}`");
    count = pmo_value_count(map);
    service->environment = calloc(count + 1, sizeof(*service->environment));
    if (!service->environment)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *key = pmo_value_key(map, i);
        const struct pmo_value *value = pmo_value_get(map, key);
        const char *text = pmo_value_text(value);

        if (!text || !*key || strchr(key, '='))
            return pmo_value_complain(value, "a variable has a name without = and a text; write "
                                             "e.g. `LANG: C`");
        if (asprintf(&service->environment[i], "%s=%s", key, text) < 0) {
            service->environment[i] = NULL;
            return -ENOMEM;
        }
    }
    return 0;
}

/* A duration within bounds. */
static int read_duration(const struct pmo_value *map, const char *key, double min, double max,
                         const char *example, double *seconds)
{
    if (pmo_value_get_duration(map, key, seconds) < 0)
        return -EINVAL;
    if (*seconds < min || *seconds > max)
        return pmo_value_complain(pmo_value_get(map, key),
                                  "%s is from %g s to %g s; write e.g. `%s`", key, min, max,
                                  example);
    return 0;
}

static int read_exec(struct pmo_local_service *service, const struct pmo_value *readiness)
{
    static const char *const keys[] = {"command", NULL};
    const struct pmo_value *exec = pmo_value_get(readiness, "exec");

    if (!exec)
        return 0;
    if (!pmo_value_is_map(exec))
        return pmo_value_complain(exec,
                                  "exec is a mapping; write e.g. `{command: [test, -e, /run/ok]}`");
    if (pmo_value_get(readiness, "path"))
        return pmo_value_complain(exec, "a probe asks for a path or runs a command; leave one out");
    if (pmo_value_only_keys(exec, keys) < 0)
        return -EINVAL;
    return read_program(exec, "[test, -e, /run/ok]", &service->probe_command);
}

static int read_path(struct pmo_local_service *service, const struct pmo_value *readiness)
{
    const char *path = NULL;

    if (pmo_value_get_text(readiness, "path", &path) < 0)
        return -EINVAL;
    if (!path)
        return 0;
    if (*path != '/' || strlen(path) > 1000 || strpbrk(path, " \t\r\n"))
        return pmo_value_complain(pmo_value_get(readiness, "path"),
                                  "a path starts with / and has no spaces; write e.g. `/ready`");
    service->probe_path = strdup(path);
    return service->probe_path ? 0 : -ENOMEM;
}

static int read_readiness(struct pmo_local_service *service, const struct pmo_value *spec)
{
    static const char *const keys[] = {"path", "exec", "interval", "timeout", NULL};
    const struct pmo_value *map = pmo_value_get(spec, "readiness");
    int r = 0, error;

    if (!map)
        return 0;
    if (!pmo_value_is_map(map))
        return pmo_value_complain(map, "readiness is a mapping; write e.g. `{interval: 200ms}`");
    if (pmo_value_only_keys(map, keys) < 0 ||
        read_duration(map, "interval", 0.1, 60, "200ms", &service->probe_interval_s) < 0 ||
        read_duration(map, "timeout", 0.01, 60, "1s", &service->probe_timeout_s) < 0)
        r = -EINVAL;
    error = read_path(service, map);
    if (!error)
        error = read_exec(service, map);
    return error ? error : r;
}

/* "64MiB", or as in Kubernetes "64Mi" */
static int read_memory(struct pmo_local_service *service, const struct pmo_value *spec)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "Ki", "Mi", "Gi"};
    const struct pmo_value *value = pmo_value_get(spec, "memory");
    const char *text = value ? pmo_value_text(value) : NULL;
    char *end = NULL;
    double number = text && isdigit((unsigned char)*text) ? strtod(text, &end) : 0, bytes = 0;

    if (!value)
        return 0;
    while (end && *end == ' ')
        end++;
    for (size_t i = 0; end && i < sizeof(units) / sizeof(units[0]); i++)
        if (!strcmp(end, units[i]))
            bytes = ldexp(number, 10 * (int)(i % 3 + 1));
    if (!(bytes >= 1 << 20 && bytes < 1e15))
        return pmo_value_complain(value, "memory is 1 MiB or more, with its unit (KiB, MiB, GiB); "
                                         "write e.g. `64MiB`, or leave it out for no limit");
    service->memory_bytes = (uint64_t)bytes;
    return 0;
}

static int read_cpu(struct pmo_local_service *service, const struct pmo_value *spec)
{
    if (pmo_value_get_share(spec, "cpu", &service->cpu_share) < 0)
        return -EINVAL;
    if (pmo_value_get(spec, "cpu") && service->cpu_share < 0.01)
        return pmo_value_complain(pmo_value_get(spec, "cpu"),
                                  "cpu is from 1%% to 100%% of one core; write e.g. `10%%`, or "
                                  "leave it out for no limit");
    return 0;
}

static int read_replicas(struct pmo_local_service *service, const struct pmo_value *spec)
{
    long replicas = 1;

    if (pmo_value_get_integer(spec, "replicas", 0, 1000, &replicas) < 0)
        return -EINVAL;
    service->replicas = (uint32_t)replicas;
    return 0;
}

static int read_drain(struct pmo_local_service *service, const struct pmo_value *spec)
{
    return read_duration(spec, "drain", 0, 3600, "10s", &service->drain_s);
}

/* Goes on after a mistake, so that one reading finds them all. */
static int read_service(struct pmo_local_service *service, const struct pmo_value *document)
{
    static const char *const document_keys[] = {"apiVersion", "kind", "metadata", "spec", NULL};
    static const char *const spec_keys[] = {"address",   "port", "command", "environment",
                                            "readiness", "cpu",  "memory",  "replicas",
                                            "drain",     NULL};
    static int (*const parts[])(struct pmo_local_service *, const struct pmo_value *) = {
        read_address, read_port,   read_command,  read_environment, read_readiness,
        read_cpu,     read_memory, read_replicas, read_drain};
    const struct pmo_value *version = required(document, "apiVersion", API_VERSION);
    const struct pmo_value *spec = required(document, "spec", "{address: 198.18.0.11:80, ...}");
    const char *text = pmo_value_text(version);
    int r = version && spec ? 0 : -EINVAL;

    if (version && (!text || strcmp(text, API_VERSION) != 0))
        r = pmo_value_complain(version, "this agent reads only `%s`", API_VERSION);
    if (pmo_value_only_keys(document, document_keys) < 0 || read_name(service, document) < 0)
        r = -EINVAL;
    if (!spec)
        return r;
    if (!pmo_value_is_map(spec))
        return pmo_value_complain(spec, "spec is a mapping with address, port and command");
    if (pmo_value_only_keys(spec, spec_keys) < 0)
        r = -EINVAL;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        int error = parts[i](service, spec);

        if (error == -ENOMEM)
            return error;
        r = error < 0 ? error : r;
    }
    return r;
}

/* No two services share a name or an address. */
static int check_unique(const struct pmo_local_services *services,
                        const struct pmo_local_service *service, const struct pmo_value *document)
{
    for (size_t i = 0; i < services->count; i++) {
        const struct pmo_backend_service *other = &services->at[i].public;

        if (!strcmp(other->name, service->public.name))
            return pmo_value_complain(document,
                                      "a LocalService %s is above already; give this one "
                                      "another name",
                                      other->name);
        if (!memcmp(other->addr, service->public.addr, 16) && other->port == service->public.port)
            return pmo_value_complain(document, "%s has this address already; give %s another one",
                                      other->name, service->public.name);
    }
    return 0;
}

static bool is_local_service(const struct pmo_value *document)
{
    const char *kind = NULL;

    if (pmo_value_is_map(document) && pmo_value_get(document, "kind"))
        kind = pmo_value_text(pmo_value_get(document, "kind"));
    return kind && !strcmp(kind, pmo_backend_local.kind);
}

int pmo_local_services_read(struct pmo_local_services *services, const struct pmo_file *file)
{
    size_t documents = file ? pmo_file_documents(file) : 0;
    struct pmo_local_services found = {0};
    int result = 0;

    found.at = calloc(documents + 1, sizeof(*found.at));
    if (!found.at)
        return pmo_err_r(ENOMEM, "cannot read LocalService documents");
    for (size_t i = 0; i < documents; i++) {
        const struct pmo_value *document = pmo_file_document(file, i);
        struct pmo_local_service service = {
            .probe_interval_s = 0.2, .probe_timeout_s = 1, .replicas = 1, .drain_s = 10};
        int r;

        if (!is_local_service(document))
            continue;
        r = read_service(&service, document);
        if (!r)
            r = check_unique(&found, &service, document);
        found.at[found.count++] = service;
        if (r == -ENOMEM)
            (void)pmo_err_r(r, "cannot read LocalService documents");
        result = r ? r : result;
    }
    if (result < 0) {
        pmo_local_services_free(&found);
        return result;
    }
    *services = found;
    return 0;
}
