/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests inside TLS, read where a library hands over what it has decrypted, or takes what it is
 * to encrypt: uprobes on its read and write calls, on the entry for the arguments and on the
 * return for how many bytes it were. The parsers and counters are those of the packet programs,
 * which see the same connections as TLS and leave them alone: nothing is counted twice.
 *
 * Which socket a library's object belongs to, no call says. But to decrypt anything, a library has
 * to be given what came from the socket, and the thread that calls the library is the one that
 * received it: in the call, or just before (where a program moves the bytes itself, as node does;
 * then it is no call that writes, but for a client's first one, which may end a handshake). So
 * tls_receive notes for each thread which TLS connection it received from last, as long as that has
 * no object yet. Go's goroutines change threads, but their objects name the descriptor.
 *
 * Calls nest in some libraries (gnutls_record_send() jumps to gnutls_record_send2()): a call is
 * known by the place of its return address on the stack, the outermost counts, and what two sets of
 * programs see while one agent replaces another is counted by the first of them.
 *
 * Unlike the packet programs, these may be interrupted, moved behind another task, and run on the
 * same CPU again meanwhile. So they use no memory of the CPU but what is one word, and add to the
 * shared shard.
 */
#pragma once

#include <asm/ptrace.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "bpf/segment.h"
#include "bpf/tls_socket.h"

struct tls_call { /* in progress */
    __u64 stack;  /* where its return address is; 0: none is in progress; not of Go */
    __u64 entered_ns;
    struct tls_key session;
    __u64 buffer;
    __u64 length_at; /* where it will say how many bytes it were; 0: it returns that */
};

/* The TLS connection that a thread received from last, if that has no session yet. */
struct tls_received {
    __u64 cookie;
    __u64 time_ns;
};

struct tls_thread {
    __u64 process;
    __u64 thread; /* or goroutine */
};

struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct tls_call);
} tls_calls SEC(".maps");

/* Those of goroutines, and of threads that could not have storage; of threads that were killed,
 * they are swept by the agent. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct tls_thread);
    __type(value, struct tls_call);
} tls_calls_kept SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct tls_thread);
    __type(value, struct tls_received);
} tls_received SEC(".maps");

struct tls_session {
    struct connection connection;
    struct tls_key key;
    __u64 closed_ns; /* its socket was; a call may still have to return */
    __u32 users;     /* programs that work on it */
    __u32 freed;
    __u32 ended;
    __u32 pad;
    struct http1_chunk in, out;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct tls_key);
    __type(value, struct tls_session);
} tls_sessions SEC(".maps");

struct { /* sessions whose sockets were closed, oldest first; where there is no room (that is, no
          * agent for a while), they end at once */
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, 1024);
    __uint(key_size, 0);
    __type(value, struct tls_key);
} tls_closing SEC(".maps");

/* Too large for the stack. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tls_session);
} tls_fresh SEC(".maps");

static __always_inline struct tls_thread tls_thread_of(__u64 goroutine)
{
    __u64 id = bpf_get_current_pid_tgid();

    return (struct tls_thread){.process = id >> 32, .thread = goroutine ?: (__u32)id};
}

/* ---- sessions ------------------------------------------------------------------------------- */

/* Ends what is left of a session: once, when nobody works on it any more. */
static __noinline int tls_session_end(struct tls_session *s)
{
    struct tls_key key = s->key;
    __u64 now_ns = bpf_ktime_get_ns();

    if (__sync_lock_test_and_set(&s->ended, 1))
        return 0;
    request_cut(&s->connection, now_ns);
    exchanges_abort(&s->connection, now_ns);
    bpf_map_delete_elem(&tls_sessions, &key);
    return 0;
}

#define TLS_LINGER_NS 100000000ULL

/* Ends the session that was closed longest ago. Returns 1 where there is none to end. */
static long tls_sweep(__u32 i, void *context)
{
    struct tls_session *s;
    struct tls_key key;

    if (bpf_map_pop_elem(&tls_closing, &key))
        return 1;
    s = bpf_map_lookup_elem(&tls_sessions, &key);
    if (!s || !s->closed_ns)
        return 0; /* ended already */
    if (s->users || bpf_ktime_get_ns() - s->closed_ns < TLS_LINGER_NS)
        return loop_ends(bpf_map_push_elem(&tls_closing, &key, 0) || !s->users);
    tls_session_end(s);
    return 0;
}

