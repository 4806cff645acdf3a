// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The back end by system calls, as one object: the programs share their maps.
#include "../probe/calls.bpf.c"
#include "../probe/control.bpf.c"
#include "../probe/iterate.bpf.c"
#include "../probe/process.bpf.c"
#include "../probe/tcp.bpf.c"

char LICENSE[] SEC("license") = "GPL";
