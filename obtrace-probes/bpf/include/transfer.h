// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What a call moves, from the arguments to the records.
#pragma once
#include "calls.h"
#include "map/pending.h"
#include "socket.h"

enum { SENT = 0, RECEIVED = 1 };
enum { GATHER = 4096, PIECES = 256, CHUNKS = 64, MESSAGES = 64 };

// What one call, or one message of a call, moves.
struct transfer {
    u64 address; // the buffer, the array of vectors, or 0: not in user memory
    u64 length;  // bytes; of a vectored send the sum is not known beforehand
    u64 name;    // address of the peer in user memory, or 0
    u32 vectors; // 0: one buffer
    u32 direction;
    u32 room;   // of a received datagram: how much of it the buffer could hold
    u32 done;   // the bytes have been moved: the socket's sequence number is past them
    u64 skip;   // bytes of the vectors before the transfer's first
    u32 kernel; // the array of vectors and the name are in kernel memory
    u32 pad;
};

// Work on a transfer that takes more than one record or more than one piece of memory. Kept in memory, not in
// registers: the verifier then needs not tell one round of a loop from the next.
struct work {
    struct chunk chunk; // the next record
    u64 vectors, left, skip, captured;
    u64 piece; // what is left of a contiguous piece
    u32 vector, count, fill, datagram, kernel;
    u32 failed; // the ring buffer was full: nothing from `chunk.sequence` on is in it
    u64 length; // of a datagram, all its pieces
    struct event_address local, remote;
    struct call call;
    struct transfer transfer;
    u8 head[sizeof(struct event_datagram)]; // an event_data stands at its end
    u8 bytes[4 * GATHER];                   // half of it is used, the verifier wants what `unlinked` allows
};

// One for each program that moves data (WORKS of them): a program does not run twice at once on a CPU, but where
// functions are hooked, and tasks are preempted in the kernel, one may be in between another.
struct {
    MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    MAP_UINT(max_entries, WORKS);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct work);
} works SEC(".maps");

// Counts what is not in the record written last.
INLINE void count_absent(struct chunk *c) {
    if (c->absent)
        lost(c->reason, c->absent);
    c->absent = 0;
}

// The next record of a contiguous piece; all that is left if it is the last one. 0: there is more. Apart from its loop,
// so that the verifier goes through it once and not once a round.
NOINLINE int write_chunk(u32 slot, u32 last) {
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!w)
        return 1;
    u64 left = w->piece;
    last |= left <= CLASS_4 || w->captured + CLASS_4 >= capture_limit;
    w->chunk.length = last ? left : CLASS_4;
    if (write_data_inline(&w->chunk)) { // a frame of calls less: the kernel allows eight
        w->failed = 1;
        return 1;
    }
    if (!last)
        count_absent(&w->chunk);
    w->chunk.skipped = 0;
    w->chunk.sequence += w->chunk.length;
    w->chunk.address += CLASS_4;
    w->captured += CLASS_4;
    w->piece = left - CLASS_4;
    return last;
}

// A contiguous piece of any length, in records of 16 KiB, up to what is captured of one call.
NOINLINE int write_chunks(u32 slot) {
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!w)
        return 0;
    w->piece = w->chunk.length;
    for (u32 i = 0; i < CHUNKS; i++)
        if (write_chunk(slot, i == CHUNKS - 1))
            break;
    return 0;
}

// Linux 6.12 links registers that differ by a constant and loses their bounds: the mask takes the link away only.
INLINE u64 unlinked(u64 size) {
    asm volatile("" : "+r"(size));
    return size & (4 * GATHER - 1);
}

// Writes what was gathered of small pieces.
NOINLINE int flush_gathered(u32 slot) {
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!w)
        return 0;
    u64 fill = w->fill & (2 * GATHER - 1);
    asm volatile("" : "+r"(fill)); // as in WRITE_CLASS
    w->fill = 0;
    if (w->failed)
        return -1;
    if (w->datagram) {
        struct event_datagram *e = (void *)w->head;
        u64 wake = wake_flag(sizeof(*e) + fill), size = unlinked(sizeof(*e) + fill);
        fill_head(&e->head, OP_DATAGRAM, w->chunk.flags, size, w->chunk.socket, w->chunk.pid_tgid);
        e->remote = w->remote;
        e->length = w->length;
        e->pad = 0;
        if (bpf_ringbuf_output(&ring, e, size, wake))
            w->failed = 1;
        return 0;
    }
    if (!fill)
        return 0;
    struct event_data *e = (void *)w->head + sizeof(w->head) - sizeof(*e);
    u64 wake = wake_flag(sizeof(*e) + fill), size = unlinked(sizeof(*e) + fill);
    fill_head(&e->head, OP_DATA, w->chunk.flags, size, w->chunk.socket, w->chunk.pid_tgid);
    e->sequence = w->chunk.sequence;
    e->length = fill;
    e->skipped = w->chunk.skipped;
    if (bpf_ringbuf_output(&ring, e, size, wake)) {
        w->failed = 1;
        return -1;
    }
    w->chunk.sequence += fill;
    w->chunk.skipped = 0;
    w->captured += fill;
    return 0;
}

