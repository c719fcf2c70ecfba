/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generic netlink: the number of the family is asked for by name, then each request has it as its
 * type. Two messages are not worth libnl-genl, one more library to install.
 */
#include "agent/observe/taskstats.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/taskstats.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <stdlib.h>

#include "agent/observe/netlink.h"

#define ANSWER_BYTES 4096 /* struct taskstats has 400 to 1,000; libnl allocates it each time */

struct pmo_taskstats {
    struct nl_sock *sock;
    uint16_t family; /* 0: not known */
    uint64_t run_delay_ns;
};

static int take_answer(struct nl_msg *message, void *context)
{
    struct pmo_taskstats *taskstats = context;
    struct nlmsghdr *header = nlmsg_hdr(message);
    struct nlattr *found;

    if (header->nlmsg_type == GENL_ID_CTRL) {
        found = nlmsg_find_attr(header, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);
        if (found)
            taskstats->family = nla_get_u16(found);
        return NL_OK;
    }
    found = nlmsg_find_attr(header, GENL_HDRLEN, TASKSTATS_TYPE_AGGR_TGID);
    found = found ? nla_find(nla_data(found), nla_len(found), TASKSTATS_TYPE_STATS) : NULL;
    if (found) {
        struct taskstats stats = {0}; /* the kernel's may be longer or shorter */

        (void)nla_memcpy(&stats, found, sizeof(stats));
        taskstats->run_delay_ns = stats.cpu_delay_total;
    }
    return NL_OK;
}

/* Asks with one attribute, and takes the answer. Returns 0 or a negative errno. */
static int ask(struct pmo_taskstats *taskstats, int type, uint8_t command, int attribute,
               const void *value, int length)
{
    struct genlmsghdr head = {.cmd = command, .version = 1};
    struct nl_msg *message = nlmsg_alloc_simple(type, 0);
    int r = message ? nlmsg_append(message, &head, sizeof(head), NLMSG_ALIGNTO) : -NLE_NOMEM;

    if (r >= 0)
        r = nla_put(message, attribute, length, value);
    if (r >= 0)
        r = nl_send_auto(taskstats->sock, message);
    nlmsg_free(message);
    if (r >= 0)
        r = nl_recvmsgs_default(taskstats->sock);
    if (r == -NLE_OBJ_NOTFOUND)
        return -ESRCH; /* what libnl makes of both ENOENT and ESRCH */
    return pmo_netlink_errno(r);
}

int pmo_taskstats_open(struct pmo_taskstats **taskstats)
{
    struct pmo_taskstats *made = calloc(1, sizeof(*made));
    int r = made ? pmo_netlink_open(&made->sock, NETLINK_GENERIC, -1) : -ENOMEM;

    if (r == 0) {
        nl_socket_disable_auto_ack(made->sock); /* the answer is enough */
        nl_socket_set_msg_buf_size(made->sock, ANSWER_BYTES);
        nl_socket_modify_cb(made->sock, NL_CB_VALID, NL_CB_CUSTOM, take_answer, made);
        r = ask(made, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME,
                sizeof(TASKSTATS_GENL_NAME));
        if (r == -ESRCH || (r == 0 && !made->family))
            r = -EOPNOTSUPP;
    }
    if (r < 0)
        pmo_taskstats_close(&made);
    else
        *taskstats = made;
    return r;
}

void pmo_taskstats_close(struct pmo_taskstats **taskstats)
{
    if (!*taskstats)
        return;
    nl_socket_free((*taskstats)->sock);
    free(*taskstats);
    *taskstats = NULL;
}

int pmo_taskstats_run_delay(struct pmo_taskstats *taskstats, pid_t pid, uint64_t *ns)
{
    uint32_t tgid = (uint32_t)pid;
    int r;

    taskstats->run_delay_ns = UINT64_MAX;
    r = ask(taskstats, taskstats->family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_TGID, &tgid,
            sizeof(tgid));
    if (r == 0 && taskstats->run_delay_ns == UINT64_MAX)
        return -EIO;
    if (r == 0)
        *ns = taskstats->run_delay_ns;
    return r;
}
