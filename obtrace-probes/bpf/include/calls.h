// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Numbers of the system calls that move bytes of sockets, and the arguments as the registers hold them.
#pragma once
#include "helpers.h"

#if defined(__TARGET_ARCH_x86)
enum {
    CALL_READ = 0,
    CALL_WRITE = 1,
    CALL_CLOSE = 3,
    CALL_READV = 19,
    CALL_WRITEV = 20,
    CALL_DUP2 = 33,
    CALL_SENDFILE = 40,
    CALL_CONNECT = 42,
    CALL_ACCEPT = 43,
    CALL_SENDTO = 44,
    CALL_RECVFROM = 45,
    CALL_SENDMSG = 46,
    CALL_RECVMSG = 47,
    CALL_EXECVE = 59,
    CALL_SPLICE = 275,
    CALL_ACCEPT4 = 288,
    CALL_DUP3 = 292,
    CALL_RECVMMSG = 299,
    CALL_SENDMMSG = 307,
    CALL_EXECVEAT = 322,
    CALL_CLOSE_RANGE = 436,
};
#else // the generic table: arm64
enum {
    CALL_DUP3 = 24,
    CALL_DUP2 = CALL_DUP3, // there is no other
    CALL_CLOSE = 57,
    CALL_READ = 63,
    CALL_WRITE = 64,
    CALL_READV = 65,
    CALL_WRITEV = 66,
    CALL_SENDFILE = 71,
    CALL_SPLICE = 76,
    CALL_ACCEPT = 202,
    CALL_CONNECT = 203,
    CALL_SENDTO = 206,
    CALL_RECVFROM = 207,
    CALL_SENDMSG = 211,
    CALL_RECVMSG = 212,
    CALL_ACCEPT4 = 242,
    CALL_EXECVE = 221,
    CALL_RECVMMSG = 243,
    CALL_SENDMMSG = 269,
    CALL_EXECVEAT = 281,
    CALL_CLOSE_RANGE = 436,
};
#endif

// A set of numbers as constants in 64-bit words: the test is a shift and a mask, no memory is read.
#define BIT_IN(call, word) ((call) / 64 == (word) ? 1ull << ((call) % 64) : 0)
#define SEND_SET(w)                                                                                                    \
    (BIT_IN(CALL_WRITE, w) | BIT_IN(CALL_WRITEV, w) | BIT_IN(CALL_SENDTO, w) | BIT_IN(CALL_SENDMSG, w) |               \
     BIT_IN(CALL_SENDMMSG, w))
#define ENTER_SET(w)                                                                                                   \
    (SEND_SET(w) | BIT_IN(CALL_CLOSE, w) | BIT_IN(CALL_DUP2, w) | BIT_IN(CALL_DUP3, w) | BIT_IN(CALL_EXECVE, w) |      \
     BIT_IN(CALL_EXECVEAT, w) | BIT_IN(CALL_CLOSE_RANGE, w))
#define RECEIVE_SET(w)                                                                                                 \
    (BIT_IN(CALL_READ, w) | BIT_IN(CALL_READV, w) | BIT_IN(CALL_RECVFROM, w) | BIT_IN(CALL_RECVMSG, w) |               \
     BIT_IN(CALL_RECVMMSG, w) | BIT_IN(CALL_ACCEPT, w) | BIT_IN(CALL_ACCEPT4, w) | BIT_IN(CALL_CONNECT, w) |           \
     BIT_IN(CALL_SENDFILE, w) | BIT_IN(CALL_SPLICE, w))
#define IN_SET(set, call)                                                                                              \
    ((call) < 64    ? set(0) >> (call) & 1                                                                             \
     : (call) < 128 ? set(1) >> ((call) & 63) & 1                                                                      \
     : (call) < 192 ? set(2) >> ((call) & 63) & 1                                                                      \
     : (call) < 256 ? set(3) >> ((call) & 63) & 1                                                                      \
     : (call) < 320 ? set(4) >> ((call) & 63) & 1                                                                      \
     : (call) < 384 ? set(5) >> ((call) & 63) & 1                                                                      \
     : (call) < 448 ? set(6) >> ((call) & 63) & 1                                                                      \
                    : 0)

struct call {
    u64 argument[6];
    s64 result;
    u64 number;
};

INLINE void read_arguments(struct call *c, struct pt_regs *r) {
#if defined(__TARGET_ARCH_x86)
    c->argument[0] = r->di;
    c->argument[1] = r->si;
    c->argument[2] = r->dx;
    c->argument[3] = r->r10;
    c->argument[4] = r->r8;
    c->argument[5] = r->r9;
#else
    c->argument[0] = r->orig_x0;
    c->argument[1] = r->regs[1];
    c->argument[2] = r->regs[2];
    c->argument[3] = r->regs[3];
    c->argument[4] = r->regs[4];
    c->argument[5] = r->regs[5];
#endif
}

INLINE u64 call_number(struct pt_regs *r) {
#if defined(__TARGET_ARCH_x86)
    return r->orig_ax;
#else
    return (u32)r->syscallno;
#endif
}

// A 32-bit program on a 64-bit kernel: its call numbers mean other calls and its vectors have another layout.
INLINE bool compat_call(void) {
    struct task_struct *t = bpf_get_current_task_btf();
#if defined(__TARGET_ARCH_x86)
    return t->thread_info.status & 2; // TS_COMPAT
#else
    return t->thread_info.flags >> 22 & 1; // TIF_32BIT
#endif
}
