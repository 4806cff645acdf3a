// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Connections accepted, and attempts that failed before a packet was sent, where system calls are not hooked.
#include "../include/fentry.h"

static NOINLINE int accepted_socket(struct socket *socket) {
    struct file *file = 0;
    u64 sk = 0;
    READ(sk, socket->sk);
    READ(file, socket->file);
    if (!sk || !file)
        return 0;
    u8 transport = transport_of((void *)sk);
    if (transport != TRANSPORT_TCP)
        return 0;
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s)
        s = first_sight(sk, inode_of(file), transport, SEEN_ACCEPT, 0);
    if (s && !(s->flags & STATE_OPENED))
        write_open(sk);
    return 0;
}

SEC("fexit/inet_accept") int inet_accept(u64 *c) { // sock, newsock, ...
    if (current_traced())
        accepted_socket((struct socket *)c[1]);
    return 0;
}
