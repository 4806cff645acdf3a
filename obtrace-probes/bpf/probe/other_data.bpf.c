// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Unix streams and UDP at the socket layer. Unix sends are taken when they return: only then is it known how much was
// taken, and such a stream has no sequence numbers of its own.
#include "../include/fentry.h"

static NOINLINE int unix_slow(u64 *c, u64 length, u32 direction, u32 slot) {
    struct socket *socket = (struct socket *)c[0];
    u64 sk = 0;
    READ(sk, socket->sk);
    return sk ? move_sock(sk, (struct msghdr *)c[1], length, direction, slot) : 0;
}

SEC("fexit/unix_stream_sendmsg") int unix_stream_sendmsg(u64 *c) { // sock, msg, len, result
    if ((int)c[3] > 0 && current_traced())
        unix_slow(c, (u32)c[3], SENT, SLOT_UNIX_SEND);
    return 0;
}

SEC("fexit/unix_stream_recvmsg") int unix_stream_recvmsg(u64 *c) { // sock, msg, size, flags, result
    if ((int)c[4] > 0 && !(c[3] & MSG_PEEK) && current_traced())
        unix_slow(c, (u32)c[4], RECEIVED, SLOT_UNIX_RECEIVE);
    return 0;
}

static NOINLINE int udp_slow(u64 *c, u64 length, u32 direction, u32 slot) {
    return move_sock(address_of((void *)c[0]), (struct msghdr *)c[1], length, direction, slot);
}

SEC("fentry/udp_sendmsg") int udp_sendmsg(u64 *c) { // sk, msg, len
    if (c[2] && current_traced())
        udp_slow(c, c[2], SENT, SLOT_UDP_SEND);
    return 0;
}

SEC("fentry/udpv6_sendmsg") int udpv6_sendmsg(u64 *c) { // sk, msg, len
    if (c[2] && current_traced())
        udp_slow(c, c[2], SENT, SLOT_UDPV6_SEND);
    return 0;
}

SEC("fexit/udp_recvmsg") int udp_recvmsg(u64 *c) { // sk, msg, len, flags, addr_len, result
    if ((int)c[5] > 0 && !(c[3] & (MSG_PEEK | MSG_ERRQUEUE)) && current_traced())
        udp_slow(c, (u32)c[5], RECEIVED, SLOT_UDP_RECEIVE);
    return 0;
}

SEC("fexit/udpv6_recvmsg") int udpv6_recvmsg(u64 *c) { // sk, msg, len, flags, addr_len, result
    if ((int)c[5] > 0 && !(c[3] & (MSG_PEEK | MSG_ERRQUEUE)) && current_traced())
        udp_slow(c, (u32)c[5], RECEIVED, SLOT_UDPV6_RECEIVE);
    return 0;
}

SEC("fentry/unix_release") int unix_release(u64 *c) { // sock
    struct socket *socket = (struct socket *)c[0];
    u64 sk = 0;
    READ(sk, socket->sk);
    if (sk)
        end_socket(sk, 0);
    return 0;
}

SEC("fentry/udp_destroy_sock") int udp_destroy_sock(u64 *c) { // sk
    end_socket(address_of((void *)c[0]), 0);
    return 0;
}

SEC("fentry/udpv6_destroy_sock") int udpv6_destroy_sock(u64 *c) { // sk
    end_socket(address_of((void *)c[0]), 0);
    return 0;
}
