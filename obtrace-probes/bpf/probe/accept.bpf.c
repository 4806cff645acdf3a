// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Connections accepted, and attempts that failed before a packet was sent, where system calls are not hooked.
#include "../include/fentry.h"

static NOINLINE int opened(struct socket *socket, u32 how) {
    struct file *file = 0;
    u64 sk = 0;
    READ(sk, socket->sk);
    READ(file, socket->file);
    if (!sk || !file)
        return 0;
    u8 transport = transport_of((void *)sk);
    if (transport != TRANSPORT_TCP && transport != TRANSPORT_UNIX)
        return 0;
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s)
        s = first_sight(sk, inode_of(file), transport, how);
    if (s && !(s->flags & STATE_OPENED))
        write_open(sk);
    return 0;
}

SEC("fexit/inet_accept") int inet_accept(u64 *c) { // sock, newsock, ...
    if (current_traced())
        opened((struct socket *)c[1], SEEN_ACCEPT);
    return 0;
}

SEC("fexit/unix_accept") int unix_accept(u64 *c) { // sock, newsock, ...
    if (current_traced())
        opened((struct socket *)c[1], SEEN_ACCEPT);
    return 0;
}

static NOINLINE int failed(struct socket *socket, u64 address, u32 transport, s32 result) {
    struct event_connect_failed e = {.transport = transport, .error = -result};
    u64 sk = 0;
    if (-result == EINPROGRESS || -result == EALREADY || -result == EINTR || -result == EISCONN ||
        -result >= ERESTARTSYS || (transport == TRANSPORT_UNIX && -result == EAGAIN))
        return 0;
    READ(sk, socket->sk);
    if (!sk || transport_of((void *)sk) != transport)
        return 0;
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    e.started = bpf_ktime_get_ns();
    if (s && transport == TRANSPORT_TCP) {
        if (!(s->flags & STATE_ABORTED))
            return 0; // told already
        e.started = s->started;
        s->flags = (s->flags & ~STATE_ABORTED) | STATE_FAILED;
    }
    read_sockaddr(&e.remote, address, 1);
    e.netns = netns_of((void *)sk);
    return write_connect_failed(&e, bpf_get_current_pid_tgid());
}

SEC("fexit/unix_stream_connect") int unix_stream_connect(u64 *c) { // sock, uaddr, len, flags, result
    if (!current_traced())
        return 0;
    if ((int)c[4])
        failed((struct socket *)c[0], address_of((void *)c[1]), TRANSPORT_UNIX, c[4]);
    else
        opened((struct socket *)c[0], SEEN_CONNECT);
    return 0;
}

SEC("fexit/inet_stream_connect") int inet_stream_connect(u64 *c) { // sock, uaddr, len, flags, result
    if ((int)c[4] && current_traced())
        failed((struct socket *)c[0], address_of((void *)c[1]), TRANSPORT_TCP, c[4]);
    return 0;
}
