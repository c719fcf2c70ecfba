/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink sockets in any network namespace. */
#pragma once

#include <netlink/netlink.h>
#include <netlink/socket.h>

/**
 * pmo_netlink_open - connected netlink socket that lives in a network namespace
 * @protocol: NETLINK_ROUTE, NETLINK_SOCK_DIAG, ...
 * @netns_fd: of the namespace; -1: the current one. The socket keeps the namespace alive; the
 * thread is back in its own when this returns. Returns 0, or a negative errno, logged (-EPERM:
 * CAP_SYS_ADMIN is missing).
 */
int pmo_netlink_open(struct nl_sock **sock, int protocol, int netns_fd);

static inline void pmo_netlink_close(struct nl_sock **sock)
{
    nl_socket_free(*sock);
    *sock = NULL;
}
#define _cleanup_netlink_ __attribute__((cleanup(pmo_netlink_close)))

/* Negative errno for what libnl returned (0 and more stay as they are). */
int pmo_netlink_errno(int nl_result);
