// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Records into the ring buffer. A record is reserved in the smallest fitting size class and the bytes are copied once,
// straight from user memory into it.
#pragma once
#include "event.h"
#include "map/losses.h"
#include "map/ring.h"
#include "settings.h"

enum { CLASS_1 = 256, CLASS_2 = 1024, CLASS_3 = 4096, CLASS_4 = 16384 };

// Once per crossing of the threshold: a storm of forced wake-ups costs more than everything else.
INLINE u64 wake_flag(u64 size) {
    u64 waiting = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA), limit = wake_bytes;
    return waiting >= limit && waiting - limit < size + 16 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

INLINE void fill_head(struct event_head *h, u8 op, u8 flags, u32 size, u64 socket, u64 pid_tgid) {
    h->op = op;
    h->flags = flags;
    h->pad = 0;
    h->size = size;
    h->time = bpf_ktime_get_ns();
    h->socket = socket;
    h->tgid = pid_tgid >> 32;
    h->tid = pid_tgid;
}

// What is to be written of a stream.
struct chunk {
    u64 socket;
    u64 pid_tgid;
    u64 address; // user memory; 0: the bytes are not there
    u64 length;
    u64 skipped;
    u64 absent; // bytes of the record written last that are not in it, for the caller to count
    u32 sequence;
    u8 flags;
    u8 reason; // why they are not: enum reason
    u8 pad[2];
};

// Reserves `N` bytes behind the head, copies at most as many.
// The barrier and the test after it: 64 bits and checked on the register that is passed on, else Linux 6.1 sees the
// bound on a copy only.
#define WRITE_CLASS(N, HEAD, FILL)                                                                                     \
    {                                                                                                                  \
        struct {                                                                                                       \
            HEAD event;                                                                                                \
            u8 bytes[N];                                                                                               \
        } *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);                                                    \
        if (!record)                                                                                                   \
            return -1;                                                                                                 \
        u64 size = c->length > N ? N : c->length;                                                                      \
        u8 missing = MISSING_NONE;                                                                                     \
        if (c->length > N)                                                                                             \
            missing = MISSING_BUDGET;                                                                                  \
        asm volatile("" : "+r"(size));                                                                                 \
        if (size <= N && bpf_probe_read_user(record->bytes, size, (void *)c->address)) {                               \
            missing = MISSING_FAULT;                                                                                   \
            size = 0;                                                                                                  \
        }                                                                                                              \
        if (missing) {                                                                                                 \
            c->absent = c->length - size;                                                                              \
            c->reason = missing == MISSING_FAULT ? LOSS_FAULT : LOSS_BUDGET;                                           \
        }                                                                                                              \
        FILL;                                                                                                          \
        bpf_ringbuf_submit(record, wake);                                                                              \
        return 0;                                                                                                      \
    }

#define FILL_DATA                                                                                                      \
    fill_head(&record->event.head, OP_DATA, c->flags | missing << FLAG_MISSING_SHIFT, sizeof(record->event) + size,    \
              c->socket, c->pid_tgid);                                                                                 \
    record->event.sequence = c->sequence;                                                                              \
    record->event.length = c->length;                                                                                  \
    record->event.skipped = c->skipped

// Functions that are not static are gone through once by the verifier, for any arguments, and not once a call: that
// keeps the time to load short.

// One record of a stream; what does not fit is missing by budget. -1: the ring buffer is full, nothing was counted.
INLINE int write_data_inline(struct chunk *c) {
    u64 wake = wake_flag(c->length + sizeof(struct event_data));
    if (c->length <= CLASS_1)
        WRITE_CLASS(CLASS_1, struct event_data, FILL_DATA)
    if (c->length <= CLASS_2)
        WRITE_CLASS(CLASS_2, struct event_data, FILL_DATA)
    if (c->length <= CLASS_3)
        WRITE_CLASS(CLASS_3, struct event_data, FILL_DATA)
    WRITE_CLASS(CLASS_4, struct event_data, FILL_DATA)
}

NOINLINE int write_data(struct chunk *c) { return c ? write_data_inline(c) : 0; }

// Bytes that are announced only.
INLINE int write_absent(struct chunk *c, u8 missing) {
    struct event_data *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
    if (!record)
        return -1;
    fill_head(&record->head, OP_DATA, c->flags | missing << FLAG_MISSING_SHIFT, sizeof(*record), c->socket,
              c->pid_tgid);
    record->sequence = c->sequence;
    record->length = c->length;
    record->skipped = c->skipped;
    bpf_ringbuf_submit(record, wake_flag(sizeof(*record)));
    c->absent = c->length;
    c->reason = missing == MISSING_KERNEL ? LOSS_KERNEL : LOSS_BUDGET;
    return 0;
}
