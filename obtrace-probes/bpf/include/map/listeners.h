// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
#pragma once
#include "../helpers.h"

// How many sockets listen on (network namespace << 16 | port): tells the role of a connection older than the probes.
struct {
    MAP_UINT(type, BPF_MAP_TYPE_HASH);
    MAP_UINT(max_entries, 8192);
    MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
    MAP_TYPE(key, u64);
    MAP_TYPE(value, u64);
} listeners SEC(".maps");

INLINE bool listened(u32 netns, u16 port) {
    u64 key = (u64)netns << 16 | port, *count = bpf_map_lookup_elem(&listeners, &key);
    return count && (s64)*count > 0;
}

INLINE void count_listener(u32 netns, u16 port, s64 change) {
    u64 key = (u64)netns << 16 | port, none = 0, *count = bpf_map_lookup_elem(&listeners, &key);
    if (!count && change > 0) {
        bpf_map_update_elem(&listeners, &key, &none, BPF_NOEXIST);
        count = bpf_map_lookup_elem(&listeners, &key);
    }
    if (!count)
        return;
    __sync_fetch_and_add(count, change);
    if (change < 0 && (s64)*count <= 0)
        bpf_map_delete_elem(&listeners, &key);
}
