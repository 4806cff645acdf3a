// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Set by user space before the load; constants to the verifier afterwards.
#pragma once
#include "kernel.h"

enum { PORTS = 8 };

const volatile u32 capture_limit = 256 << 10; // bytes captured of one call
const volatile u32 wake_bytes = 64 << 10;     // bytes in the ring buffer that wake the reader
const volatile u16 datagram_ports[PORTS] = {53};