/* The connection with this cookie has ended. Whoever wrote to it last may not have returned yet:
 * the session ends a little later. */
static __noinline int tls_closed(__u64 cookie)
{
    struct tls_socket *socket = bpf_map_lookup_elem(&tls_sockets, &cookie);
    struct tls_session *s;
    struct tls_key key;

    if (!socket)
        return 0;
    key = socket->session;
    bpf_map_delete_elem(&tls_sockets, &cookie);
    s = key.process ? bpf_map_lookup_elem(&tls_sessions, &key) : NULL;
    if (!s || s->connection.cookie != cookie)
        return 0;
    s->closed_ns = bpf_ktime_get_ns();
    if (bpf_map_push_elem(&tls_closing, &key, 0))
        tls_session_end(s);
    return 0;
}

/* Binds an object to the connection with this cookie. @before: its session, of a connection that
 * was closed. */
static __always_inline struct tls_session *
tls_session_make(const struct tls_key *key, struct tls_session *before, __u64 cookie, __u64 probe)
{
    struct pmo_control *control = control_row();
    struct tls_session *s, *fresh;
    struct tls_socket *socket;
    struct connection *c;
    __u32 zero = 0;

    socket = bpf_map_lookup_elem(&tls_sockets, &cookie);
    if (!socket || socket->session.process)
        return before;
    if (before)
        tls_session_end(before);
    fresh = bpf_map_lookup_elem(&tls_fresh, &zero);
    if (!fresh || !control || bpf_map_update_elem(&tls_sessions, key, fresh, BPF_NOEXIST))
        return NULL;
    s = bpf_map_lookup_elem(&tls_sessions, key);
    if (!s)
        return NULL;
    socket->session = s->key = *key;
    c = &s->connection;
    c->cookie = cookie;
    c->fold.instance = socket->instance;
    c->fold.generation = socket->generation;
    c->instance = socket->instance & ~FOLD_OUTBOUND;
    c->generation = socket->generation & ~FOLD_OUTBOUND;
    c->direction = socket->instance & FOLD_OUTBOUND ? PMO_OUTBOUND : PMO_INBOUND;
    c->peer = socket->peer;
    c->in.joined = c->out.joined = socket->established_ns > probe >> PMO_TLS_SINCE_SHIFT
                                                                         << PMO_TLS_SINCE_UNIT;
    __sync_fetch_and_add(&control->tls_read, 1);
    if (!c->in.joined)
        __sync_fetch_and_add(&control->midstream, 1);
    return s;
}

/* Run by the agent each second. */
SEC("raw_tp")
int tls_linger(void *ctx)
{
    bpf_loop(1 << 16, tls_sweep, NULL, 0);
    return 0;
}

/* ---- streams -------------------------------------------------------------------------------- */

/* Begins a stream that was joined in its middle, at bytes that begin with a head. */
static __always_inline bool tls_join(struct stream *s, bool response)
{
    struct connection *c = s->connection;

    if (s->end < 9 || stream_load(s, STREAM_USER, s->chunk->buf, 9))
        return false;
    return stream_join(c, s->chunk, response);
}

static __always_inline void tls_parse(struct stream *s, bool response)
{
    struct direction *d = response ? &s->connection->out : &s->connection->in;

    if (d->parser.phase == HTTP1_OPAQUE || (!d->joined && !tls_join(s, response)))
        return;
    stream_feed(s, STREAM_USER, response);
    if (s->offset < s->end && d->parser.phase != HTTP1_OPAQUE)
        segment_hole(d); /* no head can be read in what was not in memory */
}

/* @length decrypted bytes that were read from an object, or @written to it, at an address of the
 * current process. Global, as it is verified once then. */
__noinline int tls_feed(struct tls_session *session, __u64 object, __u64 buffer, __u32 length,
                        __u32 written)
{
    struct stream s = {.from = (void *)buffer, .end = length};

    if (!session)
        return 0;
    s.connection = &session->connection;
    s.now_ns = bpf_ktime_get_ns();
    __sync_fetch_and_add(&session->users, 1);
    if (session->key.object == object && !*(volatile __u32 *)&session->freed) {
        if (!written == is_call(s.connection)) {
            s.chunk = &session->out;
            tls_parse(&s, true);
        } else {
            s.chunk = &session->in;
            tls_parse(&s, false);
        }
    }
    if (__sync_fetch_and_add(&session->users, -1) == 1 && *(volatile __u32 *)&session->freed)
        tls_session_end(session);
    return 0;
}

