// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// From the arguments of the socket layer's functions to transfers.
#pragma once
enum {
    SLOT_TCP_SEND = 0,
    SLOT_TCP_RECEIVE = 1,
    SLOT_UNIX_SEND = 2,
    SLOT_UNIX_RECEIVE = 3,
    SLOT_UDP_SEND = 4,
    SLOT_UDP_RECEIVE = 5,
    SLOT_UDPV6_SEND = 6,
    SLOT_UDPV6_RECEIVE = 7,
    WORKS = 8,
};
#include "datagram.h"

struct iovec {
    void *iov_base;
    unsigned long iov_len;
} CORE;
enum iter_type { ITER_IOVEC = 0, ITER_UBUF = 6 }; // the values differ by kernel and are relocated
struct iov_iter {
    u8 iter_type;
    unsigned long iov_offset, count;
    void *ubuf;
    unsigned long nr_segs;
} CORE;
struct iov_iter___before_64 {
    const struct iovec *iov;
} CORE;
struct iov_iter___since_64 {
    const struct iovec *__iov;
} CORE;
struct msghdr {
    void *msg_name;
    struct iov_iter msg_iter;
} CORE;

#define ENUM_EXISTS(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 0)
#define ENUM_VALUE(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 1)

// Every release of a socket is hooked: nothing is left to do when a process ends or runs another program.
INLINE void before_exit(u32 tgid) { (void)tgid; }
INLINE void after_exec(u32 tgid) { (void)tgid; }

enum { MEMORY_NONE = 0, MEMORY_BUFFER = 1, MEMORY_VECTORS = 2 };

// Describes the user memory of an iterator from which `consumed` bytes have been taken. MEMORY_NONE: it is not user
// memory. After the call the iterator has moved on, past its last vector if all was taken: the start is found
// backwards, nothing need be kept from the entry.
INLINE u32 read_iterator(struct transfer *t, struct msghdr *m, u64 consumed) {
    u8 type = m->msg_iter.iter_type;
    u64 offset = m->msg_iter.iov_offset;
    if (ENUM_EXISTS(enum iter_type, ITER_UBUF) && type == ENUM_VALUE(enum iter_type, ITER_UBUF)) {
        t->address = address_of(m->msg_iter.ubuf) + offset - consumed;
        t->vectors = 0;
        return MEMORY_BUFFER;
    }
    if (type != ENUM_VALUE(enum iter_type, ITER_IOVEC))
        return MEMORY_NONE;
    struct iov_iter___before_64 *old = (void *)&m->msg_iter;
    struct iov_iter___since_64 *new = (void *)&m->msg_iter;
    t->address = FIELD_EXISTS(old->iov) ? address_of(old->iov) : address_of(new->__iov);
    t->vectors = m->msg_iter.nr_segs;
    t->room = offset;
    return MEMORY_VECTORS;
}

// Finds the start of a receive over several vectors: from the current one back over what was filled.
INLINE void rewind_vectors(struct transfer *t, u64 consumed) {
    u64 filled = t->room, vector = t->address;
    u32 back = 0;
    for (u32 i = 0; i < 64; i++) {
        u64 length = 0;
        if (filled >= consumed)
            break;
        vector -= sizeof(struct user_iovec);
        if (bpf_probe_read_kernel(&length, sizeof(length), (void *)(vector + 8)))
            break;
        filled += length;
        back++;
    }
    t->address = vector;
    t->vectors += back;
    t->skip = filled >= consumed ? filled - consumed : 0;
}

// A transfer of `length` bytes on `sk`, at the entry of a TCP or UDP send, else at the exit.
INLINE int move_sock(u64 sk, struct msghdr *m, u64 length, u32 direction, u32 slot) {
    struct transfer t = {.direction = direction, .length = length};
    u16 family = 0;
    READ(family, ((struct sock *)sk)->__sk_common.skc_family);
    t.done = direction == RECEIVED || family == AF_UNIX;
    u64 consumed = t.done ? length : 0;
    t.kernel = 1;
    if (read_iterator(&t, m, consumed) == MEMORY_VECTORS)
        rewind_vectors(&t, consumed);
    t.room = length;
    t.name = address_of(m->msg_name);
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (s && s->transport == TRANSPORT_TCP)
        return move_tcp(sk, &t, slot);
    struct socket *socket = 0;
    struct file *file = 0;
    READ(socket, ((struct sock *)sk)->sk_socket);
    if (socket)
        READ(file, socket->file);
    if (!file) // a socket of the kernel's own
        return 0;
    return move_other((u64)file, sk, &t, slot);
}
