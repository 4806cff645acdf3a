// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The records of the ring buffer. Read by src/event.rs; a test compares both through the BTF of the object.
// Numbers are never used again for something else. Padding is written out.
#pragma once
#include "kernel.h"

enum operation {
    OP_OPEN = 1,
    OP_DATA = 2,
    OP_DATAGRAM = 3,
    OP_CLOSE = 4,
    OP_CONNECT_FAILED = 5,
    OP_FORK = 6,
    OP_EXEC = 7,
    OP_EXIT = 8,
};

// Flags of the head.
enum {
    FLAG_RECEIVED = 1,      // direction of data
    FLAG_MISSING_SHIFT = 1, // two bits: enum missing
    FLAG_JOINED = 8,        // open: the connection is older than its first sight
    FLAG_TRACED = 16,       // exec: the process is in the filter
};
enum missing { MISSING_NONE = 0, MISSING_BUDGET = 1, MISSING_FAULT = 2, MISSING_KERNEL = 3 };
enum transport { TRANSPORT_TCP = 1, TRANSPORT_UDP = 2, TRANSPORT_UNIX = 3 };
enum role { ROLE_NONE = 0, ROLE_CLIENT = 1, ROLE_SERVER = 2 };

struct event_head {
    u8 op;
    u8 flags;
    u16 pad;
    u32 size; // bytes of the record that mean something, this head included
    u64 time;
    u64 socket;
    u32 tgid;
    u32 tid;
};

struct event_address {
    u16 family; // 0: none
    u16 port;   // host order
    u32 pad;
    u8 ip[16];
};

struct event_open {
    struct event_head head;
    struct event_address local;
    struct event_address remote;
    u64 inode;
    u64 peer_key;
    u64 own_key;
    u32 netns;
    u8 transport;
    u8 role;
    u16 pad;
    u32 start[2]; // where each direction was when the socket was first seen
};

// The bytes follow.
struct event_data {
    struct event_head head;
    u32 sequence;
    u32 length;
    u64 skipped;
};

// The bytes follow.
struct event_datagram {
    struct event_head head;
    struct event_address remote;
    u32 length;
    u32 pad;
};

struct event_close {
    struct event_head head;
    u64 skipped[2];
    u32 end[2];     // where each direction ended
    u32 records[2]; // records of each direction that the ring buffer had no room for
};

struct event_connect_failed {
    struct event_head head;
    struct event_address remote;
    u64 started;
    u32 netns;
    u32 error;
    u32 transport;
    u32 pad;
};

// fork: the head names the parent; exec and exit: the process.
struct event_process {
    struct event_head head;
    u32 child_tgid;
    u32 child_tid;
    u32 local_tgid;
    u32 pad;
    char name[16]; // of the child, or of the new program; exit: empty
};

// Keeps the types in the BTF of every object.
union event_record {
    struct event_open open;
    struct event_data data;
    struct event_datagram datagram;
    struct event_close close;
    struct event_connect_failed connect_failed;
    struct event_process process;
};
const union event_record *event_layout = 0;
