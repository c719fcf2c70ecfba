/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libmicrohttpd in the agent's own loop. In its external mode the daemon has one epoll descriptor
 * for the listening socket and all connections; libuv polls that, MHD_run() does what is due
 * without ever waiting, and MHD_get_timeout() says when to look again (connections that idle too
 * long, or input that is buffered already). A client that reads or writes slowly only keeps its own
 * connection waiting.
 *
 * A body is collected up to its limit and an answer is given when all of it was read, also when it
 * is a refusal: a client that is cut off while it still writes would never read why.
 */
#include "agent/serve/serve.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/serve/api.h"

#define CONNECTIONS_MAX      256U
#define IDLE_SECONDS_MAX     30U
#define BODY_BYTES_TOLERATED (16U * PMO_BODY_BYTES_MAX) /* beyond, the connection is closed */
#define RUNS_AT_ONCE         8 /* of MHD_run() before the loop has a turn again */

struct pmo_server {
    struct pmo_agent *agent;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    int handles; /* open; the last one frees the server */
    struct sockaddr_un address;
};

/* ---- answers ----------------------------------------------------------------------------------
 */

static int answer_bytes(struct pmo_exchange *exchange, unsigned int status,
                        const char *content_type, char *text, size_t length)
{
    exchange->response = MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
    if (!exchange->response) {
        free(text);
        return -ENOMEM;
    }
    exchange->status = status;
    exchange->content_type = content_type;
    return 0;
}

int pmo_answer_json(struct pmo_exchange *exchange, unsigned int status, json_t *json)
{
    /* Doubles were rounded to thousandths: 15 digits show them as they are meant. */
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

    json_decref(json);
    if (!text)
        return -ENOMEM;
    return answer_bytes(exchange, status, "application/json", text, strlen(text));
}

int pmo_answer_text(struct pmo_exchange *exchange, const char *content_type, char *text,
                    size_t length)
{
    return answer_bytes(exchange, MHD_HTTP_OK, content_type, text, length);
}

int pmo_answer_error(struct pmo_exchange *exchange, unsigned int status, const char *format, ...)
{
    char message[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    return pmo_answer_json(exchange, status, json_pack("{s:o}", "error", pmo_json_text(message)));
}

/* ---- query ------------------------------------------------------------------------------------
 */

const char *pmo_query_text(const struct pmo_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool pmo_query_integer(struct pmo_exchange *exchange, const char *name, int64_t min, int64_t max,
                       int64_t *out)
{
    const char *text = pmo_query_text(exchange, name);
    char *end;
    long long value;

    if (!text)
        return true;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max) {
        (void)pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                               "%s=%.40s: not a whole number from %lld to %lld; write e.g. %s=60",
                               name, text, (long long)min, (long long)max, name);
        return false;
    }
    *out = value;
    return true;
}

struct parameter_check {
    const char *const *known;
    char unknown[64];
};

static enum MHD_Result check_parameter(void *context, enum MHD_ValueKind kind, const char *key,
                                       const char *value)
{
    struct parameter_check *check = context;

    for (const char *const *name = check->known; *name; name++)
        if (!strcmp(*name, key))
            return MHD_YES;
    (void)snprintf(check->unknown, sizeof(check->unknown), "%s", *key ? key : "(no name)");
    return MHD_NO;
}

/* ---- dispatch ---------------------------------------------------------------------------------
 */

/* Does @path have the form of @pattern, in which one segment may be {anything}? */
static bool path_matches(const char *pattern, const char *path, char segment[PMO_NAME_BYTES_MAX])
{
    const char *open = strchr(pattern, '{');
    size_t before = open ? (size_t)(open - pattern) : strlen(pattern);
    const char *after = open ? strchr(open, '}') + 1 : "";
    size_t length;

    segment[0] = '\0';
    if (strncmp(pattern, path, before) != 0)
        return false;
    length = open ? strcspn(path + before, "/") : 0;
    if ((open && length == 0) || length >= PMO_NAME_BYTES_MAX)
        return false;
    memcpy(segment, path + before, length);
    segment[length] = '\0';
    return !strcmp(path + before + length, after);
}

bool pmo_body_is(const struct pmo_exchange *exchange, const char *wanted)
{
    const char *type =
        MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Content-Type");

    return type && !strncasecmp(type, wanted, strlen(wanted)) &&
           strchr("; \t", type[strlen(wanted)]);
}

