"""Servers of HTTP: Puma, alone and as a cluster, Unicorn, WEBrick, Thin; Sinatra's routes, logs, metrics, context."""

import concurrent.futures
import signal

from ruby.rig import asked, clean, needs, observed, puma, serve
from upstream import Upstream
from world import TRACE, TRACEPARENT, Missing, equal, expect, one


def sinatra_on_puma(world):
    """Spans with routes, the logs said in them and the metrics of both, from an environment as a Pod has it."""
    with observed(world) as receiver, Upstream() as upstream:
        app = puma(world, receiver, env={"UPSTREAM": upstream.url})
        equal(app.get("/users/7", {"traceparent": TRACEPARENT, "tracestate": "vendor=1"}), (200, "user 7"), "answer")
        equal(app.get("/call")[1], "200", "call")
        equal(app.end(), -signal.SIGTERM, "exit code")
        expect(receiver.wait_spans(3, "server", 3), "too few server spans")
        user = one([span for span in asked(receiver) if span.name == "GET /users/:id"], "spans of /users/:id")
        equal((user["traceId"], user.parent), (TRACE, TRACEPARENT[36:52]), "place in the trace")
        equal(user["traceState"], "vendor=1", "tracestate")
        wanted = {"http.request.method": "GET", "http.route": "/users/:id", "url.path": "/users/7", "url.scheme": "http", "http.response.status_code": 200,
                  "server.address": "127.0.0.1", "server.port": app.port, "network.protocol.version": "1.1", "client.address": "127.0.0.1"}
        equal({name: user.attributes.get(name) for name in wanted}, wanted, "attributes")
        expect(user.attributes["user_agent.original"].startswith("Python"), "user agent")
        equal(user.scope["name"], "obtrace.ruby.rack", "scope")
        call = one([span for span in asked(receiver) if span.name == "GET /call"], "spans of /call")
        client = one(receiver.spans("client"), "client spans")
        equal((client.name, client["traceId"], client.parent), ("GET", call["traceId"], call["spanId"]), "client's place")
        equal(client.attributes["url.full"], f"{upstream.url}/status/200?token=REDACTED", "url.full")
        equal(upstream.headers("/status/200")["traceparent"], f"00-{client['traceId']}-{client['spanId']}-01", "traceparent passed on")
        expect("tracestate" not in upstream.headers("/status/200"), "a tracestate out of nowhere")
        logs_of(receiver, user)
        metrics_of(receiver)
        resource_of(user, app)
        clean(receiver)


def logs_of(receiver, user):
    info = one([record for record in receiver.logs() if record.body == "user 7"], "records of the line")
    equal((info["traceId"], info["spanId"], info["severityNumber"], info["severityText"]), (TRACE, user["spanId"], 9, "INFO"), "record")
    equal(info.scope["name"], "shop", "scope of the record")
    equal(one([record for record in receiver.logs() if record.body == "a detail"], "debug records")["severityNumber"], 5, "severity")


def metrics_of(receiver):
    points = {point[0].get("http.route"): point for metric in receiver.metrics("http.server.request.duration") for point in metric.points}
    attributes, point = points["/users/:id"]
    equal((point["count"], attributes["http.request.method"], attributes["http.response.status_code"]), ("1", "GET", 200), "server duration")
    expect(0 < point["sum"] < 5, f"a sum of {point['sum']} s")
    equal(sum(map(int, point["bucketCounts"])), 1, "buckets")
    equal(len(point["bucketCounts"]), len(point["explicitBounds"]) + 1, "bounds")
    for name in ("http.client.request.duration", "process.cpu.time", "process.memory.usage", "ruby.gc.count", "ruby.gc.duration", "ruby.gc.allocated_objects"):
        expect(receiver.metrics(name), f"no {name}")
    memory = receiver.metrics("process.memory.usage")[0].points[0][1]
    expect(5e6 < int(memory["asInt"]) < 1e9, f"memory {memory['asInt']}")


