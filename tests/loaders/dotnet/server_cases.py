"""Requests that ASP.NET Core serves. ASP.NET Core itself cannot be had where this is tested (no NuGet, no image): apps/AspNetCore.cs writes
what its sources write, of both shapes (apps/README.md), into a DiagnosticListener of the same name. Kestrel, routing and middleware are not run."""

import json

from dotnet.rig import NEW, clean, observed, on_each, only, run
from upstream import Upstream
from world import CALLER, TRACE, VECTORS, equal, expect

HEADER = f"00-{TRACE}-{CALLER}-01"


def shape(version):
    return version.split(".")[0]


@on_each
def server_spans(world, version):
    """Requests would be missing, or named by their paths."""
    with observed(world) as receiver:
        run(world, version, "AspNetCore", shape(version), "routes", to=receiver)
        clean(receiver)
        spans = sorted(receiver.spans("server"), key=lambda span: int(span["startTimeUnixNano"]))
        equal([span.name for span in spans],
              ["GET /orders/{id}", "POST /api/orders", "GET", "GET /orders/{id}", "HTTP /pot", "GET /late", "GET /new"], "names")
        wanted = {"http.request.method": "GET", "http.route": "/orders/{id}", "url.path": "/orders/7", "url.scheme": "http",
                  "client.address": "127.0.0.1", "http.response.status_code": 200, "server.address": "shop.example", "server.port": 8080,
                  "user_agent.original": "curl/8",
                  "network.protocol.version": "1.1"}
        equal(spans[0].attributes, wanted, "attributes")
        equal([span.failed for span in spans], [False] * 7, "failed")
        equal(spans[6].attributes["url.path"], "/old", "the path that was asked for, before middleware rewrote it")
        equal(spans[3].attributes["http.request.method_original"], "get", "the method as it came")
        points = only(receiver.metrics("http.server.request.duration"), "histograms").points
        counts = {(attributes["http.request.method"], attributes.get("http.route")): point["count"] for attributes, point in points}
        wanted = {("GET", "/orders/{id}"): "2", ("POST", "/api/orders"): "1", ("GET", None): "1", ("_OTHER", "/pot"): "1",
                  ("GET", "/late"): "1", ("GET", "/new"): "1"}
        equal(counts, wanted, "counts")


@on_each
def server_errors(world, version):
    """Exceptions would be invisible, or an error page would take the place of the route that failed."""
    with observed(world) as receiver:
        run(world, version, "AspNetCore", shape(version), "errors", to=receiver)
        spans = {span.name: span for span in receiver.spans("server")}
        equal(sorted(spans), ["GET /broken", "GET /developer", "GET /fails", "GET /handled/{id}", "GET /odd"], "names")
        equal({name: (span.failed, span.attributes["error.type"], span.attributes["http.response.status_code"]) for name, span in spans.items()},
              {"GET /fails": (True, "System.InvalidOperationException", 500), "GET /handled/{id}": (True, "System.InvalidOperationException", 500),
               "GET /developer": (True, "System.InvalidOperationException", 500), "GET /odd": (True, "AspNetCore+Odd", 500),
               "GET /broken": (True, "503", 503)}, "errors")
        odd = only(spans["GET /odd"]["events"], "events")
        equal([pair["key"] for pair in odd["attributes"]], ["exception.type"], "what is told of an exception whose message throws")
        event = only(spans["GET /fails"]["events"], "events")
        told = {pair["key"]: pair["value"]["stringValue"] for pair in event["attributes"]}
        equal((event["name"], told["exception.message"]), ("exception", "no such order"), "the exception")
        expect("AspNetCore.Fail" in told["exception.stacktrace"], f"the stack: {told['exception.stacktrace']}")
        clean(receiver)


@on_each
def server_context(world, version):
    """A request and the calls it makes would be traces of their own."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "AspNetCore", shape(version), "context", f"{upstream.url}/a", HEADER, to=receiver)
        server, client = only(receiver.spans("server"), "servers"), only(receiver.spans("client"), "clients")
        equal((server["traceId"], server.parent, server.get("traceState")), (TRACE, CALLER, "vendor=1"), "the request")
        equal((client["traceId"], client.parent), (TRACE, server["spanId"]), "the call")
        headers = upstream.seen[0][1]
        equal((headers["traceparent"], headers["tracestate"]), (f"00-{TRACE}-{client['spanId']}-01", "vendor=1"), "passed on")
        run(world, version, "AspNetCore", shape(version), "context", f"{upstream.url}/b", HEADER[:-1] + "0", to=receiver)
        equal(len(receiver.spans()), 2, "spans after a request of a trace that is not kept")
        headers = upstream.seen[1][1]
        expect(headers["traceparent"].startswith(f"00-{TRACE}-") and headers["traceparent"].endswith("-00"), f"passed on {headers['traceparent']}")
        none = {"OBTRACE_TRACE_SAMPLE_RATIO": "0"}
        run(world, version, "AspNetCore", shape(version), "context", f"{upstream.url}/c", HEADER, to=receiver, extra=none)
        equal(len(receiver.spans()), 4, "spans after a kept trace, the own ratio being 0")
        clean(receiver)


@on_each
def long_tracestate_is_dropped(world, version):
    """A caller could make every header on the way behind us as large as it likes."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "AspNetCore", shape(version), "context", f"{upstream.url}/a", HEADER, "x=" + "y" * 600, to=receiver)
        expect("tracestate" not in upstream.seen[0][1], "a long tracestate is passed on")
        expect("traceState" not in only(receiver.spans("server"), "servers"), "a long tracestate is reported")


