"""Spans of messages that are sent and handled (contract, section 6)."""

from weakref import WeakKeyDictionary

from obtrace_python.context import SILENT, current
from obtrace_python.spans import CONSUMER, PRODUCER, begin, remote

_LINKS = 32


def attributes_of(system, destination, operation, more):
    return {"messaging.system": system, "messaging.destination.name": destination, "messaging.operation.name": operation,
            "messaging.operation.type": operation if operation != "poll" else "receive", **(more or {})}


def begin_send(scope, system, destination, more=None):
    """The span of sending a message; None where the work is our own."""
    if current.get() is SILENT:
        return None
    return begin(PRODUCER, "send %s" % destination, scope, attributes_of(system, destination, "send", more))


def begin_process(scope, system, destination, get, more=None):
    """The span of handling a message; `get` gives a header's text."""
    return begin(CONSUMER, "process %s" % destination, scope, attributes_of(system, destination, "process", more),
                 remote(get("traceparent"), get("tracestate")))


def received(scope, system, destination, callers, more=None):
    """The span of taking many messages at once, which links to what sent them."""
    if current.get() is SILENT:
        return
    span = begin(CONSUMER, "poll %s" % destination, scope, attributes_of(system, destination, "poll", more))
    span.links = [(caller.trace_id, caller.span_id) for caller in callers if caller is not None][:_LINKS]
    span.end()


def end(span, error=None):
    if error is not None:
        span.fail(error)
    span.end()


def text(value):
    """A header's value."""
    return value.decode("latin-1") if isinstance(value, (bytes, bytearray)) else value


def getter(headers):
    """What gives a header of a list of pairs, or of a dictionary."""
    found = dict(headers or ())
    return lambda name: text(found.get(name))


def told(span, headers):
    """Headers, a list of pairs, with the span's context; what the application has put there stays."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers or ())
    if not any(name == "traceparent" for name, _ in pairs):
        pairs.append(("traceparent", span.header.encode()))
        if span.state:
            pairs.append(("tracestate", span.state.encode()))
    return pairs


class Work:
    """The message at which each consumer is: its span is current from when it was given out until the next is asked for."""

    def __init__(self):
        self.open = WeakKeyDictionary()

    def begin(self, consumer, span):
        self.open[consumer] = (span, current.get())
        current.set(span)

    def end(self, consumer):
        found = self.open.pop(consumer, None)
        if found is not None:
            span, before = found
            span.end()
            if current.get() is span:
                current.set(before)
