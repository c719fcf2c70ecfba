/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orchestrate SOCKET SERVICE CALLS: how long a router waits for POST /v1/orchestrate, over one kept
 * connection to the agent's local socket, one call after the other. Beside it, the same bytes to
 * and from a process that does nothing with them: what two processes and a socket cost already.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "tests/bench/measure.h"

#define CALLS_MAX 1000000
#define WARM_UP   1000

static int socket_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
        return pmo_err_r(errno, "cannot connect to %s", path);
    return fd;
}

/* Bytes of a whole response: head and Content-Length; 0 while it is not all there. */
static size_t response_bytes(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\ncontent-length:");

    if (!end || !length || length > end)
        return 0;
    return (size_t)(end + 4 - text) + strtoul(length + strlen("\ncontent-length:"), NULL, 10);
}

/* Sends the request, reads the response. Returns its size, or 0: the other end has gone. */
static size_t call(int fd, const char *request, size_t length, char *response, size_t size)
{
    size_t received = 0, expected = 0;

    if (write(fd, request, length) != (ssize_t)length)
        return 0;
    while (!expected || received < expected) {
        ssize_t n = read(fd, response + received, size - 1 - received);

        if (n <= 0)
            return 0;
        received += (size_t)n;
        response[received] = 0;
        expected = response_bytes(response);
    }
    return received;
}

/* Answers each request of so many bytes with this response, until the other end closes. */
static void answer(int fd, size_t length, const char *response, size_t size)
{
    char request[1024];
    size_t received = 0;
    ssize_t n;

    while ((n = read(fd, request, length - received)) > 0) {
        received += (size_t)n;
        if (received == length && write(fd, response, size) != (ssize_t)size)
            return;
        received %= length;
    }
}

static int measure(const char *name, int fd, const char *request, char *response, size_t size,
                   double *us, size_t calls)
{
    size_t length = strlen(request);

    for (size_t i = 0; i < WARM_UP + calls; i++) {
        uint64_t start = now_ns();

        if (!call(fd, request, length, response, size))
            return pmo_fail(EPIPE, "the connection was closed after %zu calls", i);
        if (strncmp(response, "HTTP/1.1 200", 12) != 0)
            return pmo_fail(EPROTO, "answered: %s", response);
        if (i >= WARM_UP)
            us[i - WARM_UP] = (double)(now_ns() - start) / 1e3;
    }
    (void)printf("%s_p50 %.1f\n", name, quantile(us, calls, 0.5));
    (void)printf("%s_p99 %.1f\n", name, quantile(us, calls, 0.99));
    return 0;
}

int main(int argc, char **argv)
{
    static double us[CALLS_MAX];
    _cleanup_close_ int fd = -1;
    char body[512], request[1024], response[65536];
    size_t calls = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    int pair[2], r;
    pid_t pid;

    if (!calls || calls > CALLS_MAX) {
        (void)fputs("usage: orchestrate SOCKET SERVICE CALLS\n", stderr);
        return 2;
    }
    (void)snprintf(body, sizeof(body),
                   "{\"service\": \"%s\", \"method\": \"GET\", \"path\": \"/\"}", argv[2]);
    (void)snprintf(request, sizeof(request),
                   "POST /v1/orchestrate HTTP/1.1\r\nHost: agent\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    fd = socket_open(argv[1]);
    if (fd < 0)
        return 1;
    r = measure("call", fd, request, response, sizeof(response), us, calls);
    if (r)
        return 1;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return -pmo_err_r(errno, "cannot make a pair of sockets");
    pid = fork();
    if (!pid) {
        (void)close(pair[0]);
        answer(pair[1], strlen(request), response, strlen(response));
        _exit(0);
    }
    (void)close(pair[1]);
    r = measure("echo", pair[0], request, response, sizeof(response), us, calls);
    (void)close(pair[0]);
    (void)waitpid(pid, NULL, 0);
    return r ? 1 : 0;
}
