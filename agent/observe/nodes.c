/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/nodes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/body.h"
#include "agent/base/cleanup.h"
#include "agent/base/libcurl.h"

#define ACCOUNT    "/var/run/secrets/kubernetes.io/serviceaccount/"
#define PAGE       500         /* nodes */
#define PAGE_BYTES (32U << 20) /* a node with its images is 10 to 50 kB */
#define PAGES_MAX  100         /* a cluster is said to work with 5,000 nodes */
#define TIMEOUT_S  20L
#define REFRESH_S  60

struct pmo_cluster {
    char *server, *authority, *token_file, *certificate, *key; /* NULL: none */
    char *label;
    double refresh_s;
};

/* ---- configuration --------------------------------------------------------------------------- */

static char *own_server(void)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"); // NOLINT(concurrency-mt-unsafe)
    const char *port = getenv("KUBERNETES_SERVICE_PORT"); // NOLINT(concurrency-mt-unsafe)
    char *server;

    if (!host || !port)
        return NULL;
    return asprintf(&server, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port) <
                   0
               ? NULL
               : server;
}

/* A text, or what stands for it; NULL where that is NULL. */
static int read_text(const struct pmo_value *map, const char *key, const char *otherwise,
                     char **out)
{
    const char *text = otherwise;
    int r = pmo_value_get_text(map, key, &text);

    if (r || !text)
        return r;
    *out = strdup(text);
    return *out ? 0 : -ENOMEM;
}

