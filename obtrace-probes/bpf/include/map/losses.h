// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
#pragma once
#include "../helpers.h"

enum reason {
    LOSS_RING,    // the ring buffer was full
    LOSS_SOCKETS, // the table of sockets was full
    LOSS_FAULT,   // user memory could not be read
    LOSS_BUDGET,  // beyond what is captured of one call
    LOSS_KERNEL,  // the bytes never were in user memory
    LOSS_CLOSES,  // the ring buffer was full when a socket was closed, and so was the table of those to be told later
    LOSS_REASONS,
};

struct loss {
    u64 events, bytes;
};

struct {
    MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    MAP_UINT(max_entries, LOSS_REASONS);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct loss);
} losses SEC(".maps");

// Atomic, although per CPU: programs in soft interrupts count into the same cells.
INLINE void count_lost(u32 reason, u64 events, u64 bytes) {
    struct loss *l = bpf_map_lookup_elem(&losses, &reason);
    if (!l)
        return;
    __sync_fetch_and_add(&l->events, events);
    __sync_fetch_and_add(&l->bytes, bytes);
}

INLINE void lost(u32 reason, u64 bytes) { count_lost(reason, 1, bytes); }
