/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/observe/interfaces.h"

#include <errno.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/base/log.h"
#include "agent/observe/netlink.h"

struct interface {
    int ifindex;
    char name[IF_NAMESIZE];
    unsigned int listing; /* the last one it was in */
};

struct pmo_interfaces {
    uv_poll_t poll;
    struct nl_sock *sock;
    pmo_interface_fn changed;
    void *context;
    struct interface *list;
    size_t count, room;
    unsigned int listing; /* number of the listing that was asked for last */
    bool listing_runs;
    bool listing_again; /* it is not complete: something changed meanwhile, or events were lost */
};

static struct interface *find(struct pmo_interfaces *interfaces, int ifindex)
{
    for (size_t i = 0; i < interfaces->count; i++)
        if (interfaces->list[i].ifindex == ifindex)
            return &interfaces->list[i];
    return NULL;
}

static struct interface *add(struct pmo_interfaces *interfaces, int ifindex)
{
    if (interfaces->count == interfaces->room) {
        size_t more = interfaces->room ? interfaces->room * 2 : 16;
        void *list = reallocarray(interfaces->list, more, sizeof(*interfaces->list));

        if (!list)
            return NULL;
        interfaces->list = list;
        interfaces->room = more;
    }
    interfaces->list[interfaces->count] = (struct interface){.ifindex = ifindex};
    return &interfaces->list[interfaces->count++];
}

static void is_present(struct pmo_interfaces *interfaces, int ifindex, const char *name)
{
    struct interface *known = find(interfaces, ifindex);

    if (!known)
        known = add(interfaces, ifindex);
    if (!known) {
        (void)pmo_err_r(ENOMEM, "cannot follow interface %s", name);
        return;
    }
    known->listing = interfaces->listing;
    if (!strcmp(known->name, name)) /* its flags or addresses changed */
        return;
    (void)snprintf(known->name, sizeof(known->name), "%s", name);
    interfaces->changed(interfaces->context, ifindex, name, true);
}

static void is_gone(struct pmo_interfaces *interfaces, struct interface *known)
{
    struct interface gone = *known;

    *known = interfaces->list[--interfaces->count];
    interfaces->changed(interfaces->context, gone.ifindex, gone.name, false);
}

static int link_message(struct nl_msg *message, void *context)
{
    struct nlmsghdr *header = nlmsg_hdr(message);
    const struct ifinfomsg *link = nlmsg_data(header);
    struct pmo_interfaces *interfaces = context;
    struct interface *known;
    struct nlattr *name;

    /* A bridge tells of its ports in the same group, by a message of its own family. */
    if (!nlmsg_valid_hdr(header, sizeof(*link)) || link->ifi_family != AF_UNSPEC)
        return NL_SKIP;
    name = nlmsg_find_attr(header, sizeof(*link), IFLA_IFNAME);
    known = find(interfaces, link->ifi_index);
    if (header->nlmsg_type == RTM_NEWLINK && name)
        is_present(interfaces, link->ifi_index, nla_get_string(name));
    else if (header->nlmsg_type == RTM_DELLINK && known)
        is_gone(interfaces, known);
    return NL_OK;
}

static int ask_for_all(struct pmo_interfaces *interfaces)
{
    struct ifinfomsg request = {.ifi_family = AF_UNSPEC};
    int r = nl_send_simple(interfaces->sock, RTM_GETLINK, NLM_F_DUMP, &request, sizeof(request));

    if (r < 0)
        return pmo_err_r(pmo_netlink_errno(r), "cannot list the network interfaces");
    interfaces->listing++;
    interfaces->listing_runs = true;
    interfaces->listing_again = false;
    return 0;
}

static int listing_interrupted(struct nl_msg *message, void *context)
{
    struct pmo_interfaces *interfaces = context;

    interfaces->listing_again = true;
    return NL_OK;
}

