// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The life of processes: children inherit the filter's bit before they run, the bit goes with the process. A program
// started by exec is told of whether its process is traced or not, so that user space can decide.
#include "../include/process.h"
#include "../include/map/pending.h"

SEC("tp_btf/sched_process_fork") int sched_process_fork(u64 *c) {
    struct task_struct *parent = (struct task_struct *)c[0], *child = (struct task_struct *)c[1];
    bool on = is_traced(parent->tgid);
    if (child->tgid != parent->tgid)
        set_traced(child->tgid, on); // also clears what an earlier process of that number left
    if (!on)
        return 0;
    // A thread has its leader's local number; only a process is looked up.
    u32 local = child->pid == child->tgid ? local_number(child) : 0;
    write_process(OP_FORK, 0, (u64)parent->tgid << 32 | (u32)parent->pid, child, local);
    return 0;
}

SEC("tp_btf/sched_process_exec") int sched_process_exec(u64 *c) {
    struct task_struct *task = (struct task_struct *)c[0];
    u32 tgid = task->tgid, local;
    bool on = is_traced(tgid);
    if (tgid == loader_tgid)
        return 0;
    after_exec(tgid); // as the data path has it: included before
    local = local_number(task);
    if (on || local)
        write_process(OP_EXEC, on ? FLAG_TRACED : 0, (u64)tgid << 32 | (u32)task->pid, task, local);
    return 0;
}

SEC("tp_btf/sched_process_exit") int sched_process_exit(u64 *c) {
    struct task_struct *task = (struct task_struct *)c[0];
    u32 tgid = task->tgid;
    if (!is_traced(tgid))
        return 0;
    u64 thread = (u64)tgid << 32 | (u32)task->pid;
    if (in_flight && !bpf_map_delete_elem(&pending, &thread))
        __sync_fetch_and_add(&in_flight, -1);
    if (task->signal->live.counter != 0)
        return 0; // other threads go on
    set_traced(tgid, 0);
    before_exit(tgid);
    write_process(OP_EXIT, 0, thread, 0, 0);
    return 0;
}
