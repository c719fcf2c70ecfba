/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instances come and go: who begins to listen is an instance, who stops listening or exits loses
 * its ready bit here and now, with no help from user space.
 */
#pragma once

#include "bpf/calls.h"
#include "bpf/maps.h"
#include "bpf/request.h"
#include "bpf/tls.h"

#define TCP_CLOSE  7
#define TCP_LISTEN 10

static __always_inline void tell(__u32 kind, const struct pmo_listener *listener, __u32 instance,
                                 __u32 pid, __u64 cgroup)
{
    struct pmo_event event;

    __builtin_memset(&event, 0, sizeof(event));
    event.kind = kind;
    event.instance = instance;
    event.pid = pid;
    event.time_ns = bpf_ktime_get_ns();
    event.cgroup = cgroup;
    if (listener)
        event.listener = *listener;
    bpf_ringbuf_output(&events, &event, sizeof(event), 0);
}

/* By itself, as the stack is short. */
static __noinline int tell_listening(const struct pmo_listener *listener, __u32 instance, __u32 pid,
                                     __u64 cgroup)
{
    struct pmo_listening_event l;

    __builtin_memset(&l, 0, sizeof(l));
    l.event.kind = PMO_EVENT_LISTENING;
    l.event.instance = instance;
    l.event.pid = pid;
    l.event.time_ns = bpf_ktime_get_ns();
    l.event.cgroup = cgroup;
    l.event.listener = *listener;
    if (pid) /* as /proc/PID/comm, whichever thread listens */
        BPF_CORE_READ_STR_INTO(&l.command, (struct task_struct *)bpf_get_current_task(),
                               group_leader, comm);
    bpf_ringbuf_output(&events, &l, sizeof(l), 0);
    return 0;
}

/* The instance of a listening address, made on first sight; NULL when all rows are used. */
static __always_inline struct pmo_instance *instance_make(struct pmo_listener *key, __u32 pid,
                                                          __u64 cgroup)
{
    struct pmo_instance made, *instance = bpf_map_lookup_elem(&instances, key);
    struct pmo_control *c = control_row();

    if (instance || !c)
        return instance;
    __builtin_memset(&made, 0, sizeof(made));
    if (bpf_map_pop_elem(&free_instances, &made.id)) {
        __sync_fetch_and_add(&c->instances_full, 1);
        return NULL;
    }
    raise(&c->instances_used, made.id + 1);
    made.pid = pid;
    made.cgroup = cgroup;
    made.generation = 1 + __sync_fetch_and_add(&c->generations, 1);
    if (bpf_map_update_elem(&instances, key, &made, BPF_NOEXIST))
        bpf_map_push_elem(&free_instances, &made.id, 0); /* another CPU was first */
    else
        tell_listening(key, made.id, pid, cgroup);
    return bpf_map_lookup_elem(&instances, key);
}

static __always_inline void ready_clear(__u32 instance)
{
    struct pmo_hint_instance *hint = hint_row(instance);

    if (!hint)
        return;
    if (hint->flags & PMO_HINT_READY)
        hint->cleared_ns = bpf_ktime_get_ns();
    __sync_fetch_and_and(&hint->flags, ~PMO_HINT_READY);
}

/* Returns its cookie if it is TLS, which tls_closed() has to know; else 0. By itself, and that one
 * not from here, as the stack is short. */
static __noinline __u64 connection_closed(struct connection *c)
{
    __u64 now_ns = bpf_ktime_get_ns();
    struct pmo_instance_counts *counts = instance_counts(c->instance, now_ns);
    bool locked;

    if (c->closed)
        return 0;
    locked = connection_lock(c); /* a segment may be under way on another CPU */
    c->closed = 1;
    request_cut(c, now_ns); /* whatever comes now, TCP does not take it */
    if (is_call(c))
        c->out.parser.phase = HTTP1_OPAQUE;
    if (c->in.stashed_ranges | c->out.stashed_ranges)
        stash_drop_all(c);
    if (locked)
        connection_unlock(c);
    if (counts && !is_call(c))
        __sync_fetch_and_add(&counts->closes, 1);
    exchanges_abort(c, now_ns);
    return c->tls ? c->cookie : 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(listener_state, struct sock *sk, int old, int new)
{
    struct pmo_instance *instance;
    struct pmo_listener key;

    if (new == TCP_CLOSE && old != TCP_LISTEN) {
        struct connection *c = bpf_sk_storage_get(&connections, sk, NULL, 0);
        __u64 tls = 0;

        if (c) {
            tls = connection_closed(c);
        } else if (calls) {
            c = bpf_sk_storage_get(&call_connections, sk, NULL, 0);
            if (c) {
                tls = connection_closed(c);
                call_end(sk, c);
            }
        }
        if (tls)
            tls_closed(tls);
        return 0;
    }
    if (calls && new == TCP_SYN_SENT)
        call_begin(sk);
    if (calls && old == TCP_SYN_SENT && new == TCP_ESTABLISHED)
        call_established(sk);
    /* an accepted socket begins as a copy of its listener: it leaves LISTEN, too, but not to CLOSE
     */
    if (new != TCP_LISTEN && (old != TCP_LISTEN || new != TCP_CLOSE))
        return 0;
    if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
        return 0;
    listener_of(&key, sk);
    if (new == TCP_LISTEN) {
        if (!key.port)
            return 0; /* not bound yet: found by the agent's scan */
        instance =
            instance_make(&key, bpf_get_current_pid_tgid() >> 32, bpf_get_current_cgroup_id());
        if (instance)
            __sync_fetch_and_add(&instance->listeners, 1);
        port_accepts(key.port);
        return 0;
    }
    instance = bpf_map_lookup_elem(&instances, &key);
    if (!instance)
        return 0;
    if (instance->listeners > 1) {
        __sync_fetch_and_add(&instance->listeners, -1);
        return 0;
    }
    ready_clear(instance->id);
    tell(PMO_EVENT_CLOSED, &key, instance->id, instance->pid, instance->cgroup);
    bpf_map_delete_elem(&instances, &key);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
    __u32 pid = task->tgid, *instance;

    if (task->signal->live.counter)
        return 0; /* other threads live on */
    instance = bpf_map_lookup_elem(&processes, &pid);
    if (!instance)
        return 0;
    ready_clear(*instance);
    tell(PMO_EVENT_EXITED, NULL, *instance, pid, 0);
    bpf_map_delete_elem(&processes, &pid);
    return 0;
}
