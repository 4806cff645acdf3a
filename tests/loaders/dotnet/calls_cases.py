"""HttpClient: spans, context, metrics."""

from dotnet.rig import OLD, clean, launch, observed, on_each, only, run
from upstream import Upstream
from world import CALLER, TRACE, equal, expect


@on_each
def client_spans(world, version):
    """Calls to other services would be missing, or misnamed, or tell secrets of their URLs."""
    with observed(world) as receiver, Upstream() as upstream:
        words = [f"{upstream.url}/orders?id=7&key=secret", f"{upstream.url}/status/404", f"{upstream.url}/status/503", "http://127.0.0.1:1/closed"]
        out = run(world, version, "Calls", "get", *words, to=receiver)
        equal(out.split("\n")[:4], ["200 ok", "404 ok", "503 ok", "System.Net.Http.HttpRequestException"], "the application's output")
        clean(receiver)
        spans = sorted(receiver.spans(), key=lambda span: int(span["startTimeUnixNano"]))
        equal([(span.name, span.kind, span.failed) for span in spans],
              [("GET", "client", False), ("GET", "client", True), ("GET", "client", True), ("GET", "client", True)], "spans")
        wanted = {"http.request.method": "GET", "url.full": f"{upstream.url}/orders?id=REDACTED&key=REDACTED", "server.address": "127.0.0.1",
                  "server.port": upstream.port, "http.response.status_code": 200, "network.protocol.version": "1.1", "url.scheme": "http"}
        equal(spans[0].attributes, wanted, "attributes")
        equal([span.attributes.get("error.type") for span in spans], [None, "404", "503", "System.Net.Http.HttpRequestException"], "error.type")
        equal([event["name"] for event in spans[3]["events"]], ["exception"], "events of the failed call")
        equal(spans[0].resource["service.name"], "orders", "service.name")
        equal(spans[0].resource["process.runtime.version"], version, "runtime")
        equal(spans[0].scope["name"], "obtrace.dotnet.httpclient", "scope")
        equal([headers["traceparent"] for _, headers in upstream.seen], [f"00-{it['traceId']}-{it['spanId']}-01" for it in spans[:3]], "passed on")


@on_each
def client_methods(world, version):
    """Methods of one's own would blow up the names of spans."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "Calls", "odd", f"{upstream.url}/pot", to=receiver)
        span = only(receiver.spans(), "spans")
        told = span.attributes
        equal((span.name, told["http.request.method"], told["http.request.method_original"]), ("HTTP", "_OTHER", "BREW"), "span")
        run(world, version, "Calls", "old", f"{upstream.url}/old", to=receiver)
        equal([span.name for span in receiver.spans()], ["HTTP", "GET"], "spans, one of HttpWebRequest")
        clean(receiver)


@on_each
def own_traceparent_is_kept(world, version):
    """A service that writes its own `traceparent` would find another one in its place."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "Calls", "own", f"{upstream.url}/own", to=receiver)
        equal(upstream.seen[0][1]["traceparent"], f"00-{TRACE}-{CALLER}-01", "what was passed on")
        clean(receiver)


@on_each
def a_repeated_message_has_its_own_span(world, version):
    """With a retrying handler, the second attempt's callee would hang below the first attempt."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "Calls", "twice", f"{upstream.url}/twice", to=receiver)
        spans = sorted(receiver.spans(), key=lambda span: int(span["startTimeUnixNano"]))
        equal([headers["traceparent"] for _, headers in upstream.seen], [f"00-{span['traceId']}-{span['spanId']}-01" for span in spans], "passed on")
        equal(len(spans), 2, "spans")


@on_each
def a_cancelled_call_is_an_error(world, version):
    """Time-outs would look like calls that went well."""
    with observed(world) as receiver, Upstream() as upstream:
        out = run(world, version, "Calls", "cancel", f"{upstream.url}/slow", to=receiver)
        equal(out.strip(), "System.Threading.Tasks.TaskCanceledException", "output")
        span = only(receiver.spans(), "spans")
        equal((span.failed, span.attributes["error.type"]), (True, "System.Threading.Tasks.TaskCanceledException"), "span")


@on_each
def below_an_activity_of_the_application(world, version):
    """Calls below an application's own activity, whose flag nobody set, would never be kept, or hang below a span that nobody has."""
    with observed(world) as receiver, Upstream() as upstream:
        out = run(world, version, "Calls", "below", f"{upstream.url}/a", f"{upstream.url}/b", to=receiver)
        trace, _ = out.strip().split("\n")[-1].split()
        spans = receiver.spans()
        equal([(span["traceId"], span.parent) for span in spans], [(trace, None), (trace, None)], "traces and parents")
        expect(all(headers["traceparent"].endswith("-01") for _, headers in upstream.seen), "passed on as not kept")
        out = run(world, version, "Calls", "below", f"{upstream.url}/c", to=receiver, extra={"OBTRACE_TRACE_SAMPLE_RATIO": "0"})
        expect(upstream.seen[-1][1]["traceparent"].endswith("-00"), "a ratio of 0 is passed on as kept")
        equal(len(receiver.spans()), 2, "spans after one with the ratio 0")


