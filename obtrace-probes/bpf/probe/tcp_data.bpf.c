// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The data path at the socket layer: one hook a call and nothing else, which costs an untraced process a third of what
// the system calls' tracepoints cost, and also shows what io_uring, sendfile and splice move. The offset and the buffer
// are both there after a receive, so the entry of it is not hooked.
#include "../include/fentry.h"

static NOINLINE int send_slow(u64 *c) {
    return move_sock(address_of((void *)c[0]), (struct msghdr *)c[1], c[2], SENT, SLOT_TCP_SEND);
}

static NOINLINE int receive_slow(u64 *c) {
    return move_sock(address_of((void *)c[0]), (struct msghdr *)c[1], (u32)c[5], RECEIVED, SLOT_TCP_RECEIVE);
}

SEC("fentry/tcp_sendmsg") int tcp_sendmsg(u64 *c) { // sk, msg, size
    if (!current_traced() || !c[2])
        return 0;
    send_slow(c);
    return 0;
}

SEC("fexit/tcp_recvmsg") int tcp_recvmsg(u64 *c) { // sk, msg, len, flags, addr_len, result (Linux 5.19 and newer)
    if ((int)c[5] <= 0 || !current_traced() || c[3] & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE))
        return 0;
    receive_slow(c);
    return 0;
}
