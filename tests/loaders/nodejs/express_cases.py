"""The main path: Express on every supported Node.js, with traces, logs and metrics."""

from nodejs.rig import VERSIONS, Stage, Upstream
from world import equal, expect

SERVER_METRIC, CLIENT_METRIC = "http.server.request.duration", "http.client.request.duration"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def judge_server(stage, application):
    """Names, attributes, status and parents of what came in."""
    application.get("/user/42", {"traceparent": f"00-{TRACE}-{PARENT}-01", "User-Agent": "tests"})
    application.get("/shops/7/orders/3?secret=1")
    equal(application.get("/fails")[0], 500, "status of a handler that throws")
    application.get("/missing")
    application.get("/nothing/here")
    equal(application.get("/user", {"Content-Type": "application/json"}, b'{"a":1}')[1], '{"a":1}', "the echoed body")
    equal(application.get("/stream")[1], "beginend", "a response that streams")
    user = stage.span("GET /user/:id", "server")
    wanted = {
        "http.request.method": "GET", "url.scheme": "http", "url.path": "/user/42", "http.route": "/user/:id", "http.response.status_code": 200,
        "server.address": "127.0.0.1", "server.port": application.port, "client.address": "127.0.0.1", "user_agent.original": "tests",
        "network.protocol.version": "1.1"}
    equal(user.attributes, wanted, "attributes of a server's span")
    equal((user["traceId"], user.parent, user.failed), (TRACE, PARENT, False), "trace, parent and status of a call with context")
    order = stage.span("GET /shops/:shop/orders/:order")
    equal((order.parent, order.attributes["url.path"]), (None, "/shops/7/orders/3"), "parent and path of a call without context")
    failed = stage.span("GET /fails")
    equal((failed.failed, failed.attributes["error.type"]), (True, "TypeError"), "a handler that throws")
    event = failed["events"][0]
    told = {pair["key"]: pair["value"]["stringValue"] for pair in event["attributes"]}
    equal((event["name"], told["exception.type"], told["exception.message"]), ("exception", "TypeError", "as it happens"), "the exception")
    expect("express5.cjs" in told["exception.stacktrace"], "no stack of the application's")
    equal(stage.span("GET /missing").failed, False, "whether 404 failed")
    expect("http.route" not in stage.span("GET").attributes, "a route where there is none")
    equal(stage.span("POST /user").attributes["http.response.status_code"], 201, "status")
    stream = stage.span("GET /stream")
    expect(int(stream["endTimeUnixNano"]) - int(stream["startTimeUnixNano"]) > 250e6, "the span of a stream ends before the stream")
    return user


def judge_calls(stage, application, upstream):
    """What goes out, by fetch and by http, and where its context goes."""
    equal(application.get("/out?mine=secret")[0], 200, "status of a call that calls")
    parent = stage.span("GET /out")
    stage.spans(2, "client")
    for path in ("/fetched", "/asked"):
        found = [span for span in stage.receiver.spans("client") if path in span.attributes["url.full"]]
        equal(len(found), 1, f"spans of {path}")
        span = found[0]
        equal((span.name, span.parent, span["traceId"]), ("GET", parent["spanId"], parent["traceId"]), f"name, parent and trace of {path}")
        equal(span.attributes["url.full"], f"{upstream.url}{path}?token=REDACTED", "the URL")
        equal(span.attributes["http.response.status_code"], 200, "the status")
        equal(upstream.asked(path)["traceparent"], f"00-{span['traceId']}-{span['spanId']}-01", f"context of {path}")
    for request in stage.receiver.requests:
        expect(b"secret" not in request["body"], "a secret of a query is told")
    return parent


def judge_logs(stage, user, parent):
    """What the console said, and in which span."""
    listens = stage.log("listens")
    equal((listens["severityText"], listens["severityNumber"], listens.get("traceId")), ("info", 9, None), "a line outside of a request")
    said = stage.log("user 42")
    wanted = (user["traceId"], user["spanId"], "console")
    equal((said["traceId"], said["spanId"], said.scope["name"]), wanted, "ids and logger of a line in a request")
    asked = stage.log("asked")
    equal((asked["severityText"], asked["severityNumber"], asked["spanId"]), ("warn", 13, parent["spanId"]), "a line in a callback of a call")


def judge_metrics(stage):
    """Durations by route, the runtime's own."""
    points = {(at.get("http.route"), at.get("http.response.status_code")): point for at, point in stage.metric(SERVER_METRIC).points}
    equal(points[("/user/:id", 200)]["count"], "1", "calls of a route")
    equal(points[("/fails", 500)]["count"], "1", "calls that failed")
    expect(0 < points[("/stream", 200)]["sum"] < 5 and points[("/stream", 200)]["sum"] > 0.25, "the duration of a stream in seconds")
    calls = stage.metric(CLIENT_METRIC).points
    equal(sum(int(point["count"]) for _, point in calls), 2, "calls that went out")
    modes = {at["cpu.mode"] for at, _ in stage.metric("process.cpu.time").points}
    equal(modes, {"user", "system"}, "modes of process.cpu.time")
    for name in ("process.memory.usage", "nodejs.eventloop.utilization", "nodejs.eventloop.time", "nodejs.eventloop.delay.p99",
                 "v8js.memory.heap.used", "v8js.memory.heap.limit"):
        expect(stage.metric(name).points, f"{name} has no points")


def express_on(world, version, part):
    with Stage(world, version, part) as stage, Upstream() as upstream:
        application = stage.serve("express5.cjs", env={"TARGET": upstream.url, "OBTRACE_METRIC_INTERVAL": 2})
        user = judge_server(stage, application)
        parent = judge_calls(stage, application, upstream)
        judge_logs(stage, user, parent)
        equal(application.end(), -15, "exit code after SIGTERM")
        judge_metrics(stage)
        resource = user.resource
        wanted = {"service.name": "orders", "k8s.pod.name": "orders-7d4f", "k8s.namespace.name": "shop", "k8s.node.name": "node-1",
                  "telemetry.sdk.language": "nodejs", "telemetry.sdk.name": "obtrace", "telemetry.distro.name": "obtrace-zero",
                  "telemetry.distro.version": "0.1.0", "process.pid": application.pid, "process.runtime.name": "nodejs",
                  "process.runtime.version": version}
        equal({name: resource.get(name) for name in wanted}, wanted, "the resource")
        equal(application.out.splitlines(), ["listens", "user 42"], "standard output")
        expect("[obtrace]" not in application.err and "/obtrace/" not in application.err, f"a word or frame of ours: {application.err}")
        stage.settle()
        return f"{len(stage.receiver.requests)} requests"


def express_18(world):
    """Express 5 on Node.js 18: without it nothing of the main path works on the oldest supported runtime."""
    return express_on(world, VERSIONS[0], ".")


def express_20(world):
    """Express 4 on Node.js 20, whose routers differ from those of Express 5."""
    return express_on(world, VERSIONS[1], "older")


def express_22(world):
    """Express 5 on Node.js 22: spans with routes and parents, context in and out, logs with ids, metrics."""
    return express_on(world, VERSIONS[2], ".")


def express_24(world):
    """Express 5 on Node.js 24, whose asynchronous contexts are kept in another way."""
    return express_on(world, VERSIONS[3], ".")


def express_26(world):
    """Express 4 on Node.js 26, the newest."""
    return express_on(world, VERSIONS[4], "older")


CASES = [express_18, express_20, express_22, express_24, express_26]
