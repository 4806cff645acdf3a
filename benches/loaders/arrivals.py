"""What reached the receiver, counted by signal: spans, log records, data points of metrics; of OTLP JSON and of protobuf."""

import collections
import gzip
import json
import time
import urllib.parse

SIGNALS = {"traces": ("resourceSpans", "scopeSpans", "spans"), "logs": ("resourceLogs", "scopeLogs", "logRecords"),
           "metrics": ("resourceMetrics", "scopeMetrics", "metrics")}
FORMS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
# The numbers of the same fields in opentelemetry/proto: resource, scope, item; of a metric its forms, of a form its points.
RESOURCES, SCOPES, ITEMS, POINTS = 1, 2, 2, 1
FORM_NUMBERS = {5, 7, 9, 10, 11}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# Nobody holds what is ready longer than this: batches wait 2 s.
QUIET = 2.6


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def inner(data, numbers):
    """The messages in the fields of these numbers."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == BYTES:
            length, at = varint(data, at)
            if tag >> 3 in numbers:
                yield data[at:at + length]
            at += length
        elif tag & 7 == VARINT:
            _, at = varint(data, at)
        else:
            at += {FIXED64: 8, FIXED32: 4}[tag & 7]


def below(data, *numbers):
    """The messages at the end of a path of field numbers."""
    found = [data]
    for number in numbers:
        found = [message for data in found for message in inner(data, {number})]
    return found


def items_of_protobuf(body, signal):
    items = below(body, RESOURCES, SCOPES, ITEMS)
    if signal == "metrics":
        return sum(1 for metric in items for form in inner(metric, FORM_NUMBERS) for _ in inner(form, {POINTS}))
    return len(items)


def items_of_json(body, signal):
    outer, middle, name = SIGNALS[signal]
    items = [item for resource in json.loads(body).get(outer, []) for scope in resource.get(middle, []) for item in scope.get(name, [])]
    if signal == "metrics":
        return sum(len(metric.get(form, {}).get("dataPoints", [])) for metric in items for form in FORMS)
    return len(items)


def count(request):
    """Signal and number of items of a request that the receiver took."""
    headers = {name.lower(): value for name, value in request["headers"].items()}
    body = gzip.decompress(request["body"]) if headers.get("content-encoding") == "gzip" else request["body"]
    signal = urllib.parse.urlsplit(request["path"]).path.rsplit("/", 1)[-1]
    counted = items_of_json if headers.get("content-type", "").startswith("application/json") else items_of_protobuf
    return signal, counted(body, signal)


class Arrivals:
    """Counts by contender: each sends below a path of its own."""

    def __init__(self, receiver):
        self.receiver, self.counts = receiver, {}

    def give(self, contender):
        """Gives a contender its own path in place of the receiver's address."""
        place = f"{self.receiver.url}/{contender.name.lower().replace(' ', '-')}"
        self.counts[urllib.parse.urlsplit(place).path] = contender.arrived = collections.Counter()
        contender.env = {name: value.replace(self.receiver.url, place) if isinstance(value, str) else value for name, value in contender.env.items()}

    def settle(self):
        """Waits until nobody has anything left to send."""
        seen = -1
        while seen != len(self.receiver.requests):
            seen = len(self.receiver.requests)
            time.sleep(QUIET)

    def take(self):
        """Counts what has come since, and forgets it."""
        requests = self.receiver.requests[:]
        del self.receiver.requests[:len(requests)]
        for request in requests:
            signal, number = count(request)
            self.counts["/" + request["path"].split("/")[1]][signal] += number
