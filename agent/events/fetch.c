/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/base/cleanup.h"
#include "agent/base/library.h"

#define REDIRECTS_MAX 3L

/* With what it is linked with, it takes 5 MiB: only where something is fetched. */
static struct {
    typeof(curl_easy_init) *init;
    typeof(curl_easy_setopt) *setopt;
    typeof(curl_easy_perform) *perform;
    typeof(curl_easy_getinfo) *getinfo;
    typeof(curl_easy_strerror) *strerror;
    typeof(curl_easy_cleanup) *cleanup;
} libcurl;

static const struct pmo_function functions[] = {
    {"curl_easy_init", &libcurl.init},         {"curl_easy_setopt", &libcurl.setopt},
    {"curl_easy_perform", &libcurl.perform},   {"curl_easy_getinfo", &libcurl.getinfo},
    {"curl_easy_strerror", &libcurl.strerror}, {"curl_easy_cleanup", &libcurl.cleanup},
};

struct body {
    char *text;
    size_t length, room;
    bool too_big;
    const bool *cancelled;
};

static size_t keep(char *bytes, size_t size, size_t count, void *context)
{
    struct body *body = context;

    if (body->length + count > PMO_FETCH_BYTES_MAX) {
        body->too_big = true;
        return 0;
    }
    if (body->length + count >= body->room) {
        size_t room = 2 * (body->length + count) + 1;
        char *text = realloc(body->text, room);

        if (!text)
            return 0;
        body->text = text;
        body->room = room;
    }
    memcpy(body->text + body->length, bytes, count);
    body->length += count;
    body->text[body->length] = '\0';
    return count;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const struct body *body = context;

    return __atomic_load_n(body->cancelled, __ATOMIC_RELAXED);
}

static int too_big(char *error, size_t error_size)
{
    (void)snprintf(error, error_size, "is larger than %u MiB; name one that is smaller",
                   PMO_FETCH_BYTES_MAX >> 20);
    return -EFBIG;
}

static int explain(CURL *curl, CURLcode code, const char *detail, const struct body *body,
                   char *error, size_t error_size)
{
    long status = 0;

    (void)libcurl.getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (body->too_big)
        return too_big(error, error_size);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return -ECANCELED;
    if (code == CURLE_OPERATION_TIMEDOUT)
        (void)snprintf(error, error_size, "does not answer within %d s", PMO_FETCH_TIMEOUT_S);
    else if (code == CURLE_UNSUPPORTED_PROTOCOL)
        (void)snprintf(error, error_size,
                       "is not fetched: only https is, and http where the source says plainHttp: "
                       "true, also behind a redirect");
    else if (code)
        (void)snprintf(error, error_size, "cannot be fetched: %s",
                       *detail ? detail : libcurl.strerror(code));
    else
        (void)snprintf(error, error_size, "is answered with status %ld; look at it with curl",
                       status);
    return -EIO;
}

static int fetch_url(const char *url, bool plain, struct body *body, char *error, size_t error_size)
{
    const char *protocols = plain ? "https,http" : "https";
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode code;
    CURL *curl;
    int r =
        pmo_library_load("libcurl-gnutls.so.4", functions, sizeof(functions) / sizeof(*functions));

    if (r) {
        (void)snprintf(error, error_size, "cannot be fetched: there is no libcurl");
        return r;
    }
    curl = libcurl.init();
    if (!curl)
        return -ENOMEM;
    (void)libcurl.setopt(curl, CURLOPT_URL, url);
    (void)libcurl.setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
    (void)libcurl.setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    (void)libcurl.setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)libcurl.setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    (void)libcurl.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)libcurl.setopt(curl, CURLOPT_TIMEOUT, (long)PMO_FETCH_TIMEOUT_S);
    (void)libcurl.setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)libcurl.setopt(curl, CURLOPT_USERAGENT, "pmo-agent/" PMO_VERSION);
    (void)libcurl.setopt(curl, CURLOPT_ERRORBUFFER, detail);
    (void)libcurl.setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    (void)libcurl.setopt(curl, CURLOPT_WRITEDATA, body);
    (void)libcurl.setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)libcurl.setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)libcurl.setopt(curl, CURLOPT_XFERINFODATA, body);
    code = libcurl.perform(curl);
    (void)libcurl.getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code || status != 200)
        r = explain(curl, code, detail, body, error, error_size);
    libcurl.cleanup(curl);
    return r;
}

static int fetch_file(const char *path, struct body *body, char *error, size_t error_size)
{
    /* a pipe that nobody writes to is not waited for */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char bytes[16384];
    struct stat st;
    ssize_t n = 0;
    int r = 0;

    if (fd < 0 || fstat(fd, &st))
        r = -errno;
    else if (!S_ISREG(st.st_mode))
        r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    while (!r && (n = read(fd, bytes, sizeof(bytes))) > 0)
        if (!keep(bytes, 1, (size_t)n, body))
            r = body->too_big ? too_big(error, error_size) : -ENOMEM;
    if (!r && n < 0)
        r = -errno;
    if (r && r != -EFBIG)
        (void)snprintf(error, error_size, "cannot be read: %s", strerror(-r));
    return r;
}

int pmo_fetch(const char *place, bool plain, const bool *cancelled, char **text, size_t *length,
              char *error, size_t error_size)
{
    struct body body = {.cancelled = cancelled};
    int r;

    if (!strncmp(place, "file://", 7))
        place += 7;
    if (*place == '/')
        r = fetch_file(place, &body, error, error_size);
    else
        r = fetch_url(place, plain, &body, error, error_size);
    if (!r && !body.text)
        r = (body.text = calloc(1, 1)) ? 0 : -ENOMEM; /* it is empty */
    if (r == -ENOMEM)
        (void)snprintf(error, error_size, "cannot be read: no memory");
    if (r) {
        free(body.text);
        return r;
    }
    *text = body.text;
    *length = body.length;
    return 0;
}
