/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/events/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent/base/body.h"
#include "agent/base/cleanup.h"
#include "agent/base/libcurl.h"

#define REDIRECTS_MAX 3L

static int too_big(char *error, size_t error_size)
{
    (void)snprintf(error, error_size, "is larger than %u MiB; name one that is smaller",
                   PMO_FETCH_BYTES_MAX >> 20);
    return -EFBIG;
}

static int explain(CURL *curl, CURLcode code, const char *detail, const struct pmo_body *body,
                   char *error, size_t error_size)
{
    long status = 0;

    (void)pmo_libcurl.getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
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
                       *detail ? detail : pmo_libcurl.strerror(code));
    else
        (void)snprintf(error, error_size, "is answered with status %ld; look at it with curl",
                       status);
    return -EIO;
}

static int fetch_url(const char *url, bool plain, struct pmo_body *body, char *error,
                     size_t error_size)
{
    const char *protocols = plain ? "https,http" : "https";
    char detail[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode code;
    CURL *curl;
    int r = pmo_libcurl_load();

    if (r) {
        (void)snprintf(error, error_size, "cannot be fetched: there is no libcurl");
        return r;
    }
    curl = pmo_libcurl.init();
    if (!curl)
        return -ENOMEM;
    (void)pmo_libcurl.setopt(curl, CURLOPT_URL, url);
    (void)pmo_libcurl.setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
    (void)pmo_libcurl.setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    (void)pmo_libcurl.setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)pmo_libcurl.setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    (void)pmo_libcurl.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)pmo_libcurl.setopt(curl, CURLOPT_TIMEOUT, (long)PMO_FETCH_TIMEOUT_S);
    (void)pmo_libcurl.setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)pmo_libcurl.setopt(curl, CURLOPT_USERAGENT, "pmo-agent/" PMO_VERSION);
    (void)pmo_libcurl.setopt(curl, CURLOPT_ERRORBUFFER, detail);
    (void)pmo_libcurl.setopt(curl, CURLOPT_WRITEFUNCTION, pmo_body_keep);
    (void)pmo_libcurl.setopt(curl, CURLOPT_WRITEDATA, body);
    (void)pmo_libcurl.setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)pmo_libcurl.setopt(curl, CURLOPT_XFERINFOFUNCTION, pmo_body_progress);
    (void)pmo_libcurl.setopt(curl, CURLOPT_XFERINFODATA, body);
    code = pmo_libcurl.perform(curl);
    (void)pmo_libcurl.getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code || status != 200)
        r = explain(curl, code, detail, body, error, error_size);
    pmo_libcurl.cleanup(curl);
    return r;
}

static int fetch_file(const char *path, struct pmo_body *body, char *error, size_t error_size)
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
        if (!pmo_body_keep(bytes, 1, (size_t)n, body))
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
    struct pmo_body body = {.max = PMO_FETCH_BYTES_MAX, .cancelled = cancelled};
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
