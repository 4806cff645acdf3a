// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The back end at the socket layer, as one object: the programs share their maps.
#include "../probe/accept.bpf.c"
#include "../probe/control.bpf.c"
#include "../probe/iterate.bpf.c"
#include "../probe/other_data.bpf.c"
#include "../probe/process.bpf.c"
#include "../probe/tcp.bpf.c"
#include "../probe/tcp_data.bpf.c"

char LICENSE[] SEC("license") = "GPL";
