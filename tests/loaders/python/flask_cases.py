"""The main path: Flask on gunicorn, with all three signals, on every supported Python."""

import json

from upstream import Upstream
from world import Wrong, equal, expect

from python.rig import SUPPORTED, TRACE, TRACEPARENT, clean, observed, serve, venv


def gunicorn(binaries, *options):
    return [binaries / "gunicorn", "-b", "127.0.0.1:{port}", *options, "flask_app:app"]


def span_of(receiver, kind, name):
    found = [span for span in receiver.spans(kind) if span.name == name]
    expect(found, f"no {kind} span {name!r}: {[(span.kind, span.name) for span in receiver.spans()]}")
    return found[-1]


def flask_on_gunicorn(world):
    """An unchanged Flask application would show no requests, calls, logs or metrics."""
    notes = []
    for version in SUPPORTED:
        with observed(world) as receiver, Upstream() as upstream:
            server = serve(world, receiver, gunicorn(venv(world, "small", version), "-w", "1"), "/user/0", env={"UPSTREAM_PORT": upstream.port})
            equal(json.loads(server.get("/user/7", headers={"traceparent": TRACEPARENT, "tracestate": "a=1"})[1])["id"], 7, "the answer")
            equal(json.loads(server.get("/call/404", headers={"traceparent": TRACEPARENT})[1])["status"], 404, "the answer of the other")
            for path, status in (("/threads", 200), ("/log", 200), ("/stream", 200), ("/fail", 500), ("/nowhere", 404)):
                equal(server.get(path)[0], status, path)
            equal(server.end(), 0, "exit code")
            judge(receiver, upstream)
            clean(receiver)
            notes.append(version)
    return f"Python {', '.join(notes)}"


def judge(receiver, upstream):
    """Every signal of one run of the application."""
    span = [span for span in receiver.spans("server") if span.get("traceId") == TRACE and span.name == "GET /user/<int:user>"][-1]
    equal(span.parent, TRACEPARENT.split("-")[2], "parent of the server span")
    equal(span.get("traceState"), "a=1", "tracestate")
    wanted = {"http.request.method": "GET", "http.route": "/user/<int:user>", "url.path": "/user/7", "url.scheme": "http", "server.address": "127.0.0.1",
              "client.address": "127.0.0.1", "http.response.status_code": 200, "network.protocol.version": "1.1"}
    equal({name: span.attributes.get(name) for name in wanted}, wanted, "attributes of the server span")
    expect(not span.failed, "a good answer is no failure")
    equal(span.resource["service.name"], "orders", "service.name")
    equal(span.resource["k8s.pod.name"], "orders-7d4f", "k8s.pod.name")
    judge_calls(receiver, upstream)
    failed = span_of(receiver, "server", "GET /fail")
    expect(failed.failed and failed.attributes["error.type"] == "ValueError", "the failure is not told")
    equal([event["name"] for event in failed.get("events", [])], ["exception"], "events of the failure")
    lost = span_of(receiver, "server", "GET")
    equal((lost.attributes["http.response.status_code"], lost.attributes.get("http.route"), lost.failed), (404, None, False), "what is not found")
    judge_logs(receiver)
    judge_metrics(receiver)


def judge_calls(receiver, upstream):
    served = span_of(receiver, "server", "GET /call/<int:status>")
    call = [span for span in receiver.spans("client") if span.parent == served["spanId"]]
    equal(len(call), 1, "client spans below the server span")
    equal(call[0].attributes["url.full"], f"http://127.0.0.1:{upstream.port}/status/404?token=REDACTED", "url.full")
    expect(call[0].failed and call[0].attributes["error.type"] == "404", "the refused call is not told")
    equal(upstream.headers("/status/404")["traceparent"], f"00-{TRACE}-{call[0]['spanId']}-01", "what the other was told")
    served = span_of(receiver, "server", "GET /threads")
    for path in ("/thread", "/pool"):
        equal(upstream.headers(path)["traceparent"].split("-")[1], served["traceId"], f"trace of the call in a {path[1:]}")


def judge_logs(receiver):
    said = {record.body: record for record in receiver.logs()}
    record = said.get("user 7") or {}
    equal(record.get("traceId"), TRACE, "trace of a log record")
    equal((record.get("severityNumber"), record.get("severityText"), record.scope["name"]), (9, "INFO", "shop.orders"), "the log record")
    attached = said["not found: sku"]
    equal(attached.attributes["exception.type"], "KeyError", "exception of a log record")
    stream = span_of(receiver, "server", "GET /stream")
    equal(said["in the stream"].get("spanId"), stream["spanId"], "span of what is said while the body is made")
    expect("not said" not in said, "a level that is off was sent")


def judge_metrics(receiver):
    names = {metric.name for metric in receiver.metrics()}
    wanted = {"http.server.request.duration", "http.client.request.duration", "process.cpu.time", "process.memory.usage", "process.thread.count",
              "process.context_switches", "process.unix.file_descriptor.count", "cpython.gc.collections"}
    if wanted - names:
        raise Wrong(f"no metrics {sorted(wanted - names)}")
    counts = [int(point["count"]) for found, point in receiver.metrics("http.server.request.duration")[-1].points
              if found.get("http.route") == "/user/<int:user>"]
    equal(counts, [2], "requests counted")


CASES = [flask_on_gunicorn]
