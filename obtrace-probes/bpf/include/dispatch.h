// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// From a system call to the transfers it makes.
#pragma once
enum { SLOT_ENTER = 0, SLOT_EXIT = 1, WORKS = 2 };
#include "calls.h"
#include "datagram.h"
#include "descriptors.h"

enum { TRANSFER_LIMIT = 0x7ffff000 }; // MAX_RW_COUNT

INLINE int move_inline(u32 fd, struct transfer *t, u32 slot) {
    struct file *file = file_of(fd);
    if (!file)
        return 0;
    u64 sk = sock_of_file(file);
    if (!sk)
        return 0;
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s || s->transport != TRANSPORT_TCP)
        return move_other((u64)file, sk, t, slot);
    return move_tcp(sk, t, slot);
}

NOINLINE int move(u32 fd, struct transfer *t, u32 slot) { return t ? move_inline(fd, t, slot) : 0; }

// One vector is a buffer.
INLINE void unwrap_vector(struct transfer *t) {
    struct user_iovec v = {};
    if (t->vectors > 1024)
        t->vectors = 1024;
    if (t->vectors != 1)
        return;
    if (bpf_probe_read_user(&v, sizeof(v), (void *)t->address))
        return;
    t->address = v.base;
    t->vectors = 0;
    t->room = v.length > TRANSFER_LIMIT ? TRANSFER_LIMIT : v.length;
    if (!t->done)
        t->length = t->room;
}

// Apart, for the sake of the 512 bytes of stack that all frames share.
NOINLINE int read_message(struct transfer *t, u64 header) {
    struct user_msghdr m = {};
    if (!t)
        return 0;
    if (bpf_probe_read_user(&m, sizeof(m), (void *)header))
        return 0;
    t->address = m.vectors;
    t->vectors = m.vector_count;
    t->name = m.name;
    t->room = TRANSFER_LIMIT;
    return m.vector_count != 0;
}

// One message of sendmmsg or recvmmsg.
NOINLINE int move_message(u32 fd, u64 header, u32 slot) {
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    u32 length = 0;
    if (!w)
        return 0;
    struct transfer *t = &w->transfer;
    __builtin_memset(t, 0, sizeof(*t));
    t->direction = slot == SLOT_ENTER ? SENT : RECEIVED;
    t->done = slot == SLOT_EXIT;
    t->length = ~0ull;
    if (!read_message(t, header))
        return 0;
    if (slot == SLOT_EXIT) {
        bpf_probe_read_user(&length, sizeof(length), (void *)(header + sizeof(struct user_msghdr)));
        t->length = length;
    }
    unwrap_vector(t);
    if (t->length)
        move_inline(fd, t, slot); // the kernel allows eight frames of calls, and this is the longest way
    return 0;
}

INLINE void move_messages(u32 fd, u64 headers, u64 count, u32 slot) {
    for (u32 i = 0; i < MESSAGES; i++) {
        if (i >= count)
            break;
        move_message(fd, headers + (u64)i * sizeof(struct user_mmsghdr), slot);
    }
}

// The transfer of this call, in memory: the stack is short.
INLINE struct transfer *start_transfer(struct work *w, u32 direction, u64 length) {
    struct transfer *t = &w->transfer;
    __builtin_memset(t, 0, sizeof(*t));
    t->direction = direction;
    t->address = w->call.argument[1];
    t->length = length;
    return t;
}

INLINE int enter_call(struct work *w) {
    u64 *a = w->call.argument;
    struct transfer *t = start_transfer(w, SENT, a[2]);
    if (compat_call())
        return 0;
    // Descriptor a[1] comes to name another file.
    if (w->call.number == CALL_DUP2 || w->call.number == CALL_DUP3)
        return a[0] == a[1] ? 0 : close_descriptor(a[1], DESCRIPTOR_CLOSED);
    switch (w->call.number) {
    case CALL_CLOSE:
        return close_descriptor(a[0], DESCRIPTOR_CLOSED);
    case CALL_CLOSE_RANGE:
        return close_range(a[0], a[1], a[2]);
    case CALL_EXECVE:
    case CALL_EXECVEAT:
        return before_exec();
    case CALL_SENDTO:
        t->name = a[4];
        if (a[3] & MSG_OOB)
            return 0;
        break;
    case CALL_WRITE:
        break;
    case CALL_WRITEV:
        t->vectors = a[2];
        t->length = ~0ull;
        break;
    case CALL_SENDMSG:
        if (!read_message(t, a[1]) || a[2] & MSG_OOB)
            return 0;
        t->length = ~0ull;
        break;
    case CALL_SENDMMSG:
        move_messages(a[0], a[1], a[2], SLOT_ENTER);
        return 0;
    default:
        return 0;
    }
    if (t->vectors)
        unwrap_vector(t);
    else if (t->length > TRANSFER_LIMIT)
        t->length = TRANSFER_LIMIT;
    if (!t->length)
        return 0;
    t->room = TRANSFER_LIMIT;
    return move(a[0], t, SLOT_ENTER);
}

