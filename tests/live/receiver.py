"""A receiver of OTLP over HTTP that keeps what it is sent and answers as it is told."""

import gzip
import http.server
import json
import re
import threading
import time

HEX = {"traceId": re.compile(r"[0-9a-f]{32}$"), "spanId": re.compile(r"[0-9a-f]{16}$"), "parentSpanId": re.compile(r"[0-9a-f]{16}$")}
NUMBER = re.compile(r"-?[0-9]+$")


class Receiver:
    """`replies` answers the first requests, (status, headers) each; those after them are taken. It listens where it can, or on `port`; with
    `tls`, a context of a server, over TLS. Bodies that are gzip are kept as what they were."""

    def __init__(self, replies=(), silent=False, port=0, tls=None):
        self.requests, self.replies, self.silent = [], list(replies), silent
        self.lock = threading.Lock()
        self.taken = threading.Condition(self.lock)
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver.take(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if request.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        with self.lock:
            if self.silent:
                self.taken.wait(60)
                return
            status, headers = self.replies.pop(0) if self.replies else (200, {})
            self.requests.append({"time": time.monotonic(), "path": request.path, "headers": request.headers, "body": body, "status": status})
            self.taken.notify_all()
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"{}")

    def wait(self, count, within=30):
        """Waits until this many spans were taken; whether they were."""
        with self.lock:
            return self.taken.wait_for(lambda: len(self.spans()) >= count, within)

    def spans(self):
        """Every span of the requests that were taken."""
        bodies = [json.loads(request["body"]) for request in self.requests if request["status"] == 200]
        return [span for body in bodies for resource in body["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]

    def spans_only(self):
        """The same where metrics come as well."""
        with self.lock:
            bodies = [json.loads(request["body"]) for request in self.requests if request["status"] == 200 and request["path"].endswith("/v1/traces")]
        return [span for body in bodies for resource in body["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]

    def close(self):
        with self.lock:
            self.silent = False
            self.taken.notify_all()
        self.server.shutdown()
        self.server.server_close()


def wrong(value, path="body"):
    """What in a body is not OTLP by the JSON mapping of its protocol buffers, one line each."""
    shapes = {
        "body": {"resourceSpans": list},
        "resourceSpans": {"resource": dict, "scopeSpans": list, "schemaUrl": str},
        "resource": {"attributes": list, "droppedAttributesCount": int},
        "scopeSpans": {"scope": dict, "spans": list, "schemaUrl": str},
        "scope": {"name": str, "version": str},
        "spans": {"traceId": str, "spanId": str, "traceState": str, "parentSpanId": str, "flags": int, "name": str, "kind": int,
                  "startTimeUnixNano": str, "endTimeUnixNano": str, "attributes": list, "events": list, "links": list, "status": dict,
                  "droppedAttributesCount": int, "droppedEventsCount": int, "droppedLinksCount": int},
        "status": {"code": int, "message": str},
        "attributes": {"key": str, "value": dict},
        "value": {"stringValue": str, "intValue": str, "doubleValue": (int, float), "boolValue": bool, "arrayValue": dict},
        "arrayValue": {"values": list},
    }
    shapes["values"] = shapes["value"]
    if not isinstance(value, dict):
        return [f"{path} is {value!r}"]
    lines = []
    for name, inner in value.items():
        wanted = shapes[path].get(name)
        if wanted is None or not isinstance(inner, wanted):
            lines.append(f"{path}.{name} is {inner!r}")
        elif name in HEX and not HEX[name].match(inner) or name in ("startTimeUnixNano", "endTimeUnixNano", "intValue") and not NUMBER.match(inner):
            lines.append(f"{path}.{name} is {inner!r}")
        elif isinstance(inner, (dict, list)):
            lines += [line for item in (inner if isinstance(inner, list) else [inner]) for line in wrong(item, name)]
    return lines + (missing(value) if path == "spans" else [])


def missing(span):
    lines = [f"a span without {name}" for name in ("traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano") if name not in span]
    if not lines and int(span["startTimeUnixNano"]) > int(span["endTimeUnixNano"]):
        lines.append("a span that ends before it starts")
    return lines
