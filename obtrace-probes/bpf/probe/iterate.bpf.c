// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What was there before the probes: processes by iter/task, sockets by iter/task_file. Both walk what is visible in
// the reader's PID namespace and need neither /proc nor the network namespaces of others.
#include "../include/iterate.h"
#include "../include/process.h"
#include "../include/socket.h"

struct iterate_task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
};

struct iterate_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    u64 fd;
    struct file *file;
};

// One line for user space: who is who.
struct process_line {
    u32 tgid, local_tgid;
    u64 start;
};

SEC("iter/task") int iterate_tasks(struct iterate_task *c) {
    struct task_struct *task = c->task;
    if (!task || task->pid != task->tgid)
        return 0;
    struct process_line line = {.tgid = task->tgid, .local_tgid = local_number(task)};
    if (!line.local_tgid)
        return 0;
    line.start = task->start_boottime;
    if (iterate_mode == MODE_TRACE_ALL)
        set_traced(line.tgid, 1);
    bpf_seq_write(c->meta->seq, &line, sizeof(line));
    return 0;
}

static NOINLINE int join(u64 sk, struct file *file, struct task_struct *task) {
    struct socket_state *s;
    u8 transport = transport_of((void *)sk), state = 0;
    if (transport != TRANSPORT_TCP && transport != TRANSPORT_UNIX)
        return 0;
    READ(state, ((struct sock *)sk)->__sk_common.skc_state);
    if (state != TCP_ESTABLISHED || bpf_map_lookup_elem(&sockets, &sk))
        return 0;
    s = first_sight(sk, inode_of(file), transport, SEEN_BEFORE);
    if (!s)
        return 0;
    s->tgid = task->tgid;
    s->tid = task->pid;
    write_open(sk);
    return 0;
}

static NOINLINE int count_if_listening(u64 sk) {
    u8 state = 0;
    u16 port = 0;
    READ(state, ((struct sock *)sk)->__sk_common.skc_state);
    if (state != TCP_LISTEN)
        return 0;
    READ(port, ((struct sock *)sk)->__sk_common.skc_num);
    u64 key = (u64)netns_of((void *)sk) << 16 | port, one = 1;
    bpf_map_update_elem(&listeners, &key, &one, BPF_NOEXIST);
    return 0;
}

// Traces who listens on a chosen port or is connected to one. A port that nobody listens on is but the number that a
// client's end was given.
static NOINLINE int choose_owner(u64 sk, struct task_struct *task) {
    u8 state = 0;
    u16 own = 0, other = 0;
    READ(state, ((struct sock *)sk)->__sk_common.skc_state);
    READ(own, ((struct sock *)sk)->__sk_common.skc_num);
    READ(other, ((struct sock *)sk)->__sk_common.skc_dport);
    if (state != TCP_LISTEN && state != TCP_ESTABLISHED)
        return 0;
    bool serves = state == TCP_LISTEN || listened(netns_of((void *)sk), own);
    if (is_chosen_port(serves ? own : swap16(other)))
        set_traced(task->tgid, 1);
    return 0;
}

SEC("iter/task_file") int iterate_files(struct iterate_file *c) {
    struct task_struct *task = c->task;
    struct file *file = c->file;
    u16 protocol = 0;
    if (!task || !file || task->pid != task->tgid)
        return 0;
    u64 sk = sock_of_file(file);
    if (!sk)
        return 0;
    if (iterate_mode == MODE_JOIN)
        return is_traced(task->tgid) ? join(sk, file, task) : 0;
    READ(protocol, ((struct sock *)sk)->sk_protocol);
    if (protocol != IPPROTO_TCP)
        return 0;
    if (iterate_mode == MODE_LISTENERS)
        return count_if_listening(sk);
    if (iterate_mode == MODE_PORTS)
        return choose_owner(sk, task);
    return 0;
}
