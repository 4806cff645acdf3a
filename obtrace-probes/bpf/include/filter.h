// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Which processes are traced: one bit a process, by its number in the initial PID namespace.
#pragma once
#include "helpers.h"

enum { PID_LIMIT = 4 << 20 }; // the kernel's PID_MAX_LIMIT

u64 traced[PID_LIMIT / 64] SEC(".bss.traced") = {};

// Who loaded the programs: never traced, and the one whose PID namespace local numbers are told in.
u32 loader_tgid = 0;
u32 loader_level = 0;
u64 loader_namespace = 0;

INLINE bool is_traced(u32 tgid) {
    const u8 *bytes = (const u8 *)traced;
    return bytes[(tgid >> 3) & (PID_LIMIT / 8 - 1)] >> (tgid & 7) & 1;
}

// First thing in every hook of the data path: one helper call, one load.
INLINE bool current_traced(void) { return is_traced(bpf_get_current_pid_tgid() >> 32); }

INLINE void set_traced(u32 tgid, bool on) {
    u64 *word = &traced[(tgid >> 6) & (PID_LIMIT / 64 - 1)], bit = 1ull << (tgid & 63);
    if (on && tgid != loader_tgid)
        __sync_fetch_and_or(word, bit);
    else
        __sync_fetch_and_and(word, ~bit);
}

// The process number of a task in the loader's PID namespace; 0 if it is not visible there.
// Read through an untyped address: Linux 6.1 moves no typed pointer by a variable.
INLINE u32 local_number(struct task_struct *task) {
    struct pid *pid = 0;
    u32 level = 0, nr = 0;
    u64 ns = 0;
    READ(pid, task->thread_pid);
    if (!pid)
        return 0;
    READ(level, pid->level);
    if (level < loader_level)
        return 0;
    struct upid *number = (void *)&pid->numbers + (u64)loader_level * TYPE_SIZE(struct upid);
    READ(ns, number->ns);
    if (ns != loader_namespace)
        return 0;
    READ(nr, number->nr);
    return nr;
}
