// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// From a file descriptor to the state of its socket; the life of a state.
#pragma once
#include "emit.h"
#include "filter.h"
#include "map/ended.h"
#include "map/listeners.h"
#include "map/sockets.h"

// Set once the sockets older than the probes have been looked through: what is first seen later is new.
u32 joined_all = 0;

// The struct sock behind a file, or 0. A struct socket points back at its file: nothing else kept in private_data has
// that pointer there, so no table of operations need be compared.
INLINE u64 sock_of_file(struct file *file) {
    struct socket *socket = 0;
    READ(socket, file->private_data);
    if (!socket)
        return 0;
    struct {
        struct file *file;
        u64 sk;
    } pair = {};
    if (FIELD_OFFSET(socket->sk) == FIELD_OFFSET(socket->file) + 8) {
        if (bpf_probe_read_kernel(&pair, sizeof(pair), &socket->file))
            return 0;
    } else {
        READ(pair.file, socket->file);
        READ(pair.sk, socket->sk);
    }
    return pair.file == file ? pair.sk : 0;
}

INLINE struct file *file_of(u32 fd) {
    struct task_struct *t = bpf_get_current_task_btf();
    struct fdtable *table = t->files->fdt;
    struct file *file = 0;
    if (fd >= table->max_fds)
        return 0;
    // A pointer to pointers: the verifier follows no further.
    bpf_probe_read_kernel(&file, sizeof(file), table->fd + fd);
    return file;
}

INLINE u64 inode_of(struct file *file) {
    struct inode *inode = 0;
    unsigned long number = 0;
    READ(inode, file->f_inode);
    if (inode)
        READ(number, inode->i_ino);
    return number;
}

INLINE u64 inode_of_sock(struct sock *sk) {
    struct socket *socket = 0;
    struct file *file = 0;
    READ(socket, sk->sk_socket);
    if (socket)
        READ(file, socket->file);
    return file ? inode_of(file) : 0;
}

NOINLINE u32 netns_number(u64 key) {
    struct sock *sk = (void *)key;
    struct net *net = 0;
    u32 inum = 0;
    READ(net, sk->__sk_common.skc_net.net);
    if (net)
        READ(inum, net->ns.inum);
    return inum;
}

INLINE u32 netns_of(struct sock *sk) { return netns_number((u64)sk); }

INLINE void set_ipv4(struct event_address *a, u32 ip) { __builtin_memcpy(a->ip, &ip, sizeof(ip)); }

// The addresses as the socket's owner knows them.
INLINE void read_addresses_inline(u64 key, struct event_address *local, struct event_address *remote) {
    struct sock *sk = (void *)key;
    u16 family = 0, port = 0;
    u32 ip = 0;
    local->family = remote->family = 0;
    READ(family, sk->__sk_common.skc_family);
    if (family != AF_INET && family != AF_INET6)
        return;
    local->family = family;
    READ(port, sk->__sk_common.skc_num);
    if (!port) { // TCP gave it back: the socket is closed
        READ(port, ((struct inet_sock *)sk)->inet_sport);
        port = swap16(port);
    }
    local->port = port;
    READ(port, sk->__sk_common.skc_dport);
    remote->port = swap16(port);
    remote->family = port ? family : 0;
    if (family == AF_INET) {
        READ(ip, sk->__sk_common.skc_rcv_saddr);
        set_ipv4(local, ip);
        READ(ip, sk->__sk_common.skc_daddr);
        set_ipv4(remote, ip);
    } else {
        READ(local->ip, sk->__sk_common.skc_v6_rcv_saddr);
        READ(remote->ip, sk->__sk_common.skc_v6_daddr);
    }
}

NOINLINE int read_addresses(u64 key, struct event_address *local, struct event_address *remote) {
    if (local && remote)
        read_addresses_inline(key, local, remote);
    return 0;
}

INLINE void fill_open(struct event_open *e, struct socket_state *s, u64 sk) {
    fill_head(&e->head, OP_OPEN, s->flags & STATE_JOINED ? FLAG_JOINED : 0, sizeof(*e), s->id,
              (u64)s->tgid << 32 | s->tid);
    read_addresses_inline(sk, &e->local, &e->remote);
    e->inode = s->inode;
    e->own_key = sk;
    e->netns = s->netns;
    e->transport = s->transport;
    e->role = s->role;
    e->start[0] = s->start[0];
    e->start[1] = s->start[1];
    if (s->transport == TRANSPORT_UNIX)
        READ(e->peer_key, ((struct unix_sock *)sk)->peer);
}