static int call_endpoint(struct pmo_exchange *exchange, const struct pmo_endpoint *endpoint)
{
    struct parameter_check check = {.known = endpoint->parameters};

    (void)MHD_get_connection_values(exchange->connection, MHD_GET_ARGUMENT_KIND, check_parameter,
                                    &check);
    if (check.unknown[0])
        return pmo_answer_error(exchange, MHD_HTTP_BAD_REQUEST,
                                "%s has no parameter \"%s\"; docs/openapi.yaml lists what it takes",
                                endpoint->path, check.unknown);
    return endpoint->answer(exchange);
}

static int dispatch(struct pmo_exchange *exchange, const char *method, const char *path)
{
    const struct pmo_endpoint *other = NULL;
    bool get = false, post = false;

    if (exchange->body_length > PMO_BODY_BYTES_MAX)
        return pmo_answer_error(exchange, MHD_HTTP_CONTENT_TOO_LARGE,
                                "the body is %zu bytes long; send at most %u",
                                exchange->body_length, PMO_BODY_BYTES_MAX);
    if (!strcmp(method, "HEAD"))
        method = "GET"; /* libmicrohttpd leaves the body out */
    for (const struct pmo_endpoint *endpoint = pmo_endpoints; endpoint->method; endpoint++) {
        if (!path_matches(endpoint->path, path, exchange->segment))
            continue;
        if (!strcmp(endpoint->method, method))
            return call_endpoint(exchange, endpoint);
        get |= !strcmp(endpoint->method, "GET");
        post |= !strcmp(endpoint->method, "POST");
        other = endpoint;
    }
    if (!other)
        return pmo_answer_error(exchange, MHD_HTTP_NOT_FOUND,
                                "there is no %.80s; docs/openapi.yaml lists the paths", path);
    exchange->allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST";
    return pmo_answer_error(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "%s does not take %.20s; use %s",
                            other->path, method, exchange->allow);
}

/* ---- libmicrohttpd ----------------------------------------------------------------------------
 */

/* Keeps what fits; the rest is only counted. */
static bool keep_body(struct pmo_exchange *exchange, const char *bytes, size_t length)
{
    size_t end = exchange->body_length + length;

    exchange->body_length = end;
    if (end > PMO_BODY_BYTES_MAX)
        return end <= BODY_BYTES_TOLERATED;
    if (end > exchange->body_space) {
        size_t space = end < 1024 ? 1024 : PMO_BODY_BYTES_MAX;
        char *body = realloc(exchange->body, space);

        if (!body)
            return false;
        exchange->body = body;
        exchange->body_space = space;
    }
    memcpy(exchange->body + end - length, bytes, length);
    return true;
}

static enum MHD_Result send_answer(struct pmo_exchange *exchange)
{
    struct MHD_Response *response = exchange->response;
    enum MHD_Result r;

    (void)MHD_add_response_header(response, "Content-Type", exchange->content_type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    if (exchange->allow)
        (void)MHD_add_response_header(response, "Allow", exchange->allow);
    r = MHD_queue_response(exchange->connection, exchange->status, response);
    MHD_destroy_response(response);
    exchange->response = NULL;
    return r;
}

/* MHD calls this once with the head, then with every piece of the body, then with none left. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *bytes, size_t *length, void **state)
{
    struct pmo_server *server = context;
    struct pmo_exchange *exchange = *state;

    if (!exchange) {
        exchange = calloc(1, sizeof(*exchange));
        if (!exchange)
            return MHD_NO;
        exchange->agent = server->agent;
        exchange->connection = connection;
        *state = exchange;
        return MHD_YES;
    }
    if (*length) {
        bool kept = keep_body(exchange, bytes, *length);

        *length = 0;
        return kept ? MHD_YES : MHD_NO;
    }
    if (dispatch(exchange, method, path) < 0 || !exchange->response)
        return MHD_NO;
    return send_answer(exchange);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct pmo_exchange *exchange = *state;

    if (!exchange)
        return;
    free(exchange->body);
    free(exchange);
    *state = NULL;
}

__attribute__((format(printf, 2, 0))) static void on_log(void *context, const char *format,
                                                         va_list args)
{
    char line[256];

    (void)vsnprintf(line, sizeof(line), format, args);
    line[strcspn(line, "\n")] = '\0';
    pmo_debug("http: %s", line);
}

/* ---- loop -------------------------------------------------------------------------------------
 */

static void on_timer(uv_timer_t *timer);

static void run(struct pmo_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    bool waiting = false;

    for (int i = 0; i < RUNS_AT_ONCE; i++) {
        (void)MHD_run(server->daemon);
        waiting = MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES;
        if (!waiting || timeout_ms > 0)
            break;
    }
    if (waiting)
        (void)uv_timer_start(&server->timer, on_timer, timeout_ms, 0);
    else
        (void)uv_timer_stop(&server->timer);
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    run(poll->data);
}

static void on_closed(uv_handle_t *handle)
{
    struct pmo_server *server = handle->data;

    if (--server->handles == 0)
        free(server);
}

/* ---- socket -----------------------------------------------------------------------------------
 */

static int make_directories(const char *path)
{
    char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

    (void)snprintf(directory, sizeof(directory), "%s", path);
    for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(directory, 0755) < 0 && errno != EEXIST)
            return pmo_err_r(-errno, "cannot make the directory %s for the socket", directory);
        *slash = '/';
    }
    return 0;
}