def resource_of(span, app):
    wanted = {"service.name": "orders", "k8s.pod.name": "orders-7d4f", "k8s.namespace.name": "shop", "k8s.node.name": "node-1", "process.pid": app.pid,
              "telemetry.sdk.language": "ruby", "telemetry.distro.name": "obtrace-zero", "process.runtime.name": "ruby"}
    equal({name: span.resource.get(name) for name in wanted}, wanted, "resource")
    expect(len(span.resource["service.instance.id"]) == 36, "service.instance.id")


def statuses_and_failures(world):
    """A 404 is no failure of the server, a 500 is one, and an exception says where it came from."""
    with observed(world) as receiver:
        app = puma(world, receiver)
        equal([app.get(path)[0] for path in ("/status/404", "/status/503", "/boom", "/nowhere", "/raise")], [404, 503, 500, 404, 500], "answers")
        app.end()
        spans = {span.attributes["url.path"]: span for span in asked(receiver)}
        equal({path: span.failed for path, span in spans.items()},
              {"/status/404": False, "/status/503": True, "/boom": True, "/nowhere": False, "/raise": True}, "failed")
        equal(spans["/status/503"].attributes["error.type"], "503", "error.type")
        equal(spans["/nowhere"].name, "GET", "name without a route")
        for path, kind, text in (("/boom", "ArgumentError", "no such order"), ("/raise", "RuntimeError", "out of the application")):
            event = one_event(spans[path])
            equal((spans[path].attributes["error.type"], event["exception.type"], event["exception.message"]), (kind, kind, text), path)
            expect("shop.ru" in event["exception.stacktrace"] and "/obtrace/" not in event["exception.stacktrace"], event["exception.stacktrace"][:300])
        clean(receiver)


def one_event(span):
    events = span.get("events", [])
    equal([event["name"] for event in events], ["exception"], f"events of {span.name}")
    return {pair["key"]: pair["value"]["stringValue"] for pair in events[0]["attributes"]}


def mounted_routes_and_odd_methods(world):
    """A part below a prefix has it in its route; an unknown method does not make names."""
    with observed(world) as receiver:
        app = puma(world, receiver)
        equal(app.get("/admin/orders/3"), (200, "order 3"), "answer")
        equal(app.get("/raw/anything"), (200, "/anything"), "raw")
        app.get("/raw/x", method="BREW")
        app.end()
        spans = {span.attributes["url.path"]: span for span in asked(receiver)}
        equal([spans[path].name for path in ("/admin/orders/3", "/raw/anything", "/raw/x")], ["GET /admin/orders/:id", "GET", "HTTP"], "names")
        equal((spans["/raw/x"].attributes["http.request.method"], spans["/raw/x"].attributes["http.request.method_original"]), ("_OTHER", "BREW"), "method")
        clean(receiver)


def outgoing_calls_that_fail(world):
    """A 500 of the other side and a refused connection are failures of the call."""
    with observed(world) as receiver, Upstream() as upstream:
        app = puma(world, receiver, env={"UPSTREAM": upstream.url})
        app.get("/call?path=status/500")
        app.end()
        client = one(receiver.spans("client"), "client spans")
        equal((client.failed, client.attributes["error.type"], client.attributes["http.response.status_code"]), (True, "500", 500), "call")
    with observed(world) as receiver:
        app = puma(world, receiver, env={"UPSTREAM": "http://127.0.0.1:9"})
        equal(app.get("/call")[0], 500, "answer")
        app.end()
        client = one(receiver.spans("client"), "client spans")
        equal((client.failed, client.attributes["error.type"], client.attributes["server.port"]), (True, "Errno::ECONNREFUSED", 9), "refused")
        clean(receiver)


def threads_keep_the_trace(world):
    """What a request does in threads of its own belongs to it."""
    with observed(world) as receiver, Upstream() as upstream:
        app = puma(world, receiver, env={"UPSTREAM": upstream.url})
        app.get("/threads")
        app.end()
        server = one([span for span in asked(receiver)], "server spans")
        equal([span.parent for span in receiver.spans("client")], [server["spanId"]] * 2, "parents")


