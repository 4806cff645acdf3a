"""Metrics of the process and of CPython: read when they are reported, never in between."""

import gc
import os
import resource

from obtrace_python.metrics import total

_PAGE = os.sysconf("SC_PAGE_SIZE")


def _memory():
    """Bytes: resident, virtual."""
    with open("/proc/self/statm") as file:
        virtual, resident = file.read().split()[:2]
    return int(resident) * _PAGE, int(virtual) * _PAGE


def _threads():
    with open("/proc/self/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[17])


def _descriptors():
    return len(os.listdir("/proc/self/fd")) - 1


def collect(began, now):
    """The data points; what the system does not tell is left out."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    rows = [
        ("process.cpu.time", "s", "CPU seconds of the process by mode.", True,
         lambda: [({"cpu.mode": "user"}, usage.ru_utime), ({"cpu.mode": "system"}, usage.ru_stime)]),
        ("process.memory.usage", "By", "Physical memory in use.", False, lambda: [({}, _memory()[0])]),
        ("process.memory.virtual", "By", "Virtual memory.", False, lambda: [({}, _memory()[1])]),
        ("process.thread.count", "{thread}", "Threads of the process.", False, lambda: [({}, _threads())]),
        ("process.unix.file_descriptor.count", "{file_descriptor}", "Open file descriptors.", False, lambda: [({}, _descriptors())]),
        ("process.context_switches", "{context_switch}", "Context switches by kind.", True,
         lambda: [({"process.context_switch.type": "voluntary"}, usage.ru_nvcsw), ({"process.context_switch.type": "involuntary"}, usage.ru_nivcsw)]),
        ("process.paging.faults", "{fault}", "Page faults by kind.", True,
         lambda: [({"system.paging.fault.type": "major"}, usage.ru_majflt), ({"system.paging.fault.type": "minor"}, usage.ru_minflt)]),
    ]
    for name, unit, text, key in (("collections", "{collection}", "Collections of a generation.", "collections"),
                                  ("collected_objects", "{object}", "Objects collected in a generation.", "collected"),
                                  ("uncollectable_objects", "{object}", "Objects of a generation that could not be collected.", "uncollectable")):
        rows.append(("cpython.gc." + name, unit, text, True, lambda key=key: [
            ({"cpython.gc.generation": generation}, told[key]) for generation, told in enumerate(gc.get_stats())]))
    items = []
    for name, unit, text, monotonic, points in rows:
        try:
            items += total(name, unit, text, points(), began, now, monotonic)
        except (OSError, ValueError, IndexError):
            continue
    return items
