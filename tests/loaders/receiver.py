"""A receiver of OTLP JSON that keeps what it is sent, says what is wrong with it, and answers as it is told."""

import json
import re
import ssl
import sys
import threading
import time

from machine import Listening, Quiet, Wrong

SIGNALS = {"traces": ("resourceSpans", "scopeSpans", "spans"), "logs": ("resourceLogs", "scopeLogs", "logRecords"),
           "metrics": ("resourceMetrics", "scopeMetrics", "metrics")}
KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
HEX = {"traceId": 32, "spanId": 16, "parentSpanId": 16}
WHOLE = re.compile(r"-?[0-9]+$")
LARGEST_BATCH = 500


def plain(value):
    """An attribute's value as Python's own."""
    (form, inner), = value.items() if value else (("stringValue", None),)
    if form == "intValue":
        return int(inner)
    if form == "arrayValue":
        return [plain(item) for item in inner.get("values", [])]
    if form == "kvlistValue":
        return {pair["key"]: plain(pair["value"]) for pair in inner.get("values", [])}
    return inner


def attributes(item):
    return {pair["key"]: plain(pair["value"]) for pair in item.get("attributes", [])}


class Item(dict):
    """A span, log record or metric as it was sent; its attributes, scope and resource beside it."""

    def __init__(self, raw, scope, resource, request):
        super().__init__(raw)
        self.scope, self.resource, self.request = scope, resource, request
        self.attributes = attributes(raw)

    @property
    def name(self):
        return self["name"]

    @property
    def kind(self):
        return KINDS.get(self.get("kind"), self.get("kind"))

    @property
    def parent(self):
        return self.get("parentSpanId") or None

    @property
    def failed(self):
        return self.get("status", {}).get("code") == 2

    @property
    def body(self):
        return plain(self.get("body", {}))

    @property
    def points(self):
        """The data points of a metric."""
        for form in ("gauge", "sum", "histogram", "exponentialHistogram", "summary"):
            if form in self:
                return [(attributes(point), point) for point in self[form].get("dataPoints", [])]
        return []


