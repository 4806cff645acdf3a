"""The applications that other cases observe: that they run and answer without us, and that the receiver takes what it is sent."""

import json
import urllib.request

import observe
import workloads

SHOP, TELEMETRY = "shop", "telemetry"
ANSWER = "node python java go end"
SPAN = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "probe"}}]}, "scopeSpans": [{"spans": [{
    "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "GET /", "kind": 2, "startTimeUnixNano": "1700000000000000000",
    "endTimeUnixNano": "1700000000001000000"}]}]}]}


def fetch(pod, path="/"):
    """What a Pod answers."""
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:{workloads.PORT}{path}", timeout=60) as answer:
        return answer.read().decode().strip()


def ask(cluster, namespace, path="/"):
    """What the first of the applications answers, asked at its Pod."""
    return fetch(next(pod for pod in cluster.pods(namespace, "app=nodejs") if not pod["metadata"].get("deletionTimestamp")), path)


def answered(cluster, namespace):
    """Waits for the answer that has passed through all of them: a Service leads somewhere a moment after its Pods are ready."""
    return cluster.wait_for(lambda: ask(cluster, namespace) == ANSWER, "the applications answer through each other's Services")


def wait_available(cluster, namespace, names=tuple(workloads.APPLICATIONS)):
    for name in names:
        cluster.wait_for(lambda name=name: workloads.available(cluster, namespace, name), f"the Deployment {namespace}/{name} is available", 300)


def check(cluster, report):
    with observe.namespace(cluster, SHOP, "restricted"), observe.namespace(cluster, TELEMETRY, "restricted"):
        sink = workloads.Sink(cluster, TELEMETRY)
        sink.start()
        cluster.apply(*workloads.chain(SHOP))
        wait_available(cluster, SHOP)
        report.check("five applications answer through each other's Services", [] if answered(cluster, SHOP) else ["no"])
        check_sink(cluster, report, sink)


def check_sink(cluster, report, sink):
    pod, = cluster.pods(TELEMETRY, f"app={sink.NAME}")
    request = urllib.request.Request(f"http://{pod['status']['podIP']}:{sink.PORT}/v1/traces", json.dumps(SPAN).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()
    spans = sink.wait(lambda: sink.spans("server"), "the receiver tells of a span")
    seen = [(span["name"], span.resource.get("service.name")) for span in spans]
    report.check("the receiver in the cluster tells what it was sent", [] if seen == [("GET /", "probe")] else [f"{seen}"])
