"""Spans: begun, described, ended (contract, section 6)."""

from time import perf_counter_ns, time_ns
from traceback import format_exception

from obtrace_python import settings
from obtrace_python.context import SILENT, bits, current, kept, read, state
from obtrace_python.sender import traces

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
_REPORTED = settings.kinds if "traces" in settings.signals else frozenset()
_EVENTS = 32
_FOLDER = __file__.rpartition("/")[0] + "/"


class Span:
    """What is done from `begin` to `end`. `sampled` is whether the trace is kept, `own` whether this span is reported: one that
    is not (OBTRACE_TRACED) has its parent's ids, so that what happens within it belongs to the parent."""

    __slots__ = ("trace_id", "span_id", "parent_id", "state", "sampled", "own", "kind", "name", "scope", "attributes", "start", "clock", "duration",
                 "failed", "events", "links", "noted")

    @property
    def header(self):
        """The `traceparent` that tells others of this span."""
        return "00-%s-%s-%s" % (self.trace_id, self.span_id or "%016x" % (bits(64) or 1), "01" if self.sampled else "00")

    def fail(self, error):
        """Notes an exception that ended the work: `error.type`, status, an event."""
        unseen(error)
        self.failed = True
        self.attributes["error.type"] = type_name(error)
        self.note(error)

    def note(self, error):
        """Adds the event of an exception; of the same one once."""
        if not self.sampled or not self.own or self.noted == id(error):
            return
        self.noted = id(error)
        if self.events is None:
            self.events = []
        if len(self.events) < _EVENTS:
            self.events.append((time_ns(), exception(error)))

    def end(self):
        """Ends it, once; seconds it took."""
        if self.duration is None:
            self.duration = perf_counter_ns() - self.clock
            if self.own and self.sampled:
                traces.put(self)
        return self.duration / 1e9


def unseen(error):
    """Takes our own frame from the head of a traceback that is on its way up, so that it looks as it does without us. Before
    Python 3.11 `raise` does not heed it."""
    trace = error.__traceback__
    if trace is not None and trace.tb_frame.f_code.co_filename.startswith(_FOLDER):
        error.__traceback__ = trace.tb_next


def type_name(error):
    kind = error if isinstance(error, type) else type(error)
    return kind.__qualname__ if kind.__module__ in ("builtins", None) else "%s.%s" % (kind.__module__, kind.__qualname__)


def exception(error):
    """The attributes of an exception. Texts are made now: later its frames may be gone."""
    found = {"exception.type": type_name(error)}
    try:
        found["exception.message"] = str(error)[:4096]
        found["exception.stacktrace"] = "".join(format_exception(type(error), error, error.__traceback__))[-16384:]
    except Exception as broken:
        settings.fault("exception", broken)
    return found


def begin(kind, name, scope, attributes, parent=None):
    """A span that begins now within `parent` (or what is current)."""
    span = Span()
    parent = parent or current.get()
    if parent is None:
        span.trace_id = trace_id = "%032x" % (bits(128) or 1)
        span.parent_id = span.state = ""
        span.sampled = kept(trace_id)
    else:
        span.trace_id, span.parent_id, span.state, span.sampled = parent.trace_id, parent.span_id, parent.state, parent.sampled
    span.own = kind in _REPORTED
    span.span_id = "%016x" % (bits(64) or 1) if span.own else span.parent_id
    span.kind, span.name, span.scope, span.attributes = kind, name, scope, attributes
    span.duration = span.events = span.links = span.noted = None
    span.failed = False
    span.start, span.clock = time_ns(), perf_counter_ns()
    return span


class Remote:
    """The span of a caller elsewhere."""

    __slots__ = ("trace_id", "span_id", "state", "sampled")


def remote(traceparent, tracestate=None):
    """The caller that these headers tell of, or None."""
    found = read(traceparent) if traceparent else None
    if found is None:
        return None
    caller = Remote()
    caller.trace_id, caller.span_id, caller.sampled = found
    caller.state = state(tracestate)
    return caller


def observed():
    """False where our own work is done."""
    return current.get() is not SILENT
