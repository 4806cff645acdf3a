// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
#pragma once
#include "../helpers.h"

enum { LEAVING = 32 };

// Sockets that an exec is about to close.
struct leaving {
    u32 count, pad;
    u64 sockets[LEAVING];
};

// By the process that called it.
struct {
    MAP_UINT(type, BPF_MAP_TYPE_HASH);
    MAP_UINT(max_entries, 256);
    MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct leaving);
} leaving SEC(".maps");

const volatile struct leaving no_leaving = {};