@on_each
def ratio_zero_is_passed_on(world, version):
    """A trace that is not kept here would be kept by those who are called."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "Calls", "get", f"{upstream.url}/a", to=receiver, extra={"OBTRACE_TRACE_SAMPLE_RATIO": "0"})
        equal(receiver.spans(), [], "spans")
        expect(upstream.seen[0][1]["traceparent"].endswith("-00"), "passed on as kept")
        histogram = only(receiver.metrics("http.client.request.duration"), "histograms")
        equal(histogram.points[0][1]["count"], "1", "calls counted")


@on_each
def another_tool_reports_clients(world, version):
    """With OBTRACE_TRACED=server, callees would hang below spans that nobody reports."""
    with observed(world) as receiver, Upstream() as upstream:
        header = f"00-{TRACE}-{CALLER}-01"
        run(world, version, "AspNetCore", "8", "context", f"{upstream.url}/a", header, to=receiver, extra={"OBTRACE_TRACED": "server"})
        span = only(receiver.spans(), "spans")
        equal((span.kind, span.parent), ("server", CALLER), "the span")
        equal(upstream.seen[0][1]["traceparent"], f"00-{TRACE}-{span['spanId']}-01", "passed on")
        equal(upstream.seen[0][1].get("tracestate"), "vendor=1", "tracestate")


@on_each
def hierarchical_ids_stay(world, version):
    """An application that chose hierarchical ids would find others in its logs and headers."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "Calls", "hierarchical", f"{upstream.url}/a", to=receiver)
        headers = upstream.seen[0][1]
        expect("traceparent" not in headers and headers.get("request-id", "").startswith("|"), f"headers {headers}")
        equal(receiver.spans(), [], "spans")


@on_each
def client_metrics(world, version):
    """Rates and durations of calls, the process and its runtime would be missing."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "Calls", "get", *[f"{upstream.url}/status/200"] * 3, f"{upstream.url}/status/500", to=receiver)
        clean(receiver)
        points = only(receiver.metrics("http.client.request.duration"), "histograms").points
        counts = {attributes["http.response.status_code"]: (point["count"], attributes.get("error.type")) for attributes, point in points}
        equal(counts, {200: ("3", None), 500: ("1", "500")}, "calls by status")
        for _, point in points:
            expect(len(point["bucketCounts"]) == len(point["explicitBounds"]) + 1, "buckets and bounds do not fit")
            equal(sum(map(int, point["bucketCounts"])), int(point["count"]), "the buckets' sum")
        names = {metric.name for metric in receiver.metrics()}
        wanted = {"process.cpu.time", "process.memory.usage", "dotnet.gc.collections", "dotnet.gc.heap.total_allocated",
                  "dotnet.thread_pool.thread.count", "dotnet.thread_pool.work_item.count", "dotnet.thread_pool.queue.length",
                  "dotnet.monitor.lock_contentions", "dotnet.timer.count",
                  "dotnet.assembly.count", "dotnet.process.cpu.count"}
        later = {"dotnet.jit.compiled_methods", "dotnet.jit.compiled_il.size", "dotnet.jit.compilation.time", "dotnet.gc.pause.time"}
        equal((wanted | (set() if version == OLD else later)) - names, set(), "metrics that are missing")
        memory = only(receiver.metrics("process.memory.usage"), "process.memory.usage").points[0][1]
        expect(10e6 < int(memory["asInt"]) < 1e9, f"memory {memory}")
        return f"{len(names)} metrics"


@on_each
def exceptions_are_counted(world, version):
    """Nobody would see that an application throws, and catches, all the time. (Nor whom it did not reach, by IPv6.)"""
    with observed(world) as receiver:
        run(world, version, "Calls", "get", "http://[::1]:1/", to=receiver)
        told = only(receiver.spans(), "spans").attributes
        equal((told["server.address"], told["server.port"], told["url.full"]), ("::1", 1, "http://[::1]:1/"), "address")
        points = only(receiver.metrics("dotnet.exceptions"), "dotnet.exceptions").points
        types = {attributes["error.type"] for attributes, _ in points}
        expect("System.Net.Http.HttpRequestException" in types, f"types {types}")


@on_each
def metrics_come_by_the_clock(world, version):
    """A process that runs for weeks would report at its end only."""
    with observed(world) as receiver, Upstream() as upstream:
        application = launch(world, version, "Calls", "wait", f"{upstream.url}/a", to=receiver, extra={"OBTRACE_METRIC_INTERVAL": "1"})
        application.said("ready")
        expect(receiver.wait(lambda: len(receiver.metrics("process.cpu.time")) >= 2, 8), "no two reports in 8 s")
        clean(receiver)


CASES = [client_spans, client_methods, own_traceparent_is_kept, a_repeated_message_has_its_own_span, a_cancelled_call_is_an_error,
         below_an_activity_of_the_application, ratio_zero_is_passed_on, another_tool_reports_clients, hierarchical_ids_stay, client_metrics,
         exceptions_are_counted, metrics_come_by_the_clock]
