// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
#pragma once
#include "../helpers.h"

enum {
    STATE_OPENED = 1,     // its Open event is in the ring
    STATE_CONNECTING = 2, // between SYN and answer
    STATE_ABORTED = 4,    // the attempt ended without an error of the network: connect() or close() will tell
    STATE_FAILED = 8,     // ConnectFailed was sent
    STATE_JOINED = 16,
    STATE_MARKED = 32, // `mark` and `last` hold a skipped send that is not summed yet
};
enum verdict { VERDICT_FULL = 0, VERDICT_IGNORE = 1, VERDICT_UNTIL = 2 };

struct socket_state {
    u64 id;
    u64 inode;
    u64 started;    // when connect was called
    u64 skipped[2]; // bytes left out by the verdict since the last event, sent and received
    u32 until[2];
    u32 offset[2];  // where the stream is, for transports without sequence numbers of their own
    u32 mark, last; // sequence and length of the last skipped send
    u32 tgid, tid;  // who opened it
    u32 netns;
    u8 transport, role, flags, pad;
    u8 verdict[2];
    u8 pad2[6];
};

// Keyed by the address of the struct sock. Not preallocated: an empty table costs its buckets.
struct {
    MAP_UINT(type, BPF_MAP_TYPE_HASH);
    MAP_UINT(max_entries, 32768);
    MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
    MAP_TYPE(key, u64);
    MAP_TYPE(value, struct socket_state);
} sockets SEC(".maps");

// Number of the next socket; 0 is none.
u64 next_socket = 1;