// Tells of the socket, once; tried again at its next use if the ring buffer was full. Nothing else is told of it
// before.
NOINLINE int write_open(u64 sk) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s || s->flags & STATE_OPENED)
        return 0;
    u64 wake = wake_flag(sizeof(struct event_open));
    struct event_open *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0); // no room on the stack of the longest ways here
    if (!e) {
        s->flags |= STATE_UNTOLD;
        lost(LOSS_RING, 0);
        return -1;
    }
    __builtin_memset(e, 0, sizeof(*e));
    fill_open(e, s, sk);
    bpf_ringbuf_submit(e, wake);
    s->flags |= STATE_OPENED;
    return 0;
}

NOINLINE int write_connect_failed(struct event_connect_failed *e, u64 pid_tgid) {
    if (!e)
        return 0;
    fill_head(&e->head, OP_CONNECT_FAILED, 0, sizeof(*e), 0, pid_tgid);
    if (bpf_ringbuf_output(&ring, e, sizeof(*e), wake_flag(sizeof(*e))))
        lost(LOSS_RING, 0);
    return 0;
}

// Where the next byte that is sent will stand in the stream.
INLINE u32 tcp_sending_at(u64 sk) {
    struct tcp_sock *t = (void *)sk;
    u32 next = 0;
    READ(next, t->write_seq);
    return next;
}

// Where the `length` bytes that were just received stood. The FIN counts as a byte of the sequence, and a receive that
// empties the queue may have taken it along: looked into where a receive does not continue the one before.
INLINE u32 tcp_received_at(u64 sk, struct socket_state *s, u32 length) {
    struct tcp_sock *t = (void *)sk;
    u32 next = 0, expected = 0;
    READ(next, t->copied_seq);
    if (next - length != s->offset[1]) {
        unsigned long flags = 0;
        READ(flags, ((struct sock *)sk)->__sk_common.skc_flags);
        READ(expected, t->rcv_nxt);
        if (flags >> SOCK_DONE & 1 && next == expected)
            next--;
    }
    s->offset[1] = next;
    return next - length;
}

// Where both directions of a TCP connection are before anything of it is told of.
INLINE void tcp_start(u64 sk, struct socket_state *s) {
    s->start[0] = tcp_sending_at(sk);
    s->start[1] = tcp_received_at(sk, s, 0);
}

// Counts a send that was not captured from `mark` on, now that it is known how much of it the kernel took.
INLINE void settle(struct socket_state *s, u32 now) {
    if (!(s->flags & STATE_MARKED))
        return;
    s32 distance = now - s->mark;
    u32 moved = distance < 0 ? 0 : distance;
    if (moved > s->last)
        moved = s->last;
    if (s->marked == MARKED_SKIPPED)
        s->skipped[0] += moved;
    else
        count_lost(s->marked, 0, moved);
    s->flags &= ~STATE_MARKED;
}

// Has that done at the next send.
INLINE void mark(struct socket_state *s, u32 sequence, u64 length, u8 reason) {
    s->mark = sequence;
    s->last = length > 0xffffffff ? 0xffffffff : length;
    s->marked = reason;
    s->flags |= STATE_MARKED;
}

// The last words about a socket.
INLINE void fill_close(struct event_close *e, struct socket_state *s) {
    fill_head(&e->head, OP_CLOSE, 0, sizeof(*e), s->id, (u64)s->tgid << 32 | s->tid);
    e->skipped[0] = s->skipped[0];
    e->skipped[1] = s->skipped[1];
    e->end[0] = s->offset[0];
    e->end[1] = s->offset[1];
    e->records[0] = s->records[0];
    e->records[1] = s->records[1];
}

// Keeps them for later: the ring buffer is full.
NOINLINE int keep_ended(u64 sk) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s)
        return 0;
    u64 id = s->id;
    bpf_map_update_elem(&ended, &id, (const void *)&no_ended, BPF_NOEXIST);
    struct ended *e = bpf_map_lookup_elem(&ended, &id);
    if (!e) {
        lost(LOSS_CLOSES, 0);
        return 0;
    }
    if (!(s->flags & STATE_OPENED))
        fill_open(&e->open, s, sk);
    fill_close(&e->close, s);
    __sync_fetch_and_or(&e->ready, 1); // the barrier between them
    return 0;
}