static int check(const struct pmo_cluster *cluster, const struct pmo_value *map)
{
    const char *const files[] = {cluster->authority, cluster->token_file, cluster->certificate,
                                 cluster->key};
    static const char *const keys[] = {"certificateAuthority", "tokenFile", "certificate", "key"};
    int r = 0;

    if (!cluster->server)
        return pmo_value_complain(map, "the server is missing, and this is no pod of a cluster; "
                                       "write server: https://HOST:6443");
    if (strncmp(cluster->server, "https://", 8) != 0)
        return pmo_value_complain(pmo_value_get(map, "server"),
                                  "\"%s\" is no server; write https://HOST:6443", cluster->server);
    if (!cluster->certificate != !cluster->key)
        return pmo_value_complain(map, "a certificate has a key; write both, or a tokenFile");
    if (cluster->refresh_s < 1)
        r = pmo_value_complain(pmo_value_get(map, "refresh"),
                               "nodes are asked for once a second at most; write refresh: 60s");
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        if (files[i] && access(files[i], R_OK))
            r = pmo_value_complain(pmo_value_get(map, keys[i]) ? pmo_value_get(map, keys[i]) : map,
                                   "%s %s cannot be read: %s", keys[i], files[i],
                                   strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    return r;
}

int pmo_cluster_read(struct pmo_cluster **cluster, const struct pmo_value *map)
{
    static const char *const keys[] = {
        "server", "certificateAuthority", "tokenFile", "certificate", "key", "label", "refresh",
        NULL};
    __attribute__((cleanup(pmo_cluster_free))) struct pmo_cluster *read = calloc(1, sizeof(*read));
    _cleanup_free_ char *own = own_server();
    bool in_pod = own && !pmo_value_get(map, "server");
    bool certified = pmo_value_get(map, "certificate");
    int r = 0;

    if (!read)
        return -ENOMEM;
    if (pmo_value_only_keys(map, keys))
        return -EINVAL;
    read->refresh_s = REFRESH_S;
    r = read_text(map, "server", own, &read->server);
    if (!r)
        r = read_text(map, "certificateAuthority", in_pod ? ACCOUNT "ca.crt" : NULL,
                      &read->authority);
    if (!r)
        r = read_text(map, "tokenFile", in_pod && !certified ? ACCOUNT "token" : NULL,
                      &read->token_file);
    if (!r)
        r = read_text(map, "certificate", NULL, &read->certificate);
    if (!r)
        r = read_text(map, "key", NULL, &read->key);
    if (!r)
        r = read_text(map, "label", "topology.kubernetes.io/zone", &read->label);
    if (!r)
        r = pmo_value_get_duration(map, "refresh", &read->refresh_s);
    if (!r)
        r = check(read, map);
    if (!r)
        *cluster = TAKE_PTR(read);
    return r;
}

double pmo_cluster_refresh_s(const struct pmo_cluster *cluster)
{
    return cluster->refresh_s;
}

void pmo_cluster_free(struct pmo_cluster **cluster)
{
    if (!*cluster)
        return;
    free((*cluster)->server);
    free((*cluster)->authority);
    free((*cluster)->token_file);
    free((*cluster)->certificate);
    free((*cluster)->key);
    free((*cluster)->label);
    free(*cluster);
    *cluster = NULL;
}

/* ---- what is answered ------------------------------------------------------------------------ */

static int add(struct pmo_nodes *nodes, const char *prefix, const char *zone)
{
    struct pmo_node_network *to;

    if (!prefix || !*prefix || strlen(prefix) >= sizeof(to->prefix))
        return 0;
    if (nodes->count == nodes->room) {
        size_t room = nodes->room ? 2 * nodes->room : 64;
        void *larger = reallocarray(nodes->list, room, sizeof(*nodes->list));

        if (!larger)
            return -ENOMEM;
        nodes->list = larger;
        nodes->room = room;
    }
    to = &nodes->list[nodes->count++];
    memset(to, 0, sizeof(*to)); /* for pmo_nodes_same() */
    (void)snprintf(to->prefix, sizeof(to->prefix), "%s", prefix);
    (void)snprintf(to->zone, sizeof(to->zone), "%s", zone);
    return 0;
}

static const json_t *within(const json_t *object, const char *outer, const char *inner)
{
    return json_object_get(json_object_get(object, outer), inner);
}

int pmo_nodes_add(struct pmo_nodes *nodes, const json_t *list, const char *label)
{
    const json_t *node, *item;
    size_t i, k;
    int r = 0;

    json_array_foreach (json_object_get(list, "items"), i, node) {
        const json_t *cidrs = within(node, "spec", "podCIDRs");
        const json_t *addresses = within(node, "status", "addresses");
        const char *zone =
            json_string_value(json_object_get(within(node, "metadata", "labels"), label));

        if (!zone || !*zone)
            continue;
        if (!json_array_size(cidrs)) /* of a server before 1.16 */
            r = r ? r : add(nodes, json_string_value(within(node, "spec", "podCIDR")), zone);
        json_array_foreach (cidrs, k, item)
            r = r ? r : add(nodes, json_string_value(item), zone);
        json_array_foreach (addresses, k, item) {
            const char *type = json_string_value(json_object_get(item, "type"));

            if (type && !strcmp(type, "InternalIP"))
                r = r ? r : add(nodes, json_string_value(json_object_get(item, "address")), zone);
        }
    }
    return r;
}

bool pmo_nodes_same(const struct pmo_nodes *a, const struct pmo_nodes *b)
{
    return a->count == b->count &&
           (!a->count || !memcmp(a->list, b->list, a->count * sizeof(*a->list)));
}

void pmo_nodes_clear(struct pmo_nodes *nodes)
{
    free(nodes->list);
    memset(nodes, 0, sizeof(*nodes));
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* A line of a file: "Authorization: Bearer TOKEN", NULL: there is no token file. */
static int read_token(const struct pmo_cluster *cluster, struct curl_slist **headers)
{
    static const char before[] = "Authorization: Bearer ";
    char line[8192];
    FILE *file;
    size_t n;

    if (!cluster->token_file)
        return 0;
    file = fopen(cluster->token_file, "re");
    if (!file)
        return -errno;
    memcpy(line, before, sizeof(before));
    n = fread(line + sizeof(before) - 1, 1, sizeof(line) - sizeof(before), file);
    (void)fclose(file);
    line[sizeof(before) - 1 + n] = '\0';
    line[sizeof(before) - 1 + strcspn(line + sizeof(before) - 1, " \r\n")] = '\0';
    *headers = pmo_libcurl.slist_append(NULL, line);
    explicit_bzero(line, sizeof(line));
    return *headers ? 0 : -ENOMEM;
}

static void set_up(CURL *curl, const struct pmo_cluster *cluster, struct curl_slist *headers,
                   struct pmo_body *page, char *detail)
{
    (void)pmo_libcurl.setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    (void)pmo_libcurl.setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (cluster->authority)
        (void)pmo_libcurl.setopt(curl, CURLOPT_CAINFO, cluster->authority);
    if (cluster->certificate) {
        (void)pmo_libcurl.setopt(curl, CURLOPT_SSLCERT, cluster->certificate);
        (void)pmo_libcurl.setopt(curl, CURLOPT_SSLKEY, cluster->key);
    }
    (void)pmo_libcurl.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)pmo_libcurl.setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    (void)pmo_libcurl.setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)pmo_libcurl.setopt(curl, CURLOPT_USERAGENT, "pmo-agent/" PMO_VERSION);
    (void)pmo_libcurl.setopt(curl, CURLOPT_ERRORBUFFER, detail);
    (void)pmo_libcurl.setopt(curl, CURLOPT_WRITEFUNCTION, pmo_body_keep);
    (void)pmo_libcurl.setopt(curl, CURLOPT_WRITEDATA, page);
    (void)pmo_libcurl.setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)pmo_libcurl.setopt(curl, CURLOPT_XFERINFOFUNCTION, pmo_body_progress);
    (void)pmo_libcurl.setopt(curl, CURLOPT_XFERINFODATA, page);
}