enum { VECTOR_DONE = 0, VECTOR_NONE = 1, VECTOR_ALONE = 2 };

// One piece of memory of a vectored transfer: gathered if it is small, else left to be written by itself.
INLINE int add_piece(struct work *w, u32 slot, u64 address, u64 length) {
    u64 fill = w->fill;
    w->length += length;
    if (w->datagram && length >= GATHER)
        length = GATHER - 1;
    if (length >= GATHER || fill >= GATHER || (!w->datagram && w->captured >= capture_limit))
        goto alone;
    asm volatile("" : "+r"(fill), "+r"(length)); // as in WRITE_CLASS
    if (fill >= GATHER || length >= GATHER)
        return VECTOR_DONE;
    if (bpf_probe_read_user(w->bytes + fill, length, (void *)address))
        goto alone; // fails again and is written as a fault
    w->fill = fill + length;
    if (!w->datagram && w->fill >= GATHER)
        flush_gathered(slot);
    return VECTOR_DONE;
alone:
    if (w->datagram)
        return VECTOR_DONE;
    flush_gathered(slot);
    w->chunk.address = address;
    w->chunk.length = length;
    return VECTOR_ALONE;
}

// Takes up the next vector. VECTOR_ALONE: `chunk` tells what is still to be written, by the caller, to save a frame.
NOINLINE int write_vector(u32 slot) {
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    struct user_iovec v = {};
    if (!w || w->vector >= w->count || !w->left)
        return VECTOR_NONE;
    const void *from = (void *)(w->vectors + (u64)w->vector * sizeof(v));
    if (w->kernel ? bpf_probe_read_kernel(&v, sizeof(v), from) : bpf_probe_read_user(&v, sizeof(v), from))
        return VECTOR_NONE;
    w->vector++;
    if (v.length > w->left)
        v.length = w->left;
    w->left -= v.length;
    if (w->skip) {
        u64 skip = v.length < w->skip ? v.length : w->skip;
        w->skip -= skip;
        v.base += skip;
        v.length -= skip;
    }
    return v.length ? add_piece(w, slot, v.base, v.length) : VECTOR_DONE;
}

// Sums the next vectors. 1: there are no more. Two loops of 32 are verified sooner than one of 1024.
NOINLINE int measure_some(u32 slot) {
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!w)
        return 1;
    for (u32 i = 0; i < 32; i++) {
        u64 length = 0;
        if (w->vector >= w->count)
            return 1;
        const void *from = (void *)(w->vectors + (u64)w->vector * sizeof(struct user_iovec) + 8);
        if (w->kernel ? bpf_probe_read_kernel(&length, 8, from) : bpf_probe_read_user(&length, 8, from))
            return 1;
        w->vector++;
        w->length += length;
    }
    return 0;
}

// The sum of the vectors that were not gone through.
NOINLINE int measure_vectors(u32 slot) {
    for (u32 i = 0; i < 32; i++)
        if (measure_some(slot))
            break;
    return 0;
}

// The bytes of a transfer, for which the vectors of a send have to be gone through.
INLINE u64 length_of(struct transfer *t, u32 slot) {
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!w || !t->vectors || t->length != ~0ull)
        return t->length;
    w->vectors = t->address;
    w->count = t->vectors;
    w->kernel = t->kernel;
    w->vector = 0;
    w->length = 0;
    measure_vectors(slot);
    return w->length;
}

// Goes through the vectors. What stands in those past PIECES of them is announced without bytes.
NOINLINE int write_vectors(u32 slot) {
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    if (!w)
        return 0;
    for (u32 i = 0; i < PIECES; i++) {
        int outcome = write_vector(slot);
        if (outcome == VECTOR_NONE || w->failed)
            break;
        count_absent(&w->chunk); // of the piece before: something follows it
        if (outcome == VECTOR_ALONE)
            write_chunks(slot);
    }
    flush_gathered(slot);
    if (w->datagram || w->failed || w->vector >= w->count || !w->left)
        return 0;
    count_absent(&w->chunk);
    w->length = 0;
    measure_vectors(slot);
    w->chunk.length = w->length < w->left ? w->length : w->left;
    if (write_absent(&w->chunk, MISSING_BUDGET))
        w->failed = 1;
    else
        w->chunk.sequence += w->chunk.length;
    return 0;
}

INLINE void start_work(struct work *w, const struct transfer *t) {
    w->captured = 0;
    w->failed = 0;
    w->fill = 0;
    w->vector = 0;
    w->datagram = 0;
    w->kernel = t->kernel;
    w->skip = t->skip;
    w->length = 0;
    w->count = t->vectors;
    w->vectors = t->address;
    w->left = t->length + t->skip < t->length ? t->length : t->length + t->skip;
}