/* What a complete listing does not have is gone. */
static int listing_ends(struct nl_msg *message, void *context)
{
    struct pmo_interfaces *interfaces = context;

    interfaces->listing_runs = false;
    for (size_t i = interfaces->count; !interfaces->listing_again && i-- > 0;)
        if (interfaces->list[i].listing != interfaces->listing)
            is_gone(interfaces, &interfaces->list[i]);
    return NL_OK;
}

/* Another listing is asked for only when the buffer is empty: the kernel refuses one to a socket
 * that is full, or that another one is running on. */
static void readable(uv_poll_t *poll, int status, int events)
{
    struct pmo_interfaces *interfaces = poll->data;
    int r;

    if (status < 0) /* lost events raise EPOLLERR, at which libuv stops to watch */
        (void)uv_poll_start(poll, UV_READABLE, readable);
    while ((r = nl_recvmsgs_default(interfaces->sock)) != -NLE_AGAIN) {
        if (r >= 0)
            continue;
        if (r != -NLE_NOMEM) { /* ENOBUFS */
            (void)pmo_err_r(pmo_netlink_errno(r), "cannot read interface events");
            return;
        }
        if (!interfaces->listing_again)
            pmo_warn("interface events were lost; listing all interfaces again");
        interfaces->listing_again = true;
    }
    if (interfaces->listing_again && !interfaces->listing_runs)
        (void)ask_for_all(interfaces);
}

static int open_events(struct pmo_interfaces *interfaces)
{
    struct nl_sock *sock;
    int r = pmo_netlink_open(&interfaces->sock, NETLINK_ROUTE, -1);

    if (r < 0)
        return r;
    sock = interfaces->sock;
    nl_socket_disable_seq_check(sock); /* events and answers share the socket */
    nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, link_message, interfaces);
    nl_socket_modify_cb(sock, NL_CB_FINISH, NL_CB_CUSTOM, listing_ends, interfaces);
    nl_socket_modify_cb(sock, NL_CB_DUMP_INTR, NL_CB_CUSTOM, listing_interrupted, interfaces);
    r = nl_socket_add_memberships(sock, RTNLGRP_LINK, 0);
    if (r >= 0)
        r = nl_socket_set_nonblocking(sock);
    return r < 0 ? pmo_err_r(pmo_netlink_errno(r), "cannot subscribe to interface events") : 0;
}

static void interfaces_free(struct pmo_interfaces **interfaces)
{
    if (!*interfaces)
        return;
    nl_socket_free((*interfaces)->sock);
    free((*interfaces)->list);
    free(*interfaces);
    *interfaces = NULL;
}

static void closed(uv_handle_t *handle)
{
    struct pmo_interfaces *interfaces = handle->data;

    interfaces_free(&interfaces);
}

int pmo_interfaces_start(struct pmo_interfaces **interfaces, uv_loop_t *loop,
                         pmo_interface_fn changed, void *context)
{
    __attribute__((cleanup(interfaces_free))) struct pmo_interfaces *made =
        calloc(1, sizeof(*made));
    int r;

    if (!made)
        return pmo_err_r(ENOMEM, "cannot follow the network interfaces");
    made->changed = changed;
    made->context = context;
    r = open_events(made);
    if (r == 0)
        r = ask_for_all(made);
    if (r < 0)
        return r;
    r = uv_poll_init(loop, &made->poll, nl_socket_get_fd(made->sock));
    if (r < 0)
        return pmo_err_r(r, "cannot watch interface events");
    made->poll.data = made;
    (void)uv_poll_start(&made->poll, UV_READABLE, readable); /* fails for closed handles only */
    *interfaces = TAKE_PTR(made);
    return 0;
}

void pmo_interfaces_stop(struct pmo_interfaces **interfaces)
{
    if (!*interfaces)
        return;
    uv_close((uv_handle_t *)&(*interfaces)->poll, closed);
    *interfaces = NULL;
}
