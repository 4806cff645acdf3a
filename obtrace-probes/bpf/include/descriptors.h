// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Descriptors that go: of sockets whose end no function of the kernel tells where system calls are hooked. TCP has a
// life cycle of its own; Unix and UDP sockets end with their last descriptor.
#pragma once
#include "map/leaving.h"
#include "socket.h"

enum { CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4 };
enum { DESCRIPTOR_CLOSED = 0, DESCRIPTOR_LEAVING = 1 }; // at once, or if the exec that was called succeeds
enum { WORDS = 32 };                                    // twice: 65,536 descriptors

// Remembers a socket that an exec will close.
NOINLINE int keep_leaving(u64 sk) {
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct leaving *l = bpf_map_lookup_elem(&leaving, &tgid);
    if (!l) {
        bpf_map_update_elem(&leaving, &tgid, (const void *)&no_leaving, BPF_NOEXIST);
        l = bpf_map_lookup_elem(&leaving, &tgid);
    }
    if (!l || l->count >= LEAVING) {
        lost(LOSS_CLOSES, 0);
        return 0;
    }
    l->sockets[l->count & (LEAVING - 1)] = sk;
    l->count++;
    return 0;
}

// The last descriptor of a socket that TCP's own life cycle does not cover.
NOINLINE int close_descriptor(u32 fd, u32 how) {
    struct file *file = file_of(fd);
    s64 references = 0;
    if (!file)
        return 0;
    u64 sk = sock_of_file(file);
    if (!sk)
        return 0;
    struct socket_state *s = bpf_map_lookup_elem(&sockets, &sk);
    if (!s || s->transport == TRANSPORT_TCP)
        return 0;
    struct file___ref *new = (void *)file;
    struct file___count *old = (void *)file;
    if (FIELD_EXISTS(new->f_ref)) {
        READ(references, new->f_ref.refcnt.counter);
        references++;
    } else {
        READ(references, old->f_count.counter);
    }
    if (references == 1)
        return how == DESCRIPTOR_LEAVING ? keep_leaving(sk) : end_socket(sk, 0);
    return 0;
}

// Those of the 64 from `base` on whose bit is set.
NOINLINE int close_word(u32 base, u64 set, u32 how) {
    for (u32 i = 0; i < 64; i++)
        if (set >> i & 1)
            close_descriptor(base + i, how);
    return 0;
}

// Those from `first` to `last`, of the words from `word` on.
NOINLINE int close_words(u32 word, u32 first, u32 last, u32 how) {
    struct task_struct *t = bpf_get_current_task_btf();
    struct fdtable *table = t->files->fdt;
    u64 open = 0, marked = 0;
    for (u32 i = 0; i < WORDS; i++, word++) {
        u32 base = word * 64;
        if (base > last || base >= table->max_fds)
            return 1;
        bpf_probe_read_kernel(&open, sizeof(open), table->open_fds + word);
        if (how == DESCRIPTOR_LEAVING) {
            bpf_probe_read_kernel(&marked, sizeof(marked), table->close_on_exec + word);
            open &= marked;
        }
        if (base < first)
            open &= ~0ull << (first - base);
        if (last - base < 63)
            open &= ~0ull >> (63 - (last - base));
        if (open)
            close_word(base, open, how);
    }
    return 0;
}

// A range of descriptors goes.
INLINE int close_descriptors(u32 first, u32 last, u32 how) {
    for (u32 i = 0; i < WORDS; i++)
        if (close_words(first / 64 + i * WORDS, first, last, how))
            break;
    return 0;
}

INLINE int close_range(u32 first, u32 last, u32 flags) {
    struct task_struct *t = bpf_get_current_task_btf();
    if (flags & CLOSE_RANGE_CLOEXEC)
        return 0; // for later
    if (flags & CLOSE_RANGE_UNSHARE && t->files->count.counter != 1)
        return 0; // other threads keep them open
    return close_descriptors(first, last, DESCRIPTOR_CLOSED);
}

// exec() was called: what it will close is gone when it is seen to have succeeded.
INLINE int before_exec(void) {
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    struct leaving *l = bpf_map_lookup_elem(&leaving, &tgid);
    if (l)
        l->count = 0; // of an exec that failed
    return close_descriptors(0, ~0u, DESCRIPTOR_LEAVING);
}

// exec() succeeded.
INLINE void after_exec(u32 tgid) {
    struct leaving *l = bpf_map_lookup_elem(&leaving, &tgid);
    if (!l)
        return;
    for (u32 i = 0; i < LEAVING; i++) {
        if (i >= l->count)
            break;
        end_socket(l->sockets[i], 0);
    }
    bpf_map_delete_elem(&leaving, &tgid);
}

// A process ends, without closing what it has open.
INLINE void before_exit(u32 tgid) {
    close_descriptors(0, ~0u, DESCRIPTOR_CLOSED);
    bpf_map_delete_elem(&leaving, &tgid);
}