def streams_end_with_the_answer(world):
    """The span of a response that streams lasts until its end."""
    with observed(world) as receiver:
        app = puma(world, receiver)
        equal(app.get("/stream"), (200, "ab"), "answer")
        app.end()
        span = one([span for span in asked(receiver)], "server spans")
        seconds = (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e9
        expect(seconds >= 0.29, f"it lasted {seconds} s")


def burst(app, count, path="/users/1"):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: app.get(path)[0], range(count)))


def puma_cluster(world):
    """Two workers made by fork from one that has loaded everything: 40 of 40 requests, two processes, no id twice."""
    with observed(world) as receiver:
        app = puma(world, receiver, "-w", "2", "-t", "2:2", "--preload")
        equal(burst(app, 40), [200] * 40, "answers")
        equal(app.end(), -signal.SIGTERM, "exit code")
        spans = asked(receiver)
        equal(len(spans), 40, "spans")
        equal(len({span["spanId"] for span in receiver.spans()}), len(receiver.spans()), "different ids")
        equal(len({span["traceId"] for span in spans}), 40, "traces")
        equal(len({(span.resource["process.pid"], span.resource["service.instance.id"]) for span in receiver.spans()}), len({
            span.resource["process.pid"] for span in receiver.spans()}), "instances")
        expect(app.pid not in {span.resource["process.pid"] for span in spans}, "the master said it")
        equal(len([record for record in receiver.logs() if record.body == "user 1"]), 40, "log records")
        clean(receiver)


def unicorn(world):
    """Unicorn's workers, ended gracefully (SIGQUIT); on SIGTERM they leave by `exit!`, and so at most the last two seconds with them."""
    with observed(world) as receiver:
        app = serve(world, receiver, "unicorn", "-l", "127.0.0.1:{port}", "shop.ru")
        equal(burst(app, 20), [200] * 20, "answers")
        equal(app.get("/stream"), (200, "ab"), "stream")
        equal(app.end(signal.SIGQUIT), 0, "exit code")
        equal(len(asked(receiver)), 21, "spans")
        clean(receiver)
    with observed(world) as receiver:
        app = serve(world, receiver, "unicorn", "-l", "127.0.0.1:{port}", "shop.ru")
        equal(burst(app, 20), [200] * 20, "answers")
        expect(receiver.wait_spans(21, "server", 6), f"{len(asked(receiver))} spans without an end")
        app.end()


def other_servers(world):
    """WEBrick, Thin and `rackup` give the same spans."""
    done = []
    for name, command in (("webrick", ("rackup", "-q", "-s", "webrick", "-o", "127.0.0.1", "-p", "{port}", "shop.ru")),
                          ("thin", ("thin", "-q", "-a", "127.0.0.1", "-p", "{port}", "-R", "shop.ru", "start"))):
        try:
            needs(name)
        except Missing:
            continue
        with observed(world) as receiver:
            app = serve(world, receiver, *command)
            equal([app.get(path) for path in ("/users/1", "/stream")], [(200, "user 1"), (200, "ab")], f"{name}'s answers")
            app.end(signal.SIGINT)
            equal(sorted(span.name for span in asked(receiver)), ["GET /stream", "GET /users/:id"], f"{name}'s spans")
            clean(receiver)
        done.append(name)
    expect("webrick" in done, "no WEBrick")
    return ", ".join(done)


def bursts_stay_in_batches(world):
    """1,300 spans and 1,300 log records at once: none is lost, no batch is larger than 500."""
    with observed(world) as receiver, Upstream() as upstream:
        app = puma(world, receiver, env={"UPSTREAM": upstream.url})
        app.get("/burst?count=1300", timeout=60)
        app.get("/logs?count=1300")
        equal(app.end(), -signal.SIGTERM, "exit code")
        equal(len(receiver.spans("client")), 1300, "client spans")
        equal(len(receiver.logs()), 1300, "log records")
        clean(receiver)


CASES = [sinatra_on_puma, statuses_and_failures, mounted_routes_and_odd_methods, outgoing_calls_that_fail, threads_keep_the_trace,
         streams_end_with_the_answer, puma_cluster, unicorn, other_servers, bursts_stay_in_batches]
