/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tools/pmoctl/pmoctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/body.h"
#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define TIMEOUT_MS 10000L
#define ANSWER_MAX (1UL << 30)

__attribute__((format(printf, 2, 3))) static json_t *fails(struct pmoctl *ctl, const char *format,
                                                           ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(ctl->error, sizeof(ctl->error), format, args);
    va_end(args);
    return NULL;
}

static json_t *no_answer(struct pmoctl *ctl, CURLcode code)
{
    long os_errno = 0;

    curl_easy_getinfo(ctl->curl, CURLINFO_OS_ERRNO, &os_errno);
    if (code == CURLE_COULDNT_CONNECT && (os_errno == EACCES || os_errno == EPERM))
        return fails(ctl, "no permission for %s; run pmoctl as root (sudo)", ctl->socket);
    if (code == CURLE_COULDNT_CONNECT)
        return fails(ctl,
                     "the agent is not running: nobody answers on %s; start it with `sudo "
                     "pmo-agent`, or name its socket with --socket PATH",
                     ctl->socket);
    return fails(ctl, "no answer from the agent on %s: %s; try again", ctl->socket,
                 curl_easy_strerror(code));
}

/* Control characters in texts become '?': routes and process names may hold any. */
static void make_safe(json_t *json)
{
    const char *name;
    json_t *value;
    size_t i;

    json_object_foreach (json, name, value)
        make_safe(value);
    json_array_foreach (json, i, value)
        make_safe(value);
    if (json_is_string(json)) {
        char *text = strdup(json_string_value(json));

        for (unsigned char *c = (unsigned char *)text; c && *c; c++)
            if (*c < 0x20 || *c == 0x7f)
                *c = '?';
            else if (c[0] == 0xc2 && c[1] < 0xa0) /* U+0080 to U+009F */
                c[0] = c[1] = '?';
        (void)json_string_set(json, text);
        free(text);
    }
}

static char *make_url(struct pmoctl *ctl, const char *path, va_list parameters)
{
    char *url = NULL, separator = '?';
    const char *name, *value;
    size_t length = 0;
    FILE *out = open_memstream(&url, &length);

    if (!out)
        return NULL;
    (void)fprintf(out, "http://localhost%s", path);
    while ((name = va_arg(parameters, const char *))) {
        char *escaped;

        value = va_arg(parameters, const char *);
        if (!value)
            continue;
        escaped = curl_easy_escape(ctl->curl, value, 0);
        (void)fprintf(out, "%c%s=%s", separator, name, escaped ? escaped : "");
        curl_free(escaped);
        separator = '&';
    }
    if (fclose(out) == 0)
        return url;
    free(url);
    return NULL;
}

static json_t *read_answer(struct pmoctl *ctl, const struct pmo_body *body)
{
    json_error_t error;
    json_t *answer;
    long status = 0;

    curl_easy_getinfo(ctl->curl, CURLINFO_RESPONSE_CODE, &status);
    answer = json_loadb(body->text ? body->text : "", body->length, 0, &error);
    if (!answer)
        return fails(ctl,
                     "what answers on %s is no agent (%s); name the agent's socket with "
                     "--socket PATH",
                     ctl->socket, error.text);
    if (!ctl->json)
        make_safe(answer);
    if (status == 200)
        return answer;
    (void)fails(ctl, "%s", pmoctl_text(answer, "error"));
    json_decref(answer);
    return NULL;
}

/* @content: of a POST; NULL: a GET */
static json_t *ask(struct pmoctl *ctl, const char *url, const char *content)
{
    struct curl_slist *headers = NULL;
    struct pmo_body body = {.max = ANSWER_MAX};
    json_t *answer;
    CURLcode code;

    curl_easy_setopt(ctl->curl, CURLOPT_UNIX_SOCKET_PATH, ctl->socket);
    curl_easy_setopt(ctl->curl, CURLOPT_URL, url);
    curl_easy_setopt(ctl->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(ctl->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(ctl->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(ctl->curl, CURLOPT_WRITEFUNCTION, pmo_body_keep);
    curl_easy_setopt(ctl->curl, CURLOPT_WRITEDATA, &body);
    if (content) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(ctl->curl, CURLOPT_POSTFIELDS, content);
    } else {
        curl_easy_setopt(ctl->curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(ctl->curl, CURLOPT_HTTPHEADER, headers);
    code = curl_easy_perform(ctl->curl);
    answer = code == CURLE_OK ? read_answer(ctl, &body) : no_answer(ctl, code);
    curl_slist_free_all(headers);
    free(body.text);
    return answer;
}

static bool has_curl(struct pmoctl *ctl)
{
    if (!ctl->curl)
        ctl->curl = curl_easy_init();
    return ctl->curl != NULL;
}

json_t *pmoctl_get(struct pmoctl *ctl, const char *path, ...)
{
    _cleanup_free_ char *url = NULL;
    va_list parameters;

    if (!has_curl(ctl))
        return fails(ctl, "no memory");
    va_start(parameters, path);
    url = make_url(ctl, path, parameters);
    va_end(parameters);
    return url ? ask(ctl, url, NULL) : fails(ctl, "no memory");
}

json_t *pmoctl_post(struct pmoctl *ctl, const char *path, json_t *body)
{
    _cleanup_free_ char *content = body ? json_dumps(body, JSON_COMPACT) : NULL;
    char url[256];

    json_decref(body);
    (void)snprintf(url, sizeof(url), "http://localhost%s", path);
    return content && has_curl(ctl) ? ask(ctl, url, content) : fails(ctl, "no memory");
}

json_t *pmoctl_logged(struct pmoctl *ctl, json_t *answer)
{
    if (!answer)
        (void)pmo_fail(EIO, "%s", ctl->error);
    return answer;
}

void pmoctl_close(struct pmoctl *ctl)
{
    curl_easy_cleanup(ctl->curl);
    ctl->curl = NULL;
}