/* ---- sockets -------------------------------------------------------------------------------- */

/* A thread receives from a socket (saturation.h). */
static __noinline int tls_receive(struct sock *sk)
{
    struct tls_received received;
    struct tls_socket *socket;
    struct tls_thread thread;
    struct connection *c;

    c = bpf_sk_storage_get(&connections, sk, NULL, 0);
    if (calls && !c)
        c = bpf_sk_storage_get(&call_connections, sk, NULL, 0);
    if (!c || c->tls != TLS_UNREAD)
        return 0;
    socket = bpf_map_lookup_elem(&tls_sockets, &c->cookie);
    if (!socket || socket->session.process) {
        c->tls = TLS_READ;
        return 0;
    }
    thread = tls_thread_of(0);
    received.cookie = c->cookie;
    received.time_ns = bpf_ktime_get_ns();
    bpf_map_update_elem(&tls_received, &thread, &received, BPF_ANY);
    return 0;
}

/* ---- libraries in C ------------------------------------------------------------------------- */

#if defined(__TARGET_ARCH_x86)
#define TLS_RETURN_BYTES 8U /* a return takes its address off the stack */
#else
#define TLS_RETURN_BYTES 0U
#endif

/* A call within another one on the same object follows at once. */
#define TLS_NESTED_NS 100000000ULL

static __always_inline struct tls_call *tls_own_call(__u64 flags)
{
    return bpf_task_storage_get(&tls_calls, bpf_get_current_task_btf(), NULL, flags);
}

static __always_inline bool tls_call_within(const struct tls_call *call,
                                            const struct tls_call *outer)
{
    return outer->stack > call->stack && outer->session.object == call->session.object &&
           call->entered_ns - outer->entered_ns < TLS_NESTED_NS;
}

SEC("uprobe")
int tls_enter(struct pt_regs *ctx)
{
    __u64 probe = bpf_get_attach_cookie(ctx);
    struct tls_thread thread = tls_thread_of(0);
    struct tls_call *outer = tls_own_call(BPF_LOCAL_STORAGE_GET_F_CREATE);
    __u64 fourth = PT_REGS_PARM4(ctx), fifth = PT_REGS_PARM5(ctx);
    struct tls_call call = {.stack = PT_REGS_SP(ctx),
                            .entered_ns = bpf_ktime_get_ns(),
                            .session = {thread.process, PT_REGS_PARM1(ctx)},
                            .buffer = probe & PMO_TLS_UNSEEN ? 0 : PT_REGS_PARM2(ctx)};

    pmo_opaque(fifth); /* or one of the two is read, from where the verifier does not follow */
    if (probe & PMO_TLS_LENGTH_AT)
        call.length_at = probe & PMO_TLS_FIFTH ? fifth : fourth;
    if (outer) {
        if (!tls_call_within(&call, outer))
            *outer = call;
        return 0;
    }
    outer = bpf_map_lookup_elem(&tls_calls_kept, &thread);
    if (!outer || !tls_call_within(&call, outer))
        bpf_map_update_elem(&tls_calls_kept, &thread, &call, BPF_ANY);
    return 0;
}

/* Takes the call that returns out of where it was kept. Returns whether it is there. */
static __always_inline bool tls_call_take(struct pt_regs *ctx, const struct tls_thread *thread,
                                          struct tls_call *call)
{
    struct tls_call *entered = tls_own_call(0);
    const __u64 stack = PT_REGS_SP(ctx) - TLS_RETURN_BYTES;

    if (entered && entered->stack) {
        if (entered->stack != stack)
            return false;
        *call = *entered;
        entered->stack = 0;
        return true;
    }
    entered = bpf_map_lookup_elem(&tls_calls_kept, thread);
    if (!entered || entered->stack != stack)
        return false;
    *call = *entered;
    return !bpf_map_delete_elem(&tls_calls_kept, thread);
}

