// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Orders of user space, run by BPF_PROG_TEST_RUN in the caller's own context: what must be atomic against the other
// programs, and what only the kernel knows of the caller.
#include "../include/filter.h"
#include "../include/iterate.h"
#include "../include/map/sockets.h"
#include "../include/process.h"
#include "../include/socket.h"

enum order {
    ORDER_LOADER = 1,
    ORDER_TRACE = 2,
    ORDER_VERDICT = 3,
    ORDER_ITERATE = 4,
    ORDER_JOINED = 5,
    ORDER_ENDED = 6,
    ORDER_PORTS = 7
};

// Learns who the caller is: its process and its PID namespace.
static NOINLINE int order_loader(void) {
    struct task_struct *t = bpf_get_current_task_btf();
    struct pid *pid = 0;
    u32 level = 0;
    u64 ns = 0;
    READ(pid, t->thread_pid);
    if (!pid)
        return 1;
    READ(level, pid->level);
    struct upid *number = (void *)&pid->numbers + (u64)level * TYPE_SIZE(struct upid);
    READ(ns, number->ns);
    loader_tgid = t->tgid;
    loader_level = level;
    loader_namespace = ns;
    return 0;
}

// c: order, key of the socket, its id, direction, verdict, sequence
static NOINLINE int order_verdict(u64 *c) {
    u64 key = c[1], direction = c[3] & 1;
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &key);
    if (!s || s->id != c[2])
        return 1;
    if (s->transport == TRANSPORT_UDP && c[4] == VERDICT_UNTIL) // there are no places in it
        return 3;
    s->until[direction] = c[5];
    s->verdict[direction] = c[4];
    return 0;
}

// Tells now of the end of a socket that found the ring buffer full. Written here and not read from the table, so that
// it comes after everything that was told of the socket before. 1: there is no such socket, 2: there still is no room.
// c: order, id of the socket
static NOINLINE int order_ended(u64 *c) {
    u64 id = c[1];
    struct ended *e = bpf_map_lookup_elem(&ended, &id);
    if (!e || !e->ready)
        return 1;
    if (e->open.head.op) {
        if (bpf_ringbuf_output(&ring, &e->open, sizeof(e->open), BPF_RB_NO_WAKEUP))
            return 2;
        e->open.head.op = 0;
    }
    if (bpf_ringbuf_output(&ring, &e->close, sizeof(e->close), BPF_RB_NO_WAKEUP))
        return 2;
    bpf_map_delete_elem(&ended, &id);
    return 0;
}

// c: order, which 64 ports, a bit for each that is chosen
static NOINLINE int order_ports(u64 *c) {
    chosen_ports[c[1] & 1023] |= c[2];
    any_port_chosen = 1;
    return 0;
}

SEC("raw_tp/control") int control(u64 *c) {
    switch (c[0]) {
    case ORDER_LOADER:
        return order_loader();
    case ORDER_TRACE: // c: order, tgid, on
        set_traced(c[1], c[2]);
        return 0;
    case ORDER_VERDICT:
        return order_verdict(c);
    case ORDER_ITERATE: // c: order, mode
        iterate_mode = c[1];
        return 0;
    case ORDER_JOINED:
        joined_all = 1;
        return 0;
    case ORDER_ENDED:
        return order_ended(c);
    case ORDER_PORTS:
        return order_ports(c);
    default:
        return 2;
    }
}
