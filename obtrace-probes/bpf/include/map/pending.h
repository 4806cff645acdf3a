// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
#pragma once
#include "../helpers.h"

// The socket that a thread is sending on, for transports whose offset is counted from the return value.
struct {
    MAP_UINT(type, BPF_MAP_TYPE_HASH);
    MAP_UINT(max_entries, 4096);
    MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
    MAP_TYPE(key, u64);
    MAP_TYPE(value, u64);
} pending SEC(".maps");

// Entries of it: while there are none, the exit of a send looks nothing up.
u64 in_flight = 0;
