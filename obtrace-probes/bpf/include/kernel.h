// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The kernel's own structures: only the fields that are read. Their offsets are relocated at load (CO-RE).
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef _Bool bool;

#define CORE __attribute__((preserve_access_index))

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax;
} CORE;
struct thread_info {
    u32 status;
} CORE;
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
    u64 regs[31];
    u64 orig_x0;
    s32 syscallno;
} CORE;
struct thread_info {
    unsigned long flags;
} CORE;
#else
#error "unknown target architecture"
#endif

struct ns_common {
    u32 inum;
} CORE;
struct net {
    struct ns_common ns;
} CORE;
struct pid_namespace {
    struct ns_common ns;
} CORE;
struct upid {
    int nr;
    struct pid_namespace *ns;
} CORE;
struct pid {
    u32 level;
    struct upid numbers[1];
} CORE;
struct inode {
    unsigned long i_ino;
} CORE;
struct file {
    struct inode *f_inode;
    void *private_data;
} CORE;
// The counter of references: atomic_long_t f_count before Linux 6.13, file_ref_t f_ref since.
struct file___count {
    struct {
        s64 counter;
    } f_count;
} CORE;
struct file___ref {
    struct {
        struct {
            s64 counter;
        } refcnt;
    } f_ref;
} CORE;
struct fdtable {
    u32 max_fds;
    struct file **fd;
    unsigned long *close_on_exec, *open_fds; // one bit a descriptor
} CORE;
struct files_struct {
    struct {
        int counter;
    } count;
    struct fdtable *fdt;
} CORE;
struct signal_struct {
    struct {
        int counter;
    } live;
} CORE;
struct task_struct {
    struct thread_info thread_info;
    int pid, tgid;
    struct pid *thread_pid;
    struct files_struct *files;
    struct signal_struct *signal;
    u64 start_boottime;
    char comm[16];
} CORE;

struct in6_addr {
    u8 bytes[16];
};
struct sock_common {
    u32 skc_daddr, skc_rcv_saddr;
    u16 skc_dport, skc_num; // the first in network order
    u16 skc_family;
    u8 skc_state;
    struct {
        struct net *net;
    } skc_net;
    struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
    unsigned long skc_flags;
} CORE;
struct sock {
    struct sock_common __sk_common;
    int sk_err;
    struct socket *sk_socket;
    u16 sk_protocol, sk_type;
} CORE;
struct socket {
    struct file *file;
    struct sock *sk;
} CORE;
struct inet_sock {
    u16 inet_sport; // network order; stays when the port is given back
} CORE;
struct tcp_sock {
    u32 copied_seq, write_seq, rcv_nxt;
} CORE;
struct unix_sock {
    struct sock *peer;
} CORE;

struct bpf_iter_meta {
    struct seq_file *seq;
} CORE;

// What user space passes to system calls: fixed layouts, nothing to relocate.
struct user_iovec {
    u64 base, length;
};
struct user_msghdr {
    u64 name;
    u32 name_length, pad;
    u64 vectors, vector_count, control, control_length;
    u32 flags, pad2;
};
struct user_mmsghdr {
    struct user_msghdr header;
    u32 length, pad;
};
struct user_sockaddr {
    u16 family;
    u16 port; // network order
    u8 rest[24];
};

enum { AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10 };
enum { SOCK_STREAM = 1, SOCK_DGRAM = 2 };
enum { IPPROTO_TCP = 6, IPPROTO_UDP = 17 };
enum { SOCK_DONE = 1 }; // bit of skc_flags: the FIN of the peer is in the queue
enum { TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_FIN_WAIT1 = 4, TCP_CLOSE = 7, TCP_LAST_ACK = 9, TCP_LISTEN = 10 };
enum { MSG_OOB = 1, MSG_PEEK = 2, MSG_TRUNC = 0x20, MSG_ERRQUEUE = 0x2000 };
enum {
    EINTR = 4,
    EALREADY = 114,
    EINPROGRESS = 115,
    EISCONN = 106,
    ECANCELED = 125,
    EAGAIN = 11,
    E2BIG = 7,
    ERESTARTSYS = 512
};
