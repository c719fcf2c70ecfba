/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <netlink/errno.h>
#include <sched.h>
#include <stdlib.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"

#define RECEIVE_BYTES 32768 /* the most the kernel packs into one part of a dump */

int pmo_netlink_errno(int nl_result)
{
    if (nl_result >= 0)
        return nl_result;
    switch (-nl_result) {
    case NLE_PERM:
    case NLE_NOACCESS:
        return -EPERM;
    case NLE_NOMEM: /* also what ENOBUFS becomes */
        return -ENOMEM;
    case NLE_AGAIN:
        return -EAGAIN;
    case NLE_NODEV:
    case NLE_OBJ_NOTFOUND:
        return -ENODEV;
    case NLE_OPNOTSUPP:
    case NLE_PROTO_MISMATCH:
        return -EOPNOTSUPP;
    default:
        return -EIO;
    }
}

static int connect_here(struct nl_sock *sock, int protocol)
{
    int r = nl_connect(sock, protocol);

    return r < 0 ? pmo_err_r(pmo_netlink_errno(r), "cannot open a netlink socket of family %d",
                             protocol)
                 : 0;
}

/* A socket belongs to the namespace its thread was in when it was made. */
static int connect_in(struct nl_sock *sock, int protocol, int netns_fd)
{
    _cleanup_close_ int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int r;

    if (home < 0)
        return pmo_err_r(errno, "cannot open /proc/thread-self/ns/net");
    if (setns(netns_fd, CLONE_NEWNET) < 0)
        return pmo_err_r(errno, "cannot enter a network namespace");
    r = connect_here(sock, protocol);
    if (setns(home, CLONE_NEWNET) < 0) {
        (void)pmo_err_r(errno, "cannot return from a network namespace");
        abort(); /* whatever came next would happen to somebody else's network */
    }
    return r;
}

int pmo_netlink_open(struct nl_sock **sock, int protocol, int netns_fd)
{
    _cleanup_netlink_ struct nl_sock *opened = nl_socket_alloc();
    int r;

    if (!opened)
        return pmo_err_r(ENOMEM, "cannot make a netlink socket");
    r = netns_fd < 0 ? connect_here(opened, protocol) : connect_in(opened, protocol, netns_fd);
    if (r < 0)
        return r;
    nl_socket_set_msg_buf_size(opened, RECEIVE_BYTES);
    nl_socket_disable_msg_peek(opened);
    *sock = TAKE_PTR(opened);
    return 0;
}
