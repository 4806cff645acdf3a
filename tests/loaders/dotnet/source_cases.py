"""ActivitySources of applications and libraries (.NET 5 and later), and what ILogger says."""

from dotnet.rig import NEW, clean, observed, on_each, only, run
from upstream import Upstream
from world import CALLER, TRACE, equal, expect


def activity_sources(world):
    """What an application or library tells of itself by ActivitySource would be lost: kinds, tags, events, links, status."""
    with observed(world) as receiver:
        run(world, NEW, "Sources", "own", to=receiver, against=NEW)
        clean(receiver)
        spans = {span.name: span for span in receiver.spans()}
        outer, inner = spans["close month"], spans["publish"]
        equal((inner["traceId"], inner.parent, inner.kind, inner.failed), (outer["traceId"], outer["spanId"], "producer", True), "the inner span")
        equal(inner["status"], {"code": 2, "message": "no broker"}, "its status")
        told = {name: outer.attributes[name] for name in ("orders", "paid", "share", "names")}
        equal(told, {"orders": 7, "paid": True, "share": 0.5, "names": ["a", "b"]}, "tags")
        equal(len(outer.attributes["long"]), 4096, "characters of a long one")
        equal([event["name"] for event in outer["events"]], ["locked"], "events")
        equal([(link["traceId"], link["spanId"]) for link in outer["links"]], [(TRACE, CALLER)], "links")
        equal([spans[f"kind {number}"].kind for number in range(5)], ["internal", "server", "client", "producer", "consumer"], "kinds")
        equal((len(spans["many"].attributes), len(spans["many"]["events"])), (128, 32), "bounds")
        equal(outer.scope, {"name": "Shop.Orders"}, "scope")


def grpc_calls(world):
    """Calls by gRPC would be named by HTTP's method alone. (Grpc.Net.Client cannot be had: its activity's names and tags are recorded.)"""
    with observed(world) as receiver:
        run(world, NEW, "Sources", "grpc", to=receiver, against=NEW)
        clean(receiver)
        equal([(span.name, span.failed, span.attributes["rpc.grpc.status_code"]) for span in receiver.spans()],
              [("shop.Orders/Get", False, 0), ("shop.Orders/Get", True, 5)], "spans")


def sources_and_calls(world):
    """A call within an application's own span would not be its child; with a ratio of 0, it would be kept, or not passed on."""
    with observed(world) as receiver, Upstream() as upstream:
        equal(run(world, NEW, "Sources", "call", f"{upstream.url}/a", to=receiver, against=NEW), "True True\n", "kept")
        job, call = only(receiver.spans("internal"), "jobs"), only(receiver.spans("client"), "calls")
        equal((call.parent, call["traceId"]), (job["spanId"], job["traceId"]), "the call")
        out = run(world, NEW, "Sources", "call", f"{upstream.url}/b", to=receiver, against=NEW, extra={"OBTRACE_TRACE_SAMPLE_RATIO": "0"})
        equal(out, "False False\n", "not kept")
        equal(len(receiver.spans()), 2, "spans")
        expect(upstream.seen[1][1]["traceparent"].endswith("-00"), "passed on as kept")
        run(world, NEW, "Sources", "call", f"{upstream.url}/c", to=receiver, against=NEW, extra={"OBTRACE_TRACED": "client"})
        call = receiver.spans("client")[-1]
        equal((len(receiver.spans()), call.parent), (3, None), "a call below a span that is not reported")


@on_each
def logs(world, version):
    """What an application logs would be missing, or not be found from its trace. Microsoft.Extensions.Logging cannot be had where this is
    tested: an EventSource of the same name, events and payloads (before 5.0 and since) stands for it."""
    for shape in ("old", "new"):
        with observed(world) as receiver:
            trace, span, filters = run(world, version, "Logging", shape, to=receiver).split()
            clean(receiver)
            records = receiver.logs()
            equal(filters, "UseAppFilters", "what the source is asked for")
            levels = [(record["severityNumber"], record["severityText"]) for record in records if record.scope["name"] == "Shop.Levels"]
            equal(levels, [(1, "Trace"), (5, "Debug"), (9, "Information"), (13, "Warning"), (17, "Error"), (21, "Critical")], "levels")
            expect(all("traceId" not in record for record in records[:6]), "ids outside of any work")
            taken, failed, long = (record for record in records if record.scope["name"] == "Shop.Orders")
            equal(taken.body, "order 7 \"taken\"\n\u0001 größe 😀", "text")
            equal((taken["traceId"], taken["spanId"], taken["flags"]), (trace, span, 1), "ids")
            equal(failed.attributes, {"exception.type": "System.TimeoutException", "exception.message": "too late",
                                      "exception.stacktrace": "System.TimeoutException: too late\n   at Shop"}, "the exception")
            equal(taken.attributes, {}, "attributes without an exception")
            equal(len(long.body), 16384, "characters of a long text")


CASES = [activity_sources, grpc_calls, sources_and_calls, logs]