/* Makes way for a new socket where an earlier agent left its own. */
static int remove_stale(const struct sockaddr_un *address)
{
    const char *path = address->sun_path;
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : pmo_err_r(-errno, "cannot look at the socket %s", path);
    if (!S_ISSOCK(st.st_mode))
        return pmo_fail(EEXIST, "%s is there and is not a socket; choose another with --socket",
                        path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return pmo_err_r(-errno, "cannot make a Unix socket");
    /* EAGAIN: somebody listens there and is busy. */
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return pmo_fail(EADDRINUSE,
                        "another agent is running and answers on %s; stop it, or choose another "
                        "socket with --socket",
                        path);
    if (errno != ECONNREFUSED)
        return pmo_err_r(-errno, "cannot tell whether an agent answers on %s", path);
    if (unlink(path) < 0)
        return pmo_err_r(-errno, "cannot remove the socket %s that an earlier agent left", path);
    return 0;
}

static int listen_on(const struct sockaddr_un *address)
{
    const char *path = address->sun_path;
    _cleanup_close_ int fd = -1;
    int r;

    r = make_directories(path);
    if (r < 0)
        return r;
    r = remove_stale(address);
    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return pmo_err_r(-errno, "cannot make a Unix socket");
    /* Before bind(), so that it is never open to all; after it, because the umask had its say. */
    (void)fchmod(fd, 0660);
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return pmo_err_r(-errno, "cannot listen on %s", path);
    if (chmod(path, 0660) < 0 || listen(fd, SOMAXCONN) < 0) {
        r = -errno;
        (void)unlink(path);
        return pmo_err_r(r, "cannot listen on %s", path);
    }
    return TAKE_FD(fd);
}

int pmo_server_start(struct pmo_server **server, uv_loop_t *loop, struct pmo_agent *agent,
                     const char *path)
{
    _cleanup_free_ struct pmo_server *s = calloc(1, sizeof(*s));
    _cleanup_close_ int fd = -1;
    int r;

    if (!s)
        return pmo_err_r(-ENOMEM, "cannot start the API");
    if (strlen(path) >= sizeof(s->address.sun_path))
        return pmo_fail(ENAMETOOLONG,
                        "the socket's path %.40s... is longer than %zu bytes; choose a shorter "
                        "one with --socket",
                        path, sizeof(s->address.sun_path) - 1);
    s->agent = agent;
    s->address.sun_family = AF_UNIX;
    (void)snprintf(s->address.sun_path, sizeof(s->address.sun_path), "%s", path);
    fd = listen_on(&s->address);
    if (fd < 0)
        return fd;
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, s,
                                 MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
                                 fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                                 MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                                 MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS_MAX, MHD_OPTION_END);
    if (!s->daemon) {
        (void)unlink(path);
        return pmo_fail(ENOMEM, "cannot start the HTTP server on %s", path);
    }
    (void)TAKE_FD(fd); /* the daemon's now */
    r = uv_poll_init(loop, &s->poll,
                     MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    if (r < 0) {
        MHD_stop_daemon(s->daemon);
        (void)unlink(path);
        return pmo_fail(r, "cannot poll the HTTP server: %s", uv_strerror(r));
    }
    (void)uv_timer_init(loop, &s->timer); /* cannot fail */
    s->handles = 2;
    s->poll.data = s;
    s->timer.data = s;
    (void)uv_poll_start(&s->poll, UV_READABLE, on_readable);
    *server = TAKE_PTR(s);
    return 0;
}

void pmo_server_stop(struct pmo_server **server)
{
    struct pmo_server *s = *server;

    if (!s)
        return;
    *server = NULL;
    (void)unlink(s->address.sun_path);
    uv_close((uv_handle_t *)&s->poll, on_closed);
    uv_close((uv_handle_t *)&s->timer, on_closed);
    MHD_stop_daemon(s->daemon);
}
