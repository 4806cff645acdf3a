// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
#pragma once
#include "../helpers.h"

enum {
    STATE_OPENED = 1,     // its Open event is in the ring
    STATE_CONNECTING = 2, // between SYN and answer
    STATE_ABORTED = 4,    // the attempt ended without an error of the network: connect() or close() will tell
    STATE_FAILED = 8,     // ConnectFailed was sent
    STATE_JOINED = 16,
    STATE_MARKED = 32, // `mark`, `last` and `marked` hold a send that is not counted yet
    STATE_UNTOLD = 64, // its Open event found the ring buffer full
    STATE_SENT = 128,  // TCP: nothing is sent any more, `offset[0]` is where the data ended
};
enum verdict { VERDICT_FULL = 0, VERDICT_IGNORE = 1, VERDICT_UNTIL = 2 };
enum { MARKED_SKIPPED = 0xff }; // else an enum reason

struct socket_state {
    u64 id;
    u64 inode;
    u64 started;    // when connect was called
    u64 skipped[2]; // bytes left out by the verdict since the last event, sent and received
    u32 until[2];
    u32 offset[2];  // where the stream is, for transports without sequence numbers of their own
    u32 start[2];   // where it was when it was first seen
    u32 records[2]; // that the ring buffer had no room for
    u32 mark, last; // sequence and length of a send of which is not known yet how much the kernel takes
    u32 tgid, tid;  // who opened it
    u32 netns;
    u8 transport, role;
    u16 flags;
    u8 verdict[2];
    u8 marked; // why the bytes from `mark` on are not captured
    u8 pad[5];
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