// The socket is gone. `replaced`: another one is at its address already.
NOINLINE int end_socket(u64 sk, u32 replaced) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s)
        return 0;
    if (s->transport == TRANSPORT_TCP && !replaced) {
        if (!(s->flags & STATE_SENT))
            s->offset[0] = tcp_sending_at(sk);
        tcp_received_at(sk, s, 0);
    }
    settle(s, s->offset[0]);
    struct event_close *e = 0;
    if (s->flags & STATE_OPENED) {
        u64 wake = wake_flag(sizeof(*e));
        e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
        if (e) {
            fill_close(e, s);
            bpf_ringbuf_submit(e, wake);
        }
    }
    if (!e && s->flags & (STATE_OPENED | STATE_UNTOLD))
        keep_ended(sk);
    bpf_map_delete_elem(&sockets, &sk);
    return 0;
}

enum { SEEN_ACCEPT = 1, SEEN_CONNECT = 2, SEEN_DATA = 3, SEEN_BEFORE = 4 };

// What kind of stream or datagram socket it is; 0: none that is observed.
INLINE u8 transport_of(struct sock *sk) {
    u16 family = 0, type = 0, protocol = 0;
    u8 state = 0;
    READ(family, sk->__sk_common.skc_family);
    READ(type, sk->sk_type);
    if (family == AF_UNIX)
        return type == SOCK_STREAM ? TRANSPORT_UNIX : 0;
    if (family != AF_INET && family != AF_INET6)
        return 0;
    READ(protocol, sk->sk_protocol);
    if (protocol == IPPROTO_UDP && type == SOCK_DGRAM)
        return TRANSPORT_UDP;
    if (protocol != IPPROTO_TCP || type != SOCK_STREAM)
        return 0;
    READ(state, sk->__sk_common.skc_state);
    return state == TCP_LISTEN ? 0 : TRANSPORT_TCP;
}

// Who opened a connection that was not seen opened: whoever listens on the local port accepted it.
// That no listener is known says something only once all sockets were looked through.
NOINLINE u32 role_before(u64 key, u32 netns, u32 complete) {
    struct sock *sk = (void *)key;
    u16 port = 0;
    READ(port, sk->__sk_common.skc_num);
    if (listened(netns, port))
        return ROLE_SERVER;
    return complete ? ROLE_CLIENT : ROLE_NONE;
}

// Makes the state of a socket; counts it as lost where the table is full.
NOINLINE int make_state(u64 key, u64 inode, u32 transport, u32 how) {
    struct sock *sk = (void *)key;
    struct socket_state n = {};
    u64 pid_tgid = bpf_get_current_pid_tgid();
    n.transport = transport;
    n.id = __sync_fetch_and_add(&next_socket, 1);
    n.inode = inode;
    n.tgid = pid_tgid >> 32;
    n.tid = pid_tgid;
    n.netns = netns_of(sk);
    if (transport == TRANSPORT_TCP && how != SEEN_CONNECT) // which has no sequence numbers yet
        tcp_start(key, &n);
    if (how == SEEN_ACCEPT)
        n.role = ROLE_SERVER;
    else if (how == SEEN_CONNECT)
        n.role = ROLE_CLIENT;
    else if (transport == TRANSPORT_TCP)
        n.role = role_before(key, n.netns, joined_all || how == SEEN_BEFORE);
    if (how == SEEN_BEFORE ||
        (how == SEEN_DATA && transport != TRANSPORT_UDP && (transport == TRANSPORT_TCP || !joined_all)))
        n.flags = STATE_JOINED;
    if (bpf_map_update_elem(&sockets, &key, &n, BPF_NOEXIST) == -E2BIG) {
        lost(LOSS_SOCKETS, 0);
        return -1;
    }
    return 0;
}

INLINE struct socket_state *first_sight(u64 key, u64 inode, u32 transport, u32 how) {
    return make_state(key, inode, transport, how) ? 0 : bpf_map_lookup_elem(&sockets, &key);
}
