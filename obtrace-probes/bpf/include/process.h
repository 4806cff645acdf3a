// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Records of processes, and which are traced because of the TCP ports they use.
#pragma once
#include "emit.h"
#include "filter.h"

u64 chosen_ports[(1 << 16) / 64] = {}; // one bit a port
u32 any_port_chosen = 0;

// `named`: whose name is told, or 0.
static NOINLINE int write_process(u8 op, u8 flags, u64 pid_tgid, struct task_struct *named, u32 local) {
    struct event_process e = {};
    fill_head(&e.head, op, flags, sizeof(e), 0, pid_tgid);
    e.local_tgid = local;
    if (named)
        READ(e.name, named->comm);
    if (op == OP_FORK) {
        READ(e.child_tgid, named->tgid);
        READ(e.child_tid, named->pid);
    }
    // What a program is can be read only while it runs, and some run for a few milliseconds.
    u64 wake = op == OP_EXEC ? BPF_RB_FORCE_WAKEUP : wake_flag(sizeof(e));
    if (bpf_ringbuf_output(&ring, &e, sizeof(e), wake))
        lost(LOSS_RING, 0);
    return 0;
}

INLINE bool is_chosen_port(u64 port) {
    asm volatile("" : "+r"(port)); // the compiler knows the range of a u16; the verifier of Linux 6.1 does not
    port &= 0xffff;
    return chosen_ports[port >> 6] >> (port & 63) & 1;
}

// The caller asks for this port or listens on it. If it was chosen, the process is traced from here on, and user space
// is told of it as of one that has just begun.
static NOINLINE int choose_caller(u64 port) {
    u64 pid_tgid = bpf_get_current_pid_tgid();
    if (!is_chosen_port(port) || is_traced(pid_tgid >> 32))
        return 0;
    struct task_struct *task = bpf_get_current_task_btf();
    u32 local = local_number(task);
    if (!local || pid_tgid >> 32 == loader_tgid)
        return 0;
    set_traced(pid_tgid >> 32, 1);
    return write_process(OP_EXEC, FLAG_TRACED, pid_tgid, task, local);
}
