// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The life of TCP sockets, from the protocol itself: whoever sends the SYN is the client, however the call was made;
// the socket is gone when TCP destroys it, however it was closed.
#include "../include/process.h"
#include "../include/socket.h"

static NOINLINE int connecting(u64 sk) {
    u64 pid_tgid = bpf_get_current_pid_tgid();
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (s)
        end_socket(sk, 1); // an earlier attempt on the same socket
    if (!is_traced(pid_tgid >> 32))
        return 0;
    s = first_sight(sk, inode_of_sock((void *)sk), TRANSPORT_TCP, SEEN_CONNECT);
    if (!s)
        return 0;
    s->flags |= STATE_CONNECTING;
    s->started = bpf_ktime_get_ns();
    return 0;
}

static NOINLINE int tell_failure(struct socket_state *s, u64 sk, u32 error) {
    struct event_connect_failed e = {.transport = TRANSPORT_TCP, .error = error};
    struct event_address local = {};
    e.started = s->started;
    e.netns = s->netns;
    read_addresses(sk, &local, &e.remote);
    return write_connect_failed(&e, (u64)s->tgid << 32 | s->tid);
}

static NOINLINE int attempt_over(u64 sk, bool established) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    int error = 0;
    if (!s || !(s->flags & STATE_CONNECTING))
        return 0;
    s->flags &= ~STATE_CONNECTING;
    if (established) {
        tcp_start(sk, s);
        return s->flags & STATE_OPENED ? 0 : write_open(sk);
    }
    READ(error, ((struct sock *)sk)->sk_err);
    s->flags |= error ? STATE_FAILED : STATE_ABORTED;
    return error ? tell_failure(s, sk, error) : 0;
}

// Nothing more is sent: what follows is the FIN, which counts as a byte of the sequence, or what a disconnected socket
// does to its numbers.
static NOINLINE int sending_over(u64 sk) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s || s->flags & STATE_SENT)
        return 0;
    s->offset[0] = tcp_sending_at(sk);
    s->flags |= STATE_SENT;
    return 0;
}

SEC("tp_btf/inet_sock_set_state") int inet_sock_set_state(u64 *c) {
    struct sock *sk = (struct sock *)c[0];
    int before = c[1], now = c[2];
    if (sk->sk_protocol != IPPROTO_TCP)
        return 0;
    if (any_port_chosen && now == TCP_SYN_SENT)
        choose_caller(swap16(sk->__sk_common.skc_dport));
    else if (any_port_chosen && now == TCP_LISTEN)
        choose_caller(sk->__sk_common.skc_num);
    if (now == TCP_SYN_SENT)
        connecting(address_of(sk));
    else if (before == TCP_SYN_SENT)
        attempt_over(address_of(sk), now != TCP_CLOSE);
    else if (now == TCP_FIN_WAIT1 || now == TCP_LAST_ACK || (now == TCP_CLOSE && before != TCP_LISTEN))
        sending_over(address_of(sk));
    else if (now == TCP_LISTEN || before == TCP_LISTEN)
        count_listener(sk->__sk_common.skc_net.net->ns.inum, sk->__sk_common.skc_num, now == TCP_LISTEN ? 1 : -1);
    return 0;
}

SEC("tp_btf/tcp_destroy_sock") int tcp_destroy_sock(u64 *c) {
    u64 sk = address_of((void *)c[0]);
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s)
        return 0;
    if (s->flags & STATE_ABORTED) // given up by the application
        tell_failure(s, sk, ECANCELED);
    end_socket(sk, 0);
    return 0;
}