// What the verdict lets through: -1 nothing, else how many bytes at the start are left out.
INLINE s64 judge(struct socket_state *s, u32 direction, u32 sequence, u64 length) {
    u8 verdict = s->verdict[direction & 1];
    u64 skip = length;
    if (verdict == VERDICT_UNTIL) {
        s32 distance = s->until[direction & 1] - sequence;
        if (distance <= 0) {
            s->verdict[direction & 1] = VERDICT_FULL;
            return 0;
        }
        if (length > (u32)distance) {
            skip = (u32)distance;
            s->verdict[direction & 1] = VERDICT_FULL;
        }
    }
    if (direction == SENT && s->transport == TRANSPORT_TCP) {
        settle(s, sequence);
        if (skip < length)
            s->skipped[0] += skip;
        else
            mark(s, sequence, skip, MARKED_SKIPPED);
    } else {
        s->skipped[direction & 1] += skip;
    }
    return skip < length ? (s64)skip : -1;
}

// Bytes at the start of the transfer that the verdict leaves out; -1: all of them.
static NOINLINE s64 skipped_by_verdict(struct socket_state *s, struct transfer *t, u32 sequence, u32 slot) {
    return judge(s, t->direction, sequence, length_of(t, slot));
}

// Where a transfer stands in a TCP stream.
INLINE u32 tcp_position(struct socket_state *s, u64 sk, struct transfer *t) {
    if (t->direction == RECEIVED)
        return tcp_received_at(sk, s, t->length);
    return tcp_sending_at(sk) - (t->done ? (u32)t->length : 0);
}

// A record of a stream, or a part of it, could not be written: `length` bytes at `sequence`. Of a send that has not
// returned yet it is not known how many of them there are.
NOINLINE int lose(u64 sk, struct transfer *t, u32 sequence, u64 length, u32 reason) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s || !t)
        return 0;
    if (reason == LOSS_RING)
        s->records[t->direction & 1]++;
    if (t->direction == SENT && !t->done && s->transport != TRANSPORT_UDP) {
        count_lost(reason, 1, 0);
        mark(s, sequence, length, reason);
    } else {
        lost(reason, length);
    }
    return 0;
}

// Bytes of a stream at `sequence`.
INLINE void stream(struct socket_state *s, u64 sk, u32 sequence, struct transfer *t, u32 slot) {
    u32 opened = s->flags & STATE_OPENED;
    if (UNLIKELY(!opened))
        opened = !write_open(sk);
    struct work *w = bpf_map_lookup_elem(&works, &slot);
    s64 skip = 0;
    if (!w)
        return;
    struct chunk *c = &w->chunk; // not on the stack: 512 bytes are all that the frames share
    if (UNLIKELY(s->verdict[t->direction & 1])) {
        skip = skipped_by_verdict(s, t, sequence, slot);
        if (skip < 0)
            return;
        if (!t->vectors) {
            if (t->address)
                t->address += skip;
            t->length -= skip;
        }
    }
    if (UNLIKELY(s->flags & STATE_MARKED) && t->direction == SENT)
        settle(s, sequence);
    u64 skipped = s->skipped[t->direction & 1];
    c->socket = s->id;
    c->pid_tgid = bpf_get_current_pid_tgid();
    c->address = t->address;
    c->length = t->length;
    c->skipped = skipped;
    c->sequence = sequence + skip;
    c->flags = t->direction;
    c->absent = 0;
    u32 end = sequence + t->length + (t->vectors ? 0 : skip);
    if (UNLIKELY(!opened)) {
        lose(sk, t, c->sequence, end - c->sequence, LOSS_RING);
        return;
    }
    if (!t->vectors && (t->length <= CLASS_4 || !t->address)) {
        if (t->address ? write_data(c) : write_absent(c, MISSING_KERNEL)) {
            lose(sk, t, c->sequence, t->length, LOSS_RING);
            return;
        }
        c->sequence += t->length;
        c->skipped = 0;
    } else {
        start_work(w, t);
        w->skip += skip;
        if (t->vectors)
            write_vectors(slot);
        else
            write_chunks(slot);
        if (w->failed) {
            count_absent(c);
            lose(sk, t, c->sequence, end - c->sequence, LOSS_RING);
        }
    }
    if (UNLIKELY(c->absent))
        lose(sk, t, c->sequence - c->absent, c->absent, c->reason);
    if (skipped && !c->skipped)
        s->skipped[t->direction & 1] = 0;
}

// Apart, for the sake of the 512 bytes of stack that all frames share.
NOINLINE int move_tcp(u64 sk, struct transfer *t, u32 slot) {
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (t && s && !(s->flags & STATE_CONNECTING)) // what TCP refuses while it connects is offered again later
        stream(s, sk, tcp_position(s, sk, t), t, slot);
    return 0;
}
