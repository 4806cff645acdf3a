"""Histograms of calls, and what the process and the interpreter tell of themselves (contract, section 8)."""

from _bisect import bisect_left
from _thread import RLock
from time import time_ns

from obtrace_python import otlp, settings
from obtrace_python.sender import logs, sender, traces

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
DATABASE_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
SETS = 1000
_OVERFLOW = (("otel.metric.overflow", True),)
SCOPE = "obtrace.python.runtime"


class Histogram:
    """Durations in seconds by attributes: cumulative, of all calls, sampled or not."""

    def __init__(self, name, scope, bounds, text):
        self.name, self.scope, self.bounds, self.text = name, scope, bounds, text
        self.enabled = "metrics" in settings.signals
        self.clear()

    def clear(self):
        # An RLock: a span may end in a finalizer that runs while its thread is in here.
        self.sets, self.lock, self.began = {}, RLock(), time_ns()

    def record(self, key, seconds):
        """Counts a call; `key` is a tuple of (name, value)."""
        if not self.enabled:
            return
        with self.lock:
            found = self.sets.get(key)
            if found is None:
                found = self.found(key)
            found[bisect_left(self.bounds, seconds)] += 1
            found[-3] += seconds
            if seconds < found[-2]:
                found[-2] = seconds
            if seconds > found[-1]:
                found[-1] = seconds
        if not sender.running:
            collector.recorded = True
            sender.start()

    def found(self, key):
        if len(self.sets) >= SETS:
            key = _OVERFLOW
        # The buckets, the sum, the least, the most.
        return self.sets.setdefault(key, [0] * (len(self.bounds) + 1) + [0.0, float("inf"), 0.0])

    def collect(self, now):
        with self.lock:
            sets = [(key, list(values)) for key, values in self.sets.items()]
        bounds = ",".join(map(repr, self.bounds))
        head = '"name":"%s","description":"%s","unit":"s","histogram":{"aggregationTemporality":2,' % (self.name, self.text)
        return [(self.scope, head, self.point(key, values, bounds, now)) for key, values in sets]

    def point(self, key, values, bounds, now):
        buckets = values[:-3]
        counts = ",".join(['"%d"' % count for count in buckets])
        return ('{"attributes":[%s],"startTimeUnixNano":"%d","timeUnixNano":"%d","count":"%d","sum":%r,"min":%r,"max":%r,'
                '"bucketCounts":[%s],"explicitBounds":[%s]}' % (otlp.attributes(dict(key)), self.began, now, sum(buckets), *values[-3:], counts, bounds))


server = Histogram("http.server.request.duration", "obtrace.python.http", BOUNDS, "Duration of HTTP server requests.")
client = Histogram("http.client.request.duration", "obtrace.python.http", BOUNDS, "Duration of HTTP client requests.")
database = Histogram("db.client.operation.duration", "obtrace.python.db", DATABASE_BOUNDS, "Duration of database client operations.")
_HISTOGRAMS = (server, client, database)


class Collector:
    """Everything that is reported, as (scope, head of the metric, data point)."""

    recorded = False

    def clear(self):
        """As new, in a forked child."""
        self.recorded = False
        for histogram in _HISTOGRAMS:
            histogram.clear()

    def collect(self):
        from obtrace_python import process

        now, began = time_ns(), server.began
        items = [item for histogram in _HISTOGRAMS for item in histogram.collect(now)]
        items += process.collect(began, now)
        for lane in (traces, logs):
            points = [({"signal": lane.signal, "reason": reason}, count) for reason, count in lane.dropped.items() if count]
            items += total("obtrace.loader.dropped", "{item}", "Items that could not be sent.", points, began, now)
        return items


collector = Collector()


def total(name, unit, text, points, began, now, monotonic=True):
    """A sum: points are (attributes, number)."""
    head = '"name":"%s","unit":"%s","description":"%s","sum":{"aggregationTemporality":2,"isMonotonic":%s,' % (
        name, unit, text, "true" if monotonic else "false")
    return [(SCOPE, head, '{"attributes":[%s],"startTimeUnixNano":"%d","timeUnixNano":"%d",%s}' % (otlp.attributes(found), began, now, number(count)))
            for found, count in points]


def number(count):
    return '"asInt":"%d"' % count if isinstance(count, int) else '"asDouble":%r' % count
