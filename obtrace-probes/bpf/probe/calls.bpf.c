// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The data path by system calls. Two programs for all calls of the host, number filter first, then the process
// filter, the rest out of line: cheaper for the traced and for the untraced than a tracepoint a call, and possible
// without tracefs. Sends are taken at entry, so that they come before what they cause; receives at exit, with the
// arguments from the saved registers.
#include "../include/dispatch.h"

static NOINLINE int enter_slow(u64 *c) {
    u32 slot = SLOT_ENTER;
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!w)
        return 0;
    w->call.number = c[1];
    read_arguments(&w->call, (struct pt_regs *)c[0]);
    return enter_call(w);
}

SEC("tp_btf/sys_enter") int sys_enter(u64 *c) {
    u64 number = c[1];
    if (!(IN_SET(ENTER_SET, number)) || !current_traced())
        return 0;
    enter_slow(c);
    return 0;
}

static NOINLINE int exit_slow(u64 *c) {
    u32 slot = SLOT_EXIT;
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!w)
        return 0;
    w->call.number = call_number((struct pt_regs *)c[0]);
    w->call.result = c[1];
    read_arguments(&w->call, (struct pt_regs *)c[0]);
    if (IN_SET(SEND_SET, w->call.number))
        return sent(&w->call);
    return exit_call(w);
}

SEC("tp_btf/sys_exit") int sys_exit(u64 *c) {
    u64 number = call_number((struct pt_regs *)c[0]);
    if (!(IN_SET(RECEIVE_SET, number)) && !(in_flight && (IN_SET(SEND_SET, number))))
        return 0;
    if (!current_traced())
        return 0;
    exit_slow(c);
    return 0;
}