// accept() returned a connection.
NOINLINE int accepted(u32 fd) {
    struct file *file = file_of(fd);
    if (!file)
        return 0;
    u64 sk = sock_of_file(file), inode;
    if (!sk)
        return 0;
    u8 transport = transport_of((void *)sk);
    if (transport != TRANSPORT_TCP && transport != TRANSPORT_UNIX)
        return 0;
    inode = inode_of(file);
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (s && s->inode != inode) {
        end_socket(sk, 1);
        s = 0;
    }
    if (!s)
        s = first_sight(sk, inode, transport, SEEN_ACCEPT);
    if (s && !(s->flags & STATE_OPENED))
        write_open(sk);
    return 0;
}

// connect() returned. TCP's own attempts are seen by their states (probe/tcp.bpf.c): here are Unix streams, and what
// failed before a packet was sent.
NOINLINE int connected(struct call *c) {
    if (!c)
        return 0;
    struct file *file = file_of(c->argument[0]);
    if (!file)
        return 0;
    u64 sk = sock_of_file(file);
    if (!sk)
        return 0;
    u8 transport = transport_of((void *)sk);
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (c->result == 0) {
        if (transport != TRANSPORT_UNIX)
            return 0;
        u64 inode = inode_of(file);
        if (s && s->inode != inode) {
            end_socket(sk, 1);
            s = 0;
        }
        if (!s)
            s = first_sight(sk, inode, transport, SEEN_CONNECT);
        if (s && !(s->flags & STATE_OPENED))
            write_open(sk);
        return 0;
    }
    s64 error = -c->result;
    if (error == EINPROGRESS || error == EALREADY || error == EINTR || error == EISCONN || error >= ERESTARTSYS)
        return 0;
    if (transport != TRANSPORT_TCP && transport != TRANSPORT_UNIX)
        return 0;
    if (transport == TRANSPORT_UNIX && error == EAGAIN)
        return 0;
    struct event_connect_failed e = {.transport = transport, .error = error};
    e.started = bpf_ktime_get_ns();
    if (transport == TRANSPORT_TCP && s) {
        if (!(s->flags & STATE_ABORTED))
            return 0; // told already
        e.started = s->started;
        s->flags = (s->flags & ~STATE_ABORTED) | STATE_FAILED;
    }
    read_sockaddr(&e.remote, c->argument[1], 0);
    e.netns = netns_of((void *)sk);
    return write_connect_failed(&e, bpf_get_current_pid_tgid());
}

// A send on a socket that counts its own offset returned.
NOINLINE int sent(struct call *c) {
    if (!c)
        return 0;
    u64 thread = bpf_get_current_pid_tgid(), *key = bpf_map_lookup_elem(&pending, &thread), sk;
    if (!key)
        return 0;
    sk = *key;
    bpf_map_delete_elem(&pending, &thread);
    __sync_fetch_and_add(&in_flight, -1);
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (s && c->result > 0 && c->number != CALL_SENDMMSG)
        s->offset[SENT] += c->result;
    return 0;
}

INLINE int exit_call(struct work *w) {
    struct call *c = &w->call;
    u64 *a = c->argument;
    struct transfer *t = start_transfer(w, RECEIVED, c->result);
    t->done = 1;
    if (compat_call())
        return 0;
    if (c->number == CALL_CONNECT)
        return connected(c);
    if (c->result < 0)
        return 0;
    if (c->number == CALL_ACCEPT || c->number == CALL_ACCEPT4)
        return accepted(c->result);
    if (c->result == 0)
        return 0;
    t->room = a[2] > TRANSFER_LIMIT ? TRANSFER_LIMIT : a[2];
    switch (c->number) {
    case CALL_READ:
        break;
    case CALL_RECVFROM:
        if (a[3] & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE))
            return 0;
        t->name = a[4];
        break;
    case CALL_READV:
        t->vectors = a[2];
        break;
    case CALL_RECVMSG:
        if (a[2] & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE) || !read_message(t, a[1]))
            return 0;
        break;
    case CALL_RECVMMSG:
        if (!(a[3] & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)))
            move_messages(a[0], a[1], c->result, SLOT_EXIT);
        return 0;
    case CALL_SENDFILE:
        t->direction = SENT;
        t->address = 0; // user memory never held the bytes
        break;
    case CALL_SPLICE:
        t->address = 0;
        move(a[0], t, SLOT_EXIT);
        t->length = c->result; // a verdict may have cut it
        t->direction = SENT;
        return move(a[2], t, SLOT_EXIT);
    default:
        return 0;
    }
    if (t->vectors)
        unwrap_vector(t);
    return move(a[0], t, SLOT_EXIT);
}
