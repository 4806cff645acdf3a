"""A Spring Boot application: with all that the loader does, with the lean profile, and with less."""

import re

from java.rig import AGENT, QUICK, REMOTE, bare, environment, normal, one, spring, without_jvm_lines
from receiver import Receiver
from world import equal, expect


def spring_application(world):
    """Spring Boot with a database and two HTTP clients: routes, parents, context in and out, statuses, logs with ids, metrics (all of them
    in the last report), batches under a burst, the end by SIGTERM, and the same output as without us."""
    world.mount(world.volume("java"))
    with Receiver() as receiver:
        env = environment(world, receiver.url, ["java", "-jar", "app.jar"])
        equal(env.get("JAVA_TOOL_OPTIONS"), AGENT, "JAVA_TOOL_OPTIONS")
        application = spring(world, env)
        own = f"http://127.0.0.1:{application.port}"
        _, order = application.get("/orders/7?key=secret", {"traceparent": f"00-{REMOTE[0]}-{REMOTE[1]}-01", "tracestate": "a=b"})
        equal(order, '{"ITEM":"seven"}', "the answer")
        _, called = application.get(f"/call?url={own}/headers", {"baggage": "k=v", "b3": "1"})
        equal(application.get("/fails")[0], 500, "status of a failure")
        application.get("/julog")
        application.get("/burst/1300")
        expect(receiver.wait(lambda: len(receiver.spans("client")) >= 1300, 20), f"{len(receiver.spans('client'))} client spans of a burst")
        equal(application.end(), 143, "exit code")
        out, err = application.out, application.err

        spans, logs = receiver.spans(), receiver.logs()
        server = one(spans, "server span", name="GET /orders/{id}")
        equal((server["traceId"], server.parent, server.kind), (*REMOTE, "server"), "trace, parent, kind")
        equal(server.attributes.get("http.response.status_code"), 200, "status code")
        expect("url.query" not in server.attributes and "secret" not in str(server), "the query of a server's request is sent")
        query = one([span for span in spans if span.parent == server["spanId"]], "query", kind=3)
        equal(query.name, "SELECT orders", "name of a query")
        equal(query.attributes.get("db.query.text"), "SELECT item FROM orders WHERE id = ? AND item <> ?", "db.query.text")
        equal((query.attributes.get("db.system.name"), query.attributes.get("db.collection.name")), ("h2database", "orders"), "database")
        failed = one(spans, "failed span", name="GET /fails")
        equal((failed.failed, bool(failed.attributes.get("error.type"))), (True, True), "failure")
        equal(failed.attributes["http.response.status_code"], 500, "status code of a failure")
        exception = [event for event in failed.get("events", []) if event["name"] == "exception"]
        equal(len(exception), 1, "exceptions on the failed span")
        chain(spans, called)

        log = one(logs, "log", body={"stringValue": "order 7 asked for"})
        equal((log["traceId"], log["spanId"], log["severityNumber"], log["severityText"], log.scope["name"]),
              (server["traceId"], server["spanId"], 13, "WARN", "shop.orders"), "log record")
        jul = one(logs, "log of java.util.logging", body={"stringValue": "said by jul"})
        equal((jul["severityNumber"], jul.scope["name"], bool(jul.get("traceId"))), (13, "shop.jul", True), "log record of java.util.logging")
        equal(len([entry for entry in logs if entry.body.startswith("line ")]), 1300, "log records of a burst")
        metrics(receiver)
        resource(server.resource)
        expect(not any("/otlp/" in str(span.attributes) for span in spans), "own requests are traced")
        receiver.clean("java")
        requests = len(receiver.requests)
    expect("Picked up" in err and not without_jvm_lines(err), f"standard error: {err[:500]}")
    without = spring(world, bare(env))
    for path in ("/orders/7", f"/call?url={own.replace(str(application.port), str(without.port))}/headers", "/fails", "/julog", "/burst/1300"):
        without.get(path)
    equal(without.end(), 143, "exit code of the bare run")
    equal(normal(out), normal(without.out), "standard output")
    return f"{len(spans)} spans, {len(logs)} log records, {requests} requests"


def chain(spans, called):
    """Both clients' calls: a client span with a scrubbed URL, the server's span below it, its id on the wire."""
    outer = one(spans, "caller", name="GET /call")
    clients = [span for span in spans if span.parent == outer["spanId"] and span.kind == "client"]
    equal(len(clients), 2, "client spans")
    equal({span.name for span in clients}, {"GET"}, "names of client spans")
    full = sorted(span.attributes["url.full"] for span in clients)
    expect(full[0].endswith("/headers") and full[1].endswith("/headers?token=REDACTED"), f"url.full: {full}")
    for client in clients:
        inner = one(spans, "callee", parentSpanId=client["spanId"])
        equal((inner.name, inner["traceId"]), ("GET /headers", outer["traceId"]), "callee")
        # 03: sampled, and the id is random (W3C Trace Context, level 2).
        expect(re.search(f"00-{outer['traceId']}-{client['spanId']}-0[13]", called), f"no traceparent of {client['spanId']} in {called}")
    equal(called.count('"none","none"'), 2, f"tracestate and baggage on the wire: {called}")


# What the agent tells of the connection pool as long as that is open, and the lean profile does not.
POOL = "db.client.connection.count"


