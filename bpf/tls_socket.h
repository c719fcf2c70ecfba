/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections whose bytes are encrypted, as the packet programs find them: they leave these alone,
 * and bpf/tls.h reads what the application's TLS library has decrypted.
 */
#pragma once

#include "bpf/exchange.h"

/* What a TLS library calls a connection: address of its object in that process. */
struct tls_key {
    __u64 process;
    __u64 object;
};

struct tls_socket {
    __u64 established_ns;   /* 0: before the programs were there */
    __u32 instance;         /* both as the connection's fold has them: */
    __u32 generation;       /* FOLD_OUTBOUND tells calls from what is served */
    struct tls_key session; /* 0: none was seen to use it yet */
    __u64 peer;             /* of calls: row of where they go */
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64); /* the connection's cookie */
    __type(value, struct tls_socket);
} tls_sockets SEC(".maps");

struct { /* instance -> its generation, when it was told that it has TLS connections */
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PMO_INSTANCES_MAX);
    __type(key, __u32);
    __type(value, __u32);
} tls_told SEC(".maps");

enum tls_state {
    TLS_NONE = 0,
    TLS_UNREAD, /* nobody reads what is in it */
    TLS_READ,   /* bpf/tls.h does */
};

/* Do these bytes begin a TLS record (RFC 8446 5.1)? */
static __always_inline bool tls_begins(const __u8 *b)
{
    return b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3 && b[2] <= 4;
}

static __always_inline void tls_tell(const struct connection *c)
{
    __u32 instance = c->instance, *told = bpf_map_lookup_elem(&tls_told, &instance);
    struct pmo_event event;

    if (!told || *told == c->generation)
        return;
    *told = c->generation;
    __builtin_memset(&event, 0, sizeof(event));
    event.kind = PMO_EVENT_TLS;
    event.instance = instance;
    bpf_ringbuf_output(&events, &event, sizeof(event), 0);
}

/* A connection turned out to be encrypted. Global, as the stack is short where it is called. */
__noinline int tls_found(struct connection *c)
{
    struct pmo_control *control = control_row();
    struct tls_socket socket;
    __u64 cookie;

    if (!c)
        return 0;
    c->in.parser.phase = HTTP1_OPAQUE;
    c->out.parser.phase = HTTP1_OPAQUE;
    if (c->tls)
        return 0;
    c->tls = TLS_UNREAD;
    __builtin_memset(&socket, 0, sizeof(socket));
    socket.established_ns = c->established_ns;
    socket.instance = c->fold.instance;
    socket.generation = c->fold.generation;
    socket.peer = c->peer;
    cookie = c->cookie;
    bpf_map_update_elem(&tls_sockets, &cookie, &socket, BPF_NOEXIST);
    if (control)
        __sync_fetch_and_add(&control->tls, 1);
    tls_tell(c);
    return 0;
}
