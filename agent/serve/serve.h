/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's HTTP API over a local socket, as docs/openapi.yaml says, and Prometheus metrics.
 * Runs inside the event loop (libmicrohttpd's epoll descriptor is polled by libuv): no locks.
 */
#pragma once

#include <uv.h>
#include "agent/agent.h"

struct pmo_server;

/**
 * pmo_server_start - listen on a Unix socket
 * @path: made with mode 0660; a socket that nobody answers on is replaced, one that is answered is
 *   "another agent is running" (-EADDRINUSE); missing directories are made
 * Returns 0 or a negative errno, logged.
 */
int pmo_server_start(struct pmo_server **server, uv_loop_t *loop, struct pmo_agent *agent,
                     const char *path);
/* Closes and removes the socket; takes NULL, sets NULL. The loop frees what is left the next time
 * it runs. */
void pmo_server_stop(struct pmo_server **server);

/* A decision as the API shows it, for the audit log (pmo_history_add_decision()), which
 * /v1/decisions reads back. To be freed by the caller; NULL: no memory. */
char *pmo_decision_text(const struct pmo_decision *decision);