/* What a server says that refuses, where it says it as Kubernetes does. */
static void explain(const struct pmo_body *page, long status, char *error, size_t error_size)
{
    json_t *said = json_loadb(page->text ? page->text : "", page->length, 0, NULL);
    const char *message = json_string_value(json_object_get(said, "message"));

    (void)snprintf(error, error_size, "answers with status %ld%s%.200s%s", status,
                   message ? ": " : "", message ? message : "",
                   status == 401   ? "; check the token or certificate"
                   : status == 403 ? "; give it the right to list nodes"
                                   : "");
    json_decref(said);
}

/* Asks for the page that begins at @from; *from: where the next one does, "" at the end. */
static int page_read(CURL *curl, const struct pmo_cluster *cluster, struct pmo_body *page,
                     const char *detail, char **from, struct pmo_nodes *nodes, char *error,
                     size_t error_size)
{
    _cleanup_free_ char *url = NULL;
    char *escaped = pmo_libcurl.escape(curl, *from, 0);
    long status = 0;
    CURLcode code;
    json_t *list;
    int r;

    r = !escaped ||
        asprintf(&url, "%s/api/v1/nodes?limit=%d&continue=%s", cluster->server, PAGE, escaped) < 0;
    pmo_libcurl.free(escaped);
    if (r)
        return -ENOMEM;
    page->length = 0;
    (void)pmo_libcurl.setopt(curl, CURLOPT_URL, url);
    code = pmo_libcurl.perform(curl);
    (void)pmo_libcurl.getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return -ECANCELED;
    if (code)
        (void)snprintf(error, error_size, "cannot be asked: %s",
                       *detail ? detail : pmo_libcurl.strerror(code));
    else if (status != 200)
        explain(page, status, error, error_size);
    if (code || status != 200)
        return -EIO;
    list = json_loadb(page->text ? page->text : "", page->length, 0, NULL);
    if (!json_is_array(json_object_get(list, "items"))) {
        json_decref(list);
        (void)snprintf(error, error_size, "answers with no list of nodes; is it an API server?");
        return -EIO;
    }
    r = pmo_nodes_add(nodes, list, cluster->label);
    free(*from);
    *from = strdup(json_string_value(within(list, "metadata", "continue"))
                       ? json_string_value(within(list, "metadata", "continue"))
                       : "");
    json_decref(list);
    return r ? r : *from ? 0 : -ENOMEM;
}

static int pages_read(CURL *curl, const struct pmo_cluster *cluster, struct pmo_body *page,
                      struct pmo_nodes *nodes, char *error, size_t error_size)
{
    struct curl_slist *headers = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    _cleanup_free_ char *from = strdup("");
    int r = from ? read_token(cluster, &headers) : -ENOMEM;

    if (r && r != -ENOMEM)
        (void)snprintf(error, error_size, "is not asked: %s cannot be read: %s",
                       cluster->token_file, strerror(-r)); // NOLINT(concurrency-mt-unsafe)
    if (!r)
        set_up(curl, cluster, headers, page, detail);
    for (int i = 0; !r && i < PAGES_MAX && (!i || *from); i++)
        r = page_read(curl, cluster, page, detail, &from, nodes, error, error_size);
    pmo_libcurl.slist_free_all(headers);
    return r;
}

int pmo_cluster_nodes(const struct pmo_cluster *cluster, const bool *cancelled,
                      struct pmo_nodes *nodes, char *error, size_t error_size)
{
    struct pmo_body page = {.max = PAGE_BYTES, .cancelled = cancelled};
    char why[400] = "";
    CURL *curl = NULL;
    int r = -ENOMEM;

    memset(nodes, 0, sizeof(*nodes));
    if (pmo_libcurl_load()) {
        (void)snprintf(error, error_size, "%s cannot be asked: there is no libcurl",
                       cluster->server);
        return -ELIBACC;
    }
    curl = pmo_libcurl.init();
    if (curl)
        r = pages_read(curl, cluster, &page, nodes, why, sizeof(why));
    pmo_libcurl.cleanup(curl);
    free(page.text);
    if (r == -ENOMEM)
        (void)snprintf(why, sizeof(why), "cannot be asked: no memory");
    (void)snprintf(error, error_size, "%s %s", cluster->server, why);
    if (r)
        pmo_nodes_clear(nodes);
    return r;
}
