// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Datagrams, and the streams that TCP does not number.
#pragma once
#include "transfer.h"

#define FILL_DATAGRAM                                                                                                  \
    fill_head(&record->event.head, OP_DATAGRAM, c->flags | missing << FLAG_MISSING_SHIFT,                              \
              sizeof(record->event) + size, c->socket, c->pid_tgid);                                                   \
    record->event.remote = *remote;                                                                                    \
    record->event.length = length;                                                                                     \
    record->event.pad = 0

NOINLINE int write_datagram(struct chunk *c, struct event_address *remote, u64 length) {
    if (!c || !remote)
        return 0;
    u64 wake = wake_flag(c->length + sizeof(struct event_datagram));
    if (c->length <= CLASS_1)
        WRITE_CLASS(CLASS_1, struct event_datagram, FILL_DATAGRAM)
    if (c->length <= CLASS_3)
        WRITE_CLASS(CLASS_3, struct event_datagram, FILL_DATAGRAM)
    WRITE_CLASS(CLASS_4, struct event_datagram, FILL_DATAGRAM)
}

INLINE long read_name(struct user_sockaddr *u, u32 size, u64 name, bool kernel) {
    return kernel ? bpf_probe_read_kernel(u, size, (void *)name) : bpf_probe_read_user(u, size, (void *)name);
}

INLINE void read_sockaddr(struct event_address *a, u64 name, bool kernel) {
    struct user_sockaddr u = {};
    // An IPv4 address has 16 bytes and may stand at the end of a page.
    if (read_name(&u, 16, name, kernel))
        return;
    if (u.family == AF_INET6)
        read_name(&u, 24, name, kernel);
    else if (u.family != AF_INET)
        return;
    a->family = u.family;
    a->port = swap16(u.port);
    if (u.family == AF_INET)
        __builtin_memcpy(a->ip, u.rest, 4);
    else
        __builtin_memcpy(a->ip, u.rest + 4, 16);
}

INLINE bool port_wanted(u16 local, u16 remote) {
    for (u32 i = 0; i < PORTS; i++) {
        u16 port = datagram_ports[i];
        if (port && (port == local || port == remote))
            return 1;
    }
    return 0;
}

NOINLINE int move_datagram(u64 file, u64 sk, struct transfer *t, u32 slot) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!t || !w)
        return 0;
    read_addresses(sk, &w->local, &w->remote);
    if (t->name)
        read_sockaddr(&w->remote, t->name, t->kernel);
    if (!port_wanted(w->local.port, w->remote.port))
        return 0;
    if (!s)
        s = first_sight(sk, inode_of((void *)file), TRANSPORT_UDP, SEEN_DATA);
    if (!s)
        count_lost(LOSS_SOCKETS, 0, length_of(t, slot));
    if (!s || s->verdict[t->direction & 1] == VERDICT_IGNORE)
        return 0;
    if (!(s->flags & STATE_OPENED) && write_open(sk)) {
        lose(sk, t, 0, length_of(t, slot), LOSS_RING);
        return 0;
    }
    w->chunk.socket = s->id;
    w->chunk.pid_tgid = bpf_get_current_pid_tgid();
    w->chunk.flags = t->direction;
    start_work(w, t);
    if (t->vectors) {
        w->datagram = 1;
        write_vectors(slot);
        if (w->failed)
            lose(sk, t, 0, w->length, LOSS_RING);
        return 0;
    }
    w->chunk.address = t->address;
    w->chunk.length = t->room < t->length ? t->room : t->length;
    w->chunk.absent = 0;
    if (write_datagram(&w->chunk, &w->remote, t->length))
        lose(sk, t, 0, t->length, LOSS_RING);
    count_absent(&w->chunk);
    return 0;
}

// Unix streams count their own offset. What is announced by a send is counted when the call returns.
NOINLINE int move_unix(u64 sk, struct transfer *t, u32 slot) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!t || !s)
        return 0;
    u32 direction = t->direction & 1, sequence = s->offset[direction];
    if (direction == RECEIVED || t->done) {
        s->offset[direction] += t->length;
    } else {
        u64 thread = bpf_get_current_pid_tgid();
        if (!bpf_map_update_elem(&pending, &thread, &sk, BPF_NOEXIST))
            __sync_fetch_and_add(&in_flight, 1);
    }
    stream(s, sk, sequence, t, slot);
    return 0;
}

// Everything that is not a TCP socket already known: first sight, Unix, UDP, and what is not observed.
NOINLINE int move_other(u64 file_address, u64 sk, struct transfer *t, u32 slot) {
    struct file *file = (void *)file_address;
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!t)
        return 0;
    if (s && s->inode != inode_of(file)) { // another socket at the address of one that was closed
        end_socket(sk, 1);
        s = 0;
    }
    u8 transport = s ? s->transport : transport_of((void *)sk);
    if (!transport)
        return 0;
    if (transport == TRANSPORT_UDP)
        return move_datagram(file_address, sk, t, slot);
    if (!s) {
        u8 state = 0;
        READ(state, ((struct sock *)sk)->__sk_common.skc_state);
        if (transport == TRANSPORT_TCP && state == TCP_CLOSE)
            return 0;
        s = first_sight(sk, inode_of(file), transport, SEEN_DATA);
        if (!s)
            count_lost(LOSS_SOCKETS, 0, length_of(t, slot));
        else if (t->done) // this transfer belongs to what is observed
            s->start[t->direction & 1] -= transport == TRANSPORT_TCP ? t->length : 0;
    }
    if (!s)
        return 0;
    if (transport == TRANSPORT_UNIX)
        return move_unix(sk, t, slot);
    return move_tcp(sk, t, slot);
}
