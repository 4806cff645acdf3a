// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
#pragma once
#include "../event.h"
#include "../helpers.h"

// What is still to be told of a socket that is gone.
struct ended {
    u64 ready;              // 0: it is being filled in
    struct event_open open; // op 0: it was told
    struct event_close close;
};

// By the socket's id. The reader has them written once there is room in the ring buffer again; what does not fit here
// either is counted.
struct {
    MAP_UINT(type, BPF_MAP_TYPE_HASH);
    MAP_UINT(max_entries, 16384);
    MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
    MAP_TYPE(key, u64);
    MAP_TYPE(value, struct ended);
} ended SEC(".maps");

const volatile struct ended no_ended = {};
