"""Traces of the operator itself, at a receiver of OTLP: of reviews that a tracing API server asks for, of what is done unasked; and that nobody
waits for a receiver.

The operator runs as a process beside the API server under failurePolicy Fail, as in `limits.py`: a review that is not answered in time refuses the Pod.
"""

import contextlib
import json
import pathlib
import re
import tempfile

import limits
from install import SYSTEM
from receiver import Receiver

# Every request is traced. What the API server itself has to tell goes nowhere.
CONFIGURATION = {"apiVersion": "apiserver.config.k8s.io/v1beta1", "kind": "TracingConfiguration", "endpoint": "127.0.0.1:1", "samplingRatePerMillion": 1000000}
FLAGS = ("--tracing-config-file=tracing.json",)
PATIENCE_SECONDS = 120
# The API server waits that long for an answer.
WEBHOOK_SECONDS = 10
POD, NODE = "operator-1", "node-1"


def folder():
    """A folder for a control plane with `FLAGS`."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="obtrace-kubernetes-"))
    (made / "tracing.json").write_text(json.dumps(CONFIGURATION))
    return made


class Operator(limits.Operator):
    """One that sends its traces to a receiver."""

    @contextlib.contextmanager
    def running(self, receiver, *flags, **environment):
        """For as long as the block runs, which is given what tells its exit status once it was told to stop."""
        process = self.start("--resync=2s", "--linger=0s", *flags, POD_NAME=POD, POD_NAMESPACE=SYSTEM, NODE_NAME=NODE,
                             OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, **environment)
        try:
            # The webhook's port is another each time, and the API server learns of it by a watch.
            self.api.wait_for(lambda: limits.added(self.create("first", dry=True)) == {limits.INIT}, "the webhook is called", PATIENCE_SECONDS)
            yield lambda: self.stop(process)
        finally:
            self.end()

    def stop(self, process):
        # Its end is no fault any more.
        self.api.processes.running.pop("operator")
        process.terminate()
        return process.wait(timeout=PATIENCE_SECONDS)

    def create(self, name, dry=False, **metadata):
        document = limits.pod("node")
        document["metadata"] = {"name": name, **metadata}
        return self.api.must("POST", f"/api/v1/namespaces/traced/pods{'?dryRun=All' if dry else ''}", document)

    def metric(self, name):
        """The sum over its labels."""
        found = re.findall(rf"^obtrace_zero_{name}(?:\{{.*\}})? (\d+)$", self.page(self.metrics, "/metrics"), re.M)
        return sum(map(int, found))


def of_pod(receiver, name):
    return [span for span in receiver.spans() if span.attributes.get("k8s.pod.name") == name]


def unlike(seen, wanted):
    return [f"{key} is {seen.get(key)!r}, not {value!r}" for key, value in wanted.items() if seen.get(key) != value]


def check_review(operator, receiver, report):
    operator.create("web")
    found = receiver.wait(lambda: of_pod(receiver, "web"), PATIENCE_SECONDS)
    if not report.check("a Pod that is created makes a span", [] if len(found) == 1 else [f"{found}"]):
        return
    span, = found
    wanted = {"http.request.method": "POST", "http.route": "/mutate-pods", "url.path": "/mutate-pods", "url.scheme": "https",
              "url.query": f"timeout={WEBHOOK_SECONDS}s", "http.response.status_code": 200, "network.protocol.version": "1.1",
              "client.address": "127.0.0.1", "server.address": f"obtrace-zero-webhook.{SYSTEM}.svc", "user_agent.original": "kube-apiserver-admission",
              "k8s.namespace.name": "traced", "obtrace.admission.outcome": "injected", "obtrace.admission.dry_run": False,
              "obtrace.admission.languages": ["nodejs"], "obtrace.admission.resource": f"{SYSTEM}/default"}
    report.check("its attributes say what was asked and decided", unlike(span.attributes, wanted))
    resource = {"service.name": "obtrace-zero-operator", "k8s.namespace.name": SYSTEM, "k8s.pod.name": POD, "k8s.node.name": NODE}
    report.check("its resource is the operator", unlike(span.resource, resource) + ([] if span.resource.get("service.version") else ["no version"]))
    head = {"name": "POST /mutate-pods", "kind": 2}
    times = [] if 0 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) else [f"{span}"]
    report.check("it is a span of a server", unlike(span, head) + times + (["it failed"] if span.failed else []))
    report.check("it is below the API server's own", [] if re.fullmatch("[0-9a-f]{16}", span.parent or "") else [f"its parent is {span.parent}"])


def check_owner(operator, receiver, report):
    template = {**limits.pod("node"), "metadata": {"labels": {"app": "cart"}}}
    operator.api.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart", "namespace": "traced"}, "spec": {
        "selector": {"matchLabels": {"app": "cart"}}, "template": {"metadata": template["metadata"], "spec": {
            key: value for key, value in template["spec"].items() if key != "schedulingGates"}}}})

    def owners():
        return [span.attributes for span in receiver.spans() if span.attributes.get("k8s.replicaset.name", "").startswith("cart-")]
    found = receiver.wait(owners, PATIENCE_SECONDS)
    faults = [f"{it}" for it in found if it["k8s.namespace.name"] != "traced" or "k8s.pod.name" in it]
    report.check("a Deployment's Pod is told by what makes it", faults if found else ["no span"])


def check_work(receiver, report):
    def roots():
        found = [span for span in receiver.spans() if span.parent is None]
        names = {span.name for span in found}
        return found if {"discovery scan", "certificate create", "certificate publish"} <= names else None
    found = receiver.wait(roots, PATIENCE_SECONDS)
    names = sorted({span.name for span in receiver.spans()})
    report.check("what is done unasked has spans", [] if found else [f"{names}"])
    odd = [f"{span.name} is {span.kind}" for span in found or () if span.kind != "internal"]
    report.check("they are roots of traces of their own", odd + (["one trace of several"] if len({span["traceId"] for span in found or ()}) != len(found or ()) else []))


def check_flush(operator, report):
    receiver = Receiver()
    with operator.running(receiver, OTEL_BSP_SCHEDULE_DELAY="600000") as stop:
        operator.create("late")
        status = stop()
        found = receiver.wait(lambda: of_pod(receiver, "late"), PATIENCE_SECONDS)
        report.check("what waits is sent when the operator stops", ([] if found else ["no span"]) + ([] if status == 0 else [f"exit status {status}"]))


def check_dead(operator, report):
    """Whoever waited for such a receiver would not answer in time."""
    receiver = Receiver(silent=True)
    with operator.running(receiver, OTEL_BSP_MAX_QUEUE_SIZE="1", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="1", OTEL_EXPORTER_OTLP_TIMEOUT="600000") as stop:
        left = [name for name in (f"dead-{number}" for number in range(30)) if limits.added(operator.create(name)) != {limits.INIT}]
        report.check("a receiver that does not answer keeps no Pod waiting", left)
        dropped = operator.metric("spans_dropped_total")
        report.check("spans without room are counted", [] if dropped else [f"{dropped}"])
        status = stop()
        report.check("nor the operator from stopping", [] if status == 0 else [f"exit status {status}"])


def check(api, report, program):
    """`api` has controllers and `FLAGS`; an operator of ours may have been there, and has ended."""
    api.namespace("traced")
    operator, receiver = Operator(api, program), Receiver()
    # The certificates are made anew, which is to be seen.
    api.delete(*({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": SYSTEM}} for name in ("obtrace-zero-webhook-tls",)))
    operator.install()
    with operator.running(receiver, OTEL_BSP_SCHEDULE_DELAY="100"):
        check_review(operator, receiver, report)
        check_owner(operator, receiver, report)
        check_work(receiver, report)
        exported = operator.api.wait_for(lambda: operator.metric("spans_exported_total"), "spans are counted that were sent", PATIENCE_SECONDS)
        report.check("spans that were sent are counted", [] if exported else [f"{exported}"])
    check_flush(operator, report)
    check_dead(operator, report)