def metrics(receiver):
    names = {metric.name for metric in receiver.metrics()}
    missing = {"http.server.request.duration", "http.client.request.duration", "db.client.operation.duration", "jvm.memory.used",
               "jvm.gc.duration", "jvm.thread.count", "jvm.class.count", "jvm.cpu.time", "process.cpu.time", "process.memory.usage"} - names
    expect(not missing, f"metrics missing: {sorted(missing)} among {sorted(names)}")
    expect("obtrace.loader.dropped" not in names, "something was dropped")
    durations = receiver.metrics("http.server.request.duration")[-1]
    routes = {attributes.get("http.route"): int(point["count"]) for attributes, point in durations.points}
    equal((routes.get("/orders/{id}"), durations.get("unit"), durations["histogram"]["aggregationTemporality"]), (1, "s", 2), f"durations: {routes}")


def resource(seen):
    wanted = {"service.name": "orders", "k8s.pod.name": "orders-7d4f", "k8s.namespace.name": "shop", "k8s.node.name": "node-1",
              "telemetry.sdk.language": "java", "telemetry.sdk.name": "opentelemetry", "telemetry.distro.name": "obtrace-zero"}
    equal({name: seen.get(name) for name in wanted}, wanted, "resource")
    for name in ("service.instance.id", "host.name", "process.pid", "process.runtime.name", "process.runtime.version", "telemetry.distro.version"):
        expect(seen.get(name), f"no {name} in {seen}")
    expect(not any(name.startswith("process.command") for name in seen), f"the command line is sent: {seen}")


def lean_profile(world):
    """OBTRACE_JAVA_PROFILE=lean on JDK 25: routes, queries, both HTTP clients, logs with ids and the JVM's metrics are all there; what the
    profile leaves off (the connection pool's metrics) is not."""
    world.mount(world.volume("java"))
    with Receiver() as receiver:
        env = environment(world, receiver.url, ["java", "-jar", "app.jar"], OBTRACE_JAVA_PROFILE="lean", OBTRACE_METRIC_INTERVAL="2")
        application = spring(world, env, 25, QUICK)
        application.get("/orders/7", {"traceparent": f"00-{REMOTE[0]}-{REMOTE[1]}-01"})
        _, called = application.get(f"/call?url=http://127.0.0.1:{application.port}/headers", {"baggage": "k=v"})
        application.get("/julog")
        expect(receiver.wait(lambda: receiver.metrics("http.server.request.duration"), 30), "no metrics before the end")
        equal(application.end(), 143, "exit code")
        spans, logs = receiver.spans(), receiver.logs()
        server = one(spans, "server span", name="GET /orders/{id}")
        equal((server["traceId"], server.parent), REMOTE, "trace and parent")
        equal(one([span for span in spans if span.parent == server["spanId"]], "query", kind=3).name, "SELECT orders", "name of a query")
        chain(spans, called)
        log = one(logs, "log", body={"stringValue": "order 7 asked for"})
        equal((log["traceId"], log["spanId"]), (server["traceId"], server["spanId"]), "ids of a log record")
        expect(one(logs, "log of java.util.logging", body={"stringValue": "said by jul"}).get("traceId"), "no ids of java.util.logging")
        metrics(receiver)
        expect(not receiver.metrics(POOL), "the lean profile does not leave the pool's metrics off")
        receiver.clean("java")
    equal(without_jvm_lines(application.err), "", "standard error")


def less_than_all(world):
    """JDK 21, the lean profile with one instrumentation more, a ratio of 0, OBTRACE_TRACED and OBTRACE_SIGNALS: the context of a trace
    not kept goes on unsampled, a sampled caller's is kept and its kinds but `client` reported, no log is sent, the calls are counted all
    the same, and System.exit(3) sends what is queued."""
    world.mount(world.volume("java"))
    with Receiver() as receiver:
        env = environment(world, receiver.url, ["java", "-jar", "app.jar"], OBTRACE_JAVA_PROFILE="lean", OTEL_INSTRUMENTATION_HIKARICP_ENABLED="true",
                          OBTRACE_TRACED="server,internal", OBTRACE_SIGNALS="traces,metrics", OBTRACE_METRIC_INTERVAL="2")
        env["OBTRACE_TRACE_SAMPLE_RATIO"] = "0"
        application = spring(world, env, 21, QUICK)
        own = f"http://127.0.0.1:{application.port}"
        first, second = re.findall('"(00-[^"]*)"', application.get(f"/call?url={own}/headers")[1])
        # 02: not sampled, and the id is random (W3C Trace Context, level 2).
        expect(re.search("-0[02]$", first) and re.search("-0[02]$", second) and first[:35] == second[:35], f"a trace not kept: {first} {second}")
        mine = f"00-{REMOTE[0]}-{REMOTE[1]}-00"
        kept = re.findall('"(00-[^"]*)"', application.get(f"/call?url={own}/headers&own={mine}")[1])
        equal(kept, [mine, mine], "traceparents of the application's own")
        application.get("/orders/7", {"traceparent": f"00-{REMOTE[0]}-{REMOTE[1]}-01"})
        expect(receiver.wait(lambda: receiver.metrics(POOL), 30), "OTEL_INSTRUMENTATION_HIKARICP_ENABLED=true does not add to the lean profile")
        application.get("/exit/3")
        equal(application.wait(), 3, "exit code")
        spans = receiver.spans()
        equal([(span.name, span.kind, span["traceId"], span.parent) for span in spans], [("GET /orders/{id}", "server", *REMOTE)], "spans")
        equal(receiver.logs(), [], "log records")
        durations = receiver.metrics("http.server.request.duration")[-1]
        counts = {attributes.get("http.route"): int(point["count"]) for attributes, point in durations.points}
        equal((counts["/call"], counts["/orders/{id}"]), (2, 1), "calls that are counted")
        receiver.clean("java")
    equal(without_jvm_lines(application.err), "", "standard error")


CASES = [spring_application, lean_profile, less_than_all]
