/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/nodes.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/library.h"

#define ACCOUNT    "/var/run/secrets/kubernetes.io/serviceaccount/"
#define PAGE       500         /* nodes */
#define PAGE_BYTES (32U << 20) /* a node with its images is 10 to 50 kB */
#define PAGES_MAX  100         /* a cluster is said to work with 5,000 nodes */
#define TIMEOUT_S  20L
#define REFRESH_S  60

/* Only where a cluster's nodes have zones. */
static struct {
    typeof(curl_easy_init) *init;
    typeof(curl_easy_setopt) *setopt;
    typeof(curl_easy_perform) *perform;
    typeof(curl_easy_getinfo) *getinfo;
    typeof(curl_easy_escape) *escape;
    typeof(curl_easy_strerror) *strerror;
    typeof(curl_easy_cleanup) *cleanup;
    typeof(curl_free) *free;
    typeof(curl_slist_append) *append;
    typeof(curl_slist_free_all) *free_all;
} libcurl;

static const struct pmo_function functions[] = {
    {"curl_easy_init", &libcurl.init},       {"curl_easy_setopt", &libcurl.setopt},
    {"curl_easy_perform", &libcurl.perform}, {"curl_easy_getinfo", &libcurl.getinfo},
    {"curl_easy_escape", &libcurl.escape},   {"curl_easy_strerror", &libcurl.strerror},
    {"curl_easy_cleanup", &libcurl.cleanup}, {"curl_free", &libcurl.free},
    {"curl_slist_append", &libcurl.append},  {"curl_slist_free_all", &libcurl.free_all},
};

struct pmo_cluster {
    char *server, *authority, *token_file, *certificate, *key; /* NULL: none */
    char *label;
    double refresh_s;
};

struct page {
    char *text;
    size_t length, room;
    const bool *cancelled;
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

static size_t keep(char *bytes, size_t size, size_t count, void *context)
{
    struct page *page = context;

    if (page->length + count > PAGE_BYTES)
        return 0;
    if (page->length + count > page->room) {
        size_t room = 2 * (page->length + count);
        char *text = realloc(page->text, room);

        if (!text)
            return 0;
        page->text = text;
        page->room = room;
    }
    memcpy(page->text + page->length, bytes, count);
    page->length += count;
    return count;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const struct page *page = context;

    return __atomic_load_n(page->cancelled, __ATOMIC_RELAXED);
}

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
    *headers = libcurl.append(NULL, line);
    explicit_bzero(line, sizeof(line));
    return *headers ? 0 : -ENOMEM;
}

static void set_up(CURL *curl, const struct pmo_cluster *cluster, struct curl_slist *headers,
                   struct page *page, char *detail)
{
    (void)libcurl.setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    (void)libcurl.setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (cluster->authority)
        (void)libcurl.setopt(curl, CURLOPT_CAINFO, cluster->authority);
    if (cluster->certificate) {
        (void)libcurl.setopt(curl, CURLOPT_SSLCERT, cluster->certificate);
        (void)libcurl.setopt(curl, CURLOPT_SSLKEY, cluster->key);
    }
    (void)libcurl.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)libcurl.setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    (void)libcurl.setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)libcurl.setopt(curl, CURLOPT_USERAGENT, "pmo-agent/" PMO_VERSION);
    (void)libcurl.setopt(curl, CURLOPT_ERRORBUFFER, detail);
    (void)libcurl.setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    (void)libcurl.setopt(curl, CURLOPT_WRITEDATA, page);
    (void)libcurl.setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)libcurl.setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)libcurl.setopt(curl, CURLOPT_XFERINFODATA, page);
}

/* What a server says that refuses, where it says it as Kubernetes does. */
static void explain(const struct page *page, long status, char *error, size_t error_size)
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
static int page_read(CURL *curl, const struct pmo_cluster *cluster, struct page *page,
                     const char *detail, char **from, struct pmo_nodes *nodes, char *error,
                     size_t error_size)
{
    _cleanup_free_ char *url = NULL;
    char *escaped = libcurl.escape(curl, *from, 0);
    long status = 0;
    CURLcode code;
    json_t *list;
    int r;

    r = !escaped ||
        asprintf(&url, "%s/api/v1/nodes?limit=%d&continue=%s", cluster->server, PAGE, escaped) < 0;
    libcurl.free(escaped);
    if (r)
        return -ENOMEM;
    page->length = 0;
    (void)libcurl.setopt(curl, CURLOPT_URL, url);
    code = libcurl.perform(curl);
    (void)libcurl.getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return -ECANCELED;
    if (code)
        (void)snprintf(error, error_size, "cannot be asked: %s",
                       *detail ? detail : libcurl.strerror(code));
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

static int pages_read(CURL *curl, const struct pmo_cluster *cluster, struct page *page,
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
    libcurl.free_all(headers);
    return r;
}

int pmo_cluster_nodes(const struct pmo_cluster *cluster, const bool *cancelled,
                      struct pmo_nodes *nodes, char *error, size_t error_size)
{
    struct page page = {.cancelled = cancelled};
    char why[400] = "is not asked: there is no libcurl";
    CURL *curl;
    int r =
        pmo_library_load("libcurl-gnutls.so.4", functions, sizeof(functions) / sizeof(*functions));

    memset(nodes, 0, sizeof(*nodes));
    if (!r) {
        curl = libcurl.init();
        why[0] = '\0';
        r = curl ? pages_read(curl, cluster, &page, nodes, why, sizeof(why)) : -ENOMEM;
        libcurl.cleanup(curl);
    }
    free(page.text);
    if (r == -ENOMEM)
        (void)snprintf(why, sizeof(why), "cannot be asked: no memory");
    (void)snprintf(error, error_size, "%s %s", cluster->server, why);
    if (r)
        pmo_nodes_clear(nodes);
    return r;
}