class Receiver:
    """Listens on loopback. `replies`: (status, headers) of the first requests; those after them are taken with 200.
    `delay`: seconds before an answer. `silent`: never answers. `tls`: a `tls.Authority`, for https; `distrusted` counts the
    connections that then came to nothing."""

    def __init__(self, replies=(), delay=0, silent=False, host="127.0.0.1", port=0, tls=None):
        self.requests, self.replies, self.delay, self.silent, self.distrusted = [], list(replies), delay, silent, 0
        self.changed = threading.Condition()
        receiver = self

        class Handler(Quiet):
            def do_POST(self):
                receiver.take(self)

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "3")
                self.end_headers()
                self.wfile.write(b"end")

        class Server(Listening):
            def handle_error(self, *_):
                if isinstance(sys.exc_info()[1], ssl.SSLError):
                    with receiver.changed:
                        receiver.distrusted += 1
                        receiver.changed.notify_all()

        self.server = Server(Handler, host, port, tls and tls.context())
        self.port, self.url = self.server.port, self.server.url

    def take(self, request):
        body = request.body()
        with self.changed:
            if self.silent:
                self.changed.wait(60)
                return
            status, headers = self.replies.pop(0) if self.replies else (200, {})
        time.sleep(self.delay)
        with self.changed:
            self.requests.append({"time": time.monotonic(), "path": request.path, "headers": dict(request.headers), "body": body, "status": status})
            self.changed.notify_all()
        try:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", "2")
            request.end_headers()
            request.wfile.write(b"{}")
        except OSError:
            pass

    def items(self, signal):
        """Every item of a signal (`traces`, `logs`, `metrics`) that was taken."""
        outer, middle, inner = SIGNALS[signal]
        return [Item(raw, scope.get("scope", {}), attributes(resource.get("resource", {})), request)
                for request in list(self.requests) if request["status"] == 200 and request["path"].endswith("/" + signal)
                for resource in json.loads(request["body"]).get(outer, [])
                for scope in resource.get(middle, [])
                for raw in scope.get(inner, [])]

    def spans(self, kind=None):
        return [span for span in self.items("traces") if kind in (None, span.kind)]

    def logs(self):
        return self.items("logs")

    def metrics(self, name=None):
        return [metric for metric in self.items("metrics") if name in (None, metric["name"])]

    def wait(self, ready, within=10):
        """Waits until `ready()` is true; what it gave last."""
        deadline = time.monotonic() + within
        with self.changed:
            while not (answer := ready()) and (left := deadline - time.monotonic()) > 0:
                self.changed.wait(min(left, 0.5))
        return answer

    def wait_spans(self, count, kind=None, within=10):
        return self.wait(lambda: len(self.spans(kind)) >= count, within)

    def wrong(self, language, key="test-key"):
        """What is wrong with the requests by the contract, one line each."""
        lines = []
        for request in list(self.requests):
            lines += [f"{request['path']}: {line}" for line in wrong_request(request, language, key)]
        return lines

    def clean(self, language):
        """Nothing of what was sent is wrong by the contract."""
        if lines := self.wrong(language):
            raise Wrong(lines[:20])

    def close(self):
        with self.changed:
            self.silent = False
            self.changed.notify_all()
        self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wrong_request(request, language, key):
    headers = {name.lower(): value for name, value in request["headers"].items()}
    signal = request["path"].rsplit("/", 1)[-1]
    lines = [] if request["path"].endswith(f"/otlp/v1/{signal}") and signal in SIGNALS else ["not a path of the contract"]
    wanted = {"content-type": "application/json", "x-obtrace-source": f"zero-agent-{language}", "x-api-key": key}
    lines += [f"header {name}: {headers.get(name)!r}" for name, value in wanted.items() if headers.get(name) != value]
    lines += [f"header {name} on our own request" for name in ("traceparent", "tracestate", "baggage") if name in headers]
    try:
        body = json.loads(request["body"])
    except ValueError as error:
        return [*lines, f"no JSON: {error}"]
    if lines:
        return lines
    outer, middle, inner = SIGNALS[signal]
    count = 0
    for resource in body.get(outer, []):
        if "service.name" not in attributes(resource.get("resource", {})):
            lines.append("a resource without service.name")
        for scope in resource.get(middle, []):
            for item in scope.get(inner, []):
                item = Item(item, {}, {}, None)
                count += len(item.points) if signal == "metrics" else 1
                lines += wrong_item(signal, item)
    if not 0 < count <= LARGEST_BATCH:
        lines.append(f"{count} items in a batch")
    return lines + wrong_numbers(body)


def wrong_item(signal, item):
    lines = [f"{name} {item[name]!r}" for name, length in HEX.items()
             if item.get(name) and not re.fullmatch(f"[0-9a-f]{{{length}}}", item[name])]
    if signal == "traces":
        lines += [f"a span without {name}" for name in ("traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano") if not item.get(name)]
        if not lines and int(item["startTimeUnixNano"]) > int(item["endTimeUnixNano"]):
            lines.append(f"{item.name} ends before it starts")
        if not lines and abs(int(item["endTimeUnixNano"]) / 1e9 - time.time()) > 3600:
            lines.append(f"{item.name} is not of this hour")
    if signal == "logs" and not (item.get("timeUnixNano") and item.get("severityNumber") and "body" in item):
        lines.append("a log record without time, severity or body")
    if signal == "metrics" and not item.points:
        lines.append(f"{item.get('name')} has no data points")
    if len(item.attributes) > 128:
        lines.append(f"{len(item.attributes)} attributes")
    return lines


def wrong_numbers(value, name="body"):
    """64-bit integers are strings of digits, enumerations are numbers."""
    if isinstance(value, list):
        return [line for item in value for line in wrong_numbers(item, name)]
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in wrong_numbers(inner, key)]
    if name in ("intValue", "asInt", "count", "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "observedTimeUnixNano", "bucketCounts"):
        return [] if isinstance(value, str) and WHOLE.match(value) else [f"{name} is {value!r}"]
    if name in ("kind", "code", "severityNumber", "aggregationTemporality"):
        return [] if isinstance(value, int) else [f"{name} is {value!r}"]
    return []