/* How many bytes a call that returns has read or written; 0: none, or it failed. */
static __always_inline __u32 tls_length(struct pt_regs *ctx, __u64 probe,
                                        const struct tls_call *call)
{
    __s64 n = PT_REGS_RC(ctx);

    if (probe & (PMO_TLS_INT | PMO_TLS_LENGTH_AT))
        n = (__s32)n;
    if (probe & PMO_TLS_LENGTH_AT && n > 0 &&
        bpf_probe_read_user(&n, sizeof(n), (void *)call->length_at))
        return 0;
    return n > 0 && n <= 0x7fffffff ? n : 0;
}

/* Cookie of the connection that a call which returns has received from, if it has no session: in
 * the call, or before. */
static __always_inline __u64 tls_received_from(const struct tls_thread *thread,
                                               const struct tls_call *call, __u64 probe)
{
    struct tls_received *received = bpf_map_lookup_elem(&tls_received, thread);
    bool before = received && received->time_ns < call->entered_ns;
    struct tls_socket *socket;
    __u64 cookie;

    if (!received)
        return 0;
    cookie = received->cookie;
    if (before && probe & PMO_TLS_WRITE) {
        socket = calls ? bpf_map_lookup_elem(&tls_sockets, &cookie) : NULL;
        if (!socket || !(socket->instance & FOLD_OUTBOUND))
            return 0;
    }
    bpf_map_delete_elem(&tls_received, thread);
    return cookie;
}

static __always_inline int tls_exit(struct pt_regs *ctx, __u64 probe)
{
    __u64 cookie;
    struct tls_thread thread = tls_thread_of(0);
    struct tls_session *s;
    struct tls_call call;
    __u32 n;

    if (!tls_call_take(ctx, &thread, &call))
        return 0;
    s = bpf_map_lookup_elem(&tls_sessions, &call.session);
    if (!s || s->closed_ns) {
        cookie = tls_received_from(&thread, &call, probe);
        if (cookie)
            s = tls_session_make(&call.session, s, cookie, probe);
    }
    n = probe & (PMO_TLS_READ | PMO_TLS_WRITE) ? tls_length(ctx, probe, &call) : 0;
    if (s && n)
        tls_feed(s, call.session.object, call.buffer, n, probe & PMO_TLS_WRITE ? 1 : 0);
    return 0;
}

/* An object goes: the next one may be at the same address. */
SEC("uprobe")
int tls_free(struct pt_regs *ctx)
{
    struct tls_key key = {.process = bpf_get_current_pid_tgid() >> 32,
                          .object = PT_REGS_PARM1(ctx)};
    struct tls_session *s = bpf_map_lookup_elem(&tls_sessions, &key);

    if (!s)
        return 0;
    __sync_lock_test_and_set(&s->freed, 1);
    if (!__sync_fetch_and_add(&s->users, 0))
        tls_session_end(s);
    return 0;
}

/* ---- Go ------------------------------------------------------------------------------------- */

/* crypto/tls.(*Conn).Read() and .Write(), by Go's own calling convention (since 1.17,
 * "ABIInternal"): arguments and results in other registers than C has, and the goroutine in one.
 * Stacks move, so a call is known by its goroutine, and its end is seen at each of the function's
 * return instructions. */
#if defined(__TARGET_ARCH_x86)
#define GO_GOROUTINE(ctx) ((ctx)->r14)
#define GO_OBJECT(ctx)    ((ctx)->rax)
#define GO_BUFFER(ctx)    ((ctx)->rbx)
#define GO_LENGTH(ctx)    ((ctx)->rcx)
#define GO_RESULT(ctx)    ((ctx)->rax)
#else /* arm64 */
#define GO_GOROUTINE(ctx) (((const struct user_pt_regs *)(ctx))->regs[28])
#define GO_OBJECT(ctx)    (((const struct user_pt_regs *)(ctx))->regs[0])
#define GO_BUFFER(ctx)    (((const struct user_pt_regs *)(ctx))->regs[1])
#define GO_LENGTH(ctx)    (((const struct user_pt_regs *)(ctx))->regs[2])
#define GO_RESULT(ctx)    (((const struct user_pt_regs *)(ctx))->regs[0])
#endif

