/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/act/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_BYTES (sizeof("HTTP/1.1 200") - 1)

struct pmo_probe {
    uv_tcp_t tcp;
    uv_timer_t timeout;
    uv_connect_t connect;
    uv_write_t write;
    pmo_probe_done_fn done; /* NULL once it was called or the probe was cancelled */
    void *context;
    unsigned int open_handles;
    size_t received;
    char status[STATUS_BYTES];
    size_t request_bytes; /* 0: a connect is enough */
    char request[];
};

static void handle_closed(uv_handle_t *handle)
{
    struct pmo_probe *probe = handle->data;

    if (--probe->open_handles == 0)
        free(probe);
}

static void end(struct pmo_probe *probe, bool passed)
{
    pmo_probe_done_fn done = probe->done;

    if (!done)
        return;
    probe->done = NULL;
    uv_close((uv_handle_t *)&probe->tcp, handle_closed);
    uv_close((uv_handle_t *)&probe->timeout, handle_closed);
    done(probe->context, passed);
}

static void timed_out(uv_timer_t *timer)
{
    end(timer->data, false);
}

static void offer_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct pmo_probe *probe = handle->data;

    *buffer = uv_buf_init(probe->status + probe->received, STATUS_BYTES - probe->received);
}

/* RFC 9112 section 4: status-line = HTTP-version SP status-code SP ... */
static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct pmo_probe *probe = stream->data;

    if (n < 0)
        end(probe, false);
    if (n <= 0)
        return;
    probe->received += (size_t)n;
    if (probe->received == STATUS_BYTES)
        end(probe, !memcmp(probe->status, "HTTP/1.", 7) && probe->status[9] == '2');
}

static void written(uv_write_t *write, int status)
{
    if (status < 0 && status != UV_ECANCELED)
        end(write->data, false);
}

static void connected(uv_connect_t *connect, int status)
{
    struct pmo_probe *probe = connect->data;
    uv_buf_t request = uv_buf_init(probe->request, (unsigned int)probe->request_bytes);
    uv_stream_t *stream = (uv_stream_t *)&probe->tcp;

    if (status < 0 || !probe->request_bytes)
        end(probe, status == 0);
    else if (uv_write(&probe->write, stream, &request, 1, written) < 0 ||
             uv_read_start(stream, offer_buffer, received) < 0)
        end(probe, false);
}

int pmo_probe_start(struct pmo_probe **probe, uv_loop_t *loop, const uint8_t addr[16],
                    uint16_t port, const char *path, double timeout_s, pmo_probe_done_fn done,
                    void *context)
{
    static const char format[] = "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: pmo-agent\r\n"
                                 "Connection: close\r\n\r\n";
    size_t request_size = path ? sizeof(format) + strlen(path) : 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct pmo_probe *made = calloc(1, sizeof(*made) + request_size);
    int r;

    if (!made)
        return -ENOMEM;
    memcpy(&to.sin_addr, addr + 12, 4);
    if (path)
        made->request_bytes = (size_t)snprintf(made->request, request_size, format, path);
    made->done = done;
    made->context = context;
    made->open_handles = 2;
    made->tcp.data = made->timeout.data = made->connect.data = made->write.data = made;
    (void)uv_tcp_init(loop, &made->tcp); /* makes no socket yet, so neither can fail */
    (void)uv_timer_init(loop, &made->timeout);
    r = uv_tcp_connect(&made->connect, &made->tcp, (const struct sockaddr *)&to, connected);
    if (!r)
        r = uv_timer_start(&made->timeout, timed_out, (uint64_t)(timeout_s * 1000), 0);
    if (r) {
        pmo_probe_cancel(&made);
        return r;
    }
    *probe = made;
    return 0;
}

static void ignore(void *context, bool passed)
{
}

void pmo_probe_cancel(struct pmo_probe **probe)
{
    if (!*probe)
        return;
    (*probe)->done = ignore;
    end(*probe, false);
    *probe = NULL;
}
