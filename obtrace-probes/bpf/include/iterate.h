// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What the next run of an iterator does.
#pragma once
#include "kernel.h"

enum mode { MODE_LIST = 0, MODE_TRACE_ALL = 1, MODE_LISTENERS = 2, MODE_JOIN = 3, MODE_PORTS = 4 };

u32 iterate_mode = 0;