@on_each
def server_headers(world, version):
    """Broken `traceparent` headers would join strangers' traces. The framework hands the header to the runtime's Activity, which reads fewer
    of them than W3C has (none of a later version that is longer than ours; 3.1 none of a later version at all): there a new trace begins.
    Activity of 3.1 throws at flags that are no digits, with and without us."""
    told = [case for case in json.loads((VECTORS / "traceparent.json").read_text())["cases"] if "\0" not in case["header"]]
    headers = [case["header"].strip() or "-" for case in told]
    with observed(world) as receiver:
        out = run(world, version, "AspNetCore", shape(version), "headers", *headers, to=receiver)
        spans = {int(span.attributes["url.path"][1:]): span for span in receiver.spans("server")}
        thrown = {int(line) for line in out.split()}
        expect(all(headers[it].endswith("0g") for it in thrown), f"the runtime throws at {[headers[it] for it in thrown]}")
        for number, case in enumerate(told):
            later = case["header"].strip().startswith("cc") and (version.startswith("3.") or len(headers[number]) > 55)
            context = None if later else case["context"]
            span = spans.get(number)
            if number in thrown:
                continue
            if context is None:
                expect(span is not None and span.parent is None, f"{headers[number]} is taken: {span and span.parent}")
            elif context["sampled"]:
                expect(span is not None, f"{headers[number]}: no span")
                equal((span["traceId"], span.parent), (context["trace_id"], context["span_id"]), headers[number])
            else:
                equal(span, None, headers[number])


@on_each
def grpc_servers(world, version):
    """Services of gRPC would all be `POST`, and calls that failed would look well: their status is not HTTP's."""
    with observed(world) as receiver:
        run(world, version, "AspNetCore", shape(version), "grpc", to=receiver)
        clean(receiver)
        spans = sorted(receiver.spans("server"), key=lambda span: int(span["startTimeUnixNano"]))
        equal([(span.name, span.failed, span.attributes["rpc.grpc.status_code"]) for span in spans],
              [("shop.Orders/Get", False, 0), ("shop.Orders/Get", False, 5), ("shop.Orders/Get", True, 14)], "spans")
        equal((spans[0].attributes["rpc.service"], spans[0].attributes["rpc.method"]), ("shop.Orders", "Get"), "attributes")


@on_each
def a_leaked_activity(world, version):
    """An activity that the application never stops would make its request vanish, or end it under the wrong name."""
    with observed(world) as receiver:
        run(world, version, "AspNetCore", shape(version), "leak", to=receiver)
        equal([span.name for span in receiver.spans()], ["GET /leak"], "spans")


@on_each
def burst(world, version):
    """A burst would be sent in one request too large to be taken, or be lost."""
    with observed(world) as receiver:
        run(world, version, "AspNetCore", shape(version), "burst", "1300", to=receiver)
        equal(len(receiver.spans()), 1300, "spans")
        equal(len({span["spanId"] for span in receiver.spans()}), 1300, "ids")
        clean(receiver)


def overflow_of_the_queue(world):
    """An application that outruns the receiver would grow until it is killed, or nobody would learn of the loss."""
    with observed(world, delay=0.3) as receiver:
        run(world, NEW, "AspNetCore", shape(NEW), "burst", "8000", "4000", to=receiver)
        points = only(receiver.metrics("obtrace.loader.dropped"), "obtrace.loader.dropped").points
        attributes, point = only(points, "points")
        equal(attributes, {"signal": "traces", "reason": "queue_full"}, "attributes")
        equal(int(point["asInt"]) + len(receiver.spans()), 8000, "spans sent and dropped")
        expect(len(receiver.spans()) >= 5000, f"only {len(receiver.spans())} were sent")
        clean(receiver)
        return f"{point['asInt']} dropped"


@on_each
def too_many_routes(world, version):
    """Routes without bound would make the metrics grow without bound."""
    with observed(world) as receiver:
        run(world, version, "AspNetCore", shape(version), "kinds", "1200", to=receiver, extra={"OBTRACE_SIGNALS": "metrics"})
        points = [point for metric in receiver.metrics("http.server.request.duration") for point in metric.points]
        equal(len(points), 1001, "sets of attributes")
        over = only([point for attributes, point in points if attributes.get("otel.metric.overflow")], "overflowing sets")
        equal(over["count"], "200", "calls beyond the bound")
        equal(receiver.spans(), [], "spans")
        clean(receiver)


CASES = [server_spans, server_errors, server_context, long_tracestate_is_dropped, server_headers, grpc_servers, a_leaked_activity, burst,
         overflow_of_the_queue, too_many_routes]
