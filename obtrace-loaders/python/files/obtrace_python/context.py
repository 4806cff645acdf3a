"""Trace context: W3C headers, ids, the span at work (contract, section 5)."""

import os
from _random import Random
from contextvars import ContextVar

from obtrace_python import settings

# The span in which the code that asks is run: a Span, None, or SILENT.
current = ContextVar("obtrace", default=None)
_TRACE_STATE_LIMIT = 512
_THRESHOLD = int(settings.ratio * (1 << 56))
_HEX = frozenset("0123456789abcdef")

random = Random()
bits = random.getrandbits


def reseed():
    """Makes ids that nobody else makes; called at the start and after a fork."""
    random.seed(int.from_bytes(os.urandom(32), "big"))


reseed()


class _Silent:
    """Stands in `current` where our own work is done: nothing there is observed."""

    __slots__ = ()
    sampled = False
    trace_id = span_id = state = ""


SILENT = _Silent()


def kept(trace_id, threshold=_THRESHOLD):
    """Whether a trace that begins here is reported."""
    return int(trace_id[18:], 16) < threshold


def read(header):
    """(trace id, span id, sampled) of a `traceparent`, or None. W3C Trace Context, section 3.2."""
    header = header.strip(" \t")
    if len(header) < 55:
        return None
    version, trace_id, span_id, flags = header[:2], header[3:35], header[36:52], header[53:55]
    if header[2] != "-" or header[35] != "-" or header[52] != "-" or version == "ff":
        return None
    if len(header) > 55 and (version == "00" or header[55] != "-"):
        return None
    if not _HEX.issuperset(version + trace_id + span_id + flags) or trace_id == "0" * 32 or span_id == "0" * 16:
        return None
    return trace_id, span_id, flags[1] in "13579bdf"


def state(header):
    """A `tracestate` as it is passed on. One that is no header's text, as a message may bring it, would break the application's call."""
    return header if header and len(header) <= _TRACE_STATE_LIMIT and header.isascii() and header.replace("\t", " ").isprintable() else ""
