/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's types, cut to the members that the programs read. CO-RE (preserve_access_index)
 * finds each member's place in the running kernel's own BTF when the programs are loaded, so the
 * order and offsets here mean nothing, nothing here depends on the architecture, and one file
 * serves all of them.
 *
 * What user space may see (struct __sk_buff, struct bpf_sock_ops, ...) comes from <linux/bpf.h>.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
    int counter;
} atomic_t;

struct in6_addr_kernel {
    __u8 bytes[16];
};

struct net {
    __u64 net_cookie;
};

typedef struct {
    struct net *net;
} possible_net_t;

typedef struct {
    __s64 counter;
} atomic64_t;

struct sock_common {
    unsigned int skc_hash;
    __u32 skc_daddr; /* network byte order */
    __u32 skc_rcv_saddr;
    __u16 skc_dport; /* network byte order */
    __u16 skc_num;       /* local port, host byte order */
    __u16 skc_family;
    volatile unsigned char skc_state;
    possible_net_t skc_net;
    struct in6_addr_kernel skc_v6_daddr;
    struct in6_addr_kernel skc_v6_rcv_saddr;
    atomic64_t skc_cookie;
};

struct page {
    unsigned long flags;
};

struct skb_frag {
    unsigned long netmem; /* a struct page, or a device's memory, marked by the lowest bit */
    unsigned int len;
    unsigned int offset;
};

struct skb_shared_info {
    __u8 nr_frags;
    struct skb_frag frags[1];
};

struct sk_buff {
    unsigned int len, data_len; /* of which data_len are not at `data`, but in frags */
    unsigned int end;
    unsigned char *head, *data;
};

struct timespec64 {
    __s64 tv_sec;
    long tv_nsec;
};

enum special_kfunc_type {
    KF_bpf_rdonly_cast = 1,
};

struct kernfs_node {
    __u64 id;
};

struct cgroup {
    struct kernfs_node *kn;
};

struct sock_cgroup_data {
    struct cgroup *cgroup;
};

struct sock {
    struct sock_common __sk_common;
    __u16 sk_protocol;
    __u32 sk_ack_backlog, sk_max_ack_backlog; /* connections that wait for accept(), and may */
    struct sock_cgroup_data sk_cgrp_data;
};

struct inet_sock {
    __u16 inet_sport; /* network byte order */
};

struct request_sock_queue {
    atomic_t qlen; /* handshakes under way */
};

struct inet_connection_sock {
    struct request_sock_queue icsk_accept_queue;
    struct {
        __u32 lrcvtime; /* tick at which data came last */
    } icsk_ack;
};

struct signal_struct {
    atomic_t live;
};

struct inode {
    __u16 i_mode;
};

struct file {
    struct inode *f_inode;
    void *private_data;
};

struct socket {
    struct sock *sk;
};

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
};

struct files_struct {
    struct fdtable *fdt;
};

struct task_struct {
    int pid;
    int tgid;
    struct task_struct *real_parent;
    struct task_struct *group_leader;
    char comm[16];
    struct files_struct *files;
    struct signal_struct *signal;
};

struct bpf_iter_meta;

struct bpf_iter__tcp {
    struct bpf_iter_meta *meta;
    struct sock_common *sk_common;
};

struct minmax_sample {
    __u32 v;
};

struct minmax {
    struct minmax_sample s[3];
};

struct tcp_sock {
    struct inet_connection_sock inet_conn;
    __u64 tcp_mstamp; /* microseconds of CLOCK_MONOTONIC: when it last received or sent */
    __u32 srtt_us;    /* in eighths */
    struct minmax rtt_min;
    __u32 copied_seq; /* first byte that was not read yet */
    __u32 rcv_nxt;    /* first byte that is missing */
    __u32 rcv_wup; /* begins the window... */
    __u32 rcv_wnd; /* ... of so many bytes */
    __u32 snd_nxt;
    __u8 syn_data : 1; /* the SYN brought data (TCP Fast Open) */
};

#pragma clang attribute pop