/* Cookie of the socket of a descriptor of this process; 0: it is none. */
static __always_inline __u64 socket_cookie(__u64 descriptor)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    struct file **files = BPF_CORE_READ(table, fd), *file = NULL;
    struct socket *socket;

    if (descriptor >= BPF_CORE_READ(table, max_fds) ||
        bpf_probe_read_kernel(&file, sizeof(file), files + descriptor) || !file ||
        (BPF_CORE_READ(file, f_inode, i_mode) & 0170000) != 0140000) /* S_IFSOCK */
        return 0;
    socket = BPF_CORE_READ(file, private_data);
    return BPF_CORE_READ(socket, sk, __sk_common.skc_cookie.counter);
}

/* The same of a Go *tls.Conn: conn, its first member, is an interface to a *net.TCPConn, whose only
 * member is a *net.netFD, which begins with a poll.FD: a lock of 16 bytes, and the descriptor. */
static __always_inline __u64 go_socket_cookie(__u64 object)
{
    __u64 connection = 0, net_fd = 0, descriptor = 0;

    if (bpf_probe_read_user(&connection, 8, (void *)(object + 8)) ||
        bpf_probe_read_user(&net_fd, 8, (void *)connection) ||
        bpf_probe_read_user(&descriptor, 8, (void *)(net_fd + 16)))
        return 0;
    return socket_cookie(descriptor);
}

static __always_inline struct tls_session *go_session(const struct tls_key *key, __u64 probe)
{
    struct tls_session *s = bpf_map_lookup_elem(&tls_sessions, key);
    __u64 cookie;

    if (s && !s->closed_ns)
        return s;
    cookie = go_socket_cookie(key->object);
    return cookie ? tls_session_make(key, s, cookie, probe) : s;
}

#define GO_READ_ALREADY 1U /* in length_at */

/* Write() takes all that it is given, or the connection is at its end. What a client writes may be
 * answered, to another goroutine, before the call returns: it is read at once, but where the call
 * begins with a handshake. A function whose stack has to grow begins again from its first
 * instruction. */
static __always_inline int tls_go_enter(struct pt_regs *ctx, __u64 probe)
{
    __u64 n = GO_LENGTH(ctx);
    struct tls_thread thread = tls_thread_of(GO_GOROUTINE(ctx));
    struct tls_call call = {.session = {thread.process, GO_OBJECT(ctx)}, .buffer = GO_BUFFER(ctx)};
    struct tls_call *begun = bpf_map_lookup_elem(&tls_calls_kept, &thread);
    struct tls_session *s;

    if (begun && begun->length_at && begun->session.object == call.session.object)
        return 0;
    s = probe & PMO_TLS_WRITE ? go_session(&call.session, probe) : NULL;
    if (s && !s->closed_ns && n <= 0x7fffffff) {
        tls_feed(s, call.session.object, call.buffer, n, 1);
        call.length_at = GO_READ_ALREADY;
    }
    bpf_map_update_elem(&tls_calls_kept, &thread, &call, BPF_ANY);
    return 0;
}

static __always_inline int tls_go_exit(struct pt_regs *ctx, __u64 probe)
{
    struct tls_thread thread = tls_thread_of(GO_GOROUTINE(ctx));
    struct tls_call *entered = bpf_map_lookup_elem(&tls_calls_kept, &thread), call;
    __s64 n = GO_RESULT(ctx);
    struct tls_session *s;

    if (!entered)
        return 0;
    call = *entered;
    if (bpf_map_delete_elem(&tls_calls_kept, &thread) || call.length_at)
        return 0;
    s = go_session(&call.session, probe);
    if (s && n > 0 && n <= 0x7fffffff)
        tls_feed(s, call.session.object, call.buffer, n, probe & PMO_TLS_WRITE ? 1 : 0);
    return 0;
}

/* Where decrypted bytes are at hand. One program for the three, as the parsers take the verifier a
 * third of a second in each that has them. */
SEC("uprobe")
int tls_bytes(struct pt_regs *ctx)
{
    __u64 probe = bpf_get_attach_cookie(ctx);

    if (probe & PMO_TLS_GO_ENTRY)
        return tls_go_enter(ctx, probe);
    if (probe & PMO_TLS_GO_RETURN)
        return tls_go_exit(ctx, probe);
    return tls_exit(ctx, probe);
}
